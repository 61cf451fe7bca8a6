"""Short forms for Qoder's events, and the actions that are expected from them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import msgspec

from polysession import Event, ToolApproval, ToolExecution
from polysession._core.flow import Call
from polysession_managed_agents.events import Position

JsonObject = dict[str, Any]

EVENTS = "/sessions/sess_1/events"
NEWEST_FIRST = Call("GET", f"{EVENTS}?order=desc&limit=100")
SEND = Call("POST", EVENTS, idempotency_header="idempotency-key")


def cursor_after(event_id: str) -> str:
    """Return the cursor of a stream after an event, outside of a turn."""
    return urlsafe_b64encode(msgspec.json.encode(Position(event_id))).decode().rstrip("=")


def page(*events: JsonObject, next_page: str | None = None) -> JsonObject:
    return {"data": list(events), "next_page": next_page, "has_more": next_page is not None}


def event(event_id: str, kind: str, **values: Any) -> JsonObject:
    return {"id": event_id, "type": kind, **values}


def idle(event_id: str, reason: str, *event_ids: str) -> JsonObject:
    stop = {"type": reason, **({"event_ids": list(event_ids)} if event_ids else {})}
    return event(event_id, "session.status_idle", stop_reason=stop)


def echo(event_id: str = "evt_echo", text: str = "Hi") -> JsonObject:
    return event(event_id, "user.message", content=[{"type": "text", "text": text}])


def said(event_id: str, text: str) -> JsonObject:
    return event(event_id, "agent.message", content=[{"type": "text", "text": text}])


def shown(events: Sequence[Event]) -> list[str]:
    """Return the types of the events, with the texts of messages and the outcomes of turns."""
    texts = {"message.delta": "text", "turn.ended": "outcome", "thinking.completed": "text"}
    out = []
    for item in events:
        detail = getattr(item, texts[item.type]) if item.type in texts else ""
        detail = item.message.text if item.type == "message.completed" else detail
        out.append(f"{item.type} {detail}".strip())
    return out


BEFORE = {"id": "evt_before", "type": "session.status_idle", "stop_reason": {"type": "end_turn"}}
ASK = event("evt_a", "agent.tool_use", name="Bash", input={"command": "ls"}, evaluated_permission="ask")
MCP = event("evt_m", "agent.mcp_tool_use", name="find", input={}, session_thread_id="sthr_1")
CUSTOM = event("evt_c", "agent.custom_tool_use", name="lookup", input={"q": 1})
WAITING = idle("evt_i", "requires_action", "evt_a", "evt_m", "evt_c")
APPROVAL = ToolApproval(
    id="evt_a",
    name="Bash",
    arguments={"command": "ls"},
    reference='{"type":"user.tool_confirmation","tool_use_id":"evt_a"}',
)
MCP_APPROVAL = ToolApproval(
    id="evt_m",
    name="find",
    arguments={},
    reference='{"type":"user.tool_confirmation","tool_use_id":"evt_m","session_thread_id":"sthr_1"}',
)
EXECUTION = ToolExecution(
    id="evt_c",
    name="lookup",
    arguments={"q": 1},
    reference='{"type":"user.custom_tool_result","custom_tool_use_id":"evt_c"}',
)
WAITING_PAGE = page(WAITING, event("evt_u", "session.usage"), CUSTOM, MCP, ASK, echo())
