"""The forms that most events have, read straight into the fields of the common ones.

It says the same as `wire_events` and `event_normaliser` do, for what streams are full of, in half of the time. Whatever
does not fit is read by those.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, EventData, and https://docs.everruns.com, event pages;
newer servers: https://crates.io/crates/everruns-contracts, 0.50.1 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NotRequired, TypeAlias

from pydantic import AliasChoices, AliasPath, Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other, and brings this one along

from polysession.provider_api import (
    Event,
    Form,
    Message,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    RawEvent,
    Role,
    SessionStatus,
    StatusChanged,
    TextBlock,
    ThinkingDelta,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    UsageReported,
    UsualTime,
    filled,
    filled_event,
    for_record,
)
from polysession_everruns.actions import is_approval
from polysession_everruns.endings import completed_turn
from polysession_everruns.message_normaliser import ROLES, to_output
from polysession_everruns.normaliser import NAME
from polysession_everruns.stream_state import MESSAGE, THINKING, Told
from polysession_everruns.usual import UsualUsage, to_usage

_TURN: Final = AliasChoices(AliasPath("context", "turn_id"), AliasPath("data", "turn_id"))


class UsualEvent(TypedDict):
    """What every event has. Its turn is named in one place or two."""

    native_type: Annotated[str, Field(validation_alias="type")]
    id: str
    created_at: Annotated[UsualTime, Field(validation_alias="ts")]
    session_id: Annotated[str, Field(min_length=1)]
    sequence: NotRequired[int | None]
    turn_id: NotRequired[Annotated[str, Field(validation_alias=_TURN, min_length=1)]]


class UsualStart(UsualEvent):
    """A message begins."""

    message_id: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("data", "message_id"))]]


class UsualDelta(UsualStart):
    """A piece of what is being written."""

    text: Annotated[str, Field(validation_alias=AliasPath("data", "delta"))]
    accumulated: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("data", "accumulated"))]]


class UsualMessage(TypedDict):
    """A message of text."""

    id: str
    role: NotRequired[str | None]
    content: tuple[TextBlock, ...]
    created_at: NotRequired[UsualTime | None]
    thinking: NotRequired[None]


class UsualMessageEvent(UsualEvent):
    """It is told whole."""

    message: Annotated[UsualMessage, Field(validation_alias=AliasPath("data", "message"))]
    usage: NotRequired[Annotated[UsualUsage | None, Field(validation_alias=AliasPath("data", "usage"))]]


class UsualToolStart(UsualEvent):
    """A tool is called."""

    tool_call_id: Annotated[str, Field(validation_alias=AliasPath("data", "tool_call", "id"))]
    name: Annotated[str, Field(validation_alias=AliasPath("data", "tool_call", "name"))]
    arguments: Annotated[dict[str, Any], Field(validation_alias=AliasPath("data", "tool_call", "arguments"))]


class UsualToolEnd(UsualEvent):
    """It has answered. A client's tool has an empty name."""

    tool_call_id: Annotated[str, Field(validation_alias=AliasPath("data", "tool_call_id"))]
    tool_name: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("data", "tool_name"), min_length=1)]]
    success: Annotated[bool, Field(validation_alias=AliasPath("data", "success"))]
    result: NotRequired[Annotated[Any, Field(validation_alias=AliasPath("data", "result"))]]
    error: NotRequired[Annotated[None, Field(validation_alias=AliasPath("data", "error"))]]


class UsualRest(UsualEvent):
    """The session is idle, or a turn begins, which has consumed nothing yet."""

    usage: NotRequired[Annotated[UsualUsage | None, Field(validation_alias=AliasPath("data", "usage"))]]


class UsualTurnEnd(UsualRest):
    """A turn is over."""

    reason: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("data", "termination_reason"))]]
    stop_reason: NotRequired[Annotated[str | None, Field(validation_alias=AliasPath("data", "stop_reason"))]]


_Fields: TypeAlias = dict[str, Any]
Teller: TypeAlias = Callable[[Told, dict[str, Any]], Sequence[Event]]
"""Tells what an event is, from its fields, which become the event's own."""

_new_delta: Final = filled_event(MessageDelta)
_new_end: Final = filled_event(TurnEnded)
_new_message: Final = filled(
    Message, ("id", "session_id", "role", "content", "usage", "created_at", "raw"), provider=NAME
)
_new_message_event: Final = filled_event(MessageCompleted)
_new_message_start: Final = filled_event(MessageStarted)
_new_native: Final = filled_event(RawEvent)
_new_status: Final = filled_event(StatusChanged)
_new_thinking_delta: Final = filled_event(ThinkingDelta)
_new_tool_call: Final = filled_event(ToolCallCompleted)
_new_tool_result: Final = filled_event(ToolResultCompleted)
_new_turn: Final = filled_event(TurnStarted)
_new_usage: Final = filled_event(UsageReported)


def _start(told: Told, fields: _Fields) -> Sequence[Event]:
    told.forget(MESSAGE)
    return (_new_message_start(fields),)


def _message_delta(told: Told, fields: _Fields) -> Sequence[Event]:
    accumulated = fields.pop("accumulated", None)
    if fields.get("sequence") is None:
        text = fields["text"] = told.beyond(MESSAGE, fields.get("message_id"), fields["text"], accumulated)
        if text is None:
            return ()
    return (_new_delta(fields),)


def _thinking_delta(told: Told, fields: _Fields) -> Sequence[Event]:
    accumulated, message_id = fields.pop("accumulated", None), fields.pop("message_id", None)
    if fields.get("sequence") is None:
        text = fields["text"] = told.beyond(THINKING, message_id, fields["text"], accumulated)
        if text is None:
            return ()
    return (_new_thinking_delta(fields),)


def _input(_told: Told, fields: _Fields) -> Sequence[Event]:
    message, usage = fields["message"], fields.pop("usage", None)
    message.pop("thinking", None)
    message["session_id"] = fields["session_id"]
    message["role"] = ROLES.get(message.get("role"), Role.UNKNOWN)
    message["usage"] = None if usage is None else to_usage(usage)
    message["raw"] = for_record(fields["raw"], "data", "message")
    fields["message"] = _new_message(message)
    return (_new_message_event(fields),)


def _message(told: Told, fields: _Fields) -> Sequence[Event]:
    told.complete_message(fields["message"]["id"])
    return _input(told, fields)


def _tool_start(_told: Told, fields: _Fields) -> Sequence[Event]:
    return (_new_tool_call(fields),)


def _tool_end(_told: Told, fields: _Fields) -> Sequence[Event]:
    name, is_success, result = fields.pop("tool_name", None), fields.pop("success"), fields.pop("result", None)
    fields.pop("error", None)
    if is_approval(fields["tool_call_id"], name):
        del fields["tool_call_id"]
        return (_new_native(fields),)
    fields["text"], fields["is_error"] = to_output(result), not is_success
    return (_new_tool_result(fields),)


def _turn(told: Told, fields: _Fields) -> Sequence[Event]:
    told.forget()
    fields.pop("usage", None)
    return (_new_turn(fields),)


def _turn_end(told: Told, fields: _Fields) -> Sequence[Event]:
    told.forget()
    reason, stop_reason = fields.pop("reason", None), fields.pop("stop_reason", None)
    usage = fields.get("usage")
    fields["usage"] = None if usage is None else to_usage(usage)
    fields["outcome"], fields["native_reason"], fields["error"] = completed_turn(reason or stop_reason or "")
    return (_new_end(fields),)


def _active(_told: Told, fields: _Fields) -> Sequence[Event]:
    return (_new_status({**fields, "status": SessionStatus.RUNNING, "native_status": "active"}),)


def _rest(_told: Told, fields: _Fields) -> Sequence[Event]:
    usage = fields.pop("usage", None)
    status = _new_status({**fields, "status": SessionStatus.IDLE, "native_status": "idle"})
    if usage is None:
        return (status,)
    return (status, _new_usage({**fields, "usage": to_usage(usage), "is_delta": False}))


_DELTA: Final = Form(UsualDelta)
_MESSAGE: Final = Form(UsualMessageEvent)
_EVENT: Final = Form(UsualEvent)
_REST: Final = Form(UsualRest)
USUAL: Final[Mapping[str, tuple[Form[Any], Teller]]] = {
    "input.message": (_MESSAGE, _input),
    f"{MESSAGE}.started": (Form(UsualStart), _start),
    f"{MESSAGE}.delta": (_DELTA, _message_delta),
    f"{MESSAGE}.completed": (_MESSAGE, _message),
    f"{THINKING}.delta": (_DELTA, _thinking_delta),
    "tool.started": (Form(UsualToolStart), _tool_start),
    "tool.completed": (Form(UsualToolEnd), _tool_end),
    "turn.started": (_REST, _turn),
    "turn.completed": (Form(UsualTurnEnd), _turn_end),
    "session.activated": (_EVENT, _active),
    "session.idled": (_REST, _rest),
}
"""How the events of each type are read, and told in a stream where no turn is parked."""
