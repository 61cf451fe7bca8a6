"""Qoder's events, type by type, and what spans several of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from polysession import (
    Event,
    MessageCompleted,
    Outcome,
    Role,
    SessionStatus,
    TextBlock,
    ToolApproval,
    ToolExecution,
    Usage,
)
from polysession_qoder import event_normaliser, stream_state
from polysession_qoder.event_normaliser import EVENT_TYPES, EventNormaliser

JsonObject = dict[str, Any]
Told = tuple[str, JsonObject]
"""An event's type, and its fields besides those that every event has."""

ENVELOPE = {"session_id", "id", "turn_id", "sequence", "created_at", "native_type", "synthetic", "raw", "type"}
SAYING: JsonObject = {"type": "text", "text": "Hello"}


def read(normaliser: EventNormaliser, *raws: JsonObject) -> list[Event]:
    return [event for raw in raws for event in normaliser.read(raw)]


def told(event: Event) -> Told:
    own = {field.name: getattr(event, field.name) for field in fields(event) if field.name not in ENVELOPE}
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


def status(word: SessionStatus, native: str) -> Told:
    return "session.status", {"status": word, "native_status": native}


def ended(outcome: Outcome, reason: str, error: str | None = None) -> Told:
    return "turn.ended", {"outcome": outcome, "native_reason": reason, "usage": None, "error": error}


def says(role: Role, text: str, message_id: str = "evt_1") -> Told:
    return "message.completed", {"role": role, "text": text, "message_id": message_id}


def result(call_id: str, text: str = "", *, is_error: bool = False) -> Told:
    return "tool_result.completed", {"tool_call_id": call_id, "text": text, "is_error": is_error}


def call(name: str, **arguments: Any) -> Told:
    return "tool_call.completed", {"tool_call_id": "evt_1", "name": name, "arguments": arguments}


def error(message: str, code: str | None = None) -> Told:
    return "error", {"message": message, "code": code}


RUNNING = raw("session.status_running", "evt_run")
IDLE = status(SessionStatus.IDLE, "idle")
STARTED: Told = ("turn.started", {})
NATIVE: Told = ("native", {})
ASK = raw("agent.tool_use", "evt_a", name="Bash", input={"command": "ls"}, evaluated_permission="ask")
CUSTOM = raw("agent.custom_tool_use", "evt_c", name="lookup", input={"q": 1})
APPROVAL = ToolApproval(id="evt_a", name="Bash", arguments={"command": "ls"}, raw=ASK)
EXECUTION = ToolExecution(id="evt_c", name="lookup", arguments={"q": 1}, raw=CUSTOM)
MESSAGE_STARTED: Told = ("message.started", {"message_id": "evt_9"})


def wrote(text: str, message_id: str | None = "evt_9") -> Told:
    return "message.delta", {"message_id": message_id, "text": text}


MODELLED: list[tuple[list[JsonObject], JsonObject, list[Told]]] = [
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
    ([], raw("span.model_request_end", is_error=False, model_usage={"credits": 1}), [NATIVE]),
    ([], start(), [MESSAGE_STARTED]),
    ([], start("agent.thinking"), [("thinking.started", {})]),
    ([], start("agent.new_kind"), [NATIVE]),
    ([], {"type": "event_start"}, [NATIVE]),
    ([start()], delta("Hel"), [wrote("Hel")]),
    ([], delta("lo"), [MESSAGE_STARTED, wrote("lo")]),
    ([start("agent.thinking")], delta("Hm"), [("thinking.delta", {"text": "Hm"})]),
    ([start()], {"type": "event_delta", "event_id": "evt_9"}, [NATIVE]),
    ([start()], {"type": "event_delta", "event_id": "evt_9", "delta": {"type": "new_delta"}}, [NATIVE]),
    ([start()], {"type": "event_delta", "event_id": "evt_9", "delta": {"content": {"type": "json"}}}, [NATIVE]),
    ([start()], {"type": "event_delta", "delta": {"content": {"text": "whose?"}}}, [NATIVE]),
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
    ([], raw("agent.content_block_delta", delta={"type": "input_json_delta", "partial_json": "{"}), [NATIVE]),
    ([], raw("agent.content_block_delta"), [NATIVE]),
]
UNMODELLED = [
    (kind, raw(kind, content=5, error=[], stop_reason=1))  # their bodies are never looked at
    for kind in (*event_normaliser._AS_THEY_ARE, "agent.of_next_year", "")
]


@pytest.mark.parametrize(("before", "event", "expected"), MODELLED)
def test_an_event_becomes(before: list[JsonObject], event: JsonObject, expected: list[Told]) -> None:
    normaliser = EventNormaliser("sess_1")
    read(normaliser, *before)

    assert [told(event) for event in normaliser.read(event)] == expected


@pytest.mark.parametrize(("kind", "event"), UNMODELLED)
def test_what_is_not_modelled_is_delivered_as_it_is(kind: str, event: JsonObject) -> None:
    (native,) = EventNormaliser("sess_1").read(event)

    assert (native.type, native.native_type, native.raw) == ("native", kind, event)


def test_the_table_says_what_each_type_becomes() -> None:
    produced: dict[str, set[str]] = defaultdict(set)
    for _, event, expected in MODELLED:
        assert expected
        produced[event["type"]] |= {kind for kind, _ in expected}
    for kind, _ in UNMODELLED[:-2]:
        produced[kind].add("native")

    assert {kind: set(common) for kind, common in EVENT_TYPES.items()} == produced


def test_every_event_has_its_envelope() -> None:
    normaliser = EventNormaliser("sess_1")
    event = raw("session.status_running", turn_id="turn_1")

    for common in normaliser.read(event):
        assert (common.session_id, common.id, common.turn_id) == ("sess_1", "evt_1", "turn_1")
        assert common.created_at == datetime(2026, 10, 1, 0, 0, 0, 123456, UTC)
        assert (common.native_type, common.synthetic, common.raw) == ("session.status_running", False, event)


def test_a_message_is_whole() -> None:
    event = raw("agent.message", content=[SAYING], created_at="2026-10-02T00:00:00Z", processed_at=None)

    (completed,) = EventNormaliser("sess_1").read(event)

    assert isinstance(completed, MessageCompleted)
    assert completed.message.model_dump(exclude={"raw"}) == {
        "provider": "qoder",
        "id": "evt_1",
        "session_id": "sess_1",
        "role": Role.ASSISTANT,
        "content": (TextBlock(text="Hello").model_dump(),),
        "usage": None,
        "created_at": datetime(2026, 10, 2, tzinfo=UTC),
    }
    assert completed.message.raw == event
    assert completed.created_at == completed.message.created_at


@pytest.mark.parametrize(
    "event",
    [{}, {"type": 5}, raw("agent.message", content=5), raw("agent.tool_use", input="ls"), {"type": "x", "id": 5}],
)
def test_what_cannot_be_read_is_refused(event: JsonObject) -> None:
    with pytest.raises(ValidationError):
        EventNormaliser("sess_1").read(event)


# Ends that the backend does not send.


def test_the_end_of_a_turn_is_inferred_only_when_its_session_ends() -> None:
    normaliser = EventNormaliser("sess_1")

    events = read(normaliser, RUNNING, raw("session.deleted"))
    assert [event.synthetic for event in events if event.type == "turn.ended"] == [True]

    events = read(EventNormaliser("sess_1"), RUNNING, idle("end_turn"), raw("session.status_terminated"))
    assert [event.synthetic for event in events if event.type == "turn.ended"] == [False]


def test_a_turn_that_was_expected_ends_with_the_session() -> None:
    normaliser = EventNormaliser("sess_1")
    normaliser.expect_turn()

    assert [event.type for event in normaliser.read(raw("session.deleted"))] == ["session.status", "turn.ended"]


def test_a_turn_that_was_rescheduled_goes_on() -> None:
    moved = raw("session.status_rescheduled", "evt_moved")
    again = raw("session.status_running", "evt_again")

    events = read(EventNormaliser("sess_1"), RUNNING, moved, again)
    assert [event.type for event in events].count("turn.started") == 1

    events = read(EventNormaliser("sess_1"), RUNNING, idle("end_turn"), moved, again)
    assert [event.type for event in events].count("turn.started") == 2


def test_an_error_belongs_to_its_turn_only() -> None:
    failed = raw("session.error", "evt_e", error={"message": "old"})
    again = raw("session.status_running", "evt_again")

    events = read(EventNormaliser("sess_1"), failed, again, idle("refusal"))

    assert told(events[-1]) == ended(Outcome.FAILED, "refusal", "the turn stopped: refusal")


# Actions.


def test_what_was_read_elsewhere_is_remembered() -> None:
    normaliser = EventNormaliser("sess_1")
    normaliser.remember(ASK)

    assert told(normaliser.read(idle("requires_action", "evt_a"))[1])[1] == {"actions": (APPROVAL,)}


@pytest.mark.parametrize(
    "after", [raw("agent.tool_result", tool_use_id="evt_a"), {**idle("end_turn"), "id": "evt_earlier"}]
)
def test_a_tool_use_is_forgotten_when_it_is_over(after: JsonObject) -> None:
    normaliser = EventNormaliser("sess_1")
    read(normaliser, ASK, after)

    assert told(normaliser.read(idle("requires_action", "evt_a"))[1])[1] == {"actions": ()}


# Previews and replays.

WHOLE = raw("agent.message", "evt_9", content=[{"type": "text", "text": "Hello"}])


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.type == "message.delta"]


def test_a_message_is_announced_written_and_completed_under_one_id() -> None:
    events = read(EventNormaliser("sess_1"), start(), delta("Hel"), delta("lo"), WHOLE)

    assert [told(event) for event in events] == [
        MESSAGE_STARTED,
        wrote("Hel"),
        wrote("lo"),
        says(Role.ASSISTANT, "Hello", "evt_9"),
    ]
    assert [event.id for event in events] == [None, None, None, "evt_9"]


def test_an_announcement_that_was_missed_is_inferred() -> None:
    events = read(EventNormaliser("sess_1"), delta("lo"))

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
    normaliser = EventNormaliser("sess_1")
    read(normaliser, start(), delta("Hel"), delta("lo"))

    events = read(normaliser, start(), *map(delta, replayed))

    assert texts(events) == fresh
    assert len(events) == len(fresh)


def test_a_second_replay_adds_only_what_was_not_delivered() -> None:
    normaliser = EventNormaliser("sess_1")
    read(normaliser, start(), delta("Hello"), start(), delta("He"))

    assert texts(read(normaliser, start(), delta("Hello"), delta("!"))) == ["!"]


def test_a_preview_that_goes_on_without_its_beginning_is_delivered() -> None:
    normaliser = EventNormaliser("sess_1")
    read(normaliser, start(), delta("Hel"))

    assert texts(read(normaliser, delta("lo"))) == ["lo"]


def test_blocks_are_counted_apart() -> None:
    normaliser = EventNormaliser("sess_1")
    read(normaliser, start(), delta("ab"), delta("x", index=1))

    assert texts(read(normaliser, start(), delta("ab"), delta("xy", index=1))) == ["y"]


@pytest.mark.parametrize("late", [start(), delta("lo")])
def test_a_preview_behind_its_whole_event_adds_nothing(late: JsonObject) -> None:
    normaliser = EventNormaliser("sess_1")
    read(normaliser, start(), delta("Hel"), WHOLE)

    assert normaliser.read(late) == []


@pytest.mark.parametrize("closing", [raw("span.model_request_end"), idle("cancelled")])
def test_a_preview_without_its_whole_event_is_given_up(closing: JsonObject) -> None:
    normaliser = EventNormaliser("sess_1")
    read(normaliser, start(), delta("Hel"), closing)

    assert texts(read(normaliser, start(), delta("Hel"))) == ["Hel"]


@pytest.mark.parametrize("event", [event for _, event, _ in MODELLED if "id" in event][:20])
def test_an_event_comes_once(event: JsonObject) -> None:
    normaliser = EventNormaliser("sess_1")

    assert normaliser.read(event)
    assert normaliser.read(event) == []


def test_ids_are_forgotten_after_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_state, "_REMEMBERED_IDS", 2)
    normaliser = EventNormaliser("sess_1")
    events = [raw("user.interrupt", f"evt_{number}") for number in range(6)]
    read(normaliser, *events)

    assert read(normaliser, *events[-2:]) == []
    assert len(read(normaliser, events[0])) == 1
