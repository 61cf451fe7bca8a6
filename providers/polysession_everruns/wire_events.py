"""The messages and events of Everruns, in its own words.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AliasPath, Field

from polysession.provider_api import UtcDatetime
from polysession_everruns.wire import Wire, WireUsage


class WireList(Wire):
    """A list that comes whole: messages and events."""

    data: list[dict[str, Any]]


class WireMessage(Wire):
    """A message: of the list, of the answer to a new one, or inside an event.

    Attributes:
        thinking: What the model thought before; not in the list.
        delivery: Newer servers only, in the answer to a new message: `started`, `steered`, `resumed` or `duplicate`.
    """

    id: str
    role: str | None = None
    content: list[dict[str, Any]] | None = None
    thinking: str | None = None
    created_at: UtcDatetime | None = None
    delivery: str | None = None


class WireEvent(Wire):
    """The envelope of an event: all that is read of one whose type is not modelled.

    Attributes:
        data_turn_id: The turn, where only the data name it.
        raw: The whole of it as received, perhaps still text.
    """

    id: str | None = None
    type: str = ""
    ts: UtcDatetime | None = None
    session_id: str = ""
    sequence: int | None = None
    turn_id: Annotated[str | None, Field(validation_alias=AliasPath("context", "turn_id"))] = None
    data_turn_id: Annotated[Any, Field(validation_alias=AliasPath("data", "turn_id"))] = None
    raw: dict[str, Any] = Field(default_factory=dict)

    @staticmethod
    def envelope_of(raw: dict[str, Any], **missing: str) -> WireEvent:
        """Read the envelope of an event; `missing` is what its surroundings say in case it does not.

        Raises:
            pydantic.ValidationError: It is not an event.
        """
        return WireEvent.model_validate({**missing, **raw, "raw": raw})

    @staticmethod
    def of(raw: dict[str, Any], **missing: str) -> WireEvent:
        """Read an event with the data of its type.

        Raises:
            pydantic.ValidationError: It is not an event, or its data are not those of its type.
        """
        return shape_of(str(raw.get("type", missing.get("type")))).model_validate({**missing, **raw, "raw": raw})


class WireTurnEvent(WireEvent):
    """`turn.*`, `session.idled` and `reason.completed`: each has a few of these data.

    Attributes:
        termination_reason: Newer servers only: why a turn that is over is over.
        stop_reason: Newer servers only: why the last model call of a turn ended.
    """

    usage: Annotated[WireUsage | None, Field(validation_alias=AliasPath("data", "usage"))] = None
    reason: Annotated[str | None, Field(validation_alias=AliasPath("data", "reason"))] = None
    detail: Annotated[str | None, Field(validation_alias=AliasPath("data", "detail"))] = None
    error: Annotated[str | None, Field(validation_alias=AliasPath("data", "error"))] = None
    error_code: Annotated[str | None, Field(validation_alias=AliasPath("data", "error_code"))] = None
    termination_reason: Annotated[str | None, Field(validation_alias=AliasPath("data", "termination_reason"))] = None
    stop_reason: Annotated[str | None, Field(validation_alias=AliasPath("data", "stop_reason"))] = None


class WireTextEvent(WireEvent):
    """A message or thinking in the making. Only newer servers name the message."""

    message_id: Annotated[str | None, Field(validation_alias=AliasPath("data", "message_id"))] = None
    delta: Annotated[str, Field(validation_alias=AliasPath("data", "delta"))] = ""
    accumulated: Annotated[str | None, Field(validation_alias=AliasPath("data", "accumulated"))] = None
    thinking: Annotated[str | None, Field(validation_alias=AliasPath("data", "thinking"))] = None


class WireMessageEvent(WireEvent):
    """A whole message, with the tokens of the one model call that made it."""

    message: Annotated[dict[str, Any], Field(validation_alias=AliasPath("data", "message"))]
    usage: Annotated[WireUsage | None, Field(validation_alias=AliasPath("data", "usage"))] = None


class WireConversationEvent(WireEvent):
    """A message that an agent sent on purpose; newer servers only."""

    data: dict[str, Any]
    message_id: Annotated[str, Field(validation_alias=AliasPath("data", "message_id"))]
    text: Annotated[str, Field(validation_alias=AliasPath("data", "text"))]


class WireToolCall(Wire):
    """A call of a tool."""

    id: str
    name: str = ""
    arguments: Any = None


class WireToolEvent(WireEvent):
    """One tool call."""

    tool_call: Annotated[WireToolCall | None, Field(validation_alias=AliasPath("data", "tool_call"))] = None
    tool_call_id: Annotated[str, Field(validation_alias=AliasPath("data", "tool_call_id"))] = ""
    tool_name: Annotated[str | None, Field(validation_alias=AliasPath("data", "tool_name"))] = None
    success: Annotated[bool, Field(validation_alias=AliasPath("data", "success"))] = True
    result: Annotated[Any, Field(validation_alias=AliasPath("data", "result"))] = None
    error: Annotated[str | None, Field(validation_alias=AliasPath("data", "error"))] = None
    delta: Annotated[str, Field(validation_alias=AliasPath("data", "delta"))] = ""


class WireToolCallsEvent(WireEvent):
    """Several tool calls, each as received."""

    tool_calls: Annotated[list[dict[str, Any]] | None, Field(validation_alias=AliasPath("data", "tool_calls"))] = None


_SHAPES: Final[Mapping[str, type[WireEvent]]] = {
    "input.message": WireMessageEvent,
    "output.message.started": WireTextEvent,
    "output.message.delta": WireTextEvent,
    "output.message.completed": WireMessageEvent,
    "conversation.message": WireConversationEvent,
    "turn.started": WireTurnEvent,
    "turn.completed": WireTurnEvent,
    "turn.failed": WireTurnEvent,
    "turn.cancelled": WireTurnEvent,
    "turn.sealed": WireTurnEvent,
    "reason.completed": WireTurnEvent,
    "reason.thinking.started": WireTextEvent,
    "reason.thinking.delta": WireTextEvent,
    "reason.thinking.completed": WireTextEvent,
    "act.started": WireToolCallsEvent,
    "tool.started": WireToolEvent,
    "tool.completed": WireToolEvent,
    "tool.output.delta": WireToolEvent,
    "tool.call_requested": WireToolCallsEvent,
    "session.idled": WireTurnEvent,
}


def shape_of(kind: str) -> type[WireEvent]:
    """What an event of a type looks like."""
    return _SHAPES.get(kind, WireEvent)


class WireDisconnecting(Wire):
    """Data of the frame that announces the end of a connection."""

    retry_ms: Annotated[int, Field(ge=0)] = 100
