"""Plans of LangGraph's streams and turns, on the real loop over scripted connections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from polysession import (
    ActionRequired,
    Conflict,
    ConnectionLost,
    Deny,
    ErrorReported,
    MessageCompleted,
    MessageDelta,
    NotFound,
    Outcome,
    TextBlock,
    TurnEnded,
    UsageError,
)
from polysession._core.flow import Call, Response
from polysession._core.operations import Operations
from polysession._core.plans import Head, Reconcile, Step
from polysession._core.sse import Frame
from polysession.change import SessionRef
from polysession.errors import PolysessionError
from polysession.provider_api import decode_cursor, encode_cursor
from polysession_langgraph import LanggraphProvider, LanggraphSettings
from polysession_langgraph.events import Position
from polysession_langgraph.turns import ThreadStream
from support.flows import ok, sent_bodies, step
from support.plan_runner import Followed, follow

ID = "01a22c11-eb53-7385-aac2-3d885a9647aa"
RUN, OTHER = "01a22c12-0000-7000-8000-000000000002", "01a22c12-0000-7000-8000-000000000001"
PATH = f"/threads/{ID}"
REF = SessionRef(ID)
PROVIDER = LanggraphProvider(LanggraphSettings(base_url="http://127.0.0.1:1", assistant_id="agent"))
HELLO = (TextBlock(text="hello"),)
IDLE: dict[str, Any] = {"thread_id": ID, "status": "idle", "interrupts": {}, "error": None, "metadata": {}}
WAITING = {**IDLE, "status": "interrupted", "interrupts": {"task": [{"id": "i1", "value": "continue?"}]}}
CUT = ConnectionLost("cut")


def sse(event: str, data: Any, event_id: str) -> bytes:
    return f"event: {event}\r\ndata: {json.dumps(data)}\r\nid: {event_id}\r\n\r\n".encode()


def mark(event_id: str, run: str = RUN, **more: Any) -> bytes:
    return sse("metadata", {"run_id": run, **more}, event_id)


def done(event_id: str, run: str = RUN) -> bytes:
    return mark(event_id, run, status="run_done")


def values(seq: int, event_id: str, *messages: dict[str, Any]) -> bytes:
    params = {"namespace": [], "data": {"messages": list(messages)}, "interrupts": []}
    return sse("values", {"type": "event", "method": "values", "params": params, "seq": seq}, event_id)


def piece(seq: int, event_id: str, **data: Any) -> bytes:
    params = {"namespace": [], "data": data}
    return sse("messages", {"type": "event", "method": "messages", "params": params, "seq": seq}, event_id)


def human(text: str = "hello") -> dict[str, Any]:
    return {"type": "human", "id": "h1", "content": text}


def tool(call_id: str) -> dict[str, Any]:
    return {"type": "tool", "id": f"t-{call_id}", "tool_call_id": call_id, "content": "3"}


STARTED = ok({"type": "success", "id": 1, "result": {"run_id": RUN}})
TURN = [mark("1-0"), values(1, "2-0", human()), done("9-0")]


def run(
    replies: Sequence[Response | PolysessionError], *connections: Sequence[bytes | PolysessionError], **options: Any
) -> Followed:
    return follow(lambda: PROVIDER.start_turn(REF, HELLO), [ok(IDLE), STARTED, *replies], connections, **options)


def types(followed: Followed) -> list[str]:
    return [event.type for event in followed.events]


def end_of(followed: Followed) -> TurnEnded:
    assert followed.error is None
    end = followed.events[-1]
    assert isinstance(end, TurnEnded)
    return end


def test_a_turn_is_followed_from_its_run_to_its_end() -> None:
    followed = run([ok(IDLE)], TURN)

    assert types(followed) == ["turn.started", "session.status", "message.completed", "session.status", "turn.ended"]
    assert end_of(followed).outcome is Outcome.COMPLETED
    get, stream, send, _ = followed.calls
    assert get == Call("GET", PATH)
    assert stream.path == f"{PATH}/stream?stream_modes=run_modes"
    assert "last-event-id" not in stream.headers
    (body,) = sent_bodies([send])
    marker = body["params"]["metadata"]["polysession_turn"]
    assert body == {
        "id": 1,
        "method": "run.start",
        "params": {
            "assistant_id": "agent",
            "input": {"messages": [{"role": "user", "id": marker, "content": [{"type": "text", "text": "hello"}]}]},
            "metadata": {"polysession_turn": marker},
        },
    }


def test_the_turn_of_another_client_is_not_ours() -> None:
    theirs = [mark("1-0", OTHER), values(1, "2-0", human("theirs")), done("3-0", OTHER)]
    ours = [mark("4-0"), values(1, "5-0", human()), done("9-0")]

    followed = run([ok(IDLE), ok(IDLE)], theirs + ours)

    assert {event.turn_id for event in followed.events} == {RUN}
    assert end_of(followed).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("thread", "outcome", "reason"),
    [
        (IDLE, Outcome.COMPLETED, "success"),
        ({**IDLE, "error": {"error": "UserInterrupt", "message": "x"}}, Outcome.CANCELLED, "UserInterrupt"),
        ({**IDLE, "error": {"error": "GraphRecursionError"}}, Outcome.LIMIT_REACHED, "GraphRecursionError"),
        ({**IDLE, "status": "error", "error": {"error": "ValueError", "message": "x"}}, Outcome.FAILED, "ValueError"),
        (WAITING, Outcome.REQUIRES_ACTION, "interrupted"),
    ],
)
def test_the_outcome_is_read_from_the_thread(thread: dict[str, Any], outcome: Outcome, reason: str) -> None:
    end = end_of(run([ok(thread)], TURN))

    assert (end.outcome, end.native_reason) == (outcome, reason)


def test_pending_actions_are_delivered_before_the_end() -> None:
    *_, required, _ = run([ok(WAITING)], TURN).events

    assert isinstance(required, ActionRequired)
    assert [action.id for action in required.actions] == ["i1"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("success", Outcome.COMPLETED), ("error", Outcome.FAILED), ("interrupted", Outcome.CANCELLED)],
)
def test_if_another_run_follows_the_outcome_is_read_from_the_run(status: str, outcome: Outcome) -> None:
    busy = {**IDLE, "status": "busy"}

    assert end_of(run([ok(busy), ok({"run_id": RUN, "status": status})], TURN)).outcome is outcome


def log(*frames: bytes) -> Response:
    """Return the stream of a single run, as the server replays it when the run has ended."""
    return Response(200, {"content-type": "text/event-stream"}, b"".join(frames))


def stored(*messages: dict[str, Any]) -> Response:
    return ok({"values": {"messages": list(messages)}})


def test_a_broken_stream_resumes_one_millisecond_earlier_and_repeats_nothing() -> None:
    first = [mark("11-0"), values(1, "12-0", human()), values(2, "13-0", human(), tool("c1"))]
    second = [values(2, "13-0", human(), tool("c1")), values(3, "13-0", human(), tool("c1"), tool("c2")), done("19-0")]

    followed = run([log(*second[:-1]), stored(), ok(IDLE)], [*first, CUT], second)

    assert types(followed)[2:] == [
        *("message.completed", "tool_result.completed", "tool_result.completed"),
        *("session.status", "turn.ended"),
    ]
    assert [call.headers["last-event-id"] for call in followed.calls[3:5]] == ["12-0", "12-0"]
    assert followed.calls[4].path == f"{PATH}/runs/{RUN}/stream"


def test_a_stream_that_broke_before_its_first_event_starts_with_the_log() -> None:
    followed = run([log(*TURN[:-1]), stored(), ok(IDLE)], [CUT], TURN)

    assert followed.calls[3].headers["last-event-id"] == "-"
    assert types(followed) == ["turn.started", "session.status", "message.completed", "session.status", "turn.ended"]


MESSAGE = [
    piece(2, "3-0", event="message-start", role="ai", id="m1"),
    piece(3, "4-0", event="content-block-delta", index=0, delta={"type": "text-delta", "text": "Hel"}),
    piece(4, "5-0", event="content-block-delta", index=0, delta={"type": "text-delta", "text": "lo"}),
    piece(5, "6-0", event="content-block-finish", index=0, content={"type": "text", "text": "Hello"}),
    piece(6, "7-0", event="message-finish"),
]
WHOLE = [mark("1-0"), values(1, "2-0", human()), *MESSAGE, done("9-0")]


@pytest.mark.parametrize("missing", range(len(WHOLE) - 1))
def test_frames_missing_on_one_connection_are_read_on_the_next(missing: int) -> None:
    """Reopened streams lack frames between replay and live frames.

    The first stream lacks frames at its start.
    """
    whole = run([ok(IDLE)], WHOLE)
    lacking, rest = [*WHOLE[:missing], *WHOLE[missing + 1 :]], WHOLE[max(missing - 1, 0) :]
    first = [[[CUT]]] if missing else [[], [[CUT]]]

    for connections in first:
        followed = run([log(*rest[:-1]), stored(), ok(IDLE)], *connections, lacking, rest)

        assert types(followed) == types(whole)
        assert followed.finished


@pytest.mark.parametrize("twice", [False, True])
def test_frames_that_a_proxy_swaps_are_delivered_in_the_order_of_arrival_and_once(*, twice: bool) -> None:
    *before, first, second, finish, end, last = WHOLE
    frames = [*before, second, first, finish, end, last]

    followed = run([ok(IDLE)], [frame for frame in frames for _ in range(1 + twice)])

    assert types(followed) == types(run([ok(IDLE)], WHOLE))
    assert [event.text for event in followed.events if isinstance(event, MessageDelta)] == ["lo", "Hel"]
    assert len(followed.calls) == 4, "no second connection"


def test_a_stream_that_is_left_behind_swapped_frames_continues_behind_both() -> None:
    """They are states after steps, of one millisecond.

    The next state has both results, which were delivered.
    """
    states = [values(number, "3-0", human(), *map(tool, "abc"[: number - 1])) for number in (1, 2, 3, 4)]
    first, second, third, last = states
    left = run([], [mark("1-0"), first, third, second, last])

    resumed = follow(lambda: PROVIDER.stream_events(REF, left.cursors[4]), [ok(IDLE)], [[*states, CUT]])

    assert types(left)[2:] == ["message.completed", *["tool_result.completed"] * 3]
    assert types(resumed) == ["tool_result.completed"]


def test_a_run_whose_second_frame_comes_first_is_read_from_its_start() -> None:
    started, state, *rest = WHOLE
    followed = run([log(*WHOLE[:-1]), stored(), ok(IDLE)], [started, rest[0], state], WHOLE)

    assert types(followed) == types(run([ok(IDLE)], WHOLE))


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_number_that_no_connection_has_is_not_a_gap(is_cut: bool) -> None:  # noqa: FBT001
    """The server counts messages that no model wrote, but does not send them.

    The state contains them.
    """
    message = {"type": "ai", "id": "m1", "content": "Hello"}
    frames = [mark("1-0"), values(1, "2-0", human()), values(3, "3-0", human(), message), done("9-0")]
    connections = [[*frames[:2], CUT], frames[1:], frames[1:]] if is_cut else [frames]

    followed = run([*([log(*frames[:-1]), stored()] if is_cut else []), ok(IDLE)], *connections)

    assert types(followed)[2:] == ["message.completed", "message.completed", "session.status", "turn.ended"]
    assert end_of(followed).outcome is Outcome.COMPLETED


def test_a_log_that_starts_after_the_position_is_a_gap() -> None:
    first = [mark("1-0"), values(1, "2-0", human())]
    message = {"type": "ai", "id": "a1", "content": "done"}

    followed = run([log(), stored(human(), message), ok(IDLE)], [*first, CUT], [done("9-0")])

    assert types(followed)[-4:] == ["stream.gap", "message.completed", "session.status", "turn.ended"]


def test_a_run_without_a_log_is_completed_from_the_state() -> None:
    plan = ThreadStream(ID, "messages", Position(), is_live=True)
    plan.read(Frame("metadata", json.dumps({"run_id": RUN}).encode(), "1-0"))
    assert plan.opened(Head(200, {}), again=False) == ()
    (later,) = plan.opened(Head(200, {}), again=True)
    assert isinstance(later, Reconcile)
    assert later.after_s > 0

    calls, items = step(plan.reconcile(), ok({"run_id": RUN, "status": "running"}))
    assert ([call.path for call in calls], items) == ([f"{PATH}/runs/{RUN}"], ())

    over = ok({"run_id": RUN, "status": "success"})
    state = ok({"values": {"messages": [human(), {"type": "ai", "id": "a1", "content": "done"}, tool("c1")]}})
    _, items = step(plan.reconcile(), over, log(), state, ok(IDLE))
    assert [item.type for item in items if not isinstance(item, Step)] == [
        "stream.gap",
        "message.completed",
        "message.completed",
        "tool_result.completed",
        "session.status",
        "turn.ended",
    ]
    assert plan.read(Frame("metadata", json.dumps({"run_id": RUN, "status": "run_done"}).encode(), "9-0")) == ()
    assert step(plan.reconcile(), ok([{"run_id": RUN, "status": "success"}]))[1] == ()


def test_a_run_that_the_stream_never_reported_is_found_after_a_silence() -> None:
    plan = ThreadStream(ID, "messages", Position(after_run=OTHER), is_live=True)
    runs = ok([{"run_id": RUN, "status": "success"}])

    assert plan.quiet(15.0) == (Reconcile(),)
    assert step(plan.reconcile(), ok([{"run_id": OTHER, "status": "success"}]))[1] == ()
    _, items = step(plan.reconcile(), runs, log(*TURN[:-1]), stored(human()), ok(IDLE))
    assert [item.type for item in items if not isinstance(item, Step)] == [
        *("turn.started", "session.status", "message.completed", "session.status", "turn.ended"),
    ]


def test_an_unreported_run_without_a_log_is_read_from_the_state() -> None:
    plan = ThreadStream(ID, "messages", Position(after_run=OTHER), is_live=True)
    runs = ok([{"run_id": RUN, "status": "success"}])
    before, message = ({"type": "ai", "id": key, "content": key} for key in ("a0", "a1"))

    _, items = step(plan.reconcile(), runs, log(), stored(before, human(), message), ok(IDLE))

    assert [item.type for item in items if not isinstance(item, Step)] == [
        *("turn.started", "stream.gap", "message.completed", "message.completed", "session.status", "turn.ended"),
    ]


def test_a_run_whose_end_comes_after_the_next_start_ends_first() -> None:
    both = [mark("11-0"), mark("12-0", OTHER)]
    over = [ok({"run_id": RUN, "status": "success"}), log(both[0]), stored(), ok({**IDLE, "status": "busy"})]

    followed = follow(
        lambda: PROVIDER.stream_events(REF, None),
        [ok([{"run_id": RUN, "status": "running"}]), *over, log(both[1]), stored(), ok(IDLE)],
        [both, both, [*both, done("13-0", OTHER)]],
    )

    assert [(event.type, event.turn_id) for event in followed.events if event.type.startswith("turn")] == [
        ("turn.ended", RUN),
        ("turn.started", OTHER),
        ("turn.ended", OTHER),
    ]


def test_the_run_of_another_client_is_skipped() -> None:
    theirs = [mark("1-0", OTHER), values(1, "2-0", human("theirs")), sse("error", {}, "3-0"), done("4-0", OTHER)]

    followed = run([ok(IDLE)], [*theirs, mark("5-0"), values(1, "6-0", human()), done("9-0")])

    assert {event.turn_id for event in followed.events} == {RUN}
    assert len(followed.events) == 5


@pytest.mark.parametrize("odd", [{"run_id": 5}, 7])
def test_an_unreadable_metadata_frame_is_raw(odd: Any) -> None:
    followed = run([ok(IDLE)], [TURN[0], sse("metadata", odd, "1-0"), *TURN[1:]])

    assert types(followed)[2:4] == ["raw", "message.completed"]


def test_a_deleted_session_is_noticed_after_a_silence() -> None:
    plan = ThreadStream(ID, "messages", Position(), is_live=True)

    assert plan.quiet(15.0) == (Reconcile(),)
    with pytest.raises(NotFound):
        step(plan.reconcile(), NotFound("gone"))


def test_a_stream_left_during_a_message_resumes_with_the_whole_message() -> None:
    frames = WHOLE[:-1]
    left = run([], frames, leave_after=5)
    assert types(left)[-1] == "message.delta"
    cursor = left.cursors[-1]
    assert cursor is not None

    resumed = follow(lambda: PROVIDER.stream_events(REF, cursor), [ok(IDLE)], [[*frames[1:4], CUT], frames[1:]])

    assert resumed.calls[1].headers["last-event-id"] == "1-0"

    assert types(resumed) == ["message.started", "message.delta", "message.delta", "message.completed"]
    message = resumed.events[-1]
    assert isinstance(message, MessageCompleted)
    assert message.message.text == "Hello"


def test_a_stream_left_after_a_message_does_not_repeat_it_from_the_state() -> None:
    left = run([], WHOLE[:-1], leave_after=7)
    cursor = left.cursors[-1]
    assert types(left)[-1] == "message.completed"
    assert cursor is not None
    state = values(7, "8-0", human(), {"type": "ai", "id": "m1", "content": "Hello"})

    resumed = follow(lambda: PROVIDER.stream_events(REF, cursor), [ok(IDLE)], [[MESSAGE[-1], state]])

    assert types(resumed) == []


def test_a_stream_that_is_left_behind_a_failure_does_not_report_it_again() -> None:
    failure = sse("error", {"error": "ValueError", "message": "broken"}, "4-0")
    another = sse("error", {"error": "ValueError", "message": "broken again"}, "5-0")
    started = [mark("1-0"), values(1, "2-0", human()), piece(2, "3-0", event="message-start", role="ai", id="m1")]
    left = run([], [*started, failure], leave_after=5)
    assert types(left)[-1] == "error"

    connection = [failure, another, done("9-0")]
    resumed = follow(
        lambda: PROVIDER.stream_events(REF, left.cursors[-1]),
        [
            ok(IDLE),
            log(*connection[:-1]),
            stored(human()),
            ok({**IDLE, "status": "busy"}),
            ok({"run_id": RUN, "status": "error"}),
        ],
        [connection],
        leave_after=3,
    )

    assert types(resumed) == ["error", "session.status", "turn.ended"]
    error, _, end = resumed.events
    assert isinstance(error, ErrorReported)
    assert isinstance(end, TurnEnded)
    assert (error.message, end.outcome) == ("broken again", Outcome.FAILED)


def test_a_turn_is_rejoined_by_the_marker_in_its_cursor() -> None:
    left = run([], TURN[:2], leave_after=3)
    cursor = left.cursors[-1]
    assert cursor is not None
    marker = decode_cursor(Position, cursor, "LangGraph").turn
    runs = ok([{"run_id": OTHER, "metadata": {}}, {"run_id": RUN, "metadata": {"polysession_turn": marker}}])

    rejoined = follow(
        lambda: PROVIDER.rejoin_turn(REF, cursor), [ok(IDLE), runs, log(*TURN[:-1]), stored(), ok(IDLE)], [TURN]
    )

    assert types(rejoined) == ["session.status", "turn.ended"]


def test_a_turn_whose_input_was_not_received_cannot_be_rejoined() -> None:
    cursor = encode_cursor(Position(turn="made-up"))
    rejoined = follow(lambda: PROVIDER.rejoin_turn(REF, cursor), [ok(IDLE), *[ok([])] * 20], [[]])

    assert isinstance(rejoined.error, NotFound)
    with pytest.raises(UsageError):
        step(PROVIDER.rejoin_turn(REF, encode_cursor(Position())))


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "e30x"])
def test_an_invalid_cursor_is_a_usage_error(cursor: str) -> None:
    with pytest.raises(UsageError):
        step(PROVIDER.stream_events(REF, cursor))


def test_a_new_stream_skips_runs_that_had_ended() -> None:
    plan = ThreadStream(ID, "messages", Position(after_run=OTHER), is_live=False)

    assert plan.read(Frame("metadata", json.dumps({"run_id": OTHER}).encode(), "1-0")) == ()
    (started, _) = plan.read(Frame("metadata", json.dumps({"run_id": RUN}).encode(), "2-0"))
    assert started.turn_id == RUN  # type: ignore[union-attr]


def test_a_message_to_a_waiting_thread_is_rejected_before_it_is_sent() -> None:
    with pytest.raises(Conflict):
        step(Operations(PROVIDER).start_turn(ID, "hello"), ok(WAITING))


def test_the_run_of_an_answer_is_found_by_its_marker() -> None:
    waiting = {**IDLE, "interrupts": {"task": [{"id": "i1", "value": {"action": "x", "args": {}}}]}}
    _, plan = step(PROVIDER.start_turn(REF, (Deny("i1"),)), ok(waiting))
    send = plan.send()
    call = next(send)
    (body,) = sent_bodies([call])
    marker = body["params"]["metadata"]["polysession_turn"]
    assert body["method"] == "input.respond"
    assert body["params"]["responses"] == [{"interrupt_id": "i1", "response": "denied"}]
    listing = send.send(ok({"type": "success", "id": 1, "result": {}}))
    assert listing.path == f"{PATH}/runs?limit=100"
    with pytest.raises(StopIteration):
        send.send(ok([{"run_id": OTHER}, {"run_id": RUN, "metadata": {"polysession_turn": marker}}]))


def test_a_run_needs_an_agent() -> None:
    provider = LanggraphProvider(LanggraphSettings(base_url="http://127.0.0.1:1"))

    with pytest.raises(UsageError, match="agent"):
        step(provider.start_turn(REF, HELLO), ok(IDLE))
    for each in (provider, PROVIDER):  # the session's agent has priority over the setting
        _, plan = step(each.start_turn(REF, HELLO), ok({**IDLE, "metadata": {"assistant_id": "a1"}}))
        (body,) = sent_bodies([next(plan.send())])
        assert body["params"]["assistant_id"] == "a1"


def test_cancel_ends_a_waiting_run() -> None:
    calls, cancelled = step(PROVIDER.cancel_session(REF), ok(WAITING), ok({}))

    assert sent_bodies(calls) == [None, {"values": None, "as_node": "__end__"}]
    assert cancelled.state == "requested"


def test_runs_are_cancelled_one_by_one() -> None:
    calls, cancelled = step(
        PROVIDER.cancel_session(REF),
        ok({**IDLE, "status": "busy"}),
        ok([{"run_id": RUN}]),
        ok({}),
        ok([{"run_id": OTHER}]),
        NotFound("it is over"),
    )

    assert [call.path for call in calls][2::2] == [f"{PATH}/runs/{RUN}/cancel", f"{PATH}/runs/{OTHER}/cancel"]
    assert cancelled.state == "requested"
    _, nothing = step(PROVIDER.cancel_session(REF), ok(IDLE), ok([]), ok([]))
    assert nothing.state == "nothing_running"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"type": "error", "error": "unknown_error", "message": "404: Thread not found."}, 404, "Thread not found."),
        ({"type": "error", "error": "unknown_error", "message": "409: busy"}, 409, "busy"),
        ({"type": "error", "error": "no_such_interrupt", "message": "Unknown"}, 409, "Unknown"),
        ({"type": "error", "error": "new", "message": "odd"}, None, "odd"),
    ],
)
def test_errors_of_rejected_commands_are_read(body: dict[str, Any], status: int | None, message: str) -> None:
    content = json.dumps(body, separators=(",", ":")).encode()
    response = Response(200, {}, content)

    assert PROVIDER.is_refusal(response)
    detail = PROVIDER.read_error(response)
    assert (detail.status, detail.message, detail.code) == (status, message, body["error"])


def test_an_error_quotes_no_input_of_other_runs() -> None:
    refused = Response(409, {}, b"{\"detail\": \"Thread t has in-flight runs: [{'input': 'secret'}]\"}")

    assert "secret" not in PROVIDER.read_error(refused).message
    assert PROVIDER.is_refusal(Response(201, {}, b'{"detail": "problems updating the state"}'))
