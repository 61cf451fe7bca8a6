"""Runs the same test code with `Client` and with `AsyncClient`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from polysession.async_client import AsyncClient
from polysession.async_paginator import AsyncPaginator
from polysession.client import Client
from polysession.paginator import Paginator
from polysession.testing import Tape
from support.stream_runners import Awaited

Handler = Callable[[httpx.Request], httpx.Response]
Use = Callable[[Any], Any]


@dataclass(frozen=True)
class ClientRunner:
    """Runs calls and scenarios with one of the two clients.

    With the option `tape` it is a client of that tape.
    """

    awaited: bool

    def http(self, handler: Handler, **options: Any) -> httpx.Client | httpx.AsyncClient:
        """Return an HTTP client that calls `handler` instead of a server.

        It is sync or async, like the runner.
        """
        transport = httpx.MockTransport(handler)
        if self.awaited:
            return httpx.AsyncClient(transport=transport, **options)
        return httpx.Client(transport=transport, **options)

    def call(self, provider: str, use: Use, /, **options: Any) -> Any:
        """Return the result of `use` for a new client.

        Awaitables are awaited, and lists are read to their end.
        """
        if self.awaited:
            return asyncio.run(self._call_async(provider, use, options))
        with _opened(provider, **options) as client:
            result = use(client)
            return list(result) if isinstance(result, Paginator) else result

    def play(self, provider: str, scenario: Callable[[Any], Awaitable[Any]], /, **options: Any) -> Any:
        """Run a scenario that is written for `AsyncClient`. `Client` is adapted to it."""
        return asyncio.run(self._play(provider, scenario, options))

    async def _play(self, provider: str, scenario: Callable[[Any], Awaitable[Any]], options: dict[str, Any]) -> Any:
        if self.awaited:
            async with _opened_async(provider, **options) as client:
                return await scenario(client)
        with _opened(provider, **options) as blocking:
            return await scenario(AwaitedClient(blocking))

    async def _call_async(self, provider: str, use: Use, options: dict[str, Any]) -> Any:
        async with _opened_async(provider, **options) as client:
            result = use(client)
            if isinstance(result, AsyncPaginator):
                return [item async for item in result]
            return await result if inspect.isawaitable(result) else result


def _opened(provider: str, *, tape: Tape | None = None, **options: Any) -> AbstractContextManager[Client]:
    return Client(provider, **options) if tape is None else tape.client(provider, **options)


def _opened_async(
    provider: str, *, tape: Tape | None = None, **options: Any
) -> AbstractAsyncContextManager[AsyncClient]:
    return AsyncClient(provider, **options) if tape is None else tape.async_client(provider, **options)


class AwaitedClient:
    """Adapts `Client` to the interface of `AsyncClient`."""

    def __init__(self, client: Client) -> None:
        self.sessions = _AwaitedSessions(client.sessions)


class _AwaitedSessions:
    def __init__(self, sessions: Any) -> None:
        self._sessions = sessions

    def run(self, *arguments: Any, **options: Any) -> Awaited:
        return Awaited(self._sessions.run(*arguments, **options))

    def stream(self, *arguments: Any, **options: Any) -> Awaited:
        return Awaited(self._sessions.stream(*arguments, **options))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._sessions, name)(*arguments, **options)

        return call


SYNC, ASYNC = ClientRunner(awaited=False), ClientRunner(awaited=True)

both_runners = pytest.mark.parametrize("runner", [pytest.param(SYNC, id="sync"), pytest.param(ASYNC, id="async")])
"""Runs a test once with each client."""
