"""Breaks and silences in an AgentScope turn: a replay delivers only what is new, the rest is read from messages."""

from __future__ import annotations

import pytest

from polysession._core.plans import BodyEnd
from polysession.action import Approve
from polysession.errors import ConnectionLost, NetworkTimeout
from polysession.event import Outcome
from support.agentscope_events import (
    asks,
    call,
    call_block,
    end,
    event,
    plain_turn,
    reply,
    result_block,
    said_by_user,
    start,
    text_block,
)
from support.agentscope_streams import (
    CUT,
    MISSED,
    PARKED,
    PLAIN,
    answering,
    listening,
    modelled,
    page,
    status_is,
)

SILENCE = NetworkTimeout("nothing came")


@pytest.mark.parametrize("heard", range(7))
def test_after_a_break_the_replay_tells_only_what_is_new(heard: int) -> None:
    turn, happened = listening("hi", page()), plain_turn()
    events = turn.hear(*happened[:heard])
    assert turn.look(status_is("running"), *([page(*turn.stored)] if heard < 2 else [])) == []
    assert turn.connect() == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert modelled(events + turn.hear(*happened)) == PLAIN


def test_doubled_frames_are_told_once() -> None:
    assert modelled(listening().hear(*(raw for raw in plain_turn() for _ in range(2)))) == PLAIN


def test_a_turn_that_ended_meanwhile_is_told_from_its_message() -> None:
    turn = listening()
    events = turn.hear(*plain_turn()[:4])
    stored = reply(text_block("Hello"))
    events += turn.look(status_is("idle"), page(*turn.stored, stored))
    assert modelled(events) == [
        "turn.started",
        "message.started",
        "message.delta",
        "stream.gap*",
        "message.completed*",
        "usage*",
        "turn.ended*",
    ]
    assert events[-4].lost == ("raw", "message.delta", "message.started")
    assert turn.ended


def test_a_turn_of_which_nothing_came_is_told_from_its_message() -> None:
    turn = listening("hi", page(reply(reply_id="r0")))
    events = turn.look(status_is("idle"), page(reply(reply_id="r0"), *turn.stored, reply(text_block("Hello"))))
    assert modelled(events) == MISSED
    assert events[2].message.text == "Hello"


@pytest.mark.parametrize("heard", [1, 2, 4])
def test_a_replay_that_was_cut_short_is_not_taken_for_the_turn(heard: int) -> None:
    """The log is cut to its last event when a turn ends: its end alone would hide what was missed."""
    turn, happened = listening(), plain_turn()
    events = turn.hear(*happened[:heard])
    turn.look(status_is("running"), *([page(*turn.stored)] if heard < 2 else []))
    turn.connect()
    custom = event("CUSTOM", None, name="state_updated", value={})
    stored = [*turn.stored, reply(text_block("Hello"))]
    events += turn.hear(custom, happened[-1], event("HINT_BLOCK", "r1"), answers=[status_is("idle"), page(*stored)])
    assert [kind for kind in modelled(events) if "completed" in kind or "ended" in kind] == [
        "message.completed*",
        "turn.ended*",
    ]
    assert events[-3].message.text == "Hello"


def test_a_silence_is_looked_into_beside_the_open_stream() -> None:
    turn, happened = listening(), plain_turn()
    events = turn.hear(*happened[:4])
    assert turn.plan.quiet_s == 2.0
    assert turn.look(status_is("running"), after=SILENCE) == []
    assert modelled(events + turn.hear(*happened[4:])) == PLAIN


def test_a_client_that_reopens_after_a_silence_does_not_look_twice() -> None:
    turn, happened = listening(), plain_turn()
    events = turn.hear(*happened[:4])
    turn.look(status_is("running"), after=SILENCE)
    assert turn.plan.ended(BodyEnd(SILENCE, inside_frame=False)) == ()
    turn.connect()
    assert modelled(events + turn.hear(*happened)) == PLAIN


@pytest.mark.parametrize("heard", [0, 1, -1])
def test_a_log_that_was_cut_at_the_end_of_our_turn_is_looked_behind_at_once(heard: int) -> None:
    turn, happened = listening(), plain_turn()
    turn.hear(*happened[:heard])
    turn.look(status_is("running"), *([page(*turn.stored)] if heard >= 0 else []))
    turn.connect()
    stored = page(*turn.stored, reply(text_block("Hello")))
    events = turn.hear(happened[-1], answers=[status_is("running"), status_is("idle"), stored])
    expected = {0: MISSED, 1: ["turn.started", *MISSED[1:]], -1: ["stream.gap*", "turn.ended*"]}
    assert modelled(events) == expected[heard]


def test_a_look_that_fails_at_the_end_of_our_turn_is_made_again_with_the_same_patience() -> None:
    turn, happened = listening(), plain_turn()
    turn.look(status_is("running"), page(*turn.stored))
    turn.connect()
    with pytest.raises(ConnectionLost):
        turn.hear(happened[-1], answers=[status_is("running"), CUT])

    stored = page(*turn.stored, reply(text_block("Hello")))
    events = turn.probe(status_is("running"), status_is("idle"), stored)
    assert [event.type for event in events][-1] == "turn.ended"


def test_a_long_turn_of_which_the_log_forgot_the_middle_is_read_when_it_has_ended() -> None:
    turn, happened = listening(), plain_turn()
    turn.hear(*happened[:3])
    turn.look(status_is("running"))
    turn.connect()
    assert turn.hear(happened[4]) == []
    assert turn.hear(*happened[5:], answers=[status_is("running")] * 5) == []
    stored = page(*turn.stored, reply(text_block("Hello")))
    assert modelled(turn.look(status_is("idle"), stored, after=SILENCE))[0] == "stream.gap*"


def test_the_end_of_a_known_reply_is_nothing_to_look_behind() -> None:
    turn = listening("hi", page(reply(reply_id="r0")))
    turn.look(status_is("running"), page(reply(reply_id="r0"), *turn.stored))
    turn.connect()
    assert turn.hear(end("r0"), answers=[]) == []
    assert modelled(turn.hear(*plain_turn())) == PLAIN


def test_a_turn_that_left_no_trace_has_failed() -> None:
    turn = listening()
    for _ in range(4):
        assert turn.look(status_is("idle"), page(said_by_user())) == []  # a break says nothing about the turn
    for _ in range(2):
        assert turn.look(status_is("idle"), page(said_by_user()), after=SILENCE) == []
    started, ended = turn.look(status_is("idle"), page(said_by_user()), after=SILENCE)
    assert (started.type, started.synthetic) == ("turn.started", True)
    assert (ended.outcome, ended.native_reason, ended.synthetic) == (Outcome.FAILED, "no trace", True)
    assert turn.ended


def test_a_turn_that_was_left_has_failed() -> None:
    turn = listening()
    half = reply(text_block("Hel"), reason=None, usage=None)
    events = turn.hear(*plain_turn()[:4])
    for _ in range(3):
        events += turn.look(status_is("idle"), page(*turn.stored, half), after=SILENCE)
    assert modelled(events)[-2:] == ["message.completed*", "turn.ended*"]
    assert events[-1].native_reason == "no trace"


def test_a_turn_that_waits_ends_after_a_look_if_a_call_might_still_run() -> None:
    turn = listening()
    events = turn.hear(start(), *call("c1"), *call("c2"), asks("c1"))
    assert modelled(events)[-1] == "action.required"
    assert [look.after_s for look in turn.later] == [0.3]
    stored = reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None, usage=None)
    assert modelled(turn.probe(status_is("awaiting_permission"), page(stored))) == ["turn.ended*"]


def test_an_answer_that_was_not_taken_up_yet_is_waited_for() -> None:
    turn = answering(PARKED, Approve("c1"))
    assert turn.look(status_is("awaiting_permission"), page(PARKED)) == []
    done = reply(call_block("c1", "finished"), result_block("c1"), text_block("Done"))
    events = turn.look(status_is("idle"), page(done))
    assert modelled(events) == [
        "turn.started*", "stream.gap*", "tool_result.completed*", "message.completed*", "turn.ended*",
    ]  # fmt: skip


def test_an_answer_that_is_never_taken_up_is_a_turn_that_failed() -> None:
    turn = answering(PARKED, Approve("c1"))
    looks = [turn.look(status_is("awaiting_permission"), page(PARKED), after=SILENCE) for _ in range(3)]
    assert [modelled(events) for events in looks] == [[], [], ["turn.started*", "turn.ended*"]]


def test_another_turn_of_the_session_is_not_told_for_an_answer() -> None:
    turn = answering(PARKED, Approve("c1"))
    assert turn.look(status_is("idle"), page(reply(text_block("Other"), reply_id="r5"))) == []
