"""Streams and turns of Qoder, followed over scripted connections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from polysession._core.cursors import plan_cursor
from polysession._core.flow import Call, Response
from polysession._core.plans import ConnectedStream
from polysession.change import SessionRef
from polysession.errors import PolysessionError
from polysession_qoder import QoderProvider, QoderSettings
from support.flows import ok, step
from support.plan_runner import Followed, follow
from support.qoder_events import (
    EVENTS,
    JsonObject,
    event,
    page,
)

REF = SessionRef("sess_1")


PROVIDER = QoderProvider(QoderSettings(token="pt-made-up"))


STREAM = f"{EVENTS}/stream?event_deltas%5B%5D=agent.message&event_deltas%5B%5D=agent.thinking"


NEWEST = Call("GET", f"{EVENTS}?order=desc&limit=10")


def start(event_id: str, kind: str = "agent.message") -> JsonObject:
    return {"type": "event_start", "event": {"id": event_id, "type": kind}}


def delta(event_id: str, text: str) -> JsonObject:
    content = {"type": "text", "text": text}
    return {"type": "event_delta", "event_id": event_id, "delta": {"type": "content_delta", "content": content}}


def frame(wire: JsonObject) -> bytes:
    event_id = wire.get("id") or wire.get("event_id") or wire["event"]["id"]
    return f"id: {event_id}\nevent: {wire['type']}\ndata: {json.dumps(wire)}\n\n".encode()


def tape(*events: JsonObject) -> bytes:
    return b"".join(frame(wire) for wire in events)


def prepared(*newest: JsonObject) -> ConnectedStream:
    """Return the plan of a stream after the newest event."""
    return step(PROVIDER.stream_events(REF, None), ok(page(*newest)))[1]


def cursor_at(*newest: JsonObject) -> str:
    return prepared(*newest).cursor


ELSEWHERE = cursor_at(event("evt_0", "session.updated"))


def stream(
    *connections: bytes | PolysessionError,
    newest: Sequence[JsonObject] = (),
    cursor: str | None = None,
    replies: Sequence[Response | PolysessionError] = (),
    **options: Any,
) -> Followed:
    """Follow a stream. Each part comes over a new connection."""
    answers = [*([ok(page(*newest))] if cursor is None else []), *replies]
    parts = [[part] if isinstance(part, bytes) else part for part in connections]
    return follow(lambda: PROVIDER.stream_events(REF, plan_cursor(cursor)), answers, parts, cursor=cursor, **options)


def openings(followed: Followed) -> list[str | None]:
    """Return the `Last-Event-ID` of each connection."""
    return [call.headers.get("last-event-id") for call in followed.calls if call.path == STREAM]
