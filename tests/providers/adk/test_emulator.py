"""Behaviour of the ADK emulator that the requests of a single client cannot show."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession.emulation.emulator import Generation

SESSION = "/apps/assistant/users/u/sessions/s"
ABORTED = "INVOCATION_ABORTED"


class Server:
    """An emulator, used by raw HTTP."""

    def __init__(self, handle: EmulatorHandle, http: httpx.Client) -> None:
        self.control: Any = handle.control
        self.http = http
        self.http.post("/apps/assistant/users/u/sessions", json={"sessionId": "s"}).raise_for_status()

    def body(self, text: str | None = None, *, parts: Any = None, streaming: bool = False) -> dict[str, Any]:
        message = {"role": "user", "parts": parts or [{"text": text}]}
        return {"appName": "assistant", "userId": "u", "sessionId": "s", "streaming": streaming, "newMessage": message}

    def run(self, text: str | None = None, **options: Any) -> list[dict[str, Any]]:
        response = self.http.post("/run_sse", json=self.body(text, **options))
        assert response.status_code == 200
        return [json.loads(frame.removeprefix("data: ")) for frame in response.text.split("\n\n") if frame]

    def answer(self, call: dict[str, Any], response: dict[str, Any]) -> list[dict[str, Any]]:
        return self.run(parts=[{"functionResponse": {"id": call["id"], "name": call["name"], "response": response}}])

    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.http.get(SESSION).json()["events"]
        return events

    def eventually(self, look: Any) -> None:
        deadline_s = time.monotonic() + 10
        while not look():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


@contextlib.contextmanager
def serving(generation: Generation = "current") -> Iterator[Server]:
    with (
        serve("adk", generation=generation) as handle,
        httpx.Client(base_url=handle.base_url, trust_env=False, timeout=20) as http,
    ):
        yield Server(handle, http)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def legacy() -> Iterator[Server]:
    with serving("legacy") as server:
        yield server


def waiting(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the id of the waiting call."""
    (call,) = [
        part["functionCall"]
        for event in events
        for part in event.get("content", {}).get("parts", [])
        if part.get("functionCall", {}).get("id") in event.get("longRunningToolIds", [])
    ]
    return dict(call)


def leave(server: Server, text: str, *, after: str) -> None:
    """Close the connection of a turn at a given text."""
    with server.http.stream("POST", "/run_sse", json=server.body(text, streaming=True)) as response:
        next(chunk for chunk in response.iter_raw() if after.encode() in chunk)


def test_closing_the_connection_during_a_message_aborts_the_turn(server: Server) -> None:
    leave(server, "/slow 100", after="word1")

    server.eventually(lambda: len(server.events()) == 2)
    user, abort_event = server.events()
    assert user["author"] == "user"
    assert (abort_event["errorCode"], abort_event["author"], "content" in abort_event) == (ABORTED, "assistant", False)
    assert abort_event["invocationId"] == user["invocationId"]
    assert server.run("hello")[-1]["content"]["parts"] == [{"text": "You said: hello"}]


def test_closing_the_connection_during_a_tool_closes_its_call(server: Server) -> None:
    leave(server, "/wait 30", after="functionCall")

    server.eventually(lambda: server.events()[-1].get("errorCode") == ABORTED)
    abort_event = server.events()[-1]
    (response,) = abort_event["content"]["parts"]
    assert response["functionResponse"]["response"] == {"error": "Invocation was aborted by client."}


def test_an_answer_after_an_abort_still_runs_the_tool(server: Server) -> None:
    call = waiting(server.run("/ask"))
    assert server.answer(call, {"confirmed": True})[0]["content"]["parts"][0]["functionResponse"]["response"] == {
        "result": "item 0 is in stock"
    }


def test_a_change_during_a_turn_fails_it_on_sqlite_and_not_in_memory(server: Server) -> None:
    for storage, kind in (("sqlite", "StaleSessionError"), ("memory", None)):
        server.control.storage = storage
        with server.http.stream("POST", "/run_sse", json=server.body("/wait 0.3")) as response:
            chunks = response.iter_text()
            next(chunks)
            server.http.patch(SESSION, json={"stateDelta": {}}).raise_for_status()
            last = json.loads("".join(chunks).strip().split("\n\n")[-1].removeprefix("data: "))
        assert last.get("error_details", {}).get("error_type") == kind


def test_a_deletion_during_a_turn_fails_it(server: Server) -> None:
    with server.http.stream("POST", "/run_sse", json=server.body("/wait 0.3")) as response:
        chunks = response.iter_text()
        next(chunks)
        assert server.http.delete(SESSION).text == "null"
        assert "SessionNotFoundError" in "".join(chunks)
    assert server.http.get(SESSION).status_code == 404


def test_the_older_server_has_different_frames(legacy: Server) -> None:
    assert legacy.http.get("/version").json()["version"] == "1.39.1"
    frames = legacy.run("hello there", streaming=True)
    assert len({frame["id"] for frame in frames}) == len(frames)
    assert all("nodeInfo" not in frame for frame in frames)
    assert legacy.run("/fail") == [{"error": "the model is out of order"}]
    assert legacy.events()[-1]["author"] == "user"


def test_the_older_server_does_not_store_an_abort(legacy: Server) -> None:
    leave(legacy, "/slow 100", after="word1")
    legacy.run("hello")
    assert [event["author"] for event in legacy.events()] == ["user", "user", "assistant"]


def test_the_older_server_runs_an_approved_tool_again(legacy: Server) -> None:
    call = waiting(legacy.run("/ask"))
    first, second = legacy.answer(call, {"confirmed": True}), legacy.answer(call, {"confirmed": True})
    assert len(first) == len(second) == 2
    assert first[0]["invocationId"] != second[0]["invocationId"]


def test_a_turn_without_a_script_ends_after_its_duration(server: Server) -> None:
    server.control.start_turn("s", duration_s=0.1)
    assert [event["author"] for event in server.events()] == ["user"]
    server.eventually(lambda: len(server.events()) == 2)
    with pytest.raises(KeyError):
        server.control.start_turn("none", duration_s=0.1)


@pytest.mark.parametrize("headers", [{"host": "example.net"}, {"origin": "http://example.net"}])
def test_requests_to_other_host_names_are_rejected(server: Server, headers: dict[str, str]) -> None:
    response = server.http.get("/health", headers=headers)
    assert (response.status_code, response.text[:10]) == (403, "Forbidden:")
