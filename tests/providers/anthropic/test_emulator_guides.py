"""The Anthropic emulator accepts the guides' requests and returns their responses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from polysession.emulation import AskApproval
from polysession_anthropic.emulator import AnthropicEmulator
from providers.anthropic.test_emulator import IDLE, Api, frames, say, served_api
from support.anthropic_documented import AGENT, ENVIRONMENT
from support.published import differences, exchanges
from support.published import frames as published_frames

NEW_SESSIONS = exchanges("anthropic/documented/new_sessions.yaml")
BUDGET = exchanges("anthropic/documented/budget.yaml")
OPERATIONS = exchanges("anthropic/documented/session_operations.yaml")
(MULTIAGENT,) = exchanges("anthropic/documented/multiagent.yaml")
(USAGE,) = exchanges("anthropic/documented/usage.yaml")
(UNNAMED, OF_CHILD) = exchanges("anthropic/documented/idles.yaml")[0].answer["data"]
LINEAR = {"type": "url", "name": "linear", "url": "https://mcp.linear.app/sse"}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


def here(request: Any, replaced: Mapping[str, str]) -> Any:
    """Return a published request with the ids of this server."""
    text = json.dumps(request)
    for printed, own in replaced.items():
        text = text.replace(printed, own)
    return json.loads(text)


def own_ids(api: Api) -> dict[str, str]:
    """Return an agent and an environment of this server, instead of the printed ones."""
    return {AGENT: str(api.handle.agent_id), ENVIRONMENT: str(api.handle.environment_id)}


def test_sessions_are_created_in_every_form(api: Api) -> None:
    requests = [here(each.request, own_ids(api)) for each in NEW_SESSIONS if each.request]
    plain, pinned, changed, vaulted, seeded = [api.ok("POST", "/v1/sessions", request) for request in requests]

    assert (plain["status"], plain["agent"]["version"], pinned["agent"]["version"]) == ("idle", 1, 1)
    assert (changed["agent"]["model"]["id"], changed["agent"]["system"]) == ("claude-sonnet-5", None)
    assert (vaulted["vault_ids"], seeded["status"]) == (requests[3]["vault_ids"], "running")
    assert "initial_events" not in seeded
    (first,) = api.ok("GET", f"/v1/sessions/{seeded['id']}/events?types[]=user.message")["data"]
    assert differences(NEW_SESSIONS[-1].answer["data"][0], first) == []
    assert first["content"] == requests[-1]["initial_events"][0]["content"]


def test_a_budget_is_set_reached_raised_and_removed(api: Api) -> None:
    create, _, too_low, raised, removed = [here(each.request, own_ids(api)) for each in BUDGET]
    session = api.ok("POST", "/v1/sessions", create)
    one = f"/v1/sessions/{session['id']}"
    assert session["budget"] == create["budget"]
    api.turn(session["id"], say("/tool"))

    refused = api.http.post(one, json=too_low)
    assert refused.status_code == BUDGET[2].status
    assert differences(BUDGET[2].answer, refused.json()) == [".error.details: not published"]
    assert refused.json()["error"]["type"] == BUDGET[2].answer["error"]["type"]
    assert api.ok("POST", one, raised)["budget"] == raised["budget"]
    assert api.ok("POST", one, removed)["budget"] is None
    updated = api.ok("GET", f"{one}/events?types[]=session.updated")["data"]
    assert [event["budget"] for event in updated] == [raised["budget"], None]


def test_usage_is_reported_for_a_session_and_in_events(api: Api) -> None:
    session_id = api.new_session()
    received = dict(api.turn(session_id, say("hello")))

    assert differences(USAGE.answer["usage"], api.ok("GET", f"/v1/sessions/{session_id}")["usage"]) == []
    assert differences(USAGE.answer["usage"], received["session.usage"]["usage"]) == []
    assert received["session.usage"]["budget"] is None


def test_an_interrupt_comes_with_the_next_message(api: Api) -> None:
    _, redirect = exchanges("anthropic/documented/sending.yaml")
    session_id = api.new_session()
    with api.http.stream("GET", f"/v1/sessions/{session_id}/events/stream") as response:
        api.send(session_id, say("/slow 100"))
        answer = api.ok("POST", f"/v1/sessions/{session_id}/events", redirect.request)
        interrupted = list(frames(response, IDLE))

    pairs = zip(redirect.answer["data"], answer["data"], strict=True)
    assert [differences(*pair) for pair in pairs] == [[], []], "both wait to be processed"
    assert interrupted[-1][1]["stop_reason"] == {"type": "end_turn"}
    assert [data["processed_at"] is None for name, data in interrupted if name == "user.interrupt"][-1] is False


def test_idle_events_name_the_pending_actions(api: Api) -> None:
    session_id = api.new_session()
    received = api.turn(session_id, say("/ask"))
    assert differences(UNNAMED, received[-1][1]) == [".stop_details: not published"]
    assert received[-1][1]["stop_reason"]["type"] == "requires_action"

    other_id = api.new_session()
    assert isinstance(api.control, AnthropicEmulator)
    with api.http.stream("GET", f"/v1/sessions/{other_id}/events/stream") as response:
        use_id = api.control.consult_about(other_id, "code-reviewer", "May I?", AskApproval("rm", {}, "done"))
        received = list(frames(response, IDLE))
    (of_child,) = [
        data for name, data in received if name == OF_CHILD["type"] and data["agent_name"] == "code-reviewer"
    ]
    assert differences(OF_CHILD, of_child) == [".processed_at: not published", ".stop_details: not published"]
    assert of_child["stop_reason"] == {"type": "requires_action", "event_ids": [use_id]}


@pytest.mark.parametrize(("page", "ask"), [("answers", "/ask"), ("outputs", "/client-tool")])
def test_pending_actions_accept_the_published_answers(api: Api, page: str, ask: str) -> None:
    _, answer = exchanges(f"anthropic/documented/{page}.yaml")
    session_id = api.new_session()
    (use_id,) = api.turn(session_id, say(ask))[-1][1]["stop_reason"]["event_ids"]

    (event,) = here(answer.request, {"sevt_123": use_id})["events"]
    received = api.turn(session_id, event)

    assert received[-1][1]["stop_reason"] == {"type": "end_turn"}


def test_a_message_is_previewed_as_published(api: Api) -> None:
    session_id = api.new_session()
    previews = "event_deltas[]=agent.message"
    with api.http.stream("GET", f"/v1/sessions/{session_id}/events/stream?{previews}") as response:
        api.send(session_id, say("hello"))
        received = dict(frames(response, IDLE))

    for name, event in published_frames("anthropic/documented/previews.yaml"):
        assert differences(event, received[name]) == []


def test_tools_are_replaced_and_pages_are_read_forward_and_back(api: Api) -> None:
    agent = api.ok("POST", "/v1/agents", {"name": "a", "model": "m"})["id"]
    old, new = [api.new_session(agent=agent) for _ in range(2)]
    swapped = api.ok("POST", f"/v1/sessions/{old}", OPERATIONS[0].request)
    first = api.ok("GET", f"/v1/sessions?agent_id={agent}&limit=1")
    second = api.ok("GET", f"/v1/sessions?agent_id={agent}&limit=1&page={first['next_page']}")
    back = api.ok("GET", f"/v1/sessions?agent_id={agent}&limit=1&page={second['prev_page']}")

    assert [tool["type"] for tool in swapped["agent"]["tools"]] == ["agent_toolset_20260401", "mcp_toolset"]
    assert swapped["agent"]["mcp_servers"] == [LINEAR]
    for published, answered in zip(OPERATIONS[1:], (first, second, back), strict=True):
        assert differences(published.answer, {**answered, "data": []}) == []
    assert [[session["id"] for session in page["data"]] for page in (first, second, back)] == [[new], [old], [new]]


def test_a_coordinator_is_created(api: Api) -> None:
    answer = api.ok("POST", "/v1/agents", MULTIAGENT.request)

    assert answer["multiagent"] == MULTIAGENT.request["multiagent"]
    assert answer["model"]["id"] == MULTIAGENT.request["model"]
