"""The loop of a stream, stepped by hand on a clock of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from polysession._core.effects import Drain, Open, Wait
from polysession._core.flow import Call, Flow
from polysession._core.plans import BodyEnd, Finished, Head, Items, Reconcile, Reopen, StreamPlan, TurnPlan
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession._core.turn import TurnTracker
from polysession.errors import (
    AuthenticationFailed,
    Conflict,
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequest,
    MalformedResponse,
    NetworkTimeout,
    NotFound,
    PermissionDenied,
    PolysessionError,
    RateLimited,
    ServerError,
    StatusError,
    StreamInterrupted,
)
from polysession.event import Event, MessageCompleted, MessageDelta, Outcome, RawEvent, TurnEnded, TurnStarted
from polysession.message import Message, Role, TextBlock
from support.flows import ok
from support.stepped_loop import SteppedLoop

PATIENT = RetryPolicy(attempts=5, first_wait_s=0.5, max_wait_s=3.0, deadline_s=60.0)
LOST = ConnectionLost("reset")
SILENCE = NetworkTimeout("silence")
OK = Head(200, {})


class Plan(StreamPlan):
    """Each frame is a list of texts; its number is the cursor."""

    def __init__(self, cursor: str = "0") -> None:
        self.cursor = cursor
        self.frames_read = 0
        self.ends: list[BodyEnd] = []

    def open(self) -> Call:
        return Call("GET", f"/stream?after={self.cursor}")

    def read(self, frame: Frame) -> Items:
        if frame.data == b"bad":
            raise MalformedResponse("a bad frame")
        self.frames_read += 1
        self.cursor = frame.id or self.cursor
        events = [event_of(text) for text in json.loads(frame.data)]
        return [*events, *STEPS[frame.event]] if frame.event else events

    def ended(self, end: BodyEnd) -> Items:
        self.ends.append(end)
        return ()


STEPS: dict[str, Items] = {
    "gone": [Finished()],
    "closing": [Reopen(0.1)],
    "again": [Reopen(at_once=True)],
    "look": [Reconcile()],
    "look later": [Reconcile(5.0)],
}


class Run(Plan, TurnPlan):
    """A turn that the text `mine` belongs to."""

    def send(self) -> Flow[None]:
        yield Call("POST", "/messages")

    def is_ours(self, event: Event) -> bool:
        return event.turn_id == "mine" or (isinstance(event, MessageDelta) and event.text == "mine")


def event_of(text: str) -> Event:
    """An event: `<` starts a turn, `>` ends one, the rest is text; `<mine` names the turn."""
    if text.startswith("<"):
        return TurnStarted(session_id="s1", turn_id=text[1:] or None)
    if text.startswith(">"):
        return TurnEnded(session_id="s1", turn_id=text[1:] or None, outcome=Outcome.COMPLETED)
    return MessageDelta(session_id="s1", text=text)


def text_of(event: Event) -> str:
    if isinstance(event, TurnStarted | TurnEnded):
        return ("<" if isinstance(event, TurnStarted) else ">") + (event.turn_id or "")
    return event.text if isinstance(event, MessageDelta) else event.type


def texts(events: Iterable[Event]) -> list[str]:
    return [text_of(event) for event in events]


def frame(number: int, *texts: str, event: str = "") -> bytes:
    return f"event: {event}\nid: {number}\ndata: {json.dumps(texts)}\n\n".encode()


# --- Which events are ours


def track(*words: str) -> list[str]:
    tracker = TurnTracker(Run().is_ours)
    return [text_of(event) for word in words for event, _ in tracker.take(event_of(word), None)]


@pytest.mark.parametrize(
    ("received", "delivered"),
    [
        pytest.param("< mine a >", "< mine a >", id="our turn"),
        pytest.param("<mine a >mine", "<mine a >mine", id="our turn, known from its start"),
        pytest.param("< a mine b >", "< a mine b >", id="events that waited come first"),
        pytest.param("> < mine >", "< mine >", id="a stale end"),
        pytest.param("< a > b < mine >", "< mine >", id="another turn before ours"),
        pytest.param("a > mine >", "mine >", id="the rest of another turn, and a backend that sends no starts"),
        pytest.param("< a < mine >", "< mine >", id="another turn without an end"),
        pytest.param("a mine b >", "a mine b >", id="steering: our input joins a turn that runs"),
        pytest.param("mine < a >", "mine < a >", id="the start after the proof"),
        pytest.param(">mine", ">mine", id="only the end of our turn"),
        pytest.param("< mine > < b >", "< mine >", id="a turn after ours"),
        pytest.param("< a b", "", id="no proof yet"),
    ],
)
def test_only_our_turn_passes(received: str, delivered: str) -> None:
    assert track(*received.split()) == delivered.split()


def test_an_event_that_is_not_modelled_passes() -> None:
    tracker = TurnTracker(Run().is_ours)
    raw = RawEvent(session_id="s1", native_type="odd")

    assert tracker.take(event_of("mine"), "1") == [(event_of("mine"), "1")]
    assert tracker.take(raw, "2") == [(raw, "2")]


def test_any_cut_of_the_bytes_gives_the_same_events() -> None:
    data = frame(1, ">") + frame(2, "<") + frame(3, "é", "mine") + frame(4, ">")

    for at in range(1, len(data)):
        loop = SteppedLoop(Run())
        assert texts(loop.feed(data[:at], data[at:])) == ["<", "é", "mine", ">"]
        assert loop.ended


# --- Frames, events and cursors


def test_frames_become_events() -> None:
    loop = SteppedLoop(Plan(), PATIENT)

    assert texts(loop.feed(frame(1, "a", "b") + frame(2) + frame(3, "c"))) == ["a", "b", "c"]
    assert (loop.loop.cursor, loop.loop.events_seen, loop.ended) == ("3", 3, False)


def test_the_cursor_never_runs_ahead_of_what_was_delivered() -> None:
    loop = SteppedLoop(Plan("0"), PATIENT)
    events = loop.feed(frame(1, "a") + frame(2, "b", "c", "d"))

    assert list(zip(texts(events), loop.cursors, strict=True)) == [("a", "1"), ("b", "1"), ("c", "1"), ("d", "2")]


def test_the_cursor_follows_frames_without_an_event() -> None:
    loop = SteppedLoop(Plan("0"), PATIENT)
    loop.feed(frame(7))

    assert loop.loop.cursor == "7"


def test_the_cursor_stays_before_what_waits_for_proof() -> None:
    loop = SteppedLoop(Run("0"), PATIENT)
    cursors = []
    for number, text in enumerate(["<", "a", ">", "<", "mine"], 1):
        loop.feed(frame(number, text))
        cursors.append(loop.loop.cursor)

    assert cursors == ["0", "0", "3", "3", "5"]
    assert loop.cursors == ["4", "5"]


def test_events_before_a_bad_frame_are_delivered() -> None:
    loop = SteppedLoop(Plan(), PATIENT)

    assert texts(loop.feed(frame(1, "a") + b"data: bad\n\n")) == ["a"]
    assert isinstance(loop.error, MalformedResponse)
    assert (loop.error.cursor, loop.error.events_seen) == ("1", 1)


def test_a_turn_ends_with_its_end_and_nothing_is_read_after_it() -> None:
    plan = Run()
    loop = SteppedLoop(plan, PATIENT)

    assert texts(loop.feed(frame(1, "mine", ">") + frame(2, "b"))) == ["mine", ">"]
    assert (loop.ended, loop.error, plan.frames_read) == (True, None, 1)


def test_a_stream_ends_when_the_plan_is_finished() -> None:
    loop = SteppedLoop(Plan(), PATIENT)

    assert texts(loop.feed(frame(1, "a", event="gone") + frame(2, "b"))) == ["a"]
    assert (loop.ended, loop.error) == (True, None)


def test_half_a_frame_is_forgotten_at_a_reopening() -> None:
    plan = Plan()
    loop = SteppedLoop(plan, PATIENT)

    assert texts(loop.feed(frame(1, "a")[:-1], b"", b"\n\n", frame(2, "b"))) == ["b"]
    assert plan.ends == [BodyEnd(None, inside_frame=True)]


# --- Gaps


class Live(Plan):
    """Sends pieces only while they come; each frame is one event."""

    not_replayed = ("message.delta",)

    def read(self, frame: Frame) -> Items:
        (event,) = super().read(Frame("", frame.data, frame.id))
        if frame.event == "whole" and isinstance(event, MessageDelta):
            blocks = (TextBlock(text=event.text),)
            message = Message(provider="acme", id="m1", session_id="s1", role=Role.ASSISTANT, content=blocks)
            return (MessageCompleted(session_id="s1", message=message),)
        return (event,)


def test_a_gap_comes_before_the_event_whose_pieces_were_missed() -> None:
    loop = SteppedLoop(Live("0"), PATIENT)
    events = loop.feed(frame(1, "a") + frame(2, "a", event="whole") + frame(3, "b"), b"")
    events += loop.feed(frame(4, "bc", event="whole") + frame(5, "d"))

    assert list(zip([event.type for event in events], loop.cursors, strict=True)) == [
        ("message.delta", "1"),
        ("message.completed", "2"),
        ("message.delta", "3"),
        ("stream.gap", "3"),
        ("message.completed", "4"),
        ("message.delta", "5"),
    ]
    assert loop.loop.events_seen == len(events)


@pytest.mark.parametrize(("second", "gaps"), [("lo", 0), ("l", 1)])
def test_pieces_before_and_after_a_break_are_compared_with_the_whole(second: str, gaps: int) -> None:
    loop = SteppedLoop(Live())
    events = loop.feed(frame(1, "Hel"), LOST, frame(2, second) + frame(3, "Hello", event="whole"))

    assert [event.type for event in events].count("stream.gap") == gaps


# --- Reconciling


class Reconciling(Plan):
    """Each look elsewhere finds the next of some items."""

    def __init__(self, *found: Items) -> None:
        super().__init__()
        self.found = list(found)

    def reconcile(self) -> Flow[Items]:
        yield Call("GET", "/elsewhere")
        self.cursor = "9"
        return self.found.pop(0)


def test_what_a_reconciliation_finds_comes_next_and_the_stream_is_read_on() -> None:
    loop = SteppedLoop(Reconciling([event_of("b"), event_of("c")]))

    assert texts(loop.feed(frame(1, "a", event="look") + frame(10, "d"))) == ["a", "b", "c", "d"]
    assert loop.cursors == ["1", "1", "9", "10"]
    assert len(loop.openings) == 1


def test_a_reconciliation_may_ask_for_another_and_finish_the_stream() -> None:
    loop = SteppedLoop(Reconciling([event_of("b"), Reconcile()], [event_of("c"), Finished(), event_of("never")]))

    assert texts(loop.feed(frame(1, event="look"))) == ["b", "c"]
    assert (loop.ended, loop.error) == (True, None)


def test_a_reconciliation_that_waits_leaves_the_stream_open() -> None:
    loop = SteppedLoop(Reconciling([event_of("late"), Finished()]))

    assert texts(loop.feed(frame(1, "a", event="look later"), b": ping\n\n", frame(2, "b"))) == ["a", "b"]
    before_s = loop.now_s
    assert texts(loop.feed(None)) == ["late"]
    assert loop.now_s - before_s == pytest.approx(5.0, abs=0.02)
    assert loop.ended
    assert len(loop.openings) == 1


def test_a_reconciliation_that_fails_is_tried_again() -> None:
    answers: list[PolysessionError] = [ServerError("busy", status=503)]
    plan = Reconciling([event_of("b")])
    loop = SteppedLoop(plan, PATIENT, answer=lambda _: answers.pop() if answers else ok({}))

    assert texts(loop.feed(frame(1, event="look"))) == ["b"]
    assert loop.waits == [(0.0, 0.5)]


def test_a_reconciliation_that_is_refused_ends_the_stream() -> None:
    loop = SteppedLoop(Reconciling(), PATIENT, answer=lambda _: NotFound("gone", status=404))
    loop.feed(frame(1, "a", event="look"))

    assert isinstance(loop.error, NotFound)
    assert (loop.error.cursor, loop.error.events_seen) == ("1", 1)


# --- Silences


class Quiet(Plan):
    """Notes when it is asked about a silence."""

    quiet_s = 2.0

    def __init__(self, *found: Items) -> None:
        super().__init__()
        self.found = list(found)
        self.asked: list[float] = []

    def quiet(self, for_s: float) -> Items:
        self.asked.append(round(for_s, 1))
        return self.found.pop(0) if self.found else ()


def test_a_silence_is_asked_about_while_heartbeats_come() -> None:
    plan = Quiet()
    loop = SteppedLoop(plan)
    for _ in range(7):
        loop.wait_for_bytes(1.0)
        loop.feed(b": ping\n\n")

    assert plan.asked == [2.0, 4.0]
    assert len(loop.openings) == 1


def test_an_event_ends_a_silence() -> None:
    plan = Quiet()
    loop = SteppedLoop(plan)
    for number in range(1, 6):
        loop.wait_for_bytes(1.5)
        loop.feed(frame(number, "a"))
    loop.feed(None)

    assert plan.asked == [2.0]


def test_the_waits_between_two_questions_about_a_silence_grow_to_half_a_minute() -> None:
    plan = Quiet()
    loop = SteppedLoop(plan)
    loop.feed(*[None] * 8)

    assert plan.asked == [2.0, 4.0, 8.0, 16.0, 32.0, 62.0, 92.0, 122.0]
    assert len(loop.openings) == 1


def test_a_silence_may_end_the_stream() -> None:
    loop = SteppedLoop(Quiet([event_of("over"), Finished()]))

    assert texts(loop.feed(None)) == ["over"]
    assert (loop.ended, loop.error) == (True, None)


def test_a_driver_that_cannot_wake_reopens_after_a_silence_and_counts_no_failure() -> None:
    plan = Quiet()
    loop = SteppedLoop(plan, RetryPolicy(attempts=1), can_wake=False)
    for _ in range(4):
        loop.wait_for_bytes(70.0)
        loop.feed(SILENCE)

    assert plan.asked == [70.0, 140.0, 210.0, 280.0]
    assert [end.failure for end in plan.ends] == [SILENCE] * 4
    assert len(loop.openings) == 5
    assert loop.waits == []


def test_an_attended_turn_is_not_reopened_to_ask_about_a_silence() -> None:
    plan = Quiet()
    loop = SteppedLoop(plan, can_wake=False, attended=True)
    loop.wait_for_bytes(3.0)
    loop.feed(None)  # it has no time to wake at: that nothing came changes nothing but the clock
    loop.feed(b": ping\n\n")

    assert plan.asked == [3.0]
    assert len(loop.openings) == 1


# --- Reopening


def test_a_reopened_stream_continues_after_the_cursor() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    loop.feed(frame(1, "a"), LOST, frame(2, "b"), b"")

    assert [call.path for call in loop.openings] == ["/stream?after=0", "/stream?after=1", "/stream?after=2"]


def test_a_plan_may_ask_for_another_connection() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    events = loop.feed(frame(1, "a", event="again") + frame(2, "dropped"), frame(2, "b"))

    assert texts(events) == ["a", "b"]
    assert [call.path for call in loop.openings] == ["/stream?after=0", "/stream?after=1"]
    assert loop.waits == [(0.0, 0.0)], "it counted as a failure"


def test_a_plan_that_only_asks_for_other_connections_is_given_up() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    while not loop.ended:
        loop.feed(frame(1, event="again"))

    assert isinstance(loop.error, StreamInterrupted)
    assert len(loop.openings) == PATIENT.attempts


class Opened(Plan):
    def opened(self, head: Head, *, again: bool) -> Items:
        return (event_of(f"{head.status} {head.headers['x-name']} {again}"),)


def test_a_plan_sees_each_head() -> None:
    loop = SteppedLoop(Opened(), open_with=[Head(200, {"x-name": "one"}), Head(206, {"x-name": "two"})])

    assert texts(loop.began_with) == ["200 one False"]
    assert texts(loop.feed(b"")) == ["206 two True"]


@pytest.mark.parametrize("failure", [None, LOST, ServerError("down", status=503)], ids=repr)
def test_waits_grow_until_the_attempts_are_used_up(failure: PolysessionError | None) -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    loop.feed(frame(7, "a"))
    if isinstance(failure, StatusError):
        loop._openings = [failure]
        loop.feed(b"")
    while not loop.ended:
        loop.feed(failure or b"")

    assert loop.waits == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0), (0.0, 3.0)]
    error = loop.error
    assert isinstance(error, StreamInterrupted)
    assert (error.cursor, error.events_seen, error.retryable) == ("7", 1, True)
    assert error.__cause__ is failure
    assert error.message.endswith(failure.message if failure else "the backend closed it")


def test_an_event_ends_an_outage_and_a_connection_alone_does_not() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    loop.feed(b"", b"", frame(2, "a"), b"")

    assert [most_s for _, most_s in loop.waits] == [0.5, 1.0, 0.5]


@pytest.mark.parametrize("heartbeat", [b": ping\n\n", frame(1)], ids=["comment", "frame"])
def test_a_heartbeat_ends_an_outage_but_the_waits_grow_on(heartbeat: bytes) -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    for _ in range(9):
        loop.feed(heartbeat, b"")

    assert [most_s for _, most_s in loop.waits] == [0.5, 1.0, 2.0, *[3.0] * 6]
    assert not loop.ended


def test_heartbeats_without_an_event_are_no_busy_loop() -> None:
    loop = SteppedLoop(Plan(), RetryPolicy(first_wait_s=0.0))
    for _ in range(9):
        loop.feed(b": ping\n\n", b"")

    assert [most_s for _, most_s in loop.waits][:4] == [0.1, 0.2, 0.4, 0.8]


def test_a_connection_that_lived_ends_an_outage() -> None:
    loop = SteppedLoop(Plan(), RetryPolicy(attempts=2, first_wait_s=0.5))
    for _ in range(5):
        loop.wait_for_bytes(6.0)
        loop.feed(b"")

    assert [most_s for _, most_s in loop.waits] == [0.5] * 5


def test_half_a_frame_is_no_heartbeat() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    while not loop.ended:
        loop.feed(frame(1, "a")[:-1])
        loop.feed(b"")

    assert len(loop.openings) == PATIENT.attempts


def test_the_policys_deadline_holds_for_an_outage() -> None:
    loop = SteppedLoop(Plan(), RetryPolicy(attempts=60, first_wait_s=0.1, max_wait_s=0.4, deadline_s=1.0))
    loop.wait_for_bytes(100.0)
    loop.feed(frame(1, "a"))
    started_s = loop.now_s
    while not loop.ended:
        loop.feed(b"")

    assert isinstance(loop.error, StreamInterrupted)
    assert 0.9 < loop.now_s - started_s < 1.2


def test_an_announced_end_after_an_event_costs_nothing() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    for number in range(1, 10):
        loop.feed(frame(number, "a", event="closing"), b"")

    assert loop.waits == [(0.1, 0.1)] * 9


def test_an_announced_end_without_an_event_counts() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    loop.feed(frame(1, "a"))
    while not loop.ended:
        loop.feed(b": ping\n\n" + frame(2, event="closing"))
        loop.feed(b"")

    assert isinstance(loop.error, StreamInterrupted)
    assert loop.waits == [(0.1, 0.1), (0.1, 0.5), (0.1, 1.0), (0.1, 2.0), (0.1, 3.0)]


def test_an_announcement_is_forgotten_when_the_stream_is_open_again() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    loop.feed(frame(1, "a", event="closing"), b"", frame(2, "b"), b"")

    assert loop.waits == [(0.1, 0.1), (0.0, 0.5)]


def test_the_servers_wish_is_a_lower_bound_within_the_policy() -> None:
    loop = SteppedLoop(Plan(), PATIENT)
    loop.feed(b"retry: 40\n\n", b"", b"", b"retry: 999999\n\n", b"")

    assert loop.waits == [(0.04, 0.5), (0.04, 1.0), (3.0, 3.0)]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked_s", "wait"), [(None, (0.0, 0.5)), (0.0, (0.0, 0.5)), (2.0, (2.0, 2.0)), (3600.0, (3.0, 3.0))]
)
def test_retry_after_is_a_lower_bound_within_the_policy(
    status: int, asked_s: float | None, wait: tuple[float, float]
) -> None:
    refusal = RateLimited("too many", status=429) if status == 429 else ServerError("busy", status=503)
    refusal.retry_after_s = asked_s
    loop = SteppedLoop(Plan(), PATIENT, open_with=[refusal, OK])

    assert loop.waits == [wait]
    assert texts(loop.feed(frame(1, "a"))) == ["a"]


def test_a_first_opening_that_fails_too_often_raises_the_failure() -> None:
    loop = SteppedLoop(Plan(), PATIENT, open_with=[LOST])

    assert loop.error is LOST
    assert (LOST.cursor, LOST.events_seen) == ("0", 0)
    assert [most_s for _, most_s in loop.waits] == [0.5, 1.0, 2.0, 3.0]


def test_a_thousand_attempts_are_no_overflow() -> None:
    policy = RetryPolicy(attempts=2000, max_wait_s=9.0, deadline_s=1e6)
    loop = SteppedLoop(Plan(), policy, open_with=[LOST])

    assert loop.waits[-1] == (0.0, 9.0)
    assert len(loop.waits) == 1999


def test_without_retries_the_first_break_is_the_end() -> None:
    loop = SteppedLoop(Plan("5"), RetryPolicy(attempts=1))
    loop.feed(LOST)

    assert isinstance(loop.error, StreamInterrupted)
    assert (loop.error.cursor, loop.error.events_seen) == ("5", 0)


# --- Refusals


REFUSALS = [
    InvalidRequest("no", status=400),
    AuthenticationFailed("no", status=401),
    PermissionDenied("no", status=403),
    NotFound("no", status=404),
    Conflict("no", status=409),
    MalformedResponse("no stream"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_refused_reopening_is_its_own_error_with_the_cursor(refusal: PolysessionError) -> None:
    loop = SteppedLoop(Plan(), PATIENT, open_with=[OK, refusal])
    loop.feed(frame(3, "a"), b"")

    assert loop.error is refusal
    assert (refusal.cursor, refusal.events_seen) == ("3", 1)
    assert len(loop.openings) == 2


class Recovering(Reconciling):
    def on_refusal(self, error: PolysessionError) -> Items:
        return (Reconcile(),) if isinstance(error, InvalidRequest) else (event_of("over"), Finished())


def test_a_plan_may_recover_from_a_refused_reopening() -> None:
    refusal = InvalidRequest("unknown cursor", status=400)
    loop = SteppedLoop(Recovering([event_of("b")]), PATIENT, open_with=[OK, refusal, OK])

    assert texts(loop.feed(frame(1, "a"), b"", frame(10, "c"))) == ["a", "b", "c"]
    assert [call.path for call in loop.openings] == ["/stream?after=0", "/stream?after=1", "/stream?after=9"]


def test_a_plan_may_finish_at_a_refused_reopening() -> None:
    loop = SteppedLoop(Recovering(), PATIENT, open_with=[OK, NotFound("gone", status=404)])

    assert texts(loop.feed(b"")) == ["over"]
    assert (loop.ended, loop.error) == (True, None)


def test_a_recovery_that_never_helps_ends_in_the_refusal() -> None:
    refusal = InvalidRequest("unknown cursor", status=400)
    loop = SteppedLoop(Recovering(*[()] * 9), PATIENT, open_with=[OK, refusal])
    loop.feed(b"")

    assert loop.error is refusal
    assert len(loop.openings) <= PATIENT.attempts


def test_a_refused_first_opening_is_not_recovered() -> None:
    refusal = InvalidRequest("no", status=400)

    assert SteppedLoop(Recovering(), PATIENT, open_with=[refusal]).error is refusal


# --- Deadlines


def test_a_deadline_ends_a_wait_for_bytes() -> None:
    loop = SteppedLoop(Plan(), PATIENT, deadline_s=2.0)
    loop.feed(frame(1, "a"))
    loop.feed(None)

    assert isinstance(loop.error, DeadlineExceeded)
    assert loop.error.message == "not ended after 2.0 seconds; the session may still be running"
    assert (loop.error.cursor, loop.error.events_seen) == ("1", 1)


def test_a_break_at_the_deadline_is_the_deadline() -> None:
    loop = SteppedLoop(Plan(), RetryPolicy(attempts=1), deadline_s=2.0)
    loop.wait_for_bytes(2.0)
    loop.feed(LOST)

    assert isinstance(loop.error, DeadlineExceeded)
    assert loop.error.__cause__ is LOST


def test_a_deadline_cuts_a_wait_short() -> None:
    loop = SteppedLoop(Plan(), PATIENT, deadline_s=0.3)
    loop.feed(b"")

    assert isinstance(loop.error, DeadlineExceeded)
    assert loop.waits[0][1] == pytest.approx(0.3, abs=0.01)


def test_a_call_that_was_too_slow_for_the_deadline_may_have_been_carried_out() -> None:
    slow = NetworkTimeout("slow")
    slow.outcome_unknown = True
    loop = SteppedLoop(Run(), PATIENT, answer=lambda _: slow, seconds_per_call=2.0, deadline_s=2.0)

    assert isinstance(loop.error, DeadlineExceeded)
    assert loop.error.outcome_unknown
    assert loop.error.__cause__ is slow


# --- The end of a body


class Drained(Run):
    drain_s = 3.0


def test_a_body_is_read_to_its_end_before_the_end_of_the_turn_is_delivered() -> None:
    loop = SteppedLoop(Drained(), deadline_s=2.0)
    events = loop.feed(frame(1, "mine", ">"))

    assert texts(events) == ["mine", ">"]
    (drain,) = (effect for effect in loop.effects if isinstance(effect, Drain))
    assert drain.limit_s == pytest.approx(2.0, abs=0.1)
    assert loop.ended


def test_a_plan_without_a_drain_closes_the_body_at_once() -> None:
    loop = SteppedLoop(Run())
    loop.feed(frame(1, "mine", ">"))

    assert not any(isinstance(effect, Drain) for effect in loop.effects)


def test_a_connection_that_is_gone_is_not_drained() -> None:
    class Over(Plan):
        drain_s = 3.0

        def ended(self, end: BodyEnd) -> Items:
            return (*super().ended(end), Finished())

    loop = SteppedLoop(Over())
    loop.feed(b"")

    assert loop.ended
    assert not any(isinstance(effect, Drain | Wait) for effect in loop.effects)
    assert len([effect for effect in loop.effects if isinstance(effect, Open)]) == 1
