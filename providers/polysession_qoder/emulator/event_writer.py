"""Writes the JSON of a Qoder session's events, in each generation.

The order of a turn's events is that of a published trace of the live service (2026-09-21); the event pages leave out
`session.usage`. The legacy events are those of the pages of May 2026.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview,
https://docs.qoder.com/cloud-agents/events-stream and, for the legacy generation,
https://docs.qoder.com/cloud-agents/api/sessions/stream-events (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

from polysession.emulation import base36_id
from polysession_managed_agents.emulator.conversation import Conversation
from polysession_managed_agents.emulator.event_writer import EventWriter
from polysession_managed_agents.emulator.validation import Json

REQUEST_CREDITS = Decimal("0.05")
"""Cost of one model request, in credits."""

_MODEL = "ultimate"


def timestamp_now() -> str:
    """Return the current time in the backend's format."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class QoderEventWriter(EventWriter):
    """Writes the events of one session.

    Attributes:
        turn_id: Id of the current turn, for legacy events; empty before the first turn.
    """

    def __init__(self) -> None:
        super().__init__(base36_id("sthr_"))
        self.turn_id = ""

    @property
    def credits(self) -> Decimal:
        """The cost of the session so far."""
        return self.requests * REQUEST_CREDITS

    def new_id(self) -> str:
        """Return the id for a new event."""
        return base36_id("evt_")

    def stamped(self, event: Json) -> Json:
        """Return an event with its time."""
        return {**event, "processed_at": timestamp_now()}

    def write_usage(self) -> None:
        """Write the session's cost so far."""
        spent = float(self.credits)
        self.emit("session.usage", model_credits=spent, sandbox_runtime_credits=0, total_credits=spent)

    def request_usage(self) -> Json:
        """Return the cost of one model request."""
        return {"credits": float(REQUEST_CREDITS)}


class LegacyEventWriter(QoderEventWriter):
    """Writes the events of May 2026.

    The echo comes first, each event names its turn, and there are no credits.
    """

    def __init__(self, session_id: str) -> None:
        super().__init__()
        self._session_id = session_id

    def begin_turn(self, echoes: Iterable[Json]) -> None:
        """Write the start of a turn, or of its continuation."""
        self.note(echoes)
        self.running()

    def running(self) -> None:
        """Write the event of a session that starts to run."""
        self.emit("session.status_running", status="running")

    def idle(self, reason: Json) -> None:
        """Write the event of a session that becomes idle for this reason."""
        self.emit("session.status_idle", status="idle", stop_reason=reason)

    def think(self, text: str) -> None:
        """Write a thought, with its text."""
        self.emit("agent.thinking", content=[{"type": "text", "text": text}])

    def open_span(self) -> None:
        """Write the start of a model request, unless one is open."""
        if self.span_id is None:
            self.span_id = base36_id("span_")
            self.emit("span.model_request_start", model=_MODEL, span_id=self.span_id)

    def write_request_end(self, span_id: str, *, is_error: bool) -> None:  # noqa: ARG002  (the legacy event does not have it)
        """Write the end of a model request."""
        self.emit("span.model_request_end", span_id=span_id, usage={"input_tokens": 0, "output_tokens": 0})

    def stamped(self, event: Json) -> Json:
        """Return an event with its times and its turn."""
        now = timestamp_now()
        turn = {"session_id": self._session_id, "turn_id": self.turn_id, "schema_version": "1.0"}
        return {**event, **turn, "created_at": now, "processed_at": now}


QoderConversation: TypeAlias = Conversation[QoderEventWriter]
"""The events of one session, and its running turn."""
