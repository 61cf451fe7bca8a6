"""Rules of the Anthropic emulator that the SDK does not check: headers, streams, and order.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming and
https://platform.claude.com/docs/en/manage-claude/authentication (read 2026-11)
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession_anthropic.emulator import AnthropicEmulator, events

BETA = {"anthropic-beta": "managed-agents-2026-04-01"}
NEW = {"authorization": "Bearer sk-ant-1", "anthropic-version": "2026-10-21", **BETA}
OLD = {"x-api-key": "sk-ant-1", "anthropic-version": "2023-06-01", **BETA}
IDLE = "session.status_idle"


class Api:
    """The emulator over plain HTTP."""

    def __init__(self, handle: EmulatorHandle, http: httpx.Client) -> None:
        assert isinstance(handle.control, AnthropicEmulator)
        self.handle = handle
        self.control = handle.control
        self.http = http

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        response = self.http.request(method, path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, method: str, path: str, body: Any = None, *, status: int = 400) -> Any:
        response = self.http.request(method, path, json=body)
        assert response.status_code == status, response.text
        return response.json()["error"]

    def new_session(self, **fields: Any) -> str:
        body = {"agent": self.handle.agent_id, "environment_id": self.handle.environment_id, **fields}
        session_id: str = self.ok("POST", "/v1/sessions", body)["id"]
        return session_id

    def send(self, session_id: str, *sent: Any) -> Any:
        return self.ok("POST", f"/v1/sessions/{session_id}/events", {"events": list(sent)})["data"]

    def turn(self, session_id: str, *sent: Any) -> list[tuple[str, Any]]:
        """Send events, and return the names and the data of the frames of their turn."""
        with self.http.stream("GET", f"/v1/sessions/{session_id}/events/stream") as response:
            self.send(session_id, *sent)
            return list(frames(response, IDLE))


def frames(response: httpx.Response, last: str) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        assert field in {"", "event", "data"}
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
            if name == last:
                return


def say(text: str) -> dict[str, Any]:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


@contextlib.contextmanager
def served_api() -> Iterator[Api]:
    with serve("anthropic") as handle, httpx.Client(base_url=handle.base_url, headers=NEW, trust_env=False) as http:
        yield Api(handle, http)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


@pytest.mark.parametrize("headers", [NEW, OLD, {**NEW, "anthropic-beta": f"other-1, {BETA['anthropic-beta']}"}])
def test_both_pairs_of_headers_are_accepted(api: Api, headers: dict[str, str]) -> None:
    response = httpx.get(f"{api.handle.base_url}/v1/sessions?beta=true", headers=headers, trust_env=False)

    assert response.status_code == 200, response.text
    assert response.headers["request-id"].startswith("req_")
    assert "x-request-id" not in response.headers


@pytest.mark.parametrize(
    ("path", "left_out", "status"),
    [
        ("/v1/sessions", "authorization", 401),
        ("/v1/sessions", "anthropic-version", 400),
        ("/v1/sessions", "anthropic-beta", 400),
        ("/v1/sessions/sesn_1/threads", "anthropic-beta", 404),
        ("/v1/unknown", "authorization", 401),
        ("/v1/models", "anthropic-beta", 200),
    ],
)
def test_headers_are_required(api: Api, path: str, left_out: str, status: int) -> None:
    headers = {name: value for name, value in NEW.items() if name != left_out}

    assert httpx.get(api.handle.base_url + path, headers=headers, trust_env=False).status_code == status


def test_frames_have_the_name_of_their_event_and_no_id(api: Api) -> None:
    received = api.turn(api.new_session(), say("hello"))

    assert all(name == data["type"] for name, data in received)
    times = [data["processed_at"] for _, data in received]
    assert times == sorted(times)


def test_a_silent_stream_has_pings(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.01)
    with api.http.stream("GET", f"/v1/sessions/{api.new_session()}/events/stream") as response:
        assert next(frames(response, "ping")) == ("ping", {"type": "ping"})


def test_a_turn_may_answer_queued_messages(api: Api) -> None:
    session_id = api.new_session()
    api.control.join_queued(session_id)

    received = api.turn(
        session_id, say("/slow 2"), {"type": "system.message", "content": [{"type": "text", "text": "s"}]}
    )
    assert [name for name, _ in received][2:4] == ["user.message", "system.message"]

    with api.http.stream("GET", f"/v1/sessions/{session_id}/events/stream") as response:
        first = api.send(session_id, say("/slow 3"))
        second = api.send(session_id, say("and this"))
        both = list(frames(response, IDLE))
    ends = [data["id"] for name, data in both if name == "user.message" and data["processed_at"]]
    assert ends == [first[0]["id"], second[0]["id"]]


def test_a_batch_is_accepted_whole_or_not_at_all(api: Api) -> None:
    session_id = api.new_session()
    wrong = {"type": "user.tool_confirmation", "tool_use_id": "sevt_1", "result": "allow"}

    api.refused("POST", f"/v1/sessions/{session_id}/events", {"events": [say("hello"), wrong]})
    assert api.ok("GET", f"/v1/sessions/{session_id}/events")["data"] == []


def test_while_actions_are_pending_a_message_waits_and_a_system_message_is_refused(api: Api) -> None:
    session_id = api.new_session()
    use_id = api.turn(session_id, say("/ask"))[-1][1]["stop_reason"]["event_ids"][0]
    system = {"type": "system.message", "content": [{"type": "text", "text": "s"}]}

    api.refused("POST", f"/v1/sessions/{session_id}/events", {"events": [system]})
    (queued,) = api.send(session_id, say("later"))
    assert queued["processed_at"] is None
    assert api.ok("GET", f"/v1/sessions/{session_id}/events")["data"][-1] == queued
    answer = {"type": "user.tool_confirmation", "tool_use_id": use_id, "result": "allow"}
    received = [name for name, _ in api.turn(session_id, answer, system)]
    assert received[:2] == ["user.tool_confirmation", "session.status_running"]
    assert "system.message" in received


@pytest.mark.parametrize(
    "event",
    [
        {"type": "user.message", "content": [{"type": "redacted", "source": {}}]},
        {"type": "user.message", "content": []},
        {"type": "user.shout", "content": "x"},
        {"type": "user.tool_confirmation", "tool_use_id": "x", "result": "allow", "session_thread_id": "sthr_1"},
        {"type": "user.define_outcome", "description": "d", "rubric": {"type": "song"}},
    ],
)
def test_events_that_are_not_documented_are_refused(api: Api, event: dict[str, Any]) -> None:
    session_id = api.new_session()
    assert api.refused("POST", f"/v1/sessions/{session_id}/events", {"events": [event]})["type"] == (
        "invalid_request_error"
    )


@pytest.mark.parametrize(
    "query", ["event_deltas[]=agent.tool_use", "after=x", "&".join(["event_deltas[]=agent.message"] * 101)]
)
def test_a_stream_accepts_only_the_event_deltas_parameter(api: Api, query: str) -> None:
    api.refused("GET", f"/v1/sessions/{api.new_session()}/events/stream?{query}")


def test_a_budget_is_whole_cents(api: Api) -> None:
    for amount, currency in (("25.00", "USD"), ("0", "USD"), ("25", "EUR")):
        budget = {"type": "limit", "max_list_cost": {"amount": amount, "currency": currency}}
        body = {"agent": api.handle.agent_id, "environment_id": api.handle.environment_id, "budget": budget}
        api.refused("POST", "/v1/sessions", body)


def test_overrides_are_consistent(api: Api) -> None:
    body = {"name": "a", "model": "m", "skills": [{"type": "anthropic", "skill_id": "xlsx"}]}
    agent = api.ok("POST", "/v1/agents", {**body, "tools": [{"type": "agent_toolset_20260401"}]})
    reference = {"type": "agent_with_overrides", "id": agent["id"], "tools": []}

    api.refused("POST", "/v1/sessions", {"agent": reference, "environment_id": api.handle.environment_id})


def test_an_archived_session_accepts_no_events_and_stays_readable(api: Api) -> None:
    session_id = api.new_session(title="t")
    api.turn(session_id, say("hello"))
    api.ok("POST", f"/v1/sessions/{session_id}/archive")

    refused = api.refused("POST", f"/v1/sessions/{session_id}/events", {"events": [say("more")]}, status=409)
    assert refused["type"] == "conflict_error"
    assert api.ok("GET", f"/v1/sessions/{session_id}/events")["data"][-1]["type"] == "session.status_terminated"
    assert session_id not in [each["id"] for each in api.ok("GET", "/v1/sessions?limit=100")["data"]]
