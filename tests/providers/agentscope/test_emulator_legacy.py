"""The legacy generation of the AgentScope emulator, version 2.0.0, over raw HTTP."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from polysession.emulation import EmulatorHandle
from providers.agentscope.test_emulator import CREDENTIAL, NOT_FOUND, Api, served


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[EmulatorHandle, httpx.Client]]:
    with served("legacy") as both:
        yield both


@pytest.fixture
def api(emulator: tuple[EmulatorHandle, httpx.Client]) -> Api:
    return Api(*emulator)


def test_lists_contain_bare_records_in_the_old_format(api: Api) -> None:
    session_id = api.new_session(name="first", chat_model_config=api.model)
    (record,) = api.sessions()
    assert record == {
        "id": session_id,
        "updated_at": record["updated_at"],
        "created_at": record["created_at"],
        "user_id": api.user_id,
        "agent_id": api.agent_id,
        "source": "user",
        "source_schedule_id": None,
        "config": {
            "workspace_id": record["config"]["workspace_id"],
            "name": "first",
            "chat_model_config": api.model,
        },
        "state": {
            "session_id": record["state"]["session_id"],
            "summary": "",
            "context": [],
            "reply_id": record["state"]["reply_id"],
            "cur_iter": 0,
            "permission_context": {"mode": "default", "working_directories": {}}
            | {"allow_rules": {}, "deny_rules": {}, "ask_rules": {}},
            "tool_context": {"max_cache_files": 100, "max_cache_bytes": 25000.0}
            | {"read_file_cache": [], "activated_groups": []},
            "tasks_context": {"tasks": []},
        },
    }


def test_patch_ignores_null(api: Api) -> None:
    session_id = api.new_session(name="kept", chat_model_config=api.model)
    api.ok("PATCH", api.path(session_id), {"permission_mode": "explore"})
    nulls = {"name": None, "chat_model_config": None, "permission_mode": None, "cwd": "/not-yet-known"}
    record = api.ok("PATCH", api.path(session_id), nulls)
    assert record["config"].items() >= {"name": "kept", "chat_model_config": api.model}.items()
    assert record["state"]["permission_context"]["mode"] == "explore"
    assert "cwd" not in record["config"]


def test_a_running_session_can_be_changed(api: Api) -> None:
    session_id = api.new_session()
    api.run(session_id)
    assert api.ok("PATCH", api.path(session_id), {"name": "x"})["config"]["name"] == "x"


@pytest.mark.parametrize(("method", "rest"), [("GET", "/status"), ("POST", "/interrupt")])
def test_status_and_interrupt_do_not_exist_yet(api: Api, method: str, rest: str) -> None:
    assert api.ok(method, api.path(api.new_session(), rest), status=404) == NOT_FOUND


def test_health_does_not_exist_yet(api: Api) -> None:
    assert api.ok("GET", "/health", status=404) == NOT_FOUND


def test_workspaces_are_not_shared(api: Api) -> None:
    for _ in range(2):
        api.new_session()
    first, second = (record["config"]["workspace_id"] for record in api.sessions())
    assert first != second


def test_agents_have_no_chat_configuration(api: Api) -> None:
    changes = {"name": None, "react_config": {"max_iters": 3}, "chat_config": "ignored"}
    agent = api.ok("PATCH", f"/agent/{api.agent_id}", changes)
    assert set(agent) == {"id", "updated_at", "created_at", "user_id", "data"}
    assert set(agent["data"]) == {"id", "name", "system_prompt", "context_config", "react_config"}
    assert (agent["data"]["name"], agent["data"]["react_config"]) == ("A", {"max_iters": 3, "stop_on_reject": False})
    assert api.ok("GET", "/agent/") == {"agents": [agent], "total": 1}


def test_a_chosen_credential_id_is_unique_per_user(api: Api) -> None:
    body = {"data": CREDENTIAL | {"id": "mine"}}
    for user in (api.user_id, f"another than {api.user_id}"):
        assert api.ask("POST", "/credential/", body, **{"x-user-id": user}).status_code == 201


def test_record_times_are_local(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        record = api.ok("PATCH", api.path(api.new_session()), {})
    finally:
        monkeypatch.undo()
        time.tzset()
    in_tokyo = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=9)
    assert abs(in_tokyo - datetime.fromisoformat(record["updated_at"])) < timedelta(minutes=1)
