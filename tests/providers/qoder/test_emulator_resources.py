"""Agents, environments and models of the Qoder emulator, tested over plain HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

import re
from collections.abc import Iterator
from datetime import datetime

import pytest

from providers.qoder.test_emulator import TIMESTAMP, TOOLS, Api, Json, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


def test_a_created_agent_has_every_documented_field(api: Api) -> None:
    agent = api.new_agent(model={"id": "auto", "effort": "low"}, metadata={"k": "v"})
    assert re.fullmatch(r"agent_[0-9a-z]{20}", agent["id"])
    assert agent == {
        "id": agent["id"],
        "type": "agent",
        "name": "a",
        "description": "",
        "model": {"id": "auto", "effort": "low"},
        "system": "",
        "tools": [],
        "mcp_servers": [],
        "skills": [],
        "metadata": {"k": "v"},
        "multiagent": None,
        "version": 1,
        "archived_at": None,
        "created_at": agent["created_at"],
        "updated_at": agent["created_at"],
    }
    assert api.ok("GET", f"/agents/{agent['id']}") == agent


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": {"effort": "low"}}, "id"),
        ({"model": {"id": "auto", "context_window": "wide"}}, "context_window"),
        ({"model": {"id": "auto", "speed": "fast"}}, "speed"),
        ({"tools": [{}]}, "type"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_malformed_agent_is_refused(api: Api, fields: Json, param: str) -> None:
    agent = {"name": "a", "model": "ultimate", **fields}
    error = api.refused("POST", "/agents", agent)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert api.refused("POST", f"/agents/{api.new_agent()['id']}", {**agent, "version": 1})["param"] == param


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"system": None}, {"system": ""}),
        ({"name": "b", "model": "auto", "description": "d"}, {"name": "b", "model": "auto", "description": "d"}),
        ({"tools": []}, {"tools": []}),
        ({"metadata": {"k": None, "l": "w"}}, {"metadata": {"l": "w"}}),
    ],
)
def test_an_update_of_an_agent_adds_a_version(api: Api, change: Json, expected: Json) -> None:
    first = api.new_agent(system="s", tools=TOOLS, metadata={"k": "v"})
    path = f"/agents/{first['id']}"
    second = api.ok("POST", path, {"version": 1, **change})
    assert second == {**first, **expected, "version": 2, "updated_at": second["updated_at"]}
    assert datetime.fromisoformat(second["updated_at"]) > datetime.fromisoformat(first["updated_at"])
    assert api.ok("GET", path) == second
    assert api.ok("GET", path, params={"version": 1}) == {**first, "updated_at": second["updated_at"]}


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ({"name": "b"}, "invalid_request_error", "Missing required field: version"),
        ({"version": 2}, "conflict_error", "Version conflict"),
        ({"version": 1, "name": None}, "invalid_request_error", "Missing required field: name"),
        ({"version": 1, "model": {}}, "invalid_request_error", "Missing required field: model"),
        ({"version": True}, "invalid_request_error", "Field 'version' must be an integer."),
    ],
)
def test_a_bad_update_of_an_agent_is_refused(api: Api, body: Json, error_type: str, message: str) -> None:
    path = f"/agents/{api.new_agent()['id']}"
    error = api.refused("POST", path, body)
    assert (error["type"], error["message"]) == (error_type, message)
    assert api.ok("GET", path)["version"] == 1


@pytest.mark.parametrize(
    ("version", "error_type"),
    [("2", "not_found_error"), ("0", "invalid_request_error"), ("one", "invalid_request_error")],
)
def test_an_unknown_version_is_refused(api: Api, version: str, error_type: str) -> None:
    error = api.refused("GET", f"/agents/{api.handle.agent_id}", params={"version": version})
    assert error["type"] == error_type


def test_versions_are_listed_newest_first_by_number(api: Api) -> None:
    path = f"/agents/{api.new_agent()['id']}"
    for version in (1, 2):
        api.ok("POST", path, {"version": version})
    first = api.ok("GET", f"{path}/versions", params={"limit": 2})
    assert [agent["version"] for agent in first.pop("data")] == [3, 2]
    assert first == {"next_page": "2", "first_id": "3", "last_id": "2", "has_more": True}
    second = api.ok("GET", f"{path}/versions", params={"limit": 2, "page": "2"})
    assert [agent["version"] for agent in second["data"]] == [1]


def test_an_archived_agent_is_readable_and_not_listed(api: Api) -> None:
    agent_id = api.new_agent()["id"]
    archived = api.ok("POST", f"/agents/{agent_id}/archive")
    assert TIMESTAMP.fullmatch(archived["archived_at"])
    assert api.ok("POST", f"/agents/{agent_id}/archive") == archived
    assert api.ok("GET", f"/agents/{agent_id}") == archived
    assert api.refused("POST", f"/agents/{agent_id}", {"version": 1})["type"] == "conflict_error"
    assert agent_id not in api.listed("/agents", limit=100)
    assert api.listed("/agents", limit=1, include_archived="true") == [agent_id]


def test_a_created_environment_has_every_documented_field(api: Api) -> None:
    environment = api.new_environment()
    assert re.fullmatch(r"env_[0-9a-z]{20}", environment["id"])
    packages: Json = {name: [] for name in ("apt", "npm", "pip", "cargo", "gem", "go")}
    assert environment == {
        "id": environment["id"],
        "type": "environment",
        "name": "e",
        "description": "",
        "config": {
            "type": "cloud",
            "networking": {"type": "limited"},
            "packages": {"type": "packages", **packages},
        },
        "metadata": {},
        "archived_at": None,
        "created_at": environment["created_at"],
        "updated_at": environment["created_at"],
    }
    assert api.ok("GET", f"/environments/{environment['id']}") == environment


def test_an_update_of_an_environment_changes_only_its_fields(api: Api) -> None:
    first = api.new_environment(metadata={"k": "v"}, description="d", scope="account")
    path = f"/environments/{first['id']}"
    assert first["scope"] == "account"
    second = api.ok("POST", path, {"description": None, "metadata": {"l": "w"}})
    assert second == {**first, "description": "", "metadata": {"k": "v", "l": "w"}, "updated_at": second["updated_at"]}
    assert datetime.fromisoformat(second["updated_at"]) > datetime.fromisoformat(first["updated_at"])
    config = {
        "type": "cloud",
        "networking": {"type": "unrestricted"},
        "packages": {"pip": ["httpx"]},
        "setup_script": "ls",
    }
    third = api.ok("POST", path, {"name": "f", "config": config})
    assert third["name"] == "f"
    assert third["config"]["networking"] == {"type": "unrestricted"}
    assert third["config"]["packages"]["pip"] == ["httpx"]
    assert third["config"]["setup_script"] == "ls"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "name"),
        ({"config": None}, "config"),
        ({"config": {}}, "config"),
        ({"config": {"type": "local"}}, "config"),
        ({"config": {"type": "self_hosted", "packages": {}}}, "packages"),
        ({"config": {"type": "cloud", "networking": {"type": "open"}}}, "config"),
        ({"config": {"type": "cloud", "networking": {"type": "limited", "ports": []}}}, "ports"),
        ({"config": {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": "a"}}}, "allowed_hosts"),
        ({"config": {"type": "cloud", "packages": {"conda": []}}}, "conda"),
        ({"config": {"type": "cloud", "packages": {"pip": [1]}}}, "pip"),
        ({"scope": "world"}, "scope"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_malformed_environment_is_refused(api: Api, fields: Json, param: str) -> None:
    environment = {"name": "e", "config": {"type": "cloud"}, **fields}
    error = api.refused("POST", "/environments", environment)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    path = f"/environments/{api.new_environment()['id']}"
    assert api.refused("POST", path, environment)["param"] == param


def test_an_environment_that_a_session_used_can_only_be_archived(api: Api) -> None:
    unused, used = api.new_environment()["id"], api.new_environment()["id"]
    session_id = api.new_session(environment_id=used)["id"]
    assert api.ok("DELETE", f"/environments/{unused}") == {"id": unused, "type": "environment_deleted"}
    assert api.refused("GET", f"/environments/{unused}")["type"] == "not_found_error"
    api.ok("DELETE", f"/sessions/{session_id}")
    assert api.refused("DELETE", f"/environments/{used}")["type"] == "conflict_error"
    archived = api.ok("POST", f"/environments/{used}/archive")
    assert api.ok("POST", f"/environments/{used}/archive") == archived
    assert api.refused("POST", f"/environments/{used}", {"name": "n"})["type"] == "conflict_error"
    assert used not in api.listed("/environments", limit=100)
    assert used in api.listed("/environments", limit=100, include_archived="true")


@pytest.mark.parametrize("path", ["/agents", "/environments"])
def test_agents_and_environments_are_filtered_by_age(api: Api, path: str) -> None:
    middle = (api.new_agent() if path == "/agents" else api.new_environment())["created_at"]
    newest = (api.new_agent() if path == "/agents" else api.new_environment())["id"]
    assert api.listed(path, limit=1) == [newest]
    assert len(api.listed(path, **{"created_at[gte]": middle})) == 2
    assert newest not in api.listed(path, limit=100, **{"created_at[lte]": middle})
    assert api.refused("GET", path, params={"created_at[gt]": middle})["param"] == "created_at[gt]"


def test_models_have_no_pages(api: Api) -> None:
    answer = api.ok("GET", "/models")
    assert answer.keys() == {"data", "has_more"}
    assert answer["has_more"] is False
    assert [model["id"] for model in answer["data"]] == ["ultimate", "auto"]
    assert answer["data"][0].keys() == {
        "id",
        "type",
        "display_name",
        "source",
        "is_enabled",
        "is_new",
        "price_factor",
        "efforts",
        "default_effort",
        "max_input_tokens",
        "default_context_window",
        "available_context_windows",
    }
