"""The event log of an emulated session, its followers, and its running turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Generic, TypeVar

E = TypeVar("E")


class EventLog(Generic[E]):
    """An append-only log that any number of streams follow. Use it in the server's event loop.

    Attributes:
        entries: The entries, oldest first.
        closed: Whether no more entries will come.
        followers: How many streams follow it at this moment.
    """

    def __init__(self) -> None:
        self.entries: list[E] = []
        self.closed: bool = False
        self.followers: int = 0
        self._changed = asyncio.Event()

    def append(self, entry: E) -> None:
        """Add an entry and wake every follower."""
        self.entries.append(entry)
        self._wake()

    def close(self) -> None:
        """End every follower after it has received all entries."""
        self.closed = True
        self._wake()

    async def follow(self, start: int, *, heartbeat_s: float) -> AsyncIterator[E | None]:
        """Yield all entries from index `start`, also later ones; None after each `heartbeat_s` seconds of silence."""
        self.followers += 1
        try:
            position = start
            while True:
                changed = self._changed
                while position < len(self.entries):
                    position += 1
                    yield self.entries[position - 1]
                if self.closed:
                    return
                try:
                    await asyncio.wait_for(changed.wait(), heartbeat_s)
                except TimeoutError:
                    yield None
        finally:
            self.followers -= 1

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class TurnTask:
    """At most one turn that runs in the background. Use it in the server's event loop."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether a turn is running at this moment."""
        return self._task is not None and not self._task.done()

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` as the turn."""
        self._task = asyncio.get_running_loop().create_task(work)

    async def cancel(self) -> bool:
        """Stop the turn and wait until it has stopped; return whether one was running."""
        task = self._task
        if task is None or task.done() or task is asyncio.current_task():
            return False
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return True


class Signal:
    """A signal that a turn waits for, or checks during its pauses. Use it in the server's event loop."""

    def __init__(self) -> None:
        self._given = asyncio.Event()

    def give(self) -> None:
        """End the wait; if it has not begun yet, it ends at once."""
        self._given.set()

    async def wait(self, limit_s: float) -> bool:
        """Wait inside a turn for at most `limit_s` seconds; return true as soon as the signal was given."""
        await asyncio.sleep(0)
        if limit_s > 0 and not self._given.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._given.wait(), limit_s)
        return self._given.is_set()


async def pause(seconds: float) -> None:
    """Wait inside a turn."""
    await asyncio.sleep(seconds)
