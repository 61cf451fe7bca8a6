"""The plan of a stream: its start, how it resumes, and the state in its cursor."""

from __future__ import annotations

import pytest

from polysession import (
    AuthenticationFailed,
    ConnectionLost,
    ErrorReported,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    Outcome,
    TurnEnded,
    UsageError,
)
from polysession._core.flow import Call
from polysession._core.operations import Operations
from polysession.errors import PolysessionError
from support.flows import ok, step
from support.qoder_events import (
    BEFORE,
    EVENTS,
    JsonObject,
    echo,
    event,
    idle,
    page,
    said,
    shown,
)
from support.qoder_streams import (
    ELSEWHERE,
    NEWEST,
    PROVIDER,
    REF,
    STREAM,
    cursor_at,
    delta,
    openings,
    prepared,
    start,
    stream,
    tape,
)

OPERATIONS = Operations(PROVIDER)


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
    with pytest.raises(MalformedResponse, match="cannot be sent in a header"):
        prepared({"type": "session.updated", "id": strange}).open()


@pytest.mark.parametrize("event_id", ["evt_5", "0b9f", "e/5+"])
def test_a_stream_continues_after_a_cursor_of_any_id(event_id: str) -> None:
    cursor = cursor_at(event(event_id, "session.updated"))
    calls, plan = step(PROVIDER.stream_events(REF, cursor))

    assert calls == []
    assert plan.open().headers["last-event-id"] == event_id
    assert plan.cursor == cursor


@pytest.mark.parametrize("cursor", ["", "5", "sess_1", "evt_1", "ZXZ0XzE", "e30", "WzVd", "evt_é", "\n"])
def test_a_wrong_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="is not a stream cursor"):
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
def test_a_heartbeat_is_not_an_event(quiet: bytes) -> None:
    followed = stream(quiet, b"", cursor=ELSEWHERE)

    assert followed.events == []
    assert openings(followed) == ["evt_0", "evt_0"]


def test_id_and_type_may_be_outside_the_json() -> None:
    message_frame = b'id: evt_1\nevent: agent.message\ndata: {"content":"Hello"}\n\n'
    gap, message = stream(message_frame, cursor=ELSEWHERE).events

    assert (message.id, shown([message])) == ("evt_1", ["message.completed Hello"])
    assert gap.type == "stream.gap"  # the stream continues after a cursor, and has no preview


@pytest.mark.parametrize("data", ["[]", "{", '{"type":["x"]}', '{"type":"agent.message","content":5}'])
def test_a_malformed_frame_is_delivered_and_the_stream_continues(data: str) -> None:
    odd_frame = f"id: evt_1\nevent: x\ndata: {data}\n\n".encode()
    followed = stream(odd_frame + tape(said("evt_2", "Hello")), newest=[BEFORE])

    odd, message = followed.events
    assert odd.problems
    assert odd.id == "evt_1"
    assert shown([message]) == ["message.completed Hello"]
    assert followed.cursors[0] != followed.cursors[1]


def test_the_cursor_moves_past_a_malformed_frame() -> None:
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


def test_a_failed_read_of_the_history_loses_nothing() -> None:
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
