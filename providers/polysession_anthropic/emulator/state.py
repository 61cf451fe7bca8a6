"""Sessions of the Anthropic emulator: their state and their rules.

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
from polysession_managed_agents.emulator.resources import Environment
from polysession_managed_agents.emulator.shelf import Shelf
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
_SWAPPABLE: Final = frozenset({"tools", "mcp_servers"})
_CENTS: Final = re.compile(r"[1-9][0-9]{0,11}")


@dataclass(slots=True, kw_only=True)
class Session:
    """A session.

    Attributes:
        agent: The fields of its agent at the pinned version, with what the session overrides, and the agent's id.
        has_budget: Whether it was created with a budget, which an update may change.
        idle_lag_s: How long the session still reads as running after its turn has ended.
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
        """Whether the session reads as running: the status follows the end of a turn a moment later."""
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


class Sessions(Shelf[Session]):
    """All sessions."""

    def __init__(self, agents: Agents, environments: Environments, scripts: Scripts) -> None:
        super().__init__("Session")
        self._agents = agents
        self._environments = environments
        self._scripts = scripts
        self._last_moment = datetime.min.replace(tzinfo=UTC)

    def create(self, body: Json) -> Session:
        """Create an idle session for an agent, pinned at a version, in an environment."""
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
        _enter(environment, session)
        return self.add(session)

    def find_open(self, session_id: str) -> Session:
        """A session that is neither archived nor terminated."""
        session = self.find(session_id)
        check_open(session)
        return session

    def update(self, session_id: str, body: Json) -> Session:
        """Change the fields that are given, all or none: null clears a title, metadata is a patch."""
        only(body, _UPDATE_FIELDS)
        session = self.find_open(session_id)
        if "vault_ids" in body:
            raise invalid("Field 'vault_ids' cannot be updated.", "vault_ids")
        title = take(body, "title", str) if "title" in body else session.title
        metadata = patched_metadata(session.metadata, body)
        budget = _read_new_budget(session, body) if "budget" in body else session.conversation.writer.budget
        agent = _swap_tools(session, body) if "agent" in body else session.agent
        session.agent, session.title, session.metadata = agent, title, metadata
        session.updated_at = datetime.now(UTC)
        session.has_budget = budget is not None
        session.conversation.writer.budget = budget
        return session

    def archive(self, session_id: str) -> Session:
        """Archive a session that does not run, which ends it; a second time changes nothing."""
        session = self.find(session_id)
        if session.archived_at is None:
            _check_at_rest(session, "archive")
            super().archive(session_id)
            session.conversation.terminate()
        return session

    def delete(self, session_id: str) -> None:
        """Delete a session that does not run."""
        session = self.find(session_id)
        _check_at_rest(session, "delete")
        session.conversation.delete()
        session.threads.close()
        self.remove(session_id)

    def _next_moment(self) -> datetime:
        """The present moment in milliseconds, as times are shown, and later than that of the last session."""
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._last_moment = now if now > self._last_moment else self._last_moment + timedelta(milliseconds=1)
        return self._last_moment

    def _pin(self, body: Json) -> Json:
        reference = read_agent_reference(body, AGENT_OVERRIDES)
        agent = self._agents.find(need(reference, "id", str))
        fields = {**agent.at(take(reference, "version", int)), **read_overrides(reference), "id": agent.id}
        fields["multiagent"] = self._with_members(fields["multiagent"])
        check_consistent(fields)
        if agent.archived_at is not None:
            raise invalid(f"Agent {agent.id!r} is archived.", "agent")
        return fields

    def _with_members(self, multiagent: Json | None) -> Json | None:
        """A coordinator's agents as they are at their versions; anything else as it is."""
        if multiagent is None or multiagent["type"] != "coordinator":
            return multiagent
        members = [
            {**self._agents.find(member["id"]).at(member["version"]), "id": member["id"]}
            if member["type"] == "agent"
            else member
            for member in multiagent["agents"]
        ]
        return {**multiagent, "agents": members}


def _check_at_rest(session: Session, verb: str) -> None:
    if session.running:
        raise invalid(f"Cannot {verb} session while it is running")


def _enter(environment: Environment, session: Session) -> None:
    if environment.archived_at is not None:
        raise invalid(f"Environment {environment.id!r} is archived.", "environment_id")
    is_self_hosted = environment.config["type"] == "self_hosted"
    if is_self_hosted and session.resources:
        raise invalid("A self-hosted environment takes no resources.", "resources")
    session.conversation.has_worker = is_self_hosted


def _swap_tools(session: Session, body: Json) -> Json:
    changes = need(body, "agent", dict)
    only(changes, _SWAPPABLE)
    if session.status != "idle":
        raise invalid("The agent cannot be changed unless the session is idle.", "agent")
    changed = {**session.agent, **read_overrides(changes)}
    check_consistent(changed)
    return changed


def _read_budget(body: Json) -> Json | None:
    """A limit of the list cost in cents; None if none is given."""
    budget = take(body, "budget", dict)
    if budget is None:
        return None
    only(budget, {"type", "max_list_cost"})
    cost = need(budget, "max_list_cost", dict)
    only(cost, {"amount", "currency"})
    is_amount = _CENTS.fullmatch(need(cost, "amount", str))
    if budget.get("type") != "limit" or not is_amount or cost.get("currency") != "USD":
        raise invalid("A budget is a limit of type 'limit', in whole cents of USD, above zero.", "budget")
    return budget


def _read_new_budget(session: Session, body: Json) -> Json | None:
    if not session.has_budget:
        raise invalid(
            "A budget can only be attached when a session is created.", "budget", error_code="budget_create_only"
        )
    budget = _read_budget(body)
    spent = session.conversation.writer.requests * REQUEST_CENTS
    if budget is not None and int(budget["max_list_cost"]["amount"]) <= spent:
        raise invalid("A budget must exceed what was consumed.", "budget", error_code="budget_not_raised")
    return budget
