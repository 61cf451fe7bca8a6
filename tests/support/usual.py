"""The usual form of a backend's sessions beside the models of all forms: where both read, they read the same."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from hypothesis import strategies as st

from polysession import Session

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, 2.5, "", "x", "1", "2.5", "2026-03-01", "2026-03-01T12:00:00+02:00", [], ["x"], {}, {"id": "x"}]
)


def spoilt(wires: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Wire objects in which some values are of another kind."""
    return st.builds(_replaced, wires, st.lists(st.tuples(st.integers(0, 99), ODD), max_size=2))


def _replaced(wire: dict[str, Any], changes: list[tuple[int, Any]]) -> dict[str, Any]:
    wire = copy.deepcopy(wire)
    for number, value in changes:
        places = list(_places(wire))
        owner, key = places[number % len(places)]
        owner[key] = copy.deepcopy(value)
    return wire


def _places(value: Any) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in [(value, key), *_places(inner)]]


def assert_same(quick: Session, slow: Session) -> None:
    """A session that was read in the usual form is the one that the models read, in all that can be seen of it."""
    assert quick == slow
    assert quick.model_dump() == slow.model_dump()
    assert list(quick.model_dump()) == list(slow.model_dump())
    assert quick.model_fields_set == slow.model_fields_set
    assert quick.model_dump(exclude_unset=True) == slow.model_dump(exclude_unset=True)
    assert quick.model_dump_json() == slow.model_dump_json()
    assert pickle.loads(pickle.dumps(quick)) == slow  # noqa: S301  (our own)
    assert quick.model_copy(deep=True) == slow
    assert Session.model_validate(quick.model_dump()) == slow
