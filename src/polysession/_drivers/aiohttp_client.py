"""An async HTTP client on aiohttp's connections, which are much cheaper when many calls run at once.

The package httpx-aiohttp (0.2) has the same purpose but does not fit here. It rewrites percent-encoded paths. It
reports a broken connection as a connect timeout, which would mean that nothing was sent. It lets aiohttp repeat a
DELETE, and allows at most 100 connections.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Final, TypeVar

import aiohttp
import httpx
from yarl import URL

from polysession._drivers.environment import check_without_socks, has_proxies, proxy_of

T = TypeVar("T")

_CHUNK_BYTES: Final = 64 * 1024
_ERRORS: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientProxyConnectionError, httpx.ProxyError),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
    (aiohttp.ClientPayloadError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
)
"""The httpx error for each aiohttp error; the first match counts."""


class AiohttpClient:
    """An async HTTP client that sends httpx requests and returns httpx responses, on one aiohttp session.

    The session starts with the first request, in the event loop of that request.

    Args:
        verify: The TLS context.
        limits: Limits of its connections.

    Raises:
        UsageError: The environment names a SOCKS proxy.

    Attributes:
        cookies: Cookies that servers have set.
    """

    def __init__(self, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        check_without_socks()
        self.cookies = httpx.Cookies()
        self._has_proxies = has_proxies()
        self._verify = verify
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = True,  # noqa: ARG002  (the body is left to the caller in any case)
        follow_redirects: bool = False,  # noqa: ARG002  (never)
    ) -> httpx.Response:
        """Send a request. The caller reads the body; a redirect is not followed."""
        if self._session is None:
            self._session = self._new_session()
        waits_s = request.extensions.get("timeout", {})
        url = str(request.url)
        proxy = proxy_of(url) if self._has_proxies else None
        sent = self._session.request(
            request.method,
            URL(url, encoded=True),
            headers=request.headers,
            data=request.content or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(connect=waits_s.get("pool"), sock_connect=waits_s.get("connect")),
            middlewares=(_Once(),),
            proxy=None if proxy is None else proxy.url,
        )
        received = await _within(_head_s(waits_s), sent)
        response = httpx.Response(
            received.status,
            headers=received.raw_headers,
            stream=_Body(received, request),
            request=request,
            extensions={"network_stream": _NetworkStream(received)},
        )
        if "set-cookie" in response.headers:
            self.cookies.extract_cookies(response)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        bound = self._limits.max_connections or 0  # 0 means no limit
        idle_s = self._limits.keepalive_expiry
        connector = aiohttp.TCPConnector(ssl=self._verify, limit=bound, keepalive_timeout=idle_s)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


class _Once:
    """Lets a request be sent only once: if a connection was closed, aiohttp repeats some requests, even a DELETE."""

    def __init__(self) -> None:
        self._failure: Exception | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._failure is not None:
            raise self._failure
        try:
            return await handler(request)
        except aiohttp.ClientError as error:
            self._failure = error
            raise


class _NetworkStream:
    """The part that we need of what httpx calls the network stream of a response."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def get_extra_info(self, info: str) -> Any:
        """Return the socket, or another property of the transport; None if the connection is closed."""
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        return None if transport is None else transport.get_extra_info(info)


class _Body(httpx.AsyncByteStream):
    """The body of a response, read in chunks."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        content = self._response.content
        wait_s = self._request.extensions.get("timeout", {}).get("read")  # for a stream it differs from the head's
        while not content.at_eof():
            chunk = content.read_nowait(_CHUNK_BYTES) if content.exception() is None else b""
            chunk = chunk or await _within(wait_s, content.read(_CHUNK_BYTES))
            if chunk:
                yield chunk

    async def aclose(self) -> None:
        self._response.release()
        await asyncio.sleep(0)  # the event loop closes the socket in its next iteration, so before we return


def _head_s(waits_s: Mapping[str, float | None]) -> float | None:
    """Return the seconds for connection and response head; aiohttp ends a slow connection earlier, as not sent."""
    connect_s, read_s = waits_s.get("connect"), waits_s.get("read")
    return None if read_s is None else read_s + (connect_s or 0.0)


async def _within(wait_s: float | None, awaited: Awaitable[T]) -> T:
    """Wait for the network for at most this time, and raise httpx errors for aiohttp errors."""
    try:
        async with asyncio.timeout(wait_s):
            return await awaited
    except aiohttp.ClientError as error:
        kind = next(kind for theirs, kind in _ERRORS if isinstance(error, theirs))
        raise kind(str(error)) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout("no data arrived in time") from error
