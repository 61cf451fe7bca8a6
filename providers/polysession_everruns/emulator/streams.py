"""Live streams of the Everruns emulator, as server-sent events.

Backend: https://docs.everruns.com, streaming, and https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Final

from polysession.emulation import HEARTBEAT, sse_frame
from polysession_everruns.emulator.event_queries import TypeFilter
from polysession_everruns.emulator.session_log import Entry, SessionLog
from polysession_everruns.emulator.turn_records import Pace

_SHORTEST_RETRY_MS: Final = 100
_LONGEST_RETRY_MS: Final = 500


def open_stream(
    log: SessionLog, types: TypeFilter, pace: Pace, *, since_id: str | None, replays_all: bool
) -> AsyncGenerator[bytes, None]:
    """Return the frames of a stream that starts now, even if its first frame is read later.

    Args:
        log: The session's event log.
        types: The filter by event type.
        pace: The interval of heartbeats, and the maximum duration of the stream.
        since_id: Id of the event after which stored events are replayed; None for no replay.
        replays_all: Whether a stream without `since_id` replays all stored events.
    """
    entries = log.entries.entries
    live_from = len(entries)
    start = 0 if replays_all else live_from
    if since_id is not None:
        start = next((place for place, entry in enumerate(entries) if entry.event["id"] > since_id), live_from)
    return _frames(log, types, pace, start=start, live_from=live_from)


async def _frames(
    log: SessionLog, types: TypeFilter, pace: Pace, *, start: int, live_from: int
) -> AsyncGenerator[bytes, None]:
    yield sse_frame({"event": "connected", "data": {"status": "connected"}})
    ends_at_s = time.monotonic() + pace.stream_s
    retry_ms = _SHORTEST_RETRY_MS
    place = start
    async for entry in log.entries.follow(start, heartbeat_s=min(pace.heartbeat_s, pace.stream_s)):
        if entry is not None:
            if types.passes(entry.event) and (entry.is_stored or place >= live_from):
                yield _event_frame(entry, retry_ms)
            place += 1
            retry_ms = _SHORTEST_RETRY_MS
        elif time.monotonic() < ends_at_s:
            yield HEARTBEAT
            retry_ms = min(retry_ms * 2, _LONGEST_RETRY_MS)
        if time.monotonic() >= ends_at_s:
            data = {"reason": "connection_cycle", "retry_ms": _SHORTEST_RETRY_MS}
            yield sse_frame({"event": "disconnecting", "data": data})
            return


def _event_frame(entry: Entry, retry_ms: int) -> bytes:
    event = entry.event
    event_id = event["id"] if entry.is_stored else None
    return sse_frame({"event": event["type"], "id": event_id, "retry": retry_ms, "data": event})
