"""Agents and environments of the Qoder emulator; a session needs one of each.

Backend: https://docs.qoder.com/cloud-agents/api/agents/schemas and /cloud-agents/api/environments/schemas
(read 2026-11)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from polysession.emulation import base36_id
from polysession_qoder.emulator.listing import Shelf
from polysession_qoder.emulator.validation import (
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
    take_typed_objects,
)

_AGENT_LISTS = frozenset({"tools", "mcp_servers", "skills"})
_AGENT_FIELDS = frozenset({"name", "model", "system", "description", "metadata", "multiagent"}) | _AGENT_LISTS
AGENT_OVERRIDES = frozenset({"model", "system"}) | _AGENT_LISTS

_ENVIRONMENT_FIELDS = frozenset({"name", "description", "config", "metadata", "scope"})
_CONFIG_FIELDS = {
    "cloud": frozenset({"type", "networking", "packages", "setup_script"}),
    "self_hosted": frozenset({"type"}),
}
_NETWORKING_FIELDS = frozenset({"type", "allowed_hosts", "allow_mcp_servers", "allow_package_managers"})
_NETWORKING_TYPES = frozenset({"limited", "unrestricted"})
_PACKAGE_MANAGERS = ("apt", "npm", "pip", "cargo", "gem", "go")
_SCOPES = frozenset({"organization", "account"})


@dataclass(slots=True)
class Agent:
    """An agent with all its versions.

    Attributes:
        versions: The fields of each version, the first one first.
    """

    id: str
    versions: list[Json]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None

    def at(self, version: int | None) -> Json:
        """The fields of one version; of the latest if None."""
        if version is None:
            return self.versions[-1]
        if version < 1:
            raise invalid("Field 'version' must be at least 1.", "version")
        if version > len(self.versions):
            raise not_found("Agent version", f"{self.id}@{version}")
        return self.versions[version - 1]


@dataclass(slots=True, kw_only=True)
class Environment:
    """A place where tools run.

    Attributes:
        used: Whether a session was ever created in it; deleting the session does not change that.
    """

    id: str
    name: str
    description: str
    config: Json
    metadata: dict[str, str]
    scope: str | None
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None
    used: bool = False


class Agents(Shelf[Agent]):
    """All agents."""

    def __init__(self) -> None:
        super().__init__("Agent")

    def create(self, body: Json) -> Agent:
        """Create an agent at version 1."""
        only(body, _AGENT_FIELDS)
        fields = {
            "name": need(body, "name", str),
            "model": read_model(body),
            "metadata": new_metadata(body),
            **_read_agent_fields(body, _AGENT_FIELDS),
        }
        now = datetime.now(UTC)
        fields["version"] = 1
        return self.add(Agent(id=base36_id("agent_"), versions=[fields], created_at=now, updated_at=now))

    def update(self, agent_id: str, body: Json) -> Agent:
        """Add a version. The caller must name the current one; lists replace, metadata is a patch."""
        agent = self.find(agent_id)
        only(body, _AGENT_FIELDS | {"version"})
        latest = agent.versions[-1]
        if need(body, "version", int) != latest["version"]:
            raise conflict("Version conflict")
        if agent.archived_at is not None:
            raise conflict(f"Agent {agent_id!r} is archived.")
        changed = {**latest, **_read_agent_fields(body, _AGENT_FIELDS & body.keys())}
        changed["metadata"] = patched_metadata(latest["metadata"], body)
        if "name" in body:
            changed["name"] = need(body, "name", str)
        if "model" in body:
            changed["model"] = read_model(body)
        agent.versions.append({**changed, "version": latest["version"] + 1})
        agent.updated_at = datetime.now(UTC)
        return agent

    def archive(self, agent_id: str) -> Agent:
        """Archive an agent; a second time changes nothing."""
        agent = self.find(agent_id)
        if agent.archived_at is None:
            agent.archived_at = agent.updated_at = datetime.now(UTC)
        return agent


def read_model(body: Json) -> str | Json:
    """The model as given: its id, or an object with an `id`."""
    if not isinstance(body.get("model"), dict):
        return need(body, "model", str)
    model = need(body, "model", dict)
    only(model, {"id", "effort", "context_window"})
    need(model, "id", str)
    take(model, "context_window", int)
    return model


def read_overrides(body: Json) -> Json:
    """The fields of an agent that a session may have otherwise than its agent, as far as they are given."""
    fields = _read_agent_fields(body, AGENT_OVERRIDES & body.keys())
    if "model" in body:
        fields["model"] = read_model(body)
    return fields


def _read_agent_fields(body: Json, names: frozenset[str]) -> Json:
    fields: Json = {name: take_typed_objects(body, name) for name in names & _AGENT_LISTS}
    fields.update({name: take(body, name, str) or "" for name in names & {"system", "description"}})
    if "multiagent" in names:
        fields["multiagent"] = take(body, "multiagent", dict)
    return fields


class Environments(Shelf[Environment]):
    """All environments."""

    def __init__(self) -> None:
        super().__init__("Environment")

    def create(self, body: Json) -> Environment:
        """Create an environment."""
        only(body, _ENVIRONMENT_FIELDS)
        now = datetime.now(UTC)
        environment = Environment(
            id=base36_id("env_"),
            name=need(body, "name", str),
            description=take(body, "description", str) or "",
            config=_read_config(body),
            metadata=new_metadata(body),
            scope=_read_scope(body),
            created_at=now,
            updated_at=now,
        )
        return self.add(environment)

    def update(self, environment_id: str, body: Json) -> Environment:
        """Change the fields that are given; metadata is a patch."""
        environment = self.find(environment_id)
        only(body, _ENVIRONMENT_FIELDS)
        if environment.archived_at is not None:
            raise conflict(f"Environment {environment_id!r} is archived.")
        name = need(body, "name", str) if "name" in body else environment.name
        description = take(body, "description", str) if "description" in body else environment.description
        config = _read_config(body) if "config" in body else environment.config
        scope = _read_scope(body) if "scope" in body else environment.scope
        environment.metadata = patched_metadata(environment.metadata, body)
        environment.name, environment.description = name, description or ""
        environment.config, environment.scope = config, scope
        environment.updated_at = datetime.now(UTC)
        return environment

    def archive(self, environment_id: str) -> Environment:
        """Archive an environment; a second time changes nothing."""
        environment = self.find(environment_id)
        if environment.archived_at is None:
            environment.archived_at = environment.updated_at = datetime.now(UTC)
        return environment

    def delete(self, environment_id: str) -> None:
        """Delete an environment that no session ever used."""
        if self.find(environment_id).used:
            raise conflict(f"Environment {environment_id!r} is referenced by a session. Archive it instead.")
        self.remove(environment_id)


def _read_scope(body: Json) -> str | None:
    scope = take(body, "scope", str)
    if scope is not None and scope not in _SCOPES:
        raise invalid("Field 'scope' must be 'organization' or 'account'.", "scope")
    return scope


def _read_config(body: Json) -> Json:
    config = need(body, "config", dict)
    accepted = _CONFIG_FIELDS.get(need(config, "type", str))
    if accepted is None:
        raise invalid("Field 'config.type' must be 'cloud' or 'self_hosted'.", "config")
    only(config, accepted)
    if config["type"] == "self_hosted":
        return config
    read: Json = {"type": "cloud", "networking": _read_networking(config), "packages": _read_packages(config)}
    script = take(config, "setup_script", str)
    return read if script is None else {**read, "setup_script": script}


def _read_networking(config: Json) -> Json:
    networking: Json = take(config, "networking", dict) or {"type": "limited"}
    only(networking, _NETWORKING_FIELDS)
    if networking.get("type") not in _NETWORKING_TYPES:
        raise invalid("Field 'networking.type' must be 'limited' or 'unrestricted'.", "config")
    take_all(networking, "allowed_hosts", str)
    return networking


def _read_packages(config: Json) -> Json:
    packages: Json = take(config, "packages", dict) or {}
    only(packages, {"type", *_PACKAGE_MANAGERS})
    return {"type": "packages"} | {name: take_all(packages, name, str) for name in _PACKAGE_MANAGERS}
