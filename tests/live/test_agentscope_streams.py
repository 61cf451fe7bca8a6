"""Streams of the real AgentScope service: deleted sessions, killed services, late heads."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import httpx
import pytest

from live.agentscope_service.model_scripts import echo_of
from live.agentscope_service.process import AgentScopeService
from polysession import (
    Approve,
    AsyncClient,
    CancelState,
    Client,
    ModelConfig,
    NotFound,
    Outcome,
    RetryPolicy,
    Session,
)
from polysession.testing import ServerProcess
from polysession_agentscope import AgentScopeAnswer

pytestmark = pytest.mark.evidence("agentscope", "live", by="agentscope")

LIMIT_S = 60.0
PATIENT = RetryPolicy(attempts=60, first_wait_s=0.2, max_wait_s=1.0, deadline_s=60.0)


def new_session(service: AgentScopeService, **model: Any) -> tuple[dict[str, Any], Session]:
    """Return the settings of a new user's client, and a session of that user."""
    user_id = f"user-{uuid.uuid4().hex}"
    config = ModelConfig(
        id="scripted", type="openai_credential", credential_id=service.create_credential(user_id), **model
    )
    agent_id = service.create_agent(user_id)
    settings: dict[str, Any] = {"base_url": service.base_url, "user_id": user_id}
    with Client("agentscope", **settings) as client:
        return settings, client.sessions.create(agent=agent_id, title="T", model=config)


def test_a_stream_of_a_deleted_session_ends_in_not_found(agentscope_service: AgentScopeService) -> None:
    settings, session = new_session(agentscope_service)

    async def follow() -> NotFound:
        async with (
            AsyncClient("agentscope", **settings) as client,
            client.sessions.stream(session, deadline_s=LIMIT_S) as stream,
        ):
            await client.sessions.delete(session)
            with pytest.raises(NotFound) as caught:
                await anext(stream)
            return caught.value

    started_s = time.monotonic()
    error = asyncio.run(follow())
    assert time.monotonic() - started_s < 30  # a heartbeat
    assert error.cursor


def test_a_stream_ends_a_turn_whose_service_was_killed(
    restartable_service: tuple[AgentScopeService, ServerProcess],
) -> None:
    service, server = restartable_service
    settings, session = new_session(service)
    with Client("agentscope", retry=PATIENT, **settings) as client:
        with client.sessions.stream(session, deadline_s=LIMIT_S) as stream:
            client.sessions.send(session, "/slow 100")
            next(event for event in stream if event.type == "message.delta")
            cursor = stream.cursor
        server.restart()
        with client.sessions.stream(session, cursor=cursor, deadline_s=LIMIT_S) as stream:
            ended = next(event for event in stream if event.type == "turn.ended")
        assert (ended.outcome, ended.synthetic) == (Outcome.FAILED, True)
        with client.sessions.run(session, "again", deadline_s=LIMIT_S) as turn:
            assert turn.wait().text == echo_of("again")


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_a_turn_whose_service_was_killed_fails(
    restartable_service: tuple[AgentScopeService, ServerProcess], *, awaited: bool
) -> None:
    service, server = restartable_service
    settings, session = new_session(service)

    async def run() -> Any:
        async with (
            AsyncClient("agentscope", retry=PATIENT, **settings) as client,
            client.sessions.run(session, "/slow 100", deadline_s=LIMIT_S) as turn,
        ):
            async for event in turn:
                if event.type == "message.delta":
                    break
            await asyncio.to_thread(server.restart)
            return await turn.wait()

    def run_sync() -> Any:
        with (
            Client("agentscope", retry=PATIENT, **settings) as client,
            client.sessions.run(session, "/slow 100", deadline_s=LIMIT_S) as turn,
        ):
            next(event for event in turn if event.type == "message.delta")
            server.restart()
            return turn.wait()

    result = asyncio.run(run()) if awaited else run_sync()
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "no trace")


class SlowHead(httpx.AsyncBaseTransport):
    """Transport that delays the response head of a stream."""

    def __init__(self, seconds: float) -> None:
        self._inner = httpx.AsyncHTTPTransport(trust_env=False)
        self._seconds = seconds
        self.openings = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/stream"):
            self.openings += 1
            await asyncio.sleep(self._seconds)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def test_a_late_response_head_is_waited_for(agentscope_service: AgentScopeService) -> None:
    settings, session = new_session(agentscope_service)
    transport = SlowHead(3.0)

    async def run() -> str:
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncClient("agentscope", http_client=http, timeout=60, **settings) as client,
            client.sessions.run(session, "Hello", deadline_s=LIMIT_S) as turn,
        ):
            return (await turn.wait()).text

    assert (asyncio.run(run()), transport.openings) == (echo_of("Hello"), 1)


def test_a_long_silence_opens_no_second_stream(agentscope_service: AgentScopeService) -> None:
    """The model fails and is retried for about eight seconds, without an event."""
    settings, session = new_session(agentscope_service)
    transport = SlowHead(0.0)

    async def run() -> Outcome:
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncClient("agentscope", http_client=http, **settings) as client,
            client.sessions.run(session, "/fail", deadline_s=LIMIT_S) as turn,
        ):
            return (await turn.wait()).outcome

    assert (asyncio.run(run()), transport.openings) == (Outcome.FAILED, 1)


def test_a_model_keeps_its_class_when_it_is_written_back(agentscope_service: AgentScopeService) -> None:
    settings, session = new_session(agentscope_service, model_class="openai_chat")
    assert session.model is not None
    assert session.model.model_class == "openai_chat"
    with Client("agentscope", **settings) as client:
        changed = client.sessions.update(session, model=session.model)
    assert changed.model == session.model


def test_calls_allowed_by_a_rule_need_no_approval(agentscope_service: AgentScopeService) -> None:
    settings, session = new_session(agentscope_service)
    with Client("agentscope", **settings) as client:
        with client.sessions.run(session, "/ask", deadline_s=LIMIT_S) as turn:
            (action,) = turn.wait().actions
        native = AgentScopeAnswer(allow_suggested=True)
        with client.sessions.run(session, [Approve(action)], native=native, deadline_s=LIMIT_S) as turn:
            assert turn.wait().outcome is Outcome.COMPLETED
        with client.sessions.run(session, "/ask", deadline_s=LIMIT_S) as turn:
            assert turn.wait().outcome is Outcome.COMPLETED


def test_a_tool_runs_with_the_edited_arguments(agentscope_service: AgentScopeService) -> None:
    settings, session = new_session(agentscope_service)
    with Client("agentscope", **settings) as client:
        with client.sessions.run(session, "/ask", deadline_s=LIMIT_S) as turn:
            (action,) = turn.wait().actions
        answer = Approve(action, arguments={"command": "echo edited"})
        with client.sessions.run(session, [answer], deadline_s=LIMIT_S) as turn:
            (result,) = [event for event in turn if event.type == "tool_result.completed"]
    assert result.text == "edited\n"


def test_a_turn_that_has_just_ended_is_not_cancelled(agentscope_service: AgentScopeService) -> None:
    settings, session = new_session(agentscope_service)
    with Client("agentscope", **settings) as client:
        for _ in range(3):
            with client.sessions.run(session, "Hello", deadline_s=LIMIT_S) as turn:
                turn.wait()
            assert client.sessions.cancel(session).state is CancelState.NOTHING_RUNNING


def test_models_are_listed_for_each_credential(agentscope_service: AgentScopeService) -> None:
    settings, session = new_session(agentscope_service)
    assert session.model is not None
    with Client("agentscope", **settings) as client:
        models = list(client.models.list())
    assert {model.credential_id for model in models} == {session.model.credential_id}
    assert {model.type for model in models} == {"openai_credential"}
