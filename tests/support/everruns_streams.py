"""Everruns' events, calls and responses, written by hand, for plans that tests step."""

from __future__ import annotations

from typing import Any

from polysession._core.flow import Call
from polysession._core.operations import Operations
from polysession._core.plans import ConnectedStream
from polysession.action import ToolExecution
from polysession.errors import Conflict, InvalidRequest
from polysession.provider_api import decode_cursor, encode_cursor
from polysession_everruns import EverrunsProvider, EverrunsSettings
from polysession_everruns.wire import WireCursor
from support.flows import ok, sent_bodies

ID = "session_0195e0c0000070008000000000000001"
PATH = f"/v1/sessions/{ID}"
PROVIDER = EverrunsProvider(EverrunsSettings(api_key="evr_pat_test"))
OPERATIONS = Operations(PROVIDER)
HI = [{"type": "text", "text": "Hi"}]
CALL = {"id": "call_1", "name": "look_up", "arguments": {"word": "x"}}
OTHER_CALL = {**CALL, "id": "call_2"}


def event(number: int, kind: str, data: Any = None, **changes: Any) -> dict[str, Any]:
    """Return an event in the format of the server's storage."""
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
    """Return a delta, which only open streams receive."""
    data = {"turn_id": turn, "delta": text[-1:], "accumulated": text}
    raw = event(0, "output.message.delta", data)
    return {name: value for name, value in raw.items() if name != "sequence"} | {"id": f"event_f{len(text):031x}"}


def message(message_id: str = "message_1", role: str = "user") -> dict[str, Any]:
    return {"message": {"id": message_id, "role": role, "content": HI, "created_at": "2026-03-01T10:00:00Z"}}


def listed(*events: dict[str, Any]) -> Any:
    return ok({"data": list(events)})


def summary(call: Call) -> tuple[str, str, Any, float]:
    assert (call.read_only, call.idempotency_header) == (False, None)
    return call.method, call.path, sent_bodies([call])[0], call.after_s


POSTED = ok({"id": "message_1", "role": "user", "content": HI, "created_at": "2026-03-01T10:00:00Z"}, 201)


HISTORY = [event(number, "turn.started" if number % 2 else "llm.generation") for number in range(1, 6)]


REQUESTED = event(4, "tool.call_requested", {"tool_calls": [CALL]}, context={"turn_id": "turn_1"})
BOTH = event(4, "tool.call_requested", {"tool_calls": [CALL, OTHER_CALL]}, context={"turn_id": "turn_1"})
DONE = event(5, "tool.completed", {"tool_call_id": "call_1", "tool_name": "", "success": True, "result": []})
ACTION = ToolExecution(
    id="call_1",
    name="look_up",
    arguments={"word": "x"},
    group=f"event_{4:032x}/outputs",
    reference='{"call_id":"call_1","question":null}',
)
NEWEST = ("GET", f"{PATH}/events?limit=50", None, 0.0)
RESULTS = f"{PATH}/tool-results"
ACCEPTED = ok({"accepted": 1, "status": "active"})


def conflict(status: int = 409) -> Conflict | InvalidRequest:
    kind = Conflict if status == 409 else InvalidRequest
    return kind("Session is not waiting for tool results (current status: active)", status=status)


def opened(plan: ConnectedStream) -> str:
    call = plan.open()
    assert (call.method, dict(call.headers)) == ("GET", {"accept": "text/event-stream", "cache-control": "no-store"})
    return call.path


def after(event_id: str | None) -> str:
    """Return the cursor of a stream that continues after an event; None means from the start."""
    return encode_cursor(WireCursor(event_id))


def place_of(cursor: str | None) -> str | None:
    """Return the id of the event after which a cursor continues."""
    return decode_cursor(WireCursor, cursor or "", "Everruns").since_id
