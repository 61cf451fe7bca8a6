"""Agents, environments, models, idempotency keys and declared features of Qoder."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from polysession import (
    Agent,
    AgentCapability,
    Feature,
    MalformedResponse,
    ModelConfig,
    Support,
    UnsupportedOperation,
    UsageError,
)
from polysession._core.fields import (
    AGENT_FIELDS,
    AGENT_UPDATE_FIELDS,
    CLEAR_FIELDS,
    CREATE_FIELDS,
    ENVIRONMENT_FIELDS,
    LIST_FIELDS,
    UPDATE_FIELDS,
)
from polysession._core.flow import Call, Flow, Response
from polysession._core.provider import Page
from polysession.change import NativeBody
from polysession_qoder import (
    QoderAgentChanges,
    QoderNewAgent,
    QoderNewEnvironment,
    QoderNewSession,
    QoderProvider,
    QoderSessionChanges,
    polysession_provider,
)
from support.flows import ok, step
from support.qoder_provider import (
    BASE,
    CREATED,
    CREATED_NATIVELY,
    KEY,
    OPERATIONS,
    PROVIDER,
    SESSION,
    UPDATED,
    UPDATED_NATIVELY,
    JsonObject,
    sent,
    write,
)

AGENT: JsonObject = {"id": "agent_1", "name": "Fixer"}


NOTHING_MORE: JsonObject = {"data": [], "next_page": None, "first_id": None, "last_id": None, "has_more": False}


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


AGENTS_UPDATED: dict[str, tuple[Any, JsonObject]] = {
    "name": ("Mender", {"name": "Mender"}),
    "model": ("auto", {"model": "auto"}),
    "system_prompt": ("Be brief.", {"system": "Be brief."}),
    "description": ("Fixes tests", {"description": "Fixes tests"}),
}
KNOWN = Agent(provider="qoder", id="agent_1", version="3")


@pytest.mark.parametrize(("field", "value", "body"), [(name, *case) for name, case in AGENTS_UPDATED.items()])
def test_update_agent_sends_each_field_and_the_version_of_the_record(field: str, value: Any, body: JsonObject) -> None:
    flow = OPERATIONS.update_agent(KNOWN, **{field: value})
    assert sent(flow, ok(AGENT)) == (write("/agents/agent_1"), {**body, "version": 3})


@pytest.mark.parametrize(("field", "body"), [("system_prompt", {"system": ""}), ("description", {"description": ""})])
def test_a_field_of_an_agent_is_cleared_by_the_empty_text(field: str, body: JsonObject) -> None:
    assert sent(OPERATIONS.update_agent(KNOWN, **{field: None}), ok(AGENT))[1] == {**body, "version": 3}


@pytest.mark.parametrize(("field", "value"), {**AGENTS_CREATED_NATIVELY, "metadata": {"team": None}}.items())
def test_update_agent_sends_each_native_field(field: str, value: Any) -> None:
    flow = OPERATIONS.update_agent(KNOWN, native=QoderAgentChanges(**{field: value}))
    assert sent(flow, ok(AGENT))[1] == {"version": 3, field: value}


def test_update_agent_reads_the_version_of_a_bare_id_unless_it_is_given() -> None:
    calls, _ = step(OPERATIONS.update_agent("agent_1", name="b"), ok({**AGENT, "version": 7}), ok(AGENT))
    assert calls[0] == Call("GET", "/agents/agent_1")
    assert json.loads(calls[1].body or b"") == {"name": "b", "version": 7}
    given = OPERATIONS.update_agent("agent_1", name="b", native=QoderAgentChanges(version=5))
    assert sent(given, ok(AGENT)) == (write("/agents/agent_1"), {"name": "b", "version": 5})


def test_update_agent_without_a_version_that_is_a_number_changes_nothing() -> None:
    with pytest.raises(UsageError, match="must be a whole number, not 'new'"):
        step(OPERATIONS.update_agent(KNOWN.model_copy(update={"version": "new"}), name="b"))
    with pytest.raises(MalformedResponse, match="has no readable version"):
        step(OPERATIONS.update_agent("agent_1", name="b"), ok(AGENT))


def test_an_agent_is_archived_and_never_deleted() -> None:
    assert sent(OPERATIONS.archive_agent("agent_1"), ok(AGENT)) == (write("/agents/agent_1/archive"), {})
    with pytest.raises(UnsupportedOperation, match="archive the agent"):
        next(OPERATIONS.delete_agent("agent_1"))


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
def test_an_idempotency_key_is_sent(ask: Callable[[], Flow[Any]], answers: list[Response]) -> None:
    calls, _ = step(ask(), *answers)
    assert calls[-1].headers == {KEY: "k1"}
    assert calls[-1].idempotency_header == KEY


# Declared features.

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
    "update agent": (dict(AGENT_UPDATE_FIELDS), lambda **values: OPERATIONS.update_agent(KNOWN, **values)),
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
        "update agent": AGENTS_UPDATED.keys(),
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
        ({**AGENTS_CREATED_NATIVELY, "version": 5}, QoderAgentChanges),
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
