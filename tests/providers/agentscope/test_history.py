"""History of an AgentScope session, page by page."""

from __future__ import annotations

from polysession.errors import UsageError
from support.agentscope_events import call_block, reply, result_block, text_block
from support.agentscope_streams import OPERATIONS, SESSION, failure, messages, modelled, page, steps, user


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
