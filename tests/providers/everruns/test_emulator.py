"""The Everruns emulator, spoken to without any client of ours."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession.emulation.emulator import Generation

TOKEN = "evr_pat_emulator"
HEX = "0123456789abcdef" * 2
UNKNOWN_SESSION = f"session_{HEX}"
DEFAULT_ORG = "org_00000000000000000000000000000001"

# Required members and their types, by component of the published description, info.version 0.2.0:
# https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11). `status` of a session is from the field's text:
# the component SessionStatus of that document describes something else.
LINKS = {"self_url": str, "view_url": str, "ui_link": str}
PUBLISHED: dict[str, dict[str, type]] = {
    "WithUrls_Session": {
        "id": str,
        "organization_id": str,
        "workspace_id": str,
        "harness_id": str,
        "owner_principal_id": str,
        "status": str,
        "created_at": str,
        "updated_at": str,
        **LINKS,
    },
    "WithUrls_Agent": {
        "id": str,
        "name": str,
        "system_prompt": str,
        "harness_id": str,
        "status": str,
        "created_at": str,
        "updated_at": str,
        **LINKS,
    },
    "ResourceWithCounts": {"session_count": int, "app_count": int},
    "WithUrls_Harness": {"id": str, "name": str, "status": str, "created_at": str, "updated_at": str, **LINKS},
    "WithUrls_ModelWithProvider": {
        "id": str,
        "provider_id": str,
        "model_id": str,
        "display_name": str,
        "capabilities": list,
        "is_favorite": bool,
        "enabled": bool,
        "source": str,
        "created_at": str,
        "updated_at": str,
        "provider_name": str,
        "provider_type": str,
        "healthy": bool,
        **LINKS,
    },
    "WithUrls_CapabilityInfo": {"id": str, "name": str, "description": str, "status": str, **LINKS},
    "PaginatedResponse": {"data": list, "total": int, "offset": int, "limit": int},
    "SessionStatsResponse": {"total": int, "active": int, "idle": int, "started": int, "waiting_for_tool_results": int},
    "CancelTurnResponse": {"status": str, "message": str},
    "ErrorResponse": {"title": str, "status": int},
    "AllowedAction": {"rel": str, "href": str, "method": str},
}


def conforms(body: dict[str, Any], *components: str) -> dict[str, Any]:
    """Assert that a body has what the published components require, and no null; give it back."""
    for component in components:
        for name, kind in PUBLISHED[component].items():
            assert type(body.get(name)) is kind, f"{component}.{name}: {body.get(name)!r}"
    assert None not in body.values()
    for name, value in body.items():
        if name.endswith("_at"):
            assert datetime.fromisoformat(value).utcoffset() == timedelta(0)
            assert value.endswith("Z")
    return body


class Api:
    """A plain HTTP client for one served emulator."""

    def __init__(self, handle: EmulatorHandle) -> None:
        self.handle = handle
        self.origin = handle.base_url.removesuffix("/api")
        self.http = httpx.Client(base_url=f"{handle.base_url}/v1/", headers={"Authorization": TOKEN})

    def session(self, **values: object) -> dict[str, Any]:
        return self.ok("POST", "sessions", 201, values)

    def agent(self, name: str, **values: object) -> dict[str, Any]:
        return self.ok("POST", "agents", 201, {"name": name, "system_prompt": "Be brief.", **values})

    def ok(self, method: str, path: str, status: int = 200, body: object = None) -> dict[str, Any]:
        response = self.http.request(method, path, json=body)
        assert response.status_code == status, response.text
        result: dict[str, Any] = response.json()
        return result

    def refused(self, method: str, path: str, status: int, body: object = None) -> dict[str, Any]:
        response = self.http.request(method, path, json=body)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
        problem = conforms(response.json(), "ErrorResponse")
        assert problem["status"] == status
        return problem


def served(generation: Generation = "current") -> Iterator[Api]:
    with serve("everruns", generation=generation) as handle:
        api = Api(handle)
        with api.http:
            yield api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """One emulator for the tests that do not count what is there."""
    yield from served()


@pytest.fixture
def fresh() -> Iterator[Api]:
    yield from served()


@pytest.fixture
def seed() -> Iterator[Api]:
    yield from served("seed")


# --- Admission -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (TOKEN, 200),
        (f"Bearer {TOKEN}", 200),
        (f"ApiKey {TOKEN}", 200),
        ("evr_older", 200),
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("sk-other", 401),
        ("Bearer sk-other", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer evr_ak_key_of_an_agent", 401),
    ],
)
def test_a_user_token_opens_the_api_bare_or_after_a_scheme(api: Api, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = httpx.get(f"{api.handle.base_url}/v1/sessions", headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.json()["title"] == "Unauthorized"


def test_the_settings_of_the_handle_open_the_api(api: Api) -> None:
    token = api.handle.settings["api_key"]
    assert httpx.get(f"{api.handle.base_url}/v1/sessions", headers={"Authorization": token}).status_code == 200


@pytest.mark.parametrize(
    ("organization", "status"), [(DEFAULT_ORG, 200), (f"org_{HEX}", 403), ("org_1", 400), ("default", 400)]
)
def test_only_the_default_organization_is_reached(api: Api, organization: str, status: int) -> None:
    assert api.http.get("sessions", headers={"X-Org-Id": organization}).status_code == status


@pytest.mark.parametrize("reason", ["retire", "%E2%9C%93%20done", "two%0Alines%09tabbed", "x" * 1000, "%C3%A9" * 1000])
def test_a_good_change_reason_is_accepted(api: Api, reason: str) -> None:
    assert api.http.post("sessions", json={}, headers={"Everruns-Change-Reason": reason}).status_code == 201


@pytest.mark.parametrize("reason", ["", "%20%0A", "x" * 1001, "bell%07", "%C2%85x%C2%85y", "%FF"])
def test_a_bad_change_reason_is_refused(api: Api, reason: str) -> None:
    response = api.http.post("sessions", json={}, headers={"Everruns-Change-Reason": reason})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_change_reason")


@pytest.mark.parametrize(("method", "path"), [("GET", "sessions"), ("GET", "sessions/x"), ("POST", "sessions")])
def test_the_request_id_comes_back_or_is_made(api: Api, method: str, path: str) -> None:
    assert api.http.request(method, path, headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert uuid.UUID(api.http.request(method, path).headers["x-request-id"]).version == 4


def test_health_needs_no_credential(api: Api) -> None:
    assert httpx.get(f"{api.origin}/health").status_code == 200


# --- Ids and bodies --------------------------------------------------------------------------------------------------

SESSION_CALLS: list[tuple[str, str, object]] = [
    ("GET", "sessions/{}", None),
    ("PATCH", "sessions/{}", {}),
    ("DELETE", "sessions/{}", None),
    ("POST", "sessions/{}/cancel", {}),
    ("PUT", "sessions/{}/pin", None),
    ("DELETE", "sessions/{}/pin", None),
    ("POST", "sessions/{}/fork", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), SESSION_CALLS)
def test_an_unknown_session_is_not_found(api: Api, method: str, path: str, body: object) -> None:
    assert api.refused(method, path.format(UNKNOWN_SESSION), 404, body) == {
        "title": "Not Found",
        "status": 404,
        "detail": "Session not found",
        "code": "session_not_found",
    }


@pytest.mark.parametrize(("method", "path", "body"), SESSION_CALLS)
def test_a_malformed_session_id_is_refused(api: Api, method: str, path: str, body: object) -> None:
    assert api.refused(method, path.format("session_1"), 400, body)["detail"].startswith("Invalid session ID: ")


@pytest.mark.parametrize(
    ("session_id", "problem"),
    [
        (f"sess_{HEX}", "invalid prefix: expected 'session', got 'sess'"),
        (f"Session_{HEX}", "invalid prefix: expected 'session', got 'Session'"),
        (HEX, f"invalid prefix: expected 'session', got '{HEX}'"),
        ("session_01933b5a00007000800000000000001", "invalid length: expected 32, got 31"),
        (f"session_{HEX}0", "invalid length: expected 32, got 33"),
        (f"session_{HEX.upper()}", f"invalid hex in ID: {HEX.upper()}"),
        (f"session_{'g' * 32}", f"invalid hex in ID: {'g' * 32}"),
    ],
)
def test_an_id_is_checked_by_prefix_then_length_then_digits(api: Api, session_id: str, problem: str) -> None:
    assert api.refused("GET", f"sessions/{session_id}", 400)["detail"] == f"Invalid session ID: {problem}"


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "sessions", b"{", 400),
        ("POST", "sessions", b"", 400),
        ("POST", "sessions", b"[]", 422),
        ("POST", "sessions", b'{"title": 5}', 422),
        ("POST", "sessions", b'{"tags": null}', 422),
        ("POST", "sessions", b'{"tags": ["a", 1]}', 422),
        ("POST", "sessions", b'{"capabilities": [{"config": {}}]}', 422),
        ("POST", "sessions", b'{"max_iterations": -1}', 422),
        ("POST", "sessions", b'{"parallel_tool_calls": "yes"}', 422),
        ("PATCH", f"sessions/{UNKNOWN_SESSION}", b"not json", 400),
        ("PATCH", f"sessions/{UNKNOWN_SESSION}", b"", 400),
        ("PATCH", f"sessions/{UNKNOWN_SESSION}", b'{"tags": "a"}', 422),
        ("POST", "agents", b'{"name": "a"}', 422),
        ("POST", "agents", b'{"name": "a", "system_prompt": null}', 422),
        ("GET", "sessions?limit=many", b"", 400),
        ("GET", "sessions?offset=-1", b"", 400),
        ("GET", "agents?include_archived=maybe", b"", 400),
    ],
)
def test_what_cannot_be_read_is_answered_in_plain_text(
    api: Api, method: str, path: str, content: bytes, status: int
) -> None:
    response = api.http.request(method, path, content=content)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (status, "text/plain")


# --- Creating and reading sessions -----------------------------------------------------------------------------------


def test_a_session_of_nothing_has_what_is_required_and_no_more(api: Api) -> None:
    session = conforms(api.session(), "WithUrls_Session")
    assert set(session) == {*PUBLISHED["WithUrls_Session"], "tags", "allowed_actions"}
    assert (session["status"], session["tags"], session["organization_id"]) == ("started", [], DEFAULT_ORG)
    for name, prefix in [
        ("id", "session"),
        ("workspace_id", "wsp"),
        ("harness_id", "harness"),
        ("owner_principal_id", "principal"),
    ]:
        assert re.fullmatch(f"{prefix}_[0-9a-f]{{32}}", session[name])


def test_what_a_session_is_created_with_is_read_back(api: Api) -> None:
    client_tool = {"type": "client_side", "name": "open_url", "description": "Opens", "parameters": {"type": "object"}}
    given = {
        "agent_id": api.handle.agent_id,
        "title": "Demo",
        "tags": ["a", "b"],
        "capabilities": [{"ref": "current_time", "config": {"zone": None}}, {"ref": "web_fetch"}],
        "model_id": api.ok("GET", "models")["data"][0]["id"],
        "locale": "uk-UA",
        "system_prompt": "Be brief.",
        "hints": {"rich_media": True},
        "mcpServers": {"files": {"url": "https://mcp.example"}},
        "network_access": {"allowed": ["*.example"]},
        "max_iterations": 3,
        "parallel_tool_calls": False,
        "agent_identity_id": f"identity_{HEX}",
        "initial_files": [{"path": "a.txt", "content": "x"}],
        "tools": [client_tool],
    }
    created = conforms(api.session(**given, not_a_field=1), "WithUrls_Session")
    read = conforms(api.ok("GET", f"sessions/{created['id']}"), "WithUrls_Session")
    assert {name: read[name] for name in given} == given
    assert "not_a_field" not in read
    assert read == {**created, "is_pinned": False}


def test_null_and_empty_are_left_out_of_a_session(api: Api) -> None:
    session = api.session(title=None, model_id=None, agent_id=None, capabilities=[], tools=[], initial_files=[])
    assert not {"title", "model_id", "agent_id", "capabilities", "tools", "initial_files"} & set(session)


def test_tools_that_the_client_does_not_run_are_dropped(api: Api) -> None:
    mine = {"type": "client_side", "name": "mine", "description": "", "parameters": {}}
    assert api.session(tools=[{"type": "builtin", "name": "theirs"}, mine])["tools"] == [mine]


@pytest.mark.parametrize(
    ("values", "status", "detail"),
    [
        ({"agent_id": f"agent_{HEX}", "agent_name": "emulated"}, 400, "Cannot specify both agent_id and agent_name"),
        ({"harness_id": f"harness_{HEX}", "harness_name": "generic"}, 400, "Cannot specify both harness_id and"),
        ({"agent_id": "agent_1"}, 400, "Invalid agent ID: invalid length"),
        ({"agent_id": f"agent_{HEX}"}, 404, "Agent not found"),
        ({"agent_name": "nobody"}, 404, "Agent not found"),
        ({"harness_id": f"wsp_{HEX}"}, 400, "Invalid harness ID: invalid prefix: expected 'harness', got 'wsp'"),
        ({"harness_id": f"harness_{HEX}"}, 404, "Harness not found"),
        ({"harness_name": "nothing"}, 404, "Harness not found"),
        ({"model_id": "gpt"}, 400, "Invalid model ID: "),
        ({"model_id": f"model_{HEX}"}, 404, "Model not found"),
        ({"workspace_id": "w"}, 400, "Invalid workspace ID: invalid prefix: expected 'wsp', got 'w'"),
        ({"workspace_id": f"wsp_{HEX}"}, 404, "Workspace not found"),
        ({"agent_identity_id": "me"}, 400, "Invalid agent identity ID: "),
        ({"tags": ["ok", "app:x"]}, 400, "Tags with the prefix 'app:' are reserved"),
        ({"tools": [{"type": "client_side", "name": "mcp_x"}]}, 400, "Tool names must not begin with 'mcp_'"),
    ],
)
def test_a_session_that_breaks_a_rule_is_refused(api: Api, values: dict[str, object], status: int, detail: str) -> None:
    before = api.ok("GET", "sessions")["total"]
    assert api.refused("POST", "sessions", status, values)["detail"].startswith(detail)
    assert api.ok("GET", "sessions")["total"] == before


def test_the_harness_is_the_given_one_else_the_agents_else_the_generic_one(api: Api) -> None:
    generic = api.ok("GET", "harnesses?search=generic")["data"][0]["id"]
    own = api.ok("POST", "harnesses", 201, {"name": "of-the-agent"})["id"]
    agent = api.agent("with-harness", harness_name="of-the-agent")
    assert agent["harness_id"] == own
    assert api.session()["harness_id"] == generic
    assert api.session(agent_id=agent["id"])["harness_id"] == own
    assert api.session(agent_name="with-harness", harness_name="generic")["harness_id"] == generic
    assert api.session(agent_id=agent["id"], harness_id=generic)["agent_id"] == agent["id"]


def test_a_session_joins_the_workspace_of_another(api: Api) -> None:
    first = api.session()
    assert api.session(workspace_id=first["workspace_id"])["workspace_id"] == first["workspace_id"]
    assert api.session()["workspace_id"] != first["workspace_id"]


def test_a_deleted_session_is_gone_for_good(api: Api) -> None:
    path = f"sessions/{api.session()['id']}"
    response = api.http.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    api.refused("GET", path, 404)
    api.refused("DELETE", path, 404)


def test_pinning_is_told_on_reading_and_listing_only(api: Api) -> None:
    session = api.session(title="to be pinned")
    path = f"sessions/{session['id']}"
    for method, pinned in [("PUT", True), ("PUT", True), ("DELETE", False)]:
        assert api.http.request(method, f"{path}/pin").status_code == 204
        assert api.ok("GET", path)["is_pinned"] is pinned
        assert api.ok("GET", "sessions?search=to be pinned")["data"][0]["is_pinned"] is pinned
        assert "is_pinned" not in api.ok("PATCH", path, body={})


def test_links_are_absolute_and_actions_follow_the_state(api: Api) -> None:
    session = api.session()
    href = f"{api.handle.base_url}/v1/sessions/{session['id']}"
    page = f"{api.origin}/sessions/{session['id']}/chat"
    assert [session[name] for name in LINKS] == [href, page, page]
    api.http.put(f"{href}/pin")
    api.handle.emulator.start_turn(session["id"], duration_s=60)
    actions = [conforms(action, "AllowedAction") for action in api.ok("GET", href)["allowed_actions"]]
    assert {(action["rel"], action["method"], action["href"]) for action in actions} == {
        ("self", "GET", href),
        ("events", "GET", f"{href}/events"),
        ("update", "PATCH", href),
        ("delete", "DELETE", href),
        ("unpin", "DELETE", f"{href}/pin"),
        ("cancel", "POST", f"{href}/cancel"),
    }
    assert {action["rel"] for action in session["allowed_actions"]} == {"self", "events", "update", "delete", "pin"}


# --- Changing sessions -----------------------------------------------------------------------------------------------

BEFORE = {"title": "Old", "tags": ["a", "b"], "locale": "en-GB", "agent_identity_id": f"identity_{HEX}"}


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({}, BEFORE),
        ({"title": None, "tags": None, "locale": None}, BEFORE),
        ({"agent_identity_id": None}, {name: value for name, value in BEFORE.items() if name != "agent_identity_id"}),
        ({"agent_identity_id": f"identity_{'1' * 32}"}, {**BEFORE, "agent_identity_id": f"identity_{'1' * 32}"}),
        ({"title": "New"}, {**BEFORE, "title": "New"}),
        ({"tags": ["my app:c"]}, {**BEFORE, "tags": ["my app:c"]}),
        ({"tags": []}, {**BEFORE, "tags": []}),
        ({"title": "New", "locale": "uk-UA", "tags": None}, {**BEFORE, "title": "New", "locale": "uk-UA"}),
        ({"model_id": "x", "capabilities": 1, "agent_id": "y", "status": "idle", "id": "z", "other": True}, BEFORE),
    ],
)
def test_a_patch_sets_what_is_given_and_ignores_what_cannot_be_set(
    api: Api, change: dict[str, object], after: dict[str, object]
) -> None:
    created = api.session(**BEFORE)
    patched = conforms(api.ok("PATCH", f"sessions/{created['id']}", body=change), "WithUrls_Session")
    unchanged = {name: value for name, value in created.items() if name not in {*BEFORE, "updated_at"}}
    assert patched == {**unchanged, **after, "updated_at": patched["updated_at"]}
    assert patched["updated_at"] > created["updated_at"]
    assert api.ok("GET", f"sessions/{created['id']}") == {**patched, "is_pinned": False}


@pytest.mark.parametrize(
    "tag",
    [
        "__internal:x",
        "app:x",
        "app_channel:x",
        "slack:app:x",
        "slack:endpoint:x",
        "fcp:endpoint:x",
        "ag_ui:app:x",
        "agent:x",
        "endpoint:x",
    ],
)
def test_a_patch_with_a_reserved_tag_changes_nothing(api: Api, tag: str) -> None:
    created = api.session(title="Old", tags=["a"])
    api.refused("PATCH", f"sessions/{created['id']}", 400, {"title": "New", "tags": ["application", tag]})
    assert api.ok("GET", f"sessions/{created['id']}") == {**created, "is_pinned": False}


# --- Life ------------------------------------------------------------------------------------------------------------


def test_a_session_is_started_then_active_then_idle(api: Api) -> None:
    path = f"sessions/{(session := api.session())['id']}"
    assert (session["status"], "started_at" in session) == ("started", False)
    api.handle.emulator.start_turn(session["id"], duration_s=60)
    running = conforms(api.ok("GET", path), "WithUrls_Session")
    assert (running["status"], running["started_at"]) == ("active", running["updated_at"])
    api.handle.emulator.start_turn(session["id"], duration_s=0)
    after = api.ok("GET", path)
    assert (after["status"], after["started_at"]) == ("idle", running["started_at"])


def test_a_turn_of_no_session_cannot_be_started(api: Api) -> None:
    with pytest.raises(KeyError):
        api.handle.emulator.start_turn(UNKNOWN_SESSION, duration_s=1)


def test_a_session_that_needs_the_client_waits_for_tool_results(api: Api) -> None:
    session = api.session()
    api.handle.emulator.await_tool_results(session["id"])  # type: ignore[attr-defined]
    assert api.ok("GET", f"sessions/{session['id']}")["status"] == "waitingfortoolresults"
    api.handle.emulator.start_turn(session["id"], duration_s=60)
    assert api.ok("GET", f"sessions/{session['id']}")["status"] == "active"


def cancel(api: Api, session_id: str) -> tuple[str, str]:
    body = conforms(api.ok("POST", f"sessions/{session_id}/cancel"), "CancelTurnResponse")
    return body["status"], body["message"]


@pytest.mark.parametrize("begin", ["start_turn", "await_tool_results"])
def test_cancelling_ends_a_turn_and_is_no_error_without_one(api: Api, begin: str) -> None:
    session_id = api.session()["id"]
    assert cancel(api, session_id) == ("no_op", "No turn currently running")
    options = {"duration_s": 60} if begin == "start_turn" else {}
    getattr(api.handle.emulator, begin)(session_id, **options)
    assert cancel(api, session_id) == ("cancelled", "Turn cancelled successfully")
    assert api.ok("GET", f"sessions/{session_id}")["status"] == "idle"
    assert cancel(api, session_id) == ("no_op", "No turn currently running")


def test_stats_count_sessions_by_status(fresh: Api) -> None:
    emulator: Any = fresh.handle.emulator
    _, active, waiting, idle = (fresh.session()["id"] for _ in range(4))
    emulator.start_turn(active, duration_s=60)
    emulator.start_turn(idle, duration_s=0)
    emulator.await_tool_results(waiting)
    stats = conforms(fresh.ok("GET", "sessions/stats"), "SessionStatsResponse")
    assert stats == {"total": 4, "active": 1, "idle": 1, "started": 1, "waiting_for_tool_results": 1}


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
    api.handle.emulator.start_turn(session_id, duration_s=60)
    api.refused("POST", f"sessions/{session_id}/fork", 409, {})
    api.handle.emulator.await_tool_results(session_id)  # type: ignore[attr-defined]
    api.refused("POST", f"sessions/{session_id}/fork", 409, {})


# --- Lists -----------------------------------------------------------------------------------------------------------


def test_sessions_come_newest_first_page_by_page(fresh: Api) -> None:
    newest_first = [fresh.session(title=f"n{number}")["id"] for number in range(5)][::-1]
    url, seen, pages = "sessions?limit=2&search=N", [], []
    while url:
        pages.append(conforms(fresh.ok("GET", url), "PaginatedResponse"))
        seen += [session["id"] for session in pages[-1]["data"]]
        url = pages[-1].get("next_url", "")
    assert seen == newest_first
    assert [(page["total"], page["offset"], page["limit"]) for page in pages] == [(5, 0, 2), (5, 2, 2), (5, 4, 2)]
    base = f"{fresh.handle.base_url}/v1/sessions?limit=2&search=N&offset="
    assert [page.get("next_url") for page in pages] == [f"{base}2", f"{base}4", None]
    assert [page.get("prev_url") for page in pages] == [None, f"{base}0", f"{base}2"]


@pytest.mark.parametrize(
    ("query", "offset", "limit", "count"),
    [
        ("", 0, 20, 20),
        ("?limit=100", 0, 100, 21),
        ("?limit=1000", 0, 100, 21),
        ("?limit=0", 0, 1, 1),
        ("?offset=20", 20, 20, 1),
        ("?offset=500&limit=5", 500, 5, 0),
    ],
)
def test_limits_are_brought_into_range_and_told(many: Api, query: str, offset: int, limit: int, count: int) -> None:
    page = many.ok("GET", f"sessions{query}")
    assert (page["offset"], page["limit"], len(page["data"]), page["total"]) == (offset, limit, count, 21)


@pytest.fixture(scope="module")
def many() -> Iterator[Api]:
    for api in served():
        for _ in range(21):
            api.session()
        yield api


def test_sessions_are_found_by_agent_and_by_part_of_the_title(fresh: Api) -> None:
    agent_id = fresh.handle.agent_id
    one = fresh.session(agent_id=agent_id, title="Fix LOGIN")["id"]
    two = fresh.session(title="login again")["id"]
    three = fresh.session(agent_id=agent_id)["id"]
    for query, expected in [
        (f"agent_id={agent_id}", [three, one]),
        ("search=Login", [two, one]),
        (f"search=login&agent_id={agent_id}", [one]),
        ("search=nothing", []),
        (f"agent_id=agent_{HEX}", []),
        ("tags=x&status=active", [three, two, one]),
    ]:
        page = fresh.ok("GET", f"sessions?{query}")
        assert ([session["id"] for session in page["data"]], page["total"]) == (expected, len(expected))
    assert "Invalid agent ID" in fresh.refused("GET", "sessions?agent_id=agent_1", 400)["detail"]


# --- Agents, harnesses, models, capabilities -------------------------------------------------------------------------


def test_the_seeded_agent_is_there_with_its_counts(fresh: Api) -> None:
    fresh.session(agent_id=fresh.handle.agent_id)
    agent = conforms(fresh.ok("GET", f"agents/{fresh.handle.agent_id}"), "WithUrls_Agent", "ResourceWithCounts")
    assert (agent["session_count"], agent["app_count"], agent["status"]) == (1, 0, "active")
    assert fresh.ok("GET", f"agents/{agent['name']}") == agent
    assert fresh.ok("GET", "agents") == {"data": [agent], "total": 1, "offset": 0, "limit": 20}


def test_what_an_agent_is_created_with_is_read_back(api: Api) -> None:
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
def test_a_name_that_is_no_slug_is_refused(api: Api, collection: str, name: str) -> None:
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


def test_put_makes_an_agent_then_replaces_it(api: Api) -> None:
    body = {"name": "put-here", "system_prompt": "One.", "description": "D"}
    path = f"agents/agent_{'b' * 32}"
    made = conforms(api.ok("PUT", path, 201, body), "WithUrls_Agent")
    replaced = api.ok("PUT", path, 200, {"name": "put-here", "system_prompt": "Two."})
    assert (replaced["id"], replaced["system_prompt"], "description" in replaced) == (made["id"], "Two.", False)
    assert replaced["updated_at"] > made["updated_at"] == made["created_at"] == replaced["created_at"]
    assert api.ok("PUT", "agents/put-here", 200, body)["id"] == made["id"]
    assert api.ok("PUT", "agents/put-new", 201, {**body, "name": "put-new"})["id"] != made["id"]


@pytest.mark.parametrize(("method", "path"), [("POST", "agents"), ("PUT", "agents/agent_1"), ("PUT", "agents/No Slug")])
def test_an_agent_is_not_made_under_a_malformed_id(api: Api, method: str, path: str) -> None:
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


# --- The older generation --------------------------------------------------------------------------------------------


def test_an_older_session_has_the_older_fields_only(seed: Api) -> None:
    body = {"agent_id": seed.handle.agent_id, "title": "T", "locale": "en-GB", "harness_name": "generic"}
    created = seed.session(**body)
    always = {"id", "organization_id", "agent_id", "harness_id", "status", "created_at", "updated_at", "tags"}
    assert set(created) == {*always, "capabilities", "title"}
    assert (created["tags"], created["capabilities"]) == ([], [])
    seed.handle.emulator.start_turn(created["id"], duration_s=0)
    read = seed.ok("GET", f"sessions/{created['id']}")
    assert set(read) == {*created, "started_at"}
    assert datetime.fromisoformat(read["started_at"]) <= datetime.now(UTC)


def test_an_older_session_needs_an_agent(seed: Api) -> None:
    assert seed.http.post("sessions", json={"title": "T"}).status_code == 422
    assert seed.http.post("sessions", json={"agent_id": None}).status_code == 422


def test_an_older_patch_knows_title_and_tags(seed: Api) -> None:
    path = f"sessions/{seed.session(agent_id=seed.handle.agent_id)['id']}"
    patched = seed.ok("PATCH", path, body={"title": "T", "tags": ["a"], "locale": 5, "agent_identity_id": 5})
    assert (patched["title"], patched["tags"]) == ("T", ["a"])


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", f"sessions/{UNKNOWN_SESSION}", 404, "Session not found"),
        ("GET", "sessions/x", 400, "Invalid session ID: invalid prefix: expected 'session', got 'x'"),
    ],
)
def test_an_older_error_is_a_single_text(seed: Api, method: str, path: str, status: int, text: str) -> None:
    response = seed.http.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert response.json() == {"error": text}


def test_older_lists_and_agents_have_no_links(seed: Api) -> None:
    for _ in range(2):
        seed.session(agent_id=seed.handle.agent_id)
    assert set(seed.ok("GET", "sessions?limit=1&offset=1")) == {"data", "total", "offset", "limit"}
    assert set(seed.ok("GET", "sessions?limit=1")) == {"data", "total", "offset", "limit"}
    (agent,) = seed.ok("GET", "agents")["data"]
    assert not {*LINKS, "session_count"} & set(agent)
    assert not set(LINKS) & set(seed.ok("GET", "models")["data"][0])


def test_an_older_session_waits_in_the_other_spelling(seed: Api) -> None:
    session_id = seed.session(agent_id=seed.handle.agent_id)["id"]
    seed.handle.emulator.await_tool_results(session_id)  # type: ignore[attr-defined]
    assert seed.ok("GET", f"sessions/{session_id}")["status"] == "waiting_for_tool_results"
