"""What a session's messages tell: its history, and how far its last turn has come.

Backend: `GET /sessions/{id}/messages` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from polysession.provider_api import (
    Call,
    Event,
    Flow,
    MalformedResponse,
    Message,
    Page,
    Response,
    UsageError,
    read_as,
    read_json,
)
from polysession_agentscope import normaliser
from polysession_agentscope.calls import Place, list_call, session_items
from polysession_agentscope.message_normaliser import to_message
from polysession_agentscope.stored_events import history_events
from polysession_agentscope.wire_events import WireMessage, WireMessages

T = TypeVar("T")

_LARGEST_PAGE: Final = 200

Stored: TypeAlias = list[dict[str, Any]]
"""Messages as the server stores them, oldest first."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The end of a session's history.

    Attributes:
        messages: The newest messages, oldest first; more than were asked for from a server older than 2.0.6.
        cursor: Where the event stream goes on after them; None if nothing has happened, or the server does not say.
        has_stream: Whether the session has an event stream. On 2.0.0 each turn has its own, which nothing can resume.
        reply: The answer that they are from.
    """

    messages: Stored
    cursor: str | None
    has_stream: bool
    reply: Response


def read_newest(
    place: Place, limit: int = 1, enough: Callable[[Stored], bool] = lambda _: True, after_s: float = 0.0
) -> Flow[Newest]:
    """Read messages back from the newest.

    Args:
        place: The session.
        limit: Messages to read in one call.
        enough: Whether nothing older is needed.
        after_s: Seconds to wait first.

    Raises:
        NotFound: There is no such session.
    """
    reply = yield Call("GET", place.path("/messages", limit=limit), after_s=after_s)
    page = _page(reply)
    messages, cursor = page.messages, page.event_cursor
    if page.has_more is None:
        messages = yield from _from_the_oldest(place)
        return Newest(messages, None, (yield from _lists_views(place)), reply)
    seen: set[str | None] = set()
    while page.has_more and page.messages and not enough(messages):
        before = read_as(WireMessage.model_validate, messages[0], reply).id
        if before in seen:
            raise MalformedResponse("the list of messages does not advance: a page begins with a message of another")
        seen.add(before)
        reply = yield Call("GET", place.path("/messages", limit=limit, before=before))
        page = _page(reply)
        messages = page.messages + messages
    return Newest(messages, cursor, has_stream=True, reply=reply)


def list_messages(place: Place, limit: int | None, cursor: str | None) -> Flow[Page[Message]]:
    """One page of messages, oldest first. Our cursor is the id of the last message before it."""
    return (yield from _list(place, limit, cursor, lambda raw: (to_message(place.session_id, raw),)))


def list_events(place: Place, limit: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """The events that one page of messages tells of."""
    return (yield from _list(place, limit, cursor, lambda raw: history_events(place.session_id, raw)))


def _list(
    place: Place, limit: int | None, cursor: str | None, normalise: Callable[[dict[str, Any]], Sequence[T]]
) -> Flow[Page[T]]:
    newest = yield from read_newest(place, _LARGEST_PAGE, lambda stored: cursor in _ids(stored))
    ids = _ids(newest.messages)
    if cursor is not None and cursor not in ids:
        raise UsageError(f"{cursor!r} is not a cursor of this list")
    start = 0 if cursor is None else ids.index(cursor) + 1
    end = len(ids) if limit is None else start + limit
    items = [item for raw in newest.messages[start:end] for item in read_as(normalise, raw, newest.reply)]
    return Page(tuple(items), ids[end - 1] if end < len(ids) else None)


def _ids(stored: Stored) -> list[str | None]:
    return [raw.get("id") for raw in stored]


def _page(reply: Response) -> WireMessages:
    return read_as(WireMessages.model_validate, read_json(reply), reply)


def _from_the_oldest(place: Place) -> Flow[Stored]:
    """All messages, from a server older than 2.0.6: its pages begin with the oldest."""
    messages: Stored = []
    while True:
        path = place.path("/messages", limit=_LARGEST_PAGE, offset=len(messages))
        page = _page((yield Call("GET", path)))
        if messages and page.messages[:1] == messages[:1]:
            raise MalformedResponse("the list of messages does not advance: its first page came again")
        messages += page.messages
        if len(page.messages) < _LARGEST_PAGE:
            return messages


def _lists_views(place: Place) -> Flow[bool]:
    """Whether the server is newer than 2.0.0, which lists bare records."""
    items = session_items((yield list_call(place.agent_id)))
    return all(normaliser.is_view(item) for item in items)
