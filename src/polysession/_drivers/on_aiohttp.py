"""An async HTTP client on aiohttp's connections, which cost far less when many calls run at once.

Used by `AsyncClient` where the extra `aiohttp` is installed and no HTTP client was given. The package httpx-aiohttp
(0.2) does the same and would not do here: it rewrites percent-encoded paths, takes a broken connection for a timeout
while connecting, which says that nothing was sent, lets aiohttp repeat a DELETE, and stops at 100 connections.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import httpx
from yarl import URL

from polysession._drivers.own_client import OwnAsyncClient
from polysession._drivers.transport import LIMITS, tls_context

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
"""httpx's errors for aiohttp's; the first that fits counts."""


class AiohttpClient(OwnAsyncClient):
    """Our client with aiohttp in place of httpx's own pool, for the proxies of the environment too."""

    def new_transport(self) -> httpx.AsyncBaseTransport:
        """What carries the bytes where no proxy does."""
        return _Transport(tls_context(), LIMITS)

    def _init_transport(  # type: ignore[override]
        self, *, transport: httpx.AsyncBaseTransport | None, verify: Any, limits: httpx.Limits, **_: Any
    ) -> httpx.AsyncBaseTransport:
        return transport or _Transport(verify, limits)

    def _init_proxy_transport(  # type: ignore[override]
        self, proxy: httpx.Proxy, *, verify: Any, limits: httpx.Limits, **_: Any
    ) -> httpx.AsyncBaseTransport:
        return _Transport(verify, limits, proxy)


class _Transport(httpx.AsyncBaseTransport):
    """One session of aiohttp, which begins with the first request, in the event loop of that."""

    def __init__(self, verify: ssl.SSLContext, limits: httpx.Limits, proxy: httpx.Proxy | None = None) -> None:
        self._verify = verify
        self._limits = limits
        self._proxy: dict[str, Any] = {}
        if proxy is not None:
            user, password = proxy.auth or ("", "")
            url = proxy.url.copy_with(username=user, password=password)
            self._proxy = {"proxy": str(url), "proxy_headers": proxy.headers}
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._session is None:
            self._session = self._new_session()
        waits_s = request.extensions.get("timeout", {})
        async with _waiting(waits_s.get("read")):
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers,
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=waits_s.get("pool"), sock_connect=waits_s.get("connect"), sock_read=None
                ),
                **self._proxy,
            )
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_Body(response, request), request=request
        )

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        bound = self._limits.max_connections or 0  # which is none
        idle_s = self._limits.keepalive_expiry
        connector = aiohttp.TCPConnector(ssl=self._verify, limit=bound, keepalive_timeout=idle_s)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)
        session._retry_connection = False  # noqa: SLF001  (else it repeats a DELETE by itself, and says nothing)
        return session


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        wait_s = self._request.extensions.get("timeout", {}).get("read")  # of a stream another than for its head
        while True:
            async with _waiting(wait_s):
                chunk = await self._response.content.read(_CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    async def aclose(self) -> None:
        self._response.release()
        await asyncio.sleep(0)  # the socket is closed in the next round of the loop: when we return, it is


@asynccontextmanager
async def _waiting(wait_s: float | None) -> AsyncIterator[None]:
    """Wait for the network, no longer than this, and raise httpx's errors for aiohttp's."""
    try:
        async with asyncio.timeout(wait_s):
            yield
    except aiohttp.ClientError as error:
        kind = next(kind for theirs, kind in _ERRORS if isinstance(error, theirs))
        raise kind(str(error)) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout("nothing came in time") from error
