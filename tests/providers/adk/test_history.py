"""Ends of turns and pending actions, derived from a session's events."""

from __future__ import annotations

from typing import Any

import pytest

from polysession.action import Question, ToolApproval, ToolExecution
from polysession.event import ActionRequired, Event, Outcome, TurnEnded
from polysession_adk.events import EventReader
from polysession_adk.history import History, Turn
from polysession_adk.wire import decode_event
from support.adk_events import (
    abort_event,
    answer,
    call,
    confirmation,
    event,
    failure,
    fragment,
    message,
    result,
    text,
)

HELLO = message(text("hello"))
SAID = answer(text("You said: hello"))
CALLED = answer(call("c1", "lookup", query="a"), longRunningToolIds=[])
RESULT = event(result("c1", "lookup", {"result": "A"}), id="ev-2")
ASKED = event(confirmation("r1", "c1", "lookup", query="a"), longRunningToolIds=["r1"], id="ev-3")
PLACEHOLDER = event(
    result("c1", "lookup", {"error": "requires confirmation"}),
    id="ev-2",
    actions={"requestedToolConfirmations": {"c1": {}}, "skipSummarization": True},
)
CLIENT_TOOL = answer(call("c1", "ask_caller", question="6 x 7?"), longRunningToolIds=["c1"])
APPROVED = message(result("r1", "adk_request_confirmation", {"confirmed": True}), id="ev-4")
OUTPUT = message(result("c1", "ask_caller", {"result": "42"}), id="ev-4")


def turn_of(*contents: bytes) -> Turn:
    reader, turn = EventReader("s1"), Turn()
    for content in contents:
        turn.add(reader.read(content))
    return turn


def end_of(*contents: bytes) -> TurnEnded:
    (ended,) = [each for each in turn_of(*contents).end("s1") if isinstance(each, TurnEnded)]
    return ended


def update(history: History, *contents: bytes) -> list[Event]:
    received = history.update([(decode_event(each), each) for each in contents])
    return [event for each in received for event in each.events]


def delivered(*contents: bytes) -> list[str]:
    history = History("s1")
    events = update(history, *contents)
    return [_summary(each) for each in (*events, *end_turns(history))]


def end_turns(history: History) -> list[Event]:
    return [event for each in history.end_turns() for event in each.events]


def _summary(each: Event) -> str:
    return f"{each.type} {each.outcome.value}" if isinstance(each, TurnEnded) else each.type


@pytest.mark.parametrize(
    ("contents", "outcome", "reason"),
    [
        ((), Outcome.COMPLETED, ""),
        ((SAID,), Outcome.COMPLETED, "STOP"),
        ((CALLED, RESULT, SAID), Outcome.COMPLETED, "STOP"),
        ((answer(text("As long"), finishReason="MAX_TOKENS"),), Outcome.LIMIT_REACHED, "MAX_TOKENS"),
        ((event(errorCode="MAX_TOKENS"),), Outcome.LIMIT_REACHED, "MAX_TOKENS"),
        (
            (event(errorCode="LlmCallsLimitExceededError"), failure("LlmCallsLimitExceededError", "50 calls")),
            Outcome.LIMIT_REACHED,
            "LlmCallsLimitExceededError",
        ),
        ((event(errorCode="SAFETY", errorMessage="no"),), Outcome.FAILED, "SAFETY"),
        ((failure("StaleSessionError", "changed"),), Outcome.FAILED, "StaleSessionError"),
        ((b'{"error":"no"}',), Outcome.FAILED, ""),
        ((event(errorCode="SAFETY"), answer(text("Still"), id="ev-2")), Outcome.COMPLETED, "STOP"),
        ((CALLED, ASKED, PLACEHOLDER), Outcome.REQUIRES_ACTION, ""),
        ((CLIENT_TOOL,), Outcome.REQUIRES_ACTION, ""),
        ((CALLED, ASKED, PLACEHOLDER, answer(text("I have asked."), id="ev-5")), Outcome.REQUIRES_ACTION, ""),
        ((HELLO, abort_event()), Outcome.CANCELLED, "INVOCATION_ABORTED"),
        ((CALLED, abort_event(result("c1", "lookup", {"error": "aborted"}))), Outcome.CANCELLED, "INVOCATION_ABORTED"),
        (
            (CLIENT_TOOL, abort_event(result("c1", "ask_caller", {"error": "a"}))),
            Outcome.CANCELLED,
            "INVOCATION_ABORTED",
        ),
        ((SAID, abort_event()), Outcome.COMPLETED, "STOP"),
        (
            (SAID, answer(text("And I"), author="second", id="2"), abort_event()),
            Outcome.CANCELLED,
            "INVOCATION_ABORTED",
        ),
        ((event(content={"parts": [], "role": "model"}, finishReason="STOP"),), Outcome.COMPLETED, "STOP"),
    ],
)
def test_the_outcome_of_a_turn(contents: tuple[bytes, ...], outcome: Outcome, reason: str) -> None:
    ended = end_of(*contents)
    assert (ended.outcome, ended.native_reason) == (outcome, reason)


def test_a_failed_turn_has_its_error_and_usage() -> None:
    ended = end_of(CALLED, RESULT, failure("RuntimeError", "out of order"), b'{"partial":true}')

    assert ended.error == "out of order"
    assert ended.usage is not None
    assert ended.usage.input_tokens == 11
    assert (ended.turn_id, ended.synthetic) == ("e-1", True)


def test_usage_is_the_sum_of_all_model_calls() -> None:
    ended = end_of(CALLED, RESULT, answer(text("Done"), id="ev-5"))
    assert ended.usage is not None
    assert (ended.usage.input_tokens, ended.usage.output_tokens, ended.usage.credits) == (22, 20, None)
    assert end_of(HELLO).usage is None


def test_fragments_and_calls_make_a_turn_incomplete() -> None:
    assert [turn_of(*each).is_incomplete for each in ([fragment(text("You"))], [CALLED], [CALLED, RESULT], [SAID])] == [
        *[True, True, False, False]
    ]


@pytest.mark.parametrize(
    ("contents", "over", "certain"),
    [
        ((HELLO,), False, False),
        ((HELLO, CALLED), False, False),
        ((HELLO, CALLED, RESULT), False, False),
        ((HELLO, SAID), True, True),
        ((HELLO, SAID, answer(text("And I"), author="second", id="ev-2")), True, False),
        ((HELLO, CLIENT_TOOL), True, True),
        ((HELLO, CALLED, PLACEHOLDER, ASKED), True, True),
        ((HELLO, event(result("c1", "exit", {}), actions={"skipSummarization": True})), True, True),
        ((HELLO, abort_event()), True, True),
        ((HELLO, event(errorCode="SAFETY")), True, True),
        ((HELLO, answer({"codeExecutionResult": {"outcome": "OUTCOME_OK"}})), False, False),
        ((HELLO, event(actions={"stateDelta": {"a": 1}})), False, False),
    ],
)
def test_whether_a_turn_has_ended(contents: tuple[bytes, ...], over: bool, certain: bool) -> None:  # noqa: FBT001
    turn = turn_of(*contents)
    assert (turn.may_have_ended, turn.has_ended) == (over, certain)


def test_the_pending_actions_of_a_turn() -> None:
    question = {"message": "Which?", "response_schema": {"type": "string", "enum": ["red", "green"]}}
    asked = answer(
        call("q1", "adk_request_input", **question),
        call("c1", "ask_caller", question="6 x 7?"),
        call("k1", "adk_request_credential", authConfig={}),
        call("c2", "lookup"),
        longRunningToolIds=["c1", "k1", "q1"],
    )
    required = turn_of(asked, ASKED).end("s1")[0]

    assert isinstance(required, ActionRequired)
    assert required.synthetic
    assert required.actions == (
        Question(
            id="q1",
            author="assistant",
            reference="e-1",
            prompt="Which?",
            options=("red", "green"),
            response_schema={"type": "string", "enum": ["red", "green"]},
            payload=question,
        ),
        ToolExecution(
            id="c1", author="assistant", reference="e-1", name="ask_caller", arguments={"question": "6 x 7?"}
        ),
        ToolExecution(
            id="k1", author="assistant", reference="e-1", name="adk_request_credential", arguments={"authConfig": {}}
        ),
        ToolApproval(id="r1", author="assistant", reference="e-1", name="lookup", arguments={"query": "a"}),
    )
    assert required.actions[3].raw["functionCall"]["args"]["toolConfirmation"]["hint"] == "Please approve or reject."


def test_unreadable_requests_are_still_actions() -> None:
    odd: Any = call("r1", "adk_request_confirmation", originalFunctionCall=5)
    question: Any = call("q1", "adk_request_input", message=5, response_schema={"enum": [1, 2]})
    required = turn_of(answer(odd, question, longRunningToolIds=["r1", "q1"])).end("s1")[0]

    assert isinstance(required, ActionRequired)
    approval, asked = required.actions
    assert isinstance(approval, ToolApproval)
    assert isinstance(asked, Question)
    assert (approval.name, approval.arguments) == ("", {})
    assert (asked.prompt, asked.options, asked.response_schema) == ("", (), {"enum": [1, 2]})


def test_a_history_is_delivered_turn_by_turn() -> None:
    again = [message(text("again"), id="ev-5", invocationId="e-2"), answer(text("Yes"), id="ev-6", invocationId="e-2")]

    assert delivered(HELLO, SAID, *again) == [
        *["turn.started", "message.completed", "message.completed", "usage", "turn.ended completed"],
        *["turn.started", "message.completed", "message.completed", "usage", "turn.ended completed"],
    ]


def test_an_answer_starts_another_part_of_its_turn() -> None:
    done = event(result("c1", "lookup", {"result": "A"}), id="ev-5")
    assert delivered(HELLO, CALLED, PLACEHOLDER, ASKED, APPROVED, done, answer(text("Done"), id="ev-6")) == [
        *["turn.started", "message.completed", "tool_call.completed", "usage", "raw"],
        *["action.required", "turn.ended requires_action", "turn.started", "raw"],
        *["tool_result.completed", "message.completed", "usage", "turn.ended completed"],
    ]


def test_a_turn_without_an_end_is_not_ended() -> None:
    assert delivered(HELLO, CALLED) == ["turn.started", "message.completed", "tool_call.completed", "usage"]
    patched = message(id="ev-8", invocationId="p-1", actions={"stateDelta": {"a": 1}})
    assert delivered(HELLO, CALLED, patched)[-1] == "raw"


def test_parallel_turns_end_independently() -> None:
    other = message(text("other"), id="ev-5", invocationId="e-2")
    both = [
        HELLO,
        CALLED,
        other,
        answer(text("2"), id="ev-6", invocationId="e-2"),
        RESULT,
        answer(text("1"), id="ev-7"),
    ]
    history = History("s1")
    events = update(history, *both)
    ends = [each for each in (*events, *end_turns(history)) if isinstance(each, TurnEnded)]
    assert [each.turn_id for each in ends] == ["e-1", "e-2"]


def test_known_events_and_a_delivered_end_come_once() -> None:
    history = History("s1")
    assert len(update(history, HELLO, SAID)) == 4
    assert update(history, HELLO, SAID) == []
    assert [_summary(each) for each in end_turns(history)] == ["turn.ended completed"]
    assert end_turns(history) == []


@pytest.mark.parametrize(
    ("contents", "waiting", "status"),
    [
        ((), [], "idle"),
        ((HELLO,), [], "unknown"),
        ((HELLO, SAID), [], "idle"),
        ((HELLO, CLIENT_TOOL), ["c1"], "requires_action"),
        ((HELLO, CLIENT_TOOL, OUTPUT), [], "unknown"),
        ((HELLO, CLIENT_TOOL, OUTPUT, answer(text("42"), id="ev-5")), [], "idle"),
        (
            (HELLO, CLIENT_TOOL, event(result("c1", "ask_caller", {"status": "pending"}), id="ev-2")),
            ["c1"],
            "requires_action",
        ),
        (
            (HELLO, CALLED, PLACEHOLDER, ASKED, message(text("x"), id="ev-5", invocationId="e-2")),
            ["r1"],
            "requires_action",
        ),
        ((HELLO, CLIENT_TOOL, abort_event(result("c1", "ask_caller", {"error": "aborted"}))), [], "idle"),
    ],
)
def test_the_pending_actions_of_a_session(contents: tuple[bytes, ...], waiting: list[str], status: str) -> None:
    history = History("s1")
    update(history, *contents)
    assert (list(history.waiting), history.status) == (waiting, status)
