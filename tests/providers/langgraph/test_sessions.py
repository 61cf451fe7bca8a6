"""Threads and assistants as sessions and agents, and the bodies of requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from polysession import Session, SessionStatus, UsageError
from polysession.change import AgentChanges, NewAgent, NewSession, SessionChanges, SessionQuery
from polysession.errors import MalformedResponse
from polysession_langgraph import LanggraphAgentChanges, LanggraphNewAgent, LanggraphNewSession, LanggraphSessionQuery
from polysession_langgraph.sessions import (
    AGENT_KEY,
    SELECT,
    TITLE_KEY,
    agent_changes_body,
    changes_body,
    new_agent_body,
    new_session_body,
    search_body,
    to_agent,
    to_session,
)

THREAD: dict[str, Any] = {
    "thread_id": "01a22c11-eb53-7385-aac2-3d885a9647aa",
    "created_at": "2026-11-30T10:48:21.587896+00:00",
    "updated_at": "2026-11-30T10:48:22.603629+00:00",
    "metadata": {"team": "red", "graph_id": "agent", "assistant_id": "fe096781-5601-53d2-b2f6-0d3403f7e9ca"},
    "status": "idle",
    "values": {"messages": []},
    "error": None,
    "interrupts": {},
}
INTERRUPTS = {"task": [{"id": "i1", "value": "continue?"}]}


def read(**changes: Any) -> Session:
    return to_session(json.dumps({**THREAD, **changes}).encode())


def test_a_thread_is_read() -> None:
    session = read()

    assert session.id == THREAD["thread_id"]
    assert session.agent_id == "fe096781-5601-53d2-b2f6-0d3403f7e9ca"
    assert session.metadata == {"team": "red"}
    assert session.created_at is not None
    assert session.created_at.microsecond == 587896
    assert session.raw["values"] == {"messages": []}
    assert session.problems == ()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, SessionStatus.IDLE),
        ({"status": "busy"}, SessionStatus.RUNNING),
        ({"status": "interrupted", "interrupts": INTERRUPTS}, SessionStatus.REQUIRES_ACTION),
        ({"status": "interrupted"}, SessionStatus.IDLE),
        ({"status": "error"}, SessionStatus.FAILED),
        ({"status": "error", "interrupts": INTERRUPTS}, SessionStatus.REQUIRES_ACTION),
        ({"status": "new word"}, SessionStatus.UNKNOWN),
        ({"status": None}, SessionStatus.UNKNOWN),
    ],
)
def test_the_status_depends_on_pending_interrupts(changes: dict[str, Any], status: SessionStatus) -> None:
    assert read(**changes).status is status


def test_the_agent_and_the_title_of_a_new_thread_are_in_its_metadata() -> None:
    session = read(metadata={AGENT_KEY: "agent", TITLE_KEY: "Ticket 42", "n": {"deep": [1]}})

    assert (session.agent_id, session.title) == ("agent", "Ticket 42")
    assert session.metadata == {"n": {"deep": [1]}}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"created_at": ""}, "created_at"),
        ({"status": 5}, "status"),
        ({"interrupts": [1]}, "interrupts"),
    ],
)
def test_an_unreadable_value_does_not_affect_the_others(changes: dict[str, Any], problem: str) -> None:
    session = read(**changes)

    assert session.metadata == {"team": "red"}
    assert [each.partition(":")[0] for each in session.problems] == [problem]


def test_a_thread_without_an_id_is_malformed() -> None:
    with pytest.raises(MalformedResponse):
        to_session(b'{"status": "idle"}')


def test_a_session_survives_storage() -> None:
    session = read()

    assert Session.model_validate_json(session.model_dump_json()) == session
    assert session.source != b"{}"


def test_an_assistant_is_read() -> None:
    agent = to_agent(b'{"assistant_id": "a1", "graph_id": "agent", "name": "Fixer", "version": 2, "description": ""}')

    assert (agent.id, agent.name, agent.version, agent.description) == ("a1", "Fixer", "2", None)


def test_the_body_of_a_new_thread() -> None:
    new = NewSession(
        id="01a22c11-eb53-7385-aac2-3d885a9647aa",
        agent="agent",
        title="Ticket 42",
        metadata={"team": "red"},
        native=LanggraphNewSession(if_exists="do_nothing", metadata={"graph_id": "agent"}),
    )

    assert new_session_body(new) == {
        "thread_id": "01a22c11-eb53-7385-aac2-3d885a9647aa",
        "if_exists": "do_nothing",
        "metadata": {"team": "red", AGENT_KEY: "agent", TITLE_KEY: "Ticket 42", "graph_id": "agent"},
    }
    assert new_session_body(NewSession()) == {}


@pytest.mark.parametrize("key", ["assistant_id", "graph_id", AGENT_KEY, TITLE_KEY])
def test_reserved_metadata_keys_are_rejected(key: str) -> None:
    with pytest.raises(UsageError, match=key):
        new_session_body(NewSession(metadata={key: "x"}))
    with pytest.raises(UsageError, match=key):
        changes_body(SessionChanges(metadata={key: "x"}))


def test_changes_contain_only_the_given_fields() -> None:
    assert changes_body(SessionChanges(title="Done")) == {"metadata": {TITLE_KEY: "Done"}}
    assert changes_body(SessionChanges(title=None)) == {"metadata": {TITLE_KEY: None}}
    assert changes_body(SessionChanges(metadata={"a": "b"})) == {"metadata": {"a": "b"}}


def test_a_search_does_not_request_the_states() -> None:
    body = search_body(SessionQuery(page_size=5, metadata={"team": "red"}, oldest_first=True), 10)

    assert body == {
        "select": list(SELECT),
        "sort_by": "created_at",
        "sort_order": "asc",
        "offset": 10,
        "metadata": {"team": "red"},
        "limit": 5,
    }
    assert "values" not in SELECT
    native = search_body(SessionQuery(native=LanggraphSessionQuery(status="busy")), 0)
    assert native["status"] == "busy"
    assert "limit" not in native


def test_an_assistant_needs_a_graph() -> None:
    with pytest.raises(UsageError, match="graph"):
        new_agent_body(NewAgent(name="Fixer"))

    body = new_agent_body(NewAgent(name="Fixer", native=LanggraphNewAgent(graph_id="agent")))
    assert body == {"name": "Fixer", "graph_id": "agent"}


def test_a_change_of_an_assistant_contains_only_the_given_fields() -> None:
    native = LanggraphAgentChanges(context={"model": "m"})
    assert agent_changes_body(AgentChanges(name="b", native=native)) == {"name": "b", "context": {"model": "m"}}
    # The server rejects null as a description: observed on langgraph-api 0.16.7 (2026-11-30).
    assert agent_changes_body(AgentChanges(description=None)) == {"description": ""}


def test_invalid_metadata_is_a_malformed_response() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]

    with pytest.raises(MalformedResponse):
        read(metadata={"deep": deep})
    with pytest.raises(MalformedResponse):
        to_agent(b"{}")
