"""Everruns' events as they come from the wire, written by hand."""

from __future__ import annotations

from typing import Any

from polysession_everruns.wire_events import WireEvent

SESSION_ID = "session_0195e0c0000070008000000000000001"
MESSAGE = {
    "id": "message_1",
    "role": "agent",
    "content": [{"type": "text", "text": "Hi"}],
    "created_at": "2026-03-01T10:00:00.000Z",
}
CALL = {"id": "call_1", "name": "look_up", "arguments": {"word": "x"}}
CALLS = {"tool_calls": [CALL, {**CALL, "id": "call_2"}]}
RESULT = {"tool_call_id": "call_1", "tool_name": "look_up", "success": True, "status": "success"}


def wire(kind: str, data: Any = None, **changes: Any) -> WireEvent:
    raw = {
        "id": "event_1",
        "type": kind,
        "ts": "2026-03-01T10:00:00.123Z",
        "session_id": SESSION_ID,
        "sequence": 7,
        "context": {"turn_id": "turn_1"},
        "data": {} if data is None else data,
        **changes,
    }
    return WireEvent.of(raw)
