"""Sessions of Everruns: settings, creation and update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from polysession._core.fields import CLEAR_FIELDS, CREATE_FIELDS, UPDATE_FIELDS
from polysession.errors import MalformedResponse, MissingCredentials, UnsupportedOperation, UsageError
from polysession.feature import Feature, Support
from polysession.provider_api import TurnPlan
from polysession.session import AgentCapability, ModelConfig, SessionStatus
from polysession.settings import load_settings
from polysession_everruns import (
    EverrunsControls,
    EverrunsMessage,
    EverrunsNewAgent,
    EverrunsNewSession,
    EverrunsProvider,
    EverrunsReasoning,
    EverrunsSessionChanges,
    EverrunsSettings,
    polysession_provider,
)
from support.everruns_provider import (
    DEFINITION,
    ID,
    NEW_AGENT,
    OPERATIONS,
    PATH,
    PROVIDER,
    SESSION,
    summary,
    wire_name,
)
from support.flows import ok, sent_bodies, step

MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)


RESERVED = (
    *("__internal:", "app:", "app_channel:", "slack:app:", "slack:endpoint:", "fcp:endpoint:", "ag_ui:app:", "agent:"),
    "endpoint:",
)


VALUES: Mapping[str, Any] = {
    "environment": "env_1",
    "metadata": {"team": "red"},
    "model": "model_1",
    "permission_mode": "ask",
    "id": "session_1",
    "owner": "alice",
    "idempotency_key": "key-1",
}


def unsupported_fields(fields: Mapping[str, Feature]) -> list[tuple[str, Feature]]:
    return [(name, feature) for name, feature in fields.items() if not PROVIDER.support(feature).support]


# --- Declaration and settings


def test_the_hook_returns_the_provider() -> None:
    assert polysession_provider() is EverrunsProvider


def test_every_feature_is_declared_with_a_reason_unless_it_is_native() -> None:
    assert set(PROVIDER.features) == set(Feature)
    assert [
        name for name, found in PROVIDER.features.items() if found.support is not Support.NATIVE and not found.note
    ] == []


@pytest.mark.parametrize(
    ("environ", "base_url", "org_id"),
    [
        ({}, "https://app.everruns.com/api", None),
        (
            {"EVERRUNS_API_URL": "http://127.0.0.1:9000/api/", "EVERRUNS_ORG_ID": "org_1"},
            "http://127.0.0.1:9000/api",
            "org_1",
        ),
    ],
)
def test_settings_come_from_the_environment(environ: dict[str, str], base_url: str, org_id: str | None) -> None:
    settings = load_settings(EverrunsSettings, "everruns", {}, {"EVERRUNS_API_KEY": "evr_pat_x", **environ})
    assert settings.api_key.get_secret_value() == "evr_pat_x"
    assert (settings.base_url, settings.org_id) == (base_url, org_id)


def test_a_client_without_a_key_is_refused() -> None:
    with pytest.raises(MissingCredentials, match="EVERRUNS_API_KEY"):
        load_settings(EverrunsSettings, "everruns", {}, {})


@pytest.mark.parametrize("key", ["evr_pat_x", "Bearer evr_pat_x", "ApiKey evr_pat_x"])
def test_the_key_is_sent_as_given_and_its_token_is_a_secret(key: str) -> None:
    settings = EverrunsSettings(api_key=key)
    assert EverrunsProvider(settings).headers() == {"authorization": key}
    assert {key, "evr_pat_x"} == set(settings.secrets())
    assert "evr_pat_x" not in repr(settings)


def test_the_organization_is_sent_when_set() -> None:
    settings = EverrunsSettings(api_key="evr_pat_x", org_id="org_1")
    assert EverrunsProvider(settings).headers() == {"authorization": "evr_pat_x", "x-org-id": "org_1"}


NEW_SESSION: Mapping[str, tuple[Any, Any]] = {
    **DEFINITION,
    "agent_name": ("helper", "helper"),
    "locale": ("uk-UA", "uk-UA"),
    "system_prompt": ("Be brief.", "Be brief."),
    "hints": ({"images": True}, {"images": True}),
    "agent_identity_id": ("identity_1", "identity_1"),
    "source": ("chat", "chat"),
    "goal": ("Fix it", "Fix it"),
    "sandbox": ({"use": "coding"}, {"use": "coding"}),
    "virtual_user_id": ("identity_2", "identity_2"),
}


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {}),
        ({"agent": "agent_1"}, {"agent_id": "agent_1"}),
        ({"workspace": "wsp_1"}, {"workspace_id": "wsp_1"}),
        ({"title": "Ticket"}, {"title": "Ticket"}),
        ({"title": ""}, {"title": ""}),
        ({"tags": ["b", "a"]}, {"tags": ["b", "a"]}),
        ({"tags": []}, {"tags": []}),
        (
            {"capabilities": [AgentCapability(ref="a"), AgentCapability(ref="b", config={"x": 1})]},
            {"capabilities": [{"ref": "a"}, {"ref": "b", "config": {"x": 1}}]},
        ),
        ({"capabilities": [AgentCapability(ref="a", config=False)]}, {"capabilities": [{"ref": "a", "config": False}]}),
        ({"model": "model_1"}, {"model_id": "model_1"}),
        ({"model": ModelConfig(id="model_1")}, {"model_id": "model_1"}),
        (
            {"agent": "agent_1", "native": EverrunsNewSession(agent_name=None, harness_id="harness_1")},
            {"agent_id": "agent_1", "agent_name": None, "harness_id": "harness_1"},
        ),
        *[
            ({"native": EverrunsNewSession(**{name: value})}, {wire_name(name): sent})
            for name, (value, sent) in NEW_SESSION.items()
        ],
    ],
)
def test_create_sends_only_the_passed_fields(asked: dict[str, Any], body: dict[str, Any]) -> None:
    calls, session = step(OPERATIONS.create_session(**asked), ok({**SESSION, **body}, 201))
    assert [summary(call) for call in calls] == [("POST", "/v1/sessions", body)]
    assert (session.id, session.status) == (ID, SessionStatus.IDLE)


@pytest.mark.parametrize(
    ("asked", "answer", "ignored"),
    [
        pytest.param({"agent": "worker"}, {"agent_id": "echo"}, "agent", id="another-agent"),
        pytest.param({"agent": "worker"}, {}, "agent", id="no-agent"),
        pytest.param({"model": "model_1"}, {}, "model", id="no-model"),
        pytest.param({"model": "model_1"}, {"model_id": "model_2"}, "model", id="another-model"),
        pytest.param(
            {"capabilities": [AgentCapability(ref="a"), AgentCapability(ref="b")]},
            {"capabilities": [{"ref": "a"}]},
            "capabilities",
            id="one-capability-less",
        ),
        pytest.param({"workspace": "wsp_1"}, {"workspace_id": "wsp_2"}, "workspace", id="another-workspace"),
        pytest.param({"title": "Ticket"}, {"title": None}, "title", id="no-title"),
        pytest.param({"tags": ["x"]}, {"tags": []}, "tags", id="no-tags"),
        pytest.param(
            {"agent": "worker", "model": "model_1", "title": "Old"}, {"agent_id": "echo"}, "agent, model", id="several"
        ),
    ],
)
def test_fields_that_the_server_ignores_are_an_error(
    asked: dict[str, Any], answer: dict[str, Any], ignored: str
) -> None:
    """The engine takes agents only by name, and ignores models and capabilities."""
    with pytest.raises(MalformedResponse, match=f"ignored {ignored};") as caught:
        step(OPERATIONS.create_session(**asked), ok({**SESSION, **answer}, 201))
    assert caught.value.already_done == f"session {ID!r} was created"


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"tags": ["a"]}, {"tags": ["a", "app:1"]}),
        ({"capabilities": [AgentCapability(ref="a", config=1)]}, {"capabilities": [{"ref": "b"}, {"ref": "a"}]}),
        ({"title": ""}, {"title": None}),
        ({"agent": "agent_1", "model": "model_1"}, {"agent_id": 5, "model_id": {}}),
        ({"capabilities": [AgentCapability(ref="a")]}, {"capabilities": "a"}),
        ({}, {"agent_id": "agent_of_the_organization", "tags": ["app:1"]}),
    ],
)
def test_added_or_unreadable_fields_are_not_an_error(asked: dict[str, Any], answer: dict[str, Any]) -> None:
    _, session = step(OPERATIONS.create_session(**asked), ok({**SESSION, **answer}, 201))
    assert session.id == ID


MESSAGE: Mapping[str, tuple[Any, Any]] = {
    "controls": (
        EverrunsControls(model_id="model_1", reasoning=EverrunsReasoning(effort="low")),
        {"model_id": "model_1", "reasoning": {"effort": "low"}},
    ),
    "metadata": ({"k": "v"}, {"k": "v"}),
    "tags": (["x"], ["x"]),
    "external_actor": ({"actor_id": "a", "source": "s"}, {"actor_id": "a", "source": "s"}),
    "addressed_participant_id": ("part_1", "part_1"),
    "client_message_id": ("mine", "mine"),
}


@pytest.mark.parametrize(("name", "value", "sent"), [(name, *values) for name, values in MESSAGE.items()])
def test_a_message_has_its_native_fields(name: str, value: Any, sent: Any) -> None:
    native = EverrunsMessage(**{name: value})
    posted = ok({"id": "message_1"}, 201)
    body = {"message": {"role": "user", "content": [{"type": "text", "text": "Hi"}]}, name: sent}
    calls, _ = step(OPERATIONS.send_message(ID, "Hi", native=native), posted)
    assert [summary(call) for call in calls] == [("POST", f"{PATH}/messages", body)]
    _, plan = step(OPERATIONS.start_turn(ID, "Hi", native=native), ok({"data": []}))
    assert isinstance(plan, TurnPlan)
    calls, _ = step(plan.send(), posted)
    assert sent_bodies(calls) == [body]


def test_every_native_field_is_tried() -> None:
    assert set(MESSAGE) == set(EverrunsMessage.model_fields)
    assert set(NEW_SESSION) == set(EverrunsNewSession.model_fields)
    assert set(NEW_AGENT) == set(EverrunsNewAgent.model_fields)


def test_mcp_servers_may_be_given_in_the_backends_spelling_and_are_not_shown() -> None:
    native = EverrunsNewSession.model_validate({"mcpServers": {"docs": {"headers": {"x-key": "hidden"}}}})
    assert native.to_body() == {"mcpServers": {"docs": {"headers": {"x-key": "hidden"}}}}
    assert "hidden" not in repr(native)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": [{"type": "builtin", "name": "bash", "description": "", "parameters": {}}]},
        {"max_iterations": -1},
        {"source": "slack"},
        {"of_tomorrow": 1},
    ],
)
def test_a_native_body_refuses_what_the_server_would_drop_or_refuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EverrunsNewSession.model_validate(wrong)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"agent": "agent_1", "native": EverrunsNewSession(agent_name="helper")}, "agent_id and agent_name"),
        ({"native": EverrunsNewSession(harness_id="h", harness_name="n")}, "harness_id and harness_name"),
        ({"model": ModelConfig(id="m", type="t", credential_id="c")}, "type, credential_id"),
        ({"model": ModelConfig(id="m", parameters={"x": 1})}, "parameters"),
    ],
)
def test_create_refuses_unsupported_values(asked: dict[str, Any], names: str) -> None:
    with pytest.raises(UsageError, match=names):
        step(OPERATIONS.create_session(**asked))


@pytest.mark.parametrize("prefix", RESERVED)
@pytest.mark.parametrize(
    "start",
    [
        lambda tag: OPERATIONS.create_session(tags=["fine", tag]),
        lambda tag: OPERATIONS.update_session(ID, tags=["fine", tag]),
        lambda tag: OPERATIONS.update_session(ID, add_tags=["fine", tag]),
    ],
    ids=["create", "replace", "add"],
)
def test_a_reserved_tag_is_refused_before_any_call(prefix: str, start: Callable[[str], Any]) -> None:
    with pytest.raises(UsageError, match=f"{prefix}x"):
        step(start(f"{prefix}x"))


@pytest.mark.parametrize(("name", "feature"), unsupported_fields(CREATE_FIELDS))
def test_create_refuses_unsupported_fields(name: str, feature: Feature) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        step(OPERATIONS.create_session(**{name: VALUES[name]}))
    assert (caught.value.feature, caught.value.hint) == (feature.value, PROVIDER.support(feature).note)


# --- Update


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {}),
        ({"title": "New"}, {"title": "New"}),
        ({"title": ""}, {"title": ""}),
        ({"tags": ["x", "y"]}, {"tags": ["x", "y"]}),
        ({"tags": []}, {"tags": []}),
        ({"tags": None}, {"tags": []}),
        ({"title": "New", "tags": ["x"]}, {"title": "New", "tags": ["x"]}),
        ({"native": EverrunsSessionChanges(locale="uk-UA")}, {"locale": "uk-UA"}),
        ({"native": EverrunsSessionChanges(agent_identity_id="identity_1")}, {"agent_identity_id": "identity_1"}),
        ({"native": EverrunsSessionChanges(agent_identity_id=None)}, {"agent_identity_id": None}),
        ({"native": EverrunsSessionChanges(goal="Fix it")}, {"goal": "Fix it"}),
        ({"native": EverrunsSessionChanges(virtual_user_id="identity_1")}, {"virtual_user_id": "identity_1"}),
        ({"native": EverrunsSessionChanges(virtual_user_id=None)}, {"virtual_user_id": None}),
        ({"title": "New", "native": EverrunsSessionChanges(goal="Fix it")}, {"title": "New", "goal": "Fix it"}),
    ],
)
def test_update_sends_only_the_passed_fields(asked: dict[str, Any], body: dict[str, Any]) -> None:
    calls, session = step(OPERATIONS.update_session(ID, **asked), ok({**SESSION, "title": "New"}))
    assert [summary(call) for call in calls] == [("PATCH", PATH, body)]
    assert session.title == "New"


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({"add_tags": ["c", "a", "c"]}, {"tags": ["a", "b", "c"]}),
        ({"remove_tags": ["a", "z"]}, {"tags": ["b"]}),
        ({"remove_tags": ["a", "b"]}, {"tags": []}),
        ({"add_tags": ["c"], "remove_tags": ["a"], "title": "New"}, {"title": "New", "tags": ["b", "c"]}),
        ({"add_tags": ["a"], "title": "New"}, {"title": "New"}),
        ({"add_tags": ["c"], "native": EverrunsSessionChanges(goal="g")}, {"goal": "g", "tags": ["a", "b", "c"]}),
    ],
)
def test_editing_tags_reads_them_and_writes_the_whole_list(asked: dict[str, Any], body: dict[str, Any]) -> None:
    calls, session = step(OPERATIONS.update_session(ID, **asked), ok(SESSION), ok({**SESSION, "tags": ["c"]}))
    assert [summary(call) for call in calls] == [("GET", PATH, None), ("PATCH", PATH, body)]
    assert session.tags == ("c",)


@pytest.mark.parametrize(("asked", "tags"), [({"add_tags": ["a"]}, ["a", "app:1"]), ({"remove_tags": ["z"]}, ["a"])])
def test_an_edit_that_changes_no_tag_is_not_sent(asked: dict[str, Any], tags: list[str]) -> None:
    calls, session = step(OPERATIONS.update_session(ID, **asked), ok({**SESSION, "tags": tags}))
    assert [summary(call) for call in calls] == [("GET", PATH, None)]
    assert session.tags == tuple(tags)


def test_the_tags_of_a_session_with_a_reserved_tag_cannot_be_edited() -> None:
    with pytest.raises(UsageError, match="'app:1' is reserved"):
        step(OPERATIONS.update_session(ID, add_tags=["c"]), ok({**SESSION, "tags": ["app:1"]}))


def test_a_tag_cannot_be_both_added_and_removed() -> None:
    with pytest.raises(UsageError, match="'c' is in both add_tags and remove_tags"):
        step(OPERATIONS.update_session(ID, add_tags=["c"], remove_tags=["c"]))


@pytest.mark.parametrize("name", ["locale", "goal"])
def test_null_is_refused_for_fields_that_it_does_not_clear(name: str) -> None:
    native = EverrunsSessionChanges.model_validate({name: None})
    with pytest.raises(UnsupportedOperation, match=f"{name} cannot be cleared") as caught:
        step(OPERATIONS.update_session(ID, add_tags=["c"], native=native))
    assert (caught.value.provider, caught.value.feature) == ("everruns", f"sessions.update native {name}=None")
    assert caught.value.hint


@pytest.mark.parametrize(("name", "feature"), unsupported_fields(UPDATE_FIELDS))
def test_update_refuses_unsupported_fields(name: str, feature: Feature) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        step(OPERATIONS.update_session(ID, **{name: VALUES[name]}))
    assert (caught.value.feature, caught.value.hint) == (feature.value, PROVIDER.support(feature).note)


@pytest.mark.parametrize(("name", "feature"), unsupported_fields(CLEAR_FIELDS))
def test_update_refuses_to_clear_what_cannot_be_cleared(name: str, feature: Feature) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        step(OPERATIONS.update_session(ID, **{name: None}))
    assert caught.value.hint == PROVIDER.support(feature).note
