"""Short forms for Anthropic's events."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]


def event(event_id: str, kind: str, second: int | None = 0, **values: Any) -> JsonObject:
    """Return an event that was processed at this second. None: an input that is queued."""
    moment = None if second is None else f"2026-11-30T12:00:{second:02}.000Z"
    return {"id": event_id, "type": kind, "processed_at": moment, **values}


def user(event_id: str, text: str, second: int | None = 0) -> JsonObject:
    return event(event_id, "user.message", second, content=[{"type": "text", "text": text}])


def says(event_id: str, text: str, second: int = 0) -> JsonObject:
    return event(event_id, "agent.message", second, content=[{"type": "text", "text": text}])


def running(event_id: str, second: int = 0) -> JsonObject:
    return event(event_id, "session.status_running", second)


def idle(event_id: str, reason: str = "end_turn", second: int = 0, **values: Any) -> JsonObject:
    event_ids = values.pop("event_ids", None)
    stop = {"type": reason, **({} if event_ids is None else {"event_ids": event_ids})}
    return event(event_id, "session.status_idle", second, stop_reason=stop, **values)


def usage(event_id: str, tokens: int, cents: str, second: int = 0) -> JsonObject:
    total = {"input_tokens": tokens, "output_tokens": tokens, "list_cost": {"amount": cents, "currency": "USD"}}
    return event(event_id, "session.usage", second, usage=total, budget=None)


def page(*events: JsonObject, next_page: str | None = None) -> JsonObject:
    return {"data": list(events), "next_page": next_page}
