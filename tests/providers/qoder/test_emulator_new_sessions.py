"""New sessions of the Qoder emulator, tested over plain HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from providers.qoder.test_emulator import OVERSIZED_METADATA, TIMESTAMP, TOOLS, Api, Json, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


def test_a_created_session_has_every_documented_field(api: Api) -> None:
    session = api.new_session()
    assert re.fullmatch(r"sess_[0-9a-z]{20}", session["id"])
    assert TIMESTAMP.fullmatch(session["created_at"])
    assert session == {
        "id": session["id"],
        "type": "session",
        "status": "idle",
        "title": None,
        "agent": {
            "id": api.handle.agent_id,
            "type": "agent",
            "version": 1,
            "name": "Emulated agent",
            "description": "",
            "model": {"id": "ultimate", "effective_context_window": 200_000},
            "system": "",
            "tools": [],
            "skills": [],
            "mcp_servers": [],
        },
        "environment_id": api.handle.environment_id,
        "environment_variables": {},
        "metadata": {},
        "resources": [],
        "vault_ids": [],
        "deployment_id": None,
        "outcome_evaluations": [],
        "stats": {"active_seconds": 0, "duration_seconds": 0},
        "usage": {"total_credits": 0},
        "archived_at": None,
        "created_at": session["created_at"],
        "updated_at": session["created_at"],
    }
    assert api.ok("GET", f"/sessions/{session['id']}") == session


def test_optional_fields_of_a_new_session_are_kept_and_null_means_absent(api: Api) -> None:
    fields = {
        "title": "Ticket",
        "metadata": {"team": "red"},
        "vault_ids": ["vault_1"],
        "budget": {"type": "limit", "max_credit_cost": "100.00"},
    }
    session = api.new_session(**fields)
    assert {name: session[name] for name in fields} == fields
    empty = api.new_session(**dict.fromkeys([*fields, "resources", "environment_variables"]))
    assert "budget" not in empty
    assert [empty[name] for name in ("title", "metadata", "vault_ids", "environment_variables")] == [None, {}, [], {}]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"type": "agent"}, {"version": 2, "system": "new", "tools": TOOLS}),
        ({"type": "agent", "version": 1}, {"version": 1, "system": "old", "tools": []}),
        (
            {"type": "agent_with_overrides", "version": 1, "system": "mine", "tools": TOOLS},
            {"version": 1, "system": "mine", "tools": TOOLS, "skills": []},
        ),
        (
            {"type": "agent_with_overrides", "model": {"id": "auto", "effort": "high", "context_window": 9}},
            {"model": {"id": "auto", "effort": "high", "context_window": 9, "effective_context_window": 9}},
        ),
    ],
)
def test_a_session_pins_a_version_of_its_agent(api: Api, reference: Json, expected: Json) -> None:
    agent_id = api.new_agent(system="old")["id"]
    api.ok("POST", f"/agents/{agent_id}", {"version": 1, "system": "new", "tools": TOOLS})
    session = api.new_session(agent={**reference, "id": agent_id})
    api.ok("POST", f"/agents/{agent_id}", {"version": 2, "system": "newest"})
    agent = api.ok("GET", f"/sessions/{session['id']}")["agent"]
    assert agent.items() >= {"id": agent_id, "type": "agent", **expected}.items()


@pytest.mark.parametrize(
    "written",
    ["A=1;_b2=x=y;C=", "A=1\n_b2=x=y\r\nC=\n", {"A": "1", "_b2": "x=y", "C": ""}],
    ids=["semicolons", "lines", "object"],
)
def test_environment_variables_are_read_as_an_object(api: Api, written: str | Json) -> None:
    session = api.new_session(environment_variables=written)
    assert session["environment_variables"] == {"A": "1", "_b2": "x=y", "C": ""}


@pytest.mark.parametrize(
    "written",
    ["A", "=1", "1A=1", "A B=1", {"A": 1}, {"A": None}, {"": "1"}, ["A=1"], 1]
    + [{name: "1"} for name in ("SERVER_ENDPOINT", "USER_ID", "WORK_DIR", "CAW_X", "QODER_X")]
    + ["QODER_ACCESS_TOKEN=1"],
)
def test_bad_environment_variables_are_refused(api: Api, written: Any) -> None:
    body = {"agent": api.handle.agent_id, "environment_id": api.handle.environment_id, "environment_variables": written}
    error = api.refused("POST", "/sessions", body)
    assert (error["type"], error["param"]) == ("invalid_request_error", "environment_variables")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (
            {"type": "file", "file_id": "file_1"},
            {"type": "file", "file_id": "file_1", "mount_path": "/mnt/session/uploads/file_1"},
        ),
        (
            {"type": "file", "file_id": "file_1", "mount_path": "/data"},
            {"type": "file", "file_id": "file_1", "mount_path": "/data"},
        ),
        (
            {"type": "github_repository", "url": "https://github.com/o/repo.git", "authorization_token": "hidden"},
            {"type": "github_repository", "url": "https://github.com/o/repo.git", "mount_path": "/workspace/repo"},
        ),
        (
            {
                "type": "git_repository",
                "url": "https://git.example/o/repo/",
                "password": "hidden",
                "checkout": {"type": "branch", "name": "main"},
            },
            {
                "type": "git_repository",
                "url": "https://git.example/o/repo/",
                "mount_path": "/workspace/repo",
                "checkout": {"type": "branch", "name": "main"},
            },
        ),
        (
            {"type": "memory_store", "memory_store_id": "memstore_1", "instructions": "x" * 4096},
            {
                "type": "memory_store",
                "memory_store_id": "memstore_1",
                "mount_path": "/mnt/memory/memstore_1",
                "access": "read_write",
                "instructions": "x" * 4096,
            },
        ),
    ],
)
def test_resources_are_read_back_without_secrets(api: Api, written: Json, read: Json) -> None:
    session = api.new_session(resources=[written])
    (resource,) = session["resources"]
    assert re.fullmatch(r"sesr_[0-9a-f]{24}", resource["id"])
    moment = session["created_at"]
    assert resource == {"id": resource["id"], **read, "created_at": moment, "updated_at": moment}
    page = api.ok("GET", f"/sessions/{session['id']}/resources")
    assert page["data"] == [resource]


def test_resources_are_listed_in_pages_oldest_first(api: Api) -> None:
    files = [{"type": "file", "file_id": f"file_{number}"} for number in range(3)]
    session = api.new_session(resources=files)
    ids = [resource["id"] for resource in session["resources"]]
    path = f"/sessions/{session['id']}/resources"
    first = api.ok("GET", path, params={"limit": 2})
    assert [resource["id"] for resource in first["data"]] == ids[:2]
    assert api.listed(path, page=first["next_page"]) == ids[2:]
    assert api.refused("GET", "/sessions/sess_none/resources")["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"agent": None}, "agent"),
        ({"agent": ""}, "agent"),
        ({"agent": 1}, "agent"),
        ({"agent": {"id": "agent_1"}}, "type"),
        ({"agent": {"type": "other", "id": "agent_1"}}, "agent"),
        ({"agent": {"type": "agent"}}, "id"),
        ({"agent": {"type": "agent", "id": "agent_1", "system": ""}}, "system"),
        ({"environment_id": None}, "environment_id"),
        ({"environment_id": 1}, "environment_id"),
        ({"title": 1}, "title"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"metadata": {"k": None}}, "metadata"),
        *(({"metadata": metadata}, "metadata") for metadata in OVERSIZED_METADATA),
        ({"vault_ids": "vault_1"}, "vault_ids"),
        ({"vault_ids": [1]}, "vault_ids"),
        ({"budget": {"type": "limit"}}, "max_credit_cost"),
        ({"budget": {"type": "limit", "max_credit_cost": 5}}, "max_credit_cost"),
        ({"budget": {"max_credit_cost": "5"}}, "budget"),
        ({"budget": {"type": "limit", "max_credit_cost": "5", "currency": "EUR"}}, "currency"),
        *(
            ({"budget": {"type": "limit", "max_credit_cost": cost}}, "budget")
            for cost in ("0.00", "-1", "1.234", "1" * 13, "1e3", ".5")
        ),
        ({"resources": [{"type": "file"}]}, "file_id"),
        ({"resources": [{"type": "disk"}]}, "resources"),
        ({"resources": [{"type": "file", "file_id": "f", "url": "u"}]}, "url"),
        ({"resources": [{"type": "file", "file_id": "f", "mount_path": 1}]}, "mount_path"),
        (
            {"resources": [{"type": "git_repository", "url": "u", "checkout": {"type": "tag", "name": "n"}}]},
            "resources",
        ),
        ({"resources": [{"type": "git_repository", "url": "u", "checkout": {"type": "branch"}}]}, "name"),
        ({"resources": [{"type": "git_repository", "url": "u", "checkout": {"type": "commit", "name": "n"}}]}, "name"),
        ({"resources": [{"type": "memory_store", "memory_store_id": "m", "access": "all"}]}, "resources"),
        ({"resources": [{"type": "memory_store", "memory_store_id": "m", "instructions": "x" * 4097}]}, "resources"),
        *(
            ({name: None}, name)
            for name in (
                "environment",
                "vaults",
                "memory_store_ids",
                "delta_flush_interval_ms",
                "incremental_streaming_enabled",
            )
        ),
    ],
    ids=repr,
)
def test_a_malformed_new_session_is_refused(api: Api, fields: Json, param: str) -> None:
    body = {"agent": "agent_none", "environment_id": api.handle.environment_id, **fields}
    error = api.refused("POST", "/sessions", body)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


def test_the_message_names_a_missing_field(api: Api) -> None:
    assert api.refused("POST", "/agents", {"model": "ultimate"}) == {
        "type": "invalid_request_error",
        "message": "Missing required field: name",
        "param": "name",
    }


@pytest.mark.parametrize(
    ("agent", "environment_id", "message"),
    [
        ("agent_none", None, "Agent 'agent_none' was not found."),
        (None, "env_none", "Environment 'env_none' was not found."),
        ({"type": "agent", "version": 9}, None, "was not found."),
    ],
)
def test_a_new_session_needs_an_agent_and_an_environment(
    api: Api, agent: str | Json | None, environment_id: str | None, message: str
) -> None:
    reference = {**agent, "id": api.handle.agent_id} if isinstance(agent, dict) else agent or api.handle.agent_id
    body = {"agent": reference, "environment_id": environment_id or api.handle.environment_id}
    error = api.refused("POST", "/sessions", body)
    assert error["type"] == "not_found_error"
    assert error["message"].endswith(message)


@pytest.mark.parametrize("kind", ["agent", "environment"])
def test_a_new_session_cannot_use_archived_resources(api: Api, kind: str) -> None:
    archived = api.new_agent() if kind == "agent" else api.new_environment()
    api.ok("POST", f"/{kind}s/{archived['id']}/archive")
    field = "agent" if kind == "agent" else "environment_id"
    body = {"agent": api.handle.agent_id, "environment_id": api.handle.environment_id, field: archived["id"]}
    assert api.refused("POST", "/sessions", body)["param"] == field


@pytest.mark.parametrize(
    "fields", [{"environment_variables": "A=1"}, {"resources": [{"type": "file", "file_id": "file_1"}]}]
)
def test_a_self_hosted_environment_accepts_no_variables_or_resources(api: Api, fields: Json) -> None:
    environment_id = api.new_environment(config={"type": "self_hosted"})["id"]
    api.new_session(environment_id=environment_id)
    body = {"agent": api.handle.agent_id, "environment_id": environment_id, **fields}
    assert api.refused("POST", "/sessions", body)["type"] == "invalid_request_error"
