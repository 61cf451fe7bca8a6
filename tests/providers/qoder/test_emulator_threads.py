"""Threads, resources, workers and the end of sessions in the Qoder emulator, over HTTP.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/threads/list and the pages beside it (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from polysession.emulation import AskApproval, Say, Think, ToolUse
from polysession_qoder.emulator import QoderEmulator
from providers.qoder.test_emulator import TIMESTAMP, Api, Json, served_api

TEXT = [{"type": "text", "text": "hello"}]
MESSAGE = {"type": "user.message", "content": TEXT}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with served_api() as served:
        yield served


@pytest.fixture(scope="module")
def old_api() -> Iterator[Api]:
    with served_api("legacy") as served:
        yield served


@pytest.fixture
def control(api: Api) -> QoderEmulator:
    assert isinstance(api.handle.control, QoderEmulator)
    return api.handle.control


def send(api: Api, path: str, *events: Json) -> list[Json]:
    accepted: list[Json] = api.ok("POST", f"{path}/events", {"events": list(events)})["data"]
    return accepted


def kept(api: Api, path: str) -> list[Json]:
    events: list[Json] = api.ok("GET", f"{path}/events?limit=100")["data"]
    return events


def events_until(lines: Iterator[str], last: str) -> list[Json]:
    """Read the events of a stream up to the first event of a type."""
    found: list[Json] = []
    for line in lines:
        if line.startswith("data: "):
            found.append(json.loads(line.removeprefix("data: ")))
            if found[-1]["type"] == last:
                return found
    raise AssertionError(f"the stream ended before {last}")


def turn(api: Api, path: str, *events: Json, last: str = "session.status_idle", query: str = "") -> list[Json]:
    """Send events, and follow the stream up to the first event of a type."""
    with api.http.stream("GET", f"{path}/events/stream{query}") as stream:
        send(api, path, *events)
        return events_until(stream.iter_lines(), last)


def types(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


# --- Threads


def test_each_session_has_a_coordinator_thread(api: Api) -> None:
    session = api.new_session()
    (thread,) = api.ok("GET", f"/sessions/{session['id']}/threads")["data"]

    assert thread.pop("id").startswith("sthr_")
    assert all(TIMESTAMP.fullmatch(thread.pop(name)) for name in ("created_at", "updated_at"))
    assert thread == {
        "type": "session_thread",
        "session_id": session["id"],
        "parent_thread_id": None,
        "agent": session["agent"],
        "status": "idle",
        "stats": {"active_seconds": 0, "duration_seconds": 0, "startup_seconds": 0},
        "archived_at": None,
    }


def test_the_coordinator_cannot_be_archived(api: Api) -> None:
    path = f"/sessions/{api.new_session()['id']}/threads"
    (thread,) = api.listed(path)

    assert api.refused("POST", f"{path}/{thread}/archive")["type"] == "conflict_error"
    assert api.refused("GET", f"{path}/sthr_none")["type"] == "not_found_error"


def test_another_agent_answers_in_a_thread_of_its_own(api: Api, control: QoderEmulator) -> None:
    session_id = api.new_session()["id"]
    path = f"/sessions/{session_id}/threads"
    (coordinator,) = api.listed(path)

    thread_id = control.consult(session_id, "reviewer", "Is it good?", "It is.")

    assert api.listed(path) == [coordinator, thread_id]
    thread = api.ok("GET", f"{path}/{thread_id}")
    assert (thread["parent_thread_id"], thread["agent"]["name"], thread["status"]) == (coordinator, "reviewer", "idle")
    assert types(api.ok("GET", f"{path}/{thread_id}/events")["data"]) == [
        "session.thread_created",
        "session.thread_status_running",
        "agent.message",
        "session.thread_status_idle",
    ]
    assert types(api.ok("GET", f"{path}/{coordinator}/events")["data"]) == [
        "agent.thread_message_sent",
        "agent.thread_message_received",
    ]


def test_a_thread_is_archived_once(api: Api, control: QoderEmulator) -> None:
    session_id = api.new_session()["id"]
    thread_id = control.consult(session_id, "reviewer", "Is it good?", "It is.")
    path = f"/sessions/{session_id}/threads/{thread_id}"

    first = api.ok("POST", f"{path}/archive")
    assert (first["status"], api.ok("POST", f"{path}/archive")) == ("terminated", first)
    assert types(api.ok("GET", f"{path}/events")["data"])[-1] == "session.thread_status_terminated"


def test_the_stream_of_a_thread_has_only_its_events(api: Api) -> None:
    path = f"/sessions/{api.new_session()['id']}"
    (thread_id,) = api.listed(f"{path}/threads")

    with api.http.stream("GET", f"{path}/threads/{thread_id}/stream") as stream:
        send(api, path, MESSAGE)
        received = events_until(stream.iter_lines(), "session.status_idle")

    assert received == kept(api, path)


def test_the_legacy_generation_has_no_threads(old_api: Api) -> None:
    path = f"/sessions/{old_api.new_session()['id']}"

    assert old_api.refused("GET", f"{path}/threads")["type"] == "not_found_error"


# --- Resources


def test_a_file_is_added_read_and_removed(api: Api) -> None:
    session = f"/sessions/{api.new_session()['id']}"
    path = f"{session}/resources"
    file = api.ok("POST", path, {"type": "file", "file_id": "file_1"})

    assert file["mount_path"] == "/mnt/session/uploads/file_1"
    assert api.ok("GET", f"{path}/{file['id']}") == file
    assert api.ok("GET", session)["resources"] == [file]
    assert api.ok("DELETE", f"{path}/{file['id']}") == {"id": file["id"], "type": "session_resource_deleted"}
    assert api.refused("DELETE", f"{path}/{file['id']}")["type"] == "not_found_error"
    assert api.listed(path) == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"type": "git_repository", "url": "https://git.example/a.git"}, "type"),
        ({"type": "file"}, "file_id"),
        ({"file_id": "file_1"}, "type"),
    ],
)
def test_only_files_are_added_later(api: Api, body: Json, param: str) -> None:
    path = f"/sessions/{api.new_session()['id']}/resources"

    assert api.refused("POST", path, body)["param"] == param


@pytest.mark.parametrize(
    ("kind", "secret"), [("github_repository", "authorization_token"), ("git_repository", "password")]
)
def test_the_secret_of_a_repository_is_rotated_and_never_shown(api: Api, kind: str, secret: str) -> None:
    session = api.new_session(resources=[{"type": kind, "url": "https://git.example/a.git", secret: "old"}])
    (mount,) = session["resources"]
    path = f"/sessions/{session['id']}/resources/{mount['id']}"

    rotated = api.ok("POST", path, {secret: "new"})

    assert {**rotated, "updated_at": ""} == {**mount, "updated_at": ""}
    assert secret not in rotated
    assert api.refused("POST", path, {"mount_path": "/else"})["param"] == "mount_path"
    assert api.refused("POST", path, {})["param"] == secret


def test_a_file_has_no_secret(api: Api) -> None:
    session = api.new_session(resources=[{"type": "file", "file_id": "file_1"}])
    path = f"/sessions/{session['id']}/resources/{session['resources'][0]['id']}"

    assert "have no secret" in api.refused("POST", path, {"password": "p"})["message"]


# --- Initial events, and events of updates


def test_a_session_begins_with_its_initial_events(api: Api) -> None:
    session = api.new_session(initial_events=[MESSAGE])
    path = f"/sessions/{session['id']}"
    api.wait_until_idle(session["id"])

    assert session["status"] == "running"
    assert [event["type"] for event in kept(api, path) if event["type"].endswith("message")] == [
        "user.message",
        "agent.message",
    ]


@pytest.mark.parametrize(
    "events",
    [
        [MESSAGE] * 51,
        [{"type": "user.interrupt"}],
        [{"type": "user.message"}],
        ["hello"],
        {"type": "user.message", "content": TEXT},
    ],
)
def test_invalid_initial_events_create_no_session(api: Api, events: Any) -> None:
    before = api.listed("/sessions")
    body = {"agent": api.handle.agent_id, "environment_id": api.handle.environment_id, "initial_events": events}

    api.refused("POST", "/sessions", body)

    assert api.listed("/sessions") == before


def test_an_update_reports_the_changed_fields(api: Api) -> None:
    path = f"/sessions/{api.new_session(title='old', metadata={'a': '1'})['id']}"

    api.ok("POST", path, {"title": "new", "metadata": {"a": "1"}})
    api.ok("POST", path, {"title": "new"})
    api.ok("POST", path, {"metadata": {"b": "2"}, "agent": {"tools": []}})
    api.ok("POST", path, {"budget": {"type": "limit", "max_credit_cost": "5"}})
    api.ok("POST", path, {"budget": None})

    received = [{name: event[name] for name in event.keys() - {"id", "processed_at"}} for event in kept(api, path)]
    assert received == [
        {"type": "session.updated", "title": "new"},
        {"type": "session.updated", "metadata": {"a": "1", "b": "2"}},
        {"type": "session.updated", "budget": {"type": "limit", "max_credit_cost": "5"}},
        {"type": "session.updated", "budget": None},
    ]


def test_environment_variables_are_replaced(api: Api) -> None:
    path = f"/sessions/{api.new_session(environment_variables='A=1;B=2')['id']}"

    assert api.ok("POST", path, {"environment_variables": {"C": "3"}})["environment_variables"] == {"C": "3"}
    assert api.ok("POST", path, {"title": "t"})["environment_variables"] == {"C": "3"}


# --- Previews


@pytest.mark.parametrize(
    ("query", "previewed"),
    [
        ("?event_deltas[]=agent.thinking", {"agent.thinking"}),
        ("?event_deltas[]=agent.message", {"agent.message"}),
        ("?event_deltas[]=agent.message&event_deltas[]=agent.thinking", {"agent.thinking", "agent.message"}),
        ("", set()),
    ],
)
def test_the_start_of_a_thought_is_previewed_on_request(api: Api, query: str, previewed: set[str]) -> None:
    path = f"/sessions/{api.new_session()['id']}"
    api.handle.script([Think("Hm."), Say("Done.")], session=path.removeprefix("/sessions/"))

    received = turn(api, path, MESSAGE, query=query)

    starts = {event["event"]["type"]: event["event"]["id"] for event in received if event["type"] == "event_start"}
    assert starts.keys() == previewed
    whole = {event["type"]: event["id"] for event in received if event["type"] in {"agent.thinking", "agent.message"}}
    assert starts.items() <= whole.items()
    assert {event["event_id"] for event in received if event["type"] == "event_delta"} <= {whole["agent.message"]}


# --- Self-hosted environments


@pytest.fixture
def hosted(api: Api) -> str:
    """Create a session in a self-hosted environment, and return its path."""
    environment = api.new_environment(config={"type": "self_hosted"})["id"]
    return f"/sessions/{api.new_session(environment_id=environment)['id']}"


def test_a_tool_of_a_self_hosted_environment_waits_for_its_worker(api: Api, hosted: str) -> None:
    api.handle.script([ToolUse("build", {"target": "all"}, "not used"), Say("Built.")], session=hosted[10:])
    (use,) = turn(api, hosted, MESSAGE, last="agent.tool_use")[-1:]
    assert api.ok("GET", hosted)["status"] == "running"

    content = [{"type": "text", "text": "0 errors"}]
    result = {"type": "user.tool_result", "tool_use_id": use["id"], "content": content}
    received = turn(api, hosted, result)

    (shown,) = [event for event in received if event["type"] == "agent.tool_result"]
    assert (shown["tool_use_id"], shown["content"], shown["is_error"]) == (use["id"], content, False)
    assert received[0]["type"] == "user.tool_result"
    assert received[-1]["stop_reason"] == {"type": "end_turn"}
    assert api.refused("POST", f"{hosted}/events", {"events": [result]})["param"] == "tool_use_id"


def test_an_approved_tool_waits_for_its_worker_too(api: Api, hosted: str) -> None:
    api.handle.script([AskApproval("build", {}, "not used"), Say("Built.")], session=hosted[10:])
    (event_id,) = turn(api, hosted, MESSAGE)[-1]["stop_reason"]["event_ids"]
    turn(
        api,
        hosted,
        {"type": "user.tool_confirmation", "tool_use_id": event_id, "result": "allow"},
        last="session.thread_status_running",
    )

    received = turn(api, hosted, {"type": "user.tool_result", "tool_use_id": event_id, "is_error": True})

    assert [event["is_error"] for event in received if event["type"] == "agent.tool_result"] == [True]


def test_a_turn_can_be_interrupted_while_its_worker_does_not_answer(api: Api, hosted: str) -> None:
    api.handle.script([ToolUse("build"), Say("Built.")], session=hosted[10:])
    turn(api, hosted, MESSAGE, last="agent.tool_use")

    assert turn(api, hosted, {"type": "user.interrupt"})[-1]["stop_reason"] == {"type": "cancelled"}


# --- Termination and rescheduling


def test_a_terminated_session_accepts_no_events_and_ends_its_streams(api: Api, control: QoderEmulator) -> None:
    session_id = api.new_session()["id"]
    path = f"/sessions/{session_id}"
    with api.http.stream("GET", f"{path}/events/stream") as stream:
        control.terminate(session_id)
        received = events_until(stream.iter_lines(), "session.status_terminated")

    assert types(received) == ["session.thread_status_terminated", "session.status_terminated"]
    assert api.ok("GET", path)["status"] == "terminated"
    for address, body in ((f"{path}/events", {"events": [MESSAGE]}), (path, {"title": "t"})):
        assert api.refused("POST", address, body)["type"] == "conflict_error"
    assert api.listed("/sessions", **{"statuses[]": "terminated", "agent_id": api.handle.agent_id}) == [session_id]


def test_a_running_session_that_is_terminated_is_never_idle_again(api: Api, control: QoderEmulator) -> None:
    session_id = api.new_session()["id"]
    path = f"/sessions/{session_id}"
    with api.http.stream("GET", f"{path}/events/stream") as stream:
        lines = stream.iter_lines()
        send(api, path, {"type": "user.message", "content": [{"type": "text", "text": "/slow 1000"}]})
        events_until(lines, "span.model_request_start")
        control.terminate(session_id)
        events_until(lines, "session.status_terminated")

    assert "session.status_idle" not in types(kept(api, path))


def test_a_rescheduled_turn_continues(api: Api, control: QoderEmulator) -> None:
    session_id = api.new_session()["id"]
    path = f"/sessions/{session_id}"
    with api.http.stream("GET", f"{path}/events/stream") as stream:
        lines = stream.iter_lines()
        send(api, path, {"type": "user.message", "content": [{"type": "text", "text": "/slow 3"}]})
        events_until(lines, "span.model_request_start")
        control.reschedule(session_id, duration_s=1.5)
        assert api.ok("GET", path)["status"] == "rescheduling"
        received = types(events_until(lines, "session.status_idle"))

    assert received[:4] == [
        "session.status_rescheduled",
        "session.thread_status_rescheduled",
        "session.status_running",
        "session.thread_status_running",
    ]
    assert "agent.message" in received[4:]


def test_a_rescheduled_turn_can_be_cancelled(api: Api, control: QoderEmulator) -> None:
    session_id = api.new_session()["id"]
    path = f"/sessions/{session_id}"
    with api.http.stream("GET", f"{path}/events/stream") as stream:
        lines = stream.iter_lines()
        send(api, path, {"type": "user.message", "content": [{"type": "text", "text": "/slow 3"}]})
        events_until(lines, "span.model_request_start")
        control.reschedule(session_id, duration_s=600)
        api.ok("POST", f"{path}/cancel", status=202)
        received = events_until(lines, "session.status_idle")

    assert received[-1]["stop_reason"] == {"type": "cancelled"}
    api.wait_until_idle(session_id)


@pytest.mark.parametrize("act", ["terminate", "reschedule", "consult"])
def test_only_sessions_that_exist_can_be_controlled(control: QoderEmulator, act: str) -> None:
    options: dict[str, tuple[Any, ...]] = {"consult": ("a", "b", "c")}
    keywords = {"duration_s": 1.0} if act == "reschedule" else {}
    with pytest.raises(KeyError):
        getattr(control, act)("sess_none", *options.get(act, ()), **keywords)


# --- Names of the legacy generation


def legacy_turn(api: Api, path: str, *events: Json, last: str = "session.status_idle", skip: int = 0) -> list[Json]:
    api.ok("POST", f"{path}/events", {"events": list(events)}, status=202)
    with api.http.stream("GET", f"{path}/events/stream") as stream:
        lines = stream.iter_lines()
        for _ in range(skip):
            events_until(lines, last)
        return events_until(lines, last)


@pytest.mark.parametrize(("decision", "is_error"), [("approve", False), ("deny", True)])
def test_a_legacy_decision_is_accepted_under_its_name(old_api: Api, decision: str, is_error: bool) -> None:  # noqa: FBT001
    session_id = old_api.new_session()["id"]
    path = f"/sessions/{session_id}"
    old_api.handle.script([Think("Hm."), AskApproval("delete", {}, "gone"), Say("Done.")], session=session_id)
    received = legacy_turn(old_api, path, MESSAGE)
    assert [event["content"] for event in received if event["type"] == "agent.thinking"] == [
        [{"type": "text", "text": "Hm."}]
    ]
    (event_id,) = received[-1]["stop_reason"]["event_ids"]

    answer = {"type": "user.tool_confirmation", "tool_use_id": event_id, "decision": decision}
    received = legacy_turn(old_api, path, answer, skip=1)

    assert [event["is_error"] for event in received if event["type"] == "agent.tool_result"] == [is_error]
    assert received[0]["decision"] == decision


def test_a_legacy_stream_is_filtered_by_type(old_api: Api) -> None:
    path = f"/sessions/{old_api.new_session()['id']}"
    legacy_turn(old_api, path, MESSAGE)

    for query in ("type=agent.message,session.status_idle", "types[]=agent.message&types[]=session.status_idle"):
        with old_api.http.stream("GET", f"{path}/events/stream?{query}") as stream:
            received = types(events_until(stream.iter_lines(), "session.status_idle"))
        assert received == ["agent.message", "session.status_idle"]
