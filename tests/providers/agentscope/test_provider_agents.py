"""AgentScope's agents and the version of its server."""

from __future__ import annotations

from typing import Any

import pytest

from polysession._core.flow import Response
from polysession.errors import MalformedResponse, NotFound, ServerError
from polysession.resources import Agent
from polysession_agentscope import (
    AgentScopeAgentChanges,
    AgentScopeChatConfig,
    AgentScopeContextConfig,
    AgentScopeInviteConfig,
    AgentScopeNewAgent,
    AgentScopeReactConfig,
)
from polysession_agentscope.sessions import to_agent
from support.agentscope_reading import text_of
from support.agentscope_sessions import AGENT, OPERATIONS, PROVIDER, outcome, summaries
from support.flows import ok, step

AGENTS = ("GET", "/agent/", None)


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
    ("arguments", "body"),
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
def test_create_agent_sends_the_given_fields_and_reads_the_agent(
    arguments: dict[str, Any], body: dict[str, Any]
) -> None:
    calls, agent = step(
        OPERATIONS.create_agent(name="Helper", **arguments),
        AGENT_CREATED,
        ok({"agents": [{**AGENT, "id": "x"}, NEW_AGENT]}),
    )
    assert summaries(calls) == [("POST", "/agent/", {"name": "Helper", **body}), AGENTS]
    assert agent == to_agent(text_of(NEW_AGENT))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ServerError(), ServerError),
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


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({}, {}),
        ({"name": "Mender", "system_prompt": ""}, {"name": "Mender", "system_prompt": ""}),
        (
            {
                "native": AgentScopeAgentChanges(
                    chat_config=AgentScopeChatConfig(react_config=AgentScopeReactConfig(max_iters=3))
                )
            },
            {"chat_config": {"react_config": {"max_iters": 3}}},
        ),
    ],
)
def test_update_agent_sends_only_the_changes(arguments: dict[str, Any], body: dict[str, Any]) -> None:
    calls, agent = step(OPERATIONS.update_agent("a1", **arguments), ok(NEW_AGENT))
    assert summaries(calls) == [("PATCH", "/agent/a1", body)]
    assert agent == to_agent(text_of(NEW_AGENT))


def test_a_change_that_an_older_server_ignores_is_an_error() -> None:
    changes = AgentScopeAgentChanges(chat_config=CHAT)
    with pytest.raises(MalformedResponse, match="the server ignored chat_config"):
        step(OPERATIONS.update_agent("a1", native=changes), ok(AGENT))


def test_delete_agent_deletes_it() -> None:
    calls, nothing = step(OPERATIONS.delete_agent("a1"), Response(204, {}, b""))
    assert (summaries(calls), nothing) == ([("DELETE", "/agent/a1", None)], None)


def test_get_agent_finds_it_in_the_list_by_its_outer_id() -> None:
    misleading = {"id": "a2", "data": {"id": "a1", "name": "Another"}}
    calls, agent = step(OPERATIONS.get_agent("a1"), ok({"agents": [misleading, AGENT]}))
    assert summaries(calls) == [AGENTS]
    assert agent == to_agent(text_of(AGENT))


def test_an_unreadable_item_does_not_affect_others_and_is_reported() -> None:
    odd = {"id": "a2", "data": 5}
    _, page = step(OPERATIONS.list_agents(None)(None), ok({"agents": [1, AGENT, {"data": {}}, odd]}))
    assert [(agent.id, agent.problems) for agent in page.items] == [("a1", ()), ("a2", ("data: not an object",))]
    assert page.problems == (
        "item 0: the body is not a JSON object",
        "item 2: it has no valid id",
    )


def test_a_missing_agent_is_not_found() -> None:
    _, error = step(outcome(OPERATIONS.get_agent("a9")), ok({"agents": [AGENT]}))
    assert type(error) is NotFound
    assert error.status is None
    assert "user 'u1' has no agent 'a9'" in str(error)


@pytest.mark.parametrize(
    ("limit", "cursor", "ids", "next_cursor"),
    [(None, None, ["a3", "a2", "a1", "a0"], None), (2, None, ["a3", "a2"], "2"), (2, "2", ["a1", "a0"], None)],
)
def test_list_agents_sorts_the_newest_first(
    limit: int | None, cursor: str | None, ids: list[str], next_cursor: str | None
) -> None:
    agents = [{**AGENT, "id": f"a{number}", "created_at": f"2026-11-22T0{number}:00:00"} for number in (2, 1, 3)]
    timeless = {"id": "a0", "data": {"name": "Timeless"}}
    calls, page = step(OPERATIONS.list_agents(limit)(cursor), ok({"agents": [timeless, *agents]}))
    assert summaries(calls) == [AGENTS]
    assert ([agent.id for agent in page.items], page.next_cursor) == (ids, next_cursor)
    assert all(isinstance(agent, Agent) for agent in page.items)


def test_the_version_is_read_if_the_server_reports_it() -> None:
    calls, version = step(PROVIDER.read_version(), ok({"status": "ok", "version": "2.0.10", "components": {}}))
    assert ([(call.method, call.path) for call in calls], version) == ([("GET", "/health")], "2.0.10")
    assert step(PROVIDER.read_version(), NotFound("Not Found"))[1] is None
    assert step(PROVIDER.read_version(), ok({"status": "ok"}))[1] is None


def credential(credential_id: str, kind: str) -> dict[str, Any]:
    return {"id": credential_id, "data": {"type": kind, "name": "n", "api_key": "secret"}}


def test_the_models_of_each_credential_are_listed() -> None:
    cards = [{"type": "chat_model", "name": "gpt", "label": "GPT", "status": "active"}, 5]
    credentials = [credential("c1", "openai_credential"), credential("c2", "openai_credential"), {"id": "c3"}]
    calls, page = step(OPERATIONS.list_models(None)(None), ok({"credentials": credentials}), ok({"models": cards}))
    assert summaries(calls) == [("GET", "/credential/", None), ("GET", "/model/?provider=openai_credential", None)]
    assert [(model.id, model.name, model.type, model.credential_id) for model in page.items] == [
        ("gpt", "GPT", "openai_credential", "c1"),
        ("gpt", "GPT", "openai_credential", "c2"),
    ]
    assert page.items[0].raw == cards[0]
    assert "secret" not in str(page)
    assert page.problems == (
        *["openai_credential: item 1: the body is not a JSON object"] * 2,
        "credential c3: no readable type, so its models are missing",
    )
