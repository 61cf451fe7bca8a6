"""The flows that both members share.

Backend: https://platform.claude.com/docs/en/api/beta/sessions and
https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from polysession.provider_api import (
    Agent,
    AgentChanges,
    Call,
    Environment,
    Flow,
    MalformedResponse,
    Model,
    NativeBody,
    NewAgent,
    NewEnvironment,
    NewSession,
    Page,
    Provider,
    ProviderSettings,
    Session,
    SessionChanges,
    SessionQuery,
    SessionRef,
    decoder,
    path_segment,
    read_response,
)
from polysession_managed_agents import sessions
from polysession_managed_agents.member import Member
from polysession_managed_agents.sessions import to_page
from polysession_managed_agents.wire import WireDeleted

if TYPE_CHECKING:
    from polysession.provider_api import Answer, Block, Event, Message, PendingAction, TurnInput
    from polysession_managed_agents.turns import ManagedStream, ManagedTurn

S = TypeVar("S", bound=ProviderSettings)

_read_deleted: Final = decoder(WireDeleted)


class ManagedAgentsProvider(Provider[S]):
    """Base of the providers of the family.

    Attributes:
        member: The backend's names and limits.
        records: The functions that read the backend's records.
    """

    member: ClassVar[Member]
    records: ClassVar[sessions.Records]

    @classmethod
    @abstractmethod
    def plans(cls) -> tuple[type[ManagedStream], type[ManagedTurn]]:
        """Return the plan types for streams and turns.

        This is a method, so that a client that reads no events does not import the event reader.
        """

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a session."""
        reply = yield self.member.post("/sessions", sessions.new_session_body(self.member, new), new.idempotency_key)
        return read_response(self.records.session, reply)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session."""
        reply = yield self.member.get(self.member.session_path(ref))
        return read_response(self.records.session, reply)

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read one page of sessions."""
        reply = yield self.member.get("/sessions", sessions.list_parameters(self.member, query, cursor))
        return to_page(reply, self.records.session)

    def update_session(self, ref: SessionRef, changes: SessionChanges) -> Flow[Session]:
        """Change only the fields that the caller named.

        To clear the metadata, its keys are read first.
        """
        known: Mapping[str, Any] = {}
        if changes.metadata is None:
            known = (yield from self.get_session(ref)).metadata
        body = sessions.changes_body(self.member, changes, known)
        reply = yield self.member.post(self.member.session_path(ref), body)
        return read_response(self.records.session, reply)

    def archive_session(self, ref: SessionRef) -> Flow[Session]:
        """Archive a session."""
        reply = yield self.member.post(f"{self.member.session_path(ref)}/archive", {})
        return read_response(self.records.session, reply)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session. The response names the session; an empty body is accepted, too."""
        path = self.member.prefix + self.member.session_path(ref)
        reply = yield Call("DELETE", path, idempotency_header=self.member.idempotency_header)
        if reply.content.strip():
            read_response(_read_deleted, reply)

    def send_message(
        self,
        ref: SessionRef,
        content: tuple[Block, ...],
        *,
        native: NativeBody | None = None,  # noqa: ARG002  (`message_type` is None, so the core passes none)
        idempotency_key: str | None = None,
    ) -> Flow[None]:
        """Send a message."""
        from polysession_managed_agents import turns

        return turns.send_message(self.member, ref, content, idempotency_key)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[ManagedStream]:
        """Prepare a stream plan for a session."""
        from polysession_managed_agents import turns

        return turns.stream_events(self.plans()[0], ref, cursor)

    def start_turn(
        self,
        ref: SessionRef,
        turn_input: TurnInput,
        *,
        native: NativeBody | None = None,  # noqa: ARG002  (`message_type` is None, so the core passes none)
        idempotency_key: str | None = None,
    ) -> Flow[ManagedTurn]:
        """Prepare a plan for the turn that this input starts or continues."""
        from polysession_managed_agents import turns

        return turns.start_turn(self.plans()[1], ref, turn_input, idempotency_key)

    def rejoin_turn(self, ref: SessionRef, cursor: str) -> Flow[ManagedTurn]:
        """Prepare a plan that continues a turn after a cursor."""
        from polysession_managed_agents import turns

        return turns.rejoin_turn(self.plans()[1], ref, cursor)

    def list_events(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Event]]:
        """Read one page of events."""
        from polysession_managed_agents import history

        parameters = self.member.page_parameters(page_size, cursor)
        return history.list_events(self.plans()[0].reader_type, ref, parameters, newest_first=newest_first)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[Message]]:
        """Read one page of messages."""
        from polysession_managed_agents import history

        parameters = self.member.page_parameters(page_size, cursor)
        return history.list_messages(self.plans()[0].reader_type, ref, parameters, newest_first=newest_first)

    def answer_actions(
        self,
        ref: SessionRef,
        answers: tuple[Answer, ...],
        *,
        native: NativeBody | None = None,  # noqa: ARG002  (`answer_type` is None, so the core passes none)
    ) -> Flow[None]:
        """Answer pending actions."""
        from polysession_managed_agents import turns

        return turns.answer_actions(self.member, ref, answers)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
        """Read the pending actions."""
        from polysession_managed_agents import history

        return history.pending_actions(self.member, ref)

    def create_agent(self, new: NewAgent) -> Flow[Agent]:
        """Create an agent."""
        reply = yield self.member.post("/agents", sessions.new_agent_body(self.member, new))
        return read_response(self.records.agent, reply)

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an agent."""
        reply = yield self.member.get(self.member.agent_path(agent_id))
        return read_response(self.records.agent, reply)

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read one page of agents."""
        reply = yield self.member.get("/agents", self.member.page_parameters(page_size, cursor))
        return to_page(reply, self.records.agent)

    def update_agent(self, agent_id: str, changes: AgentChanges) -> Flow[Agent]:
        """Change only the fields that the caller named.

        If the backend requires the agent's version and the caller passed only an id, the agent is read first.
        """
        body = sessions.agent_changes_body(changes)
        if self.member.needs_agent_version and body.get("version") is None:
            agent = yield from self.get_agent(agent_id)
            if agent.version is None:
                raise MalformedResponse(f"agent {agent_id!r} has no readable version, and an update has to name it")
            body["version"] = sessions.version_number(agent.version)
        reply = yield self.member.post(self.member.agent_path(agent_id), body)
        return read_response(self.records.agent, reply)

    def archive_agent(self, agent_id: str) -> Flow[Agent]:
        """Archive an agent."""
        reply = yield self.member.post(f"{self.member.agent_path(agent_id)}/archive", {})
        return read_response(self.records.agent, reply)

    def create_environment(self, new: NewEnvironment) -> Flow[Environment]:
        """Create an environment."""
        reply = yield self.member.post("/environments", sessions.new_environment_body(self.member, new))
        return read_response(self.records.environment, reply)

    def get_environment(self, environment_id: str) -> Flow[Environment]:
        """Read an environment."""
        reply = yield self.member.get(f"/environments/{path_segment(environment_id, 'environment id')}")
        return read_response(self.records.environment, reply)

    def list_environments(self, page_size: int | None, cursor: str | None) -> Flow[Page[Environment]]:
        """Read one page of environments."""
        reply = yield self.member.get("/environments", self.member.page_parameters(page_size, cursor))
        return to_page(reply, self.records.environment)

    def list_models(self, page_size: int | None, cursor: str | None) -> Flow[Page[Model]]:
        """Read one page of models."""
        reply = yield self.member.get("/models", self.member.page_parameters(page_size, cursor))
        return to_page(reply, self.records.model)
