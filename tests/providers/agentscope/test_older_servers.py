"""Turns, streams and history of AgentScope servers before 2.0.6."""

from __future__ import annotations

import json
from typing import Any

from polysession._core.flow import Flow, Response
from polysession.action import Approve
from polysession.errors import NotFound, PolysessionError, UnsupportedOperation
from polysession.event import Outcome
from polysession.feature import Feature
from support.agentscope_events import (
    call,
    call_block,
    end,
    plain_turn,
    reply,
    requires_confirm,
    result,
    start,
    text,
    text_block,
    user_message,
)
from support.agentscope_streams import (
    CHAT,
    HI,
    LIST,
    MISSED,
    OPERATIONS,
    PLAIN,
    SESSION,
    WAITING_REPLY,
    Listener,
    failure,
    listen,
    messages,
    modelled,
    our_id,
    steps,
    user,
    view,
)
from support.flows import ok

NO_ROUTE = NotFound("Not Found", status=404)


def old_page(*stored: dict[str, Any]) -> Response:
    return ok({"messages": stored, "is_running": False})


def bare() -> Response:
    return ok({"sessions": [{"id": "s1", "agent_id": "a1"}], "total": 1})


def offset(count: int) -> tuple[str, str]:
    return messages(200, offset=count)


def test_servers_before_2_0_6_count_messages_from_the_oldest() -> None:
    many = [user(number) for number in range(200)]
    flow = OPERATIONS.list_messages(SESSION, None)(None)
    calls, found = steps(flow, old_page(many[0]), old_page(*many), old_page(user(200)), view())
    assert calls == [messages(200), offset(0), offset(200), LIST]
    assert len(found.items) == 201


def test_an_unreadable_session_does_not_decide_the_server_version() -> None:
    flow = OPERATIONS.list_messages(SESSION, None)(None)
    _, found = steps(flow, old_page(user(0)), old_page(user(0)), ok({"sessions": [5], "total": 1}))
    assert [message.id for message in found.items] == ["u0"]


def test_servers_before_2_0_4_have_a_stream_and_no_status() -> None:
    turn = listen("hi", old_page(), old_page(reply(reply_id="r0")), view())
    assert turn.connect() == "/sessions/s1/stream?agent_id=a1"
    assert turn.reconcile_after(NO_ROUTE, view(is_running=True), old_page(), old_page(*turn.stored), view()) == []
    stored = old_page(reply(reply_id="r0"), *turn.stored, reply(text_block("Hello")))
    assert modelled(turn.reconcile_after(NO_ROUTE, view(), old_page(), stored, view())) == MISSED


def test_on_2_0_0_the_response_to_the_input_is_the_stream() -> None:
    flow = OPERATIONS.start_turn(SESSION, "hi")
    calls, plan = steps(flow, old_page(), old_page(reply(reply_id="r0")), bare())
    assert calls == [messages(), offset(0), LIST]
    opened = plan.open()
    assert (opened.method, opened.path, opened.headers) == (*CHAT, {"accept": "text/event-stream"})
    body = json.loads(opened.body)
    assert body == {"agent_id": "a1", "session_id": "s1", "input": HI | {"id": body["input"]["id"]}}
    assert (plan.cursor, plan.rejoin()) == ("", None)
    assert plan.drain_s > 0  # the server stores the agent's memory when its response was read to the end
    assert modelled(Listener(plan).receive(*plain_turn())) == PLAIN


def legacy_turn(turn_input: Any = "hi", *stored: dict[str, Any]) -> Listener:
    looks: list[Response | PolysessionError] = [NO_ROUTE, view()] if not isinstance(turn_input, str) else []
    return listen(turn_input, *looks, old_page(), old_page(*stored), bare())


def legacy_reconcile(turn: Listener, *stored: dict[str, Any]) -> list[Any]:
    return turn.reconcile_after(old_page(), old_page(*stored), bare())


def test_on_2_0_0_an_answer_continues_without_a_start() -> None:
    turn = legacy_turn([Approve("c1")], WAITING_REPLY)
    events = turn.receive(*result("c1"), *text("Done"), end())
    assert modelled(events)[:2] == ["turn.started*", "tool_result.delta"]
    assert events[-1].outcome is Outcome.COMPLETED


def test_on_2_0_0_a_broken_turn_is_read_from_its_message_or_has_failed() -> None:
    turn = legacy_turn()
    turn.receive(*plain_turn()[:4])
    assert modelled(legacy_reconcile(turn, reply(text_block("Hello"))))[-1] == "turn.ended*"
    turn = legacy_turn()
    events = turn.receive(*plain_turn()[:4]) + legacy_reconcile(turn, user_message())
    assert (events[-1].outcome, events[-1].native_reason) == (Outcome.FAILED, "no trace")
    assert modelled(legacy_reconcile(legacy_turn(), user_message())) == ["turn.started*", "turn.ended*"]
    turn = legacy_turn()
    assert modelled(legacy_reconcile(turn, user_message("hi", our_id(turn.plan)), reply(text_block("Hello")))) == MISSED


def test_on_2_0_0_a_waiting_turn_ends_with_its_stream() -> None:
    turn = legacy_turn()
    events = turn.receive(start(), *call("c1"), *call("c2"), requires_confirm("c1"))
    events += legacy_reconcile(turn, reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None))
    assert events[-1].outcome is Outcome.REQUIRES_ACTION


def test_on_2_0_0_no_turn_can_run_in_the_background() -> None:
    looks: dict[Feature, tuple[Flow[Any], list[Response | PolysessionError]]] = {
        Feature.SESSIONS_SEND: (OPERATIONS.send_message(SESSION, "hi"), [old_page(), old_page()]),
        Feature.SESSIONS_ANSWER: (
            OPERATIONS.answer_actions(SESSION, [Approve("c1")]),
            [NO_ROUTE, view(), old_page(), old_page(WAITING_REPLY)],
        ),
        Feature.SESSIONS_STREAM: (OPERATIONS.stream_events(SESSION, None), [old_page(), old_page()]),
    }
    for feature, (flow, answers) in looks.items():
        calls, error = failure(flow, *answers, bare())
        assert isinstance(error, UnsupportedOperation)
        assert (error.feature, CHAT in calls) == (feature.value, False)
