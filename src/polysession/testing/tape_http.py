"""HTTP clients that record their exchanges on a tape, or replay them. They have the httpx methods that we use."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from polysession._drivers.transport import SHUT_DOWN, is_stream
from polysession.testing.tape_file import Exchange, TapedRequest, unpacked
from polysession.testing.tape_streams import RecordedStream, Recording, ReplayedStream, recorded_error

if TYPE_CHECKING:
    from polysession.testing.tape import Tape

_OF_THE_BODY: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class _Taped:
    """The shared part of both clients."""

    def __init__(self, tape: Tape, http: Any) -> None:
        self._tape = tape
        self._http = http

    def build_request(self, *arguments: Any, **options: Any) -> httpx.Request:
        """Build a request, as the HTTP client does."""
        request: httpx.Request = self._http.build_request(*arguments, **options)
        return request

    def _taped_request(self, request: httpx.Request) -> TapedRequest:
        target = request.url.raw_path.decode("ascii")
        return self._tape.request(request.method, target, request.headers, request.content)


class TapedClient(_Taped):
    """A sync HTTP client over a tape."""

    def send(self, request: httpx.Request, *, stream: bool = False, follow_redirects: bool = False) -> httpx.Response:
        """Answer a request from the tape, or send it and record the response.

        Raises:
            TapeMismatch: The request is not on the tape.
            httpx.TransportError: The recorded error.
        """
        taped = self._taped_request(request)
        exchange = self._tape.play(taped)
        if exchange is None:
            response = self._record(request, taped, follow_redirects=follow_redirects)
        else:
            time.sleep(self._tape.wait_s(exchange.took_ms / 1000))
            response = _replayed(self._tape, exchange, request)
        if not stream:
            response.read()
        return response

    def _record(self, request: httpx.Request, taped: TapedRequest, *, follow_redirects: bool) -> httpx.Response:
        recording = Recording(self._tape, taped)
        try:
            response = self._http.send(request, stream=True, follow_redirects=follow_redirects)
            if is_stream(response):
                return _forwarded(response, RecordedStream(response, recording.start(response)))
            data = b"".join(response.iter_bytes())
            response.close()
        except httpx.TransportError as error:
            recording.fail(error)
            raise
        recording.finish(response, data)
        return _forwarded(response, httpx.ByteStream(data))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncTapedClient(_Taped):
    """An async HTTP client over a tape."""

    async def send(
        self, request: httpx.Request, *, stream: bool = False, follow_redirects: bool = False
    ) -> httpx.Response:
        """Answer a request from the tape, or send it and record the response; see `TapedClient.send`."""
        taped = self._taped_request(request)
        exchange = self._tape.play(taped)
        if exchange is None:
            response = await self._record(request, taped, follow_redirects=follow_redirects)
        else:
            await asyncio.sleep(self._tape.wait_s(exchange.took_ms / 1000))
            response = _replayed(self._tape, exchange, request)
        if not stream:
            await response.aread()
        return response

    async def _record(self, request: httpx.Request, taped: TapedRequest, *, follow_redirects: bool) -> httpx.Response:
        recording = Recording(self._tape, taped)
        try:
            response = await self._http.send(request, stream=True, follow_redirects=follow_redirects)
            if is_stream(response):
                return _forwarded(response, RecordedStream(response, recording.start(response)))
            data = b"".join([chunk async for chunk in response.aiter_bytes()])
            await response.aclose()
        except httpx.TransportError as error:
            recording.fail(error)
            raise
        recording.finish(response, data)
        return _forwarded(response, httpx.ByteStream(data))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _replayed(tape: Tape, exchange: Exchange, request: httpx.Request) -> httpx.Response:
    """Return the recorded response.

    Raises:
        httpx.TransportError: The recording has an error instead.
    """
    recorded = exchange.response
    if recorded is None:
        raise recorded_error(exchange.error)
    extensions: dict[str, Any] = {}
    body: httpx.ByteStream | ReplayedStream = httpx.ByteStream(unpacked(recorded.body))
    if exchange.stream is not None:
        body = ReplayedStream(tape, exchange, exchange.stream)
        extensions[SHUT_DOWN] = body.was_shut_down
    return httpx.Response(
        recorded.status, headers=recorded.headers, stream=body, request=request, extensions=extensions
    )


def _forwarded(response: httpx.Response, body: httpx.ByteStream | RecordedStream) -> httpx.Response:
    """Return a response with its recorded, decompressed body."""
    headers = [pair for pair in response.headers.multi_items() if pair[0] not in _OF_THE_BODY]
    extensions = dict(response.extensions)
    if isinstance(body, RecordedStream):
        extensions[SHUT_DOWN] = body.was_shut_down
    return httpx.Response(
        response.status_code, headers=headers, stream=body, request=response.request, extensions=extensions
    )
