"""Response bodies with a size limit: a hostile or broken server cannot fill the memory, compressed or not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from polysession.errors import ConnectionLost, MalformedResponse, UsageError

ACCEPT_ENCODING: Final = "gzip, deflate"
"""The encodings that requests accept, and that this module decodes."""

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""Largest body that is accepted unless the caller says otherwise, in bytes after decompression."""

_PIECE_BYTES: Final = 256 * 1024
_WITH_GZIP_HEAD: Final = 16 + zlib.MAX_WBITS
_WITHOUT_HEAD: Final = -zlib.MAX_WBITS
_HEAD_BYTES: Final = 2
_HEAD_DIVISOR: Final = 31
"""The two bytes of a zlib header, read as one number, are a multiple of this."""
_PLAIN: Final = frozenset({"", "identity"})
_WINDOWS: Final = {"gzip": _WITH_GZIP_HEAD, "x-gzip": _WITH_GZIP_HEAD, "deflate": zlib.MAX_WBITS}


def check_max_body_bytes(size: int) -> int:
    """Return the size limit if it is valid.

    Raises:
        UsageError: The limit is not a whole number above zero.
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UsageError(f"max_body_bytes must be a whole number above zero, not {size!r}")
    return size


class Decompressor:
    """Decompresses one body piece by piece, because a small chunk may expand to gigabytes.

    Args:
        encoding: The response's `content-encoding`; empty for none.

    Raises:
        MalformedResponse: The encoding was not requested, or the body is compressed more than once.
    """

    def __init__(self, encoding: str) -> None:
        name = encoding.strip().lower()
        self._is_plain = name in _PLAIN
        if self._is_plain:
            return
        if name not in _WINDOWS:
            raise MalformedResponse(
                f"the response has the content encoding {encoding!r}; only {ACCEPT_ENCODING} are supported"
            )
        self._is_gzip = _WINDOWS[name] == _WITH_GZIP_HEAD
        self._has_begun = False
        self._head: bytes | None = None if self._is_gzip else b""  # bytes before the header is known
        self._inflater = zlib.decompressobj(_WINDOWS[name])

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the decompressed bytes of a chunk, in pieces of at most 256 KiB if it was compressed.

        Raises:
            ConnectionLost: The compressed data is damaged.
        """
        if self._is_plain:
            yield chunk
            return
        self._has_begun = self._has_begun or bool(chunk)
        rest, piece = self._after_head(chunk), b""
        while rest or len(piece) == _PIECE_BYTES:  # after a full piece the inflater may hold more output
            if self._inflater.eof:
                if not rest:
                    break
                self._start_next_member()
            piece = self._inflate(rest)
            rest = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            ConnectionLost: The end of the body, with the checksum, is missing.
        """
        if not self._is_plain and self._has_begun and not self._inflater.eof:
            raise self._damaged("the data is truncated")

    def _start_next_member(self) -> None:
        """Start the next member: a gzip body may have several in a row, and nothing else may follow its end."""
        if not self._is_gzip:
            raise self._damaged("there is extra data after its end")
        self._inflater = zlib.decompressobj(_WITH_GZIP_HEAD)

    def _after_head(self, chunk: bytes) -> bytes:
        """Return the bytes to inflate: some servers omit the header of "deflate", against the specification."""
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
        lost = ConnectionLost(f"the response is incomplete or not valid HTTP: it cannot be decompressed: {how}")
        lost.outcome_unknown = True
        return lost
