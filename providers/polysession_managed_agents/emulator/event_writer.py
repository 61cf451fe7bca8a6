"""Writes the JSON of a session's events, in the backend's order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from polysession.emulation import EventLog
from polysession_managed_agents.emulator.validation import Json


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the event log.

    Attributes:
        id: Id of the event; for a preview, the id of the previewed event.
        event: The JSON object.
        previewed: For a preview, the type of the previewed event; None for an event, which the list shows.
        span_id: Id of the model request that was open; None if none was.
    """

    id: str
    event: Json
    previewed: str | None = None
    span_id: str | None = None


class EventWriter(ABC):
    """Writes the events of one session.

    Attributes:
        log: All entries that streams deliver, in order.
        thread_id: Id of the session's primary thread.
        requests: Number of model requests that have ended.
        span_id: Id of the open model request; None if none is open.
    """

    def __init__(self, thread_id: str) -> None:
        self.log: EventLog[Entry] = EventLog()
        self.thread_id = thread_id
        self.requests = 0
        self.span_id: str | None = None

    @abstractmethod
    def new_id(self) -> str:
        """Return the id for a new event."""

    @abstractmethod
    def stamped(self, event: Json) -> Json:
        """Return an event with the fields that the backend adds to every event, such as the time."""

    @abstractmethod
    def write_usage(self) -> None:
        """Write the session's usage so far, if the backend reports it in an event."""

    @abstractmethod
    def request_usage(self) -> Json:
        """Return the usage of one model request."""

    def thread_fields(self) -> Json:
        """Return the fields of an event about the session's primary thread."""
        return {"session_thread_id": self.thread_id}

    def emit(self, event_type: str, event_id: str | None = None, **payload: object) -> str:
        """Write an event. Returns its id."""
        event_id = event_id or self.new_id()
        self.note([self.stamped({"id": event_id, "type": event_type, **payload})])
        return event_id

    def accepted(self, event: Json) -> Json:
        """Return an event of the client with the fields that the backend adds."""
        return self.stamped({**event, "id": self.new_id()})

    def note(self, events: Iterable[Json]) -> None:
        """Append complete events to the log."""
        for event in events:
            self.log.append(Entry(event["id"], event))

    def preview(self, event_id: str, event_type: str, text: str | None = None) -> None:
        """Write a preview of the start of an event, or of a part of its text."""
        if text is None:
            preview: Json = {"type": "event_start", "event": {"id": event_id, "type": event_type}}
        else:
            delta = {"type": "content_delta", "index": 0, "content": {"type": "text", "text": text}}
            preview = {"type": "event_delta", "event_id": event_id, "delta": delta}
        self.log.append(Entry(event_id, preview, previewed=event_type, span_id=self.span_id))

    def begin_turn(self, echoes: Iterable[Json]) -> None:
        """Write the start of a turn, or of its continuation."""
        self.running()
        self.note(echoes)

    def running(self) -> None:
        """Write the events of a session that starts to run."""
        self.emit("session.status_running")
        self.emit("session.thread_status_running", **self.thread_fields())

    def idle(self, reason: Json) -> None:
        """Write the events of a session that becomes idle for this reason."""
        self.emit("session.thread_status_idle", **self.thread_fields(), stop_reason=reason)
        self.write_usage()
        self.emit("session.status_idle", stop_reason=reason)

    def rescheduled(self) -> None:
        """Write the events of a session that is rescheduled."""
        self.emit("session.status_rescheduled")
        self.emit("session.thread_status_rescheduled", **self.thread_fields())

    def terminated(self) -> None:
        """Write the events of a session that is terminated."""
        self.emit("session.thread_status_terminated", **self.thread_fields())
        self.emit("session.status_terminated")

    def think(self, text: str) -> None:  # noqa: ARG002  (the backend does not publish the text)
        """Write a thought, without its text."""
        event_id = self.new_id()
        self.preview(event_id, "agent.thinking")
        self.emit("agent.thinking", event_id)

    def open_span(self) -> None:
        """Write the start of a model request, unless one is open."""
        if self.span_id is None:
            self.span_id = self.new_id()
            self.emit("span.model_request_start", self.span_id)

    def close_span(self, *, is_error: bool = False) -> None:
        """Write the end of the open model request, if there is one."""
        if self.span_id is None:
            return
        span_id, self.span_id = self.span_id, None
        self.requests += 1
        self.write_request_end(span_id, is_error=is_error)

    def write_request_end(self, span_id: str, *, is_error: bool) -> None:
        """Write the end of a model request."""
        usage = self.request_usage()
        self.emit("span.model_request_end", model_request_start_id=span_id, is_error=is_error, model_usage=usage)
