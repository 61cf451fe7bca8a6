"""The typed native bodies: what only AgentScope can be asked for, in its own words.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and the OpenAPI document that every server
offers at `/openapi.json` (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from polysession.provider_api import NativeBody


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


class AgentScopeChatModelConfig(AgentScopeModelConfig):
    """A model that chats.

    Attributes:
        type: Kind of credential, such as `"openai_credential"`.
        credential_id: Id of the credential.
        model: The model's name.
        parameters: Settings of the model. Only a turn checks them.
        model_class: The client that the service reaches the model by, such as `"openai_response"`; the service chooses
            one if it is empty. 2.0.11 and newer.
    """

    model_class: str = ""


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

    Backend: `POST /sessions/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    fallback_chat_model_config: AgentScopeChatModelConfig | None = None
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
        invite_description: What the agent is good for, as the asking agent sees it.
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

    Backend: `POST /agent/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    chat_config: AgentScopeChatConfig | None = None


class AgentScopeAgentChanges(NativeBody):
    """Fields of `PATCH /agent/{id}` that only AgentScope has.

    Attributes:
        chat_config: The parts of the settings that are given are replaced; the others stay.

    Backend: `PATCH /agent/{agent_id}` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    chat_config: AgentScopeChatConfig


class AgentScopeMessage(NativeBody):
    """Fields of a message that only AgentScope has.

    Attributes:
        name: Name of the user, as the agent sees it; `user` if it is not given.
        metadata: Any JSON object that is stored with the message.

    Backend: `POST /chat/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    name: str | None = None
    metadata: dict[str, Any] | None = None


class AgentScopeRule(NativeBody):
    """A rule that allows tool calls without approval, for the rest of the session.

    Attributes:
        tool_name: The tool.
        rule_content: Pattern of the calls, in the words of the tool, such as `touch a.txt:*`; None for all calls.
        behavior: What to do with them, such as `allow`.
        source: Where the rule comes from, in the caller's words.
    """

    tool_name: str
    rule_content: str | None = None
    behavior: str = "allow"
    source: str = "user"

    def to_body(self) -> dict[str, Any]:
        """All fields: the backend has no defaults for them."""
        return self.model_dump(mode="json")


class AgentScopeAnswer(NativeBody):
    """Fields of an answer that only AgentScope has: they apply to each `Approve` in it.

    Attributes:
        allow_suggested: Allow calls like these without approval from now on, by the rules that the service suggests
            for each.
        rules: Further rules to add.

    Backend: `POST /chat/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """

    allow_suggested: bool = False
    rules: list[AgentScopeRule] | None = None
