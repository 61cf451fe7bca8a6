"""HTTP clients of our own: httpx's, which send a request that is complete straight to where it goes.

httpx looks in each call for credentials to add, redirects to follow, hooks to call and cookies in the answer; that is a
sixth of what a call costs, and a request of ours needs none of it. Proxies of the environment, cookies that a server
sets and the line in httpx's log stay as they are there. What calls the transport for us is public, and so is the
transport: whatever replaces its method, to record or to fake answers, goes on working.
"""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.request import getproxies

import httpx

from polysession._drivers.transport import DEFAULT_TIMEOUT, LIMITS, tls_context

_HTTPX_LOG: Final = logging.getLogger("httpx")
_PROXIED: Final = frozenset({"http", "https", "all"})


class OwnClient(httpx.Client):
    """httpx's client for the blocking driver. Requests to be streamed take the short way, without redirects."""

    def __init__(self) -> None:
        self._direct = None if _are_proxies_set() else httpx.HTTPTransport(verify=tls_context(), limits=LIMITS)
        super().__init__(verify=tls_context(), timeout=DEFAULT_TIMEOUT, limits=LIMITS, transport=self._direct)

    def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """Send a request as it is."""
        if self._direct is None or self.is_closed or not stream:
            return super().send(request, stream=stream, **options)
        try:
            response = self._direct.handle_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        _complete(response, request, self.cookies)
        return response


class OwnAsyncClient(httpx.AsyncClient):
    """The same for the async driver."""

    def __init__(self) -> None:
        self._direct = None if _are_proxies_set() else self.new_transport()
        super().__init__(verify=tls_context(), timeout=DEFAULT_TIMEOUT, limits=LIMITS, transport=self._direct)

    def new_transport(self) -> httpx.AsyncBaseTransport:
        """What carries the bytes where no proxy does."""
        return httpx.AsyncHTTPTransport(verify=tls_context(), limits=LIMITS)

    async def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """Send a request as it is."""
        if self._direct is None or self.is_closed or not stream:
            return await super().send(request, stream=stream, **options)
        try:
            response = await self._direct.handle_async_request(request)
        except httpx.RequestError as error:
            error.request = request
            raise
        _complete(response, request, self.cookies)
        return response


def new_http_client() -> httpx.Client:
    """A blocking HTTP client of ours."""
    return OwnClient()


def new_async_http_client() -> httpx.AsyncClient:
    """An async one."""
    return OwnAsyncClient()


def _are_proxies_set() -> bool:
    """Whether httpx would send some requests through a proxy: it asks the same."""
    return not _PROXIED.isdisjoint(getproxies())


def _complete(response: httpx.Response, request: httpx.Request, cookies: httpx.Cookies) -> None:
    """Do what httpx does with every answer."""
    response.request = request
    if "set-cookie" in response.headers:
        cookies.extract_cookies(response)
    if _HTTPX_LOG.isEnabledFor(logging.INFO):
        _HTTPX_LOG.info(
            'HTTP Request: %s %s "%s %d %s"',
            request.method,
            request.url,
            response.http_version,
            response.status_code,
            response.reason_phrase,
        )
