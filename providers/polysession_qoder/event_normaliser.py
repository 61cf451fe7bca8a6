"""Qoder's events to the common ones, one table row for each type. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from polysession.provider_api import (
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    RawEvent,
    ThinkingCompleted,
    ThinkingDelta,
    ToolCallCompleted,
    ToolResultCompleted,
    Usage,
    UsageReported,
    for_record,
    trusted_event,
)
from polysession_qoder.actions import awaited_ids, read_action, reason_of, to_action
from polysession_qoder.message_normaliser import read_message, text_of
from polysession_qoder.normaliser import to_usage
from polysession_qoder.state_events import (
    Common,
    begun,
    idle,
    last,
    message_started,
    model_request_end,
    rescheduled,
    running,
    to_raw_event,
)
from polysession_qoder.stream_state import Preview, StreamState
from polysession_qoder.usual_events import usual_readers
from polysession_qoder.wire_events import (
    WireErrorEvent,
    WireEventError,
    WireEventHead,
    WireIdle,
    WireMessageEvent,
    WirePreviewDelta,
    WirePreviewStart,
    WireStoredDelta,
    WireThinkingEvent,
    WireToolResult,
    WireToolUse,
    WireUsageEvent,
)

PREVIEWS: Final = ("event_start", "event_delta")
"""Frames that only a stream has. They carry the id of the event that will follow, and none of their own."""

LAST_EVENTS: Final = ("session.status_terminated", "session.deleted")
"""After one of these nothing follows."""

# What a wire model holds was validated.
_new_message: Final = trusted_event(MessageCompleted)
_new_message_delta: Final = trusted_event(MessageDelta)
_new_thinking: Final = trusted_event(ThinkingCompleted)
_new_thinking_delta: Final = trusted_event(ThinkingDelta)
_new_tool_call: Final = trusted_event(ToolCallCompleted)
_new_tool_result: Final = trusted_event(ToolResultCompleted)


_Reader: TypeAlias = Callable[[StreamState, Any, Common], Iterable[Event]]


class EventNormaliser:
    """Turns the events of one session into common ones, in their order and each once.

    Attributes:
        usual: The same straight from JSON text, by type, for events that have the usual form.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._state = StreamState()
        self.usual = usual_readers(self._state, session_id)

    def read(self, raw: dict[str, Any]) -> list[Event]:
        """The common events of one event; none if it came before.

        Raises:
            pydantic.ValidationError: It is no event, or its type is known and its body is not.
        """
        return list(self.read_wire(to_wire(raw), raw))

    def read_wire(self, wire: WireEventHead, raw: dict[str, Any]) -> Sequence[Event]:
        """The same for an event whose wire model was read from `raw`."""
        event_id, kind = wire.id, wire.type
        if event_id is not None and not self._state.seen.add(event_id):
            return ()
        common: Common = {
            "session_id": self._session_id,
            "id": event_id,
            "turn_id": wire.turn_id,
            "created_at": wire.processed_at or wire.created_at,
            "native_type": kind,
            "raw": raw,
        }
        if kind.startswith("agent."):
            self._state.turn_is_open = True  # also if the stream began in the middle of the turn
        reader = _READERS.get(kind)
        return to_raw_event(common) if reader is None else tuple(reader(self._state, wire, common))

    def remember(self, tool_use: dict[str, Any]) -> None:
        """Note a tool use that was read elsewhere, for the event that waits at it.

        Raises:
            pydantic.ValidationError: It is no tool use.
        """
        action = to_action(tool_use)
        self._state.tool_uses[action.id] = action

    def expect_turn(self) -> None:
        """Input was sent: whatever ends the session now ends a turn."""
        self._state.turn_is_open = True


def to_wire(raw: dict[str, Any]) -> WireEventHead:
    """The wire model of an event: with what its type has if it is modelled, else its head.

    Raises:
        pydantic.ValidationError: It is no event, or its type is known and its body is not.
    """
    return _shape(str(raw.get("type"))).model_validate(raw)


def text_to_wire(kind: str, text: bytes) -> WireEventHead | None:
    """The same straight from JSON text; None if the event is not of this type, or cannot be read."""
    try:
        wire: WireEventHead = _shape(kind).__pydantic_validator__.validate_json(text)
    except ValidationError:
        return None
    return wire if wire.type == kind else None


def _shape(kind: str) -> type[WireEventHead]:
    return _SHAPES.get(kind, WireEventHead)


def _of_state(tell: Callable[[StreamState, Common], Iterable[Event]]) -> _Reader:
    """A reader of events that hold nothing besides what all have."""
    return lambda state, _wire, common: tell(state, common)


def _message(state: StreamState, wire: WireMessageEvent, common: Common) -> Iterable[Event]:
    state.previews.pop(wire.id or "", None)
    return (_new_message(message=read_message(common["session_id"], wire, for_record(common["raw"])), **common),)


def _thinking(state: StreamState, wire: WireThinkingEvent, common: Common) -> Iterable[Event]:
    state.previews.pop(wire.id or "", None)
    return (_new_thinking(text=wire.thinking or text_of(wire.content), **common),)


def _tool_use(state: StreamState, wire: WireToolUse, common: Common) -> Iterable[Event]:
    action = read_action(wire, common["raw"])
    state.tool_uses[action.id] = action
    return (_new_tool_call(tool_call_id=action.id, name=action.name, arguments=action.arguments, **common),)


def _tool_result(state: StreamState, wire: WireToolResult, common: Common) -> Iterable[Event]:
    tool_call_id = wire.tool_use_id or wire.mcp_tool_use_id or wire.custom_tool_use_id or ""
    state.tool_uses.pop(tool_call_id, None)
    text = wire.output if isinstance(wire.output, str) else text_of(wire.content)
    return (_new_tool_result(tool_call_id=tool_call_id, text=text, is_error=bool(wire.is_error), **common),)


def _idle(state: StreamState, wire: WireIdle, common: Common) -> Iterable[Event]:
    return idle(state, reason_of(wire), awaited_ids(wire), common)


def _usage(_state: StreamState, wire: WireUsageEvent, common: Common) -> Iterator[Event]:
    yield UsageReported(usage=to_usage(wire) or Usage(), is_delta=False, **common)


def _error(state: StreamState, wire: WireErrorEvent, common: Common) -> Iterator[Event]:
    error = wire.error if isinstance(wire.error, WireEventError) else WireEventError(message=wire.error)
    code = error.type or wire.code
    state.error = error.message or code or "the backend reports an error, and not which"
    yield ErrorReported(message=state.error, code=code, **common)


def _preview_start(state: StreamState, wire: WirePreviewStart, common: Common) -> Iterable[Event]:
    target = wire.event
    return to_raw_event(common) if target is None else begun(state, target.id, target.type, common)


def _preview_delta(state: StreamState, wire: WirePreviewDelta, common: Common) -> Iterable[Event]:
    target, text = wire.event_id, wire.text
    if text is None or target is None:
        return to_raw_event(common)
    preview = state.previews.get(target)
    if preview is None:
        return _unannounced(state, target, wire, common)
    text = preview.add(wire.index or 0, text)
    if not text:
        return ()
    if preview.is_message:
        return (_new_message_delta(message_id=target, text=text, **common),)
    return (_new_thinking_delta(text=text, **common),)


def _unannounced(state: StreamState, target: str, wire: WirePreviewDelta, common: Common) -> Iterator[Event]:
    """A piece of what was delivered whole already, or whose start was missed."""
    if target not in state.seen:
        state.previews[target] = Preview("agent.message")
        yield message_started(target, common | {"synthetic": True})
        yield from _preview_delta(state, wire, common)


def _stored_start(_state: StreamState, wire: WireMessageEvent, common: Common) -> Iterator[Event]:
    yield MessageStarted(message_id=wire.message_id or wire.id, **common)


def _stored_delta(_state: StreamState, wire: WireStoredDelta, common: Common) -> Iterator[Event]:
    delta = wire.delta
    if delta is not None and delta.text is not None:
        yield MessageDelta(message_id=wire.message_id, text=delta.text, **common)
    elif delta is not None and delta.thinking is not None:
        yield ThinkingDelta(text=delta.thinking, **common)
    else:
        yield RawEvent(**common)


_MESSAGE: Final = (WireMessageEvent, _message, ("message.completed",))
_TOOL_USE: Final = (WireToolUse, _tool_use, ("tool_call.completed",))
_TOOL_RESULT: Final = (WireToolResult, _tool_result, ("tool_result.completed",))
_LAST: Final = (WireEventHead, _of_state(last), ("session.status", "turn.ended"))
_ERROR: Final = (WireErrorEvent, _error, ("error",))

_MODELLED: Final[Mapping[str, tuple[type[WireEventHead], _Reader, tuple[str, ...]]]] = {
    "user.message": _MESSAGE,
    "user.custom_tool_result": _TOOL_RESULT,
    "user.tool_result": _TOOL_RESULT,
    "system.message": _MESSAGE,
    "agent.message": _MESSAGE,
    "agent.thinking": (WireThinkingEvent, _thinking, ("thinking.completed",)),
    "agent.tool_use": _TOOL_USE,
    "agent.mcp_tool_use": _TOOL_USE,
    "agent.custom_tool_use": _TOOL_USE,
    "agent.tool_result": _TOOL_RESULT,
    "agent.mcp_tool_result": _TOOL_RESULT,
    "session.status_running": (WireEventHead, _of_state(running), ("turn.started", "session.status")),
    "session.status_rescheduled": (WireEventHead, _of_state(rescheduled), ("session.status",)),
    "session.status_idle": (WireIdle, _idle, ("session.status", "action.required", "turn.ended")),
    "session.status_terminated": _LAST,
    "session.deleted": _LAST,
    "session.usage": (WireUsageEvent, _usage, ("usage",)),
    "session.error": _ERROR,
    "error": _ERROR,
    "span.model_request_end": (WireEventHead, _of_state(model_request_end), ("raw",)),
    "event_start": (WirePreviewStart, _preview_start, ("message.started", "thinking.started", "raw")),
    "event_delta": (
        WirePreviewDelta,
        _preview_delta,
        ("message.started", "message.delta", "thinking.delta", "raw"),
    ),
    # June and July 2026: previews were events of their own, with ids, and stayed in the list.
    "agent.message_start": (WireMessageEvent, _stored_start, ("message.started",)),
    "agent.content_block_delta": (WireStoredDelta, _stored_delta, ("message.delta", "thinking.delta", "raw")),
}
_AS_THEY_ARE: Final = (
    "user.interrupt",
    "user.tool_confirmation",
    "user.define_outcome",
    "agent.artifact_delivered",
    "agent.thread_message_sent",
    "agent.thread_message_received",
    "agent.thread_context_compacted",
    "agent.content_block_start",
    "agent.content_block_stop",
    "agent.message_delta",
    "agent.message_stop",
    "session.thread_created",
    "session.thread_status_running",
    "session.thread_status_idle",
    "session.thread_status_rescheduled",
    "session.thread_status_terminated",
    "session.updated",
    "span.model_request_start",
    "span.outcome_evaluation_start",
    "span.outcome_evaluation_ongoing",
    "span.outcome_evaluation_end",
)
_SHAPES: Final[Mapping[str, type[WireEventHead]]] = {name: shape for name, (shape, _, _) in _MODELLED.items()}
_READERS: Final[Mapping[str, _Reader]] = {name: reader for name, (_, reader, _) in _MODELLED.items()}

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: common for name, (_, _, common) in _MODELLED.items()},
    **dict.fromkeys(_AS_THEY_ARE, ("raw",)),
}
"""What each of Qoder's types becomes. A type that is not here becomes `native`."""
