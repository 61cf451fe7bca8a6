"""Injected faults: failures of the network and of a busy backend."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING: Final = frozenset({"GET", "HEAD"})
_PAGE: Final = "<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>"
CONTROL_PATH: Final = "/_emulator/faults"
REFUSED: Final = "polysession.refused"
"""Key in a request's scope for the fault that refuses it: only the emulator knows the backend's error body."""

FaultKind = Literal["status", "refuse", "malformed", "page", "drop", "end", "stall", "duplicate", "reorder", "truncate"]


@dataclass(slots=True)
class Fault:
    """A fault of the next matching requests.

    | kind | effect |
    |---|---|
    | `status` | answers `status` without a body, and with `retry_after` if given |
    | `refuse` | answers `status` with the backend's own error body, and with `retry_after` if given |
    | `malformed` | answers 200 with half a JSON object |
    | `page` | answers 200 with an HTML page, as a proxy in front of the backend does |
    | `drop` | breaks the connection after `at_byte` bytes of the body |
    | `end` | ends the body cleanly after `at_byte` bytes |
    | `stall` | waits `seconds` after `at_byte` bytes, then continues |
    | `duplicate` | sends frame number `frame` of a stream twice |
    | `reorder` | sends frame number `frame` after the next one |
    | `truncate` | ends the body cleanly before frame number `frame` |

    Attributes:
        kind: See the table.
        path: End of the path of matching requests; empty for any.
        method: HTTP method of matching requests, in capitals; None for any.
        streams_only: Whether only requests for a stream of events fail.
        writes_only: Whether only requests that may change something fail: all methods but GET and HEAD.
        times: How many requests fail.
        at_byte: See `kind`.
        frame: See `kind`, counted from 0.
        status: See `kind`.
        retry_after: Value of the `Retry-After` header.
        seconds: See `kind`.
    """

    kind: FaultKind
    path: str = ""
    method: str | None = None
    streams_only: bool = False
    writes_only: bool = False
    times: int = 1
    at_byte: int = 0
    frame: int = 0
    status: int = 503
    retry_after: str | None = None
    seconds: float = 0.0


@dataclass
class Faults:
    """The queued faults, oldest first. Thread-safe."""

    _waiting: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Add a fault for the next matching requests.

        Raises:
            ValueError: The kind is unknown.
        """
        if fault.kind not in get_args(FaultKind):
            raise ValueError(f"unknown fault kind {fault.kind!r}; expected one of {', '.join(get_args(FaultKind))}")
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Remove all queued faults."""
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[dict[str, Any]]:
        """Return the queued faults as JSON values."""
        with self._lock:
            return [asdict(fault) for fault in self._waiting]

    def take(self, method: str, path: str, accept: str = "") -> Fault | None:
        """Return the oldest fault that matches a request, and count it down."""
        asks_for_stream = "text/event-stream" in accept
        with self._lock:
            for fault in self._waiting:
                fits = path.endswith(fault.path) and fault.method in {None, method}
                fits = fits and not (fault.writes_only and method in _READING)
                if fits and (asks_for_stream or not fault.streams_only):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._waiting.remove(fault)
                    return fault
        return None


class ConnectionDropped(Exception):  # noqa: N818  (it says what happened)
    """Raised inside the server to break a connection in the middle of an answer."""


class FaultMiddleware:
    """Applies faults to an application. `/_emulator/faults` lists (GET), adds (POST) and clears (DELETE) them."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == CONTROL_PATH:
            await (await self._control(Request(scope, receive)))(scope, receive, send)
            return
        fault = self._faults.take(scope["method"], scope["path"], Headers(scope=scope).get("accept", ""))
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "status":
            headers = {"retry-after": fault.retry_after} if fault.retry_after else None
            await Response(status_code=fault.status, headers=headers)(scope, receive, send)
        elif fault.kind == "refuse":
            await self._app({**scope, REFUSED: fault}, receive, send)
        elif fault.kind == "malformed":
            await Response(b'{"id": "', media_type="application/json")(scope, receive, send)
        elif fault.kind == "page":
            await Response(_PAGE, media_type="text/html")(scope, receive, send)
        else:
            await self._app(scope, receive, _FaultInjector(fault, send))

    async def _control(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.clear()
        elif request.method == "POST":
            try:
                self._faults.add(Fault(**json.loads(await request.body())))
            except (TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"waiting": self._faults.waiting()})


class _FaultInjector:
    """A `send` that changes the body before it is sent."""

    def __init__(self, fault: Fault, send: Send) -> None:
        self._fault = fault
        self._send = send
        self._sent_bytes = 0
        self._frames = 0
        self._held: bytes | None = None
        self._stalled = False
        self._ended = False

    async def __call__(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start":
            # The body may no longer have this length.
            headers = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
            await self._send({**message, "headers": headers})
            if self._fault.kind in {"drop", "end"} and self._fault.at_byte == 0:
                await self._cut({"type": "http.response.body", "body": b"", "more_body": True}, b"")
            return
        body: bytes = message.get("body", b"")
        if self._fault.kind in {"duplicate", "reorder", "truncate"}:
            frames = self._frames_of(body)
            continues = message.get("more_body", False) and not self._ended
            if self._held is not None and not continues:
                frames.append(self._held)  # no frame came after it
            await self._send({**message, "body": b"".join(frames), "more_body": continues})
        else:
            await self._cut(message, body)

    def _frames_of(self, body: bytes) -> list[bytes]:
        """Return the frames of a body part, with one doubled or moved, or cut off. Emulators send whole frames."""
        out: list[bytes] = []
        for frame in (part + b"\n\n" for part in body.split(b"\n\n") if part):
            number, self._frames = self._frames, self._frames + 1
            self._ended = self._ended or (number == self._fault.frame and self._fault.kind == "truncate")
            if self._ended:
                break
            if number == self._fault.frame and self._fault.kind == "reorder":
                self._held = frame
                continue
            out.append(frame)
            if number == self._fault.frame:
                out.append(frame)
            elif self._held is not None:
                out.append(self._held)
                self._held = None
        return out

    async def _cut(self, message: Message, body: bytes) -> None:
        room = self._fault.at_byte - self._sent_bytes
        self._sent_bytes += len(body)
        if len(body) < room or self._stalled:
            await self._send(message)
            return
        if self._fault.kind == "stall":
            self._stalled = True
            await self._send({**message, "body": body[:room], "more_body": True})
            await asyncio.sleep(self._fault.seconds)
            await self._send({**message, "body": body[room:]})
            return
        self._ended = True
        drops = self._fault.kind == "drop"
        await self._send({"type": "http.response.body", "body": body[:room], "more_body": drops})
        if drops:
            raise ConnectionDropped
