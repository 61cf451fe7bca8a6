"""AgentScope's streams and turns, stepped by hand: what is sent, and what becomes of frames, breaks and silences."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from polysession._core.flow import Flow, Reply
from polysession._core.operations import Operations
from polysession._core.retry import RetryPolicy
from polysession._core.stream import StreamPlan, StreamReader
from polysession.errors import (
    Conflict,
    ConnectionLost,
    NotFound,
    PolysessionError,
    TimedOut,
    UnsupportedOperation,
    UsageError,
)
from polysession.event import Approve, Deny, Outcome, ToolApproval, ToolOutput
from polysession.feature import Feature
from polysession.message import MediaBlock, TextBlock
from polysession.session import Session
from polysession_agentscope import AgentScopeProvider, AgentScopeSettings
from support.agentscope_events import (
    asks,
    call,
    call_block,
    confirmed,
    end,
    event,
    executed,
    frames,
    model_end,
    plain_turn,
    reply,
    result,
    result_block,
    said_by_user,
    start,
    text,
    text_block,
)
from support.flows import ok, sent_bodies, step

PROVIDER = AgentScopeProvider(AgentScopeSettings(base_url="http://agents.test", user_id="u1", agent_id="a1"))
OPERATIONS = Operations(PROVIDER)
SESSION = Session(provider="agentscope", id="s1", agent_id="a1")
RETRY = RetryPolicy(attempts=3)

STATUS = ("GET", "/sessions/s1/status?agent_id=a1")
LIST = ("GET", "/sessions/?agent_id=a1")
CHAT = ("POST", "/chat/")
STARTED = ok({"status": "started", "session_id": "s1"})
HI = {"name": "user", "role": "user", "content": [{"type": "text", "text": "hi"}]}
PARKED = reply(call_block("c1", "asking"), reason=None)
NO_ROUTE = NotFound("Not Found", status=404)
CUT = ConnectionLost("cut")
SILENCE = TimedOut("nothing came")


def messages(limit: int = 2, **query: Any) -> tuple[str, str]:
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    return ("GET", f"/sessions/s1/messages?agent_id=a1&limit={limit}{asked}")


def page(*stored: dict[str, Any], cursor: str | None = "37-0", has_more: bool = False) -> Reply:
    body = {"messages": stored, "event_cursor": cursor, "is_running": False, "has_more": has_more}
    return ok(body)


def told(status: str) -> Reply:
    return ok({"session_id": "s1", "status": status})


def view(status: str | None = None, *, is_running: bool = False) -> Reply:
    item = {"session": {"id": "s1", "agent_id": "a1"}, "is_running": is_running}
    return ok({"sessions": [item if status is None else item | {"status": status}], "total": 1})


def busy() -> Conflict:
    return Conflict("Session 's1' already has an active chat run in this process.", status=409)


def steps(flow: Flow[Any], *answers: Reply | PolysessionError) -> tuple[list[tuple[str, str]], Any]:
    """What a flow calls, without bodies, and its result."""
    calls, found = step(flow, *answers)
    return [(call.method, call.path) for call in calls], found


def failure(flow: Flow[Any], *answers: Reply | PolysessionError) -> tuple[list[tuple[str, str]], PolysessionError]:
    """What a flow calls, and the error that it ends with."""

    def caught() -> Flow[PolysessionError]:
        try:
            yield from flow
        except PolysessionError as error:
            return error
        raise AssertionError("it did not fail")

    return steps(caught(), *answers)


def plan_for(turn_input: Any, *answers: Reply | PolysessionError) -> Any:
    _, plan = step(OPERATIONS.start_turn(SESSION, turn_input), *answers)
    return plan


class Listener:
    """Feeds a plan as a driver does."""

    def __init__(self, plan: StreamPlan) -> None:
        self.plan = plan
        self.reader = StreamReader(plan, RETRY)
        self.connect()

    def connect(self) -> str:
        opened = self.plan.open()
        self.reader.opened()
        return opened.path

    def hear(self, *happened: dict[str, Any]) -> list[Any]:
        return list(self.reader.feed(frames(*happened)))

    def look(self, *answers: Reply | PolysessionError, after: PolysessionError = CUT) -> list[Any]:
        """What a probe tells when the connection is gone."""
        self.reader.broke_off(after)
        return self.probe(*answers)

    def probe(self, *answers: Reply | PolysessionError) -> list[Any]:
        """What a probe tells that is due."""
        assert self.plan.probe_due
        self.plan.probe_due = False
        _, events = step(self.plan.probe(), *answers)
        return list(self.reader.take(events))


def listening(turn_input: Any = "hi", *answers: Reply | PolysessionError) -> Listener:
    return Listener(plan_for(turn_input, *(answers or (page(cursor=None),))))


def answering(parked: dict[str, Any], *answers: Any, status: str = "awaiting_permission") -> Listener:
    return listening(list(answers), told(status), page(parked))


def modelled(events: Iterable[Any]) -> list[str]:
    """The types of events without what is not modelled; those that are inferred have a star."""
    return [found.type + ("*" if found.synthetic else "") for found in events if found.type != "native"]


PLAIN = [
    "turn.started",
    "message.started",
    "message.delta",
    "message.delta",
    "message.completed",
    "usage",
    "turn.ended",
]
MISSED = ["turn.started*", "stream.gap*", "message.completed*", "usage*", "turn.ended*"]


# Starting a turn.


def test_a_turn_reads_where_it_begins_opens_the_stream_there_and_sends() -> None:
    calls, plan = steps(OPERATIONS.start_turn(SESSION, "hi"), page())
    assert calls == [messages()]
    opened = plan.open()
    assert (opened.method, opened.path) == ("GET", "/sessions/s1/stream?agent_id=a1&after=37-0")
    assert (opened.headers, opened.body) == ({"accept": "text/event-stream"}, None)
    sent, _ = step(plan.send(), STARTED)
    assert [(call.method, call.path, call.headers) for call in sent] == [(*CHAT, {})]
    assert sent_bodies(sent) == [{"agent_id": "a1", "session_id": "s1", "input": HI}]
    assert plan.silence_s < 30  # the heartbeat


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
    assert sent_bodies(calls)[1]["input"] == {"name": "user", "role": "user", "content": [wire]}


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
    assert turn.reader.is_finished()


@pytest.mark.parametrize("width", [1, 7])
def test_cut_anywhere_the_events_are_the_same(width: int) -> None:
    body = b":\n\n" + frames(*plain_turn())
    turn = listening()
    pieces = (body[at : at + width] for at in range(0, len(body), width))
    assert modelled(found for piece in pieces for found in turn.reader.feed(piece)) == PLAIN


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
    events = listening().hear(start(name="a1"), end(reason="error", error=error))
    assert modelled(events) == ["turn.started", "error", "turn.ended"]
    assert (events[-1].outcome, events[-1].error) == (Outcome.FAILED, "No model.")


# Answers.


@pytest.mark.parametrize("as_object", [True, False])
def test_an_approval_echoes_the_call_untouched(*, as_object: bool) -> None:
    odd = call_block("c1", "asking", arguments='{ "command":"ls" }')
    action = ToolApproval(id="c1", name="Bash", arguments={}, raw=odd)
    flow = OPERATIONS.start_turn(SESSION, [Approve(action if as_object else "c1")])
    calls, plan = steps(flow, told("awaiting_permission"), page(said_by_user(), reply(odd, reason=None)))
    assert calls == [STATUS, messages(10)]
    assert plan.open().path == "/sessions/s1/stream?agent_id=a1&after=37-0"
    sent, _ = step(plan.send(), STARTED)
    tool_call = {"type": "tool_call", "id": "c1", "name": "Bash", "input": '{ "command":"ls" }'}
    decision = {"confirmed": True, "tool_call": tool_call}
    wire_input = {"type": "USER_CONFIRM_RESULT", "reply_id": "r1", "confirm_results": [decision]}
    assert [(call.method, call.path) for call in sent] == [CHAT]
    assert sent_bodies(sent) == [{"agent_id": "a1", "session_id": "s1", "input": wire_input}]


def test_denials_and_outputs_have_their_forms() -> None:
    pending = told("awaiting_permission"), page(PARKED)
    calls, _ = step(OPERATIONS.answer_actions(SESSION, [Deny("c1")]), *pending, STARTED)
    assert [(call.method, call.path) for call in calls] == [STATUS, messages(10), CHAT]
    assert sent_bodies(calls)[2]["input"]["confirm_results"][0]["confirmed"] is False
    waiting = reply(*(call_block(name, "submitted", "lookup") for name in ("c1", "c2")), reason=None)
    outputs = [ToolOutput("c1", "blue"), ToolOutput("c2", "lost", is_error=True)]
    answers = told("awaiting_external_result"), page(waiting), STARTED
    calls, _ = step(OPERATIONS.answer_actions(SESSION, outputs), *answers)
    results = [
        {"type": "tool_result", "id": "c1", "name": "lookup", "output": "blue", "state": "success"},
        {"type": "tool_result", "id": "c2", "name": "lookup", "output": "lost", "state": "error"},
    ]
    assert sent_bodies(calls)[2]["input"] == {
        "type": "EXTERNAL_EXECUTION_RESULT",
        "reply_id": "r1",
        "execution_results": results,
    }


def test_a_reason_for_a_denial_cannot_be_told_and_is_refused_before_any_call() -> None:
    for flow in (
        OPERATIONS.start_turn(SESSION, [Deny("c1", "no")]),
        OPERATIONS.answer_actions(SESSION, [Deny("c1", "no")]),
    ):
        calls, error = failure(flow)
        assert (calls, type(error)) == ([], UnsupportedOperation)
        assert isinstance(error, UnsupportedOperation)
        assert error.feature == Feature.ANSWER_APPROVAL.value


MIXED = reply(call_block("c1", "asking"), call_block("c2", "submitted"), reason=None)


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([Approve("c9")], NotFound),
        ([ToolOutput("c1", "x")], UsageError),
        ([Approve("c2")], UsageError),
        ([Approve("c1"), ToolOutput("c2", "x")], UsageError),
    ],
)
def test_answers_that_do_not_fit_are_not_sent(answers: list[Any], kind: type[PolysessionError]) -> None:
    calls, error = failure(OPERATIONS.answer_actions(SESSION, answers), told("awaiting_permission"), page(MIXED))
    assert (calls, type(error)) == ([STATUS, messages(10)], kind)


@pytest.mark.parametrize("flow", [OPERATIONS.start_turn, OPERATIONS.answer_actions])
def test_a_late_answer_is_a_conflict(flow: Any) -> None:
    calls, error = failure(flow(SESSION, [Approve("c1")]), told("idle"))
    assert (calls, type(error)) == ([STATUS], Conflict)
    over = reply(call_block("c1", "finished"))
    calls, error = failure(flow(SESSION, [Approve("c1")]), told("awaiting_permission"), page(over))
    assert (calls, type(error)) == ([STATUS, messages(10)], Conflict)


def test_pending_actions_are_found_when_the_turn_has_come_to_rest() -> None:
    flow = OPERATIONS.pending_actions(SESSION)
    calls, actions = step(flow, told("running"), told("running"), told("awaiting_permission"), page(MIXED))
    assert [(call.method, call.path) for call in calls] == [STATUS, STATUS, STATUS, messages(10)]
    assert [call.after_s for call in calls] == [0.0, 0.05, 0.1, 0.0]
    assert [(action.type, action.id) for action in actions] == [("approval", "c1"), ("execution", "c2")]


@pytest.mark.parametrize("words", [["idle"], ["running"] * 5])
def test_nothing_is_pending_in_a_session_that_does_not_wait(words: list[str]) -> None:
    assert steps(OPERATIONS.pending_actions(SESSION), *map(told, words))[1] == ()


def test_the_reply_that_waits_may_be_far_back() -> None:
    newest = [said_by_user("still there?", "u2"), reply(reply_id="r2", reason="error")]
    answers = told("awaiting_permission"), page(*newest, has_more=True), page(PARKED, cursor=None)
    calls, actions = steps(OPERATIONS.pending_actions(SESSION), *answers)
    assert calls == [STATUS, messages(10), messages(10, before="u2")]
    assert [action.id for action in actions] == ["c1"]


def test_an_answered_turn_goes_on_in_its_reply() -> None:
    turn = answering(PARKED, Approve("c1"))
    stale = asks("c1")  # servers older than 2.0.10 replay where the reply waits
    events = turn.hear(stale, confirmed("c1"), start(), *result("c1"), *text("Done"), model_end(), end())
    assert [found.type for found in events[:3]] == ["turn.started", "native", "native"]
    assert modelled(events)[:3] == ["turn.started", "tool_result.delta", "tool_result.completed"]
    assert (events[-1].outcome, turn.reader.is_finished()) == (Outcome.COMPLETED, True)


def test_a_turn_may_wait_again() -> None:
    turn = answering(reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None), Approve("c1"))
    events = turn.hear(confirmed("c1"), start(), *result("c1"), asks("c2"))
    assert events[-1].outcome is Outcome.REQUIRES_ACTION
    assert [action.id for action in events[-2].actions] == ["c2"]


def test_what_was_not_answered_is_still_waited_for_although_nothing_says_so() -> None:
    waiting = reply(call_block("c1", "submitted"), call_block("c2", "submitted"), reason=None)
    turn = answering(waiting, ToolOutput("c1", "x"), status="awaiting_external_result")
    events = turn.hear(executed("c1"), start(), *result("c1", begun=True))
    assert [action.id for action in events[-2].actions] == ["c2"]
    assert (events[-1].outcome, events[-1].synthetic) == (Outcome.REQUIRES_ACTION, True)


# Breaks and silences.


@pytest.mark.parametrize("heard", range(7))
def test_after_a_break_the_replay_tells_only_what_is_new(heard: int) -> None:
    turn, happened = listening("hi", page()), plain_turn()
    events = turn.hear(*happened[:heard])
    assert turn.look(told("running")) == []
    assert turn.plan.reopen_after_s is None
    assert turn.connect() == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert modelled(events + turn.hear(*happened)) == PLAIN


def test_doubled_frames_are_told_once() -> None:
    assert modelled(listening().hear(*(raw for raw in plain_turn() for _ in range(2)))) == PLAIN


def test_a_turn_that_ended_meanwhile_is_told_from_its_message() -> None:
    turn = listening()
    events = turn.hear(*plain_turn()[:4])
    stored = reply(text_block("Hello"))
    events += turn.look(told("idle"), page(said_by_user(), stored))
    assert modelled(events) == [
        "turn.started",
        "message.started",
        "message.delta",
        "stream.gap*",
        "message.completed*",
        "usage*",
        "turn.ended*",
    ]
    assert events[-4].lost == ("native", "message.delta", "message.started")
    assert turn.reader.is_finished()


def test_a_turn_of_which_nothing_came_is_told_from_its_message() -> None:
    turn = listening("hi", page(reply(reply_id="r0")))
    events = turn.look(told("idle"), page(reply(reply_id="r0"), said_by_user(), reply(text_block("Hello"))))
    assert modelled(events) == MISSED
    assert events[2].message.text == "Hello"


@pytest.mark.parametrize("heard", [1, 2, 4])
def test_a_replay_that_was_cut_short_is_not_taken_for_the_turn(heard: int) -> None:
    """The log is cut to its last event when a turn ends: its end alone would hide what was missed."""
    turn, happened = listening(), plain_turn()
    events = turn.hear(*happened[:heard])
    turn.look(told("running"))
    turn.connect()
    custom = event("CUSTOM", None, name="state_updated", value={})
    assert modelled(turn.hear(custom, happened[-1], event("HINT_BLOCK", "r1"))) == []
    events += turn.probe(told("idle"), page(said_by_user(), reply(text_block("Hello"))))
    assert [kind for kind in modelled(events) if "completed" in kind or "ended" in kind] == [
        "message.completed*",
        "turn.ended*",
    ]
    assert events[-3].message.text == "Hello"


def test_the_status_is_read_less_often_while_nothing_comes() -> None:
    turn = listening()
    waits = [turn.plan.silence_s]
    for _ in range(5):
        turn.look(told("running"), after=SILENCE)
        assert turn.plan.reopen_after_s == 0.0
        waits.append(turn.plan.silence_s)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    turn.hear(*plain_turn()[:2])
    turn.look(told("running"), after=SILENCE)
    assert turn.plan.silence_s == 1.0


@pytest.mark.parametrize("heard", [0, 1, -1])
def test_a_log_that_was_cut_at_the_end_of_our_turn_is_looked_behind_at_once(heard: int) -> None:
    turn, happened = listening(), plain_turn()
    turn.hear(*happened[:heard])
    turn.look(told("running"))
    turn.connect()
    assert turn.hear(happened[-1]) == []
    assert turn.plan.probe_due
    calls, events = step(turn.plan.probe(), told("running"), told("idle"), page(reply(text_block("Hello"))))
    assert [(call.method, call.path) for call in calls] == [STATUS, STATUS, messages(10)]
    assert [call.after_s for call in calls] == [0.0, 0.05, 0.0]
    assert modelled(events) == (["stream.gap*", "turn.ended*"] if heard < 0 else MISSED)


def test_a_long_turn_of_which_the_log_forgot_the_middle_is_told_when_it_has_ended() -> None:
    turn, happened = listening(), plain_turn()
    turn.hear(*happened[:3])
    turn.look(told("running"))
    turn.connect()
    assert turn.hear(happened[4]) == []
    assert not turn.plan.probe_due
    assert turn.hear(*happened[5:]) == []
    assert turn.probe(*[told("running")] * 5) == []
    assert modelled(turn.look(told("idle"), page(reply(text_block("Hello"))), after=SILENCE))[0] == "stream.gap*"


def test_the_end_of_a_known_reply_is_nothing_to_look_behind() -> None:
    turn = listening("hi", page(reply(reply_id="r0")))
    turn.look(told("running"))
    turn.connect()
    assert turn.hear(end("r0")) == []
    assert not turn.plan.probe_due
    assert modelled(turn.hear(*plain_turn())) == PLAIN


def test_a_turn_that_left_no_trace_has_failed() -> None:
    turn = listening()
    for _ in range(4):
        assert turn.look(told("idle"), page(said_by_user())) == []  # a break says nothing about the turn
    for _ in range(2):
        assert turn.look(told("idle"), page(said_by_user()), after=SILENCE) == []
    started, ended = turn.look(told("idle"), page(said_by_user()), after=SILENCE)
    assert (started.type, started.synthetic) == ("turn.started", True)
    assert (ended.outcome, ended.native_reason, ended.synthetic) == (Outcome.FAILED, "no trace", True)
    assert turn.reader.is_finished()


def test_a_turn_that_was_left_has_failed() -> None:
    turn = listening()
    events = turn.hear(*plain_turn()[:4])
    for _ in range(3):
        events += turn.look(told("idle"), page(reply(text_block("Hel"), reason=None, usage=None)), after=SILENCE)
    assert modelled(events)[-2:] == ["message.completed*", "turn.ended*"]
    assert events[-1].native_reason == "no trace"


def test_a_turn_that_waits_ends_after_a_look_if_a_call_might_still_run() -> None:
    turn = listening()
    events = turn.hear(start(), *call("c1"), *call("c2"), asks("c1"))
    assert modelled(events)[-1] == "action.required"
    stored = reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None, usage=None)
    assert modelled(turn.look(told("awaiting_permission"), page(stored), after=SILENCE)) == ["turn.ended*"]


def test_an_answer_that_was_not_taken_up_yet_is_waited_for() -> None:
    turn = answering(PARKED, Approve("c1"))
    assert turn.look(told("awaiting_permission"), page(PARKED)) == []
    done = reply(call_block("c1", "finished"), result_block("c1"), text_block("Done"))
    events = turn.look(told("idle"), page(done))
    assert modelled(events) == [
        "turn.started*", "stream.gap*", "tool_result.completed*", "message.completed*", "turn.ended*",
    ]  # fmt: skip


def test_an_answer_that_is_never_taken_up_is_a_turn_that_failed() -> None:
    turn = answering(PARKED, Approve("c1"))
    looks = [turn.look(told("awaiting_permission"), page(PARKED), after=SILENCE) for _ in range(3)]
    assert [modelled(events) for events in looks] == [[], [], ["turn.started*", "turn.ended*"]]


def test_another_turn_of_the_session_is_not_told_for_an_answer() -> None:
    turn = answering(PARKED, Approve("c1"))
    assert turn.look(told("idle"), page(reply(text_block("Other"), reply_id="r5"))) == []


# Streams of a session.


def follow(cursor: str | None = None, *answers: Reply) -> Listener:
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
    assert not live.reader.is_finished()


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
    events += live.look(page(older, reply(reply_id="r0"), said_by_user(), *stored, cursor="52-0"))
    assert modelled(events)[3:] == ["stream.gap*", "message.completed*", "usage*", "turn.ended*", *MISSED]
    assert live.connect() == "/sessions/s1/stream?agent_id=a1&after=52-0"
    assert modelled(live.hear(end("r2"), *plain_turn("r3"))) == PLAIN


def test_a_turn_that_ends_just_before_the_reopening_is_told_from_its_message() -> None:
    live = follow()
    live.hear(*plain_turn("r1"))
    live.look(page(reply(reply_id="r1")))
    live.connect()
    assert live.hear(end("r2"), *plain_turn("r3")) == []  # they wait for the probe
    stored = [reply(reply_id="r1"), reply(text_block("Hi"), reply_id="r2"), reply(text_block("Ho"), reply_id="r3")]
    assert modelled(live.probe(page(*stored))) == MISSED + PLAIN
    assert modelled(live.hear(*plain_turn("r4"))) == PLAIN


def test_a_stream_says_when_events_are_gone_of_which_nothing_is_stored() -> None:
    live = follow()
    live.hear(*plain_turn("r1"))
    live.look(page(reply(reply_id="r1")))
    live.connect()
    live.hear(end("r2"))
    events = live.probe(page(reply(reply_id="r1")))
    assert modelled(events) == ["stream.gap*", "turn.ended"]
    assert {"turn.started", "message.completed", "native"} <= set(events[0].lost)


def test_after_a_break_a_stream_replays_the_running_turn() -> None:
    live, happened = follow(), plain_turn("r1")
    events = live.hear(*happened[:4])
    live.look(page(reply(reply_id="r0"), said_by_user()))
    live.connect()
    assert modelled(events + live.hear(*happened)) == PLAIN


@pytest.mark.parametrize("heard", range(1, 7))
def test_a_cursor_goes_on_in_another_process_in_the_middle_of_a_turn(heard: int) -> None:
    happened = plain_turn("r1")
    first = follow()
    events = first.hear(*happened[:heard])
    answers = page(reply(reply_id="r0"), said_by_user())
    second = follow(first.reader.cursor, answers)
    assert second.connect() == "/sessions/s1/stream?agent_id=a1&after=37-0"
    assert modelled(events + second.hear(*happened)) == PLAIN


def test_a_cursor_goes_on_after_its_turn_has_ended() -> None:
    first = follow()
    events = first.hear(*plain_turn("r1")[:4])
    stored = [reply(text_block("Hello"), reply_id="r1"), reply(text_block("Bye", "b2"), reply_id="r2")]
    second = follow(first.reader.cursor, page(*stored, cursor="52-0"))
    events += second.probe()
    assert modelled(events)[3:] == ["stream.gap*", "message.completed*", "usage*", "turn.ended*", *MISSED]
    assert modelled(second.hear(end("r2"), *plain_turn("r3"))) == PLAIN


def test_a_cursor_of_a_turn_goes_on_as_a_stream() -> None:
    turn, happened = listening(), plain_turn()
    events = turn.hear(*happened[:4])
    live = follow(turn.reader.cursor, page(said_by_user(), cursor=None))
    assert modelled(events + live.hear(*happened)) == PLAIN


def test_a_cursor_from_before_the_first_turn_misses_nothing() -> None:
    live = follow(listening().reader.cursor, page(said_by_user(), reply(text_block("Hello")), cursor="9-0"))
    assert live.connect() == "/sessions/s1/stream?agent_id=a1"
    assert modelled(live.probe()) == MISSED
    assert live.hear(end("r1")) == []


def test_a_replay_that_never_reaches_the_cursor_is_told_from_its_end_on() -> None:
    first = follow()
    first.hear(start("r1"), event("HINT_BLOCK", "r1", block_id="h"))
    again = plain_turn("r1")
    assert modelled(follow(first.reader.cursor, page()).hear(*again)) == ["turn.ended"]


def test_a_server_that_was_started_anew_hides_nothing_behind_an_old_cursor() -> None:
    first = follow()
    first.hear(*plain_turn("r1"))
    second = follow(first.reader.cursor, page(reply(reply_id="r1"), cursor=None))
    assert second.connect() == "/sessions/s1/stream?agent_id=a1"
    assert modelled(second.hear(*plain_turn("r2"))) == PLAIN


def test_a_cursor_tells_where_a_stream_stands() -> None:
    live = follow()
    happened = plain_turn("r1")
    live.hear(*happened)
    cursor = live.reader.cursor
    assert cursor is not None
    expected = {
        "after": "37-0",
        "event": happened[-1]["id"],
        "reply": "r1",
        "before": "r0",
        "phase": "over",
        "told": ["text:b1"],
    }
    assert json.loads(cursor) == expected
    fresh = json.loads(listening().reader.cursor or "")
    assert fresh == {"after": None, "event": None, "reply": None, "before": None, "phase": "new", "told": []}


@pytest.mark.parametrize("cursor", ["", "37-0", "{}", "[]", '{"after": 5}'])
def test_what_is_no_cursor_is_refused_before_any_call(cursor: str) -> None:
    calls, error = failure(OPERATIONS.stream_events(SESSION, cursor))
    assert (calls, type(error)) == ([], UsageError)


def test_many_events_are_not_remembered_for_ever() -> None:
    live = follow()
    first = start("r1")
    live.hear(first, *(event("MODEL_CALL_START", "r1") for _ in range(5_000)))
    assert modelled(live.hear(first)) == ["turn.started"]


def test_an_event_without_an_id_is_told() -> None:
    raw = {name: value for name, value in start("r1").items() if name != "id"}
    assert modelled(follow().hear(raw)) == ["turn.started"]


# History.


def user(number: int) -> dict[str, Any]:
    return said_by_user(f"message {number}", f"u{number}")


def test_history_is_read_back_to_its_beginning() -> None:
    flow = OPERATIONS.list_messages(SESSION, None)(None)
    newest, older = page(user(2), user(3), has_more=True), page(user(0), user(1), cursor=None)
    calls, found = steps(flow, newest, older)
    assert calls == [messages(200), messages(200, before="u2")]
    assert ([message.id for message in found.items], found.next_cursor) == (["u0", "u1", "u2", "u3"], None)


def test_history_goes_on_after_a_message() -> None:
    _, first = steps(OPERATIONS.list_messages(SESSION, 2)(None), page(*map(user, range(5))))
    assert ([message.id for message in first.items], first.next_cursor) == (["u0", "u1"], "u1")
    calls, second = steps(OPERATIONS.list_messages(SESSION, 2)("u1"), page(*map(user, range(1, 5)), has_more=True))
    assert calls == [messages(200)]
    assert ([message.id for message in second.items], second.next_cursor) == (["u2", "u3"], "u3")


def test_events_are_told_from_messages() -> None:
    stored = user(0), reply(call_block("c1", "finished"), result_block("c1"), text_block("Done"))
    calls, found = steps(OPERATIONS.list_events(SESSION, 2)(None), page(*stored))
    assert calls == [messages(200)]
    assert modelled(found.items) == [
        "message.completed*",
        "tool_call.completed*",
        "tool_result.completed*",
        "message.completed*",
    ]
    assert found.next_cursor is None


def test_what_is_no_cursor_of_history_is_refused() -> None:
    _, error = failure(OPERATIONS.list_messages(SESSION, None)("zz"), page(user(0)))
    assert type(error) is UsageError


# Older servers.


def old_page(*stored: dict[str, Any]) -> Reply:
    return ok({"messages": stored, "is_running": False})


def bare() -> Reply:
    return ok({"sessions": [{"id": "s1", "agent_id": "a1"}], "total": 1})


def offset(count: int) -> tuple[str, str]:
    return messages(200, offset=count)


def test_servers_before_2_0_6_count_messages_from_the_oldest() -> None:
    many = [user(number) for number in range(200)]
    flow = OPERATIONS.list_messages(SESSION, None)(None)
    calls, found = steps(flow, old_page(many[0]), old_page(*many), old_page(user(200)), view())
    assert calls == [messages(200), offset(0), offset(200), LIST]
    assert len(found.items) == 201


def test_servers_before_2_0_4_have_a_stream_and_no_status() -> None:
    turn = listening("hi", old_page(), old_page(reply(reply_id="r0")), view())
    assert turn.connect() == "/sessions/s1/stream?agent_id=a1"
    assert turn.look(NO_ROUTE, view(is_running=True)) == []
    stored = old_page(reply(reply_id="r0"), reply(text_block("Hello")))
    assert modelled(turn.look(NO_ROUTE, view(), old_page(), stored, view())) == MISSED


def test_on_2_0_0_the_answer_to_the_input_is_the_stream() -> None:
    flow = OPERATIONS.start_turn(SESSION, "hi")
    calls, plan = steps(flow, old_page(), old_page(reply(reply_id="r0")), bare())
    assert calls == [messages(), offset(0), LIST]
    opened = plan.open()
    assert (opened.method, opened.path, opened.headers) == (*CHAT, {"accept": "text/event-stream"})
    assert json.loads(opened.body) == {"agent_id": "a1", "session_id": "s1", "input": HI}
    assert steps(plan.send()) == ([], None)
    assert plan.cursor is None
    assert modelled(Listener(plan).hear(*plain_turn())) == PLAIN


def seed_turn(turn_input: Any = "hi", *stored: dict[str, Any]) -> Listener:
    looks: list[Reply | PolysessionError] = [NO_ROUTE, view()] if not isinstance(turn_input, str) else []
    return listening(turn_input, *looks, old_page(), old_page(*stored), bare())


def seed_look(turn: Listener, *stored: dict[str, Any]) -> list[Any]:
    return turn.look(old_page(), old_page(*stored), bare())


def test_on_2_0_0_an_answer_goes_on_without_a_start() -> None:
    turn = seed_turn([Approve("c1")], PARKED)
    events = turn.hear(*result("c1"), *text("Done"), end())
    assert modelled(events)[:2] == ["turn.started*", "tool_result.delta"]
    assert events[-1].outcome is Outcome.COMPLETED


def test_on_2_0_0_a_broken_turn_is_told_from_its_message_or_has_failed() -> None:
    turn = seed_turn()
    turn.hear(*plain_turn()[:4])
    assert modelled(seed_look(turn, reply(text_block("Hello"))))[-1] == "turn.ended*"
    turn = seed_turn()
    events = turn.hear(*plain_turn()[:4]) + seed_look(turn, said_by_user())
    assert (events[-1].outcome, events[-1].native_reason) == (Outcome.FAILED, "no trace")
    assert modelled(seed_look(seed_turn(), said_by_user())) == ["turn.started*", "turn.ended*"]
    assert modelled(seed_look(seed_turn(), reply(text_block("Hello")))) == MISSED


def test_on_2_0_0_a_turn_ends_with_its_stream_where_it_waits() -> None:
    turn = seed_turn()
    events = turn.hear(start(), *call("c1"), *call("c2"), asks("c1"))
    events += seed_look(turn, reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None))
    assert events[-1].outcome is Outcome.REQUIRES_ACTION


def test_on_2_0_0_no_turn_can_be_left_to_itself() -> None:
    looks: dict[Feature, tuple[Flow[Any], list[Reply | PolysessionError]]] = {
        Feature.SEND: (OPERATIONS.send_message(SESSION, "hi"), [old_page(), old_page()]),
        Feature.ANSWER: (
            OPERATIONS.answer_actions(SESSION, [Approve("c1")]),
            [NO_ROUTE, view(), old_page(), old_page(PARKED)],
        ),
        Feature.STREAM: (OPERATIONS.stream_events(SESSION, None), [old_page(), old_page()]),
    }
    for feature, (flow, answers) in looks.items():
        calls, error = failure(flow, *answers, bare())
        assert isinstance(error, UnsupportedOperation)
        assert (error.feature, CHAT in calls) == (feature.value, False)
