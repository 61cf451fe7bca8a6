from __future__ import annotations

import gzip
from typing import Annotated, Any, Required

import pytest
from pydantic import AliasPath, BaseModel, Field
from typing_extensions import TypedDict

from polysession._core.flow import Response
from polysession._core.reading import Form, read_as, read_json, read_json_or_none, read_json_or_nothing
from polysession.errors import MalformedResponse

CANARY = "c4n4ry-in-a-body"


class Thing(BaseModel):
    id: str
    counts: dict[str, int] = {}


def reply(content: bytes, status: int = 200) -> Response:
    return Response(status, {"x-request-id": "req-1"}, content)


def test_a_json_object_is_read() -> None:
    assert read_json(reply(b' {"a": [1, null]} ')) == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the body is empty"),
        (b" \r\n ", "the body is empty"),
        (b"[]", "instead of a JSON object came a list"),
        (b"null", "instead of a JSON object came a NoneType"),
        (b'"text"', "instead of a JSON object came a str"),
        (b"Bad gateway", "instead of JSON came: Bad gateway"),
        (b"x" * 80, "instead of JSON came: " + "x" * 80),
        (b"x" * 81, "it is not JSON: expected value at line 1 column 1"),
        (b"<html><title> Log\n in </title>", 'instead of JSON came: an HTML page titled "Log\n in"'),
        (b"<HTML><body>hi", "instead of JSON came: an HTML page"),
        (b"<html><title>" + b"x" * 81 + b"</title>", "instead of JSON came: an HTML page"),
        (b'{"id": "' + b"x" * 100, "it is not JSON: EOF while parsing a string at line 1 column 108"),
        (gzip.compress(b"{}") * 9, "it is not JSON: expected value at line 1 column 1"),
        (b'{"a": "\xff"}', 'instead of JSON came: {"a": "\N{REPLACEMENT CHARACTER}"}'),
    ],
)
def test_another_body_is_told_in_the_error(content: bytes, said: str) -> None:
    with pytest.raises(MalformedResponse) as caught:
        read_json(reply(content))

    assert caught.value.message == f"the backend answered success, with a body that cannot be read: {said}"
    assert (caught.value.status, caught.value.request_id) == (200, "req-1")


def test_a_long_body_is_not_quoted_so_that_no_secret_is_cut_in_half() -> None:
    with pytest.raises(MalformedResponse) as caught:
        read_json(reply(b"x" * 70 + CANARY.encode()))

    assert CANARY[:6] not in str(caught.value)


def test_a_normaliser_gets_the_value() -> None:
    assert read_as(Thing.model_validate, {"id": "a"}, reply(b"")) == Thing(id="a")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "id: Field required"),
        ({"id": 5}, "id: Input should be a valid string"),
        (CANARY, "the whole: Input should be a valid dictionary or instance of Thing"),
        ({"id": "a", "counts": {"b": CANARY}}, "counts.b: Input should be a valid integer, unable to parse"),
    ],
)
def test_a_value_of_another_shape_is_malformed_and_names_the_field(value: Any, said: str) -> None:
    with pytest.raises(MalformedResponse, match=said) as caught:
        read_as(Thing.model_validate, value, reply(b"", 201))

    assert (caught.value.status, caught.value.request_id) == (201, "req-1")


def test_no_more_than_three_problems_are_told() -> None:
    counts = dict.fromkeys("abcd", "x")

    with pytest.raises(MalformedResponse) as caught:
        read_as(Thing.model_validate, {"id": "a", "counts": counts}, reply(b""))

    assert [name for name in counts if f"counts.{name}:" in caught.value.message] == ["a", "b", "c"]


def test_the_body_does_not_travel_with_the_error() -> None:
    with pytest.raises(MalformedResponse) as caught:
        read_as(Thing.model_validate, {"id": "a", "counts": {"b": CANARY}}, reply(b""))

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "read"),
    [(b'{"a": 1}', {"a": 1}), (b"", None), (b"[1]", None), (b"<html>", None), (b"\xff", None)],
)
def test_an_error_body_may_be_anything(content: bytes, read: Any) -> None:
    assert read_json_or_none(reply(content, 500)) == read


@pytest.mark.parametrize("content", [b"", b" \r\n"])
def test_a_reply_may_have_no_body(content: bytes) -> None:
    assert read_json_or_nothing(Response(204, {}, content)) is None


def test_a_body_that_need_not_be_there_is_still_json() -> None:
    assert read_json_or_nothing(Response(200, {}, b'{"ok": true}')) == {"ok": True}
    with pytest.raises(MalformedResponse, match="an HTML page"):
        read_json_or_nothing(Response(200, {}, b"<html><title>Sign in</title>"))


class UsualThing(TypedDict, total=False):
    id: Required[str]
    agent_id: Annotated[str, Field(validation_alias=AliasPath("agent", "id"))]


def test_what_has_the_usual_form_is_read() -> None:
    content = b'{"id": "t1", "agent": {"id": "a1"}, "of tomorrow": 1}'

    assert Form(UsualThing).read(reply(content)) == {"id": "t1", "agent_id": "a1"}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"id": 1}', b'{"id": "t1", "agent": {"id": 1}}'])
def test_what_has_another_form_is_not_read(content: bytes) -> None:
    assert Form(UsualThing).read(reply(content)) is None
