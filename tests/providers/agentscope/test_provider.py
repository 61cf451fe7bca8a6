"""AgentScope's calls with their whole bodies, from flows that are stepped by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from polysession._core.fields import AGENT_FIELDS, CLEAR_FIELDS, CREATE_FIELDS, LIST_FIELDS, UPDATE_FIELDS
from polysession._core.flow import Response
from polysession._core.operations import Operations
from polysession.errors import MalformedResponse, NotFound, ServerError, StatusError, UnsupportedOperation, UsageError
from polysession.feature import Feature
from polysession.session import AgentCapability, ModelConfig, SessionStatus
from polysession_agentscope import (
    AgentScopeKnowledgeConfig,
    AgentScopeModelConfig,
    AgentScopeNewSession,
    AgentScopeProvider,
    AgentScopeSessionChanges,
    AgentScopeSettings,
)
from polysession_agentscope.sessions import to_agent
from support.agentscope_reading import text_of
from support.agentscope_sessions import (
    AGENT,
    BASE,
    CHANGES,
    CONFIGS,
    DELETE,
    HANDLE,
    KNOWLEDGE,
    LEGACY,
    LIST,
    MODEL,
    MODEL_BODY,
    NATIVE_MODEL,
    NATIVE_MODEL_BODY,
    OPERATIONS,
    PROVIDER,
    RECORD,
    listed,
    outcome,
    patch,
    refused,
    running,
    summaries,
    view,
)
from support.flows import ok, step

WITHOUT_AGENT = Operations(AgentScopeProvider(AgentScopeSettings(**BASE)))


def unsupported_fields(fields: Mapping[str, Feature]) -> list[tuple[str, Feature]]:
    return [(name, feature) for name, feature in fields.items() if not PROVIDER.support(feature).support]


# --- Handles

START = {
    "get": lambda operations, session: operations.get_session(session),
    "update": lambda operations, session: operations.update_session(session, title="x"),
    "delete": lambda operations, session: operations.delete_session(session),
    "cancel": lambda operations, session: operations.cancel_session(session),
}
started = pytest.mark.parametrize("start", START.values(), ids=START)
CHECKED = {name: start for name, start in START.items() if name != "get"}
checked = pytest.mark.parametrize("start", CHECKED.values(), ids=CHECKED)


@started
def test_an_id_without_an_agent_is_rejected_with_both_solutions(start: Any) -> None:
    with pytest.raises(
        UsageError, match=r"pass the Session instead of its id, or set agent_id \(or AGENTSCOPE_AGENT_ID\)"
    ):
        step(start(WITHOUT_AGENT, "s1"))


@started
@pytest.mark.parametrize("items", [[], [view(id="s2")], [view(agent_id="a2")]], ids=["none", "another", "anothers"])
def test_a_session_of_another_agent_is_not_found_and_not_changed(start: Any, items: list[dict[str, Any]]) -> None:
    calls, error = step(outcome(start(OPERATIONS, "s1")), listed(*items))
    assert summaries(calls) == [LIST]
    assert type(error) is NotFound
    assert (error.status, error.already_done) == (None, None)
    assert "agent 'a1' has no session 's1'" in str(error)


@checked
def test_a_session_object_is_not_checked_and_gives_its_agent(start: Any) -> None:
    session = HANDLE.model_copy(update={"agent_id": "a 2/ü"})
    calls, _ = step(outcome(start(OPERATIONS, session)), ServerError())
    assert [call.path.partition("?")[2] for call in calls] == ["agent_id=a+2%2F%C3%BC"]
    assert calls[0].method != "GET" or "/status" in calls[0].path


def test_a_session_of_unknown_agent_is_checked_like_an_id() -> None:
    calls, _ = step(OPERATIONS.delete_session(HANDLE.model_copy(update={"agent_id": None})), listed(view()), ok({}))
    assert summaries(calls) == [LIST, DELETE]


@started
def test_the_server_reports_an_unknown_agent(start: Any) -> None:
    calls, error = step(outcome(start(OPERATIONS, "s1")), refused(NotFound, 404, "Agent 'a1' not found."))
    assert (summaries(calls), error.status) == ([LIST], 404)


CREATED = ok({"session_id": "s1"}, 201)


def post(body: dict[str, Any]) -> tuple[str, str, Any]:
    return ("POST", "/sessions/", {"agent_id": "a1", **body})


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({}, {}),
        ({"agent": "a1"}, {}),
        ({"agent": to_agent(text_of(AGENT))}, {}),
        ({"title": "Ticket"}, {"name": "Ticket"}),
        ({"title": ""}, {"name": ""}),
        ({"workspace": "w1"}, {"workspace_id": "w1"}),
        ({"model": MODEL}, {"chat_model_config": MODEL_BODY}),
        (
            {"model": ModelConfig(id="m", type="t", credential_id="c")},
            {"chat_model_config": {"type": "t", "credential_id": "c", "model": "m", "parameters": {}}},
        ),
        *[({"native": AgentScopeNewSession(**{name: value})}, {name: sent}) for name, (value, sent) in CONFIGS.items()],
        (
            {"title": "Ticket", "native": AgentScopeNewSession(knowledge_config=AgentScopeKnowledgeConfig())},
            {"name": "Ticket", "knowledge_config": {}},
        ),
    ],
)
def test_create_sends_the_given_fields_and_reads_the_session(arguments: dict[str, Any], body: dict[str, Any]) -> None:
    calls, session = step(OPERATIONS.create_session(**arguments), CREATED, listed(view(id="s0"), view()))
    assert summaries(calls) == [post(body), LIST]
    assert session == HANDLE


@pytest.mark.parametrize(("agent", "quoted"), [("ä/2", "%C3%A4%2F2"), ("", "")])
def test_create_prefers_its_agent_to_the_setting(agent: str, quoted: str) -> None:
    calls, session = step(OPERATIONS.create_session(agent=agent), CREATED, listed(view(agent_id=agent)))
    assert summaries(calls) == [post({"agent_id": agent}), ("GET", f"/sessions/?agent_id={quoted}", None)]
    assert session.agent_id == agent


@pytest.mark.parametrize("mode", ["default", "accept_edits", "explore", "bypass", "dont_ask"])
def test_create_sets_the_permission_mode_with_a_change(mode: str) -> None:
    state = {"permission_context": {"mode": mode}}
    calls, session = step(
        OPERATIONS.create_session(title="Ticket", permission_mode=mode), CREATED, ok(RECORD), listed(view(state=state))
    )
    assert summaries(calls) == [post({"name": "Ticket"}), patch({"permission_mode": mode}), LIST]
    assert (session.permission_mode, session.status) == (mode, SessionStatus.IDLE)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"model": "m"}, "'m' has no type"),
        ({"model": ModelConfig(id="m", type="t")}, "'m' has no credential_id"),
        ({"permission_mode": "ask"}, "'ask' is not a permission mode; AgentScope has default, accept_edits, explore"),
        ({"model": MODEL.model_copy(update={"parameters": {"x": float("nan")}})}, "cannot be sent as JSON"),
    ],
)
@pytest.mark.parametrize("verb", ["create", "update"])
def test_invalid_values_are_rejected_before_any_call(verb: str, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        step(
            OPERATIONS.create_session(**arguments)
            if verb == "create"
            else OPERATIONS.update_session(HANDLE, **arguments)
        )


def test_create_and_list_without_an_agent_are_rejected_with_both_solutions() -> None:
    for flow in (WITHOUT_AGENT.create_session(), WITHOUT_AGENT.list_sessions()(None)):
        with pytest.raises(UsageError, match=r"pass agent=.* or set agent_id \(or AGENTSCOPE_AGENT_ID\)"):
            step(flow)


@pytest.mark.parametrize(
    "answers",
    [
        (ServerError(),),
        tuple(running() for _ in range(5)),
        (ok(RECORD), ServerError()),
        (ok(RECORD), listed()),
        (ok(RECORD), ok({"sessions": None})),
        (ok(RECORD), listed(1)),
    ],
    ids=["mode", "mode conflicts", "reading", "not listed", "no list", "not readable"],
)
def test_a_failure_after_the_creation_says_that_the_session_exists(answers: tuple[Any, ...]) -> None:
    _, error = step(outcome(OPERATIONS.create_session(permission_mode="bypass")), CREATED, *answers)
    assert error.already_done == "session 's1' was created"


@pytest.mark.parametrize("answer", [refused(NotFound, 404, "Agent 'a1' not found."), ok({"id": "s1"}, 201)])
def test_a_failed_creation_has_no_already_done(answer: Response | StatusError) -> None:
    calls, error = step(outcome(OPERATIONS.create_session(permission_mode="bypass")), answer)
    assert (len(calls), error.already_done) == (1, None)


def test_a_field_that_an_older_server_ignored_is_reported() -> None:
    native = AgentScopeNewSession(tts_model_config=NATIVE_MODEL, knowledge_config=KNOWLEDGE)
    _, error = step(outcome(OPERATIONS.create_session(native=native)), CREATED, listed(LEGACY))
    assert type(error) is MalformedResponse
    assert "the server ignored tts_model_config, knowledge_config" in str(error)
    assert error.already_done == "session 's1' was created"


def test_a_native_model_needs_all_four_keys() -> None:
    for name in NATIVE_MODEL_BODY:
        with pytest.raises(ValidationError, match=name):
            AgentScopeModelConfig.model_validate({**NATIVE_MODEL_BODY, name: None})
    assert set(AgentScopeModelConfig.model_fields) == set(NATIVE_MODEL_BODY)
    assert all(info.is_required() for info in AgentScopeModelConfig.model_fields.values())


def test_every_native_field_is_tested() -> None:
    assert set(AgentScopeNewSession.model_fields) == set(CONFIGS)
    assert set(AgentScopeSessionChanges.model_fields) == set(CHANGES)


# --- What is not supported

VALUES: Mapping[str, Any] = {
    "id": "s1",
    "owner": "u2",
    "idempotency_key": "k1",
    "environment": "e1",
    "metadata": {"team": "red"},
    "tags": ["a"],
    "add_tags": ["a"],
    "remove_tags": ["a"],
    "capabilities": [AgentCapability(ref="a")],
    "include_archived": True,
    "oldest_first": True,
    "model": "m",
    "description": "Helps",
}


@pytest.mark.parametrize(
    ("verb", "arguments", "feature"),
    [
        *[("create_session", {name: VALUES[name]}, feature) for name, feature in unsupported_fields(CREATE_FIELDS)],
        *[("update_session", {name: VALUES[name]}, feature) for name, feature in unsupported_fields(UPDATE_FIELDS)],
        *[("update_session", {name: None}, feature) for name, feature in unsupported_fields(CLEAR_FIELDS)],
        *[("list_sessions", {name: VALUES[name]}, feature) for name, feature in unsupported_fields(LIST_FIELDS)],
        *[
            ("create_agent", {"name": "A", name: VALUES[name]}, feature)
            for name, feature in unsupported_fields(AGENT_FIELDS)
        ],
        ("archive_session", {}, Feature.SESSIONS_ARCHIVE),
    ],
)
def test_unsupported_features_are_rejected_before_any_call(
    verb: str, arguments: dict[str, Any], feature: Feature
) -> None:
    handle = (HANDLE,) if verb in {"update_session", "archive_session"} else ()
    with pytest.raises(UnsupportedOperation) as caught:
        step(getattr(OPERATIONS, verb)(*handle, **arguments))
    hints = {
        PROVIDER.support(feature).note,
        PROVIDER.support(UPDATE_FIELDS.get(next(iter(arguments), ""), feature)).note,
    }
    assert caught.value.hint in hints - {""}
