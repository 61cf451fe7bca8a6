"""Agents and environments of the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/agents/schemas and /cloud-agents/api/environments/schemas
(read 2026-11)
"""

from __future__ import annotations

from typing import ClassVar

from polysession.emulation import base36_id
from polysession_managed_agents.emulator import resources
from polysession_managed_agents.emulator.resources import AGENT_LISTS
from polysession_managed_agents.emulator.validation import Json, conflict, need, only, take, take_typed_objects

AGENT_OVERRIDES = frozenset({"model", "system"}) | AGENT_LISTS


class Agents(resources.Agents):
    """All agents. An update must name the current version."""

    fields = frozenset({"name", "model", "system", "description", "metadata", "multiagent"}) | AGENT_LISTS
    needs_version = True

    def new_id(self) -> str:
        """Return the id for a new agent."""
        return base36_id("agent_")

    def read(self, body: Json, names: frozenset[str]) -> Json:
        """Read the named fields, except the name and the metadata."""
        fields = _read_agent_fields(body, names)
        if "multiagent" in names:
            fields["multiagent"] = take(body, "multiagent", dict)
        return fields


def read_overrides(body: Json) -> Json:
    """Read the fields of the agent that a session overrides."""
    return _read_agent_fields(body, AGENT_OVERRIDES & body.keys())


def _read_agent_fields(body: Json, names: frozenset[str]) -> Json:
    fields: Json = {name: take_typed_objects(body, name) for name in names & AGENT_LISTS}
    fields.update({name: take(body, name, str) or "" for name in names & {"system", "description"}})
    return {**fields, "model": _read_model(body)} if "model" in names else fields


def _read_model(body: Json) -> str | Json:
    """Read the model, an id or an object with an `id`. Returns it unchanged."""
    if not isinstance(body.get("model"), dict):
        return need(body, "model", str)
    model = need(body, "model", dict)
    only(model, {"id", "effort", "context_window"})
    need(model, "id", str)
    take(model, "context_window", int)
    return model


class Environments(resources.Environments):
    """All environments. An environment that was ever used by a session cannot be deleted."""

    cloud_fields: ClassVar[tuple[str, ...]] = ("setup_script",)
    needs_config: ClassVar[bool] = True
    default_networking: ClassVar[str] = "limited"

    def new_id(self) -> str:
        """Return the id for a new environment."""
        return base36_id("env_")

    def delete(self, environment_id: str) -> None:
        """Delete an environment, and refuse one that was ever used by a session."""
        if self.find(environment_id).used:
            raise conflict(f"Environment {environment_id!r} is referenced by a session. Archive it instead.")
        super().delete(environment_id)
