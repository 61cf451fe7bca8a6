"""State across Everruns' events: deltas, waiting turns, approvals, questions, mixed steps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polysession.action import ACTION, PendingAction, Question, ToolApproval
from polysession.event import ActionRequired, Event, Outcome, TurnEnded
from polysession_everruns.events import EventReader, remaining_required
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
)


class Reader(EventReader):
    """Reads events that are given as objects, each with a new id."""

    def __init__(self) -> None:
        super().__init__(SESSION_ID)
        self._count = 0

    def take(self, event: dict[str, Any]) -> list[Event]:
        self._count += 1
        return list(self.read(json.dumps({**event, "id": f"event_{self._count}"}).encode()))


wire = raw_event


def as_text(kind: str, data: Any) -> bytes:
    return json.dumps(raw_event(kind, data)).encode()


WireEvent = dict[str, Any]


def deltas(*events: WireEvent) -> list[str]:
    reader = Reader()
    read = [event for item in events for event in reader.take(item)]
    return [event.text for event in read if event.type in {"message.delta", "thinking.delta"}]


def delta(accumulated: str | None, new: str = "?", kind: str = "output.message", **data: Any) -> WireEvent:
    return wire(f"{kind}.delta", {"delta": new, "accumulated": accumulated, **data}, sequence=None)


def completed(message_id: str) -> WireEvent:
    return wire("output.message.completed", {"message": {**MESSAGE, "id": message_id}})


def thought(text: str) -> WireEvent:
    return wire("reason.thinking.completed", {"turn_id": "turn_1", "thinking": text})


def thinking(new: str) -> WireEvent:
    return delta(None, new, kind="reason.thinking")


def test_a_stored_delta_is_delivered_unchanged() -> None:
    stored = wire("output.message.delta", {"delta": "llo", "accumulated": "Hello"})
    assert deltas(stored, stored) == ["llo", "llo"]


@pytest.mark.parametrize(
    ("received", "expected"),
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
            [thinking("Hm"), thought("Well"), thinking("Well")], ["Hm", "Well"], id="not-the-thought-that-was-received"
        ),
        pytest.param(
            [delta("Hm", kind="reason.thinking"), delta("Ok"), delta("Hmm", kind="reason.thinking")],
            ["Hm", "Ok", "m"],
            id="thinking-is-another-text",
        ),
    ],
)
def test_a_delta_delivers_only_the_new_text(received: list[WireEvent], expected: list[str]) -> None:
    assert deltas(*received) == expected


def test_a_live_delta_with_an_impossible_time_keeps_its_text() -> None:
    reader = Reader()
    (found,) = reader.take({**delta("Hello"), "ts": "9999-12-31T23:59:59-14:00"})
    assert found.type == "message.delta"
    assert (found.text, found.created_at) == ("Hello", None)
    assert found.problems == ("ts: not a time within the years 1 to 9999 in UTC",)


def stored(new: str, kind: str = "output.message") -> WireEvent:
    return wire(f"{kind}.delta", {"delta": new})


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([stored("a\ud83d"), stored("\ude00b")], ["a", "\U0001f600b"], id="two-deltas"),
        pytest.param([stored("\ud83d"), stored("\ude00"), stored("c")], ["", "\U0001f600", "c"], id="alone"),
        pytest.param([stored("a\ud83d"), stored("b")], ["a", "\ufffdb"], id="without-the-other-half"),
        pytest.param([stored("\ude00b")], ["\ufffdb"], id="second-half-only"),
        pytest.param([stored("a\ufffd"), stored("b")], ["a\ufffd", "b"], id="a-replacement-character"),
        pytest.param([delta(None, "a\ud83d"), delta(None, "\ude00b")], ["a", "\U0001f600b"], id="live"),
        pytest.param([delta("a\ud83d"), delta("a\U0001f600b")], ["a", "\U0001f600b"], id="with-the-text-so-far"),
        pytest.param(
            [stored("a\ud83d"), stored("b", "reason.thinking"), stored("\ude00")],
            ["a", "b", "\U0001f600"],
            id="a-thought-between",
        ),
        pytest.param(
            [stored("a\ud83d"), wire("output.message.started"), stored("\ude00")], ["a", "\ufffd"], id="a-new-message"
        ),
        pytest.param(
            [stored("a\ud83d"), wire("output.message.delta", {"delta": 5}), stored("\ude00")],
            ["a", "", "\U0001f600"],
            id="odd",
        ),
    ],
)
def test_the_halves_of_a_surrogate_pair_in_two_deltas_are_joined(events: list[WireEvent], expected: list[str]) -> None:
    assert deltas(*events) == expected


def test_a_waiting_turn_starts_again_once_when_it_continues() -> None:
    reader = Reader()
    reader.take(wire("tool.call_requested", CALLS))
    first = reader.take(wire("tool.completed", RESULT, context={"turn_id": "other"}))
    second = reader.take(wire("tool.completed", {**RESULT, "tool_call_id": "call_2"}))
    assert [event.type for event in first] == ["turn.started", "tool_result.completed"]
    assert (first[0].synthetic, first[0].turn_id, first[0].native_type, first[0].id) == (True, "turn_1", "", None)
    assert [event.type for event in second] == ["tool_result.completed"]


def test_a_waiting_turn_that_continues_without_answers_starts_again() -> None:
    reader = Reader()
    reader.take(wire("tool.call_requested", CALLS))
    said = reader.take(wire("input.message", {"message": MESSAGE}))
    assert [event.type for event in said] == ["turn.started", "message.completed"]
    assert [event.type for event in reader.take(wire("reason.started"))] == ["raw"]
    reader.take(wire("tool.call_requested", CALLS))
    assert [event.type for event in reader.take(wire("reason.started"))] == ["turn.started", "raw"]
    assert [event.type for event in reader.take(wire("reason.started"))] == ["raw"]


HELD = {"code": "tool_approval_required", "tool_call_id": "call_1", "tool": "send", "arguments": {"to": "a"}}
ASKING = {"id": "tool_approval_call_1", "name": "approve_tool_call", "arguments": HELD}


def test_an_approval_is_requested_by_a_generated_call() -> None:
    """As in the server's `pending_approvals_from_events` and the engine's recordings."""
    asked, ended = to_events(as_text("tool.call_requested", {"tool_calls": [ASKING]}))
    assert (asked.type, ended.type) == ("action.required", "turn.ended")
    assert isinstance(asked, ActionRequired)
    (action,) = asked.actions
    assert isinstance(action, ToolApproval)
    assert (action.id, action.name) == ("tool_approval_call_1", "send")
    assert (action.arguments, action.raw) == ({"to": "a"}, ASKING)


@pytest.mark.parametrize(
    ("arguments", "received"), [('{"to": "a', {"preview": '{"to": "a'}), (None, {}), ([1], {"preview": [1]})]
)
def test_truncated_arguments_are_delivered_unchanged(arguments: Any, received: dict[str, Any]) -> None:
    call = {**ASKING, "arguments": {**HELD, "arguments": arguments}}
    asked, _ = to_events(as_text("tool.call_requested", {"tool_calls": [call]}))
    assert isinstance(asked, ActionRequired)
    (action,) = asked.actions
    assert isinstance(action, ToolApproval)
    assert action.arguments == received


@pytest.mark.parametrize(
    "forged",
    [
        {**ASKING, "id": "call_9"},
        {**ASKING, "name": "send"},
        {**ASKING, "arguments": {**HELD, "code": "else"}},
        {**ASKING, "arguments": "text"},
    ],
)
def test_a_call_of_the_model_is_not_a_request_for_an_approval(forged: dict[str, Any]) -> None:
    call, asked, _ = to_events(as_text("tool.call_requested", {"tool_calls": [forged]}))
    assert call.type == "tool_call.completed"
    assert isinstance(asked, ActionRequired)
    assert asked.actions[0].type == "execution"


@pytest.mark.parametrize("message_first", [True, False])
def test_a_decision_starts_the_turn_again_and_is_not_a_tool_result(*, message_first: bool) -> None:
    """The server sends the message first; its embedded engine sends the call first."""
    reader = Reader()
    reader.take(wire("tool.call_requested", {"tool_calls": [ASKING]}))
    done = {"tool_call_id": ASKING["id"], "tool_name": "approve_tool_call", "success": True, "status": "success"}
    received = [wire("input.message", {"message": MESSAGE}), wire("tool.completed", done)]
    events = [event.type for each in (received if message_first else received[::-1]) for event in reader.take(each)]
    rest = ["message.completed", "raw"]
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
def test_pending_actions_follow_from_the_events(events: list[WireEvent], pending: list[str]) -> None:
    reader = Reader()
    for event in events:
        reader.take(event)
    assert [action.id for action in reader.waiting.actions] == pending


def test_an_answer_after_the_wait_is_over_starts_nothing() -> None:
    reader = Reader()
    reader.take(wire("tool.call_requested", CALLS))
    reader.take(wire("turn.cancelled"))
    assert [event.type for event in reader.take(wire("tool.completed", RESULT))] == ["tool_result.completed"]


# --- Mixed rounds


MIXED = {"tool_calls": [ASKING, {**ASKING, "id": "tool_approval_call_2"}, {**CALL, "id": "call_9"}]}


def decided(number: int) -> WireEvent:
    data = {"tool_call_id": f"tool_approval_call_{number}", "tool_name": "approve_tool_call", "success": True}
    return wire("tool.completed", data)


def said(**context: str) -> WireEvent:
    return wire("input.message", {"message": {**MESSAGE, "role": "user"}}, context=context)


@pytest.mark.parametrize(
    ("events", "pending", "may_wait"),
    [
        pytest.param([decided(1)], ["tool_approval_call_2", "call_9"], True, id="engine-after-the-first-decision"),
        pytest.param(
            [decided(1), said(turn_id="turn_1"), decided(2), said(turn_id="turn_1")],
            ["call_9"],
            True,
            id="engine-writes-a-message-after-each",
        ),
        pytest.param([said(), decided(1), decided(2)], ["call_9"], True, id="server-writes-one-message-before"),
        pytest.param([decided(1), decided(2), said()], [], False, id="a-message-of-the-user"),
        pytest.param([decided(1), decided(2), said(turn_id="turn_2")], [], False, id="a-message-about-another-turn"),
        pytest.param(
            [said(), decided(1), decided(2), wire("tool.completed", {**RESULT, "tool_call_id": "call_9"})],
            [],
            False,
            id="server-settles-the-rest",
        ),
        pytest.param([decided(1), decided(2), wire("reason.started")], [], False, id="server-works-on"),
    ],
)
def test_the_servers_own_message_leaves_the_other_calls_waiting(
    *, events: list[WireEvent], pending: list[str], may_wait: bool
) -> None:
    reader = Reader()
    reader.take(wire("tool.call_requested", MIXED))
    assert not reader.waiting.may_wait_for_rest
    types = [event.type for each in events for event in reader.take(each)]
    assert types[0] == "turn.started"
    assert types.count("turn.started") == 1
    assert [action.id for action in reader.waiting.actions] == pending
    assert reader.waiting.may_wait_for_rest is may_wait


def test_actions_of_one_kind_are_a_group() -> None:
    reader = Reader()
    reader.take(wire("tool.call_requested", MIXED))
    groups = [action.group for action in reader.waiting.actions]
    assert groups == ["event_1/approvals", "event_1/approvals", "event_1/outputs"]
    reader.take(wire("tool.call_requested", MIXED))
    assert {action.group for action in reader.waiting.actions}.isdisjoint(groups)


def test_a_turn_that_still_waits_ends_again_and_starts_again() -> None:
    reader = Reader()
    for event in (wire("tool.call_requested", MIXED), decided(1), decided(2)):
        reader.take(event)

    asked, ended = remaining_required(reader.waiting, SESSION_ID)

    assert isinstance(asked, ActionRequired)
    assert [action.id for action in asked.actions] == ["call_9"]
    assert (asked.turn_id, asked.synthetic, asked.session_id) == ("turn_1", True, SESSION_ID)
    assert isinstance(ended, TurnEnded)
    assert (ended.outcome, ended.turn_id, ended.synthetic) == (Outcome.REQUIRES_ACTION, "turn_1", True)
    assert not reader.waiting.may_wait_for_rest
    answered = reader.take(wire("tool.completed", {**RESULT, "tool_call_id": "call_9"}))
    assert [event.type for event in answered] == ["turn.started", "tool_result.completed"]


# --- Questions


def asked_by(*calls: dict[str, Any]) -> tuple[PendingAction, ...]:
    *_, asked, _ = to_events(as_text("tool.call_requested", {"tool_calls": list(calls)}))
    assert isinstance(asked, ActionRequired)
    return asked.actions


def test_each_question_of_a_call_is_an_action() -> None:
    text = {"id": "question_2", "question": "Why?", "kind": "text"}
    many = {**QUESTION, "id": "question_3", "multi_select": True, "allow_other": True}

    first, second, third = asked_by(asking(QUESTION, text, many))

    assert isinstance(first, Question)
    assert (first.id, first.group, first.prompt) == ("call_1/question_1", "call_1", "Where should it go?")
    assert (first.options, first.response_schema, first.payload) == (("Staging", "Production"), None, QUESTION)
    assert isinstance(second, Question)
    assert (second.id, second.options, second.response_schema) == ("call_1/question_2", (), None)
    assert isinstance(third, Question)
    assert third.response_schema == {"type": "array", "items": {"type": "string"}}
    assert {first.group, second.group, third.group} == {"call_1"}


def test_the_options_limit_a_list_if_nothing_else_is_allowed() -> None:
    (question,) = asked_by(asking({**QUESTION, "multi_select": True}))
    assert isinstance(question, Question)
    items = {"type": "string", "enum": ["Staging", "Production"]}
    assert question.response_schema == {"type": "array", "items": items}


@pytest.mark.parametrize(
    "call",
    [
        {"id": "call_1", "name": "ask_user", "arguments": {}},
        {"id": "call_1", "name": "ask_user", "arguments": {"questions": []}},
        {"id": "call_1", "name": "ask_user", "arguments": {"questions": ["Where?"]}},
        {"id": "call_1", "name": "ask_user", "arguments": {"questions": [{"question": "Where?"}]}},
        asking(QUESTION) | {"name": "ask"},
    ],
)
def test_a_call_without_readable_questions_is_a_client_tool(call: dict[str, Any]) -> None:
    (action,) = asked_by(call)
    assert (action.type, action.id) == ("execution", "call_1")


def test_a_question_is_a_call_of_the_model_and_its_reply_a_result() -> None:
    reader = Reader()
    events = reader.take(wire("tool.call_requested", {"tool_calls": [asking(QUESTION)]}))
    assert [event.type for event in events] == ["tool_call.completed", "action.required", "turn.ended"]
    done = {"tool_call_id": "call_1", "tool_name": "ask_user", "success": True, "result": "Staging"}
    events = reader.take(wire("tool.completed", done))
    assert [event.type for event in events] == ["turn.started", "tool_result.completed"]
    assert reader.waiting.actions == ()


@pytest.mark.parametrize("call", [asking({**QUESTION, "options": [{}, {"label": "b"}]}), ASKING, CALL])
def test_an_action_comes_back_from_its_stored_json(call: dict[str, Any]) -> None:
    (action,) = asked_by(call)
    assert action.source
    assert action.reference
    assert ACTION.validate_json(action.model_dump_json()) == action
    assert ACTION.validate_python(action.dump()) == action


def test_an_invalid_option_is_reported_and_the_others_are_kept() -> None:
    (question,) = asked_by(asking({**QUESTION, "options": [{"label": 7}, {"label": "b"}]}))
    assert isinstance(question, Question)
    assert (question.options, question.problems) == (("b",), ("options[0]: not an object",))
