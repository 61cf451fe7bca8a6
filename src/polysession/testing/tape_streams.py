"""Streams that are recorded on a tape while they are read, and streams that are replayed from a tape."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from polysession.testing.tape_diff import described
from polysession.testing.tape_file import Chunk, End, Exchange, TapedRequest, TapedResponse, packed

if TYPE_CHECKING:
    from polysession.testing.tape import Tape

_GRACE_S: Final = 5.0
"""Maximum additional wait of a program, compared with the recording, before it fails."""
_POLL_S: Final = 0.005


class Recording:
    """Records one exchange, and the chunks of its stream."""

    def __init__(self, tape: Tape, request: TapedRequest) -> None:
        self._tape = tape
        self._request = request
        self._started_ms = tape.now_ms()
        self._stream = 0
        self._has_ended = False

    def finish(self, response: httpx.Response, data: bytes) -> None:
        """Record a response with its body."""
        self._add(response=self._taped(response, data))

    def start(self, response: httpx.Response) -> Recording:
        """Record the beginning of a stream."""
        self._stream = self._tape.new_stream()
        self._add(response=self._taped(response, b""), stream=self._stream)
        return self

    def fail(self, error: httpx.TransportError) -> None:
        """Record that there was no response."""
        self._add(error=type(error).__name__)

    def chunk(self, data: bytes) -> bytes:
        """Record a chunk of the stream and return it."""
        self._tape.add(Chunk.of(self._tape.data(data), ms=self._tape.now_ms(), stream=self._stream))
        return data

    def end(self, by: str, error: Exception | None = None) -> None:
        """Record the end of the stream, once."""
        if not self._has_ended:
            self._has_ended = True
            name = None if error is None else type(error).__name__
            self._tape.add(
                End.model_validate({"ms": self._tape.now_ms(), "stream": self._stream, "end": by, "error": name})
            )

    def _add(self, **fields: Any) -> None:
        took_ms = self._tape.now_ms() - self._started_ms
        self._tape.add(Exchange(ms=self._started_ms, took_ms=took_ms, request=self._request, **fields))

    def _taped(self, response: httpx.Response, data: bytes) -> TapedResponse:
        headers = self._tape.response_headers(response.headers)
        return TapedResponse(status=response.status_code, headers=headers, body=packed(self._tape.data(data)))


class RecordedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The chunks of a streamed response, recorded while they are read.

    Attributes:
        was_shut_down: Set when a deadline of the client ended a blocking read.
    """

    def __init__(self, response: httpx.Response, recording: Recording) -> None:
        self.was_shut_down: threading.Event = threading.Event()
        self._response = response
        self._recording = recording

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self._response.iter_bytes():
                yield self._recording.chunk(data)
        except httpx.TransportError as error:
            self._fail(error)
            raise
        self._recording.end("server")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.aiter_bytes():
                yield self._recording.chunk(data)
        except httpx.TransportError as error:
            self._fail(error)
            raise
        self._recording.end("server")

    def close(self) -> None:
        """Close the connection."""
        self._recording.end("client")
        self._response.close()

    async def aclose(self) -> None:
        """Close the connection."""
        self._recording.end("client")
        await self._response.aclose()

    def _fail(self, error: httpx.TransportError) -> None:
        if self.was_shut_down.is_set():
            self._recording.end("client")
        else:
            self._recording.end("error", error)


@dataclass(frozen=True, slots=True)
class _Silence:
    """A silence of at most this many seconds, which ends early if the client leaves."""

    most_s: float


class ReplayedStream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The chunks of a recorded stream.

    Attributes:
        was_shut_down: Set when a deadline of the client ends a blocking read.
    """

    def __init__(self, tape: Tape, exchange: Exchange, stream: int) -> None:
        self._tape = tape
        self._exchange = exchange
        self._stream = stream
        self.was_shut_down: threading.Event = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        for step in self._steps():
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, float):
                time.sleep(step)
            elif self.was_shut_down.wait(step.most_s):
                return

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self._steps():
            if isinstance(step, bytes):
                yield step
            else:
                await asyncio.sleep(step if isinstance(step, float) else step.most_s)

    def _steps(self) -> Iterator[bytes | float | _Silence]:
        """Yield bytes to deliver and seconds to wait."""
        before_ms, pause_s = self._exchange.ms + self._exchange.took_ms, 0.0
        for entry, causes in self._tape.playback.stream(self._stream):
            yield from self._wait_for(causes)
            pause_s = (entry.ms - before_ms) / 1000
            before_ms = entry.ms
            if isinstance(entry, Chunk):
                yield self._tape.wait_s(pause_s)
                yield entry.data
            elif entry.end == "server":
                return
            elif entry.end == "error":
                raise recorded_error(entry.error)
        yield _Silence(pause_s + _GRACE_S)
        raise self._tape.mismatch(f"the program reads {self._name} further than the recorded program did")

    def _wait_for(self, causes: frozenset[int]) -> Iterator[float]:
        """Wait until these requests have been made."""
        deadline_s = time.monotonic() + _GRACE_S
        while missing := self._tape.playback.missing(causes):
            if time.monotonic() > deadline_s:
                raise self._tape.mismatch(f"{self._name} waits for {missing}, which the program did not send")
            yield _POLL_S

    @property
    def _name(self) -> str:
        return f"the stream of {described(self._exchange.request)}"


def recorded_error(name: str | None) -> httpx.TransportError:
    """Return an error of httpx by the name of its class."""
    error_class = getattr(httpx, name or "", httpx.ReadError)
    error: httpx.TransportError = error_class("as recorded on the tape")
    return error
