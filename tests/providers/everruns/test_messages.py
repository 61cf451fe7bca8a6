"""Messages, answers and history of Everruns, from flows that are stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from polysession.action import Answer, ToolExecution, ToolOutput
from polysession.errors import Conflict, InvalidRequest, MalformedResponse, NotFound, UnsupportedOperation, UsageError
from polysession.message import Block, MediaBlock, TextBlock
from support.everruns_streams import (
    ACCEPTED,
    ACTION,
    BOTH,
    DONE,
    HI,
    HISTORY,
    ID,
    NEWEST,
    OPERATIONS,
    PATH,
    POSTED,
    REQUESTED,
    RESULTS,
    conflict,
    event,
    listed,
    message,
    summary,
)
from support.flows import ok, step


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("Hi", HI),
        ([TextBlock(text="a"), TextBlock(text="b")], [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ([MediaBlock(type="image", url="https://a/b")], [{"type": "image", "url": "https://a/b"}]),
        (
            [MediaBlock(type="image", url="https://a/b", media_type="image/png")],
            [{"type": "image", "url": "https://a/b", "media_type": "image/png"}],
        ),
        (
            [MediaBlock(type="image", data="AA==", media_type="image/png")],
            [{"type": "image", "base64": "AA==", "media_type": "image/png"}],
        ),
        ([MediaBlock(type="image", file_id="img_1")], [{"type": "image_file", "image_id": "img_1"}]),
        (
            [MediaBlock(type="image", file_id="img_1", title="a.png")],
            [{"type": "image_file", "image_id": "img_1", "filename": "a.png"}],
        ),
    ],
)
def test_a_message_is_sent_as_it_was_given(content: Any, parts: list[dict[str, Any]]) -> None:
    calls, nothing = step(OPERATIONS.send_message(ID, content), POSTED)
    expected = {"message": {"role": "user", "content": parts}}
    assert [summary(call) for call in calls] == [("POST", f"{PATH}/messages", expected, 0.0)]
    assert nothing is None


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (MediaBlock(type="image", url="https://a/b", title="A"), "no title"),
        (MediaBlock(type="image", file_id="img_1", media_type="image/png"), "no media_type"),
    ],
)
def test_what_a_message_cannot_carry_is_refused_before_anything_is_sent(block: Block, problem: str) -> None:
    for flow in (
        OPERATIONS.send_message(ID, [block]),
        OPERATIONS.start_turn(ID, [block]),
    ):
        with pytest.raises(UsageError, match=problem):
            step(flow)


def test_documents_are_unsupported() -> None:
    with pytest.raises(UnsupportedOperation, match="initial_files"):
        step(OPERATIONS.send_message(ID, [MediaBlock(type="document", url="https://a/b")]))


def test_messages_are_listed_whole() -> None:
    items = [message()["message"], message("message_2", "agent")["message"]]
    calls, page = step(OPERATIONS.list_messages(ID, None)(None), ok({"data": items}))
    assert [summary(call) for call in calls] == [("GET", f"{PATH}/messages", None, 0.0)]
    assert [(item.id, item.role.value, item.session_id) for item in page.items] == [
        ("message_1", "user", ID),
        ("message_2", "assistant", ID),
    ]
    assert page.next_cursor is None


@pytest.mark.parametrize(
    ("cursor", "ids", "next_cursor"),
    [(None, ["m0", "m1"], "2"), ("2", ["m2", "m3"], "4"), ("4", ["m4"], None), ("9", [], None)],
)
def test_messages_are_cut_into_pages(cursor: str | None, ids: list[str], next_cursor: str | None) -> None:
    items = [{"id": f"m{number}"} for number in range(5)]
    calls, page = step(OPERATIONS.list_messages(ID, 2)(cursor), ok({"data": items}))
    assert [call.path for call in calls] == [f"{PATH}/messages"]
    assert ([item.id for item in page.items], page.next_cursor) == (ids, next_cursor)


@pytest.mark.parametrize(
    ("limit", "cursor", "query", "sent", "sequences", "next_cursor"),
    [
        (None, None, "", HISTORY, [1, 2, 3, 4, 5], None),
        (2, None, "", HISTORY, [1, 2], "2"),
        (2, "2", "?after_sequence=2", HISTORY[2:], [3, 4], "4"),
        (2, "4", "?after_sequence=4", HISTORY[4:], [5], None),
        (5, None, "", HISTORY, [1, 2, 3, 4, 5], None),
        (None, "3", "?after_sequence=3", HISTORY[3:], [4, 5], None),
        (2, "5", "?after_sequence=5", [], [], None),
    ],
)
def test_events_are_read_oldest_first(
    *,
    limit: int | None,
    cursor: str | None,
    query: str,
    sent: list[dict[str, Any]],
    sequences: list[int],
    next_cursor: str | None,
) -> None:
    calls, page = step(OPERATIONS.list_events(ID, limit)(cursor), listed(*sent))
    assert [summary(call) for call in calls] == [("GET", f"{PATH}/events{query}", None, 0.0)]
    assert ([item.sequence for item in page.items], page.next_cursor) == (sequences, next_cursor)


def test_events_without_numbers_cannot_be_cut() -> None:
    events = [event(1, "turn.started", sequence=None), event(2, "turn.completed", sequence=None)]
    with pytest.raises(MalformedResponse, match="sequence"):
        step(OPERATIONS.list_events(ID, 1)(None), listed(*events))


@pytest.mark.parametrize("cursor", ["", "x", "-1", "²", "1.0", "event_1"])
def test_a_foreign_cursor_of_a_list_is_refused(cursor: str) -> None:
    for flow in (OPERATIONS.list_events(ID, 1)(cursor), OPERATIONS.list_messages(ID, 1)(cursor)):
        with pytest.raises(UsageError, match="not a cursor"):
            step(flow)


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": [1]}, {"data": [{"sequence": "x"}]}])
def test_a_list_of_another_shape_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedResponse):
        step(OPERATIONS.list_events(ID, None)(None), ok(body))


OUTPUT = {"tool_call_id": "call_1", "result": "found"}


@pytest.mark.parametrize(
    ("events", "pending"),
    [
        ([], ()),
        ([HISTORY[0], REQUESTED], (ACTION,)),
        ([REQUESTED, DONE], ()),
        ([REQUESTED, event(5, "turn.failed")], ()),
    ],
)
def test_pending_actions_are_found_in_the_newest_events(
    events: list[dict[str, Any]], pending: tuple[ToolExecution, ...]
) -> None:
    calls, actions = step(OPERATIONS.pending_actions(ID), listed(*events))
    assert [summary(call) for call in calls] == [NEWEST]
    assert actions == pending
    assert [action.raw for action in actions] == [action.raw for action in pending]


@pytest.mark.parametrize(
    ("answers", "requested", "results"),
    [
        ([ToolOutput(ACTION, "found")], REQUESTED, [OUTPUT]),
        ([ToolOutput("call_1", "found")], REQUESTED, [OUTPUT]),
        ([ToolOutput(ACTION, "no", is_error=True)], REQUESTED, [{"tool_call_id": "call_1", "error": "no"}]),
        (
            [ToolOutput("call_2", ""), ToolOutput(ACTION, "found")],
            BOTH,
            [{"tool_call_id": "call_2", "result": ""}, OUTPUT],
        ),
    ],
)
def test_outputs_are_given_together(
    answers: list[Answer], requested: dict[str, Any], results: list[dict[str, Any]]
) -> None:
    calls, nothing = step(OPERATIONS.answer_actions(ID, answers), listed(requested), ACCEPTED)
    assert [summary(call) for call in calls] == [NEWEST, ("POST", RESULTS, {"tool_results": results}, 0.0)]
    assert nothing is None


@pytest.mark.parametrize(
    ("answers", "events", "error", "problem"),
    [
        (["call_1"], [], Conflict, "waits for nothing"),
        (["call_1"], [REQUESTED, DONE], Conflict, "answered before"),
        (["call_1", "call_9"], [REQUESTED], NotFound, "does not wait for 'call_9'; it waits for 'call_1'"),
        (["call_1"], [BOTH], UsageError, "none for 'call_2'"),
    ],
)
def test_what_is_not_waited_for_is_not_sent(
    answers: list[str], events: list[dict[str, Any]], error: type[Exception], problem: str
) -> None:
    outputs = [ToolOutput(answer, "x") for answer in answers]
    for flow in (OPERATIONS.answer_actions(ID, outputs), OPERATIONS.start_turn(ID, outputs)):
        with pytest.raises(error, match=problem):
            step(flow, listed(*events))


@pytest.mark.parametrize("status", [409, 400])
def test_a_session_that_does_not_wait_yet_is_asked_again(status: int) -> None:
    flow = OPERATIONS.answer_actions(ID, [ToolOutput(ACTION, "found")])
    calls, _ = step(flow, listed(REQUESTED), *[conflict(status) for _ in range(6)], ACCEPTED)
    body = {"tool_results": [OUTPUT]}
    waits = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
    assert [summary(call) for call in calls] == [NEWEST, *(("POST", RESULTS, body, wait_s) for wait_s in waits)]


def test_the_seventh_conflict_is_the_last() -> None:
    flow = OPERATIONS.answer_actions(ID, [ToolOutput(ACTION, "found")])
    with pytest.raises(Conflict, match="not waiting"):
        step(flow, listed(REQUESTED), *[conflict() for _ in range(7)])


def test_another_refusal_is_not_repeated() -> None:
    flow = OPERATIONS.answer_actions(ID, [ToolOutput(ACTION, "found")])
    with pytest.raises(InvalidRequest, match="too large"):
        step(flow, listed(REQUESTED), InvalidRequest("too large", status=413))
