"""Sending, listing and streaming events in the Qoder emulator, tested over plain HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/send, /list and /stream beside it (read 2026-11)
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession.emulation.emulator import Generation
from polysession_qoder.emulator import events

TEXT = [{"type": "text", "text": "hello"}]
MESSAGE = {"type": "user.message", "content": TEXT}


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


def connect(handle: EmulatorHandle) -> httpx.Client:
    return httpx.Client(base_url=handle.base_url, headers={"authorization": "Bearer pt-x"}, trust_env=False)


@pytest.fixture
def http(emulator: EmulatorHandle) -> Iterator[httpx.Client]:
    with connect(emulator) as client:
        yield client


def new_session(http: httpx.Client, handle: EmulatorHandle) -> str:
    body = {"agent": handle.agent_id, "environment_id": handle.environment_id}
    path: str = "/sessions/" + http.post("/sessions", json=body).json()["id"]
    return path


@pytest.fixture
def session(http: httpx.Client, emulator: EmulatorHandle) -> str:
    return new_session(http, emulator)


def finished_turn(http: httpx.Client, session: str, text: str = "hello") -> list[Any]:
    """Send a message, wait for the end of the turn, and return the stored events."""
    sent = http.post(f"{session}/events", json={"events": [{**MESSAGE, "content": [{"type": "text", "text": text}]}]})
    assert sent.is_success, sent.text
    kept: list[Any] = []
    while not kept or kept[-1]["type"] != "session.status_idle":
        time.sleep(0.01)
        kept = http.get(f"{session}/events?limit=100").json()["data"]
    return kept


def frames(http: httpx.Client, address: str, count: int, **options: Any) -> list[tuple[str, Any]]:
    """Read the first frames of a stream. Returns their ids and events."""
    found: list[tuple[str, Any]] = []
    event_id = ""
    with http.stream("GET", address, **options) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            event_id = value if name == "id" else event_id
            if name == "data":
                found.append((event_id, json.loads(value)))
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"events": []},
        MESSAGE,
        {"events": [{"type": "user.message", "content": "hello"}]},
        {"events": [{"type": "user.message", "content": []}]},
        {"events": [{"type": "user.message", "content": [{"type": "video"}]}]},
        {"events": [{"type": "agent.message", "content": TEXT}]},
        {"events": [{"type": "user.tool_confirmation", "tool_use_id": "evt_1", "decision": "approve"}]},
        {"events": [{"type": "user.tool_confirmation", "tool_use_id": "evt_1", "result": "maybe"}]},
        {"events": [{"type": "user.tool_confirmation", "tool_use_id": "evt_1", "result": "allow"}]},
        {"events": [{"type": "user.custom_tool_result", "custom_tool_use_id": "evt_1"}]},
        {"events": [{"type": "system.message", "content": TEXT}, MESSAGE]},
        {"events": [MESSAGE, {"type": "user.message", "content": "hello"}]},
    ],
)
def test_an_invalid_batch_is_refused_as_a_whole(http: httpx.Client, session: str, body: Any) -> None:
    assert http.post(f"{session}/events", json=body).status_code == 400
    assert http.get(f"{session}/events").json()["data"] == []


def test_an_archived_session_accepts_no_events(http: httpx.Client, session: str) -> None:
    http.post(f"{session}/archive", json={})

    assert http.post(f"{session}/events", json={"events": [MESSAGE]}).status_code == 409


def test_a_stream_has_no_earlier_events(http: httpx.Client, session: str) -> None:
    kept = finished_turn(http, session)
    with http.stream("GET", f"{session}/events/stream") as response:
        http.post(f"{session}/events", json={"events": [MESSAGE]})
        first = next(line for line in response.iter_lines() if line.startswith("id: "))

    assert first.removeprefix("id: ") not in {event["id"] for event in kept}


def test_a_cursor_continues_after_its_event(http: httpx.Client, session: str) -> None:
    kept = finished_turn(http, session)
    cursor = {"last-event-id": kept[3]["id"]}
    received = frames(http, f"{session}/events/stream?event_deltas[]=agent.message", len(kept) - 4, headers=cursor)

    # The message was complete before, so its previews are not sent again.
    assert received == [(event["id"], event) for event in kept[4:]]


def test_previews_have_the_id_of_their_event(http: httpx.Client, session: str) -> None:
    with http.stream("GET", f"{session}/events/stream?event_deltas[]=agent.message") as response:
        http.post(f"{session}/events", json={"events": [MESSAGE]})
        ids, kinds = [], []
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                ids.append(value)
            if name == "event":
                kinds.append(value)
            if value == "agent.message":
                break

    previews = [event_id for event_id, kind in zip(ids, kinds, strict=True) if kind.startswith("event_")]
    assert set(previews) == {ids[-1]}
    assert len(previews) > 2


def test_the_list_has_filters_and_pages(http: httpx.Client, session: str) -> None:
    kept = finished_turn(http, session)

    def listed(query: str) -> list[str]:
        return [event["type"] for event in http.get(f"{session}/events?{query}").json()["data"]]

    assert listed("types=agent.message,user.message") == ["user.message", "agent.message"]
    assert listed("types[]=agent.message&types[]=session.usage") == ["agent.message", "session.usage"]
    assert listed("types=no.such.type") == []
    assert listed("order=desc&limit=1") == ["session.status_idle"]
    assert listed(f"after_id={kept[-2]['id']}") == ["session.status_idle"]
    assert listed(f"created_at[gt]={kept[-1]['processed_at'].replace('+', '%2B')}") == []
    assert http.get(f"{session}/events?limit=101").status_code == 400


def test_the_list_is_a_stream_for_an_sse_accept_header(http: httpx.Client, session: str) -> None:
    finished_turn(http, session)
    first = http.get(f"{session}/events?limit=1").json()["data"][0]
    headers = {"accept": "text/event-stream", "last-event-id": first["id"]}

    assert frames(http, f"{session}/events", 1, headers=headers)[0][1]["type"] == "session.thread_status_running"


def test_credits_add_up(http: httpx.Client, session: str) -> None:
    kept = finished_turn(http, session, "/tool")

    (usage,) = [event for event in kept if event["type"] == "session.usage"]
    assert usage["total_credits"] == http.get(session).json()["usage"]["total_credits"] == 0.1


@pytest.mark.parametrize(
    ("generation", "heartbeat"), [("current", b": heartbeat\n\n"), ("legacy", b"event: heartbeat\ndata: {}\n\n")]
)
def test_a_silent_stream_has_heartbeats(
    monkeypatch: pytest.MonkeyPatch, generation: Generation, heartbeat: bytes
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.01)
    with serve("qoder", generation=generation) as handle, connect(handle) as http:
        session = new_session(http, handle)
        with http.stream("GET", f"{session}/events/stream") as response:
            assert next(response.iter_raw()) == heartbeat


def test_the_legacy_generation_replays_everything_and_returns_202() -> None:
    with serve("qoder", generation="legacy") as handle, connect(handle) as http:
        session = new_session(http, handle)
        sent = http.post(f"{session}/events", json={"events": [MESSAGE]})
        assert sent.status_code == 202
        assert sent.json().keys() == {"session_id", "turn_id", "schema_version", "created_at"}
        received = [event for _, event in frames(http, f"{session}/events/stream", 5)]
        assert [event["type"] for event in received] == [
            "user.message",
            "session.status_running",
            "span.model_request_start",
            "agent.message",
            "span.model_request_end",
        ]
        assert {name: {event[name] for event in received} for name in ("session_id", "turn_id", "schema_version")} == {
            "session_id": {sent.json()["session_id"]},
            "turn_id": {sent.json()["turn_id"]},
            "schema_version": {"1.0"},
        }
