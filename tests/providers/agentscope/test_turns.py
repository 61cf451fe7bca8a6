"""AgentScope's turns from start to end, stepped by hand: their calls and events."""

from __future__ import annotations

import re
from typing import Any

import pytest

from polysession.errors import Conflict, NetworkTimeout, NotFound, UsageError
from polysession.event import Outcome
from polysession.message import MediaBlock, TextBlock
from polysession_agentscope.history import PAGE
from support.agentscope_events import end, event, frames, plain_turn, reply, start, text, text_block, user_message
from support.agentscope_streams import (
    CHAT,
    HI,
    LIST,
    OPERATIONS,
    PLAIN,
    SESSION,
    STARTED,
    WAITING_REPLY,
    Listener,
    failure,
    listen,
    messages,
    modelled,
    our_id,
    page,
    plan_for,
    status_is,
    steps,
    view,
)
from support.flows import sent_bodies, step


def busy() -> Conflict:
    return Conflict("Session 's1' already has an active chat run in this process.", status=409)


# Starting a turn.


def test_a_turn_reads_its_start_opens_the_stream_there_and_sends() -> None:
    calls, plan = steps(OPERATIONS.start_turn(SESSION, "hi"), page())
    assert calls == [messages()]
    opened = plan.open()
    assert (opened.method, opened.path) == ("GET", "/sessions/s1/stream?agent_id=a1&after=37-0")
    assert (opened.headers, opened.body) == ({"accept": "text/event-stream"}, None)
    sent, _ = step(plan.send(), STARTED)
    assert [(call.method, call.path, call.headers) for call in sent] == [(*CHAT, {})]
    (body,) = sent_bodies(sent)
    assert body == {"agent_id": "a1", "session_id": "s1", "input": HI | {"id": body["input"]["id"]}}
    assert re.fullmatch("[0-9a-f]{32}", body["input"]["id"])  # in the server's format
    assert plan.quiet_s < 30 < plan.silence_s  # the heartbeat


def test_each_message_has_a_new_id() -> None:
    assert our_id(plan_for("hi", page())) != our_id(plan_for("hi", page()))


def test_without_a_cursor_the_whole_stream_is_requested() -> None:
    assert listen().connect() == "/sessions/s1/stream?agent_id=a1"


def test_the_agent_of_a_bare_id_is_checked() -> None:
    calls, _ = steps(OPERATIONS.start_turn("s1", "hi"), view("idle"), page())
    assert calls == [LIST, messages()]
    calls, error = failure(OPERATIONS.send_message("s2", "hi"), view("idle"))
    assert (calls, type(error)) == ([LIST], NotFound)


@pytest.mark.parametrize(
    ("block", "wire"),
    [
        (TextBlock(text="Ü"), {"type": "text", "text": "Ü"}),
        (
            MediaBlock(type="image", data="AAAA", media_type="image/png"),
            {"type": "data", "source": {"type": "base64", "data": "AAAA", "media_type": "image/png"}},
        ),
        (
            MediaBlock(type="document", url="http://x.test/a", media_type="text/plain", title="a"),
            {
                "type": "data",
                "source": {"type": "url", "url": "http://x.test/a", "media_type": "text/plain"},
                "name": "a",
            },
        ),
    ],
)
def test_the_body_of_each_type_of_block(block: Any, wire: dict[str, Any]) -> None:
    calls, _ = step(OPERATIONS.send_message(SESSION, [block]), page(), STARTED)
    assert [(call.method, call.path) for call in calls] == [messages(), CHAT]
    sent = sent_bodies(calls)[1]["input"]
    assert sent == {"id": sent["id"], "name": "user", "role": "user", "content": [wire]}


@pytest.mark.parametrize(
    "block",
    [
        MediaBlock(type="image", file_id="f"),
        MediaBlock(type="image", url="http://x.test/a"),
        MediaBlock(type="image", media_type="image/png"),
        MediaBlock(type="image", media_type="image/png", url="http://x.test/a", data="AAAA"),
    ],
)
def test_media_that_cannot_be_sent_are_rejected_before_any_call(block: MediaBlock) -> None:
    for flow in (OPERATIONS.send_message(SESSION, [block]), OPERATIONS.start_turn(SESSION, [block])):
        calls, error = failure(flow)
        assert (calls, type(error)) == ([], UsageError)


def test_a_conflict_is_retried_for_a_short_time() -> None:
    plan = plan_for("hi", page())
    calls, _ = step(plan.send(), busy(), page(), busy(), page(), STARTED)
    assert [(call.method, call.path) for call in calls] == [CHAT, messages(), CHAT, messages(), CHAT]
    assert [call.after_s for call in calls] == [0.0, 0.05, 0.0, 0.1, 0.0]


def test_a_lasting_conflict_is_raised() -> None:
    answers = [answer for _ in range(6) for answer in (busy(), page())]
    calls, error = failure(plan_for("hi", page()).send(), *answers, busy())
    assert (calls.count(CHAT), type(error)) == (7, Conflict)


@pytest.mark.parametrize("flow", [OPERATIONS.start_turn, OPERATIONS.send_message])
def test_a_message_to_a_waiting_session_is_a_conflict(flow: Any) -> None:
    waiting = page(WAITING_REPLY)
    calls, error = failure(flow(SESSION, "hi"), *[waiting] * 7)
    assert (calls, type(error)) == ([messages()] * 7, Conflict)
    looks, _ = step(OPERATIONS.start_turn(SESSION, "hi"), waiting, waiting, page(reply(reason="interrupted")))
    assert [reconcile_after.after_s for reconcile_after in looks] == [0.0, 0.05, 0.1]


# A turn from its start to its end.


def test_a_plain_turn() -> None:
    turn = listen()
    events = turn.receive(*plain_turn())
    assert modelled(events) == PLAIN
    assert {found.turn_id for found in events} == {"r1"}
    assert turn.ended


@pytest.mark.parametrize("width", [1, 7])
def test_the_events_are_the_same_after_a_break_at_any_point(width: int) -> None:
    body = b":\n\n" + frames(*plain_turn())
    turn = listen()
    pieces = (body[at : at + width] for at in range(0, len(body), width))
    assert modelled(found for piece in pieces for found in turn.feed(piece)) == PLAIN


def test_events_of_other_turns_are_not_delivered() -> None:
    turn = listen("hi", page(reply(text_block("Old"), reply_id="r0")))
    ours = plain_turn()
    events = turn.receive(
        end("r0"),
        event("CUSTOM", None, name="session_updated", value={}),
        start("r0"),
        event("MODEL_CALL_START", "r0"),
        end("", "error"),
        *ours[:3],
        start("r9", "a9"),
        end("r9", "error"),
        event("CUSTOM", None, name="state_updated", value={}),
        *ours[3:],
        end("r2"),
    )
    assert modelled(events) == PLAIN
    customs = [found.raw["name"] for found in events if found.native_type == "CUSTOM"]
    assert customs == ["state_updated"]


def test_a_start_without_further_events_is_not_our_turn() -> None:
    turn = listen()
    events = turn.receive(start("dangling"), *plain_turn())
    assert modelled(events) == PLAIN
    assert {found.turn_id for found in events} == {"r1"}


def test_a_turn_that_ended_before_ours_could_be_sent_is_not_ours() -> None:
    turn = listen()
    step(turn.plan.send(), busy(), page(user_message(), reply(reply_id="r7")), STARTED)  # type: ignore[attr-defined]
    events = turn.receive(*plain_turn("r7"), *plain_turn("r1"))
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_a_failed_setup_is_a_failed_turn() -> None:
    error = {"type": "setup", "message": "No model."}
    turn = listen()
    turn.stored, turn.status = [], "idle"
    failed = reply(reason="error", usage=None) | {"error": error}
    assert turn.receive(start(name="a1"), end(reason="error", error=error)) == []
    assert [reconcile_after.after_s for reconcile_after in turn.later] == [
        0.2
    ]  # its message is not stored, so the turn may be another client's
    events = turn.reconcile(status_is("idle"), page(failed))
    assert modelled(events) == ["turn.started", "error", "turn.ended"]
    assert (events[-1].outcome, events[-1].error) == (Outcome.FAILED, "No model.")


# Recognising our turn.


def ours(turn: Listener) -> dict[str, Any]:
    return user_message("mine", our_id(turn.plan))


THEIRS = [user_message("theirs", "u9"), reply(text_block("Theirs"), reply_id="r9")]


def test_a_whole_turn_of_another_client_before_our_input_is_not_ours() -> None:
    turn = listen()
    turn.stored = [*THEIRS, ours(turn)]
    events = turn.receive(*plain_turn("r9"), *plain_turn("r1"))
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_a_reply_that_starts_before_our_message_is_stored_is_checked_again() -> None:
    turn = listen()
    turn.stored = []
    assert turn.receive(start(), *text("Hel")[:2]) == []
    assert [reconcile_after.after_s for reconcile_after in turn.later] == [0.1]
    events = turn.reconcile(page(ours(turn)))
    assert modelled(events) == ["turn.started", "message.started", "message.delta"]
    assert modelled(turn.receive(end())) == ["turn.ended"]


def test_our_turn_may_end_before_another_clients_reply_was_checked() -> None:
    turn = listen()
    whole = reply(text_block("Hello"), reply_id="r1")
    turn.stored = [*THEIRS, ours(turn), whole, user_message("more", "u8"), reply(text_block("More"), reply_id="r8")]
    events = turn.receive(*plain_turn("r9"), *plain_turn("r1"), *plain_turn("r8"))
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_other_clients_turns_on_several_pages_of_history_are_not_ours() -> None:
    """The newest page ends with our message.

    It does not contain the reply that the stream delivered first.
    """
    turn = listen()
    others = [(user_message("x", f"u{n}"), reply(text_block("X"), reply_id=f"x{n}")) for n in range(PAGE)]
    turn.stored = [message for pair in others for message in pair] + [ours(turn)]
    assert turn.receive(*plain_turn("x0")) == []
    assert {found.turn_id for found in turn.receive(*plain_turn("r1"))} == {"r1"}


def test_our_lost_turn_does_not_take_the_next_clients_reply() -> None:
    turn = listen()
    stored = [ours(turn), *THEIRS]
    turn.stored = stored
    assert turn.receive(*plain_turn("r9")) == []
    silence = NetworkTimeout("no data arrived")
    events = [
        event for _ in range(3) for event in turn.reconcile_after(status_is("idle"), page(*stored), after=silence)
    ]
    assert [found.type for found in events] == ["turn.started", "turn.ended"]
    assert (events[-1].outcome, events[-1].native_reason) == (Outcome.FAILED, "no trace")


def test_a_failure_that_another_user_caused_is_not_ours() -> None:
    turn = listen()
    noise = reply(reply_id="r9", reason="error", usage=None) | {"error": {"type": "invalid_request"}}
    turn.stored = [ours(turn), noise]
    raw_events = plain_turn()
    events = turn.receive(raw_events[0], start("r9", "a9"), end("r9", "error"), *raw_events[1:])
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_an_empty_failure_is_ours_when_the_session_is_idle() -> None:
    turn = listen()
    failed = reply(reason="error", usage=None) | {"error": {"type": "upstream", "message": "Broken."}}
    (*_, ended) = turn.reconcile_after(status_is("idle"), page(ours(turn), failed))
    assert (ended.turn_id, ended.outcome, ended.error) == ("r1", Outcome.FAILED, "Broken.")


@pytest.mark.parametrize("clients", [2, 4, 8, 20])
def test_each_of_many_clients_takes_its_own_reply(clients: int) -> None:
    """All clients open their streams before the first turn.

    They read the history when all turns have ended.
    """
    turns = [listen() for _ in range(clients)]
    raw_events, stored = [], []
    for number, turn in enumerate(turns):
        raw_events += plain_turn(f"r{number}")
        stored += [ours(turn), reply(text_block("Hello"), reply_id=f"r{number}")]
    for number, turn in enumerate(turns):
        turn.stored = stored
        assert {found.turn_id for found in turn.receive(*raw_events)} == {f"r{number}"}
        assert turn.ended
