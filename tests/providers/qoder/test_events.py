"""Qoder's events, type by type, and what spans several of them."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from polysession import (
    EVENT,
    Event,
    MessageCompleted,
    Outcome,
    RawBlock,
    RawEvent,
    Role,
    SessionStatus,
    TextBlock,
    Usage,
)
from polysession.event import EventRecord
from polysession_managed_agents import events as family_events
from polysession_managed_agents.messages import PendingActions
from polysession_qoder.events import EVENT_TYPES, EventReader
from polysession_qoder.sessions import QODER
from support.qoder_events import APPROVAL, ASK, CUSTOM, EXECUTION

JsonObject = dict[str, Any]
Summary = tuple[str, JsonObject]
"""An event's type, and its fields besides those that every event has."""

ENVELOPE = EventRecord.model_fields.keys() | {"type"}
SAYING: JsonObject = {"type": "text", "text": "Hello"}


def read(reader: EventReader, *raws: Any) -> list[Event]:
    return [event for raw in raws for event in reader.read(json.dumps(raw).encode())]


def summary(event: Event) -> Summary:
    own = {name: getattr(event, name) for name in type(event).model_fields if name not in ENVELOPE}
    if isinstance(event, RawEvent):
        assert own.pop("payload") == event.raw
    if isinstance(event, MessageCompleted):
        own = {"role": event.message.role, "text": event.message.text, "message_id": event.message.id}
    return event.type, own


def raw(kind: str, event_id: str = "evt_1", **values: Any) -> JsonObject:
    return {"id": event_id, "type": kind, "processed_at": "2026-10-01T00:00:00.123456789Z", **values}


def idle(reason: str | None, *event_ids: str) -> JsonObject:
    stop = {"type": reason, **({"event_ids": list(event_ids)} if event_ids else {})}
    return raw("session.status_idle", "evt_idle", **({} if reason is None else {"stop_reason": stop}))


def start(kind: str = "agent.message", event_id: str = "evt_9") -> JsonObject:
    return {"type": "event_start", "event": {"id": event_id, "type": kind}}


def delta(text: str, event_id: str = "evt_9", index: int = 0) -> JsonObject:
    content = {"type": "text", "text": text}
    return {
        "type": "event_delta",
        "event_id": event_id,
        "delta": {"type": "content_delta", "index": index, "content": content},
    }


def status(word: SessionStatus, native: str) -> Summary:
    return "session.status", {"status": word, "native_status": native}


def ended(outcome: Outcome, reason: str, error: str | None = None) -> Summary:
    return "turn.ended", {
        "outcome": outcome,
        "native_reason": reason,
        "usage": None,
        "error": error,
        "continues": False,
    }


def says(role: Role, text: str, message_id: str = "evt_1") -> Summary:
    return "message.completed", {"role": role, "text": text, "message_id": message_id}


def result(call_id: str, text: str = "", *, is_error: bool = False) -> Summary:
    return "tool_result.completed", {"tool_call_id": call_id, "text": text, "is_error": is_error}


def call(name: str, **arguments: Any) -> Summary:
    return "tool_call.completed", {"tool_call_id": "evt_1", "name": name, "arguments": arguments}


def error(message: str, code: str | None = None) -> Summary:
    return "error", {"message": message, "code": code}


RUNNING = raw("session.status_running", "evt_run")
IDLE = status(SessionStatus.IDLE, "idle")
STARTED: Summary = ("turn.started", {})
RAW: Summary = ("raw", {})
MESSAGE_STARTED: Summary = ("message.started", {"message_id": "evt_9"})


def wrote(text: str, message_id: str | None = "evt_9") -> Summary:
    return "message.delta", {"message_id": message_id, "text": text}


MODELLED: list[tuple[list[JsonObject], JsonObject, list[Summary]]] = [
    # What came before, the event, and what it becomes.
    ([], raw("user.message", content=[SAYING]), [says(Role.USER, "Hello")]),
    ([], raw("user.message", content="as in May 2026"), [says(Role.USER, "as in May 2026")]),
    ([], raw("user.custom_tool_result", custom_tool_use_id="evt_c", content=[SAYING]), [result("evt_c", "Hello")]),
    ([], raw("user.tool_result", tool_use_id="evt_a", is_error=True), [result("evt_a", is_error=True)]),
    ([], raw("system.message", content=[SAYING]), [says(Role.SYSTEM, "Hello")]),
    ([], raw("agent.message", content=[SAYING, SAYING]), [says(Role.ASSISTANT, "HelloHello")]),
    ([], raw("agent.message", message_id="msg_1", content=[SAYING]), [says(Role.ASSISTANT, "Hello", "msg_1")]),
    ([], raw("agent.thinking"), [("thinking.completed", {"text": ""})]),
    ([], raw("agent.thinking", content="Hm."), [("thinking.completed", {"text": "Hm."})]),
    ([], raw("agent.thinking", thinking="Hm."), [("thinking.completed", {"text": "Hm."})]),
    ([], raw("agent.tool_use", name="Bash", input={"command": "ls"}), [call("Bash", command="ls")]),
    ([], raw("agent.mcp_tool_use", mcp_server_name="s", name="find", input={"q": 1}), [call("find", q=1)]),
    ([], raw("agent.custom_tool_use", name="lookup", input=None), [call("lookup")]),
    ([], raw("agent.tool_result", tool_use_id="evt_a", content=[SAYING], is_error=False), [result("evt_a", "Hello")]),
    ([], raw("agent.tool_result", tool_use_id="evt_a", output="done"), [result("evt_a", "done")]),
    ([], raw("agent.mcp_tool_result", mcp_tool_use_id="evt_m", content="x"), [result("evt_m", "x")]),
    ([], raw("session.status_running"), [STARTED, status(SessionStatus.RUNNING, "running")]),
    ([], raw("session.status_rescheduled"), [status(SessionStatus.RESCHEDULING, "rescheduled")]),
    ([], idle("end_turn"), [IDLE, ended(Outcome.COMPLETED, "end_turn")]),
    ([], idle("cancelled"), [IDLE, ended(Outcome.CANCELLED, "cancelled")]),
    ([], idle("budget_reached"), [IDLE, ended(Outcome.LIMIT_REACHED, "budget_reached")]),
    ([], idle("refusal"), [IDLE, ended(Outcome.FAILED, "refusal", "the turn stopped: refusal")]),
    ([], idle("new_word"), [IDLE, ended(Outcome.FAILED, "new_word", "the turn stopped: new_word")]),
    (
        [RUNNING, raw("session.error", "evt_e", error={"type": "billing_error", "message": "no credits"})],
        idle("retries_exhausted"),
        [IDLE, ended(Outcome.FAILED, "retries_exhausted", "no credits")],
    ),
    ([], idle(None), [IDLE, ended(Outcome.FAILED, "", "the turn stopped: the backend does not say why")]),
    ([], {**idle(None), "stop_reason": "end_turn"}, [IDLE, ended(Outcome.COMPLETED, "end_turn")]),
    (
        [ASK, CUSTOM],
        idle("requires_action", "evt_c", "evt_a"),
        [
            IDLE,
            ("action.required", {"actions": (EXECUTION, APPROVAL)}),
            ended(Outcome.REQUIRES_ACTION, "requires_action"),
        ],
    ),
    (
        [],
        idle("requires_action", "evt_unseen"),
        [IDLE, ("action.required", {"actions": ()}), ended(Outcome.REQUIRES_ACTION, "requires_action")],
    ),
    ([], raw("session.status_terminated"), [status(SessionStatus.TERMINATED, "terminated")]),
    (
        [RUNNING],
        raw("session.status_terminated"),
        [
            status(SessionStatus.TERMINATED, "terminated"),
            ended(Outcome.FAILED, "terminated", "the session was terminated"),
        ],
    ),
    (
        [ASK, raw("session.error", "evt_e", error={"message": "out of order"})],
        raw("session.deleted"),
        [status(SessionStatus.TERMINATED, "deleted"), ended(Outcome.FAILED, "deleted", "out of order")],
    ),
    (
        [],
        raw("session.usage", model_credits=1.25, sandbox_runtime_credits=0.5, total_credits=1.75),
        [
            (
                "usage",
                {
                    "usage": Usage(
                        credits=Decimal("1.75"), model_credits=Decimal("1.25"), sandbox_credits=Decimal("0.5")
                    ),
                    "is_delta": False,
                },
            )
        ],
    ),
    (
        [],
        raw("session.error", error={"type": "unknown_error", "message": "oh", "retry_status": {"type": "retrying"}}),
        [error("oh", "unknown_error")],
    ),
    ([], raw("session.error", error="oh", code="E1"), [error("oh", "E1")]),
    ([], raw("session.error", error={"type": "unknown_error"}), [error("unknown_error", "unknown_error")]),
    ([], raw("session.error"), [error("the backend reports an error, and not which")]),
    ([], {"type": "error", "error": {"type": "api_error", "message": "closing"}}, [error("closing", "api_error")]),
    ([], raw("span.model_request_end", is_error=False, model_usage={"credits": 1}), [RAW]),
    ([], start(), [MESSAGE_STARTED]),
    ([], start("agent.thinking"), [("thinking.started", {})]),
    ([], start("agent.new_kind"), [RAW]),
    ([], {"type": "event_start"}, [RAW]),
    ([start()], delta("Hel"), [wrote("Hel")]),
    ([], delta("lo"), [MESSAGE_STARTED, wrote("lo")]),
    ([start("agent.thinking")], delta("Hm"), [("thinking.delta", {"text": "Hm"})]),
    ([start()], {"type": "event_delta", "event_id": "evt_9"}, [RAW]),
    ([start()], {"type": "event_delta", "event_id": "evt_9", "delta": {"type": "new_delta"}}, [RAW]),
    ([start()], {"type": "event_delta", "event_id": "evt_9", "delta": {"content": {"type": "json"}}}, [RAW]),
    ([start()], {"type": "event_delta", "delta": {"content": {"text": "whose?"}}}, [RAW]),
    ([], raw("agent.message_start", message_id="evt_9"), [MESSAGE_STARTED]),
    (
        [],
        raw("agent.content_block_delta", message_id="msg_1", delta={"type": "text_delta", "text": "Hel"}),
        [wrote("Hel", "msg_1")],
    ),
    (
        [],
        raw("agent.content_block_delta", delta={"type": "thinking_delta", "thinking": "Hm"}),
        [("thinking.delta", {"text": "Hm"})],
    ),
    ([], raw("agent.content_block_delta", delta={"type": "input_json_delta", "partial_json": "{"}), [RAW]),
    ([], raw("agent.content_block_delta"), [RAW]),
]
UNMODELLED = [
    (kind, raw(kind, content=5, error=[], stop_reason=1))  # their bodies are never looked at
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


def test_the_table_says_what_each_type_becomes() -> None:
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


def test_a_message_is_whole() -> None:
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


# Odd values.


ODD: list[tuple[JsonObject, Summary, tuple[str, ...]]] = [
    # What the backend sends, what it becomes, and its problems.
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
def test_an_odd_value_costs_nothing_but_itself(event: JsonObject, expected: Summary, problems: tuple[str, ...]) -> None:
    (delivered,) = read(EventReader("sess_1"), event)

    assert (summary(delivered), delivered.problems) == (expected, problems)


@pytest.mark.parametrize("content", [b"[]", b"5", b"", b"<html>", b'{"type":'])
def test_an_event_that_is_not_an_object_is_delivered_raw(content: bytes) -> None:
    (delivered,) = EventReader("sess_1").read(content, kind="agent.message", event_id="evt_1")

    assert isinstance(delivered, RawEvent)
    assert (delivered.id, delivered.native_type) == ("evt_1", "agent.message")
    assert (delivered.source, len(delivered.problems)) == (content, 1)


def test_an_odd_time_ends_the_turn_all_the_same() -> None:
    event = {**idle("end_turn"), "processed_at": "0001-01-01T00:00:00+05:00"}

    assert [summary(delivered) for delivered in read(EventReader("sess_1"), event)] == [
        IDLE,
        ended(Outcome.COMPLETED, "end_turn"),
    ]


def test_a_medium_that_cannot_be_read_is_a_raw_block() -> None:
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
def test_type_and_id_may_stand_outside_the_json(kind: str, event_id: str | None, content: JsonObject) -> None:
    (delivered,) = EventReader("sess_1").read(json.dumps(content).encode(), kind=kind, event_id=event_id)

    assert (delivered.native_type, delivered.id) == ("agent.message", "evt_1")
    assert summary(delivered) == says(Role.ASSISTANT, "Hello")


# Ends that the backend does not send.


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


def test_a_turn_that_was_rescheduled_goes_on() -> None:
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


def test_what_was_read_elsewhere_is_remembered() -> None:
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


# Previews and replays.

WHOLE = raw("agent.message", "evt_9", content=[{"type": "text", "text": "Hello"}])


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.type == "message.delta"]


def test_a_message_is_announced_written_and_completed_under_one_id() -> None:
    events = read(EventReader("sess_1"), start(), delta("Hel"), delta("lo"), WHOLE)

    assert [summary(event) for event in events] == [
        MESSAGE_STARTED,
        wrote("Hel"),
        wrote("lo"),
        says(Role.ASSISTANT, "Hello", "evt_9"),
    ]
    assert [event.id for event in events] == [None, None, None, "evt_9"]


def test_an_announcement_that_was_missed_is_inferred() -> None:
    events = read(EventReader("sess_1"), delta("lo"))

    assert [event.synthetic for event in events] == [True, False]


@pytest.mark.parametrize(
    ("replayed", "fresh"),
    [
        (["Hel", "lo"], []),
        (["He", "l", "lo, ", "you"], [", ", "you"]),
        (["Hello, you"], [", you"]),
        (["H"], []),
    ],
)
def test_a_replay_adds_only_what_was_not_delivered(replayed: list[str], fresh: list[str]) -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"), delta("lo"))

    events = read(reader, start(), *map(delta, replayed))

    assert texts(events) == fresh
    assert len(events) == len(fresh)


def test_a_second_replay_adds_only_what_was_not_delivered() -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hello"), start(), delta("He"))

    assert texts(read(reader, start(), delta("Hello"), delta("!"))) == ["!"]


def test_a_preview_that_goes_on_without_its_beginning_is_delivered() -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"))

    assert texts(read(reader, delta("lo"))) == ["lo"]


def test_blocks_are_counted_apart() -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("ab"), delta("x", index=1))

    assert texts(read(reader, start(), delta("ab"), delta("xy", index=1))) == ["y"]


@pytest.mark.parametrize("late", [start(), delta("lo")])
def test_a_preview_behind_its_whole_event_adds_nothing(late: JsonObject) -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"), WHOLE)

    assert read(reader, late) == []


@pytest.mark.parametrize("closing", [raw("span.model_request_end"), idle("cancelled")])
def test_a_preview_without_its_whole_event_is_given_up(closing: JsonObject) -> None:
    reader = EventReader("sess_1")
    read(reader, start(), delta("Hel"), closing)

    assert texts(read(reader, start(), delta("Hel"))) == ["Hel"]


@pytest.mark.parametrize("event", [event for _, event, _ in MODELLED if "id" in event][:20])
def test_an_event_comes_once(event: JsonObject) -> None:
    reader = EventReader("sess_1")

    assert read(reader, event)
    assert read(reader, event) == []


def test_ids_are_forgotten_after_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family_events, "REMEMBERED_IDS", 2)
    reader = EventReader("sess_1")
    events = [raw("user.interrupt", f"evt_{number}") for number in range(6)]
    read(reader, *events)

    assert read(reader, *events[-2:]) == []
    assert len(read(reader, events[0])) == 1
