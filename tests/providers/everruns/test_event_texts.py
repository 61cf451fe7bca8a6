"""Events read straight from their text are what the decoded objects give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polysession import Event, MalformedResponse, MessageDelta
from polysession.provider_api import Frame, SessionRef
from polysession_everruns.event_normaliser import EVENT_TYPES
from polysession_everruns.streams import SessionStream
from polysession_everruns.usual_events import USUAL
from support.everruns_events import MESSAGE, SESSION_ID

KINDS = st.sampled_from([*EVENT_TYPES, "of.tomorrow"])
DELTA_KINDS = st.sampled_from(["output.message.delta", "reason.thinking.delta"])
PIECES = st.sampled_from(["", "Hel", "lo", "Hello"])
ODD: st.SearchStrategy[Any] = st.sampled_from([None, 5, "text", [], {}])
KEYS = ["id", "ts", "session_id", "sequence", "context", "data", "type"]


def event(kind: str, data: Any, sequence: int | None, number: int) -> dict[str, Any]:
    envelope = {"id": f"event_{number}", "type": kind, "ts": "2026-03-01T10:00:00.123Z", "session_id": SESSION_ID}
    return {**envelope, "sequence": sequence, "context": {"turn_id": "turn_1"}, "data": data}


SEQUENCES, NUMBERS = st.none() | st.integers(1, 9), st.integers(1, 30)
DATA = st.fixed_dictionaries(
    {"delta": PIECES},
    optional={"accumulated": PIECES | st.none(), "message_id": st.sampled_from(["m1", "m2", None]), "turn_id": ODD},
)
DELTAS = st.builds(event, DELTA_KINDS, DATA, SEQUENCES, NUMBERS)
EVENTS = st.one_of(
    DELTAS,
    st.builds(lambda raw, key, odd: {**raw, key: odd}, DELTAS, st.sampled_from(KEYS), ODD),
    st.builds(event, KINDS, st.just({"message": MESSAGE, "thinking": "Hello"}) | ODD, SEQUENCES, NUMBERS),
)


def follow(stream: SessionStream, raw: dict[str, Any], kind: str) -> list[Event] | None:
    """The events of a frame, None if it cannot be read. A frame of no type has to be decoded for its event's."""
    try:
        return list(stream.read(Frame(kind, json.dumps(raw).encode(), str(raw.get("id")))))
    except MalformedResponse:
        return None


@given(st.lists(EVENTS | DELTAS, max_size=12))
def test_text_and_object_tell_the_same(raws: list[dict[str, Any]]) -> None:
    one, other = (SessionStream(SessionRef(SESSION_ID), None) for _ in range(2))
    raws = [
        raw for raw in raws if isinstance(raw["type"], str) and raw["type"] not in {"", "connected", "disconnecting"}
    ]

    for raw in raws:
        assert follow(one, raw, raw["type"]) == follow(other, raw, "")
        assert one.cursor == other.cursor


@pytest.mark.parametrize("odd", [{"id": None}, {"session_id": ""}, {"data": {"delta": 5}}, {"type": "tool.progress"}])
def test_only_what_a_delta_always_holds_is_read_at_once(odd: dict[str, Any]) -> None:
    stream = SessionStream(SessionRef(SESSION_ID), None)
    kind, raw = "output.message.delta", event("output.message.delta", {"delta": "a"}, None, 1)

    assert stream._told(Frame(kind, json.dumps(raw | odd).encode(), "1"), *USUAL[kind]) is None
    (told,) = stream._told(Frame(kind, json.dumps(raw).encode(), "1"), *USUAL[kind]) or ()
    assert isinstance(told, MessageDelta)
    assert (told.text, told.turn_id, told.raw, stream.cursor) == ("a", "turn_1", raw, "1")
