"""Everruns' messages and past events, and their pages, from flows stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from polysession.errors import MalformedResponse, UnsupportedOperation, UsageError
from polysession.message import Block, MediaBlock, TextBlock
from support.everruns_streams import (
    HI,
    HISTORY,
    ID,
    OPERATIONS,
    PATH,
    POSTED,
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
def test_unsupported_content_is_refused_before_any_call(block: Block, problem: str) -> None:
    for flow in (
        OPERATIONS.send_message(ID, [block]),
        OPERATIONS.start_turn(ID, [block]),
    ):
        with pytest.raises(UsageError, match=problem):
            step(flow)


def test_documents_are_unsupported() -> None:
    with pytest.raises(UnsupportedOperation, match="initial_files"):
        step(OPERATIONS.send_message(ID, [MediaBlock(type="document", url="https://a/b")]))


def test_all_messages_are_listed() -> None:
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


@pytest.mark.parametrize(
    ("page_size", "cursor", "query", "sent", "sequences", "next_cursor"),
    [
        (None, None, "", HISTORY, [5, 4, 3, 2, 1], None),
        (2, None, "?limit=2", HISTORY[3:], [5, 4], "4"),
        (2, "4", "?before_sequence=4&limit=2", HISTORY[1:3], [3, 2], "2"),
        (2, "2", "?before_sequence=2&limit=2", HISTORY[:1], [1], None),
        (5, None, "?limit=5", HISTORY, [5, 4, 3, 2, 1], None),
        (2, None, "?limit=2", [], [], None),
    ],
)
def test_events_are_read_newest_first(
    *,
    page_size: int | None,
    cursor: str | None,
    query: str,
    sent: list[dict[str, Any]],
    sequences: list[int],
    next_cursor: str | None,
) -> None:
    flow = OPERATIONS.list_events(ID, page_size, newest_first=True)(cursor)
    calls, page = step(flow, listed(*sent))
    assert [summary(call) for call in calls] == [("GET", f"{PATH}/events{query}", None, 0.0)]
    assert ([item.sequence for item in page.items], page.next_cursor) == (sequences, next_cursor)


def test_a_page_of_newest_events_over_the_limit_of_the_server_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 1000"):
        step(OPERATIONS.list_events(ID, 1001, newest_first=True)(None))


@pytest.mark.parametrize(
    ("cursor", "ids", "next_cursor"),
    [(None, ["m4", "m3"], "3"), ("3", ["m2", "m1"], "1"), ("1", ["m0"], None), ("9", ["m4", "m3"], "3")],
)
def test_messages_are_read_newest_first(cursor: str | None, ids: list[str], next_cursor: str | None) -> None:
    items = [{"id": f"m{number}"} for number in range(5)]
    _, page = step(OPERATIONS.list_messages(ID, 2, newest_first=True)(cursor), ok({"data": items}))
    assert ([item.id for item in page.items], page.next_cursor) == (ids, next_cursor)


def test_events_without_sequence_numbers_cannot_be_paged() -> None:
    events = [event(1, "turn.started", sequence=None), event(2, "turn.completed", sequence=None)]
    with pytest.raises(MalformedResponse, match="sequence"):
        step(OPERATIONS.list_events(ID, 1)(None), listed(*events))


@pytest.mark.parametrize("cursor", ["", "x", "-1", "²", "1.0", "event_1", "9" * 5_000])
def test_a_foreign_cursor_of_a_list_is_refused(cursor: str) -> None:
    for flow in (OPERATIONS.list_events(ID, 1)(cursor), OPERATIONS.list_messages(ID, 1)(cursor)):
        with pytest.raises(UsageError, match="not a cursor"):
            step(flow)


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {}}, [], {"data": [], "total": "all"}])
def test_a_list_of_another_shape_is_malformed(body: Any) -> None:
    for flow in (OPERATIONS.list_events(ID, None)(None), OPERATIONS.list_messages(ID, None)(None)):
        with pytest.raises(MalformedResponse):
            step(flow, ok(body))


def test_an_invalid_event_of_a_list_affects_only_itself() -> None:
    odd = {"id": "event_9", "type": "turn.started", "sequence": "x"}
    _, page = step(OPERATIONS.list_events(ID, None)(None), ok({"data": [1, odd, HISTORY[0]]}))
    first, second, third = page.items
    assert (first.type, first.problems) == ("raw", ("the event: not a JSON object",))
    assert (second.type, second.id, second.problems) == (
        "turn.started",
        "event_9",
        ("sequence: not a whole number",),
    )
    assert (third.sequence, third.problems) == (1, ())


def test_a_message_without_an_id_is_reported_and_the_others_are_kept() -> None:
    items = [{"role": "user"}, "Hi", {"id": "message_1", "role": 7}]
    _, page = step(OPERATIONS.list_messages(ID, None)(None), ok({"data": items}))
    (found,) = page.items
    assert (found.id, found.problems) == ("message_1", ("role: not text",))
    assert len(page.problems) == 2
