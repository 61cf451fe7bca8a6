"""Qoder's calls, key by key, from flows that are stepped by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from polysession import (
    AgentCapability,
    Cancellation,
    CancelState,
    Feature,
    MalformedResponse,
    ModelConfig,
    NotFound,
    Session,
    Support,
    UnsupportedOperation,
    UsageError,
)
from polysession._core.flow import Call, Flow, Response
from polysession._core.operations import (
    AGENT_FIELDS,
    CLEAR_FIELDS,
    CREATE_FIELDS,
    ENVIRONMENT_FIELDS,
    LIST_FIELDS,
    UPDATE_FIELDS,
    Operations,
)
from polysession._core.provider import Page
from polysession.change import NativeBody
from polysession_qoder import (
    QoderAgentChanges,
    QoderAgentReference,
    QoderAgentWithOverrides,
    QoderBranch,
    QoderBudget,
    QoderCommit,
    QoderFileResource,
    QoderGithubRepository,
    QoderGitRepository,
    QoderMemoryStore,
    QoderNewAgent,
    QoderNewEnvironment,
    QoderNewSession,
    QoderProvider,
    QoderSessionChanges,
    QoderSettings,
    polysession_provider,
)
from support.flows import ok, step

JsonObject = dict[str, Any]

KEY = "idempotency-key"
SESSION: JsonObject = {"id": "sess_1", "status": "idle", "metadata": {"team": "red", "kept": "yes"}}
AGENT: JsonObject = {"id": "agent_1", "name": "Fixer"}
NOTHING_MORE: JsonObject = {"data": [], "next_page": None, "first_id": None, "last_id": None, "has_more": False}
BASE: JsonObject = {"agent": "agent_1", "environment": "env_1"}
BASE_BODY: JsonObject = {"agent": "agent_1", "environment_id": "env_1"}
MOMENT = datetime(2026, 10, 1, 10, 0, 0, 5, timezone(timedelta(hours=2)))

PROVIDER = QoderProvider(QoderSettings(token="pt-made-up"))
OPERATIONS = Operations(PROVIDER)


def write(path: str) -> Call:
    """The call of a write, its body aside."""
    return Call("POST", path, idempotency_header=KEY)


def sent(flow: Flow[Any], *answers: Response) -> tuple[Call, Any]:
    """The one call of a flow: the call without its body, and the body."""
    calls, _ = step(flow, *answers)
    assert len(calls) == 1
    call = calls[0]
    return replace(call, body=None), None if call.body is None else json.loads(call.body)


# Create.

CREATED: dict[str, tuple[Any, JsonObject]] = {
    "agent": ("agent_2", {"agent": "agent_2"}),
    "environment": ("env_2", {"environment_id": "env_2"}),
    "title": ("Ticket 42", {"title": "Ticket 42"}),
    "metadata": ({"team": "red", "empty": ""}, {"metadata": {"team": "red", "empty": ""}}),
}
CREATED_NATIVELY: dict[str, list[tuple[Any, Any]]] = {
    "agent": [
        (QoderAgentReference(id="agent_2"), {"type": "agent", "id": "agent_2"}),
        (QoderAgentReference(id="agent_2", version=3), {"type": "agent", "id": "agent_2", "version": 3}),
        (
            QoderAgentWithOverrides(
                id="agent_2", version=3, model="auto", system="Be brief.", tools=[], mcp_servers=[], skills=[]
            ),
            {
                "type": "agent_with_overrides",
                "id": "agent_2",
                "version": 3,
                "model": "auto",
                "system": "Be brief.",
                "tools": [],
                "mcp_servers": [],
                "skills": [],
            },
        ),
    ],
    "environment_variables": [("A=1;B=2", "A=1;B=2"), ({"A": "1;2"}, {"A": "1;2"})],
    "resources": [
        ([QoderFileResource(file_id="file_1")], [{"type": "file", "file_id": "file_1"}]),
        (
            [
                QoderGithubRepository(url="https://g.example/a", authorization_token="ghp", mount_path="/w"),
                QoderGithubRepository(url="https://g.example/b", checkout=QoderBranch(name="main")),
                QoderGitRepository(url="https://g.example/c", password="pw", checkout=QoderCommit(sha="c0ffee")),
                QoderMemoryStore(memory_store_id="memstore_1", access="read_only", instructions="Read first."),
            ],
            [
                {
                    "type": "github_repository",
                    "url": "https://g.example/a",
                    "authorization_token": "ghp",
                    "mount_path": "/w",
                },
                {
                    "type": "github_repository",
                    "url": "https://g.example/b",
                    "checkout": {"type": "branch", "name": "main"},
                },
                {
                    "type": "git_repository",
                    "url": "https://g.example/c",
                    "password": "pw",
                    "checkout": {"type": "commit", "sha": "c0ffee"},
                },
                {
                    "type": "memory_store",
                    "memory_store_id": "memstore_1",
                    "access": "read_only",
                    "instructions": "Read first.",
                },
            ],
        ),
    ],
    "vault_ids": [(["vault_1"], ["vault_1"])],
    "budget": [(QoderBudget(max_credit_cost="12.50"), {"type": "limit", "max_credit_cost": "12.50"})],
    "initial_events": [([{"type": "user.message"}], [{"type": "user.message"}])],
    "delta_flush_interval_ms": [(50, 50), (5000, 5000)],
    "memory_store_ids": [(["memstore_1"], ["memstore_1"])],
}


def test_create_sends_nothing_that_was_not_asked_for() -> None:
    assert sent(OPERATIONS.create_session(**BASE), ok(SESSION)) == (write("/sessions"), BASE_BODY)


@pytest.mark.parametrize(("field", "value", "body"), [(name, *case) for name, case in CREATED.items()])
def test_create_sends_each_field(field: str, value: Any, body: JsonObject) -> None:
    flow = OPERATIONS.create_session(**{**BASE, field: value})
    assert sent(flow, ok(SESSION)) == (write("/sessions"), {**BASE_BODY, **body})


@pytest.mark.parametrize(
    ("field", "value", "written"), [(name, *case) for name, cases in CREATED_NATIVELY.items() for case in cases]
)
def test_create_sends_each_native_field(field: str, value: Any, written: Any) -> None:
    flow = OPERATIONS.create_session(**BASE, native=QoderNewSession(**{field: value}))
    assert sent(flow, ok(SESSION)) == (write("/sessions"), {**BASE_BODY, field: written})


def test_a_native_agent_will_do() -> None:
    native = QoderNewSession(agent=QoderAgentReference(id="agent_2", version=3))
    _, body = sent(OPERATIONS.create_session(environment="env_1", native=native), ok(SESSION))
    assert body == {"agent": {"type": "agent", "id": "agent_2", "version": 3}, "environment_id": "env_1"}


@pytest.mark.parametrize(
    "missing", [{"agent": "agent_1"}, {"environment": "env_1"}, {**BASE, "native": QoderNewSession(agent=None)}]
)
def test_create_without_agent_or_environment_raises_before_any_call(missing: JsonObject) -> None:
    with pytest.raises(UsageError, match="both an agent and an environment"):
        next(OPERATIONS.create_session(**missing))


# Update.

UPDATED: dict[str, list[tuple[Any, JsonObject]]] = {
    "title": [("Done", {"title": "Done"}), ("", {"title": ""}), (None, {"title": None})],
    "metadata": [
        (
            {"priority": "high", "team": None, "empty": ""},
            {"metadata": {"priority": "high", "team": None, "empty": ""}},
        ),
        ({}, {"metadata": {}}),
    ],
}
UPDATED_NATIVELY: dict[str, list[tuple[Any, Any]]] = {
    "agent": [
        (QoderAgentChanges(tools=[{"type": "custom"}]), {"tools": [{"type": "custom"}]}),
        (QoderAgentChanges(mcp_servers=[]), {"mcp_servers": []}),
    ],
    "budget": [
        (QoderBudget(max_credit_cost="0.01"), {"type": "limit", "max_credit_cost": "0.01"}),
        (None, None),
    ],
    "environment_variables": [({"A": "1"}, {"A": "1"})],
    "delta_flush_interval_ms": [(50, 50), (5000, 5000)],
}


def test_an_update_sends_nothing_that_was_not_asked_for() -> None:
    assert sent(OPERATIONS.update_session("sess_1"), ok(SESSION)) == (write("/sessions/sess_1"), {})


@pytest.mark.parametrize(
    ("field", "value", "body"), [(name, *case) for name, cases in UPDATED.items() for case in cases]
)
def test_an_update_sends_each_field(field: str, value: Any, body: JsonObject) -> None:
    flow = OPERATIONS.update_session("sess_1", **{field: value})
    assert sent(flow, ok(SESSION)) == (write("/sessions/sess_1"), body)


@pytest.mark.parametrize(
    ("field", "value", "written"), [(name, *case) for name, cases in UPDATED_NATIVELY.items() for case in cases]
)
def test_an_update_sends_each_native_field(field: str, value: Any, written: Any) -> None:
    flow = OPERATIONS.update_session("sess_1", title="Done", native=QoderSessionChanges(**{field: value}))
    assert sent(flow, ok(SESSION)) == (write("/sessions/sess_1"), {"title": "Done", field: written})


def test_clearing_metadata_reads_its_keys_and_removes_each() -> None:
    calls, session = step(OPERATIONS.update_session("sess_1", metadata=None), ok(SESSION), ok({"id": "sess_1"}))
    assert calls[0] == Call("GET", "/sessions/sess_1")
    assert replace(calls[1], body=None) == write("/sessions/sess_1")
    assert json.loads(calls[1].body or b"") == {"metadata": {"team": None, "kept": None}}
    assert session.metadata == {}


def test_clearing_metadata_changes_nothing_if_its_keys_cannot_be_read() -> None:
    with pytest.raises(NotFound) as caught:
        step(OPERATIONS.update_session("sess_1", metadata=None, title="Done"), NotFound("gone"))
    assert caught.value.already_done is None


@pytest.mark.parametrize("metadata", [{str(number): "" for number in range(17)}, {"k" * 65: ""}, {"k": "v" * 513}])
@pytest.mark.parametrize(
    "ask",
    [
        lambda metadata: OPERATIONS.create_session(**BASE, metadata=metadata),
        lambda metadata: OPERATIONS.update_session("sess_1", metadata=metadata),
    ],
    ids=["create", "update"],
)
def test_metadata_over_a_limit_raises_before_any_call(
    ask: Callable[[dict[str, str]], Flow[Session]], metadata: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="at most"):
        next(ask(metadata))


# Native bodies.


@pytest.mark.parametrize(
    ("body_type", "values"),
    [
        (QoderNewSession, {"delta_flush_interval_ms": 49}),
        (QoderNewSession, {"delta_flush_interval_ms": 5001}),
        (QoderSessionChanges, {"delta_flush_interval_ms": 49}),
        (QoderSessionChanges, {"delta_flush_interval_ms": 5001}),
        (QoderSessionChanges, {"vault_ids": ["vault_1"]}),
        (QoderNewSession, {"memory_store_ids": "memstore_1"}),
        (QoderBudget, {"max_credit_cost": "0.00"}),
        (QoderBudget, {"max_credit_cost": "1.234"}),
        (QoderBudget, {"max_credit_cost": "1234567890123"}),
        (QoderBudget, {"max_credit_cost": "-1"}),
        (QoderBudget, {"max_credit_cost": "\u0661"}),
        (QoderAgentReference, {"id": "agent_1", "version": 0}),
        (QoderAgentReference, {"id": "agent_1", "model": "auto"}),
        (QoderMemoryStore, {"memory_store_id": "memstore_1", "access": "write"}),
        (QoderMemoryStore, {"memory_store_id": "memstore_1", "instructions": "x" * 4097}),
        (QoderGitRepository, {"url": "u", "checkout": {"type": "branch", "sha": "c0ffee"}}),
        (QoderNewAgent, {"metadata": {str(number): "" for number in range(17)}}),
        (QoderNewAgent, {"metadata": {"k" * 65: ""}}),
        (QoderNewAgent, {"metadata": {"k": "v" * 513}}),
    ],
)
def test_a_native_body_refuses_what_the_backend_would(body_type: type[NativeBody], values: JsonObject) -> None:
    with pytest.raises(ValidationError):
        body_type(**values)


def test_a_native_body_never_shows_its_secrets() -> None:
    repository = QoderGithubRepository(url="u", authorization_token="s3cret")
    private = QoderGitRepository(url="u", password="s3cret")
    native = QoderNewSession(resources=[repository, private], environment_variables={"TOKEN": "s3cret"})
    assert "s3cret" not in repr(native)
    assert "s3cret" not in repr(QoderSessionChanges(environment_variables={"TOKEN": "s3cret"}))
    with pytest.raises(ValidationError) as caught:
        QoderNewSession.model_validate({"resources": [{"type": "git_repository", "password": "s3cret"}]})
    assert "s3cret" not in str(caught.value)


# Get, archive, delete, cancel.


def test_get_reads_the_session() -> None:
    calls, session = step(OPERATIONS.get_session("sess_1"), ok(SESSION))
    assert calls == [Call("GET", "/sessions/sess_1")]
    assert (session.id, session.raw) == ("sess_1", SESSION)


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_success_is_one(status: int) -> None:
    assert step(OPERATIONS.create_session(**BASE), ok(SESSION, status))[1].id == "sess_1"
    assert step(OPERATIONS.update_session("sess_1"), ok(SESSION, status))[1].id == "sess_1"


def test_archive_posts_an_empty_object() -> None:
    flow = OPERATIONS.archive_session("sess_1")
    assert sent(flow, ok(SESSION)) == (write("/sessions/sess_1/archive"), {})


@pytest.mark.parametrize("answer", [ok({"id": "sess_1", "type": "session_deleted"}), Response(204, {}, b"")])
def test_delete_takes_the_deleted_object_or_nothing_for_an_answer(answer: Response) -> None:
    flow = OPERATIONS.delete_session("sess_1")
    assert step(flow, answer) == ([Call("DELETE", "/sessions/sess_1", idempotency_header=KEY)], None)


@pytest.mark.parametrize("body", [b"<html><title>Sign in</title></html>", b"{}"])
def test_an_answer_that_names_no_deleted_session_is_no_success(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.delete_session("sess_1"), Response(200, {}, body))


@pytest.mark.parametrize(("status", "state"), [(202, CancelState.REQUESTED), (200, CancelState.NOTHING_RUNNING)])
def test_cancel_tells_by_the_status_whether_a_turn_was_running(status: int, state: CancelState) -> None:
    answer = {"id": "sess_1", "type": "session", "status": "canceling"}
    assert sent(OPERATIONS.cancel_session("sess_1"), ok(answer, status)) == (write("/sessions/sess_1/cancel"), {})
    _, cancellation = step(OPERATIONS.cancel_session("sess_1"), ok(answer, status))
    assert cancellation == Cancellation(provider="qoder", session_id="sess_1", state=state)
    assert cancellation.raw == answer


ON_ONE_SESSION: list[tuple[Callable[[str], Flow[Any]], str]] = [
    (OPERATIONS.get_session, ""),
    (OPERATIONS.update_session, ""),
    (OPERATIONS.archive_session, "/archive"),
    (OPERATIONS.delete_session, ""),
    (OPERATIONS.cancel_session, "/cancel"),
]


@pytest.mark.parametrize(("ask", "tail"), ON_ONE_SESSION)
def test_an_id_of_any_generation_stands_encoded_in_the_path(ask: Callable[[str], Flow[Any]], tail: str) -> None:
    assert next(ask("ses_?x")).path == f"/sessions/ses_%3Fx{tail}"


@pytest.mark.parametrize("ask", [ask for ask, _ in ON_ONE_SESSION])
@pytest.mark.parametrize("session_id", ["", "..", "a/b"])
def test_what_cannot_be_an_id_raises_before_any_call(ask: Callable[[str], Flow[Any]], session_id: str) -> None:
    with pytest.raises(UsageError):
        next(ask(session_id))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"title": "no id"}'])
def test_a_success_without_a_session_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.get_session("sess_1"), Response(200, {}, body))


# Agents.

AGENTS_CREATED: dict[str, tuple[Any, JsonObject]] = {
    "model": ("auto", {"model": "auto"}),
    "system_prompt": ("Be brief.", {"system": "Be brief."}),
    "description": ("Fixes tests", {"description": "Fixes tests"}),
}
AGENTS_CREATED_NATIVELY: JsonObject = {
    "model": {"id": "ultimate", "effort": "high"},
    "tools": [{"type": "custom"}],
    "mcp_servers": [{"type": "url", "name": "m", "url": "https://m.example"}],
    "skills": [{"type": "qoder", "skill_id": "skill_1", "version": "1"}],
    "metadata": {"team": "red"},
    "multiagent": {"type": "coordinator"},
}


@pytest.mark.parametrize(("field", "value", "body"), [(name, *case) for name, case in AGENTS_CREATED.items()])
def test_create_agent_sends_each_field(field: str, value: Any, body: JsonObject) -> None:
    flow = OPERATIONS.create_agent(**{"name": "Fixer", "model": "ultimate", field: value})
    assert sent(flow, ok(AGENT)) == (write("/agents"), {"name": "Fixer", "model": "ultimate", **body})


@pytest.mark.parametrize(("field", "value"), AGENTS_CREATED_NATIVELY.items())
def test_create_agent_sends_each_native_field(field: str, value: Any) -> None:
    flow = OPERATIONS.create_agent(name="Fixer", model="auto", native=QoderNewAgent(**{field: value}))
    assert sent(flow, ok(AGENT)) == (write("/agents"), {"name": "Fixer", "model": "auto", field: value})


@pytest.mark.parametrize("native", [None, QoderNewAgent(model=None)])
def test_create_agent_without_a_model_raises_before_any_call(native: QoderNewAgent | None) -> None:
    with pytest.raises(UsageError, match="needs a model"):
        next(OPERATIONS.create_agent(name="Fixer", native=native))


def test_a_limit_of_agents_over_100_raises_before_any_call() -> None:
    with pytest.raises(UsageError, match="at most 100"):
        next(OPERATIONS.list_agents(101)(None))


def test_agents_are_read_and_listed() -> None:
    created = step(OPERATIONS.create_agent(name="Fixer", model="auto"), ok(AGENT))[1]
    assert (created.id, created.raw) == ("agent_1", AGENT)
    assert step(OPERATIONS.get_agent("agent_1"), ok(AGENT)) == ([Call("GET", "/agents/agent_1")], created)
    assert next(OPERATIONS.get_agent("agent?1")) == Call("GET", "/agents/agent%3F1")
    calls, page = step(OPERATIONS.list_agents(None)(None), ok({"data": [AGENT], "next_page": "p2"}))
    assert (calls, page) == ([Call("GET", "/agents")], Page((created,), "page=p2"))
    assert sent(OPERATIONS.list_agents(2)("page=p2"), ok(NOTHING_MORE))[0] == Call("GET", "/agents?limit=2&page=p2")


# Environments and models.

ENVIRONMENT: JsonObject = {"id": "env_1", "type": "environment", "name": "cloud", "config": {"type": "cloud"}}
ENVIRONMENTS_CREATED: dict[str, tuple[Any, JsonObject]] = {
    "description": ("For tests", {"description": "For tests"}),
    "metadata": ({"team": "red"}, {"metadata": {"team": "red"}}),
}
ENVIRONMENTS_CREATED_NATIVELY: JsonObject = {
    "config": {"type": "cloud", "networking": {"type": "unrestricted"}},
    "scope": "account",
}


@pytest.mark.parametrize(("field", "value", "body"), [(name, *case) for name, case in ENVIRONMENTS_CREATED.items()])
def test_create_environment_sends_each_field(field: str, value: Any, body: JsonObject) -> None:
    flow = OPERATIONS.create_environment(**{"name": "cloud", field: value})
    smallest = {"name": "cloud", "config": {"type": "cloud"}}
    assert sent(flow, ok(ENVIRONMENT)) == (write("/environments"), {**smallest, **body})


@pytest.mark.parametrize(("field", "value"), ENVIRONMENTS_CREATED_NATIVELY.items())
def test_create_environment_sends_each_native_field(field: str, value: Any) -> None:
    flow = OPERATIONS.create_environment(name="cloud", native=QoderNewEnvironment(**{field: value}))
    body = {"name": "cloud", "config": {"type": "cloud"}, field: value}
    assert sent(flow, ok(ENVIRONMENT)) == (write("/environments"), body)


def test_environments_are_read_and_listed() -> None:
    created = step(OPERATIONS.create_environment(name="cloud"), ok(ENVIRONMENT, 201))[1]
    assert (created.id, created.name, created.raw) == ("env_1", "cloud", ENVIRONMENT)
    calls, read = step(OPERATIONS.get_environment("env_1"), ok(ENVIRONMENT))
    assert (calls, read) == ([Call("GET", "/environments/env_1")], created)
    calls, page = step(OPERATIONS.list_environments(None)(None), ok({"data": [ENVIRONMENT, {}], "next_page": "p2"}))
    assert (calls, page.items, page.next_cursor) == ([Call("GET", "/environments")], (created,), "page=p2")
    assert len(page.problems) == 1


def test_models_are_listed() -> None:
    models = [{"id": "auto", "display_name": "Auto"}, {"id": "ultimate"}, {"display_name": "No id"}]
    calls, page = step(OPERATIONS.list_models(1)(None), ok({"data": models, "has_more": False}))
    assert calls == [Call("GET", "/models")]
    assert [(model.id, model.name) for model in page.items] == [("auto", "Auto")]
    assert (page.next_cursor, len(page.problems)) == ("1", 1)
    _, rest = step(OPERATIONS.list_models(1)(page.next_cursor), ok({"data": models}))
    assert [(model.id, model.name) for model in rest.items] == [("ultimate", None)]


# Idempotency keys.


@pytest.mark.parametrize(
    ("ask", "answers"),
    [
        (lambda: OPERATIONS.create_session(**BASE, idempotency_key="k1"), [ok(SESSION)]),
        (lambda: OPERATIONS.send_message("sess_1", "Hi", idempotency_key="k1"), [ok({"data": []})]),
    ],
)
def test_a_key_of_the_caller_is_sent(ask: Callable[[], Flow[Any]], answers: list[Response]) -> None:
    calls, _ = step(ask(), *answers)
    assert calls[-1].headers == {KEY: "k1"}
    assert calls[-1].idempotency_header == KEY


# What is declared.

SAMPLES: JsonObject = {
    "id": "sess_2",
    "owner": "alice",
    "origin": "deployment",
    "workspace": "ws_1",
    "tags": ["a"],
    "add_tags": ["a"],
    "remove_tags": ["a"],
    "capabilities": [AgentCapability(ref="a")],
    "model": ModelConfig(id="auto"),
    "permission_mode": "ask",
}
VERBS: dict[str, tuple[dict[str, Feature], Callable[..., Flow[Any]]]] = {
    "create": (dict(CREATE_FIELDS), lambda **values: OPERATIONS.create_session(**BASE, **values)),
    "update": (dict(UPDATE_FIELDS), lambda **values: OPERATIONS.update_session("sess_1", **values)),
    "list": (dict(LIST_FIELDS), lambda **values: OPERATIONS.list_sessions(**values)(None)),
    "create agent": (dict(AGENT_FIELDS), lambda **values: OPERATIONS.create_agent(name="Fixer", **values)),
    "create environment": (
        dict(ENVIRONMENT_FIELDS),
        lambda **values: OPERATIONS.create_environment(name="cloud", **values),
    ),
}
REFUSED = [
    (verb, field, SAMPLES[field])
    for verb, (fields, _) in VERBS.items()
    for field, feature in fields.items()
    if not PROVIDER.support(feature).support
] + [("update", field, None) for field, feature in CLEAR_FIELDS.items() if not PROVIDER.support(feature).support]


@pytest.mark.parametrize(("verb", "field", "value"), REFUSED)
def test_an_unsupported_field_raises_before_any_call(verb: str, field: str, value: Any) -> None:
    fields, ask = VERBS[verb]
    feature = CLEAR_FIELDS[field] if PROVIDER.support(fields[field]).support else fields[field]
    with pytest.raises(UnsupportedOperation) as caught:
        next(ask(**{field: value}))
    assert (caught.value.feature, caught.value.hint) == (feature, PROVIDER.support(feature).note)


def test_every_supported_field_is_asserted_above() -> None:
    asserted = {
        "create": CREATED.keys() | {"idempotency_key"},  # a header
        "update": UPDATED.keys(),
        "create agent": AGENTS_CREATED.keys(),
        "create environment": ENVIRONMENTS_CREATED.keys(),
    }
    for verb, fields in asserted.items():
        supported = {field for field, feature in VERBS[verb][0].items() if PROVIDER.support(feature).support}
        assert supported <= fields, verb
    assert {field for field, feature in CLEAR_FIELDS.items() if PROVIDER.support(feature).support} == UPDATED.keys()
    natively: list[tuple[JsonObject, type[NativeBody]]] = [
        (CREATED_NATIVELY, QoderNewSession),
        (UPDATED_NATIVELY, QoderSessionChanges),
        (AGENTS_CREATED_NATIVELY, QoderNewAgent),
        (ENVIRONMENTS_CREATED_NATIVELY, QoderNewEnvironment),
    ]
    for table, body_type in natively:
        assert table.keys() == body_type.model_fields.keys()


def test_every_feature_is_declared_and_explained() -> None:
    assert set(PROVIDER.features) == set(Feature)
    unexplained = {
        feature for feature, said in PROVIDER.features.items() if said.support is not Support.NATIVE and not said.note
    }
    assert unexplained == set()
    assert polysession_provider() is QoderProvider
