"""The replay of a tape: selects the recorded exchange for a request, and the writes that a stream waits for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from polysession.testing.tape_diff import Identity, described, difference, identity
from polysession.testing.tape_file import Chunk, End, Entry, Exchange, RandomId, TapedRequest, TapeFile

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

StreamEntry: TypeAlias = tuple[Chunk | End, frozenset[int]]
"""A chunk or the end of a stream, with the positions of the writes before it."""


class Playback:
    """Replays the entries of a tape. Thread-safe.

    Args:
        file: The tape.
        match_headers: Names of headers that must be the same as recorded.
    """

    def __init__(self, file: TapeFile, match_headers: Collection[str]) -> None:
        self._exchanges = file.exchanges
        self._match_headers = match_headers
        self._waiting: dict[Identity, deque[int]] = {}
        for position, exchange in enumerate(self._exchanges):
            self._waiting.setdefault(identity(exchange.request, match_headers), deque()).append(position)
        self._streams = _streams(file.entries)
        self._ids = deque(entry.random for entry in file.entries if isinstance(entry, RandomId))
        self._played: set[int] = set()
        self._lock = threading.Lock()

    def take_id(self) -> str | None:
        """Return the next random id; None if there are no more."""
        with self._lock:
            return self._ids.popleft() if self._ids else None

    def take(self, sent: TapedRequest) -> Exchange | None:
        """Return the first exchange with this request that was not replayed yet; None if there is no more."""
        with self._lock:
            waiting = self._waiting.get(identity(sent, self._match_headers))
            if not waiting:
                return None
            self._played.add(waiting[0])
            return self._exchanges[waiting.popleft()]

    def difference(self, sent: TapedRequest) -> str:
        """Describe the difference between a request and the most similar one on the tape."""
        requests = [exchange.request for exchange in self._exchanges]
        return difference(sent, requests, self._played, self._match_headers)

    def stream(self, number: int) -> Sequence[StreamEntry]:
        """The chunks of a stream, and its end."""
        return self._streams.get(number, ())

    def missing(self, causes: frozenset[int]) -> str:
        """Return the first of these requests that was not made yet; empty if all were made."""
        left = min(causes - self._played, default=None)
        return "" if left is None else described(self._exchanges[left].request)

    def left(self) -> list[str]:
        """Return the requests that were not made."""
        return [described(each.request) for at, each in enumerate(self._exchanges) if at not in self._played]


def _streams(entries: Sequence[Entry]) -> dict[int, list[StreamEntry]]:
    found: dict[int, list[StreamEntry]] = {}
    causes: frozenset[int] = frozenset()
    position = 0
    for entry in entries:
        if isinstance(entry, Exchange):
            causes |= set() if entry.request.method in _READS else {position}
            position += 1
        elif isinstance(entry, Chunk | End):
            found.setdefault(entry.stream, []).append((entry, causes))
    return found
