"""Events read straight from their text are what the decoded objects give."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession import Event, MessageDelta
from polysession_qoder.event_normaliser import EVENT_TYPES, EventNormaliser, text_to_wire
from support.usual import spoilt

IDS = st.sampled_from(["evt_1", "evt_2", "evt_3", "evt_4"])
TEXTS = st.sampled_from(["", "Hel", "lo", "é\n"])
TIME = "2026-10-01T08:00:00.5Z"


def start(kind: str, event_id: str) -> dict[str, Any]:
    return {"type": "event_start", "event": {"id": event_id, "type": kind}}


def delta(event_id: str, text: str, index: int) -> dict[str, Any]:
    return {"type": "event_delta", "event_id": event_id, "delta": {"index": index, "content": {"text": text}}}


def stored(kind: str, event_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "id": event_id, "processed_at": TIME, "turn_id": "turn_1", **fields}


CONTENT = st.lists(st.builds(lambda text: {"type": "text", "text": text}, TEXTS), max_size=2)
SAYING = st.sampled_from(["user.message", "agent.message", "system.message"])
RESULTS = st.sampled_from(["agent.tool_result", "agent.mcp_tool_result", "user.tool_result"])
USES = st.sampled_from(["agent.tool_use", "agent.mcp_tool_use", "agent.custom_tool_use"])
REASONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["end_turn", "requires_action", "cancelled", "tired", None])},
    optional={"event_ids": st.lists(IDS, max_size=2) | st.none()},
)
CREDITS = st.sampled_from([None, 0, 1.25, 0.1, 7])
EVENTS = st.one_of(
    st.builds(delta, IDS, TEXTS, st.sampled_from([0, 1])),
    st.builds(start, st.sampled_from(["agent.message", "agent.thinking", "agent.tool_use"]), IDS),
    st.builds(stored, SAYING, IDS, content=CONTENT),
    st.builds(stored, st.just("agent.thinking"), IDS, thinking=TEXTS, content=CONTENT),
    st.builds(stored, USES, IDS, name=TEXTS, input=st.just({"command": "ls"})),
    st.builds(stored, RESULTS, IDS, tool_use_id=IDS, content=CONTENT, is_error=st.booleans()),
    st.builds(stored, st.just("session.status_idle"), IDS, stop_reason=REASONS),
    st.builds(stored, st.just("session.usage"), IDS, total_credits=CREDITS, model_credits=CREDITS),
    st.builds(stored, st.sampled_from(["session.status_running", "session.status_rescheduled"]), IDS),
    st.builds(stored, st.sampled_from([*EVENT_TYPES]), IDS),
)


REPLAYED = st.one_of(
    st.just(start("agent.message", "evt_1")),
    st.builds(delta, st.just("evt_1"), st.sampled_from(["a", "bc"]), st.sampled_from([0, 1])),
)


def at_once(normaliser: EventNormaliser, kind: str, text: bytes) -> Sequence[Event] | None:
    return normaliser.usual[kind](text) if kind in normaliser.usual else None


def from_text(normaliser: EventNormaliser, raw: dict[str, Any]) -> list[Event] | None:
    """As a stream does; None if it cannot be read."""
    text = json.dumps(raw).encode()
    events = at_once(normaliser, raw["type"], text)
    if events is not None:
        return list(events)
    wire = text_to_wire(raw["type"], text)
    return None if wire is None else list(normaliser.read_wire(wire, raw))


def from_object(normaliser: EventNormaliser, raw: dict[str, Any]) -> list[Event] | None:
    try:
        return normaliser.read(raw)
    except ValidationError:
        return None


@settings(max_examples=300)
@given(st.lists(EVENTS | spoilt(EVENTS), max_size=12) | st.lists(REPLAYED, max_size=20))
def test_text_and_object_tell_the_same(raws: list[dict[str, Any]]) -> None:
    one, other = EventNormaliser("s1"), EventNormaliser("s1")

    for raw in raws:
        if isinstance(raw["type"], str):  # it is the name of a frame here
            events = from_text(one, raw)
            assert events == from_object(other, raw)
            assert all(vars(event).keys() <= {field.name for field in fields(event)} for event in events or ())
    assert one._state.tool_uses == other._state.tool_uses
    assert one._state.turn_is_open == other._state.turn_is_open


@pytest.mark.parametrize(
    "raw",
    [
        stored("user.message", "evt_1", content=[{"type": "text", "text": "Hello"}]),
        stored("agent.message", "evt_1", content=[{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]),
        stored("agent.thinking", "evt_1", thinking="Well"),
        stored("agent.tool_use", "evt_1", name="Bash", input={"command": "ls"}),
        stored("agent.tool_result", "evt_1", tool_use_id="evt_0", content=[], is_error=True),
        stored("session.status_running", "evt_1"),
        stored("session.status_idle", "evt_1", stop_reason={"type": "end_turn", "event_ids": None}),
        stored("session.usage", "evt_1", total_credits=1.25, input_tokens=3),
        stored("span.model_request_start", "evt_1", model="m"),
        stored("span.model_request_end", "evt_1", model_usage={"credits": 1}),
    ],
    ids=lambda raw: raw["type"],
)
def test_the_usual_form_is_read_at_once(raw: dict[str, Any]) -> None:
    quick, slow = EventNormaliser("s1"), EventNormaliser("s1")

    events = at_once(quick, raw["type"], json.dumps(raw).encode())
    assert list(events or ()) == slow.read(raw)
    assert events
    assert all(vars(event).keys() <= {field.name for field in fields(event)} for event in events)
    assert at_once(quick, raw["type"], json.dumps(raw).encode()) == ()  # it is told once


@pytest.mark.parametrize("odd", [{"id": "evt_7"}, {"delta": {"content": {"text": 5}}}, {"type": "event_deltas"}])
def test_only_what_a_delta_always_holds_is_read_at_once(odd: dict[str, Any]) -> None:
    normaliser = EventNormaliser("s1")
    normaliser.read(start("agent.message", "evt_1"))

    assert at_once(normaliser, "event_delta", json.dumps(delta("evt_1", "a", 0) | odd).encode()) is None
    (event,) = at_once(normaliser, "event_delta", json.dumps(delta("evt_1", "a", 0)).encode()) or ()
    assert isinstance(event, MessageDelta)
    assert (event.text, event.message_id, event.raw) == ("a", "evt_1", delta("evt_1", "a", 0))


def test_an_event_of_another_type_than_its_frame_says_takes_a_closer_look() -> None:
    assert text_to_wire("agent.message", b'{"type":"agent.thinking","id":"evt_1"}') is None
    assert text_to_wire("agent.message", b"no JSON") is None
