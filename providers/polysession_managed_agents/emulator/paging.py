"""Pages of lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from polysession_managed_agents.emulator.validation import Json, invalid, take

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that a request asks for.

    Attributes:
        limit: Maximum number of items on the page.
        newest_first: Whether the list begins with the newest item.
        after: Id of the last item before the page; None for the start of the list.
        before: Id of the first item after the page; None unless the client pages backwards. Never with `after`.
    """

    limit: int
    newest_first: bool
    after: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The items by id, in the order of the list.
        has_more: Whether there are more items in the direction of the request.
        next_page: Cursor of the next page; None at the end, and when the client pages backwards.
    """

    items: dict[str, T]
    has_more: bool
    next_page: str | None


def read_order(values: Json) -> bool | None:
    """Read whether the list begins with the newest item; None if the query has no `order`."""
    order = take(values, "order", str)
    if order not in {None, "asc", "desc"}:
        raise invalid("Field 'order' must be 'asc' or 'desc'.", "order")
    return None if order is None else order == "desc"


def read_limit(values: Json, *, default: int, most: int) -> int:
    """Read the maximum number of items on a page."""
    limit = take(values, "limit", int)
    if limit is not None and not 1 <= limit <= most:
        raise invalid(f"Field 'limit' must be between 1 and {most}.", "limit")
    return limit or default


def cut(rows: Mapping[str, T], positions: Mapping[str, int], window: Window) -> Page[T]:
    """Return the page of `rows` for a window.

    `positions` has the place of every id that may be a cursor.
    """
    direction = -1 if window.newest_first else 1

    def place(row_id: str) -> int:
        if row_id not in positions:
            raise invalid(f"Unknown cursor {row_id!r}.")
        return direction * positions[row_id]

    ids = sorted(rows, key=place)
    if window.before is not None:
        end = place(window.before)
        found = [row_id for row_id in ids if place(row_id) < end]
        chosen = found[-window.limit :]
    else:
        start = place(window.after) if window.after is not None else None
        found = [row_id for row_id in ids if start is None or place(row_id) > start]
        chosen = found[: window.limit]
    has_more = len(found) > len(chosen)
    return Page(
        items={row_id: rows[row_id] for row_id in chosen},
        has_more=has_more,
        next_page=chosen[-1] if has_more and window.before is None else None,
    )
