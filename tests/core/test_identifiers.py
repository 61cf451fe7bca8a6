"""Random ids come from one source."""

from __future__ import annotations

import re

from polysession._core.identifiers import ID_SOURCE, new_id


def test_ids_are_hexadecimal_and_differ() -> None:
    first, second = new_id(), new_id()

    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


def test_a_source_that_is_set_gives_the_ids() -> None:
    recorded = iter(["a", "b"])
    token = ID_SOURCE.set(lambda: next(recorded))
    try:
        assert (new_id(), new_id()) == ("a", "b")
    finally:
        ID_SOURCE.reset(token)
