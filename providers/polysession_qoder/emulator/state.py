"""Sessions of the Qoder emulator: state and rules.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from polysession.emulation import Generation, Scripts, TurnClock, base36_id
from polysession_managed_agents.emulator.emulated import check_open, read_agent_reference
from polysession_managed_agents.emulator.mounts import Mount
from polysession_managed_agents.emulator.record_store import RecordStore
from polysession_managed_agents.emulator.resources import Environment
from polysession_managed_agents.emulator.validation import (
    Json,
    conflict,
    invalid,
    need,
    new_metadata,
    not_found,
    only,
    patched_metadata,
    take,
    take_all,
)
from polysession_qoder.emulator.event_writer import LegacyEventWriter, QoderConversation, QoderEventWriter
from polysession_qoder.emulator.mounts import MOUNTS
from polysession_qoder.emulator.resources import AGENT_OVERRIDES, Agents, Environments, read_overrides
from polysession_qoder.emulator.threads import Threads
from polysession_qoder.emulator.validation import check_flush_interval_ms, take_budget, take_environment_variables

CANCEL_TAKES_S = 0.05
"""Seconds from a cancel to the end of the turn."""

_CREATE_FIELDS: Mapping[Generation, frozenset[str]] = {
    "current": frozenset(
        {
            "agent",
            "environment_id",
            "title",
            "metadata",
            "environment_variables",
            "resources",
            "vault_ids",
            "budget",
            "initial_events",
        }
    ),
    "legacy": frozenset(
        {
            "agent",
            "environment_id",
            "title",
            "metadata",
            "resources",
            "vault_ids",
            "memory_store_ids",
            "delta_flush_interval_ms",
        }
    ),
}
_UPDATE_FIELDS: Mapping[Generation, frozenset[str]] = {
    "current": frozenset({"title", "metadata", "agent", "budget", "environment_variables"}),
    "legacy": frozenset({"title", "metadata", "delta_flush_interval_ms"}),
}
_REPLACEABLE = frozenset({"tools", "mcp_servers"})


@dataclass(frozen=True, slots=True)
class PinnedAgent:
    """A session's copy of its agent, from the time of its creation.

    Attributes:
        fields: The fields of the pinned version, with the session's overrides.
        created_at: When the agent was created.
        updated_at: When the agent was last changed before the session was created.
    """

    id: str
    fields: Json
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True, kw_only=True)
class Session:
    """A session.

    Attributes:
        memory_store_ids: Ids of the memory stores, in the legacy generation.
        turn: A turn that a test started.
        cancelling: Whether a client cancelled the running turn. Meaningless after the turn.
        threads: The threads of the session's agents.
    """

    id: str
    agent: PinnedAgent
    environment_id: str
    title: str | None
    metadata: dict[str, str]
    environment_variables: dict[str, str]
    resources: dict[str, Mount]
    vault_ids: list[str]
    memory_store_ids: list[str]
    budget: Json | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None
    turn: TurnClock = field(default_factory=TurnClock)
    cancelling: bool = False
    conversation: QoderConversation
    threads: Threads

    @property
    def busy(self) -> bool:
        """Whether a turn runs, started by a client or by a test."""
        return self.turn.running or self.conversation.running

    def start_turn(self, duration_s: float) -> None:
        """Start a turn that runs for `duration_s` seconds."""
        self.cancelling = False
        self.turn.start(duration_s)


class Sessions(RecordStore[Session]):
    """All sessions, with the rules of one generation."""

    def __init__(self, agents: Agents, environments: Environments, generation: Generation, scripts: Scripts) -> None:
        super().__init__("Session")
        self._agents = agents
        self._environments = environments
        self._generation = generation
        self._scripts = scripts

    def create(self, body: Json) -> Session:
        """Create an idle session for a pinned version of an agent, in an environment."""
        only(body, _CREATE_FIELDS[self._generation])
        check_flush_interval_ms(body)
        environment_id = need(body, "environment_id", str)
        now = datetime.now(UTC)
        session_id = base36_id("sess_")
        conversation = self._new_conversation(session_id)
        session = Session(
            id=session_id,
            environment_id=environment_id,
            title=take(body, "title", str),
            metadata=new_metadata(body),
            environment_variables=take_environment_variables(body),
            resources=MOUNTS[self._generation].read_all(body, now),
            vault_ids=take_all(body, "vault_ids", str),
            memory_store_ids=take_all(body, "memory_store_ids", str),
            budget=take_budget(body),
            agent=self._pin(body),
            created_at=now,
            updated_at=now,
            conversation=conversation,
            threads=Threads(conversation),
        )
        self._set_environment(self._environments.find(environment_id), session)
        return self.add(session)

    def update(self, session_id: str, body: Json) -> Session:
        """Change the fields that the body has, all or none.

        Null clears the title; metadata is merged.
        """
        session = self.find(session_id)
        only(body, _UPDATE_FIELDS[self._generation])
        check_open(session)
        title = take(body, "title", str) if "title" in body else session.title
        metadata = patched_metadata(session.metadata, body)
        budget = take_budget(body) if "budget" in body else session.budget
        variables = session.environment_variables
        if "environment_variables" in body:
            variables = take_environment_variables({"environment_variables": take(body, "environment_variables", dict)})
        check_flush_interval_ms(body)
        session.agent = _replace_tools(session, body) if "agent" in body else session.agent
        session.title, session.metadata, session.budget = title, metadata, budget
        session.environment_variables = variables
        session.updated_at = datetime.now(UTC)
        return session

    def delete(self, session_id: str) -> None:
        """Delete a session in any state. Its environment still counts as used."""
        self.find(session_id).conversation.delete()
        self.remove(session_id)

    def cancel(self, session_id: str) -> bool:
        """Cancel the running turn, which ends a moment later. Returns whether a turn was running."""
        session = self.find(session_id)
        if session.archived_at is not None:
            raise not_found(self.kind, session_id)
        if session.conversation.interrupt():
            return True
        if not session.turn.running:
            return False
        if not session.cancelling:
            session.cancelling = True
            session.turn.start(CANCEL_TAKES_S)
        return True

    def _new_conversation(self, session_id: str) -> QoderConversation:
        writer = QoderEventWriter() if self._generation == "current" else LegacyEventWriter(session_id)
        return QoderConversation(lambda message: self._scripts.take(session_id, message), writer)

    def _pin(self, body: Json) -> PinnedAgent:
        reference = self._read_agent_reference(body)
        agent = self._agents.find(need(reference, "id", str))
        fields = {**agent.at(take(reference, "version", int)), **read_overrides(reference)}
        if agent.archived_at is not None:
            raise invalid(f"Agent {agent.id!r} is archived.", "agent")
        return PinnedAgent(id=agent.id, fields=fields, created_at=agent.created_at, updated_at=agent.updated_at)

    def _read_agent_reference(self, body: Json) -> Json:
        if self._generation == "legacy":
            return {"id": need(body, "agent", str)}
        return read_agent_reference(body, AGENT_OVERRIDES)

    @staticmethod
    def _set_environment(environment: Environment, session: Session) -> None:
        if environment.archived_at is not None:
            raise invalid(f"Environment {environment.id!r} is archived.", "environment_id")
        if environment.config["type"] == "self_hosted" and (session.resources or session.environment_variables):
            raise invalid("A self-hosted environment accepts neither 'resources' nor 'environment_variables'.")
        environment.used = True
        session.conversation.has_worker = environment.config["type"] == "self_hosted"


def _replace_tools(session: Session, body: Json) -> PinnedAgent:
    changes = need(body, "agent", dict)
    only(changes, _REPLACEABLE)
    if session.busy:
        raise conflict("The agent cannot be changed while the session is running.")
    pinned = session.agent
    return PinnedAgent(
        id=pinned.id,
        fields={**pinned.fields, **read_overrides(changes)},
        created_at=pinned.created_at,
        updated_at=pinned.updated_at,
    )
