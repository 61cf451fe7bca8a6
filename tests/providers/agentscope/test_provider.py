"""AgentScope's calls and flows, stepped by hand: what is sent, key by key, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from polysession._core.flow import Call, Flow, Reply
from polysession._core.operations import (
    AGENT_FIELDS,
    CLEAR_FIELDS,
    CREATE_FIELDS,
    LIST_FIELDS,
    UPDATE_FIELDS,
    Operations,
)
from polysession._core.provider import ErrorDetail, Page
from polysession.errors import (
    BackendFault,
    Conflict,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PolysessionError,
    StatusError,
    UnsupportedOperation,
    UsageError,
)
from polysession.feature import Feature, Support
from polysession.plugins import load_provider
from polysession.session import Agent, CancelState, ModelConfig, Session, SessionStatus
from polysession.settings import load_settings
from polysession_agentscope import (
    AgentScopeChatConfig,
    AgentScopeContextConfig,
    AgentScopeInviteConfig,
    AgentScopeKnowledgeConfig,
    AgentScopeModelConfig,
    AgentScopeNewAgent,
    AgentScopeNewSession,
    AgentScopeProvider,
    AgentScopeReactConfig,
    AgentScopeSessionChanges,
    AgentScopeSettings,
    normaliser,
    polysession_provider,
)
from support.flows import ok, sent_bodies, step

BASE = {"base_url": "http://agents.test", "user_id": "u1"}
PROVIDER = AgentScopeProvider(AgentScopeSettings(**BASE, agent_id="a1"))
OPERATIONS = Operations(PROVIDER)
WITHOUT_AGENT = Operations(AgentScopeProvider(AgentScopeSettings(**BASE)))

LIST = ("GET", "/sessions/?agent_id=a1", None)
STATUS = ("GET", "/sessions/s1/status?agent_id=a1", None)
INTERRUPT = ("POST", "/sessions/s1/interrupt?agent_id=a1", None)
DELETE = ("DELETE", "/sessions/s1?agent_id=a1", None)
AGENTS = ("GET", "/agent/", None)

CONFIG = {
    "workspace_id": "w1",
    "name": "first",
    "cwd": None,
    "chat_model_config": None,
    "fallback_chat_model_config": None,
    "tts_model_config": None,
    "realtime_model_config": None,
    "knowledge_config": None,
}
RECORD = {
    "id": "s1",
    "agent_id": "a1",
    "user_id": "u1",
    "created_at": "2026-11-22T03:55:46.199398",
    "config": CONFIG,
    "state": {"permission_context": {"mode": "default"}},
}
# What a server of 2.0.0 lists.
SEED = {**RECORD, "config": {"workspace_id": "w1", "name": "first", "chat_model_config": None}, "source": "user"}
AGENT = {"id": "a1", "created_at": "2026-11-22T03:00:00", "data": {"id": "x", "name": "Helper", "system_prompt": "Hi"}}


def patch(body: dict[str, Any]) -> tuple[str, str, Any]:
    return ("PATCH", "/sessions/s1?agent_id=a1", body)


def view(status: str = "idle", **record: Any) -> dict[str, Any]:
    return {"session": {**RECORD, **record}, "status": status, "is_running": status == "running", "team": None}


def listed(*items: dict[str, Any]) -> Reply:
    return ok({"sessions": items, "total": len(items)})


def told(status: str = "idle") -> Reply:
    return ok({"session_id": "s1", "status": status})


def refused(kind: type[StatusError], status: int, detail: Any) -> StatusError:
    """The error that an answer becomes."""
    return kind(PROVIDER.read_error(ok({"detail": detail}, status)).message, status=status)


def no_route() -> StatusError:
    return refused(NotFound, 404, "Not Found")


def no_session() -> StatusError:
    return refused(NotFound, 404, "Session 's1' not found.")


def running() -> StatusError:
    return refused(Conflict, 409, "Cannot modify session configuration while the session is running.")


HANDLE = normaliser.to_session(view())


def summaries(calls: list[Call]) -> list[tuple[str, str, Any]]:
    """Calls, after a look at the parts that no call of this backend has."""
    assert {(len(call.headers), call.read_only, call.idempotency_header) for call in calls} <= {(0, False, None)}
    return [(call.method, call.path, body) for call, body in zip(calls, sent_bodies(calls), strict=True)]


def outcome(flow: Flow[Any]) -> Flow[PolysessionError]:
    """The error that a flow ends with, as its result."""
    try:
        yield from flow
    except PolysessionError as error:
        return error
    raise AssertionError("it did not fail")


def unsupported_fields(fields: Mapping[str, Feature]) -> list[tuple[str, Feature]]:
    return [(name, feature) for name, feature in fields.items() if not PROVIDER.support(feature).support]


# --- Declaration and settings


def test_the_provider_is_found_and_its_own() -> None:
    assert polysession_provider() is load_provider("agentscope") is AgentScopeProvider


def test_every_feature_is_declared_and_what_is_not_native_says_why() -> None:
    assert set(PROVIDER.features) == set(Feature)
    assert [
        name for name, found in PROVIDER.features.items() if found.support is not Support.NATIVE and not found.note
    ] == []


def test_settings_come_from_the_environment() -> None:
    environ = {
        "AGENTSCOPE_BASE_URL": "http://agents.test/",
        "AGENTSCOPE_USER_ID": "u1",
        "AGENTSCOPE_AGENT_ID": "a1",
    }
    assert load_settings(AgentScopeSettings, "agentscope", {}, environ) == PROVIDER.settings


@pytest.mark.parametrize(("name", "variable"), [("base_url", "AGENTSCOPE_BASE_URL"), ("user_id", "AGENTSCOPE_USER_ID")])
def test_a_missing_setting_is_named_with_its_variable(name: str, variable: str) -> None:
    given = {key: value for key, value in BASE.items() if key != name}
    with pytest.raises(UsageError, match=rf"{name}' is missing.*{variable}"):
        load_settings(AgentScopeSettings, "agentscope", given, {})


@pytest.mark.parametrize("user_id", ["üser", "u\n1", " u1"])
def test_a_user_id_must_fit_into_a_header(user_id: str) -> None:
    with pytest.raises(ValidationError, match="printable ASCII"):
        AgentScopeSettings(base_url="http://agents.test", user_id=user_id)


def test_every_request_names_the_user_and_carries_what_the_gateway_wants() -> None:
    settings = AgentScopeSettings(**BASE, headers={"Authorization": "Bearer t0ken", "X-Team": SecretStr("red")})
    assert AgentScopeProvider(settings).headers() == {
        "authorization": "Bearer t0ken",
        "x-team": "red",
        "x-user-id": "u1",
    }


def test_values_of_headers_are_secrets() -> None:
    settings = load_settings(
        AgentScopeSettings,
        "agentscope",
        {**BASE, "headers": {"Authorization": "Bearer t0ken", "x-key": "k3y", "proxy-authorization": "bare"}},
        {},
    )
    assert set(settings.secrets()) == {"Bearer t0ken", "t0ken", "k3y", "bare"}
    assert not {"t0ken", "k3y", "bare"} & set(repr(settings).replace("'", " ").split())


def test_no_headers_no_secrets() -> None:
    assert PROVIDER.settings.secrets() == ()
    assert PROVIDER.headers() == {"x-user-id": "u1"}


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"X-User-Id": "secret"}, "'x-user-id' is set by the client itself"),
        ({"Content-Type": "secret"}, "'content-type' is set by the client itself"),
        ({"Content-Length": "secret"}, "'content-length' is set by the client itself"),
        ({"bad name": "secret"}, "'bad name' is not the name of a header"),
        ({"": "secret"}, "'' is not the name of a header"),
        ({"X-Key": "secret", "x-key": "secret"}, "a header is given twice"),
        ({"x-key": "sec\nret"}, "headers.x-key: .*printable ASCII"),
        ({"x-key": ""}, "headers.x-key: .*printable ASCII"),
        ("x-key: secret", "headers: Input should be a valid"),
    ],
)
def test_a_wrong_header_is_refused_without_showing_its_value(headers: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        load_settings(AgentScopeSettings, "agentscope", {**BASE, "headers": headers}, {})
    assert "sec" not in str(caught.value)


# --- Errors

PROBLEM = {"type": "missing", "loc": ["body", "name"], "msg": "Field required", "input": {"api_key": "hidden"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ok({"detail": "Agent 'a1' not found."}), "Agent 'a1' not found."),
        (ok({"detail": [PROBLEM]}), "body.name: Field required"),
        (
            ok({"detail": [{**PROBLEM, "loc": ["body", index]} for index in range(5)]}),
            "body.0: Field required; body.1: Field required; body.2: Field required; and 2 more",
        ),
        (ok({"detail": []}), ""),
        (ok({"detail": {"reason": "hidden"}}), ""),
        (ok({"message": "of a gateway"}), ""),
        (ok([]), ""),
        (Reply(500, {}, b"Internal Server Error"), ""),
        (Reply(307, {}, b""), ""),
    ],
)
def test_reads_each_error_body(content: Reply, message: str) -> None:
    assert PROVIDER.read_error(content) == ErrorDetail(message)


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
def test_an_id_without_an_agent_is_refused_with_both_ways_out(start: Any) -> None:
    with pytest.raises(UsageError, match=r"pass the Session itself.* or set agent_id \(or AGENTSCOPE_AGENT_ID\)"):
        step(start(WITHOUT_AGENT, "s1"))


@started
@pytest.mark.parametrize("items", [[], [view(id="s2")], [view(agent_id="a2")]], ids=["none", "another", "anothers"])
def test_a_session_that_the_agent_does_not_have_is_not_found_and_nothing_is_changed(
    start: Any, items: list[dict[str, Any]]
) -> None:
    calls, error = step(outcome(start(OPERATIONS, "s1")), listed(*items))
    assert summaries(calls) == [LIST]
    assert type(error) is NotFound
    assert (error.status, error.already_done) == (None, None)
    assert "agent 'a1' has no session 's1'" in str(error)


@checked
def test_a_session_that_was_read_is_trusted_and_names_its_agent(start: Any) -> None:
    session = HANDLE.model_copy(update={"agent_id": "a 2/ü"})
    calls, _ = step(outcome(start(OPERATIONS, session)), BackendFault())
    assert [call.path.partition("?")[2] for call in calls] == ["agent_id=a+2%2F%C3%BC"]
    assert calls[0].method != "GET" or "/status" in calls[0].path


def test_a_session_of_unknown_agent_is_checked_like_an_id() -> None:
    calls, _ = step(OPERATIONS.delete_session(HANDLE.model_copy(update={"agent_id": None})), listed(view()), ok({}))
    assert summaries(calls) == [LIST, DELETE]


@started
def test_an_unknown_agent_is_the_servers_to_report(start: Any) -> None:
    calls, error = step(outcome(start(OPERATIONS, "s1")), refused(NotFound, 404, "Agent 'a1' not found."))
    assert (summaries(calls), error.status) == ([LIST], 404)


# --- Create

MODEL = ModelConfig(id="m", type="openai_credential", credential_id="c1", parameters={"temperature": 0.5})
MODEL_BODY = {"type": "openai_credential", "credential_id": "c1", "model": "m", "parameters": {"temperature": 0.5}}
NATIVE_MODEL = AgentScopeModelConfig(type="t", credential_id="c2", model="n", parameters={})
NATIVE_MODEL_BODY = {"type": "t", "credential_id": "c2", "model": "n", "parameters": {}}
KNOWLEDGE = AgentScopeKnowledgeConfig(knowledge_base_ids=["k1"], parameters={"top_k": 3})
CONFIGS: Mapping[str, tuple[Any, Any]] = {
    "fallback_chat_model_config": (NATIVE_MODEL, NATIVE_MODEL_BODY),
    "tts_model_config": (NATIVE_MODEL, NATIVE_MODEL_BODY),
    "realtime_model_config": (NATIVE_MODEL, NATIVE_MODEL_BODY),
    "knowledge_config": (KNOWLEDGE, {"knowledge_base_ids": ["k1"], "parameters": {"top_k": 3}}),
}
CHANGES = {**CONFIGS, "cwd": ("src", "src")}
CREATED = ok({"session_id": "s1"}, 201)


def post(body: dict[str, Any]) -> tuple[str, str, Any]:
    return ("POST", "/sessions/", {"agent_id": "a1", **body})


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {}),
        ({"agent": "a1"}, {}),
        ({"agent": normaliser.to_agent(AGENT)}, {}),
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
def test_create_sends_what_was_given_and_reads_the_session(asked: dict[str, Any], body: dict[str, Any]) -> None:
    calls, session = step(OPERATIONS.create_session(**asked), CREATED, listed(view(id="s0"), view()))
    assert summaries(calls) == [post(body), LIST]
    assert session == HANDLE


@pytest.mark.parametrize(("agent", "quoted"), [("ä/2", "%C3%A4%2F2"), ("", "")])
def test_create_prefers_the_agent_that_it_is_given(agent: str, quoted: str) -> None:
    calls, session = step(OPERATIONS.create_session(agent=agent), CREATED, listed(view(agent_id=agent)))
    assert summaries(calls) == [post({"agent_id": agent}), ("GET", f"/sessions/?agent_id={quoted}", None)]
    assert session.agent_id == agent


@pytest.mark.parametrize("mode", ["default", "accept_edits", "explore", "bypass", "dont_ask"])
def test_create_sets_the_permission_mode_by_a_change(mode: str) -> None:
    state = {"permission_context": {"mode": mode}}
    calls, session = step(
        OPERATIONS.create_session(title="Ticket", permission_mode=mode), CREATED, ok(RECORD), listed(view(state=state))
    )
    assert summaries(calls) == [post({"name": "Ticket"}), patch({"permission_mode": mode}), LIST]
    assert (session.permission_mode, session.status) == (mode, SessionStatus.IDLE)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"model": "m"}, "lacks its type"),
        ({"model": ModelConfig(id="m", type="t")}, "lacks its credential_id"),
        ({"permission_mode": "ask"}, "'ask' is not a permission mode; AgentScope has default, accept_edits, explore"),
        ({"model": MODEL.model_copy(update={"parameters": {"x": float("nan")}})}, "cannot be sent as JSON"),
    ],
)
@pytest.mark.parametrize("verb", ["create", "update"])
def test_what_the_server_cannot_carry_is_refused_before_anything_is_sent(
    verb: str, asked: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        step(OPERATIONS.create_session(**asked) if verb == "create" else OPERATIONS.update_session(HANDLE, **asked))


def test_create_and_list_without_an_agent_are_refused_with_both_ways_out() -> None:
    for flow in (WITHOUT_AGENT.create_session(), WITHOUT_AGENT.list_sessions()(None)):
        with pytest.raises(UsageError, match=r"pass agent=.* or set agent_id \(or AGENTSCOPE_AGENT_ID\)"):
            step(flow)


@pytest.mark.parametrize(
    "answers",
    [
        (BackendFault(),),
        tuple(running() for _ in range(5)),
        (ok(RECORD), BackendFault()),
        (ok(RECORD), listed()),
        (ok(RECORD), ok({"sessions": None})),
        (ok(RECORD), listed({"id": "s1", "agent_id": "a1", "config": 1})),
    ],
    ids=["mode", "mode conflicts", "reading", "not listed", "no list", "not readable"],
)
def test_a_failure_after_the_creation_says_that_the_session_exists(answers: tuple[Any, ...]) -> None:
    _, error = step(outcome(OPERATIONS.create_session(permission_mode="bypass")), CREATED, *answers)
    assert error.already_done == "session 's1' was created"


@pytest.mark.parametrize("answer", [refused(NotFound, 404, "Agent 'a1' not found."), ok({"id": "s1"}, 201)])
def test_a_failed_creation_leaves_nothing_behind(answer: Reply | StatusError) -> None:
    calls, error = step(outcome(OPERATIONS.create_session(permission_mode="bypass")), answer)
    assert (len(calls), error.already_done) == (1, None)


def test_a_field_that_an_older_server_left_out_is_reported() -> None:
    native = AgentScopeNewSession(tts_model_config=NATIVE_MODEL, knowledge_config=KNOWLEDGE)
    _, error = step(outcome(OPERATIONS.create_session(native=native)), CREATED, listed(SEED))
    assert type(error) is MalformedResponse
    assert "too old to know tts_model_config, knowledge_config" in str(error)
    assert error.already_done == "session 's1' was created"


def test_a_native_model_needs_all_four_keys() -> None:
    for name in NATIVE_MODEL_BODY:
        with pytest.raises(ValidationError, match=name):
            AgentScopeModelConfig.model_validate({**NATIVE_MODEL_BODY, name: None})
    assert set(AgentScopeModelConfig.model_fields) == set(NATIVE_MODEL_BODY)
    assert all(info.is_required() for info in AgentScopeModelConfig.model_fields.values())


def test_every_native_field_is_tried() -> None:
    assert set(AgentScopeNewSession.model_fields) == set(CONFIGS)
    assert set(AgentScopeSessionChanges.model_fields) == set(CHANGES)


# --- What is not supported

VALUES: Mapping[str, Any] = {
    "environment": "e1",
    "metadata": {"team": "red"},
    "tags": ["a"],
    "add_tags": ["a"],
    "remove_tags": ["a"],
    "capabilities": [{"ref": "a"}],
    "include_archived": True,
    "oldest_first": True,
    "model": "m",
    "description": "Helps",
}


@pytest.mark.parametrize(
    ("verb", "asked", "feature"),
    [
        *[("create_session", {name: VALUES[name]}, feature) for name, feature in unsupported_fields(CREATE_FIELDS)],
        *[("update_session", {name: VALUES[name]}, feature) for name, feature in unsupported_fields(UPDATE_FIELDS)],
        *[("update_session", {name: None}, feature) for name, feature in unsupported_fields(CLEAR_FIELDS)],
        *[("list_sessions", {name: VALUES[name]}, feature) for name, feature in unsupported_fields(LIST_FIELDS)],
        *[
            ("create_agent", {"name": "A", name: VALUES[name]}, feature)
            for name, feature in unsupported_fields(AGENT_FIELDS)
        ],
        ("archive_session", {}, Feature.ARCHIVE),
    ],
)
def test_what_is_unsupported_is_refused_before_anything_is_sent(
    verb: str, asked: dict[str, Any], feature: Feature
) -> None:
    handle = (HANDLE,) if verb in {"update_session", "archive_session"} else ()
    with pytest.raises(UnsupportedOperation) as caught:
        step(getattr(OPERATIONS, verb)(*handle, **asked))
    hints = {PROVIDER.support(feature).note, PROVIDER.support(UPDATE_FIELDS.get(next(iter(asked), ""), feature)).note}
    assert caught.value.hint in hints - {""}


# --- Get and list


@pytest.mark.parametrize("item", [view("running"), SEED, {**view(), "session": {**RECORD, "agent_id": None}}])
def test_get_finds_the_session_among_its_agents(item: dict[str, Any]) -> None:
    broken = {"session": {"id": "s0", "config": "of tomorrow"}}
    calls, session = step(OPERATIONS.get_session("s1"), listed(broken, item))
    assert summaries(calls) == [LIST]
    assert session == normaliser.to_session(item)


@pytest.mark.parametrize("answer", [ok({}), ok({"sessions": [1]}), ok([]), Reply(200, {}, b"")])
def test_a_list_that_cannot_be_read_is_reported(answer: Reply) -> None:
    for flow in (OPERATIONS.get_session("s1"), OPERATIONS.list_sessions()(None)):
        assert type(step(outcome(flow), answer)[1]) is MalformedResponse


FIVE = tuple(
    view(status, id=f"s{number}", created_at=f"2026-11-22T0{number}:00:00", config={"name": name})
    for number, status, name in (
        (5, "idle", "Report"),
        (4, "running", "ticket 4"),
        (3, "awaiting_permission", "Ticket 3"),
        (2, "awaiting_external_result", ""),
        (1, "of_tomorrow", "Ticket 1"),
    )
)


def at(hour: int) -> datetime:
    return datetime(2026, 11, 22, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ({}, ["s5", "s4", "s3", "s2", "s1"]),
        ({"agent": "a1"}, ["s5", "s4", "s3", "s2", "s1"]),
        ({"statuses": [SessionStatus.IDLE, SessionStatus.RUNNING]}, ["s5", "s4"]),
        ({"statuses": [SessionStatus.REQUIRES_ACTION]}, ["s3", "s2"]),
        ({"statuses": [SessionStatus.UNKNOWN]}, ["s1"]),
        ({"title_contains": "TICKET"}, ["s4", "s3", "s1"]),
        ({"created_after": at(2), "created_before": at(4)}, ["s3"]),
        ({"title_contains": "ticket", "statuses": [SessionStatus.RUNNING], "created_after": at(1)}, ["s4"]),
        ({"title_contains": "ticket", "limit": 3}, ["s4", "s3"]),
    ],
)
def test_list_reads_the_agents_sessions_and_filters_them(asked: dict[str, Any], ids: list[str]) -> None:
    calls, page = step(OPERATIONS.list_sessions(**asked)(None), listed(*FIVE))
    assert summaries(calls) == [LIST]
    assert [session.id for session in page.items] == ids


def test_list_prefers_the_agent_that_it_is_given() -> None:
    calls, page = step(OPERATIONS.list_sessions(agent="a 2")(None), listed())
    assert summaries(calls) == [("GET", "/sessions/?agent_id=a+2", None)]
    assert page == Page(())


@pytest.mark.parametrize(
    ("limit", "cursor", "ids", "next_cursor"),
    [
        (2, None, ["s5", "s4"], "2"),
        (2, "2", ["s3", "s2"], "4"),
        (2, "4", ["s1"], None),
        (5, None, ["s5", "s4", "s3", "s2", "s1"], None),
        (2, "5", [], None),
        (2, "999999999", [], None),
        (None, "3", ["s2", "s1"], None),
    ],
)
def test_a_page_is_cut_from_the_whole_list(
    limit: int | None, cursor: str | None, ids: list[str], next_cursor: str | None
) -> None:
    calls, page = step(OPERATIONS.list_sessions(limit=limit)(cursor), listed(*FIVE))
    assert summaries(calls) == [LIST]
    assert ([session.id for session in page.items], page.next_cursor) == (ids, next_cursor)


@pytest.mark.parametrize("cursor", ["", "-1", "1.5", "page=2", "٣", "9" * 5000])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    for flow, answer in (
        (OPERATIONS.list_sessions()(cursor), listed()),
        (OPERATIONS.list_agents(None)(cursor), ok({"agents": []})),
    ):
        assert "is not a cursor of this list" in str(step(outcome(flow), answer)[1])


@pytest.mark.parametrize("status", [SessionStatus.PAUSED, SessionStatus.RESCHEDULING, SessionStatus.TERMINATED])
def test_a_status_that_no_session_has_is_refused(status: SessionStatus) -> None:
    with pytest.raises(UsageError, match=f"never '{status}'; it is one of idle, requires_action, running, unknown"):
        step(OPERATIONS.list_sessions(statuses=[SessionStatus.IDLE, status])(None))


@pytest.mark.parametrize("old", [SEED, {"session": RECORD, "is_running": False}], ids=["2.0.0", "2.0.1 to 2.0.5"])
def test_statuses_are_not_filtered_where_the_server_does_not_tell_them(old: dict[str, Any]) -> None:
    _, error = step(outcome(OPERATIONS.list_sessions(statuses=[SessionStatus.IDLE])(None)), listed(old))
    assert isinstance(error, UnsupportedOperation)
    assert (error.feature, error.hint) == ("sessions.list statuses", "servers from 2.0.6 on do")
    _, page = step(OPERATIONS.list_sessions(statuses=[SessionStatus.UNKNOWN])(None), listed(old))
    assert [session.id for session in page.items] == ["s1"]


# --- Update


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {}),
        ({"title": "New"}, {"name": "New"}),
        ({"title": ""}, {"name": ""}),
        ({"model": MODEL}, {"chat_model_config": MODEL_BODY}),
        *[
            ({"permission_mode": mode}, {"permission_mode": mode})
            for mode in ("default", "accept_edits", "explore", "bypass", "dont_ask")
        ],
        ({"title": "New", "permission_mode": "bypass"}, {"name": "New", "permission_mode": "bypass"}),
    ],
)
def test_update_sends_what_was_asked_and_asks_for_the_status(asked: dict[str, Any], body: dict[str, Any]) -> None:
    calls, session = step(OPERATIONS.update_session(HANDLE, **asked), ok(RECORD), told("awaiting_permission"))
    assert summaries(calls) == [patch(body), STATUS]
    expected = {"status": SessionStatus.REQUIRES_ACTION, "native_status": "awaiting_permission"}
    assert session == normaliser.to_session(RECORD).model_copy(update=expected)


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({"model": None}, {"chat_model_config": None}),
        *[
            ({"native": AgentScopeSessionChanges(**{name: value})}, {name: sent})
            for name, (value, sent) in CHANGES.items()
        ],
        *[({"native": AgentScopeSessionChanges(**{name: None})}, {name: None}) for name in CHANGES],
        ({"title": "New", "native": AgentScopeSessionChanges(cwd="src")}, {"name": "New", "cwd": "src"}),
    ],
)
def test_what_older_servers_ignore_is_sent_once_the_server_is_known_to_take_it(
    asked: dict[str, Any], body: dict[str, Any]
) -> None:
    calls, _ = step(OPERATIONS.update_session(HANDLE, **asked), listed(view()), ok(RECORD), told())
    assert summaries(calls) == [LIST, patch(body), STATUS]


@pytest.mark.parametrize(
    ("asked", "feature", "named"),
    [
        ({"model": None, "title": "New"}, Feature.CLEAR_MODEL, "chat_model_config"),
        *[({"native": AgentScopeSessionChanges(**{name: None})}, Feature.UPDATE, name) for name in CHANGES],
        *[
            ({"native": AgentScopeSessionChanges(**{name: value})}, Feature.UPDATE, name)
            for name, (value, _) in CHANGES.items()
        ],
    ],
)
def test_what_the_server_would_ignore_is_refused_and_nothing_is_changed(
    asked: dict[str, Any], feature: Feature, named: str
) -> None:
    calls, error = step(outcome(OPERATIONS.update_session(HANDLE, **asked)), listed(SEED))
    assert summaries(calls) == [LIST]
    assert isinstance(error, UnsupportedOperation)
    assert error.feature == feature.value
    assert f"too old for this change of {named}" in str(error)


def test_an_id_is_checked_once() -> None:
    calls, _ = step(OPERATIONS.update_session("s1", model=None), listed(view()), ok(RECORD), told())
    assert summaries(calls) == [LIST, patch({"chat_model_config": None}), STATUS]


def test_update_waits_a_little_for_a_turn_to_be_stored() -> None:
    calls, session = step(OPERATIONS.update_session(HANDLE, title="x"), running(), running(), ok(RECORD), told())
    assert summaries(calls) == [patch({"name": "x"})] * 3 + [STATUS]
    assert [call.after_s for call in calls] == [0, 0.05, 0.1, 0]
    assert session.status is SessionStatus.IDLE


def test_update_does_not_wait_for_the_turn_itself() -> None:
    calls, error = step(outcome(OPERATIONS.update_session(HANDLE, title="x")), *[running() for _ in range(5)])
    assert [call.after_s for call in calls] == [0, 0.05, 0.1, 0.2, 0.4]
    assert type(error) is Conflict
    assert error.already_done is None


@pytest.mark.parametrize("answer", [no_session(), BackendFault(), refused(InvalidRequest, 422, [PROBLEM])])
def test_a_refused_change_is_not_repeated(answer: StatusError) -> None:
    calls, error = step(outcome(OPERATIONS.update_session(HANDLE, title="x")), answer)
    assert (summaries(calls), error) == ([patch({"name": "x"})], answer)
    assert error.already_done is None


def test_a_server_that_has_no_status_leaves_it_unknown() -> None:
    calls, session = step(OPERATIONS.update_session(HANDLE, title="x"), ok(SEED), no_route())
    assert summaries(calls) == [patch({"name": "x"}), STATUS]
    assert session == normaliser.to_session(SEED)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ((ok(RECORD), no_session()), NotFound),
        ((ok(RECORD), BackendFault()), BackendFault),
        ((ok(RECORD), ok({"session_id": "s1"})), MalformedResponse),
        ((ok({"of": "tomorrow"}),), MalformedResponse),
        ((ok({**RECORD, "agent_id": "a2"}),), NotFound),
    ],
    ids=["deleted meanwhile", "probe fails", "probe unreadable", "answer unreadable", "another agent's"],
)
def test_a_failure_after_the_change_says_that_it_was_made(answers: tuple[Any, ...], kind: type[Exception]) -> None:
    _, error = step(outcome(OPERATIONS.update_session(HANDLE, title="x")), *answers)
    assert type(error) is kind
    assert error.already_done == "the change was made"


# --- Delete and cancel


@pytest.mark.parametrize(("session", "before"), [(HANDLE, []), ("s1", [LIST])])
def test_delete(session: Session | str, before: list[Any]) -> None:
    listing = [listed(view())] * len(before)
    calls, _ = step(OPERATIONS.delete_session(session), *listing, Reply(204, {}, b""))
    assert summaries(calls) == [*before, DELETE]


@pytest.mark.parametrize("status", ["awaiting_permission", "awaiting_external_result", "of_tomorrow"])
@pytest.mark.parametrize(("session", "before"), [(HANDLE, []), ("s1", [LIST])])
def test_cancel_interrupts_a_turn_that_waits(status: str, session: Session | str, before: list[Any]) -> None:
    listing = [listed(view())] * len(before)
    answer = {"session_id": "s1"}
    calls, cancellation = step(OPERATIONS.cancel_session(session), *listing, told(status), ok(answer, 202))
    assert summaries(calls) == [*before, STATUS, INTERRUPT]
    assert (cancellation.state, cancellation.session_id, cancellation.raw) == (CancelState.REQUESTED, "s1", answer)


@pytest.mark.parametrize(
    ("looks", "again"),
    [
        (["idle"], []),
        (["running", "idle"], []),
        (["running", "running", "running"], []),
        (["awaiting_permission"], [INTERRUPT]),
        (["running", "awaiting_external_result"], [INTERRUPT]),
    ],
)
def test_an_interrupt_that_a_turn_escaped_by_coming_to_rest_is_sent_again(looks: list[str], again: list[Any]) -> None:
    answer = ok({"session_id": "s1"}, 202)
    answers = told("running"), answer, *map(told, looks), *([answer] * len(again))
    calls, cancellation = step(OPERATIONS.cancel_session(HANDLE), *answers)
    assert summaries(calls) == [STATUS, INTERRUPT, *[STATUS] * len(looks), *again]
    assert [call.after_s for call in calls[2 : 2 + len(looks)]] == [0.05, 0.1, 0.2][: len(looks)]
    assert (cancellation.state, cancellation.raw) == (CancelState.REQUESTED, {"session_id": "s1"})


def test_a_cancellation_that_could_not_be_looked_after_says_that_it_was_asked_for() -> None:
    answers = told("running"), ok({"session_id": "s1"}, 202), BackendFault("down", status=500)
    calls, error = step(outcome(OPERATIONS.cancel_session(HANDLE)), *answers)
    assert (summaries(calls), error.already_done) == ([STATUS, INTERRUPT, STATUS], "the turn was asked to stop")


def test_cancel_leaves_an_idle_session_alone() -> None:
    calls, cancellation = step(OPERATIONS.cancel_session(HANDLE), told("idle"))
    assert summaries(calls) == [STATUS]
    assert cancellation.state is CancelState.NOTHING_RUNNING
    assert cancellation.raw == {"session_id": "s1", "status": "idle"}


def test_a_server_that_cannot_cancel_is_told_from_a_session_that_is_not_there() -> None:
    calls, error = step(outcome(OPERATIONS.cancel_session(HANDLE)), no_route())
    assert summaries(calls) == [STATUS]
    assert isinstance(error, UnsupportedOperation)
    assert (error.feature, error.hint) == ("sessions.cancel", "servers from 2.0.4 on can")
    gone = no_session()
    assert step(outcome(OPERATIONS.cancel_session(HANDLE)), gone)[1] is gone


# --- Agents

CHAT = AgentScopeChatConfig(
    context_config=AgentScopeContextConfig(
        trigger_ratio=0.5,
        reserve_ratio=0.2,
        context_buffer_ratio=0.1,
        compression_prompt="p",
        summary_template="t",
        summary_schema={"type": "object"},
        tool_result_limit=100,
        compression_fallback_to_truncation=False,
        compression_tool_enabled=True,
        max_image_num=0,
    ),
    react_config=AgentScopeReactConfig(
        max_iters=3,
        structured_output_grace_iters=1,
        stop_on_reject=True,
        interruption_message="m",
        interruption_raise_cancelled_error=True,
    ),
    invite_config=AgentScopeInviteConfig(invitable=True, invite_description="d"),
)
CHAT_BODY = {
    "context_config": {
        "trigger_ratio": 0.5,
        "reserve_ratio": 0.2,
        "context_buffer_ratio": 0.1,
        "compression_prompt": "p",
        "summary_template": "t",
        "summary_schema": {"type": "object"},
        "tool_result_limit": 100,
        "compression_fallback_to_truncation": False,
        "compression_tool_enabled": True,
        "max_image_num": 0,
    },
    "react_config": {
        "max_iters": 3,
        "structured_output_grace_iters": 1,
        "stop_on_reject": True,
        "interruption_message": "m",
        "interruption_raise_cancelled_error": True,
    },
    "invite_config": {"invitable": True, "invite_description": "d"},
}
NEW_AGENT = {**AGENT, "data": {**AGENT["data"], "chat_config": {}}}  # type: ignore[dict-item]
AGENT_CREATED = ok({"agent_id": "a1"}, 201)


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {}),
        ({"system_prompt": "Hi"}, {"system_prompt": "Hi"}),
        ({"system_prompt": ""}, {"system_prompt": ""}),
        ({"native": AgentScopeNewAgent(chat_config=CHAT)}, {"chat_config": CHAT_BODY}),
        (
            {
                "native": AgentScopeNewAgent(
                    chat_config=AgentScopeChatConfig(react_config=AgentScopeReactConfig(max_iters=3))
                )
            },
            {"chat_config": {"react_config": {"max_iters": 3}}},
        ),
    ],
)
def test_create_agent_sends_what_was_given_and_reads_the_agent(asked: dict[str, Any], body: dict[str, Any]) -> None:
    calls, agent = step(
        OPERATIONS.create_agent(name="Helper", **asked),
        AGENT_CREATED,
        ok({"agents": [{**AGENT, "id": "x"}, NEW_AGENT]}),
    )
    assert summaries(calls) == [("POST", "/agent/", {"name": "Helper", **body}), AGENTS]
    assert agent == normaliser.to_agent(NEW_AGENT)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (BackendFault(), BackendFault),
        (ok({"agents": []}), NotFound),
        (ok({"agents": [AGENT]}), MalformedResponse),
    ],
    ids=["reading", "not listed", "an older server"],
)
def test_a_failure_after_the_creation_says_that_the_agent_exists(answer: Any, kind: type[Exception]) -> None:
    native = AgentScopeNewAgent(chat_config=CHAT)
    _, error = step(outcome(OPERATIONS.create_agent(name="Helper", native=native)), AGENT_CREATED, answer)
    assert type(error) is kind
    assert error.already_done == "agent 'a1' was created"


def test_get_agent_finds_it_among_all_by_its_outer_id() -> None:
    misleading = {"id": "a2", "data": {"id": "a1", "name": "Another"}}
    calls, agent = step(OPERATIONS.get_agent("a1"), ok({"agents": [misleading, AGENT]}))
    assert summaries(calls) == [AGENTS]
    assert agent == normaliser.to_agent(AGENT)


def test_an_agent_that_is_not_there_is_not_found() -> None:
    _, error = step(outcome(OPERATIONS.get_agent("a9")), ok({"agents": [AGENT]}))
    assert type(error) is NotFound
    assert error.status is None
    assert "user 'u1' has no agent 'a9'" in str(error)


@pytest.mark.parametrize(
    ("limit", "cursor", "ids", "next_cursor"),
    [(None, None, ["a3", "a2", "a1", "a0"], None), (2, None, ["a3", "a2"], "2"), (2, "2", ["a1", "a0"], None)],
)
def test_list_agents_puts_the_newest_first(
    limit: int | None, cursor: str | None, ids: list[str], next_cursor: str | None
) -> None:
    agents = [{**AGENT, "id": f"a{number}", "created_at": f"2026-11-22T0{number}:00:00"} for number in (2, 1, 3)]
    timeless = {"id": "a0", "data": {"name": "Timeless"}}
    calls, page = step(OPERATIONS.list_agents(limit)(cursor), ok({"agents": [timeless, *agents]}))
    assert summaries(calls) == [AGENTS]
    assert ([agent.id for agent in page.items], page.next_cursor) == (ids, next_cursor)
    assert all(isinstance(agent, Agent) for agent in page.items)


def test_the_version_is_read_where_the_server_is_new_enough_to_tell() -> None:
    calls, version = step(PROVIDER.read_version(), ok({"status": "ok", "version": "2.0.10", "components": {}}))
    assert ([(call.method, call.path) for call in calls], version) == ([("GET", "/health")], "2.0.10")
    assert step(PROVIDER.read_version(), NotFound("Not Found"))[1] is None
    assert step(PROVIDER.read_version(), ok({"status": "ok"}))[1] is None
