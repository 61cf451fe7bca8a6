"""Surrogate pairs whose halves come in two pieces."""

from __future__ import annotations

import pytest

from polysession._core.pairs import SplitPairs

FIRST, SECOND = "\ud83d", "\ude00"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["plain"], ["plain"]),
        ([f"a{FIRST}", f"{SECOND}b"], ["a", "\N{GRINNING FACE}b"]),
        ([FIRST, SECOND], ["", "\N{GRINNING FACE}"]),
        ([FIRST, "b"], ["", "\ufffdb"]),
        ([f"{SECOND}b"], ["\ufffdb"]),
    ],
)
def test_halves_are_joined_and_a_lone_half_is_replaced(pieces: list[str], expected: list[str]) -> None:
    pairs = SplitPairs()

    assert [pairs.join("part", piece) for piece in pieces] == expected


def test_parts_are_kept_apart_and_can_begin_again() -> None:
    pairs = SplitPairs()
    pairs.join("one", FIRST)

    assert (pairs.concern("one", "b"), pairs.concern("two", "b"), pairs.concern("two", "\ufffd")) == (True, False, True)
    pairs.forget("one")
    assert not pairs.concern("one", "b")
