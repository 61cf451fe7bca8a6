from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysession._core.body import Decompressor, check_max_body_bytes
from polysession.errors import ConnectionLost, MalformedResponse, UsageError


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(data) + made.flush()


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    " GZip ": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}
every_encoding = pytest.mark.parametrize(
    ("encoding", "compress"),
    [*ENCODINGS.items(), pytest.param("deflate", raw_deflate, id="deflate without its head")],
)


def undone(encoding: str, chunks: list[bytes]) -> bytes:
    decompressor = Decompressor(encoding)
    return b"".join(piece for chunk in chunks for piece in decompressor.pieces(chunk))


@every_encoding
@given(st.binary(min_size=1, max_size=2000), st.integers(1, 50))
def test_a_body_is_undone_however_it_is_cut(
    encoding: str, compress: Callable[[bytes], bytes], data: bytes, size: int
) -> None:
    sent = compress(data)

    assert undone(encoding, [sent[start : start + size] for start in range(0, len(sent), size)]) == data


@every_encoding
@pytest.mark.parametrize("size", [262_143, 262_144, 262_145, 3_000_000])
def test_the_ends_of_large_bodies_are_not_lost(encoding: str, compress: Callable[[bytes], bytes], size: int) -> None:
    assert undone(encoding, [compress(b"a" * size)]) == b"a" * size


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_small_chunk_that_stands_for_much_comes_in_small_pieces(encoding: str) -> None:
    bomb = ENCODINGS[encoding](bytes(20_000_000))
    assert len(bomb) < 25_000

    sizes = [len(piece) for piece in Decompressor(encoding).pieces(bomb)]

    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 262_144


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate,gzip", "\x1b[31m"])
def test_what_was_not_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(MalformedResponse, match="only gzip, deflate are supported") as caught:
        Decompressor(encoding)

    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_damaged_body_is_a_lost_connection(encoding: str) -> None:
    with pytest.raises(ConnectionLost, match="cannot be decompressed") as caught:
        undone(encoding, [b"\x1f\x8bgarbage"])

    assert caught.value.outcome_unknown


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 60))
def test_the_members_of_a_gzip_body_follow_each_other(members: list[bytes], size: int) -> None:
    sent = b"".join(gzip.compress(member) for member in members)

    assert undone("gzip", [sent[start : start + size] for start in range(0, len(sent), size)]) == b"".join(members)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_follows_the_end_is_refused_and_not_read_on(encoding: str) -> None:
    with pytest.raises(ConnectionLost, match="cannot be decompressed"):
        undone(encoding, [ENCODINGS[encoding](b"a") + bytes(24_000_000)])
    with pytest.raises(ConnectionLost, match="cannot be decompressed"):
        undone(encoding, [ENCODINGS[encoding](b"a"), b"bc"])


@every_encoding
def test_a_body_must_have_its_end(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    sent = compress(b"abc")
    whole, cut, empty = (Decompressor(encoding) for _ in range(3))
    list(whole.pieces(sent))
    whole.finish()
    empty.finish()
    list(cut.pieces(sent[:-1]))
    if encoding in {"", "identity"}:
        cut.finish()
    else:
        with pytest.raises(ConnectionLost, match="the data is truncated"):
            cut.finish()


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "64", None])
def test_a_bound_is_a_whole_number_above_zero(size: Any) -> None:
    with pytest.raises(UsageError, match="max_body_bytes must be a whole number above zero"):
        check_max_body_bytes(size)


def test_any_other_bound_will_do() -> None:
    assert check_max_body_bytes(1) == 1
