"""Frames of a thread's stream as common events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from polysession import (
    EVENT,
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    RawBlock,
    RawEvent,
    Role,
    StreamGap,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolCallCompleted,
    ToolCallDelta,
    ToolResultBlock,
    ToolResultCompleted,
    UsageReported,
)
from polysession._core.sse import Frame
from polysession_langgraph.events import EVENT_TYPES, EventReader, Position
from polysession_langgraph.messages import message_reader, tail_of
from polysession_langgraph.wire import WireRun

RUN = "01a22c12-a123-73b8-8261-7ae4d5fc3f81"
HUMAN = {"type": "human", "id": "h1", "content": "hi"}
USAGE = {"input_tokens": 7, "output_tokens": 5, "input_token_details": {"cache_read": 3}}


def mark(run_id: str = RUN, **fields: Any) -> Frame:
    return Frame("metadata", json.dumps({"run_id": run_id, **fields}).encode(), "1-0")


def frame(method: str, seq: int, namespace: Sequence[str] = (), **params: Any) -> Frame:
    inner = {"namespace": list(namespace), "timestamp": 1796035748885, **params}
    data = {"type": "event", "method": method, "params": inner, "seq": seq}
    return Frame("|".join([method, *namespace]), json.dumps(data).encode(), f"2-{seq}")


def piece(seq: int, event: str, namespace: Sequence[str] = (), **fields: Any) -> Frame:
    return frame("messages", seq, namespace, data={"event": event, **fields})


def values(seq: int, *messages: dict[str, Any]) -> Frame:
    return frame("values", seq, data={"messages": list(messages)}, interrupts=[])


class Reading:
    """Reads frames like a stream.

    Args:
        position: Position of the stream.
    """

    def __init__(self, **position: Any) -> None:
        self.at = Position(**position)
        self.reader = EventReader("thread_1", "messages", self.at)

    def __call__(self, *frames: Frame) -> list[Event]:
        return [event for each in frames for event in self.one(each) or ()]

    def one(self, frame: Frame) -> Sequence[Event] | None:
        """Return the events of one frame; None if frames before it are missing."""
        if frame.event == "metadata":
            run = msgspec.json.decode(frame.data, type=WireRun)
            events: Sequence[Event] | None = self.reader.start(run, self.reader.envelope(frame, ()))
        else:
            events = self.reader.read(frame)
        self.at.last = frame.id or ""
        return events


def read(*frames: Frame) -> list[Event]:
    return Reading()(*frames)


def types(events: Sequence[Any]) -> list[str]:
    return [event.type for event in events]


def test_a_run_starts_once() -> None:
    started, running, *more = read(mark(attempt=1), mark(attempt=1))

    assert types([started, running]) == ["turn.started", "session.status"]
    assert started.turn_id == RUN
    assert more == []


def test_a_message_is_read_in_pieces_and_as_a_whole() -> None:
    events = read(
        mark(),
        piece(1, "message-start", role="ai", id="m1"),
        piece(2, "content-block-start", index=0, content={"type": "reasoning", "reasoning": ""}),
        piece(3, "content-block-delta", index=0, delta={"type": "reasoning-delta", "reasoning": "let me think"}),
        piece(4, "content-block-start", index=1, content={"type": "text", "text": ""}),
        piece(5, "content-block-delta", index=1, delta={"type": "text-delta", "text": "Hello"}),
        piece(6, "content-block-start", index=2, content={"type": "tool_call_chunk", "id": "c1", "name": "add"}),
        piece(7, "content-block-delta", index=2, delta={"type": "tool-call-delta", "args": '{"a":1}'}),
        piece(8, "content-block-finish", index=0, content={"type": "reasoning", "reasoning": "let me think"}),
        piece(9, "content-block-finish", index=1, content={"type": "text", "text": "Hello"}),
        piece(
            10, "content-block-finish", index=2, content={"type": "tool_call", "id": "c1", "name": "add", "args": {}}
        ),
        piece(11, "message-finish", usage=USAGE),
    )[2:]

    assert types(events) == [
        "message.started",
        "thinking.started",
        "thinking.delta",
        "thinking.completed",
        "message.delta",
        "tool_call.started",
        "tool_call.delta",
        "tool_call.completed",
        "message.completed",
        "usage",
    ]
    completed = next(event for event in events if isinstance(event, MessageCompleted))
    assert [type(block) for block in completed.message.content] == [ThinkingBlock, TextBlock, ToolCallBlock]
    assert completed.message.usage is not None
    assert completed.message.usage.cache_read_tokens == 3
    assert (completed.id, completed.turn_id) == (f"{RUN}:11", RUN)
    delta = next(event for event in events if isinstance(event, MessageDelta))
    assert (delta.id, delta.message_id, delta.text) == (None, "m1", "Hello")
    assert isinstance(events[-1], UsageReported)


def test_a_repeated_frame_counts_once() -> None:
    start = piece(1, "message-start", role="ai", id="m1")

    assert types(read(mark(), start, start))[2:] == ["message.started"]


def test_messages_of_subgraphs_are_not_mixed() -> None:
    events = read(
        mark(),
        piece(1, "message-start", ["child:1"], role="ai", id="m1"),
        piece(2, "message-start", ["child:2"], role="ai", id="m2"),
        piece(3, "content-block-delta", ["child:1"], index=0, delta={"type": "text-delta", "text": "one"}),
        piece(4, "content-block-delta", ["child:2"], index=0, delta={"type": "text-delta", "text": "two"}),
    )

    assert [event.message_id for event in events if isinstance(event, MessageDelta)] == ["m1", "m2"]


def test_input_and_tool_results_are_read_from_the_state() -> None:
    old = {"type": "ai", "id": "a0", "content": "earlier"}
    tool = {"type": "tool", "id": "t1", "tool_call_id": "c1", "content": "3", "status": "success"}
    failed = {"type": "tool", "id": "t2", "tool_call_id": "c2", "content": "broke", "status": "error"}
    said = {"type": "ai", "id": "a1", "content": "", "tool_calls": []}

    events = read(mark(), values(1, old, HUMAN), values(2, old, HUMAN, said), values(3, old, HUMAN, said, tool, failed))

    user = next(event for event in events if isinstance(event, MessageCompleted))
    assert (user.message.role, user.message.text, user.id) == (Role.USER, "hi", "h1")
    results = [event for event in events if isinstance(event, ToolResultCompleted)]
    assert [(each.tool_call_id, each.text, each.is_error) for each in results] == [
        ("c1", "3", False),
        ("c2", "broke", True),
    ]


def test_our_message_marks_the_start_of_the_input() -> None:
    unanswered = {"type": "human", "id": "h0", "content": "of a turn that failed"}

    events = Reading(turn="h1")(mark(), values(1, unanswered, HUMAN))

    assert [event.id for event in events if isinstance(event, MessageCompleted)] == ["h1"]


def test_a_tool_result_on_both_channels_is_delivered_once() -> None:
    output = {"type": "tool", "tool_call_id": "c1", "content": "3", "status": "success"}
    finished = frame("tools", 2, data={"event": "tool-finished", "tool_call_id": "c1", "output": output})
    events = read(mark(), values(1, HUMAN), finished, values(3, HUMAN, {**output, "id": "t1"}))

    (result,) = [event for event in events if isinstance(event, ToolResultCompleted)]
    assert (result.text, result.is_error) == ("3", False)
    failed = frame("tools", 1, data={"event": "tool-error", "tool_call_id": "c2", "message": "broke"})
    (error,) = [event for event in read(mark(), failed) if isinstance(event, ToolResultCompleted)]
    assert error.is_error


def test_a_tool_result_that_is_not_a_message_becomes_text() -> None:
    finished = frame("tools", 1, data={"event": "tool-finished", "tool_call_id": "c1", "output": 3})
    (result,) = [event for event in read(mark(), finished) if isinstance(event, ToolResultCompleted)]

    assert result.text == "3"


def test_the_arguments_of_a_tool_call_come_in_pieces() -> None:
    start = piece(2, "content-block-start", index=0, content={"type": "tool_call_chunk", "id": "c1", "name": "lookup"})
    delta = piece(3, "content-block-delta", index=0, delta={"type": "tool-call-delta", "args": '{"query"'})
    events = read(mark(), piece(1, "message-start", role="ai", id="a1"), start, delta)

    assert [event.text for event in events if isinstance(event, ToolCallDelta)] == ['{"query"']


def test_an_empty_piece_is_not_an_event() -> None:
    empty = piece(2, "content-block-delta", index=0, delta={"type": "text-delta", "text": ""})

    assert types(read(mark(), piece(1, "message-start", role="ai", id="a1"), empty))[2:] == ["message.started"]


def test_a_piece_of_an_unknown_kind_is_raw() -> None:
    odd = piece(2, "content-block-delta", index=0, delta={"type": "new-delta"})
    events = read(mark(), piece(1, "message-start", role="ai", id="a1"), odd)

    assert [event.native_type for event in events if isinstance(event, RawEvent)] == ["messages"]


def test_the_tokens_of_a_run_whose_start_was_missed_are_not_added_up() -> None:
    reading = Reading(run=RUN)
    events = reading(piece(8, "message-start", role="ai", id="a1"), piece(9, "message-finish", usage=USAGE))

    assert "usage" in types(events)
    assert reading.at.used is None


def test_a_state_whose_last_message_is_unreadable_has_no_tail() -> None:
    assert tail_of(msgspec.Raw(b'{"messages": [7]}'), "messages") is None


def test_an_error_waits_for_the_end_of_its_run() -> None:
    wrong = Frame("error", b'{"error": "GraphRecursionError", "message": "Recursion limit reached"}', "3-0")

    reading = Reading()
    *_, reported = reading(mark(), wrong)

    assert isinstance(reported, ErrorReported)
    assert reported.code == "GraphRecursionError"
    assert reading.reader.failure is not None
    assert reading.reader.failure.error == "GraphRecursionError"


def test_a_failure_that_is_repeated_after_a_reopening_is_reported_once() -> None:
    wrong = Frame("error", b'{"error": "ValueError", "message": "broken"}', "3-0")
    reader = EventReader("t1", "messages", Position())

    assert [type(event) for event in reader.read(wrong) or ()] == [ErrorReported]
    assert reader.read(wrong) == ()


@pytest.mark.parametrize(
    "odd",
    [
        Frame("updates", b'{"agent": {}}', "9-0"),
        Frame("new kind", b"[1]", "9-0"),
        Frame("values", b"not JSON", "9-0"),
        Frame("error", b"null", "9-0"),
        frame("custom", 1, data={"step": 1}),
        piece(1, "content-block-delta", index=0, delta={"type": "text-delta", "text": "of a message before"}),
        piece(1, "data-block", index=0),
        frame("values", 1, ["child:1"], data={"messages": [HUMAN]}),
        frame("values", 1, data={"messages": ["no message"]}),
        frame("messages", 1, data=None),
    ],
    ids=lambda odd: odd.event,
)
def test_frames_that_are_not_modelled_are_raw_and_survive_storage(odd: Frame) -> None:
    (event,) = read(mark(), odd)[2:]

    assert isinstance(event, RawEvent)
    assert event.source == odd.data
    assert EVENT.validate_json(event.model_dump_json()) == event


def test_half_a_surrogate_pair_does_not_end_the_stream() -> None:
    broken = piece(2, "content-block-delta", index=0, delta={"type": "text-delta", "text": "\ud83d"})

    *_, delta = read(mark(), piece(1, "message-start", role="ai", id="m1"), broken)

    assert isinstance(delta, MessageDelta)
    assert delta.text == "\ufffd"


def test_every_event_survives_storage() -> None:
    events = read(mark(), values(1, HUMAN), piece(2, "message-start", role="ai", id="m1"), piece(3, "message-finish"))

    for event in events:
        assert EVENT.validate_json(event.model_dump_json()) == event
        assert event.source != b"{}"


def test_messages_of_the_state_are_read() -> None:
    wire = {
        "type": "ai",
        "id": "a1",
        "name": "writer",
        "content": [{"type": "text", "text": "Hello"}, {"type": "image_url", "image_url": "x"}, "!"],
        "tool_calls": [{"id": "c1", "name": "add", "args": {"a": 1}, "type": "tool_call"}],
        "usage_metadata": USAGE,
    }
    message = message_reader("thread_1")(json.dumps(wire).encode())

    assert (message.role, message.text, message.author) == (Role.ASSISTANT, "Hello!", "writer")
    assert [type(block) for block in message.content] == [TextBlock, RawBlock, TextBlock, ToolCallBlock]
    tool = message_reader("thread_1")(b'{"type": "tool", "tool_call_id": "c1", "content": "3", "status": "error"}')
    assert tool.content == (ToolResultBlock(tool_call_id="c1", text="3", is_error=True),)


def test_a_completed_tool_call_has_its_arguments() -> None:
    call = {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1}}
    events = read(mark(), piece(1, "message-start", role="ai"), piece(2, "content-block-finish", index=0, content=call))

    (completed,) = [event for event in events if isinstance(event, ToolCallCompleted)]
    assert completed.arguments == {"a": 1}


def test_the_table_names_every_type_that_is_read() -> None:
    assert {"metadata", "values", "messages", "tools", "error"} <= EVENT_TYPES.keys()


SAID = {"type": "ai", "id": "a1", "content": "all of it", "usage_metadata": {"input_tokens": 7, "output_tokens": 5}}
START = piece(2, "message-start", role="ai", id="a1")
FINISH = piece(5, "message-finish", usage=USAGE)


@pytest.mark.parametrize(
    ("before", "missing_before"),
    [
        pytest.param([mark(), values(1, HUMAN)], FINISH, id="in a run"),
        pytest.param([], values(1, HUMAN), id="the start of a run"),
    ],
)
def test_frames_that_are_missing_are_noticed(before: list[Frame], missing_before: Frame) -> None:
    reading = Reading()
    reading(*before)

    assert reading.one(missing_before) is None


@pytest.mark.parametrize("pieces", [[START], []])
def test_a_message_with_lost_frames_is_read_from_the_state(pieces: list[Frame]) -> None:
    reading = Reading()
    reading(mark(), values(1, HUMAN), *pieces)
    (gap,) = reading.reader.report_gap()
    events = reading(FINISH, values(6, HUMAN, SAID))

    assert isinstance(gap, StreamGap)
    assert reading.reader.report_gap() == (), "one break makes one gap"
    assert types(events) == ["message.completed", "usage"]
    assert isinstance(events[0], MessageCompleted)
    assert events[0].message.text == "all of it"


def test_a_restarted_run_is_numbered_from_its_beginning_and_has_a_gap() -> None:
    events = read(mark(attempt=1), values(1, HUMAN), START, mark(attempt=2), piece(1, "message-start", role="ai"))

    assert types(events)[3:] == ["message.started", "stream.gap", "message.started"]


def test_a_state_whose_messages_were_removed_repeats_none() -> None:
    summary = {"type": "system", "id": "s1", "content": "summary"}
    events = read(mark(), values(1, HUMAN), values(2, HUMAN, SAID), values(3, summary), values(4, summary, HUMAN))

    assert types(events)[2:] == ["message.completed", "message.completed", "usage"]


def test_a_copy_of_a_models_message_is_not_delivered_again() -> None:
    """A node may store the text of a model's message under another id."""
    text = {"type": "text", "text": "all of it"}
    wrote = [START, piece(3, "content-block-finish", index=0, content=text), piece(4, "message-finish")]
    events = read(mark(), values(1, HUMAN), *wrote, values(5, HUMAN, {**SAID, "id": "other"}))

    assert types(events)[2:] == ["message.completed", "message.started", "message.completed"]


def test_messages_without_ids_are_delivered_once() -> None:
    human = {"type": "human", "content": "hi"}

    assert types(read(mark(), values(1, human), values(2, human)))[2:] == ["message.completed"]


def test_an_unreadable_time_does_not_affect_the_rest() -> None:
    odd = frame("values", 1, timestamp=10**30, data={"messages": [HUMAN]})
    (event,) = read(mark(), odd)[2:]

    assert isinstance(event, MessageCompleted)
    assert event.created_at is None
    assert event.message.text == "hi"
