"""The resources of the AgentScope emulator: credentials, agents and sessions, by user.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from polysession.emulation import Refusal, Scripts, TurnClock, hex_id
from polysession_agentscope.emulator.bodies import OPENAI_CREDENTIAL
from polysession_agentscope.emulator.conversation import Conversation
from polysession_agentscope.emulator.generations import CurrentGeneration, ServiceFault
from polysession_agentscope.emulator.shapes import Json, Problem

_WIND_DOWN_S = 0.05
"""Seconds until an interrupted turn ends."""

_MODEL_CONFIGS = (
    "chat_model_config",
    "fallback_chat_model_config",
    "tts_model_config",
    "realtime_model_config",
)


Resource = TypeVar("Resource")


class NotFound(Refusal):
    """The user has no resource with that id. Resources of other users do not count."""

    def __init__(self, kind: str, resource_id: str) -> None:
        super().__init__(404, f"{kind} '{resource_id}' not found.")


@dataclass(slots=True)
class Session:
    """A session.

    Attributes:
        record: The session in the format of responses.
        turn: A turn without a script, which runs for a given time.
        conversation: Its messages, events and turns.
    """

    record: Json
    turn: TurnClock = field(default_factory=TurnClock)
    conversation: Conversation = field(default_factory=Conversation)

    @property
    def running(self) -> bool:
        """Whether a turn runs."""
        return self.turn.running or self.conversation.running

    @property
    def status(self) -> str:
        """The service's name of the status."""
        return "running" if self.running else self.conversation.progress.status

    def stop(self) -> bool:
        """Ask a turn to stop, which takes a moment. Returns whether one runs."""
        if self.turn.running:
            self.turn.start(_WIND_DOWN_S)
        elif self.conversation.running:
            self.conversation.interruption.give()
        else:
            return False
        return True


@dataclass(slots=True)
class Pace:
    """Durations of the service's work, in seconds.

    Attributes:
        heartbeat_s: Silence after which a stream sends a comment.
        setup_s: Time from a message to the first event of its turn.
        settle_s: Time from the last event of a turn until it is stored and the session is idle. Naming the session
            takes the same time again.
    """

    heartbeat_s: float = 30.0
    setup_s: float = 0.005
    settle_s: float = 0.03


@dataclass(slots=True)
class Tenant:
    """The resources of one user, each kind in the order of creation."""

    credentials: dict[str, Json] = field(default_factory=dict)
    agents: dict[str, Json] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)

    def credential(self, credential_id: str) -> Json:
        """Return a credential record."""
        return _find(self.credentials, "Credential", credential_id)

    def agent(self, agent_id: str) -> Json:
        """Return an agent record."""
        return _find(self.agents, "Agent", agent_id)

    def session(self, session_id: str) -> Session:
        """Return a session. As in the service, its agent is not checked."""
        return _find(self.sessions, "Session", session_id)

    def sessions_of(self, agent_id: str) -> list[Session]:
        """Return an agent's sessions, newest first."""
        return [session for session in reversed(self.sessions.values()) if session.record["agent_id"] == agent_id]


class State:
    """The resources of all users, with the rules of one generation of the service."""

    def __init__(self, generation: CurrentGeneration, scripts: Scripts) -> None:
        self.generation = generation
        self.scripts = scripts
        self.pace = Pace()
        self._tenants: dict[str, Tenant] = {}

    def create_credential(self, user_id: str, data: Json) -> str:
        """Store a credential, or replace the user's credential of that id. Returns its id."""
        tenant = self.tenant(user_id)
        credential = _read_credential(data)
        if credential["id"] in tenant.credentials:
            return str(self.replace_credential(user_id, credential["id"], data)["id"])
        if self.generation.shares_credential_ids and self._is_credential(credential["id"]):
            raise ServiceFault("another user's credential has that id, which the service does not check")
        record = self.generation.credential(user_id, _named(credential, tenant.credentials))
        tenant.credentials[record["id"]] = record
        return str(record["id"])

    def list_credentials(self, user_id: str) -> list[Json]:
        """Return the user's credentials, with their keys in plain text."""
        return [self.generation.view(record) for record in self.tenant(user_id).credentials.values()]

    def replace_credential(self, user_id: str, credential_id: str, data: Json) -> Json:
        """Replace a credential's data as a whole. Returns the credential."""
        credentials = self.tenant(user_id).credentials
        record = _find(credentials, "Credential", credential_id)
        credential = _read_credential(data) | {"id": credential_id}
        record.update(data=_named(credential, credentials), updated_at=self.generation.stamp())
        return self.generation.view(record)

    def delete_credential(self, user_id: str, credential_id: str) -> None:
        """Delete a credential. Sessions that name it stay."""
        credentials = self.tenant(user_id).credentials
        _find(credentials, "Credential", credential_id)
        del credentials[credential_id]

    def create_agent(self, user_id: str, body: Json) -> str:
        """Store an agent. Returns its id."""
        record = self.generation.agent(user_id, body)
        self.tenant(user_id).agents[record["id"]] = record
        return str(record["id"])

    def list_agents(self, user_id: str) -> list[Json]:
        """Return the user's agents."""
        return [self.generation.view(record) for record in self.tenant(user_id).agents.values()]

    def update_agent(self, user_id: str, agent_id: str, changes: Json) -> Json:
        """Change an agent. Returns the agent."""
        record = self.tenant(user_id).agent(agent_id)
        data = self.generation.changed_agent_data(record["data"], changes)
        record.update(data=data, updated_at=self.generation.stamp())
        return self.generation.view(record)

    def delete_agent(self, user_id: str, agent_id: str) -> None:
        """Delete an agent and its sessions."""
        tenant = self.tenant(user_id)
        tenant.agent(agent_id)
        for session in tenant.sessions_of(agent_id):
            session.stop()
            del tenant.sessions[session.record["id"]]
        del tenant.agents[agent_id]

    def create_session(self, user_id: str, body: Json) -> str:
        """Store a session. Returns its id."""
        tenant = self.tenant(user_id)
        agent_id = tenant.agent(body["agent_id"])["id"]
        _check_references(tenant, body)
        newest = next(iter(tenant.sessions_of(agent_id)), None)
        config = self.generation.session_config(body, newest.record if newest else None)
        record = self.generation.session(user_id, agent_id, config)
        tenant.sessions[record["id"]] = Session(record)
        return str(record["id"])

    def list_sessions(self, user_id: str, agent_id: str) -> list[Json]:
        """Return an agent's sessions, newest first."""
        tenant = self.tenant(user_id)
        tenant.agent(agent_id)
        sessions = tenant.sessions_of(agent_id)
        return [self.generation.session_view(session.record, session.status) for session in sessions]

    def update_session(self, user_id: str, session_id: str, changes: Json) -> Json:
        """Change a session. Returns its record."""
        tenant = self.tenant(user_id)
        session = tenant.session(session_id)
        if session.running and self.generation.locks_running_sessions:
            raise Refusal(409, "Cannot modify session configuration while the session is running.")
        _check_references(tenant, changes)
        config = {key: value for key, value in changes.items() if key != "permission_mode"}
        config = self.generation.changed_session_config(session.record["config"], config)
        if changes.get("permission_mode") is not None:
            session.record["state"]["permission_context"]["mode"] = changes["permission_mode"]
        session.record.update(config=config, updated_at=self.generation.stamp())
        return session.record

    def delete_session(self, user_id: str, session_id: str) -> None:
        """Delete a session, even while it runs."""
        tenant = self.tenant(user_id)
        tenant.session(session_id).stop()
        del tenant.sessions[session_id]

    def session_status(self, user_id: str, session_id: str) -> str:
        """Return a session's status.

        As in the service, any user who knows the id can see that it runs.
        """
        session = self.find_session(session_id)
        if session and session.running:
            return session.status
        return self.tenant(user_id).session(session_id).status

    def start_turn(self, session_id: str, duration_s: float) -> None:
        """Make any user's session run a turn for `duration_s` seconds.

        Raises:
            KeyError: There is no such session.
        """
        session = self.find_session(session_id)
        if session is None:
            raise KeyError(session_id)
        session.turn.start(duration_s)

    def tenant(self, user_id: str) -> Tenant:
        """Return the resources of a user. A new user id is a new tenant."""
        return self._tenants.setdefault(user_id, Tenant())

    def find_session(self, session_id: str) -> Session | None:
        """Return a session of any user; None if there is no such session."""
        found = (tenant.sessions.get(session_id) for tenant in self._tenants.values())
        return next((session for session in found if session), None)

    def _is_credential(self, credential_id: str) -> bool:
        return any(credential_id in tenant.credentials for tenant in self._tenants.values())


def _find(resources: Mapping[str, Resource], kind: str, resource_id: str) -> Resource:
    if resource_id not in resources:
        raise NotFound(kind, resource_id)
    return resources[resource_id]


def _read_credential(data: Json) -> Json:
    problems: list[Problem] = []
    credential = OPENAI_CREDENTIAL.read(data, ("data",), problems)
    if problems:
        raise ServiceFault(f"the service does not check a credential's data: {problems}")
    return {"id": hex_id()} | credential


def _named(credential: Json, others: Mapping[str, Json]) -> Json:
    """Return the credential with a name.

    The default is its type's name, with a number if that is taken.
    """
    taken = {other["data"]["name"] for key, other in others.items() if key != credential["id"]}
    names = ("Openai" if number == 1 else f"Openai ({number})" for number in itertools.count(1))
    return credential | {"name": credential["name"] or next(name for name in names if name not in taken)}


def _check_references(tenant: Tenant, body: Json) -> None:
    """Check that the credentials and knowledge bases in a session's configuration exist.

    Raises:
        NotFound: One of them does not exist.
    """
    for key in _MODEL_CONFIGS:
        if body.get(key):
            _find(tenant.credentials, "Credential", body[key]["credential_id"])
    for knowledge_base_id in (body.get("knowledge_config") or {}).get("knowledge_base_ids", []):
        raise NotFound("Knowledge Base", knowledge_base_id)
