"""The legacy generation of the Qoder emulator (May 2026), tested over plain HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and /cloud-agents/api/sessions/update
(as they were in 2026-05, read 2026-11)
"""

from collections.abc import Iterator
from typing import Any

import pytest

from polysession_qoder.emulator import state
from providers.qoder.test_emulator import TOOLS, Api, Json, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api("legacy") as served:
        yield served


def _shared_fields(api: Api, session: Json) -> Json:
    return {
        "id": session["id"],
        "type": "session",
        "agent_id": api.handle.agent_id,
        "environment_id": api.handle.environment_id,
        "title": "",
        "status": "idle",
        "memory_store_ids": [],
        "resources": [],
        "vault_ids": [],
        "created_at": session["created_at"],
        "updated_at": session["updated_at"],
    }


def _shared_agent_fields(api: Api) -> Json:
    agent = api.ok("GET", f"/agents/{api.handle.agent_id}")
    names = (
        "id",
        "type",
        "name",
        "description",
        "model",
        "system",
        "tools",
        "mcp_servers",
        "version",
        "created_at",
        "updated_at",
    )
    return {name: agent[name] for name in names}


def test_create_returns_tokens_and_no_metadata(api: Api) -> None:
    session = api.new_session(metadata={"k": "v"})
    assert session == {
        **_shared_fields(api, session),
        "agent": {**_shared_agent_fields(api), "instructions": "", "default_environment": ""},
        "usage": {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        },
    }


def test_other_calls_return_metadata_and_the_turn_status(api: Api) -> None:
    session_id = api.new_session(metadata={"k": "v"})["id"]
    session = api.ok("GET", f"/sessions/{session_id}")
    assert session == {
        **_shared_fields(api, session),
        "agent": {**_shared_agent_fields(api), "metadata": {}, "skills": []},
        "turn_status": "idle",
        "metadata": {"k": "v"},
        "environment_variables": {},
        "stats": {"active_seconds": 0, "duration_seconds": 0},
        "archived_at": None,
    }
    updated = api.ok("POST", f"/sessions/{session_id}", {"title": "t", "metadata": {"l": "w"}})
    assert updated.keys() == session.keys()
    assert (updated["title"], updated["metadata"]) == ("t", {"k": "v", "l": "w"})


def test_a_model_is_text_even_if_the_agent_has_more(api: Api) -> None:
    agent_id = api.new_agent(model={"id": "auto", "effort": "low"}, system="s")["id"]
    agent = api.new_session(agent=agent_id)["agent"]
    assert (agent["model"], agent["instructions"]) == ("auto", "s")


def test_statuses_have_their_older_names(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "CANCEL_TAKES_S", 30)
    session_id = api.new_session()["id"]
    path = f"/sessions/{session_id}"
    seen = []
    for step in ("start", "cancel", "archive"):
        if step == "start":
            api.start_turn(session_id)
        else:
            api.ok("POST", f"{path}/{step}", status=202 if step == "cancel" else 200)
        session = api.ok("GET", path)
        seen.append((session["status"], session["turn_status"]))
        query = {"include_archived": "true", "statuses": session["status"]}
        assert api.listed("/sessions", **query) == [session_id]
    assert seen == [("processing", "running"), ("canceling", "canceling"), ("archived", "canceling")]


def test_a_cancelled_session_becomes_idle(api: Api) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id)
    api.ok("POST", f"/sessions/{session_id}/cancel", status=202)
    api.wait_until_idle(session_id)


def test_pages_continue_by_id(api: Api) -> None:
    agent_id = api.new_agent()["id"]
    oldest, newest = (api.new_session(agent=agent_id)["id"] for _ in range(2))
    first = api.ok("GET", "/sessions", params={"agent_id": agent_id, "limit": 1})
    assert [session["id"] for session in first.pop("data")] == [newest]
    assert first == {"first_id": newest, "last_id": newest, "has_more": True}
    assert api.listed("/sessions", agent_id=agent_id, after_id=newest) == [oldest]


@pytest.mark.parametrize("interval_ms", [50, 5000])
def test_the_flush_interval_can_be_set_and_is_not_shown(api: Api, interval_ms: int) -> None:
    field = {"delta_flush_interval_ms": interval_ms}
    session = api.new_session(**field)
    assert "delta_flush_interval_ms" not in session
    assert "delta_flush_interval_ms" not in api.ok("POST", f"/sessions/{session['id']}", field)


@pytest.mark.parametrize("interval_ms", [49, 5001, 0, "100", True, 99.5])
def test_a_flush_interval_out_of_range_is_refused(api: Api, interval_ms: Any) -> None:
    field = {"delta_flush_interval_ms": interval_ms}
    body = {"agent": api.handle.agent_id, "environment_id": api.handle.environment_id, **field}
    assert api.refused("POST", "/sessions", body)["param"] == "delta_flush_interval_ms"
    path = f"/sessions/{api.new_session()['id']}"
    assert api.refused("POST", path, field)["param"] == "delta_flush_interval_ms"


def test_memory_stores_and_files_have_their_older_form(api: Api) -> None:
    file = {"type": "file", "file_id": "file_1", "mount_path": "/data"}
    session = api.new_session(memory_store_ids=["memstore_1"], resources=[file])
    assert session["memory_store_ids"] == ["memstore_1"]
    assert session["resources"] == [{"type": "file", "file_id": "file_1", "path": "/data"}]
    assert api.listed("/sessions", memory_store_id="memstore_1") == [session["id"]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"agent": {"type": "agent", "id": "agent_1"}}, "agent"),
        ({"environment_variables": {}}, "environment_variables"),
        ({"budget": None}, "budget"),
        ({"resources": [{"type": "memory_store", "memory_store_id": "memstore_1"}]}, "resources"),
        ({"memory_store_ids": [1]}, "memory_store_ids"),
    ],
)
def test_a_new_session_accepts_no_later_fields(api: Api, fields: Json, param: str) -> None:
    body = {"agent": api.handle.agent_id, "environment_id": api.handle.environment_id, **fields}
    assert api.refused("POST", "/sessions", body)["param"] == param


@pytest.mark.parametrize("field", ["agent", "budget", "vault_ids"])
def test_an_update_accepts_no_later_fields(api: Api, field: str) -> None:
    path = f"/sessions/{api.new_session()['id']}"
    assert api.refused("POST", path, {field: None})["param"] == field


def test_errors_do_not_repeat_the_request_id(api: Api) -> None:
    response = api.http.get("/sessions/sess_none", headers={"x-request-id": "mine"})
    assert response.headers["x-request-id"] == "mine"
    assert response.json().keys() == {"type", "error"}
    unauthenticated = api.http.get("/sessions", headers={"authorization": "Bearer other"})
    assert (unauthenticated.status_code, unauthenticated.json().keys()) == (401, {"type", "error"})


def test_there_is_no_search(api: Api) -> None:
    error = api.refused("POST", "/sessions/search", {}, headers={"x-qoder-beta": "search-2026-08-31"})
    assert error["message"] == "Session 'search' was not found."


def test_environments_have_the_status_ready(api: Api) -> None:
    environment = api.new_environment()
    assert (environment["status"], environment["archived"]) == ("ready", False)
    archived = api.ok("POST", f"/environments/{environment['id']}/archive")
    assert (archived["status"], archived["archived"]) == ("ready", True)


def test_agents_are_created_with_the_older_status_code(api: Api) -> None:
    api.ok("POST", "/agents", {"name": "a", "model": "auto", "tools": TOOLS}, status=201)
