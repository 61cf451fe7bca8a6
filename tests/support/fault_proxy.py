"""A proxy between a client and an emulator that injects faults into streams at exact bytes."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from polysession.testing.fault_server import HEAD_END, RESET_ON_CLOSE, http, read_request, send_answer

LAST: Final = b"0\r\n\r\n"
_LIMIT_S: Final = 15.0
_POLL_S: Final = 0.02
_UNAVAILABLE: Final = http(503, "{}")

Move: TypeAlias = bytes | float | Literal["reset", "close"]
"""Bytes to send, seconds to wait, or the way in which the connection ends."""

FaultInjector: TypeAlias = Callable[[bytes, Iterator[bytes]], Iterable[Move]]
"""Function that yields the moves towards the client. Arguments: the emulator's response head, and its chunks."""


def chunk(data: bytes) -> bytes:
    """Return data in HTTP's chunked coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def untouched(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
    """Yield the response without a fault."""
    yield head
    yield from map(chunk, chunks)
    yield LAST


class FaultProxy:
    """Forwards each request on a new connection. Each injector spoils one of the next streams.

    Args:
        base_url: URL of the emulator.
        injectors: Fault injectors for the next streams, in order. Later streams are forwarded without a fault.
        refused_reads: Number of GET requests, streams aside, to answer with 503 once a stream was spoiled.

    Attributes:
        refused_reads: Number of GET requests that will still be answered with 503.
        streams: Number of requested streams.
        inputs: Number of requests other than GET.
    """

    def __init__(self, base_url: str, *injectors: FaultInjector, refused_reads: int = 0) -> None:
        parts = urlsplit(base_url)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._injectors = list(injectors)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._lock = threading.Lock()
        self._has_spoiled = False
        self.refused_reads = refused_reads
        self.streams = 0
        self.inputs = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{parts.path}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread up
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._handle, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_LIMIT_S)
            request = read_request(connection)
            if not request:
                return
            is_stream, is_read = b"text/event-stream" in request.partition(HEAD_END)[0], request.startswith(b"GET ")
            self.inputs += not is_read
            if is_read and not is_stream and self._is_refused():
                send_answer(connection, _UNAVAILABLE)
                return
            with socket.create_connection(self._upstream, timeout=_LIMIT_S) as upstream:
                upstream.sendall(request.replace(HEAD_END, b"\r\nconnection: close" + HEAD_END, 1))
                if is_stream:
                    self._spoil(connection, upstream)
                else:
                    _copy(upstream, connection)

    def _is_refused(self) -> bool:
        with self._lock:
            is_refused = self._has_spoiled and self.refused_reads > 0
            self.refused_reads -= is_refused
            return is_refused

    def _spoil(self, connection: socket.socket, upstream: socket.socket) -> None:
        with self._lock:
            self.streams += 1
            injector = self._injectors.pop(0) if self._injectors else untouched
        answer = upstream.makefile("rb")
        head = b"".join(iter(answer.readline, b"\r\n")) + b"\r\n"
        if b"chunked" not in head.lower():
            connection.sendall(head + answer.read())
            return
        with _watched(connection, upstream) as gone:
            for move in injector(head, _chunks(answer)):
                if isinstance(move, bytes):
                    connection.sendall(move)
                elif isinstance(move, float):
                    gone.wait(move)
                else:
                    self._has_spoiled = True
                    if move == "reset":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    return


def _chunks(answer: BufferedReader) -> Iterator[bytes]:
    """Yield the data of each chunk."""
    while size := int(answer.readline().strip() or b"0", 16):
        yield answer.read(size)
        answer.readline()


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65_536):
        target.sendall(data)


@contextlib.contextmanager
def _watched(connection: socket.socket, upstream: socket.socket) -> Iterator[threading.Event]:
    """Close the emulator's connection as soon as the client closes its own.

    The emulator may be silent for long.
    """
    gone, done = threading.Event(), threading.Event()

    def watch() -> None:
        # Not a blocking read, which would keep the connection open during a close.
        while not done.is_set():
            if select.select([connection], [], [], _POLL_S)[0]:
                gone.set()
                with contextlib.suppress(OSError):
                    upstream.shutdown(socket.SHUT_RDWR)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield gone
    finally:
        done.set()
        thread.join()
