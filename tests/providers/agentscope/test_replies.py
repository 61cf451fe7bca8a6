"""AgentScope's stored messages: blocks, history, and missed events."""

from __future__ import annotations

from typing import Any

import pytest

from polysession.errors import UsageError
from polysession.event import Outcome
from polysession.message import MediaBlock, RawBlock, Role, TextBlock, ThinkingBlock, ToolCallBlock, ToolResultBlock
from polysession.session import Usage
from polysession_agentscope.events import EventReader
from polysession_agentscope.history import history_events, to_message
from polysession_agentscope.replies import Phase
from polysession_agentscope.turns import build_message
from support.agentscope_events import (
    COUNTS,
    call,
    call_block,
    confirmed,
    end,
    event,
    model_end,
    reply,
    requires_confirm,
    result,
    result_block,
    start,
    text,
    text_block,
    user_message,
)
from support.agentscope_reading import PDF, PNG, USAGE, modelled, read, stored, text_of, types

# History from stored messages.


STORED = reply(
    {"type": "hint", "hint": "Mind.", "id": "h", "source": None},
    {"type": "thinking", "thinking": "Hm", "id": "t"},
    call_block("c1", "finished"),
    result_block("c1", [text_block("o"), {"type": "data", "id": "d", "source": {}}, text_block("k")], "error"),
    {"type": "data", "id": "d", "source": {"type": "base64", "data": PNG, "media_type": "image/png"}, "name": "photo"},
    {"type": "data", "id": "d2", "source": {"type": "url", "url": PDF, "media_type": "application/pdf"}},
    text_block("Hello"),
)


def test_a_message_has_all_its_blocks() -> None:
    message = to_message("s1", stored(STORED))
    assert (message.id, message.session_id, message.role, message.usage) == ("r1", "s1", Role.ASSISTANT, USAGE)
    assert (message.text, message.raw, message.created_at) == ("Hello", STORED, None)
    assert message.content == (
        RawBlock(payload=STORED["content"][0]),
        ThinkingBlock(text="Hm"),
        ToolCallBlock(id="c1", name="Bash", arguments={"command": "ls"}),
        ToolResultBlock(tool_call_id="c1", text="ok", is_error=True),
        MediaBlock(type="image", data=PNG, media_type="image/png", title="photo"),
        MediaBlock(type="document", url=PDF, media_type="application/pdf"),
        TextBlock(text="Hello"),
    )


def test_a_block_that_cannot_be_sent_is_rejected() -> None:
    with pytest.raises(UsageError):
        build_message([ThinkingBlock(text="Hm")])


OOPS = {"input": "{oops"}


@pytest.mark.parametrize(
    ("wire", "role", "content"),
    [
        ({"role": "user", "content": "hi"}, Role.USER, (TextBlock(text="hi"),)),
        ({"role": "system", "content": []}, Role.SYSTEM, ()),
        ({"role": "robot"}, Role.UNKNOWN, ()),
        ({"content": [{"type": "data", "source": PDF}]}, Role.UNKNOWN, (MediaBlock(type="document", url=PDF),)),
        (
            {"content": [{"type": "tool_call", "input": "{oops"}]},
            Role.UNKNOWN,
            (ToolCallBlock(id="", name="", arguments=OOPS),),
        ),
        ({"content": [{"type": "tool_call", "input": ""}]}, Role.UNKNOWN, (ToolCallBlock(id="", name=""),)),
        ({"content": [{"type": "tool_result", "id": "c"}]}, Role.UNKNOWN, (ToolResultBlock(tool_call_id="c"),)),
    ],
)
def test_messages_in_other_formats_are_read(wire: dict[str, Any], role: Role, content: tuple[Any, ...]) -> None:
    message = to_message("s1", stored({"id": "m", **wire}))
    assert (message.role, message.content, message.usage) == (role, content, None)


def test_each_stored_block_becomes_an_event() -> None:
    assert types(history_events("s1", stored(user_message("hi")))) == ["message.completed"]
    events: list[Any] = history_events("s1", stored(STORED))
    assert types(events) == [
        "raw",
        "thinking.completed",
        "tool_call.completed",
        "tool_result.completed",
        "message.completed",
        "message.completed",
        "message.completed",
    ]
    assert {(events.synthetic, events.turn_id) for events in events} == {(True, "r1")}
    assert (events[-1].message.id, events[-1].message.text) == ("b1", "Hello")


def test_a_running_tool_has_no_result_in_history() -> None:
    waiting = reply(call_block("c1", "submitted"), result_block("c1", [], "running"), reason=None)
    assert types(history_events("s1", stored(waiting))) == ["tool_call.completed"]
    silent = reply(call_block("c1", "finished"), result_block("c1", []))
    assert types(history_events("s1", stored(silent))) == ["tool_call.completed", "tool_result.completed"]
    behind = reply(call_block("c1", "finished"), result_block("c1", "later", "running"))
    assert types(history_events("s1", stored(behind))) == ["tool_call.completed", "tool_result.completed"]


def test_history_contains_the_error_of_a_failed_reply() -> None:
    failed = reply(text_block("half"), reason="error") | {"error": {"type": "upstream", "message": "no answer"}}
    events: list[Any] = history_events("s1", stored(failed))
    text, error = events
    assert (text.type, error.type, error.message, error.code) == ("message.completed", "error", "no answer", "upstream")
    again: list[Any] = history_events("s1", stored(failed | {"error": {"type": "x"}}))
    assert again[-1].message == "the turn failed with 'x'"


# Missed events of a reply.


def test_only_undelivered_events_are_recovered() -> None:
    reader = EventReader("s1")
    hint = event("HINT_BLOCK", block_id="h", source=None, hint="Mind.")
    delivered = read(start(), hint, *call("c1"), model_end(), *text("Hel")[:2], reader=reader)
    assert modelled(delivered)[-2:] == ["message.started", "message.delta"]
    whole = reply(*STORED["content"], usage={name: 2 * count for name, count in COUNTS.items()})
    events: list[Any] = reader.catch_up(stored(whole), may_lack=False)
    assert types(events) == [
        "stream.gap",
        "thinking.completed",
        "tool_result.completed",
        "message.completed",
        "message.completed",
        "message.completed",
        "usage",
        "turn.ended",
    ]
    assert all(missed.synthetic for missed in events)
    assert events[-2].usage == USAGE
    assert events[-1].usage == Usage(input_tokens=14, output_tokens=6, cache_read_tokens=4, cache_creation_tokens=2)
    assert reader.catch_up(stored(whole), may_lack=False) == []
    assert reader.read(text_of(end())) == ()


def test_an_undelivered_reply_is_recovered_from_its_start() -> None:
    failed = reply(reason="error", usage=None, error={"type": "upstream", "message": "Broken."})
    events: list[Any] = EventReader("s1").catch_up(stored(failed), may_lack=False)
    assert types(events) == ["turn.started", "error", "turn.ended"]
    assert (events[-1].outcome, events[-1].error, events[-1].usage) == (Outcome.FAILED, "Broken.", None)


def test_a_waiting_reply_is_recovered_up_to_its_pending_actions() -> None:
    reader = EventReader("s1")
    waiting = reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None)
    assert types(reader.catch_up(stored(waiting), may_lack=True)) == [
        "turn.started", "stream.gap", "tool_call.completed", "tool_call.completed", "usage", "action.required",
        "turn.ended",
    ]  # fmt: skip
    assert reader.catch_up(stored(waiting), may_lack=True) == []
    read(confirmed("c1"), start(), reader=reader)
    further = reply(call_block("c1", "finished"), result_block("c1"), call_block("c2", "asking"), reason=None)
    events: list[Any] = reader.catch_up(stored(further), may_lack=False)
    assert types(events) == ["stream.gap", "tool_result.completed", "action.required", "turn.ended"]
    assert events[0].lost == ("raw", "tool_result.delta")
    assert [action.id for action in events[2].actions] == ["c2"]


def test_an_unfinished_reply_has_no_end() -> None:
    assert types(EventReader("s1").catch_up(stored(reply(text_block("Hel"), reason=None)), may_lack=False)) == [
        "turn.started",
        "stream.gap",
        "message.completed",
        "usage",
    ]


def test_delivered_events_are_not_delivered_again() -> None:
    reader = EventReader("s1")
    reader.mark_delivered(stored(STORED))
    assert reader.catch_up(stored(STORED), may_lack=True) == []
    assert reader.read(text_of(end())) == ()
    waiting_reply = reply(call_block("c1", "asking"), call_block("c2", "pending"), reason=None)
    reader = EventReader("s1")
    reader.mark_delivered(stored(waiting_reply))
    assert reader.read(text_of(requires_confirm("c1"))) == ()
    events = read(confirmed("c1"), start(), *result("c1"), requires_confirm("c2"), reader=reader)
    assert [action.id for action in events[-2].actions] == ["c2"]
    assert events[-1].usage is None


def test_a_stored_call_that_may_still_run_keeps_the_turn_open() -> None:
    reader = EventReader("s1")
    waiting = reply(call_block("c1", "asking"), call_block("c2", "pending"), call_block("c3", "pending"), reason=None)
    reader.mark_delivered(stored(waiting))
    assert (
        read(confirmed("c1"), start(), *result("c1"), requires_confirm("c2"), reader=reader)[-1].type
        == "action.required"
    )


def test_another_stream_resumes_the_state_of_a_reply() -> None:
    reader = EventReader("s1")
    reader.restore("r1", Phase.OPEN, ["text:b1"])
    assert types(reader.catch_up(stored(reply(text_block("Hello"))), may_lack=False)) == [
        "stream.gap", "usage", "turn.ended",
    ]  # fmt: skip
