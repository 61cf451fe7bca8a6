"""Everruns' JSON, in its own words: what we read of it.

Two generations are read, here and in `wire_events`: of February 2026, and the current one. Servers change faster than
the published description; what only newer ones know is marked so. An older server ignores a name that it does not know,
without a word.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from polysession.provider_api import UtcDatetime


class Wire(BaseModel):
    """Base of what we read. Fields that are not modelled stay in the record's `raw`."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class WireCapability(Wire):
    """An ability that a session has on top of its agent's."""

    ref: str
    config: Any = None


class WireUsage(Wire):
    """Tokens so far, in buckets that do not overlap. The older generation states no costs."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    effective_cost_usd: float | None = None
    actual_cost_usd: float | None = None
    estimated_cost_usd: float | None = None


class WireSession(Wire):
    """A session of any generation."""

    id: str
    organization_id: str | None = None
    agent_id: str | None = None
    workspace_id: str | None = None
    owner_principal_id: str | None = None
    status: str | None = None
    title: str | None = None
    tags: list[str] | None = None
    capabilities: list[WireCapability] | None = None
    model_id: str | None = None
    preview: str | None = None
    usage: WireUsage | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    finished_at: UtcDatetime | None = None


class WireAgent(Wire):
    """An agent."""

    id: str
    name: str
    description: str | None = None
    default_model_id: str | None = None
    system_prompt: str | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    archived_at: UtcDatetime | None = None


class WirePageEnd(Wire):
    """Where a list goes on. The older generation has no `next_url`."""

    total: int | None = None
    limit: int | None = None
    next_url: str | None = None


class WireAgents(WirePageEnd):
    """A page of agents."""

    data: list[dict[str, Any]]


class WireSessions(WirePageEnd):
    """A page of sessions."""

    data: list[WireSession]
