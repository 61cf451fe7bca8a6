"""Stands between a client and an emulator, and spoils its streams to the byte."""

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
_LOOK_S: Final = 0.02
_UNAVAILABLE: Final = http(503, "{}")

Move: TypeAlias = bytes | float | Literal["reset", "close"]
"""Bytes to send, seconds to wait, or how the connection ends."""

FaultInjector: TypeAlias = Callable[[bytes, Iterator[bytes]], Iterable[Move]]
"""Given the head and the chunks that the emulator sends, what reaches the client."""


def chunk(data: bytes) -> bytes:
    """Data in HTTP's chunked coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def untouched(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
    """Everything, as it comes."""
    yield head
    yield from map(chunk, chunks)
    yield LAST


class FaultProxy:
    """Passes requests on, each on a connection of its own. The next streams are spoiled, one by each spoiler.

    Args:
        base_url: The emulator's.
        spoilers: For the streams to come; those after them are left alone.
        refused_reads: How many readings that are no streams are refused for the moment, once a stream was spoiled.

    Attributes:
        refused_reads: How many of them are still to come.
        streams: How many streams were asked for.
        inputs: How many requests came that are no reading.
    """

    def __init__(self, base_url: str, *spoilers: FaultInjector, refused_reads: int = 0) -> None:
        parts = urlsplit(base_url)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._spoilers = list(spoilers)
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
            spoiler = self._spoilers.pop(0) if self._spoilers else untouched
        answer = upstream.makefile("rb")
        head = b"".join(iter(answer.readline, b"\r\n")) + b"\r\n"
        if b"chunked" not in head.lower():
            connection.sendall(head + answer.read())
            return
        with _watched(connection, upstream) as gone:
            for move in spoiler(head, _chunks(answer)):
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
    """The data of each chunk."""
    while size := int(answer.readline().strip() or b"0", 16):
        yield answer.read(size)
        answer.readline()


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65_536):
        target.sendall(data)


@contextlib.contextmanager
def _watched(connection: socket.socket, upstream: socket.socket) -> Iterator[threading.Event]:
    """Notices that the client has left, and leaves the emulator then: it may be silent for long."""
    gone, done = threading.Event(), threading.Event()

    def watch() -> None:
        # Not a blocking read: that would keep the connection open under a close.
        while not done.is_set():
            if select.select([connection], [], [], _LOOK_S)[0]:
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
