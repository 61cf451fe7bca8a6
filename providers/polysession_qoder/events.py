"""Qoder's events to the common ones: one reader with its state, and one table. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from pydantic import ValidationError

from polysession.provider_api import (
    ActionRequired,
    ErrorReported,
    Event,
    MalformedResponse,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    Outcome,
    PendingAction,
    RecentIds,
    SessionStatus,
    StatusChanged,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    UsageReported,
    decoder,
    raw_event,
    record_reader,
    remove_unusable,
)
from polysession_qoder.messages import (
    TOOL_USES,
    Envelope,
    awaited_ids,
    read_action,
    reason_of,
    text_of,
    to_message,
)
from polysession_qoder.sessions import to_usage
from polysession_qoder.wire import (
    WireErrorEvent,
    WireEvent,
    WireIdle,
    WireMessage,
    WirePreviewDelta,
    WirePreviewStart,
    WireReportedError,
    WireThinking,
    WireToolResult,
    WireToolUse,
    WireUsage,
)

PREVIEWS: Final = frozenset({"event_start", "event_delta"})
"""Frames that only a stream has. Their id is that of the event that will follow; they have none of their own."""

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "end_turn": Outcome.COMPLETED,
    "requires_action": Outcome.REQUIRES_ACTION,
    "cancelled": Outcome.CANCELLED,
    "budget_reached": Outcome.LIMIT_REACHED,
}
_REMEMBERED_IDS: Final = 10_000
_KEPT_ERROR: Final = 500
"""Characters of an error's message that a position keeps."""

_read_usage: Final = record_reader(WireUsage, lambda wire, _content, problems: (to_usage(wire), problems))


@dataclass(slots=True)
class Preview:
    """An event that is being written: the characters of each of its blocks, of all connections and of this one."""

    is_message: bool
    delivered: dict[int, int] = field(default_factory=dict)
    received: dict[int, int] = field(default_factory=dict)
    half: str = ""

    def restart(self) -> None:
        """The backend replays it from its beginning."""
        self.received.clear()
        self.half = ""

    def add(self, index: int, text: str) -> str:
        """The part of this piece that was not delivered yet."""
        before = self.received.get(index, 0)
        delivered = self.delivered.get(index, 0)
        after = self.received[index] = before + len(text)
        self.delivered[index] = max(delivered, after)
        return text[max(0, delivered - before) :]

    def join_halves(self, text: str) -> str:
        """The text with its surrogate pairs joined, also where a piece ends within one; a lone half is U+FFFD."""
        text, self.half = self.half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self.half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class TurnMark(msgspec.Struct, frozen=True, array_like=True):
    """Facts by which a turn of ours is recognised, also by another process.

    Attributes:
        digest: Digest of the message that starts it; None for answers.
        answered_ids: Ids of the events that were answered.
        sent_ids: Ids that the backend gave to what was sent; empty before that, and in May 2026.
        turn_id: Id that the backend gave to the turn; None after May 2026.
        accepted_at: When the backend accepted what was sent, in UTC.
        is_proven: Whether the turn in progress is known to be ours.
    """

    digest: str | None = None
    answered_ids: tuple[str, ...] = ()
    sent_ids: tuple[str, ...] = ()
    turn_id: str | None = None
    accepted_at: datetime | None = None
    is_proven: bool = False


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The place after an event, and the state of the turn there.

    Attributes:
        after: Id of the event; None for the start of the session.
        in_turn: Whether a turn is in progress.
        is_rescheduled: Whether the session was rescheduled in it.
        error: The last error that was reported in it.
        turn: The turn of ours that is followed; None for a stream.
    """

    after: str | None = None
    in_turn: bool = False
    is_rescheduled: bool = False
    error: str | None = None
    turn: TurnMark | None = None


@dataclass(slots=True)
class State:
    """Facts that later events of a stream depend on."""

    session_id: str
    seen: RecentIds = field(default_factory=lambda: RecentIds(_REMEMBERED_IDS))
    tool_uses: dict[str, PendingAction] = field(default_factory=dict)
    previews: dict[str, Preview] = field(default_factory=dict)
    in_turn: bool = False
    is_rescheduled: bool = False
    error: str | None = None


def _raw(_state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    return (raw_event(**envelope),)


def _message(state: State, wire: WireMessage, envelope: Envelope) -> Sequence[Event]:
    message = to_message(state.session_id, wire, envelope)
    state.previews.pop(envelope["id"] or "", None)
    return (MessageCompleted(message=message, **envelope),)


def _thinking(state: State, wire: WireThinking, envelope: Envelope) -> Sequence[Event]:
    state.previews.pop(envelope["id"] or "", None)
    return (ThinkingCompleted(text=wire.thinking or text_of(wire.content), **envelope),)


def _tool_use(state: State, wire: WireToolUse, envelope: Envelope) -> Sequence[Event]:
    action = read_action(wire, envelope)
    state.tool_uses[action.id] = action
    envelope["problems"] = action.problems
    return (ToolCallCompleted(tool_call_id=action.id, name=action.name, arguments=action.arguments, **envelope),)


def _tool_result(state: State, wire: WireToolResult, envelope: Envelope) -> Sequence[Event]:
    tool_call_id = wire.tool_use_id or wire.mcp_tool_use_id or wire.custom_tool_use_id or ""
    state.tool_uses.pop(tool_call_id, None)
    text = wire.output if isinstance(wire.output, str) else text_of(wire.content)
    return (ToolResultCompleted(tool_call_id=tool_call_id, text=text, is_error=bool(wire.is_error), **envelope),)


def _running(state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    changed = StatusChanged(status=SessionStatus.RUNNING, native_status="running", **envelope)
    continues = state.in_turn and state.is_rescheduled
    state.in_turn, state.is_rescheduled = True, False
    if continues:
        return (changed,)
    state.error = None
    return (TurnStarted(**envelope), changed)


def _rescheduled(state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    state.is_rescheduled = True
    return (StatusChanged(status=SessionStatus.RESCHEDULING, native_status="rescheduled", **envelope),)


def _idle(state: State, wire: WireIdle, envelope: Envelope) -> Sequence[Event]:
    reason = reason_of(wire)
    outcome = _OUTCOMES.get(reason, Outcome.FAILED)
    error = None
    if outcome is Outcome.FAILED:
        error = state.error or f"the turn stopped: {reason or 'the backend does not say why'}"
    changed = StatusChanged(status=SessionStatus.IDLE, native_status="idle", **envelope)
    ended = TurnEnded(outcome=outcome, native_reason=reason, error=error, **envelope)
    if outcome is not Outcome.REQUIRES_ACTION:
        state.tool_uses.clear()
        _close_turn(state)
        return (changed, ended)
    actions = [state.tool_uses[event_id] for event_id in awaited_ids(wire) if event_id in state.tool_uses]
    _close_turn(state)
    return (changed, ActionRequired(actions=tuple(actions), **envelope), ended)


def _last(state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    """The session is over, and with it a turn that was not."""
    word = envelope["native_type"].removeprefix("session.").removeprefix("status_")
    changed = StatusChanged(status=SessionStatus.TERMINATED, native_status=word, **envelope)
    in_turn, error = state.in_turn, state.error or f"the session was {word}"
    _close_turn(state)
    if not in_turn:
        return (changed,)
    ended = TurnEnded(outcome=Outcome.FAILED, native_reason=word, error=error, **{**envelope, "synthetic": True})
    return (changed, ended)


def _close_turn(state: State) -> None:
    state.in_turn, state.is_rescheduled, state.error = False, False, None
    state.previews.clear()


def _usage(_state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    usage, problems = _read_usage(envelope["source"])
    envelope["problems"] += problems
    return (UsageReported(usage=usage, is_delta=False, **envelope),)


def _session_error(state: State, wire: WireErrorEvent, envelope: Envelope) -> Sequence[Event]:
    error = wire.error if isinstance(wire.error, WireReportedError) else WireReportedError(message=wire.error)
    code = error.type or (None if wire.code is None else str(wire.code))
    state.error = error.message or code or "the backend reports an error, and not which"
    return (ErrorReported(message=state.error, code=code, **envelope),)


def _request_end(state: State, wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    """The model has finished: an event that is not complete by now never will be."""
    state.previews.clear()
    return _raw(state, wire, envelope)


def _preview_start(state: State, wire: WirePreviewStart, envelope: Envelope) -> Sequence[Event]:
    target, kind = (wire.event.id, wire.event.type) if wire.event else (None, None)
    if target is None or kind not in {"agent.message", "agent.thinking"}:
        return _raw(state, wire, envelope)
    if target in state.previews:
        state.previews[target].restart()
    elif target not in state.seen:
        state.previews[target] = Preview(is_message=kind == "agent.message")
        if kind == "agent.thinking":
            return (ThinkingStarted(**envelope),)
        return (MessageStarted(message_id=target, **envelope),)
    return ()


def _preview_delta(state: State, wire: WirePreviewDelta, envelope: Envelope) -> Sequence[Event]:
    target, delta = wire.event_id, wire.delta
    text = delta.content.text if delta is not None and delta.content is not None else None
    if delta is None or text is None or target is None:
        return _raw(state, wire, envelope)
    preview = state.previews.get(target)
    if preview is None:
        return _unannounced_delta(state, target, wire, envelope)
    if "\ufffd" in text or preview.half:
        text = preview.join_halves(json.loads(envelope["source"])["delta"]["content"]["text"])
    text = preview.add(delta.index or 0, text)
    if not text:
        return ()
    if preview.is_message:
        return (MessageDelta(message_id=target, text=text, **envelope),)
    return (ThinkingDelta(text=text, **envelope),)


def _unannounced_delta(state: State, target: str, wire: WirePreviewDelta, envelope: Envelope) -> Sequence[Event]:
    """A piece of an event that was delivered whole already, or whose start was missed."""
    if target in state.seen:
        return ()
    state.previews[target] = Preview(is_message=True)
    started = MessageStarted(message_id=target, **{**envelope, "synthetic": True})
    return (started, *_preview_delta(state, wire, envelope))


def _stored_start(_state: State, wire: WireMessage, envelope: Envelope) -> Sequence[Event]:
    return (MessageStarted(message_id=wire.message_id or envelope["id"], **envelope),)


def _stored_delta(state: State, wire: WirePreviewDelta, envelope: Envelope) -> Sequence[Event]:
    delta = wire.delta
    if delta is not None and delta.text is not None:
        return (MessageDelta(message_id=wire.message_id, text=delta.text, **envelope),)
    if delta is not None and delta.thinking is not None:
        return (ThinkingDelta(text=delta.thinking, **envelope),)
    return _raw(state, wire, envelope)


_ToEvents: TypeAlias = Callable[[State, Any, Envelope], Sequence[Event]]


class _Row(NamedTuple):
    """How an event of one type is read.

    Attributes:
        decode: Decodes its struct.
        to_events: Builds the common events.
        types: The types of these.
    """

    decode: Callable[[bytes], tuple[Any, tuple[str, ...]]]
    to_events: _ToEvents
    types: tuple[str, ...]


def _row(shape: type[WireEvent], to_events: _ToEvents, *types: str) -> _Row:
    return _Row(decoder(shape), to_events, types)


_RAW: Final = _row(WireEvent, _raw, "raw")
_MESSAGE: Final = _row(WireMessage, _message, "message.completed")
_TOOL_USE: Final = _row(WireToolUse, _tool_use, "tool_call.completed")
_TOOL_RESULT: Final = _row(WireToolResult, _tool_result, "tool_result.completed")
_LAST: Final = _row(WireEvent, _last, "session.status", "turn.ended")
_ERROR: Final = _row(WireErrorEvent, _session_error, "error")
_START: Final = _row(WirePreviewStart, _preview_start, "message.started", "thinking.started", "raw")
_DELTA: Final = _row(WirePreviewDelta, _preview_delta, "message.started", "message.delta", "thinking.delta", "raw")

_TABLE: Final[Mapping[str, _Row]] = {
    "event_delta": _DELTA,
    "event_start": _START,
    "user.message": _MESSAGE,
    "system.message": _MESSAGE,
    "agent.message": _MESSAGE,
    "agent.thinking": _row(WireThinking, _thinking, "thinking.completed"),
    **dict.fromkeys(TOOL_USES, _TOOL_USE),
    **dict.fromkeys(("agent.tool_result", "agent.mcp_tool_result"), _TOOL_RESULT),
    **dict.fromkeys(("user.custom_tool_result", "user.tool_result"), _TOOL_RESULT),
    "session.status_running": _row(WireEvent, _running, "turn.started", "session.status"),
    "session.status_rescheduled": _row(WireEvent, _rescheduled, "session.status"),
    "session.status_idle": _row(WireIdle, _idle, "session.status", "action.required", "turn.ended"),
    **dict.fromkeys(("session.status_terminated", "session.deleted"), _LAST),
    "session.usage": _row(WireEvent, _usage, "usage"),
    **dict.fromkeys(("session.error", "error"), _ERROR),
    "span.model_request_end": _row(WireEvent, _request_end, "raw"),
    # June and July 2026: previews were events of their own, with ids, and stayed in the list.
    "agent.message_start": _row(WireMessage, _stored_start, "message.started"),
    "agent.content_block_delta": _row(WirePreviewDelta, _stored_delta, "message.delta", "thinking.delta", "raw"),
    **dict.fromkeys(("agent.content_block_start", "agent.content_block_stop"), _RAW),
    **dict.fromkeys(("agent.message_delta", "agent.message_stop"), _RAW),
    **dict.fromkeys(("user.interrupt", "user.tool_confirmation", "user.define_outcome"), _RAW),
    **dict.fromkeys(("agent.artifact_delivered", "agent.thread_context_compacted"), _RAW),
    **dict.fromkeys(("agent.thread_message_sent", "agent.thread_message_received"), _RAW),
    **dict.fromkeys(("session.updated", "session.thread_created"), _RAW),
    **dict.fromkeys(("session.thread_status_running", "session.thread_status_idle"), _RAW),
    **dict.fromkeys(("session.thread_status_rescheduled", "session.thread_status_terminated"), _RAW),
    **dict.fromkeys(("span.model_request_start", "span.outcome_evaluation_start"), _RAW),
    **dict.fromkeys(("span.outcome_evaluation_ongoing", "span.outcome_evaluation_end"), _RAW),
}

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {kind: row.types for kind, row in _TABLE.items()}
"""The types of the common events that each of Qoder's becomes. A type that is not here becomes `raw`."""


def _decode(content: bytes, kind: str) -> tuple[_Row, str, Any, tuple[str, ...]]:
    """The row and the type of an event, its struct, and its problems."""
    row = _TABLE.get(kind, _RAW)
    try:
        wire, problems = row.decode(content)
    except MalformedResponse as error:
        return _RAW, kind, WireEvent(), (error.message,)
    if not wire.type or wire.type == kind:
        return row, kind, wire, problems
    row = _TABLE.get(wire.type, _RAW)
    return row, wire.type, *row.decode(content)


class EventReader:
    """Reads the events of one session, in their order and each once.

    Args:
        session_id: The session.
        position: Where the events begin.
    """

    def __init__(self, session_id: str, position: Position = Position()) -> None:  # noqa: B008  (it is frozen)
        self._state = State(
            session_id, in_turn=position.in_turn, is_rescheduled=position.is_rescheduled, error=position.error
        )

    def read(self, content: bytes, *, kind: str = "", event_id: str | None = None) -> Sequence[Event]:
        """The common events of one event; none if it came before.

        Args:
            content: Its JSON text.
            kind: Its type, if that is known from elsewhere; a type in the JSON wins.
            event_id: Its id, if that is known from elsewhere; an id in the JSON wins.
        """
        row, kind, wire, problems = _decode(content, kind)
        identity = None if kind in PREVIEWS else wire.id or event_id
        if identity is not None and not self._state.seen.add(identity):
            return ()
        if kind.startswith("agent."):
            self._state.in_turn = True  # also if the stream began in the middle of the turn
        envelope: Envelope = {
            "session_id": self._state.session_id,
            "id": identity,
            "turn_id": wire.turn_id,
            "created_at": wire.processed_at or wire.created_at,
            "native_type": kind,
            "source": content,
            "problems": problems,
        }
        try:
            return row.to_events(self._state, wire, envelope)
        except ValidationError:
            envelope["problems"] += remove_unusable(wire)
        envelope["created_at"] = wire.processed_at or wire.created_at
        return row.to_events(self._state, wire, envelope)

    def position_after(self, event_id: str | None, turn: TurnMark | None) -> Position:
        """The place after the last event that was read.

        Args:
            event_id: The id of that event.
            turn: The turn of ours that is followed.
        """
        state = self._state
        error = state.error and state.error[:_KEPT_ERROR]
        return Position(event_id, state.in_turn, state.is_rescheduled, error, turn)

    def remember(self, action: PendingAction) -> None:
        """Note an action that was read elsewhere, for the event that waits at it."""
        self._state.tool_uses[action.id] = action

    def expect_turn(self) -> None:
        """Note that input was sent: an end of the session now ends a turn."""
        self._state.in_turn = True
