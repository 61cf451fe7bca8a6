"""Agents and environments. A session needs one of each."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from polysession_managed_agents.emulator.record_store import RecordStore
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

AGENT_LISTS = frozenset({"tools", "mcp_servers", "skills"})

_NETWORKING_FIELDS = frozenset({"type", "allowed_hosts", "allow_mcp_servers", "allow_package_managers"})
_NETWORKING_TYPES = frozenset({"limited", "unrestricted"})
_PACKAGE_MANAGERS = ("apt", "npm", "pip", "cargo", "gem", "go")
_SCOPES = frozenset({"organization", "account"})
_ENVIRONMENT_FIELDS = frozenset({"name", "description", "config", "metadata", "scope"})


@dataclass(slots=True)
class Agent:
    """An agent with all its versions.

    Attributes:
        versions: The fields of each version, oldest first.
    """

    id: str
    versions: list[Json]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None

    def at(self, version: int | None) -> Json:
        """Return the fields of one version; None means the latest."""
        if version is None:
            return self.versions[-1]
        if version < 1:
            raise invalid("Field 'version' must be at least 1.", "version")
        if version > len(self.versions):
            raise not_found("Agent version", f"{self.id}@{version}")
        return self.versions[version - 1]


@dataclass(slots=True, kw_only=True)
class Environment:
    """An environment in which tools run.

    Attributes:
        used: Whether a session was ever created in it, even if that session was deleted.
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


class Agents(RecordStore[Agent]):
    """All agents.

    Attributes:
        fields: The fields that a new agent may have.
        needs_version: Whether an update must name the current version. Otherwise it is optional.
    """

    fields: ClassVar[frozenset[str]]
    needs_version: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__("Agent")

    @abstractmethod
    def new_id(self) -> str:
        """Return the id for a new agent."""

    @abstractmethod
    def read(self, body: Json, names: frozenset[str]) -> Json:
        """Read the named fields, except the name and the metadata."""

    def create(self, body: Json) -> Agent:
        """Create an agent at version 1."""
        only(body, self.fields)
        name = need(body, "name", str)
        fields = {"name": name, "metadata": new_metadata(body), **self.read(body, self.fields), "version": 1}
        now = datetime.now(UTC)
        return self.add(Agent(id=self.new_id(), versions=[fields], created_at=now, updated_at=now))

    def update(self, agent_id: str, body: Json) -> Agent:
        """Create a new version of an agent. Lists are replaced; metadata is merged."""
        agent = self.find(agent_id)
        only(body, self.fields | {"version"})
        latest = agent.versions[-1]
        version = need(body, "version", int) if self.needs_version else take(body, "version", int)
        if version not in {None, latest["version"]}:
            raise conflict("Version conflict")  # the message that Qoder documents
        if agent.archived_at is not None:
            raise conflict(f"Agent {agent_id!r} is archived.")
        changed = {**latest, **self.read(body, self.fields & body.keys())}
        changed["metadata"] = patched_metadata(latest["metadata"], body)
        if "name" in body:
            changed["name"] = need(body, "name", str)
        agent.versions.append({**changed, "version": latest["version"] + 1})
        agent.updated_at = datetime.now(UTC)
        return agent


class Environments(RecordStore[Environment]):
    """All environments.

    Attributes:
        cloud_fields: Names of additional text fields in the configuration of a cloud environment.
        needs_config: Whether a new environment must have a configuration.
        default_networking: The networking type of a cloud environment that names none.
    """

    cloud_fields: ClassVar[tuple[str, ...]] = ()
    needs_config: ClassVar[bool] = False
    default_networking: ClassVar[str] = "unrestricted"

    def __init__(self) -> None:
        super().__init__("Environment")

    @abstractmethod
    def new_id(self) -> str:
        """Return the id for a new environment."""

    def create(self, body: Json) -> Environment:
        """Create an environment."""
        only(body, _ENVIRONMENT_FIELDS)
        now = datetime.now(UTC)
        environment = Environment(
            id=self.new_id(),
            name=need(body, "name", str),
            description=take(body, "description", str) or "",
            config=self._read_config(body),
            metadata=new_metadata(body),
            scope=_read_scope(body),
            created_at=now,
            updated_at=now,
        )
        return self.add(environment)

    def update(self, environment_id: str, body: Json) -> Environment:
        """Change the fields that the body has. Metadata is merged."""
        environment = self.find(environment_id)
        only(body, _ENVIRONMENT_FIELDS)
        if environment.archived_at is not None:
            raise conflict(f"Environment {environment_id!r} is archived.")
        name = need(body, "name", str) if "name" in body else environment.name
        description = take(body, "description", str) if "description" in body else environment.description
        config = self._read_config(body) if "config" in body else environment.config
        scope = _read_scope(body) if "scope" in body else environment.scope
        environment.metadata = patched_metadata(environment.metadata, body)
        environment.name, environment.description = name, description or ""
        environment.config, environment.scope = config, scope
        environment.updated_at = datetime.now(UTC)
        return environment

    def delete(self, environment_id: str) -> None:
        """Delete an environment."""
        self.find(environment_id)
        self.remove(environment_id)

    def _read_config(self, body: Json) -> Json:
        config = need(body, "config", dict) if self.needs_config else take(body, "config", dict) or {"type": "cloud"}
        kind = need(config, "type", str)
        if kind not in {"cloud", "self_hosted"}:
            raise invalid("Field 'config.type' must be 'cloud' or 'self_hosted'.", "config")
        only(config, {"type", "networking", "packages", *self.cloud_fields} if kind == "cloud" else {"type"})
        if kind == "self_hosted":
            return config
        networking = self.read_networking(config)
        read: Json = {"type": "cloud", "networking": networking, "packages": _read_packages(config)}
        more = {name: take(config, name, str) for name in self.cloud_fields}
        return read | {name: value for name, value in more.items() if value is not None}

    def read_networking(self, config: Json) -> Json:
        """Read the networking of a cloud environment."""
        networking: Json = take(config, "networking", dict) or {"type": self.default_networking}
        only(networking, _NETWORKING_FIELDS)
        if networking.get("type") not in _NETWORKING_TYPES:
            raise invalid("Field 'networking.type' must be 'limited' or 'unrestricted'.", "config")
        take_all(networking, "allowed_hosts", str)
        return networking


def _read_scope(body: Json) -> str | None:
    scope = take(body, "scope", str)
    if scope is not None and scope not in _SCOPES:
        raise invalid("Field 'scope' must be 'organization' or 'account'.", "scope")
    return scope


def _read_packages(config: Json) -> Json:
    packages: Json = take(config, "packages", dict) or {}
    only(packages, {"type", *_PACKAGE_MANAGERS})
    return {"type": "packages"} | {name: take_all(packages, name, str) for name in _PACKAGE_MANAGERS}
