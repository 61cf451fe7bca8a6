"""Server-sent events, from bytes: push style, so that any cut of the bytes gives the same frames.

Written after https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (read 2026-11).
Lines end at CR, LF or CRLF and nowhere else: U+2028 inside JSON is data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from polysession.errors import MalformedResponse

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Largest frame that is accepted, in bytes; a single line is bound by the same number."""

_BOM: Final = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS: Final = 9


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
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry_ms: int | None = None
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
        chunk = self._without_bom(chunk)
        if not chunk:
            return
        first_lf_is_spent, self._after_cr = self._after_cr, chunk.endswith(b"\r")
        if first_lf_is_spent:
            chunk = chunk.removeprefix(b"\n")
        lines = chunk.splitlines()  # of bytes: at CR, LF and CRLF only
        rest = lines.pop() if lines and not chunk.endswith((b"\r", b"\n")) else b""
        if lines and self._line:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                yield self._dispatch()
            else:
                self._event = ""  # an id without data stays, and goes with the next frame
        self._line += rest
        self._check_size(len(self._line))

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
            self._data.append(value)
            self._data_bytes += len(value) + 1
            self._check_size(self._data_bytes)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
            self.retry_ms = int(value)

    def _dispatch(self) -> Frame:
        data = self._data
        frame = Frame(self._event, data[0] if len(data) == 1 else b"\n".join(data), self._id)
        self._event, self._data, self._data_bytes, self._id = "", [], 0, None
        return frame

    def _check_size(self, size: int) -> None:
        if size > self._max_event_bytes:
            raise MalformedResponse(f"an event of the stream is larger than {self._max_event_bytes} bytes")
