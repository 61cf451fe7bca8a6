"""The events of an Anthropic session as they are on the wire.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming and /docs/en/managed-agents/reference
(read 2026-11). Where the events at the start of a turn stand is not published; they stand as Qoder's do.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from polysession.emulation import base62_id
from polysession_managed_agents.emulator.event_writer import EventWriter
from polysession_managed_agents.emulator.validation import Json

REQUEST_TOKENS: Final = (10, 5)
"""Tokens that one model request reads and writes."""
REQUEST_CENTS: Final = 1
"""List cost of one model request."""


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_now() -> str:
    """The present moment, as the backend writes it."""
    return timestamp(datetime.now(UTC))


def usage_shape(requests: int) -> Json:
    """Usage of a number of model requests."""
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
        budget: The session's budget, which its usage shows; None if it has none.
        stop_details: Details of the next stop reason.
        nameless_interrupts: Whether interrupts are shown without an id, as the backend sometimes does.
        thread_reason: Why the session's own thread stops next; None if for the session's reason.
    """

    def __init__(self, agent_name: str) -> None:
        super().__init__(base62_id("sthr_"))
        self.agent_name = agent_name
        self.budget: Json | None = None
        self.stop_details: Json | None = None
        self.nameless_interrupts = False
        self.thread_reason: Json | None = None

    def new_id(self) -> str:
        """The id of a new event."""
        return base62_id("sevt_")

    def sealed(self, event: Json) -> Json:
        """An event with its time, and the policy behind the permission of a tool use."""
        sealed = {**event, "processed_at": timestamp_now()}
        if "evaluated_permission" in event:
            sealed["evaluation"] = {"type": f"always_{event['evaluated_permission']}"}
        return sealed

    def thread_fields(self) -> Json:
        """The fields of an event about the session's own thread."""
        return {"session_thread_id": self.thread_id, "agent_name": self.agent_name}

    def write_usage(self) -> None:
        """Write what the session has used so far."""
        self.emit("session.usage", usage=usage_shape(self.requests), budget=self.budget)

    def request_usage(self) -> Json:
        """Usage of one model request."""
        read, written = REQUEST_TOKENS
        cache = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
        return {"input_tokens": read, "output_tokens": written, **cache, "speed": "standard"}

    def begin_turn(self, echoes: Iterable[Json]) -> None:
        """Write the beginning of a turn, or of its continuation."""
        self.running()
        for event in echoes:
            self.process(event)

    def queue(self, event: Json) -> None:
        """Write an accepted event that waits."""
        self.note([dict(event)])

    def process(self, event: Json) -> None:
        """Write an accepted event that is processed now, unless it was before."""
        if event["processed_at"] is None:
            event["processed_at"] = timestamp_now()
            self.note([dict(event)])

    def idle(self, reason: Json) -> None:
        """Write that the session waits, and why."""
        details, self.stop_details = self.stop_details, None
        thread_reason, self.thread_reason = self.thread_reason or reason, None
        self.emit("session.thread_status_idle", **self.thread_fields(), stop_reason=thread_reason, stop_details=details)
        self.write_usage()
        self.emit("session.status_idle", stop_reason=reason, stop_details=details)
