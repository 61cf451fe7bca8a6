"""Questions, mixed steps and ignored options in the Everruns emulator, over plain HTTP.

Backend: https://github.com/everruns/everruns, crates/server/src/api/question_answers.rs (read 2026-11), and recorded
exchanges of its engine 0.50.1
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from polysession.emulation import Ask, AskApproval, ClientTool, Say, ToolUse, UseTools
from polysession_everruns.emulator import EverrunsEmulator
from providers.everruns.test_emulator import Api, served
from providers.everruns.test_emulator_streams import last, say, stored, stream, types, until

Json = dict[str, Any]
COLOURS = Ask("Which colour?", ("red", "green"))


@pytest.fixture
def api() -> Iterator[Api]:
    yield from served("current")


def asked(api: Api, *script: Any) -> tuple[str, list[Json]]:
    """Return a waiting session, and its pending calls."""
    session_id = api.session()["id"]
    api.handle.script([*script, Say("Thanks.")], session=session_id)
    with stream(api, session_id) as frames:
        say(api, session_id, "go")
        request = until(frames, "tool.call_requested")[-1]
    while api.ok("GET", f"sessions/{session_id}")["status"] != "waitingfortoolresults":
        pass
    return session_id, request["data"]["tool_calls"]


def ended(api: Api, session_id: str) -> list[Json]:
    """Wait for the end of the turn, and return the stored events."""
    while not stored(api, session_id, "?types=session.idled"):
        pass
    events: list[Json] = stored(api, session_id)
    return events


def replied(api: Api, session_id: str, expected: int, **body: Any) -> Any:
    answer = api.http.post(f"sessions/{session_id}/question-answers", json=body)
    assert answer.status_code == expected, answer.text
    return answer.json()


def red(**fields: Any) -> Json:
    return {"id": "question_1", "selected": ["red"], **fields}


# --- Questions


def test_a_question_waits_for_its_answer(api: Api) -> None:
    session_id, (call,) = asked(api, COLOURS)
    assert call["name"] == "ask_user"
    times = [datetime.fromisoformat(call["arguments"].pop(name)) for name in ("asked_at", "nudge_at", "expires_at")]
    assert times == sorted(times)
    option = {"default": False}
    assert call["arguments"] == {
        "questions": [
            {
                "id": "question_1",
                "kind": "choice",
                "header": "Question",
                "question": "Which colour?",
                "multi_select": False,
                "allow_other": True,
                "options": [
                    {"label": "red", "description": "red", "default": True},
                    {"label": "green", "description": "green", **option},
                ],
            }
        ],
        "timeout_seconds": 300,
    }

    answer = replied(api, session_id, 200, tool_call_id=call["id"], answers=[red()])

    assert answer == {"status": "answered", "answered_by": "user", "session_status": "active"}
    ended(api, session_id)
    completed = last(api, session_id, "tool.completed")
    assert (completed["tool_call_id"], completed["tool_name"], completed["success"]) == (call["id"], "ask_user", True)
    assert json.loads(completed["result"][0]["text"]) == {
        "status": "answered",
        "answered_by": "user",
        "answers": [{"id": "question_1", "selected": ["red"], "other_text": None}],
    }
    assert last(api, session_id, "output.message.completed")["message"]["content"][0]["text"] == "Thanks."


def test_a_question_without_options_takes_text(api: Api) -> None:
    session_id, (call,) = asked(api, Ask("Why?"))
    assert call["arguments"]["questions"][0]["kind"] == "text"

    refusal = replied(api, session_id, 400, answers=[red()])["detail"]
    assert refusal == 'question "question_1" is text and must not select options'
    replied(api, session_id, 200, answers=[{"id": "question_1", "other_text": " because "}])

    ended(api, session_id)
    received = json.loads(last(api, session_id, "tool.completed")["result"][0]["text"])
    assert received["answers"] == [{"id": "question_1", "selected": [], "other_text": "because"}]


def test_a_question_can_be_declined(api: Api) -> None:
    session_id, _ = asked(api, COLOURS)

    assert replied(api, session_id, 200, status="declined")["status"] == "declined"

    ended(api, session_id)
    received = json.loads(last(api, session_id, "tool.completed")["result"][0]["text"])
    assert received == {"status": "declined", "answered_by": "user", "answers": []}


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        ([], 'question "question_1" was not answered'),
        ([red(), red()], 'question "question_1" was answered more than once'),
        ([red(), {"id": "other"}], 'no question with id "other" was asked'),
        ([red(selected=["blue"])], 'question "question_1" was not asked with option "blue"'),
        ([red(selected=["red", "green"])], 'question "question_1" is single-select and carries 2 selections'),
        ([red(selected=[], other_text="  ")], 'question "question_1" has no selection and no free text'),
        ([red(secret_ref="session:KEY")], 'question "question_1" is not a secret question'),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays_pending(
    api: Api, answers: list[Json], detail: str
) -> None:
    session_id, _ = asked(api, COLOURS)

    assert replied(api, session_id, 400, answers=answers)["detail"] == detail

    replied(api, session_id, 200, answers=[red()])


def test_a_repeated_or_unexpected_answer_is_refused(api: Api) -> None:
    session_id, (call,) = asked(api, COLOURS)
    assert replied(api, session_id, 404, tool_call_id="call_none", answers=[red()])["title"] == "Not Found"
    replied(api, session_id, 200, answers=[red()])

    assert replied(api, session_id, 404, answers=[red()])["detail"] == "pending question set not found"
    again = replied(api, session_id, 409, tool_call_id=call["id"], answers=[red()])
    assert again["detail"] == "question set has already been answered"
    assert replied(api, api.session()["id"], 404, answers=[red()])["detail"] == "pending question set not found"


def test_a_result_of_a_tool_does_not_answer_a_question(api: Api) -> None:
    session_id, (call,) = asked(api, COLOURS)

    api.refused("POST", f"sessions/{session_id}/tool-results", 404, {"tool_results": [{"tool_call_id": call["id"]}]})

    replied(api, session_id, 200, answers=[red()])


def test_an_answer_does_not_give_the_result_of_a_tool(api: Api) -> None:
    session_id, _ = asked(api, ClientTool("lookup"))

    assert replied(api, session_id, 409, answers=[])["detail"] == "Session is waiting on a different tool call"


@pytest.mark.parametrize(
    ("question", "received"),
    [
        (COLOURS, {"status": "timed_out", "answered_by": "timeout", "answers": [red(other_text=None)]}),
        (Ask("Why?"), {"status": "declined", "answered_by": "timeout", "answers": []}),
    ],
)
def test_a_question_that_is_not_answered_in_time_gets_its_default(api: Api, question: Ask, received: Json) -> None:
    control = api.handle.control
    assert isinstance(control, EverrunsEmulator)
    control.pace.question_wait_s = 0.05
    session_id = api.session()["id"]
    api.handle.script([question, Say("Thanks.")], session=session_id)
    say(api, session_id, "go")

    ended(api, session_id)

    assert json.loads(last(api, session_id, "tool.completed")["result"][0]["text"]) == received


@pytest.fixture
def old_api() -> Iterator[Api]:
    yield from served("legacy")


def test_the_legacy_generation_writes_its_questions_as_messages(old_api: Api) -> None:
    session_id = old_api.session(agent_id=old_api.handle.agent_id)["id"]
    old_api.handle.script([COLOURS, Say("Thanks.")], session=session_id)
    say(old_api, session_id, "go")
    ended(old_api, session_id)

    said = last(old_api, session_id, "output.message.completed")["message"]["content"][0]["text"]
    assert said == "Which colour? red green"
    assert old_api.http.post(f"sessions/{session_id}/question-answers", json={}).status_code == 404


# --- Mixed steps


MIXED = UseTools(AskApproval("delete", {"path": "a"}, "deleted"), ClientTool("lookup"), ToolUse("list", {}, "a, b"))


def decided(api: Api, session_id: str, call_id: str, decision: str = "allow") -> None:
    body = {"decisions": [{"tool_call_id": call_id, "decision": decision}]}
    api.ok("POST", f"sessions/{session_id}/tool-approvals", 200, body)


def delivered(api: Api, session_id: str, call_id: str) -> None:
    body = {"tool_results": [{"tool_call_id": call_id, "result": "found"}]}
    api.ok("POST", f"sessions/{session_id}/tool-results", 200, body)


def test_an_approval_and_a_client_tool_are_requested_together(api: Api) -> None:
    session_id, calls = asked(api, MIXED)

    assert [call["name"] for call in calls] == ["lookup", "approve_tool_call"]
    assert types(stored(api, session_id)).count("tool.call_requested") == 1
    results = [event["data"] for event in stored(api, session_id, "?types=tool.completed")]
    assert {data["tool_name"]: data["success"] for data in results} == {"delete": False, "list": True}


def test_a_decision_does_not_end_the_wait_for_a_client_tool(api: Api) -> None:
    session_id, (lookup, approval) = asked(api, MIXED)

    decided(api, session_id, approval["id"])

    assert api.ok("GET", f"sessions/{session_id}")["status"] == "waitingfortoolresults"
    assert last(api, session_id, "input.message")["message"]["content"][0]["text"].startswith("I approved `delete`")
    delivered(api, session_id, lookup["id"])
    received = [event["data"] for event in ended(api, session_id) if event["type"] == "tool.completed"]
    assert (received[-1]["tool_name"], received[-1]["success"], received[-1]["result"][0]["text"]) == (
        "delete",
        True,
        "deleted",
    )


def test_results_of_tools_end_the_wait_and_leave_the_approval_undecided(api: Api) -> None:
    session_id, (lookup, _) = asked(api, MIXED)

    delivered(api, session_id, lookup["id"])

    received = [event["data"] for event in ended(api, session_id) if event["type"] == "tool.completed"]
    assert (received[-1]["tool_name"], received[-1]["success"]) == ("delete", False)


# --- Ignored options


def test_options_are_ignored_without_an_error_on_request(api: Api) -> None:
    control = api.handle.control
    assert isinstance(control, EverrunsEmulator)
    control.ignores_options = True
    other = api.agent("worker")["id"]

    session = api.session(agent_id=other, capabilities=[{"ref": "current_time"}], title="kept")

    assert (session["agent_id"], session["title"]) == (api.handle.agent_id, "kept")
    assert "capabilities" not in session
