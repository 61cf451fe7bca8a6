from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysession._json import decode_json, replace_lone_surrogates

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_json_of_any_kind_is_decoded(value: Any) -> None:
    assert decode_json(json.dumps(value).encode()) == value


@given(st.text(st.characters(categories=["Cs", "L", "P"])))
def test_halves_of_surrogate_pairs_are_replaced(text: str) -> None:
    """As Python's own decoder does, after it replaced what cannot be encoded."""
    whole = json.loads(json.dumps(text)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    read = decode_json(json.dumps(text).encode())
    assert read.replace("\N{REPLACEMENT CHARACTER}", "") == whole.replace("\N{REPLACEMENT CHARACTER}", "")


@given(st.binary(), st.binary())
def test_text_without_escapes_stays(before: bytes, after: bytes) -> None:
    text = before.replace(b"\\", b"") + after.replace(b"\\", b"")
    assert replace_lone_surrogates(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"1e400", Decimal("1e400")),
        (b"-1e400", Decimal("-1e400")),
        (b'{"a": [1e400, 0.5]}', {"a": [Decimal("1e400"), 0.5]}),
    ],
)
def test_large_numbers_are_kept(text: bytes, value: Any) -> None:
    assert decode_json(text) == value


@pytest.mark.parametrize("text", [b"", b"x", b"{", b"NaN", b"Infinity", b'"\xff"', b"[1,]", b"[" * 100_000, b'"\\x"'])
def test_what_is_not_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        decode_json(text)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
