from __future__ import annotations

import gzip
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from polysession._core.decoding import decoder
from polysession._core.flow import Response
from polysession._core.provider import ErrorDetail, Page
from polysession._core.raw_events import raw_event
from polysession._core.reading import (
    answer_id,
    fastapi_error,
    one_page,
    read_array,
    read_frame,
    read_frames,
    read_json,
    read_json_or_none,
    read_json_or_nothing,
    read_list,
    read_parts,
    read_response,
    read_whole,
)
from polysession._core.sse import Frame
from polysession.errors import MalformedResponse, UsageError

CANARY = "c4n4ry-in-a-body"


class Thing(msgspec.Struct):
    id: str
    size: int | None = None


class Things(msgspec.Struct):
    data: list[msgspec.Raw] | None = None
    next: str | None = None


read_thing, read_things = decoder(Thing), decoder(Things)


def reply(content: bytes, status: int = 200) -> Response:
    return Response(status, {"x-request-id": "req-1"}, content)


OTHER_BODIES = pytest.mark.parametrize(
    ("content", "described"),
    [
        (b"", "the body is empty"),
        (b" \r\n ", "the body is empty"),
        (b"Bad gateway", "expected JSON, received: Bad gateway"),
        (b"x" * 80, "expected JSON, received: " + "x" * 80),
        (b"x" * 81, "it is not JSON: JSON is malformed: invalid character (byte 0)"),
        (b"<html><title> Log\n in </title>", 'expected JSON, received: an HTML page titled "Log\n in"'),
        (b"<HTML><body>hi", "expected JSON, received: an HTML page"),
        (b"<html><title>" + b"x" * 81 + b"</title>", "expected JSON, received: an HTML page"),
        (b'{"id": "' + b"x" * 100, "it is not JSON: Input data was truncated"),
        (gzip.compress(b"{}", mtime=0) * 9, "it is not JSON: JSON is malformed: invalid character (byte 0)"),
        (b'{"a": "\xff"}', 'expected JSON, received: {"a": "\N{REPLACEMENT CHARACTER}"}'),
        (b'{"a": ' + b"[" * 100_000, "it is not JSON: maximum recursion depth exceeded while deserializing an object"),
    ],
)


@pytest.mark.parametrize("read", [read_json, lambda response: read_response(read_thing, response)])
@OTHER_BODIES
def test_a_body_that_is_not_json_is_described(read: Callable[[Response], Any], content: bytes, described: str) -> None:
    with pytest.raises(MalformedResponse) as caught:
        read(reply(content))

    assert caught.value.message == f"the backend reported success, but its response cannot be read: {described}"
    assert (caught.value.status, caught.value.request_id) == (200, "req-1")


def test_a_json_object_is_read() -> None:
    assert read_json(reply(b' {"a": [1, null]} ')) == {"a": [1, None]}


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert read_json(reply(rb'{"a": "\ud83d!"}')) == {"a": "\N{REPLACEMENT CHARACTER}!"}


@pytest.mark.parametrize("read", [read_json, lambda response: read_response(read_thing, response)])
@pytest.mark.parametrize(("content", "kind"), [(b"[]", "a list"), (b"null", "null"), (b'"text"', "text")])
def test_another_json_value_is_named(read: Callable[[Response], Any], content: bytes, kind: str) -> None:
    with pytest.raises(MalformedResponse, match=f"expected a JSON object, received {kind}"):
        read(reply(content))


def test_a_long_body_is_not_quoted_so_that_no_secret_is_cut_in_half() -> None:
    with pytest.raises(MalformedResponse) as caught:
        read_json(reply(b"x" * 70 + CANARY.encode()))

    assert CANARY[:6] not in str(caught.value)


def test_a_response_is_read_with_its_problems() -> None:
    assert read_response(read_thing, reply(b'{"id": "t", "size": "big"}')) == (
        Thing("t"),
        ("size: not a whole number",),
    )


def test_a_response_without_what_is_required_is_malformed() -> None:
    with pytest.raises(MalformedResponse, match="has no valid id") as caught:
        read_response(read_thing, reply(b'{"size": 3}', 201))

    assert (caught.value.status, caught.value.request_id) == (201, "req-1")


@pytest.mark.parametrize(
    "read",
    [
        lambda response: read_response(read_thing, response),
        lambda response: read_whole(read_things, response),
        lambda response: answer_id(response, "id"),
        lambda response: read_json(Response(200, {}, b"[" + response.content + b"]")),
    ],
)
def test_no_body_is_in_a_traceback(read: Callable[[Response], Any]) -> None:
    with pytest.raises(MalformedResponse) as caught:
        read(reply(b'{"id": {"key": "%s"}, "next": {"key": "%s"}}' % (CANARY.encode(), CANARY.encode())))

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    ours = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in ours.stack if "_core" in frame.filename]
    assert frames
    assert not [frame for frame in frames if CANARY in str(frame.locals)]


@pytest.mark.parametrize("content", [b'{"data": [], "next": {}}', b'{"data": {}}'])
def test_a_page_of_which_a_part_is_unreadable_is_malformed(content: bytes) -> None:
    """An unreadable cursor would end the list."""
    with pytest.raises(MalformedResponse, match=r"(next: not text|data: not a list)"):
        read_whole(read_things, reply(content))


def test_no_more_than_three_problems_are_named() -> None:
    class Many(msgspec.Struct):
        a: int = 0
        b: int = 0
        c: int = 0
        d: int = 0

    with pytest.raises(MalformedResponse) as caught:
        read_whole(decoder(Many), reply(b'{"a": "x", "b": "x", "c": "x", "d": "x"}'))

    assert [name for name in "abcd" if f"{name}: not" in caught.value.message] == ["a", "b", "c"]


def test_an_item_without_an_id_costs_no_neighbour_and_is_named() -> None:
    content = rb'{"data": [{"id": "a"}, {"size": 3}, 5, {"id": "b", "size": "x"}, {"id": "\ud83d"}], "next": "c2"}'
    things = read_whole(read_things, reply(content))

    page = read_list(things.data, lambda item: read_thing(item)[0], next_cursor=things.next)

    assert page.items == (Thing("a"), Thing("b"), Thing("\N{REPLACEMENT CHARACTER}"))
    assert page.next_cursor == "c2"
    assert [problem.split(":")[0] for problem in page.problems] == ["item 1", "item 2"]


def test_no_list_is_an_empty_one() -> None:
    assert read_list(read_whole(read_things, reply(b'{"data": null}')).data, read_thing) == Page(())


@pytest.mark.parametrize(
    ("page_size", "cursor", "items", "next_cursor"),
    [
        (None, None, "abcde", None),
        (2, None, "ab", "2"),
        (2, "2", "cd", "4"),
        (2, "4", "e", None),
        (5, None, "abcde", None),
        (None, "5", "", None),
        (2, "6", "", None),
    ],
)
def test_a_list_that_is_read_whole_is_cut_into_pages(
    page_size: int | None, cursor: str | None, items: str, next_cursor: str | None
) -> None:
    assert one_page("abcde", page_size, cursor) == Page(tuple(items), next_cursor)


@pytest.mark.parametrize(
    ("page_size", "cursor", "items", "next_cursor"),
    [(2, None, "ed", "3"), (2, "3", "cb", "1"), (2, "1", "a", None), (None, "9", "edcba", None), (2, "0", "", None)],
)
def test_a_list_that_is_read_whole_is_cut_from_its_end(
    page_size: int | None, cursor: str | None, items: str, next_cursor: str | None
) -> None:
    assert one_page("abcde", page_size, cursor, newest_first=True) == Page(tuple(items), next_cursor)


def test_parts_are_read_one_by_one() -> None:
    parts = [msgspec.Raw(text) for text in (b'{"id":"a"}', b"5", b'{"id":"b","size":"big"}')]
    read, problems = read_parts(parts, read_thing, "content")
    assert read == [(Thing("a"), b'{"id":"a"}'), (Thing("b"), b'{"id":"b","size":"big"}')]
    assert problems == ("content[1]: not an object", "content[2].size: not a whole number")
    assert read_parts(None, read_thing, "content") == ([], ())


def test_a_bare_array_is_read_item_by_item() -> None:
    assert [bytes(item) for item in read_array(Response(200, {}, b'[{"id": 1}, 5]'))] == [b'{"id": 1}', b"5"]
    for body in (b"", b'{"items": []}', b"[1"):
        with pytest.raises(MalformedResponse, match="not a JSON array"):
            read_array(Response(200, {}, body))


@pytest.mark.parametrize("cursor", ["", "x", "-1", "٣", "1.0", "9" * 5000])
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="is not a cursor of this list"):
        one_page("abcde", 2, cursor)


def test_an_odd_frame_does_not_end_a_stream() -> None:
    assert read_frame(read_thing, Frame("thing", b'{"id": "a"}', None)) == (Thing("a"), ())
    assert read_frame(read_thing, Frame("thing", b"hello", None)) == (None, ("the body is not a JSON object",))


@pytest.mark.parametrize(
    ("source", "payload"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[1]", {"value": [1]}),
        (b"hello \xff", {"text": "hello \N{REPLACEMENT CHARACTER}"}),
        (b"", {"text": ""}),
    ],
)
def test_what_is_not_modelled_becomes_a_raw_event(source: bytes, payload: dict[str, Any]) -> None:
    event = raw_event("s1", source, native_type="odd", problems=("x",))

    assert (event.payload, event.source, event.session_id) == (payload, source, "s1")
    assert (event.native_type, event.problems) == ("odd", ("x",))


@pytest.mark.parametrize(
    ("content", "path"),
    [(b'{"id": "a"}', ["id"]), (b'{"data": [{"id": "a"}]}', ["data", 0, "id"])],
)
def test_the_id_in_an_answer_is_found(content: bytes, path: list[str | int]) -> None:
    assert answer_id(reply(content), *path) == "a"


def test_a_number_is_an_id_too() -> None:
    assert answer_id(reply(b'{"id": 123456789012345678901}'), "id") == "123456789012345678901"


@pytest.mark.parametrize("content", [b"{}", b'{"id": ""}', b'{"id": null}', b'{"id": true}', b'{"id": ["a"]}'])
def test_an_answer_without_an_id_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedResponse, match="it has no id at id") as caught:
        answer_id(reply(content), "id")

    assert (caught.value.status, caught.value.request_id) == (200, "req-1")


@pytest.mark.parametrize(
    ("content", "read"),
    [(b'{"a": 1}', {"a": 1}), (b"", None), (b"[1]", None), (b"<html>", None), (b"\xff", None)],
)
def test_an_error_body_may_be_anything(content: bytes, read: Any) -> None:
    assert read_json_or_none(reply(content, 500)) == read


@pytest.mark.parametrize("content", [b"", b" \r\n"])
def test_a_response_may_have_no_body(content: bytes) -> None:
    assert read_json_or_nothing(Response(204, {}, content)) is None


def test_a_body_that_need_not_be_there_is_still_json() -> None:
    assert read_json_or_nothing(Response(200, {}, b'{"ok": true}')) == {"ok": True}
    with pytest.raises(MalformedResponse, match="an HTML page"):
        read_json_or_nothing(Response(200, {}, b"<html><title>Sign in</title>"))


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"detail": "no such session"}', ErrorDetail("no such session")),
        (b'{"detail": {"message": "busy", "code": 409}}', ErrorDetail("busy", "409")),
        (
            b'{"detail": [{"loc": ["body", "title"], "msg": "too long", "input": "c4n4ry"}]}',
            ErrorDetail("body.title: too long"),
        ),
        (
            b'{"detail": [{"msg": "a"}, {"msg": "b"}, 5, {"msg": "c"}, {"msg": "d"}]}',
            ErrorDetail("a; b; c; and 1 more"),
        ),
        (b'{"detail": 5}', ErrorDetail()),
        (b"{}", ErrorDetail()),
        (b"<html>", ErrorDetail()),
        (b"", ErrorDetail()),
    ],
)
def test_an_error_body_of_fastapi_is_read(body: bytes, detail: ErrorDetail) -> None:
    assert fastapi_error(reply(body, 422)) == detail


def test_the_frames_of_a_whole_stream_are_read_without_its_unfinished_end() -> None:
    stream = {"content-type": "text/event-stream; charset=utf-8"}
    response = Response(200, stream, b'event: a\ndata: {"id": 1}\n\n: heartbeat\n\ndata: 2\n\ndata: cut')
    assert read_frames(response) == [Frame("a", b'{"id": 1}', None), Frame("", b"2", None)]


def test_a_page_is_no_stream_of_frames() -> None:
    with pytest.raises(MalformedResponse, match="expected an event stream, received text/html") as caught:
        read_frames(Response(200, {"content-type": "text/html"}, b"data: 1\n\n"))
    assert caught.value.status == 200
