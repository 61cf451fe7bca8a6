"""The plan of a turn: its start, its recognition, required actions, its end, and rejoining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from polysession import (
    Approve,
    Conflict,
    Feature,
    InvalidRequest,
    ResumeMode,
    TextBlock,
    UsageError,
)
from polysession._core.cursors import plan_cursor
from polysession._core.flow import Response
from polysession.errors import PolysessionError
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
    SEND,
    WAITING,
    WAITING_PAGE,
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
    delta,
    openings,
    start,
    stream,
    tape,
)

TOOL_USES = "&types%5B%5D=agent.tool_use&types%5B%5D=agent.mcp_tool_use&types%5B%5D=agent.custom_tool_use"


def turn(
    *connections: bytes | PolysessionError,
    newest: Sequence[JsonObject] = (BEFORE,),
    reply: JsonObject | None = None,
    replies: Sequence[Response | PolysessionError] = (),
    **options: Any,
) -> Followed:
    """Run a turn, and return its events. Its message has the id `evt_echo` without `reply`."""
    first = [ok(page(*newest)), ok({"data": [echo()]} if reply is None else reply)]
    parts = [[part] if isinstance(part, bytes) else part for part in connections]
    return follow(lambda: PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), [*first, *replies], parts, **options)


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


def test_a_turn_with_an_early_echo_is_complete() -> None:
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
    """Return the events, with a time if they are stored."""
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


def test_a_replayed_turn_is_delivered_once() -> None:
    assert shown(turn(tape(*PLAIN[:8]), tape(*PLAIN[:3]), tape(*PLAIN)).events) == SHOWN


@pytest.fixture
def stride(request: pytest.FixtureRequest) -> int:
    """Return the number of bytes between two cuts of a stream."""
    return 1 if request.config.getoption("--every-byte") else 11


def test_a_turn_is_the_same_wherever_the_bytes_are_cut(stride: int) -> None:
    tape_bytes = tape(*PLAIN)
    for cut in range(0, len(tape_bytes), stride):
        chunks = [chunk for chunk in (tape_bytes[:cut], tape_bytes[cut:]) if chunk]
        replies = [ok(page(BEFORE)), ok({"data": [echo()]})]
        followed = follow(lambda: PROVIDER.start_turn(REF, (TextBlock(text="Hi"),)), replies, [chunks])
        assert shown(followed.events) == SHOWN


def test_a_turn_is_the_same_wherever_the_connection_breaks(stride: int) -> None:
    """The backend replays events after the cursor, and previews of incomplete events."""
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

    last = step(PROVIDER.stream_events(REF, plan_cursor(left.cursors[-1])))[1].open().headers["last-event-id"]
    rest = stream(tape(*after(last)), cursor=left.cursors[-1])

    stored = [(item.id, item.type) for item in [*left.events, *rest.events] if item.id]
    assert len(stored) == len(set(stored))
    assert {event_id for event_id, _ in stored} == {wire["id"] for wire in LISTED}


def test_a_turn_of_a_new_session_survives_a_break_before_its_first_event() -> None:
    missed = [wire for wire in PLAIN[:5] if "id" in wire]

    followed = turn(b"", tape(*PLAIN[5:]), newest=[], replies=[ok(page(*missed))])

    # The start of the thought is a preview, which is not replayed.
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


def answered(connection: bytes, reply: Response, history: JsonObject | None = None) -> Followed:
    """Return the events of a turn that continues after an approval."""
    waiting = page(idle("evt_i", "requires_action", "evt_a", "evt_c"), CUSTOM, ASK) if history is None else history
    return follow(lambda: PROVIDER.start_turn(REF, (Approve(APPROVAL),)), [ok(waiting), reply], [[connection]])


@pytest.mark.parametrize("with_ids", [True, False])
def test_an_answered_turn_does_not_end_at_the_stop_before_it(with_ids: bool) -> None:  # noqa: FBT001
    confirmed = event("evt_ok", "user.tool_confirmation", tool_use_id="evt_a", result="allow")
    frames = [*at(1, WAITING), *at(5, confirmed, event("evt_r", "session.status_running"), idle("evt_k", "cancelled"))]
    reply = {"data": at(5, confirmed)} if with_ids else {"turn_id": "turn_1", "created_at": "2026-10-01T00:00:04Z"}

    events = answered(tape(*frames), ok(reply), WAITING_PAGE).events

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
    parts = [[part] for part in connections]
    return follow(lambda: PROVIDER.rejoin_turn(REF, str(plan_cursor(cursor))), replies, parts, cursor=cursor)


@pytest.mark.parametrize("seen", range(1, len(SHOWN)))
def test_a_turn_is_rejoined_from_each_of_its_cursors(seen: int) -> None:
    left = turn(tape(*PLAIN), leave_after=seen)
    last = step(PROVIDER.rejoin_turn(REF, str(plan_cursor(left.cursors[-1]))))[1].open().headers["last-event-id"]

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
    plan = step(PROVIDER.start_turn(REF, (Approve(APPROVAL),)), ok(WAITING_PAGE))[1]
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
    with pytest.raises(UsageError, match="rejoin needs a cursor of a turn"):
        step(PROVIDER.rejoin_turn(REF, ELSEWHERE))


def test_the_cursor_of_a_turn_continues_a_stream() -> None:
    assert step(PROVIDER.stream_events(REF, before_the_send()))[1].open().headers["last-event-id"] == "evt_before"


def test_an_idempotency_key_is_sent_with_the_input() -> None:
    replies = [ok(page(BEFORE)), ok({"data": [echo()]})]

    followed = follow(
        lambda: PROVIDER.start_turn(REF, (TextBlock(text="Hi"),), idempotency_key="k1"), replies, [[tape(*PLAIN)]]
    )

    assert followed.calls[2].headers == {"idempotency-key": "k1"}


# Declared features.


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
