"""The HTTP libraries that clients send with: httpx of their own, httpx2 that is given to them, and aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from polysession import AsyncClient, Client
from polysession._drivers.environment import tls_context
from stress.outcomes import DRIVERS


def _nothing() -> None:
    """A client makes its own HTTP client."""


@dataclass(frozen=True)
class Library:
    """An HTTP library.

    Attributes:
        drivers: The drivers that can use it.
        blocking: Makes the HTTP client that is given to a `Client`; None gives none.
        awaited: The same for an `AsyncClient`.
        http: The option of `AsyncClient` that chooses it.
    """

    drivers: tuple[str, ...] = DRIVERS
    blocking: Callable[[], Any] = _nothing
    awaited: Callable[[], Any] = _nothing
    http: Any = None

    @contextmanager
    def client(self, provider: str, **options: Any) -> Iterator[Client]:
        """A `Client`, whose connections are free again, or closed, when it has been used."""
        given = self.blocking()
        try:
            with Client(provider, http_client=given, **options) as client:
                try:
                    yield client
                finally:
                    assert busy_connections(client) == []
        finally:
            if given is not None:
                given.close()

    @asynccontextmanager
    async def async_client(self, provider: str, **options: Any) -> AsyncIterator[AsyncClient]:
        """An `AsyncClient`, likewise."""
        given = self.awaited()
        try:
            async with AsyncClient(provider, http_client=given, http=self.http, **options) as client:
                try:
                    yield client
                finally:
                    assert busy_connections(client) == []
        finally:
            if given is not None:
                await given.aclose()


LIBRARIES: Final = {
    "httpx": Library(),
    "httpx2": Library(
        blocking=lambda: httpx2.Client(trust_env=False, verify=tls_context()),
        awaited=lambda: httpx2.AsyncClient(trust_env=False, verify=tls_context()),
    ),
    "aiohttp": Library(drivers=("async",), http="aiohttp"),
}


def busy_connections(client: Client | AsyncClient) -> list[str]:
    """Connections of the pool that are neither closed nor free for the next call."""
    http: Any = client._driver._holder._http
    if hasattr(http, "_session"):  # aiohttp's
        return [str(held) for held in http._session.connector._acquired] if http._session else []
    transport = http._transport
    return [str(held) for held in transport._pool.connections if not (held.is_idle() or held.is_closed())]
