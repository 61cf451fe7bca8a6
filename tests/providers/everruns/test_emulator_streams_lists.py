"""Lists of events and messages of the Everruns emulator, and the fields of messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from providers.everruns.test_emulator import HEX, UNKNOWN_SESSION, Api, served
from providers.everruns.test_emulator_streams import DELTA, reach, say, stored

USER_TEXT = {"content": [{"type": "text", "text": "hi"}]}


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    yield from served()


@pytest.fixture(scope="module")
def session_id(api: Api) -> str:
    """Create a session with three turns of ten events: 2 to 11, 12 to 21 and 22 to 31."""
    session_id: str = api.session(agent_id=api.handle.agent_id)["id"]
    for text, tags in (("one", ["a"]), ("two", ["b"]), ("three", ["a", "c"])):
        say(api, session_id, text, tags=tags)
        reach(api, session_id, "idle")
    return session_id


def sequences(events: Sequence[Any]) -> list[int]:
    return [event["sequence"] for event in events]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", range(1, 32)),
        ("?after_sequence=20", range(21, 32)),
        ("?before_sequence=4", range(1, 4)),
        ("?after_sequence=3&before_sequence=6", [4, 5]),
        ("?after_sequence=31", []),
        ("?order_desc=true&after_sequence=29", [31, 30]),
        ("?types=turn.started", [4, 14, 24]),
        ("?types=turn.started&types=turn.completed&exclude=turn.started", [10, 20, 30]),
        ("?exclude=llm.generation&after_sequence=25", [26, 28, 29, 30, 31]),
        ("?tags=a", [2, 22]),
        ("?tags=b&tags=c", [12, 22]),
        ("?q=SAID: two&types=output.message.completed", [18]),
        ("?tool_name=lookup", []),
        ("?from_ts=2100-01-01T00:00:00Z", []),
        ("?to_ts=2000-01-01T00:00:00Z", []),
        ("?from_ts=2000-01-01T00:00:00Z&to_ts=2100-01-01T00:00:00Z", range(1, 32)),
        # The last events. An incomplete list starts at the first `turn.started` in it.
        ("?limit=5", range(27, 32)),
        ("?limit=10", range(24, 32)),
        ("?limit=20", range(14, 32)),
        ("?limit=12&before_sequence=24", range(14, 24)),
        ("?limit=3&before_sequence=4", range(1, 4)),
        ("?limit=31", range(1, 32)),
        ("?limit=0", [31]),
        ("?limit=5000", range(1, 32)),
        ("?limit=1&types=turn.started&order_desc=true", [24]),
    ],
)
def test_events_are_found_by_cursor_and_filter(api: Api, session_id: str, query: str, expected: Sequence[int]) -> None:
    assert sequences(stored(api, session_id, query)) == list(expected)


def test_events_are_found_by_their_ids(api: Api, session_id: str) -> None:
    events = stored(api, session_id)
    second = events[13]["context"]
    assert sequences(stored(api, session_id, f"?since_id={events[28]['id']}")) == [30, 31]
    assert sequences(stored(api, session_id, f"?turn_id={second['turn_id']}")) == list(range(13, 22))
    assert sequences(stored(api, session_id, f"?trace_id={second['turn_id']}")) == list(range(13, 22))
    assert sequences(stored(api, session_id, f"?exec_id={events[14]['context']['exec_id']}")) == [15, 17, 19]
    assert sequences(stored(api, session_id, f"?from_ts={events[30]['ts']}"))[-1] == 31
    assert sequences(stored(api, session_id, f"?to_ts={events[0]['ts']}"))[0] == 1


@pytest.mark.parametrize(
    ("position", "query", "expected"),
    [
        (10, "&window=2", [8, 9, 10, 11, 12]),
        (1, "&window=1", [1, 2]),
        (31, "&window=1", [30, 31]),
        (10, "&window=0", [10]),
        (10, "", range(1, 32)),
        (10, "&window=9000", range(1, 32)),
        (10, "&window=1&types=turn.started", [4, 14]),
        (10, "&window=1&order_desc=true", [11, 10, 9]),
    ],
)
def test_a_window_lies_around_an_event(
    api: Api, session_id: str, position: int, query: str, expected: Sequence[int]
) -> None:
    anchor = stored(api, session_id)[position - 1]["id"]
    assert sequences(stored(api, session_id, f"?around={anchor}{query}")) == list(expected)


@pytest.mark.parametrize("query", ["?limit=2", "?limit=1000&types=turn.started"])
def test_the_total_is_only_returned_with_a_limit(api: Api, session_id: str, query: str) -> None:
    path = f"sessions/{session_id}/events"
    assert api.http.get(path + query).headers["x-total-count"] == "31"
    assert "x-total-count" not in api.http.get(path).headers


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?types=turn.begun", 400),
        ("?exclude=connected", 400),
        ("?" + "&".join(["types=turn.started"] * 26), 400),
        ("?since_id=31", 400),
        (f"?around=event_{HEX}", 404),
        ("?around=event_1", 400),
        (f"?around=event_{HEX}&after_sequence=1", 400),
        (f"?around=event_{HEX}&before_sequence=1", 400),
        (f"?around=event_{HEX}&since_id=event_{HEX}", 400),
    ],
)
def test_an_invalid_query_for_events_is_refused(api: Api, session_id: str, query: str, status: int) -> None:
    api.refused("GET", f"sessions/{session_id}/events{query}", status)


@pytest.mark.parametrize(
    "query", ["limit=all", "limit=-1", "after_sequence=x", "from_ts=today", "to_ts=2026-01-01", "order_desc=1"]
)
def test_an_unreadable_query_for_events_gets_plain_text(api: Api, session_id: str, query: str) -> None:
    response = api.http.get(f"sessions/{session_id}/events?{query}")
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (400, "text/plain")


def test_the_summary_counts_by_type(api: Api, session_id: str) -> None:
    events = stored(api, session_id)
    summary = api.ok("GET", f"sessions/{session_id}/events/summary")
    assert (summary["total"], summary["turn_count"], summary["error_count"]) == (31, 3, 0)
    assert (summary["first_ts"], summary["last_ts"]) == (events[0]["ts"], events[-1]["ts"])
    names = [row["event_type"] for row in summary["by_type"]]
    assert (names, DELTA in names) == (sorted({event["type"] for event in events}), False)
    assert {"event_type": "turn.started", "count": 3} in summary["by_type"]
    failed = api.session()["id"]
    say(api, failed, "/fail")
    reach(api, failed, "idle")
    assert api.ok("GET", f"sessions/{failed}/events/summary")["error_count"] == 1


def test_messages_are_listed_in_their_longer_shape(api: Api, session_id: str) -> None:
    listed = api.ok("GET", f"sessions/{session_id}/messages")
    assert set(listed) == {"data"}
    messages = listed["data"]
    assert [message["role"] for message in messages] == ["user", "agent"] * 3
    assert [message["sequence"] for message in messages] == [2, 8, 12, 18, 22, 28]
    assert {message["session_id"] for message in messages} == {session_id}
    in_event = stored(api, session_id)[7]["data"]["message"]
    assert messages[1] == {**in_event, "session_id": session_id, "sequence": 8}


def test_a_message_keeps_its_fields(api: Api) -> None:
    session_id = api.session()["id"]
    model_id = api.ok("GET", "models")["data"][0]["id"]
    sent = {
        "message": {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "base64": "AAAA", "media_type": "image/png", "url": None},
                {"type": "image_file", "image_id": f"img_{HEX}"},
            ],
        },
        "controls": {"model_id": model_id, "reasoning": {"effort": "low"}},
        "metadata": {"k": 1},
        "external_actor": {"actor_id": "U1", "source": "chat"},
    }
    stored_message = api.ok("POST", f"sessions/{session_id}/messages", 201, sent)
    assert set(stored_message) == {"id", "role", "content", "created_at", "controls", "metadata", "external_actor"}
    assert {name: stored_message[name] for name in ("controls", "metadata", "external_actor")} == {
        name: sent[name] for name in ("controls", "metadata", "external_actor")
    }
    assert [sorted(part) for part in stored_message["content"]] == [
        ["text", "type"],
        ["base64", "media_type", "type"],
        ["image_id", "type"],
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"message": {**USER_TEXT, "role": "agent"}}, 400),
        ({"message": {**USER_TEXT, "role": "tool_result"}}, 400),
        ({"message": USER_TEXT, "controls": {"model_id": "model_1"}}, 400),
        ({"message": USER_TEXT, "controls": {"model_id": f"model_{HEX}"}}, 404),
        ({"message": USER_TEXT, "addressed_participant_id": f"part_{HEX}"}, 404),
    ],
)
def test_an_invalid_message_is_refused(api: Api, session_id: str, body: object, status: int) -> None:
    api.refused("POST", f"sessions/{session_id}/messages", status, body)
    assert len(stored(api, session_id)) == 31


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("messages", {}),
        ("messages", {"message": "hi"}),
        ("messages", {"message": {}}),
        ("messages", {"message": {**USER_TEXT, "role": "assistant"}}),
        ("messages", {"message": {"content": "hi"}}),
        ("messages", {"message": {"content": [{"type": "text"}]}}),
        ("messages", {"message": {"content": [{"type": "tool_result", "tool_call_id": "a"}]}}),
        ("messages", {"message": USER_TEXT, "tags": "a"}),
        ("messages", {"message": USER_TEXT, "external_actor": {"actor_id": "U1"}}),
        ("tool-results", {}),
        ("tool-results", {"tool_results": [{"result": 1}]}),
    ],
)
def test_a_body_of_the_wrong_shape_gets_plain_text(api: Api, session_id: str, path: str, body: object) -> None:
    response = api.http.post(f"sessions/{session_id}/{path}", json=body)
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (422, "text/plain")


def test_an_empty_list_of_tool_results_is_refused(api: Api, session_id: str) -> None:
    refused = api.refused("POST", f"sessions/{session_id}/tool-results", 400, {"tool_results": []})
    assert refused["detail"] == "tool_results must not be empty"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "messages", {"message": USER_TEXT}),
        ("GET", "messages", None),
        ("POST", "tool-results", {"tool_results": [{"tool_call_id": "a"}]}),
        ("GET", "events", None),
        ("GET", "events/summary", None),
        ("GET", "sse", None),
    ],
)
def test_an_unknown_session_has_no_conversation(api: Api, method: str, path: str, body: object) -> None:
    refused = api.refused(method, f"sessions/{UNKNOWN_SESSION}/{path}", 404, body)
    assert refused["code"] == "session_not_found"
    api.refused(method, f"sessions/session_1/{path}", 400, body)
