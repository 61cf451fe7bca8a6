"""Requests and events that Anthropic's guides print, through the current client with the headers of those pages.

Most guides print no answers: what was filled in is in each file's note.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from polysession import (
    Approve,
    InvalidRequest,
    MessageCompleted,
    MessageDelta,
    SessionStatus,
    ToolOutput,
    Usage,
)
from polysession_anthropic import (
    AnthropicAgentReference,
    AnthropicAgentWithOverrides,
    AnthropicBudget,
    AnthropicListCost,
    AnthropicNewAgent,
    AnthropicNewSession,
    AnthropicSessionAgentChanges,
    AnthropicSessionChanges,
)
from support.anthropic_documented import AGENT, ENVIRONMENT, ONE, SESSION, Do, documented, streamed_turn
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent

TOOLSET = {"type": "agent_toolset_20260401"}


@pytest.fixture
def do(runner: ClientRunner) -> Do:
    return documented(runner)


def user(text: str) -> dict[str, Any]:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


@cassette("anthropic/documented/new_sessions.yaml")
def test_sessions_are_created_in_every_form(do: Do) -> None:
    def create(native: AnthropicNewSession | None = None, agent: str | None = AGENT) -> Any:
        return do(lambda client: client.sessions.create(agent=agent, environment=ENVIRONMENT, native=native))

    plain = create()
    pinned = create(AnthropicNewSession(agent=AnthropicAgentReference(id=AGENT, version=1)), agent=None)
    overrides = AnthropicAgentWithOverrides(id=AGENT, model={"id": "claude-sonnet-5"}, system=None)
    changed = create(AnthropicNewSession(agent=overrides), agent=None)
    create(AnthropicNewSession(vault_ids=["vlt_011CZkZDLs7fYzm1hXNPeRjv"]))
    seeded = create(AnthropicNewSession(initial_events=[user("List the files in the working directory.")]))
    (first,) = do(lambda client: client.sessions.events(seeded))

    assert (plain.status, pinned.raw["agent"]["version"]) == (SessionStatus.IDLE, 1)
    assert (changed.model.id, seeded.status) == ("claude-sonnet-5", SessionStatus.RUNNING)
    assert first.message.text == "List the files in the working directory."


@cassette("anthropic/documented/budget.yaml")
def test_a_budget_is_set_reached_raised_and_removed(do: Do) -> None:
    def limit(cents: str) -> AnthropicBudget:
        return AnthropicBudget(max_list_cost=AnthropicListCost(amount=cents))

    def update(budget: AnthropicBudget | None) -> Any:
        native = AnthropicSessionChanges(budget=budget)
        return do(lambda client: client.sessions.update(SESSION, native=native))

    native = AnthropicNewSession(budget=limit("125"))
    created = do(lambda client: client.sessions.create(agent=AGENT, environment=ENVIRONMENT, native=native))
    paused = do(lambda client: client.sessions.get(SESSION))
    with pytest.raises(InvalidRequest, match="must be greater than the session's consumed list cost") as refused:
        update(limit("1"))
    raised, removed = update(limit("500")), update(None)

    assert created.raw["budget"]["max_list_cost"]["amount"] == "125"
    assert (paused.status, paused.usage.cost_usd, paused.usage.input_tokens) == ("idle", Decimal("0.12"), 471)
    assert (refused.value.code, refused.value.request_id) == (
        "invalid_request_error",
        "req_staging_011CdiPi8iPJKWdiuurZuDkB",
    )
    assert (raised.status, removed.raw["budget"]) == (SessionStatus.RUNNING, None)


@cassette("anthropic/documented/usage.yaml")
def test_usage_is_read(do: Do) -> None:
    session = do(lambda client: client.sessions.get("sesn_01..."))

    assert session.usage == Usage(
        input_tokens=5000,
        output_tokens=3200,
        cache_read_tokens=20000,
        cache_creation_tokens=2000,
        cost_usd=Decimal("1.87"),
    )
    assert session.raw["usage"]["active_seconds"] == 342.5


@cassette("anthropic/documented/sending.yaml")
def test_a_message_is_sent_and_another_one_behind_an_interrupt(do: Do) -> None:
    do(lambda client: client.sessions.send(SESSION, "Analyze the performance of the sort function in utils.py"))
    events = [{"type": "user.interrupt"}, user("Instead, focus on fixing the bug in line 42.")]
    answer = do(lambda client: client.request("POST", f"{ONE}/events", json={"events": events})).json()

    assert [event["processed_at"] for event in answer["data"]] == [None, None]


@cassette("anthropic/documented/idles.yaml")
def test_an_idle_without_its_whole_type_and_that_of_a_thread_are_kept(do: Do) -> None:
    unnamed, of_child = do(lambda client: client.sessions.events(SESSION))

    assert (unnamed.type, unnamed.native_type, unnamed.id) == ("raw", "status_idle", "sevt_456")
    assert unnamed.payload["stop_reason"] == {"event_ids": ["sevt_123"], "type": "requires_action"}
    assert (of_child.type, of_child.native_type) == ("raw", "session.thread_status_idle")
    assert of_child.payload["session_thread_id"] == "sthr_01DEF..."
    assert unnamed.problems == of_child.problems == ()


@cassette("anthropic/documented/answers.yaml")
def test_a_call_that_waits_is_allowed(do: Do, vcr: Any) -> None:
    do(lambda client: client.sessions.answer(SESSION, [Approve("sevt_123")]))
    (body,) = sent(vcr, "POST")
    assert body["events"] == [{"type": "user.tool_confirmation", "tool_use_id": "sevt_123", "result": "allow"}]


@cassette("anthropic/documented/outputs.yaml")
def test_the_result_of_a_custom_tool_is_sent(do: Do, vcr: Any) -> None:
    do(lambda client: client.sessions.answer(SESSION, [ToolOutput("sevt_123", "42")]))
    (body,) = sent(vcr, "POST")
    assert body["events"][0]["custom_tool_use_id"] == "sevt_123"


@cassette("anthropic/documented/previews.yaml")
def test_a_message_is_previewed(runner: ClientRunner) -> None:
    received = streamed_turn(runner)

    assert [event.type for event in received[:3]] == ["message.started", "message.delta", "message.completed"]
    (delta,) = [event for event in received if isinstance(event, MessageDelta)]
    (whole,) = [event for event in received if isinstance(event, MessageCompleted)]
    assert (delta.text, delta.message_id) == ("Here is the summary", whole.message.id)


@cassette("anthropic/documented/session_operations.yaml")
def test_tools_are_swapped_and_pages_turned_forward_and_back(do: Do) -> None:
    tools = [TOOLSET, {"type": "mcp_toolset", "mcp_server_name": "linear"}]
    servers = [{"type": "url", "name": "linear", "url": "https://mcp.linear.app/sse"}]
    native = AnthropicSessionChanges(agent=AnthropicSessionAgentChanges(tools=tools, mcp_servers=servers))
    do(lambda client: client.sessions.update(SESSION, native=native))
    ids = [session.id for session in do(lambda client: client.sessions.list(agent=AGENT, page_size=1))]
    previous = {"agent_id": AGENT, "limit": 1, "page": "page_MjAyNS0wNS0xM1QwMDowMDowMFo="}
    back = do(lambda client: client.request("GET", "/v1/sessions", query=previous)).json()

    assert ids == [SESSION, "sesn_2"]
    assert ([session["id"] for session in back["data"]], back["prev_page"]) == ([SESSION], None)


@cassette("anthropic/documented/multiagent.yaml")
def test_an_agent_that_leads_others_is_created(do: Do) -> None:
    members = [{"type": "agent", "id": agent_id} for agent_id in ("agent_011CZkYqphY8vELVzwCUpqiQ", AGENT)]
    subagents = {"type": "enabled", "predefined_agents": members}
    native = AnthropicNewAgent(tools=[TOOLSET], multiagent={"type": "multiagent_20261001", "subagents": subagents})
    system = (
        "You coordinate engineering work. Delegate code review to the reviewer agent and test writing to the test "
        "agent."
    )
    agent = do(
        lambda client: client.agents.create(
            name="Engineering Lead", model="claude-opus-5-5", system_prompt=system, native=native
        )
    )

    assert (agent.name, agent.model) == ("Engineering Lead", "claude-opus-5-5")
    assert agent.raw["multiagent"]["subagents"]["predefined_agents"] == members
