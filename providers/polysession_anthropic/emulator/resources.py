"""Agents, environments and mounted resources of the Anthropic emulator.

Backend: https://platform.claude.com/docs/en/api/beta/agents/create, /docs/en/api/beta/environments/create and
/docs/en/managed-agents/permission-policies (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from polysession.emulation import base62_id
from polysession_managed_agents.emulator import resources
from polysession_managed_agents.emulator.mounts import FILE, MEMORY_STORE, MountRules, repository
from polysession_managed_agents.emulator.resources import AGENT_LISTS
from polysession_managed_agents.emulator.validation import (
    Json,
    invalid,
    need,
    only,
    take,
    take_all,
    take_typed_objects,
)

AGENT_OVERRIDES: Final = frozenset({"model", "system"}) | AGENT_LISTS
MODELS: Final = ("claude-opus-5-5", "claude-sonnet-5")

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_SPEEDS: Final = ("standard", "fast")
_TOOLSET: Final = "agent_toolset_20260401"
_TOOL_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    _TOOLSET: frozenset({"type", "default_config", "configs"}),
    "mcp_toolset": frozenset({"type", "mcp_server_name", "default_config", "configs"}),
    "custom": frozenset({"type", "name", "description", "input_schema"}),
}
_POLICIES: Final = frozenset({"always_allow", "always_ask", "auto"})
_WEB_FIELDS: Final = frozenset({"allowed_domains", "blocked_domains", "max_content_tokens", "url_sources"})
_MAX_ITEMS: Final = {"tools": 256, "mcp_servers": 20, "skills": 500, "agents": 20}

MOUNTS: Final = MountRules(
    {"file": FILE, "github_repository": repository("authorization_token"), "memory_store": MEMORY_STORE},
    new_id=lambda: base62_id("sesrsc_"),
    new_file_id=lambda: base62_id("file_"),
)


class Agents(resources.Agents):
    """All agents. An update may name the current version, but need not."""

    fields = (
        frozenset({"name", "model", "system", "description", "metadata", "multiagent", "execution_identity"})
        | AGENT_LISTS
    )
    needs_version = False

    def new_id(self) -> str:
        """Return the id for a new agent."""
        return base62_id("agent_")

    def read(self, body: Json, names: frozenset[str]) -> Json:
        """Read the named fields, except the name and the metadata."""
        fields = _read_agent_fields(body, names)
        if "multiagent" in names:
            fields["multiagent"] = self._read_multiagent(body)
        if "execution_identity" in names:
            fields["execution_identity"] = take(body, "execution_identity", dict) or {"type": "service_account"}
        return fields

    def _read_multiagent(self, body: Json) -> Json | None:
        """Read the multi-agent configuration. The agents of a coordinator get a version."""
        given = take(body, "multiagent", dict)
        if given is None or need(given, "type", str) != "coordinator":
            return given
        only(given, {"type", "agents"})
        members = need(given, "agents", list)
        if len(members) > _MAX_ITEMS["agents"]:
            raise invalid(f"A coordinator may have at most {_MAX_ITEMS['agents']} agents.", "multiagent")
        return {"type": "coordinator", "agents": [self._resolve(member) for member in members]}

    def _resolve(self, member: Json | str) -> Json:
        if isinstance(member, dict) and member.get("type") != "agent":
            return member
        reference = {"id": member} if isinstance(member, str) else member
        agent = self.find(need(reference, "id", str))
        return {"type": "agent", "id": agent.id, "version": agent.at(take(reference, "version", int))["version"]}


class Environments(resources.Environments):
    """All environments."""

    def new_id(self) -> str:
        """Return the id for a new environment."""
        return base62_id("env_")

    def read_networking(self, config: Json) -> Json:
        """Read the networking of a cloud environment, with its defaults."""
        networking = super().read_networking(config)
        if networking["type"] == "unrestricted":
            return {"type": "unrestricted"}
        return {"allowed_hosts": [], "allow_mcp_servers": False, "allow_package_managers": False, **networking}


def read_overrides(body: Json) -> Json:
    """Read the fields of the agent that a session overrides. Null and `[]` clear a field."""
    if body.get("model", "") is None:
        raise invalid("Field 'model' must not be null.", "model", error_code="agent_model_required")
    return _read_agent_fields(body, AGENT_OVERRIDES & body.keys())


def check_consistent(fields: Json) -> None:
    """Refuse an agent whose skills have no tools, or whose MCP tools have no server."""
    if fields["skills"] and not fields["tools"]:
        raise invalid("Field 'tools' must not be empty while the agent has skills.", "tools")
    servers = {server.get("name") for server in fields["mcp_servers"]}
    for tool in fields["tools"]:
        if tool["type"] == "mcp_toolset" and tool["mcp_server_name"] not in servers:
            raise invalid(f"Unknown MCP server {tool['mcp_server_name']!r}: define it in 'mcp_servers'.", "mcp_servers")


def _read_agent_fields(body: Json, names: frozenset[str]) -> Json:
    fields: Json = {}
    for name in names & AGENT_LISTS:
        fields[name] = take_typed_objects(body, name)
        if len(fields[name]) > _MAX_ITEMS[name]:
            raise invalid(f"Field {name!r} may have at most {_MAX_ITEMS[name]} items.", name)
    if "tools" in fields:
        fields["tools"] = [_read_tool(tool) for tool in fields["tools"]]
    if "skills" in fields:
        fields["skills"] = [{"version": "latest", **skill} for skill in fields["skills"]]
    fields.update({name: take(body, name, str) or None for name in names & {"system", "description"}})
    return {**fields, "model": _read_model(body)} if "model" in names else fields


def _read_model(body: Json) -> Json:
    """Read the model, an id or an object. Returns an object."""
    given = body.get("model")
    model = need(body, "model", dict) if isinstance(given, dict) else {"id": need(body, "model", str)}
    only(model, {"id", "effort", "speed", "inference_geo"})
    effort, speed = model.get("effort"), take(model, "speed", str)
    named = effort.get("type") if isinstance(effort, dict) else effort
    if named not in {None, *_EFFORTS} or speed not in {None, *_SPEEDS}:
        raise invalid(f"'effort' must be one of {', '.join(_EFFORTS)}; 'speed' one of {', '.join(_SPEEDS)}.", "model")
    return {
        "id": need(model, "id", str),
        "effort": None if named is None else {"type": named},
        "speed": speed,
        "inference_geo": take(model, "inference_geo", str),
    }


def _read_tool(tool: Json) -> Json:
    """Read a tool, and add its defaults."""
    kind = tool["type"]
    if kind not in _TOOL_FIELDS:
        raise invalid(f"Unknown tool type {kind!r}; expected one of {', '.join(sorted(_TOOL_FIELDS))}.", "tools")
    only(tool, _TOOL_FIELDS[kind])
    if kind == "custom":
        need(tool, "name", str)
        return {"description": "", "input_schema": {"type": "object"}, **tool}
    policy = "always_allow" if kind == _TOOLSET else "always_ask"
    default = _read_config(take(tool, "default_config", dict) or {}, policy)
    configs = [_read_named_config(config, default, kind) for config in take_all(tool, "configs", dict)]
    server = {} if kind == _TOOLSET else {"mcp_server_name": need(tool, "mcp_server_name", str)}
    return {"type": kind, **server, "default_config": default, "configs": configs}


def _read_named_config(config: Json, default: Json, kind: str) -> Json:
    name = need(config, "name", str)
    plain = {key: value for key, value in config.items() if key not in {"name", "type"} | _WEB_FIELDS}
    web = {key: value for key, value in config.items() if key in _WEB_FIELDS}
    named = {"name": name, "type": name} if kind == _TOOLSET else {"name": name}
    return {**named, **_read_config(plain, None, default), **web}


def _read_config(config: Json, policy: str | None, default: Json | None = None) -> Json:
    only(config, {"enabled", "permission_policy"})
    enabled, given = take(config, "enabled", bool), take(config, "permission_policy", dict)
    if given is not None and given.get("type") not in _POLICIES:
        raise invalid(f"'permission_policy.type' must be one of {', '.join(sorted(_POLICIES))}.", "tools")
    fallback = default or {"enabled": True, "permission_policy": {"type": policy}}
    return {
        "enabled": fallback["enabled"] if enabled is None else enabled,
        "permission_policy": given or fallback["permission_policy"],
    }
