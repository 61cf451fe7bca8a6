from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from polysession._core.flow import Call, Response
from polysession._core.operations import CLEAR_FIELDS, CREATE_FIELDS, UPDATE_FIELDS, Operations
from polysession._core.provider import ErrorDetail
from polysession.change import NewAgent
from polysession.errors import MalformedResponse, MissingCredentials, NotFound, UnsupportedOperation, UsageError
from polysession.feature import Feature, Support
from polysession.provider_api import TurnPlan
from polysession.resources import Model
from polysession.session import AgentCapability, Cancellation, CancelState, ModelConfig, SessionStatus
from polysession.settings import load_settings
from polysession_everruns import (
    EverrunsCapability,
    EverrunsClientTool,
    EverrunsControls,
    EverrunsInitialFile,
    EverrunsMessage,
    EverrunsNetworkAccess,
    EverrunsNewAgent,
    EverrunsNewSession,
    EverrunsProvider,
    EverrunsReasoning,
    EverrunsSessionChanges,
    EverrunsSettings,
    polysession_provider,
)
from support.flows import ok, sent_bodies, step

ID = "session_0195e0c0000070008000000000000001"
SHORT_ID = "session_01933b5a00007000800000000000001"  # 31 digits, as the documentation prints ids
PATH = f"/v1/sessions/{ID}"
SESSION = {"id": ID, "status": "idle", "tags": ["a", "b"], "title": "Old"}
AGENT = {"id": "agent_1", "name": "helper"}
MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)
RESERVED = (
    *("__internal:", "app:", "app_channel:", "slack:app:", "slack:endpoint:", "fcp:endpoint:", "ag_ui:app:", "agent:"),
    "endpoint:",
)

PROVIDER = EverrunsProvider(EverrunsSettings(api_key="evr_pat_test"))
OPERATIONS = Operations(PROVIDER)

VALUES: Mapping[str, Any] = {
    "environment": "env_1",
    "metadata": {"team": "red"},
    "model": "model_1",
    "permission_mode": "ask",
    "id": "session_1",
    "owner": "alice",
    "idempotency_key": "key-1",
}


def summary(call: Call) -> tuple[str, str, Any]:
    """A call, after a look at the parts that no call of this backend has."""
    assert (dict(call.headers), call.after_s, call.read_only, call.idempotency_header) == ({}, 0.0, False, None)
    return call.method, call.path, sent_bodies([call])[0]


def unsupported_fields(fields: Mapping[str, Feature]) -> list[tuple[str, Feature]]:
    return [(name, feature) for name, feature in fields.items() if not PROVIDER.support(feature).support]


# --- Declaration and settings


def test_the_hook_gives_the_provider() -> None:
    assert polysession_provider() is EverrunsProvider


def test_every_feature_is_declared_and_what_is_not_native_says_why() -> None:
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


# --- Create

TOOL = EverrunsClientTool(name="look_up", description="Looks up", parameters={"type": "object"})
TOOL_BODY = {"type": "client_side", "name": "look_up", "description": "Looks up", "parameters": {"type": "object"}}
DEFINITION: Mapping[str, tuple[Any, Any]] = {
    "harness_id": ("harness_1", "harness_1"),
    "harness_name": ("generic", "generic"),
    "tools": ([TOOL], [TOOL_BODY]),
    "initial_files": (
        [EverrunsInitialFile(path="/a", content="eA==", encoding="base64", is_readonly=True)],
        [{"path": "/a", "content": "eA==", "encoding": "base64", "is_readonly": True}],
    ),
    "mcp_servers": ({"docs": {"url": "https://mcp.example"}}, {"docs": {"url": "https://mcp.example"}}),
    "network_access": (EverrunsNetworkAccess(blocked=["*.example"]), {"blocked": ["*.example"]}),
    "max_iterations": (0, 0),
    "parallel_tool_calls": (False, False),
}
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
NEW_AGENT: Mapping[str, tuple[Any, Any]] = {
    **DEFINITION,
    "id": ("agent_1", "agent_1"),
    "display_name": ("Helper", "Helper"),
    "tags": (["x"], ["x"]),
    "capabilities": (
        [EverrunsCapability(ref="web_fetch"), EverrunsCapability(ref="current_time", config={})],
        [{"ref": "web_fetch"}, {"ref": "current_time", "config": {}}],
    ),
}


def wire_name(name: str) -> str:
    return "mcpServers" if name == "mcp_servers" else name


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
def test_create_sends_what_was_given_and_no_more(asked: dict[str, Any], body: dict[str, Any]) -> None:
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
def test_fields_that_the_server_leaves_out_are_noticed(
    asked: dict[str, Any], answer: dict[str, Any], ignored: str
) -> None:
    """As the engine on its own does: it takes an agent by name, and knows no models, capabilities or workspaces."""
    with pytest.raises(MalformedResponse, match=f"left out {ignored} without an error") as caught:
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
def test_fields_that_the_server_adds_or_that_cannot_be_read_are_no_fault(
    asked: dict[str, Any], answer: dict[str, Any]
) -> None:
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
def test_a_message_carries_its_native_fields(name: str, value: Any, sent: Any) -> None:
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
def test_create_refuses_what_the_server_cannot_carry(asked: dict[str, Any], names: str) -> None:
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
def test_a_reserved_tag_is_refused_before_anything_is_sent(prefix: str, start: Callable[[str], Any]) -> None:
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
def test_update_sends_what_was_asked_and_no_more(asked: dict[str, Any], body: dict[str, Any]) -> None:
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
def test_tags_that_are_already_right_are_not_written(asked: dict[str, Any], tags: list[str]) -> None:
    calls, session = step(OPERATIONS.update_session(ID, **asked), ok({**SESSION, "tags": tags}))
    assert [summary(call) for call in calls] == [("GET", PATH, None)]
    assert session.tags == tuple(tags)


def test_tags_of_a_session_with_one_of_the_servers_own_cannot_be_edited() -> None:
    with pytest.raises(UsageError, match="'app:1' is reserved"):
        step(OPERATIONS.update_session(ID, add_tags=["c"]), ok({**SESSION, "tags": ["app:1"]}))


def test_a_tag_cannot_be_both_added_and_removed() -> None:
    with pytest.raises(UsageError, match="'c' is in add_tags and in remove_tags"):
        step(OPERATIONS.update_session(ID, add_tags=["c"], remove_tags=["c"]))


@pytest.mark.parametrize("name", ["locale", "goal"])
def test_what_null_does_not_clear_is_refused_before_anything_is_sent(name: str) -> None:
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


# --- Get, delete, archive, cancel


def test_get_reads_one_session() -> None:
    calls, session = step(OPERATIONS.get_session(ID), ok(SESSION))
    assert [summary(call) for call in calls] == [("GET", PATH, None)]
    assert (session.title, session.raw) == ("Old", SESSION)


@pytest.mark.parametrize("session_id", [SHORT_ID, "0195e0c0-0000-7000-8000-000000000001"])
def test_an_id_of_any_shape_is_sent_as_it_is(session_id: str) -> None:
    calls, session = step(OPERATIONS.get_session(session_id), ok({**SESSION, "id": session_id}))
    assert [call.path for call in calls] == [f"/v1/sessions/{session_id}"]
    assert session.id == session_id


def test_delete_reads_nothing() -> None:
    calls, result = step(OPERATIONS.delete_session(ID), Response(204, {}, b""))
    assert [summary(call) for call in calls] == [("DELETE", PATH, None)]
    assert result is None


def test_archive_is_refused_with_the_way_round() -> None:
    with pytest.raises(UnsupportedOperation, match=r"sessions\.delete"):
        step(OPERATIONS.archive_session(ID))


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"status": "cancelled", "message": "Turn cancelled successfully"}, CancelState.REQUESTED),
        ({"status": "no_op", "message": "No turn"}, CancelState.NOTHING_RUNNING),
        ({"status": "of-tomorrow"}, CancelState.REQUESTED),
        ({}, CancelState.REQUESTED),
    ],
)
def test_cancel_tells_whether_a_turn_was_running(answer: dict[str, Any], state: CancelState) -> None:
    calls, cancellation = step(OPERATIONS.cancel_session(ID), ok(answer))
    assert [summary(call) for call in calls] == [("POST", f"{PATH}/cancel", None)]
    assert (cancellation.session_id, cancellation.state, cancellation.raw) == (ID, state, answer)
    assert Cancellation.model_validate_json(cancellation.model_dump_json()) == cancellation


def test_an_odd_answer_to_a_cancellation_is_named() -> None:
    _, cancellation = step(OPERATIONS.cancel_session(ID), ok({"status": 5}))
    assert (cancellation.state, cancellation.problems) == (CancelState.REQUESTED, ("status: not text",))


@pytest.mark.parametrize(
    "start",
    [
        lambda: OPERATIONS.get_session(ID),
        OPERATIONS.create_session,
        lambda: OPERATIONS.update_session(ID, title="x"),
        lambda: OPERATIONS.cancel_session(ID),
        lambda: OPERATIONS.list_sessions()(None),
        lambda: OPERATIONS.get_agent("agent_1"),
    ],
)
@pytest.mark.parametrize("reply", [Response(200, {}, b""), Response(200, {}, b"<html>"), Response(200, {}, b"[]")])
def test_success_that_cannot_be_read_is_malformed(start: Callable[[], Any], reply: Response) -> None:
    with pytest.raises(MalformedResponse):
        step(start(), reply)


def test_a_session_without_an_id_is_malformed() -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.get_session(ID), ok({"status": "idle"}))


def test_a_refusal_is_not_swallowed() -> None:
    with pytest.raises(NotFound):
        step(OPERATIONS.update_session(ID, add_tags=["c"]), NotFound("gone", status=404))


# --- Agents


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {}),
        ({"description": "Helps"}, {"description": "Helps"}),
        ({"model": "model_1"}, {"default_model_id": "model_1"}),
        *[
            ({"native": EverrunsNewAgent(**{name: value})}, {wire_name(name): sent})
            for name, (value, sent) in NEW_AGENT.items()
        ],
    ],
)
def test_an_agent_is_created_with_what_was_given_and_no_more(asked: dict[str, Any], body: dict[str, Any]) -> None:
    flow = OPERATIONS.create_agent(name="helper", system_prompt="Help.", **asked)
    calls, agent = step(flow, ok(AGENT, 201))
    expected = {"name": "helper", "system_prompt": "Help.", **body}
    assert [summary(call) for call in calls] == [("POST", "/v1/agents", expected)]
    assert (agent.id, agent.name) == ("agent_1", "helper")


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        (NewAgent(name="helper"), "system_prompt"),
        (
            NewAgent(name="h", system_prompt="", native=EverrunsNewAgent(harness_id="h", harness_name="n")),
            "harness_id and harness_name",
        ),
    ],
)
def test_an_agent_that_the_server_cannot_create_is_refused(new: NewAgent, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        step(PROVIDER.create_agent(new))


def test_get_reads_one_agent() -> None:
    calls, agent = step(OPERATIONS.get_agent("agent_1"), ok(AGENT))
    assert [summary(call) for call in calls] == [("GET", "/v1/agents/agent_1", None)]
    assert agent.raw == AGENT


# --- Models


def test_models_are_listed_whole_and_cut_here() -> None:
    items = [
        {"id": "model_1", "model_id": "gpt", "display_name": "GPT"},
        {"id": "model_2", "model_id": "claude"},
        {"model_id": "nameless"},
        {"id": "model_3", "display_name": 7},
    ]
    calls, page = step(OPERATIONS.list_models(None)(None), ok({"data": items}))
    assert [summary(call) for call in calls] == [("GET", "/v1/models", None)]
    assert [(model.id, model.name) for model in page.items] == [
        ("model_1", "GPT"),
        ("model_2", "claude"),
        ("model_3", None),
    ]
    assert (page.items[0].raw, page.items[2].problems) == (items[0], ("display_name: not text",))
    assert [Model.model_validate_json(model.model_dump_json()) for model in page.items] == list(page.items)
    assert len(page.problems) == 1
    _, first = step(OPERATIONS.list_models(1)(None), ok({"data": items}))
    _, second = step(OPERATIONS.list_models(1)(first.next_cursor), ok({"data": items}))
    assert [model.id for model in (*first.items, *second.items)] == ["model_1", "model_2"]


# --- Errors


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        pytest.param({"error": "Session not found"}, "Session not found", None, id="legacy"),
        pytest.param({"error": "Session not found", "status": 404}, "Session not found", None, id="seed-with-status"),
        pytest.param(
            {"title": "Not Found", "status": 404, "detail": "Session not found", "code": "session_not_found"},
            "Session not found",
            "session_not_found",
            id="current",
        ),
        pytest.param({"title": "A sentence", "status": 400}, "A sentence", None, id="current-without-detail"),
        pytest.param(
            {"title": "A sentence", "status": 400, "detail": ""}, "A sentence", None, id="current-empty-detail"
        ),
        pytest.param(
            {"error": {"code": "not_found", "message": "Gone"}}, "Gone", "not_found", id="what-clients-expect"
        ),
        pytest.param(
            {"detail": "d", "error": {"code": "inner", "message": "m"}, "title": "t", "code": "outer"},
            "d",
            "outer",
            id="detail-and-outer-code-first",
        ),
        pytest.param({"error": "e", "title": "t"}, "e", None, id="error-before-title"),
        pytest.param({"detail": [{"msg": "x"}], "code": 7, "title": "t"}, "t", None, id="foreign-types"),
        pytest.param({"error": None}, "", None, id="null"),
        pytest.param([], "", None, id="list"),
    ],
)
def test_reads_each_generation_of_error_bodies(body: Any, message: str, code: str | None) -> None:
    reply = Response(404, {"content-type": "application/problem+json"}, json.dumps(body).encode())
    assert PROVIDER.read_error(reply) == ErrorDetail(message, code)


@pytest.mark.parametrize("content", [b"", b"Failed to parse the request body as JSON", b"<html>", b"\xff"])
def test_a_body_that_is_no_json_is_left_to_the_core(content: bytes) -> None:
    assert PROVIDER.read_error(Response(422, {}, content)) == ErrorDetail()
