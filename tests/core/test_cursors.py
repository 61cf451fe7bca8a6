"""Cursors between the events that are read at once: a reader may leave after any of them."""

from __future__ import annotations

import pytest

from polysession._core.cursors import DeliveredEvents, cursor_after, plan_cursor
from polysession.event import MessageDelta, StreamGap, TurnStarted
from support.loop_plans import PATIENT, Plan, Reconciling, event_of, frame, texts
from support.stepped_loop import SteppedLoop

BATCH = frame(2, "a", "b", "c")


@pytest.mark.parametrize(("left_after", "rest"), [(0, ["b", "c", "d"]), (1, ["c", "d"]), (2, ["d"])])
def test_a_stream_continues_between_the_events_of_a_frame(left_after: int, rest: list[str]) -> None:
    first = SteppedLoop(Plan("1"), PATIENT)
    first.feed(BATCH)
    cursor = first.cursors[left_after]
    data = frame(3, "d") if plan_cursor(cursor) == "2" else BATCH + frame(3, "d")
    second = SteppedLoop(Plan(plan_cursor(cursor) or ""), PATIENT, cursor=cursor)

    assert second.loop.cursor == cursor
    assert texts(second.feed(data)) == rest
    assert second.cursors == [*first.cursors[left_after + 1 :], "3"]


def test_the_cursor_stays_where_it_is_until_something_is_delivered() -> None:
    first = SteppedLoop(Plan("1"), PATIENT)
    first.feed(BATCH)
    second = SteppedLoop(Plan("1"), PATIENT, cursor=first.cursors[0])

    second.feed(frame(1))

    assert second.loop.cursor == first.cursors[0]


def test_after_the_first_event_that_differs_nothing_is_left_out() -> None:
    first = SteppedLoop(Plan("1"), PATIENT)
    first.feed(BATCH)
    second = SteppedLoop(Plan("1"), PATIENT, cursor=first.cursors[1])

    assert texts(second.feed(frame(2, "a", "<", "a", "b"))) == ["<", "a", "b"]


def test_what_a_reconciliation_found_is_continued_too() -> None:
    found = [event_of("b"), event_of("c")]
    first = SteppedLoop(Reconciling(found))
    first.feed(frame(1, "a", event="look"))
    second = SteppedLoop(Reconciling(found), cursor=first.cursors[1])

    assert texts(second.feed(frame(1, event="look"))) == ["c"]


def test_fragments_of_a_whole_that_was_delivered_do_not_come_again() -> None:
    delivered = DeliveredEvents(cursor_after("1", TurnStarted(session_id="s1", id="e1")))

    assert delivered.include(event_of("a piece"))
    assert delivered.include(TurnStarted(session_id="s1", id="e1"))
    assert not delivered.include(event_of("a piece"))


def test_a_gap_is_not_noticed_twice() -> None:
    gap, started = StreamGap(session_id="s1", lost=("raw",)), TurnStarted(session_id="s1", id="e1")
    after_gap = cursor_after("1", gap)
    delivered = DeliveredEvents(after_gap)

    assert delivered.include(gap)
    assert not delivered.include(started)
    behind = DeliveredEvents(cursor_after("1", started))
    assert behind.include(gap)
    assert behind.include(started)


@pytest.mark.parametrize("cursor", ["plan", "plan~", "plan~12", "plan~ABCDEF01", "~", ""])
def test_other_text_is_left_to_the_plan(cursor: str) -> None:
    assert plan_cursor(cursor) == cursor
    assert not DeliveredEvents(cursor).marks


def test_marks_differ_by_type_and_by_turn() -> None:
    events = [
        MessageDelta(session_id="s1", turn_id=turn, text="x")
        if kind == "delta"
        else TurnStarted(session_id="s1", turn_id=turn)
        for turn in ("t1", "t2", None)
        for kind in ("delta", "started")
    ]

    assert len({cursor_after("1", event) for event in events}) == len(events)
    assert plan_cursor(cursor_after(cursor_after("1", events[0]), events[1])) == "1"
