"""Sessions of the Anthropic emulator: state and rules.

Backend: https://platform.claude.com/docs/en/managed-agents/sessions, /docs/en/managed-agents/session-operations and
/docs/en/managed-agents/budgets (read 2026-11)
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from polysession.emulation import Scripts, base62_id
from polysession_anthropic.emulator.conversation import AnthropicConversation
from polysession_anthropic.emulator.event_writer import REQUEST_CENTS, AnthropicEventWriter
from polysession_anthropic.emulator.resources import (
    AGENT_OVERRIDES,
    MOUNTS,
    Agents,
    Environments,
    check_consistent,
    read_overrides,
)
from polysession_anthropic.emulator.threads import Threads
from polysession_managed_agents.emulator.emulated import check_open, read_agent_reference
from polysession_managed_agents.emulator.mounts import Mount
from polysession_managed_agents.emulator.record_store import RecordStore
from polysession_managed_agents.emulator.resources import Environment
from polysession_managed_agents.emulator.validation import (
    Json,
    invalid,
    need,
    new_metadata,
    only,
    patched_metadata,
    take,
    take_all,
)

_CREATE_FIELDS: Final = frozenset(
    {"agent", "environment_id", "title", "metadata", "resources", "vault_ids", "budget", "initial_events"}
)
_UPDATE_FIELDS: Final = frozenset({"title", "metadata", "agent", "budget", "vault_ids"})
_REPLACEABLE: Final = frozenset({"tools", "mcp_servers"})
_CENTS: Final = re.compile(r"[1-9][0-9]{0,11}")


@dataclass(slots=True, kw_only=True)
class Session:
    """A session.

    Attributes:
        agent: The fields of the agent at the pinned version, with the session's overrides and the agent's id.
        has_budget: Whether the session has a budget, which an update may change. It cannot be added later.
        idle_lag_s: Seconds for which the session still reads as running after the end of a turn.
    """

    id: str
    agent: Json
    environment_id: str
    title: str | None
    metadata: dict[str, str]
    resources: dict[str, Mount]
    vault_ids: list[str]
    has_budget: bool
    created_at: datetime
    updated_at: datetime
    conversation: AnthropicConversation
    threads: Threads
    archived_at: datetime | None = None
    idle_lag_s: float = 0.0

    @property
    def running(self) -> bool:
        """Whether the session reads as running. That ends `idle_lag_s` seconds after the turn."""
        return (
            self.conversation.running or time.monotonic() < self.conversation.idle_since_s + self.idle_lag_s
        ) and not self.conversation.is_terminated

    @property
    def status(self) -> str:
        """The status of the session."""
        if self.conversation.is_terminated:
            return "terminated"
        if self.conversation.is_rescheduled:
            return "rescheduling"
        return "running" if self.running else "idle"


class Sessions(RecordStore[Session]):
    """All sessions."""

    def __init__(self, agents: Agents, environments: Environments, scripts: Scripts) -> None:
        super().__init__("Session")
        self._agents = agents
        self._environments = environments
        self._scripts = scripts
        self._last_moment = datetime.min.replace(tzinfo=UTC)

    def create(self, body: Json) -> Session:
        """Create an idle session for a pinned version of an agent, in an environment."""
        only(body, _CREATE_FIELDS)
        environment = self._environments.find(need(body, "environment_id", str))
        now = self._next_moment()
        session_id = base62_id("sesn_")
        agent = self._pin(body)
        writer = AnthropicEventWriter(agent["name"])
        conversation = AnthropicConversation(lambda message: self._scripts.take(session_id, message), writer)
        writer.budget = _read_budget(body)
        session = Session(
            id=session_id,
            agent=agent,
            environment_id=environment.id,
            title=take(body, "title", str),
            metadata=new_metadata(body),
            resources=MOUNTS.read_all(body, now),
            vault_ids=take_all(body, "vault_ids", str),
            has_budget=writer.budget is not None,
            created_at=now,
            updated_at=now,
            conversation=conversation,
            threads=Threads(conversation),
        )
        _set_environment(environment, session)
        return self.add(session)

    def find_open(self, session_id: str) -> Session:
        """Return a session, and refuse one that is archived or terminated."""
        session = self.find(session_id)
        check_open(session)
        return session

    def update(self, session_id: str, body: Json) -> Session:
        """Change the fields that the body has, all or none.

        Null clears the title; metadata is merged.
        """
        only(body, _UPDATE_FIELDS)
        session = self.find_open(session_id)
        if "vault_ids" in body:
            raise invalid("Field 'vault_ids' cannot be updated.", "vault_ids")
        title = take(body, "title", str) if "title" in body else session.title
        metadata = patched_metadata(session.metadata, body)
        budget = _read_new_budget(session, body) if "budget" in body else session.conversation.writer.budget
        agent = _replace_tools(session, body) if "agent" in body else session.agent
        session.agent, session.title, session.metadata = agent, title, metadata
        session.updated_at = datetime.now(UTC)
        session.has_budget = budget is not None
        session.conversation.writer.budget = budget
        return session

    def archive(self, session_id: str) -> Session:
        """Archive a session, which terminates it.

        A running session is refused; archiving again changes nothing.
        """
        session = self.find(session_id)
        if session.archived_at is None:
            _check_not_running(session, "archive")
            super().archive(session_id)
            session.conversation.terminate()
        return session

    def delete(self, session_id: str) -> None:
        """Delete a session. A running session is refused."""
        session = self.find(session_id)
        _check_not_running(session, "delete")
        session.conversation.delete()
        session.threads.close()
        self.remove(session_id)

    def _next_moment(self) -> datetime:
        """Return the current time in milliseconds, later than that of the previous session."""
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last_moment = now if now > self._last_moment else self._last_moment + timedelta(milliseconds=1)
        return self._last_moment

    def _pin(self, body: Json) -> Json:
        reference = read_agent_reference(body, AGENT_OVERRIDES)
        agent = self._agents.find(need(reference, "id", str))
        fields = {**agent.at(take(reference, "version", int)), **read_overrides(reference), "id": agent.id}
        fields["multiagent"] = self._with_agents(fields["multiagent"])
        check_consistent(fields)
        if agent.archived_at is not None:
            raise invalid(f"Agent {agent.id!r} is archived.", "agent")
        return fields

    def _with_agents(self, multiagent: Json | None) -> Json | None:
        """Replace the references to a coordinator's agents by their fields.

        Other configurations do not change.
        """
        if multiagent is None or multiagent["type"] != "coordinator":
            return multiagent
        members = [
            {**self._agents.find(member["id"]).at(member["version"]), "id": member["id"]}
            if member["type"] == "agent"
            else member
            for member in multiagent["agents"]
        ]
        return {**multiagent, "agents": members}


def _check_not_running(session: Session, verb: str) -> None:
    if session.running:
        raise invalid(f"Cannot {verb} session while it is running")


def _set_environment(environment: Environment, session: Session) -> None:
    if environment.archived_at is not None:
        raise invalid(f"Environment {environment.id!r} is archived.", "environment_id")
    is_self_hosted = environment.config["type"] == "self_hosted"
    if is_self_hosted and session.resources:
        raise invalid("Field 'resources' is not accepted for a self-hosted environment.", "resources")
    session.conversation.has_worker = is_self_hosted


def _replace_tools(session: Session, body: Json) -> Json:
    changes = need(body, "agent", dict)
    only(changes, _REPLACEABLE)
    if session.status != "idle":
        raise invalid("The agent can be changed only while the session is idle.", "agent")
    changed = {**session.agent, **read_overrides(changes)}
    check_consistent(changed)
    return changed


def _read_budget(body: Json) -> Json | None:
    """Read a limit on the list cost in cents; None if the body has none."""
    budget = take(body, "budget", dict)
    if budget is None:
        return None
    only(budget, {"type", "max_list_cost"})
    cost = need(budget, "max_list_cost", dict)
    only(cost, {"amount", "currency"})
    is_amount = _CENTS.fullmatch(need(cost, "amount", str))
    if budget.get("type") != "limit" or not is_amount or cost.get("currency") != "USD":
        raise invalid("A budget must have the type 'limit' and a whole number of cents above zero, in USD.", "budget")
    return budget


def _read_new_budget(session: Session, body: Json) -> Json | None:
    if not session.has_budget:
        raise invalid(
            "A budget can only be attached when a session is created.", "budget", error_code="budget_create_only"
        )
    budget = _read_budget(body)
    spent = session.conversation.writer.requests * REQUEST_CENTS
    if budget is not None and int(budget["max_list_cost"]["amount"]) <= spent:
        raise invalid("A budget must exceed the cost so far.", "budget", error_code="budget_not_raised")
    return budget
