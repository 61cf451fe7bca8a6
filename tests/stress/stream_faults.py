"""Faults of a stream, to the byte."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Final

from polysession.testing.fault_server import http
from stress.call_faults import PAGE
from support.fault_proxy import LAST, FaultInjector, Move, chunk

SAID: Final = "wörld 😀 of words"
STALL_S: Final = 30.0
PARTS: Final = 4
"""How many frames come before most faults."""

UNKNOWN_TYPE: Final = "strange.news"
_HUGE_LINE_BYTES: Final = 17 * 1024 * 1024


def cut(*ends: Move, after: int = PARTS) -> FaultInjector:
    """So many frames, and then this."""

    def spoil(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
        yield head
        yield from map(chunk, islice(chunks, after))
        yield from ends

    return spoil


def noting(chunks: list[bytes]) -> FaultInjector:
    """Spoils nothing, and notes the data of the chunks."""

    def spoil(head: bytes, coming: Iterator[bytes]) -> Iterator[Move]:
        yield head
        for data in coming:
            chunks.append(data)
            yield chunk(data)
        yield LAST

    return spoil


def answered(*moves: Move) -> FaultInjector:
    """This, in place of the answer."""
    return lambda _head, _chunks: moves


def in_headers(end: Move) -> FaultInjector:
    """Half of the headers, and then this."""
    return lambda head, _chunks: (head[: len(head) // 2], end)


def each(change: Callable[[bytes], tuple[bytes, ...]]) -> FaultInjector:
    """All frames, each as this leaves it."""

    def spoil(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
        yield head
        for frame in chunks:
            yield from map(chunk, change(frame))
        yield LAST

    return spoil


def _bytes_of(frame: bytes) -> tuple[bytes, ...]:
    return tuple(frame[start : start + 1] for start in range(len(frame)))


def _in_half_characters(frame: bytes) -> tuple[bytes, ...]:
    """Cut in the middle of each character that takes several bytes."""
    cuts = [number for number, byte in enumerate(frame) if byte & 0xC0 == 0x80]
    return tuple(frame[start:end] for start, end in zip([0, *cuts], [*cuts, len(frame)], strict=True))


def _half_a_character(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
    """Ends within the first character that takes several bytes."""
    yield head
    for frame in chunks:
        pieces = _in_half_characters(frame)
        yield chunk(pieces[0])
        if len(pieces) > 1:
            yield "reset"
            return


def _reordered(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
    """Two frames change places."""
    yield head
    for number, frame in enumerate(chunks):
        if number == PARTS:
            yield chunk(next(chunks) + frame)
        else:
            yield chunk(frame)
    yield LAST


def _with(strange: bytes) -> FaultInjector:
    """A strange frame among the others."""

    def spoil(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
        yield head
        for number, frame in enumerate(chunks):
            yield chunk(frame)
            if number == PARTS:
                yield chunk(strange)
        yield LAST

    return spoil


def _strange_event() -> bytes:
    event = {"type": UNKNOWN_TYPE, "id": "event_strange", "ts": "2026-11-22T03:55:46Z", "news": ["any"]}
    return f"event: {UNKNOWN_TYPE}\ndata: {json.dumps(event)}\n\n".encode()


def _compressed(body: Callable[[], bytes]) -> FaultInjector:
    def spoil(head: bytes, _chunks: Iterator[bytes]) -> Iterator[Move]:
        yield head.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
        yield chunk(body())
        yield STALL_S

    return spoil


@cache
def _bomb() -> bytes:
    return gzip.compress(b"data: " + bytes(40_000_000), compresslevel=1)


FAULTS: Final[dict[str, FaultInjector]] = {
    "reset before the headers": answered("reset"),
    "closed before the headers": answered("close"),
    "reset in the headers": in_headers("reset"),
    "closed in the headers": in_headers("close"),
    "stall before the headers": answered(STALL_S),
    "reset after the headers": cut("reset", after=0),
    "clean end after the headers": cut(LAST, after=0),
    "half a UTF-8 character, then reset": _half_a_character,
    "characters in two chunks": each(_in_half_characters),
    "a byte at a time": each(_bytes_of),
    "stall": cut(STALL_S),
    "stall within a frame": cut(chunk(b'data: {"ty'), STALL_S),
    "each frame twice": each(lambda frame: (frame, frame)),
    "two frames change places": _reordered,
    "unknown event type": _with(_strange_event()),
    "frame that is no JSON": _with(b'data: {"id": \n\n'),
    "frame that is no object": _with(b"data: [1]\n\n"),
    "comments and fields of no meaning": _with(b":\n: ping\nretry: soon\nfoo: bar\n\n"),
    "oversized line": cut(chunk(b"data: " + b"x" * _HUGE_LINE_BYTES), STALL_S),
    "oversized event": cut(*[chunk(b"data: " + b"x" * 1_000_000 + b"\n")] * 17, STALL_S),
    "gzip bomb": _compressed(_bomb),
    "gzip garbage": _compressed(lambda: b"\x1f\x8bgarbage"),
    "HTML with success": answered(http(200, PAGE, content_type="text/html").data),
    "JSON with success": answered(http(200, "{}", content_type="application/json").data),
    "HTML with 502": answered(http(502, PAGE, content_type="text/html").data),
    "429": answered(http(429).data),
    "429, Retry-After: 0": answered(http(429, retry_after="0").data),
    "503": answered(http(503).data),
    "redirect to another host": answered(http(302, location="http://127.0.0.2:9/").data),
}
"""Faults of the first connection; the next ones are sound."""

ENDS: Final[dict[str, Move]] = {"reset": "reset", "closed": "close", "clean end": LAST}
"""How a stream may end between two frames."""

REOPENING: Final[dict[str, FaultInjector]] = {
    name: FAULTS[name]
    for name in (
        "reset before the headers",
        "closed in the headers",
        "HTML with success",
        "HTML with 502",
        "429",
        "429, Retry-After: 0",
        "503",
        "redirect to another host",
        "reset after the headers",
        "clean end after the headers",
    )
} | {"429, Retry-After of an hour": answered(http(429, retry_after="3600").data)}
"""Faults of the second connection, after the first was reset; the next ones are sound."""
