"""Lists and searches of sessions in the Qoder emulator, tested over plain HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

from collections.abc import Iterator

import pytest

from providers.qoder.test_emulator import Api, Json, served_api

SEARCH = {"x-qoder-beta": "search-2026-08-31"}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


@pytest.fixture
def three(api: Api) -> list[str]:
    """Create an agent with three sessions. Returns its id, then theirs, oldest first."""
    agent_id = api.new_agent()["id"]
    return [agent_id, *(api.new_session(agent=agent_id)["id"] for _ in range(3))]


def test_a_list_is_newest_first_by_default(api: Api, three: list[str]) -> None:
    agent_id, *ids = three
    assert api.listed("/sessions", agent_id=agent_id) == ids[::-1]
    assert api.listed("/sessions", agent_id=agent_id, order="desc") == ids[::-1]
    assert api.listed("/sessions", agent_id=agent_id, order="asc") == ids


@pytest.mark.parametrize("cursor", ["page", "after_id"])
def test_pages_follow_each_other(api: Api, three: list[str], cursor: str) -> None:
    agent_id, oldest, middle, newest = three
    first = api.ok("GET", "/sessions", params={"agent_id": agent_id, "limit": 2})
    assert [session["id"] for session in first.pop("data")] == [newest, middle]
    assert first == {"next_page": middle, "first_id": newest, "last_id": middle, "has_more": True}
    start = first["next_page" if cursor == "page" else "last_id"]
    second = api.ok("GET", "/sessions", params={"agent_id": agent_id, "limit": 2, cursor: start})
    assert [session["id"] for session in second.pop("data")] == [oldest]
    assert second == {"next_page": None, "first_id": oldest, "last_id": oldest, "has_more": False}


def test_before_id_pages_backwards(api: Api, three: list[str]) -> None:
    agent_id, oldest, middle, newest = three
    query = {"agent_id": agent_id, "limit": 1}
    page = api.ok("GET", "/sessions", params={**query, "before_id": oldest})
    assert [session["id"] for session in page.pop("data")] == [middle]
    assert page == {"next_page": None, "first_id": middle, "last_id": middle, "has_more": True}
    page = api.ok("GET", "/sessions", params={**query, "before_id": middle})
    assert ([session["id"] for session in page["data"]], page["has_more"]) == ([newest], False)


def test_an_empty_page_names_no_ids(api: Api) -> None:
    assert api.ok("GET", "/sessions", params={"agent_id": "agent_none"}) == {
        "data": [],
        "next_page": None,
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


def test_a_cursor_stays_valid_when_its_session_is_deleted_or_archived(api: Api, three: list[str]) -> None:
    agent_id, oldest, middle, newest = three
    api.ok("POST", f"/sessions/{newest}/archive")
    api.ok("DELETE", f"/sessions/{middle}")
    assert api.listed("/sessions", agent_id=agent_id, page=newest) == [oldest]
    assert api.listed("/sessions", agent_id=agent_id, page=middle) == [oldest]


def test_a_page_has_twenty_items_by_default(api: Api) -> None:
    agent_id = api.new_agent()["id"]
    for _ in range(21):
        api.new_session(agent=agent_id)
    assert len(api.listed("/sessions", agent_id=agent_id)) == 20
    assert len(api.listed("/sessions", agent_id=agent_id, limit=100)) == 21


@pytest.mark.parametrize("path", ["/sessions", "/agents", "/environments"])
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "101"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"page": "unknown"}, None),
        ({"after_id": "unknown"}, None),
        ({"before_id": "unknown"}, None),
        ({"include_archived": "maybe"}, "include_archived"),
        ({"created_at[gte]": "yesterday"}, "created_at[gte]"),
        ({"created_at[gte]": "2026-10-01T00:00:00"}, "created_at[gte]"),
        ({"metadata[team]": "red"}, "metadata[team]"),
    ],
    ids=repr,
)
def test_a_bad_query_is_refused(api: Api, path: str, query: dict[str, str], param: str | None) -> None:
    error = api.refused("GET", path, params=query)
    assert (error["type"], error.get("param")) == ("invalid_request_error", param)


@pytest.mark.parametrize("pair", [("page", "after_id"), ("page", "before_id"), ("after_id", "before_id")])
def test_cursors_exclude_each_other(api: Api, three: list[str], pair: tuple[str, str]) -> None:
    error = api.refused("GET", "/sessions", params=dict.fromkeys(pair, three[1]))
    assert error == {
        "type": "invalid_request_error",
        "message": "Only one of 'page', 'after_id' and 'before_id' is allowed.",
    }


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"order": "up"}, "order"),
        ({"statuses": "idle,busy"}, "statuses"),
        ({"statuses[]": "canceling"}, "statuses"),
        ({"agent_version": "1"}, "agent_version"),
        ({"agent_id": "a", "agent_version": "one"}, "agent_version"),
    ],
)
def test_a_bad_filter_of_sessions_is_refused(api: Api, query: dict[str, str], param: str) -> None:
    error = api.refused("GET", "/sessions", params=query)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"statuses": "idle"}, ["plain", "stored"]),
        ({"statuses": "running"}, ["running"]),
        ({"statuses[]": ["idle", "running"]}, ["plain", "stored", "running"]),
        ({"statuses": ["idle", "running"]}, ["plain", "stored", "running"]),
        ({"statuses": "idle,terminated"}, ["plain", "stored"]),
        ({"statuses": "rescheduling"}, []),
        ({"statuses": "idle,running,rescheduling,terminated"}, ["plain", "stored", "running"]),
        ({"include_archived": "true"}, ["plain", "stored", "running", "archived"]),
        ({"include_archived": "false"}, ["plain", "stored", "running"]),
        ({"agent_version": "1"}, ["plain", "running"]),
        ({"agent_version": "2"}, ["stored"]),
        ({"memory_store_id": "memstore_1"}, ["stored"]),
        ({"deployment_id": "dep_1"}, []),
    ],
    ids=repr,
)
def test_filters_of_sessions(api: Api, query: Json, expected: list[str]) -> None:
    agent_id = api.new_agent()["id"]
    api.ok("POST", f"/agents/{agent_id}", {"version": 1})
    first = {"agent": {"type": "agent", "id": agent_id, "version": 1}}
    store = {"type": "memory_store", "memory_store_id": "memstore_1"}
    ids = {
        "plain": api.new_session(**first)["id"],
        "stored": api.new_session(agent=agent_id, resources=[store])["id"],
        "running": api.new_session(**first)["id"],
        "archived": api.new_session(**first)["id"],
    }
    api.start_turn(ids["running"])
    api.ok("POST", f"/sessions/{ids['archived']}/archive")
    listed = api.listed("/sessions", agent_id=agent_id, order="asc", **query)
    assert listed == [ids[name] for name in expected]


@pytest.mark.parametrize(
    ("bound", "expected"), [("gt", [2]), ("gte", [1, 2]), ("lt", [0]), ("lte", [0, 1])], ids=["gt", "gte", "lt", "lte"]
)
def test_time_filters_accept_any_offset(api: Api, three: list[str], bound: str, expected: list[int]) -> None:
    agent_id, *ids = three
    created_at = api.ok("GET", f"/sessions/{ids[1]}")["created_at"].replace("Z", "+00:00")
    listed = api.listed("/sessions", agent_id=agent_id, order="asc", **{f"created_at[{bound}]": created_at})
    assert listed == [ids[place] for place in expected]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["b", "a"]),
        ({"order": "asc"}, ["a", "b"]),
        ({"name": "ICKET A"}, ["a"]),
        ({"name": "nothing"}, []),
        ({"metadata": {"team": "red"}}, ["b", "a"]),
        ({"metadata": {"team": "red", "shift": "late"}}, ["b"]),
        ({"metadata": {"team": "re"}}, []),
        ({"include_archived": True}, ["archived", "b", "a"]),
        ({"statuses": ["running"]}, []),
        ({"created_at[gt]": "2999-01-01T00:00:00Z"}, []),
    ],
    ids=repr,
)
def test_a_search_finds_titles_and_metadata(api: Api, body: Json, expected: list[str]) -> None:
    agent_id = api.new_agent()["id"]
    ids = {
        "a": api.new_session(agent=agent_id, title="Ticket A", metadata={"team": "red"})["id"],
        "b": api.new_session(agent=agent_id, metadata={"team": "red", "shift": "late"})["id"],
        "archived": api.new_session(agent=agent_id, metadata={"team": "blue"})["id"],
    }
    api.ok("POST", f"/sessions/{ids['archived']}/archive")
    page = api.ok("POST", "/sessions/search", {"agent_id": agent_id, **body}, headers=SEARCH)
    assert [session["id"] for session in page["data"]] == [ids[name] for name in expected]
    assert page["total"] == len(expected)


def test_a_search_counts_on_its_first_page(api: Api, three: list[str]) -> None:
    query = {"agent_id": three[0], "limit": 2}
    first = api.ok("POST", "/sessions/search", query, headers={"x-qoder-beta": f"other, {SEARCH['x-qoder-beta']}"})
    assert first.keys() == {"data", "next_page", "first_id", "last_id", "has_more", "total"}
    assert first["total"] == 3
    second = api.ok("POST", "/sessions/search", {**query, "page": first["next_page"]}, headers=SEARCH)
    assert "total" not in second
    assert [session["id"] for session in second["data"]] == [three[1]]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({"x-qoder-beta": "other"}, {}),
        (SEARCH, {"limit": "2"}),
        (SEARCH, {"metadata": {"k": 1}}),
        (SEARCH, {"unknown": 1}),
        (SEARCH, {"statuses": "idle"}),
    ],
)
def test_a_bad_search_is_refused(api: Api, headers: dict[str, str], body: Json) -> None:
    assert api.refused("POST", "/sessions/search", body, headers=headers)["type"] == "invalid_request_error"
