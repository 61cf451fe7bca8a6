"""Runs the same stream scenarios with `Client` and with `AsyncClient`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from polysession._core.retry import RetryPolicy
from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.errors import PolysessionError
from polysession.event import Event, MessageDelta
from support.acme import TOKEN
from support.acme_streams import frame
from support.installed import Site
from support.stream_server import AFTER_INPUT, stream

QUICK = RetryPolicy(first_wait_s=0.0)
HANGS_AFTER_S = 20.0
START, HELLO, WORLD, END = frame(1, "start"), frame(2, "say", "hello"), frame(3, "say", "world"), frame(4, "end")
TURN = ["turn.started", "hello", "world", "turn.ended"]
ONE_TURN = stream(AFTER_INPUT, START, HELLO, WORLD, END)
Scenario = Callable[[Any], Awaitable[Any]]


class AwaitedLoop:
    """Adapts an iterator over a sync stream to an async one."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._events)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._events.close()


class Awaited(AwaitedLoop):
    """Adapts a sync stream to the interface of an async one."""

    def __init__(self, blocking: Any) -> None:
        super().__init__(blocking)
        self._blocking = blocking

    async def __aenter__(self) -> Self:
        self._blocking.__enter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._blocking.__exit__(*exc_info)

    def __aiter__(self) -> Any:
        return AwaitedLoop(iter(self._blocking))

    async def wait(self) -> Any:
        return self._blocking.wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blocking, name)


@dataclass(frozen=True)
class StreamRunner:
    """Runs stream scenarios with one of the two clients."""

    awaited: bool

    def play(self, base_url: str, scenario: Scenario, **options: Any) -> Any:
        return asyncio.run(self._play(scenario, {"base_url": base_url, "token": TOKEN, "retry": QUICK} | options))

    def failure(self, base_url: str, scenario: Scenario, **options: Any) -> PolysessionError:
        with pytest.raises(PolysessionError) as caught:
            self.play(base_url, scenario, **options)
        assert caught.value.provider == "acme"
        assert caught.value.operation in {"sessions.run", "sessions.stream"}
        return caught.value

    async def _play(self, scenario: Scenario, options: dict[str, Any]) -> Any:
        if self.awaited:
            async with AsyncClient("acme", **options) as client:
                return await scenario(client.sessions)
        with Client("acme", **options) as client:
            return await scenario(AwaitedSessions(client))


class AwaitedSessions:
    def __init__(self, client: Client) -> None:
        self._sessions = client.sessions

    def run(self, *arguments: Any, **options: Any) -> Awaited:
        return Awaited(self._sessions.run(*arguments, **options))

    def stream(self, *arguments: Any, **options: Any) -> Awaited:
        return Awaited(self._sessions.stream(*arguments, **options))

    def __getattr__(self, name: str) -> Any:
        """Any other method, as a coroutine function."""

        async def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._sessions, name)(*arguments, **options)

        return call


SYNC, ASYNC = StreamRunner(awaited=False), StreamRunner(awaited=True)
both_stream_runners = pytest.mark.parametrize(
    "stream_runner", [pytest.param(SYNC, id="sync"), pytest.param(ASYNC, id="async")]
)


@pytest.fixture
def acme_streams(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the provider with streams, and switch proxies off for the loopback port."""
    site.install("acme-streams", "acme = support.acme_streams")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Check that all file descriptors are closed after the test and a garbage collection."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    yield
    gc.collect()
    assert len(list(descriptors.iterdir())) == before


@contextlib.contextmanager
def lasting(least_s: float) -> Iterator[None]:
    """Check that a block takes at least this many seconds and does not hang.

    A busy machine may take much longer.
    """
    started_s = time.monotonic()
    yield
    assert least_s <= time.monotonic() - started_s < HANGS_AFTER_S


def text_of(event: Event) -> str:
    return event.text if isinstance(event, MessageDelta) else event.type


async def run_to_the_end(sessions: Any) -> list[str]:
    async with sessions.run("s1", "hi") as turn:
        return [text_of(event) async for event in turn]


async def follow(sessions: Any) -> list[str]:
    async with sessions.stream("s1") as events:
        return [text_of(event) async for event in events]


class Interrupted(BaseException):
    """Raised by `interrupting`."""


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Let SIGALRM raise `Interrupted` in the main thread, like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
