"""The legacy Qoder emulator returns the JSON of the pages of May 2026, key for key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from providers.qoder.test_emulator import Api, served_api
from support.published import Example, differences, example

CREATE = example("qoder/documented/a_create.yaml")
UPDATE = example("qoder/documented/a_update_page.yaml")


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api("legacy") as served:
        yield served


def agent_of(api: Api, published: Example) -> str:
    """Create an agent like that of the example."""
    fields = {name: published.answer["agent"][name] for name in ("name", "description", "model", "system", "tools")}
    agent_id: str = api.ok("POST", "/agents", fields, status=201)["id"]
    return agent_id


def test_a_session_is_created_as_published(api: Api) -> None:
    body = {**CREATE.request, "agent": agent_of(api, CREATE), "environment_id": api.handle.environment_id}

    answer = api.ok("POST", "/sessions", body, status=CREATE.status)

    assert differences(CREATE.answer, answer) == []
    for name in ("type", "title", "status", "resources", "vault_ids", "memory_store_ids", "usage"):
        assert answer[name] == CREATE.answer[name]
    assert answer["agent"]["instructions"] == answer["agent"]["system"] == CREATE.answer["agent"]["system"]


def updatable(api: Api) -> str:
    """Create a session like that of the example. Returns its path."""
    (file,) = UPDATE.answer["resources"]
    body = {
        "agent": agent_of(api, UPDATE),
        "environment_id": api.handle.environment_id,
        "resources": [{"type": "file", "file_id": file["file_id"], "mount_path": file["path"]}],
    }
    return f"/sessions/{api.ok('POST', '/sessions', body, status=201)['id']}"


def test_a_session_is_updated_as_published(api: Api) -> None:
    path = updatable(api)

    answer = api.ok("POST", path, UPDATE.request, status=UPDATE.status)

    assert differences(UPDATE.answer, answer) == []
    assert (answer["title"], answer["metadata"]) == (UPDATE.request["title"], UPDATE.request["metadata"])
    for name in ("type", "status", "turn_status", "resources", "stats", "environment_variables", "archived_at"):
        assert answer[name] == UPDATE.answer[name]


def test_a_session_is_read_and_listed_as_it_is_updated(api: Api) -> None:
    path = updatable(api)
    updated = api.ok("POST", path, UPDATE.request)

    assert api.ok("GET", path) == updated
    assert api.ok("GET", "/sessions")["data"][0] == updated


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "t"),
        ("metadata", {"k": "v"}),
        ("delta_flush_interval_ms", 5000),
        ("memory_store_ids", ["memstore_1"]),
        ("resources", [{"type": "file", "file_id": "file_1"}]),
        ("vault_ids", ["vault_1"]),
    ],
)
def test_each_published_field_of_a_new_session_is_accepted(api: Api, name: str, value: Any) -> None:
    body = {"agent": api.handle.agent_id, "environment_id": api.handle.environment_id, name: value}

    assert differences(CREATE.answer, api.ok("POST", "/sessions", body, status=201)) == []


def test_a_difference_is_found_in_either_direction() -> None:
    published = {"a": {"b": 1, "c": ""}, "d": [{"e": None}], "f": True}
    answered = {"a": {"b": "1"}, "d": [{"e": None, "g": 1}], "f": 1, "h": 0}

    assert differences(published, answered) == [
        ".h: not published",
        ".a.c: missing",
        ".a.b: number published, str answered",
        ".d[].g: not published",
        ".f: bool published, number answered",
    ]
