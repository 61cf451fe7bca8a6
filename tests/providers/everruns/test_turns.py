"""Everruns' turns on a stream: which events are a turn's own, and where it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from polysession._core.retry import RetryPolicy
from polysession._core.stream import StreamPlan, StreamReader
from polysession.action import ToolOutput
from polysession_everruns.turns import to_cursor
from support.everruns_streams import (
    ACCEPTED,
    ACTION,
    BOTH,
    CALL,
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
    live,
    message,
    opened,
    summary,
)
from support.flows import ok, step

TURN = {"turn_id": "turn_1", "input_message_id": "message_1"}


def written(raws: Sequence[dict[str, Any]]) -> bytes:
    """Frames on the wire, as a connection begins and goes on."""
    parts = ['event: connected\ndata: {"status":"connected"}\n\n']
    for raw in raws:
        head = f"id: {raw['id']}\n" if "sequence" in raw else ""
        parts.append(f"event: {raw['type']}\n{head}retry: 100\ndata: {json.dumps(raw, ensure_ascii=False)}\n\n")
    return ": heartbeat\n\n".join(parts).encode()


def delivered(plan: StreamPlan, *raws: dict[str, Any]) -> list[str]:
    """Native types, or ours where we inferred it, that a reader lets through."""
    reader = StreamReader(plan, RetryPolicy())
    return [found.native_type or found.type for found in reader.feed(written(raws))]


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
    assert events[-2].actions == (ACTION.model_copy(update={"group": f"event_{14:032x}/outputs"}),)
    assert events[-1].type == "turn.ended"
    assert (events[-1].outcome.value, events[-1].synthetic) == ("requires_action", True)
    assert (reader.is_finished(), reader.cursor) == (True, to_cursor(f"event_{14:032x}"))


def slim(raw: dict[str, Any]) -> dict[str, Any]:
    """An event with no more than is looked at, because the stream is read once for each of its bytes."""
    return {name: raw[name] for name in ("id", "type", "sequence", "data") if name in raw}


SHORT = [slim(raw) for raw in (STALE[1], *OURS[:2], *OURS[5:7], OURS[8])]
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
    ids = [to_cursor(raw["id"]) for raw in stored]
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
