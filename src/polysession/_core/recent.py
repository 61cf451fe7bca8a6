"""Remembers the ids that came, so that replayed events are delivered once. Pure."""

from __future__ import annotations


class RecentIds:
    """The last ids of a stream.

    Args:
        limit: Minimum number of ids to remember. At most about twice as many are kept, because they are dropped in
            groups.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._newer: set[str] = set()
        self._older: set[str] = set()

    def add(self, new_id: str) -> bool:
        """Remember an id; return whether it was new."""
        if new_id in self._newer or new_id in self._older:
            return False
        self._newer.add(new_id)
        if len(self._newer) > self._limit:
            self._newer, self._older = set(), self._newer
        return True

    def __contains__(self, known_id: str | None) -> bool:
        return known_id in self._newer or known_id in self._older

    def __bool__(self) -> bool:
        """Return whether any id came."""
        return bool(self._newer or self._older)
