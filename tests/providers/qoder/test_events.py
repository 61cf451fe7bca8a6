"""Qoder's events, type by type, and state across several events."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from polysession import (
    EVENT,
    MessageCompleted,
    Outcome,
    RawBlock,
    RawEvent,
    Role,
    TextBlock,
    Usage,
)
from polysession_managed_agents.messages import PendingActions
from polysession_qoder.events import EVENT_TYPES, EventReader
from polysession_qoder.sessions import QODER
from support.qoder_events import APPROVAL, ASK, CUSTOM
from support.qoder_readings import (
    IDLE,
    MODELLED,
    RAW,
    RUNNING,
    SAYING,
    JsonObject,
    Summary,
    call,
    delta,
    ended,
    error,
    idle,
    raw,
    read,
    says,
    start,
    summary,
    texts,
)

UNMODELLED = [
    (kind, raw(kind, content=5, error=[], stop_reason=1))  # their content is not read
    for kind in (
        *(kind for kind, types in EVENT_TYPES.items() if types == ("raw",) and kind != "span.model_request_end"),
        "agent.of_next_year",
        "",
    )
]


@pytest.mark.parametrize(("before", "event", "expected"), MODELLED)
def test_an_event_becomes(before: list[JsonObject], event: JsonObject, expected: list[Summary]) -> None:
    reader = EventReader("sess_1")
    read(reader, *before)

    assert [summary(event) for event in read(reader, event)] == expected


@pytest.mark.parametrize(("kind", "event"), UNMODELLED)
def test_an_event_that_is_not_modelled_is_delivered_raw(kind: str, event: JsonObject) -> None:
    (delivered,) = read(EventReader("sess_1"), event)

    assert isinstance(delivered, RawEvent)
    assert (delivered.native_type, delivered.payload, delivered.raw) == (kind, event, event)


def test_the_table_lists_the_common_types_of_each_type() -> None:
    produced: dict[str, set[str]] = defaultdict(set)
    for _, event, expected in MODELLED:
        assert expected
        produced[event["type"]] |= {kind for kind, _ in expected}
    for kind, _ in UNMODELLED[:-2]:
        produced[kind].add("raw")

    assert {kind: set(common) for kind, common in EVENT_TYPES.items()} == produced


def test_every_event_has_its_envelope() -> None:
    reader = EventReader("sess_1")
    event = raw("session.status_running", turn_id="turn_1")

    for common in read(reader, event):
        assert (common.session_id, common.id, common.turn_id) == ("sess_1", "evt_1", "turn_1")
        assert common.created_at == datetime(2026, 10, 1, 0, 0, 0, 123457, UTC)
        assert (common.native_type, common.synthetic, common.raw) == ("session.status_running", False, event)


def test_a_message_is_read() -> None:
    event = raw("agent.message", content=[SAYING], created_at="2026-10-02T00:00:00Z", processed_at=None)

    (completed,) = read(EventReader("sess_1"), event)

    assert isinstance(completed, MessageCompleted)
    assert completed.message.model_dump(exclude={"problems"}) == {
        "provider": "qoder",
        "id": "evt_1",
        "session_id": "sess_1",
        "role": Role.ASSISTANT,
        "content": (TextBlock(text="Hello").model_dump(),),
        "usage": None,
        "created_at": datetime(2026, 10, 2, tzinfo=UTC),
        "author": None,
    }
    assert completed.message.raw == event
    assert completed.created_at == completed.message.created_at


# Invalid values.


ODD: list[tuple[JsonObject, Summary, tuple[str, ...]]] = [
    # The event of the backend, the common event, and its problems.
    ({}, RAW, ()),
    ({"type": 5}, RAW, ("type: not text",)),
    ({"type": "user.message", "id": {}}, says(Role.USER, "", ""), ("id: not text",)),
    (raw("agent.message", content=5), says(Role.ASSISTANT, ""), ("content: not a list or text",)),
    (raw("agent.message", content=[5, SAYING]), says(Role.ASSISTANT, "Hello"), ("content[0]: not an object or text",)),
    (raw("agent.message", content=None), says(Role.ASSISTANT, ""), ()),
    (raw("agent.message", processed_at=""), says(Role.ASSISTANT, ""), ("processed_at: not datetime",)),
    (
        {**raw("agent.message"), "processed_at": "9999-12-31T23:59:59-05:00"},
        says(Role.ASSISTANT, ""),
        ("processed_at: not a time within the years 1 to 9999 in UTC",),
    ),
    (raw("agent.tool_use", name="Bash", input='{"command": "ls"}'), call("Bash", command="ls"), ()),
    (raw("agent.tool_use", name="Bash", input="{}"), call("Bash"), ()),
    (raw("agent.tool_use", name="Bash", input="ls"), call("Bash"), ("input: not an object",)),
    (raw("agent.tool_use", name="Bash", input=[1]), call("Bash"), ("input: not an object or text",)),
    (raw("session.error", error={"message": "oh"}, code=409), error("oh", "409"), ()),
    (
        raw("session.usage", total_credits="NaN", model_credits=1),
        ("usage", {"usage": Usage(model_credits=Decimal(1)), "is_delta": False}),
        ("total_credits: not a finite number",),
    ),
    (
        raw("session.usage", total_credits="123456789012345678.91"),
        ("usage", {"usage": Usage(credits=Decimal("123456789012345678.91")), "is_delta": False}),
        (),
    ),
    (raw("user.message", content=[{"type": "text", "text": "a\ud83d"}]), says(Role.USER, "a\ufffd"), ()),
    ({"type": "event_start", "event": {"id": 5, "type": "agent.message"}}, RAW, ("event.id: not text",)),
]


@pytest.mark.parametrize(("event", "expected", "problems"), ODD)
def test_an_invalid_value_affects_only_itself(event: JsonObject, expected: Summary, problems: tuple[str, ...]) -> None:
    (delivered,) = read(EventReader("sess_1"), event)

    assert (summary(delivered), delivered.problems) == (expected, problems)


@pytest.mark.parametrize("content", [b"[]", b"5", b"", b"<html>", b'{"type":'])
def test_an_event_that_is_not_an_object_is_delivered_raw(content: bytes) -> None:
    (delivered,) = EventReader("sess_1").read(content, kind="agent.message", event_id="evt_1")

    assert isinstance(delivered, RawEvent)
    assert (delivered.id, delivered.native_type) == ("evt_1", "agent.message")
    assert (delivered.source, len(delivered.problems)) == (content, 1)


def test_an_invalid_time_still_ends_the_turn() -> None:
    event = {**idle("end_turn"), "processed_at": "0001-01-01T00:00:00+05:00"}

    assert [summary(delivered) for delivered in read(EventReader("sess_1"), event)] == [
        IDLE,
        ended(Outcome.COMPLETED, "end_turn"),
    ]


def test_unreadable_media_become_a_raw_block() -> None:
    odd = {"type": "image", "source": {"type": "url", "url": 5}}

    (event,) = read(EventReader("sess_1"), raw("user.message", content=[odd, SAYING]))

    assert isinstance(event, MessageCompleted)
    assert event.message.content == (RawBlock(payload=odd), TextBlock(text="Hello"))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["a\ud83d", "\ude00b"], ["a", "\U0001f600b"]),
        (["\ud83d", "\ude00"], ["\U0001f600"]),
        (["a\ud83d", "b"], ["a", "\ufffdb"]),
        (["a\ude00"], ["a\ufffd"]),
        (["a\ufffdb"], ["a\ufffdb"]),
        (["\U0001f600"], ["\U0001f600"]),
    ],
)
def test_the_halves_of_a_surrogate_pair_in_two_deltas_are_joined(pieces: list[str], expected: list[str]) -> None:
    reader = EventReader("sess_1")
    read(reader, start())

    assert texts(read(reader, *map(delta, pieces))) == expected


@pytest.mark.parametrize("event", [event for _, event, _ in MODELLED], ids=lambda event: str(event["type"]))
def test_an_event_survives_storage(event: JsonObject) -> None:
    reader = EventReader("sess_1")
    read(reader, start(), ASK, CUSTOM)

    for delivered in read(reader, event):
        assert delivered.source != b"{}"
        assert EVENT.validate_json(EVENT.dump_json(delivered)) == delivered


@pytest.mark.parametrize(
    ("kind", "event_id", "content"),
    [
        ("agent.message", "evt_1", {"content": "Hello"}),
        ("message", "evt_0", raw("agent.message", content="Hello")),
        ("", None, raw("agent.message", content="Hello")),
    ],
)
def test_type_and_id_may_be_outside_the_json(kind: str, event_id: str | None, content: JsonObject) -> None:
    (delivered,) = EventReader("sess_1").read(json.dumps(content).encode(), kind=kind, event_id=event_id)

    assert (delivered.native_type, delivered.id) == ("agent.message", "evt_1")
    assert summary(delivered) == says(Role.ASSISTANT, "Hello")


# Synthetic ends.


def test_the_end_of_a_turn_is_inferred_only_when_its_session_ends() -> None:
    reader = EventReader("sess_1")

    events = read(reader, RUNNING, raw("session.deleted"))
    assert [event.synthetic for event in events if event.type == "turn.ended"] == [True]

    events = read(EventReader("sess_1"), RUNNING, idle("end_turn"), raw("session.status_terminated"))
    assert [event.synthetic for event in events if event.type == "turn.ended"] == [False]


def test_a_turn_that_was_expected_ends_with_the_session() -> None:
    reader = EventReader("sess_1")
    reader.expect_turn()

    assert [event.type for event in read(reader, raw("session.deleted"))] == ["session.status", "turn.ended"]


def test_a_turn_that_was_rescheduled_continues() -> None:
    moved = raw("session.status_rescheduled", "evt_moved")
    again = raw("session.status_running", "evt_again")

    events = read(EventReader("sess_1"), RUNNING, moved, again)
    assert [event.type for event in events].count("turn.started") == 1

    events = read(EventReader("sess_1"), RUNNING, idle("end_turn"), moved, again)
    assert [event.type for event in events].count("turn.started") == 2


def test_an_error_belongs_to_its_turn_only() -> None:
    failed = raw("session.error", "evt_e", error={"message": "old"})
    again = raw("session.status_running", "evt_again")

    events = read(EventReader("sess_1"), failed, again, idle("refusal"))

    assert summary(events[-1]) == ended(Outcome.FAILED, "refusal", "the turn stopped: refusal")


# Actions.


def test_actions_that_were_read_elsewhere_are_remembered() -> None:
    reader = EventReader("sess_1")
    pending = PendingActions(QODER)
    pending.take([json.dumps(event).encode() for event in (idle("requires_action", "evt_a"), ASK)])
    reader.remember(pending)

    assert summary(read(reader, idle("requires_action", "evt_a"))[1])[1] == {"actions": (APPROVAL,)}


@pytest.mark.parametrize(
    "after", [raw("agent.tool_result", tool_use_id="evt_a"), {**idle("end_turn"), "id": "evt_earlier"}]
)
def test_a_tool_use_is_forgotten_when_it_is_over(after: JsonObject) -> None:
    reader = EventReader("sess_1")
    read(reader, ASK, after)

    assert summary(read(reader, idle("requires_action", "evt_a"))[1])[1] == {"actions": ()}
