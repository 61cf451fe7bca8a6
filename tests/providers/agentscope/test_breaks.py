"""Breaks and silences in an AgentScope turn.

A replay delivers only new events, and stored messages deliver the missed ones.
"""

from __future__ import annotations

import pytest

from polysession._core.plans import BodyEnd
from polysession.action import Approve
from polysession.errors import ConnectionLost, NetworkTimeout
from polysession.event import Outcome
from support.agentscope_events import (
    call,
    call_block,
    end,
    event,
    plain_turn,
    reply,
    requires_confirm,
    result_block,
    start,
    text_block,
    user_message,
)
from support.agentscope_streams import (
    CUT,
    MISSED,
    PLAIN,
    WAITING_REPLY,
    answering,
    listen,
    modelled,
    page,
    status_is,
)

SILENCE = NetworkTimeout("no data arrived")


@pytest.mark.parametrize("received", range(7))
def test_after_a_break_the_replay_delivers_only_new_events(received: int) -> None:
    turn, raw_events = listen("hi", page()), plain_turn()
    events = turn.receive(*raw_events[:received])
    assert turn.reconcile_after(status_is("running"), *([page(*turn.stored)] if received < 2 else [])) == []
    assert turn.connect() == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert modelled(events + turn.receive(*raw_events)) == PLAIN


def test_repeated_frames_are_delivered_once() -> None:
    assert modelled(listen().receive(*(raw for raw in plain_turn() for _ in range(2)))) == PLAIN


def test_a_turn_that_ended_during_a_break_is_read_from_its_message() -> None:
    turn = listen()
    events = turn.receive(*plain_turn()[:4])
    stored = reply(text_block("Hello"))
    events += turn.reconcile_after(status_is("idle"), page(*turn.stored, stored))
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


def test_a_turn_without_events_is_read_from_its_message() -> None:
    turn = listen("hi", page(reply(reply_id="r0")))
    events = turn.reconcile_after(
        status_is("idle"), page(reply(reply_id="r0"), *turn.stored, reply(text_block("Hello")))
    )
    assert modelled(events) == MISSED
    assert events[2].message.text == "Hello"


@pytest.mark.parametrize("received", [1, 2, 4])
def test_a_truncated_replay_is_not_the_whole_turn(received: int) -> None:
    """The service cuts the log to its last event when a turn ends.

    That event alone would hide the missed ones.
    """
    turn, raw_events = listen(), plain_turn()
    events = turn.receive(*raw_events[:received])
    turn.reconcile_after(status_is("running"), *([page(*turn.stored)] if received < 2 else []))
    turn.connect()
    custom = event("CUSTOM", None, name="state_updated", value={})
    stored = [*turn.stored, reply(text_block("Hello"))]
    events += turn.receive(
        custom, raw_events[-1], event("HINT_BLOCK", "r1"), answers=[status_is("idle"), page(*stored)]
    )
    assert [kind for kind in modelled(events) if "completed" in kind or "ended" in kind] == [
        "message.completed*",
        "turn.ended*",
    ]
    assert events[-3].message.text == "Hello"


def test_a_silence_is_checked_while_the_stream_stays_open() -> None:
    turn, raw_events = listen(), plain_turn()
    events = turn.receive(*raw_events[:4])
    assert turn.plan.quiet_s == 2.0
    assert turn.reconcile_after(status_is("running"), after=SILENCE) == []
    assert modelled(events + turn.receive(*raw_events[4:])) == PLAIN


def test_a_client_that_reopens_after_a_silence_checks_once() -> None:
    turn, raw_events = listen(), plain_turn()
    events = turn.receive(*raw_events[:4])
    turn.reconcile_after(status_is("running"), after=SILENCE)
    assert turn.plan.ended(BodyEnd(SILENCE, inside_frame=False)) == ()
    turn.connect()
    assert modelled(events + turn.receive(*raw_events)) == PLAIN


@pytest.mark.parametrize("received", [0, 1, -1])
def test_a_log_cut_at_the_end_of_our_turn_is_completed_at_once(received: int) -> None:
    turn, raw_events = listen(), plain_turn()
    turn.receive(*raw_events[:received])
    turn.reconcile_after(status_is("running"), *([page(*turn.stored)] if received >= 0 else []))
    turn.connect()
    stored = page(*turn.stored, reply(text_block("Hello")))
    events = turn.receive(raw_events[-1], answers=[status_is("running"), status_is("idle"), stored])
    expected = {0: MISSED, 1: ["turn.started", *MISSED[1:]], -1: ["stream.gap*", "turn.ended*"]}
    assert modelled(events) == expected[received]


def test_a_failed_check_at_the_end_of_our_turn_is_repeated_with_all_waits() -> None:
    turn, raw_events = listen(), plain_turn()
    turn.reconcile_after(status_is("running"), page(*turn.stored))
    turn.connect()
    with pytest.raises(ConnectionLost):
        turn.receive(raw_events[-1], answers=[status_is("running"), CUT])

    stored = page(*turn.stored, reply(text_block("Hello")))
    events = turn.reconcile(status_is("running"), status_is("idle"), stored)
    assert [event.type for event in events][-1] == "turn.ended"


def test_a_turn_longer_than_the_log_is_read_when_it_has_ended() -> None:
    turn, raw_events = listen(), plain_turn()
    turn.receive(*raw_events[:3])
    turn.reconcile_after(status_is("running"))
    turn.connect()
    assert turn.receive(raw_events[4]) == []
    assert turn.receive(*raw_events[5:], answers=[status_is("running")] * 5) == []
    stored = page(*turn.stored, reply(text_block("Hello")))
    assert modelled(turn.reconcile_after(status_is("idle"), stored, after=SILENCE))[0] == "stream.gap*"


def test_the_end_of_a_known_reply_needs_no_check() -> None:
    turn = listen("hi", page(reply(reply_id="r0")))
    turn.reconcile_after(status_is("running"), page(reply(reply_id="r0"), *turn.stored))
    turn.connect()
    assert turn.receive(end("r0"), answers=[]) == []
    assert modelled(turn.receive(*plain_turn())) == PLAIN


def test_a_turn_that_was_not_stored_has_failed() -> None:
    turn = listen()
    for _ in range(4):
        assert (
            turn.reconcile_after(status_is("idle"), page(user_message())) == []
        )  # a break alone is no evidence about the turn
    for _ in range(2):
        assert turn.reconcile_after(status_is("idle"), page(user_message()), after=SILENCE) == []
    started, ended = turn.reconcile_after(status_is("idle"), page(user_message()), after=SILENCE)
    assert (started.type, started.synthetic) == ("turn.started", True)
    assert (ended.outcome, ended.native_reason, ended.synthetic) == (Outcome.FAILED, "no trace", True)
    assert turn.ended


def test_a_turn_that_the_service_abandoned_has_failed() -> None:
    turn = listen()
    half = reply(text_block("Hel"), reason=None, usage=None)
    events = turn.receive(*plain_turn()[:4])
    for _ in range(3):
        events += turn.reconcile_after(status_is("idle"), page(*turn.stored, half), after=SILENCE)
    assert modelled(events)[-2:] == ["message.completed*", "turn.ended*"]
    assert events[-1].native_reason == "no trace"


def test_a_waiting_turn_ends_after_a_check_if_a_call_might_still_run() -> None:
    turn = listen()
    events = turn.receive(start(), *call("c1"), *call("c2"), requires_confirm("c1"))
    assert modelled(events)[-1] == "action.required"
    assert [reconcile_after.after_s for reconcile_after in turn.later] == [0.3]
    stored = reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None, usage=None)
    assert modelled(turn.reconcile(status_is("awaiting_permission"), page(stored))) == ["turn.ended*"]


def test_an_answer_that_was_not_processed_yet_is_waited_for() -> None:
    turn = answering(WAITING_REPLY, Approve("c1"))
    assert turn.reconcile_after(status_is("awaiting_permission"), page(WAITING_REPLY)) == []
    done = reply(call_block("c1", "finished"), result_block("c1"), text_block("Done"))
    events = turn.reconcile_after(status_is("idle"), page(done))
    assert modelled(events) == [
        "turn.started*", "stream.gap*", "tool_result.completed*", "message.completed*", "turn.ended*",
    ]  # fmt: skip


def test_an_answer_that_is_never_processed_is_a_failed_turn() -> None:
    turn = answering(WAITING_REPLY, Approve("c1"))
    looks = [
        turn.reconcile_after(status_is("awaiting_permission"), page(WAITING_REPLY), after=SILENCE) for _ in range(3)
    ]
    assert [modelled(events) for events in looks] == [[], [], ["turn.started*", "turn.ended*"]]


def test_another_turn_is_not_delivered_for_an_answer() -> None:
    turn = answering(WAITING_REPLY, Approve("c1"))
    assert turn.reconcile_after(status_is("idle"), page(reply(text_block("Other"), reply_id="r5"))) == []
