"""Anthropic's events to the common ones: the rows that differ from the family's, and what comes twice. Pure.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from polysession.provider_api import Event, Outcome, RecentIds, TurnStarted, Usage, UsageReported
from polysession_anthropic.sessions import ANTHROPIC, usage_fields
from polysession_anthropic.wire import WireIdle, WireInterrupt, WireThread, WireUsageEvent
from polysession_managed_agents import events
from polysession_managed_agents.events import (
    RAW,
    REMEMBERED_IDS,
    SHARED_ROWS,
    Position,
    Row,
    State,
    TurnMark,
    idle,
    raw,
    row,
    running,
    types_of,
)
from polysession_managed_agents.messages import Envelope, PendingActions, reason_of
from polysession_managed_agents.wire import WireEvent

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "end_turn": Outcome.COMPLETED,
    "requires_action": Outcome.REQUIRES_ACTION,
    "budget_reached": Outcome.LIMIT_REACHED,
}
_MOST_EARLY: Final = 100
_COUNTERS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "cost_usd")
_NOTHING: Final = Usage(**dict.fromkeys(_COUNTERS, 0))
"""The usage of a session in which nothing has happened."""


def is_input(kind: str) -> bool:
    """Whether clients send events of this type. Such an event has no time until the backend has processed it."""
    return kind.startswith("user.") or kind == "system.message"


class AnthropicPosition(Position, frozen=True, array_like=True):
    """The place after an event.

    Attributes:
        is_interrupted: Whether the turn in progress was interrupted.
        early: Ids of input that was delivered without a time: it comes once more.
        usage_before: The counters of the session when the turn in progress began; None if they are not known.
    """

    is_interrupted: bool = False
    early: tuple[str, ...] = ()
    usage_before: tuple[int | None, int | None, int | None, int | None, Decimal | None] | None = None


@dataclass(slots=True)
class AnthropicState(State):
    """Facts that later events of a stream depend on.

    Attributes:
        queued: Ids of input that came without a time.
        early: Ids of input that was delivered without a time: it comes once more.
        children: Ids of the threads of sub-agents.
        is_interrupted: Whether the turn in progress was interrupted.
        usage: The usage that the session reported last; None before the first report.
        usage_before: The same, when the turn in progress began.
        is_measured: Whether the end of a turn says what it consumed: not in lists, whose pages begin anywhere.
    """

    queued: RecentIds = field(default_factory=lambda: RecentIds(REMEMBERED_IDS))
    early: tuple[str, ...] = ()
    children: set[str] = field(default_factory=set)
    is_interrupted: bool = False
    usage: Usage | None = None
    usage_before: Usage | None = None
    is_measured: bool = False


def _running(state: AnthropicState, wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    events = running(state, wire, envelope)
    if isinstance(events[0], TurnStarted):
        state.is_interrupted = False
    return events


def _idle(state: AnthropicState, wire: WireIdle, envelope: Envelope) -> Sequence[Event]:
    """An interrupted turn ends as if it had finished."""
    outcome = _OUTCOMES.get(reason_of(wire), Outcome.FAILED)
    if outcome is Outcome.COMPLETED and state.is_interrupted:
        outcome = Outcome.CANCELLED
    ended: dict[str, Any] = {"usage": _difference(state.usage, state.usage_before) if state.is_measured else None}
    if wire.stop_details is not None and wire.stop_details.explanation and outcome is Outcome.FAILED:
        ended["error"] = wire.stop_details.explanation
    state.usage_before = state.usage
    return idle(state, wire, envelope, outcome, **ended)


def _difference(usage: Usage | None, before: Usage | None) -> Usage | None:
    """Consumption between two reports; None if one is missing."""
    if usage is None or before is None:
        return None
    pairs = {name: (getattr(usage, name), getattr(before, name)) for name in _COUNTERS}
    return Usage(**{name: now - then for name, (now, then) in pairs.items() if now is not None and then is not None})


def _usage(state: AnthropicState, wire: WireUsageEvent, envelope: Envelope) -> Sequence[Event]:
    if wire.usage is None:
        return raw(state, wire, envelope)
    state.usage = Usage(**usage_fields(wire.usage))
    return (UsageReported(usage=state.usage, is_delta=False, **envelope),)


def _interrupt(state: AnthropicState, wire: WireInterrupt, envelope: Envelope) -> Sequence[Event]:
    if wire.processed_at is not None and wire.session_thread_id not in state.children:
        state.is_interrupted = True
    return raw(state, wire, envelope)


def _thread_created(state: AnthropicState, wire: WireThread, envelope: Envelope) -> Sequence[Event]:
    if wire.session_thread_id is not None:
        state.children.add(wire.session_thread_id)
    return raw(state, wire, envelope)


_ROWS: Final[Mapping[str, Row]] = {
    **SHARED_ROWS,
    "session.status_running": row(WireEvent, _running, "turn.started", "session.status"),
    "session.status_idle": row(WireIdle, _idle, "session.status", "action.required", "turn.ended"),
    "session.usage": row(WireUsageEvent, _usage, "usage", "raw"),
    "user.interrupt": row(WireInterrupt, _interrupt, "raw"),
    "session.thread_created": row(WireThread, _thread_created, "raw"),
    **dict.fromkeys(("workflow_run.created", "workflow_run.error"), RAW),
    **dict.fromkeys(("workflow_run.status_running", "workflow_run.status_idle", "workflow_run.status_ended"), RAW),
    **dict.fromkeys(("workflow_run.phase_started", "workflow_run.phase_ended"), RAW),
}

EVENT_TYPES: Final = types_of(_ROWS)
"""The types of the common events that each of Anthropic's becomes. A type that is not here becomes `raw`."""


class EventReader(events.EventReader):
    """Reads the events of one of Anthropic's sessions.

    Input that is queued comes without a time, and again when it is processed: it is read both times.
    """

    member = ANTHROPIC
    rows = _ROWS
    position_type = AnthropicPosition
    _state: AnthropicState

    def _new_state(self, session_id: str, position: AnthropicPosition) -> AnthropicState:
        state = AnthropicState(
            self.member,
            session_id,
            in_turn=position.in_turn,
            is_rescheduled=position.is_rescheduled,
            error=position.error,
            is_interrupted=position.is_interrupted,
            early=position.early,
            usage_before=position.usage_before and Usage(**dict(zip(_COUNTERS, position.usage_before, strict=True))),
        )
        if position.after is not None:
            state.seen.add(position.after)
        return state

    def _is_new(self, identity: str, kind: str, wire: WireEvent) -> bool:
        state = self._state
        if is_input(kind) and wire.processed_at is None:
            return identity not in state.seen and state.queued.add(identity)
        return state.seen.add(identity)

    def _time_of(self, wire: WireEvent) -> datetime | None:
        return wire.processed_at

    def is_first(self, event_id: str, *, is_processed: bool) -> bool:
        """Whether input is to be delivered: it is when it comes for the first time, in whatever state."""
        early = self._state.early
        if is_processed:
            self._state.early = tuple(each for each in early if each != event_id)
        elif event_id not in early:
            self._state.early = (*early, event_id)[-_MOST_EARLY:]
        return event_id not in early

    def has_read(self, event_id: str | None) -> bool:
        """Whether an event was read, and processed if it is input."""
        return event_id in self._state.seen

    def position_after(self, event_id: str | None, turn: TurnMark | None) -> AnthropicPosition:
        """The place after the last event that was read."""
        state, found = self._state, super().position_after(event_id, turn)
        common = (found.after, found.in_turn, found.is_rescheduled, found.error, found.turn)
        before = state.usage_before
        counters = (
            None
            if before is None
            else (
                before.input_tokens,
                before.output_tokens,
                before.cache_read_tokens,
                before.cache_creation_tokens,
                before.cost_usd,
            )
        )
        return AnthropicPosition(*common, state.is_interrupted, state.early, counters)

    def remember(self, pending: PendingActions) -> None:
        """Note the pending actions, and what was consumed up to now."""
        super().remember(pending)
        if pending.usage is not None:
            self.read(pending.usage)
            self._state.usage_before = self._state.usage

    def measure(self, *, is_empty: bool) -> None:
        """Tell from now on what turns consume; nothing was consumed yet if the session is empty."""
        self._state.is_measured = True
        if is_empty:
            self._state.usage_before = _NOTHING

    def forget_usage(self) -> None:
        """Note that other turns share the consumption since the last report."""
        self._state.usage_before = None
