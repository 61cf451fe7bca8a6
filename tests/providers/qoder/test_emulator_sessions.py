"""Updates, archiving, deletion and cancellation in the Qoder emulator, over plain HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from polysession_qoder.emulator import state
from providers.qoder.test_emulator import OVERSIZED_METADATA, TIMESTAMP, TOOLS, Api, Json, served_api


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"title": "new"}, {"title": "new"}),
        ({"title": ""}, {"title": ""}),
        ({"title": None}, {"title": None}),
        ({"metadata": None}, {}),
        ({"metadata": {}}, {}),
        ({"metadata": {"b": "2"}}, {"metadata": {"a": "1", "b": "2"}}),
        ({"metadata": {"a": None, "unknown": None, "b": ""}}, {"metadata": {"b": ""}}),
        ({"budget": None}, {"budget": None}),
        (
            {"budget": {"type": "limit", "max_credit_cost": "2"}},
            {"budget": {"type": "limit", "max_credit_cost": "2"}},
        ),
    ],
)
def test_an_update_changes_only_its_fields(api: Api, change: Json, expected: Json) -> None:
    session = api.new_session(
        title="old", metadata={"a": "1"}, budget={"type": "limit", "max_credit_cost": "1"}, environment_variables="A=1"
    )
    updated = api.ok("POST", f"/sessions/{session['id']}", change)
    before, after = (datetime.fromisoformat(record.pop("updated_at")) for record in (session, updated))
    assert after > before
    assert {"budget": None, **updated} == {**session, **expected}


def test_an_update_replaces_lists_of_the_agent_and_keeps_the_rest(api: Api) -> None:
    servers = [{"type": "url", "name": "m", "url": "https://mcp.example"}]
    session = api.new_session(agent=api.new_agent(system="s", mcp_servers=servers)["id"])
    updated = api.ok("POST", f"/sessions/{session['id']}", {"agent": {"tools": TOOLS}})
    assert updated["agent"] == {**session["agent"], "tools": TOOLS}


def test_metadata_limits_apply_to_the_merged_result(api: Api) -> None:
    full = {f"k{number}": "v" for number in range(15)} | {"ü" * 64: "ü" * 512}
    path = f"/sessions/{api.new_session(metadata=full)['id']}"
    assert api.refused("POST", path, {"metadata": {"one more": ""}})["param"] == "metadata"
    replaced = api.ok("POST", path, {"metadata": {"k0": None, "one more": ""}})
    assert len(replaced["metadata"]) == 16


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"title": 1}, "title"),
        ({"metadata": {"k": 1}}, "metadata"),
        *(({"metadata": metadata}, "metadata") for metadata in OVERSIZED_METADATA),
        ({"vault_ids": ["vault_1"]}, "vault_ids"),
        ({"vault_ids": None}, "vault_ids"),
        ({"agent": "agent_1"}, "agent"),
        ({"agent": {"system": "s"}}, "system"),
        ({"agent": {"tools": [{}]}}, "type"),
        ({"budget": {"type": "limit", "max_credit_cost": "0"}}, "budget"),
        ({"environment_variables": {"QODER_A": "1"}}, "environment_variables"),
        ({"environment_variables": "A=1"}, "environment_variables"),
        ({"delta_flush_interval_ms": 100}, "delta_flush_interval_ms"),
        ({"unknown": None}, "unknown"),
    ],
    ids=repr,
)
def test_a_refused_update_changes_nothing(api: Api, change: Json, param: str) -> None:
    session = api.new_session(title="old")
    error = api.refused("POST", f"/sessions/{session['id']}", {"title": "new", **change})
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert api.ok("GET", f"/sessions/{session['id']}") == session


def test_a_running_session_may_be_renamed_and_keeps_its_agent(api: Api) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id)
    assert api.ok("POST", f"/sessions/{session_id}", {"title": "new"})["status"] == "running"
    error = api.refused("POST", f"/sessions/{session_id}", {"title": "newer", "agent": {"tools": TOOLS}})
    assert error["type"] == "conflict_error"
    assert api.ok("GET", f"/sessions/{session_id}")["title"] == "new"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("POST", "/archive"),
        ("POST", "/cancel"),
        ("GET", "/resources"),
    ],
)
def test_an_unknown_session_is_not_found(api: Api, method: str, path: str) -> None:
    assert api.refused(method, f"/sessions/sess_none{path}") == {
        "type": "not_found_error",
        "message": "Session 'sess_none' was not found.",
    }


@pytest.mark.parametrize(("running", "status"), [(False, "idle"), (True, "running")])
def test_archiving_keeps_the_status_and_happens_once(api: Api, running: bool, status: str) -> None:  # noqa: FBT001
    session_id = api.new_session()["id"]
    if running:
        api.start_turn(session_id)
    archived = api.ok("POST", f"/sessions/{session_id}/archive")
    assert TIMESTAMP.fullmatch(archived["archived_at"])
    assert archived["status"] == status
    assert api.ok("POST", f"/sessions/{session_id}/archive", {}) == archived
    assert api.ok("GET", f"/sessions/{session_id}") == archived


def test_an_archived_session_accepts_no_update_and_no_cancel(api: Api) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id)
    api.ok("POST", f"/sessions/{session_id}/archive")
    assert api.refused("POST", f"/sessions/{session_id}", {"title": "t"})["type"] == "conflict_error"
    assert api.refused("POST", f"/sessions/{session_id}/cancel")["type"] == "not_found_error"


@pytest.mark.parametrize("duration_s", [0, 60], ids=["idle", "running"])
def test_a_deleted_session_is_gone(api: Api, duration_s: float) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id, duration_s)
    assert api.ok("DELETE", f"/sessions/{session_id}", {}) == {"id": session_id, "type": "session_deleted"}
    for method in ("GET", "DELETE"):
        assert api.refused(method, f"/sessions/{session_id}")["type"] == "not_found_error"


def test_cancelling_an_idle_session_changes_nothing(api: Api) -> None:
    session = api.new_session()
    answer = api.ok("POST", f"/sessions/{session['id']}/cancel", status=200)
    assert answer == {"id": session["id"], "type": "session", "status": "canceling"}
    assert api.ok("GET", f"/sessions/{session['id']}") == session


def test_cancelling_a_turn_takes_a_moment(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id)
    monkeypatch.setattr(state, "CANCEL_TAKES_S", 30)
    for _ in range(2):
        answer = api.ok("POST", f"/sessions/{session_id}/cancel", status=202)
        assert answer == {"id": session_id, "type": "session", "status": "canceling"}
        assert api.ok("GET", f"/sessions/{session_id}")["status"] == "running"


def test_a_cancelled_session_becomes_idle_and_can_run_again(api: Api) -> None:
    session_id = api.new_session()["id"]
    for _ in range(2):
        api.start_turn(session_id)
        api.ok("POST", f"/sessions/{session_id}/cancel", status=202)
        api.wait_until_idle(session_id)


def test_repeated_requests_to_cancel_do_not_prolong_the_turn(api: Api) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id)
    deadline_s = time.monotonic() + 5
    while api.http.post(f"/sessions/{session_id}/cancel").status_code == 202:
        assert time.monotonic() < deadline_s


def test_a_turn_ends_by_itself(api: Api) -> None:
    session_id = api.new_session()["id"]
    api.start_turn(session_id, 0.05)
    api.wait_until_idle(session_id)


def test_a_turn_needs_a_session(api: Api) -> None:
    with pytest.raises(KeyError, match="sess_none"):
        api.start_turn("sess_none", 1)
