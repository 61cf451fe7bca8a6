"""Server-sent events, from bytes: push style, so that any cut of the bytes gives the same frames.

Written after https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (read 2026-11).
Lines end at CR, LF or CRLF and nowhere else: U+2028 inside JSON is data.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from polysession.errors import MalformedResponse

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Largest frame that is accepted, in bytes; a single line is bound by the same number."""

_BOM: Final = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS: Final = 9
_new: Final = tuple.__new__  # for a named tuple a third of the time that its class takes


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
        if self._start is not None:
            chunk = self._without_bom(chunk)
        is_large = len(self._line) + len(chunk) > self._max_event_bytes
        lines = self._lines(chunk)
        if self._data or self._event or self._id is not None:
            yield from self._closely(lines)
        event, id_, data = "", None, None
        for line in lines:  # a frame as most servers write it takes no call; any other is looked at closely
            if is_large:
                yield from self._closely(chain((line,), lines))
            elif line[:7] == b"event: ":
                event = line[7:].decode("utf-8", "replace")
            elif line[:6] == b"data: " and data is None:
                data = line[6:]
            elif not line and data is not None:
                yield _new(Frame, (event, data, id_))
                event, id_, data = "", None, None
            elif line[:4] == b"id: " and b"\0" not in line:
                id_ = line[4:].decode("utf-8", "replace")
            else:
                self._hold(event, id_, data)
                event, id_, data = "", None, None
                yield from self._closely(chain((line,), lines))
        self._hold(event, id_, data)
        self._check_size(len(self._line))

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes. What is left of it is kept."""
        if not chunk:
            return iter(())
        if self._after_cr or b"\r" in chunk:
            first_lf_is_spent, self._after_cr = self._after_cr, chunk.endswith(b"\r")
            if first_lf_is_spent:
                chunk = chunk.removeprefix(b"\n")
            lines = chunk.splitlines()  # of bytes: at CR, LF and CRLF only
            rest = lines.pop() if lines and not chunk.endswith((b"\r", b"\n")) else b""
        else:
            *lines, rest = chunk.split(b"\n")
        if lines and self._line:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        self._line += rest
        return iter(lines)

    def _hold(self, event: str, id_: str | None, data: bytes | None) -> None:
        """Keep what was read of a frame that is not complete."""
        self._event, self._id = event or self._event, self._id if id_ is None else id_
        if data is not None:
            self._add(data)

    def _closely(self, lines: Iterator[bytes]) -> Iterator[Frame]:
        """The frames in these lines, up to the end of one that leaves nothing behind."""
        for line in lines:
            if line:
                self._take(line)
                continue
            if self._data:
                yield self._dispatch()
            self._event = ""
            if self._id is None:  # else it goes with the next frame that has data
                return

    def _without_bom(self, chunk: bytes) -> bytes:
        start = (self._start or b"") + chunk
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
