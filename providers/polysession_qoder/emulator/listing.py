"""Pages of lists.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/pagination (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from polysession_managed_agents.emulator.validation import Json, invalid, take

WINDOW_FIELDS = frozenset({"limit", "page", "after_id", "before_id"})

_DEFAULT_LIMIT = 20
_LIMITS = range(1, 101)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted.

    Attributes:
        limit: Most items on the page.
        newest_first: The order of the list.
        after: Id of the last item before the page; None for the start of the list.
        before: Id of the first item behind the page. Not together with `after`.
    """

    limit: int
    newest_first: bool
    after: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: The items by id, in the order of the list.
        has_more: Whether there are more in the direction of the request.
        next_page: Cursor of the following page; None at the end, and when the caller walks backwards.
    """

    items: dict[str, T]
    has_more: bool
    next_page: str | None


def read_window(values: Json, *, newest_first: bool = True) -> Window:
    """The part of a list that a query asks for."""
    limit = take(values, "limit", int)
    if limit is not None and limit not in _LIMITS:
        raise invalid("Field 'limit' must be between 1 and 100.", "limit")
    page, after_id, before_id = (take(values, name, str) for name in ("page", "after_id", "before_id"))
    if sum(cursor is not None for cursor in (page, after_id, before_id)) > 1:
        raise invalid("Only one of 'page', 'after_id' and 'before_id' may be given.")
    return Window(
        limit=limit or _DEFAULT_LIMIT,
        newest_first=_newest_first(values, default=newest_first),
        after=page if page is not None else after_id,
        before=before_id,
    )


def _newest_first(values: Json, *, default: bool) -> bool:
    order = take(values, "order", str)
    if order not in {None, "asc", "desc"}:
        raise invalid("Field 'order' must be 'asc' or 'desc'.", "order")
    return default if order is None else order == "desc"


def cut(rows: Mapping[str, T], positions: Mapping[str, int], window: Window) -> Page[T]:
    """The page of `rows` that a window shows. `positions` knows every id that may be a cursor."""
    direction = -1 if window.newest_first else 1

    def place(row_id: str) -> int:
        if row_id not in positions:
            raise invalid("The cursor is not known.")
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
