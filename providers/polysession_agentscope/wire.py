"""AgentScope's JSON, in its own words: what we read of it.

Read are, here and in `wire_events`, the servers from 2.0.0 to 2.0.11. A field that newer ones added may be absent.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and the OpenAPI document that every server
offers at `/openapi.json` (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from polysession.provider_api import UtcDatetime


class Wire(BaseModel):
    """Base of what we read. Fields that are not modelled stay in the record's `raw`."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class WireModelConfig(Wire):
    """The model of a session."""

    type: str | None = None
    credential_id: str | None = None
    model: str
    parameters: dict[str, Any] | None = None


class WireSessionConfig(Wire):
    """What a session was configured with."""

    workspace_id: str | None = None
    name: str | None = None
    chat_model_config: WireModelConfig | None = None


class WirePermissions(Wire):
    """How tool calls are approved."""

    mode: str | None = None


class WireState(Wire):
    """What the agent remembers."""

    permission_context: WirePermissions | None = None


class WireRecord(Wire):
    """A session as it is stored: what 2.0.0 lists, and what every server answers to a change."""

    id: str
    user_id: str | None = None
    agent_id: str | None = None
    config: WireSessionConfig | None = None
    state: WireState | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WireView(Wire):
    """A session as servers from 2.0.1 on list it. `status` came with 2.0.6."""

    session: WireRecord
    status: str | None = None
    is_running: bool | None = None


class WireAgentData(Wire):
    """What an agent is made of. Its own `id` is not the agent's."""

    name: str
    system_prompt: str | None = None


class WireAgent(Wire):
    """An agent."""

    id: str
    data: WireAgentData
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WireSessions(Wire):
    """All sessions of an agent: records or views."""

    sessions: list[dict[str, Any]]


class WireAgents(Wire):
    """All agents of the user."""

    agents: list[dict[str, Any]]


class WireNewSession(Wire):
    """The answer to a creation."""

    session_id: str


class WireNewAgent(Wire):
    """The answer to a creation."""

    agent_id: str


class WireStatus(Wire):
    """The answer of the status probe."""

    status: str


class WireHealth(Wire):
    """`GET /health`."""

    version: str | None = None


class WireProblem(Wire):
    """One thing that is wrong with a request. What was sent is in it too, and is not read: it may be a secret."""

    loc: list[str | int]
    msg: str


class WireErrorBody(Wire):
    """An error body."""

    detail: str | list[WireProblem]
