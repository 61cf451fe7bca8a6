from __future__ import annotations

from typing import Any

from polysession._core.writing import write_back
from polysession.session import Session

RAW = {"id": "s1", "name": "Old", "labels": ["b", "a"], "odd": {"kept": True}}


def to_session(raw: dict[str, Any]) -> Session:
    return Session(provider="acme", id=raw["id"], title=raw["name"], tags=tuple(sorted(raw["labels"])), raw=raw)


WRITERS = {
    "id": lambda wire, value: wire.update(id=value),
    "title": lambda wire, value: wire.update(name=value),
    "tags": lambda wire, value: wire.update(labels=list(value)),
}


def test_an_unchanged_session_is_its_raw_object() -> None:
    assert write_back(to_session(RAW), to_session, WRITERS) == RAW


def test_only_a_field_that_differs_is_written_anew() -> None:
    changed = to_session(RAW).model_copy(update={"title": "New"})

    assert write_back(changed, to_session, WRITERS) == RAW | {"name": "New"}


def test_raw_itself_stays_untouched() -> None:
    session = to_session(RAW).model_copy(update={"title": "New", "tags": ("c",)})

    wire = write_back(session, to_session, WRITERS)
    wire["odd"]["kept"] = False

    assert session.raw == {"id": "s1", "name": "Old", "labels": ["b", "a"], "odd": {"kept": True}}


def test_what_is_written_is_not_shared_with_the_session() -> None:
    session = Session(provider="acme", id="s2", metadata={"team": "red"})

    wire = write_back(session, to_session, {"metadata": lambda wire, value: wire.update(metadata=value)})
    wire["metadata"]["team"] = "blue"

    assert session.metadata == {"team": "red"}


def test_a_session_without_raw_gets_every_field() -> None:
    session = Session(provider="acme", id="s2", title="New")

    assert write_back(session, to_session, WRITERS) == {"id": "s2", "name": "New", "labels": []}
