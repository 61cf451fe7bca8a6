"""Agents, harnesses, models and capabilities of the Everruns emulator: state and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from polysession.emulation import hex_id
from polysession_everruns.emulator.records import Definition, timestamp, utc_now
from polysession_everruns.emulator.requests import without_nulls
from polysession_everruns.emulator.validation import (
    check_id,
    check_slug,
    client_side_tools,
    conflict,
    invalid,
    is_slug,
    unknown,
)

Values = Mapping[str, Any]

DEFAULT_HARNESS: Final = "generic"

CAPABILITIES: Final[tuple[Values, ...]] = (
    {
        "id": "current_time",
        "name": "Current time",
        "description": "Gives the agent the current time.",
        "status": "available",
    },
    {
        "id": "web_fetch",
        "name": "Web fetch",
        "description": "Lets the agent read a page of the web.",
        "status": "available",
    },
)


class Catalogue:
    """Agents, harnesses, models and capabilities of one organization."""

    def __init__(self) -> None:
        self.agents: dict[str, Definition] = {}
        self.harnesses: dict[str, Definition] = {}
        self.model: Values = _only_model()
        self.create_harness({"name": DEFAULT_HARNESS, "display_name": "Generic"}, is_built_in=True)

    def agent(self, agent_id: str) -> Definition:
        """Return the agent with an id.

        Raises:
            Refusal: The id is malformed (400). There is no such agent (404).
        """
        return _by_id("agent", self.agents, agent_id)

    def find_agent(self, reference: str) -> Definition:
        """Return the agent with an id or a name. Raises as `agent` does."""
        return self._agent_named(reference) if is_slug(reference) else self.agent(reference)

    def usable_agent(self, *, agent_id: str | None, name: str | None) -> Definition | None:
        """Return the agent that a new session names, by id or by name; None if it names none.

        Raises:
            Refusal: Both are present, the id is malformed, or the agent is archived (400). There is no such agent
                (404).
        """
        _check_one_of("agent", agent_id, name)
        if agent_id is None and name is None:
            return None
        agent = self.agent(agent_id) if agent_id is not None else self._agent_named(str(name))
        if agent.archived_at is not None:
            raise invalid(f"Agent '{agent.name}' is archived and cannot be assigned")
        return agent

    def usable_harness(self, *, harness_id: str | None, name: str | None) -> Definition | None:
        """Return the harness that a request names; None if it names none.

        Raises as `usable_agent` does.
        """
        _check_one_of("harness", harness_id, name)
        if harness_id is not None:
            return _by_id("harness", self.harnesses, harness_id)
        if name is not None:
            return _by_name("Harness", self.harnesses, name)
        return None

    @property
    def default_harness(self) -> Definition:
        """The harness of agents and sessions that name none."""
        return _by_name("Harness", self.harnesses, DEFAULT_HARNESS)

    def check_model(self, model_id: str | None) -> None:
        """Check the id of a model. None is valid.

        Raises:
            Refusal: The id is malformed (400). There is no such model (404).
        """
        if model_id is None:
            return
        check_id("model", model_id)
        if model_id != self.model["id"]:
            raise unknown("Model not found")

    def create_agent(self, values: Values) -> Definition:
        """Create an agent, or replace the agent whose id the client passed.

        Raises:
            Refusal: A value is invalid, or the replaced agent is archived (400). The harness or the model does not
                exist (404). Another agent has the name (409).
        """
        agent_id = values.get("id") or hex_id("agent_")
        check_id("agent", agent_id)
        existing = self.agents.get(agent_id)
        if existing is not None:
            _check_active(existing)
        accepted = {"harness_id": self.default_harness.id, **self._accept_agent(agent_id, values)}
        if existing is None:
            self.agents[agent_id] = Definition(agent_id, accepted)
        else:
            existing.values = accepted
            existing.touch()
        return self.agents[agent_id]

    def put_agent(self, reference: str, values: Values) -> tuple[Definition, bool]:
        """Replace or create the agent with an id or a name. Returns it, and whether it is new.

        Raises as `create_agent` does.
        """
        if is_slug(reference):
            existing = next((agent.id for agent in self.agents.values() if agent.name == reference), None)
        else:
            existing = reference
        known = existing in self.agents
        return self.create_agent({**values, "id": existing}), not known

    def update_agent(self, agent_id: str, changes: Values) -> Definition:
        """Set the values that are present and not None.

        Raises:
            Refusal: A value is invalid, or the agent is archived and is not restored (400). The agent, the harness or
                the model does not exist (404). Another agent has the name (409).
        """
        agent = self.agent(agent_id)
        status = changes.get("status")
        if status != "active":
            _check_active(agent)
        agent.values |= self._accept_agent(agent_id, changes)
        agent.touch()
        if status is not None:
            agent.archived_at = None if status == "active" else agent.updated_at
        return agent

    def archive_agent(self, agent_id: str) -> None:
        """Archive an agent. Archiving it again changes nothing. Raises as `agent` does."""
        agent = self.agent(agent_id)
        if agent.archived_at is None:
            agent.touch()
            agent.archived_at = agent.updated_at

    def create_harness(self, values: Values, *, is_built_in: bool = False) -> Definition:
        """Create a harness.

        Raises:
            Refusal: A value is invalid (400). The parent or the model does not exist (404). Another harness has the
                name (409).
        """
        _check_name("Harness", values["name"], self.harnesses.values())
        self.check_model(values.get("default_model_id"))
        self.usable_harness(harness_id=values.get("parent_harness_id"), name=None)
        harness = Definition(hex_id("harness_"), without_nulls(values), is_built_in=is_built_in)
        self.harnesses[harness.id] = harness
        return harness

    def _agent_named(self, name: str) -> Definition:
        return _by_name("Agent", self.agents, name)

    def _accept_agent(self, agent_id: str, values: Values) -> dict[str, Any]:
        accepted = without_nulls(values)
        if "name" in accepted:
            others = [agent for agent in self.agents.values() if agent.id != agent_id]
            _check_name("Agent", accepted["name"], others)
        if "tools" in accepted:
            accepted["tools"] = client_side_tools(accepted["tools"])
        self.check_model(accepted.get("default_model_id"))
        harness = self.usable_harness(harness_id=accepted.get("harness_id"), name=accepted.pop("harness_name", None))
        if harness is not None:
            accepted["harness_id"] = harness.id
        return {name: value for name, value in accepted.items() if name not in {"id", "status"}}


def _only_model() -> Values:
    # In the JSON of a model, `model_id` is the model's name at its provider.
    now = timestamp(utc_now())
    return {
        "id": hex_id("model_"),
        "provider_id": hex_id("provider_"),
        "provider_name": "Emulated",
        "provider_type": "llmsim",
        "model_id": "emulated-1",
        "display_name": "Emulated 1",
        "capabilities": [],
        "is_favorite": False,
        "enabled": True,
        "healthy": True,
        "source": "predefined",
        "created_at": now,
        "updated_at": now,
    }


def _check_active(agent: Definition) -> None:
    if agent.archived_at is not None:
        raise invalid("Cannot update archived agent")


def _check_one_of(kind: str, by_id: str | None, by_name: str | None) -> None:
    if by_id is not None and by_name is not None:
        raise invalid(f"Cannot specify both {kind}_id and {kind}_name")


def _check_name(kind: str, name: str, others: Iterable[Definition]) -> None:
    check_slug(kind, name)
    if any(other.name == name for other in others):
        raise conflict(f"{kind} with name '{name}' already exists", code="already_exists")


def _by_id(kind: str, known: Mapping[str, Definition], wanted: str) -> Definition:
    check_id(kind, wanted)
    if wanted not in known:
        raise unknown(f"{kind.capitalize()} not found")
    return known[wanted]


def _by_name(kind: str, known: Mapping[str, Definition], name: str) -> Definition:
    found = next((definition for definition in known.values() if definition.name == name), None)
    if found is None:
        raise unknown(f"{kind} not found")
    return found
