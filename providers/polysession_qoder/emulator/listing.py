"""Records in the order of their creation, and pages of them.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/pagination (read 2026-11)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from polysession_qoder.emulator.validation import Json, invalid, not_found, take, take_moment

WINDOW_FIELDS = frozenset({"limit", "page", "after_id", "before_id"})

_DEFAULT_LIMIT = 20
_LIMITS = range(1, 101)
_COMPARISONS: Mapping[str, Callable[[datetime, datetime], bool]] = {
    "created_at[gt]": operator.gt,
    "created_at[gte]": operator.ge,
    "created_at[lt]": operator.lt,
    "created_at[lte]": operator.le,
}
CREATED_AT_FIELDS = frozenset(_COMPARISONS)

T = TypeVar("T")


class Record(Protocol):
    """A record on a shelf."""

    id: str
    created_at: datetime
    archived_at: datetime | None


R = TypeVar("R", bound=Record)


class Shelf(Generic[R]):
    """Records of one kind, oldest first.

    Attributes:
        kind: What a record is called in messages.
        positions: Place of each record in the order of creation. It outlives the record, so that a cursor stays good
            while the caller deletes what it lists.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.positions: dict[str, int] = {}
        self._records: dict[str, R] = {}

    def add(self, record: R) -> R:
        """Keep a new record."""
        self.positions[record.id] = len(self.positions)
        self._records[record.id] = record
        return record

    def find(self, record_id: str) -> R:
        """The record of that id; refused as not found if it does not exist."""
        if record_id not in self._records:
            raise not_found(self.kind, record_id)
        return self._records[record_id]

    def remove(self, record_id: str) -> None:
        """Forget a record."""
        del self._records[record_id]

    def select(self, admits: Callable[[R], bool]) -> dict[str, R]:
        """The records that are admitted, by id."""
        return {record.id: record for record in self._records.values() if admits(record)}


def read_created_at(values: Json) -> Callable[[datetime], bool]:
    """The test that the `created_at[...]` filters ask for."""
    bounds = [(compare, bound) for name, compare in _COMPARISONS.items() if (bound := take_moment(values, name))]
    return lambda created_at: all(compare(created_at, bound) for compare, bound in bounds)


def read_plain_filter(values: Json) -> Callable[[Record], bool]:
    """The test that lists of agents and environments offer: age, and whether archived ones count."""
    created_in_range = read_created_at(values)
    include_archived = take(values, "include_archived", bool) or False
    return lambda record: (include_archived or record.archived_at is None) and created_in_range(record.created_at)


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
