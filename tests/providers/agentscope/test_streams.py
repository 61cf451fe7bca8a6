"""Streams of an AgentScope session, stepped by hand: several turns, breaks and cursors."""

from __future__ import annotations

import re
from typing import Any

import pytest

from polysession._core.flow import Response
from polysession.errors import ConnectionLost, NetworkTimeout, NotFound, UsageError
from polysession.event import Outcome
from polysession_agentscope.plans import Bookmark, decode_cursor, encode_id
from polysession_agentscope.replies import Phase
from support.agentscope_events import (
    call,
    confirmed,
    end,
    event,
    plain_turn,
    reply,
    requires_confirm,
    result,
    start,
    text_block,
    user_message,
)
from support.agentscope_streams import (
    CUT,
    MISSED,
    OPERATIONS,
    PLAIN,
    SESSION,
    Listener,
    failure,
    listen,
    messages,
    modelled,
    page,
    status_is,
    steps,
)
from support.flows import step

SILENCE = NetworkTimeout("no data arrived")


def follow(cursor: str | None = None, *answers: Response) -> Listener:
    plan: Any
    _, plan = step(OPERATIONS.stream_events(SESSION, cursor), *(answers or (page(reply(reply_id="r0")),)))
    return Listener(plan)


def test_a_stream_starts_after_the_stored_messages() -> None:
    calls, plan = steps(OPERATIONS.stream_events(SESSION, None), page())
    assert calls == [messages()]
    assert plan.open().path == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert plan.silence_s > 30  # the heartbeat


def test_a_stream_delivers_several_turns() -> None:
    live = follow()
    assert modelled(live.receive(end("r0"), *plain_turn("r1"), *plain_turn("r2"))) == PLAIN + PLAIN
    assert not live.ended


def test_a_stream_ends_a_waiting_turn_when_it_continues() -> None:
    live = follow()
    live.receive(start(), *call("c1"), *call("c2"), requires_confirm("c1"))
    assert modelled(live.receive(confirmed("c1"), start(), *result("c1")))[:2] == ["turn.ended*", "turn.started"]


def test_after_a_break_a_stream_delivers_the_turns_that_ended() -> None:
    live = follow()
    events = live.receive(*plain_turn("r1")[:4])
    stored = [
        reply(text_block("Hello"), reply_id="r1"),
        user_message("u2"),
        reply(text_block("Bye", "b2"), reply_id="r2"),
    ]
    older = reply(text_block("Old"), reply_id="older")
    events += live.reconcile_after(
        status_is("idle"), page(older, reply(reply_id="r0"), user_message(), *stored, cursor="52-0")
    )
    assert modelled(events)[3:] == ["stream.gap*", "message.completed*", "usage*", "turn.ended*", *MISSED]
    assert live.connect() == "/sessions/s1/stream?agent_id=a1&after=52-0"
    assert modelled(live.receive(end("r2"), *plain_turn("r3"))) == PLAIN


def test_a_turn_that_ends_just_before_the_reopening_is_read_from_its_message() -> None:
    live = follow()
    live.receive(*plain_turn("r1"))
    live.reconcile_after(page(reply(reply_id="r1")))
    live.connect()
    stored = [reply(reply_id="r1"), reply(text_block("Hi"), reply_id="r2"), reply(text_block("Ho"), reply_id="r3")]
    assert modelled(live.receive(end("r2"), *plain_turn("r3"), answers=[page(*stored)])) == MISSED + PLAIN
    assert modelled(live.receive(*plain_turn("r4"))) == PLAIN


def test_a_failed_reconciliation_does_not_lose_held_frames() -> None:
    live = follow()
    live.receive(*plain_turn("r1"))
    live.reconcile_after(page(reply(reply_id="r1")))
    live.connect()
    with pytest.raises(ConnectionLost):
        live.receive(end("r2"), answers=[CUT])
    assert live.receive(*plain_turn("r3")) == []

    stored = [reply(reply_id="r1"), reply(text_block("Hi"), reply_id="r2"), reply(text_block("Ho"), reply_id="r3")]
    assert modelled(live.reconcile(page(*stored))) == MISSED + PLAIN


def test_events_that_are_neither_replayed_nor_stored_are_a_gap() -> None:
    live = follow()
    live.receive(*plain_turn("r1"))
    live.reconcile_after(page(reply(reply_id="r1")))
    live.connect()
    events = live.receive(end("r2"), answers=[page(reply(reply_id="r1"))])
    assert modelled(events) == ["stream.gap*", "turn.ended"]
    assert {"turn.started", "message.completed", "raw"} <= set(events[0].lost)


def test_after_a_break_a_stream_replays_the_running_turn() -> None:
    live, raw_events = follow(), plain_turn("r1")
    events = live.receive(*raw_events[:4])
    live.reconcile_after(status_is("running"), page(reply(reply_id="r0"), user_message()))
    live.connect()
    assert modelled(events + live.receive(*raw_events)) == PLAIN


@pytest.mark.parametrize("received", range(1, 7))
def test_a_cursor_resumes_in_another_process_in_the_middle_of_a_turn(received: int) -> None:
    raw_events = plain_turn("r1")
    first = follow()
    events = first.receive(*raw_events[:received])
    answers = page(reply(reply_id="r0"), user_message())
    second = follow(first.plan.cursor, answers)
    assert second.connect() == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert modelled(events + second.receive(*raw_events)) == PLAIN


def test_a_cursor_resumes_after_its_turn_has_ended() -> None:
    first = follow()
    events = first.receive(*plain_turn("r1")[:4])
    stored = [reply(text_block("Hello"), reply_id="r1"), reply(text_block("Bye", "b2"), reply_id="r2")]
    second = follow(first.plan.cursor, page(*stored, cursor="52-0"))
    events += second.backlog
    assert modelled(events)[3:] == ["stream.gap*", "message.completed*", "usage*", "turn.ended*", *MISSED]
    assert modelled(second.receive(end("r2"), *plain_turn("r3"))) == PLAIN


def test_a_cursor_of_a_turn_resumes_as_a_stream() -> None:
    turn, raw_events = listen(), plain_turn()
    events = turn.receive(*raw_events[:4])
    live = follow(turn.plan.cursor, page(user_message(), cursor=None))
    assert modelled(events + live.receive(*raw_events)) == PLAIN


def test_a_cursor_from_before_the_first_turn_misses_nothing() -> None:
    live = follow(listen().plan.cursor, page(user_message(), reply(text_block("Hello")), cursor="9-0"))
    assert live.connect() == "/sessions/s1/stream?agent_id=a1"
    assert modelled(live.backlog) == MISSED
    assert live.receive(end("r1")) == []


def test_a_replay_without_the_cursors_event_is_delivered_from_its_end() -> None:
    first = follow()
    first.receive(start("r1"), event("HINT_BLOCK", "r1", block_id="h"))
    again = plain_turn("r1")
    assert modelled(follow(first.plan.cursor, page()).receive(*again)) == ["turn.ended"]


def test_an_old_cursor_hides_no_events_of_a_restarted_server() -> None:
    first = follow()
    first.receive(*plain_turn("r1"))
    second = follow(first.plan.cursor, page(reply(reply_id="r1"), cursor=None))
    assert second.connect() == "/sessions/s1/stream?agent_id=a1"
    assert modelled(second.receive(*plain_turn("r2"))) == PLAIN


def test_a_cursor_contains_the_position_of_a_stream() -> None:
    live = follow()
    raw_events = plain_turn("r1")
    live.receive(*raw_events)
    assert re.fullmatch(r"[\w-]+", live.plan.cursor, re.ASCII)  # base64url
    expected = Bookmark("37-0", reply="r1", before="r0", phase=Phase.ENDED, delivered=("text:b1",))
    assert decode_cursor(live.plan.cursor) == (expected, raw_events[-1]["id"])
    assert decode_cursor(listen().plan.cursor) == (Bookmark(), None)


@pytest.mark.parametrize("event_id", [None, "e", "e1", "e12", "Ü~/?"])
@pytest.mark.parametrize("after", [None, "3", "37-0", "1795320757828-0"])
def test_a_cursor_of_any_length_is_read_as_it_was_written(after: str | None, event_id: str | None) -> None:
    bookmark = Bookmark(after, reply="r1")
    assert decode_cursor(bookmark.encode() + encode_id(event_id)) == (bookmark, event_id)


def test_a_turn_that_a_restart_ended_is_ended_for_streams() -> None:
    live = follow()
    events = live.receive(*plain_turn("r1")[:4])
    stored = page(reply(reply_id="r0"), user_message())
    assert live.reconcile_after(status_is("idle"), stored, after=SILENCE) == []
    assert [reconcile_after.after_s for reconcile_after in live.later] == [1.0]
    events += live.reconcile(status_is("idle"), stored)
    assert (events[-1].type, events[-1].outcome, events[-1].turn_id) == ("turn.ended", Outcome.FAILED, "r1")
    assert live.reconcile_after(stored, after=SILENCE) == []  # the status is not read, because no turn runs
    assert modelled(live.receive(*plain_turn("r2"))) == PLAIN


def test_a_turn_that_a_restart_ended_before_it_was_resumed_is_ended() -> None:
    first = follow()
    first.receive(*plain_turn("r1")[:4])
    stored = page(reply(reply_id="r0"), user_message(), cursor=None)
    second = follow(first.plan.cursor, stored)
    assert (second.backlog, [reconcile_after.after_s for reconcile_after in second.later]) == ([], [2.0])
    assert second.reconcile(status_is("idle"), stored) == []
    (ended,) = second.reconcile(status_is("idle"), stored)
    assert (ended.type, ended.outcome) == ("turn.ended", Outcome.FAILED)


@pytest.mark.parametrize("words", [["running", "running"], ["idle", "running"]])
def test_a_turn_that_still_runs_is_not_ended(words: list[str]) -> None:
    live = follow()
    live.receive(*plain_turn("r1")[:4])
    stored = page(reply(reply_id="r0"), user_message())
    assert [live.reconcile_after(status_is(word), stored, after=SILENCE) for word in words] == [[], []]


def test_a_session_that_was_deleted_is_not_found() -> None:
    live = follow()
    assert live.plan.quiet_s is not None
    assert live.plan.quiet_s <= 30  # the heartbeat
    with pytest.raises(NotFound):
        live.reconcile_after(NotFound("Session 's1' not found.", status=404), after=SILENCE)


@pytest.mark.parametrize("cursor", ["", "37-0", "{}", "[]", '{"after": 5}'])
def test_an_invalid_cursor_is_rejected_before_any_call(cursor: str) -> None:
    calls, error = failure(OPERATIONS.stream_events(SESSION, cursor))
    assert (calls, type(error)) == ([], UsageError)


def test_the_number_of_remembered_event_ids_is_limited() -> None:
    live = follow()
    first = start("r1")
    live.receive(first, *(event("MODEL_CALL_START", "r1") for _ in range(10_002)))
    assert modelled(live.receive(first)) == ["turn.started"]


def test_an_event_without_an_id_is_delivered() -> None:
    raw = {name: value for name, value in start("r1").items() if name != "id"}
    assert modelled(follow().receive(raw)) == ["turn.started"]
