"""AgentScope's JSON, in its own words: what we read of it, and the typed native bodies.

Read are the servers from 2.0.0 to 2.0.11. A field that newer ones added may be absent.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and the OpenAPI document that every server
offers at `/openapi.json` (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from polysession.provider_api import NativeBody, UtcDatetime


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


class WireUsage(Wire):
    """What a message's model calls consumed. 2.0.0 did not count what was cached."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class WireFailure(Wire):
    """Why a reply failed."""

    type: str | None = None
    message: str | None = None


class WireSource(Wire):
    """Where a data block's content is."""

    data: str | None = None
    url: str | None = None
    media_type: str | None = None


class WireBlock(Wire):
    """A block of a message, of any type. A tool's call and its result share one id."""

    type: str
    id: str | None = None
    text: str | None = None
    thinking: str | None = None
    source: WireSource | str | None = None
    name: str | None = None
    input: str | None = None
    output: str | list[dict[str, Any]] | None = None
    state: str | None = None


class WireMessage(Wire):
    """A stored message. The whole reply to one input is a single one; `finished_reason` came after 2.0.0."""

    id: str
    role: str | None = None
    content: str | list[dict[str, Any]] = []
    usage: WireUsage | None = None
    finished_at: str | None = None
    finished_reason: str | None = None
    error: WireFailure | None = None


class WireMessages(Wire):
    """A page of messages. `has_more` came with 2.0.6, and `event_cursor` with 2.0.10."""

    messages: list[dict[str, Any]]
    event_cursor: str | None = None
    has_more: bool | None = None


class WireEventHead(Wire):
    """What every event has, also one that is not known yet."""

    id: str | None = None
    type: str
    reply_id: str | None = None


class WireDecision(Wire):
    """What the caller decided about a tool call."""

    tool_call: dict[str, Any]


class WireEvent(WireEventHead):
    """An event of a known type: the fields of all of them."""

    block_id: str | None = None
    delta: str | None = None
    text: str | None = None
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_call_name: str | None = None
    tool_calls: list[dict[str, Any]] = []
    confirm_results: list[WireDecision] = []
    execution_results: list[dict[str, Any]] = []
    state: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    finished_reason: str | None = None
    error: WireFailure | None = None


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


class AgentScopeModelConfig(NativeBody):
    """A model, and how it is reached. The backend wants all four, `parameters` even if it is empty.

    Attributes:
        type: Kind of credential, such as `"openai_credential"`.
        credential_id: Id of the credential.
        model: The model's name.
        parameters: Settings of the model. Only a turn checks them.
    """

    type: str
    credential_id: str
    model: str
    parameters: dict[str, Any]


class AgentScopeKnowledgeConfig(NativeBody):
    """The knowledge bases that a session may use.

    Attributes:
        knowledge_base_ids: Their ids.
        parameters: Settings of the retrieval.
    """

    knowledge_base_ids: list[str] | None = None
    parameters: dict[str, Any] | None = None


class AgentScopeNewSession(NativeBody):
    """Fields of `POST /sessions/` that only AgentScope has.

    Attributes:
        fallback_chat_model_config: The model that answers when the first one fails.
        tts_model_config: The model that speaks.
        realtime_model_config: The model of voice calls; 2.0.10 and newer.
        knowledge_config: Knowledge bases to use.

    Backend: `POST /sessions/` of `/openapi.json`, server 2.0.10 (read 2026-11)
    """

    fallback_chat_model_config: AgentScopeModelConfig | None = None
    tts_model_config: AgentScopeModelConfig | None = None
    realtime_model_config: AgentScopeModelConfig | None = None
    knowledge_config: AgentScopeKnowledgeConfig | None = None


class AgentScopeSessionChanges(AgentScopeNewSession):
    """Fields of `PATCH /sessions/{id}` that only AgentScope has. None clears a field.

    Attributes:
        fallback_chat_model_config: The model that answers when the first one fails.
        tts_model_config: The model that speaks.
        realtime_model_config: The model of voice calls; 2.0.10 and newer.
        knowledge_config: Knowledge bases to use.
        cwd: Working directory of the tools: absolute, or relative to the workspace, and not confined to it; None is
            the workspace itself. 2.0.6 and newer.

    Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session (read 2026-11)
    """

    cwd: str | None = None


class AgentScopeContextConfig(NativeBody):
    """When and how an agent compresses its context.

    Attributes:
        trigger_ratio: Share of the context that starts a compression, above 0 and at most 0.9.
        reserve_ratio: Share that is kept as it is, above 0 and below 0.9.
        context_buffer_ratio: Share before `trigger_ratio` in which the agent is warned, 0 to 1.
        compression_prompt: What asks the model for a summary.
        summary_template: How the summary is put together.
        summary_schema: JSON Schema of the summary.
        tool_result_limit: Tokens of a tool's result; the rest is cut off.
        compression_fallback_to_truncation: Drop the oldest context if no summary can be made.
        compression_tool_enabled: Let the agent compress by itself.
        max_image_num: Images that are kept.
    """

    trigger_ratio: float | None = None
    reserve_ratio: float | None = None
    context_buffer_ratio: float | None = None
    compression_prompt: str | None = None
    summary_template: str | None = None
    summary_schema: dict[str, Any] | None = None
    tool_result_limit: int | None = None
    compression_fallback_to_truncation: bool | None = None
    compression_tool_enabled: bool | None = None
    max_image_num: int | None = None


class AgentScopeReactConfig(NativeBody):
    """How an agent alternates between thinking and tools.

    Attributes:
        max_iters: Model calls in one turn.
        structured_output_grace_iters: Further ones that a structured answer may take.
        stop_on_reject: End the turn when a tool call is denied.
        interruption_message: What the agent says when it is cancelled.
        interruption_raise_cancelled_error: Let the cancellation through, in the service, after it was dealt with.
    """

    max_iters: int | None = None
    structured_output_grace_iters: int | None = None
    stop_on_reject: bool | None = None
    interruption_message: str | None = None
    interruption_raise_cancelled_error: bool | None = None


class AgentScopeInviteConfig(NativeBody):
    """Whether other agents may ask this one into their team.

    Attributes:
        invitable: They may. Needs a description.
        invite_description: What the agent is good for, told to the one that asks.
    """

    invitable: bool | None = None
    invite_description: str | None = None


class AgentScopeChatConfig(NativeBody):
    """Settings of an agent's conversations. What is left out is the backend's default."""

    context_config: AgentScopeContextConfig | None = None
    react_config: AgentScopeReactConfig | None = None
    invite_config: AgentScopeInviteConfig | None = None


class AgentScopeNewAgent(NativeBody):
    """Fields of `POST /agent/` that only AgentScope has.

    Backend: `POST /agent/` of `/openapi.json`, server 2.0.10 (read 2026-11)
    """

    chat_config: AgentScopeChatConfig | None = None
