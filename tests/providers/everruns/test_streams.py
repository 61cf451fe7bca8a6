from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from polysession._core.flow import Call
from polysession._core.operations import Operations
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession._core.stream import StreamPlan, StreamReader
from polysession.errors import Conflict, InvalidRequest, MalformedResponse, NotFound, UnsupportedOperation, UsageError
from polysession.event import Answer, Event, ToolExecution, ToolOutput
from polysession.feature import ResumeContract
from polysession.message import Block, MediaBlock, TextBlock
from polysession_everruns import EverrunsProvider, EverrunsSettings
from support.flows import ok, sent_bodies, step

ID = "session_0195e0c0000070008000000000000001"
PATH = f"/v1/sessions/{ID}"
PROVIDER = EverrunsProvider(EverrunsSettings(api_key="evr_pat_test"))
OPERATIONS = Operations(PROVIDER)
HI = [{"type": "text", "text": "Hi"}]
CALL = {"id": "call_1", "name": "look_up", "arguments": {"word": "x"}}
OTHER_CALL = {**CALL, "id": "call_2"}
TURN = {"turn_id": "turn_1", "input_message_id": "message_1"}


def event(number: int, kind: str, data: Any = None, **changes: Any) -> dict[str, Any]:
    """An event as the server stores it."""
    return {
        "id": f"event_{number:032x}",
        "type": kind,
        "ts": "2026-03-01T10:00:00.123Z",
        "session_id": ID,
        "sequence": number,
        "context": {},
        "data": data or {},
        **changes,
    }


def live(text: str, turn: str = "turn_1") -> dict[str, Any]:
    """A delta that only open streams are told."""
    data = {"turn_id": turn, "delta": text[-1:], "accumulated": text}
    raw = event(0, "output.message.delta", data)
    return {name: value for name, value in raw.items() if name != "sequence"} | {"id": f"event_f{len(text):031x}"}


def message(message_id: str = "message_1", role: str = "user") -> dict[str, Any]:
    return {"message": {"id": message_id, "role": role, "content": HI, "created_at": "2026-03-01T10:00:00Z"}}


def frame(raw: dict[str, Any]) -> Frame:
    stored_id = raw["id"] if "sequence" in raw else None
    return Frame(raw["type"], json.dumps(raw).encode(), stored_id)


def written(raws: Sequence[dict[str, Any]]) -> bytes:
    """Frames on the wire, as a connection begins and goes on."""
    parts = ['event: connected\ndata: {"status":"connected"}\n\n']
    for raw in raws:
        head = f"id: {raw['id']}\n" if "sequence" in raw else ""
        parts.append(f"event: {raw['type']}\n{head}retry: 100\ndata: {json.dumps(raw, ensure_ascii=False)}\n\n")
    return ": heartbeat\n\n".join(parts).encode()


def told(plan: StreamPlan, *raws: dict[str, Any]) -> list[Event]:
    """What a plan makes of frames."""
    return [found for raw in raws for found in plan.read(frame(raw))]


def delivered(plan: StreamPlan, *raws: dict[str, Any]) -> list[str]:
    """Native types, or ours where we inferred it, that a reader lets through."""
    reader = StreamReader(plan, RetryPolicy())
    return [found.native_type or found.type for found in reader.feed(written(raws))]


def listed(*events: dict[str, Any]) -> Any:
    return ok({"data": list(events)})


def summary(call: Call) -> tuple[str, str, Any, float]:
    assert (call.read_only, call.idempotency_header) == (False, None)
    return call.method, call.path, sent_bodies([call])[0], call.after_s


def test_streams_are_replayed_by_the_server() -> None:
    assert PROVIDER.resume is ResumeContract.SERVER_REPLAY


# --- Sending

POSTED = ok({"id": "message_1", "role": "user", "content": HI, "created_at": "2026-03-01T10:00:00Z"}, 201)


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


# --- History


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


HISTORY = [event(number, "turn.started" if number % 2 else "llm.generation") for number in range(1, 6)]


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


# --- Pending actions and answers

REQUESTED = event(4, "tool.call_requested", {"tool_calls": [CALL]}, context={"turn_id": "turn_1"})
BOTH = event(4, "tool.call_requested", {"tool_calls": [CALL, OTHER_CALL]}, context={"turn_id": "turn_1"})
DONE = event(5, "tool.completed", {"tool_call_id": "call_1", "tool_name": "", "success": True, "result": []})
ACTION = ToolExecution(id="call_1", name="look_up", arguments={"word": "x"}, raw=CALL)
NEWEST = ("GET", f"{PATH}/events?limit=50", None, 0.0)
RESULTS = f"{PATH}/tool-results"
ACCEPTED = ok({"accepted": 1, "status": "active"})
OUTPUT = {"tool_call_id": "call_1", "result": "found"}


def conflict(status: int = 409) -> Conflict | InvalidRequest:
    kind = Conflict if status == 409 else InvalidRequest
    return kind("Session is not waiting for tool results (current status: active)", status=status)


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


# --- Opening


def opened(plan: StreamPlan) -> str:
    call = plan.open()
    assert (call.method, dict(call.headers)) == ("GET", {"accept": "text/event-stream", "cache-control": "no-store"})
    return call.path


@pytest.mark.parametrize(
    ("events", "query"),
    [([], ""), (HISTORY[:1], f"?since_id=event_{1:032x}"), (HISTORY[:3], f"?since_id=event_{3:032x}")],
)
def test_a_stream_begins_after_the_newest_event(events: list[dict[str, Any]], query: str) -> None:
    for flow in (OPERATIONS.stream_events(ID, None), OPERATIONS.start_turn(ID, "Hi")):
        calls, plan = step(flow, listed(*events))
        assert [summary(call) for call in calls] == [("GET", f"{PATH}/events?limit=1", None, 0.0)]
        assert opened(plan) == f"{PATH}/sse{query}"
        assert plan.cursor == (query.rpartition("=")[2] or None)
        assert plan.silence_s == 45.0


def test_a_stream_goes_on_after_a_cursor() -> None:
    calls, plan = step(OPERATIONS.stream_events(ID, "event_7"))
    assert (calls, opened(plan), plan.cursor) == ([], f"{PATH}/sse?since_id=event_7", "event_7")


@pytest.mark.parametrize("cursor", ["", "7", "event_", "event_1 2", "event_1&types=x", "session_1"])
def test_a_foreign_cursor_of_a_stream_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="not a cursor"):
        step(OPERATIONS.stream_events(ID, cursor))


# --- Frames


def streamed(cursor: str | None = "event_0") -> StreamPlan:
    if cursor is None:
        return step(OPERATIONS.stream_events(ID, None), listed())[1]
    return step(OPERATIONS.stream_events(ID, cursor))[1]


def test_the_cursor_moves_with_stored_events_only_and_never_back() -> None:
    plan = streamed()
    cursors = []
    for raw in (
        live("H"),
        event(3, "turn.started"),
        live("He"),
        event(2, "session.activated"),
        event(4, "turn.failed"),
    ):
        assert len(told(plan, raw)) == 1
        cursors.append(plan.cursor)
    assert cursors == ["event_0", *[f"event_{3:032x}"] * 3, f"event_{4:032x}"]


def test_a_stored_event_without_a_number_moves_the_cursor_too() -> None:
    plan = streamed()
    told(plan, event(3, "turn.started"), event(9, "llm.generation", sequence=None), event(4, "llm.generation"))
    assert plan.cursor == f"event_{4:032x}"


@pytest.mark.parametrize(("data", "wait_s"), [(b'{"retry_ms":250}', 0.25), (b'{"reason":"shutdown"}', 0.1)])
def test_an_announced_end_is_no_failure(data: bytes, wait_s: float) -> None:
    plan = streamed()
    waits = []
    for frame_of_the_connection in (
        Frame("connected", b'{"status":"connected"}', None),
        Frame("disconnecting", data, None),
    ):
        assert list(plan.read(frame_of_the_connection)) == []
        waits.append(plan.reopen_after_s)
    assert (waits, plan.cursor) == ([None, wait_s], "event_0")


def test_a_frame_that_is_no_event_is_delivered_whole() -> None:
    (found,) = streamed().read(Frame("of.tomorrow", b'{"a":1}', None))
    assert (found.type, found.native_type, found.raw, found.session_id) == ("native", "of.tomorrow", {"a": 1}, ID)


@pytest.mark.parametrize(
    "bad",
    [
        Frame("turn.started", b"{", None),
        Frame("turn.started", b"[]", None),
        Frame("turn.completed", b'{"type":"turn.completed","data":{"usage":7}}', None),
        Frame("disconnecting", b'{"retry_ms":-1}', None),
    ],
)
def test_a_frame_that_cannot_be_read_is_malformed(bad: Frame) -> None:
    with pytest.raises(MalformedResponse):
        streamed().read(bad)


def test_each_event_comes_once_also_when_it_is_sent_again() -> None:
    plan = streamed()
    first = [event(1, "turn.started"), live("H"), event(2, "llm.generation")]
    assert [found.native_type for found in told(plan, *first, *first, event(3, "turn.completed"))] == [
        "turn.started",
        "output.message.delta",
        "llm.generation",
        "turn.completed",
    ]


def test_what_is_remembered_against_repetition_is_bounded() -> None:
    plan = streamed()
    told(plan, *[event(number, "llm.generation") for number in range(1, 1002)])
    assert len(told(plan, event(2, "llm.generation"))) == 0
    assert len(told(plan, event(1, "llm.generation"))) == 1


def test_a_break_in_the_middle_of_a_message_costs_no_text_and_repeats_none() -> None:
    plan = streamed()
    before = told(plan, event(1, "output.message.started"), live("H"), live("He"))
    assert opened(plan).endswith(f"since_id=event_{1:032x}")
    after = told(plan, live("Hello"), event(2, "output.message.completed", message("message_2", "agent")))
    texts = [found.text for found in (*before, *after) if found.type == "message.delta"]
    assert texts == ["H", "e", "llo"]


def test_without_a_cursor_a_break_is_bridged_by_the_list() -> None:
    plan = streamed(None)
    for _ in range(2):  # a first opening may have to be tried again: nothing is missed by that
        plan.open()
        assert not plan.probe_due
    told(plan, live("H"))
    plan.broke_off(None)
    plan.open()
    looks = plan.probe_due
    assert looks
    calls, events = step(plan.probe(), listed(event(1, "session.started"), event(2, "turn.started")))
    assert [summary(call) for call in calls] == [("GET", f"{PATH}/events", None, 0.0)]
    assert [found.native_type for found in events] == ["session.started", "turn.started"]
    assert plan.cursor == f"event_{2:032x}"
    plan.open()
    assert not plan.probe_due
    assert told(plan, event(2, "turn.started")) == []


# --- A turn that a message starts


def message_turn(*events: dict[str, Any], **stored: str) -> Any:
    """A turn whose message was sent and stored as `message_1`."""
    _, plan = step(OPERATIONS.start_turn(ID, "Hi"), listed(*events))
    posted = {"id": "message_1", "role": "user", "content": HI, **stored}
    calls, _ = step(plan.send(), ok(posted, 201))
    expected = {"message": {"role": "user", "content": HI}}
    assert [summary(call) for call in calls] == [("POST", f"{PATH}/messages", expected, 0.0)]
    return plan


OURS = [
    event(11, "input.message", message()),
    event(12, "session.activated", TURN),
    event(13, "turn.started", TURN),
    event(14, "reason.started"),
    event(15, "output.message.started", {"turn_id": "turn_1"}),
    live("H"),
    live("Hi é\u2028"),
    event(16, "output.message.completed", message("message_2", "agent")),
    event(17, "turn.completed", {"turn_id": "turn_1", "usage": {"input_tokens": 1, "output_tokens": 2}}),
]
NAMES = [raw["type"] for raw in OURS]
STALE = [
    event(7, "turn.started", {"turn_id": "turn_0", "input_message_id": "message_0"}),
    event(8, "turn.cancelled", {"turn_id": "turn_0"}),
    event(9, "output.message.completed", message("message_9", "agent")),
    event(10, "session.idled", {"turn_id": "turn_0"}),
]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="nothing"),
        pytest.param(STALE, id="a-whole-turn"),
        pytest.param(STALE[1:], id="its-end"),
        pytest.param(STALE[2:], id="what-follows-its-end"),
    ],
)
def test_a_turn_is_ours_from_its_message_to_its_end(before: list[dict[str, Any]]) -> None:
    assert delivered(message_turn(), *before, *OURS, event(18, "session.idled")) == NAMES


@pytest.mark.parametrize(
    "first",
    [
        event(12, "session.activated", TURN),
        event(12, "turn.started", TURN),
        event(12, "reason.started", context={"input_message_id": "message_1"}),
    ],
)
def test_a_turn_is_ours_also_if_its_work_is_told_before_the_message(first: dict[str, Any]) -> None:
    assert delivered(message_turn(), *STALE, first, OURS[0], OURS[-1]) == [
        first["type"],
        "input.message",
        "turn.completed",
    ]


def test_a_message_that_steers_a_turn_ends_with_it() -> None:
    steered = [
        event(9, "llm.generation"),
        event(11, "input.message", message()),
        event(12, "reason.started", context={"turn_id": "turn_0", "input_message_id": "message_0"}),
        event(13, "turn.completed", {"turn_id": "turn_0"}),
    ]
    for told_by_server in ({}, {"delivery": "steered"}):
        assert delivered(message_turn(**told_by_server), *steered) == [
            "input.message",
            "reason.started",
            "turn.completed",
        ]


def test_a_new_turn_does_not_end_with_the_one_before() -> None:
    late = event(12, "turn.completed", {"turn_id": "turn_0"})
    began = [event(number + 1, raw["type"], raw["data"]) for number, raw in enumerate(OURS[1:3], 12)]
    plan = message_turn(delivery="started")
    ended = event(17, "turn.completed", {"turn_id": "turn_1"})
    assert delivered(plan, *STALE[:1], OURS[0], late, *began, ended) == [
        "session.activated",
        "turn.started",
        "turn.completed",
    ]


def test_a_new_turn_begins_with_its_message() -> None:
    assert delivered(message_turn(delivery="started"), *STALE[1:], *OURS) == NAMES


def test_a_turn_that_needs_the_client_ends_parked() -> None:
    _, plan = step(OPERATIONS.start_turn(ID, "Hi"), listed())
    step(plan.send(), POSTED)
    reader = StreamReader(plan, RetryPolicy())
    events = list(reader.feed(written([*OURS[:3], event(14, "tool.call_requested", {"tool_calls": [CALL]})])))
    assert [found.type for found in events[-3:]] == ["tool_call.completed", "action.required", "turn.ended"]
    assert events[-2].type == "action.required"
    assert events[-2].actions == (ACTION,)
    assert events[-1].type == "turn.ended"
    assert (events[-1].outcome.value, events[-1].synthetic) == ("requires_action", True)
    assert (reader.is_finished(), reader.cursor) == (True, f"event_{14:032x}")


def slim(raw: dict[str, Any]) -> dict[str, Any]:
    """An event with no more than is looked at, because the stream is read once for each of its bytes."""
    return {name: raw[name] for name in ("id", "type", "sequence", "data") if name in raw}


SHORT = [slim(raw) for raw in (STALE[1], OURS[0], OURS[4], *OURS[5:7], OURS[8])]
SHORT_NAMES = [raw["type"] for raw in SHORT[1:]]


def test_any_cut_of_the_bytes_gives_the_same_events() -> None:
    content = written(SHORT)
    whole = list(StreamReader(message_turn(), RetryPolicy()).feed(content))
    assert [found.native_type for found in whole] == SHORT_NAMES
    for place in range(len(content)):
        reader = StreamReader(message_turn(), RetryPolicy())
        events = [found for part in (content[:place], content[place:]) for found in reader.feed(part)]
        assert events == whole
        assert reader.is_finished()


def test_a_broken_connection_is_gone_on_with_at_any_byte() -> None:
    """The server sends again what it stored after the cursor; deltas that were on their way are lost."""
    content = written(SHORT)
    stored = [raw for raw in SHORT if "sequence" in raw]
    ids = [raw["id"] for raw in stored]
    for place in range(len(content)):
        plan = message_turn()
        reader = StreamReader(plan, RetryPolicy())
        events = list(reader.feed(content[:place]))
        if not reader.is_finished():
            reader.opened()
            rest = stored[ids.index(plan.cursor) + 1 :] if plan.cursor in ids else stored
            events += reader.feed(written(rest))
        kept = [found.native_type for found in events if found.type != "message.delta"]
        assert kept == [name for name in SHORT_NAMES if name != "output.message.delta"]
        texts = "".join(found.text for found in events if found.type == "message.delta")
        assert "Hi é\u2028".startswith(texts)


# --- A turn that goes on


def answer_turn(requested: dict[str, Any] = REQUESTED, *ids: str) -> Any:
    answers = [ToolOutput(action_id, "found") for action_id in ids or ("call_1",)]
    calls, plan = step(OPERATIONS.start_turn(ID, answers), listed(HISTORY[0], requested))
    assert [summary(call) for call in calls] == [NEWEST]
    assert opened(plan) == f"{PATH}/sse?since_id={requested['id']}"
    calls, _ = step(plan.send(), conflict(), ACCEPTED)
    results = [{"tool_call_id": answer.action, "result": "found"} for answer in answers]
    assert [summary(call) for call in calls] == [
        ("POST", RESULTS, {"tool_results": results}, wait_s) for wait_s in (0.0, 0.1)
    ]
    return plan


FOREIGN = {"turn_id": "turn_of_the_session", "input_message_id": "message_of_the_session"}


def test_a_turn_that_goes_on_begins_with_an_output_of_ours() -> None:
    done = {**DONE, "context": FOREIGN}
    ended = event(7, "turn.completed", {"turn_id": "turn_1"})
    for requested in (REQUESTED, {**REQUESTED, "context": {}}):
        assert delivered(
            answer_turn(requested), done, event(6, "reason.started"), ended, event(8, "session.idled")
        ) == [
            "turn.started",
            "tool.completed",
            "reason.started",
            "turn.completed",
        ]


def test_a_turn_that_goes_on_may_be_told_by_its_id() -> None:
    going_on = event(5, "reason.started", context={"turn_id": "turn_1"})
    ended = event(7, "turn.failed", {"turn_id": "turn_1", "error": "Broken"})
    assert delivered(answer_turn(), going_on, ended) == ["turn.started", "reason.started", "turn.failed"]


def test_another_turn_is_not_the_one_that_goes_on() -> None:
    anonymous = event(4, "tool.call_requested", {"tool_calls": [CALL]})
    other = event(5, "turn.completed", {"turn_id": "turn_0"})
    nameless = event(6, "turn.completed")
    foreign = event(7, "tool.completed", {"tool_call_id": "call_9"})
    for requested in (REQUESTED, anonymous):
        assert delivered(answer_turn(requested), other, nameless, foreign) == []


def test_the_outputs_of_several_tools_begin_the_turn_once() -> None:
    both = [DONE, {**DONE, **event(6, "tool.completed", {"tool_call_id": "call_2", "result": []})}]
    ended = event(7, "turn.completed", {"turn_id": "turn_1"})
    assert delivered(answer_turn(BOTH, "call_1", "call_2"), *both, ended) == [
        "turn.started",
        "tool.completed",
        "tool.completed",
        "turn.completed",
    ]
