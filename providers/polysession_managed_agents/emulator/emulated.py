"""The parts of the emulators and of their sessions that are the same for both members."""

from __future__ import annotations

from typing import Any, Final, Generic, Protocol, TypeVar

from polysession.emulation import Emulator, Refusal
from polysession_managed_agents.emulator.conversation import Conversation
from polysession_managed_agents.emulator.record_store import Record, RecordStore
from polysession_managed_agents.emulator.validation import Json, conflict, invalid, need, only

_REFERENCE_FIELDS: Final = frozenset({"type", "id", "version"})


class EmulatedThreads(Protocol):
    """The threads of a session, one for each agent."""

    def consult(self, agent_name: str, question: str, answer: str) -> str:
        """Let the session's agent ask another agent.

        Returns the id of the thread in which that agent answers.
        """


class EmulatedSession(Record, Protocol):
    """A session of an emulator."""

    @property
    def conversation(self) -> Conversation[Any]:
        """The session's events and its turn."""

    @property
    def threads(self) -> EmulatedThreads:
        """The threads of the session's agents."""


S = TypeVar("S", bound=EmulatedSession)


class ManagedAgentsEmulator(Emulator, Generic[S]):
    """Base of the members' emulators: controls that tests use in addition to the wire protocol."""

    _sessions: RecordStore[S]

    def open_streams(self, session_id: str) -> int:
        """Return the number of open streams of a session.

        Raises:
            KeyError: There is no such session.
        """
        return self._known(session_id).conversation.log.followers

    def terminate(self, session_id: str) -> None:
        """End a session for good, as the backend does after an unrecoverable error.

        Raises:
            KeyError: There is no such session.
        """
        self.run_in_server(self._known(session_id).conversation.terminate)

    def reschedule(self, session_id: str, *, duration_s: float) -> None:
        """Pause a session for `duration_s` seconds. A running turn continues after that.

        Raises:
            KeyError: There is no such session.
        """
        conversation = self._known(session_id).conversation
        self.run_in_server(lambda: conversation.reschedule(duration_s))

    def consult(self, session_id: str, agent_name: str, question: str, answer: str) -> str:
        """Let a session's agent ask another agent.

        Returns the id of the thread in which that agent answers.

        Raises:
            KeyError: There is no such session.
        """
        threads = self._known(session_id).threads
        return self.run_in_server(lambda: threads.consult(agent_name, question, answer))

    def _known(self, session_id: str) -> S:
        try:
            return self._sessions.find(session_id)
        except Refusal as refusal:
            raise KeyError(session_id) from refusal


def check_open(session: EmulatedSession) -> None:
    """Refuse with 409 a session that is archived or terminated."""
    if session.archived_at is not None:
        raise conflict(f"Session {session.id!r} is archived.")
    if session.conversation.is_terminated:
        raise conflict(f"Session {session.id!r} is terminated.")


def read_agent_reference(body: Json, overrides: frozenset[str]) -> Json:
    """Read the agent of a new session: an id, or an object with the fields of its `type`."""
    if not isinstance(body.get("agent"), dict):
        return {"id": need(body, "agent", str)}
    reference = need(body, "agent", dict)
    accepted = {"agent": _REFERENCE_FIELDS, "agent_with_overrides": _REFERENCE_FIELDS | overrides}.get(
        need(reference, "type", str)
    )
    if accepted is None:
        raise invalid("Field 'agent.type' must be 'agent' or 'agent_with_overrides'.", "agent")
    only(reference, accepted)
    return reference
