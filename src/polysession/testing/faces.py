"""The async client with the methods of the sync one, so that each test is written once and runs with both."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from enum import StrEnum
from typing import Any, Final, Self, cast

from polysession._drivers.async_stream import AsyncEventStream
from polysession.async_client import AsyncClient
from polysession.async_paginator import AsyncPaginator
from polysession.async_resource_operations import AsyncAgents, AsyncEnvironments, AsyncModels
from polysession.async_session_operations import AsyncSessions
from polysession.client import Client

_END = object()


class Face(StrEnum):
    """One of the two clients.

    Attributes:
        SYNC: `Client`.
        ASYNC: `AsyncClient`, with the methods of `Client`.
    """

    SYNC = "sync"
    ASYNC = "async"


@contextlib.contextmanager
def open_client(
    face: Face,
    provider: str,
    *,
    http_client: Callable[[], Any] = lambda: None,
    async_http_client: Callable[[], Any] = lambda: None,
    **options: Any,
) -> Iterator[Client]:
    """Open a client of either kind, for use like a `Client`. An async client runs in its own event loop.

    Args:
        face: The kind of client.
        provider: Name of the provider.
        http_client: Returns the HTTP client to inject; None injects none. The HTTP client is closed at the end.
        async_http_client: The same for the async client, called inside its event loop.
        options: Settings, and the other arguments of a client.
    """
    if face is Face.SYNC:
        with contextlib.ExitStack() as stack:
            injected = http_client()
            if injected is not None:
                stack.callback(injected.close)
            yield stack.enter_context(Client(provider, http_client=injected, **options))
        return
    with asyncio.Runner() as runner:
        client, injected = runner.run(_open_async(provider, async_http_client, options))
        try:
            yield cast("Client", _Blocking(client, runner))
        finally:
            runner.run(_close_async(client, injected))


async def _open_async(
    provider: str, async_http_client: Callable[[], Any], options: dict[str, Any]
) -> tuple[AsyncClient, Any]:
    injected = async_http_client()
    try:
        return AsyncClient(provider, http_client=injected, **options), injected
    except BaseException:
        if injected is not None:
            await injected.aclose()
        raise


async def _close_async(client: AsyncClient, injected: Any) -> None:
    await client.aclose()
    if injected is not None:
        await injected.aclose()


_PARTS: Final = (AsyncSessions, AsyncAgents, AsyncEnvironments, AsyncModels, AsyncPaginator)


class _Blocking:
    """An object of the async client, with the methods of its sync counterpart."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, "aclose" if name == "close" else name)
        if inspect.ismethod(value):
            return lambda *args, **options: self._blocking(value(*args, **options))
        return self._blocking(value)

    def __enter__(self) -> Self:
        self._run(self._target.__aenter__())
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._run(self._target.__aexit__(*exc_info))

    def __iter__(self) -> Iterator[Any]:
        items = aiter(self._target)
        try:
            while (item := self._run(_next(items))) is not _END:
                yield item
        finally:
            if isinstance(items, AsyncGenerator) and not isinstance(self._target, AsyncEventStream):
                self._run(items.aclose())

    def __next__(self) -> Any:
        item = self._run(_next(self._target))
        if item is _END:
            raise StopIteration
        return item

    def __repr__(self) -> str:
        return repr(self._target)

    def _run(self, awaitable: Awaitable[Any]) -> Any:
        return self._runner.run(_await(awaitable))

    def _blocking(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._run(value)
        streamed = hasattr(value, "__aiter__") or hasattr(value, "__aenter__")
        if streamed or isinstance(value, _PARTS):
            return _Blocking(value, self._runner)
        return value


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _next(items: Any) -> Any:
    return await anext(items, _END)
