"""A store of records in the order of their creation, and the filters that lists share."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from polysession_managed_agents.emulator.validation import Json, not_found, take, take_moment

_COMPARISONS: Mapping[str, Callable[[datetime, datetime], bool]] = {
    "created_at[gt]": operator.gt,
    "created_at[gte]": operator.ge,
    "created_at[lt]": operator.lt,
    "created_at[lte]": operator.le,
}
CREATED_AT_FIELDS = frozenset(_COMPARISONS)


class Record(Protocol):
    """A record with an id and times."""

    id: str
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


R = TypeVar("R", bound=Record)


class RecordStore(Generic[R]):
    """A store of records of one kind, oldest first.

    Attributes:
        kind: Name of the kind in error messages.
        positions: Place of each record in the order of creation. Places of deleted records are kept, so that a cursor
            stays valid while a client deletes the records that it lists.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.positions: dict[str, int] = {}
        self._records: dict[str, R] = {}

    def add(self, record: R) -> R:
        """Store a new record, and return it."""
        self.positions[record.id] = len(self.positions)
        self._records[record.id] = record
        return record

    def find(self, record_id: str) -> R:
        """Return the record with an id, or refuse the request with 404."""
        if record_id not in self._records:
            raise not_found(self.kind, record_id)
        return self._records[record_id]

    def archive(self, record_id: str) -> R:
        """Archive a record. Archiving it again changes nothing."""
        record = self.find(record_id)
        if record.archived_at is None:
            record.archived_at = record.updated_at = datetime.now(UTC)
        return record

    def remove(self, record_id: str) -> None:
        """Delete a record."""
        del self._records[record_id]

    def select(self, admits: Callable[[R], bool]) -> dict[str, R]:
        """Return the records for which `admits` is true, by id."""
        return {record.id: record for record in self._records.values() if admits(record)}


def read_created_at(values: Json) -> Callable[[datetime], bool]:
    """Return a predicate for the `created_at[...]` filters of a query."""
    bounds = [(compare, bound) for name, compare in _COMPARISONS.items() if (bound := take_moment(values, name))]
    return lambda created_at: all(compare(created_at, bound) for compare, bound in bounds)


def read_plain_filter(values: Json) -> Callable[[Record], bool]:
    """Return a predicate for the filters of all lists: creation time, and `include_archived`."""
    created_in_range = read_created_at(values)
    include_archived = take(values, "include_archived", bool) or False
    return lambda record: (include_archived or record.archived_at is None) and created_in_range(record.created_at)
