"""Kinds of work, and their repetition. A client of the benchmarks offers some of them.

`get`, `update` and `page` are done n times. `burst` is n simultaneous gets. `stream` reads n events that the server
writes as fast as possible; for `paced` the server waits before each event. `held_page` and `held_stream` return
everything that they read, to be held while memory is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

Work = dict[str, Callable[[int], object]]
"""Functions that do a kind of work n times, by name."""

OpenClient = Callable[[str, asyncio.Runner], AbstractContextManager[Work]]
"""Function that opens a client of the server at a URL."""


def repeat(once: Callable[[], object]) -> Callable[[int], None]:
    """Return a function that does a piece of work n times."""

    def work(times: int) -> None:
        for _ in range(times):
            once()

    return work


def repeat_async(runner: asyncio.Runner, once: Callable[[], Awaitable[object]]) -> Callable[[int], None]:
    """Return a function that does an awaitable piece of work n times, one after the other."""

    async def repeated(times: int) -> None:
        for _ in range(times):
            await once()

    return lambda times: runner.run(repeated(times))


def at_once(runner: asyncio.Runner, once: Callable[[], Awaitable[object]]) -> Callable[[int], None]:
    """Return a function that does an awaitable piece of work n times at the same time."""

    async def gathered(times: int) -> None:
        await asyncio.gather(*(once() for _ in range(times)))

    return lambda times: runner.run(gathered(times))


def count(events: Iterator[object], wanted: int) -> None:
    """Read a number of events.

    Raises:
        AssertionError: The stream ended earlier.
    """
    seen = 0
    for _ in events:
        seen += 1
        if seen == wanted:
            return
    raise AssertionError(f"{seen} events came, not {wanted}")


async def count_async(events: AsyncIterator[object], wanted: int) -> None:
    """Read a number of events.

    Raises:
        AssertionError: The stream ended earlier.
    """
    seen = 0
    async for _ in events:
        seen += 1
        if seen == wanted:
            return
    raise AssertionError(f"{seen} events came, not {wanted}")
