from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysession._core.sse import Frame, SseDecoder
from polysession.errors import MalformedResponse

BOM = b"\xef\xbb\xbf"
SAMPLE = (
    BOM
    + b": a comment\r\n\r\nevent: first\rdata: one\r\ndata:two\r\rid: 7\n\ndata\n\nid\ndata:  x\n\n"
    + 'data: {"text": "a\u2028b\x0bc\x0cd\x85e"}\r\n\r\nretry: 1500\nnonsense\ndata: ü\r\n\n'.encode()
    + b"data: never finished\n"
)
FRAMES = [
    Frame("first", b"one\ntwo", None),
    Frame("", b"", "7"),
    Frame("", b" x", ""),
    Frame("", '{"text": "a\u2028b\x0bc\x0cd\x85e"}'.encode(), None),
    Frame("", "ü".encode(), None),
]


def decode(chunks: Iterable[bytes], decoder: SseDecoder | None = None) -> list[Frame]:
    decoder = decoder or SseDecoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def frames_until_refused(chunks: Iterable[bytes], bound: int) -> list[Frame]:
    frames: list[Frame] = []

    def read(decoder: SseDecoder) -> None:
        for chunk in chunks:
            for frame in decoder.feed(chunk):
                frames.append(frame)  # noqa: PERF402  (one by one, to keep what came before the error)

    with pytest.raises(MalformedResponse, match=f"larger than {bound} bytes"):
        read(SseDecoder(bound))
    return frames


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        pytest.param(b"data: a\n\n", [Frame("", b"a", None)], id="LF"),
        pytest.param(b"data: a\r\r", [Frame("", b"a", None)], id="CR"),
        pytest.param(b"data: a\r\n\r\n", [Frame("", b"a", None)], id="CRLF"),
        pytest.param(b"data: a\n\r\n", [Frame("", b"a", None)], id="LF, then CRLF"),
        pytest.param(b"data: a\r\n\n\n", [Frame("", b"a", None)], id="blank lines"),
        pytest.param(BOM + b"data: a\n\n", [Frame("", b"a", None)], id="byte order mark"),
        pytest.param(b"\n" + BOM + b"data: a\n\n", [], id="byte order mark, not at the start"),
        pytest.param(BOM[:2] + b"data: a\n\n", [], id="half a byte order mark"),
        pytest.param(b": ping\n\n:\n\n", [], id="comments"),
        pytest.param(b"data:\n\n", [Frame("", b"", None)], id="empty data"),
        pytest.param(b"data\n\n", [Frame("", b"", None)], id="data without a colon"),
        pytest.param(b"data\ndata\n\n", [Frame("", b"\n", None)], id="two empty data lines"),
        pytest.param(b"data:a\ndata: b\ndata:  c\n\n", [Frame("", b"a\nb\n c", None)], id="one blank is stripped"),
        pytest.param(b"data: a: b\n\n", [Frame("", b"a: b", None)], id="a colon in the value"),
        pytest.param(b"event: x\n\ndata: a\n\n", [Frame("", b"a", None)], id="an event without data is forgotten"),
        pytest.param(b"event: x\nevent: y\ndata: a\n\n", [Frame("y", b"a", None)], id="the last event field counts"),
        pytest.param(b"id: 1\ndata: a\n\ndata: b\n\n", [Frame("", b"a", "1"), Frame("", b"b", None)], id="id"),
        pytest.param(b"id\ndata: a\n\n", [Frame("", b"a", "")], id="empty id"),
        pytest.param(b"id: 1\nid: 2\0\ndata: a\n\n", [Frame("", b"a", "1")], id="an id with NUL is ignored"),
        pytest.param(b"id: 1\0\ndata: a\n\n", [Frame("", b"a", None)], id="a frame whose id has NUL"),
        pytest.param(b"id: 1\ndata: a\nid: 2\n\n", [Frame("", b"a", "2")], id="the last id counts"),
        pytest.param(b"id: 1\ndata: a\nid: \n\n", [Frame("", b"a", "")], id="the last id counts, also an empty one"),
        pytest.param(b"data: a\nevent: x\n\n", [Frame("x", b"a", None)], id="fields in another order"),
        pytest.param(
            b"event: x\ndata: a\nretry: 5\nid: 1\n\ndata: b\n\n: ping\n\nevent: y\ndata: c\n\n",
            [Frame("x", b"a", "1"), Frame("", b"b", None), Frame("y", b"c", None)],
            id="frames before and after a comment",
        ),
        pytest.param(b"id: 1\n\ndata: a\n\n", [Frame("", b"a", "1")], id="an id without data stays"),
        pytest.param(b"id: \xff\nevent: \xff\ndata: \xff\n\n", [Frame("�", b"\xff", "�")], id="invalid UTF-8"),
        pytest.param(b"Data: a\n data: b\ndata : c\nfoo: d\n\n", [], id="unknown fields"),
        pytest.param(b"data: a\n", [], id="an incomplete frame is dropped"),
        pytest.param(b"data: a\n\ndata: b", [Frame("", b"a", None)], id="an incomplete line is dropped"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_frames_are_those_of_the_specification(data: bytes, frames: list[Frame]) -> None:
    assert decode([data]) == frames
    assert decode(one_by_one(data)) == frames


@pytest.mark.parametrize(
    ("chunks", "data"),
    [
        pytest.param([b"x", b"data: a\n\ndata: b\n\n"], [b"b"], id="a line of an unknown field"),
        pytest.param([b"data: a\n\n: x", b"data: c\n\ndata: b\n\n"], [b"a", b"b"], id="a comment"),
        pytest.param([b"data: a\r\n\r", b"\n", b"data: b\r\n\r\n"], [b"a", b"b"], id="CRLF, alone"),
        pytest.param([b"data: a\r", b"\ndata: b\r\r"], [b"a\nb"], id="CRLF, with more"),
        pytest.param([b"data: a\r", b"data: b\n\n"], [b"a\nb"], id="CR"),
    ],
)
def test_a_line_goes_on_in_the_next_chunk(chunks: list[bytes], data: list[bytes]) -> None:
    assert [frame.data for frame in decode(chunks)] == data


def test_a_sample_of_everything() -> None:
    assert decode([SAMPLE]) == FRAMES


@pytest.mark.parametrize("at", range(len(SAMPLE)))
def test_any_cut_gives_the_same_frames(at: int) -> None:
    assert decode([SAMPLE[:at], b"", SAMPLE[at:]]) == FRAMES


def test_single_bytes_give_the_same_frames_with_empty_chunks_in_between() -> None:
    assert decode(chunk for byte in one_by_one(SAMPLE) for chunk in (byte, b"")) == FRAMES


PIECES = [b"\r", b"\n", b"\r\n", b":", b" ", b"data", b"data:", b"id", b"event:", b"retry:1", b"x", b"\0", BOM, b"\xef"]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join), st.data())
def test_any_cuts_of_anything_give_the_same_frames(data: bytes, drawn: st.DataObject) -> None:
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(data)))))
    chunks = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    assert decode(chunks) == decode([data]) == decode(one_by_one(data))


@pytest.mark.parametrize(
    ("lines", "retry_ms"),
    [
        (b"", None),
        (b"retry: 1500\n", 1500),
        (b"data: a\nretry: 1500\n\ndata: b\n\n", 1500),
        (b"retry: 1500\nretry: 20\n", 20),
        (b"retry: 1500\nretry: -1\nretry: 1.5\nretry: soon\nretry\n", 1500),
        ("retry: \u0661\n".encode(), None),
        (b"retry: 9999999999\n", None),
        (b"retry: " + b"9" * 10_000 + b"\n", None),
    ],
)
def test_retry_is_a_whole_number_of_milliseconds(lines: bytes, retry_ms: int | None) -> None:
    decoder = SseDecoder()

    decode([lines, b"\n"], decoder)

    assert decoder.retry_ms == retry_ms


@pytest.mark.parametrize(
    ("too_large", "fits"),
    [
        pytest.param(b"data: " + b"x" * 59, b"data: " + b"x" * 58, id="a line that ends"),
        pytest.param(b"event: " + b"x" * 53 + b"\ndata", b"event: " + b"x" * 52 + b"\ndata", id="an event field"),
        pytest.param(b": " + b"x" * 58 + b"\ndata", b": " + b"x" * 57 + b"\ndata", id="a comment"),
        pytest.param(
            b"data:" + b"x" * 30 + b"\ndata:" + b"x" * 24,
            b"data:" + b"x" * 30 + b"\ndata:" + b"x" * 23,
            id="an event of two lines",
        ),
    ],
)
def test_what_is_too_large_is_refused_wherever_it_is_cut(too_large: bytes, fits: bytes) -> None:
    before = b"data: before\n\n"
    for chunks in ([before + too_large + b"\n\n"], one_by_one(before + too_large + b"\n\n")):
        assert frames_until_refused(chunks, 64) == [Frame("", b"before", None)]

    assert len(decode([before + fits + b"\n\n"], SseDecoder(64))) == 2


def test_a_line_without_an_end_is_refused() -> None:
    assert frames_until_refused([b"x" * 40, b"x" * 40], 64) == []


def test_the_message_of_an_event_that_is_too_large_names_a_way_to_read_it() -> None:
    with pytest.raises(MalformedResponse, match=r"sessions\.messages"):
        decode([b"data: xxx\n\n"], SseDecoder(8))


def test_a_frame_comes_with_the_byte_that_completes_it() -> None:
    for line_end in (b"\n", b"\r", b"\r\n"):
        assert len(decode([b"data: 1" + line_end + line_end[:1]])) == 1


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", False), (b"data: a\n\n", False), (b"\n", False), (b"data", True), (b"data: a\n", True)]
)
def test_a_decoder_knows_whether_it_is_inside_a_frame(data: bytes, *, expected: bool) -> None:
    decoder = SseDecoder()
    decode([data], decoder)

    assert decoder.is_inside_frame is expected


@pytest.mark.parametrize(("data", "expected"), [(b": ping\n\n", True), (b":\n\n", True), (b"data: a\n\n\n\n", False)])
def test_a_comment_is_noticed(data: bytes, *, expected: bool) -> None:
    decoder = SseDecoder()
    decode([data], decoder)

    assert decoder.has_comments is expected


def test_an_event_of_a_megabyte_is_read() -> None:
    assert decode([b"data: ", b"x" * 1_000_000, b"\n\n"]) == [Frame("", b"x" * 1_000_000, None)]


def test_what_is_between_frames_costs_time_in_proportion() -> None:
    def seconds(comments: int) -> float:
        chunk = b":\n\n" * comments + b"data: a\n\n"
        started_s = time.process_time()
        assert len(decode([chunk])) == 1
        return time.process_time() - started_s

    seconds(1_000)
    assert seconds(80_000) < 8 * 8 * max(seconds(10_000), 0.005)  # each time a copy of the rest, it would be 64 times


def test_a_long_line_costs_time_in_proportion() -> None:
    def seconds(size: int) -> float:
        chunks = [b"data: ", *one_by_one(b"x" * size), b"\n\n"]
        started_s = time.process_time()
        assert len(decode(chunks)[0].data) == size
        return time.process_time() - started_s

    seconds(10_000)
    assert seconds(400_000) < 40 * 10 * max(seconds(10_000), 0.002)
