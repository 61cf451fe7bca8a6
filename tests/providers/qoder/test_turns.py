"""Qoder's streams and turns, from flows that are stepped by hand and frames that are fed by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from polysession import (
    Approve,
    Conflict,
    ConnectionLost,
    Event,
    Feature,
    InvalidRequest,
    MalformedResponse,
    ResumeMode,
    RetryPolicy,
    TextBlock,
    UsageError,
)
from polysession._core.flow import Call
from polysession._core.operations import Operations
from polysession._core.stream import StreamPlan, StreamReader, TurnPlan
from polysession.change import SessionRef
from polysession.errors import PolysessionError
from polysession_qoder import QoderProvider, QoderSettings
from support.flows import ok, sent_bodies, step
from support.qoder_events import (
    APPROVAL,
    ASK,
    BEFORE,
    CUSTOM,
    EVENTS,
    EXECUTION,
    NEWEST_FIRST,
    PARKED,
    SEND,
    WAITING,
    JsonObject,
    echo,
    event,
    idle,
    page,
    said,
    shown,
)

REF = SessionRef("sess_1")
PROVIDER = QoderProvider(QoderSettings(token="pt-made-up"))
OPERATIONS = Operations(PROVIDER)
STREAM = f"{EVENTS}/stream?event_deltas%5B%5D=agent.message&event_deltas%5B%5D=agent.thinking"
NEWEST = Call("GET", f"{EVENTS}?order=desc&limit=1")


def start(event_id: str) -> JsonObject:
    return {"type": "event_start", "event": {"id": event_id, "type": "agent.message"}}


def delta(event_id: str, text: str) -> JsonObject:
    content = {"type": "text", "text": text}
    return {"type": "event_delta", "event_id": event_id, "delta": {"type": "content_delta", "content": content}}


def frame(wire: JsonObject) -> bytes:
    event_id = wire.get("id") or wire.get("event_id") or wire["event"]["id"]
    return f"id: {event_id}\nevent: {wire['type']}\ndata: {json.dumps(wire)}\n\n".encode()


def tape(*events: JsonObject) -> bytes:
    return b"".join(frame(wire) for wire in events)


def open_stream(cursor: str | None = None, *newest: JsonObject) -> StreamPlan:
    answers = [] if cursor else [ok(page(*newest))]
    return step(PROVIDER.stream_events(REF, cursor), *answers)[1]


def open_turn(*newest: JsonObject, reply: JsonObject | None = None) -> TurnPlan:
    """A turn whose message was sent, and came back under the id `evt_echo` unless another reply is given."""
    plan = step(PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), ok(page(*newest)))[1]
    step(plan.send(), ok(reply or {"data": [echo()]}))
    return plan


def fed(plan: StreamPlan, *parts: bytes) -> list[Event]:
    """What a reader delivers; each part comes over a connection of its own."""
    reader = StreamReader(plan, RetryPolicy())
    events: list[Event] = []
    for part in parts:
        reader.opened()
        events += reader.feed(part)
    return events


# Streams.


def test_a_stream_begins_after_the_newest_event() -> None:
    calls, plan = step(OPERATIONS.stream_events("sess_1", None), ok(page(BEFORE)))

    assert calls == [NEWEST]
    assert plan.open() == Call("GET", STREAM, {"accept": "text/event-stream", "last-event-id": "evt_before"})
    assert plan.cursor == "evt_before"


def test_a_stream_of_a_new_session_begins_with_what_happens_next() -> None:
    plan = open_stream()

    assert plan.open() == Call("GET", STREAM, {"accept": "text/event-stream"})
    assert plan.cursor is None


@pytest.mark.parametrize("strange", ["evt_ü", "evt_\u202e", "evt_\x1b", "evt_\r\nhost: evil.example", "evt 1"])
def test_a_stream_does_not_go_on_after_an_id_that_no_header_can_carry(strange: str) -> None:
    _, plan = step(OPERATIONS.stream_events("sess_1", None), ok(page({"type": "session.updated", "id": strange})))

    with pytest.raises(MalformedResponse, match="no header can carry that id"):
        plan.open()


def test_a_stream_goes_on_after_a_cursor() -> None:
    calls, plan = step(OPERATIONS.stream_events("sess_1", "evt_5"))

    assert calls == []
    assert plan.open().headers["last-event-id"] == "evt_5"


@pytest.mark.parametrize("cursor", ["", "5", "sess_1", "evt_1\n", "evt_1 2", "evt_é"])
def test_a_wrong_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        step(PROVIDER.stream_events(REF, cursor))


def test_the_cursor_is_the_last_event_that_the_backend_stores() -> None:
    plan = open_stream("evt_0")

    fed(plan, tape(echo("evt_1"), start("evt_2"), delta("evt_2", "Hel")))
    assert plan.cursor == "evt_1"

    fed(plan, tape(said("evt_2", "Hello")))
    assert plan.cursor == "evt_2"
    assert plan.open().headers["last-event-id"] == "evt_2"


def test_a_replay_does_not_move_the_cursor_back() -> None:
    plan = open_stream("evt_0")

    fed(plan, tape(echo("evt_1"), said("evt_2", "Hello")), tape(echo("evt_1")))

    assert plan.cursor == "evt_2"


@pytest.mark.parametrize(
    "quiet", [b": heartbeat\n\n", b"event: heartbeat\ndata: {}\n\n", b"event: ping\ndata: {}\n\n", b"data: [DONE]\n\n"]
)
def test_a_sign_of_life_is_no_event(quiet: bytes) -> None:
    plan = open_stream("evt_0")

    assert fed(plan, quiet) == []
    assert plan.cursor == "evt_0"


def test_id_and_type_may_stand_outside_the_json() -> None:
    plan = open_stream("evt_0")

    gap, message = fed(plan, b'id: evt_1\nevent: agent.message\ndata: {"content":"Hello"}\n\n')

    assert (message.id, shown([message]), plan.cursor) == ("evt_1", ["message.completed Hello"], "evt_1")
    assert gap.type == "stream.gap"  # the stream goes on after a cursor, and no preview came


@pytest.mark.parametrize("data", ["[]", "{", '{"type":["x"]}', '{"type":"agent.message","content":5}'])
def test_an_odd_frame_is_delivered_and_the_stream_goes_on(data: str) -> None:
    plan = open_stream("evt_0")

    odd, *_, message = fed(plan, f"id: evt_1\nevent: x\ndata: {data}\n\n".encode(), tape(said("evt_2", "Hello")))

    assert odd.problems
    assert shown([message]) == ["message.completed Hello"]
    assert plan.cursor == "evt_2"


def test_the_cursor_moves_past_an_odd_frame() -> None:
    plan = open_stream("evt_0")

    fed(plan, b"id: evt_1\nevent: x\ndata: []\n\n")

    assert plan.cursor == "evt_1"


@pytest.mark.parametrize("kind", ["session.status_terminated", "session.deleted"])
def test_a_stream_ends_with_its_session(kind: str) -> None:
    plan = open_stream("evt_0")

    fed(plan, tape(event("evt_1", "session.status_running")))
    assert not plan.finished

    fed(plan, tape(event("evt_2", kind)))
    assert plan.finished


@pytest.mark.parametrize(("before", "ends"), [(BEFORE, False), (said("evt_1", "Hm"), True)])
def test_the_newest_event_tells_whether_a_turn_goes_on(before: JsonObject, ends: bool) -> None:  # noqa: FBT001
    plan = open_stream(None, before)

    events = fed(plan, tape(event("evt_2", "session.deleted")))

    assert ("turn.ended failed" in shown(events)) is ends


@pytest.mark.parametrize("cursor", ["evt_0", None])
def test_only_a_stream_without_a_cursor_is_looked_behind_when_it_is_reopened(cursor: str | None) -> None:
    plan = open_stream(cursor)
    for _ in range(2):  # a first opening may have to be tried again: nothing is missed by that
        plan.open()
        assert not plan.probe_due
    plan.broke_off(None)
    plan.open()
    assert plan.probe_due is (cursor is None)


def test_what_a_new_session_did_before_its_stream_broke_is_read_from_the_list() -> None:
    plan = open_stream()
    pages = [ok(page(echo("evt_1"), next_page="p2")), ok(page(said("evt_2", "Hello")))]

    calls, events = step(plan.probe(), *pages)

    assert [call.path for call in calls] == [f"{EVENTS}?limit=100", f"{EVENTS}?limit=100&page=p2"]
    assert shown(events) == ["message.completed Hi", "message.completed Hello"]
    assert plan.open().headers["last-event-id"] == "evt_2"
    assert fed(plan, tape(echo("evt_1"))) == []


def test_a_probe_that_fails_in_the_middle_loses_nothing() -> None:
    plan = open_stream()
    first, second = ok(page(echo("evt_1"), next_page="p2")), ok(page(said("evt_2", "Hello")))

    with pytest.raises(ConnectionLost):
        step(plan.probe(), first, ConnectionLost("cut"))
    assert plan.cursor is None
    _, events = step(plan.probe(), first, second)

    assert shown(events) == ["message.completed Hi", "message.completed Hello"]


# Turns.

PLAIN = [
    event("evt_run", "session.status_running"),
    event("evt_thr", "session.thread_status_running"),
    echo(),
    event("evt_s", "span.model_request_start"),
    event("evt_th", "agent.thinking"),
    start("evt_m"),
    delta("evt_m", "Hel"),
    delta("evt_m", "lo"),
    said("evt_m", "Hello"),
    event("evt_e", "span.model_request_end"),
    event("evt_u", "session.usage", total_credits=1),
    idle("evt_idle", "end_turn"),
]
SHOWN = [
    "turn.started",
    "session.status",
    "raw",
    "message.completed Hi",
    "raw",
    "thinking.completed",
    "message.started",
    "message.delta Hel",
    "message.delta lo",
    "message.completed Hello",
    "raw",
    "usage",
    "session.status",
    "turn.ended completed",
]


def test_a_turn_is_opened_and_then_sent() -> None:
    calls, plan = step(OPERATIONS.start_turn("sess_1", "Hi"), ok(page(BEFORE)))
    assert calls == [NEWEST]
    assert plan.open().headers["last-event-id"] == "evt_before"

    calls, _ = step(plan.send(), ok({"data": [echo()]}))
    assert [replace(call, body=None) for call in calls] == [SEND]
    assert sent_bodies(calls) == [{"events": [{"type": "user.message", "content": [{"type": "text", "text": "Hi"}]}]}]


def test_a_turn_is_followed_from_its_start_to_its_end() -> None:
    assert shown(fed(open_turn(BEFORE), tape(*PLAIN, event("evt_z", "session.updated")))) == SHOWN


def test_a_turn_whose_message_comes_back_first_is_whole() -> None:
    order = [echo(), *(wire for wire in PLAIN if wire["type"] != "user.message")]

    events = shown(fed(open_turn(BEFORE), tape(*order)))

    assert events[:3] == ["message.completed Hi", "turn.started", "session.status"]
    assert events[-1] == "turn.ended completed"


def test_what_belongs_to_another_turn_is_left_out() -> None:
    other = [
        said("evt_o1", "old"),
        idle("evt_o2", "end_turn"),
        event("evt_o3", "session.status_running"),
        echo("evt_o4", "another client's"),
        idle("evt_o5", "cancelled"),
    ]

    assert shown(fed(open_turn(BEFORE), tape(*other, *PLAIN))) == SHOWN


def test_a_turn_comes_once_however_often_the_backend_replays_it() -> None:
    assert shown(fed(open_turn(BEFORE), tape(*PLAIN[:8]), tape(*PLAIN[:3]), tape(*PLAIN))) == SHOWN


def test_a_turn_is_the_same_wherever_the_bytes_are_cut() -> None:
    tape_bytes = tape(*PLAIN)
    for at in range(len(tape_bytes)):
        reader = StreamReader(open_turn(BEFORE), RetryPolicy())
        reader.opened()
        events = [*reader.feed(tape_bytes[:at]), *reader.feed(tape_bytes[at:])]
        assert shown(events) == SHOWN


def test_a_turn_is_the_same_wherever_the_connection_breaks() -> None:
    """After each break the backend replays what follows the cursor, with the previews of what is not whole yet."""
    tape_bytes = tape(*PLAIN)
    for at in range(len(tape_bytes)):
        plan = open_turn(BEFORE)
        reader = StreamReader(plan, RetryPolicy())
        reader.opened()
        events = list(reader.feed(tape_bytes[:at]))
        reader.opened()
        events += reader.feed(tape(*after(plan.open().headers["last-event-id"])))
        assert shown(events) == SHOWN


def after(cursor: str) -> list[JsonObject]:
    ids = [wire.get("id") for wire in PLAIN]
    return PLAIN[ids.index(cursor) + 1 :] if cursor in ids else PLAIN


def test_a_turn_of_a_new_session_survives_a_break_before_its_first_event() -> None:
    plan = open_turn()
    reader = StreamReader(plan, RetryPolicy())
    reader.opened()

    missed = [wire for wire in PLAIN[:5] if "id" in wire]
    events = list(reader.take(step(plan.probe(), ok(page(*missed)))[1]))
    reader.opened()
    events += reader.feed(tape(*after(plan.open().headers["last-event-id"])))

    assert shown(events) == SHOWN


@pytest.mark.parametrize(
    ("reply", "begins_with"),
    [
        ({"session_id": "sess_1", "turn_id": "turn_1"}, "message.completed Hi"),
        ({"session_id": "sess_1", "turn_id": "turn_2"}, "turn.started"),
        ({"data": []}, "turn.started"),
    ],
)
def test_a_turn_of_may_2026_begins_without_ids(reply: JsonObject, begins_with: str) -> None:
    order = [{**echo(), "turn_id": "turn_1"}, *(wire for wire in PLAIN if wire["type"] != "user.message")]

    events = shown(fed(open_turn(BEFORE, reply=reply), tape(idle("evt_old", "end_turn"), *order)))

    assert (events[0], events[-1]) == (begins_with, "turn.ended completed")


@pytest.mark.parametrize("kind", ["session.status_terminated", "session.deleted"])
@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_turn_ends_with_its_session(kind: str, seen: int) -> None:
    events = fed(open_turn(BEFORE), tape(*PLAIN[:seen], event("evt_end", kind)))

    assert shown(events)[-2:] == ["session.status", "turn.ended failed"]
    assert events[-1].synthetic


def test_a_turn_stops_to_ask_and_goes_on_when_it_is_answered() -> None:
    asking = [*PLAIN[:4], ASK, CUSTOM, idle("evt_i", "requires_action", "evt_a", "evt_c")]
    events = fed(open_turn(BEFORE), tape(*asking))

    assert shown(events)[-4:] == [
        "tool_call.completed",
        "session.status",
        "action.required",
        "turn.ended requires_action",
    ]
    (required,) = (item for item in events if item.type == "action.required")
    assert required.actions == (APPROVAL, EXECUTION)

    parked = ok(page(asking[-1], CUSTOM, ASK))
    calls, plan = step(OPERATIONS.start_turn("sess_1", [Approve(APPROVAL)]), parked)
    assert calls == [NEWEST_FIRST]
    assert plan.open().headers["last-event-id"] == "evt_i"

    confirmed = event("evt_ok", "user.tool_confirmation", tool_use_id="evt_a", result="allow")
    calls, _ = step(plan.send(), ok({"data": [confirmed]}))
    assert sent_bodies(calls)[0]["events"][0]["tool_use_id"] == "evt_a"

    events = fed(plan, tape(confirmed, idle("evt_j", "requires_action", "evt_c")))
    assert shown(events) == ["raw", "session.status", "action.required", "turn.ended requires_action"]
    assert [item.actions for item in events if item.type == "action.required"] == [(EXECUTION,)]


@pytest.mark.parametrize("with_ids", [True, False])
def test_an_answered_turn_does_not_end_at_the_stop_before_it(with_ids: bool) -> None:  # noqa: FBT001
    plan = step(OPERATIONS.start_turn("sess_1", [Approve("evt_a")]), ok(PARKED))[1]
    confirmed = event("evt_ok", "user.tool_confirmation", tool_use_id="evt_a", result="allow")
    step(plan.send(), ok({"data": [confirmed]} if with_ids else {"turn_id": "turn_1"}))

    events = fed(plan, tape(WAITING, confirmed, event("evt_r", "session.status_running"), idle("evt_k", "cancelled")))

    assert shown(events) == ["raw", "turn.started", "session.status", "session.status", "turn.ended cancelled"]


# What is declared.


@pytest.mark.parametrize("feature", Feature)
def test_every_feature_is_declared(feature: Feature) -> None:
    assert feature in PROVIDER.features
    assert PROVIDER.support(feature).note or PROVIDER.support(feature).support.value == "native"


def test_streams_are_resumed_by_replay() -> None:
    assert PROVIDER.resume_mode is ResumeMode.SERVER_REPLAY


@pytest.mark.parametrize("refusal", [InvalidRequest("no"), Conflict("busy")])
def test_a_refusal_of_the_input_is_passed_on(refusal: PolysessionError) -> None:
    plan = step(OPERATIONS.start_turn("sess_1", "Hi"), ok(page(BEFORE)))[1]

    with pytest.raises(type(refusal)):
        step(plan.send(), refusal)
