"""Lists that are read page by page, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic

from polysession._core.operations import PageFlow
from polysession._core.paging import Item, PageWalk
from polysession._core.provider import Page
from polysession._drivers.async_driver import AsyncDriver


class AsyncPaginator(Generic[Item]):
    """A list that is read page by page during iteration. Each iteration starts at the first page."""

    def __init__(
        self,
        driver: AsyncDriver,
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

    async def __aiter__(self) -> AsyncIterator[Item]:
        """Every item of every page.

        Raises:
            PolysessionError: A page could not be read.
        """
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[Item]]:
        """Every page.

        Raises:
            PolysessionError: A page could not be read.
        """
        walk = PageWalk(self._page_flow, self._cursor, self._limit)
        while not walk.finished:
            yield await self._driver.run(self._operation, walk.next_page())

    async def page(self) -> Page[Item]:
        """The first page. To continue, pass its `next_cursor` as `cursor` to the same list.

        Raises:
            PolysessionError: The page could not be read.
        """
        walk = PageWalk(self._page_flow, self._cursor, self._limit)
        return await self._driver.run(self._operation, walk.next_page())

    async def first(self) -> Item | None:
        """The first item; None if the list is empty.

        Raises:
            PolysessionError: A page could not be read.
        """
        async for page in self.pages():
            if page.items:
                return page.items[0]
        return None

    def __repr__(self) -> str:
        limit = "" if self._limit is None else f", at most {self._limit} items"
        return f"<{type(self).__name__} of {self._operation}{limit}: loop over it, or call pages(), page() or first()>"
