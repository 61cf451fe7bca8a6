"""Anthropic's published examples of its API reference, through the current client with the headers of those pages.

What was filled in is in each file's note.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polysession import NotFound, ServerError, SessionStatus
from polysession_anthropic import AnthropicNewAgent, AnthropicNewEnvironment
from support.anthropic_documented import (
    AGENT,
    ENVIRONMENT,
    ONE,
    RESOURCE,
    SESSION,
    THREAD,
    Do,
    documented,
    streamed_turn,
)
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent
from tools.recordings.provenance import CASSETTES

PAGE = Path(__file__).parents[2] / "docs/providers/anthropic.md"
CREATED = datetime(2026, 3, 15, 10, 0, tzinfo=UTC)
TITLE, ASKED = "Order #1234 inquiry", "Where is my order #1234?"


@pytest.fixture
def do(runner: ClientRunner) -> Do:
    return documented(runner)


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


@cassette("anthropic/documented/archive.yaml")
def test_a_session_is_archived(do: Do) -> None:
    session = do(lambda client: client.sessions.archive(SESSION))

    assert (session.id, session.native_status, session.archived_at) == (SESSION, "idle", None), "as the page prints it"
    assert session.raw["budget"]["max_list_cost"] == {"amount": "2500", "currency": "USD"}
    assert session.problems == ()


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
    received = streamed_turn(runner)

    assert [event.type for event in received] == [
        "turn.started",
        "session.status",
        "message.completed",
        "session.status",
        "turn.ended",
    ]
    assert received[2].message.text == "I'll review..."
    assert received[-1].error == "the turn stopped: the backend gave no reason", "the page's idle has no reason"


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
    deleted = do(lambda client: client.request("DELETE", f"{ONE}/resources/{RESOURCE}")).json()
    thread = do(lambda client: client.request("POST", f"{ONE}/threads/{THREAD}/archive")).json()

    assert deleted == {"id": RESOURCE, "type": "session_resource_deleted"}
    assert (thread["type"], thread["agent"]["name"]) == ("session_thread", "Researcher")


@cassette("anthropic/documented/threads.yaml")
def test_threads_are_listed_read_and_interrupted(do: Do) -> None:
    listed = do(lambda client: client.request("GET", f"{ONE}/threads")).json()
    read = do(lambda client: client.request("GET", f"{ONE}/threads/{THREAD}")).json()
    interrupt = {"type": "user.interrupt", "session_thread_id": THREAD}
    sent_back = do(lambda client: client.request("POST", f"{ONE}/events", json={"events": [interrupt]})).json()

    assert [(thread["id"], thread["status"]) for thread in listed["data"]] == [(THREAD, "idle")]
    assert (read["session_id"], read["parent_thread_id"], read["agent"]["name"]) == (SESSION, None, "Researcher")
    assert sent_back["data"][0]["session_thread_id"] == THREAD


@cassette("anthropic/documented/resources.yaml")
def test_resources_are_added_listed_read_and_changed(do: Do) -> None:
    many, one = f"{ONE}/resources", f"{ONE}/resources/{RESOURCE}"
    file = {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"}
    added = do(lambda client: client.request("POST", many, json=file)).json()
    listed = do(lambda client: client.request("GET", many)).json()
    read = do(lambda client: client.request("GET", one)).json()
    token = {"authorization_token": "REDACTED"}
    changed = do(lambda client: client.request("POST", one, json=token)).json()

    assert listed["data"] == [added, read]
    assert (added["mount_path"], read["checkout"]["name"], changed) == ("/uploads/receipt.pdf", "main", read)


@cassette("anthropic/documented/errors.yaml")
def test_errors_are_told_with_their_request(do: Do) -> None:
    with pytest.raises(NotFound, match="The requested resource could not be found") as missing:
        do(lambda client: client.sessions.get("sesn_missing"))
    assert (missing.value.code, missing.value.request_id) == ("not_found_error", "req_011CSHoEeqs5C35K2UUqR7Fy")
    with pytest.raises(ServerError, match="Overloaded") as overloaded:
        do(lambda client: client.sessions.get(SESSION))
    assert (overloaded.value.status, overloaded.value.retryable) == (529, True)


def test_the_page_names_every_published_example() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Published examples")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"\|([^|]*)\|$", section, re.MULTILINE) for name in re.findall("`(.*?)`", row)}

    assert named == {path.stem for path in (CASSETTES / "anthropic/documented").iterdir()}
