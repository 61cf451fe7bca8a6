"""What spans several of Everruns' events: deltas, parked turns, approvals, and what a session waits for."""

from __future__ import annotations

from typing import Any

import pytest

from polysession.event import ActionRequired
from polysession_everruns.event_normaliser import EventReader, Waiting, to_events
from polysession_everruns.wire_events import WireEvent
from support.everruns_events import CALL, CALLS, MESSAGE, RESULT, wire


def deltas(*events: WireEvent) -> list[str]:
    reader = EventReader()
    read = [event for item in events for event in reader.read(item)]
    return [event.text for event in read if event.type in {"message.delta", "thinking.delta"}]


def delta(accumulated: str | None, new: str = "?", kind: str = "output.message", **data: Any) -> WireEvent:
    return wire(f"{kind}.delta", {"delta": new, "accumulated": accumulated, **data}, sequence=None)


def completed(message_id: str) -> WireEvent:
    return wire("output.message.completed", {"message": {**MESSAGE, "id": message_id}})


def thought(text: str) -> WireEvent:
    return wire("reason.thinking.completed", {"turn_id": "turn_1", "thinking": text})


def thinking(new: str) -> WireEvent:
    return delta(None, new, kind="reason.thinking")


def test_a_stored_delta_is_told_as_it_is() -> None:
    stored = wire("output.message.delta", {"delta": "llo", "accumulated": "Hello"})
    assert deltas(stored, stored) == ["llo", "llo"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param([delta("He"), delta("Hello")], ["He", "llo"], id="in-order"),
        pytest.param([delta("Hello")], ["Hello"], id="joined-in-the-middle"),
        pytest.param([delta("He"), delta("Hello wo"), delta("Hello world")], ["He", "llo wo", "rld"], id="one-lost"),
        pytest.param([delta("He"), delta("He"), delta("Hello")], ["He", "llo"], id="repeated"),
        pytest.param([delta("Hello"), delta("He"), delta("Hello!")], ["Hello", "!"], id="late"),
        pytest.param([delta("He"), delta("Yes")], ["He", "Yes"], id="another-message"),
        pytest.param([delta(None, "He"), delta(None, "llo")], ["He", "llo"], id="without-the-text-so-far"),
        pytest.param([delta("")], [""], id="empty"),
        pytest.param([delta("Ok"), wire("output.message.started"), delta("Ok")], ["Ok", "Ok"], id="started-again"),
        pytest.param(
            [delta("Ok"), wire("turn.cancelled"), wire("turn.started"), delta("O")], ["Ok", "O"], id="next-turn"
        ),
        pytest.param([delta("Ok", message_id="a"), delta("O", message_id="b")], ["Ok", "O"], id="another-id"),
        pytest.param(
            [delta("Ok"), wire("output.message.completed", {"message": MESSAGE}), delta("Ok")], ["Ok"], id="too-late"
        ),
        pytest.param([completed("a"), delta(None, "Ok", message_id="a")], [], id="after-its-message"),
        pytest.param(
            [completed("a"), wire("turn.completed"), wire("session.idled"), delta(None, "Ok", message_id="a")],
            [],
            id="after-its-turn",
        ),
        pytest.param([completed("a"), delta(None, "Ok", message_id="b")], ["Ok"], id="after-another-message"),
        pytest.param(
            [
                *(completed(str(number)) for number in range(101)),
                delta("Ok", message_id="0"),
                delta("Ok", message_id="1"),
            ],
            ["Ok"],
            id="after-so-many-messages-that-it-is-forgotten",
        ),
        pytest.param(
            [thinking("Hm"), thought("Hm, well"), thinking(", w"), thinking("ell")], ["Hm"], id="late-thoughts"
        ),
        pytest.param(
            [thinking("Hm"), thought("Hm, well"), wire("turn.completed"), thinking(", well")],
            ["Hm"],
            id="thoughts-after-the-turn",
        ),
        pytest.param([thinking("Hm"), thought("Hm"), thinking("Hm")], ["Hm", "Hm"], id="the-same-thought-again"),
        pytest.param(
            [thinking("Hm"), thought("Hm, well"), thinking("No"), thinking(", w")],
            ["Hm", "No", ", w"],
            id="a-new-thought",
        ),
        pytest.param(
            [thinking("Hm"), thought("Well"), thinking("Well")], ["Hm", "Well"], id="not-the-thought-that-was-told"
        ),
        pytest.param(
            [delta("Hm", kind="reason.thinking"), delta("Ok"), delta("Hmm", kind="reason.thinking")],
            ["Hm", "Ok", "m"],
            id="thinking-is-another-text",
        ),
    ],
)
def test_a_delta_tells_what_lies_beyond_the_text_that_was_told(told: list[WireEvent], expected: list[str]) -> None:
    assert deltas(*told) == expected


def test_a_parked_turn_begins_again_once_when_it_goes_on() -> None:
    reader = EventReader()
    reader.read(wire("tool.call_requested", CALLS))
    first = reader.read(wire("tool.completed", RESULT, context={"turn_id": "other"}))
    second = reader.read(wire("tool.completed", {**RESULT, "tool_call_id": "call_2"}))
    assert [event.type for event in first] == ["turn.started", "tool_result.completed"]
    assert (first[0].synthetic, first[0].turn_id, first[0].native_type, first[0].id) == (True, "turn_1", "", None)
    assert [event.type for event in second] == ["tool_result.completed"]


def test_a_parked_turn_that_goes_on_without_answers_begins_again_too() -> None:
    reader = EventReader()
    reader.read(wire("tool.call_requested", CALLS))
    said = reader.read(wire("input.message", {"message": MESSAGE}))
    assert [event.type for event in said] == ["turn.started", "message.completed"]
    assert [event.type for event in reader.read(wire("reason.started"))] == ["native"]
    reader.read(wire("tool.call_requested", CALLS))
    assert [event.type for event in reader.read(wire("reason.started"))] == ["turn.started", "native"]
    assert [event.type for event in reader.read(wire("reason.started"))] == ["native"]


HELD = {"code": "tool_approval_required", "tool_call_id": "call_1", "tool": "send", "arguments": {"to": "a"}}
ASKING = {"id": "tool_approval_call_1", "name": "approve_tool_call", "arguments": HELD}


def test_an_approval_is_asked_for_by_a_call_that_the_server_made_up() -> None:
    """As the server's source has it, `pending_approvals_from_events`, and as the engine was recorded."""
    asked, ended = to_events(wire("tool.call_requested", {"tool_calls": [ASKING]}))
    assert (asked.type, ended.type) == ("action.required", "turn.ended")
    assert isinstance(asked, ActionRequired)
    (action,) = asked.actions
    assert (action.type, action.id, action.name) == ("approval", "tool_approval_call_1", "send")
    assert (action.arguments, action.raw) == ({"to": "a"}, ASKING)


@pytest.mark.parametrize(
    ("arguments", "told"), [('{"to": "a', {"preview": '{"to": "a'}), (None, {}), ([1], {"preview": [1]})]
)
def test_arguments_that_the_server_has_cut_are_told_as_they_are(arguments: Any, told: dict[str, Any]) -> None:
    call = {**ASKING, "arguments": {**HELD, "arguments": arguments}}
    asked, _ = to_events(wire("tool.call_requested", {"tool_calls": [call]}))
    assert isinstance(asked, ActionRequired)
    assert asked.actions[0].arguments == told


@pytest.mark.parametrize(
    "forged",
    [
        {**ASKING, "id": "call_9"},
        {**ASKING, "name": "send"},
        {**ASKING, "arguments": {**HELD, "code": "else"}},
        {**ASKING, "arguments": "text"},
    ],
)
def test_a_call_of_the_model_is_no_request_for_an_approval(forged: dict[str, Any]) -> None:
    call, asked, _ = to_events(wire("tool.call_requested", {"tool_calls": [forged]}))
    assert call.type == "tool_call.completed"
    assert isinstance(asked, ActionRequired)
    assert asked.actions[0].type == "execution"


@pytest.mark.parametrize("message_first", [True, False])
def test_a_decision_begins_the_turn_again_and_is_no_result_of_a_tool(*, message_first: bool) -> None:
    """The server tells the message first, its embedded engine the call."""
    reader = EventReader()
    reader.read(wire("tool.call_requested", {"tool_calls": [ASKING]}))
    done = {"tool_call_id": ASKING["id"], "tool_name": "approve_tool_call", "success": True, "status": "success"}
    told = [wire("input.message", {"message": MESSAGE}), wire("tool.completed", done)]
    events = [event.type for each in (told if message_first else told[::-1]) for event in reader.read(each)]
    rest = ["message.completed", "native"]
    assert events == ["turn.started", *(rest if message_first else rest[::-1])]


@pytest.mark.parametrize(
    ("events", "pending"),
    [
        ([], []),
        ([wire("tool.call_requested", CALLS)], ["call_1", "call_2"]),
        ([wire("tool.call_requested", CALLS), wire("tool.completed", RESULT)], ["call_2"]),
        (
            [wire("tool.call_requested", CALLS), wire("tool.completed", {**RESULT, "tool_call_id": "x"})],
            ["call_1", "call_2"],
        ),
        ([wire("tool.call_requested", CALLS), wire("tool.call_requested", {"tool_calls": [CALL]})], ["call_1"]),
        ([wire("tool.call_requested", CALLS), wire("llm.generation")], ["call_1", "call_2"]),
        *[
            ([wire("tool.call_requested", CALLS), wire(kind, {"message": MESSAGE})], [])
            for kind in (
                *("turn.started", "turn.completed", "turn.failed", "turn.cancelled", "turn.sealed"),
                *("input.message", "session.activated", "session.idled", "reason.started"),
            )
        ],
    ],
)
def test_what_a_session_waits_for_follows_from_its_events(events: list[WireEvent], pending: list[str]) -> None:
    waiting = Waiting()
    for event in events:
        waiting.take(event)
    assert list(waiting.actions) == pending


def test_an_answer_after_the_wait_is_over_starts_nothing() -> None:
    reader = EventReader()
    reader.read(wire("tool.call_requested", CALLS))
    reader.read(wire("turn.cancelled"))
    assert [event.type for event in reader.read(wire("tool.completed", RESULT))] == ["tool_result.completed"]
