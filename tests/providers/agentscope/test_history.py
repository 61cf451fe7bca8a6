"""Pages of an AgentScope session's history."""

from __future__ import annotations

from polysession._core.flow import Flow
from polysession._core.provider import Page
from polysession.errors import MalformedResponse, UsageError
from polysession.message import Message
from support.agentscope_events import call_block, reply, result_block, text_block, user_message
from support.agentscope_streams import OPERATIONS, SESSION, failure, messages, modelled, page, steps, user
from support.flows import ok


def test_history_is_read_back_to_its_start() -> None:
    flow = OPERATIONS.list_messages(SESSION, None)(None)
    newest, older = page(user(2), user(3), has_more=True), page(user(0), user(1), cursor=None)
    calls, found = steps(flow, newest, older)
    assert calls == [messages(200), messages(200, before="u2")]
    assert ([message.id for message in found.items], found.next_cursor) == (["u0", "u1", "u2", "u3"], None)


def test_a_page_of_history_continues_after_a_message() -> None:
    _, first = steps(OPERATIONS.list_messages(SESSION, 2)(None), page(*map(user, range(5))))
    assert ([message.id for message in first.items], first.next_cursor) == (["u0", "u1"], "u1")
    calls, second = steps(OPERATIONS.list_messages(SESSION, 2)("u1"), page(*map(user, range(1, 5)), has_more=True))
    assert calls == [messages(200)]
    assert ([message.id for message in second.items], second.next_cursor) == (["u2", "u3"], "u3")


def test_events_are_built_from_messages() -> None:
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


def test_an_invalid_cursor_of_history_is_rejected() -> None:
    _, error = failure(OPERATIONS.list_messages(SESSION, None)("zz"), page(user(0)))
    assert type(error) is UsageError


def test_an_unreadable_message_does_not_affect_others_and_is_reported() -> None:
    odd = user_message("b", "u1") | {"usage": "much", "content": [5, {"type": "text", "text": ["b"]}, text_block("c")]}
    _, found = steps(OPERATIONS.list_messages(SESSION, None)(None), page(user(0), 5, {"role": "user"}, odd))  # type: ignore[arg-type]
    assert [(message.id, message.problems) for message in found.items] == [
        ("u0", ()),
        ("u1", ("usage: not an object", "content[0]: not an object", "content[1].text: not text")),
    ]
    assert found.items[1].text == "c"
    assert found.problems == (
        "item 1: the body is not a JSON object",
        "item 2: it has no valid id",
    )


def test_older_messages_that_cannot_be_requested_are_an_error() -> None:
    for stored in ([], [{"role": "user"}]):
        flow = OPERATIONS.list_messages(SESSION, None)(None)
        _, error = failure(flow, page(*stored, has_more=True))
        assert type(error) is MalformedResponse


def test_messages_survive_storage() -> None:
    stored = user(0), reply(call_block("c1", "finished"), result_block("c1"), text_block("Done"), {"type": "hint"})
    _, found = steps(OPERATIONS.list_messages(SESSION, None)(None), page(*stored))
    for message, raw in zip(found.items, stored, strict=True):
        assert Message.model_validate_json(message.model_dump_json()) == message
        assert message.raw == raw


def newest_first(limit: int | None, cursor: str | None = None) -> Flow[Page[Message]]:
    return OPERATIONS.list_messages(SESSION, limit, newest_first=True)(cursor)


def test_messages_are_read_newest_first_with_one_call_per_page() -> None:
    calls, first = steps(newest_first(2), page(user(3), user(4), has_more=True))
    assert calls == [messages(2)]
    assert ([message.id for message in first.items], first.next_cursor) == (["u4", "u3"], "u3")
    calls, last = steps(newest_first(2, "u3"), page(user(2), cursor=None))
    assert calls == [messages(2, before="u3")]
    assert ([message.id for message in last.items], last.next_cursor) == (["u2"], None)


def test_an_empty_page_that_is_not_the_last_is_an_error() -> None:
    _, error = failure(newest_first(2), page({"role": "user"}, has_more=True))
    assert type(error) is MalformedResponse


def test_servers_before_2_0_6_read_all_messages_for_the_newest() -> None:
    whole = ok({"messages": [user(number) for number in range(3)], "is_running": False})
    _, first = steps(newest_first(2), whole, whole)
    assert ([message.id for message in first.items], first.next_cursor) == (["u2", "u1"], "u1")
    _, last = steps(newest_first(2, "u1"), whole, whole)
    assert ([message.id for message in last.items], last.next_cursor) == (["u0"], None)
    _, error = failure(newest_first(2, "zz"), whole, whole)
    assert type(error) is UsageError


def test_an_older_list_that_repeats_its_first_page_is_an_error() -> None:
    whole = ok({"messages": [user(number) for number in range(200)], "is_running": False})
    _, error = failure(OPERATIONS.list_messages(SESSION, None)(None), whole, whole, whole)
    assert type(error) is MalformedResponse
