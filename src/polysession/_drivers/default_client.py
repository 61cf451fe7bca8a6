"""The default HTTP clients."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import httpx

from polysession._drivers.environment import named_faults, tls_context
from polysession.errors import UsageError

if TYPE_CHECKING:
    from polysession._drivers.aiohttp_client import AiohttpClient

CONNECT_LIMIT_S: Final = 5.0
DEFAULT_TIMEOUT: Final = httpx.Timeout(30.0, connect=CONNECT_LIMIT_S)
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Each live stream holds a connection, and its turn's input needs another: with a limit all of them could wait."""


class _Cookies(httpx.Cookies):
    """Cookies that search a response only if it sets some: preparing the search takes a tenth of a call."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Store the cookies that a response sets."""
        if "set-cookie" in response.headers:
            super().extract_cookies(response)


class _Client(httpx.Client):
    cookies = cached_property(lambda _: _Cookies())  # type: ignore[override]  # its setter is not used


class _AsyncClient(httpx.AsyncClient):
    cookies = cached_property(lambda _: _Cookies())  # type: ignore[override]  # likewise


def new_http_client(limits: httpx.Limits | None = None) -> httpx.Client:
    """A sync HTTP client.

    Args:
        limits: Of its connections; None for ours.

    Raises:
        UsageError: The environment names a proxy or certificates that cannot be used.
    """
    with named_faults():
        return _Client(verify=tls_context(), timeout=DEFAULT_TIMEOUT, limits=limits or LIMITS)


def new_async_http_client(
    limits: httpx.Limits | None = None, *, http: str | None = None
) -> httpx.AsyncClient | AiohttpClient:
    """An async HTTP client.

    Args:
        limits: Of its connections; None for ours.
        http: `"aiohttp"` for a client on aiohttp's connections, which are much cheaper when many calls run at once;
            None for the connections of httpx.

    Raises:
        UsageError: The environment names a proxy or certificates that cannot be used, or there is no such `http`.
    """
    with named_faults():
        if http is None:
            return _AsyncClient(verify=tls_context(), timeout=DEFAULT_TIMEOUT, limits=limits or LIMITS)
        return _aiohttp_client(http, limits or LIMITS)


def _aiohttp_client(http: str, limits: httpx.Limits) -> AiohttpClient:
    if http != "aiohttp":
        raise UsageError(f'http must be "aiohttp", or None for httpx, not {http!r}')
    try:
        from polysession._drivers.aiohttp_client import AiohttpClient  # noqa: PLC0415  (only if asked for)
    except ImportError as error:
        missing = error
    else:
        return AiohttpClient(tls_context(), limits)
    raise UsageError('http="aiohttp" needs the package aiohttp: pip install "polysession[aiohttp]"') from missing
