"""Converts Anthropic's events into the common events, where they differ from the family's.

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
_MAX_EARLY: Final = 100
_COUNTERS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "cost_usd")
_NO_USAGE: Final = Usage(**dict.fromkeys(_COUNTERS, 0))
"""The usage of a new session."""


def is_input(kind: str) -> bool:
    """Return whether clients send events of this type.

    They have no `processed_at` until the backend processed them.
    """
    return kind.startswith("user.") or kind == "system.message"


class AnthropicPosition(Position, frozen=True, array_like=True):
    """A position in the events of one of Anthropic's sessions, and the state of the turn there.

    Attributes:
        is_interrupted: Whether the turn in progress was interrupted.
        early: Ids of input that was delivered before it was processed. The backend will send it again.
        usage_before: The session's usage counters at the start of the turn in progress; None if they are not known.
    """

    is_interrupted: bool = False
    early: tuple[str, ...] = ()
    usage_before: tuple[int | None, int | None, int | None, int | None, Decimal | None] | None = None


@dataclass(slots=True)
class AnthropicState(State):
    """State that the reader keeps between the events of a stream.

    Attributes:
        queued: Ids of input that was read before it was processed.
        early: Ids of input that was delivered before it was processed. The backend will send it again.
        children: Ids of the threads of sub-agents.
        is_interrupted: Whether the turn in progress was interrupted.
        usage: The session's usage at the last report; None before the first report.
        usage_before: The session's usage at the start of the turn in progress; None if it is not known.
        reports_usage: Whether the end of a turn has the turn's usage. False in lists, where a page can begin anywhere.
    """

    queued: RecentIds = field(default_factory=lambda: RecentIds(REMEMBERED_IDS))
    early: tuple[str, ...] = ()
    children: set[str] = field(default_factory=set)
    is_interrupted: bool = False
    usage: Usage | None = None
    usage_before: Usage | None = None
    reports_usage: bool = False


def _running(state: AnthropicState, wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    events = running(state, wire, envelope)
    if isinstance(events[0], TurnStarted):
        state.is_interrupted = False
    return events


def _idle(state: AnthropicState, wire: WireIdle, envelope: Envelope) -> Sequence[Event]:
    """Read the end of a turn.

    The backend ends an interrupted turn with the same stop reason as a finished turn.
    """
    outcome = _OUTCOMES.get(reason_of(wire), Outcome.FAILED)
    if outcome is Outcome.COMPLETED and state.is_interrupted:
        outcome = Outcome.CANCELLED
    ended: dict[str, Any] = {"usage": _difference(state.usage, state.usage_before) if state.reports_usage else None}
    if wire.stop_details is not None and wire.stop_details.explanation and outcome is Outcome.FAILED:
        ended["error"] = wire.stop_details.explanation
    state.usage_before = state.usage
    return idle(state, wire, envelope, outcome, **ended)


def _difference(usage: Usage | None, before: Usage | None) -> Usage | None:
    """Return the usage between two reports; None if one of them is missing."""
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
"""The types of the common events for each of Anthropic's types.

A type without an entry becomes `raw`.
"""


class EventReader(events.EventReader):
    """Reads the events of one of Anthropic's sessions.

    The backend sends queued input without `processed_at`, and again when it is processed. The reader reads both.
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

    def is_first_delivery(self, event_id: str, *, is_processed: bool) -> bool:
        """Return whether input was not delivered before, and remember that it is delivered now.

        Args:
            event_id: Id of the input.
            is_processed: Whether the backend has processed it.
        """
        early = self._state.early
        if is_processed:
            self._state.early = tuple(each for each in early if each != event_id)
        elif event_id not in early:
            self._state.early = (*early, event_id)[-_MAX_EARLY:]
        return event_id not in early

    def has_read(self, event_id: str | None) -> bool:
        """Return whether an event was read; for input, whether it was read as processed."""
        return event_id in self._state.seen

    def position_after(self, event_id: str | None, turn: TurnMark | None) -> AnthropicPosition:
        """Return the position after the last event that was read."""
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
        """Store the pending actions, and the usage at the start of the turn."""
        super().remember(pending)
        if pending.usage is not None:
            self.read(pending.usage)
            self._state.usage_before = self._state.usage

    def report_usage(self, *, is_empty: bool) -> None:
        """Report the usage of each turn from now on.

        Args:
            is_empty: Whether the session has no events so far, so that its usage starts at zero.
        """
        self._state.reports_usage = True
        if is_empty:
            self._state.usage_before = _NO_USAGE

    def forget_usage(self) -> None:
        """Report no usage for the turn in progress: that at its start is not known."""
        self._state.usage_before = None
