"""Statuses, cancellation, counts and forks of sessions in the Everruns emulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from providers.everruns.test_emulator import UNKNOWN_SESSION, Api, conforms, served


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    yield from served()


@pytest.fixture
def fresh() -> Iterator[Api]:
    yield from served()


def test_a_session_is_started_then_active_then_idle(api: Api) -> None:
    path = f"sessions/{(session := api.session())['id']}"
    assert (session["status"], "started_at" in session) == ("started", False)
    api.handle.control.start_turn(session["id"], duration_s=60)
    running = conforms(api.ok("GET", path), "WithUrls_Session")
    assert (running["status"], running["started_at"]) == ("active", running["updated_at"])
    api.handle.control.start_turn(session["id"], duration_s=0)
    after = api.ok("GET", path)
    assert (after["status"], after["started_at"]) == ("idle", running["started_at"])


def test_a_turn_of_an_unknown_session_cannot_be_started(api: Api) -> None:
    with pytest.raises(KeyError):
        api.handle.control.start_turn(UNKNOWN_SESSION, duration_s=1)


def test_a_session_that_needs_the_client_waits_for_tool_results(api: Api) -> None:
    session = api.session()
    api.handle.control.await_tool_results(session["id"])  # type: ignore[attr-defined]
    assert api.ok("GET", f"sessions/{session['id']}")["status"] == "waitingfortoolresults"
    api.handle.control.start_turn(session["id"], duration_s=60)
    assert api.ok("GET", f"sessions/{session['id']}")["status"] == "active"


def cancel(api: Api, session_id: str) -> tuple[str, str]:
    body = conforms(api.ok("POST", f"sessions/{session_id}/cancel"), "CancelTurnResponse")
    return body["status"], body["message"]


@pytest.mark.parametrize("begin", ["start_turn", "await_tool_results"])
def test_cancelling_ends_a_turn_and_is_no_error_without_one(api: Api, begin: str) -> None:
    session_id = api.session()["id"]
    assert cancel(api, session_id) == ("no_op", "No turn currently running")
    options = {"duration_s": 60} if begin == "start_turn" else {}
    getattr(api.handle.control, begin)(session_id, **options)
    assert cancel(api, session_id) == ("cancelled", "Turn cancelled successfully")
    assert api.ok("GET", f"sessions/{session_id}")["status"] == "idle"
    assert cancel(api, session_id) == ("no_op", "No turn currently running")


def test_stats_count_sessions_by_status(fresh: Api) -> None:
    emulator: Any = fresh.handle.control
    ids = [fresh.session()["id"] for _ in range(10)]
    for session_id in ids[:2]:
        emulator.start_turn(session_id, duration_s=60)
    for session_id in ids[2:5]:
        emulator.start_turn(session_id, duration_s=0)
    emulator.await_tool_results(ids[5])
    stats = conforms(fresh.ok("GET", "sessions/stats"), "SessionStatsResponse")
    assert stats == {"total": 10, "active": 2, "idle": 3, "started": 4, "waiting_for_tool_results": 1}


def test_a_fork_inherits_and_may_override(api: Api) -> None:
    parent = api.session(agent_id=api.handle.agent_id, title="Plan", tags=["a"], locale="en-GB", max_iterations=2)
    fork = conforms(api.ok("POST", f"sessions/{parent['id']}/fork", 201, {}), "WithUrls_Session")
    inherited = ("agent_id", "harness_id", "tags", "locale", "max_iterations")
    assert {name: fork[name] for name in inherited} == {name: parent[name] for name in inherited}
    assert (fork["title"], fork["forked_from_session_id"]) == ("Plan (fork)", parent["id"])
    assert fork["id"] != parent["id"]
    assert fork["workspace_id"] != parent["workspace_id"]
    other = api.agent("for-a-fork")["id"]
    overrides = {"title": "B", "tags": ["z"], "locale": "uk-UA", "system_prompt": "Other.", "agent_id": other}
    changed = api.ok("POST", f"sessions/{parent['id']}/fork", 201, overrides)
    assert {name: changed[name] for name in overrides} == overrides
    assert api.ok("GET", f"sessions/{parent['id']}") == {**parent, "is_pinned": False}


def test_a_session_in_a_turn_cannot_be_forked(api: Api) -> None:
    session_id = api.session()["id"]
    api.handle.control.start_turn(session_id, duration_s=60)
    api.refused("POST", f"sessions/{session_id}/fork", 409, {})
    api.handle.control.await_tool_results(session_id)  # type: ignore[attr-defined]
    api.refused("POST", f"sessions/{session_id}/fork", 409, {})
