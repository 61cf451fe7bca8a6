"""Reads a list page by page."""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeVar

from polysession._core.flow import Flow
from polysession._core.operations import PageFlow
from polysession._core.provider import Page
from polysession.errors import MalformedResponse


class Identified(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str | None:
        """The id."""
        ...


Item = TypeVar("Item", bound=Identified)


_REPEATS: Final = 10
"""After this many pages in a row without a new item, a list counts as endless: lists do not grow that fast."""


class PageWalk(Generic[Item]):
    """The progress through one list: both clients run `next_page` until it is `finished`.

    Args:
        page_flow: Returns the flow that reads the page at a cursor.
        cursor: Where to start; None for the first page.
        limit: How many items to read in all; None for all.
    """

    def __init__(self, page_flow: PageFlow[Item], cursor: str | None, limit: int | None = None) -> None:
        self._page_flow = page_flow
        self._left = limit
        self._cursor = cursor
        self._cursors = {cursor}
        self._previous: frozenset[tuple[object, ...]] = frozenset()
        self._repeats = 0
        self.finished = False

    def next_page(self) -> Flow[Page[Item]]:
        """Read the next page. Items that moved here from the previous page, because the list grew, are left out.

        Raises:
            MalformedResponse: The page points back to a page that was read, or many pages had no new item: the list
                would never end.
        """
        page = yield from self._page_flow(self._cursor)
        if page.next_cursor is not None and page.next_cursor in self._cursors:
            raise MalformedResponse("the list does not advance: the backend repeats the cursor of an earlier page")
        identities = [_identity(item) for item in page.items]
        fresh = tuple(
            item
            for item, identity in zip(page.items, identities, strict=True)
            if item.id is None or identity not in self._previous
        )
        self._repeats = self._repeats + 1 if page.items and not fresh else 0
        if self._repeats == _REPEATS:
            raise MalformedResponse(f"the list does not advance: {_REPEATS} pages in a row repeat the page before them")
        self._previous = frozenset(identities)
        self._cursor = page.next_cursor
        self._cursors.add(page.next_cursor)
        self.finished = page.next_cursor is None
        if self._left is not None:
            fresh = fresh[: self._left]
            self._left -= len(fresh)
            self.finished = self.finished or self._left == 0
        return Page(fresh, None if self.finished else page.next_cursor, page.problems)


def _identity(item: Identified) -> tuple[object, ...]:
    """Identify an item within its list: events that come from one event of the backend share its id."""
    return (item.id, type(item), vars(item).get("tool_call_id"))
