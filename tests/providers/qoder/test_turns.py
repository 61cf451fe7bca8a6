"""Qoder's streams and turns: the plans on the real loop, over scripted connections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from polysession import (
    Approve,
    AuthenticationFailed,
    Conflict,
    ConnectionLost,
    ErrorReported,
    Feature,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    Outcome,
    ResumeMode,
    TextBlock,
    TurnEnded,
    UsageError,
)
from polysession._core.flow import Call, Response
from polysession._core.operations import Operations
from polysession._core.plans import StreamPlan
from polysession.change import SessionRef
from polysession.errors import PolysessionError
from polysession_qoder import QoderProvider, QoderSettings
from support.flows import ok, sent_bodies, step
from support.plan_runner import Followed, follow
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
NEWEST = Call("GET", f"{EVENTS}?order=desc&limit=10")
TOOL_USES = "&types%5B%5D=agent.tool_use&types%5B%5D=agent.mcp_tool_use&types%5B%5D=agent.custom_tool_use"


def start(event_id: str, kind: str = "agent.message") -> JsonObject:
    return {"type": "event_start", "event": {"id": event_id, "type": kind}}


def delta(event_id: str, text: str) -> JsonObject:
    content = {"type": "text", "text": text}
    return {"type": "event_delta", "event_id": event_id, "delta": {"type": "content_delta", "content": content}}


def frame(wire: JsonObject) -> bytes:
    event_id = wire.get("id") or wire.get("event_id") or wire["event"]["id"]
    return f"id: {event_id}\nevent: {wire['type']}\ndata: {json.dumps(wire)}\n\n".encode()


def tape(*events: JsonObject) -> bytes:
    return b"".join(frame(wire) for wire in events)


def prepared(*newest: JsonObject) -> StreamPlan:
    """The plan of a stream after the newest event."""
    return step(PROVIDER.stream_events(REF, None), ok(page(*newest)))[1]


def cursor_at(*newest: JsonObject) -> str:
    return prepared(*newest).cursor


ELSEWHERE = cursor_at(event("evt_0", "session.updated"))


def stream(
    *connections: bytes | PolysessionError,
    newest: Sequence[JsonObject] = (),
    cursor: str | None = None,
    replies: Sequence[Response | PolysessionError] = (),
    **options: Any,
) -> Followed:
    """The events of a stream; each part comes over a connection of its own."""
    first = [ok(page(*newest))] if cursor is None else []
    parts = [[part] if isinstance(part, bytes) else part for part in connections]
    return follow(lambda: PROVIDER.stream_events(REF, cursor), [*first, *replies], parts, **options)


def turn(
    *connections: bytes | PolysessionError,
    newest: Sequence[JsonObject] = (BEFORE,),
    reply: JsonObject | None = None,
    replies: Sequence[Response | PolysessionError] = (),
    **options: Any,
) -> Followed:
    """The events of a turn. Its message comes back under the id `evt_echo` unless another reply is given."""
    first = [ok(page(*newest)), ok({"data": [echo()]} if reply is None else reply)]
    parts = [[part] if isinstance(part, bytes) else part for part in connections]
    return follow(lambda: PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), [*first, *replies], parts, **options)


def openings(followed: Followed) -> list[str | None]:
    """The `Last-Event-ID` of each connection."""
    return [call.headers.get("last-event-id") for call in followed.calls if call.path == STREAM]


# Streams.


def test_a_stream_begins_after_the_newest_event() -> None:
    followed = stream(b"", newest=[BEFORE])

    assert followed.calls[0] == NEWEST
    opening = Call("GET", STREAM, {"accept": "text/event-stream", "last-event-id": "evt_before"})
    assert followed.calls[1] == opening


def test_a_stream_of_a_new_session_begins_with_the_next_event() -> None:
    assert prepared().open() == Call("GET", STREAM, {"accept": "text/event-stream"})


@pytest.mark.parametrize("strange", ["evt_ü", "evt_\u202e", "evt_\x1b", "evt_\r\nhost: evil.example", "evt 1"])
def test_a_stream_does_not_continue_after_an_id_that_no_header_can_carry(strange: str) -> None:
    with pytest.raises(MalformedResponse, match="no header can carry"):
        prepared({"type": "session.updated", "id": strange}).open()


@pytest.mark.parametrize("event_id", ["evt_5", "0b9f", "e/5+"])
def test_a_stream_continues_after_a_cursor_of_any_id(event_id: str) -> None:
    cursor = cursor_at(event(event_id, "session.updated"))
    calls, plan = step(OPERATIONS.stream_events("sess_1", cursor))

    assert calls == []
    assert plan.open().headers["last-event-id"] == event_id
    assert plan.cursor == cursor


@pytest.mark.parametrize("cursor", ["", "5", "sess_1", "evt_1", "ZXZ0XzE", "e30", "WzVd", "evt_é", "\n"])
def test_a_wrong_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="is not a cursor"):
        step(PROVIDER.stream_events(REF, cursor))


def test_the_cursor_is_the_last_event_that_the_backend_stores() -> None:
    followed = stream(tape(echo("evt_1"), start("evt_2"), delta("evt_2", "Hel")), b"", cursor=ELSEWHERE)
    assert openings(followed) == ["evt_0", "evt_1"]

    followed = stream(tape(echo("evt_1"), start("evt_2"), said("evt_2", "Hello")), b"", cursor=ELSEWHERE)
    assert openings(followed) == ["evt_0", "evt_2"]


def test_a_replay_does_not_move_the_cursor_back() -> None:
    followed = stream(tape(echo("evt_1"), said("evt_2", "Hello")), tape(echo("evt_1")), b"", cursor=ELSEWHERE)

    assert openings(followed) == ["evt_0", "evt_2", "evt_2"]


@pytest.mark.parametrize(
    "quiet", [b": heartbeat\n\n", b"event: heartbeat\ndata: {}\n\n", b"event: ping\ndata: {}\n\n", b"data: [DONE]\n\n"]
)
def test_a_sign_of_life_is_no_event(quiet: bytes) -> None:
    followed = stream(quiet, b"", cursor=ELSEWHERE)

    assert followed.events == []
    assert openings(followed) == ["evt_0", "evt_0"]


def test_id_and_type_may_stand_outside_the_json() -> None:
    message_frame = b'id: evt_1\nevent: agent.message\ndata: {"content":"Hello"}\n\n'
    gap, message = stream(message_frame, cursor=ELSEWHERE).events

    assert (message.id, shown([message])) == ("evt_1", ["message.completed Hello"])
    assert gap.type == "stream.gap"  # the stream continues after a cursor, and no preview came


@pytest.mark.parametrize("data", ["[]", "{", '{"type":["x"]}', '{"type":"agent.message","content":5}'])
def test_an_odd_frame_is_delivered_and_the_stream_continues(data: str) -> None:
    odd_frame = f"id: evt_1\nevent: x\ndata: {data}\n\n".encode()
    followed = stream(odd_frame + tape(said("evt_2", "Hello")), newest=[BEFORE])

    odd, message = followed.events
    assert odd.problems
    assert odd.id == "evt_1"
    assert shown([message]) == ["message.completed Hello"]
    assert followed.cursors[0] != followed.cursors[1]


def test_the_cursor_moves_past_an_odd_frame() -> None:
    followed = stream(b"id: evt_1\nevent: x\ndata: []\n\n", b"", cursor=ELSEWHERE)

    assert openings(followed) == ["evt_0", "evt_1"]


@pytest.mark.parametrize("kind", ["session.status_terminated", "session.deleted"])
def test_a_stream_ends_with_its_session(kind: str) -> None:
    followed = stream(tape(event("evt_1", "session.status_running"), event("evt_2", kind)), newest=[BEFORE])

    assert followed.finished
    assert shown(followed.events)[-1] == "turn.ended failed"


@pytest.mark.parametrize(
    ("newest", "ends"),
    [
        ([BEFORE], False),
        ([said("evt_1", "Hm")], True),
        ([event("evt_3", "span.model_request_start"), event("evt_2", "session.status_running"), BEFORE], True),
        ([event("evt_3", "session.usage"), idle("evt_2", "end_turn"), said("evt_1", "Hm")], False),
    ],
)
def test_the_newest_events_show_whether_a_turn_is_in_progress(newest: list[JsonObject], ends: bool) -> None:  # noqa: FBT001
    followed = stream(tape(event("evt_9", "session.deleted")), newest=newest)

    assert ("turn.ended failed" in shown(followed.events)) is ends


FAILED = event("evt_3", "session.error", error={"type": "billing_error", "message": "no credits"})


def test_the_newest_events_show_the_error_of_the_turn() -> None:
    newest = [FAILED, event("evt_2", "session.status_running"), BEFORE]

    followed = stream(tape(idle("evt_9", "retries_exhausted")), newest=newest)

    assert [item.error for item in followed.events if isinstance(item, TurnEnded)] == ["no credits"]


def test_a_cursor_keeps_the_state_of_the_turn() -> None:
    begun = stream(tape(event("evt_2", "session.status_running"), FAILED), newest=[BEFORE])
    assert isinstance(begun.events[-1], ErrorReported)

    failed = stream(tape(idle("evt_9", "retries_exhausted")), cursor=begun.cursors[-1])
    deleted = stream(tape(event("evt_9", "session.deleted")), cursor=begun.cursors[-1])

    assert [item.error for item in failed.events if isinstance(item, TurnEnded)] == ["no credits"]
    assert [(item.outcome, item.synthetic) for item in deleted.events if isinstance(item, TurnEnded)] == [
        (Outcome.FAILED, True)
    ]


def test_a_cursor_keeps_that_the_session_was_rescheduled() -> None:
    moved = [event("evt_2", "session.status_running"), event("evt_3", "session.status_rescheduled")]
    begun = stream(tape(*moved), newest=[BEFORE])

    resumed = stream(tape(event("evt_4", "session.status_running")), cursor=begun.cursors[-1])

    assert shown(resumed.events) == ["session.status"]


def test_a_session_without_events_has_a_cursor_from_its_start() -> None:
    new = prepared()
    stored = ok(page(echo("evt_1"), said("evt_2", "Hello")))

    followed = stream(tape(echo("evt_1"), idle("evt_3", "end_turn")), cursor=new.cursor, replies=[stored])

    assert [call.path for call in followed.calls] == [STREAM, f"{EVENTS}?limit=100"]
    assert shown(followed.events)[0] == "message.completed Hi"
    assert [item.id for item in followed.events if item.type != "stream.gap"] == ["evt_1", "evt_2", "evt_3", "evt_3"]


def test_the_first_events_of_a_session_survive_a_break() -> None:
    pages = [ok(page(echo("evt_1"), next_page="p2")), ok(page(said("evt_2", "Hello")))]

    followed = stream(b"", tape(echo("evt_1")), b"", replies=pages)

    assert [call.path for call in followed.calls] == [
        NEWEST.path,
        STREAM,
        STREAM,
        f"{EVENTS}?limit=100",
        f"{EVENTS}?limit=100&page=p2",
        STREAM,
    ]
    assert [text for text in shown(followed.events) if text != "stream.gap"] == [
        "message.completed Hi",
        "message.completed Hello",
    ]
    assert openings(followed) == [None, None, "evt_2"]


def test_a_look_at_the_history_that_fails_half_way_loses_nothing() -> None:
    first, second = ok(page(echo("evt_1"), next_page="p2")), ok(page(said("evt_2", "Hello")))

    followed = stream(b"", b"", replies=[first, ConnectionLost("cut"), first, second])

    assert [text for text in shown(followed.events) if text != "stream.gap"] == [
        "message.completed Hi",
        "message.completed Hello",
    ]


@pytest.mark.parametrize(
    "refusal",
    [InvalidRequest("unknown id", status=400), AuthenticationFailed("no", status=401), NotFound("gone", status=404)],
)
def test_a_refused_reopening_raises_its_cause_with_the_cursor(refusal: PolysessionError) -> None:
    followed = stream(tape(echo("evt_1")), refusal, cursor=ELSEWHERE)

    assert followed.error is refusal
    assert (refusal.cursor, refusal.events_seen) == (followed.cursors[-1], 1)


# Turns.

PLAIN = [
    event("evt_run", "session.status_running"),
    event("evt_thr", "session.thread_status_running"),
    echo(),
    event("evt_s", "span.model_request_start"),
    start("evt_th", "agent.thinking"),
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
    "thinking.started",
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
    followed = turn(b"")

    assert followed.calls[0] == NEWEST
    assert openings(followed)[0] == "evt_before"
    assert replace(followed.calls[2], body=None) == SEND
    sent = sent_bodies(followed.calls[2:3])
    assert sent == [{"events": [{"type": "user.message", "content": [{"type": "text", "text": "Hi"}]}]}]


def test_a_turn_is_followed_from_its_start_to_its_end() -> None:
    followed = turn(tape(*PLAIN, event("evt_z", "session.updated")))

    assert shown(followed.events) == SHOWN
    assert followed.finished


def test_a_turn_whose_message_comes_back_first_is_whole() -> None:
    order = [echo(), *(wire for wire in PLAIN if wire["type"] != "user.message")]

    events = shown(turn(tape(*order)).events)

    assert events[:3] == ["message.completed Hi", "turn.started", "session.status"]
    assert events[-1] == "turn.ended completed"


OTHER = [
    said("evt_o1", "old"),
    idle("evt_o2", "end_turn"),
    event("evt_o3", "session.status_running"),
    echo("evt_o4", "another client's"),
    idle("evt_o5", "cancelled"),
]
LISTED = [wire for wire in PLAIN if "id" in wire]


def at(second: int, *wires: JsonObject) -> list[JsonObject]:
    """The events with a time, if they are stored."""
    moment = f"2026-10-01T00:00:{second:02}Z"
    return [{**wire, "processed_at": moment} if "id" in wire else wire for wire in wires]


def test_the_events_of_another_turn_are_left_out() -> None:
    timed = turn(tape(*at(1, *OTHER), *at(5, *PLAIN)), reply={"data": at(5, echo())})
    assert shown(timed.events) == SHOWN
    assert len(timed.calls) == 3

    before_ours = ok(page(*LISTED[::-1], *OTHER[::-1]))
    untimed = turn(tape(*OTHER, *PLAIN), replies=[before_ours, before_ours])
    assert shown(untimed.events) == SHOWN


WITHOUT_ECHO = [wire for wire in PLAIN if wire["type"] != "user.message"]
SHOWN_WITHOUT_ECHO = [text for text in SHOWN if text != "message.completed Hi"]


def test_a_turn_without_its_echo_is_recognised_by_the_time_of_acceptance() -> None:
    own = [*at(5, *WITHOUT_ECHO[:2]), *at(6, *WITHOUT_ECHO[2:])]

    followed = turn(tape(*at(1, *OTHER), *own), reply={"data": at(5, echo())})

    assert shown(followed.events) == SHOWN_WITHOUT_ECHO
    assert followed.finished
    assert len(followed.calls) == 3


@pytest.mark.parametrize(
    "history",
    [
        [*LISTED[::-1], BEFORE],
        [*(wire for wire in LISTED[::-1] if wire["type"] != "user.message"), BEFORE],
    ],
    ids=["with the echo", "without"],
)
def test_a_turn_without_its_echo_and_without_times_is_found_in_the_history(history: list[JsonObject]) -> None:
    followed = turn(tape(*WITHOUT_ECHO), replies=[ok(page(*history))])

    assert shown(followed.events) == SHOWN_WITHOUT_ECHO
    assert followed.calls[-1] == NEWEST_FIRST
    assert followed.finished


@pytest.mark.parametrize("newest", [WITHOUT_ECHO[0], echo()], ids=["running", "accepted"])
@pytest.mark.parametrize("second", [None, 5], ids=["without times", "all at one time"])
def test_the_end_of_another_turn_is_not_the_end_of_a_turn_without_echo(newest: JsonObject, second: int | None) -> None:
    in_progress = ok(page(newest, *OTHER[::-1]))
    ended = ok(page(*LISTED[::-1], *OTHER[::-1]))
    events = [*OTHER, *WITHOUT_ECHO] if second is None else at(second, *OTHER, *WITHOUT_ECHO)
    reply = None if second is None else {"data": at(second, echo())}

    followed = turn(tape(*events), reply=reply, replies=[in_progress, in_progress, ended])

    assert shown(followed.events) == SHOWN_WITHOUT_ECHO


def test_a_turn_comes_once_however_often_the_backend_replays_it() -> None:
    assert shown(turn(tape(*PLAIN[:8]), tape(*PLAIN[:3]), tape(*PLAIN)).events) == SHOWN


@pytest.fixture
def stride(request: pytest.FixtureRequest) -> int:
    """Bytes from one cut of a stream to the next."""
    return 1 if request.config.getoption("--every-byte") else 11


def test_a_turn_is_the_same_wherever_the_bytes_are_cut(stride: int) -> None:
    tape_bytes = tape(*PLAIN)
    for cut in range(0, len(tape_bytes), stride):
        chunks = [chunk for chunk in (tape_bytes[:cut], tape_bytes[cut:]) if chunk]
        replies = [ok(page(BEFORE)), ok({"data": [echo()]})]
        followed = follow(lambda: PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), replies, [chunks])
        assert shown(followed.events) == SHOWN


def test_a_turn_is_the_same_wherever_the_connection_breaks(stride: int) -> None:
    """After each break the backend replays what follows the cursor, with the previews of what is not whole yet."""
    tape_bytes = tape(*PLAIN)
    for cut in range(0, len(tape_bytes), stride):
        last = openings(turn(tape_bytes[:cut], b""))[-1]
        followed = turn(tape_bytes[:cut], tape(*after(last)))
        assert shown(followed.events) == SHOWN


def after(cursor: str | None) -> list[JsonObject]:
    ids = [wire.get("id") for wire in PLAIN]
    return PLAIN[ids.index(cursor) + 1 :] if cursor in ids else PLAIN


@pytest.mark.parametrize("leave_after", range(1, len(SHOWN) + 1))
def test_a_turn_that_is_left_continues_in_a_stream_from_its_cursor(leave_after: int) -> None:
    left = turn(tape(*PLAIN), leave_after=leave_after)
    assert shown(left.events) == SHOWN[:leave_after]

    last = step(PROVIDER.stream_events(REF, left.cursors[-1]))[1].open().headers["last-event-id"]
    rest = stream(tape(*after(last)), cursor=left.cursors[-1])

    again = {item.id for item in left.events if item.id} & {item.id for item in rest.events if item.id}
    assert again <= {left.events[-1].id}  # only in the middle of what one event of the backend becomes
    stored = [item.id for item in [*left.events, *rest.events] if item.id]
    assert set(stored) == {wire["id"] for wire in LISTED}


def test_a_turn_of_a_new_session_survives_a_break_before_its_first_event() -> None:
    missed = [wire for wire in PLAIN[:5] if "id" in wire]

    followed = turn(b"", tape(*PLAIN[5:]), newest=[], replies=[ok(page(*missed))])

    # The start of the thought was sent only while it happened.
    assert shown(followed.events) == ["stream.gap" if text == "thinking.started" else text for text in SHOWN]


@pytest.mark.parametrize(
    ("reply", "begins_with"),
    [
        ({"session_id": "sess_1", "turn_id": "turn_1"}, "message.completed Hi"),
        ({"session_id": "sess_1", "turn_id": "turn_2"}, "turn.started"),
        ({"data": []}, "message.completed Hi"),
    ],
)
def test_a_turn_of_may_2026_begins_without_ids(reply: JsonObject, begins_with: str) -> None:
    order = [{**echo(), "turn_id": "turn_1"}, *(wire for wire in PLAIN if wire["type"] != "user.message")]
    history = ok(page(event("evt_run", "session.status_running"), idle("evt_old", "end_turn")))

    followed = turn(tape(idle("evt_old", "end_turn"), *order), reply=reply, replies=[history])

    events = shown(followed.events)
    assert (events[0], events[-1]) == (begins_with, "turn.ended completed")


def test_a_turn_begins_after_the_last_of_its_events_was_accepted() -> None:
    reply = {"data": [*at(4, echo("evt_x")), *at(6, echo("evt_y"))]}

    followed = turn(tape(*at(5, *OTHER), *at(7, *WITHOUT_ECHO)), reply=reply)

    assert shown(followed.events) == SHOWN_WITHOUT_ECHO


def test_a_turn_of_may_2026_is_recognised_by_its_time() -> None:
    reply = {"session_id": "sess_1", "turn_id": "turn_2", "created_at": "2026-10-01T00:00:05Z"}

    followed = turn(tape(*at(1, *OTHER), *at(6, *WITHOUT_ECHO)), reply=reply)

    assert shown(followed.events) == SHOWN_WITHOUT_ECHO


@pytest.mark.parametrize("kind", ["session.status_terminated", "session.deleted"])
@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_turn_ends_with_its_session(kind: str, seen: int) -> None:
    events = turn(tape(*PLAIN[:seen], event("evt_end", kind))).events

    assert shown(events)[-2:] == ["session.status", "turn.ended failed"]
    assert events[-1].synthetic


def test_a_turn_stops_to_ask_and_continues_when_it_is_answered() -> None:
    asking = [*PLAIN[:4], ASK, CUSTOM, idle("evt_i", "requires_action", "evt_a", "evt_c")]
    events = turn(tape(*asking)).events

    assert shown(events)[-4:] == [
        "tool_call.completed",
        "session.status",
        "action.required",
        "turn.ended requires_action",
    ]
    (required,) = (item for item in events if item.type == "action.required")
    assert required.actions == (APPROVAL, EXECUTION)

    confirmed = event("evt_ok", "user.tool_confirmation", tool_use_id="evt_a", result="allow")
    followed = answered(tape(confirmed, idle("evt_j", "requires_action", "evt_c")), ok({"data": [confirmed]}))

    assert followed.calls[0] == NEWEST_FIRST
    assert openings(followed) == ["evt_i"]
    assert sent_bodies(followed.calls[2:3])[0]["events"][0]["tool_use_id"] == "evt_a"
    assert shown(followed.events) == ["raw", "session.status", "action.required", "turn.ended requires_action"]
    assert [item.actions for item in followed.events if item.type == "action.required"] == [(EXECUTION,)]


def answered(connection: bytes, reply: Response, parked: JsonObject | None = None) -> Followed:
    """The events of a turn that continues after an approval."""
    waiting = page(idle("evt_i", "requires_action", "evt_a", "evt_c"), CUSTOM, ASK) if parked is None else parked
    return follow(lambda: PROVIDER.start_turn(REF, (Approve(APPROVAL),)), [ok(waiting), reply], [[connection]])


@pytest.mark.parametrize("with_ids", [True, False])
def test_an_answered_turn_does_not_end_at_the_stop_before_it(with_ids: bool) -> None:  # noqa: FBT001
    confirmed = event("evt_ok", "user.tool_confirmation", tool_use_id="evt_a", result="allow")
    frames = [*at(1, WAITING), *at(5, confirmed, event("evt_r", "session.status_running"), idle("evt_k", "cancelled"))]
    reply = {"data": at(5, confirmed)} if with_ids else {"turn_id": "turn_1", "created_at": "2026-10-01T00:00:04Z"}

    events = answered(tape(*frames), ok(reply), PARKED).events

    assert shown(events) == ["raw", "turn.started", "session.status", "session.status", "turn.ended cancelled"]


def test_a_stop_at_tool_uses_that_were_not_seen_is_completed_from_the_history() -> None:
    followed = stream(tape(MCP_SEEN, WAITING), newest=[BEFORE], replies=[ok(page(CUSTOM, ASK))])

    (required,) = (item for item in followed.events if item.type == "action.required")
    assert [action.id for action in required.actions] == ["evt_a", "evt_m", "evt_c"]
    assert followed.calls[-1].path == f"{EVENTS}?order=desc{TOOL_USES}&limit=100"
    assert shown(followed.events)[-1] == "turn.ended requires_action"


def test_a_turn_that_stops_at_tool_uses_that_were_not_seen_is_completed_from_the_history() -> None:
    followed = turn(tape(echo(), MCP_SEEN, WAITING), replies=[ok(page(CUSTOM, ASK))])

    (required,) = (item for item in followed.events if item.type == "action.required")
    assert [action.id for action in required.actions] == ["evt_a", "evt_m", "evt_c"]
    assert followed.finished


MCP_SEEN = event("evt_m", "agent.mcp_tool_use", name="find", input={})


# Rejoining.


def rejoin(cursor: str | None, *connections: bytes, replies: Sequence[Response] = ()) -> Followed:
    assert cursor is not None
    return follow(lambda: PROVIDER.rejoin_turn(REF, cursor), replies, [[part] for part in connections])


@pytest.mark.parametrize("seen", range(1, len(SHOWN)))
def test_a_turn_is_rejoined_from_each_of_its_cursors(seen: int) -> None:
    left = turn(tape(*PLAIN), leave_after=seen)
    last = step(PROVIDER.rejoin_turn(REF, str(left.cursors[-1])))[1].open().headers["last-event-id"]

    followed = rejoin(left.cursors[-1], tape(*after(last)))

    assert followed.finished
    assert [call.method for call in followed.calls] == ["GET"]
    shown_again = [text for text in shown(followed.events) if text != "stream.gap"]
    assert shown_again == SHOWN[len(SHOWN) - len(shown_again) :]
    assert len(shown_again) >= len(SHOWN) - seen


def before_the_send() -> str:
    return step(PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), ok(page(BEFORE)))[1].cursor


REORDERED = event("evt_echo", "user.message", content=[{"text": "Hi", "type": "text"}])


@pytest.mark.parametrize("sent_back", [echo(), REORDERED], ids=["same", "equal"])
def test_a_turn_is_rejoined_from_a_cursor_that_was_read_before_its_input_was_sent(sent_back: JsonObject) -> None:
    own = [sent_back if wire["type"] == "user.message" else wire for wire in PLAIN]

    alone = rejoin(before_the_send(), tape(*own))
    behind = rejoin(before_the_send(), tape(*OTHER, *own), replies=[ok(page(*LISTED[::-1], *OTHER[::-1]))] * 2)

    for followed in (alone, behind):
        assert [text for text in shown(followed.events) if text != "stream.gap"] == SHOWN
        assert followed.finished


def test_an_answered_turn_is_rejoined_from_a_cursor_that_was_read_before_the_answer() -> None:
    plan = step(PROVIDER.start_turn(REF, (Approve(APPROVAL),)), ok(PARKED))[1]
    confirmed = event("evt_ok", "user.tool_confirmation", tool_use_id="evt_a", result="allow")

    followed = rejoin(plan.cursor, tape(confirmed, event("evt_r", "session.status_running"), idle("evt_k", "end_turn")))

    assert shown(followed.events)[-1] == "turn.ended completed"
    assert followed.finished


def test_a_rejoined_turn_ends_with_its_session() -> None:
    events = rejoin(before_the_send(), tape(event("evt_end", "session.deleted"))).events

    assert shown(events) == ["session.status", "turn.ended failed"]


def test_the_first_turn_of_a_session_is_rejoined_from_its_history() -> None:
    cursor = step(PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), ok(page()))[1].cursor

    followed = rejoin(cursor, b"", replies=[ok(page(*LISTED))])

    assert [call.path for call in followed.calls] == [STREAM, f"{EVENTS}?limit=100"]
    assert shown(followed.events)[-1] == "turn.ended completed"
    assert followed.finished


def test_the_cursor_of_a_stream_is_not_that_of_a_turn() -> None:
    with pytest.raises(UsageError, match="follows no turn"):
        step(PROVIDER.rejoin_turn(REF, ELSEWHERE))


def test_the_cursor_of_a_turn_continues_a_stream() -> None:
    assert step(PROVIDER.stream_events(REF, before_the_send()))[1].open().headers["last-event-id"] == "evt_before"


def test_a_key_of_the_caller_is_sent_with_the_input() -> None:
    replies = [ok(page(BEFORE)), ok({"data": [echo()]})]

    followed = follow(
        lambda: PROVIDER.start_turn(REF, (TextBlock(text="Hi"),), idempotency_key="k1"), replies, [[tape(*PLAIN)]]
    )

    assert followed.calls[2].headers == {"idempotency-key": "k1"}


# What is declared.


@pytest.mark.parametrize("feature", Feature)
def test_every_feature_is_declared(feature: Feature) -> None:
    assert feature in PROVIDER.features
    assert PROVIDER.support(feature).note or PROVIDER.support(feature).support.value == "native"


def test_streams_are_resumed_by_replay() -> None:
    assert PROVIDER.resume_mode is ResumeMode.SERVER_REPLAY


@pytest.mark.parametrize("refusal", [InvalidRequest("no"), Conflict("busy")])
def test_a_refusal_of_the_input_is_passed_on(refusal: PolysessionError) -> None:
    replies: list[Response | PolysessionError] = [ok(page(BEFORE)), refusal]

    followed = follow(lambda: PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), replies, [[b""]])

    assert followed.error is refusal
