"""A server on 127.0.0.1 that sends scripted bytes, for responses that no correct server sends."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Answer:
    """The bytes that answer one request, before the connection closes.

    Attributes:
        data: The bytes.
        reset: Whether the connection is reset instead of closed cleanly.
        piece_bytes: Number of bytes that are sent at a time; 0 for all.
        pause_s: Seconds after each piece.
        hold_s: Seconds that the connection stays open after the bytes, unless the client closes it first.
    """

    data: bytes
    reset: bool = False
    piece_bytes: int = 0
    pause_s: float = 0.0
    hold_s: float = 0.0

    @property
    def pieces(self) -> Iterator[bytes]:
        """Return the pieces in which the bytes are sent."""
        size = self.piece_bytes or max(1, len(self.data))
        return (self.data[start : start + size] for start in range(0, len(self.data), size))


def http(status: int, body: bytes | str = b"", **headers: str) -> Answer:
    """Build a correct HTTP response. Write the name of a header with underscores."""
    content = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        f"content-length: {len(content)}",
        "connection: close",
    ]
    return Answer("\r\n".join(lines).encode() + HEAD_END + content)


class FaultServer:
    """Reads a whole request, sends the next answer and closes the connection; the last answer repeats.

    Args:
        answers: The responses that it sends.
        tls: The TLS context; None for no encryption.
        reads_from: Base URL of a correct backend that answers GET requests in its place; None for none. These requests
            are not in `requests`.
    """

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None, reads_from: str | None = None) -> None:
        self._answers = list(answers)
        self._tls = tls
        self._reads_from = reads_from
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.connections: int = 0
        self.requests: list[bytes] = []

    @property
    def url(self) -> str:
        """The URL of the server."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def targets(self) -> list[str]:
        """Method and target of each request."""
        return [request.split(b" HTTP/1.1\r\n", 1)[0].decode() for request in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread up
        self._thread.join(timeout=5)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):  # the client may leave at any moment
                connection.settimeout(5)
                if self._tls is None:
                    self._answer(connection)
                else:
                    with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                        self._answer(encrypted)

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        if not request:
            return
        if self._reads_from is not None and request.startswith(b"GET "):
            pass_on(request, connection, self._reads_from)
            return
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        send_answer(connection, answer)


def pass_on(request: bytes, connection: socket.socket, base_url: str) -> None:
    """Forward a request to a backend, and its response to the client."""
    parts = urlsplit(base_url)
    line, rest = request.split(b"\r\n", 1)
    method, target = line.split(b" ", 1)
    head = method + b" " + parts.path.encode() + target + b"\r\nconnection: close\r\n"
    with socket.create_connection((parts.hostname, parts.port)) as backend:
        backend.sendall(head + rest)
        while received := backend.recv(65_536):
            connection.sendall(received)


def send_answer(connection: socket.socket, answer: Answer) -> None:
    """Send the response, and prepare the connection for its close."""
    for piece in answer.pieces:
        connection.sendall(piece)
        time.sleep(answer.pause_s)
    if answer.hold_s:
        connection.settimeout(answer.hold_s)
        connection.recv(1)
    if answer.reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def read_request(connection: socket.socket) -> bytes:
    """Read one request with its body; empty if the client leaves before the request is complete."""
    data = b""
    while HEAD_END not in data or len(data) < _length(data):
        received = connection.recv(65_536)
        if not received:
            return b""
        data += received
    return data


def _length(data: bytes) -> int:
    head, _, _ = data.partition(HEAD_END)
    declared = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return len(head) + len(HEAD_END) + (int(declared[1]) if declared else 0)


def closed_port() -> str:
    """Return a URL without a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
