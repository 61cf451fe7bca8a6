"""The flows of messages, answers and streams of AgentScope.

Backend: `POST /chat/` and `GET /sessions/{id}/messages` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Approve,
    Block,
    Conflict,
    Deny,
    Feature,
    Flow,
    OldStreamPlan,
    OldTurnPlan,
    PendingAction,
    ToolOutput,
    TurnInput,
    read_as,
)
from polysession_agentscope.actions import check_answers, from_answers, is_waiting, pending_in
from polysession_agentscope.calls import Place, read_status, too_old
from polysession_agentscope.catching_up import PAGE, know_replies, missed_since, read_since
from polysession_agentscope.event_normaliser import EventNormaliser
from polysession_agentscope.history import Newest, read_newest
from polysession_agentscope.message_normaliser import from_blocks
from polysession_agentscope.replies import Phase
from polysession_agentscope.seed_turn import SeedTurn
from polysession_agentscope.streams import CONFLICT_WAITS_S, RECENT, AgentScopeTurn, Bookmark, SessionStream, post_input

_SETTLING_S: Final = (0.05, 0.1, 0.2, 0.4)
"""A turn that comes to rest is announced before it is stored; until then the session is still running."""

_TURN_BOUND: Final = "a turn of 2.0.0 lives only as long as its answer is read: use run"


@dataclass(frozen=True, slots=True)
class _Parked:
    """A reply that waits for an answer.

    Attributes:
        raw: The stored reply.
        pending: What it waits for, by id.
        newest: The end of the session's history.
    """

    raw: dict[str, Any]
    pending: Mapping[str, PendingAction]
    newest: Newest


def send_message(place: Place, content: tuple[Block, ...]) -> Flow[None]:
    """Send a message. The messages are read first: the server would take one for a session that does not exist."""
    wire_input = from_blocks(content)
    newest = yield from _read_free(place)
    _require_stream(newest, Feature.SESSIONS_SEND, "to leave a turn to itself", _TURN_BOUND)
    yield from post_input(place, wire_input, EventNormaliser(place.session_id))


def answer_actions(place: Place, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer what the agent waits for."""
    check_answers(answers)
    parked = yield from _read_parked(place)
    wire_input = from_answers(answers, parked.raw["id"], parked.pending)
    _require_stream(parked.newest, Feature.SESSIONS_ANSWER, "to leave a turn to itself", _TURN_BOUND)
    yield from post_input(place, wire_input, EventNormaliser(place.session_id))


def start_turn(place: Place, turn_input: TurnInput) -> Flow[OldTurnPlan]:
    """Read where the session stands, for a plan that opens the stream there and then sends the input."""
    if isinstance(turn_input[0], Approve | Deny | ToolOutput):
        return (yield from _go_on(place, turn_input))
    wire_input = from_blocks(turn_input)
    normaliser = EventNormaliser(place.session_id)
    newest = yield from _read_free(place)
    know_replies(newest, normaliser)
    if not newest.has_stream:
        return SeedTurn(place, normaliser, wire_input)
    return AgentScopeTurn(place, newest, normaliser, wire_input)


def stream_events(place: Place, cursor: str | None) -> Flow[OldStreamPlan]:
    """Read where the session stands, for a plan that follows it from there, or from a bookmark."""
    mark = None if cursor is None else Bookmark.read(cursor)
    normaliser = EventNormaliser(place.session_id)
    if mark is None:
        newest = yield from read_newest(place, RECENT)
        know_replies(newest, normaliser)
        plan = SessionStream(place, newest.cursor, normaliser)
    else:
        if mark.before is not None:
            normaliser.restore(mark.before, Phase.OVER, ())
        if mark.reply is not None:
            normaliser.restore(mark.reply, mark.phase, mark.told)
        newest = yield from read_since(place, normaliser)
        # A server that was started anew gives no cursor, and counts its events from the start: an old one hides them.
        after = None if newest.cursor is None else mark.after
        plan = SessionStream(place, after, normaliser, mark, missed_since(newest, normaliser))
    _require_stream(newest, Feature.SESSIONS_STREAM, "to stream a session", "run follows one turn")
    return plan


def pending_actions(place: Place) -> Flow[tuple[PendingAction, ...]]:
    """What the agent waits for."""
    parked = yield from _find_parked(place)
    return () if parked is None else tuple(parked.pending.values())


def _read_free(place: Place) -> Flow[Newest]:
    """Where a session stands that takes a message. One that waits would store it, and fail.

    Raises:
        Conflict: It waits for an answer, and not only because a cancellation has not been carried out yet.
    """
    for wait_s in (0.0, *CONFLICT_WAITS_S):
        newest = yield from read_newest(place, RECENT, after_s=wait_s)
        if not any(is_waiting(raw) for raw in newest.messages[-RECENT:]):
            return newest
    raise Conflict("the agent waits for an answer, and takes no message before: answer it, or cancel")


def _go_on(place: Place, answers: tuple[Answer, ...]) -> Flow[OldTurnPlan]:
    check_answers(answers)
    parked = yield from _read_parked(place)
    reply_id = parked.raw["id"]
    wire_input = from_answers(answers, reply_id, parked.pending)
    normaliser = EventNormaliser(place.session_id)
    know_replies(parked.newest, normaliser)
    if not parked.newest.has_stream:
        return SeedTurn(place, normaliser, wire_input, reply_id)
    return AgentScopeTurn(place, parked.newest, normaliser, wire_input, reply_id)


def _read_parked(place: Place) -> Flow[_Parked]:
    """The reply that waits. An answer that nobody waits for would be taken without a word.

    Raises:
        Conflict: There is none.
    """
    parked = yield from _find_parked(place)
    if parked is None:
        raise Conflict("the agent waits for nothing: the actions were answered already, or a turn is running")
    return parked


def _find_parked(place: Place) -> Flow[_Parked | None]:
    word = yield from read_status(place)
    for wait_s in _SETTLING_S:
        if word != "running":
            break
        word = yield from read_status(place, after_s=wait_s)
    if word in {"running", "idle"}:
        return None
    newest = yield from read_newest(place, PAGE, lambda stored: any(is_waiting(raw) for raw in stored))
    waiting = [raw for raw in newest.messages if is_waiting(raw)]
    if not waiting:
        return None
    return _Parked(waiting[-1], read_as(pending_in, waiting[-1], newest.reply), newest)


def _require_stream(newest: Newest, feature: Feature, to_what: str, hint: str) -> None:
    if not newest.has_stream:
        raise too_old(feature, to_what, hint)
