"""Converts the family's events into the common events.

The module has the reader, its state, and the rows that both members share.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming and
https://docs.qoder.com/cloud-agents/api/sessions/events/overview (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

import msgspec
from pydantic import ValidationError

from polysession.provider_api import (
    ActionRequired,
    ErrorReported,
    Event,
    MalformedResponse,
    MessageCompleted,
    MessageStarted,
    Outcome,
    PendingAction,
    RecentIds,
    SessionStatus,
    SplitPairs,
    StatusChanged,
    ThinkingCompleted,
    ThinkingStarted,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    decoder,
    message_delta,
    raw_event,
    remove_unusable,
    thinking_delta,
)
from polysession_managed_agents.member import Member
from polysession_managed_agents.messages import (
    TOOL_USES,
    Envelope,
    PendingActions,
    awaited_ids,
    read_action,
    reason_of,
    text_of,
    to_message,
)
from polysession_managed_agents.wire import (
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
)

PREVIEWS: Final = frozenset({"event_start", "event_delta"})
"""Types of frames that only a stream has.

They have no id; they name the id of the event that will follow.
"""

REMEMBERED_IDS: Final = 10_000
"""Number of event ids that a reader remembers, to drop repeated events."""

_KEPT_ERROR: Final = 500
"""Maximum length of an error message in a position, in characters."""


@dataclass(slots=True)
class Preview:
    """A preview of an event that the agent is still writing.

    Attributes:
        is_message: Whether the event is a message; otherwise it is a thought.
        delivered: Number of characters that were delivered, by block index.
        skipped: Number of characters still to skip because they were delivered before, by block index.
        pairs: Joins surrogate pairs that the backend splits between two deltas.
    """

    is_message: bool
    delivered: dict[int, int] = field(default_factory=dict)
    skipped: dict[int, int] = field(default_factory=dict)
    pairs: SplitPairs = field(default_factory=SplitPairs)

    def restart(self) -> None:
        """Prepare for a replay of the preview from its beginning: skip what was delivered."""
        self.skipped = dict(self.delivered)
        self.pairs = SplitPairs()

    def add(self, index: int, text: str, content: bytes) -> str:
        """Return the part of a delta's text that was not delivered yet.

        Args:
            index: Index of the block.
            text: The text as it was decoded.
            content: JSON text of the delta, with the halves of surrogate pairs that `text` lacks.
        """
        if self.pairs.concern(index, text):
            text = self.pairs.join(index, json.loads(content)["delta"]["content"]["text"])
        if self.skipped:
            skipped = self.skipped.get(index, 0)
            self.skipped[index] = max(skipped - len(text), 0)
            text = text[skipped:]
        self.delivered[index] = self.delivered.get(index, 0) + len(text)
        return text


class TurnMark(msgspec.Struct, frozen=True, array_like=True):
    """The facts by which this client, or another process, recognises the turn that it started.

    Attributes:
        digest: Digest of the message that starts the turn; None if answers continue it.
        answered_ids: Ids of the events that were answered.
        sent_ids: Ids that the backend gave to the sent events; empty before the response, and with Qoder's API of May
            2026.
        turn_id: Id that the backend gave to the turn; None except with Qoder's API of May 2026.
        accepted_at: Time at which the backend accepted the sent events, in UTC.
        is_proven: Whether the turn in progress is proven to be the one that this client started.
    """

    digest: str | None = None
    answered_ids: tuple[str, ...] = ()
    sent_ids: tuple[str, ...] = ()
    turn_id: str | None = None
    accepted_at: datetime | None = None
    is_proven: bool = False


class Position(msgspec.Struct, frozen=True, array_like=True):
    """A position in a session's events, and the state of the turn there.

    Attributes:
        after: Id of the event before the position; None for the start of the session.
        in_turn: Whether a turn is in progress.
        is_rescheduled: Whether the session was rescheduled during this turn.
        error: Message of the last error that was reported during this turn; None if none was.
        turn: The turn that the plan follows; None for a stream.
    """

    after: str | None = None
    in_turn: bool = False
    is_rescheduled: bool = False
    error: str | None = None
    turn: TurnMark | None = None


@dataclass(slots=True)
class State:
    """State that the reader keeps between the events of a stream.

    Attributes:
        member: The backend.
        session_id: The session.
        seen: Ids of the events that were read.
        tool_uses: Tool uses without a result so far, by event id.
        previews: Previews that are still being written, by the id of their event.
        in_turn: Whether a turn is in progress.
        is_rescheduled: Whether the session was rescheduled during this turn.
        error: Message of the last error that was reported during this turn; None if none was.
    """

    member: Member
    session_id: str
    seen: RecentIds = field(default_factory=lambda: RecentIds(REMEMBERED_IDS))
    tool_uses: dict[str, PendingAction] = field(default_factory=dict)
    previews: dict[str, Preview] = field(default_factory=dict)
    in_turn: bool = False
    is_rescheduled: bool = False
    error: str | None = None

    def close_turn(self) -> None:
        """Reset the state of the turn: none is in progress."""
        self.in_turn, self.is_rescheduled, self.error = False, False, None
        self.previews.clear()


def raw(_state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    """Return the event as a `RawEvent`."""
    return (raw_event(**envelope),)


def _message(state: State, wire: WireMessage, envelope: Envelope) -> Sequence[Event]:
    message = to_message(state.member, state.session_id, wire, envelope)
    state.previews.pop(envelope.get("id") or "", None)
    return (MessageCompleted(message=message, **envelope),)


def _thinking(state: State, wire: WireThinking, envelope: Envelope) -> Sequence[Event]:
    state.previews.pop(envelope.get("id") or "", None)
    return (ThinkingCompleted(text=wire.thinking or text_of(wire.content), **envelope),)


def _tool_use(state: State, wire: WireToolUse, envelope: Envelope) -> Sequence[Event]:
    action = read_action(state.member, wire, envelope)
    state.tool_uses[action.id] = action
    envelope["problems"] = action.problems
    return (ToolCallCompleted(tool_call_id=action.id, name=action.name, arguments=action.arguments, **envelope),)


def _tool_result(state: State, wire: WireToolResult, envelope: Envelope) -> Sequence[Event]:
    tool_call_id = wire.tool_use_id or wire.mcp_tool_use_id or wire.custom_tool_use_id or ""
    state.tool_uses.pop(tool_call_id, None)
    text = wire.output if isinstance(wire.output, str) else text_of(wire.content)
    return (ToolResultCompleted(tool_call_id=tool_call_id, text=text, is_error=bool(wire.is_error), **envelope),)


def running(state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    """Return the events of a session that started to run, or continues after rescheduling."""
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


def idle(state: State, wire: WireIdle, envelope: Envelope, outcome: Outcome, **ended: Any) -> Sequence[Event]:
    """Return the events of a session that became idle.

    Args:
        state: The state of the stream.
        wire: The decoded event.
        envelope: The fields that all events have.
        outcome: How the turn ended.
        ended: Additional fields of the `TurnEnded` event.
    """
    reason = reason_of(wire)
    error = None
    if outcome is Outcome.FAILED:
        error = state.error or f"the turn stopped: {reason or 'the backend gave no reason'}"
    changed = StatusChanged(status=SessionStatus.IDLE, native_status="idle", **envelope)
    end = TurnEnded(outcome=outcome, native_reason=reason, **{"error": error, **ended}, **envelope)
    if outcome is not Outcome.REQUIRES_ACTION:
        state.tool_uses.clear()
        state.close_turn()
        return (changed, end)
    actions = [state.tool_uses[event_id] for event_id in awaited_ids(wire) if event_id in state.tool_uses]
    state.close_turn()
    return (changed, ActionRequired(actions=tuple(actions), **envelope), end)


def _last(state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    """Return the events of a session that ended for good. It ends a turn in progress as failed."""
    word = envelope["native_type"].removeprefix("session.").removeprefix("status_")
    changed = StatusChanged(status=SessionStatus.TERMINATED, native_status=word, **envelope)
    in_turn, error = state.in_turn, state.error or f"the session was {word}"
    state.close_turn()
    if not in_turn:
        return (changed,)
    ended = TurnEnded(outcome=Outcome.FAILED, native_reason=word, error=error, **{**envelope, "synthetic": True})
    return (changed, ended)


def _session_error(state: State, wire: WireErrorEvent, envelope: Envelope) -> Sequence[Event]:
    error = wire.error if isinstance(wire.error, WireReportedError) else WireReportedError(message=wire.error)
    code = error.type or (None if wire.code is None else str(wire.code))
    state.error = error.message or code or "the backend reported an error without details"
    return (ErrorReported(message=state.error, code=code, **envelope),)


def _request_end(state: State, wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    """Drop the open previews: after the end of a model request, their events will not follow."""
    state.previews.clear()
    return raw(state, wire, envelope)


def _preview_start(state: State, wire: WirePreviewStart, envelope: Envelope) -> Sequence[Event]:
    target, kind = (wire.event.id, wire.event.type) if wire.event else (None, None)
    if target is None or kind not in {"agent.message", "agent.thinking"}:
        return raw(state, wire, envelope)
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
        return raw(state, wire, envelope)
    preview = state.previews.get(target)
    if preview is None:
        return _unannounced_delta(state, target, wire, envelope)
    text = preview.add(delta.index or 0, text, envelope["source"])
    if not text:
        return ()
    if preview.is_message:
        return (message_delta({"message_id": target, "text": text, **envelope}),)
    return (thinking_delta({"text": text, **envelope}),)


def _unannounced_delta(state: State, target: str, wire: WirePreviewDelta, envelope: Envelope) -> Sequence[Event]:
    """Read a delta without an open preview.

    Its event was delivered whole before, or the start of the preview was missed.
    """
    if target in state.seen:
        return ()
    state.previews[target] = Preview(is_message=True)
    started = MessageStarted(message_id=target, **{**envelope, "synthetic": True})
    return (started, *_preview_delta(state, wire, envelope))


ToEvents: TypeAlias = Callable[[Any, Any, Envelope], Sequence[Event]]
"""Builds the common events from the stream's state, a struct and the common fields."""


class Row(NamedTuple):
    """How the reader reads one type of event.

    Attributes:
        decode: Decodes the JSON of an event; returns a struct and the problems found.
        to_events: Builds the common events.
        types: The types of the common events that `to_events` may build.
    """

    decode: Callable[[bytes], tuple[Any, tuple[str, ...]]]
    to_events: ToEvents
    types: tuple[str, ...]


def row(shape: type[WireEvent], to_events: ToEvents, *types: str) -> Row:
    """Return the row for events that are decoded into `shape`."""
    return Row(decoder(shape), to_events, types)


RAW: Final = row(WireEvent, raw, "raw")
_MESSAGE: Final = row(WireMessage, _message, "message.completed")
_TOOL_USE: Final = row(WireToolUse, _tool_use, "tool_call.completed")
_TOOL_RESULT: Final = row(WireToolResult, _tool_result, "tool_result.completed")
_LAST: Final = row(WireEvent, _last, "session.status", "turn.ended")
_ERROR: Final = row(WireErrorEvent, _session_error, "error")
_START: Final = row(WirePreviewStart, _preview_start, "message.started", "thinking.started", "raw")
_DELTA: Final = row(WirePreviewDelta, _preview_delta, "message.started", "message.delta", "thinking.delta", "raw")

SHARED_ROWS: Final[Mapping[str, Row]] = {
    "event_delta": _DELTA,
    "event_start": _START,
    "user.message": _MESSAGE,
    "system.message": _MESSAGE,
    "agent.message": _MESSAGE,
    "agent.thinking": row(WireThinking, _thinking, "thinking.completed"),
    **dict.fromkeys(TOOL_USES, _TOOL_USE),
    **dict.fromkeys(("agent.tool_result", "agent.mcp_tool_result"), _TOOL_RESULT),
    **dict.fromkeys(("user.custom_tool_result", "user.tool_result"), _TOOL_RESULT),
    "session.status_running": row(WireEvent, running, "turn.started", "session.status"),
    "session.status_rescheduled": row(WireEvent, _rescheduled, "session.status"),
    **dict.fromkeys(("session.status_terminated", "session.deleted"), _LAST),
    **dict.fromkeys(("session.error", "error"), _ERROR),
    "span.model_request_end": row(WireEvent, _request_end, "raw"),
    **dict.fromkeys(("user.interrupt", "user.tool_confirmation", "user.define_outcome"), RAW),
    "agent.thread_context_compacted": RAW,
    **dict.fromkeys(("agent.thread_message_sent", "agent.thread_message_received"), RAW),
    **dict.fromkeys(("session.updated", "session.thread_created"), RAW),
    **dict.fromkeys(("session.thread_status_running", "session.thread_status_idle"), RAW),
    **dict.fromkeys(("session.thread_status_rescheduled", "session.thread_status_terminated"), RAW),
    **dict.fromkeys(("span.model_request_start", "span.outcome_evaluation_start"), RAW),
    **dict.fromkeys(("span.outcome_evaluation_ongoing", "span.outcome_evaluation_end"), RAW),
}
"""The rows for events of both members.

A member adds `session.status_idle`, `session.usage` and its own events.
"""


def types_of(rows: Mapping[str, Row]) -> Mapping[str, tuple[str, ...]]:
    """Return the types of the common events for each of the backend's types.

    A type without an entry becomes `raw`.
    """
    return {kind: each.types for kind, each in rows.items()}


class EventReader:
    """Reads the events of one session in order, and drops repeated events.

    Args:
        session_id: The session.
        position: Position before the first event; None for the start of the session.

    Attributes:
        member: The backend.
        rows: How each type of event is read. Other types become `RawEvent`.
        position_type: The type of the reader's positions.
    """

    member: ClassVar[Member]
    rows: ClassVar[Mapping[str, Row]]
    position_type: ClassVar[type[Position]] = Position

    def __init__(self, session_id: str, position: Position | None = None) -> None:
        self._state = self._new_state(session_id, position or self.position_type())

    def _new_state(self, session_id: str, position: Any) -> State:
        return State(
            self.member,
            session_id,
            in_turn=position.in_turn,
            is_rescheduled=position.is_rescheduled,
            error=position.error,
        )

    @property
    def in_turn(self) -> bool:
        """Whether a turn is in progress."""
        return self._state.in_turn

    def read(self, content: bytes, *, kind: str = "", event_id: str | None = None) -> Sequence[Event]:
        """Read one event and return its common events; none if the event was read before.

        Args:
            content: The event's JSON text.
            kind: The event's type, if the frame names it. A type in the JSON takes precedence.
            event_id: The event's id, if the frame names it. An id in the JSON takes precedence.
        """
        state, row = self._state, self.rows.get(kind, RAW)
        problems: tuple[str, ...]
        try:
            wire, problems = row.decode(content)
            if wire.type != kind and wire.type:
                kind, row = wire.type, self.rows.get(wire.type, RAW)
                wire, problems = row.decode(content)
        except MalformedResponse as error:
            row, wire, problems = RAW, WireEvent(), (error.message,)
        envelope: Envelope = {"session_id": state.session_id, "native_type": kind, "source": content}
        if problems:
            envelope["problems"] = problems
        if kind not in PREVIEWS and not self._complete(envelope, wire, event_id):
            return ()
        try:
            return row.to_events(state, wire, envelope)
        except ValidationError:
            envelope["problems"] = problems + remove_unusable(wire)
        envelope["created_at"] = self._time_of(wire)
        return row.to_events(state, wire, envelope)

    def _complete(self, envelope: Envelope, wire: WireEvent, event_id: str | None) -> bool:
        """Add what previews do not have to the common fields; return whether the event was not read before."""
        kind, identity = envelope["native_type"], wire.id or event_id
        if identity is not None:
            if not self._is_new(identity, kind, wire):
                return False
            envelope["id"] = identity
        if wire.turn_id is not None:
            envelope["turn_id"] = wire.turn_id
        if (moment := self._time_of(wire)) is not None:
            envelope["created_at"] = moment
        if kind.startswith("agent."):
            self._state.in_turn = True  # the stream may have begun in the middle of the turn
        return True

    def _is_new(self, identity: str, _kind: str, _wire: WireEvent) -> bool:
        """Return whether an event with this id was not read before, and remember the id."""
        return self._state.seen.add(identity)

    def _time_of(self, wire: WireEvent) -> datetime | None:
        return wire.processed_at or wire.created_at

    def position_after(self, event_id: str | None, turn: TurnMark | None) -> Position:
        """Return the position after the last event that was read.

        Args:
            event_id: The id of that event.
            turn: The turn that the plan follows; None for a stream.
        """
        state = self._state
        error = state.error and state.error[:_KEPT_ERROR]
        return Position(event_id, state.in_turn, state.is_rescheduled, error, turn)

    def remember(self, pending: PendingActions) -> None:
        """Store the pending actions: the turn may stop again for those that stay unanswered."""
        self._state.tool_uses |= pending.actions

    def expect_turn(self) -> None:
        """Assume from now on that a turn is in progress, because its input was sent."""
        self._state.in_turn = True
