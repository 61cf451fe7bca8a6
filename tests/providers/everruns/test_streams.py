"""Everruns' streams, from frames that are fed by hand: where they begin, what they tell, and breaks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from polysession._core.sse import Frame
from polysession._core.stream import StreamPlan
from polysession.errors import UsageError
from polysession.event import Event
from polysession.feature import ResumeMode
from polysession_everruns.turns import from_cursor, to_cursor
from support.everruns_streams import (
    HISTORY,
    ID,
    OPERATIONS,
    PATH,
    PROVIDER,
    event,
    listed,
    live,
    message,
    opened,
    summary,
)
from support.flows import step


def frame(raw: dict[str, Any]) -> Frame:
    stored_id = raw["id"] if "sequence" in raw else None
    return Frame(raw["type"], json.dumps(raw).encode(), stored_id)


def told(plan: StreamPlan, *raws: dict[str, Any]) -> list[Event]:
    """What a plan makes of frames."""
    return [found for raw in raws for found in plan.read(frame(raw))]


def test_streams_are_replayed_by_the_server() -> None:
    assert PROVIDER.resume_mode is ResumeMode.SERVER_REPLAY


@pytest.mark.parametrize(
    ("events", "query"),
    [([], ""), (HISTORY[:1], f"?since_id=event_{1:032x}"), (HISTORY[:3], f"?since_id=event_{3:032x}")],
)
def test_a_stream_begins_after_the_newest_event(events: list[dict[str, Any]], query: str) -> None:
    for flow in (OPERATIONS.stream_events(ID, None), OPERATIONS.start_turn(ID, "Hi")):
        calls, plan = step(flow, listed(*events))
        assert [summary(call) for call in calls] == [("GET", f"{PATH}/events?limit=1", None, 0.0)]
        assert opened(plan) == f"{PATH}/sse{query}"
        assert from_cursor(plan.cursor or "") == (query.rpartition("=")[2] or None)
        assert plan.silence_s == 45.0


def test_a_stream_goes_on_after_a_cursor() -> None:
    cursor = to_cursor("event_7")
    calls, plan = step(OPERATIONS.stream_events(ID, cursor))
    assert (calls, opened(plan), plan.cursor) == ([], f"{PATH}/sse?since_id=event_7", cursor)


@pytest.mark.parametrize("after", [None, "event_7", "7", "any text: \u00e9 & ?"])
def test_a_cursor_is_text_that_can_stand_in_a_shell_and_an_address(after: str | None) -> None:
    cursor = to_cursor(after)
    assert re.fullmatch(r"[\w-]+", cursor, re.ASCII)
    assert from_cursor(cursor) == after


@pytest.mark.parametrize("cursor", ["", "7", "event_7", "event_1 2", "bnVsbA", "e30", "eyJhIjoxfQ", "W10", "\u00e9"])
def test_a_foreign_cursor_of_a_stream_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="not a cursor"):
        step(OPERATIONS.stream_events(ID, cursor))


def streamed(cursor: str | None = "event_0") -> StreamPlan:
    if cursor is None:
        return step(OPERATIONS.stream_events(ID, None), listed())[1]
    return step(OPERATIONS.stream_events(ID, to_cursor(cursor)))[1]


def test_the_cursor_moves_with_stored_events_only_and_never_back() -> None:
    plan = streamed()
    cursors = []
    for raw in (
        live("H"),
        event(3, "turn.started"),
        live("He"),
        event(2, "session.activated"),
        event(4, "turn.failed"),
    ):
        assert len(told(plan, raw)) == 1
        cursors.append(from_cursor(plan.cursor or ""))
    assert cursors == ["event_0", *[f"event_{3:032x}"] * 3, f"event_{4:032x}"]


def test_a_stored_event_without_a_number_moves_the_cursor_too() -> None:
    plan = streamed()
    told(plan, event(3, "turn.started"), event(9, "llm.generation", sequence=None), event(4, "llm.generation"))
    assert from_cursor(plan.cursor or "") == f"event_{4:032x}"


@pytest.mark.parametrize(
    ("data", "wait_s"),
    [
        (b'{"retry_ms":250}', 0.25),
        (b'{"reason":"shutdown"}', 0.1),
        (b'{"retry_ms":0}', 0.0),
        (b'{"retry_ms":-1}', 0.1),
        (b'{"retry_ms":"soon"}', 0.1),
        (b"bye", 0.1),
    ],
)
def test_an_announced_end_is_no_failure(data: bytes, wait_s: float) -> None:
    plan = streamed()
    waits = []
    for frame_of_the_connection in (
        Frame("connected", b'{"status":"connected"}', None),
        Frame("disconnecting", data, None),
    ):
        assert list(plan.read(frame_of_the_connection)) == []
        waits.append(plan.reopen_after_s)
    assert (waits, from_cursor(plan.cursor or "")) == ([None, wait_s], "event_0")


def test_a_frame_that_is_no_event_is_delivered_whole() -> None:
    (found,) = streamed().read(Frame("of.tomorrow", b'{"a":1}', None))
    assert (found.type, found.native_type, found.raw, found.session_id) == ("raw", "of.tomorrow", {"a": 1}, ID)


@pytest.mark.parametrize(
    "bad",
    [
        Frame("turn.started", b"{", "event_5"),
        Frame("turn.started", b"[]", "event_5"),
        Frame("turn.completed", b'{"id":"event_5","type":"turn.completed","data":{"usage":7}}', "event_5"),
    ],
)
def test_a_frame_that_cannot_be_read_moves_the_cursor_like_any_other(bad: Frame) -> None:
    plan = streamed()
    (found,) = plan.read(bad)
    assert (found.native_type, found.source) == (bad.event, bad.data)
    assert found.problems
    assert from_cursor(plan.cursor or "") == "event_5"


def test_a_frame_without_a_name_is_read_by_the_type_of_its_event() -> None:
    (found,) = streamed().read(Frame("", json.dumps(event(1, "turn.started")).encode(), "event_1"))
    assert (found.type, found.native_type) == ("turn.started", "turn.started")


def test_each_event_comes_once_also_when_it_is_sent_again() -> None:
    plan = streamed()
    first = [event(1, "turn.started"), live("H"), event(2, "llm.generation")]
    assert [found.native_type for found in told(plan, *first, *first, event(3, "turn.completed"))] == [
        "turn.started",
        "output.message.delta",
        "llm.generation",
        "turn.completed",
    ]


def test_what_is_remembered_against_repetition_is_bounded() -> None:
    plan = streamed()
    told(plan, *[event(number, "llm.generation") for number in range(1, 2003)])
    assert len(told(plan, event(1003, "llm.generation"))) == 0
    assert len(told(plan, event(1, "llm.generation"))) == 1


def test_a_break_in_the_middle_of_a_message_costs_no_text_and_repeats_none() -> None:
    plan = streamed()
    before = told(plan, event(1, "output.message.started"), live("H"), live("He"))
    assert opened(plan).endswith(f"since_id=event_{1:032x}")
    after = told(plan, live("Hello"), event(2, "output.message.completed", message("message_2", "agent")))
    texts = [found.text for found in (*before, *after) if found.type == "message.delta"]
    assert texts == ["H", "e", "llo"]


def test_without_a_cursor_a_break_is_bridged_by_the_list() -> None:
    plan = streamed(None)
    for _ in range(2):  # a first opening may have to be tried again: nothing is missed by that
        plan.open()
        assert not plan.probe_due
    told(plan, live("H"))
    plan.broke_off(None)
    plan.open()
    looks = plan.probe_due
    assert looks
    calls, events = step(plan.probe(), listed(event(1, "session.started"), event(2, "turn.started")))
    assert [summary(call) for call in calls] == [("GET", f"{PATH}/events", None, 0.0)]
    assert [found.native_type for found in events] == ["session.started", "turn.started"]
    assert from_cursor(plan.cursor or "") == f"event_{2:032x}"
    plan.open()
    assert not plan.probe_due
    assert told(plan, event(2, "turn.started")) == []
