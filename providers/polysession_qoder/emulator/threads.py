"""Threads of a Qoder session: the coordinator thread, and one for each other agent.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/threads/list and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from polysession.emulation import HEARTBEAT, base36_id, sse_frame
from polysession_managed_agents.emulator.event_writer import EventWriter
from polysession_managed_agents.emulator.validation import Json, conflict, not_found
from polysession_qoder.emulator.event_writer import QoderConversation

HEARTBEAT_S = 15.0


@dataclass(slots=True)
class Thread:
    """The thread of one agent of a session.

    Attributes:
        parent_id: Id of the thread that started it; None for the coordinator thread.
        agent_name: Name of the thread's agent; None for the coordinator thread.
    """

    id: str
    parent_id: str | None = None
    agent_name: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    archived_at: datetime | None = None


class Threads:
    """The threads of one session, the coordinator thread first."""

    def __init__(self, conversation: QoderConversation) -> None:
        self._conversation = conversation
        coordinator = Thread(conversation.writer.thread_id)
        self.all: dict[str, Thread] = {coordinator.id: coordinator}
        self._coordinator_id = coordinator.id

    def find(self, thread_id: str) -> Thread:
        """Return the thread with an id, or refuse the request with 404."""
        if thread_id not in self.all:
            raise not_found("Thread", thread_id)
        return self.all[thread_id]

    def archive(self, thread_id: str) -> Thread:
        """Archive a child thread. Archiving it again changes nothing."""
        thread = self.find(thread_id)
        if thread.parent_id is None:
            raise conflict("The coordinator thread cannot be archived.")
        if thread.archived_at is None:
            thread.archived_at = datetime.now(UTC)
            self._writer.emit("session.thread_status_terminated", session_thread_id=thread_id)
        return thread

    def consult(self, agent_name: str, question: str, answer: str) -> str:
        """Let the coordinator ask another agent.

        Returns the id of the thread in which that agent answers.
        """
        thread = Thread(base36_id("sthr_"), self._coordinator_id, agent_name)
        self.all[thread.id] = thread
        own = {"session_thread_id": thread.id}
        emit = self._writer.emit
        emit("session.thread_created", **own, agent_name=agent_name)
        emit(
            "agent.thread_message_sent",
            to_session_thread_id=thread.id,
            to_agent_name=agent_name,
            content=_text(question),
        )
        emit("session.thread_status_running", **own, agent_name=agent_name)
        emit("agent.message", **own, content=_text(answer))
        sender = {"from_session_thread_id": thread.id, "from_agent_name": agent_name}
        emit("agent.thread_message_received", **sender, content=_text(answer))
        emit("session.thread_status_idle", **own, agent_name=agent_name, stop_reason={"type": "end_turn"})
        return thread.id

    def events(self, thread_id: str) -> list[Json]:
        """Return the stored events of a thread."""
        belongs = self._filter(self.find(thread_id))
        return [event for event in self._conversation.persisted() if belongs(event)]

    async def frames(self, thread_id: str) -> AsyncGenerator[bytes, None]:
        """Yield the frames of a thread's live stream, from now on."""
        log = self._conversation.log
        belongs = self._filter(self.find(thread_id))
        async for entry in log.follow(len(log.entries), heartbeat_s=HEARTBEAT_S):
            if entry is None:
                yield HEARTBEAT
            elif entry.previewed is None and belongs(entry.event):
                yield sse_frame({"id": entry.id, "event": entry.event["type"], "data": entry.event})

    @property
    def _writer(self) -> EventWriter:
        return self._conversation.writer

    def _filter(self, thread: Thread) -> Callable[[Json], bool]:
        """Return a predicate for the events of a thread.

        Events without a thread belong to the coordinator thread.
        """
        return lambda event: event.get("session_thread_id", self._coordinator_id) == thread.id


def _text(text: str) -> list[Json]:
    return [{"type": "text", "text": text}]
