"""Qoder's sessions and agents: generations, invalid values, pages, errors, and requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polysession import Agent, MalformedResponse, ModelConfig, Session, SessionStatus, Usage, UsageError
from polysession._core.flow import Response
from polysession.change import NewAgent, NewSession, SessionChanges, SessionQuery
from polysession_managed_agents.sessions import (
    changes_body,
    list_parameters,
    new_agent_body,
    new_session_body,
    session_filters,
    to_page,
)
from polysession_qoder import sessions
from polysession_qoder.sessions import QODER
from support.flows import ok

JsonObject = dict[str, Any]

CREATED = datetime(2026, 10, 1, 8, 0, 0, 123456, UTC)
LATER = datetime(2026, 10, 1, 9, 30, tzinfo=UTC)

CURRENT: JsonObject = {
    "id": "sess_1",
    "type": "session",
    "status": "running",
    "title": "Ticket 42",
    "agent": {
        "id": "agent_1",
        "type": "agent",
        "version": 3,
        "model": {"id": "ultimate", "effective_context_window": 200000, "effort": {"level": "high"}},
        "tools": [],
    },
    "environment_id": "env_1",
    "environment_variables": {"A": "1"},
    "metadata": {"team": "red"},
    "resources": [],
    "vault_ids": [],
    "deployment_id": None,
    "outcome_evaluations": [],
    "stats": {"active_seconds": 1.5, "duration_seconds": 9},
    "usage": {"total_credits": 4.63, "model_credits": 4.05, "sandbox_runtime_credits": 0.58},
    "budget": {"type": "limit", "max_credit_cost": "100.00"},
    "archived_at": "2026-10-01T09:30:00Z",
    "created_at": "2026-10-01T08:00:00.1234562Z",
    "updated_at": "2026-10-01T09:30:00Z",
}
JUNE: JsonObject = {
    "id": "sess_1",
    "type": "session",
    "status": "idle",
    "title": None,
    "agent": {"id": "agent_1", "type": "agent", "version": 1, "model": {"id": "auto"}},
    "environment_id": "env_1",
    "metadata": {},
    "incremental_streaming_enabled": True,
    "archived_at": None,
    "created_at": "2026-10-01T08:00:00.123456Z",
    "updated_at": "2026-10-01T09:30:00.000Z",
}
MAY_CREATED: JsonObject = {
    "id": "sess_1",
    "type": "session",
    "agent_id": "agent_1",
    "agent": {"id": "agent_1", "type": "agent", "model": "ultimate", "instructions": "Be brief."},
    "environment_id": "env_1",
    "title": "",
    "status": "processing",
    "memory_store_ids": ["memstore_1"],
    "delta_flush_interval_ms": 100,
    "usage": {
        "input_tokens": 7,
        "output_tokens": 5,
        "cache_read_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 9},
    },
    "created_at": "2026-10-01T08:00:00.123456Z",
    "updated_at": "2026-10-01T09:30:00Z",
}
MAY_UPDATED: JsonObject = {
    "id": "sess_1",
    "type": "session",
    "agent_id": "agent_1",
    "agent": {"id": "agent_1", "type": "agent", "model": "ultimate", "metadata": {}, "skills": []},
    "environment_id": "env_1",
    "title": "Ticket 42",
    "status": "idle",
    "turn_status": "running",
    "metadata": {"team": "red"},
    "environment_variables": {},
    "resources": [{"type": "file", "file_id": "file_1", "path": "/data/a"}],
    "stats": {"active_seconds": 0, "duration_seconds": 0},
    "archived_at": None,
    "created_at": "2026-10-01T08:00:00.123456Z",
    "updated_at": "2026-10-01T09:30:00Z",
}
MINIMAL: JsonObject = {"id": "sess_1"}
NULLS: JsonObject = dict.fromkeys(
    (*CURRENT, "agent_id", "turn_status", "usage", "memory_store_ids", "delta_flush_interval_ms")
) | {"id": "sess_1"}

READ: dict[str, tuple[JsonObject, JsonObject]] = {
    "current": (
        CURRENT,
        {
            "title": "Ticket 42",
            "status": SessionStatus.RUNNING,
            "native_status": "running",
            "metadata": {"team": "red"},
            "model": ModelConfig(
                id="ultimate", parameters={"effective_context_window": 200000, "effort": {"level": "high"}}
            ),
            "usage": Usage(credits=Decimal("4.63"), model_credits=Decimal("4.05"), sandbox_credits=Decimal("0.58")),
            "archived_at": LATER,
        },
    ),
    "june": (
        JUNE,
        {"status": SessionStatus.IDLE, "native_status": "idle", "model": ModelConfig(id="auto")},
    ),
    "may, created": (
        MAY_CREATED,
        {
            "status": SessionStatus.RUNNING,
            "native_status": "processing",
            "model": ModelConfig(id="ultimate"),
            "usage": Usage(input_tokens=7, output_tokens=5, cache_read_tokens=3, cache_creation_tokens=11),
        },
    ),
    "may, updated": (
        MAY_UPDATED,
        {
            "title": "Ticket 42",
            "status": SessionStatus.RUNNING,
            "native_status": "idle",
            "metadata": {"team": "red"},
            "model": ModelConfig(id="ultimate"),
        },
    ),
}
COMMON: JsonObject = {"agent_id": "agent_1", "environment_id": "env_1", "created_at": CREATED, "updated_at": LATER}

STATUSES = {
    "idle": SessionStatus.IDLE,
    "running": SessionStatus.RUNNING,
    "rescheduling": SessionStatus.RESCHEDULING,
    "terminated": SessionStatus.TERMINATED,
    "processing": SessionStatus.RUNNING,
    "canceling": SessionStatus.RUNNING,
    "cancelled": SessionStatus.TERMINATED,
    "archived": SessionStatus.TERMINATED,
    "hibernating": SessionStatus.UNKNOWN,
    "": SessionStatus.UNKNOWN,
}


def to_session(raw: Any) -> Session:
    return sessions.to_session(json.dumps(raw).encode())


def to_agent(raw: Any) -> Agent:
    return sessions.to_agent(json.dumps(raw).encode())


@pytest.mark.parametrize(("raw", "expected"), READ.values(), ids=READ)
def test_every_generation_is_read(raw: JsonObject, expected: JsonObject) -> None:
    session = to_session(raw)

    assert session == Session(provider="qoder", id="sess_1", **COMMON, **expected)
    assert (session.raw, session.problems) == (raw, ())


@pytest.mark.parametrize("raw", [MINIMAL, NULLS], ids=["absent", "null"])
def test_all_but_the_id_may_be_missing(raw: JsonObject) -> None:
    assert to_session(raw) == Session(provider="qoder", id="sess_1")


@pytest.mark.parametrize("raw", [{}, {"id": None}, {"id": 5}, [], None, "sess_1"])
def test_an_object_without_an_id_is_not_a_session(raw: Any) -> None:
    with pytest.raises(MalformedResponse):
        to_session(raw)


ODD: list[tuple[JsonObject, JsonObject, tuple[str, ...]]] = [
    # The fields of the JSON, the fields of the record, and its problems.
    ({"metadata": {"n": 3, "deep": [None]}}, {"metadata": {"n": 3, "deep": [None]}}, ()),
    ({"agent": "agent_1"}, {"agent_id": "agent_1"}, ()),
    ({"metadata": 5, "title": "T"}, {"title": "T"}, ("metadata: not an object",)),
    (
        {"title": 5, "created_at": "", "status": "idle"},
        {"status": SessionStatus.IDLE, "native_status": "idle"},
        ("title: not text", "created_at: not datetime"),
    ),
    ({"created_at": "2026-06-30T23:59:60Z"}, {}, ("created_at: not datetime",)),
    ({"created_at": "0001-01-01T00:00:00+05:00"}, {}, ("created_at: not a time within the years 1 to 9999 in UTC",)),
    ({"agent": {"id": "agent_1", "model": {"effort": "high"}}}, {"agent_id": "agent_1"}, ("agent.model.id: not text",)),
    ({"agent": {"id": "agent_1", "model": 5}}, {"agent_id": "agent_1"}, ("agent.model: not an object or text",)),
    ({"agent": ["agent_1"], "agent_id": "agent_1"}, {"agent_id": "agent_1"}, ("agent: not an object or text",)),
    (
        {"usage": {"total_credits": "x", "model_credits": 1}},
        {"usage": Usage(model_credits=Decimal(1))},
        ("usage.total_credits: not Decimal",),
    ),
    (
        {"usage": {"total_credits": "NaN", "input_tokens": 1}},
        {"usage": Usage(input_tokens=1)},
        ("usage.total_credits: not a finite number",),
    ),
    ({"title": "a\ud83db"}, {"title": "a\ufffdb"}, ()),
]


@pytest.mark.parametrize(("raw", "fields", "problems"), ODD)
def test_an_invalid_value_affects_only_itself(raw: JsonObject, fields: JsonObject, problems: tuple[str, ...]) -> None:
    session = to_session({"id": "sess_1", "environment_id": "env_1", **raw})

    assert session == Session(provider="qoder", id="sess_1", environment_id="env_1", problems=problems, **fields)


def test_metadata_that_a_record_cannot_hold_is_malformed() -> None:
    deep = "[" * 400 + "]" * 400

    with pytest.raises(MalformedResponse, match=r"the record cannot hold: metadata$"):
        sessions.to_session(f'{{"id":"sess_1","metadata":{{"m":{deep}}}}}'.encode())


def test_the_deployment_that_created_a_session_is_its_origin() -> None:
    assert to_session({"id": "sess_1", "deployment_id": "dep_1"}).origin == "deployment"
    assert to_session({"id": "sess_1", "deployment_id": None}).origin is None


@pytest.mark.parametrize("raw", [case[0] for case in READ.values()], ids=READ)
def test_a_session_survives_storage(raw: JsonObject) -> None:
    session = to_session(raw)
    stored = session.model_dump_json()

    assert "source" not in json.loads(stored)
    assert Session.model_validate_json(stored) == session


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_every_status_is_read(word: str, status: SessionStatus) -> None:
    session = to_session({"id": "sess_1", "status": word})
    assert (session.status, session.native_status) == (status, word)


@pytest.mark.parametrize(
    ("word", "turn_word", "status"),
    [
        ("idle", "idle", SessionStatus.IDLE),
        ("idle", "running", SessionStatus.RUNNING),
        ("idle", "canceling", SessionStatus.RUNNING),
        ("cancelled", "running", SessionStatus.TERMINATED),
        ("hibernating", "running", SessionStatus.UNKNOWN),
    ],
)
def test_the_turn_status_shows_whether_an_idle_session_runs(word: str, turn_word: str, status: SessionStatus) -> None:
    assert to_session({"id": "sess_1", "status": word, "turn_status": turn_word}).status is status


@pytest.mark.parametrize(
    ("raw", "agent_id"),
    [
        ({"agent": {"id": "agent_1"}}, "agent_1"),
        ({"agent_id": "agent_1"}, "agent_1"),
        ({"agent_id": "agent_1", "agent": {"id": None}}, "agent_1"),
        ({"agent_id": "agent_old", "agent": {"id": "agent_1"}}, "agent_1"),
    ],
)
def test_the_agent_id_is_read_from_either_place(raw: JsonObject, agent_id: str) -> None:
    assert to_session({"id": "sess_1", **raw}).agent_id == agent_id


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-01T08:00:00Z", datetime(2026, 10, 1, 8, tzinfo=UTC)),
        ("2026-10-01T08:00:00.123Z", datetime(2026, 10, 1, 8, 0, 0, 123000, UTC)),
        ("2026-10-01T08:00:00.12345Z", datetime(2026, 10, 1, 8, 0, 0, 123450, UTC)),
        ("2026-10-01T08:00:00.123456Z", datetime(2026, 10, 1, 8, 0, 0, 123456, UTC)),
        ("2026-10-01T08:00:00.123456789Z", datetime(2026, 10, 1, 8, 0, 0, 123457, UTC)),
        ("2026-10-01T10:00:00+02:00", datetime(2026, 10, 1, 8, tzinfo=UTC)),
    ],
)
def test_times_are_read_with_any_number_of_digits(text: str, moment: datetime) -> None:
    session = to_session({"id": "sess_1", "created_at": text, "updated_at": text, "archived_at": text})
    assert [session.created_at, session.updated_at, session.archived_at] == [moment] * 3


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({}, Usage()),
        ({"total_credits": 0}, Usage(credits=Decimal(0))),
        ({"total_credits": 0.1}, Usage(credits=Decimal("0.1"))),
        ({"total_credits": "123456789012345678.91"}, Usage(credits=Decimal("123456789012345678.91"))),
        ({"cache_creation": {}}, Usage(cache_creation_tokens=0)),
        ({"cache_creation": {"a": 2, "b": None}}, Usage(cache_creation_tokens=2)),
        ({"cache_creation": None}, Usage()),
    ],
)
def test_partial_usage_is_read(raw: JsonObject, usage: Usage) -> None:
    assert to_session({"id": "sess_1", "usage": raw}).usage == usage


AGENTS: dict[str, tuple[JsonObject, JsonObject]] = {
    "current": (
        {"description": "", "model": {"id": "auto", "effort": "high"}, "system": "Be brief.", "version": 2},
        {"model": "auto", "system_prompt": "Be brief.", "version": "2"},
    ),
    "may": (
        {"description": "Fixes", "model": "ultimate", "instructions": "Be kind.", "default_environment": None},
        {"description": "Fixes", "model": "ultimate", "system_prompt": "Be kind."},
    ),
    "archived": (
        {"version": "7", "archived_at": "2026-10-01T09:30:00Z", "system": None},
        {"version": "7", "archived_at": LATER},
    ),
}


@pytest.mark.parametrize(("given_fields", "expected"), AGENTS.values(), ids=AGENTS)
def test_agents_of_every_generation_are_read(given_fields: JsonObject, expected: JsonObject) -> None:
    raw = {
        "id": "agent_1",
        "name": "Fixer",
        "created_at": "2026-10-01T08:00:00.123456Z",
        "updated_at": "2026-10-01T09:30:00Z",
        **given_fields,
    }
    common: JsonObject = {"id": "agent_1", "name": "Fixer", "created_at": CREATED, "updated_at": LATER}
    agent = to_agent(raw)
    assert agent == Agent(provider="qoder", **common, **expected)
    assert (agent.raw, Agent.model_validate_json(agent.model_dump_json())) == (raw, agent)


def test_an_object_without_an_id_is_not_an_agent() -> None:
    with pytest.raises(MalformedResponse):
        to_agent({"name": "Fixer"})


@pytest.mark.parametrize(
    ("raw", "fields", "problems"),
    [
        ({}, {}, ()),
        ({"name": 5, "version": 3}, {"version": "3"}, ("name: not text",)),
        ({"model": {"effort": "high"}, "name": "Fixer"}, {"name": "Fixer"}, ("model.id: not text",)),
    ],
)
def test_an_invalid_value_of_an_agent_affects_only_itself(
    raw: JsonObject, fields: JsonObject, problems: tuple[str, ...]
) -> None:
    assert to_agent({"id": "agent_1", **raw}) == Agent(provider="qoder", id="agent_1", problems=problems, **fields)


def test_credits_keep_the_digits_of_a_number() -> None:
    session = sessions.to_session(b'{"id":"s","usage":{"total_credits":123456789012345678.91}}')
    assert session.usage == Usage(credits=Decimal("123456789012345678.91"))


# Pages.


def page_of(*items: Any, **envelope: Any) -> Response:
    return ok({"data": list(items), **envelope})


def test_an_item_with_an_invalid_value_is_read_with_its_problem() -> None:
    page = to_page(page_of({"id": "sess_1"}, {"id": "sess_2", "title": 5}, {"id": "sess_3"}), sessions.to_session)

    assert [session.id for session in page.items] == ["sess_1", "sess_2", "sess_3"]
    assert [session.problems for session in page.items] == [(), ("title: not text",), ()]
    assert page.problems == ()
    assert page.items[1].raw == {"id": "sess_2", "title": 5}


@pytest.mark.parametrize("odd", [{}, {"id": None}, "sess_2", None, 5])
def test_an_item_without_an_id_is_reported_and_the_others_are_kept(odd: Any) -> None:
    page = to_page(page_of({"id": "sess_1"}, odd, {"id": "sess_3"}, next_page="p2"), sessions.to_session)

    assert [session.id for session in page.items] == ["sess_1", "sess_3"]
    assert [problem.partition(":")[0] for problem in page.problems] == ["item 1"]
    assert page.next_cursor == "page=p2"


@pytest.mark.parametrize("odd", [{"next_page": 5}, {"next_page": {}}, {"has_more": "perhaps"}])
def test_an_unreadable_next_cursor_never_ends_the_list(odd: JsonObject) -> None:
    with pytest.raises(MalformedResponse, match="cursor of the next page cannot be read"):
        to_page(page_of({"id": "sess_1"}, **odd), sessions.to_session)


def test_a_null_page_is_empty() -> None:
    assert to_page(ok({"data": None}), sessions.to_session).items == ()


# Request bodies.


@pytest.mark.parametrize("status", SessionStatus)
def test_a_status_filter_is_sent_or_refused(status: SessionStatus) -> None:
    query = SessionQuery(statuses=[status])
    if status.value in {"idle", "running", "rescheduling", "terminated"}:
        assert session_filters(QODER, query) == {"statuses": [status.value]}
        return
    with pytest.raises(UsageError, match=r"use one of idle, running, rescheduling, terminated$"):
        session_filters(QODER, query)


def test_a_time_is_sent_in_utc() -> None:
    query = SessionQuery(created_after=datetime.fromisoformat("2026-10-01T10:00:00+02:00"))
    assert list_parameters(QODER, query, None) == {"created_at[gt]": "2026-10-01T08:00:00.000000Z"}


AT_THE_LIMIT = [
    {str(number): "" for number in range(16)},
    {"k" * 64: "v" * 512},
    {"é" * 64: "😀" * 512},
]
OVER_THE_LIMIT = [
    ({str(number): "" for number in range(17)}, "17 keys"),
    ({"k" * 65: ""}, "65 characters"),
    ({"k": "v" * 513}, "513 characters"),
]


@pytest.mark.parametrize("metadata", AT_THE_LIMIT)
def test_metadata_at_a_limit_is_sent(metadata: dict[str, str]) -> None:
    assert new_session_body(QODER, NewSession(agent="a", environment="e", metadata=metadata))["metadata"] == metadata
    assert changes_body(QODER, SessionChanges(metadata=metadata)) == {"metadata": metadata}


@pytest.mark.parametrize(("metadata", "message"), OVER_THE_LIMIT)
def test_metadata_over_a_limit_is_refused(metadata: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        new_session_body(QODER, NewSession(agent="a", environment="e", metadata=metadata))
    with pytest.raises(UsageError, match=message):
        changes_body(QODER, SessionChanges(metadata=metadata))


def test_removed_keys_do_not_count_towards_the_limit() -> None:
    metadata = {str(number): None if number else "kept" for number in range(30)}
    assert changes_body(QODER, SessionChanges(metadata=metadata)) == {"metadata": metadata}


@pytest.mark.parametrize("new", [NewSession(), NewSession(agent="a"), NewSession(environment="e")])
def test_a_session_needs_an_agent_and_an_environment(new: NewSession) -> None:
    with pytest.raises(UsageError, match="needs an agent and an environment"):
        new_session_body(QODER, new)


def test_an_agent_needs_a_model() -> None:
    with pytest.raises(UsageError, match="needs a model"):
        new_agent_body(QODER, NewAgent(name="Fixer"))
