from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from polysession.event import EVENT, Outcome
from polysession.message import MediaBlock, Role
from polysession.session import Usage
from polysession_agentscope.events import EVENT_TYPES, EventReader
from support.agentscope_events import (
    call,
    call_block,
    confirmed,
    end,
    event,
    executed,
    model_end,
    plain_turn,
    reply,
    requires_confirm,
    requires_execution,
    result,
    start,
    text,
    text_block,
)
from support.agentscope_reading import PDF, PNG, USAGE, modelled, read, stored, text_of, types

# For each of AgentScope's types: the events before it, the event, and the resulting common events.
WAITING = [start(), *call("c1"), *call("c2"), requires_confirm("c1")]
HALF_ANSWERED = [
    start(),
    *call("c3"),
    *requires_execution("c1", "c2"),
    executed("c1"),
    start(),
    *result("c1", started=True),
]
SAMPLES: list[tuple[list[dict[str, Any]], dict[str, Any], list[str]]] = [
    ([], start(), ["turn.started"]),
    ([start(), *call("c1"), requires_confirm("c1"), confirmed("c1")], start(), ["raw"]),
    ([*WAITING[:-1], *requires_execution("c1")], start(), ["turn.ended", "turn.started"]),
    ([start()], end(), ["turn.ended"]),
    ([start()], end(reason="error", error={"type": "setup", "message": "no"}), ["error", "turn.ended"]),
    ([start(), end()], end(), []),
    ([start()], event("HINT_BLOCK", block_id="h", source=None, hint="Mind."), ["raw"]),
    ([start()], event("MODEL_CALL_START", model_name="m"), ["raw"]),
    ([start()], model_end(), ["usage"]),
    *(
        ([start()], raw, [kind])
        for raw, kind in zip(text("a"), ["message.started", "message.delta", "message.completed"], strict=True)
    ),
    ([start()], event("THINKING_BLOCK_START", block_id="t"), ["thinking.started"]),
    ([start()], event("THINKING_BLOCK_DELTA", block_id="t", delta="Hm"), ["thinking.delta"]),
    ([start()], event("THINKING_BLOCK_END", block_id="t"), ["thinking.completed"]),
    ([start()], event("DATA_BLOCK_START", block_id="d", media_type="image/png", name="a"), ["message.started"]),
    ([start()], event("DATA_BLOCK_DELTA", block_id="d", media_type="image/png", data=PNG), ["raw"]),
    ([start()], event("DATA_BLOCK_END", block_id="d"), ["message.completed"]),
    ([start()], call("c1")[0], ["tool_call.started"]),
    ([start()], call("c1")[1], ["tool_call.delta"]),
    ([start()], call("c1")[-1], ["tool_call.completed"]),
    ([start()], result("c1")[0], ["raw"]),
    ([start()], result("c1")[1], ["tool_result.delta"]),
    ([start()], event("TOOL_RESULT_DATA_DELTA", tool_call_id="c", block_id="d", data=PNG), ["raw"]),
    ([start()], result("c1")[-1], ["tool_result.completed"]),
    ([start(), *requires_execution("c1")], result("c2")[-1], ["tool_result.completed"]),
    ([start(), *call("c2"), *requires_execution("c1")], result("c2")[-1], ["tool_result.completed", "turn.ended"]),
    ([start(), *requires_execution("c1"), executed("c1"), start()], result("c1")[-1], ["tool_result.completed"]),
    ([start(), *call("c1")], requires_confirm("c1"), ["action.required", "turn.ended"]),
    ([start(), *call("c1"), *call("c2")], requires_confirm("c1"), ["action.required"]),
    ([start(), *call("c1"), requires_confirm("c1")], requires_confirm("c1"), []),
    ([start(), *call("c1")], requires_execution("c1")[-1], ["action.required", "turn.ended"]),
    ([start(), *call("c1"), requires_confirm("c1")], confirmed("c1"), ["turn.started", "raw"]),
    (WAITING, confirmed("c1"), ["turn.ended", "turn.started", "raw"]),
    ([], confirmed("c1"), ["raw"]),
    ([start(), *call("c1"), *requires_execution("c1")], executed("c1"), ["turn.started", "raw"]),
    (HALF_ANSWERED, start(), ["action.required", "turn.ended", "turn.started"]),
    (HALF_ANSWERED, executed("c2"), ["action.required", "turn.ended", "turn.started", "raw"]),
    (HALF_ANSWERED, confirmed("c2"), ["action.required", "turn.ended", "turn.started", "raw"]),
    (
        [start(), *requires_execution("c1", "c2"), executed("c1")],
        result("c1")[-1],
        ["tool_result.completed", "action.required", "turn.ended"],
    ),
    ([start()], event("EXCEED_MAX_ITERS", name="Agent"), ["raw"]),
    ([start()], event("USER_INTERRUPT"), ["raw"]),
    ([start()], event("CUSTOM", None, name="state_updated", value={}), ["raw"]),
    ([start()], event("BRAND_NEW", delta={"not": "text"}), ["raw"]),
    ([start()], end(reply_id=""), ["raw"]),
]


@pytest.mark.parametrize(("before", "raw", "expected"), SAMPLES)
def test_each_event_becomes_the_types_in_the_table(
    before: list[dict[str, Any]], raw: dict[str, Any], expected: list[str]
) -> None:
    reader = EventReader("s1")
    read(*before, reader=reader)
    found = reader.read(text_of(raw))
    assert types(found) == expected
    assert all((each.raw, each.session_id, each.problems) == (raw, "s1", ()) for each in found)
    assert all(each.payload == raw for each in found if each.type == "raw")
    assert all(
        (each.id, each.native_type) == ((None, "") if each.synthetic else (raw["id"], raw["type"])) for each in found
    )
    assert {each.turn_id for each in found} <= {raw.get("reply_id") or None}


def test_the_table_lists_every_type_that_occurs_and_no_other() -> None:
    found: dict[str, set[str]] = {}
    for _, raw, expected in SAMPLES:
        found.setdefault(raw["type"], set()).update(expected)
    found["REPLY_END"].remove("raw")  # an event without a reply belongs to no turn
    assert {name: found[name] for name in EVENT_TYPES} == {name: set(common) for name, common in EVENT_TYPES.items()}


def test_a_plain_turn_has_its_text_its_usage_and_its_end() -> None:
    events = read(*plain_turn())
    assert modelled(events) == [
        "turn.started",
        "message.started",
        "message.delta",
        "message.delta",
        "message.completed",
        "usage",
        "turn.ended",
    ]
    completed, usage, ended = events[-3:]
    assert (completed.message.id, completed.message.text, completed.message.role) == ("b1", "Hello", Role.ASSISTANT)
    assert {each.message_id for each in events if each.type in {"message.started", "message.delta"}} == {"b1"}
    assert (usage.usage, usage.is_delta) == (USAGE, True)
    assert (ended.outcome, ended.native_reason, ended.usage, ended.error) == (
        Outcome.COMPLETED,
        "completed",
        USAGE,
        None,
    )
    assert {each.created_at for each in events} == {None}  # the time zone is unknown


def test_a_final_text_replaces_the_deltas() -> None:
    assert read(start(), *text("Hel", "lo", whole="Hello!"))[-1].message.text == "Hello!"


def test_pieces_of_thinking_and_media_are_joined() -> None:
    pieces = [base64.b64encode(piece).decode() for piece in (b"1", b"2345")]
    head = event("DATA_BLOCK_START", block_id="d", media_type="image/png", name="photo")
    parts = [event("DATA_BLOCK_DELTA", block_id="d", media_type="image/png", data=piece) for piece in pieces]
    image = read(start(), head, *parts, event("DATA_BLOCK_END", block_id="d"))[-1]
    assert image.message.content == (MediaBlock(type="image", data=PNG, media_type="image/png", title="photo"),)
    link = event("DATA_BLOCK_DELTA", block_id="d", media_type="application/pdf", url=PDF)
    document = read(start(), link, event("DATA_BLOCK_END", block_id="d"))[-1]
    assert document.message.content == (MediaBlock(type="document", url=PDF, media_type="application/pdf"),)
    thoughts = [event("THINKING_BLOCK_DELTA", block_id="t", delta=piece) for piece in ("H", "m")]
    assert read(start(), *thoughts, event("THINKING_BLOCK_END", block_id="t"))[-1].text == "Hm"


def test_parallel_tool_calls_are_not_mixed() -> None:
    first, second = call("c1"), call("c2", "Read", '{"path":"a"}')
    events = read(start(), *first[:2], *second[:2], *first[2:], *second[2:], *result("c2", "2"), *result("c1", "1"))
    calls = {each.tool_call_id: (each.name, each.arguments) for each in events if each.type == "tool_call.completed"}
    assert calls == {"c1": ("Bash", {"command": "ls"}), "c2": ("Read", {"path": "a"})}
    results = [(each.tool_call_id, each.text) for each in events if each.type == "tool_result.completed"]
    assert results == [("c2", "2"), ("c1", "1")]


@pytest.mark.parametrize(
    ("state", "is_error"),
    [("success", False), ("running", False), ("error", True), ("denied", True), ("interrupted", True), ("odd", True)],
)
def test_a_result_is_an_error_unless_its_state_says_success(state: str, *, is_error: bool) -> None:
    assert read(start(), *result("c1", state=state))[-1].is_error is is_error


@pytest.mark.parametrize(
    ("ended", "outcome", "error"),
    [
        (end(reason="interrupted"), Outcome.CANCELLED, None),
        (end(reason="exceed_max_iters"), Outcome.LIMIT_REACHED, None),
        (end(reason="error", error={"type": "setup", "message": "No model."}), Outcome.FAILED, "No model."),
        (end(reason="error", error={"type": "unknown"}), Outcome.FAILED, "the turn ended with 'unknown'"),
        (end(reason="bored"), Outcome.FAILED, "the turn ended with 'bored'"),
        (event("REPLY_END"), Outcome.COMPLETED, None),  # 2.0.0 sends no reason
    ],
)
def test_each_reason_is_an_outcome(ended: dict[str, Any], outcome: Outcome, error: str | None) -> None:
    last = read(start(), ended)[-1]
    assert (last.outcome, last.error) == (outcome, error)
    assert last.native_reason == (ended.get("finished_reason") or "completed")


def test_2_0_0_reports_the_limit_before_the_end() -> None:
    last = read(start(), event("EXCEED_MAX_ITERS", name="Agent"), event("REPLY_END"))[-1]
    assert (last.outcome, last.native_reason) == (Outcome.LIMIT_REACHED, "exceed_max_iters")


def test_usage_is_summed_for_each_turn() -> None:
    waiting_reply = read(start(), model_end(), model_end(), *call("c1"), requires_confirm("c1"))
    assert waiting_reply[-1].usage == Usage(
        input_tokens=14, output_tokens=6, cache_read_tokens=4, cache_creation_tokens=2
    )
    reader = EventReader("s1")
    read(start(), model_end(), *call("c1"), requires_confirm("c1"), reader=reader)
    assert read(confirmed("c1"), start(), *result("c1"), model_end(), end(), reader=reader)[-1].usage == USAGE
    assert read(start(), end())[-1].usage is None
    old = event("MODEL_CALL_END", input_tokens=7, output_tokens=3)
    assert read(start(), old, end())[-1].usage == Usage(input_tokens=7, output_tokens=3)


# End of a waiting turn. The service reports the pending actions, but not whether other tools still run.


def waits_of(*raw_events: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return a turn's requests, its tools' answers, and its end."""
    found = []
    for each in read(start(), *raw_events):
        if each.type == "action.required":
            found.append((each.type, [action.id for action in each.actions]))
        elif each.type == "tool_result.completed":
            found.append((each.type, [each.tool_call_id]))
        elif each.type == "turn.ended":
            found.append((each.type, [each.native_reason]))
    return found


EXECUTION, PERMISSION = ("turn.ended", ["awaiting_external_result"]), ("turn.ended", ["awaiting_permission"])


@pytest.mark.parametrize(
    ("raw_events", "expected"),
    [
        pytest.param([*call("c1"), requires_confirm("c1")], [("action.required", ["c1"]), PERMISSION], id="one"),
        pytest.param(
            [*call("c1"), *call("c2"), *requires_execution("c1", "c2")],
            [("action.required", ["c1"]), ("action.required", ["c1", "c2"]), EXECUTION],
            id="two in parallel",
        ),
        pytest.param(
            [*call("c1"), *call("c2"), *requires_execution("c1"), requires_confirm("c2")],
            [("action.required", ["c1"]), ("action.required", ["c1", "c2"]), PERMISSION],
            id="one of each kind",
        ),
        pytest.param(
            [*call("c1"), *call("c2"), result("c1")[0], requires_confirm("c2"), *result("c1", started=True)],
            [("action.required", ["c2"]), ("tool_result.completed", ["c1"]), PERMISSION],
            id="with a running tool",
        ),
        pytest.param(
            [*call("c1"), *call("c2"), requires_confirm("c1")], [("action.required", ["c1"])], id="one may still run"
        ),
        pytest.param(
            [
                *call("c1"),
                *requires_execution("c1"),
                *result("c1", state="interrupted", started=True),
                end(reason="interrupted"),
            ],
            [
                ("action.required", ["c1"]),
                EXECUTION,
                ("tool_result.completed", ["c1"]),
                ("turn.ended", ["interrupted"]),
            ],
            id="interrupted",
        ),
    ],
)
def test_a_waiting_turn_ends_when_no_tool_runs(
    raw_events: list[dict[str, Any]], expected: list[tuple[str, list[str]]]
) -> None:
    assert waits_of(*raw_events) == expected


def test_unanswered_actions_are_reported_again_at_the_end() -> None:
    reader = EventReader("s1")
    read(start(), *call("c1"), *call("c2"), *requires_execution("c1", "c2"), reader=reader)
    events = read(executed("c1"), start(), *result("c1", started=True), reader=reader)
    assert modelled(events) == [
        "turn.started",
        "tool_result.delta",
        "tool_result.completed",
        "action.required",
        "turn.ended",
    ]
    required, ended = events[-2:]
    assert ([action.id for action in required.actions], required.synthetic) == (["c2"], True)
    assert (ended.outcome, ended.synthetic) == (Outcome.REQUIRES_ACTION, True)


def test_interrupting_a_waiting_reply_is_one_turn() -> None:
    reader = EventReader("s1")
    read(start(), *call("c1"), *call("c2"), *requires_execution("c1", "c2"), reader=reader)
    results = [*result("c1", state="interrupted", started=True), *result("c2", state="interrupted", started=True)]
    events = read(start(), *results, end(reason="interrupted"), reader=reader)
    assert [each.type for each in events if each.type.startswith("turn.")] == ["turn.started", "turn.ended"]


def test_an_action_contains_the_data_for_its_answer() -> None:
    (action,) = read(start(), *call("c1"), requires_confirm("c1"))[-2].actions
    assert (action.type, action.id, action.name, action.arguments) == ("approval", "c1", "Bash", {"command": "ls"})
    assert action.raw == call_block("c1", "asking")
    parts = {"id": "c1", "name": "Bash", "input": '{"command":"ls"}', "suggested_rules": []}
    assert json.loads(action.reference) == {"reply_id": "r1", "tool_call": parts}
    (action,) = read(start(), *call("c1"), *requires_execution("c1"))[-2].actions
    assert (action.type, action.name) == ("execution", "lookup")


@pytest.mark.parametrize("content", [b"[]", b"5", b"{", b'"text"', b"\xff"])
def test_an_event_that_is_not_an_object_is_raw_with_a_problem(content: bytes) -> None:
    (event,) = EventReader("s1").read(content)
    assert (event.type, event.source, event.native_type) == ("raw", content, "")
    assert len(event.problems) == 1


ODD: list[tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ([], {"id": "e"}, {"type": "raw", "payload": {"id": "e"}}, ()),
    ([], {"type": 5}, {"type": "raw", "payload": {"type": 5}}, ("type: not text",)),
    (
        [start(), text("a")[0]],
        event("TEXT_BLOCK_DELTA", block_id="b1", delta=[]),
        {"type": "message.delta", "text": ""},
        ("delta: not text",),
    ),
    ([start()], event("TEXT_BLOCK_END", block_id="b1", text=7), {"type": "message.completed"}, ("text: not text",)),
    (
        [start()],
        event("MODEL_CALL_END", input_tokens="many", output_tokens=3),
        {"type": "usage", "usage": Usage(output_tokens=3)},
        ("input_tokens: not a whole number",),
    ),
    (
        [start()],
        event("REPLY_END", finished_reason="completed", error=5),
        {"type": "turn.ended", "outcome": Outcome.COMPLETED},
        ("error: not an object",),
    ),
    (
        [start()],
        event("TOOL_CALL_START", tool_call_id=3, tool_call_name="ls"),
        {"tool_call_id": "", "name": "ls"},
        ("tool_call_id: not text",),
    ),
    ([start()], event("BRAND_NEW", delta={"not": "text"}), {"type": "raw"}, ()),
]


@pytest.mark.parametrize(("before", "raw", "expected", "problems"), ODD)
def test_an_unreadable_value_does_not_lose_the_event(
    before: list[dict[str, Any]], raw: dict[str, Any], expected: dict[str, Any], problems: tuple[str, ...]
) -> None:
    reader = EventReader("s1")
    read(*before, reader=reader)
    (event,) = reader.read(text_of(raw))
    assert {name: getattr(event, name) for name in expected} == expected
    assert event.problems == problems


def test_an_unreadable_tool_call_is_still_an_action() -> None:
    asked = event("REQUIRE_USER_CONFIRM", tool_calls=[5, call_block("c1", "asking") | {"input": {"command": "ls"}}])
    required = read(start(), *call("c1"), asked)[-2]
    (action,) = required.actions
    assert (action.id, action.name, action.problems) == ("c1", "Bash", ("input: not text",))


def test_half_a_surrogate_pair_is_replaced() -> None:
    content = text_of(event("TEXT_BLOCK_DELTA", block_id="b1", delta="half")).replace(b"half", b"\\ud83d!")
    (delta,) = EventReader("s1").read(content)
    assert (delta.type, delta.text) == ("message.delta", "\N{REPLACEMENT CHARACTER}!")  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["TEXT_BLOCK_DELTA", "THINKING_BLOCK_DELTA"])
def test_the_halves_of_a_surrogate_pair_in_two_deltas_are_joined(kind: str) -> None:
    reader = EventReader("s1")
    pieces = [
        text_of(event(kind, block_id="b1", delta="half")).replace(b"half", half) for half in (b"a\\ud83d", b"\\ude00b")
    ]
    deltas = [each for content in pieces for each in reader.read(content)]

    assert [each.text for each in deltas] == ["a", "\N{GRINNING FACE}b"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("before", "raw", "_expected"), SAMPLES)
def test_every_event_survives_storage(before: list[dict[str, Any]], raw: dict[str, Any], _expected: list[str]) -> None:
    reader = EventReader("s1")
    read(*before, reader=reader)
    for found in reader.read(text_of(raw)):
        assert EVENT.validate_json(EVENT.dump_json(found)) == found
        assert found.source == text_of(raw)


@pytest.mark.parametrize("may_lack", [True, False])
def test_a_break_or_a_missed_event_is_a_gap(*, may_lack: bool) -> None:
    """Nothing is missing if the stream did not break.

    Only the end is read from the stored message then.
    """
    reader = EventReader("s1")
    each = read(start(), *text("Hello"), model_end(), reader=reader)
    assert modelled(each)[-1] == "usage"
    events: list[Any] = reader.catch_up(stored(reply(text_block("Hello"))), may_lack=may_lack)
    assert types(events) == (["stream.gap"] if may_lack else []) + ["turn.ended"]
    assert all(event.synthetic for event in events)
    if may_lack:
        assert (events[0].lost, events[0].turn_id) == (("raw",), "r1")


def test_old_replies_are_forgotten() -> None:
    reader = EventReader("s1")
    read(*(start(f"r{number}") for number in range(101)), reader=reader)
    assert not reader.knows("r0")
    assert reader.knows("r1")
    assert not reader.knows(None)
