"""Questions, mixed rounds, concurrent clients and ignored options, on the emulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from polysession import (
    AgentCapability,
    Answer,
    Approve,
    AsyncClient,
    Client,
    Conflict,
    Deny,
    MalformedResponse,
    Outcome,
    Question,
    Reply,
    RetryPolicy,
    Session,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UsageError,
)
from polysession.emulation import Ask, EmulatorHandle, Say, serve
from providers.everruns.test_turns_on_emulator import DEADLINE_S, Run, both, client_for, types


@pytest.fixture
def handle() -> Iterator[EmulatorHandle]:
    with serve("everruns") as handle:
        yield handle


@pytest.fixture
def client(handle: EmulatorHandle) -> Iterator[Client]:
    with client_for(handle) as client:
        yield client


@pytest.fixture
def session(handle: EmulatorHandle, client: Client) -> Session:
    return client.sessions.create(agent=handle.agent_id)


# --- Questions


@both
def test_a_question_is_asked_and_answered(handle: EmulatorHandle, session: Session, run: Run) -> None:
    events, asked = run(handle, session, "/question")
    assert types(events)[-3:] == ["tool_call.completed", "action.required", "turn.ended"]
    (question,) = asked.actions
    assert isinstance(question, Question)
    assert (question.prompt, question.options) == ("Which colour?", ("red", "green"))

    events, result = run(handle, session, [Reply(question, "green")])

    assert types(events)[:2] == ["turn.started", "tool_result.completed"]
    (replied,) = [event for event in events if event.type == "tool_result.completed"]
    assert json.loads(replied.text)["answers"] == [{"id": "question_1", "selected": ["green"], "other_text": None}]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The reply was received.")


def test_a_free_text_reply_is_accepted_if_it_is_allowed(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    handle.script([Ask("Which colour?", ("red", "green")), Ask("Why?"), Say("Thanks.")], session=session.id)
    with client.sessions.run(session, "go", deadline_s=DEADLINE_S) as turn:
        turn.wait()
    for value in ("mauve", "because"):
        (question,) = turn.result.actions
        with client.sessions.run(session, [Reply(question.id, value)], deadline_s=DEADLINE_S) as turn:
            turn.wait()
    assert (turn.result.outcome, turn.result.text) == (Outcome.COMPLETED, "Thanks.")


def test_a_question_is_not_answered_in_another_way(client: Client, session: Session) -> None:
    with client.sessions.run(session, "/question", deadline_s=DEADLINE_S) as turn:
        turn.wait()
    (question,) = client.sessions.pending_actions(session)
    answers: Sequence[Answer] = (Approve(question.id), Deny(question.id), ToolOutput(question.id, "green"))
    for answer in answers:
        with pytest.raises(UsageError, match="must be answered with Reply"):
            client.sessions.answer(session, [answer])
    client.sessions.answer(session, [Reply(question, "red")])
    assert client.sessions.pending_actions(session) == ()


# --- Mixed rounds


def mixed(handle: EmulatorHandle, session: Session, run: Run) -> tuple[ToolApproval, ToolExecution]:
    """Start a round that waits for an approval and a client tool. Returns both actions."""
    _, asked = run(handle, session, "/mixed")
    execution, approval = asked.actions
    assert isinstance(approval, ToolApproval)
    assert isinstance(execution, ToolExecution)
    assert approval.group != execution.group
    return approval, execution


@both
def test_a_decision_leaves_the_client_tool_waiting(handle: EmulatorHandle, session: Session, run: Run) -> None:
    approval, execution = mixed(handle, session, run)

    events, rest = run(handle, session, [Approve(approval)])

    assert types(events)[0] == "turn.started"
    assert types(events)[-2:] == ["action.required", "turn.ended"]
    assert (rest.outcome, rest.actions) == (Outcome.REQUIRES_ACTION, (execution,))
    with client_for(handle) as other:
        assert other.sessions.pending_actions(session) == rest.actions

    _, result = run(handle, session, [ToolOutput(execution, "in stock")])

    assert (result.outcome, result.text) == (Outcome.COMPLETED, "Both have answered.")
    assert result.actions == ()


@both
def test_an_output_ends_the_approval_as_failed(handle: EmulatorHandle, session: Session, run: Run) -> None:
    approval, execution = mixed(handle, session, run)

    _, result = run(handle, session, [ToolOutput(execution, "in stock")])

    assert (result.outcome, result.actions) == (Outcome.COMPLETED, ())
    with client_for(handle) as other, pytest.raises(Conflict, match="no pending actions"):
        other.sessions.answer(session, [Approve(approval)])


def test_one_run_answers_both_kinds(client: Client, session: Session) -> None:
    asked: list[str] = []

    def answer(action: Any) -> Answer:
        asked.append(action.type)
        return Approve(action) if isinstance(action, ToolApproval) else ToolOutput(action, "in stock")

    with client.sessions.run(session, "/mixed", on_action=answer, deadline_s=DEADLINE_S) as turn:
        events = list(turn)

    assert sorted(asked) == ["approval", "execution"]
    assert (turn.result.outcome, turn.result.text) == (Outcome.COMPLETED, "Both have answered.")
    results = [event for event in events if event.type == "tool_result.completed"]
    assert [(event.text, event.is_error) for event in results][-2:] == [
        ("in stock", False),
        ("item 0 is in stock", False),
    ]


def test_a_follower_sees_each_part_of_a_mixed_round_end(client: Client, session: Session) -> None:
    ends: list[Outcome] = []
    with client.sessions.stream(session, deadline_s=DEADLINE_S) as stream:
        client.sessions.send(session, "/mixed")
        for event in stream:
            if event.type != "turn.ended":
                continue
            ends.append(event.outcome)
            if event.outcome is not Outcome.REQUIRES_ACTION:
                break
            *_, action = client.sessions.pending_actions(session)  # the approval, then the client tool
            answer = Approve(action) if isinstance(action, ToolApproval) else ToolOutput(action, "in stock")
            client.sessions.answer(session, [answer])
    assert ends == [Outcome.REQUIRES_ACTION, Outcome.REQUIRES_ACTION, Outcome.COMPLETED]


@pytest.mark.parametrize("asks", ["/ask", "/question", "/client-tool"])
def test_a_message_right_after_a_request_for_actions_ends_the_wait(client: Client, session: Session, asks: str) -> None:
    """The session waits only a moment after the request; a message before does not end it."""
    with client.sessions.run(session, asks, deadline_s=DEADLINE_S) as turn:
        assert turn.wait().outcome is Outcome.REQUIRES_ACTION

    with client.sessions.run(session, "/client-tool", deadline_s=DEADLINE_S) as turn:
        (action,) = turn.wait().actions
    assert client.sessions.pending_actions(session) == (action,)
    assert client.sessions.ask(session, "hello", deadline_s=DEADLINE_S).text.endswith("hello")


# --- Concurrent clients


@pytest.mark.parametrize("clients", [2, 4, 8])
def test_each_of_several_clients_on_one_session_gets_its_own_answer(
    handle: EmulatorHandle, session: Session, clients: int
) -> None:
    async def ask(number: int) -> tuple[Outcome, list[str]]:
        retry = RetryPolicy(attempts=4, first_wait_s=0.01, max_wait_s=0.05)
        async with (
            AsyncClient("everruns", retry=retry, **handle.settings) as client,
            client.sessions.run(session, f"text {number}", deadline_s=DEADLINE_S) as turn,
        ):
            await turn.wait()
            return turn.result.outcome, [message.text for message in turn.result.messages]

    async def ask_all() -> list[tuple[Outcome, list[str]]]:
        return await asyncio.gather(*[ask(number) for number in range(clients)])

    for number, (outcome, texts) in enumerate(asyncio.run(ask_all())):
        assert outcome is Outcome.COMPLETED
        assert any(text.endswith(f": text {number}") for text in texts)


# --- Options that the server ignores


def test_an_option_that_the_server_ignores_is_an_error(handle: EmulatorHandle, client: Client) -> None:
    """The engine without the management server creates a session of another agent."""
    worker = client.agents.create(name="worker", system_prompt="Work.")
    emulator: Any = handle.control
    emulator.ignores_options = True
    with pytest.raises(MalformedResponse, match="ignored agent, capabilities, model;") as caught:
        client.sessions.create(agent=worker, capabilities=[AgentCapability(ref="current_time")], model="model_1")
    assert "was created" in str(caught.value)
    assert client.sessions.create(title="Kept").title == "Kept"
