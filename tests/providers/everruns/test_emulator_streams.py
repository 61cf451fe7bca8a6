"""Turns and live streams of the Everruns emulator, tested over plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from providers.everruns.test_emulator import HEX, Api, served

BEGIN = ["input.message", "session.activated", "turn.started"]
DELTA = "output.message.delta"
SPEAK = ["output.message.started", DELTA, "llm.generation", "output.message.completed", "reason.completed"]
CALL = ["reason.started", *[name for name in SPEAK if name != DELTA]]
END = ["turn.completed", "session.idled"]
THINK = ["reason.thinking.started", "reason.thinking.delta", "reason.thinking.completed"]
TOOL = ["tool.started", "tool.completed"]
ANSWER = ["reason.started", *SPEAK]
FAILED = ["output.message.completed", "reason.completed", "turn.failed", "session.idled"]
CANCELLED = ["turn.cancelled", "input.message", "output.message.completed", "session.idled"]

# Required fields of event data in the published OpenAPI document, info.version 0.2.0:
# https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11).
REQUIRED: dict[str, set[str]] = {
    "input.message": {"message"},
    "session.activated": {"turn_id", "input_message_id"},
    "turn.started": {"turn_id", "input_message_id"},
    "reason.started": {"harness_id"},
    "reason.thinking.started": {"turn_id"},
    "reason.thinking.delta": {"turn_id", "delta", "accumulated"},
    "reason.thinking.completed": {"turn_id", "thinking"},
    "output.message.started": {"turn_id"},
    "output.message.delta": {"turn_id", "delta", "accumulated"},
    "llm.generation": {"messages", "output", "metadata"},
    "output.message.completed": {"message"},
    "reason.completed": {"success", "has_tool_calls", "tool_call_count"},
    "act.started": {"tool_calls"},
    "act.completed": {"completed", "success_count", "error_count"},
    "tool.started": {"tool_call"},
    "tool.completed": {"tool_call_id", "tool_name", "success", "status"},
    "tool.call_requested": {"tool_calls"},
    "turn.completed": {"turn_id", "iterations"},
    "turn.failed": {"turn_id", "error"},
    "turn.cancelled": {"turn_id"},
    "session.idled": {"turn_id"},
    "session.started": {"harness_id"},
}


class Frame(dict[str, str]):
    """One frame of a stream: its fields, with `comment` for a comment line."""

    @property
    def body(self) -> Any:
        return json.loads(self["data"])


def frames_of(response: httpx.Response) -> Iterator[Frame]:
    frame = Frame()
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            frame[name or "comment"] = value.removeprefix(" ")
        else:
            yield frame
            frame = Frame()


@contextlib.contextmanager
def stream(api: Api, session_id: str, query: str = "") -> Iterator[Iterator[Frame]]:
    """Open a stream, and read its first frame."""
    with api.http.stream("GET", f"sessions/{session_id}/sse{query}") as response:
        assert (response.status_code, response.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
        frames = frames_of(response)
        assert next(frames) == {"event": "connected", "data": '{"status":"connected"}'}
        yield frames


def until(frames: Iterator[Frame], last: str) -> list[Any]:
    """Read the events up to the first event of a type."""
    seen = []
    for frame in frames:
        if "event" in frame:
            seen.append(frame.body)
            if frame["event"] == last:
                break
    return seen


def say(api: Api, session_id: str, text: str, **more: object) -> dict[str, Any]:
    message = {"content": [{"type": "text", "text": text}]}
    return api.ok("POST", f"sessions/{session_id}/messages", 201, {"message": message, **more})


def turn_of(api: Api, text: str) -> tuple[str, list[Any]]:
    """Create a session and run a turn. Returns the session, and the events of a stream."""
    session_id = api.session(agent_id=api.handle.agent_id)["id"]
    with stream(api, session_id) as frames:
        say(api, session_id, text)
        return session_id, until(frames, "session.idled")


def stored(api: Api, session_id: str, query: str = "") -> list[Any]:
    events: list[Any] = api.ok("GET", f"sessions/{session_id}/events{query}")["data"]
    return events


def types(events: Sequence[Any]) -> list[str]:
    """Return the types of events, with consecutive deltas merged."""
    names = [event["type"] for event in events]
    return [name for i, name in enumerate(names) if not (name.endswith(".delta") and i and names[i - 1] == name)]


def reach(api: Api, session_id: str, status: str) -> None:
    deadline_s = time.monotonic() + 5
    while api.ok("GET", f"sessions/{session_id}")["status"] != status:
        assert time.monotonic() < deadline_s, f"the session did not become {status}"
        time.sleep(0.01)


def waiting(api: Api, calls: int = 1) -> tuple[str, list[Any]]:
    """Return a new session that waits for tool results, and its pending calls."""
    session_id = api.session()["id"]
    say(api, session_id, f"/client-tool {calls}")
    reach(api, session_id, "waitingfortoolresults")
    (request,) = stored(api, session_id, "?types=tool.call_requested")
    return session_id, request["data"]["tool_calls"]


def last(api: Api, session_id: str, event_type: str) -> Any:
    return stored(api, session_id, f"?types={event_type}")[-1]["data"]


@pytest.fixture
def api() -> Iterator[Api]:
    yield from served()


@pytest.fixture
def legacy() -> Iterator[Api]:
    yield from served("legacy")


@pytest.mark.parametrize(
    ("text", "story"),
    [
        ("hello there", [*BEGIN, *ANSWER, *END]),
        ("/think", [*BEGIN, "reason.started", *THINK, *SPEAK, *END]),
        ("/tool 2", [*BEGIN, *CALL, "act.started", *TOOL, *TOOL, "act.completed", *ANSWER, *END]),
        ("/fail", [*BEGIN, "reason.started", "output.message.started", "llm.generation", *FAILED]),
    ],
)
def test_a_turn_has_the_documented_events_in_order(api: Api, text: str, story: list[str]) -> None:
    session_id, events = turn_of(api, text)
    assert types(events) == story
    assert api.ok("GET", f"sessions/{session_id}")["status"] == "idle"
    for event in events:
        assert REQUIRED[event["type"]] <= event["data"].keys()
        assert None not in event["data"].values()
        assert {"id", "type", "ts", "session_id", "context", "data"} <= event.keys()
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    durable = [event for event in events if not event["type"].endswith(".delta")]
    assert [event["sequence"] for event in durable] == list(range(2, len(durable) + 2))
    assert stored(api, session_id)[1:] == durable


def test_the_turn_of_a_message_names_it_and_has_its_usage(api: Api) -> None:
    session_id = api.session()["id"]
    with stream(api, session_id) as frames:
        message = say(api, session_id, "one two three", tags=["t"], metadata={"k": 1})
        events = until(frames, "session.idled")
    by_type = {event["type"]: event for event in events}
    assert (by_type["input.message"]["data"], by_type["input.message"]["tags"]) == ({"message": message}, ["t"])
    assert by_type["turn.started"]["data"]["input_message_id"] == message["id"]
    turn_id = by_type["turn.started"]["data"]["turn_id"]
    assert {event["context"].get("turn_id") for event in events[1:]} == {turn_id}
    answer, done = by_type["output.message.completed"]["data"]["message"], by_type["turn.completed"]["data"]
    assert answer["content"] == [{"type": "text", "text": "You said: one two three"}]
    assert (done["final_message_id"], done["final_answer_preview"]) == (answer["id"], "You said: one two three")
    usage = {"input_tokens": 3, "output_tokens": 5}
    assert done["usage"] == by_type["session.idled"]["data"]["usage"] == usage
    session = api.ok("GET", f"sessions/{session_id}")
    assert (session["preview"], session["output_preview"]) == ("one two three", "You said: one two three")
    assert session["usage"] == usage
    say(api, session_id, "x" * 300)
    reach(api, session_id, "idle")
    session = api.ok("GET", f"sessions/{session_id}")
    assert (session["preview"], session["output_preview"]) == ("one two three", f"You said: {'x' * 190}")
    assert (
        last(api, session_id, "session.idled")["usage"] == session["usage"] == {"input_tokens": 4, "output_tokens": 8}
    )


def test_a_failure_has_a_message_for_the_user_and_an_error(api: Api) -> None:
    session_id, _ = turn_of(api, "/fail")
    received, failed = last(api, session_id, "output.message.completed"), last(api, session_id, "turn.failed")
    assert (failed["error"], failed["error_code"]) == ("the model is out of order", "provider_unavailable")
    assert received["error_code"] == failed["error_code"]
    assert "unavailable" in received["message"]["content"][0]["text"]
    assert not last(api, session_id, "reason.completed")["success"]


def test_deltas_are_live_only(api: Api) -> None:
    session_id = api.session()["id"]
    with stream(api, session_id, f"?types={DELTA}&types=turn.completed") as frames:
        say(api, session_id, "a b")
        *deltas, done = [next(frames) for _ in range(5)]
    assert [frame.body["data"]["delta"] for frame in deltas] == ["You ", "said: ", "a ", "b"]
    assert deltas[-1].body["data"]["accumulated"] == "You said: a b"
    assert not [frame for frame in deltas if "id" in frame or "sequence" in frame.body]
    assert list(done) == ["event", "id", "retry", "data"]
    assert (done["id"], done["retry"], done["event"]) == (done.body["id"], "100", "turn.completed")
    assert DELTA not in types(stored(api, session_id))
    # The id of a delta is not stored. Later events are found by the order of the ids.
    with stream(api, session_id, f"?since_id={deltas[1].body['id']}") as frames:
        assert types(until(frames, "session.idled")) == ["llm.generation", *SPEAK[3:], *END]


def test_the_legacy_generation_stores_deltas(legacy: Api) -> None:
    session_id, events = turn_of(legacy, "a b")
    assert events == stored(legacy, session_id)
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    deltas = [event for event in events if event["type"] == DELTA]
    total = legacy.http.get(f"sessions/{session_id}/events?limit=1").headers["x-total-count"]
    assert (len(deltas), int(total)) == (4, len(events) - 4)
    with stream(legacy, session_id, f"?since_id={deltas[2]['id']}&types={DELTA}") as frames:
        assert next(frames)["id"] == deltas[3]["id"]


def test_a_stream_begins_now_or_after_a_cursor(api: Api) -> None:
    session_id, _ = turn_of(api, "first")
    middle = stored(api, session_id)[4]
    with stream(api, session_id) as now, stream(api, session_id, f"?since_id={middle['id']}") as resumed:
        say(api, session_id, "second")
        assert types(until(now, "session.idled")) == [*BEGIN, *ANSWER, *END]
        assert until(resumed, "session.idled") == stored(
            api, session_id, f"?since_id={middle['id']}&before_sequence=12"
        )
        assert types(until(resumed, "session.idled")) == [*BEGIN, *ANSWER, *END]


def test_a_legacy_stream_replays_all_events(legacy: Api) -> None:
    session_id, events = turn_of(legacy, "first")
    assert events[0]["type"] == "session.started"
    with stream(legacy, session_id) as frames:
        assert until(frames, "session.idled") == events


def test_types_narrow_a_stream_and_exclude_removes(api: Api) -> None:
    session_id = api.session()["id"]
    query = f"?types={DELTA}&types=turn.started&types=session.idled&exclude={DELTA}"
    with stream(api, session_id, query) as frames, stream(api, session_id, f"?exclude={DELTA}") as whole:
        say(api, session_id, "a")
        assert types(until(frames, "session.idled")) == ["turn.started", "session.idled"]
        assert DELTA not in types(until(whole, "session.idled"))


def test_silence_has_heartbeats_and_longer_retry_hints(api: Api) -> None:
    api.handle.control.pace.heartbeat_s = 0.05  # type: ignore[attr-defined]
    session_id = api.session()["id"]
    with stream(api, session_id) as frames:
        assert [next(frames) for _ in range(4)] == [{"comment": "heartbeat"}] * 4
        say(api, session_id, "a")
        events = (frame for frame in frames if "event" in frame)
        hints = [next(events)["retry"] for _ in range(3)]
    assert hints == ["500", "100", "100"]


def test_a_stream_is_cycled(api: Api) -> None:
    api.handle.control.pace.stream_s = 0.2  # type: ignore[attr-defined]
    session_id = api.session()["id"]
    with stream(api, session_id) as silent:
        assert list(silent) == [{"event": "disconnecting", "data": '{"reason":"connection_cycle","retry_ms":100}'}]
    api.handle.control.pace.stream_s = 0.6  # type: ignore[attr-defined]
    with stream(api, session_id) as busy:
        say(api, session_id, "/slow 40")
        *events, goodbye = list(busy)
    assert goodbye["event"] == "disconnecting"
    assert events[-1]["event"] == DELTA
    with stream(api, session_id, "?types=turn.completed") as unmatched:
        assert [frame["event"] for frame in unmatched] == ["disconnecting"]


def test_a_turn_waits_for_the_results_of_client_side_tools(api: Api) -> None:
    api.handle.control.pace.waiting_after_s = 1.0  # type: ignore[attr-defined]
    session_id = api.session()["id"]
    path = f"sessions/{session_id}/tool-results"
    with stream(api, session_id) as frames:
        say(api, session_id, "/client-tool 2")
        *before, request = until(frames, "tool.call_requested")
        ids = [call["id"] for call in request["data"]["tool_calls"]]
        body = {"tool_results": [{"tool_call_id": ids[0], "result": "sunny"}, {"tool_call_id": ids[1], "error": "no"}]}
        # The status changes a moment after the event.
        detail = api.refused("POST", path, 409, body)["detail"]
        assert detail == "Session is not waiting for tool results (current status: active)"
        reach(api, session_id, "waitingfortoolresults")
        assert api.ok("POST", path, 200, body) == {"accepted": 2, "status": "active"}
        after = until(frames, "session.idled")
    assert types(before) == [*BEGIN, *CALL]
    assert [part["id"] for part in before[-2]["data"]["message"]["content"]] == ids
    assert types(after) == ["tool.completed", "tool.completed", *ANSWER, *END]
    given, failed = (event["data"] for event in after[:2])
    assert (given["tool_call_id"], given["success"], given["status"]) == (ids[0], True, "success")
    assert given["result"] == [{"type": "text", "text": '"sunny"'}]
    assert (failed["success"], failed["status"], failed["error"]) == (False, "error", "no")
    # The server stores results without the tool's name, in a context that is derived from the session id.
    assert given["tool_name"] == ""
    assert after[0]["context"]["turn_id"] == session_id.replace("session", "turn")
    assert api.refused("POST", path, 409, body)["detail"].endswith("(current status: idle)")


def test_a_missing_result_counts_as_failed(api: Api) -> None:
    session_id, calls = waiting(api, 2)
    body = {"tool_results": [{"tool_call_id": calls[1]["id"], "result": {"a": [1]}}]}
    assert api.ok("POST", f"sessions/{session_id}/tool-results", 200, body)["accepted"] == 1
    reach(api, session_id, "idle")
    results = {
        event["data"]["tool_call_id"]: event["data"] for event in stored(api, session_id, "?types=tool.completed")
    }
    assert results[calls[1]["id"]]["result"] == [{"type": "text", "text": '{"a":[1]}'}]
    assert (results[calls[0]["id"]]["status"], results[calls[0]["id"]]["success"]) == ("error", False)


def test_a_message_ends_the_wait_for_results(api: Api) -> None:
    session_id, calls = waiting(api)
    say(api, session_id, "never mind")
    reach(api, session_id, "idle")
    failed = last(api, session_id, "tool.completed")
    assert (failed["tool_call_id"], failed["status"]) == (calls[0]["id"], "cancelled")
    assert failed["error"] == "Cancelled because the user sent a message instead"
    assert [event["type"] for event in stored(api, session_id)].count("turn.started") == 1
    assert last(api, session_id, "output.message.completed")["message"]["content"][0]["text"] == "You said: never mind"


def test_a_wait_for_results_has_a_limit(api: Api) -> None:
    api.handle.control.pace.results_wait_s = 0.05  # type: ignore[attr-defined]
    session_id, events = turn_of(api, "/client-tool")
    (made_up,) = [event["data"] for event in events if event["type"] == "tool.completed"]
    assert (made_up["success"], made_up["status"], made_up["tool_name"]) == (False, "timeout", "lookup")
    assert types(events)[-2:] == END
    assert api.ok("GET", f"sessions/{session_id}")["status"] == "idle"


def test_results_end_a_wait_that_has_no_turn(api: Api) -> None:
    session_id = api.session()["id"]
    api.handle.control.await_tool_results(session_id)  # type: ignore[attr-defined]
    api.ok("POST", f"sessions/{session_id}/tool-results", 200, {"tool_results": [{"tool_call_id": "a"}]})
    assert api.ok("GET", f"sessions/{session_id}")["status"] == "idle"
    assert last(api, session_id, "tool.completed")["result"] == []


def test_the_legacy_response_to_results_has_its_own_fields(legacy: Api) -> None:
    session_id = legacy.session(agent_id=legacy.handle.agent_id)["id"]
    body = {"tool_results": [{"tool_call_id": "a", "result": 1}]}
    path = f"sessions/{session_id}/tool-results"
    response = legacy.http.post(path, json=body)
    assert response.status_code == 400
    assert response.json() == {"error": "Session is not waiting for tool results (current status: started)"}
    say(legacy, session_id, "/client-tool")
    reach(legacy, session_id, "waiting_for_tool_results")
    assert legacy.ok("POST", path, 200, body) == {"status": "accepted", "tool_results_count": 1}


def test_a_message_steers_a_running_turn(api: Api) -> None:
    session_id = api.session()["id"]
    with stream(api, session_id, f"?exclude={DELTA}") as frames:
        say(api, session_id, "/slow 3")
        until(frames, "output.message.started")
        say(api, session_id, "and this")
        events = until(frames, "session.idled")
    assert types(events) == ["input.message", *SPEAK[2:], *[name for name in ANSWER if name != DELTA], *END]
    answers = [event["data"]["message"] for event in events if event["type"] == "output.message.completed"]
    assert answers[1]["content"][0]["text"] == "You said: and this"
    assert (events[-2]["data"]["final_message_id"], events[-2]["data"]["iterations"]) == (answers[1]["id"], 2)


def test_a_message_to_a_turn_without_a_script_starts_no_other(api: Api) -> None:
    session_id = api.session()["id"]
    api.handle.control.start_turn(session_id, duration_s=60)
    say(api, session_id, "hello")
    assert types(stored(api, session_id)) == ["session.started", "input.message"]


@pytest.mark.parametrize("text", ["/slow 3", "/client-tool"])
def test_cancelling_ends_the_turn_with_its_events(api: Api, text: str) -> None:
    session_id = api.session()["id"]
    with stream(api, session_id) as frames:
        say(api, session_id, text)
        until(frames, "output.message.started" if text == "/slow 3" else "tool.call_requested")
        assert api.ok("POST", f"sessions/{session_id}/cancel", 200, {})["status"] == "cancelled"
        assert api.ok("GET", f"sessions/{session_id}")["status"] == "idle"
        events = until(frames, "session.idled")
    cancelled, asked, received, idled = events[-4:]
    assert types(events[-4:]) == CANCELLED
    started = last(api, session_id, "turn.started")
    assert cancelled["data"]["turn_id"] == idled["data"]["turn_id"] == started["turn_id"]
    assert cancelled["data"]["reason"] == "User requested cancellation"
    assert asked["data"]["message"]["role"] == "user"
    assert asked["data"]["message"]["content"][0]["text"] == "User requested to cancel the work."
    assert received["data"]["message"]["role"] == "agent"
    assert received["data"]["message"]["content"][0]["text"] == "Work was cancelled by user."
    time.sleep(0.5)  # longer than the turn would have taken
    assert stored(api, session_id)[-1] == idled
    assert api.ok("POST", f"sessions/{session_id}/cancel", 200, {})["status"] == "no_op"
    assert types(turn_again(api, session_id))[-2:] == END


def turn_again(api: Api, session_id: str) -> list[Any]:
    with stream(api, session_id) as frames:
        say(api, session_id, "again")
        return until(frames, "session.idled")


def test_cancelling_a_turn_without_a_script_has_the_same_events(api: Api) -> None:
    session_id = api.session()["id"]
    api.handle.control.start_turn(session_id, duration_s=60)
    api.ok("POST", f"sessions/{session_id}/cancel", 200, {})
    assert types(stored(api, session_id)) == ["session.started", *CANCELLED]


def test_deleting_a_session_ends_its_turn_and_its_streams(api: Api) -> None:
    session_id = api.session()["id"]
    with stream(api, session_id) as frames:
        say(api, session_id, "/slow 50")
        until(frames, "output.message.started")
        assert api.http.delete(f"sessions/{session_id}").status_code == 204
        assert {frame["event"] for frame in frames} <= {DELTA}
    api.refused("GET", f"sessions/{session_id}/sse", 404)


def test_a_closed_reader_leaves_no_task(api: Api) -> None:
    session_id, _ = turn_of(api, "a")
    server: Any = api.handle.control
    loop = server._state.sessions[session_id].task._task.get_loop()
    before = asyncio.all_tasks(loop)
    with stream(api, session_id):
        serving = asyncio.all_tasks(loop) - before
        assert serving
    deadline_s = time.monotonic() + 5
    while serving & asyncio.all_tasks(loop):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_server_with_open_streams_and_turns_stops_quickly() -> None:
    emulator = served()
    api = next(emulator)
    session_id = api.session()["id"]
    say(api, session_id, "/slow 1000")
    with stream(api, session_id):
        began_s = time.monotonic()
        emulator.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began_s < 30


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("sse?since_id=event_1", "Invalid event ID: invalid length"),
        ("sse?types=turn.begun", "Unknown event type in 'types': turn.begun"),
        (f"sse?{'&'.join(['exclude=turn.started'] * 26)}", "At most 25 values"),
    ],
)
def test_an_invalid_stream_request_is_refused(api: Api, path: str, detail: str) -> None:
    assert api.refused("GET", f"sessions/{api.session()['id']}/{path}", 400)["detail"].startswith(detail)


def test_an_unknown_cursor_is_ordered_by_its_time(api: Api) -> None:
    session_id, _ = turn_of(api, "a")
    everything = stored(api, session_id)
    assert stored(api, session_id, f"?since_id=event_{'0' * 32}") == everything
    assert stored(api, session_id, f"?since_id=event_{'f' * 32}") == []
    with stream(api, session_id, f"?since_id=event_{HEX}") as frames:
        assert until(frames, "session.idled") == stored(api, session_id, f"?since_id=event_{HEX}")
