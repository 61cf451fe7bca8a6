"""What stored messages tell a stream: where it begins, and what it missed.

Backend: `GET /sessions/{id}/messages` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from polysession.provider_api import Event, Flow, Outcome, StreamGap, TurnEnded, TurnStarted, read_as
from polysession_agentscope.calls import Place
from polysession_agentscope.event_normaliser import EventNormaliser
from polysession_agentscope.history import Newest, Stored, read_newest

PAGE: Final = 10
"""Messages that are read in one call to find a reply."""

_ALL: Final = (
    *("turn.started", "action.required", "usage", "error", "raw"),
    *("message.started", "message.delta", "message.completed"),
    *("thinking.started", "thinking.delta", "thinking.completed"),
    *("tool_call.started", "tool_call.delta", "tool_call.completed"),
    *("tool_result.delta", "tool_result.completed"),
)

_NO_TRACE: Final = (
    "the turn left no trace: it was cancelled before it began, the service was started anew, or, on a server of 2.0.0,"
    " it failed"
)


def know_replies(newest: Newest, normaliser: EventNormaliser) -> None:
    """Take the stored replies for told."""
    for raw in newest.messages:
        if raw.get("role") == "assistant":
            read_as(normaliser.know, raw, newest.reply)


def read_since(place: Place, normaliser: EventNormaliser) -> Flow[Newest]:
    """Read messages back to a reply that was spoken of."""
    return (yield from read_newest(place, PAGE, lambda stored: any(normaliser.knows(raw.get("id")) for raw in stored)))


def missed_since(newest: Newest, normaliser: EventNormaliser, *, up_to: str | None = None) -> list[Event]:
    """What the stored replies tell from the last one on that was spoken of.

    Args:
        newest: The end of the session's history.
        normaliser: What was told.
        up_to: The last reply to tell of: what comes after it is still to be streamed. None for all.
    """
    replies = [raw for raw in newest.messages if raw.get("role") == "assistant"]
    known = [index for index, raw in enumerate(replies) if normaliser.knows(raw.get("id"))]
    events: list[Event] = []
    for raw in replies[known[-1] if known else 0 :]:
        events += read_as(partial(normaliser.catch_up, may_lack=True), raw, newest.reply)
        if up_to is not None and raw.get("id") == up_to:
            break
    return events


def all_lost(session_id: str, reply_id: str | None) -> Event:
    """The gap before an event of a reply of which nothing is stored."""
    return StreamGap(session_id=session_id, turn_id=reply_id, lost=_ALL, synthetic=True)


def own_reply(
    stored: Stored, reply_id: str | None, normaliser: EventNormaliser, *, may_be_new: bool
) -> dict[str, Any] | None:
    """The stored reply of a turn: the one with its id, or else the first after the last that was spoken of.

    Only the newest replies are spoken of before a turn begins: those before them are older, and never ours.
    """
    replies = [raw for raw in stored if raw.get("role") == "assistant"]
    own = [raw for raw in replies if raw.get("id") == reply_id]
    if may_be_new:
        known = [index for index, raw in enumerate(replies) if normaliser.knows(raw.get("id"))]
        own += replies[known[-1] + 1 if known else 0 :]
    return own[0] if own else None


def no_trace(session_id: str, reply_id: str | None, *, has_begun: bool) -> list[Event]:
    """The end of a turn of which nothing is left."""
    ended = TurnEnded(
        session_id=session_id,
        turn_id=reply_id,
        outcome=Outcome.FAILED,
        native_reason="no trace",
        error=_NO_TRACE,
        synthetic=True,
    )
    return [ended] if has_begun else [started(session_id, reply_id), ended]


def started(session_id: str, reply_id: str | None) -> Event:
    """The start of a turn that was not told."""
    return TurnStarted(session_id=session_id, turn_id=reply_id, synthetic=True)
