from __future__ import annotations

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession.resources import Agent
from polysession.session import AgentCapability, ModelConfig, Session, SessionStatus, Usage
from polysession_everruns import normaliser

CREATED = "2026-03-01T10:00:00.000Z"
UPDATED = "2026-03-01T10:00:05.123456Z"
MOMENTS = {
    "created_at": datetime(2026, 3, 1, 10, tzinfo=UTC),
    "updated_at": datetime(2026, 3, 1, 10, 0, 5, 123456, tzinfo=UTC),
}
MINIMAL = {"id": "session_0195e0c0000070008000000000000001"}

SEED = {
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
SEED_SESSION = Session(
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
    usage=Usage(input_tokens=12, output_tokens=3, cache_read_tokens=5, cache_creation_tokens=2),
    started_at=MOMENTS["created_at"],
    finished_at=MOMENTS["updated_at"],
    raw=SEED,
    **MOMENTS,
)

# No agent, empty lists left out, and much that the common model does not have.
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
    raw=CURRENT,
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
)


@pytest.mark.parametrize(("wire", "session"), [(SEED, SEED_SESSION), (CURRENT, CURRENT_SESSION)])
def test_reads_each_generation(wire: dict[str, Any], session: Session) -> None:
    assert normaliser.to_session(wire) == session


@pytest.mark.parametrize("wire", [MINIMAL, {**MINIMAL, **dict.fromkeys(OPTIONAL)}], ids=["absent", "null"])
def test_an_optional_value_may_be_absent_or_null(wire: dict[str, Any]) -> None:
    assert normaliser.to_session(wire) == Session(provider="everruns", id=MINIMAL["id"], raw=wire)


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_reads_each_status_and_keeps_its_word(word: str, status: SessionStatus) -> None:
    session = normaliser.to_session({**MINIMAL, "status": word})
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
    usage = normaliser.to_session({**MINIMAL, "usage": {"input_tokens": 1, "output_tokens": 2, **costs}}).usage
    assert usage == Usage(input_tokens=1, output_tokens=2, cost_usd=Decimal(expected))


def test_a_time_with_another_offset_becomes_utc() -> None:
    session = normaliser.to_session({**MINIMAL, "created_at": "2026-03-01T12:00:00+02:00"})
    assert session.created_at == MOMENTS["created_at"]
    assert session.created_at.utcoffset() == UTC.utcoffset(None)


@pytest.mark.parametrize("wire", [{}, {"id": 7}, {**MINIMAL, "tags": "a"}, {**MINIMAL, "capabilities": [{}]}])
def test_what_is_no_session_is_refused(wire: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        normaliser.to_session(wire)


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
    assert normaliser.to_agent(wire) == Agent(
        provider="everruns",
        id="agent_0195e0c0000070008000000000000001",
        name="helper",
        description="Helps",
        system_prompt="Help.",
        model="model_1",
        archived_at=MOMENTS["updated_at"],
        raw=wire,
        **MOMENTS,
    )


def test_reads_an_agent_that_says_little() -> None:
    wire = {"id": "agent_1", "name": "helper", "description": None}
    assert normaliser.to_agent(wire) == Agent(provider="everruns", id="agent_1", name="helper", raw=wire)


moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
counts = st.none() | st.integers(0, 2**31)
dollars = st.none() | st.floats(0, 1e6)
json_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
texts = st.none() | st.text(max_size=8)
status_words = st.sampled_from(list(STATUSES))
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_creation_tokens=counts,
    cost_usd=dollars.map(lambda cost: None if cost is None else Decimal(str(cost))),
)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    word = draw(status_words)
    return Session(
        provider="everruns",
        id=draw(st.text(min_size=1, max_size=8)),
        status=STATUSES[word],
        native_status=word,
        tags=draw(st.lists(st.text(max_size=4), max_size=3).map(tuple)),
        capabilities=draw(
            st.lists(st.builds(AgentCapability, ref=st.text(max_size=4), config=json_values), max_size=2).map(tuple)
        ),
        model=draw(st.none() | st.builds(ModelConfig, id=st.text(min_size=1, max_size=8), parameters=st.just({}))),
        usage=draw(st.none() | usages),
        **{name: draw(texts) for name in ("agent_id", "title", "workspace_id", "owner_id", "organization_id")},
        **{name: draw(st.none() | moments) for name in ("created_at", "updated_at", "started_at", "finished_at")},
        preview=draw(texts),
    )


wire_times = st.none() | st.sampled_from([CREATED, UPDATED, "2026-03-01T12:00:00+02:00"])
wire_usages = st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 9), "output_tokens": st.integers(0, 9)},
    optional={
        "cache_read_tokens": counts,
        "effective_cost_usd": dollars,
        "actual_cost_usd": dollars,
        "estimated_cost_usd": dollars,
        "of_tomorrow": json_values,
    },
)
wire_capabilities = st.fixed_dictionaries({"ref": st.text(max_size=4)}, optional={"config": st.none() | json_values})
wires = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=8)},
    optional={
        **dict.fromkeys(
            ("organization_id", "agent_id", "workspace_id", "owner_principal_id", "title", "preview"), texts
        ),
        **dict.fromkeys(("created_at", "updated_at", "started_at", "finished_at"), wire_times),
        "model_id": texts,
        "status": st.none() | status_words,
        "tags": st.none() | st.lists(st.text(max_size=4), max_size=3),
        "capabilities": st.none() | st.lists(wire_capabilities, max_size=2),
        "usage": st.none() | wire_usages,
        "of_tomorrow": json_values,
    },
)


@given(sessions())
def test_a_session_that_is_written_is_read_as_it_was(session: Session) -> None:
    again = normaliser.to_session(normaliser.from_session(session))
    assert again.model_copy(update={"raw": {}}) == session


@given(wires)
def test_a_wire_object_that_is_read_is_written_as_it_was(wire: dict[str, Any]) -> None:
    original = copy.deepcopy(wire)
    assert normaliser.from_session(normaliser.to_session(wire)) == original
    assert wire == original


@given(wires, sessions())
def test_a_session_that_was_read_and_changed_keeps_every_key_and_every_change(
    wire: dict[str, Any], changed: Session
) -> None:
    changed = changed.model_copy(update={"raw": wire})
    written = normaliser.from_session(changed)
    assert set(wire) <= set(written)
    assert normaliser.to_session(written).model_copy(update={"raw": wire}) == changed


def test_changed_usage_keeps_what_else_it_says() -> None:
    wire = {**MINIMAL, "usage": {"input_tokens": 1, "output_tokens": 2, "actual_cost_usd": 0.5, "of_tomorrow": 9}}
    session = normaliser.to_session(wire)
    assert session.usage is not None
    more = session.model_copy(update={"usage": session.usage.model_copy(update={"input_tokens": 7})})
    written = normaliser.from_session(more)["usage"]
    assert (written["input_tokens"], written["actual_cost_usd"], written["of_tomorrow"]) == (7, 0.5, 9)
