"""The loop of a stream: reopening, refusals, deadlines, and the end of a body."""

from __future__ import annotations

import pytest

from polysession._core.effects import Drain, Open, Wait
from polysession._core.flow import Call
from polysession._core.plans import AnsweredTurn, BodyEnd, Finished, Head, Items, Reconcile, StreamPlan
from polysession._core.retry import RetryPolicy
from polysession.errors import (
    AuthenticationFailed,
    BrokenProvider,
    Conflict,
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
from support.loop_plans import LOST, PATIENT, Plan, Reconciling, Run, event_of, frame, texts
from support.stepped_loop import SteppedLoop

OK = Head(200, {})


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
    assert error.message.endswith(failure.message if failure else "the backend closed the connection")


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
    assert loop.error.message == "the deadline of 2.0 seconds passed; the session may still be running"
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


# --- Answered turns


class Answered(Plan, AnsweredTurn):
    """Its stream answers its input; `rejoins` are its answers to the question how to follow it after a break."""

    def __init__(self, *rejoins: Call | None) -> None:
        super().__init__()
        self.rejoins = list(rejoins)

    def start(self) -> Call:
        return Call("POST", "/turn")

    def open(self) -> Call:
        return self.start()

    def rejoin(self) -> Call | None:
        return self.rejoins.pop(0)

    def ended(self, _end: BodyEnd) -> Items:
        return ()


@pytest.mark.parametrize("rejoins", [(None,), (Call("GET", "/turn"), None)], ids=["never", "no longer"])
def test_an_answered_turn_that_cannot_be_rejoined_is_interrupted(rejoins: tuple[Call | None, ...]) -> None:
    loop = SteppedLoop(Answered(*rejoins), PATIENT)

    assert texts(loop.feed(frame(1, "a"), LOST)) == ["a"]
    assert isinstance(loop.error, StreamInterrupted)
    assert [call.method for call in loop.openings] == ["POST"]


def test_a_plan_of_neither_kind_is_named() -> None:
    error = SteppedLoop(StreamPlan()).error
    assert isinstance(error, BrokenProvider)
    assert "expected a ConnectedStream or a PolledStream" in str(error)
