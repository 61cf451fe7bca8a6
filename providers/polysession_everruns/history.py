"""Everruns' past events: listed, and read for the pending actions. Pure.

A separate module, because both the operations on past events and the plans in `turns` read the list of events.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, list_events (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Call,
    Event,
    Flow,
    MalformedResponse,
    Page,
    PendingAction,
    SessionRef,
    UsageError,
    cursor_number,
    decoder,
    read_whole,
    with_query,
)
from polysession_everruns.events import EventReader
from polysession_everruns.pending import check_answers, post_answers, to_batches
from polysession_everruns.sessions import session_path
from polysession_everruns.wire import WireEvent, WireList

_NEWEST: Final = 1
_RECENT: Final = 50
"""Number of newest events to read for the pending actions.

After their request, a session logs only the answers.
"""
_MAX_EVENTS: Final = 1000

_read_event: Final = decoder(WireEvent)
_read_list: Final = decoder(WireList)


def list_events(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """Read one page of events, oldest first.

    The server's `limit` counts from the newest event, so the flow reads all later events and cuts the page itself.
    `page_size` counts events of Everruns. The cursor is the sequence number of the last one.

    Raises:
        MalformedResponse: The page has to be cut, and its events have no sequence numbers.
        UsageError: The cursor is not one of this list.
    """
    after = None if cursor is None else cursor_number(cursor)
    items = yield from read_events(ref, after_sequence=after)
    page = items if page_size is None else items[:page_size]
    events, sequences = _read_page(ref, page)
    is_cut = len(page) < len(items)
    return Page(events, str(_require_sequences(sequences)[-1]) if is_cut else None)


def list_newest_events(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """Read one page of events, newest first.

    The cursor is the sequence number of the page's oldest event.

    Raises:
        MalformedResponse: The page has no event with a sequence number.
        UsageError: `page_size` is over 1000, or the cursor is not one of this list.
    """
    if page_size is not None and page_size > _MAX_EVENTS:
        raise UsageError(f"page_size is {page_size}; Everruns accepts at most {_MAX_EVENTS} events on a page")
    before = None if cursor is None else cursor_number(cursor)
    items = yield from read_events(ref, before_sequence=before, limit=page_size)
    events, sequences = _read_page(ref, items)
    # The server may return fewer events than asked for, so their number does not show whether there are more.
    is_cut = page_size is not None and len(items) > 0 and _require_sequences(sequences)[0] > 1
    return Page(events[::-1], str(sequences[0]) if is_cut else None)


def _read_page(ref: SessionRef, items: Sequence[Any]) -> tuple[tuple[Event, ...], Sequence[int]]:
    """Return the common events of a page, and the sequence numbers in ascending order."""
    reader = EventReader(ref.id)
    found: list[Event] = []
    sequences: list[int] = []
    for item in items:
        found += reader.read(bytes(item))
        if reader.last is not None and reader.last.sequence is not None:
            sequences.append(reader.last.sequence)
    return tuple(found), sorted(sequences)


def _require_sequences(sequences: Sequence[int]) -> Sequence[int]:
    if not sequences:
        raise MalformedResponse("the events cannot be listed in pages, because they have no sequence numbers")
    return sequences


def pending_actions(ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
    """Read the pending actions from the events, as the session's status changes later."""
    reader, _ = yield from read_recent(ref)
    return reader.waiting.actions


def answer_actions(ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer pending actions, group by group.

    Raises:
        Conflict: There are no pending actions.
        NotFound: One of the actions is not pending.
        UnsupportedOperation: A denial has a reason, or an approval has edited arguments.
        UsageError: An answer does not fit its action, or an answer of its group is missing.
    """
    check_answers(answers)
    reader, _ = yield from read_recent(ref)
    yield from post_answers(session_path(ref), to_batches(answers, reader.waiting.actions))


def read_recent(ref: SessionRef, *, up_to: str | None = None) -> Flow[tuple[EventReader, str | None]]:
    """Read the newest events.

    Args:
        ref: The session.
        up_to: Id of the last event to read; None reads all.

    Returns:
        The reader that has read the events, and the id of the newest. If `up_to` is not among the newest events, the
        reader has read none.
    """
    items = yield from read_events(ref, limit=_RECENT)
    reader = EventReader(ref.id)
    for item in items:
        reader.read(bytes(item))
        if up_to is not None and reader.last is not None and reader.last.id == up_to:
            return reader, up_to
    return (reader, _newest_of(items).id) if up_to is None else (EventReader(ref.id), up_to)


def read_newest(ref: SessionRef) -> Flow[WireEvent]:
    """Read the newest event. It has no id if the session has no readable event."""
    return _newest_of((yield from read_events(ref, limit=_NEWEST)))


def read_events(ref: SessionRef, **query: int | None) -> Flow[Sequence[Any]]:
    """Read a list of events, each as its JSON text."""
    response = yield Call("GET", with_query(f"{session_path(ref)}/events", query))
    return read_whole(_read_list, response).data


def _newest_of(items: Sequence[Any]) -> WireEvent:
    """Return the newest event with a readable id, or an event without an id."""
    for item in reversed(items):
        try:
            event, _ = _read_event(bytes(item))
        except MalformedResponse:
            continue
        if event.id is not None:
            return event
    return WireEvent()
