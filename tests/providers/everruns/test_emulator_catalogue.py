"""Agents, harnesses, models and capabilities of the Everruns emulator."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from providers.everruns.test_emulator import HEX, Api, conforms, served


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    yield from served()


@pytest.fixture
def fresh() -> Iterator[Api]:
    yield from served()


def test_the_initial_agent_is_listed_with_its_counts(fresh: Api) -> None:
    fresh.session(agent_id=fresh.handle.agent_id)
    agent = conforms(fresh.ok("GET", f"agents/{fresh.handle.agent_id}"), "WithUrls_Agent", "ResourceWithCounts")
    assert (agent["session_count"], agent["app_count"], agent["status"]) == (1, 0, "active")
    assert fresh.ok("GET", f"agents/{agent['name']}") == agent
    assert fresh.ok("GET", "agents") == {"data": [agent], "total": 1, "offset": 0, "limit": 20}


def test_the_fields_of_a_new_agent_are_read_back(api: Api) -> None:
    given = {
        "id": f"agent_{'a' * 32}",
        "display_name": "Helper",
        "description": "Helps",
        "tags": ["t"],
        "capabilities": [{"ref": "web_fetch"}],
        "default_model_id": api.ok("GET", "models")["data"][0]["id"],
        "max_iterations": 4,
    }
    created = conforms(api.agent("helper", **given), "WithUrls_Agent")
    read = conforms(api.ok("GET", "agents/helper"), "WithUrls_Agent", "ResourceWithCounts")
    assert read == {**created, **given, "session_count": 0, "app_count": 0}


@pytest.mark.parametrize(
    "name", ["", "Upper", "under_score", "-lead", "trail-", "two--hyphens", "a b", "é", "x" * 65, "line\n"]
)
@pytest.mark.parametrize("collection", ["agents", "harnesses"])
def test_a_name_that_is_not_a_slug_is_refused(api: Api, collection: str, name: str) -> None:
    api.refused("POST", collection, 400, {"name": name, "system_prompt": "x"})


@pytest.mark.parametrize("collection", ["agents", "harnesses"])
def test_a_name_is_unique(api: Api, collection: str) -> None:
    body = {"name": "a1-" + "b" * 61, "system_prompt": "x"}
    api.ok("POST", collection, 201, body)
    assert api.refused("POST", collection, 409, body)["code"] == "already_exists"


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PATCH", {}), ("DELETE", None)])
def test_an_unknown_agent_is_not_found(api: Api, method: str, body: object) -> None:
    assert api.refused(method, f"agents/agent_{HEX}", 404, body)["detail"] == "Agent not found"
    assert api.refused(method, "agents/agent_1", 400, body)["detail"].startswith("Invalid agent ID: invalid length")


def test_an_agent_is_changed_in_part(api: Api) -> None:
    agent = api.agent("to-change", description="Old", tags=["a"])
    path = f"agents/{agent['id']}"
    changed = api.ok("PATCH", path, body={"description": None, "tags": [], "name": "changed"})
    assert changed == {**agent, "tags": [], "name": "changed", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > agent["updated_at"]
    assert api.refused("PATCH", path, 409, {"name": "emulated"})["code"] == "already_exists"
    assert api.ok("PATCH", path, body={"name": "changed"})["name"] == "changed"


def test_put_creates_an_agent_then_replaces_it(api: Api) -> None:
    body = {"name": "put-here", "system_prompt": "One.", "description": "D"}
    path = f"agents/agent_{'b' * 32}"
    made = conforms(api.ok("PUT", path, 201, body), "WithUrls_Agent")
    replaced = api.ok("PUT", path, 200, {"name": "put-here", "system_prompt": "Two."})
    assert (replaced["id"], replaced["system_prompt"], "description" in replaced) == (made["id"], "Two.", False)
    assert replaced["updated_at"] > made["updated_at"] == made["created_at"] == replaced["created_at"]
    assert api.ok("PUT", "agents/put-here", 200, body)["id"] == made["id"]
    assert api.ok("PUT", "agents/put-new", 201, {**body, "name": "put-new"})["id"] != made["id"]


@pytest.mark.parametrize(("method", "path"), [("POST", "agents"), ("PUT", "agents/agent_1"), ("PUT", "agents/No Slug")])
def test_an_agent_is_not_created_with_a_malformed_id(api: Api, method: str, path: str) -> None:
    body = {"name": "malformed", "system_prompt": "x", "id": "agent_1"}
    assert api.refused(method, path, 400, body)["detail"].startswith("Invalid agent ID: ")


def test_deleting_an_agent_archives_it(fresh: Api) -> None:
    agent_id = fresh.handle.agent_id
    assert fresh.http.delete(f"agents/{agent_id}").status_code == 204
    archived = conforms(fresh.ok("GET", f"agents/{agent_id}"), "WithUrls_Agent")
    assert fresh.http.delete(f"agents/{agent_id}").status_code == 204
    assert fresh.ok("GET", f"agents/{agent_id}") == archived
    assert (archived["status"], archived["archived_at"]) == ("archived", archived["updated_at"])
    assert fresh.ok("GET", "agents")["data"] == []
    assert fresh.ok("GET", "agents?include_archived=true")["data"] == [archived]
    fresh.refused("POST", "sessions", 400, {"agent_id": agent_id})
    fresh.refused("PATCH", f"agents/{agent_id}", 400, {"description": "x"})
    fresh.refused("PUT", f"agents/{agent_id}", 400, {"name": "emulated", "system_prompt": "x"})
    back = fresh.ok("PATCH", f"agents/{agent_id}", body={"status": "active"})
    assert (back["status"], "archived_at" in back) == ("active", False)


def test_agents_are_searched_by_name_and_description_and_paged(fresh: Api) -> None:
    fresh.agent("alpha", description="First")
    fresh.agent("beta", description="not ALPHA")
    page = fresh.ok("GET", "agents?search=Alpha&limit=1")
    assert ([agent["name"] for agent in page["data"]], page["total"]) == (["beta"], 2)
    assert [agent["name"] for agent in fresh.ok("GET", page["next_url"])["data"]] == ["alpha"]


def test_harnesses_are_listed_with_the_built_in_one(fresh: Api) -> None:
    (generic,) = fresh.ok("GET", "harnesses")["data"]
    assert (conforms(generic, "WithUrls_Harness")["name"], generic["is_built_in"]) == ("generic", True)
    body = {"name": "mine", "parent_harness_id": generic["id"], "description": "D"}
    mine = conforms(fresh.ok("POST", "harnesses", 201, body), "WithUrls_Harness")
    assert {**mine, **body, "is_built_in": False} == mine
    assert fresh.ok("GET", "harnesses") == {"data": [generic, mine]}
    fresh.refused("POST", "harnesses", 404, {"name": "other", "parent_harness_id": f"harness_{HEX}"})


def test_a_model_has_two_names(api: Api) -> None:
    listing = api.ok("GET", "models")
    model = conforms(listing["data"][0], "WithUrls_ModelWithProvider")
    assert set(listing) == {"data"}
    assert re.fullmatch("model_[0-9a-f]{32}", model["id"])
    assert not model["model_id"].startswith("model_")


def test_capabilities_are_paged_and_searched(api: Api) -> None:
    page = conforms(api.ok("GET", "capabilities?limit=1"), "PaginatedResponse")
    following = api.ok("GET", page["next_url"])
    found = [conforms(item, "WithUrls_CapabilityInfo")["id"] for item in [*page["data"], *following["data"]]]
    assert (found, page["total"], "next_url" in following) == (["current_time", "web_fetch"], 2, False)
    assert [item["id"] for item in api.ok("GET", "capabilities?search=WEB")["data"]] == ["web_fetch"]
