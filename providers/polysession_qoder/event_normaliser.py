"""Qoder's events to the common ones, one table row for each type. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from polysession.provider_api import (
    ActionRequired,
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    NativeEvent,
    Outcome,
    PendingAction,
    SessionStatus,
    StatusChanged,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    Usage,
    UsageReported,
    loaded,
)
from polysession_qoder.actions import awaited_ids, read_action, reason_of, to_action
from polysession_qoder.message_normaliser import read_message, text_of
from polysession_qoder.normaliser import to_usage
from polysession_qoder.wire import WireEvent, WireEventError, WireEventHead, WireUsage

PREVIEWS: Final = ("event_start", "event_delta")
"""Frames that only a stream has. They carry the id of the event that will follow, and none of their own."""

LAST_EVENTS: Final = ("session.status_terminated", "session.deleted")
"""After one of these nothing follows."""

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "end_turn": Outcome.COMPLETED,
    "requires_action": Outcome.REQUIRES_ACTION,
    "cancelled": Outcome.CANCELLED,
    "budget_reached": Outcome.LIMIT_REACHED,
}
_REMEMBERED_IDS: Final = 10_000


@dataclass(slots=True)
class _Preview:
    """An event that is being written: how much of each of its blocks came, and how much of that was delivered."""

    type: str
    received: Counter[int] = field(default_factory=Counter)
    delivered: Counter[int] = field(default_factory=Counter)

    def restart(self) -> None:
        """The backend replays it from its beginning."""
        self.received.clear()

    def add(self, index: int, text: str) -> str:
        """What of this piece was not delivered yet."""
        known = self.delivered[index] - self.received[index]
        self.received[index] += len(text)
        fresh = text[max(0, known) :]
        self.delivered[index] += len(fresh)
        return fresh


@dataclass(slots=True)
class _State:
    """What the events of one stream need to know of those before them."""

    seen: dict[str, None] = field(default_factory=dict)  # in order, so that the oldest can be forgotten
    tool_uses: dict[str, PendingAction] = field(default_factory=dict)
    previews: dict[str, _Preview] = field(default_factory=dict)
    turn_is_open: bool = False
    is_rescheduled: bool = False
    error: str | None = None


_Common: TypeAlias = dict[str, Any]
_Reader: TypeAlias = Callable[[_State, WireEvent, _Common], Iterator[Event]]


class EventNormaliser:
    """Turns the events of one session into common ones, in their order and each once."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._state = _State()

    def read(self, raw: dict[str, Any]) -> list[Event]:
        """The common events of one event; none if it came before.

        Raises:
            pydantic.ValidationError: It is no event, or its type is known and its body is not.
        """
        return self.read_wire(to_wire(raw), raw)

    def read_wire(self, wire: WireEventHead, raw: dict[str, Any]) -> list[Event]:
        """The same for an event whose wire model was read from `raw`."""
        if wire.id is not None and not self._is_new(wire.id):
            return []
        common: _Common = {
            "session_id": self._session_id,
            "id": wire.id,
            "turn_id": wire.turn_id,
            "created_at": wire.processed_at or wire.created_at,
            "native_type": wire.type,
            "raw": raw,
        }
        if wire.type.startswith("agent."):
            self._state.turn_is_open = True  # also if the stream began in the middle of the turn
        reader = _READERS.get(wire.type)
        if reader is None or not isinstance(wire, WireEvent):
            return [NativeEvent(**common)]
        return list(reader(self._state, wire, common))

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

    def _is_new(self, event_id: str) -> bool:
        seen = self._state.seen
        if event_id in seen:
            return False
        seen[event_id] = None
        if len(seen) > _REMEMBERED_IDS:
            del seen[next(iter(seen))]
        return True


def to_wire(raw: dict[str, Any]) -> WireEventHead:
    """The wire model of an event: the whole of it if its type is modelled, else its head.

    Raises:
        pydantic.ValidationError: It is no event, or its type is known and its body is not.
    """
    head = WireEventHead.model_validate(raw)
    return WireEvent.model_validate(raw) if head.type in _READERS else head


def _message(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    state.previews.pop(wire.id or "", None)
    yield MessageCompleted(message=read_message(common["session_id"], wire, common["raw"]), **common)


def _thinking(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    state.previews.pop(wire.id or "", None)
    yield ThinkingCompleted(text=wire.thinking or text_of(wire.content), **common)


def _tool_use(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    action = read_action(wire, common["raw"])
    state.tool_uses[action.id] = action
    yield ToolCallCompleted(tool_call_id=action.id, name=action.name, arguments=action.arguments, **common)


def _tool_result(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    tool_call_id = wire.tool_use_id or wire.mcp_tool_use_id or wire.custom_tool_use_id or ""
    state.tool_uses.pop(tool_call_id, None)
    text = wire.output if isinstance(wire.output, str) else text_of(wire.content)
    yield ToolResultCompleted(tool_call_id=tool_call_id, text=text, is_error=bool(wire.is_error), **common)


def _running(state: _State, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    goes_on = state.turn_is_open and state.is_rescheduled
    state.turn_is_open, state.is_rescheduled = True, False
    if not goes_on:
        state.error = None
        yield TurnStarted(**common)
    yield StatusChanged(status=SessionStatus.RUNNING, native_status="running", **common)


def _rescheduled(state: _State, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    state.is_rescheduled = True
    yield StatusChanged(status=SessionStatus.RESCHEDULING, native_status="rescheduled", **common)


def _idle(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    reason = reason_of(wire)
    outcome = _OUTCOMES.get(reason, Outcome.FAILED)
    error = state.error or f"the turn stopped: {reason or 'the backend does not say why'}"
    yield StatusChanged(status=SessionStatus.IDLE, native_status="idle", **common)
    if outcome is Outcome.REQUIRES_ACTION:
        known = (state.tool_uses.get(event_id) for event_id in awaited_ids(wire))
        yield ActionRequired(actions=tuple(action for action in known if action is not None), **common)
    else:
        state.tool_uses.clear()
    _close_turn(state)
    yield TurnEnded(outcome=outcome, native_reason=reason, error=error if outcome is Outcome.FAILED else None, **common)


def _last(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    word = wire.type.removeprefix("session.").removeprefix("status_")
    was_open, error = state.turn_is_open, state.error or f"the session was {word}"
    _close_turn(state)
    yield StatusChanged(status=SessionStatus.TERMINATED, native_status=word, **common)
    if was_open:
        yield TurnEnded(outcome=Outcome.FAILED, native_reason=word, error=error, synthetic=True, **common)


def _close_turn(state: _State) -> None:
    state.turn_is_open, state.is_rescheduled, state.error = False, False, None
    state.previews.clear()


def _usage(_state: _State, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    usage = to_usage(WireUsage.model_validate(loaded(common["raw"]))) or Usage()
    yield UsageReported(usage=usage, is_delta=False, **common)


def _error(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    error = wire.error if isinstance(wire.error, WireEventError) else WireEventError(message=wire.error)
    code = error.type or wire.code
    state.error = error.message or code or "the backend reports an error, and not which"
    yield ErrorReported(message=state.error, code=code, **common)


def _model_request_end(state: _State, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    state.previews.clear()  # what was not completed by now never will be
    yield NativeEvent(**common)


def _preview_start(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    target = wire.event
    if target is None or target.type not in _STARTED:
        yield NativeEvent(**common)
    elif target.id in state.previews:
        state.previews[target.id].restart()
    elif target.id not in state.seen:
        state.previews[target.id] = _Preview(target.type)
        yield _STARTED[target.type](target.id, common)


def _preview_delta(state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    target, content = wire.event_id, wire.delta.content if wire.delta else None
    if wire.delta is None or content is None or content.text is None or target is None:
        yield NativeEvent(**common)
        return
    if target in state.seen:
        return  # the whole event was delivered already
    preview = state.previews.get(target)
    if preview is None:
        preview = state.previews[target] = _Preview("agent.message")
        yield _message_started(target, common | {"synthetic": True})
    text = preview.add(wire.delta.index or 0, content.text)
    if text and preview.type == "agent.thinking":
        yield ThinkingDelta(text=text, **common)
    elif text:
        yield MessageDelta(message_id=target, text=text, **common)


def _message_started(message_id: str, common: _Common) -> Event:
    return MessageStarted(message_id=message_id, **common)


def _thinking_started(_event_id: str, common: _Common) -> Event:
    return ThinkingStarted(**common)


def _stored_start(_state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    yield MessageStarted(message_id=wire.message_id or wire.id, **common)


def _stored_delta(_state: _State, wire: WireEvent, common: _Common) -> Iterator[Event]:
    delta = wire.delta
    if delta is not None and delta.text is not None:
        yield MessageDelta(message_id=wire.message_id, text=delta.text, **common)
    elif delta is not None and delta.thinking is not None:
        yield ThinkingDelta(text=delta.thinking, **common)
    else:
        yield NativeEvent(**common)


_STARTED: Final[Mapping[str, Callable[[str, _Common], Event]]] = {
    "agent.message": _message_started,
    "agent.thinking": _thinking_started,
}
_MESSAGE: Final = (_message, ("message.completed",))
_TOOL_USE: Final = (_tool_use, ("tool_call.completed",))
_TOOL_RESULT: Final = (_tool_result, ("tool_result.completed",))
_LAST: Final = (_last, ("session.status", "turn.ended"))
_ERROR: Final = (_error, ("error",))

_MODELLED: Final[Mapping[str, tuple[_Reader, tuple[str, ...]]]] = {
    "user.message": _MESSAGE,
    "user.custom_tool_result": _TOOL_RESULT,
    "user.tool_result": _TOOL_RESULT,
    "system.message": _MESSAGE,
    "agent.message": _MESSAGE,
    "agent.thinking": (_thinking, ("thinking.completed",)),
    "agent.tool_use": _TOOL_USE,
    "agent.mcp_tool_use": _TOOL_USE,
    "agent.custom_tool_use": _TOOL_USE,
    "agent.tool_result": _TOOL_RESULT,
    "agent.mcp_tool_result": _TOOL_RESULT,
    "session.status_running": (_running, ("turn.started", "session.status")),
    "session.status_rescheduled": (_rescheduled, ("session.status",)),
    "session.status_idle": (_idle, ("session.status", "action.required", "turn.ended")),
    "session.status_terminated": _LAST,
    "session.deleted": _LAST,
    "session.usage": (_usage, ("usage",)),
    "session.error": _ERROR,
    "error": _ERROR,
    "span.model_request_end": (_model_request_end, ("native",)),
    "event_start": (_preview_start, ("message.started", "thinking.started", "native")),
    "event_delta": (_preview_delta, ("message.started", "message.delta", "thinking.delta", "native")),
    # June and July 2026: previews were events of their own, with ids, and stayed in the list.
    "agent.message_start": (_stored_start, ("message.started",)),
    "agent.content_block_delta": (_stored_delta, ("message.delta", "thinking.delta", "native")),
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
_READERS: Final[Mapping[str, _Reader]] = {name: reader for name, (reader, _) in _MODELLED.items()}

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: common for name, (_, common) in _MODELLED.items()},
    **dict.fromkeys(_AS_THEY_ARE, ("native",)),
}
"""What each of Qoder's types becomes. A type that is not here becomes `native`."""
