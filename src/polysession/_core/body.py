"""Bodies of answers, with bounds: a hostile or broken server cannot fill the memory, compressed or not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from polysession.errors import ConnectionLost, MalformedResponse, UsageError

ACCEPT_ENCODING: Final = "gzip, deflate"
"""The encodings that are asked for, and decoded here."""

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""Largest body that is accepted unless the caller says otherwise, in bytes after decompression."""

_PIECE_BYTES: Final = 256 * 1024
_WITH_GZIP_HEAD: Final = 16 + zlib.MAX_WBITS
_WITHOUT_HEAD: Final = -zlib.MAX_WBITS
_HEAD_BYTES: Final = 2
_HEAD_DIVISOR: Final = 31
"""The two bytes of a head, read as one number, are a multiple of this."""
_PLAIN: Final = frozenset({"", "identity"})
_WINDOWS: Final = {"gzip": _WITH_GZIP_HEAD, "x-gzip": _WITH_GZIP_HEAD, "deflate": zlib.MAX_WBITS}


def check_max_body_bytes(size: int) -> int:
    """The bound, if it is one.

    Raises:
        UsageError: It is no whole number above zero.
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UsageError(f"max_body_bytes is {size!r}; it must be a whole number above zero")
    return size


class Decompressor:
    """Undoes the compression of one body, piece by piece: a small chunk may stand for gigabytes.

    Args:
        encoding: The answer's `content-encoding`; empty for none.

    Raises:
        MalformedResponse: It is compressed in a way that was not asked for, or more than once.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        self._is_plain = name in _PLAIN
        if self._is_plain:
            return
        if name not in _WINDOWS:
            raise MalformedResponse(
                f"the backend compressed its answer with {encoding!r}; only {ACCEPT_ENCODING} was asked for"
            )
        self._is_gzip = _WINDOWS[name] == _WITH_GZIP_HEAD
        self._has_begun = False
        self._head: bytes | None = None if self._is_gzip else b""  # until it is known whether there is one
        self._inflater = zlib.decompressobj(_WINDOWS[name])

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """The bytes that a chunk stands for, in pieces of at most 256 KiB if it was compressed.

        Raises:
            ConnectionLost: It is damaged.
        """
        if self._is_plain:
            yield chunk
            return
        self._has_begun = self._has_begun or bool(chunk)
        rest, piece = self._after_head(chunk), b""
        while rest or len(piece) == _PIECE_BYTES:  # a full piece may leave something behind in the inflater
            if self._inflater.eof:
                if not rest:
                    break
                self._start_next_member()
            piece = self._inflate(rest)
            rest = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the body was whole.

        Raises:
            ConnectionLost: Its end, with the checksum, is missing.
        """
        if not self._is_plain and self._has_begun and not self._inflater.eof:
            raise self._damaged("its end is missing")

    def _start_next_member(self) -> None:
        """A body in gzip may have several members, one after the other; nothing else may follow the end."""
        if not self._is_gzip:
            raise self._damaged("something follows its end")
        self._inflater = zlib.decompressobj(_WITH_GZIP_HEAD)

    def _after_head(self, chunk: bytes) -> bytes:
        """The bytes to inflate: some servers leave out the head of "deflate", against the specification."""
        if self._head is None:
            return chunk
        start = self._head + chunk
        if len(start) < _HEAD_BYTES:
            self._head = start
            return b""
        self._head = None
        if start[0] & 0x0F != zlib.DEFLATED or int.from_bytes(start[:_HEAD_BYTES]) % _HEAD_DIVISOR:
            self._inflater = zlib.decompressobj(_WITHOUT_HEAD)
        return start

    def _inflate(self, data: bytes) -> bytes:
        try:
            return self._inflater.decompress(data, _PIECE_BYTES)
        except zlib.error as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, how: str) -> ConnectionLost:
        lost = ConnectionLost(f"the answer is incomplete, or is not HTTP: it cannot be decompressed: {how}")
        lost.outcome_unknown = True
        return lost
