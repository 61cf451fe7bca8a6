"""Short forms for Qoder's events and for the common events that are read from them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from polysession import (
    Event,
    MessageCompleted,
    Outcome,
    RawEvent,
    Role,
    SessionStatus,
    Usage,
)
from polysession.event import EventRecord
from polysession_qoder.events import EventReader
from support.qoder_events import APPROVAL, ASK, CUSTOM, EXECUTION

JsonObject = dict[str, Any]


Summary = tuple[str, JsonObject]
"""An event's type, and its fields besides those that every event has."""


ENVELOPE = EventRecord.model_fields.keys() | {"type"}


SAYING: JsonObject = {"type": "text", "text": "Hello"}


def read(reader: EventReader, *raws: Any) -> list[Event]:
    return [event for raw in raws for event in reader.read(json.dumps(raw).encode())]


def summary(event: Event) -> Summary:
    fields = {name: getattr(event, name) for name in type(event).model_fields if name not in ENVELOPE}
    if isinstance(event, RawEvent):
        assert fields.pop("payload") == event.raw
    if isinstance(event, MessageCompleted):
        fields = {"role": event.message.role, "text": event.message.text, "message_id": event.message.id}
    return event.type, fields


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
    # The events before it, the event, and the common events.
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
    ([], idle(None), [IDLE, ended(Outcome.FAILED, "", "the turn stopped: the backend gave no reason")]),
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
    ([], raw("session.error"), [error("the backend reported an error without details")]),
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


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if event.type == "message.delta"]
