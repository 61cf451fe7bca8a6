"""Approvals on Everruns, tested with our client, over plain HTTP, and with the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from everruns_sdk.agent import AgentClient  # type: ignore[import-untyped]

from polysession import (
    Answer,
    Approve,
    Client,
    Conflict,
    Deny,
    Feature,
    NotFound,
    Outcome,
    RetryPolicy,
    ToolApproval,
    ToolOutput,
    UnsupportedOperation,
    UsageError,
)
from polysession._core.operations import Operations
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import covers
from polysession_everruns import EverrunsProvider, EverrunsSettings
from providers.everruns.test_emulator import Api, served
from providers.everruns.test_emulator_streams import last, reach, say, stored
from providers.everruns.test_emulator_streams_judged import opened, until
from support.flows import ok, sent_bodies, step

OPERATIONS = Operations(EverrunsProvider(EverrunsSettings(api_key="evr_pat_x", base_url="http://everruns.test/api")))
ID = "session_0195e0c0000070008000000000000001"
EVENTS = ("GET", f"/v1/sessions/{ID}/events?limit=50")
APPROVALS = ("POST", f"/v1/sessions/{ID}/tool-approvals")
SETTLED = ok({"resolved": [], "status": "active"})


def call(number: int) -> dict[str, Any]:
    held = {"code": "tool_approval_required", "tool": "send", "tool_call_id": f"call_{number}", "arguments": {}}
    return {"id": f"tool_approval_call_{number}", "name": "approve_tool_call", "arguments": held}


def asked(*calls: dict[str, Any]) -> Any:
    event = {"id": "event_1", "type": "tool.call_requested", "ts": "2026-11-25T00:00:00Z", "sequence": 1}
    context = {"session_id": ID, "context": {"turn_id": "turn_1"}}
    return ok({"data": [{**event, **context, "data": {"tool_calls": list(calls)}}]})


MIXED = asked(call(1), {"id": "call_9", "name": "lookup", "arguments": {}})


DECISION_TEXT = """I approved `lookup` this once. Call it again now with exactly the same arguments.
I rejected `lookup`. Don't run it, and don't try to get the same result another way."""


# The provider, stepped by hand.


def test_decisions_are_sent_in_the_format_of_the_server() -> None:
    answers: list[Answer] = [Approve("tool_approval_call_1"), Deny("tool_approval_call_2")]
    calls, _ = step(OPERATIONS.answer_actions(ID, answers), asked(call(1), call(2)), SETTLED)
    assert [(each.method, each.path) for each in calls] == [EVENTS, APPROVALS]
    assert sent_bodies(calls)[1] == {
        "decisions": [
            {"tool_call_id": "tool_approval_call_1", "decision": "allow"},
            {"tool_call_id": "tool_approval_call_2", "decision": "reject"},
        ]
    }


def test_a_decision_is_retried_until_the_session_is_ready() -> None:
    early = Conflict("Session is not waiting for tool results (current status: active)", status=409)
    flow = OPERATIONS.answer_actions(ID, [Approve("tool_approval_call_1")])
    calls, _ = step(flow, asked(call(1)), early, SETTLED)
    assert [((each.method, each.path), each.after_s) for each in calls[1:]] == [(APPROVALS, 0.0), (APPROVALS, 0.1)]


@pytest.mark.parametrize("flow", [OPERATIONS.answer_actions, OPERATIONS.start_turn])
@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([Deny("tool_approval_call_1", "no")], UnsupportedOperation),
        ([Approve("tool_approval_call_1"), Deny("call_2", "no")], UnsupportedOperation),
    ],
)
def test_unsupported_answers_are_refused_before_any_call(flow: Any, answers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        step(flow(ID, answers))


@pytest.mark.parametrize(
    ("answers", "error", "problem"),
    [
        ([Approve("call_9")], UsageError, "action 'call_9' must be answered with ToolOutput"),
        ([ToolOutput("tool_approval_call_1", "x")], UsageError, "must be answered with Approve or Deny"),
        ([Approve("call_1")], NotFound, "waits for answers to 'tool_approval_call_1', 'call_9'"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_not_sent(answers: Any, error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem):
        step(OPERATIONS.answer_actions(ID, answers), MIXED)


def test_both_approvals_of_a_request_must_be_answered() -> None:
    with pytest.raises(UsageError, match="also answer 'tool_approval_call_2'"):
        step(OPERATIONS.answer_actions(ID, [Approve("tool_approval_call_1")]), asked(call(1), call(2)))


def test_one_kind_may_be_answered_if_both_are_pending() -> None:
    calls, _ = step(OPERATIONS.answer_actions(ID, [Approve("tool_approval_call_1")]), MIXED, SETTLED)
    assert (calls[1].method, calls[1].path) == APPROVALS


# Our client on the emulator.


@pytest.fixture
def handle() -> Iterator[EmulatorHandle]:
    with serve("everruns") as handle:
        yield handle


@pytest.fixture
def client(handle: EmulatorHandle) -> Iterator[Client]:
    with Client("everruns", retry=RetryPolicy(first_wait_s=0), **handle.settings) as client:
        yield client


def run(client: Client, session: Any, turn_input: Any) -> tuple[list[Any], Any]:
    with client.sessions.run(session, turn_input, deadline_s=20) as turn:
        return list(turn), turn.result


def results_in(events: list[Any]) -> list[tuple[str, bool]]:
    return [(event.text, event.is_error) for event in events if event.type == "tool_result.completed"]


def test_several_approvals_are_decided_at_once(client: Client, handle: EmulatorHandle) -> None:
    session = client.sessions.create(agent=handle.agent_id)
    _, waiting = run(client, session, "/ask 2")
    assert [(type(action), action.name, action.arguments) for action in waiting.actions] == [
        (ToolApproval, "lookup", {"query": f"item {number}"}) for number in range(2)
    ]
    with Client("everruns", **handle.settings) as other:
        assert other.sessions.pending_actions(session) == waiting.actions
        events, result = run(other, session, [Approve(waiting.actions[0].id), Deny(waiting.actions[1])])
    messages = [event.message for event in events if event.type == "message.completed"]
    assert [message.text for message in messages if message.role == "user"] == [DECISION_TEXT]
    assert results_in(events) == [
        ("item 0 is in stock", False),
        ("blocked by pre_tool_use hook: rejected by user", True),
    ]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The decision was heard.")


def test_a_late_or_double_decision_is_a_clear_error(client: Client, handle: EmulatorHandle) -> None:
    session = client.sessions.create(agent=handle.agent_id)
    _, waiting = run(client, session, "/ask")
    client.sessions.answer(session, [Approve(waiting.actions[0])])
    for again in (client.sessions.answer, lambda *args: run(client, *args)):
        with pytest.raises(Conflict, match="no pending actions"):
            again(session, [Approve(waiting.actions[0])])
    assert client.sessions.pending_actions(session) == ()


def test_a_turn_continues_after_the_wait_without_a_decision(client: Client, handle: EmulatorHandle) -> None:
    handle.control.pace.approval_wait_s = 0.1  # type: ignore[attr-defined]
    session = client.sessions.create(agent=handle.agent_id)
    ends: list[Outcome] = []
    events: list[Any] = []
    with client.sessions.stream(session, deadline_s=20) as stream:
        client.sessions.send(session, "/ask")
        while len(ends) < 2:
            events.append(next(stream))
            ends += [event.outcome for event in events[-1:] if event.type == "turn.ended"]
    assert ends == [Outcome.REQUIRES_ACTION, Outcome.COMPLETED]
    assert any("in time" in event.message.text for event in events if event.type == "message.completed")
    assert [failed for _, failed in results_in(events)] == [True, True]


def test_a_message_ends_the_wait(client: Client, handle: EmulatorHandle) -> None:
    session = client.sessions.create(agent=handle.agent_id)
    run(client, session, "/ask")
    while client.sessions.get(session).native_status != "waitingfortoolresults":
        pass
    client.sessions.send(session, "never mind")
    assert client.sessions.pending_actions(session) == ()


# The emulator, over plain HTTP.


@pytest.fixture
def api() -> Iterator[Api]:
    yield from served()


def asks(api: Api, count: int = 1) -> tuple[str, list[str]]:
    """Return a session that has just requested approvals, and may not accept the decisions yet."""
    session_id = api.session()["id"]
    say(api, session_id, f"/ask {count}")
    while not stored(api, session_id, "?types=tool.call_requested"):
        pass
    return session_id, [each["id"] for each in last(api, session_id, "tool.call_requested")["tool_calls"]]


def waiting(api: Api, count: int = 1) -> tuple[str, list[str]]:
    session_id, asked_ids = asks(api, count)
    reach(api, session_id, "waitingfortoolresults")
    return session_id, asked_ids


def body(*decisions: tuple[str, str]) -> dict[str, Any]:
    return {"decisions": [{"tool_call_id": call_id, "decision": word} for call_id, word in decisions]}


def decide(api: Api, session_id: str, *decisions: tuple[str, str]) -> dict[str, Any]:
    return api.ok("POST", f"sessions/{session_id}/tool-approvals", 200, body(*decisions))


def refused(api: Api, session_id: str, status: int, *decisions: tuple[str, str]) -> str:
    problem = api.refused("POST", f"sessions/{session_id}/tool-approvals", status, body(*decisions))
    return str(problem["detail"])


def test_a_request_without_a_decision_is_not_approved(api: Api) -> None:
    """The engine does the same in the recording `half_approved.yaml`."""
    session_id, (first, second) = waiting(api, 2)
    assert decide(api, session_id, (second, "allow_always")) == {
        "resolved": [
            {"tool_call_id": first, "tool": "lookup", "outcome": "not_approved"},
            {"tool_call_id": second, "tool": "lookup", "outcome": "allow_always"},
        ],
        "status": "active",
    }


def test_wrong_decisions_are_refused(api: Api) -> None:
    session_id, (asked_id,) = waiting(api)
    assert refused(api, session_id, 400) == "decisions must not be empty"
    twice = refused(api, session_id, 400, (asked_id, "allow"), (asked_id, "reject"))
    assert twice == f'tool call "{asked_id}" is answered more than once'
    many = [(f"{asked_id}{number}", "allow") for number in range(65)]
    assert refused(api, session_id, 400, *many) == "at most 64 decisions per submission"
    assert refused(api, session_id, 404, ("call_1", "allow")) == 'No pending tool approval request "call_1"'
    perhaps = api.http.post(f"sessions/{session_id}/tool-approvals", json=body((asked_id, "perhaps")))
    assert perhaps.status_code == 422
    decide(api, session_id, (asked_id, "reject"))
    assert refused(api, session_id, 409, (asked_id, "allow")) == "These approval requests were already answered"


@pytest.mark.parametrize(
    ("wait_s", "problem"),
    [
        (0.0, "The approval request expired and counts as rejected"),
        (60.0, "Session is not waiting for tool results (current status: active)"),
    ],
)
def test_a_late_or_early_decision_is_a_conflict(api: Api, wait_s: float, problem: str) -> None:
    pace = api.handle.control.pace  # type: ignore[attr-defined]
    pace.approval_wait_s, pace.waiting_after_s = wait_s, 30.0
    session_id, (asked_id,) = asks(api)
    assert refused(api, session_id, 409, (asked_id, "allow")) == problem


@pytest.mark.parametrize(("decision", "runs"), [("allow_always", True), ("reject_always", False)])
def test_an_approval_for_the_session_is_not_requested_again(api: Api, decision: str, *, runs: bool) -> None:
    session_id, (asked_id,) = waiting(api)
    decide(api, session_id, (asked_id, decision))
    for turns in (1, 2):
        while len(stored(api, session_id, "?types=session.idled")) < turns:
            pass
        say(api, session_id, "/ask")
    assert len(stored(api, session_id, "?types=tool.call_requested")) == 1
    assert last(api, session_id, "tool.completed")["success"] is runs


def test_a_legacy_server_runs_tools_without_an_approval() -> None:
    with serve("everruns", generation="legacy") as older, Client("everruns", **older.settings) as client:
        session = client.sessions.create(agent=older.agent_id)
        assert run(client, session, "/ask")[1].outcome is Outcome.COMPLETED
        with Api(older).http as http:
            assert http.post(f"sessions/{session.id}/tool-approvals", json={}).status_code == 404


# The official client.


async def decided_by_the_official_client(handle: EmulatorHandle) -> list[Any]:
    handle.control.pace.waiting_after_s = 0.0  # type: ignore[attr-defined]
    async with AgentClient(agent_url=f"{handle.base_url}/v1", credential=handle.settings["api_key"]) as agent:
        session_id = (await agent.create_session("Ticket 42"))["id"]

        async def allow(event: Any) -> None:
            if event.type == "tool.call_requested":
                (request,) = event.data["tool_calls"]
                answer = await agent.submit_tool_approvals(session_id, body((request["id"], "allow")))
                resolved = {"tool_call_id": request["id"], "tool": "lookup", "outcome": "allow"}
                assert answer == {"resolved": [resolved], "status": "active"}

        reading = asyncio.create_task(until(agent.stream_events(session_id), "session.idled", allow))
        await opened(handle, session_id)
        await agent.send_message(session_id, "/ask")
        return await reading


@pytest.mark.evidence("everruns", "judge", by="everruns-sdk")
@covers(Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_APPROVAL)
def test_the_official_agent_client_decides_over_the_emulator(handle: EmulatorHandle) -> None:
    """Its routes are relative to the URL. The management API has those of this test."""
    events = asyncio.run(decided_by_the_official_client(handle))
    completed = [event.data for event in events if event.type == "tool.completed"]
    assert [data["success"] for data in completed] == [False, True, True]
    assert completed[-1]["result"] == [{"type": "text", "text": "item 0 is in stock"}]
