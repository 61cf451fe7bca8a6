"""AgentScope's turns from their start to their end, stepped by hand: the calls and the events."""

from __future__ import annotations

import re
from typing import Any

import pytest

from polysession.errors import Conflict, NetworkTimeout, NotFound, UsageError
from polysession.event import Outcome
from polysession.message import MediaBlock, TextBlock
from polysession_agentscope.history import PAGE
from support.agentscope_events import end, event, frames, plain_turn, reply, said_by_user, start, text, text_block
from support.agentscope_streams import (
    CHAT,
    HI,
    LIST,
    OPERATIONS,
    PARKED,
    PLAIN,
    SESSION,
    STARTED,
    Listener,
    failure,
    listening,
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


def test_a_turn_reads_where_it_begins_opens_the_stream_there_and_sends() -> None:
    calls, plan = steps(OPERATIONS.start_turn(SESSION, "hi"), page())
    assert calls == [messages()]
    opened = plan.open()
    assert (opened.method, opened.path) == ("GET", "/sessions/s1/stream?agent_id=a1&after=37-0")
    assert (opened.headers, opened.body) == ({"accept": "text/event-stream"}, None)
    sent, _ = step(plan.send(), STARTED)
    assert [(call.method, call.path, call.headers) for call in sent] == [(*CHAT, {})]
    (body,) = sent_bodies(sent)
    assert body == {"agent_id": "a1", "session_id": "s1", "input": HI | {"id": body["input"]["id"]}}
    assert re.fullmatch("[0-9a-f]{32}", body["input"]["id"])  # in the server's own form
    assert plan.quiet_s < 30 < plan.silence_s  # the heartbeat


def test_each_message_has_an_id_of_its_own() -> None:
    assert our_id(plan_for("hi", page())) != our_id(plan_for("hi", page()))


def test_without_a_cursor_the_whole_stream_is_asked_for() -> None:
    assert listening().connect() == "/sessions/s1/stream?agent_id=a1"


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
def test_each_block_has_its_form(block: Any, wire: dict[str, Any]) -> None:
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
def test_media_that_cannot_be_sent_is_refused_before_any_call(block: MediaBlock) -> None:
    for flow in (OPERATIONS.send_message(SESSION, [block]), OPERATIONS.start_turn(SESSION, [block])):
        calls, error = failure(flow)
        assert (calls, type(error)) == ([], UsageError)


def test_a_conflict_is_waited_for_a_short_while() -> None:
    plan = plan_for("hi", page())
    calls, _ = step(plan.send(), busy(), page(), busy(), page(), STARTED)
    assert [(call.method, call.path) for call in calls] == [CHAT, messages(), CHAT, messages(), CHAT]
    assert [call.after_s for call in calls] == [0.0, 0.05, 0.0, 0.1, 0.0]


def test_a_conflict_that_lasts_is_told() -> None:
    answers = [answer for _ in range(6) for answer in (busy(), page())]
    calls, error = failure(plan_for("hi", page()).send(), *answers, busy())
    assert (calls.count(CHAT), type(error)) == (7, Conflict)


@pytest.mark.parametrize("flow", [OPERATIONS.start_turn, OPERATIONS.send_message])
def test_a_session_that_waits_takes_no_message(flow: Any) -> None:
    waiting = page(PARKED)
    calls, error = failure(flow(SESSION, "hi"), *[waiting] * 7)
    assert (calls, type(error)) == ([messages()] * 7, Conflict)
    looks, _ = step(OPERATIONS.start_turn(SESSION, "hi"), waiting, waiting, page(reply(reason="interrupted")))
    assert [look.after_s for look in looks] == [0.0, 0.05, 0.1]


# A turn from its start to its end.


def test_a_plain_turn() -> None:
    turn = listening()
    events = turn.hear(*plain_turn())
    assert modelled(events) == PLAIN
    assert {found.turn_id for found in events} == {"r1"}
    assert turn.ended


@pytest.mark.parametrize("width", [1, 7])
def test_cut_anywhere_the_events_are_the_same(width: int) -> None:
    body = b":\n\n" + frames(*plain_turn())
    turn = listening()
    pieces = (body[at : at + width] for at in range(0, len(body), width))
    assert modelled(found for piece in pieces for found in turn.feed(piece)) == PLAIN


def test_what_is_not_of_our_turn_is_left_out() -> None:
    turn = listening("hi", page(reply(text_block("Old"), reply_id="r0")))
    ours = plain_turn()
    events = turn.hear(
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


def test_a_start_without_more_is_not_our_turn() -> None:
    turn = listening()
    events = turn.hear(start("dangling"), *plain_turn())
    assert modelled(events) == PLAIN
    assert {found.turn_id for found in events} == {"r1"}


def test_a_turn_that_ended_before_ours_could_be_sent_is_not_ours() -> None:
    turn = listening()
    step(turn.plan.send(), busy(), page(said_by_user(), reply(reply_id="r7")), STARTED)  # type: ignore[attr-defined]
    events = turn.hear(*plain_turn("r7"), *plain_turn("r1"))
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_a_setup_that_fails_is_a_turn_that_failed() -> None:
    error = {"type": "setup", "message": "No model."}
    turn = listening()
    turn.stored, turn.status = [], "idle"
    failed = reply(reason="error", usage=None) | {"error": error}
    assert turn.hear(start(name="a1"), end(reason="error", error=error)) == []
    assert [look.after_s for look in turn.later] == [0.2]  # its message is not stored: it may be another client's
    events = turn.probe(status_is("idle"), page(failed))
    assert modelled(events) == ["turn.started", "error", "turn.ended"]
    assert (events[-1].outcome, events[-1].error) == (Outcome.FAILED, "No model.")


# Whose turn it is.


def ours(turn: Listener) -> dict[str, Any]:
    return said_by_user("mine", our_id(turn.plan))


THEIRS = [said_by_user("theirs", "u9"), reply(text_block("Theirs"), reply_id="r9")]


def test_a_whole_turn_of_another_client_before_our_input_is_not_ours() -> None:
    turn = listening()
    turn.stored = [*THEIRS, ours(turn)]
    events = turn.hear(*plain_turn("r9"), *plain_turn("r1"))
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_a_reply_that_begins_before_our_message_is_stored_is_looked_at_again() -> None:
    turn = listening()
    turn.stored = []
    assert turn.hear(start(), *text("Hel")[:2]) == []
    assert [look.after_s for look in turn.later] == [0.1]
    events = turn.probe(page(ours(turn)))
    assert modelled(events) == ["turn.started", "message.started", "message.delta"]
    assert modelled(turn.hear(end())) == ["turn.ended"]


def test_our_turn_may_be_over_before_another_clients_reply_was_looked_at() -> None:
    turn = listening()
    whole = reply(text_block("Hello"), reply_id="r1")
    turn.stored = [*THEIRS, ours(turn), whole, said_by_user("more", "u8"), reply(text_block("More"), reply_id="r8")]
    events = turn.hear(*plain_turn("r9"), *plain_turn("r1"), *plain_turn("r8"))
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_turns_of_others_that_fill_more_than_a_page_of_history_are_not_ours() -> None:
    """The newest page ends with our message, and does not show the reply that was heard first."""
    turn = listening()
    others = [(said_by_user("x", f"u{n}"), reply(text_block("X"), reply_id=f"x{n}")) for n in range(PAGE)]
    turn.stored = [message for pair in others for message in pair] + [ours(turn)]
    assert turn.hear(*plain_turn("x0")) == []
    assert {found.turn_id for found in turn.hear(*plain_turn("r1"))} == {"r1"}


def test_a_turn_of_ours_that_died_does_not_take_the_next_clients_reply() -> None:
    turn = listening()
    stored = [ours(turn), *THEIRS]
    turn.stored = stored
    assert turn.hear(*plain_turn("r9")) == []
    silence = NetworkTimeout("nothing came")
    events = [event for _ in range(3) for event in turn.look(status_is("idle"), page(*stored), after=silence)]
    assert [found.type for found in events] == ["turn.started", "turn.ended"]
    assert (events[-1].outcome, events[-1].native_reason) == (Outcome.FAILED, "no trace")


def test_a_failure_that_another_user_caused_is_not_ours() -> None:
    turn = listening()
    noise = reply(reply_id="r9", reason="error", usage=None) | {"error": {"type": "invalid_request"}}
    turn.stored = [ours(turn), noise]
    happened = plain_turn()
    events = turn.hear(happened[0], start("r9", "a9"), end("r9", "error"), *happened[1:])
    assert (modelled(events), {found.turn_id for found in events}) == (PLAIN, {"r1"})


def test_a_failure_without_content_is_ours_when_the_session_rests() -> None:
    turn = listening()
    failed = reply(reason="error", usage=None) | {"error": {"type": "upstream", "message": "Broken."}}
    (*_, ended) = turn.look(status_is("idle"), page(ours(turn), failed))
    assert (ended.turn_id, ended.outcome, ended.error) == ("r1", Outcome.FAILED, "Broken.")


@pytest.mark.parametrize("clients", [2, 4, 8, 20])
def test_each_of_many_clients_takes_its_own_reply(clients: int) -> None:
    """All follow the session from before the first turn, and look at the history, in its pages, when all are over."""
    turns = [listening() for _ in range(clients)]
    happened, stored = [], []
    for number, turn in enumerate(turns):
        happened += plain_turn(f"r{number}")
        stored += [ours(turn), reply(text_block("Hello"), reply_id=f"r{number}")]
    for number, turn in enumerate(turns):
        turn.stored = stored
        assert {found.turn_id for found in turn.hear(*happened)} == {f"r{number}"}
        assert turn.ended
