"""Everruns' streams, from frames fed by hand: their start, their events, and breaks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from polysession._core.plans import ConnectedStream, Head, Reconcile, Reopen, Step
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession.change import SessionRef
from polysession.errors import ConnectionLost, InvalidRequest, ServerError, StreamInterrupted, UsageError
from polysession.event import Event
from polysession.feature import ResumeMode
from polysession.message import TextBlock
from support.everruns_streams import (
    HISTORY,
    ID,
    OPERATIONS,
    PATH,
    PROVIDER,
    after,
    event,
    listed,
    live,
    message,
    opened,
    place_of,
    summary,
)
from support.flows import step
from support.stepped_streams import STAYS_OPEN, Connection, Followed, follow


def frame(raw: dict[str, Any]) -> Frame:
    stored_id = raw["id"] if "sequence" in raw else None
    return Frame(raw["type"], json.dumps(raw).encode(), stored_id)


def events_in(plan: ConnectedStream, *frames: Frame) -> list[Event]:
    """Return the events that a plan reads from frames. The frames must lead to no step."""
    found: list[Event] = []
    for each in frames:
        for item in plan.read(each):
            assert not isinstance(item, Step)
            found.append(item)
    return found


def read(plan: ConnectedStream, *raws: dict[str, Any]) -> list[Event]:
    """Return the events that a plan reads from the frames of these events."""
    return events_in(plan, *map(frame, raws))


def test_streams_are_replayed_by_the_server() -> None:
    assert PROVIDER.resume_mode is ResumeMode.SERVER_REPLAY


@pytest.mark.parametrize(
    ("events", "query"),
    [([], ""), (HISTORY[:1], f"?since_id=event_{1:032x}"), (HISTORY[:3], f"?since_id=event_{3:032x}")],
)
def test_a_stream_begins_after_the_newest_event(events: list[dict[str, Any]], query: str) -> None:
    blocks = (TextBlock(text="Hi"),)
    for flow in (PROVIDER.stream_events(SessionRef(ID), None), PROVIDER.start_turn(SessionRef(ID), blocks)):
        calls, plan = step(flow, listed(*events))
        assert [summary(call) for call in calls] == [("GET", f"{PATH}/events?limit=1", None, 0.0)]
        assert opened(plan) == f"{PATH}/sse{query}"
        assert place_of(plan.cursor) == (query.rpartition("=")[2] or None)
        assert plan.silence_s == 45.0


def test_a_stream_continues_after_a_cursor() -> None:
    cursor = after("event_7")
    calls, plan = step(PROVIDER.stream_events(SessionRef(ID), cursor))
    assert (calls, opened(plan), plan.cursor) == ([], f"{PATH}/sse?since_id=event_7", cursor)


@pytest.mark.parametrize("event_id", [None, "event_7", "7", "any text: \u00e9 & ?"])
def test_a_cursor_needs_no_quoting_in_a_shell_or_a_url(event_id: str | None) -> None:
    cursor = after(event_id)
    assert re.fullmatch(r"[\w-]+", cursor, re.ASCII)
    assert place_of(cursor) == event_id


@pytest.mark.parametrize("cursor", ["", "7", "event_7", "event_1 2", "bnVsbA", "e30", "eyJhIjoxfQ", "W10", "\u00e9"])
def test_a_foreign_cursor_of_a_stream_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="not a stream cursor"):
        step(OPERATIONS.stream_events(ID, cursor))


def streamed(cursor: str | None = "event_0") -> ConnectedStream:
    if cursor is None:
        return step(PROVIDER.stream_events(SessionRef(ID), None), listed())[1]
    return step(PROVIDER.stream_events(SessionRef(ID), after(cursor)))[1]


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
        assert len(read(plan, raw)) == 1
        cursors.append(place_of(plan.cursor))
    assert cursors == ["event_0", *[f"event_{3:032x}"] * 3, f"event_{4:032x}"]


def test_a_stored_event_without_a_number_moves_the_cursor_too() -> None:
    plan = streamed()
    read(plan, event(3, "turn.started"), event(9, "llm.generation", sequence=None), event(4, "llm.generation"))
    assert place_of(plan.cursor) == f"event_{4:032x}"


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
def test_an_announced_end_is_not_a_failure(data: bytes, wait_s: float) -> None:
    plan = streamed()
    assert plan.read(Frame("connected", b'{"status":"connected"}', None)) == ()
    assert plan.read(Frame("disconnecting", data, None)) == (Reopen(wait_s),)
    assert place_of(plan.cursor) == "event_0"


def test_a_frame_that_is_not_an_event_is_delivered_raw() -> None:
    (found,) = events_in(streamed(), Frame("of.tomorrow", b'{"a":1}', None))
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
    (found,) = events_in(plan, bad)
    assert (found.native_type, found.source) == (bad.event, bad.data)
    assert found.problems
    assert place_of(plan.cursor) == "event_5"


def test_a_frame_without_a_name_is_read_by_the_type_of_its_event() -> None:
    (found,) = events_in(streamed(), Frame("", json.dumps(event(1, "turn.started")).encode(), "event_1"))
    assert (found.type, found.native_type) == ("turn.started", "turn.started")


def test_a_repeated_event_is_delivered_once() -> None:
    plan = streamed()
    first = [event(1, "turn.started"), live("H"), event(2, "llm.generation")]
    assert [found.native_type for found in read(plan, *first, *first, event(3, "turn.completed"))] == [
        "turn.started",
        "output.message.delta",
        "llm.generation",
        "turn.completed",
    ]


def test_the_memory_of_seen_events_is_bounded() -> None:
    plan = streamed()
    read(plan, *[event(number, "llm.generation") for number in range(1, 2003)])
    assert len(read(plan, event(1003, "llm.generation"))) == 0
    assert len(read(plan, event(1, "llm.generation"))) == 1


def test_a_break_in_the_middle_of_a_message_loses_and_repeats_no_text() -> None:
    plan = streamed()
    before = read(plan, event(1, "output.message.started"), live("H"), live("He"))
    assert opened(plan).endswith(f"since_id=event_{1:032x}")
    again = read(plan, live("Hello"), event(2, "output.message.completed", message("message_2", "agent")))
    texts = [found.text for found in (*before, *again) if found.type == "message.delta"]
    assert texts == ["H", "e", "llo"]


def opened_again(plan: ConnectedStream) -> Any:
    plan.open()
    return plan.opened(Head(200, {}), again=True)


def test_a_session_without_events_has_a_cursor_and_a_break_is_bridged_by_the_list() -> None:
    plan = streamed(None)
    assert place_of(plan.cursor) is None
    assert plan.opened(Head(200, {}), again=False) == ()
    read(plan, live("H"))
    assert opened_again(plan) == (Reconcile(),)
    calls, items = step(plan.reconcile(), listed(event(1, "session.started"), event(2, "turn.started")))
    assert [summary(call) for call in calls] == [("GET", f"{PATH}/events", None, 0.0)]
    assert [item.native_type for item in items if not isinstance(item, Step)] == ["session.started", "turn.started"]
    assert place_of(plan.cursor) == f"event_{2:032x}"
    assert opened_again(plan) == ()
    assert read(plan, event(2, "turn.started")) == []


def test_a_stream_that_continues_from_the_start_reads_the_list_at_once() -> None:
    _, plan = step(PROVIDER.stream_events(SessionRef(ID), after(None)))
    assert opened(plan) == f"{PATH}/sse"
    assert plan.opened(Head(200, {}), again=False) == (Reconcile(),)
    _, items = step(plan.reconcile(), listed(event(1, "session.started")))
    assert [item.native_type for item in items if not isinstance(item, Step)] == ["session.started"]


def test_reading_the_list_is_repeated_after_a_failure_and_loses_nothing() -> None:
    _, plan = step(PROVIDER.stream_events(SessionRef(ID), after(None)))
    plan.opened(Head(200, {}), again=False)
    with pytest.raises(ServerError):
        step(plan.reconcile(), ServerError("down", status=500))
    _, items = step(plan.reconcile(), listed(event(1, "session.started"), event(2, "turn.started")))
    assert len(items) == 2


# --- Connections, on the loop

CONNECTED = b'event: connected\ndata: {"status":"connected"}\n\n'
CURSOR = after("event_0")


def cycle(retry_ms: int) -> bytes:
    return f'event: disconnecting\ndata: {{"reason":"connection_cycle","retry_ms":{retry_ms}}}\n\n'.encode()


def written(number: int) -> bytes:
    raw = event(number, "turn.started")
    return f"event: turn.started\nid: {raw['id']}\ndata: {json.dumps(raw)}\n\n".encode()


def streaming(*connections: Connection, retry: RetryPolicy | None = None) -> Followed:
    return follow(lambda: PROVIDER.stream_events(SessionRef(ID), CURSOR), [], *connections, retry=retry)


@pytest.mark.parametrize(("retry_ms", "wait_s"), [(0, 0.0), (100, 0.1), (2500, 2.5), (10**9, 8.0)])
def test_the_wait_that_a_server_announces_is_bounded_by_the_policy(retry_ms: int, wait_s: float) -> None:
    retry = RetryPolicy(attempts=2, max_wait_s=8.0, deadline_s=60.0)
    followed = streaming(*[[CONNECTED, written(number), cycle(retry_ms)] for number in (1, 2, 3, 4)], retry=retry)
    assert followed.waits[:3] == [(wait_s, wait_s)] * 3
    assert [call.path.rpartition("=")[2] for call in followed.openings] == [
        "event_0",
        *(f"event_{number:032x}" for number in (1, 2, 3)),
    ]


def test_announced_ends_without_an_event_are_limited() -> None:
    followed = streaming(*[[CONNECTED, cycle(0)]] * 20, retry=RetryPolicy(attempts=4))
    assert isinstance(followed.error, StreamInterrupted)
    assert len(followed.openings) == 4
    assert sum(most for _, most in followed.waits) > 0


def test_a_refused_cursor_raises_the_error_of_the_backend_with_the_cursor() -> None:
    refusal = InvalidRequest("event cursor does not belong to this session", status=400)
    followed = streaming([CONNECTED, written(1), ConnectionLost("gone")], [refusal])
    assert followed.error is refusal
    assert (refusal.cursor, refusal.events_seen) == (after(f"event_{1:032x}"), 1)


def test_a_malformed_frame_does_not_end_the_stream() -> None:
    odd = b"event: turn.completed\nid: event_9\ndata: {\n\n"
    followed = streaming([CONNECTED, odd, b"event: of.tomorrow\ndata: 5\n\n", written(10), STAYS_OPEN])
    assert [found.type for found in followed.events] == ["raw", "raw", "turn.started"]
    assert followed.cursor == after(f"event_{10:032x}")
