"""The web page's service: a browser goes away in the middle of a turn, and the turn is read whole afterwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from polysession.testing import ServerProcess, process

APP = Path(__file__).parents[2] / "examples/web_app/app.py"
WORDS = 12


@pytest.fixture(scope="module", params=["qoder", "agentscope"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with process([sys.executable, APP, request.param, "--port", "{port}"], ready="/") as server:
        yield server


@pytest.fixture
def browser(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def turns(browser: httpx.Client) -> str:
    """Where the turns of a new session are."""
    session = browser.post("/api/sessions", json={"title": "Ticket 42"}).json()
    return f"/api/sessions/{session['id']}/turns"


def frames(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    """The names and the data of server-sent events."""
    name = ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def test_a_browser_goes_away_in_mid_turn_and_reads_the_turn_whole(browser: httpx.Client, turns: str) -> None:
    with browser.stream("POST", turns, json={"text": f"/slow {WORDS}"}) as answer:
        read = frames(answer)
        name, cursor = next(read)
        assert name == "cursor"
        assert any(name == "event" and event["type"] == "message.delta" for name, event in read)

    with browser.stream("GET", turns, params={"cursor": cursor}) as answer:
        events = [event for name, event in frames(answer) if name == "event"]
    assert (events[-1]["type"], events[-1]["outcome"]) == ("turn.ended", "completed")
    whole = [event["message"] for event in events if event["type"] == "message.completed"]  # deltas may come only once
    (said,) = ["".join(block["text"] for block in each["content"]) for each in whole if each["role"] == "assistant"]
    assert said.split() == [f"word{number}" for number in range(WORDS)]


def test_stored_actions_are_approved_by_a_later_request(browser: httpx.Client, turns: str) -> None:
    asked: dict[str, Any] = {"text": "/ask"}
    for outcome in ("requires_action", "completed"):
        with browser.stream("POST", turns, json=asked) as answer:
            events = [event for name, event in frames(answer) if name == "event"]
        assert events[-1]["outcome"] == outcome
        actions = [each for event in events if event["type"] == "action.required" for each in event["actions"]]
        asked = {"answers": [{"action": action, "allow": True} for action in actions]}


def test_an_unknown_session_is_an_error_before_or_in_the_stream(browser: httpx.Client) -> None:
    assert browser.get("/api/sessions/nobody/messages").status_code == httpx.codes.NOT_FOUND
    with browser.stream("POST", "/api/sessions/nobody/turns", json={"text": "hello"}) as answer:
        assert [name for name, _ in frames(answer)] == ["failure"]


def test_a_server_that_is_terminated_does_not_wait_for_a_long_turn() -> None:
    arguments: list[str | Path] = [sys.executable, APP, "everruns", "--port", "{port}", "--grace-s", "1"]
    with process(arguments, ready="/") as server, httpx.Client(base_url=server.base_url, timeout=30) as browser:
        session = browser.post("/api/sessions", json={"title": "Ticket 42"}).json()
        with browser.stream("POST", f"/api/sessions/{session['id']}/turns", json={"text": "/slow 600"}) as answer:
            read = frames(answer)
            assert next(read)[0] == "cursor"
            server.stop()  # it fails if the server waits for the turn, which takes a minute
