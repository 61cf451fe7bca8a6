"""Finds the interrupt of a turn whose start is on another page of the event list.

The backend ends an interrupted turn with the same stop reason as a finished turn. A stream has read the interrupt, so
only lists need this module.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Final

from polysession.provider_api import Event, Flow, Outcome, Page, SessionRef, TurnEnded, TurnStarted
from polysession_anthropic.sessions import ANTHROPIC
from polysession_managed_agents.history import NEWEST_FIRST, walk
from polysession_managed_agents.messages import head_of
from polysession_managed_agents.wire import WireEvent

_TURN: Final = ("session.status_running", "session.status_rescheduled", "session.status_idle", "user.interrupt")


def with_interruption(ref: SessionRef, page: Page[Event], *, newest_first: bool) -> Flow[Page[Event]]:
    """Return the page, with its first turn cancelled if the interrupt is on another page.

    Args:
        ref: The session.
        page: The page of events.
        newest_first: Whether the page begins with the newest event.
    """
    end = _unexplained_end(page.items[::-1] if newest_first else page.items)
    if end is None or not (yield from _was_interrupted(ref, end)):
        return page
    cancelled = end.model_copy(update={"outcome": Outcome.CANCELLED})
    return replace(page, items=tuple(cancelled if event is end else event for event in page.items))


def _unexplained_end(events: Sequence[Event]) -> TurnEnded | None:
    """Return the first end of a turn, if it looks finished and the start is not in the page."""
    for event in events:
        if isinstance(event, TurnStarted):
            return None
        if isinstance(event, TurnEnded):
            return event if event.outcome is Outcome.COMPLETED else None
    return None


def _was_interrupted(ref: SessionRef, end: TurnEnded) -> Flow[bool]:
    """Return whether the event list has a processed interrupt in a turn."""

    def is_enough(items: Sequence[bytes]) -> bool:
        return _interrupted([head_of(item) for item in items], end.id) is not None

    found = yield from walk(ANTHROPIC, ref, {**NEWEST_FIRST, "types[]": _TURN}, is_enough)
    return _interrupted([head_of(item) for item in found], end.id) or False


def _interrupted(heads: Sequence[WireEvent], end_id: str | None) -> bool | None:
    """Return whether a turn was interrupted; None if the events do not reach its start.

    The events are newest first.
    """
    after = next((index for index, head in enumerate(heads) if head.id == end_id), None)
    older = [] if after is None else heads[after + 1 :]
    for head, before in zip_longest(older, older[1:]):
        if head.type == "user.interrupt" and head.processed_at is not None:
            return True
        continues = before is not None and before.type == "session.status_rescheduled"
        if head.type == "session.status_idle" or (head.type == "session.status_running" and not continues):
            return False
    return None
