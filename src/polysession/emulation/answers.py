"""Responses of an emulator: JSON, refusals, and streams of server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Send

JSON_NULL: Final = object()
"""The body of an `Answer` that is `null`."""

HEARTBEAT: Final = b": heartbeat\n\n"
"""A comment frame, which keeps a silent stream alive."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete response.

    Attributes:
        body: A JSON value, or text if `media_type` is a text type; None sends no body, `JSON_NULL` sends null.
        status: HTTP status.
        headers: Headers besides the content type.
        media_type: Content type of the body.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class EventStream:
    """A streamed response of server-sent events.

    Attributes:
        frames: Whole frames, encoded. The generator is closed as soon as the connection ends or breaks.
        headers: Headers besides the content type.
    """

    frames: AsyncGenerator[bytes, None]
    headers: Mapping[str, str] = field(default_factory=lambda: {"cache-control": "no-cache"})


class Refusal(Exception):  # noqa: N818  (an answer of the backend, not a fault of the emulator)
    """Raised by a handler to answer a request with an error.

    The emulator's `error` function turns it into the backend's error body.

    Attributes:
        status: HTTP status of the response.
        message: One sentence that explains the error.
        details: Other fields of the backend's error body, such as a code.
        headers: Headers of the response.
    """

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details: Mapping[str, Any] = details
        self.headers: Mapping[str, str] = headers or {}


def sse_frame(fields: Mapping[str, object]) -> bytes:
    """Return one frame of an event stream, with its fields in the given order.

    Args:
        fields: `id`, `event`, `retry` and `data`. A value that is neither text nor a number is sent as compact JSON.
            None omits the field.
    """
    lines = [f"{name}: {_field_text(value)}\n" for name, value in fields.items() if value is not None]
    return ("".join(lines) + "\n").encode()


def to_response(answer: Answer | EventStream) -> Response:
    """Return an answer as a response of the ASGI application."""
    if isinstance(answer, EventStream):
        return _StreamResponse(answer)
    if answer.body is None:
        return Response(status_code=answer.status, headers=dict(answer.headers), media_type=answer.media_type)
    kind = Response if answer.media_type.startswith("text/") else JSONResponse
    body = None if answer.body is JSON_NULL else answer.body
    return kind(body, answer.status, headers=dict(answer.headers), media_type=answer.media_type)


class _StreamResponse(StreamingResponse):
    """Sends a stream, and closes its generator at once instead of leaving that to garbage collection."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__(stream.frames, headers=dict(stream.headers), media_type="text/event-stream")
        self._frames = stream.frames

    async def stream_response(self, send: Send) -> None:
        """Send the complete response."""
        async with aclosing(self._frames):
            await super().stream_response(send)


def _field_text(value: object) -> str:
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
