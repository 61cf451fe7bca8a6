"""The loop of a stream: turns, frames, cursors, gaps, reconciling and silences."""

from __future__ import annotations

import pytest

from polysession._core.cursors import cursor_after, plan_cursor
from polysession._core.plans import BodyEnd, Finished, Items, Reconcile
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession._core.turn import TurnTracker
from polysession.errors import (
    MalformedResponse,
    NetworkTimeout,
    NotFound,
    PolysessionError,
    ServerError,
)
from polysession.event import MessageCompleted, MessageDelta, RawEvent
from polysession.message import Message, Role, TextBlock
from support.flows import ok
from support.loop_plans import LOST, PATIENT, Plan, Reconciling, Run, event_of, frame, text_of, texts
from support.stepped_loop import SteppedLoop

SILENCE = NetworkTimeout("silence")


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

    b = cursor_after("1", events[1])
    c = cursor_after(b, events[2])
    assert list(zip(texts(events), loop.cursors, strict=True)) == [("a", "1"), ("b", b), ("c", c), ("d", "2")]
    assert [plan_cursor(cursor) for cursor in loop.cursors] == ["1", "1", "1", "2"]


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
        ("stream.gap", cursor_after("3", events[3])),
        ("message.completed", "4"),
        ("message.delta", "5"),
    ]
    assert loop.loop.events_seen == len(events)


@pytest.mark.parametrize(("second", "gaps"), [("lo", 0), ("l", 1)])
def test_pieces_before_and_after_a_break_are_compared_with_the_whole(second: str, gaps: int) -> None:
    loop = SteppedLoop(Live())
    events = loop.feed(frame(1, "Hel"), LOST, frame(2, second) + frame(3, "Hello", event="whole"))

    assert [event.type for event in events].count("stream.gap") == gaps


def test_what_a_reconciliation_finds_comes_next_and_the_stream_is_read_on() -> None:
    loop = SteppedLoop(Reconciling([event_of("b"), event_of("c")]))

    assert texts(loop.feed(frame(1, "a", event="look") + frame(10, "d"))) == ["a", "b", "c", "d"]
    assert [plan_cursor(cursor) for cursor in loop.cursors] == ["1", "1", "9", "10"]
    assert len(loop.openings) == 1


def test_a_reconciliation_may_ask_for_another_and_finish_the_stream() -> None:
    loop = SteppedLoop(Reconciling([event_of("b"), Reconcile()], [event_of("c"), Finished(), event_of("never")]))

    assert texts(loop.feed(frame(1, event="look"))) == ["b", "c"]
    assert (loop.ended, loop.error) == (True, None)


def test_a_plan_finds_nothing_elsewhere_by_default() -> None:
    class Asking(Plan):
        def read(self, frame: Frame) -> Items:
            return (Reconcile(), *super().read(frame))

    loop = SteppedLoop(Asking())

    assert texts(loop.feed(frame(1, "a"))) == ["a"]
    assert (loop.ended, loop.error) == (False, None)


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
    loop.feed(None, None)  # the first wake was set before the last event

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


class Impassive(Plan):
    """Is asked about a silence, and does nothing about it."""

    quiet_s = 2.0


def test_a_plan_that_does_nothing_about_a_silence_is_read_on() -> None:
    loop = SteppedLoop(Impassive())

    assert loop.feed(None) == []
    assert texts(loop.feed(frame(1, "a"))) == ["a"]
    assert len(loop.openings) == 1


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
