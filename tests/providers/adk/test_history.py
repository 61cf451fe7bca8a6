"""How turns end and what a session waits for, read from its events."""

from __future__ import annotations

from typing import Any

import pytest

from polysession.action import Question, ToolApproval, ToolExecution
from polysession.event import ActionRequired, Event, Outcome, TurnEnded
from polysession_adk.events import EventReader
from polysession_adk.history import History, Turn
from polysession_adk.wire import decode_event
from support.adk_events import (
    answer,
    call,
    confirmation,
    event,
    failure,
    fragment,
    message,
    result,
    seal,
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
        turn.note(reader.read(content))
    return turn


def end_of(*contents: bytes) -> TurnEnded:
    (ended,) = [each for each in turn_of(*contents).end("s1") if isinstance(each, TurnEnded)]
    return ended


def update(history: History, *contents: bytes) -> list[Event]:
    received = history.update([(decode_event(each), each) for each in contents])
    return [event for each in received for event in each.events]


def told(*contents: bytes) -> list[str]:
    history = History("s1")
    events = update(history, *contents)
    return [_word(each) for each in (*events, *settled(history))]


def settled(history: History) -> list[Event]:
    return [event for each in history.settle() for event in each.events]


def _word(each: Event) -> str:
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
        ((HELLO, seal()), Outcome.CANCELLED, "INVOCATION_ABORTED"),
        ((CALLED, seal(result("c1", "lookup", {"error": "aborted"}))), Outcome.CANCELLED, "INVOCATION_ABORTED"),
        ((CLIENT_TOOL, seal(result("c1", "ask_caller", {"error": "a"}))), Outcome.CANCELLED, "INVOCATION_ABORTED"),
        ((SAID, seal()), Outcome.COMPLETED, "STOP"),
        ((SAID, answer(text("And I"), author="second", id="2"), seal()), Outcome.CANCELLED, "INVOCATION_ABORTED"),
        ((event(content={"parts": [], "role": "model"}, finishReason="STOP"),), Outcome.COMPLETED, "STOP"),
    ],
)
def test_the_outcome_of_a_turn(contents: tuple[bytes, ...], outcome: Outcome, reason: str) -> None:
    ended = end_of(*contents)
    assert (ended.outcome, ended.native_reason) == (outcome, reason)


def test_a_failed_turn_says_why_and_what_it_took() -> None:
    ended = end_of(CALLED, RESULT, failure("RuntimeError", "out of order"), b'{"partial":true}')

    assert ended.error == "out of order"
    assert ended.usage is not None
    assert ended.usage.input_tokens == 11
    assert (ended.turn_id, ended.synthetic) == ("e-1", True)


def test_usage_is_the_sum_of_the_calls_of_the_model() -> None:
    ended = end_of(CALLED, RESULT, answer(text("Done"), id="ev-5"))
    assert ended.usage is not None
    assert (ended.usage.input_tokens, ended.usage.output_tokens, ended.usage.credits) == (22, 20, None)
    assert end_of(HELLO).usage is None


def test_fragments_and_calls_want_an_end() -> None:
    assert [turn_of(*each).is_broken_off for each in ([fragment(text("You"))], [CALLED], [CALLED, RESULT], [SAID])] == [
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
        ((HELLO, seal()), True, True),
        ((HELLO, event(errorCode="SAFETY")), True, True),
        ((HELLO, answer({"codeExecutionResult": {"outcome": "OUTCOME_OK"}})), False, False),
        ((HELLO, event(actions={"stateDelta": {"a": 1}})), False, False),
    ],
)
def test_whether_a_turn_is_over(contents: tuple[bytes, ...], over: bool, certain: bool) -> None:  # noqa: FBT001
    turn = turn_of(*contents)
    assert (turn.is_over, turn.is_certain) == (over, certain)


def test_the_actions_that_a_turn_waits_for() -> None:
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


def test_odd_requests_are_actions_all_the_same() -> None:
    odd: Any = call("r1", "adk_request_confirmation", originalFunctionCall=5)
    question: Any = call("q1", "adk_request_input", message=5, response_schema={"enum": [1, 2]})
    required = turn_of(answer(odd, question, longRunningToolIds=["r1", "q1"])).end("s1")[0]

    assert isinstance(required, ActionRequired)
    approval, asked = required.actions
    assert isinstance(approval, ToolApproval)
    assert isinstance(asked, Question)
    assert (approval.name, approval.arguments) == ("", {})
    assert (asked.prompt, asked.options, asked.response_schema) == ("", (), {"enum": [1, 2]})


def test_a_history_is_told_turn_by_turn() -> None:
    again = [message(text("again"), id="ev-5", invocationId="e-2"), answer(text("Yes"), id="ev-6", invocationId="e-2")]

    assert told(HELLO, SAID, *again) == [
        *["turn.started", "message.completed", "message.completed", "usage", "turn.ended completed"],
        *["turn.started", "message.completed", "message.completed", "usage", "turn.ended completed"],
    ]


def test_an_answer_starts_another_part_of_its_turn() -> None:
    done = event(result("c1", "lookup", {"result": "A"}), id="ev-5")
    assert told(HELLO, CALLED, PLACEHOLDER, ASKED, APPROVED, done, answer(text("Done"), id="ev-6")) == [
        *["turn.started", "message.completed", "tool_call.completed", "usage", "raw"],
        *["action.required", "turn.ended requires_action", "turn.started", "raw"],
        *["tool_result.completed", "message.completed", "usage", "turn.ended completed"],
    ]


def test_a_turn_without_an_end_is_not_ended() -> None:
    assert told(HELLO, CALLED) == ["turn.started", "message.completed", "tool_call.completed", "usage"]
    patched = message(id="ev-8", invocationId="p-1", actions={"stateDelta": {"a": 1}})
    assert told(HELLO, CALLED, patched)[-1] == "raw"


def test_turns_side_by_side_end_apart() -> None:
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
    ends = [each for each in (*events, *settled(history)) if isinstance(each, TurnEnded)]
    assert [each.turn_id for each in ends] == ["e-1", "e-2"]


def test_what_is_known_and_an_end_that_was_delivered_come_once() -> None:
    history = History("s1")
    assert len(update(history, HELLO, SAID)) == 4
    assert update(history, HELLO, SAID) == []
    assert [_word(each) for each in settled(history)] == ["turn.ended completed"]
    assert settled(history) == []


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
        ((HELLO, CLIENT_TOOL, seal(result("c1", "ask_caller", {"error": "aborted"}))), [], "idle"),
    ],
)
def test_what_a_session_waits_for(contents: tuple[bytes, ...], waiting: list[str], status: str) -> None:
    history = History("s1")
    update(history, *contents)
    assert (list(history.waiting), history.status) == (waiting, status)
