"""Builds the event for input that has no model."""

from __future__ import annotations

from typing import Any

from polysession._json import decode_json
from polysession.event import RawEvent


def raw_event(session_id: str, source: bytes, **envelope: Any) -> RawEvent:
    """Build the event for input that has no model, or that cannot be read.

    Its payload is the backend's JSON object, `{"value": ...}` for another JSON value, or `{"text": "..."}` for anything
    else.

    Args:
        session_id: The session.
        source: The text that the backend sent.
        envelope: Other fields of the event, such as `native_type`, `id` and `problems`.
    """
    try:
        value = decode_json(source)
    except ValueError:
        payload: dict[str, Any] = {"text": source.decode("utf-8", "replace")}
    else:
        payload = value if isinstance(value, dict) else {"value": value}
    return RawEvent(session_id=session_id, payload=payload, source=source, **envelope)
