"""Sessions of the Everruns emulator: created, read, changed, pinned and deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from providers.everruns.test_emulator import DEFAULT_ORG, HEX, LINKS, PUBLISHED, Api, conforms, served


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    yield from served()


def test_a_session_without_options_has_only_the_required_fields(api: Api) -> None:
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


def test_the_fields_of_a_new_session_are_read_back(api: Api) -> None:
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
def test_an_invalid_session_is_refused(api: Api, values: dict[str, object], status: int, detail: str) -> None:
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


def test_a_deleted_session_is_gone(api: Api) -> None:
    path = f"sessions/{api.session()['id']}"
    response = api.http.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    api.refused("GET", path, 404)
    api.refused("DELETE", path, 404)


def test_only_reads_and_lists_show_whether_a_session_is_pinned(api: Api) -> None:
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
    api.handle.control.start_turn(session["id"], duration_s=60)
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
def test_a_patch_sets_known_fields_and_ignores_the_others(
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
