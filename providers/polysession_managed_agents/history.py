"""Reads the stored events of a session: pages, the newest events, and the pending actions.

Pure: it does no I/O.

Backend: https://platform.claude.com/docs/en/api/beta/sessions/events/list and
https://docs.qoder.com/cloud-agents/api/sessions/events/list (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from polysession.provider_api import (
    ActionRequired,
    Event,
    Flow,
    MalformedResponse,
    Message,
    MessageCompleted,
    Page,
    PendingAction,
    SessionRef,
)
from polysession_managed_agents.events import EventReader
from polysession_managed_agents.member import Member
from polysession_managed_agents.messages import (
    ROLES,
    TOOL_USES,
    PendingActions,
    awaited_ids,
    head_of,
    read_idle,
    to_action,
)
from polysession_managed_agents.sessions import to_page

NEWEST_FIRST: Final[Mapping[str, Any]] = {"order": "desc"}
_NEWEST_EVENTS: Final = 10
"""Number of events that are read before a stream opens, to learn the state of the turn."""


def events_path(member: Member, ref: SessionRef) -> str:
    """Return the path of a session's events, without the prefix."""
    return f"{member.session_path(ref)}/events"


def read_events(member: Member, ref: SessionRef, query: Mapping[str, Any]) -> Flow[Page[bytes]]:
    """Read one page of events, each as its JSON text."""
    reply = yield member.get(events_path(member, ref), query)
    return to_page(reply, bytes)


def list_events(
    readers: type[EventReader], ref: SessionRef, parameters: Mapping[str, Any], *, newest_first: bool
) -> Flow[Page[Event]]:
    """Read one page of events.

    If the session waited for tool uses that are on an earlier page, more calls fetch them.
    """
    order = NEWEST_FIRST if newest_first else {}
    page = yield from read_events(readers.member, ref, {**order, **parameters})
    events = _in_order(page.items, readers(ref.id), newest_first=newest_first)
    completed = yield from with_actions(readers.member, ref, events)
    return Page(tuple(completed), page.next_cursor, page.problems)


def list_messages(
    readers: type[EventReader], ref: SessionRef, parameters: Mapping[str, Any], *, newest_first: bool
) -> Flow[Page[Message]]:
    """Read one page of messages. The backend selects the events that are messages."""
    order = NEWEST_FIRST if newest_first else {}
    page = yield from read_events(readers.member, ref, {"types[]": list(ROLES), **order, **parameters})
    events = _in_order(page.items, readers(ref.id), newest_first=newest_first)
    messages = tuple(event.message for event in events if isinstance(event, MessageCompleted))
    unread = [f"an event: {problem}" for event in events if not event.native_type for problem in event.problems]
    return Page(messages, page.next_cursor, (*page.problems, *unread))


def _in_order(items: Sequence[bytes], reader: EventReader, *, newest_first: bool) -> list[Event]:
    """Return the common events of a page in the page's order.

    The reader reads them oldest first.
    """
    oldest_first = reversed(items) if newest_first else items
    events = [event for item in oldest_first for event in reader.read(item)]
    return events[::-1] if newest_first else events


def read_newest(ref: SessionRef, reader: EventReader) -> Flow[str | None]:
    """Read the newest events, to learn the state of the turn.

    Returns:
        The id of the newest event; None for a session without events.
    """
    member = reader.member
    page = yield from read_events(member, ref, {**NEWEST_FIRST, **member.page_parameters(_NEWEST_EVENTS, None)})
    events = _in_order(page.items, reader, newest_first=True)
    return next((event.id for event in events if event.id is not None), None)


def walk(
    member: Member, ref: SessionRef, query: Mapping[str, Any], is_enough: Callable[[Sequence[bytes]], bool]
) -> Flow[list[bytes]]:
    """Read the list of events in large pages, until `is_enough` returns True or the list ends.

    Args:
        member: The backend.
        ref: The session.
        query: Query parameters that select and order the events.
        is_enough: Called with the events of each page.

    Raises:
        MalformedResponse: The cursor of the next page was used before, so the list would never end.
    """
    found: list[bytes] = []
    cursor: str | None = None
    cursors = {cursor}
    while True:
        parameters = member.page_parameters(member.history_page, cursor)
        page = yield from read_events(member, ref, {**query, **parameters})
        found += page.items
        if is_enough(page.items) or page.next_cursor is None:
            return found
        if page.next_cursor in cursors:
            raise MalformedResponse(f"the list of events does not advance: it repeats the cursor {page.next_cursor!r}")
        cursor = page.next_cursor
        cursors.add(cursor)


def missing_ids(event: Event) -> list[str]:
    """Return the ids of the tool uses that the session waits for and that were not read."""
    if not isinstance(event, ActionRequired):
        return []
    known = {action.id for action in event.actions}
    return [event_id for event_id in awaited_ids(read_idle(event.source)) if event_id not in known]


def with_actions(member: Member, ref: SessionRef, events: Sequence[Event]) -> Flow[Sequence[Event]]:
    """Return the events, completed with pending actions that only the history has."""
    missing = {event_id for event in events for event_id in missing_ids(event)}
    found: dict[str, PendingAction] = {}

    def take(items: Sequence[bytes]) -> bool:
        for item in items:
            head = head_of(item)
            if head.id in missing and head.type in TOOL_USES:
                found[head.id] = to_action(member, item)
        return missing <= found.keys()

    if missing:
        yield from walk(member, ref, {**NEWEST_FIRST, "types[]": list(TOOL_USES)}, take)
    return [_completed(event, found) if isinstance(event, ActionRequired) else event for event in events]


def _completed(event: ActionRequired, found: Mapping[str, PendingAction]) -> Event:
    known = {**found, **{action.id: action for action in event.actions}}
    awaited = awaited_ids(read_idle(event.source))
    return event.model_copy(update={"actions": tuple(known[event_id] for event_id in awaited if event_id in known)})


def search_pending(member: Member, ref: SessionRef) -> Flow[PendingActions]:
    """Find the pending actions, by reading the events newest first."""
    pending = PendingActions(member)
    yield from walk(member, ref, NEWEST_FIRST, pending.take)
    return pending


def pending_actions(member: Member, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
    """Read the pending actions.

    Raises:
        MalformedResponse: The session waits for an event that is not in its history.
    """
    pending = yield from search_pending(member, ref)
    if pending.missing:
        raise MalformedResponse(
            f"the session waits for the events {', '.join(pending.missing)}, which are not in its history"
        )
    return tuple(pending.actions.values())
