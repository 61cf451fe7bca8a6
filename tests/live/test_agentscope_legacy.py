"""Turns on the real AgentScope 2.0.0.

The response to a message is the stream of its turn.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from live.agentscope_service.model_scripts import echo_of
from live.agentscope_service.process import AgentScopeService
from polysession import (
    Approve,
    AsyncClient,
    Client,
    Deny,
    ModelConfig,
    Outcome,
    Role,
    Session,
    UnsupportedOperation,
)
from support.client_runners import ClientRunner, both_runners

pytestmark = pytest.mark.evidence("agentscope", "live", by="agentscope-legacy")

LIMIT_S = 40.0


@dataclass(frozen=True)
class ChatSession:
    """A session of a new user."""

    service: AgentScopeService
    user_id: str
    session: Session

    @classmethod
    def new(cls, service: AgentScopeService) -> ChatSession:
        user_id = f"user-{uuid.uuid4().hex}"
        model = ModelConfig(id="scripted", type="openai_credential", credential_id=service.create_credential(user_id))
        agent_id = service.create_agent(user_id)
        with Client("agentscope", base_url=service.base_url, user_id=user_id) as client:
            return cls(service, user_id, client.sessions.create(agent=agent_id, title="T", model=model))

    @property
    def settings(self) -> dict[str, Any]:
        return {"base_url": self.service.base_url, "user_id": self.user_id}

    def run(self, runner: ClientRunner, turn_input: Any) -> tuple[list[Any], Any]:
        """Return the events of a turn, and its result."""

        async def run_async() -> tuple[list[Any], Any]:
            async with (
                AsyncClient("agentscope", **self.settings) as client,
                client.sessions.run(self.session, turn_input, deadline_s=LIMIT_S) as turn,
            ):
                return [event async for event in turn], turn.result

        if runner.awaited:
            return asyncio.run(run_async())
        with (
            Client("agentscope", **self.settings) as client,
            client.sessions.run(self.session, turn_input, deadline_s=LIMIT_S) as turn,
        ):
            return list(turn), turn.result


@pytest.fixture
def chat(legacy_agentscope_service: AgentScopeService) -> ChatSession:
    return ChatSession.new(legacy_agentscope_service)


@both_runners
def test_the_agent_remembers_every_turn(chat: ChatSession, runner: ClientRunner) -> None:
    """The service stores the agent's memory only when its response was read to the end."""
    for number in range(6):
        result = chat.run(runner, f"turn {number}")[1]
        assert (result.outcome, result.text) == (Outcome.COMPLETED, echo_of(f"turn {number}"))
    waiting = [request["messages"] for request in chat.service.model_requests(chat.user_id)]
    assert waiting == [2, 4, 6, 8, 10, 12]
    with Client("agentscope", **chat.settings) as client:
        stored = list(client.sessions.messages(chat.session))
        context = client.sessions.get(chat.session).raw["state"]["context"]
    assert [message.role for message in stored] == [Role.USER, Role.ASSISTANT] * 6
    assert len(context) == 12


@both_runners
def test_approvals_are_carried_out(legacy_agentscope_service: AgentScopeService, runner: ClientRunner) -> None:
    outcomes = []
    for number in range(3):
        chat = ChatSession.new(legacy_agentscope_service)
        waiting = chat.run(runner, "/ask")[1]
        assert waiting.outcome is Outcome.REQUIRES_ACTION
        events, result = chat.run(runner, [Approve(waiting.actions[0])])
        (tool_result,) = [event for event in events if event.type == "tool_result.completed"]
        outcomes.append((number, tool_result.is_error, result.outcome, result.text))
    assert outcomes == [(number, False, Outcome.COMPLETED, "The decision was heard.") for number in range(3)]


@both_runners
def test_a_denial_and_an_output_continue_the_turn(chat: ChatSession, runner: ClientRunner) -> None:
    waiting = chat.run(runner, "/ask")[1]
    events, denied = chat.run(runner, [Deny(waiting.actions[0])])
    assert [event.is_error for event in events if event.type == "tool_result.completed"] == [True]
    assert denied.outcome is Outcome.COMPLETED
    events, result = chat.run(runner, "/tool")
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The tool has answered.")


def test_a_turn_cannot_run_in_the_background(chat: ChatSession) -> None:
    with Client("agentscope", **chat.settings) as client:
        with pytest.raises(UnsupportedOperation):
            client.sessions.send(chat.session, "hi")
        with pytest.raises(UnsupportedOperation), client.sessions.stream(chat.session) as stream:
            next(stream)


def test_a_model_that_fails_is_a_failed_turn(chat: ChatSession) -> None:
    events, result = chat.run(ClientRunner(awaited=False), "/fail")
    assert result.outcome is Outcome.FAILED
    assert events[-1].type == "turn.ended"
