"""HTTP clients that lose the connection of their first stream inside a frame."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from polysession.testing.tape_http import AsyncTapedClient, TapedClient


class _Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response body that breaks some bytes after the start of a word."""

    def __init__(self, response: httpx.Response, word: bytes, more_bytes: int) -> None:
        self._response = response
        self._word = word
        self._more_bytes = more_bytes

    def __iter__(self) -> Iterator[bytes]:
        for data in self._response.iter_raw():
            if self._word in data:
                yield self._before_the_cut(data)
                raise httpx.RemoteProtocolError("the test cuts the connection here")
            yield data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._response.aiter_raw():
            if self._word in data:
                yield self._before_the_cut(data)
                raise httpx.RemoteProtocolError("the test cuts the connection here")
            yield data

    def _before_the_cut(self, data: bytes) -> bytes:
        return data[: data.index(self._word) + self._more_bytes]

    def close(self) -> None:
        self._response.close()

    async def aclose(self) -> None:
        await self._response.aclose()


class _Cutting:
    """Base of the clients: cuts the first stream."""

    def __init__(self, http: Any, word: bytes, more_bytes: int) -> None:
        self._http = http
        self._cut = (word, more_bytes)
        self._has_cut = False
        self.build_request = http.build_request

    def _with_cut(self, response: httpx.Response) -> httpx.Response:
        if self._has_cut or "event-stream" not in response.headers["content-type"]:
            return response
        self._has_cut = True
        body = _Cut(response, *self._cut)
        return httpx.Response(response.status_code, headers=response.headers, stream=body, request=response.request)


class CuttingClient(_Cutting):
    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        http: TapedClient = self._http
        return self._with_cut(http.send(request, **options))

    def close(self) -> None:
        self._http.close()


class AsyncCuttingClient(_Cutting):
    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        http: AsyncTapedClient = self._http
        return self._with_cut(await http.send(request, **options))

    async def aclose(self) -> None:
        await self._http.aclose()
