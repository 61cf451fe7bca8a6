"""AgentScope's sessions and agents in each server version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from polysession.change import SessionChanges
from polysession.errors import MalformedResponse
from polysession.resources import Agent
from polysession.session import ModelConfig, Session, SessionStatus
from polysession_agentscope.sessions import (
    build_changes,
    ignored_fields,
    ignored_parts,
    to_agent,
    to_session,
    with_status,
)
from support.agentscope_reading import text_of

CREATED = "2026-11-22T03:55:46.199398"
UPDATED = "2026-11-22T03:55:47"  # the server omits a fraction of zero
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
ID = "5" * 32
MINIMAL = {"id": ID}

LEGACY = {
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
CONFIG: dict[str, Any] = {
    "workspace_id": "w1",
    "name": "first",
    "naming": {"auto": False},
    "cwd": None,
    "chat_model_config": {**MODEL, "model_class": ""},
    "fallback_chat_model_config": None,
    "tts_model_config": None,
    "realtime_model_config": None,
    "knowledge_config": None,
}
CURRENT = {
    "id": "5" * 32,
    "updated_at": UPDATED,
    "created_at": CREATED,
    "user_id": "u1",
    "agent_id": "a" * 32,
    "origin": {"type": "schedule", "schedule_id": "d" * 32},
    "team_id": None,
    "config": CONFIG,
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
    origin="schedule",
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
    [(LEGACY, {}), (CURRENT, {}), (OLD_VIEW, {}), (VIEW, IDLE)],
    ids=["2.0.0", "answer to a change", "listed by 2.0.1 to 2.0.5", "listed since"],
)
def test_reads_each_generation(raw: dict[str, Any], status: dict[str, Any]) -> None:
    session = to_session(text_of(raw))
    assert session == SAME.model_copy(update=status)
    assert session.raw == raw


@pytest.mark.parametrize("parts", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("viewed", [True, False], ids=["view", "record"])
def test_an_optional_value_may_be_absent_or_null(parts: dict[str, Any], *, viewed: bool) -> None:
    record = {**MINIMAL, **parts}
    raw = {"session": record, "status": None, "is_running": None} if viewed else record
    session = to_session(text_of(raw))
    assert (session, session.raw) == (Session(provider="agentscope", id=MINIMAL["id"]), raw)


@pytest.mark.parametrize(("word", "status"), STATUSES.items())
def test_reads_each_status_and_keeps_the_native_one(word: str, status: SessionStatus) -> None:
    read = to_session(text_of({**VIEW, "status": word}))
    added = with_status(to_session(text_of(CURRENT)), word)
    assert (read.status, read.native_status) == (added.status, added.native_status) == (status, word)
    assert added.raw == CURRENT


def test_a_view_without_a_status_may_report_a_running_turn() -> None:
    session = to_session(text_of({**OLD_VIEW, "is_running": True}))
    assert (session.status, session.native_status) == (SessionStatus.RUNNING, "running")


def test_a_model_needs_only_its_name() -> None:
    session = to_session(text_of({**MINIMAL, "config": {"chat_model_config": {"model": "m", "parameters": None}}}))
    assert session.model == ModelConfig(id="m")


def test_an_empty_name_is_a_title() -> None:
    assert to_session(text_of({**MINIMAL, "config": {"name": ""}})).title == ""


@pytest.mark.parametrize("model_class", ["", None, "openai_response"])
def test_a_model_keeps_its_class_and_is_written_back_with_it(model_class: str | None) -> None:
    wire = {**MODEL, "model_class": model_class}
    session = to_session(text_of({**MINIMAL, "config": {"chat_model_config": wire}}))
    assert session.model is not None
    assert session.model.model_class == (model_class or None)
    written = build_changes(SessionChanges(model=session.model))["chat_model_config"]
    assert written == (wire if model_class else MODEL)


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ({"origin": {"type": "user"}}, "user"),
        ({"origin": {"type": "channel", "channel_id": "c"}}, "channel"),
        ({"source": "schedule", "source_schedule_id": "s"}, "schedule"),
        ({}, None),
    ],
)
def test_reads_the_origin_of_a_session(origin: dict[str, Any], expected: str | None) -> None:
    assert to_session(text_of({**MINIMAL, **origin})).origin == expected


@pytest.mark.parametrize(
    ("team", "parent"), [(None, None), ({"team": {"session_id": "lead"}}, "lead"), ({"team": {"session_id": ID}}, None)]
)
def test_the_parent_of_a_teams_session_is_its_leaders(team: Any, parent: str | None) -> None:
    assert to_session(text_of({"session": MINIMAL, "team": team})).parent_session_id == parent


@pytest.mark.parametrize("raw", [{}, {"id": 7}, {"id": ""}, {"session": None}, {"session": {}}, {"session": 5}, [], 1])
def test_a_record_without_an_id_is_malformed(raw: Any) -> None:
    with pytest.raises(MalformedResponse):
        to_session(text_of(raw))


ODD: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"config": []}, "config: not an object", {"title": None, "model": None, "workspace_id": None}),
    ({"created_at": ""}, "created_at: not datetime", {"created_at": None}),
    ({"created_at": "2026-06-30T23:59:60Z"}, "created_at: not datetime", {"created_at": None}),
    ({"user_id": 3}, "user_id: not text", {"owner_id": None}),
    (
        {"state": {"permission_context": "of tomorrow"}},
        "state.permission_context: not an object",
        {"permission_mode": None},
    ),
    ({"config": {"name": {"en": "x"}, "workspace_id": "w1"}}, "config.name: not text", {"title": None, "model": None}),
    (
        {"config": {**CONFIG, "chat_model_config": {"type": "t"}}},
        "config.chat_model_config: not an object",
        {"model": None},
    ),
]


@pytest.mark.parametrize(("odd", "problem", "missing"), ODD)
@pytest.mark.parametrize("viewed", [True, False], ids=["view", "record"])
def test_an_unreadable_value_does_not_affect_the_others(
    odd: dict[str, Any], problem: str, missing: dict[str, Any], *, viewed: bool
) -> None:
    record = {**CURRENT, **odd}
    session = to_session(text_of({"session": record, "status": "idle"} if viewed else record))
    (found,) = session.problems
    assert found.startswith(("session." if viewed else "") + problem)
    expected = SAME.model_copy(update={**missing, "problems": session.problems, **(IDLE if viewed else {})})
    assert session == expected


def test_half_a_surrogate_pair_is_replaced() -> None:
    content = text_of({**MINIMAL, "config": {"name": "title"}}).replace(b"title", b"\\ud83d!")
    assert to_session(content).title == "\N{REPLACEMENT CHARACTER}!"


def test_a_session_survives_storage() -> None:
    session = to_session(text_of(VIEW))
    again = Session.model_validate_json(session.model_dump_json())
    assert again == session
    assert session.source == text_of(VIEW)


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
    expected = Agent(provider="agentscope", id="a" * 32, name="Helper", system_prompt="Help.", **MOMENTS)
    agent = to_agent(text_of(raw))
    assert (agent, agent.raw) == (expected, raw)


@pytest.mark.parametrize(
    ("raw", "name", "problems"),
    [
        ({"data": {"name": "Helper"}}, "Helper", ()),
        ({}, "", ()),
        ({"data": 5}, "", ("data: not an object",)),
        ({"data": {"name": ["Helper"]}}, "", ("data.name: not text",)),
    ],
)
def test_reads_an_agent_with_few_fields(raw: dict[str, Any], name: str, problems: tuple[str, ...]) -> None:
    expected = Agent(provider="agentscope", id="a", name=name, problems=problems)
    assert to_agent(text_of({"id": "a", **raw})) == expected


FIELDS = ("chat_model_config", "cwd", "knowledge_config")


@pytest.mark.parametrize(
    ("raw", "body", "ignored"),
    [
        (VIEW, {"name": "x", "permission_mode": "bypass", **dict.fromkeys(FIELDS)}, []),
        (OLD_VIEW, {"cwd": "/a"}, []),
        (LEGACY, {"name": "x", "chat_model_config": MODEL, "permission_mode": "bypass"}, []),
        (LEGACY, {"chat_model_config": None}, ["chat_model_config"]),
        (LEGACY, {"name": "x", "cwd": "/a"}, ["cwd"]),
        ({"session": MINIMAL}, {"cwd": "/a", "chat_model_config": None}, ["cwd"]),
    ],
)
def test_finds_the_fields_that_a_server_would_ignore(
    raw: dict[str, Any], body: dict[str, Any], ignored: list[str]
) -> None:
    assert ignored_fields(body, to_session(text_of(raw))) == ignored


@pytest.mark.parametrize(
    ("sent", "shown", "ignored"),
    [
        ({**MODEL, "model_class": "x"}, {**MODEL, "model_class": "x"}, []),
        ({**MODEL, "model_class": "x"}, MODEL, ["chat_model_config.model_class"]),
        (MODEL, MODEL, []),
        (None, None, []),
        ({**MODEL, "model_class": "x"}, None, []),  # a session without a model is no evidence about the server
    ],
)
def test_notices_a_server_that_ignored_the_class_of_a_model(sent: Any, shown: Any, ignored: list[str]) -> None:
    session = to_session(text_of({**MINIMAL, "config": {"chat_model_config": shown}}))
    assert ignored_parts({"chat_model_config": sent}, session) == ignored
