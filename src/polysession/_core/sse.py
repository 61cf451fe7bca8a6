"""Server-sent events, from bytes: push style, so that any cut of the bytes gives the same frames.

Written after https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (read 2026-11).
Lines end at CR, LF or CRLF and nowhere else: U+2028 inside JSON is data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from polysession.errors import MalformedResponse

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Largest frame that is accepted, in bytes; a single line is bound by the same number."""

_BOM: Final = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS: Final = 9
_new: Final = tuple.__new__  # for a named tuple a third of the time that its class takes
_usual_frames: Final = re.compile(
    rb"(?:id: ?+(.++)\n)?+(?:event: ?+(.++)\n)?+data: ?+(.*+)\n(?:retry: ?+([0-9]{1,9})\n)?+(?:id: ?+(.++)\n)?+\n"
    rb"|([\0-\xff]+)"
).findall
"""Whole frames as most servers write them, up to the first other one, from which on all is in the last group.

Where lines end at LF, and there is no NUL. A field that is not given is empty in it, and of two ids the second counts.
"""
_TRIES: Final = 8
"""How often in a chunk frames are looked for so: each time what is behind them is copied."""


class Frame(NamedTuple):
    """One dispatched frame.

    Attributes:
        event: Its `event` field; empty if it had none.
        data: Its `data` lines joined by line feeds, as they came.
        id: Its `id` field: `""` asks to forget the cursor; None if it had none.
    """

    event: str
    data: bytes
    id: str | None


class SseDecoder:
    """Turns bytes into frames. What is incomplete when the stream ends is dropped, as the specification says.

    Args:
        max_event_bytes: Largest frame that is accepted.

    Attributes:
        retry_ms: The last `retry` field, in milliseconds; None if there was none. More than 11 days are not believed.
        has_comments: Whether a comment came: it is a sign of life.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry_ms: int | None = None
        self.has_comments = False
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._start: bytes | None = b""  # the first bytes, until it is known whether they are a byte order mark
        self._after_cr = False
        self._event = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._id: str | None = None

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The frames that this chunk completes. They are decoded as they are asked for: read them to the end.

        Raises:
            MalformedResponse: A line or a frame is larger than the bound.
        """
        chunk = self._with_lf(self._without_bom(chunk))
        at, tries_left = 0, 0 if b"\0" in chunk or len(chunk) > self._max_event_bytes else _TRIES
        while at < len(chunk):
            if tries_left and self._holds_nothing():
                tries_left -= 1
                for first_id, event, data, retry, last_id, rest in _usual_frames(chunk, at):
                    if rest:
                        break
                    id_ = last_id or first_id
                    if retry:
                        self.retry_ms = int(retry)
                    yield _new(
                        Frame, (event.decode("utf-8", "replace"), data, id_.decode("utf-8", "replace") if id_ else None)
                    )
                at = len(chunk) - len(rest)
            at, line = self._line_from(chunk, at)
            if line:
                self._take(line)
            elif line is not None and self._data:
                yield self._dispatch()
            elif line is not None:
                self._event = ""

    @property
    def is_inside_frame(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return not self._holds_nothing()

    def _holds_nothing(self) -> bool:
        """Whether the next byte begins a frame."""
        return not (self._line or self._event or self._data) and self._id is None

    def _with_lf(self, chunk: bytes) -> bytes:
        """The chunk with LF at the end of each of its lines."""
        if chunk and self._after_cr:
            self._after_cr, chunk = False, chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _line_from(self, chunk: bytes, at: int) -> tuple[int, bytes | None]:
        """Where the line that ends next does, and that line; if there is none, the rest of the chunk is kept."""
        end = chunk.find(b"\n", at)
        if end < 0:
            self._line += chunk[at:]
            self._check_size(len(self._line))
            return len(chunk), None
        line = bytes(self._line) + chunk[at:end]
        self._line.clear()
        return end + 1, line

    def _without_bom(self, chunk: bytes) -> bytes:
        if self._start is None:
            return chunk
        start = self._start + chunk
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _take(self, line: bytes) -> None:
        """Interpret one line that is not empty."""
        self._check_size(len(line))
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self.retry_ms = int(value)
        elif not name:
            self.has_comments = True

    def _add(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes += len(value) + 1
        self._check_size(self._data_bytes)

    def _dispatch(self) -> Frame:
        data = self._data
        frame = Frame(self._event, data[0] if len(data) == 1 else b"\n".join(data), self._id)
        self._event, self._data, self._data_bytes, self._id = "", [], 0, None
        return frame

    def _check_size(self, size: int) -> None:
        if size > self._max_event_bytes:
            raise MalformedResponse(f"an event of the stream is larger than {self._max_event_bytes} bytes")
