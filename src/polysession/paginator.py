"""Lists that are read page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic

from polysession._core.operations import PageFlow
from polysession._core.paging import Item, PageWalk
from polysession._core.provider import Page
from polysession._drivers.sync_driver import SyncDriver


class Paginator(Generic[Item]):
    """A list that is read page by page during iteration. Each iteration starts at the first page."""

    def __init__(
        self,
        driver: SyncDriver,
        operation: str,
        page_flow: PageFlow[Item],
        *,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> None:
        self._driver = driver
        self._operation = operation
        self._page_flow = page_flow
        self._cursor = cursor
        self._limit = limit

    def __iter__(self) -> Iterator[Item]:
        """Every item of every page.

        Raises:
            PolysessionError: A page could not be read.
        """
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[Item]]:
        """Every page.

        Raises:
            PolysessionError: A page could not be read.
        """
        walk = PageWalk(self._page_flow, self._cursor, self._limit)
        while not walk.finished:
            yield self._driver.run(self._operation, walk.next_page())

    def page(self) -> Page[Item]:
        """The first page. To continue, pass its `next_cursor` as `cursor` to the same list.

        Raises:
            PolysessionError: The page could not be read.
        """
        walk = PageWalk(self._page_flow, self._cursor, self._limit)
        return self._driver.run(self._operation, walk.next_page())

    def first(self) -> Item | None:
        """The first item; None if the list is empty.

        Raises:
            PolysessionError: A page could not be read.
        """
        for page in self.pages():
            if page.items:
                return page.items[0]
        return None

    def __repr__(self) -> str:
        limit = "" if self._limit is None else f", at most {self._limit} items"
        return f"<{type(self).__name__} of {self._operation}{limit}: loop over it, or call pages(), page() or first()>"
