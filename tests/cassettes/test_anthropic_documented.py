"""Anthropic's published examples, through the current client with the headers of those pages.

What was filled in is in each file's note.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polysession import NotFound, RetryPolicy, ServerError, SessionStatus, TurnEnded
from polysession_anthropic import AnthropicNewAgent, AnthropicNewEnvironment
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent

SESSION, AGENT = "sesn_011CZkZAtmR3yMPDzynEDxu7", "agent_011CZkYpogX7uDKUyvBTophP"
ENVIRONMENT = "env_011CZkZ9X2dpNyB7HsEFoRfW"
CREATED = datetime(2026, 3, 15, 10, 0, tzinfo=UTC)
TITLE, ASKED = "Order #1234 inquiry", "Where is my order #1234?"
Do = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture
def do(runner: ClientRunner) -> Do:
    once = RetryPolicy(attempts=1)
    return lambda use: runner.call("anthropic", use, api_key="any", version="2023-06-01", retry=once)


@cassette("anthropic/documented/create.yaml")
def test_a_session_is_created(do: Do, vcr: Any) -> None:
    session = do(lambda client: client.sessions.create(agent=AGENT, environment=ENVIRONMENT, title=TITLE))

    assert (session.id, session.agent_id, session.environment_id) == (SESSION, AGENT, ENVIRONMENT)
    assert (session.title, session.status, session.metadata) == (TITLE, SessionStatus.IDLE, {})
    assert (session.created_at, session.archived_at) == (CREATED, None)
    assert session.model.id == "claude-opus-5"
    assert (session.usage.cost_usd, session.usage.input_tokens) == (Decimal(25), 0)
    assert session.problems == ()
    assert sent(vcr, "POST") == [{"agent": AGENT, "environment_id": ENVIRONMENT, "title": TITLE}]


@cassette("anthropic/documented/get.yaml")
def test_a_session_of_before_budgets_is_read(do: Do) -> None:
    session = do(lambda client: client.sessions.get(SESSION))

    assert (session.id, session.title, session.native_status) == (SESSION, TITLE, "idle")
    assert (session.model.id, session.usage.cost_usd) == ("claude-sonnet-4-6", None)
    assert session.raw["outcome_evaluations"][0]["result"] == "satisfied"
    assert session.problems == ()


@cassette("anthropic/documented/list.yaml")
def test_sessions_are_listed(do: Do) -> None:
    page = do(lambda client: client.sessions.list(page_size=1).page())

    assert [session.id for session in page.items] == [SESSION]
    assert page.next_cursor is not None


@cassette("anthropic/documented/update.yaml")
def test_a_session_is_updated(do: Do, vcr: Any) -> None:
    assert do(lambda client: client.sessions.update(SESSION, title=TITLE)).title == TITLE
    assert sent(vcr, "POST") == [{"title": TITLE}]


@cassette("anthropic/documented/delete.yaml")
def test_a_session_is_deleted(do: Do) -> None:
    assert do(lambda client: client.sessions.delete(SESSION)) is None


@cassette("anthropic/documented/agent_create.yaml")
def test_an_agent_is_created(do: Do, vcr: Any) -> None:
    system = (
        "You are a general-purpose agent that can research, write code, run commands, and use connected tools to "
        "complete the user's task end to end."
    )
    native = AnthropicNewAgent(tools=[{"type": "agent_toolset_20260401"}], metadata={"foo": "bar"})
    agent = do(
        lambda client: client.agents.create(
            name="My First Agent",
            model="claude-opus-5",
            description="A general-purpose starter agent.",
            system_prompt=system,
            native=native,
        )
    )

    assert (agent.id, agent.name, agent.model) == (AGENT, "My First Agent", "claude-opus-5")
    assert agent.system_prompt == system
    assert sent(vcr, "POST")[0].keys() == {"model", "name", "description", "metadata", "system", "tools"}


@cassette("anthropic/documented/environment_create.yaml")
def test_an_environment_is_created(do: Do) -> None:
    networking = {"type": "limited", "allow_package_managers": True, "allowed_hosts": ["api.example.com"]}
    config = {"type": "cloud", "networking": networking, "packages": {"pip": ["pandas", "numpy"]}}
    native = AnthropicNewEnvironment(config=config)
    environment = do(
        lambda client: client.environments.create(
            name="python-data-analysis", description="Python environment with data-analysis packages.", native=native
        )
    )

    assert (environment.id, environment.name) == (ENVIRONMENT, "python-data-analysis")


@cassette("anthropic/documented/events.yaml")
def test_an_event_is_sent_and_listed(do: Do, vcr: Any) -> None:
    do(lambda client: client.sessions.send(SESSION, ASKED))
    (event,) = do(lambda client: client.sessions.events(SESSION))

    assert (event.type, event.message.text, event.id) == ("message.completed", ASKED, "sevt_011CZkZGOp0iBcp4kaQSihUmy")
    assert event.created_at == CREATED
    assert sent(vcr, "POST") == [{"events": [{"type": "user.message", "content": [{"type": "text", "text": ASKED}]}]}]


@cassette("anthropic/documented/turn.yaml")
def test_a_turn_is_streamed(runner: ClientRunner) -> None:
    async def scenario(client: Any) -> list[Any]:
        told: list[Any] = []
        async with client.sessions.stream(SESSION) as events:
            async for event in events:
                told.append(event)
                if isinstance(event, TurnEnded):
                    break
        return told

    told = runner.play("anthropic", scenario, api_key="any", version="2023-06-01")

    assert [event.type for event in told] == [
        "turn.started",
        "session.status",
        "message.completed",
        "session.status",
        "turn.ended",
    ]
    assert told[2].message.text == "I'll review..."
    assert told[-1].error == "the turn stopped: the backend does not say why", "the page's idle has no reason"


@cassette("anthropic/documented/moments.yaml")
def test_moments_of_turns_are_listed(do: Do) -> None:
    compacted, call, evaluated, requested = do(lambda client: client.sessions.events(SESSION))

    assert (compacted.native_type, compacted.id) == ("agent.thread_context_compacted", "sevt_abc123")
    assert (call.type, call.tool_call_id, call.name) == ("tool_call.completed", "sevt_01def...", "bash")
    assert call.arguments == {"command": "pip install -r requirements.txt"}
    assert (evaluated.native_type, evaluated.payload["result"]) == ("span.outcome_evaluation_end", "satisfied")
    assert evaluated.payload["outcome_evaluation_start_id"] == call.id
    assert (requested.native_type, requested.payload["model_usage"]["output_tokens"]) == ("span.model_request_end", 727)


@cassette("anthropic/documented/parts.yaml")
def test_parts_of_a_session_are_reached_by_calls_that_are_not_modelled(do: Do) -> None:
    resource = "sesrsc_011CZkZBJq5dWxk9fVLNcPht"
    deleted = do(lambda client: client.request("DELETE", f"/v1/sessions/{SESSION}/resources/{resource}")).json()
    thread = do(
        lambda client: client.request("POST", f"/v1/sessions/{SESSION}/threads/sthr_011CZkZVWa6oIjw0rgXZpnBt/archive")
    ).json()

    assert deleted == {"id": resource, "type": "session_resource_deleted"}
    assert (thread["type"], thread["agent"]["name"]) == ("session_thread", "Researcher")


@cassette("anthropic/documented/errors.yaml")
def test_errors_are_told_with_their_request(do: Do) -> None:
    with pytest.raises(NotFound, match="The requested resource could not be found") as missing:
        do(lambda client: client.sessions.get("sesn_missing"))
    assert (missing.value.code, missing.value.request_id) == ("not_found_error", "req_011CSHoEeqs5C35K2UUqR7Fy")
    with pytest.raises(ServerError, match="Overloaded") as overloaded:
        do(lambda client: client.sessions.get(SESSION))
    assert (overloaded.value.status, overloaded.value.retryable) == (529, True)
