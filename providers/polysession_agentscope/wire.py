"""AgentScope's JSON, with its names: the fields that are read.

One struct serves all server versions, 2.0.0 to 2.0.11. Only fields that a record needs are required. A comment marks
each field that not every version has. All other fields stay in the `source` of the records.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session, and the OpenAPI document that every server
publishes at `/openapi.json` (read 2026-11)
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Raw, Struct


class WireModelConfig(Struct):
    """The model of a session."""

    model: str
    type: str | None = None
    credential_id: str | None = None
    parameters: dict[str, Any] | None = None
    model_class: str | None = None  # since 2.0.11


class WireSessionConfig(Struct):
    """The configuration of a session."""

    workspace_id: str | None = None
    name: str | None = None
    chat_model_config: WireModelConfig | None = None


class WirePermissions(Struct):
    """How tool calls are approved."""

    mode: str | None = None


class WireState(Struct):
    """The state of the agent."""

    permission_context: WirePermissions | None = None


class WireOrigin(Struct):
    """The creator of a session."""

    type: str | None = None


class WireRecord(Struct):
    """A stored session.

    It is an item of the list of 2.0.0, and the response to a change in every version.
    """

    id: str | None = None  # None in a `WireSession` whose record is in `session`
    user_id: str | None = None
    agent_id: str | None = None
    origin: WireOrigin | None = None  # since 2.0.8
    source: str | None = None  # 2.0.0 to 2.0.7: the type of the origin
    config: WireSessionConfig | None = None
    state: WireState | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WireTeamRecord(Struct):
    """A team of agents. `session_id` is its leader's session."""

    session_id: str | None = None


class WireTeam(Struct):
    """The team that a session belongs to."""

    team: WireTeamRecord | None = None


class WireSession(WireRecord):
    """A session: a bare record, or, in lists since 2.0.1, a view that contains it."""

    session: WireRecord | None = None  # since 2.0.1
    is_running: bool | None = None  # since 2.0.1
    status: str | None = None  # since 2.0.6
    team: WireTeam | None = None  # since 2.0.1


class WireSessions(Struct):
    """All sessions of an agent."""

    sessions: list[Raw]


class WireNewSession(Struct):
    """The response to the creation of a session."""

    session_id: str


class WireStatus(Struct):
    """The status of one session. Since 2.0.4."""

    status: str


class WireAgentData(Struct):
    """The definition of an agent. Its `id` is not the agent's id."""

    name: str | None = None
    system_prompt: str | None = None


class WireAgent(Struct):
    """An agent."""

    id: str
    data: WireAgentData | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WireAgents(Struct):
    """All agents of the user."""

    agents: list[Raw]


class WireNewAgent(Struct):
    """The response to the creation of an agent."""

    agent_id: str


class WireCredentialData(Struct):
    """The definition of a credential. Its other fields are secret and are not read."""

    type: str | None = None


class WireCredential(Struct):
    """A credential."""

    id: str
    data: WireCredentialData | None = None


class WireCredentials(Struct):
    """All credentials of the user."""

    credentials: list[WireCredential]


class WireModelCard(Struct):
    """A model of the catalogue."""

    name: str
    label: str | None = None


class WireModels(Struct):
    """The models of one kind of credential."""

    models: list[Raw]


class WireHealth(Struct):
    """The response to `GET /health`. Since 2.0.6."""

    version: str | None = None


class WireAnswer(Struct):
    """Any JSON object: the response to a change without a result."""


class WireUsage(Struct):
    """Tokens used by a message's model calls."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_input_tokens: int | None = None  # since 2.0.1
    cache_creation_input_tokens: int | None = None  # since 2.0.1


class WireFailure(Struct):
    """The error of a reply that failed."""

    type: str | None = None
    message: str | None = None


class WireSource(Struct):
    """Location of the content of a data block."""

    data: str | None = None
    url: str | None = None
    media_type: str | None = None


class WireBlock(Struct):
    """A block of a message, of any type. A tool's call and its result share one id."""

    type: str = ""
    id: str | None = None
    text: str | None = None
    thinking: str | None = None
    source: WireSource | str | None = None
    name: str | None = None
    input: str | None = None
    output: str | list[WireBlock] | None = None
    state: str | None = None
    suggested_rules: list[dict[str, Any]] | None = None


class WireMessage(Struct):
    """A stored message. The whole reply to one input is a single message."""

    id: str
    role: str | None = None
    name: str | None = None
    content: str | list[Raw] | None = None
    usage: WireUsage | None = None
    finished_at: str | None = None
    finished_reason: str | None = None  # since 2.0.1
    error: WireFailure | None = None  # since 2.0.1


class WireMessages(Struct):
    """A page of messages."""

    messages: list[Raw]
    event_cursor: str | None = None  # since 2.0.10
    has_more: bool | None = None  # since 2.0.6
    is_running: bool | None = None


class WireEvent(Struct):
    """The fields of every event and of the deltas, the most frequent events."""

    type: str = ""
    id: str | None = None
    reply_id: str | None = None  # missing in CUSTOM
    block_id: str | None = None
    tool_call_id: str | None = None
    delta: str | None = None


class WireTextEnd(WireEvent):
    """TEXT_BLOCK_END."""

    text: str | None = None  # since 2.0.1: the whole text, if it differs from the pieces


class WireMedia(WireEvent):
    """DATA_BLOCK_START and DATA_BLOCK_DELTA."""

    media_type: str | None = None
    name: str | None = None
    data: str | None = None
    url: str | None = None


class WireToolStart(WireEvent):
    """TOOL_CALL_START and TOOL_RESULT_START."""

    tool_call_name: str | None = None


class WireToolEnd(WireEvent):
    """TOOL_RESULT_END."""

    state: str | None = None


class WireModelEnd(WireEvent):
    """MODEL_CALL_END."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_input_tokens: int | None = None  # since 2.0.1
    cache_creation_input_tokens: int | None = None  # since 2.0.1


class WireRequest(WireEvent):
    """REQUIRE_USER_CONFIRM and REQUIRE_EXTERNAL_EXECUTION."""

    tool_calls: list[Raw] = []


class WireCallId(Struct):
    """The id of a tool call or its result."""

    id: str | None = None


class WireDecision(Struct):
    """The decision about a tool call."""

    tool_call: WireCallId | None = None


class WireAnswered(WireEvent):
    """USER_CONFIRM_RESULT and EXTERNAL_EXECUTION_RESULT."""

    confirm_results: list[WireDecision] = []
    execution_results: list[WireCallId] = []


class WireReplyEnd(WireEvent):
    """REPLY_END."""

    finished_reason: str | None = None  # since 2.0.1
    error: WireFailure | None = None  # since 2.0.1
