"""A loopback server between a client and a service: it passes on what they say, and notes when."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tools.recordings.loopback import LoopbackServer
from tools.recordings.provenance import Provenance
from tools.recordings.scrubbing import Scrubber
from tools.recordings.tapes import Chunk, End, Entry, Exchange, Tape, TapedRequest, TapedResponse

_LIMIT_S: Final = 90.0
_HOP_BY_HOP: Final = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
_READ_BYTES: Final = 65_536


class TapeRecorder:
    """Records between `base_url`, where clients connect, and a service.

    Args:
        service_url: Where the service is, with the path that `base_url` is to have as well.
    """

    def __init__(self, service_url: str) -> None:
        self.service = urlsplit(service_url)
        self._entries: list[Entry] = []
        self._lock = threading.Lock()
        self._started_s: float | None = None
        self._stream = 0
        self._server = LoopbackServer(_Handler, recorder=self)

    @property
    def base_url(self) -> str:
        """Where the client is to connect."""
        return f"{self._server.origin}{self.service.path.rstrip('/')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()

    def tape(
        self,
        provenance: Provenance,
        scrubber: Scrubber,
        *,
        settings: Mapping[str, str] | None = None,
        ids: Mapping[str, str] | None = None,
    ) -> Tape:
        """What was heard so far, scrubbed.

        Args:
            provenance: Where it comes from.
            scrubber: Takes out what must not be stored.
            settings: Of the client, without secrets and without `base_url`.
            ids: Those that who plays it needs.
        """
        with self._lock:
            entries = tuple(self._entries)
        return Tape(provenance, entries, settings or {}, ids or {}).scrubbed(scrubber)

    def note(self, request: TapedRequest, response: TapedResponse, *, stream: bool = False) -> int:
        """Note an exchange; gives the number by which the chunks of its stream are noted."""
        with self._lock:
            self._stream += stream
            self._entries.append(Exchange(ms=self._ms(), request=request, response=response, stream=stream))
            return self._stream

    def note_chunk(self, stream: int, data: bytes) -> None:
        """Note bytes of a stream, unless another one was opened since."""
        with self._lock:
            if stream == self._stream:
                self._entries.append(Chunk.model_construct(ms=self._ms(), base64=data))

    def note_end(self, stream: int, *, by_client: bool) -> None:
        """Note who ended a stream, unless another one was opened since."""
        with self._lock:
            if stream == self._stream:
                self._entries.append(End(ms=self._ms(), end="client" if by_client else "server"))

    def _ms(self) -> int:
        now_s = time.monotonic()
        self._started_s = now_s if self._started_s is None else self._started_s
        return round(1000 * (now_s - self._started_s))


class _Handler(BaseHTTPRequestHandler):
    """One request of the client, on a connection of its own."""

    recorder: TapeRecorder
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        service = self.recorder.service
        connection_class = http.client.HTTPSConnection if service.scheme == "https" else http.client.HTTPConnection
        with contextlib.closing(connection_class(service.hostname or "", service.port, timeout=_LIMIT_S)) as upstream:
            passed_on = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            upstream.request(self.command, self.path, content or None, passed_on)
            connection = upstream.sock  # which is not to be had any more after an answer that closes it
            answer = upstream.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            request = TapedRequest(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=parsed(content),
            )
            if headers.get("content-type", "").startswith("text/event-stream"):
                self._pass_on_stream(request, answer, headers, connection)
            else:
                self._pass_on(request, answer, headers)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815  (the base class names them)

    def _pass_on(self, request: TapedRequest, answer: http.client.HTTPResponse, headers: dict[str, str]) -> None:
        content = answer.read()
        self.recorder.note(request, TapedResponse(status=answer.status, headers=headers, body=parsed(content)))
        self._send_head(answer.status, headers, ("content-length", str(len(content))))
        self.wfile.write(content)

    def _pass_on_stream(
        self,
        request: TapedRequest,
        answer: http.client.HTTPResponse,
        headers: dict[str, str],
        upstream: socket.socket,
    ) -> None:
        response = TapedResponse(status=answer.status, headers=headers)
        stream = self.recorder.note(request, response, stream=True)
        self._send_head(answer.status, headers, ("transfer-encoding", "chunked"))
        left = threading.Event()
        threading.Thread(target=self._watch, args=(left, upstream), daemon=True).start()
        with contextlib.suppress(OSError, http.client.HTTPException):
            while data := answer.read1(_READ_BYTES):
                if left.is_set():
                    break
                self.recorder.note_chunk(stream, data)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.recorder.note_end(stream, by_client=left.is_set())
        if not left.is_set():
            with contextlib.suppress(OSError):
                self.wfile.write(b"0\r\n\r\n")

    def _watch(self, left: threading.Event, upstream: socket.socket) -> None:
        """Wait until the client goes away, and leave the service then."""
        with contextlib.suppress(OSError):
            while self.connection.recv(1):
                pass
        left.set()
        with contextlib.suppress(OSError):
            upstream.shutdown(socket.SHUT_RDWR)

    def _send_head(self, status: int, headers: dict[str, str], *more: tuple[str, str]) -> None:
        self.send_response_only(status)
        kept = [(name, value) for name, value in headers.items() if name not in _HOP_BY_HOP]
        for name, value in (*kept, *more, ("connection", "close")):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it)
        """Keep the test's output to itself."""


def parsed(content: bytes) -> Any:
    """A body as tapes hold it: JSON, text that is none, or None."""
    text = content.decode("utf-8", errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text or None
