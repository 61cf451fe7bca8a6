"""Sessions and turns on open-managed-agents.

The server's own runtime, without a model, runs agents with tools.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from live.open_managed_agents_service.process import KEY, serve_open_managed_agents
from polysession import (
    Approve,
    AsyncClient,
    Client,
    Conflict,
    Deny,
    Feature,
    NotFound,
    Outcome,
    Session,
    SessionStatus,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    TurnResult,
)
from polysession.testing import ServerProcess, covers
from polysession_anthropic import AnthropicNewAgent

pytestmark = pytest.mark.evidence("anthropic", "live", by="open-managed-agents")

LIMIT_S = 30.0
TOGETHER = 20
ASKING = [{"type": "agent_toolset_20260401", "default_config": {"permission_policy": {"type": "always_ask"}}}]
CUSTOM = [{"type": "custom", "name": "get_order", "description": "d", "input_schema": {"type": "object"}}]


def open_client(server: ServerProcess, **settings: Any) -> Client:
    return Client("anthropic", base_url=server.base_url, api_key=KEY, **settings)


@pytest.fixture
def client(open_managed_agents: ServerProcess) -> Iterator[Client]:
    with open_client(open_managed_agents) as client:
        yield client


def new_session(client: Client, tools: list[dict[str, Any]] | None = None) -> Session:
    native = AnthropicNewAgent(tools=tools) if tools else None
    agent = client.agents.create(name="helper", model="scripted", native=native)
    environment = client.environments.create(name=f"story-{uuid.uuid4().hex}")  # its names are unique
    return client.sessions.create(agent=agent.id, environment=environment.id)


def run(client: Client, session: Session, content: Any) -> TurnResult:
    with client.sessions.run(session, content, deadline_s=LIMIT_S) as turn:
        return turn.wait()


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_APPROVAL)
@pytest.mark.parametrize(
    ("answer", "heard"),
    [(Approve, "received tool confirmation: allow"), (lambda action: Deny(action, "not now"), "tool denial: not now")],
    ids=["approved", "denied"],
)
def test_an_approval_is_requested_by_the_servers_runtime(client: Client, answer: Any, heard: str) -> None:
    session = new_session(client, ASKING)
    asked = run(client, session, "Delete the branch")
    (action,) = asked.actions

    assert isinstance(action, ToolApproval)
    assert (action.name, action.arguments) == ("bash", {"prompt": "Delete the branch"})
    assert client.sessions.pending_actions(session) == asked.actions
    result = run(client, session, [answer(action)])
    assert result.outcome is Outcome.COMPLETED
    assert heard in result.text
    assert client.sessions.pending_actions(session) == ()


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_OUTPUT)
def test_a_client_tool_is_called_by_the_servers_runtime(client: Client) -> None:
    session = new_session(client, CUSTOM)
    (action,) = run(client, session, "Where is order 7?").actions
    assert isinstance(action, ToolExecution)
    with pytest.raises(Conflict):
        client.sessions.send(session, "never mind")

    result = run(client, session, [ToolOutput(action, "on its way")])

    assert result.text.endswith("received custom tool result: on its way")


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_MESSAGES)
@pytest.mark.parametrize("version", ["2026-10-21", "2023-06-01"])
def test_both_pairs_of_headers_are_accepted(open_managed_agents: ServerProcess, version: str) -> None:
    with open_client(open_managed_agents, version=version) as client:
        session = new_session(client)
        assert run(client, session, "hello").text == "You said: hello"
        assert [message.text for message in client.sessions.messages(session)] == ["hello", "You said: hello"]


@covers(Feature.SESSIONS_CANCEL)
def test_a_running_turn_is_interrupted(client: Client) -> None:
    session = new_session(client)
    with client.sessions.run(session, "/slow 100", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "turn.started")
        client.sessions.cancel(session)
        result = turn.wait()

    assert result.native_reason == "interrupted"
    assert client.sessions.get(session).status is SessionStatus.IDLE


@covers(Feature.SESSIONS_RUN)
def test_twenty_simultaneous_turns(open_managed_agents: ServerProcess) -> None:
    with open_client(open_managed_agents) as client:
        sessions = [new_session(client) for _ in range(TOGETHER)]

    async def all_of_them() -> list[TurnResult]:
        async with AsyncClient("anthropic", base_url=open_managed_agents.base_url, api_key=KEY) as client:
            asked = (
                client.sessions.ask(session, f"number {number}", deadline_s=LIMIT_S)
                for number, session in enumerate(sessions)
            )
            return list(await asyncio.gather(*asked))

    texts = [result.text for result in asyncio.run(all_of_them())]
    assert texts == [f"You said: number {number}" for number in range(TOGETHER)]


@covers(Feature.SESSIONS_PENDING_ACTIONS, Feature.SESSIONS_ANSWER)
def test_a_waiting_session_survives_a_restart(open_managed_agents_python: Path, tmp_path: Path) -> None:
    with serve_open_managed_agents(open_managed_agents_python, tmp_path) as server, open_client(server) as client:
        session = new_session(client, CUSTOM)
        asked = run(client, session, "Where is order 7?")
        server.restart()

        (action,) = client.sessions.pending_actions(session)
        assert isinstance(action, ToolExecution)
        assert action == asked.actions[0]
        assert run(client, session, [ToolOutput(action, "42")]).outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_GET, Feature.SESSIONS_DELETE)
def test_a_deleted_session_is_not_found(client: Client) -> None:
    session = new_session(client)
    client.sessions.delete(session)

    with pytest.raises(NotFound):
        client.sessions.get(session)
    with pytest.raises(NotFound):
        client.sessions.send(session, "hello")
