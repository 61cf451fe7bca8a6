"""Remembers which ids came, so that what a backend replays is told once. Pure."""

from __future__ import annotations

from collections import deque


class RecentIds:
    """The last ids of a stream.

    Args:
        limit: How many are remembered. To forget the oldest costs the same however many they are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: set[str] = set()
        self._order: deque[str] = deque()

    def add(self, new_id: str) -> bool:
        """Remember an id; tells whether it was new."""
        if new_id in self._ids:
            return False
        self._ids.add(new_id)
        self._order.append(new_id)
        if len(self._order) > self._limit:
            self._ids.remove(self._order.popleft())
        return True

    def __contains__(self, known_id: str | None) -> bool:
        return known_id in self._ids

    def __bool__(self) -> bool:
        """Whether any came."""
        return bool(self._ids)
