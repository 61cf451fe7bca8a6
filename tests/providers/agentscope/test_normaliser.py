"""AgentScope's shapes, generation by generation, and the two laws of reading and writing back."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from polysession.resources import Agent
from polysession.session import ModelConfig, Session, SessionStatus
from polysession_agentscope import normaliser

CREATED = "2026-11-22T03:55:46.199398"
UPDATED = "2026-11-22T03:55:47"  # a fraction of exactly zero is left out
MOMENTS = {
    "created_at": datetime(2026, 11, 22, 3, 55, 46, 199398, tzinfo=UTC),
    "updated_at": datetime(2026, 11, 22, 3, 55, 47, tzinfo=UTC),
}
MODEL = {"type": "openai_credential", "credential_id": "c" * 32, "model": "m", "parameters": {"temperature": 0.5}}
COMMON_STATE = {
    "session_id": "9" * 32,
    "summary": "",
    "context": [],
    "permission_context": {"mode": "explore", "working_directories": {}, "allow_rules": {}},
    "tool_context": {"max_cache_files": 100},
    "tasks_context": {"tasks": []},
}
MINIMAL = {"id": "5" * 32}

SEED = {
    "id": "5" * 32,
    "updated_at": UPDATED,
    "created_at": CREATED,
    "user_id": "u1",
    "agent_id": "a" * 32,
    "source": "schedule",
    "source_schedule_id": "d" * 32,
    "config": {"workspace_id": "w1", "name": "first", "chat_model_config": MODEL},
    "state": {**COMMON_STATE, "reply_id": "8" * 32, "cur_iter": 0},
}
CURRENT = {
    "id": "5" * 32,
    "updated_at": UPDATED,
    "created_at": CREATED,
    "user_id": "u1",
    "agent_id": "a" * 32,
    "origin": {"type": "schedule", "schedule_id": "d" * 32},
    "team_id": None,
    "config": {
        "workspace_id": "w1",
        "name": "first",
        "naming": {"auto": False},
        "cwd": None,
        "chat_model_config": {**MODEL, "model_class": ""},
        "fallback_chat_model_config": None,
        "tts_model_config": None,
        "realtime_model_config": None,
        "knowledge_config": None,
    },
    "state": {**COMMON_STATE, "reply_context": {"reply_id": "8" * 32}, "middle_context": {}},
}
OLD_VIEW = {"session": CURRENT, "is_running": False, "team": None}
VIEW = {**OLD_VIEW, "status": "idle"}

SAME = Session(
    provider="agentscope",
    id="5" * 32,
    agent_id="a" * 32,
    title="first",
    model=ModelConfig(id="m", type="openai_credential", credential_id="c" * 32, parameters={"temperature": 0.5}),
    permission_mode="explore",
    workspace_id="w1",
    owner_id="u1",
    **MOMENTS,
)
IDLE = {"status": SessionStatus.IDLE, "native_status": "idle"}
STATUSES = {
    "idle": SessionStatus.IDLE,
    "running": SessionStatus.RUNNING,
    "awaiting_permission": SessionStatus.REQUIRES_ACTION,
    "awaiting_external_result": SessionStatus.REQUIRES_ACTION,
    "of_tomorrow": SessionStatus.UNKNOWN,
}
NOTHING = {
    "a bare id": {},
    "no inner parts": dict.fromkeys(("user_id", "agent_id", "config", "state", "created_at", "updated_at")),
    "empty inner parts": {"config": {}, "state": {}},
    "null inner values": {
        "config": dict.fromkeys(("workspace_id", "name", "chat_model_config")),
        "state": {"permission_context": None},
    },
    "no mode": {"state": {"permission_context": {"mode": None}}},
}


@pytest.mark.parametrize(
    ("raw", "status"),
    [(SEED, {}), (CURRENT, {}), (OLD_VIEW, {}), (VIEW, IDLE)],
    ids=["2.0.0", "answer to a change", "listed by 2.0.1 to 2.0.5", "listed since"],
)
def test_reads_each_generation(raw: dict[str, Any], status: dict[str, Any]) -> None:
    assert normaliser.to_session(raw) == SAME.model_copy(update={**status, "raw": raw})


@pytest.mark.parametrize("parts", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("viewed", [True, False], ids=["view", "record"])
def test_an_optional_value_may_be_absent_or_null(parts: dict[str, Any], *, viewed: bool) -> None:
    record = {**MINIMAL, **parts}
    raw = {"session": record, "status": None, "is_running": None} if viewed else record
    assert normaliser.to_session(raw) == Session(provider="agentscope", id=MINIMAL["id"], raw=raw)


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_reads_each_status_and_keeps_its_word(word: str, status: SessionStatus) -> None:
    read = normaliser.to_session({**VIEW, "status": word})
    added = normaliser.with_status(normaliser.to_session(CURRENT), word)
    assert (read.status, read.native_status) == (added.status, added.native_status) == (status, word)
    assert added.raw == CURRENT


def test_a_view_without_status_may_tell_that_a_turn_runs() -> None:
    session = normaliser.to_session({**OLD_VIEW, "is_running": True})
    assert (session.status, session.native_status) == (SessionStatus.RUNNING, "running")


def test_a_model_may_lack_all_but_its_name() -> None:
    session = normaliser.to_session({**MINIMAL, "config": {"chat_model_config": {"model": "m", "parameters": None}}})
    assert session.model == ModelConfig(id="m")


def test_an_empty_name_is_a_title() -> None:
    assert normaliser.to_session({**MINIMAL, "config": {"name": ""}}).title == ""


@pytest.mark.parametrize(
    "raw",
    [{}, {"id": 7}, {"session": None}, {"session": {}}, {**MINIMAL, "config": []}, {**MINIMAL, "created_at": "soon"}],
)
def test_what_is_no_session_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        normaliser.to_session(raw)


def test_reads_an_agent_by_its_outer_id() -> None:
    raw = {
        "id": "a" * 32,
        "updated_at": UPDATED,
        "created_at": CREATED,
        "user_id": "u1",
        "source": "user",
        "data": {"id": "7" * 32, "name": "Helper", "system_prompt": "Help.", "chat_config": {}},
        "editable": True,
    }
    expected = Agent(provider="agentscope", id="a" * 32, name="Helper", system_prompt="Help.", raw=raw, **MOMENTS)
    assert normaliser.to_agent(raw) == expected


def test_reads_an_agent_that_says_little() -> None:
    raw = {"id": "a", "data": {"name": "Helper"}}
    assert normaliser.to_agent(raw) == Agent(provider="agentscope", id="a", name="Helper", raw=raw)


def test_a_session_of_no_backend_is_written_in_the_current_shape() -> None:
    assert normaliser.from_session(SAME.model_copy(update=IDLE)) == {
        "session": {
            "id": "5" * 32,
            "agent_id": "a" * 32,
            "user_id": "u1",
            "created_at": CREATED,
            "updated_at": UPDATED,
            "config": {"name": "first", "workspace_id": "w1", "chat_model_config": MODEL},
            "state": {"permission_context": {"mode": "explore"}},
        },
        "status": "idle",
        "is_running": False,
    }


def test_a_record_whose_status_became_known_is_written_as_a_view() -> None:
    session = normaliser.with_status(normaliser.to_session(CURRENT), "running")
    assert normaliser.from_session(session) == {"session": CURRENT, "status": "running", "is_running": True}


FIELDS = ("chat_model_config", "cwd", "knowledge_config")


@pytest.mark.parametrize(
    ("raw", "body", "ignored"),
    [
        (VIEW, {"name": "x", "permission_mode": "bypass", **dict.fromkeys(FIELDS)}, []),
        (OLD_VIEW, {"cwd": "/a"}, []),
        (SEED, {"name": "x", "chat_model_config": MODEL, "permission_mode": "bypass"}, []),
        (SEED, {"chat_model_config": None}, ["chat_model_config"]),
        (SEED, {"name": "x", "cwd": "/a"}, ["cwd"]),
        ({"session": MINIMAL}, {"cwd": "/a", "chat_model_config": None}, ["cwd"]),
    ],
)
def test_tells_what_a_server_would_ignore(raw: dict[str, Any], body: dict[str, Any], ignored: list[str]) -> None:
    assert normaliser.ignored_fields(body, raw) == ignored


moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.none() | st.text(max_size=8)
words = st.sampled_from(["", *STATUSES])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
parameters = st.dictionaries(st.text(max_size=4), json_values, max_size=2)


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    word = draw(words)
    return Session(
        provider="agentscope",
        id=draw(st.text(min_size=1, max_size=8)),
        status=STATUSES.get(word, SessionStatus.UNKNOWN),
        native_status=word,
        model=draw(
            st.none() | st.builds(ModelConfig, id=st.text(), type=texts, credential_id=texts, parameters=parameters)
        ),
        **{name: draw(texts) for name in ("agent_id", "title", "permission_mode", "workspace_id", "owner_id")},
        **{name: draw(st.none() | moments) for name in ("created_at", "updated_at")},
    )


wire_times = st.none() | st.sampled_from([CREATED, UPDATED, "2026-11-22T03:55:46.5Z", "2026-11-22T03:55:46+02:00"])
wire_models = st.fixed_dictionaries(
    {"model": st.text(max_size=8)},
    optional={"type": texts, "credential_id": texts, "parameters": st.none() | parameters, "of_tomorrow": json_values},
)
wire_configs = st.fixed_dictionaries(
    {},
    optional={
        "workspace_id": texts,
        "name": texts,
        "chat_model_config": st.none() | wire_models,
        "of_tomorrow": json_values,
    },
)
wire_permissions = st.fixed_dictionaries({}, optional={"mode": texts, "of_tomorrow": json_values})
wire_states = st.fixed_dictionaries(
    {}, optional={"permission_context": st.none() | wire_permissions, "of_tomorrow": json_values}
)
records = st.fixed_dictionaries(
    {"id": st.text(min_size=1, max_size=8)},
    optional={
        "agent_id": texts,
        "user_id": texts,
        "created_at": wire_times,
        "updated_at": wire_times,
        "config": st.none() | wire_configs,
        "state": st.none() | wire_states,
        "of_tomorrow": json_values,
    },
)
views = st.fixed_dictionaries(
    {"session": records},
    optional={
        "status": st.none() | words,
        "is_running": st.none() | st.booleans(),
        "team": json_values,
        "of_tomorrow": json_values,
    },
)
wires = records | views


@given(sessions())
def test_a_session_that_is_written_is_read_as_it_was(session: Session) -> None:
    again = normaliser.to_session(normaliser.from_session(session))
    assert again.model_copy(update={"raw": {}}) == session


@given(wires)
def test_a_wire_object_that_is_read_is_written_as_it_was(raw: dict[str, Any]) -> None:
    original = copy.deepcopy(raw)
    assert normaliser.from_session(normaliser.to_session(raw)) == original
    assert raw == original


@given(wires, sessions())
def test_a_session_that_was_read_and_changed_keeps_every_key_and_every_change(
    raw: dict[str, Any], changed: Session
) -> None:
    changed = changed.model_copy(update={"raw": raw})
    written = normaliser.from_session(changed)
    before, after = normaliser.record_of(raw), normaliser.record_of(written)
    assert set(raw) <= set(written) | set(after)
    assert set(before) <= set(after)
    assert all(set(before.get(part) or ()) <= set(after.get(part) or ()) for part in ("config", "state"))
    assert normaliser.to_session(written).model_copy(update={"raw": raw}) == changed
