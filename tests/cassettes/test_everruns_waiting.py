"""Approvals, questions and tools of the client, as Everruns' real engine asked and took the answers."""

from __future__ import annotations

from typing import Any

import pytest

from live.sources import Source
from polysession import ActionRequired, Approve, Deny, NotFound, Session, SessionStatus, ToolExecution, ToolOutput
from support.client_runners import ClientRunner
from support.everruns_caller import Caller, problem
from tools.recordings.cassettes import cassette

pytestmark = pytest.mark.filterwarnings("ignore:.*clear text:polysession.ClearTextWarning")
"""The recorded engine has no TLS, and its address is a name that stands for it."""

PROBLEM = "application/problem+json"
PLAIN = "text/plain; charset=utf-8"
ASKED = ("tool_approval_call_llmsim_0_0", "tool_approval_call_llmsim_0_1")


@pytest.fixture
def caller(source: Source, runner: ClientRunner) -> Caller:
    return Caller(source, runner)


def waiting(caller: Caller, agent: str) -> Session:
    """A session of that agent, which waits for an answer."""
    session = caller.create(agent)
    caller.tell(session)
    return caller.wait(session, SessionStatus.REQUIRES_ACTION)


def types_of(caller: Caller, session: Session) -> list[str]:
    events = caller.ask("GET", f"/v1/sessions/{session.id}/events", exclude=["llm.generation", "capability.usage"])
    return [event["type"] for event in events.json()["data"]]


@cassette("everruns/recorded/approvals.yaml")
def test_approvals_are_asked_for_and_decided(caller: Caller) -> None:
    session = waiting(caller, "careful")
    assert [asked["tool_call_id"] for asked in session.raw["pending_approvals"]] == list(ASKED)
    assert session.raw["pending_approvals"][0]["tool_name"] == "erase"
    assert session.raw["pending_approvals"][0]["arguments"] == {"path": "/notes.txt"}
    path = f"/v1/sessions/{session.id}/tool-approvals"

    def decide(*decisions: tuple[str, str]) -> Any:
        body = {"decisions": [{"tool_call_id": id_, "decision": decision} for id_, decision in decisions]}
        return caller.ask("POST", path, body)

    invalid = "session run failed: Configuration error: invalid approval decisions"
    for refused in (decide(), decide((ASKED[0], "allow"), (ASKED[0], "reject"))):
        status, kind, text = problem(refused)
        assert (status, kind) == (400, PROBLEM)
        assert text.startswith(invalid)
    assert problem(decide(("call_llmsim_0_0", "allow"))) == (404, PROBLEM, "pending approval request not found")
    status, kind, text = problem(decide((ASKED[0], "perhaps")))
    assert (status, kind) == (422, PLAIN)
    assert "expected one of `allow`, `allow_always`, `reject`, `reject_always`" in text

    resolved = decide((ASKED[0], "allow"), (ASKED[1], "reject")).json()
    assert resolved == {
        "resolved": [
            {"tool_call_id": ASKED[0], "tool": "erase", "outcome": "allow"},
            {"tool_call_id": ASKED[1], "tool": "erase", "outcome": "reject"},
        ],
        "status": "active",
    }
    assert problem(decide((ASKED[0], "allow"))) == (404, PROBLEM, "pending approval request not found")
    assert caller.wait(session).raw["pending_approvals"] == []
    assert problem(decide()) == (409, PROBLEM, "no open turn")
    types = types_of(caller, session)
    asked = types.index("tool.call_requested")
    assert types[asked + 1 : asked + 6] == [
        *("tool.completed", "input.message"),
        *("tool.completed", "input.message"),
        "reason.started",
    ]


@cassette("everruns/recorded/half_approved.yaml")
def test_an_approval_that_is_left_out_is_not_given(caller: Caller) -> None:
    session = waiting(caller, "careful")
    body = {"decisions": [{"tool_call_id": ASKED[1], "decision": "allow_always"}]}
    resolved = caller.ask("POST", f"/v1/sessions/{session.id}/tool-approvals", body).json()["resolved"]
    assert [(each["tool_call_id"], each["outcome"]) for each in resolved] == [
        (ASKED[0], "not_approved"),
        (ASKED[1], "allow_always"),
    ]


@cassette("everruns/recorded/approvals_answered.yaml")
def test_approvals_are_read_and_answered_by_the_client(caller: Caller) -> None:
    session = waiting(caller, "careful")
    approvals = caller.do(lambda client: client.sessions.pending_actions(session))
    assert [(each.type, each.id, each.name) for each in approvals] == [("approval", id_, "erase") for id_ in ASKED]
    caller.do(lambda client: client.sessions.answer(session, [Approve(approvals[0]), Deny(approvals[1])]))
    caller.wait(session)
    assert caller.do(lambda client: client.sessions.pending_actions(session)) == ()
    results = caller.do(lambda client: client.sessions.events(session))
    ran = [event.text for event in results if event.type == "tool_result.completed" and not event.is_error]
    assert ran == ["/notes.txt is gone"]


@cassette("everruns/recorded/question.yaml")
def test_a_question_is_asked_and_answered(caller: Caller) -> None:
    session = waiting(caller, "asker")
    (asked,) = session.raw["pending_questions"]
    assert asked["tool_call_id"] == "call_llmsim_0_0"
    (question,) = asked["questions"]
    assert (question["id"], question["question"]) == ("question_1", "Where should it go?")

    def answer(*selected: str, **more: Any) -> Any:
        answers = [{"id": "question_1", "selected": list(selected)}] if selected else []
        return caller.ask("POST", f"/v1/sessions/{session.id}/question-answers", {"answers": answers, **more})

    assert 'question "question_1" was not answered' in problem(answer())[2]
    assert 'question "question_1" was not asked with option "Moon"' in problem(answer("Moon"))[2]
    assert answer("Staging").json() == {"answered_by": "user", "session_status": "active", "status": "answered"}
    caller.wait(session)
    assert problem(answer("Staging")) == (404, PROBLEM, "pending question set not found")
    again = answer("Staging", tool_call_id="call_llmsim_0_0")
    assert problem(again) == (409, PROBLEM, "question set has already been answered")


@cassette("everruns/recorded/client_tool.yaml")
def test_a_tool_of_the_client_is_asked_for_and_cannot_be_answered_here(caller: Caller) -> None:
    session = waiting(caller, "remote")
    assert session.native_status == "waitingfortoolresults"
    (action,) = caller.do(lambda client: client.sessions.pending_actions(session))
    assert isinstance(action, ToolExecution)
    assert (action.id, action.name, action.arguments) == ("call_llmsim_0_0", "read_clock", {"zone": "UTC"})
    with pytest.raises(NotFound) as caught:
        caller.do(lambda client: client.sessions.answer(session, [ToolOutput(action, "noon")]))
    assert (caught.value.operation, caught.value.status) == ("sessions.answer", 404)
    # A message ends the wait, and the outputs are made up.
    caller.tell(session, "never mind")
    caller.wait(session)
    events = caller.do(lambda client: client.sessions.events(session))
    requested = next(number for number, event in enumerate(events) if isinstance(event, ActionRequired))
    after = [event.native_type for event in events[requested + 1 :] if not event.synthetic]
    assert after[:2] == ["input.message", "tool.completed"]
    made_up = next(event for event in events if event.native_type == "tool.completed" and not event.synthetic)
    assert (made_up.is_error, made_up.text) == (True, "Cancelled because the user sent a message instead")
