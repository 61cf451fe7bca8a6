"""A loopback server that plays a tape to whoever asks what was asked when it was recorded."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from tools.recordings.allowed import CREDENTIAL_HEADERS
from tools.recordings.loopback import LoopbackServer
from tools.recordings.provenance import BadEvidence
from tools.recordings.scrubbing import struck_out
from tools.recordings.tape_recorder import parsed
from tools.recordings.tapes import Chunk, End, Entry, Exchange, Tape, TapedRequest

_LIMIT_S: Final = 5.0
_REFUSED: Final = 599


class TapePlayer:
    """Plays a tape in order: an entry comes when all that stands before it has happened.

    A request that is not the next one of the tape, by method, path, query, kept headers and body, is answered by 599,
    and `problems` tells what differs. Leaving the context without an error sees to it that the tape was played whole.

    Args:
        tape: The tape.
        pace: How fast: 0 does not wait, 1 takes the time that it took.
    """

    def __init__(self, tape: Tape, *, pace: float = 0.0) -> None:
        self.problems: list[str] = []
        self._entries = tape.entries
        self._pace = pace
        self._position = 0
        self._streams = 0
        self._is_left = True
        self._started_s: float | None = None
        self._moved = threading.Condition()
        self._server = LoopbackServer(_Handler, player=self)

    @property
    def base_url(self) -> str:
        """Origin of the server; the tape's paths are whole."""
        return self._server.origin

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._moved:
            left = [entry.request for entry in self._entries[self._position :] if isinstance(entry, Exchange)]
            self._streams += 1  # and so a stream that is being played ends
            self._moved.notify_all()
        self._server.stop()
        if exc_type is None and self.problems:
            raise BadEvidence("; ".join(self.problems))
        if exc_type is None and left:
            asked = "; ".join(f"{request.method} {request.path}" for request in left)
            raise BadEvidence(f"half-played: nobody asked for {asked}")

    def take(self, request: TapedRequest) -> Exchange | str:
        """The exchange of a request, if it is the next one; else what is wrong."""
        with self._moved:
            self._moved.wait_for(lambda: not isinstance(self._next(), Chunk | End), _LIMIT_S)
            entry = self._next()
            if isinstance(entry, Exchange):
                problem = difference(request, entry.request)
            else:
                problem = f"{request.method} {request.path} was asked for, and is not on the tape here"
            if problem or not isinstance(entry, Exchange):
                self.problems.append(problem)
                return problem
            self._started_s = time.monotonic() if self._started_s is None else self._started_s
            if entry.stream:
                self._streams += 1
                self._is_left = False
            self._advance()
            return entry

    @property
    def newest_stream(self) -> int:
        """Number of the stream that was opened last."""
        return self._streams

    def next_chunk(self, stream: int) -> bytes | None:
        """The next bytes of a stream, when they are due; None when it is over."""
        with self._moved:
            self._moved.wait_for(lambda: isinstance(self._next(), Chunk | End) or not self._is_playing(stream))
            entry = self._next()
            if not self._is_playing(stream) or entry is None:
                return None
            self._wait_for(entry)
            if isinstance(entry, Chunk):
                self._advance()
                return entry.base64
            if isinstance(entry, End) and entry.end == "client":
                self._moved.wait_for(lambda: not self._is_playing(stream))
            else:
                self._advance()
            return None

    def leave(self, stream: int) -> None:
        """The client has left a stream: what else there is of it is passed over."""
        with self._moved:
            if self._is_playing(stream):
                self._is_left = True
                self._skip()
                self._moved.notify_all()

    def _is_playing(self, stream: int) -> bool:
        return stream == self._streams and not self._is_left

    def _wait_for(self, entry: Entry) -> None:
        if self._pace and self._started_s is not None:
            due_s = self._started_s + self._pace * entry.ms / 1000
            self._moved.wait_for(lambda: self._is_left, max(0.0, due_s - time.monotonic()))

    def _advance(self) -> None:
        self._position += 1
        self._skip()
        self._moved.notify_all()

    def _skip(self) -> None:
        while self._is_left and isinstance(self._next(), Chunk | End):
            self._position += 1

    def _next(self) -> Entry | None:
        return self._entries[self._position] if self._position < len(self._entries) else None


class _Handler(BaseHTTPRequestHandler):
    """One request of the client, on a connection of its own."""

    player: TapePlayer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        taken = self.player.take(
            TapedRequest(method=self.command, path=self.path, headers=headers, body=parsed(content))
        )
        if isinstance(taken, str):
            self._answer(_REFUSED, {"content-type": "text/plain"}, taken)
        elif taken.stream:
            self._play(taken)
        else:
            self._answer(taken.response.status, taken.response.headers, taken.response.body)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815  (the base class names them)

    def _answer(self, status: int, headers: dict[str, str], body: object) -> None:
        is_text = isinstance(body, str) and not headers.get("content-type", "").startswith("application/json")
        content = b"" if body is None else str(body).encode() if is_text else json.dumps(body).encode()
        self._send_head(status, headers, ("content-length", str(len(content))))
        self.wfile.write(content)

    def _play(self, opened: Exchange) -> None:
        stream = self.player.newest_stream
        self._send_head(opened.response.status, opened.response.headers, ("transfer-encoding", "chunked"))
        threading.Thread(target=self._watch, args=(stream,), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := self.player.next_chunk(stream):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.write(b"0\r\n\r\n")
        self.player.leave(stream)

    def _watch(self, stream: int) -> None:
        """Wait until the client goes away."""
        with contextlib.suppress(OSError):
            while self.connection.recv(1):
                pass
        self.player.leave(stream)

    def _send_head(self, status: int, headers: dict[str, str], *more: tuple[str, str]) -> None:
        self.send_response_only(status, None if status != _REFUSED else "Not On The Tape")
        for name, value in (*headers.items(), *more, ("connection", "close")):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it)
        """Keep the test's output to itself."""


def difference(ours: TapedRequest, taped: TapedRequest) -> str:
    """How a request differs from the one on the tape; empty if it does not."""
    if (ours.method, _target(ours.path)) != (taped.method, _target(taped.path)):
        return f"{ours.method} {ours.path} was asked for, the tape has {taped.method} {taped.path}"
    sent = {name: struck_out(value) if name in CREDENTIAL_HEADERS else value for name, value in ours.headers.items()}
    missing = {name: value for name, value in taped.headers.items() if sent.get(name) != value}
    if missing:
        return f"{ours.method} {ours.path}: not sent, or not so: {missing}"
    if ours.body != taped.body:
        return f"{ours.method} {ours.path}: {ours.body} was sent, the tape has {taped.body}"
    return ""


def _target(path: str) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(path)
    return parts.path, sorted(parse_qsl(parts.query, keep_blank_values=True))
