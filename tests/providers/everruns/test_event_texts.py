"""Events read straight from their text are what the decoded objects give."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polysession import Event, MalformedResponse, MessageDelta
from polysession.provider_api import Frame, SessionRef
from polysession_everruns.event_normaliser import EVENT_TYPES
from polysession_everruns.streams import SessionStream
from polysession_everruns.usual_events import USUAL
from support.everruns_events import CALL, MESSAGE, RESULT, SESSION_ID
from support.usual import spoilt

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
IDS = st.sampled_from(["call_1", "call_2", "tool_approval_1"])
CONTENT = st.lists(
    st.sampled_from([{"type": "text", "text": "Hi"}, {"type": "text", "text": "x", "more": 1}, {"type": "image"}]),
    max_size=2,
)
MESSAGES = st.fixed_dictionaries(
    {"id": st.sampled_from(["m1", "m2"]), "role": st.sampled_from(["user", "agent", "tool"]), "content": CONTENT},
    optional={"created_at": st.just("2026-03-01T10:00:00.000000001Z"), "thinking": st.sampled_from([None, "Well"])},
)
USAGES = st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 9)}, optional={"actual_cost_usd": st.sampled_from([0.1, None])}
)
TURNS = {"turn_id": st.sampled_from(["turn_1", "", 5]), "usage": USAGES | st.none()}
CALLED = st.builds(lambda call_id: {"id": call_id, "name": "look_up", "arguments": {"word": "x"}}, IDS)
ENDED = st.fixed_dictionaries(
    {"tool_call_id": IDS, "success": st.booleans()},
    optional={
        "tool_name": st.sampled_from(["look_up", "", "approve_tool_call", None]),
        "result": st.sampled_from(["text", [{"type": "text", "text": "Hi"}], {"a": 1}, None]),
        "error": st.sampled_from([None, "it broke"]),
    },
)
REASONS = st.sampled_from([None, "", "end_turn", "max_tokens", "refusal"])
STORED: dict[str, st.SearchStrategy[Any]] = {
    "input.message": st.fixed_dictionaries({"message": MESSAGES}),
    "output.message.started": st.fixed_dictionaries({}, optional={"message_id": st.sampled_from(["m1", None])}),
    "output.message.completed": st.fixed_dictionaries({"message": MESSAGES}, optional={"usage": USAGES}),
    "tool.started": st.fixed_dictionaries({"tool_call": CALLED}),
    "tool.completed": ENDED,
    "tool.call_requested": st.fixed_dictionaries({"tool_calls": st.lists(CALLED, max_size=2)}),
    "turn.started": st.fixed_dictionaries({}, optional=TURNS),
    "turn.completed": st.fixed_dictionaries(
        {}, optional={**TURNS, "termination_reason": REASONS, "stop_reason": REASONS}
    ),
    "session.activated": st.fixed_dictionaries({}, optional=TURNS),
    "session.idled": st.fixed_dictionaries({}, optional=TURNS),
}
WELL_FORMED = st.sampled_from(sorted(STORED)).flatmap(
    lambda kind: st.builds(event, st.just(kind), STORED[kind], SEQUENCES, NUMBERS)
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


@settings(max_examples=300)
@given(st.lists(EVENTS | DELTAS | WELL_FORMED | spoilt(WELL_FORMED), max_size=12))
def test_text_and_object_tell_the_same(raws: list[dict[str, Any]]) -> None:
    one, other = (SessionStream(SessionRef(SESSION_ID), None) for _ in range(2))
    raws = [
        raw for raw in raws if isinstance(raw["type"], str) and raw["type"] not in {"", "connected", "disconnecting"}
    ]

    for raw in raws:
        events = follow(one, raw, raw["type"])
        assert events == follow(other, raw, "")
        assert all(vars(event).keys() <= {field.name for field in fields(event)} for event in events or ())
        assert one.cursor == other.cursor


@pytest.mark.parametrize("odd", [{"id": None}, {"session_id": ""}, {"data": {"delta": 5}}, {"type": "tool.progress"}])
def test_only_what_a_delta_always_holds_is_read_at_once(odd: dict[str, Any]) -> None:
    stream = SessionStream(SessionRef(SESSION_ID), None)
    kind, raw = "output.message.delta", event("output.message.delta", {"delta": "a"}, None, 1)

    assert stream._tell(Frame(kind, json.dumps(raw | odd).encode(), "1"), USUAL[kind]) is None
    (told,) = stream._tell(Frame(kind, json.dumps(raw).encode(), "1"), USUAL[kind]) or ()
    assert isinstance(told, MessageDelta)
    assert (told.text, told.turn_id, told.raw, stream.cursor) == ("a", "turn_1", raw, "1")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("input.message", {"message": MESSAGE}),
        ("output.message.started", {"message_id": "m1", "turn_id": "turn_1"}),
        ("output.message.delta", {"delta": "a", "accumulated": "a", "message_id": "m1"}),
        ("output.message.completed", {"message": MESSAGE, "usage": {"input_tokens": 2, "output_tokens": 1}}),
        ("reason.thinking.delta", {"delta": "a"}),
        ("tool.started", {"tool_call": CALL}),
        ("tool.completed", {**RESULT, "result": [{"type": "text", "text": "rain"}]}),
        ("turn.started", {"turn_id": "turn_1"}),
        ("turn.completed", {"usage": {"input_tokens": 2}, "termination_reason": "end_turn", "stop_reason": "stop"}),
        ("session.activated", {"turn_id": "turn_1"}),
        ("session.idled", {"usage": {"input_tokens": 2}}),
    ],
)
def test_the_usual_form_is_read_at_once(kind: str, data: dict[str, Any]) -> None:
    raw = event(kind, data, None if kind.endswith("delta") else 3, 1)
    frame = Frame(kind, json.dumps(raw).encode(), "event_1")
    quick, slow = (SessionStream(SessionRef(SESSION_ID), None) for _ in range(2))

    events = quick._tell(frame, USUAL[kind]) or ()
    assert list(events) == follow(slow, raw, "") != []
    assert all(vars(event).keys() <= {field.name for field in fields(event)} for event in events)
    assert quick._tell(frame, USUAL[kind]) == ()  # it is told once


def test_a_turn_that_begins_with_a_consumption_that_is_none_is_refused_as_by_the_model() -> None:
    raw = event("turn.started", {"turn_id": "turn_1", "usage": True}, 3, 1)
    assert follow(SessionStream(SessionRef(SESSION_ID), None), raw, "turn.started") is None


def test_every_usual_form_is_shown() -> None:
    assert USUAL.keys() == (STORED.keys() - {"tool.call_requested"}) | {"output.message.delta", "reason.thinking.delta"}


def test_a_parked_turn_takes_a_closer_look() -> None:
    stream = SessionStream(SessionRef(SESSION_ID), None)
    asked = event("tool.call_requested", {"tool_calls": [CALL]}, 1, 1)
    answered = event("tool.completed", {**RESULT, "result": "rain"}, 2, 2)

    told = [event.type for raw in (asked, answered) for event in follow(stream, raw, raw["type"]) or ()]
    assert told == ["tool_call.completed", "action.required", "turn.ended", "turn.started", "tool_result.completed"]
