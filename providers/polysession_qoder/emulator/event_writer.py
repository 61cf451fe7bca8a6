"""The events of a Qoder session as they are on the wire, in each generation.

The order of a turn's events is the one of a published trace of the live service (2026-09-21); the event pages leave
`session.usage` out. The legacy events are those of the pages of 2026-05.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview,
https://docs.qoder.com/cloud-agents/events-stream and, for the legacy generation,
https://docs.qoder.com/cloud-agents/api/sessions/stream-events (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from polysession.emulation import EventLog, base36_id
from polysession_qoder.emulator.validation import Json

REQUEST_CREDITS = Decimal("0.05")
"""Cost of one model request."""

_MODEL = "ultimate"


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of the log.

    Attributes:
        id: The SSE id: that of the event, and for a preview that of the event it previews.
        event: The JSON.
        previewed: Type of the event that this is a preview of; None for an event of its own, which the list keeps.
    """

    id: str
    event: Json
    previewed: str | None = None


def timestamp_now() -> str:
    """The present moment, as the backend writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class EventWriter:
    """Writes the events of one session.

    Attributes:
        log: Everything that streams get, in order.
        thread_id: The coordinator thread.
        turn_id: The turn in work; empty before the first.
    """

    def __init__(self, session_id: str) -> None:
        self.log: EventLog[Entry] = EventLog()
        self.thread_id = base36_id("sthr_")
        self.turn_id = ""
        self._session_id = session_id
        self._span_id: str | None = None

    def emit(self, event_type: str, event_id: str | None = None, **payload: object) -> str:
        """Write an event; gives its id."""
        event_id = event_id or base36_id("evt_")
        self.log.append(Entry(event_id, self._sealed({"id": event_id, "type": event_type, **payload})))
        return event_id

    def accepted(self, event: Json) -> Json:
        """An event of the client, with what the backend adds to it."""
        return self._sealed({**event, "id": base36_id("evt_")})

    def note(self, events: Iterable[Json]) -> None:
        """Keep accepted events."""
        for event in events:
            self.log.append(Entry(event["id"], event))

    def preview(self, event_id: str, event_type: str, text: str | None = None) -> None:
        """Write a preview: of the start of an event, or of a piece of its text."""
        if text is None:
            preview: Json = {"type": "event_start", "event": {"id": event_id, "type": event_type}}
        else:
            delta = {"type": "content_delta", "index": 0, "content": {"type": "text", "text": text}}
            preview = {"type": "event_delta", "event_id": event_id, "delta": delta}
        self.log.append(Entry(event_id, preview, previewed=event_type))

    def begin_turn(self, echoes: Iterable[Json]) -> None:
        """Write the beginning of a turn, or of its continuation."""
        self.running()
        self.note(echoes)

    def running(self) -> None:
        """Write that the session runs."""
        self.emit("session.status_running")
        self.emit("session.thread_status_running", session_thread_id=self.thread_id)

    def idle(self, reason: Json, credits_: Decimal) -> None:
        """Write that the session waits, and why."""
        self.emit("session.thread_status_idle", session_thread_id=self.thread_id, stop_reason=reason)
        spent = float(credits_)
        self.emit("session.usage", model_credits=spent, sandbox_runtime_credits=0, total_credits=spent)
        self.emit("session.status_idle", stop_reason=reason)

    def rescheduled(self) -> None:
        """Write that the session has to wait for another place to run."""
        self.emit("session.status_rescheduled")
        self.emit("session.thread_status_rescheduled", session_thread_id=self.thread_id)

    def terminated(self) -> None:
        """Write that the session is over."""
        self.emit("session.thread_status_terminated", session_thread_id=self.thread_id)
        self.emit("session.status_terminated")

    def think(self, text: str) -> None:  # noqa: ARG002  (the current generation keeps thoughts to itself)
        """Write a thought."""
        event_id = base36_id("evt_")
        self.preview(event_id, "agent.thinking")
        self.emit("agent.thinking", event_id)

    def open_span(self) -> None:
        """Write the start of a model request, unless one is open."""
        if self._span_id is None:
            self._span_id = self.emit("span.model_request_start")

    def close_span(self, *, is_error: bool = False) -> bool:
        """Write the end of the open model request; true if there was one."""
        if self._span_id is None:
            return False
        span_id, self._span_id = self._span_id, None
        usage = {"credits": float(REQUEST_CREDITS)}
        self.emit("span.model_request_end", model_request_start_id=span_id, is_error=is_error, model_usage=usage)
        return True

    def _sealed(self, event: Json) -> Json:
        return {**event, "processed_at": timestamp_now()}


class LegacyEventWriter(EventWriter):
    """Writes the events of 2026-05: the echo comes first, each event names its turn, and there are no credits."""

    def begin_turn(self, echoes: Iterable[Json]) -> None:
        """Write the beginning of a turn, or of its continuation."""
        self.note(echoes)
        self.running()

    def running(self) -> None:
        """Write that the session runs."""
        self.emit("session.status_running", status="running")

    def idle(self, reason: Json, credits_: Decimal) -> None:  # noqa: ARG002  (credits came later)
        """Write that the session waits, and why."""
        self.emit("session.status_idle", status="idle", stop_reason=reason)

    def think(self, text: str) -> None:
        """Write a thought, in full."""
        self.emit("agent.thinking", content=[{"type": "text", "text": text}])

    def open_span(self) -> None:
        """Write the start of a model request, unless one is open."""
        if self._span_id is None:
            self._span_id = base36_id("span_")
            self.emit("span.model_request_start", model=_MODEL, span_id=self._span_id)

    def close_span(self, *, is_error: bool = False) -> bool:  # noqa: ARG002  (the event did not tell)
        """Write the end of the open model request; true if there was one."""
        if self._span_id is None:
            return False
        span_id, self._span_id = self._span_id, None
        self.emit("span.model_request_end", span_id=span_id, usage={"input_tokens": 0, "output_tokens": 0})
        return True

    def _sealed(self, event: Json) -> Json:
        now = timestamp_now()
        turn = {"session_id": self._session_id, "turn_id": self.turn_id, "schema_version": "1.0"}
        return {**event, **turn, "created_at": now, "processed_at": now}
