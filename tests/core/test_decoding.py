"""One odd value costs nothing but itself."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from decimal import Decimal
from string import ascii_letters, digits
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysession._core.decoding import decode_cursor, decoder, encode_cursor, record_reader
from polysession.errors import MalformedResponse, UsageError
from polysession.session import Session

CANARY = "c4n4ry"


class Model(msgspec.Struct):
    id: str | None = None
    parameters: dict[str, int] | None = None


class Part(msgspec.Struct):
    id: str
    size: int | None = None


class Wire(msgspec.Struct):
    id: str
    title: str | None = None
    count: int | None = None
    credits: Decimal | None = None
    cost: float | None = None
    done: bool | None = None
    at: datetime | None = None
    kind: Literal["a", "b"] | None = None
    metadata: dict[str, str] | None = None
    tags: list[str] | None = None
    model: Model | str | None = None
    parts: list[Part] | None = None
    native: Any = None


read = decoder(Wire)


def test_text_that_fits_has_no_problems() -> None:
    assert read(b'{"id": "w", "title": "T", "of_tomorrow": [1]}') == (Wire("w", title="T"), ())


@pytest.mark.parametrize(
    ("member", "field", "value"),
    [
        ('"count": "3"', "count", 3),
        ('"credits": "123456789012345678.91"', "credits", Decimal("123456789012345678.91")),
        ('"credits": 123456789012345678.91', "credits", Decimal("123456789012345678.91")),
        ('"credits": 3', "credits", Decimal(3)),
        ('"cost": "0.5"', "cost", 0.5),
        ('"done": "true"', "done", True),
        ('"at": "2026-11-22T09:30:00Z"', "at", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        ('"at": 1795339800', "at", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        ('"count": 123456789012345678901234567890', "count", 123456789012345678901234567890),
        ('"native": 123456789012345678901234567890', "native", 123456789012345678901234567890),
        ('"model": "m1"', "model", "m1"),
        ('"model": {"id": "m1"}', "model", Model("m1")),
        ('"metadata": null', "metadata", None),
    ],
)
def test_all_spellings_of_a_value_are_read(member: str, field: str, value: Any) -> None:
    wire, problems = read(f'{{"id": "w", {member}}}'.encode())

    assert (getattr(wire, field), problems) == (value, ())


@pytest.mark.parametrize(
    ("member", "field", "left", "problem"),
    [
        ('"title": 5', "title", None, "title: not text"),
        ('"count": "many"', "count", None, "count: not a whole number"),
        ('"count": 1.5', "count", None, "count: not a whole number"),
        ('"cost": 1e400', "cost", None, "cost: not a number"),
        ('"done": "perhaps"', "done", None, "done: not true or false"),
        ('"at": ""', "at", None, "at: not datetime"),
        ('"at": "2016-12-31T23:59:60Z"', "at", None, "at: not datetime"),
        ('"kind": "c"', "kind", None, "kind: not 'a' or 'b'"),
        ('"metadata": "none"', "metadata", None, "metadata: not an object"),
        ('"metadata": {"n": 3, "team": "red"}', "metadata", {"team": "red"}, "metadata.n: not text"),
        ('"tags": ["a", 5, "b"]', "tags", ["a", "b"], "tags[1]: not text"),
        ('"tags": {}', "tags", None, "tags: not a list"),
        ('"model": 5', "model", None, "model: not an object or text"),
        ('"model": {"id": 5, "parameters": {"a": 1}}', "model", Model(None, {"a": 1}), "model.id: not text"),
        ('"model": {"parameters": {"a": "x"}}', "model", Model(None, {}), "model.parameters.a: not a whole number"),
        ('"parts": [{"id": "p"}, {"size": 3}, 5]', "parts", [Part("p")], "parts[1]: not an object"),
        ('"parts": [{"id": "p", "size": "big"}]', "parts", [Part("p")], "parts[0].size: not a whole number"),
    ],
)
def test_an_odd_value_is_left_out_and_named(member: str, field: str, left: Any, problem: str) -> None:
    wire, problems = read(f'{{"title": "T", "id": "w", {member}}}'.encode())

    assert getattr(wire, field) == left
    assert problem in problems
    assert wire.id == "w"
    assert field == "title" or wire.title == "T"


def test_several_odd_values_are_all_named() -> None:
    wire, problems = read(b'{"id": "w", "title": 1, "count": "x", "tags": [1, 2], "done": true}')

    assert wire == Wire("w", tags=[], done=True)
    assert problems == ("title: not text", "count: not a whole number", "tags[0]: not text", "tags[1]: not text")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the body is empty, not a JSON object"),
        (b" \r\n", "the body is empty, not a JSON object"),
        (b"[]", "the body is not a JSON object"),
        (b"null", "the body is not a JSON object"),
        (b"<html>", "the body is not a JSON object"),
        (b'{"id": "w"', "the body is not a JSON object"),
        (b'{"id": "\xff"}', "has no valid id"),
        (b'{"title": "T"}', "has no valid id"),
        (b'{"id": 5}', "has no valid id"),
        (b'{"id": null}', "has no valid id"),
    ],
)
def test_what_is_of_no_use_is_malformed(content: bytes, what: str) -> None:
    with pytest.raises(MalformedResponse, match=what):
        read(content)


def test_what_is_no_utf8_costs_nothing_but_itself() -> None:
    wire, problems = read(b'{"id": "w", "title": "\xff", "tags": ["a", "\xff"]}')

    assert wire == Wire("w", tags=["a"])
    assert problems == ("title: not text", "tags[1]: not text")


def test_values_may_be_nested_deeply() -> None:
    deep = b"[" * 300 + b"]" * 300

    assert read(b'{"id": "w", "native": %b}' % deep)[1] == ()


def test_what_is_nested_beyond_any_sense_is_malformed() -> None:
    """A stack overflow would end the process."""
    deep = b"[" * 100_000 + b"]" * 100_000

    with pytest.raises(MalformedResponse):
        read(b'{"id": "w", "native": %b}' % deep)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb"\ud83d", "\N{REPLACEMENT CHARACTER}"),
        (rb"\ud83d!", "\N{REPLACEMENT CHARACTER}!"),
        (rb"\ude80", "\N{REPLACEMENT CHARACTER}"),
        (rb"\ud83d\ud83d\ude80", "\N{REPLACEMENT CHARACTER}🚀"),
        (rb"\ud83d\ude80\ud83d", "🚀\N{REPLACEMENT CHARACTER}"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d", "\\\N{REPLACEMENT CHARACTER}"),
        (rb"\uD83D\uDE80", "🚀"),
    ],
)
def test_half_a_surrogate_pair_is_replaced(text: bytes, value: str) -> None:
    wire, problems = read(b'{"id": "w", "title": "%b", "tags": ["%b"], "metadata": {"k": "%b"}}' % (text, text, text))

    assert (wire.title, wire.tags, wire.metadata) == (value, [value], {"k": value})
    assert problems == ()


def test_the_last_of_two_equal_keys_counts() -> None:
    assert read(b'{"id": "a", "id": "b", "title": 5}')[0].id == "b"


def test_no_problem_tells_a_value() -> None:
    _, problems = read(
        b'{"id": "w", "title": ["%(c)b"], "count": "%(c)b", "metadata": {"k": ["%(c)b"]}}' % {b"c": CANARY.encode()}
    )

    assert len(problems) == 3
    assert CANARY not in str(problems)


def test_the_error_holds_no_cause() -> None:
    with pytest.raises(MalformedResponse) as caught:
        read(b'{"id": {"key": "%b"}}' % CANARY.encode())

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@given(
    st.dictionaries(
        st.sampled_from([*Wire.__struct_fields__, "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
    )
)
def test_any_object_with_an_id_is_read(members: dict[str, Any]) -> None:
    """Each member alone gives the same value and the same problems as among the others."""
    others = {name: value for name, value in members.items() if name != "id"}
    content = msgspec.json.encode({"id": "w", **others})

    wire, problems = read(content)

    found: list[str] = []
    for name, value in others.items():
        alone, named = read(msgspec.json.encode({"id": "w", name: value}))
        found += named
        assert name == "other" or getattr(wire, name) == getattr(alone, name)
    assert sorted(problems) == sorted(found)


class Timed(msgspec.Struct):
    id: str
    at: datetime | None = None
    usage: Model | None = None


def test_a_time_that_no_record_can_hold_is_left_out_and_named() -> None:
    def to_session(wire: Timed, source: bytes, problems: tuple[str, ...]) -> Session:
        return Session(provider="p", id=wire.id, created_at=wire.at, source=source, problems=problems)

    reader = record_reader(Timed, to_session)

    session = reader(b'{"id": "s", "at": "9999-12-31T23:59:59-05:00"}')
    assert (session.created_at, session.id) == (None, "s")
    assert session.problems == ("at: not a time within the years 1 to 9999 in UTC",)
    assert reader(b'{"id": "s", "at": "2026-11-22T09:30:00Z"}').problems == ()


class Place(msgspec.Struct):
    after: str
    count: int = 0


def test_a_cursor_is_opaque_text_that_reads_back() -> None:
    cursor = encode_cursor(Place("é?/", 3))

    assert decode_cursor(Place, cursor, "Acme") == Place("é?/", 3)
    assert set(cursor) <= set(ascii_letters + digits + "-_")


@pytest.mark.parametrize("cursor", ["", "é", "!!!!", "e30", encode_cursor(Place("a"))[:-3], "bm8"])
def test_a_foreign_cursor_is_refused_by_the_name_of_the_backend(cursor: str) -> None:
    with pytest.raises(UsageError, match="is not a stream cursor of Acme"):
        decode_cursor(Place, cursor, "Acme")
