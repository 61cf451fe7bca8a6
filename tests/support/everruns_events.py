"""Everruns' events in the format of the wire, written by hand."""

from __future__ import annotations

import json
from typing import Any

from polysession.event import Event
from polysession_everruns.events import EventReader

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
QUESTION = {
    "id": "question_1",
    "question": "Where should it go?",
    "header": "Target",
    "kind": "choice",
    "multi_select": False,
    "allow_other": False,
    "options": [{"label": "Staging", "description": "Safe", "default": True}, {"label": "Production"}],
}
"""A question in the engine's format, except for `allow_other`."""


def raw_event(kind: str, data: Any = None, **changes: Any) -> dict[str, Any]:
    """Return an event as an object."""
    return {
        "id": "event_1",
        "type": kind,
        "ts": "2026-03-01T10:00:00.123Z",
        "session_id": SESSION_ID,
        "sequence": 7,
        "context": {"turn_id": "turn_1"},
        "data": {} if data is None else data,
        **changes,
    }


def wire(kind: str, data: Any = None, **changes: Any) -> bytes:
    """Return an event as JSON text."""
    return json.dumps(raw_event(kind, data, **changes)).encode()


def to_events(content: bytes) -> list[Event]:
    """Return the common events of a single event."""
    return list(EventReader(SESSION_ID).read(content))


def asking(*questions: dict[str, Any], call_id: str = "call_1") -> dict[str, Any]:
    """Return a call of the tool `ask_user`."""
    return {"id": call_id, "name": "ask_user", "arguments": {"questions": list(questions), "timeout_seconds": 300}}
