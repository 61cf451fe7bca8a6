"""Nothing is kept of what is over: many requests and many reconnections leave memory as it was."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from polysession import AsyncClient, Client, RetryPolicy
from support.qoder_events import cursor_after
from support.steady_server import steady_server

AT_ONCE = RetryPolicy(first_wait_s=0.0)
CURSOR = cursor_after("evt_0")
BLOCKS_PER_ROUND = 0.5
"""Allocations that one request or reconnection may leave behind on average: a leak leaves whole objects, and more."""
SMALL = {"requests": 200, "reconnects": 40}
FULL = {"requests": 20_000, "reconnects": 1_000}
WARM_UP = 300
"""Rounds until the caches of the libraries are full: those of regular expressions, addresses and the like."""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with steady_server() as url:
        yield url


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """Nothing is logged: pytest keeps all that is, where another test of the process has asked for the log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


Work = Callable[[int], None]


@pytest.fixture(params=["sync", "async"])
def work(request: pytest.FixtureRequest, base_url: str) -> Iterator[dict[str, Work]]:
    """The repeated work of a client: `requests`, and `reconnects` of one stream."""
    options: dict[str, Any] = {"token": "pt-x", "base_url": base_url, "retry": AT_ONCE}
    if request.param == "sync":
        with Client("qoder", **options) as client:
            yield {"requests": lambda times: _gets(client, times), "reconnects": lambda times: _reads(client, times)}
        return
    with asyncio.Runner() as runner:
        awaited = AsyncClient("qoder", **options)
        yield {
            "requests": lambda times: runner.run(_agets(awaited, times)),
            "reconnects": lambda times: runner.run(_areads(awaited, times)),
        }
        runner.run(awaited.aclose())


def _gets(client: Client, times: int) -> None:
    for _ in range(times):
        assert client.sessions.get("sess_1").raw["extra"] == [1, 2]


async def _agets(client: AsyncClient, times: int) -> None:
    for _ in range(times):
        assert (await client.sessions.get("sess_1")).raw["extra"] == [1, 2]


def _reads(client: Client, times: int) -> None:
    with client.sessions.stream("sess_1", cursor=CURSOR) as events:
        for _ in range(times):
            next(events)


async def _areads(client: AsyncClient, times: int) -> None:
    async with client.sessions.stream("sess_1", cursor=CURSOR) as events:
        for _ in range(times):
            await anext(events)


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def growths(work: Work, times: int, samples: int) -> list[float]:
    """Blocks of memory that each round leaves behind, measured so often."""
    work(WARM_UP if times > WARM_UP else WARM_UP // 2)
    found = []
    for _ in range(samples):
        before = blocks()
        work(times)
        found.append((blocks() - before) / times)
    return found


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        ("sync", "requests"),
        ("async", "reconnects"),
        pytest.param("sync", "reconnects", marks=pytest.mark.long),
        pytest.param("async", "requests", marks=pytest.mark.long),
    ],
    indirect=["work"],
)
def test_memory_does_not_grow(work: dict[str, Work], kind: str) -> None:
    assert min(growths(work[kind], SMALL[kind], 3)) < BLOCKS_PER_ROUND


@pytest.mark.long
@pytest.mark.parametrize("kind", FULL)
def test_memory_does_not_grow_in_the_long_run(work: dict[str, Work], kind: str) -> None:
    assert max(growths(work[kind], FULL[kind], 1)) < BLOCKS_PER_ROUND
