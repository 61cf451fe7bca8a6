"""Qoder's shapes, generation by generation, and the two laws of reading and writing back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession import Agent, ModelConfig, Session, SessionStatus, Usage, UsageError
from polysession.change import NewAgent, NewSession, SessionChanges
from polysession_qoder.normaliser import (
    from_changes,
    from_new_agent,
    from_new_session,
    from_session,
    to_agent,
    to_session,
    wire_status,
    wire_time,
)

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
    "created_at": "2026-10-01T08:00:00.123456789Z",
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


@pytest.mark.parametrize(("raw", "expected"), READ.values(), ids=READ)
def test_every_generation_is_read(raw: JsonObject, expected: JsonObject) -> None:
    assert to_session(raw) == Session(provider="qoder", id="sess_1", raw=raw, **COMMON, **expected)


@pytest.mark.parametrize("raw", [MINIMAL, NULLS], ids=["absent", "null"])
def test_all_but_the_id_may_be_missing(raw: JsonObject) -> None:
    assert to_session(raw) == Session(provider="qoder", id="sess_1", raw=raw)


@pytest.mark.parametrize("raw", [{}, {"id": None}, {"id": "sess_1", "created_at": "yesterday"}, [], None])
def test_what_is_no_session_is_not_read(raw: Any) -> None:
    with pytest.raises(ValidationError):
        to_session(raw)


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_every_status_word_is_read(word: str, status: SessionStatus) -> None:
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
def test_the_turn_status_tells_whether_an_idle_session_works(word: str, turn_word: str, status: SessionStatus) -> None:
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
        ("2026-10-01T08:00:00.123456789Z", datetime(2026, 10, 1, 8, 0, 0, 123456, UTC)),
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
        ({"cache_creation": {}}, Usage(cache_creation_tokens=0)),
        ({"cache_creation": {"a": 2, "b": None}}, Usage(cache_creation_tokens=2)),
        ({"cache_creation": None}, Usage()),
    ],
)
def test_usage_is_read_as_far_as_it_goes(raw: JsonObject, usage: Usage) -> None:
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
    assert to_agent(raw) == Agent(provider="qoder", raw=raw, **common, **expected)


@pytest.mark.parametrize("raw", [{"id": "agent_1"}, {"name": "Fixer"}])
def test_what_is_no_agent_is_not_read(raw: JsonObject) -> None:
    with pytest.raises(ValidationError):
        to_agent(raw)


# The laws.

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine proves nothing

TEXT = st.text(min_size=1, max_size=5)
MAYBE_TEXT = st.none() | TEXT
COUNT = st.none() | st.integers(0, 10**9)
CREDITS = st.none() | st.decimals(0, 10**6, places=2)
MOMENT = st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
SETTINGS = st.dictionaries(TEXT.filter(lambda key: key != "id"), st.none() | st.booleans() | st.integers() | TEXT)
USAGES = st.builds(
    Usage,
    input_tokens=COUNT,
    output_tokens=COUNT,
    cache_read_tokens=COUNT,
    cache_creation_tokens=COUNT,
    credits=CREDITS,
    model_credits=CREDITS,
    sandbox_credits=CREDITS,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": TEXT,
    "agent_id": MAYBE_TEXT,
    "title": MAYBE_TEXT,
    "metadata": st.dictionaries(TEXT, TEXT, max_size=3),
    "model": st.none() | st.builds(ModelConfig, id=TEXT, parameters=SETTINGS),
    "environment_id": MAYBE_TEXT,
    "usage": st.none() | USAGES,
    "created_at": MOMENT,
    "updated_at": MOMENT,
    "archived_at": MOMENT,
}
STATUS_FIELDS = st.sampled_from([{"native_status": word, "status": status} for word, status in STATUSES.items()])

WIRE_TIMES = st.sampled_from([None, "2026-10-01T08:00:00Z", "2026-10-01T08:00:00.1Z", "2026-10-01T08:00:00.123456789Z"])
WIRE_USAGES = st.fixed_dictionaries(
    {},
    optional={
        "total_credits": st.sampled_from([None, 0, 4.63]),
        "model_credits": st.sampled_from([None, 0.1]),
        "input_tokens": COUNT,
        "cache_creation": st.none() | st.dictionaries(TEXT, COUNT, max_size=2),
        "list_cost": st.just({"amount": "1.00", "currency": "USD"}),
    },
)
WIRE_AGENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": MAYBE_TEXT,
        "model": MAYBE_TEXT | st.builds(lambda model_id, rest: {"id": model_id, **rest}, TEXT, SETTINGS),
        "tools": st.just([{"type": "custom"}]),
    },
)
WIRES = st.fixed_dictionaries(
    {"id": TEXT},
    optional={
        "agent": st.none() | WIRE_AGENTS,
        "agent_id": MAYBE_TEXT,
        "title": st.none() | st.text(max_size=5),
        "status": st.none() | st.sampled_from(list(STATUSES)),
        "turn_status": st.sampled_from([None, "idle", "running", "canceling"]),
        "metadata": st.none() | st.dictionaries(TEXT, TEXT, max_size=3),
        "environment_id": MAYBE_TEXT,
        "usage": st.none() | WIRE_USAGES,
        "created_at": WIRE_TIMES,
        "updated_at": WIRE_TIMES,
        "archived_at": WIRE_TIMES,
        "of a later year": SETTINGS,
    },
)


def read_back(session: Session) -> Session:
    """Write a session, send it as JSON, and read it; without `raw`."""
    return to_session(json.loads(json.dumps(from_session(session)))).model_copy(update={"raw": {}})


@PATIENT
@given(st.fixed_dictionaries(FIELDS), STATUS_FIELDS)
def test_a_session_is_read_back_as_it_was_written(fields: JsonObject, status: JsonObject) -> None:
    session = Session(provider="qoder", **fields, **status)
    assert read_back(session) == session


@PATIENT
@given(WIRES, st.fixed_dictionaries({}, optional=FIELDS), STATUS_FIELDS)
def test_a_changed_session_is_read_back_as_it_was_written(
    wire: JsonObject, fields: JsonObject, status: JsonObject
) -> None:
    session = to_session(wire).model_copy(update={**fields, **status})
    assert read_back(session) == session.model_copy(update={"raw": {}})


@PATIENT
@given(WIRES)
def test_a_session_that_was_read_is_written_back_unchanged(wire: JsonObject) -> None:
    assert json.dumps(from_session(to_session(wire))) == json.dumps(wire)


def test_a_change_of_one_counter_leaves_the_others_as_they_are() -> None:
    session = to_session(MAY_CREATED)
    assert session.usage is not None
    changed = session.model_copy(update={"usage": session.usage.model_copy(update={"output_tokens": 6})})
    assert from_session(changed) == {**MAY_CREATED, "usage": {**MAY_CREATED["usage"], "output_tokens": 6}}


def test_a_change_of_the_agent_is_written_wherever_the_generation_says_it() -> None:
    wire = from_session(to_session(MAY_UPDATED).model_copy(update={"agent_id": "agent_2"}))
    assert (wire["agent_id"], wire["agent"]) == ("agent_2", {**MAY_UPDATED["agent"], "id": "agent_2"})


@pytest.mark.parametrize(
    ("status", "written"),
    [
        (SessionStatus.IDLE, {"status": "idle", "turn_status": "idle"}),
        (SessionStatus.RUNNING, {"status": "idle", "turn_status": "running"}),
        (SessionStatus.TERMINATED, {"status": "terminated", "turn_status": "idle"}),
    ],
)
def test_a_changed_status_outdoes_the_words_beside_it(status: SessionStatus, written: JsonObject) -> None:
    wire = from_session(to_session(MAY_UPDATED).model_copy(update={"status": status}))
    assert wire == {**MAY_UPDATED, **written}


def test_a_status_alone_is_written_in_the_current_word() -> None:
    session = Session(provider="qoder", id="sess_1", status=SessionStatus.RUNNING)
    assert from_session(session)["status"] == "running"
    changed = to_session({"id": "sess_1", "status": "idle", "turn_status": "idle"}).model_copy(
        update={"status": SessionStatus.RUNNING}
    )
    assert from_session(changed) == {"id": "sess_1", "status": "running", "turn_status": "running"}


# What is sent.


@pytest.mark.parametrize("status", SessionStatus)
def test_a_status_is_sent_in_the_current_word_or_refused(status: SessionStatus) -> None:
    if status.value in {"idle", "running", "rescheduling", "terminated"}:
        assert wire_status(status) == status.value
        return
    with pytest.raises(UsageError, match=r"it is one of idle, running, rescheduling, terminated$"):
        wire_status(status)
    with pytest.raises(UsageError):
        from_session(to_session(CURRENT).model_copy(update={"status": status}))


def test_a_time_is_sent_in_utc() -> None:
    assert wire_time(datetime.fromisoformat("2026-10-01T10:00:00+02:00")) == "2026-10-01T08:00:00.000000Z"


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
    assert from_new_session(NewSession(agent="a", environment="e", metadata=metadata))["metadata"] == metadata
    assert from_changes(SessionChanges(metadata=metadata)) == {"metadata": metadata}


@pytest.mark.parametrize(("metadata", "said"), OVER_THE_LIMIT)
def test_metadata_over_a_limit_is_refused(metadata: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_new_session(NewSession(agent="a", environment="e", metadata=metadata))
    with pytest.raises(UsageError, match=said):
        from_changes(SessionChanges(metadata=metadata))


def test_removed_keys_do_not_count_towards_the_limit() -> None:
    metadata = {str(number): None if number else "kept" for number in range(30)}
    assert from_changes(SessionChanges(metadata=metadata)) == {"metadata": metadata}


@pytest.mark.parametrize("new", [NewSession(), NewSession(agent="a"), NewSession(environment="e")])
def test_a_session_needs_an_agent_and_an_environment(new: NewSession) -> None:
    with pytest.raises(UsageError, match="both an agent and an environment"):
        from_new_session(new)


def test_an_agent_needs_a_model() -> None:
    with pytest.raises(UsageError, match="needs a model"):
        from_new_agent(NewAgent(name="Fixer"))
