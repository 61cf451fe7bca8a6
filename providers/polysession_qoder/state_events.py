"""Events that say how a turn, or what is being written in it, begins and ends. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from polysession.provider_api import (
    ActionRequired,
    Event,
    MessageStarted,
    Outcome,
    RawEvent,
    SessionStatus,
    StatusChanged,
    ThinkingStarted,
    TurnEnded,
    TurnStarted,
    filled_event,
    trusted_event,
)
from polysession_qoder.stream_state import Preview, StreamState

Common: TypeAlias = dict[str, Any]
"""The fields that all events have."""

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "end_turn": Outcome.COMPLETED,
    "requires_action": Outcome.REQUIRES_ACTION,
    "cancelled": Outcome.CANCELLED,
    "budget_reached": Outcome.LIMIT_REACHED,
}

_new_message_start: Final = trusted_event(MessageStarted)
_new_native: Final = filled_event(RawEvent)
_new_status: Final = trusted_event(StatusChanged)
_new_thinking_start: Final = trusted_event(ThinkingStarted)
_new_turn_end: Final = trusted_event(TurnEnded)
_new_turn_start: Final = trusted_event(TurnStarted)


def to_raw_event(common: Common) -> Sequence[Event]:
    """An event that is not modelled."""
    return (_new_native(common),)


def running(state: StreamState, common: Common) -> Sequence[Event]:
    """The session runs: a turn begins, unless it was rescheduled."""
    goes_on = state.turn_is_open and state.is_rescheduled
    state.turn_is_open, state.is_rescheduled = True, False
    changed = _new_status(status=SessionStatus.RUNNING, native_status="running", **common)
    if goes_on:
        return (changed,)
    state.error = None
    return (_new_turn_start(**common), changed)


def rescheduled(state: StreamState, common: Common) -> Sequence[Event]:
    """The session will run again; the turn goes on."""
    state.is_rescheduled = True
    return (_new_status(status=SessionStatus.RESCHEDULING, native_status="rescheduled", **common),)


def idle(state: StreamState, reason: str, awaited: Iterable[str], common: Common) -> Sequence[Event]:
    """The turn has ended.

    Args:
        state: What came before.
        reason: Why, in Qoder's word; empty if it does not say.
        awaited: Ids of the tool uses that the session waits at.
        common: The fields that all events have.
    """
    outcome = _OUTCOMES.get(reason, Outcome.FAILED)
    error = None
    if outcome is Outcome.FAILED:
        error = state.error or f"the turn stopped: {reason or 'the backend does not say why'}"
    changed = _new_status(status=SessionStatus.IDLE, native_status="idle", **common)
    ended = _new_turn_end(outcome=outcome, native_reason=reason, error=error, **common)
    if outcome is not Outcome.REQUIRES_ACTION:
        state.tool_uses.clear()
        _close_turn(state)
        return (changed, ended)
    known = (state.tool_uses.get(event_id) for event_id in awaited)
    actions = tuple(action for action in known if action is not None)
    _close_turn(state)
    return (changed, ActionRequired(actions=actions, **common), ended)


def last(state: StreamState, common: Common) -> Sequence[Event]:
    """The session is over, and with it a turn that goes on."""
    word = common["native_type"].removeprefix("session.").removeprefix("status_")
    was_open, error = state.turn_is_open, state.error or f"the session was {word}"
    _close_turn(state)
    changed = StatusChanged(status=SessionStatus.TERMINATED, native_status=word, **common)
    if not was_open:
        return (changed,)
    return (changed, TurnEnded(outcome=Outcome.FAILED, native_reason=word, error=error, synthetic=True, **common))


def _close_turn(state: StreamState) -> None:
    state.turn_is_open, state.is_rescheduled, state.error = False, False, None
    state.previews.clear()


def model_request_end(state: StreamState, common: Common) -> Sequence[Event]:
    """The model has said all: what was not completed by now never will be."""
    state.previews.clear()
    return to_raw_event(common)


def begun(state: StreamState, target_id: str, kind: str, common: Common) -> Sequence[Event]:
    """An event of some type is being written, and will follow whole. Nothing, if that is no news."""
    if kind not in _STARTS:
        return to_raw_event(common)
    if target_id in state.previews:
        state.previews[target_id].restart()
    elif target_id not in state.seen:
        state.previews[target_id] = Preview(kind)
        return (_STARTS[kind](target_id, common),)
    return ()


def message_started(message_id: str, common: Common) -> Event:
    """The agent begins to say something."""
    return _new_message_start(message_id=message_id, **common)


def _thinking_started(_event_id: str, common: Common) -> Event:
    return _new_thinking_start(**common)


_STARTS: Final = {"agent.message": message_started, "agent.thinking": _thinking_started}
