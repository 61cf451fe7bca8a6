"""The HTTP client of a driver: the caller's, or one of ours."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar, Protocol

from polysession._drivers.connections import Connections
from polysession._drivers.default_client import new_async_http_client, new_http_client
from polysession.errors import UsageError


class HttpClient(Protocol):
    """The methods that we use of an HTTP client: one of httpx 0.28 or httpx2, or one with the same methods."""

    def build_request(self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]) -> Any:
        """Build a request, with the client's own headers and parameters."""

    def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> Any:
        """Send a request."""

    def close(self) -> None:
        """Close the connections."""


class AsyncHttpClient(Protocol):
    """The same for asyncio."""

    def build_request(self, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]) -> Any:
        """Build a request, with the client's own headers and parameters."""

    def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> Awaitable[Any]:
        """Send a request."""

    async def aclose(self) -> None:
        """Close the connections."""


class ClientHolder:
    """Holds the HTTP client of a sync driver, and refuses unsupported use of it.

    Args:
        given: The caller's HTTP client; None for one of ours.
        connections: Options for our HTTP client.

    Raises:
        UsageError: `given` is not a sync HTTP client, or contradicts the options.

    Attributes:
        is_ours: Whether the HTTP client is one of ours.
    """

    _is_async: ClassVar[bool] = False

    def __init__(self, given: HttpClient | AsyncHttpClient | None, connections: Connections) -> None:
        connections.check(given, is_async=self._is_async)
        self.is_ours: bool = given is None
        self._connections = connections
        self._http: Any = self._new() if given is None else _checked(given, is_async=self._is_async)
        self._process_id = os.getpid()
        self._inherited: list[Any] = []
        self._is_closed = False

    def get(self) -> Any:
        """The client, ready for use.

        Raises:
            UsageError: It is closed, or was given to another process.
        """
        if self._is_closed:
            raise UsageError("this client is closed; create a new one")
        if os.getpid() != self._process_id:
            self._renew()
        if not self.is_ours and getattr(self._http, "is_closed", False):
            raise UsageError("the http_client of this client is closed; create a new one")
        return self._http

    def close(self) -> Any:
        """Refuse further use; return the client to close, or None if it is the caller's."""
        self._is_closed = True
        return self._http if self.is_ours else None

    def _new(self) -> Any:
        return new_http_client(self._connections.limits)

    def _renew(self) -> None:
        """Leave the connections to the parent process: on one connection, both would mix up their responses."""
        if not self.is_ours:
            raise UsageError(
                "the http_client of this client belongs to the parent process; create a new client in this process"
            )
        self._inherited.append(self._http)  # closing it would end the parent's encrypted connections
        self._http = self._new()
        self._process_id = os.getpid()


class AsyncClientHolder(ClientHolder):
    """The same for asyncio, where the connections belong to one event loop."""

    _is_async: ClassVar[bool] = True

    def __init__(self, given: HttpClient | AsyncHttpClient | None, connections: Connections) -> None:
        from asyncio import get_running_loop  # noqa: PLC0415  (a sync client does not load asyncio)

        super().__init__(given, connections)
        self._running_loop = get_running_loop
        self._event_loop: object = None

    def _new(self) -> Any:
        return new_async_http_client(self._connections.limits, http=self._connections.http)

    def get(self) -> Any:
        """The client, ready for use.

        Raises:
            UsageError: It is closed, was given to another process, or is used in a second event loop.
        """
        http = super().get()
        if self.is_ours:
            running = self._running_loop()
            if self._event_loop is None:
                self._event_loop = running
            elif self._event_loop is not running:
                raise UsageError("this client belongs to another event loop; create one client for each event loop")
        return http

    def _renew(self) -> None:
        super()._renew()
        self._event_loop = None


def _checked(http: Any, *, is_async: bool) -> Any:
    send = getattr(http, "send", None)
    if not callable(send) or not callable(getattr(http, "build_request", None)) or isinstance(http, type):
        raise UsageError(f"http_client must be a client of httpx or httpx2, or like one, not a {type(http).__name__}")
    if inspect.iscoroutinefunction(send) is not is_async:
        expected = "AsyncClient needs an async http_client" if is_async else "Client needs a sync http_client"
        raise UsageError(f"{expected}, not a {type(http).__module__}.{type(http).__name__}")
    return http
