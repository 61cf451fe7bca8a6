"""A server of live streams on 127.0.0.1 that sends exact bytes.

It stalls, drops or ends streams as scripted.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

from polysession.testing.fault_server import RESET_ON_CLOSE, Answer, http, read_request, send_answer

_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%stransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
_PING: Final = b": ping\n\n"
_LIMIT_S: Final = 10.0

AFTER_INPUT: Final = "after input"
"""A part of a stream that waits until a request other than GET of a stream was answered."""


@dataclass(frozen=True)
class Stream:
    """The script of one connection.

    Attributes:
        parts: Bytes to send, seconds to wait, or `AFTER_INPUT`.
        end: End of the connection: `hold` keeps it open until the client closes it, `close` ends the response properly,
            `drop` closes it inside the response, and `reset` resets it.
        ping_s: Seconds between two comments while the connection is held; 0 for none.
        content_type: Content type of the response.
        head_after_s: Seconds before the response.
        head: Additional headers.
    """

    parts: tuple[bytes | float | str, ...]
    end: Literal["hold", "close", "drop", "reset"] = "hold"
    ping_s: float = 0.0
    content_type: str = "text/event-stream; charset=utf-8"
    head_after_s: float = 0.0
    head: tuple[tuple[str, str], ...] = ()


def stream(*parts: bytes | float | str, end: Literal["hold", "close", "drop", "reset"] = "hold") -> Stream:
    return Stream(parts, end)


class StreamServer:
    """Answers each GET of a `/stream` with the next stream, and others with the next reply.

    The last stream and the last reply repeat. After `connections` connections, if that is set, the server stops
    listening.
    """

    def __init__(
        self,
        *streams: Stream | Answer,
        replies: tuple[Answer, ...] = (http(200, "{}"),),
        connections: int | None = None,
    ) -> None:
        self._streams, self._replies = list(streams), list(replies)
        self._left = connections
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._posted = threading.Event()
        self._closed = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._whole = 0
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def targets(self) -> list[str]:
        """Method and target of each request."""
        return [request.split(b" HTTP/1.1\r\n", 1)[0].decode() for request in self.requests]

    def sent_whole(self) -> int:
        """Return the number of streams that were sent whole to a connected client."""
        return self._whole

    def saw_close(self, times: int = 1) -> bool:
        """Whether the client closes this number of open streams, within two seconds each."""
        return all(self._closed.acquire(timeout=2) for _ in range(times))

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread up
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()

    def _accept(self) -> None:
        while self._left is None or self._left > 0:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._left = self._left and self._left - 1
            thread = threading.Thread(target=self._handle, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()
        self._listener.close()

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(_LIMIT_S)
            request = read_request(connection)
            if not request:
                return
            following = b"/stream" in request.split(b"\r\n", 1)[0]
            with self._lock:
                self.requests.append(request)
                answers: list[Stream | Answer] = self._streams if following else self._replies  # type: ignore[assignment]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Stream):
                try:
                    self._send(connection, answer)
                except OSError:
                    self._closed.release()
            else:
                send_answer(connection, answer)
                self._posted.set()

    def _send(self, connection: socket.socket, script: Stream) -> None:
        time.sleep(script.head_after_s)
        headers = "".join(f"{name}: {value}\r\n" for name, value in script.head)
        connection.sendall(_HEAD % (script.content_type.encode(), headers.encode()))
        for part in script.parts:
            if isinstance(part, bytes):
                connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            elif isinstance(part, str):
                assert self._posted.wait(_LIMIT_S)
            else:
                time.sleep(part)
        if script.end == "close":
            connection.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                if not connection.recv(1):
                    raise ConnectionResetError
            connection.settimeout(_LIMIT_S)
            self._whole += 1
            connection.sendall(b"0\r\n\r\n")
        elif script.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        elif script.end == "hold":
            self._hold(connection, script.ping_s)

    def _hold(self, connection: socket.socket, ping_s: float) -> None:
        connection.settimeout(ping_s or _LIMIT_S)
        while True:
            try:
                if not connection.recv(1):
                    break
            except TimeoutError:
                if not ping_s:
                    return
                connection.sendall(b"%x\r\n%s\r\n" % (len(_PING), _PING))
        self._closed.release()
