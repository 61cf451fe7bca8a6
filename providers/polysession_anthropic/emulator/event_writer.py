"""Writes the JSON of an Anthropic session's events.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming and /docs/en/managed-agents/reference
(read 2026-11). The order of the events at the start of a turn is not published; Qoder's order is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from polysession.emulation import base62_id
from polysession_managed_agents.emulator.event_writer import EventWriter
from polysession_managed_agents.emulator.validation import Json

REQUEST_TOKENS: Final = (10, 5)
"""Input and output tokens of one model request."""
REQUEST_CENTS: Final = 1
"""List cost of one model request, in US cents."""


def timestamp(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_now() -> str:
    """Return the current time in the backend's format."""
    return timestamp(datetime.now(UTC))


def usage_shape(requests: int) -> Json:
    """Return the usage of a number of model requests."""
    read, written = REQUEST_TOKENS
    return {
        "input_tokens": read * requests,
        "output_tokens": written * requests,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "list_cost": {"amount": str(REQUEST_CENTS * requests), "currency": "USD"},
        "active_seconds": float(requests),
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
    }


class AnthropicEventWriter(EventWriter):
    """Writes the events of one thread.

    Attributes:
        agent_name: Name of the thread's agent.
        budget: The session's budget, shown with its usage; None if it has none.
        stop_details: Details of the next stop reason; None for a reason without details.
        nameless_interrupts: Whether interrupts have an empty id, as the backend sometimes sends them.
        thread_reason: The next stop reason of the primary thread; None if it is the same as that of the session.
    """

    def __init__(self, agent_name: str) -> None:
        super().__init__(base62_id("sthr_"))
        self.agent_name = agent_name
        self.budget: Json | None = None
        self.stop_details: Json | None = None
        self.nameless_interrupts = False
        self.thread_reason: Json | None = None

    def new_id(self) -> str:
        """Return the id for a new event."""
        return base62_id("sevt_")

    def stamped(self, event: Json) -> Json:
        """Return an event with its time; a tool use also gets the policy behind its permission."""
        stamped = {**event, "processed_at": timestamp_now()}
        if "evaluated_permission" in event:
            stamped["evaluation"] = {"type": f"always_{event['evaluated_permission']}"}
        return stamped

    def thread_fields(self) -> Json:
        """Return the fields of an event about this thread."""
        return {"session_thread_id": self.thread_id, "agent_name": self.agent_name}

    def write_usage(self) -> None:
        """Write the session's usage so far."""
        self.emit("session.usage", usage=usage_shape(self.requests), budget=self.budget)

    def request_usage(self) -> Json:
        """Return the usage of one model request."""
        read, written = REQUEST_TOKENS
        cache = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
        return {"input_tokens": read, "output_tokens": written, **cache, "speed": "standard"}

    def begin_turn(self, echoes: Iterable[Json]) -> None:
        """Write the start of a turn, or of its continuation."""
        self.running()
        for event in echoes:
            self.process(event)

    def queue(self, event: Json) -> None:
        """Write an accepted event that waits to be processed."""
        self.note([dict(event)])

    def process(self, event: Json) -> None:
        """Write an accepted event as processed, unless it was processed before."""
        if event["processed_at"] is None:
            event["processed_at"] = timestamp_now()
            self.note([dict(event)])

    def idle(self, reason: Json) -> None:
        """Write the events of a session that becomes idle for this reason."""
        details, self.stop_details = self.stop_details, None
        thread_reason, self.thread_reason = self.thread_reason or reason, None
        self.emit("session.thread_status_idle", **self.thread_fields(), stop_reason=thread_reason, stop_details=details)
        self.write_usage()
        self.emit("session.status_idle", stop_reason=reason, stop_details=details)
