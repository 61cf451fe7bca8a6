"""Answers to an AgentScope session's pending actions, and the continued turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from polysession.action import ACTION, Approve, Deny, ToolApproval, ToolOutput
from polysession.errors import Conflict, NotFound, PolysessionError, UnsupportedOperation, UsageError
from polysession.event import Outcome
from polysession.feature import Feature
from polysession_agentscope import AgentScopeAnswer, AgentScopeMessage, AgentScopeRule
from support.agentscope_events import (
    call,
    call_block,
    confirmed,
    end,
    executed,
    model_end,
    reply,
    requires_confirm,
    result,
    start,
    text,
    user_message,
)
from support.agentscope_streams import (
    CHAT,
    OPERATIONS,
    SESSION,
    STARTED,
    STATUS,
    WAITING_REPLY,
    answer_echo,
    answering,
    failure,
    listen,
    messages,
    modelled,
    page,
    status_is,
    steps,
)
from support.flows import sent_bodies, step


@pytest.mark.parametrize("as_object", [True, False])
def test_an_approval_contains_the_unchanged_call(*, as_object: bool) -> None:
    odd = call_block("c1", "asking", arguments='{ "command":"ls" }')
    reference = json.dumps({"reply_id": "r1", "tool_call": odd})
    action = ToolApproval(id="c1", name="Bash", arguments={}, reference=reference)
    flow = OPERATIONS.start_turn(SESSION, [Approve(action if as_object else "c1")])
    calls, plan = steps(flow, status_is("awaiting_permission"), page(user_message(), reply(odd, reason=None)))
    assert calls == [STATUS, messages(10)]
    assert plan.open().path == "/sessions/s1/stream?agent_id=a1&after=37-0"
    sent, _ = step(plan.send(), STARTED)
    tool_call = {"type": "tool_call", "id": "c1", "name": "Bash", "input": '{ "command":"ls" }'}
    decision = {"confirmed": True, "tool_call": tool_call}
    wire_input = {"type": "USER_CONFIRM_RESULT", "reply_id": "r1", "confirm_results": [decision]}
    assert [(call.method, call.path) for call in sent] == [CHAT]
    (body,) = sent_bodies(sent)
    assert body == {"agent_id": "a1", "session_id": "s1", "input": wire_input | {"id": body["input"]["id"]}}


def test_an_approval_is_answered_from_its_stored_json_in_another_process() -> None:
    (asked,) = listen().receive(start(), *call("c1"), requires_confirm("c1"))[-2].actions
    program = (
        "import sys; from polysession.action import ACTION, Approve; from support.agentscope_streams import *;"
        "action = ACTION.validate_json(sys.stdin.read());"
        "flow = OPERATIONS.start_turn(SESSION, [Approve(action)]);"
        "_, plan = step(flow, status_is('awaiting_permission'), page(WAITING_REPLY));"
        "sys.stdout.buffer.write(step(plan.send(), STARTED)[0][0].body)"
    )
    ran = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", program],
        input=ACTION.dump_json(asked),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": "tests"},
    )
    tool_call = {"type": "tool_call", "id": "c1", "name": "Bash", "input": '{"command":"ls"}'}
    expected: dict[str, Any] = {"type": "USER_CONFIRM_RESULT", "reply_id": "r1"}
    expected |= {"confirm_results": [{"confirmed": True, "tool_call": tool_call}]}
    sent = json.loads(ran.stdout)["input"]
    assert sent == expected | {"id": sent["id"]}


@pytest.mark.parametrize("reference", ["", "5", "{}", '{"reply_id": "r1", "tool_call": 5}'])
def test_a_reference_of_another_backend_is_rejected(reference: str) -> None:
    action = ToolApproval(id="c1", name="Bash", arguments={}, reference=reference or "oops")
    flow = OPERATIONS.answer_actions(SESSION, [Approve(action)])
    _, error = failure(flow, status_is("awaiting_permission"), page(WAITING_REPLY))
    assert type(error) is UsageError


def test_edited_arguments_replace_those_of_the_model() -> None:
    flow = OPERATIONS.answer_actions(SESSION, [Approve("c1", arguments={"command": "ls -l"})])
    calls, _ = step(flow, status_is("awaiting_permission"), page(WAITING_REPLY), STARTED)
    (decision,) = sent_bodies(calls)[2]["input"]["confirm_results"]
    assert decision["tool_call"]["input"] == '{"command":"ls -l"}'


def test_the_bodies_of_denials_and_outputs() -> None:
    pending = status_is("awaiting_permission"), page(WAITING_REPLY)
    calls, _ = step(OPERATIONS.answer_actions(SESSION, [Deny("c1")]), *pending, STARTED)
    assert [(call.method, call.path) for call in calls] == [STATUS, messages(10), CHAT]
    assert sent_bodies(calls)[2]["input"]["confirm_results"][0]["confirmed"] is False
    waiting = reply(*(call_block(name, "submitted", "lookup") for name in ("c1", "c2")), reason=None)
    outputs = [ToolOutput("c1", "blue"), ToolOutput("c2", "lost", is_error=True)]
    answers = status_is("awaiting_external_result"), page(waiting), STARTED
    calls, _ = step(OPERATIONS.answer_actions(SESSION, outputs), *answers)
    results = [
        {"type": "tool_result", "id": "c1", "name": "lookup", "output": "blue", "state": "success"},
        {"type": "tool_result", "id": "c2", "name": "lookup", "output": "lost", "state": "error"},
    ]
    sent = sent_bodies(calls)[2]["input"]
    assert sent == {
        "id": sent["id"],
        "type": "EXTERNAL_EXECUTION_RESULT",
        "reply_id": "r1",
        "execution_results": results,
    }


def test_a_reason_for_a_denial_is_rejected_before_any_call() -> None:
    for flow in (
        OPERATIONS.start_turn(SESSION, [Deny("c1", "no")]),
        OPERATIONS.answer_actions(SESSION, [Deny("c1", "no")]),
    ):
        calls, error = failure(flow)
        assert (calls, type(error)) == ([], UnsupportedOperation)
        assert isinstance(error, UnsupportedOperation)
        assert error.feature == Feature.SESSIONS_ANSWER_APPROVAL.value


MIXED = reply(call_block("c1", "asking"), call_block("c2", "submitted"), reason=None)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([Approve("c9")], NotFound),
        ([ToolOutput("c1", "x")], UsageError),
        ([Approve("c2")], UsageError),
        ([Approve("c1"), ToolOutput("c2", "x")], UsageError),
    ],
)
def test_answers_of_the_wrong_type_are_not_sent(answers: list[Any], kind: type[PolysessionError]) -> None:
    calls, error = failure(OPERATIONS.answer_actions(SESSION, answers), status_is("awaiting_permission"), page(MIXED))
    assert (calls, type(error)) == ([STATUS, messages(10)], kind)


@pytest.mark.parametrize("flow", [OPERATIONS.start_turn, OPERATIONS.answer_actions])
def test_a_late_answer_is_a_conflict(flow: Any) -> None:
    calls, error = failure(flow(SESSION, [Approve("c1")]), status_is("idle"))
    assert (calls, type(error)) == ([STATUS], Conflict)
    over = reply(call_block("c1", "finished"))
    calls, error = failure(flow(SESSION, [Approve("c1")]), status_is("awaiting_permission"), page(over))
    assert (calls, type(error)) == ([STATUS, messages(10)], Conflict)


def test_pending_actions_are_read_when_the_turn_has_been_stored() -> None:
    flow = OPERATIONS.pending_actions(SESSION)
    calls, actions = step(
        flow,
        status_is("running"),
        status_is("running"),
        status_is("awaiting_permission"),
        page(MIXED),
    )
    assert [(call.method, call.path) for call in calls] == [STATUS, STATUS, STATUS, messages(10)]
    assert [call.after_s for call in calls] == [0.0, 0.05, 0.1, 0.0]
    assert [(action.type, action.id) for action in actions] == [("approval", "c1"), ("execution", "c2")]


@pytest.mark.parametrize("words", [["idle"], ["running"] * 5])
def test_a_session_that_does_not_wait_has_no_pending_actions(words: list[str]) -> None:
    assert steps(OPERATIONS.pending_actions(SESSION), *map(status_is, words))[1] == ()


def test_the_waiting_reply_may_be_on_an_older_page() -> None:
    newest = [user_message("still there?", "u2"), reply(reply_id="r2", reason="error")]
    answers = status_is("awaiting_permission"), page(*newest, has_more=True), page(WAITING_REPLY, cursor=None)
    calls, actions = steps(OPERATIONS.pending_actions(SESSION), *answers)
    assert calls == [STATUS, messages(10), messages(10, before="u2")]
    assert [action.id for action in actions] == ["c1"]


def test_an_answered_turn_continues_its_reply() -> None:
    turn = answering(WAITING_REPLY, Approve("c1"))
    stale = requires_confirm("c1")  # servers older than 2.0.10 replay the point at which the reply waits
    events = turn.receive(
        stale, answer_echo(turn, confirmed("c1")), start(), *result("c1"), *text("Done"), model_end(), end()
    )
    assert [found.type for found in events[:3]] == ["turn.started", "raw", "raw"]
    assert modelled(events)[:3] == ["turn.started", "tool_result.delta", "tool_result.completed"]
    assert (events[-1].outcome, turn.ended) == (Outcome.COMPLETED, True)


def test_a_turn_may_wait_again() -> None:
    turn = answering(reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None), Approve("c1"))
    events = turn.receive(answer_echo(turn, confirmed("c1")), start(), *result("c1"), requires_confirm("c2"))
    assert events[-1].outcome is Outcome.REQUIRES_ACTION
    assert [action.id for action in events[-2].actions] == ["c2"]


def test_unanswered_actions_stay_pending_without_an_event() -> None:
    waiting = reply(call_block("c1", "submitted"), call_block("c2", "submitted"), reason=None)
    turn = answering(waiting, ToolOutput("c1", "x"), status="awaiting_external_result")
    events = turn.receive(answer_echo(turn, executed("c1")), start(), *result("c1", started=True))
    assert [action.id for action in events[-2].actions] == ["c2"]
    assert (events[-1].outcome, events[-1].synthetic) == (Outcome.REQUIRES_ACTION, True)


def test_a_turn_continued_by_another_clients_answer_is_not_ours() -> None:
    waiting = reply(call_block("c1", "submitted"), call_block("c2", "submitted"), reason=None)
    turn = answering(waiting, ToolOutput("c2", "y"), status="awaiting_external_result")
    theirs = [executed("c1"), start(), *result("c1", started=True)]
    assert turn.receive(*theirs) == []
    ours = [answer_echo(turn, executed("c2")), start(), *result("c2", started=True), *text("Done"), end()]
    events = turn.receive(*ours)
    assert [found.type for found in events[:2]] == ["turn.started", "raw"]
    assert [found.tool_call_id for found in events if found.type == "tool_result.completed"] == ["c2"]
    assert events[-1].outcome is Outcome.COMPLETED


def test_a_server_without_an_echo_starts_the_reply_again() -> None:
    turn = answering(WAITING_REPLY, Approve("c1"))
    events = turn.receive(start(), *result("c1"), *text("Done"), end())
    assert modelled(events)[:2] == ["turn.started", "tool_result.delta"]
    assert events[-1].outcome is Outcome.COMPLETED


RULES = [{"tool_name": "Bash", "rule_content": "ls:*", "behavior": "allow", "source": "suggested"}]
ASKED = reply(call_block("c1", "asking") | {"suggested_rules": RULES}, reason=None)


@pytest.mark.parametrize(
    ("native", "rules"),
    [
        (AgentScopeAnswer(allow_suggested=True), RULES),
        (
            AgentScopeAnswer(rules=[AgentScopeRule(tool_name="Read")]),
            [{"tool_name": "Read", "rule_content": None, "behavior": "allow", "source": "user"}],
        ),
        (AgentScopeAnswer(), None),
        (None, None),
    ],
)
def test_an_approval_may_add_rules_for_further_calls(native: AgentScopeAnswer | None, rules: Any) -> None:
    pending = status_is("awaiting_permission"), page(ASKED), STARTED
    calls, _ = step(OPERATIONS.answer_actions(SESSION, [Approve("c1")], native=native), *pending)
    (decision,) = sent_bodies(calls)[2]["input"]["confirm_results"]
    assert decision.get("rules") == rules
    calls, _ = step(OPERATIONS.answer_actions(SESSION, [Deny("c1")], native=native), *pending)
    (decision,) = sent_bodies(calls)[2]["input"]["confirm_results"]
    assert "rules" not in decision


def test_a_message_may_have_a_name_and_metadata() -> None:
    native = AgentScopeMessage(name="Ada", metadata={"ticket": 42})
    calls, _ = step(OPERATIONS.send_message(SESSION, "hi", native=native), page(), STARTED)
    sent = sent_bodies(calls)[1]["input"]
    assert (sent["name"], sent["metadata"], sent["role"]) == ("Ada", {"ticket": 42}, "user")
