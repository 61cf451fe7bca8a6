"""AgentScope's streams of a whole session, stepped by hand: turn after turn, breaks and cursors."""

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
    asks,
    call,
    confirmed,
    end,
    event,
    plain_turn,
    reply,
    result,
    said_by_user,
    start,
    text_block,
)
from support.agentscope_streams import (
    CUT,
    MISSED,
    OPERATIONS,
    PLAIN,
    SESSION,
    Listener,
    failure,
    listening,
    messages,
    modelled,
    page,
    status_is,
    steps,
)
from support.flows import step

SILENCE = NetworkTimeout("nothing came")


def follow(cursor: str | None = None, *answers: Response) -> Listener:
    plan: Any
    _, plan = step(OPERATIONS.stream_events(SESSION, cursor), *(answers or (page(reply(reply_id="r0")),)))
    return Listener(plan)


def test_a_stream_begins_after_what_is_stored() -> None:
    calls, plan = steps(OPERATIONS.stream_events(SESSION, None), page())
    assert calls == [messages()]
    assert plan.open().path == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert plan.silence_s > 30  # the heartbeat


def test_a_stream_tells_turn_after_turn() -> None:
    live = follow()
    assert modelled(live.hear(end("r0"), *plain_turn("r1"), *plain_turn("r2"))) == PLAIN + PLAIN
    assert not live.ended


def test_a_stream_ends_a_turn_that_waited_when_it_goes_on() -> None:
    live = follow()
    live.hear(start(), *call("c1"), *call("c2"), asks("c1"))
    assert modelled(live.hear(confirmed("c1"), start(), *result("c1")))[:2] == ["turn.ended*", "turn.started"]


def test_after_a_break_a_stream_tells_the_turns_that_ended_meanwhile() -> None:
    live = follow()
    events = live.hear(*plain_turn("r1")[:4])
    stored = [
        reply(text_block("Hello"), reply_id="r1"),
        said_by_user("u2"),
        reply(text_block("Bye", "b2"), reply_id="r2"),
    ]
    older = reply(text_block("Old"), reply_id="older")
    events += live.look(status_is("idle"), page(older, reply(reply_id="r0"), said_by_user(), *stored, cursor="52-0"))
    assert modelled(events)[3:] == ["stream.gap*", "message.completed*", "usage*", "turn.ended*", *MISSED]
    assert live.connect() == "/sessions/s1/stream?agent_id=a1&after=52-0"
    assert modelled(live.hear(end("r2"), *plain_turn("r3"))) == PLAIN


def test_a_turn_that_ends_just_before_the_reopening_is_told_from_its_message() -> None:
    live = follow()
    live.hear(*plain_turn("r1"))
    live.look(page(reply(reply_id="r1")))
    live.connect()
    stored = [reply(reply_id="r1"), reply(text_block("Hi"), reply_id="r2"), reply(text_block("Ho"), reply_id="r3")]
    assert modelled(live.hear(end("r2"), *plain_turn("r3"), answers=[page(*stored)])) == MISSED + PLAIN
    assert modelled(live.hear(*plain_turn("r4"))) == PLAIN


def test_a_probe_that_fails_loses_nothing_of_what_waits_for_it() -> None:
    live = follow()
    live.hear(*plain_turn("r1"))
    live.look(page(reply(reply_id="r1")))
    live.connect()
    with pytest.raises(ConnectionLost):
        live.hear(end("r2"), answers=[CUT])
    assert live.hear(*plain_turn("r3")) == []

    stored = [reply(reply_id="r1"), reply(text_block("Hi"), reply_id="r2"), reply(text_block("Ho"), reply_id="r3")]
    assert modelled(live.probe(page(*stored))) == MISSED + PLAIN


def test_a_stream_says_when_events_are_gone_of_which_nothing_is_stored() -> None:
    live = follow()
    live.hear(*plain_turn("r1"))
    live.look(page(reply(reply_id="r1")))
    live.connect()
    events = live.hear(end("r2"), answers=[page(reply(reply_id="r1"))])
    assert modelled(events) == ["stream.gap*", "turn.ended"]
    assert {"turn.started", "message.completed", "raw"} <= set(events[0].lost)


def test_after_a_break_a_stream_replays_the_running_turn() -> None:
    live, happened = follow(), plain_turn("r1")
    events = live.hear(*happened[:4])
    live.look(status_is("running"), page(reply(reply_id="r0"), said_by_user()))
    live.connect()
    assert modelled(events + live.hear(*happened)) == PLAIN


@pytest.mark.parametrize("heard", range(1, 7))
def test_a_cursor_goes_on_in_another_process_in_the_middle_of_a_turn(heard: int) -> None:
    happened = plain_turn("r1")
    first = follow()
    events = first.hear(*happened[:heard])
    answers = page(reply(reply_id="r0"), said_by_user())
    second = follow(first.plan.cursor, answers)
    assert second.connect() == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert modelled(events + second.hear(*happened)) == PLAIN


def test_a_cursor_goes_on_after_its_turn_has_ended() -> None:
    first = follow()
    events = first.hear(*plain_turn("r1")[:4])
    stored = [reply(text_block("Hello"), reply_id="r1"), reply(text_block("Bye", "b2"), reply_id="r2")]
    second = follow(first.plan.cursor, page(*stored, cursor="52-0"))
    events += second.backlog
    assert modelled(events)[3:] == ["stream.gap*", "message.completed*", "usage*", "turn.ended*", *MISSED]
    assert modelled(second.hear(end("r2"), *plain_turn("r3"))) == PLAIN


def test_a_cursor_of_a_turn_goes_on_as_a_stream() -> None:
    turn, happened = listening(), plain_turn()
    events = turn.hear(*happened[:4])
    live = follow(turn.plan.cursor, page(said_by_user(), cursor=None))
    assert modelled(events + live.hear(*happened)) == PLAIN


def test_a_cursor_from_before_the_first_turn_misses_nothing() -> None:
    live = follow(listening().plan.cursor, page(said_by_user(), reply(text_block("Hello")), cursor="9-0"))
    assert live.connect() == "/sessions/s1/stream?agent_id=a1"
    assert modelled(live.backlog) == MISSED
    assert live.hear(end("r1")) == []


def test_a_replay_that_never_reaches_the_cursor_is_told_from_its_end_on() -> None:
    first = follow()
    first.hear(start("r1"), event("HINT_BLOCK", "r1", block_id="h"))
    again = plain_turn("r1")
    assert modelled(follow(first.plan.cursor, page()).hear(*again)) == ["turn.ended"]


def test_a_server_that_was_started_anew_hides_nothing_behind_an_old_cursor() -> None:
    first = follow()
    first.hear(*plain_turn("r1"))
    second = follow(first.plan.cursor, page(reply(reply_id="r1"), cursor=None))
    assert second.connect() == "/sessions/s1/stream?agent_id=a1"
    assert modelled(second.hear(*plain_turn("r2"))) == PLAIN


def test_a_cursor_tells_where_a_stream_stands() -> None:
    live = follow()
    happened = plain_turn("r1")
    live.hear(*happened)
    assert re.fullmatch(r"[\w-]+", live.plan.cursor, re.ASCII)  # base64url
    expected = Bookmark("37-0", reply="r1", before="r0", phase=Phase.ENDED, delivered=("text:b1",))
    assert decode_cursor(live.plan.cursor) == (expected, happened[-1]["id"])
    assert decode_cursor(listening().plan.cursor) == (Bookmark(), None)


@pytest.mark.parametrize("event_id", [None, "e", "e1", "e12", "Ü~/?"])
@pytest.mark.parametrize("after", [None, "3", "37-0", "1795320757828-0"])
def test_a_cursor_of_any_length_is_read_as_it_was_written(after: str | None, event_id: str | None) -> None:
    bookmark = Bookmark(after, reply="r1")
    assert decode_cursor(bookmark.encode() + encode_id(event_id)) == (bookmark, event_id)


def test_a_turn_that_died_with_the_service_is_ended_for_those_who_follow() -> None:
    live = follow()
    events = live.hear(*plain_turn("r1")[:4])
    stored = page(reply(reply_id="r0"), said_by_user())
    assert live.look(status_is("idle"), stored, after=SILENCE) == []
    assert [look.after_s for look in live.later] == [1.0]
    events += live.probe(status_is("idle"), stored)
    assert (events[-1].type, events[-1].outcome, events[-1].turn_id) == ("turn.ended", Outcome.FAILED, "r1")
    assert live.look(stored, after=SILENCE) == []  # nothing runs, so that the status is not read
    assert modelled(live.hear(*plain_turn("r2"))) == PLAIN


def test_a_turn_that_died_before_it_was_resumed_is_ended_too() -> None:
    first = follow()
    first.hear(*plain_turn("r1")[:4])
    stored = page(reply(reply_id="r0"), said_by_user(), cursor=None)
    second = follow(first.plan.cursor, stored)
    assert (second.backlog, [look.after_s for look in second.later]) == ([], [2.0])
    assert second.probe(status_is("idle"), stored) == []
    (ended,) = second.probe(status_is("idle"), stored)
    assert (ended.type, ended.outcome) == ("turn.ended", Outcome.FAILED)


@pytest.mark.parametrize("words", [["running", "running"], ["idle", "running"]])
def test_a_turn_that_still_runs_is_not_ended(words: list[str]) -> None:
    live = follow()
    live.hear(*plain_turn("r1")[:4])
    stored = page(reply(reply_id="r0"), said_by_user())
    assert [live.look(status_is(word), stored, after=SILENCE) for word in words] == [[], []]


def test_a_session_that_was_deleted_is_not_found() -> None:
    live = follow()
    assert live.plan.quiet_s is not None
    assert live.plan.quiet_s <= 30  # the heartbeat
    with pytest.raises(NotFound):
        live.look(NotFound("Session 's1' not found.", status=404), after=SILENCE)


@pytest.mark.parametrize("cursor", ["", "37-0", "{}", "[]", '{"after": 5}'])
def test_what_is_no_cursor_is_refused_before_any_call(cursor: str) -> None:
    calls, error = failure(OPERATIONS.stream_events(SESSION, cursor))
    assert (calls, type(error)) == ([], UsageError)


def test_many_events_are_not_remembered_for_ever() -> None:
    live = follow()
    first = start("r1")
    live.hear(first, *(event("MODEL_CALL_START", "r1") for _ in range(10_002)))
    assert modelled(live.hear(first)) == ["turn.started"]


def test_an_event_without_an_id_is_told() -> None:
    raw = {name: value for name, value in start("r1").items() if name != "id"}
    assert modelled(follow().hear(raw)) == ["turn.started"]
