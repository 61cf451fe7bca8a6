"""Qoder's JSON, in its own words: what we read of it.

Three generations are read, here and in `wire_events`: of May 2026, of June and July 2026, and the current one.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from polysession.provider_api import UtcDatetime


class Wire(BaseModel):
    """Base of what we read. Fields that are not modelled stay in the record's `raw`."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class WireModel(Wire):
    """A model inside a session's agent. Keys besides `id` are its settings."""

    model_config = ConfigDict(extra="allow")

    id: str


class WireSessionAgent(Wire):
    """The agent as it was when the session was created."""

    id: str | None = None
    model: WireModel | str | None = None


class WireUsage(Wire):
    """Credits in the current generation, tokens in the one of May 2026."""

    total_credits: float | None = None
    model_credits: float | None = None
    sandbox_runtime_credits: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: dict[str, int | None] | None = None


class WireSession(Wire):
    """A session of any generation."""

    id: str
    agent: WireSessionAgent | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    title: str | None = None
    status: str | None = None
    turn_status: str | None = None
    metadata: dict[str, str] | None = None
    usage: WireUsage | None = None
    archived_at: UtcDatetime | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WireAgent(Wire):
    """An agent."""

    id: str
    name: str
    description: str | None = None
    model: WireModel | str | None = None
    system: str | None = None
    instructions: str | None = None
    version: int | str | None = None
    archived_at: UtcDatetime | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WirePageEnd(Wire):
    """Where a list goes on. Older generations have no `next_page`."""

    next_page: str | None = None
    last_id: str | None = None
    has_more: bool | None = None


class WirePage(WirePageEnd):
    """A page of a list."""

    data: list[dict[str, Any]]


class WireSessions(WirePageEnd):
    """A page of sessions."""

    data: list[WireSession]


class WireError(Wire):
    """The inner part of an error body."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


class WireErrorBody(Wire):
    """An error body."""

    request_id: str | None = None
    error: WireError


class WireDeleted(Wire):
    """What is left of a session: the answer to a deletion."""

    id: str
