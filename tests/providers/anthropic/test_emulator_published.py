"""The Anthropic emulator returns the JSON of the pages of August to September 2026.

The pages are older than execution identities and workflow runs, which the official SDK requires. The tests list these
differences, and accept no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polysession.emulation import Fault
from polysession_anthropic.emulator import AnthropicEmulator
from providers.anthropic.test_emulator import IDLE, Api, frames, say, served_api
from support.published import differences, example, exchanges
from support.published import frames as published_frames

CREATE = example("anthropic/documented/create.yaml")
AGENT = example("anthropic/documented/agent_create.yaml")
ENVIRONMENT = example("anthropic/documented/environment_create.yaml")
EVENTS = example("anthropic/documented/events.yaml")
(ARCHIVED,) = exchanges("anthropic/documented/archive.yaml")
(THREADS, OLD_THREAD, _) = exchanges("anthropic/documented/threads.yaml")
(ADDED, RESOURCES, REPOSITORY, ROTATED) = exchanges("anthropic/documented/resources.yaml")
(DELETED_RESOURCE, THREAD) = exchanges("anthropic/documented/parts.yaml")
(NOT_FOUND, OVERLOADED) = exchanges("anthropic/documented/errors.yaml")


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


def agent_of(published: Any) -> dict[str, Any]:
    """Return a body that creates an agent like a published one."""
    names = ("name", "description", "model", "system", "tools", "mcp_servers", "skills")
    return {"metadata": published.get("metadata", {}), **{name: published[name] for name in names}}


def coordinator(api: Api, published: Any) -> dict[str, Any]:
    """Return a body that creates a coordinator like the published agent."""
    (member,) = CREATE.answer["agent"]["multiagent"]["agents"]
    member_id = api.ok("POST", "/v1/agents", agent_of(member))["id"]
    return {**agent_of(published), "multiagent": {"type": "coordinator", "agents": [member_id]}}


def test_an_agent_is_created_as_published(api: Api) -> None:
    answer = api.ok("POST", "/v1/agents", coordinator(api, AGENT.answer))

    assert differences(AGENT.answer, answer) == [".execution_identity: not published"]
    assert {name: answer[name] for name in AGENT.request.keys() - {"tools", "model"}} == {
        name: AGENT.request[name] for name in AGENT.request.keys() - {"tools", "model"}
    }
    plain = api.ok("POST", "/v1/agents", AGENT.request)
    assert plain["model"]["id"] == AGENT.request["model"]


def test_an_environment_is_created_as_published(api: Api) -> None:
    answer = api.ok("POST", "/v1/environments", ENVIRONMENT.request)

    assert differences(ENVIRONMENT.answer, answer) == []
    assert answer["config"]["networking"] == ENVIRONMENT.answer["config"]["networking"]
    assert (answer["scope"], answer["config"]["packages"]["pip"]) == ("organization", ["pandas", "numpy"])


def test_a_session_is_created_as_published(api: Api) -> None:
    published = dict(CREATE.answer)
    resources = [
        {"type": "file", "file_id": "file_1", "mount_path": "/uploads/receipt.pdf"},
        {
            "type": "github_repository",
            "url": "https://github.com/example-org/example-repo",
            "checkout": {"type": "branch", "name": "main"},
        },
    ]
    rubric = {"type": "text", "content": "It has two pages."}
    outcome = {"type": "user.define_outcome", "description": "Produce a 2-page summary as summary.md", "rubric": rubric}
    body = {
        **CREATE.request,
        "agent": api.ok("POST", "/v1/agents", coordinator(api, published["agent"]))["id"],
        "environment_id": api.handle.environment_id,
        "resources": resources,
        "budget": published["budget"],
        "vault_ids": published["vault_ids"],
    }
    session_id = api.ok("POST", "/v1/sessions", body)["id"]
    with api.http.stream("GET", f"/v1/sessions/{session_id}/events/stream") as response:
        api.send(session_id, outcome)
        list(frames(response, IDLE))

    answer = api.ok("GET", f"/v1/sessions/{session_id}")
    mounted, printed = answer.pop("resources"), published.pop("resources")
    assert [differences(*pair) for pair in zip(printed, mounted, strict=True)] == [[], []]
    assert [each["mount_path"] for each in mounted] == [each["mount_path"] for each in printed]
    assert differences(published, answer) == [
        ".agent.execution_identity: not published",
        ".agent.multiagent.agents[].execution_identity: not published",
        ".deployment_id: str published, NoneType answered",
    ]
    for name in ("type", "status", "title", "metadata", "vault_ids", "budget"):
        assert answer[name] == published[name]

    archived = api.ok("POST", f"/v1/sessions/{session_id}/archive")
    assert differences(ARCHIVED.answer, {**archived, "resources": []}) == [
        ".agent.execution_identity: not published",
        ".agent.multiagent.agents[].execution_identity: not published",
        ".archived_at: NoneType published, str answered",
        ".deployment_id: str published, NoneType answered",
    ]


def test_a_thread_is_archived_and_a_resource_deleted_as_published(api: Api) -> None:
    file = {"type": "file", "file_id": "file_1"}
    agent = api.ok("POST", "/v1/agents", agent_of(CREATE.answer["agent"]))
    session_id = api.new_session(agent=agent["id"], resources=[file])
    assert isinstance(api.control, AnthropicEmulator)
    child = api.control.consult(session_id, "Researcher", "What is it?", "It is blue.")

    thread = api.ok("POST", f"/v1/sessions/{session_id}/threads/{child}/archive")
    (mounted,) = api.ok("GET", f"/v1/sessions/{session_id}/resources")["data"]
    deleted = api.ok("DELETE", f"/v1/sessions/{session_id}/resources/{mounted['id']}")

    assert differences(THREAD.answer, thread) == [
        ".workflow_run_id: not published",
        ".agent.execution_identity: not published",
        ".archived_at: NoneType published, str answered",
        ".parent_thread_id: NoneType published, str answered",
    ]
    assert differences(DELETED_RESOURCE.answer, deleted) == []


def test_threads_are_listed_and_read_as_published(api: Api) -> None:
    agent = api.ok("POST", "/v1/agents", agent_of(CREATE.answer["agent"]))
    session_id = api.new_session(agent=agent["id"])
    assert isinstance(api.control, AnthropicEmulator)
    api.control.consult(session_id, "Researcher", "What is it?", "It is blue.")

    page = api.ok("GET", f"/v1/sessions/{session_id}/threads?limit=1")
    (own,) = page["data"]
    read = api.ok("GET", f"/v1/sessions/{session_id}/threads/{own['id']}")

    newer = [".workflow_run_id: not published", ".agent.execution_identity: not published"]
    assert differences(THREADS.answer, page) == [f".data[]{each}" for each in newer]
    assert [each for each in differences(OLD_THREAD.answer, read) if not each.endswith(": not published")] == []
    assert read == own


def test_resources_are_added_listed_read_and_changed_as_published(api: Api) -> None:
    repository = {
        "type": "github_repository",
        "url": "https://github.com/o/r",
        "checkout": REPOSITORY.answer["checkout"],
    }
    session_id = api.new_session(resources=[repository])
    many = f"/v1/sessions/{session_id}/resources"
    added = api.ok("POST", many, ADDED.request)
    page = api.ok("GET", f"{many}?limit=1")
    (mounted,) = page["data"]
    read = api.ok("GET", f"{many}/{mounted['id']}")
    rotated = api.ok("POST", f"{many}/{mounted['id']}", ROTATED.request)

    assert differences(ADDED.answer, added) == []
    assert differences({**RESOURCES.answer, "data": RESOURCES.answer["data"][1:]}, page) == []
    assert differences(REPOSITORY.answer, read) == differences(ROTATED.answer, rotated) == []


def test_events_are_sent_and_listed_as_published(api: Api) -> None:
    session_id = api.new_session()

    answer = api.ok("POST", f"/v1/sessions/{session_id}/events", EVENTS.request)
    page = api.ok("GET", f"/v1/sessions/{session_id}/events?types[]=user.message")

    assert differences(EVENTS.answer, answer) == []
    assert page == {**answer, "next_page": None}


def test_a_turn_is_streamed_as_published(api: Api) -> None:
    answered = dict(api.turn(api.new_session(), say("Review the auth module for security issues")))

    for name, event in published_frames("anthropic/documented/turn.yaml"):
        extra = [".stop_details: not published", ".stop_reason: not published"] if name == IDLE else []
        assert differences(event, answered[name]) == extra
        assert answered[name]["type"] == name


def test_moments_of_turns_are_as_published(api: Api) -> None:
    session_id = api.new_session()
    asked = dict(api.turn(session_id, say("/ask")))
    rubric = {"type": "text", "content": "It is done."}
    outcome = {"type": "user.define_outcome", "description": "Do it", "rubric": rubric}
    done = dict(api.turn(api.new_session(), outcome))

    (moments,) = exchanges("anthropic/documented/moments.yaml")
    _, call, evaluated, requested = moments.answer["data"]
    assert differences(call, asked[call["type"]]) == [".input.command: missing", ".input.query: not published"]
    assert asked[call["type"]]["evaluation"] == call["evaluation"]
    assert differences(evaluated, done[evaluated["type"]]) == [".usage.speed: not published"]
    assert differences(requested, done[requested["type"]]) == [".model_usage.speed: not published"]


def test_errors_are_as_published(api: Api) -> None:
    response = api.http.get("/v1/sessions/sesn_missing")
    assert differences(NOT_FOUND.answer, response.json()) == []
    assert (response.status_code, response.json()["error"]["type"]) == (NOT_FOUND.status, "not_found_error")
    assert response.headers["request-id"] == response.json()["request_id"]

    api.handle.faults.add(Fault("refuse", status=OVERLOADED.status))
    overloaded = api.http.get("/v1/sessions")
    assert (overloaded.status_code, overloaded.json()["error"]["type"]) == (529, OVERLOADED.answer["error"]["type"])
