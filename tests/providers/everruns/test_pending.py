"""Pending actions of Everruns and the answers to them, from flows that are stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from polysession._core.flow import Flow
from polysession.action import ACTION, Answer, Approve, Question, Reply, ToolExecution, ToolOutput
from polysession.change import SessionRef
from polysession.errors import Conflict, InvalidRequest, NotFound, UnsupportedOperation, UsageError
from polysession_everruns.pending import to_batches
from support.everruns_events import QUESTION, asking, raw_event
from support.everruns_streams import (
    ACCEPTED,
    BOTH,
    DONE,
    HISTORY,
    ID,
    NEWEST,
    OPERATIONS,
    PATH,
    PROVIDER,
    REQUESTED,
    RESULTS,
    conflict,
    event,
    listed,
    summary,
)
from support.everruns_streams import (
    ACTION as EXECUTION,
)
from support.flows import ok, step

CALL = {"id": "call_1", "name": "look_up", "arguments": {"word": "x"}}
OUTPUT = {"tool_call_id": "call_1", "result": "found"}


@pytest.mark.parametrize(
    ("events", "pending"),
    [
        ([], ()),
        ([HISTORY[0], REQUESTED], (EXECUTION,)),
        ([REQUESTED, DONE], ()),
        ([REQUESTED, event(5, "turn.failed")], ()),
    ],
)
def test_pending_actions_are_found_in_the_newest_events(
    events: list[dict[str, Any]], pending: tuple[ToolExecution, ...]
) -> None:
    calls, actions = step(OPERATIONS.pending_actions(ID), listed(*events))
    assert [summary(call) for call in calls] == [NEWEST]
    assert actions == pending
    assert [action.raw for action in actions] == [CALL for _ in pending]


@pytest.mark.parametrize(
    ("answers", "requested", "results"),
    [
        ([ToolOutput(EXECUTION, "found")], REQUESTED, [OUTPUT]),
        ([ToolOutput("call_1", "found")], REQUESTED, [OUTPUT]),
        ([ToolOutput(EXECUTION, "no", is_error=True)], REQUESTED, [{"tool_call_id": "call_1", "error": "no"}]),
        (
            [ToolOutput("call_2", ""), ToolOutput(EXECUTION, "found")],
            BOTH,
            [{"tool_call_id": "call_2", "result": ""}, OUTPUT],
        ),
    ],
)
def test_outputs_are_sent_together(
    answers: list[Answer], requested: dict[str, Any], results: list[dict[str, Any]]
) -> None:
    calls, nothing = step(OPERATIONS.answer_actions(ID, answers), listed(requested), ACCEPTED)
    assert [summary(call) for call in calls] == [NEWEST, ("POST", RESULTS, {"tool_results": results}, 0.0)]
    assert nothing is None


@pytest.mark.parametrize(
    ("answers", "events", "error", "problem"),
    [
        (["call_1"], [], Conflict, "no pending actions"),
        (["call_1"], [REQUESTED, DONE], Conflict, "already answered"),
        (
            ["call_1", "call_9"],
            [REQUESTED],
            NotFound,
            "not pending: 'call_9'; the session waits for answers to 'call_1'",
        ),
        (["call_1"], [BOTH], UsageError, "also answer 'call_2'"),
    ],
)
def test_answers_to_no_pending_action_are_not_sent(
    answers: list[str], events: list[dict[str, Any]], error: type[Exception], problem: str
) -> None:
    outputs = [ToolOutput(answer, "x") for answer in answers]
    for flow in (OPERATIONS.answer_actions(ID, outputs), OPERATIONS.start_turn(ID, outputs)):
        with pytest.raises(error, match=problem):
            step(flow, listed(*events))


@pytest.mark.parametrize("status", [409, 400])
def test_answers_are_retried_until_the_session_waits(status: int) -> None:
    flow = OPERATIONS.answer_actions(ID, [ToolOutput(EXECUTION, "found")])
    calls, _ = step(flow, listed(REQUESTED), *[conflict(status) for _ in range(6)], ACCEPTED)
    body = {"tool_results": [OUTPUT]}
    waits = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
    assert [summary(call) for call in calls] == [NEWEST, *(("POST", RESULTS, body, wait_s) for wait_s in waits)]


def test_the_seventh_conflict_is_the_last() -> None:
    flow = OPERATIONS.answer_actions(ID, [ToolOutput(EXECUTION, "found")])
    with pytest.raises(Conflict, match="not waiting"):
        step(flow, listed(REQUESTED), *[conflict() for _ in range(7)])


def test_another_refusal_is_not_retried() -> None:
    flow = OPERATIONS.answer_actions(ID, [ToolOutput(EXECUTION, "found")])
    with pytest.raises(InvalidRequest, match="too large"):
        step(flow, listed(REQUESTED), InvalidRequest("too large", status=413))


# --- Questions

REPLIED = ok({"status": "answered", "answered_by": "user", "session_status": "active"})
FREE = {"id": "question_2", "question": "Why?", "kind": "text"}
MANY = {**QUESTION, "id": "question_3", "multi_select": True, "allow_other": True}
SECRET = {"id": "question_4", "question": "The key?", "kind": "secret", "secret_name": "KEY"}


def answer(*answers: Answer) -> Flow[None]:
    return PROVIDER.answer_actions(SessionRef(ID), answers)


def asked(*questions: dict[str, Any]) -> Any:
    return listed(raw_event("tool.call_requested", {"tool_calls": [asking(*questions)]}))


@pytest.mark.parametrize(
    ("question", "value", "body"),
    [
        (QUESTION, "Staging", {"selected": ["Staging"]}),
        (QUESTION, ["Staging"], {"selected": ["Staging"]}),
        ({**QUESTION, "allow_other": True}, "Elsewhere", {"selected": [], "other_text": "Elsewhere"}),
        (FREE, "Because", {"selected": [], "other_text": "Because"}),
        (MANY, ["Staging", "Production"], {"selected": ["Staging", "Production"]}),
        (MANY, ["Elsewhere", "Staging"], {"selected": ["Staging"], "other_text": "Elsewhere"}),
        (SECRET, "session:KEY", {"secret_ref": "session:KEY"}),
    ],
)
def test_a_reply_is_sent_in_the_format_of_the_server(
    question: dict[str, Any], value: Any, body: dict[str, Any]
) -> None:
    flow = answer(Reply(f"call_1/{question['id']}", value))
    calls, _ = step(flow, asked(question), REPLIED)
    answers = {"tool_call_id": "call_1", "answers": [{"id": question["id"], **body}]}
    assert [summary(call) for call in calls] == [NEWEST, ("POST", f"{PATH}/question-answers", answers, 0.0)]


def test_the_questions_of_a_call_are_answered_together() -> None:
    replies = [Reply("call_1/question_2", "Because"), Reply("call_1/question_1", "Staging")]
    calls, _ = step(answer(*replies), asked(QUESTION, FREE), REPLIED)
    body = summary(calls[1])[2]
    assert [answer["id"] for answer in body["answers"]] == ["question_2", "question_1"]
    with pytest.raises(UsageError, match="also answer 'call_1/question_2'"):
        step(answer(*replies[1:]), asked(QUESTION, FREE))


@pytest.mark.parametrize(
    ("question", "value", "problem"),
    [
        (QUESTION, "Moon", "not an option of 'question_1'; choose from 'Production', 'Staging'"),
        (QUESTION, ["Staging", "Production"], "accepts one value, not 2"),
        ({**QUESTION, "allow_other": True}, ["Here", "There"], "accepts one value, not 2"),
        (MANY, ["Here", "There"], "accepts one value"),
        (QUESTION, {"selected": ["Staging"]}, "must be text"),
        (QUESTION, None, "must be text"),
        (QUESTION, [], "must be text"),
        (SECRET, "hunter2", "asks for a secret, which a reply must not contain"),
    ],
)
def test_a_reply_that_the_question_does_not_allow_is_not_sent(
    question: dict[str, Any], value: Any, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        step(answer(Reply(f"call_1/{question['id']}", value)), asked(question))
    assert "hunter2" not in str(caught.value)


HELD = {"code": "tool_approval_required", "tool": "send", "arguments": {}}
APPROVAL = {"id": "tool_approval_call_2", "name": "approve_tool_call", "arguments": HELD}
ALL_KINDS = listed(
    raw_event("tool.call_requested", {"tool_calls": [CALL, APPROVAL, asking(QUESTION, call_id="call_3")]})
)
ANSWERS = (
    ToolOutput("call_1", "found"),
    Reply("call_3/question_1", "Staging"),
    Approve("tool_approval_call_2"),
)


def test_groups_are_answered_one_after_the_other_and_decisions_first() -> None:
    calls, _ = step(answer(*ANSWERS), ALL_KINDS, ACCEPTED, REPLIED, ACCEPTED)
    assert [summary(call)[1].rpartition("/")[2] for call in calls[1:]] == [
        "tool-approvals",
        "question-answers",
        "tool-results",
    ]


def test_an_answer_that_fails_names_those_that_were_sent() -> None:
    gone = NotFound("No pending tool call matches", status=404)
    with pytest.raises(NotFound) as caught:
        step(answer(*ANSWERS), ALL_KINDS, ACCEPTED, REPLIED, gone)
    assert caught.value.already_done == "answers were sent to tool-approvals, question-answers"


def test_a_reply_that_is_not_allowed_prevents_all_answers() -> None:
    with pytest.raises(UsageError, match="not an option"):
        step(answer(Approve("tool_approval_call_2"), Reply("call_3/question_1", "Moon")), ALL_KINDS)


def test_edited_arguments_are_refused_before_any_call() -> None:
    with pytest.raises(UnsupportedOperation, match="the agent's arguments"):
        step(answer(Approve("tool_approval_1", arguments={"a": 1})))


def test_a_question_is_not_answered_with_an_output() -> None:
    with pytest.raises(UsageError, match="'call_1/question_1' must be answered with Reply"):
        step(answer(ToolOutput("call_1/question_1", "x")), asked(QUESTION))


def test_wrong_answers_to_a_question_are_not_retried() -> None:
    flow = answer(Reply("call_1/question_1", "Staging"))
    with pytest.raises(InvalidRequest, match="was not answered"):
        step(flow, asked(QUESTION), InvalidRequest('question "question_2" was not answered', status=400))


def test_the_answer_is_built_from_the_reference_of_a_stored_action() -> None:
    """No other field of the action is needed, so a stored action can be answered."""
    _, pending = step(OPERATIONS.pending_actions(ID), asked(QUESTION))
    (stored,) = [ACTION.validate_json(action.model_dump_json()) for action in pending]
    assert isinstance(stored, Question)
    bare = stored.model_copy(update={"prompt": "", "options": (), "payload": {}})
    (batch,) = to_batches([Reply(stored, "Staging")], [bare])
    assert batch.body == {"tool_call_id": "call_1", "answers": [{"id": "question_1", "selected": ["Staging"]}]}


def test_an_action_whose_reference_names_no_question_takes_no_reply() -> None:
    _, (question, *_) = step(OPERATIONS.pending_actions(ID), asked(QUESTION))
    with pytest.raises(UsageError, match="is not a question, so it cannot be answered with a Reply"):
        to_batches([Reply(question, "Staging")], [question.model_copy(update={"reference": '{"call_id": "call_1"}'})])
