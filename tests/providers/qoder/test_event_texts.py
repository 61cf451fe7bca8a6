"""Events read straight from their text are what the decoded objects give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession import Event, MessageDelta
from polysession_qoder.event_normaliser import EVENT_TYPES, EventNormaliser, text_to_wire

IDS = st.sampled_from(["evt_1", "evt_2"])
TEXTS = st.sampled_from(["", "Hel", "lo", "é\n"])
ODD: st.SearchStrategy[Any] = st.sampled_from([None, 5, "text", [], {}])


def start(kind: str, event_id: str) -> dict[str, Any]:
    return {"type": "event_start", "event": {"id": event_id, "type": kind}}


def delta(event_id: Any, text: Any, index: Any) -> dict[str, Any]:
    return {"type": "event_delta", "event_id": event_id, "delta": {"index": index, "content": {"text": text}}}


DELTAS = st.builds(delta, IDS, TEXTS, st.sampled_from([0, 1]))
EVENTS = st.one_of(
    DELTAS,
    DELTAS,
    st.builds(delta, IDS | ODD, TEXTS | ODD, st.sampled_from([0, None, "1", True, 1.5])),
    st.builds(
        lambda event, key, value: {**event, key: value}, DELTAS, st.sampled_from(["id", "turn_id", "delta"]), ODD
    ),
    st.builds(start, st.sampled_from(["agent.message", "agent.thinking", "agent.tool_use"]), IDS),
    st.builds(lambda event_id, kind: {"type": kind, "id": event_id}, IDS | st.none(), st.sampled_from([*EVENT_TYPES])),
    st.builds(lambda kind, value: {"type": kind, "content": value}, st.sampled_from([*EVENT_TYPES]), ODD),
)
REPLAYED = st.one_of(
    st.just(start("agent.message", "evt_1")),
    st.builds(delta, st.just("evt_1"), st.sampled_from(["a", "bc"]), st.sampled_from([0, 1])),
)


def from_text(normaliser: EventNormaliser, raw: dict[str, Any]) -> list[Event] | None:
    """As a stream does; None if it cannot be read."""
    text = json.dumps(raw).encode()
    events = normaliser.read_delta(text) if raw["type"] == "event_delta" else None
    if events is not None:
        return list(events)
    wire = text_to_wire(raw["type"], text)
    return None if wire is None else normaliser.read_wire(wire, raw)


def from_object(normaliser: EventNormaliser, raw: dict[str, Any]) -> list[Event] | None:
    try:
        return normaliser.read(raw)
    except ValidationError:
        return None


@given(st.lists(EVENTS, max_size=12) | st.lists(REPLAYED, max_size=20))
def test_text_and_object_tell_the_same(raws: list[dict[str, Any]]) -> None:
    one, other = EventNormaliser("s1"), EventNormaliser("s1")

    assert [from_text(one, raw) for raw in raws] == [from_object(other, raw) for raw in raws]


@pytest.mark.parametrize("odd", [{"id": "evt_7"}, {"delta": {"content": {"text": 5}}}, {"type": "event_deltas"}])
def test_only_what_a_delta_always_holds_is_read_at_once(odd: dict[str, Any]) -> None:
    normaliser = EventNormaliser("s1")
    normaliser.read(start("agent.message", "evt_1"))

    assert normaliser.read_delta(json.dumps(delta("evt_1", "a", 0) | odd).encode()) is None
    (event,) = normaliser.read_delta(json.dumps(delta("evt_1", "a", 0)).encode()) or ()
    assert isinstance(event, MessageDelta)
    assert (event.text, event.message_id, event.raw) == ("a", "evt_1", delta("evt_1", "a", 0))


def test_an_event_of_another_type_than_its_frame_says_takes_a_closer_look() -> None:
    assert text_to_wire("agent.message", b'{"type":"agent.thinking","id":"evt_1"}') is None
    assert text_to_wire("agent.message", b"no JSON") is None
