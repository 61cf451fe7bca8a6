"""Everruns' sessions and agents as common records: generations, and invalid values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polysession.errors import MalformedResponse
from polysession.resources import Agent
from polysession.session import AgentCapability, ModelConfig, Session, SessionStatus, Usage
from polysession_everruns import sessions

CREATED = "2026-03-01T10:00:00.000Z"
UPDATED = "2026-03-01T10:00:05.123456Z"
MOMENTS = {
    "created_at": datetime(2026, 3, 1, 10, tzinfo=UTC),
    "updated_at": datetime(2026, 3, 1, 10, 0, 5, 123456, tzinfo=UTC),
}
MINIMAL = {"id": "session_0195e0c0000070008000000000000001"}

LEGACY = {
    "id": "session_01933b5a00007000800000000000001",  # 31 digits, as the older documentation prints ids
    "organization_id": "org_00000000000000000000000000000001",
    "agent_id": "agent_01933b5a00007000800000000000001",
    "status": "active",
    "title": "Demo",
    "tags": ["a", "b"],
    "capabilities": [{"ref": "current_time"}, {"ref": "web_fetch", "config": {"hosts": ["x"]}}],
    "model_id": "model_01933b5a00007000800000000000001",
    "preview": "Hello",
    "output_preview": "Hi",
    "usage": {"input_tokens": 12, "output_tokens": 3, "cache_read_tokens": 5, "cache_creation_tokens": 2},
    "created_at": CREATED,
    "updated_at": UPDATED,
    "started_at": CREATED,
    "finished_at": UPDATED,
}
LEGACY_SESSION = Session(
    provider="everruns",
    id="session_01933b5a00007000800000000000001",
    organization_id="org_00000000000000000000000000000001",
    agent_id="agent_01933b5a00007000800000000000001",
    status=SessionStatus.RUNNING,
    native_status="active",
    title="Demo",
    tags=("a", "b"),
    capabilities=(AgentCapability(ref="current_time"), AgentCapability(ref="web_fetch", config={"hosts": ["x"]})),
    model=ModelConfig(id="model_01933b5a00007000800000000000001"),
    preview="Hello",
    output_preview="Hi",
    usage=Usage(input_tokens=12, output_tokens=3, cache_read_tokens=5, cache_creation_tokens=2),
    started_at=MOMENTS["created_at"],
    finished_at=MOMENTS["updated_at"],
    **MOMENTS,
)

# Without an agent and without empty lists, and with many fields that the common record does not have.
CURRENT = {
    **MINIMAL,
    "organization_id": "org_00000000000000000000000000000001",
    "harness_id": "harness_0195e0c0000070008000000000000602",
    "workspace_id": "wsp_0195e0c0000070008000000000000001",
    "owner_principal_id": "principal_0195e0c0000070008000000000000001",
    "status": "waitingfortoolresults",
    "created_at": CREATED,
    "updated_at": UPDATED,
    "usage": {"input_tokens": 1, "output_tokens": 2, "effective_cost_usd": 0.25, "actual_cost_usd": 0.5},
    "mcpServers": {"docs": {"url": "https://mcp.example"}},
    "allowed_actions": [{"rel": "self"}],
    "activity": "running",
    "archived": False,
    "source": "subagent",
    "parent_session_id": "session_2",
}
CURRENT_SESSION = Session(
    provider="everruns",
    id=MINIMAL["id"],
    organization_id="org_00000000000000000000000000000001",
    workspace_id="wsp_0195e0c0000070008000000000000001",
    owner_id="principal_0195e0c0000070008000000000000001",
    status=SessionStatus.REQUIRES_ACTION,
    native_status="waitingfortoolresults",
    usage=Usage(input_tokens=1, output_tokens=2, cost_usd=Decimal("0.25")),
    origin="subagent",
    parent_session_id="session_2",
    **MOMENTS,
)

STATUSES = {
    "started": SessionStatus.IDLE,
    "active": SessionStatus.RUNNING,
    "idle": SessionStatus.IDLE,
    "waitingfortoolresults": SessionStatus.REQUIRES_ACTION,
    "waiting_for_tool_results": SessionStatus.REQUIRES_ACTION,
    "paused": SessionStatus.PAUSED,
    "running": SessionStatus.RUNNING,
    "pending": SessionStatus.IDLE,
    "completed": SessionStatus.IDLE,
    "failed": SessionStatus.IDLE,
    "of-tomorrow": SessionStatus.UNKNOWN,
    "": SessionStatus.UNKNOWN,
}
OPTIONAL = (
    *("organization_id", "agent_id", "workspace_id", "owner_principal_id", "status", "title", "tags", "capabilities"),
    *("model_id", "preview", "usage", "created_at", "updated_at", "started_at", "finished_at"),
    *("output_preview", "source", "parent_session_id"),
)


def to_session(wire: dict[str, Any]) -> Session:
    return sessions.to_session(json.dumps(wire).encode())


def to_agent(wire: dict[str, Any]) -> Agent:
    return sessions.to_agent(json.dumps(wire).encode())


@pytest.mark.parametrize(("wire", "session"), [(LEGACY, LEGACY_SESSION), (CURRENT, CURRENT_SESSION)])
def test_reads_each_generation(wire: dict[str, Any], session: Session) -> None:
    read = to_session(wire)
    assert read == session
    assert read.raw == wire


@pytest.mark.parametrize("wire", [MINIMAL, {**MINIMAL, **dict.fromkeys(OPTIONAL)}], ids=["absent", "null"])
def test_an_optional_value_may_be_absent_or_null(wire: dict[str, Any]) -> None:
    assert to_session(wire) == Session(provider="everruns", id=MINIMAL["id"])


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_reads_each_status_and_keeps_the_native_one(word: str, status: SessionStatus) -> None:
    session = to_session({**MINIMAL, "status": word})
    assert (session.status, session.native_status) == (status, word)


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({"effective_cost_usd": 0.1, "actual_cost_usd": 0.2, "estimated_cost_usd": 0.3}, "0.1"),
        ({"effective_cost_usd": None, "actual_cost_usd": 0.2, "estimated_cost_usd": 0.3}, "0.2"),
        ({"estimated_cost_usd": 0.3}, "0.3"),
        ({"effective_cost_usd": 0, "actual_cost_usd": 0.2}, "0"),
    ],
)
def test_the_best_known_cost_counts(costs: dict[str, Any], expected: str) -> None:
    usage = to_session({**MINIMAL, "usage": {"input_tokens": 1, "output_tokens": 2, **costs}}).usage
    assert usage == Usage(input_tokens=1, output_tokens=2, cost_usd=Decimal(expected))


def test_a_time_with_another_offset_becomes_utc() -> None:
    session = to_session({**MINIMAL, "created_at": "2026-03-01T12:00:00+02:00"})
    assert session.created_at == MOMENTS["created_at"]
    assert session.created_at.utcoffset() == UTC.utcoffset(None)


def test_digits_of_a_cost_are_kept() -> None:
    content = b'{"id": "session_1", "usage": {"actual_cost_usd": 123456789012345678.91}}'
    usage = sessions.to_session(content).usage
    assert usage is not None
    assert usage.cost_usd == Decimal("123456789012345678.91")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"id": 7}', b'{"id": null}', b'"session_1"', b"<html>"])
def test_a_value_that_is_not_a_session_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedResponse):
        sessions.to_session(content)


@pytest.mark.parametrize(
    ("odd", "problems", "kept"),
    [
        ({"tags": "a"}, ("tags: not a list",), {"tags": ()}),
        ({"tags": ["a", 7]}, ("tags[1]: not text",), {"tags": ("a",)}),
        (
            {"capabilities": [{}, {"ref": "b", "config": 1}]},
            ("capabilities[0]: not an object",),
            {"capabilities": (AgentCapability(ref="b", config=1),)},
        ),
        ({"status": 3}, ("status: not text",), {"status": SessionStatus.UNKNOWN, "native_status": ""}),
        ({"created_at": ""}, ("created_at: not datetime",), {"created_at": None}),
        ({"created_at": "2026-12-31T23:59:60Z"}, ("created_at: not datetime",), {"created_at": None}),
        (
            {"created_at": "0001-01-01T00:00:00+14:00"},
            ("created_at: not a time within the years 1 to 9999 in UTC",),
            {"created_at": None},
        ),
        ({"usage": 7}, ("usage: not an object",), {"usage": None}),
        (
            {"usage": {"input_tokens": "x", "output_tokens": 2}},
            ("usage.input_tokens: not a whole number",),
            {"usage": Usage(output_tokens=2)},
        ),
        ({"usage": {"actual_cost_usd": "NaN"}}, ("usage.actual_cost_usd: not a finite number",), {"usage": Usage()}),
        ({"agent_id": {"id": "agent_1"}}, ("agent_id: not text",), {"agent_id": None}),
        ({"title": "\ud83d"}, (), {"title": "\ufffd"}),
        ({"tags": ["\ude00"]}, (), {"tags": ("\ufffd",)}),
        ({"source": ["api"]}, ("source: not text",), {"origin": None}),
    ],
)
def test_an_invalid_value_affects_only_itself(
    odd: dict[str, Any], problems: tuple[str, ...], kept: dict[str, Any]
) -> None:
    session = to_session({**LEGACY, **odd})
    assert session.problems == problems
    assert session == LEGACY_SESSION.model_copy(update={**kept, "problems": problems})


def test_a_session_comes_back_from_its_stored_json() -> None:
    session = to_session(CURRENT)
    assert session.source
    assert Session.model_validate_json(session.model_dump_json()) == session
    assert Session.model_validate(session.dump()) == session


def test_reads_an_agent() -> None:
    wire = {
        "id": "agent_0195e0c0000070008000000000000001",
        "name": "helper",
        "display_name": "Helper",
        "description": "Helps",
        "system_prompt": "Help.",
        "default_model_id": "model_1",
        "harness_id": "harness_1",
        "status": "archived",
        "created_at": CREATED,
        "updated_at": UPDATED,
        "archived_at": UPDATED,
    }
    assert to_agent(wire) == Agent(
        provider="everruns",
        id="agent_0195e0c0000070008000000000000001",
        name="helper",
        description="Helps",
        system_prompt="Help.",
        model="model_1",
        archived_at=MOMENTS["updated_at"],
        **MOMENTS,
    )


def test_reads_an_agent_with_few_fields() -> None:
    wire = {"id": "agent_1", "name": "helper", "description": None}
    assert to_agent(wire) == Agent(provider="everruns", id="agent_1", name="helper")


def test_an_invalid_value_of_an_agent_affects_only_itself() -> None:
    agent = to_agent({"id": "agent_1", "name": 7, "system_prompt": "Help.", "archived_at": "soon"})
    assert (agent.id, agent.name, agent.system_prompt, agent.archived_at) == ("agent_1", "", "Help.", None)
    assert agent.problems == ("name: not text", "archived_at: not datetime")
    assert Agent.model_validate_json(agent.model_dump_json()) == agent
    with pytest.raises(MalformedResponse, match="id"):
        to_agent({"name": "helper"})
