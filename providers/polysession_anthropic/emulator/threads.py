"""Threads of an Anthropic session: the primary thread, and one for each other agent.

The messages of another agent are in its own thread. The primary thread has the messages between the agents, and the
tool uses that wait for an answer.

Backend: https://platform.claude.com/docs/en/managed-agents/session-threads (read 2026-11)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from polysession.emulation import ToolUse
from polysession_anthropic.emulator.conversation import AnthropicConversation
from polysession_anthropic.emulator.event_writer import AnthropicEventWriter
from polysession_managed_agents.emulator.validation import Json, invalid, not_found

_END_TURN: Final = {"stop_reason": {"type": "end_turn"}, "stop_details": None}


@dataclass(slots=True)
class Thread:
    """The thread of one agent of a session.

    Attributes:
        writer: Writes the thread's events.
        parent_id: Id of the thread that started it; None for the primary thread.
    """

    writer: AnthropicEventWriter
    parent_id: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    archived_at: datetime | None = None

    @property
    def id(self) -> str:
        """The id of the thread."""
        return self.writer.thread_id


class Threads:
    """The threads of one session, the primary thread first."""

    def __init__(self, conversation: AnthropicConversation) -> None:
        self._conversation = conversation
        primary = Thread(conversation.writer)
        self.all: dict[str, Thread] = {primary.id: primary}

    def find(self, thread_id: str) -> Thread:
        """Return the thread with an id, or refuse the request with 404."""
        if thread_id not in self.all:
            raise not_found("Thread", thread_id)
        return self.all[thread_id]

    def is_running(self, thread: Thread) -> bool:
        """Return whether a turn runs in the thread."""
        return thread.parent_id is None and self._conversation.running

    def archive(self, thread_id: str) -> Thread:
        """Archive a child thread that is not running. Archiving it again changes nothing."""
        thread = self.find(thread_id)
        if thread.parent_id is None or self.is_running(thread):
            raise invalid("The primary thread and a running thread cannot be archived.")
        if thread.archived_at is None:
            thread.archived_at = datetime.now(UTC)
            self._emit_in_both(thread.writer, "session.thread_status_terminated")
        return thread

    def consult(self, agent_name: str, question: str, answer: str) -> str:
        """Let the session's agent ask another agent.

        Returns the id of the thread in which that agent answers.
        """
        child = self._begin(agent_name, question)
        child.open_span()
        child.emit("agent.message", content=_text(answer))
        child.close_span()
        primary = self._conversation.writer
        receiver = {"to_session_thread_id": primary.thread_id, "to_agent_name": primary.agent_name}
        child.emit("agent.thread_message_sent", **receiver, content=_text(answer))
        sender = {"from_session_thread_id": child.thread_id, "from_agent_name": agent_name}
        primary.emit("agent.thread_message_received", **sender, content=_text(answer))
        self._emit_in_both(child, "session.thread_status_idle", **_END_TURN)
        return child.thread_id

    def consult_about(self, agent_name: str, question: str, use: ToolUse) -> str:
        """Let another agent request an approval. Returns the id of the tool use."""
        child = self._begin(agent_name, question)
        event_id = self._conversation.ask_for(child, use)
        reason = {"type": "requires_action", "event_ids": [event_id]}
        self._emit_in_both(child, "session.thread_status_idle", stop_reason=reason, stop_details=None)
        self._conversation.wait_for_answers()
        return event_id

    def events(self, thread: Thread) -> list[Json]:
        """Return the stored events of a thread."""
        if thread.parent_id is None:
            return self._conversation.persisted()
        return [entry.event for entry in thread.writer.log.entries if entry.previewed is None]

    def close(self) -> None:
        """End the streams of all threads."""
        for thread in self.all.values():
            thread.writer.log.close()

    def _begin(self, agent_name: str, question: str) -> AnthropicEventWriter:
        primary, child = self._conversation.writer, AnthropicEventWriter(agent_name)
        self.all[child.thread_id] = Thread(child, primary.thread_id)
        primary.emit("session.thread_created", **child.thread_fields(), workflow_run_id=None)
        receiver = {"to_session_thread_id": child.thread_id, "to_agent_name": agent_name}
        primary.emit("agent.thread_message_sent", **receiver, content=_text(question))
        self._emit_in_both(child, "session.thread_status_running")
        sender = {"from_session_thread_id": primary.thread_id, "from_agent_name": primary.agent_name}
        child.emit("agent.thread_message_received", **sender, content=_text(question))
        return child

    def _emit_in_both(self, child: AnthropicEventWriter, event_type: str, **payload: Any) -> None:
        """Write an event about a thread into that thread and into the primary thread."""
        event_id = child.emit(event_type, **child.thread_fields(), **payload)
        self._conversation.writer.emit(event_type, event_id, **child.thread_fields(), **payload)


def _text(text: str) -> list[Json]:
    return [{"type": "text", "text": text}]
