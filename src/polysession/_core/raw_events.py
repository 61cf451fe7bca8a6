"""Builds the event for what is not modelled."""

from __future__ import annotations

from typing import Any

from polysession._json import decode_json
from polysession.event import RawEvent


def raw_event(session_id: str, source: bytes, **envelope: Any) -> RawEvent:
    """The event for what is not modelled, or cannot be read.

    Its payload is the backend's object; for another JSON value `{"value": ...}`, and for what is no JSON
    `{"text": "..."}`.

    Args:
        session_id: The session.
        source: What the backend sent.
        envelope: Other fields of the event, such as `native_type`, `id` and `problems`.
    """
    try:
        value = decode_json(source)
    except ValueError:
        payload: dict[str, Any] = {"text": source.decode("utf-8", "replace")}
    else:
        payload = value if isinstance(value, dict) else {"value": value}
    return RawEvent(session_id=session_id, payload=payload, source=source, **envelope)
