"""Everruns' events, type by type, and the envelope around them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polysession.action import ToolExecution
from polysession.event import EVENT, Event, Outcome, RawEvent
from polysession.message import Role
from polysession.session import SessionStatus, Usage
from polysession_everruns.events import EVENT_TYPES, TABLE, EventReader
from support.everruns_events import (
    CALL,
    CALLS,
    MESSAGE,
    QUESTION,
    RESULT,
    SESSION_ID,
    asking,
    raw_event,
    to_events,
    wire,
)

TURN = {"turn_id": "turn_1"}
USAGE = {"input_tokens": 12, "output_tokens": 3}
COUNTED = Usage(input_tokens=12, output_tokens=3)
TEXT = {"turn_id": "turn_1", "delta": "lo", "accumulated": "Hello"}
APPROVAL = {
    "id": "tool_approval_call_1",
    "name": "approve_tool_call",
    "arguments": {"code": "tool_approval_required", "tool": "send", "arguments": {"to": "a"}},
}


def facts(event: Event) -> dict[str, Any]:
    """Return the fields of an event, without those of its envelope."""
    hidden = {"session_id", "id", "turn_id", "sequence", "created_at", "author", "native_type", "synthetic", "source"}
    return {name: value for name, value in vars(event).items() if name not in hidden | {"problems", "continues"}}


def raw(kind: str, data: Any) -> dict[str, Any]:
    """Return the fields of a raw event."""
    return {"type": "raw", "payload": raw_event(kind, data)}


def execution(number: int) -> ToolExecution:
    call_id = f"call_{number}"
    reference = json.dumps({"call_id": call_id, "question": None}, separators=(",", ":"))
    arguments = {"word": "x"}
    return ToolExecution(id=call_id, name="look_up", arguments=arguments, group="event_1/outputs", reference=reference)


# --- Every type

COMMON: list[tuple[str, Any, list[dict[str, Any]]]] = [
    ("output.message.started", TURN, [{"type": "message.started", "message_id": None}]),
    ("output.message.started", {**TURN, "message_id": "m"}, [{"type": "message.started", "message_id": "m"}]),
    ("output.message.delta", TEXT, [{"type": "message.delta", "message_id": None, "text": "lo"}]),
    ("output.message.delta", {**TEXT, "message_id": "m"}, [{"type": "message.delta", "message_id": "m", "text": "lo"}]),
    ("turn.started", {**TURN, "input_message_id": "message_1"}, [{"type": "turn.started"}]),
    ("reason.thinking.started", TURN, [{"type": "thinking.started"}]),
    ("reason.thinking.delta", TEXT, [{"type": "thinking.delta", "text": "lo"}]),
    ("reason.thinking.completed", {**TURN, "thinking": "So"}, [{"type": "thinking.completed", "text": "So"}]),
    ("reason.thinking.completed", {**TURN, "thinking": None}, [{"type": "thinking.completed", "text": ""}]),
    (
        "reason.completed",
        {"success": False, "error": "No key"},
        [{"type": "error", "message": "No key", "code": None}],
    ),
    (
        "reason.completed",
        {"success": True, "error": None, "usage": USAGE},
        [raw("reason.completed", {"success": True, "error": None, "usage": USAGE})],
    ),
    (
        "act.started",
        CALLS,
        [{"type": "tool_call.started", "tool_call_id": f"call_{number}", "name": "look_up"} for number in (1, 2)],
    ),
    (
        "tool.started",
        {"tool_call": CALL},
        [{"type": "tool_call.completed", "tool_call_id": "call_1", "name": "look_up", "arguments": {"word": "x"}}],
    ),
    (
        "tool.started",
        {"tool_call": {**CALL, "arguments": None}},
        [{"type": "tool_call.completed", "tool_call_id": "call_1", "name": "look_up", "arguments": {}}],
    ),
    (
        "tool.output.delta",
        {"tool_call_id": "call_1", "tool_name": "sh", "delta": "a\n", "stream": "stdout"},
        [{"type": "tool_result.delta", "tool_call_id": "call_1", "text": "a\n"}],
    ),
    (
        "tool.call_requested",
        CALLS,
        [
            {"type": "tool_call.completed", "tool_call_id": "call_1", "name": "look_up", "arguments": {"word": "x"}},
            {"type": "tool_call.completed", "tool_call_id": "call_2", "name": "look_up", "arguments": {"word": "x"}},
            {"type": "action.required", "actions": (execution(1), execution(2))},
            {
                "type": "turn.ended",
                "outcome": Outcome.REQUIRES_ACTION,
                "native_reason": "tool.call_requested",
                "usage": None,
                "error": None,
            },
        ],
    ),
    (
        "session.started",
        {},
        [{"type": "session.status", "status": SessionStatus.IDLE, "native_status": "started"}],
    ),
    (
        "session.activated",
        TURN,
        [{"type": "session.status", "status": SessionStatus.RUNNING, "native_status": "active"}],
    ),
    ("session.idled", TURN, [{"type": "session.status", "status": SessionStatus.IDLE, "native_status": "idle"}]),
    (
        "session.idled",
        {**TURN, "usage": USAGE},
        [
            {"type": "session.status", "status": SessionStatus.IDLE, "native_status": "idle"},
            {"type": "usage", "usage": COUNTED, "is_delta": False},
        ],
    ),
]
ENDS: list[tuple[str, dict[str, Any], Outcome, str, str | None]] = [
    ("turn.completed", {"iterations": 1}, Outcome.COMPLETED, "completed", None),
    ("turn.completed", {"termination_reason": "end_turn", "stop_reason": "stop"}, Outcome.COMPLETED, "completed", None),
    ("turn.completed", {"termination_reason": "max_tokens"}, Outcome.LIMIT_REACHED, "max_tokens", None),
    ("turn.completed", {"termination_reason": "max_turn_requests"}, Outcome.LIMIT_REACHED, "max_turn_requests", None),
    ("turn.completed", {"termination_reason": "cancelled"}, Outcome.CANCELLED, "cancelled", None),
    ("turn.completed", {"termination_reason": "refusal"}, Outcome.FAILED, "refusal", "the turn ended with 'refusal'"),
    ("turn.completed", {"termination_reason": "error"}, Outcome.FAILED, "error", "the turn ended with 'error'"),
    ("turn.completed", {"stop_reason": "length"}, Outcome.LIMIT_REACHED, "length", None),
    (
        "turn.completed",
        {"termination_reason": "end_turn", "stop_reason": "length"},
        Outcome.COMPLETED,
        "completed",
        None,
    ),
    (
        "turn.completed",
        {"stop_reason": "content_filter"},
        Outcome.FAILED,
        "content_filter",
        "the turn ended with 'content_filter'",
    ),
    ("turn.failed", {"error": "Slow down", "error_code": "rate"}, Outcome.FAILED, "rate", "Slow down"),
    ("turn.failed", {"error": "Broken"}, Outcome.FAILED, "failed", "Broken"),
    ("turn.cancelled", {"reason": "User asked"}, Outcome.CANCELLED, "User asked", None),
    ("turn.cancelled", {"reason": None}, Outcome.CANCELLED, "cancelled", None),
    ("turn.sealed", {"reason": "budget", "detail": "Spent"}, Outcome.LIMIT_REACHED, "budget", None),
    ("turn.sealed", {"reason": "no_progress", "detail": "Crashed"}, Outcome.FAILED, "no_progress", "Crashed"),
    ("turn.sealed", {"reason": "of-tomorrow"}, Outcome.FAILED, "of-tomorrow", "of-tomorrow"),
    ("turn.sealed", {}, Outcome.FAILED, "sealed", "sealed"),
]
RESULTS: list[tuple[dict[str, Any], str, bool]] = [
    ({"result": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", False),
    ({"result": None}, "", False),
    ({"result": "plain"}, "plain", False),
    ({"result": []}, "[]", False),
    ({"result": {"é": 1}}, '{"é": 1}', False),
    (
        {"result": [{"type": "text", "text": "a"}, {"type": "image"}]},
        '[{"type": "text", "text": "a"}, {"type": "image"}]',
        False,
    ),
    ({"result": ["a"]}, '["a"]', False),
    ({"result": [{"type": "text"}]}, '[{"type": "text"}]', False),
    # The result of a client tool, which the server does not name. The output is JSON.
    ({"tool_name": "", "result": [{"type": "text", "text": '"found \\u00e9"'}]}, "found é", False),
    ({"tool_name": "", "result": [{"type": "text", "text": '{"a":1}'}]}, '{"a":1}', False),
    ({"tool_name": "", "result": [{"type": "text", "text": "found"}]}, "found", False),
    ({"tool_name": "look_up", "result": [{"type": "text", "text": '"found"'}]}, '"found"', False),
    ({"success": False, "status": "error", "error": "Boom"}, "Boom", True),
    ({"success": False, "status": "timeout"}, "", True),
    ({"success": False, "status": "cancelled", "result": "half"}, "half", True),
    ({"error": "Boom"}, "Boom", True),
]


@pytest.mark.parametrize(("kind", "data", "expected"), COMMON)
def test_an_event_becomes_common_events(kind: str, data: Any, expected: list[dict[str, Any]]) -> None:
    assert [facts(event) for event in to_events(wire(kind, data))] == expected


@pytest.mark.parametrize(("kind", "data", "outcome", "reason", "error"), ENDS)
@pytest.mark.parametrize(("usage", "counted"), [({"usage": USAGE}, COUNTED), ({"usage": None}, None), ({}, None)])
def test_a_turn_ends(
    *,
    kind: str,
    data: dict[str, Any],
    outcome: Outcome,
    reason: str,
    error: str | None,
    usage: dict[str, Any],
    counted: Usage | None,
) -> None:
    (event,) = to_events(wire(kind, {**TURN, **data, **usage}))
    assert facts(event) == {
        "type": "turn.ended",
        "outcome": outcome,
        "native_reason": reason,
        "usage": counted,
        "error": error,
    }
    assert not event.synthetic


@pytest.mark.parametrize(("data", "text", "is_error"), RESULTS)
def test_a_tool_has_answered(*, data: dict[str, Any], text: str, is_error: bool) -> None:
    (event,) = to_events(wire("tool.completed", {**RESULT, **data}))
    expected = {"type": "tool_result.completed", "tool_call_id": "call_1", "text": text, "is_error": is_error}
    assert facts(event) == expected


@pytest.mark.parametrize(("kind", "role"), [("input.message", Role.USER), ("output.message.completed", Role.ASSISTANT)])
def test_a_message_event_is_read(kind: str, role: Role) -> None:
    raw = {**MESSAGE, "role": "user" if role is Role.USER else "agent"}
    (event,) = to_events(wire(kind, {"message": raw, "usage": USAGE}))
    assert event.type == "message.completed"
    assert (event.message.id, event.message.session_id, event.message.role) == ("message_1", SESSION_ID, role)
    assert (event.message.text, event.message.usage, event.message.raw) == ("Hi", COUNTED, raw)


def test_the_table_of_types_matches_the_functions() -> None:
    """The test reads every sample of this file, and each type without data."""
    samples = [
        *((kind, data) for kind, data, _ in COMMON),
        *((kind, data) for kind, data, *_ in ENDS),
        *((kind, {"message": MESSAGE}) for kind in ("input.message", "output.message.completed")),
        ("conversation.message", {"message_id": "message_1", "text": "Hi"}),
        ("tool.completed", RESULT),
        *((kind, None) for kind in TABLE),
    ]
    built: dict[str, set[str]] = {kind: set() for kind in TABLE}
    for kind, data in samples:
        built[kind].update(event.type for event in to_events(wire(kind, data)))
    for kind, data in (
        ("tool.completed", RESULT),
        ("input.message", {"message": MESSAGE}),
        ("reason.started", None),
    ):
        reader = EventReader(SESSION_ID)
        reader.read(wire("tool.call_requested", CALLS))
        built[kind].update(event.type for event in reader.read(wire(kind, data, id="event_2")))
    assert built == {kind: set(types) for kind, types in EVENT_TYPES.items() if types}
    assert {kind for kind, types in EVENT_TYPES.items() if not types} == {"connected", "disconnecting"}
    assert len(EVENT_TYPES) == 67


@pytest.mark.parametrize(
    "kind", ["of.tomorrow", "subagent.spawned", "", "llm.generation", "tool.started", "act.started"]
)
@pytest.mark.parametrize("data", [{}, None, {"anything": [1]}])
def test_events_without_a_common_form_are_delivered_raw(kind: str, data: Any) -> None:
    event = raw_event(kind, data, metadata={"a": 1})
    (found,) = to_events(json.dumps(event).encode())
    assert isinstance(found, RawEvent)
    assert (found.native_type, found.payload, found.raw, found.id) == (kind, event, event, "event_1")


def test_a_request_without_calls_does_not_end_the_turn() -> None:
    assert [event.type for event in to_events(wire("tool.call_requested", {"tool_calls": []}))] == ["raw"]


# --- Envelope


@pytest.mark.parametrize(
    ("changes", "turn_id"),
    [
        ({}, "turn_1"),
        ({"context": {}, "data": {"turn_id": "turn_2"}}, "turn_2"),
        ({"context": None, "data": None}, None),
        ({"context": {}, "data": {"turn_id": 7}}, None),
    ],
)
def test_the_envelope_is_kept(changes: dict[str, Any], turn_id: str | None) -> None:
    event = raw_event("turn.started", **changes)
    (found,) = to_events(json.dumps(event).encode())
    assert (found.id, found.session_id, found.turn_id, found.sequence) == ("event_1", SESSION_ID, turn_id, 7)
    assert found.created_at == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
    assert (found.native_type, found.synthetic, found.raw) == ("turn.started", False, event)


def test_an_envelope_may_be_empty() -> None:
    (found,) = EventReader(SESSION_ID).read(b'{"oops": 1}', "error")
    assert isinstance(found, RawEvent)
    assert (found.id, found.sequence, found.created_at, found.turn_id) == (None, None, None, None)
    assert (found.native_type, found.session_id, found.payload) == ("error", SESSION_ID, {"oops": 1})


def test_the_end_of_a_waiting_turn_is_synthetic_and_the_request_is_not() -> None:
    *received, ended = to_events(wire("tool.call_requested", CALLS))
    assert (ended.synthetic, ended.native_type, ended.id, ended.raw) == (True, "", None, {})
    assert (ended.turn_id, ended.sequence, ended.session_id) == ("turn_1", 7, SESSION_ID)
    assert {event.synthetic for event in received} == {False}


# --- Invalid values

ODD: list[tuple[str, Any, str, tuple[str, ...]]] = [
    ("output.message.completed", {}, "raw", ()),
    (
        "output.message.completed",
        {"message": {"role": "agent"}},
        "raw",
        ("data.message: it has no valid id",),
    ),
    ("output.message.completed", {"message": "Hi"}, "raw", ("data.message: the body is not a JSON object",)),
    ("input.message", None, "raw", ()),
    ("input.message", "Hi", "raw", ("data: not an object",)),
    ("conversation.message", {"message_id": "m", "text": 5}, "raw", ("data.text: not text",)),
    ("output.message.delta", {"delta": 5}, "message.delta", ("data.delta: not text",)),
    ("reason.thinking.delta", [], "thinking.delta", ("data: not an object",)),
    ("tool.started", {"tool_call": {}}, "raw", ("data.tool_call: not an object",)),
    (
        "tool.started",
        {"tool_call": {**CALL, "arguments": "{}"}},
        "tool_call.completed",
        ("data.tool_call.arguments: not an object",),
    ),
    ("tool.completed", {"result": "x"}, "raw", ()),
    ("tool.completed", {**RESULT, "success": "yes"}, "tool_result.completed", ("data.success: not true or false",)),
    (
        "act.started",
        {"tool_calls": [CALL, 5]},
        "tool_call.started",
        ("data.tool_calls[1]: the body is not a JSON object",),
    ),
    ("turn.completed", {"usage": 7}, "turn.ended", ("data.usage: not an object",)),
    ("turn.completed", {"usage": {"input_tokens": []}}, "turn.ended", ("data.usage.input_tokens: not a whole number",)),
    (
        "turn.completed",
        {"usage": {"actual_cost_usd": "Infinity"}},
        "turn.ended",
        ("data.usage.actual_cost_usd: not a finite number",),
    ),
    ("session.idled", {"turn_id": 7}, "session.status", ("data.turn_id: not text",)),
    ("of.tomorrow", "anything", "raw", ("data: not an object",)),
]
ODD_ENVELOPES: list[tuple[dict[str, Any], str]] = [
    ({"ts": ""}, "ts: not datetime"),
    ({"ts": "2026-12-31T23:59:60Z"}, "ts: not datetime"),
    ({"ts": "9999-12-31T23:59:59-14:00"}, "ts: not a time within the years 1 to 9999 in UTC"),
    ({"sequence": "first"}, "sequence: not a whole number"),
    ({"id": 5}, "id: not text"),
    ({"context": []}, "context: not an object"),
    ({"session_id": {}}, "session_id: not text"),
]


@pytest.mark.parametrize(("kind", "data", "type_", "problems"), ODD)
def test_an_invalid_value_in_the_data_is_reported_and_the_event_is_delivered(
    kind: str, data: Any, type_: str, problems: tuple[str, ...]
) -> None:
    event = raw_event(kind) | {"data": data}
    (found,) = to_events(json.dumps(event).encode())
    assert (found.type, found.native_type, found.problems, found.raw) == (type_, kind, problems, event)


@pytest.mark.parametrize(("changes", "problem"), ODD_ENVELOPES)
@pytest.mark.parametrize("kind", ["output.message.delta", "turn.started", "llm.generation"])
def test_an_invalid_value_in_the_envelope_is_reported_and_the_event_is_delivered(
    kind: str, changes: dict[str, Any], problem: str
) -> None:
    (found,) = to_events(wire(kind, TEXT, **changes))
    assert (found.native_type, found.session_id, found.problems) == (kind, SESSION_ID, (problem,))
    if found.type == "message.delta":
        assert found.text == ("Hello" if "sequence" in changes else "lo")


@pytest.mark.parametrize(
    ("content", "payload"), [(b"[]", {"value": []}), (b"{", {"text": "{"}), (b"\xff", {"text": "\ufffd"})]
)
def test_a_value_that_is_not_an_object_is_delivered_raw(content: bytes, payload: dict[str, Any]) -> None:
    (found,) = EventReader(SESSION_ID).read(content, "turn.started")
    assert isinstance(found, RawEvent)
    assert (found.payload, found.native_type, found.source) == (payload, "turn.started", content)
    assert found.problems == ("the event: not a JSON object",)


def test_each_event_comes_back_from_its_stored_json() -> None:
    samples: list[tuple[str, Any]] = [
        *((kind, data) for kind, data, _ in COMMON),
        *((kind, data) for kind, data, *_ in ENDS),
        *((kind, data) for kind, data, *_ in ODD),
        ("tool.completed", RESULT),
        ("input.message", {"message": MESSAGE}),
        ("tool.call_requested", {"tool_calls": [asking(QUESTION), APPROVAL]}),
    ]
    for kind, data in samples:
        for event in to_events(wire(kind, data)):
            assert event.source or event.synthetic
            assert EVENT.validate_json(event.model_dump_json()) == event
            assert EVENT.validate_python(event.dump()) == event


def test_costs_are_read() -> None:
    (event,) = to_events(wire("turn.completed", {"usage": {**USAGE, "estimated_cost_usd": 0.5}}))
    assert event.type == "turn.ended"
    assert event.usage == COUNTED.model_copy(update={"cost_usd": Decimal("0.5")})
