"""Typed native bodies: the fields that only AgentScope has, with its names.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and the OpenAPI document that every server
publishes at `/openapi.json` (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from polysession.provider_api import NativeBody


class AgentScopeModelConfig(NativeBody):
    """A model, and the credential to reach it.

    The backend requires all four fields, also empty `parameters`.

    Attributes:
        type: Kind of credential, such as `"openai_credential"`.
        credential_id: Id of the credential.
        model: The model's name.
        parameters: Settings of the model. The service does not check them before a turn.
    """

    type: str
    credential_id: str
    model: str
    parameters: dict[str, Any]


class AgentScopeChatModelConfig(AgentScopeModelConfig):
    """A chat model.

    Attributes:
        type: Kind of credential, such as `"openai_credential"`.
        credential_id: Id of the credential.
        model: The model's name.
        parameters: Settings of the model. The service does not check them before a turn.
        model_class: Client that the service uses for the model, such as `"openai_response"`. If empty, the service
            chooses one. Server 2.0.11 or later.
    """

    model_class: str = ""


class AgentScopeKnowledgeConfig(NativeBody):
    """The knowledge bases that a session may use.

    Attributes:
        knowledge_base_ids: Ids of the knowledge bases.
        parameters: Settings of the retrieval.
    """

    knowledge_base_ids: list[str] | None = None
    parameters: dict[str, Any] | None = None


class AgentScopeNewSession(NativeBody):
    """Fields of `POST /sessions/` that only AgentScope has.

    Attributes:
        fallback_chat_model_config: Model to use if the first one fails.
        tts_model_config: Model for text to speech.
        realtime_model_config: Model for voice calls. Server 2.0.10 or later.
        knowledge_config: Knowledge bases to use.

    Backend: `POST /sessions/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    fallback_chat_model_config: AgentScopeChatModelConfig | None = None
    tts_model_config: AgentScopeModelConfig | None = None
    realtime_model_config: AgentScopeModelConfig | None = None
    knowledge_config: AgentScopeKnowledgeConfig | None = None


class AgentScopeSessionChanges(AgentScopeNewSession):
    """Fields of `PATCH /sessions/{id}` that only AgentScope has. None clears a field.

    Attributes:
        fallback_chat_model_config: Model to use if the first one fails.
        tts_model_config: Model for text to speech.
        realtime_model_config: Model for voice calls. Server 2.0.10 or later.
        knowledge_config: Knowledge bases to use.
        cwd: Working directory of the tools: absolute, or relative to the workspace. It may lie outside the workspace.
            None: the workspace itself. Server 2.0.6 or later.

    Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session (read 2026-11)
    """

    cwd: str | None = None


class AgentScopeContextConfig(NativeBody):
    """When and how an agent compresses its context.

    Attributes:
        trigger_ratio: Used share of the context that starts a compression, above 0 and at most 0.9.
        reserve_ratio: Share of the context that is kept unchanged, above 0 and below 0.9.
        context_buffer_ratio: Share below `trigger_ratio` in which the agent is warned, 0 to 1.
        compression_prompt: Prompt that asks the model for a summary.
        summary_template: Template of the summary's text.
        summary_schema: JSON Schema of the summary.
        tool_result_limit: Maximum length of a tool's result in tokens; the rest is cut off.
        compression_fallback_to_truncation: Drop the oldest context if the summary fails.
        compression_tool_enabled: Give the agent a tool to compress its context itself.
        max_image_num: Maximum number of images that are kept.
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
        max_iters: Maximum number of model calls in one turn.
        structured_output_grace_iters: Additional model calls allowed for a structured output.
        stop_on_reject: End the turn when a tool call is denied.
        interruption_message: Text of the agent's message when its turn is cancelled.
        interruption_raise_cancelled_error: Raise the cancellation again in the service after handling it.
    """

    max_iters: int | None = None
    structured_output_grace_iters: int | None = None
    stop_on_reject: bool | None = None
    interruption_message: str | None = None
    interruption_raise_cancelled_error: bool | None = None


class AgentScopeInviteConfig(NativeBody):
    """Whether other agents may invite this one into their team.

    Attributes:
        invitable: True allows invitations, and requires a description.
        invite_description: Description of the agent's abilities, shown to the inviting agent.
    """

    invitable: bool | None = None
    invite_description: str | None = None


class AgentScopeChatConfig(NativeBody):
    """Settings of an agent's conversations. The backend's default replaces each part whose value is None."""

    context_config: AgentScopeContextConfig | None = None
    react_config: AgentScopeReactConfig | None = None
    invite_config: AgentScopeInviteConfig | None = None


class AgentScopeNewAgent(NativeBody):
    """Fields of `POST /agent/` that only AgentScope has.

    Backend: `POST /agent/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    chat_config: AgentScopeChatConfig | None = None


class AgentScopeAgentChanges(NativeBody):
    """Fields of `PATCH /agent/{id}` that only AgentScope has.

    Attributes:
        chat_config: Settings to replace, as whole parts; parts that are None do not change.

    Backend: `PATCH /agent/{agent_id}` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    chat_config: AgentScopeChatConfig


class AgentScopeMessage(NativeBody):
    """Fields of a message that only AgentScope has.

    Attributes:
        name: Name of the user, shown to the agent. None: `user`.
        metadata: A JSON object to store with the message.

    Backend: `POST /chat/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    name: str | None = None
    metadata: dict[str, Any] | None = None


class AgentScopeRule(NativeBody):
    """A rule that allows tool calls without approval, for the rest of the session.

    Attributes:
        tool_name: Name of the tool.
        rule_content: Pattern of the calls, in the tool's syntax, such as `touch a.txt:*`. None: all calls.
        behavior: Decision for these calls, such as `allow`.
        source: Origin of the rule; any text.
    """

    tool_name: str
    rule_content: str | None = None
    behavior: str = "allow"
    source: str = "user"

    def to_body(self) -> dict[str, Any]:
        """Return all fields: the backend has no defaults for them."""
        return self.model_dump(mode="json")


class AgentScopeAnswer(NativeBody):
    """Fields of an answer that only AgentScope has. They apply to each `Approve` in it.

    Attributes:
        allow_suggested: Add the rules that the service suggests for each call, so that similar calls need no approval.
        rules: Additional rules.

    Backend: `POST /chat/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    allow_suggested: bool = False
    rules: list[AgentScopeRule] | None = None
