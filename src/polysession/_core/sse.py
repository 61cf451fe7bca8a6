"""Decodes server-sent events from pushed bytes: however the bytes are cut, the frames are the same.

Written after https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (read 2026-11).
Lines end at CR, LF or CRLF and nowhere else: U+2028 inside JSON is data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from polysession.errors import MalformedResponse

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""Largest frame that is accepted, in bytes, with its field names."""

_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = ord("\r")
_MAX_RETRY_DIGITS: Final = 9


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One dispatched frame.

    Attributes:
        event: Its `event` field; empty if it had none.
        data: Its `data` lines, unchanged, joined by line feeds.
        id: Its `id` field: `""` asks the client to forget the cursor; None if it had none.
    """

    event: str
    data: bytes
    id: str | None


class SseDecoder:
    """Turns bytes into frames: blocks of lines that end at a blank line.

    An incomplete block at the end of the stream is dropped, as the specification requires.

    Args:
        max_event_bytes: Largest frame that is accepted.

    Attributes:
        retry_ms: The last `retry` field, in milliseconds; None if there was none. More than 11 days are ignored.
        has_comments: Whether a comment came, which shows that the connection is alive.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry_ms: int | None = None
        self.has_comments = False
        self._max_event_bytes = max_event_bytes
        self._parts: list[bytes] = []  # parts of the incomplete block, joined once
        self._size_bytes = 0
        self._ends_with_cr = False
        self._ends_with_lf = False  # the LF is held back: before another one it ends the block
        self._is_at_start = True
        self._id: str | None = None  # from a block without data: it belongs to the next frame

    @property
    def is_inside_frame(self) -> bool:
        """Return whether a frame has begun and is not complete."""
        return any(self._parts)

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yield the frames that this chunk completes. They are decoded lazily: read them to the end.

        Raises:
            MalformedResponse: A frame is larger than the bound.
        """
        if self._ends_with_cr or _CR in chunk:
            chunk = self._with_lf(chunk)
        if self._ends_with_lf and chunk:
            self._ends_with_lf, chunk = False, b"\n" + chunk
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        for block in blocks:
            frame = self._read(self._joined(block) if self._parts else block)
            if frame is not None:
                yield frame
        if rest:
            self._keep(rest)

    def _with_lf(self, chunk: bytes) -> bytes:
        """Return the chunk with LF for each CR and CRLF, also for a CRLF that was cut in two."""
        if self._ends_with_cr and chunk:
            self._ends_with_cr, chunk = False, chunk.removeprefix(b"\n")
        self._ends_with_cr = self._ends_with_cr or chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, rest: bytes) -> None:
        self._ends_with_lf = rest.endswith(b"\n")
        part = rest[:-1] if self._ends_with_lf else rest
        self._parts.append(part)
        self._size_bytes += len(rest)
        if self._size_bytes - self._ends_with_lf > self._max_event_bytes:
            raise self._too_large()

    def _joined(self, block: bytes) -> bytes:
        parts, self._parts, self._size_bytes = self._parts, [], 0
        return b"".join((*parts, block))

    def _read(self, block: bytes) -> Frame | None:
        """Interpret the lines before a blank line; None if they hold no data."""
        if len(block) > self._max_event_bytes:
            raise self._too_large()
        if self._is_at_start:
            self._is_at_start, block = False, block.removeprefix(_BOM)
        event, data, frame_id = "", [], self._id
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value.decode("utf-8", "replace")
            elif name == b"id" and b"\0" not in value:
                frame_id = value.decode("utf-8", "replace")
            elif name == b"retry" and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                self.retry_ms = int(value)
            elif line and not name:
                self.has_comments = True
        if not data:
            self._id = frame_id
            return None
        self._id = None
        return Frame(event, b"\n".join(data), frame_id)

    def _too_large(self) -> MalformedResponse:
        return MalformedResponse(
            f"an event of the stream is larger than {self._max_event_bytes} bytes; read its content with"
            " `sessions.messages` or `sessions.events`"
        )
