"""The yardstick: what a careful user would write by hand, with httpx and plain pydantic models of the fields we read.

`hand_events` is the same for streams.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class Model(BaseModel):
    """A model."""

    id: str


class SessionAgent(BaseModel):
    """The agent of a session."""

    id: str
    model: Model


class Credits(BaseModel):
    """What a session consumed."""

    total_credits: float | None = None
    model_credits: float | None = None
    sandbox_runtime_credits: float | None = None


class QoderSession(BaseModel):
    """A session: the fields that `polysession.Session` has too."""

    id: str
    agent: SessionAgent
    environment_id: str
    title: str | None = None
    status: Literal["idle", "running", "rescheduling", "terminated"]
    metadata: dict[str, str]
    usage: Credits
    archived_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class QoderPage(BaseModel):
    """A page of sessions."""

    data: list[QoderSession]
    next_page: str | None = None
    last_id: str | None = None
    has_more: bool


class Tokens(BaseModel):
    """What a session consumed."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    effective_cost_usd: float | None = None


class Capability(BaseModel):
    """An ability of a session."""

    ref: str
    config: Any = None


class EverrunsSession(BaseModel):
    """A session: the fields that `polysession.Session` has too."""

    id: str
    organization_id: str
    agent_id: str
    workspace_id: str | None = None
    owner_principal_id: str | None = None
    status: Literal["started", "active", "idle", "waitingfortoolresults", "paused"]
    title: str | None = None
    tags: list[str] = []
    capabilities: list[Capability] = []
    model_id: str | None = None
    preview: str | None = None
    usage: Tokens | None = None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class EverrunsPage(BaseModel):
    """A page of sessions."""

    data: list[EverrunsSession]
    total: int
    limit: int
    next_url: str | None = None
