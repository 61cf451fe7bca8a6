"""The baseline: code that a careful user would write by hand.

It uses httpx, and pydantic models of the fields that we read.

`hand_events` has the models of streams.
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
    """Usage of a session."""

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
    """Usage of a session."""

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


class AgentScopeModel(BaseModel):
    """A model of a session."""

    type: str
    credential_id: str
    model: str
    parameters: dict[str, Any] = {}
    model_class: str = ""


class AgentScopeConfig(BaseModel):
    """Settings of a session."""

    workspace_id: str
    name: str
    cwd: str | None = None
    chat_model_config: AgentScopeModel | None = None
    fallback_chat_model_config: AgentScopeModel | None = None


class Permissions(BaseModel):
    """Permissions of the agent."""

    mode: str


class AgentScopeState(BaseModel):
    """State of a session."""

    summary: str | None = None
    permission_context: Permissions


class AgentScopeSession(BaseModel):
    """A session: the fields that `polysession.Session` has too."""

    id: str
    agent_id: str
    user_id: str
    config: AgentScopeConfig
    state: AgentScopeState
    source: str | None = None
    team_id: str | None = None
    created_at: datetime
    updated_at: datetime


class AgentScopeView(BaseModel):
    """A session in a list, with its status."""

    session: AgentScopeSession
    is_running: bool
    status: Literal["idle", "running"]


class AgentScopeList(BaseModel):
    """All sessions of an agent."""

    sessions: list[AgentScopeView]
    total: int
