"""The legacy generation of the Everruns emulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from providers.everruns.test_emulator import LINKS, UNKNOWN_SESSION, Api, served


@pytest.fixture
def legacy() -> Iterator[Api]:
    yield from served("legacy")


def test_a_legacy_session_has_only_the_legacy_fields(legacy: Api) -> None:
    body = {"agent_id": legacy.handle.agent_id, "title": "T", "locale": "en-GB", "harness_name": "generic"}
    created = legacy.session(**body)
    always = {"id", "organization_id", "agent_id", "harness_id", "status", "created_at", "updated_at", "tags"}
    assert set(created) == {*always, "capabilities", "title"}
    assert (created["tags"], created["capabilities"]) == ([], [])
    legacy.handle.control.start_turn(created["id"], duration_s=0)
    read = legacy.ok("GET", f"sessions/{created['id']}")
    assert set(read) == {*created, "started_at"}
    assert datetime.fromisoformat(read["started_at"]) <= datetime.now(UTC)


def test_a_legacy_session_needs_an_agent(legacy: Api) -> None:
    assert legacy.http.post("sessions", json={"title": "T"}).status_code == 422
    assert legacy.http.post("sessions", json={"agent_id": None}).status_code == 422


def test_a_legacy_update_accepts_title_and_tags(legacy: Api) -> None:
    path = f"sessions/{legacy.session(agent_id=legacy.handle.agent_id)['id']}"
    patched = legacy.ok("PATCH", path, body={"title": "T", "tags": ["a"], "locale": 5, "agent_identity_id": 5})
    assert (patched["title"], patched["tags"]) == ("T", ["a"])


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", f"sessions/{UNKNOWN_SESSION}", 404, "Session not found"),
        ("GET", "sessions/x", 400, "Invalid session ID: invalid prefix: expected 'session', got 'x'"),
    ],
)
def test_a_legacy_error_is_a_single_text(legacy: Api, method: str, path: str, status: int, text: str) -> None:
    response = legacy.http.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert response.json() == {"error": text}


def test_legacy_lists_and_agents_have_no_links(legacy: Api) -> None:
    for _ in range(2):
        legacy.session(agent_id=legacy.handle.agent_id)
    assert set(legacy.ok("GET", "sessions?limit=1&offset=1")) == {"data", "total", "offset", "limit"}
    assert set(legacy.ok("GET", "sessions?limit=1")) == {"data", "total", "offset", "limit"}
    (agent,) = legacy.ok("GET", "agents")["data"]
    assert not {*LINKS, "session_count"} & set(agent)
    assert not set(LINKS) & set(legacy.ok("GET", "models")["data"][0])


def test_a_waiting_legacy_session_has_the_other_spelling(legacy: Api) -> None:
    session_id = legacy.session(agent_id=legacy.handle.agent_id)["id"]
    legacy.handle.control.await_tool_results(session_id)  # type: ignore[attr-defined]
    assert legacy.ok("GET", f"sessions/{session_id}")["status"] == "waiting_for_tool_results"
