"""Kinds of work, and how they are repeated. A client of the benchmarks offers some of them.

`get`, `update` and `page` are done n times; `burst` is n gets at once; `stream` reads n events of a stream whose server
writes as fast as it can; `paced` reads n events whose server waits before each. `held_page` and `held_stream` return
all that they read, to be held while memory is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

Work = dict[str, Callable[[int], object]]
"""By name, functions that do a kind of work n times."""

OpenClient = Callable[[str, asyncio.Runner], AbstractContextManager[Work]]
"""Opens a client of the server at an address."""


def repeat(once: Callable[[], object]) -> Callable[[int], None]:
    """Do a piece of work n times."""

    def work(times: int) -> None:
        for _ in range(times):
            once()

    return work


def repeat_async(runner: asyncio.Runner, once: Callable[[], Awaitable[object]]) -> Callable[[int], None]:
    """Do an awaitable piece of work n times, one after the other."""

    async def repeated(times: int) -> None:
        for _ in range(times):
            await once()

    return lambda times: runner.run(repeated(times))


def at_once(runner: asyncio.Runner, once: Callable[[], Awaitable[object]]) -> Callable[[int], None]:
    """Do an awaitable piece of work n times at once."""

    async def gathered(times: int) -> None:
        await asyncio.gather(*(once() for _ in range(times)))

    return lambda times: runner.run(gathered(times))


def count(events: Iterator[object], wanted: int) -> None:
    """Read that many events.

    Raises:
        AssertionError: The stream ended before.
    """
    seen = 0
    for _ in events:
        seen += 1
        if seen == wanted:
            return
    raise AssertionError(f"{seen} events came, not {wanted}")


async def count_async(events: AsyncIterator[object], wanted: int) -> None:
    """Read that many events.

    Raises:
        AssertionError: The stream ended before.
    """
    seen = 0
    async for _ in events:
        seen += 1
        if seen == wanted:
            return
    raise AssertionError(f"{seen} events came, not {wanted}")
