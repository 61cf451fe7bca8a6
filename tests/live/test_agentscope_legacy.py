"""Turns on the real AgentScope 2.0.0, where the response to a message is the stream of its turn."""

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
class Talk:
    """A session of a new user."""

    service: AgentScopeService
    user_id: str
    session: Session

    @classmethod
    def new(cls, service: AgentScopeService) -> Talk:
        user_id = f"user-{uuid.uuid4().hex}"
        model = ModelConfig(id="scripted", type="openai_credential", credential_id=service.create_credential(user_id))
        agent_id = service.create_agent(user_id)
        with Client("agentscope", base_url=service.base_url, user_id=user_id) as client:
            return cls(service, user_id, client.sessions.create(agent=agent_id, title="T", model=model))

    @property
    def settings(self) -> dict[str, Any]:
        return {"base_url": self.service.base_url, "user_id": self.user_id}

    def run(self, runner: ClientRunner, turn_input: Any) -> tuple[list[Any], Any]:
        """The events of a turn, and its result."""

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
def talk(legacy_agentscope_service: AgentScopeService) -> Talk:
    return Talk.new(legacy_agentscope_service)


@both_runners
def test_the_agent_remembers_every_turn(talk: Talk, runner: ClientRunner) -> None:
    """The service stores what the agent remembers only when its response was read to the end."""
    for number in range(6):
        result = talk.run(runner, f"turn {number}")[1]
        assert (result.outcome, result.text) == (Outcome.COMPLETED, echo_of(f"turn {number}"))
    asked = [request["messages"] for request in talk.service.model_requests(talk.user_id)]
    assert asked == [2, 4, 6, 8, 10, 12]
    with Client("agentscope", **talk.settings) as client:
        stored = list(client.sessions.messages(talk.session))
        context = client.sessions.get(talk.session).raw["state"]["context"]
    assert [message.role for message in stored] == [Role.USER, Role.ASSISTANT] * 6
    assert len(context) == 12


@both_runners
def test_approvals_are_carried_out(legacy_agentscope_service: AgentScopeService, runner: ClientRunner) -> None:
    outcomes = []
    for number in range(3):
        talk = Talk.new(legacy_agentscope_service)
        asked = talk.run(runner, "/ask")[1]
        assert asked.outcome is Outcome.REQUIRES_ACTION
        events, result = talk.run(runner, [Approve(asked.actions[0])])
        (tool_result,) = [event for event in events if event.type == "tool_result.completed"]
        outcomes.append((number, tool_result.is_error, result.outcome, result.text))
    assert outcomes == [(number, False, Outcome.COMPLETED, "The decision was heard.") for number in range(3)]


@both_runners
def test_a_denial_and_an_output_continue_the_turn(talk: Talk, runner: ClientRunner) -> None:
    asked = talk.run(runner, "/ask")[1]
    events, denied = talk.run(runner, [Deny(asked.actions[0])])
    assert [event.is_error for event in events if event.type == "tool_result.completed"] == [True]
    assert denied.outcome is Outcome.COMPLETED
    events, result = talk.run(runner, "/tool")
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The tool has answered.")


def test_a_turn_cannot_be_left_to_itself(talk: Talk) -> None:
    with Client("agentscope", **talk.settings) as client:
        with pytest.raises(UnsupportedOperation):
            client.sessions.send(talk.session, "hi")
        with pytest.raises(UnsupportedOperation), client.sessions.stream(talk.session) as stream:
            next(stream)


def test_a_model_that_fails_is_a_failed_turn(talk: Talk) -> None:
    events, result = talk.run(ClientRunner(awaited=False), "/fail")
    assert result.outcome is Outcome.FAILED
    assert events[-1].type == "turn.ended"
