"""Other calls of the Everruns provider: get, delete, cancel, agents, models, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from polysession._core.flow import Response
from polysession._core.provider import ErrorDetail
from polysession.change import NewAgent
from polysession.errors import MalformedResponse, NotFound, UnsupportedOperation, UsageError
from polysession.resources import Model
from polysession.session import Cancellation, CancelState
from polysession_everruns import EverrunsAgentChanges, EverrunsNewAgent
from support.everruns_provider import (
    ID,
    NEW_AGENT,
    OPERATIONS,
    PATH,
    PROVIDER,
    SESSION,
    summary,
    wire_name,
)
from support.flows import ok, step

SHORT_ID = "session_01933b5a00007000800000000000001"  # 31 digits, as the documentation prints ids


AGENT = {"id": "agent_1", "name": "helper"}


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


def test_archive_is_refused_with_an_alternative() -> None:
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
def test_cancel_reports_whether_a_turn_was_running(answer: dict[str, Any], state: CancelState) -> None:
    calls, cancellation = step(OPERATIONS.cancel_session(ID), ok(answer))
    assert [summary(call) for call in calls] == [("POST", f"{PATH}/cancel", None)]
    assert (cancellation.session_id, cancellation.state, cancellation.raw) == (ID, state, answer)
    assert Cancellation.model_validate_json(cancellation.model_dump_json()) == cancellation


def test_an_invalid_response_to_a_cancel_is_reported() -> None:
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
def test_an_unreadable_success_is_malformed(start: Callable[[], Any], reply: Response) -> None:
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
def test_an_agent_is_created_with_only_the_passed_fields(asked: dict[str, Any], body: dict[str, Any]) -> None:
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


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ({}, {}),
        ({"name": "mender", "system_prompt": "Mend."}, {"name": "mender", "system_prompt": "Mend."}),
        ({"model": "model_1", "description": ""}, {"default_model_id": "model_1", "description": ""}),
        ({"native": EverrunsAgentChanges(status="active")}, {"status": "active"}),
        *[
            ({"native": EverrunsAgentChanges(**{name: value})}, {wire_name(name): sent})
            for name, (value, sent) in NEW_AGENT.items()
            if name != "id"
        ],
    ],
)
def test_an_update_of_an_agent_sends_only_the_passed_fields(asked: dict[str, Any], body: dict[str, Any]) -> None:
    calls, agent = step(OPERATIONS.update_agent("agent_1", **asked), ok(AGENT))
    assert [summary(call) for call in calls] == [("PATCH", "/v1/agents/agent_1", body)]
    assert agent.raw == AGENT


@pytest.mark.parametrize(
    ("native", "kind"),
    [
        (EverrunsAgentChanges(tags=None), UnsupportedOperation),
        (EverrunsAgentChanges(mcp_servers=None), UnsupportedOperation),
        (EverrunsAgentChanges(harness_id="h", harness_name="n"), UsageError),
    ],
)
def test_a_change_that_the_server_cannot_make_is_refused(native: EverrunsAgentChanges, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        step(OPERATIONS.update_agent("agent_1", native=native))


def test_an_agent_is_archived_by_delete_and_then_read() -> None:
    calls, agent = step(OPERATIONS.archive_agent("agent_1"), Response(204, {}, b""), ok(AGENT))
    assert [summary(call) for call in calls] == [
        ("DELETE", "/v1/agents/agent_1", None),
        ("GET", "/v1/agents/agent_1", None),
    ]
    assert agent.raw == AGENT
    with pytest.raises(UnsupportedOperation, match="archive"):
        step(OPERATIONS.delete_agent("agent_1"))


def test_get_reads_one_agent() -> None:
    calls, agent = step(OPERATIONS.get_agent("agent_1"), ok(AGENT))
    assert [summary(call) for call in calls] == [("GET", "/v1/agents/agent_1", None)]
    assert agent.raw == AGENT


# --- Models


def test_models_are_paged_in_the_client() -> None:
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
        pytest.param({"error": "Session not found", "status": 404}, "Session not found", None, id="legacy-with-status"),
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
def test_a_body_that_is_not_json_gives_an_empty_detail(content: bytes) -> None:
    assert PROVIDER.read_error(Response(422, {}, content)) == ErrorDetail()
