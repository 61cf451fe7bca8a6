"""Pages of lists in the Anthropic emulator, and their cursors.

Backend: https://platform.claude.com/docs/en/managed-agents/session-operations (read 2026-11)
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from polysession_managed_agents.emulator.paging import Page, Window, cut, read_limit, read_order
from polysession_managed_agents.emulator.validation import Json, invalid, take

PAGE_FIELDS: Final = frozenset({"limit", "page"})

PARTS_PAGE: Final = 1000
"""Maximum number of events, threads or resources of a session on one page."""

_PREFIX: Final = "page_"

T = TypeVar("T")


def read_window(values: Json, *, default: int, most: int, newest_first: bool) -> Window:
    """Read the part of a list that a query asks for.

    A cursor is valid only for the order that it was made with.
    """
    order, cursor = read_order(values), take(values, "page", str)
    window = Window(
        limit=read_limit(values, default=default, most=most),
        newest_first=newest_first if order is None else order,
        after=None,
        before=None,
    )
    if cursor is None:
        return window
    cursor_order, direction, item_id = _read_cursor(cursor)
    if order not in {None, cursor_order}:
        raise invalid("The cursor was made with another 'order'.", "page")
    after, before = (item_id, None) if direction == "after" else (None, item_id)
    return Window(limit=window.limit, newest_first=cursor_order, after=after, before=before)


def page_of(
    rows: Mapping[str, T],
    positions: Mapping[str, int],
    window: Window,
    shape: Callable[[T], Json],
    *,
    has_previous: bool = False,
) -> Json:
    """Return the JSON of one page.

    Args:
        rows: The items of the list, by id.
        positions: Place of every id that may be a cursor.
        window: The part of the list to return.
        shape: Returns the JSON of an item.
        has_previous: Whether the page also has a cursor for the previous page.
    """
    page = cut(rows, positions, window)
    ids = list(page.items)
    answer: Json = {"data": [shape(item) for item in page.items.values()]}
    answer["next_page"] = _cursor(window, "after", ids[-1]) if _has_next(page, window) else None
    if has_previous:
        answer["prev_page"] = _cursor(window, "before", ids[0]) if _has_previous(page, window) else None
    return answer


class AnthropicLists:
    """The conventions of all lists except the list of sessions."""

    fields = PAGE_FIELDS

    def page(
        self, rows: Mapping[str, T], positions: Mapping[str, int], query: Json, shape: Callable[[T], Json]
    ) -> Json:
        """Return one page of a list that begins with the newest item."""
        return page_of(rows, positions, read_window(query, default=20, most=100, newest_first=True), shape)

    def page_of_parts(self, rows: Mapping[str, T], query: Json, shape: Callable[[T], Json]) -> Json:
        """Return one page of a session's resources or threads, oldest first."""
        positions = {row_id: position for position, row_id in enumerate(rows)}
        return self.page_among_parts(rows, positions, query, shape)

    def page_among_parts(
        self, rows: Mapping[str, T], positions: Mapping[str, int], query: Json, shape: Callable[[T], Json]
    ) -> Json:
        """Return one page of a filtered list of a session's parts. `positions` covers all parts."""
        window = read_window(query, default=PARTS_PAGE, most=PARTS_PAGE, newest_first=False)
        return page_of(rows, positions, window, shape)


LISTS: Final = AnthropicLists()


def _has_next(page: Page[T], window: Window) -> bool:
    return bool(page.items) and (page.has_more or window.before is not None)


def _has_previous(page: Page[T], window: Window) -> bool:
    return bool(page.items) and (window.after is not None or (window.before is not None and page.has_more))


def _cursor(window: Window, direction: str, item_id: str) -> str:
    text = json.dumps([window.newest_first, direction, item_id])
    return _PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[bool, str, str]:
    encoded = cursor.removeprefix(_PREFIX)
    try:
        newest_first, direction, item_id = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (TypeError, ValueError) as error:
        raise invalid(f"Unknown cursor {cursor!r}.", "page") from error
    return newest_first, direction, item_id
