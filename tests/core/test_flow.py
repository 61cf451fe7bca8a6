from __future__ import annotations

import json
from typing import Any

import pytest

from polysession._core.flow import Call, Response, json_body, path_segment, with_query
from polysession.errors import UsageError


@pytest.mark.parametrize(
    ("call", "changes", "repeatable"),
    [
        (Call("GET", "/"), False, True),
        (Call("HEAD", "/"), False, True),
        (Call("DELETE", "/"), True, True),
        (Call("POST", "/"), True, False),
        (Call("PATCH", "/"), True, False),
        (Call("PUT", "/"), True, False),
        (Call("POST", "/", read_only=True), False, True),
        (Call("POST", "/", idempotency_header="key"), True, True),
    ],
)
def test_what_changes_nothing_or_carries_a_key_may_be_repeated(call: Call, changes: bool, repeatable: bool) -> None:  # noqa: FBT001
    assert (call.changes, call.repeatable) == (changes, repeatable)


@pytest.mark.parametrize(("status", "succeeded"), [(199, False), (200, True), (202, True), (299, True), (300, False)])
def test_any_2xx_is_a_success(status: int, succeeded: bool) -> None:  # noqa: FBT001
    assert Response(status, {}, b"").succeeded is succeeded


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("sess_1-A.b~c", "sess_1-A.b~c"),
        ("...", "..."),
        ("a?b#c", "a%3Fb%23c"),
        ("a%2Fb", "a%252Fb"),
        ("%2e%2e", "%252e%252e"),
        ("a:b@c;d=e&f+g", "a%3Ab%40c%3Bd%3De%26f%2Bg"),
        ("sitzung-ü-会话", "sitzung-%C3%BC-%E4%BC%9A%E8%AF%9D"),
    ],
)
def test_an_id_is_encoded_whole_so_that_it_stays_one_segment(value: str, segment: str) -> None:
    assert path_segment(value, "session id") == segment


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/",
        "a\\b",
        "a b",
        " a",
        "a\t",
        "a\r\nX: y",
        "\x00",
        "\x7f",
        "\xa0",
        "\u200b",
        "\ud800",
    ],
)
def test_an_id_that_could_change_the_route_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="session id"):
        path_segment(value, "session id")


@pytest.mark.parametrize("value", [None, 5, b"id", ["id"]])
def test_an_id_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=rf"the agent id must be text, not {type(value).__name__}"):
        path_segment(value, "agent id")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({}, "/s"),
        ({"a": None}, "/s"),
        ({"a": "x y&z=ü", "b": 3}, "/s?a=x+y%26z%3D%C3%BC&b=3"),
        ({"flag": True, "other": False}, "/s?flag=true&other=false"),
        ({"statuses[]": ["idle", "running"], "none": []}, "/s?statuses%5B%5D=idle&statuses%5B%5D=running"),
        ({"empty": "", "zero": 0}, "/s?empty=&zero=0"),
    ],
)
def test_a_query_holds_what_was_given(query: dict[str, Any], path: str) -> None:
    assert with_query("/s", query) == path


def test_a_query_with_half_a_surrogate_pair_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot be sent in a URL"):
        with_query("/s", {"cursor": "\ud800"})


def test_json_is_compact_utf8_and_keeps_null() -> None:
    body = json_body({"title": "ü", "team": None, "list": [1, 2.5]})

    assert body == '{"title":"ü","team":null,"list":[1,2.5]}'.encode()
    assert json.loads(body)["team"] is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), {1, 2}, b"bytes"])
def test_what_json_cannot_carry_is_a_usage_error(value: Any) -> None:
    with pytest.raises(UsageError, match="cannot be sent as JSON"):
        json_body({"value": value})
