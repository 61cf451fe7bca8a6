"""Typed native bodies: the fields that only Everruns has, with its own names.

Fields that only newer servers have are marked. Older servers ignore an unknown field without an error.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer

from polysession.provider_api import NativeBody, UtcDatetime


class EverrunsCapability(NativeBody):
    """A capability of an agent, and its configuration."""

    ref: str
    config: Any = None


class EverrunsClientTool(NativeBody):
    """A tool that the client runs. Its name must not begin with `mcp_`.

    This is the only kind of tool that a client can pass: a server drops all other kinds without an error.

    Attributes:
        type: Always `client_side`.
        name: The name for the model.
        description: The description for the model.
        parameters: JSON Schema of the arguments.
        display_name: The name for users.
        category: The group of the tool in tool search.
        deferrable: Whether tool search may leave out the schema until the model asks for it.
        hints: Properties of the tool, such as whether it only reads.
    """

    type: Literal["client_side"] = "client_side"
    name: str
    description: str
    parameters: dict[str, Any]
    display_name: str | None = None
    category: str | None = None
    deferrable: Literal["never", "automatic", "always"] | None = None
    hints: dict[str, Any] | None = None

    def model_post_init(self, _context: Any, /) -> None:
        """Mark `type` as set, so that it is sent."""
        self.model_fields_set.add("type")


class EverrunsInitialFile(NativeBody):
    """A file that the workspace has from the start. `path` is absolute within the workspace."""

    path: str
    content: str
    encoding: Literal["text", "base64"] | None = None
    is_readonly: bool | None = None


class EverrunsNetworkAccess(NativeBody):
    """Patterns of hosts that a session may reach.

    `blocked` takes precedence; an empty `allowed` allows all hosts.
    """

    allowed: list[str] | None = None
    blocked: list[str] | None = None


class _Definition(NativeBody):
    """Fields that a session and an agent have in common."""

    harness_id: str | None = None
    harness_name: str | None = None
    tools: list[EverrunsClientTool] | None = None
    initial_files: list[EverrunsInitialFile] | None = None
    mcp_servers: dict[str, dict[str, Any]] | None = Field(
        default=None, validation_alias="mcpServers", serialization_alias="mcpServers", repr=False
    )
    network_access: EverrunsNetworkAccess | None = None
    max_iterations: Annotated[int, Field(ge=0)] | None = None
    parallel_tool_calls: bool | None = None


class EverrunsNewSession(_Definition):
    """Fields of `POST /v1/sessions` that only Everruns has.

    Attributes:
        harness_id: Id of the harness that the session runs on; None means that of the agent, or else that of the
            organization.
        harness_name: Name of the harness, instead of `harness_id`.
        tools: Tools that the client runs, in addition to the agent's tools.
        initial_files: Files that the workspace has from the start, in addition to the agent's files.
        mcp_servers: Remote MCP servers by name; `mcpServers` on the wire.
        network_access: Hosts that the session may reach, within the limits of the agent.
        max_iterations: Maximum number of model calls per turn, 0 or more.
        parallel_tool_calls: Whether the model may call several tools at once; None means the default of the model's
            provider.
        agent_name: Name of the agent, instead of the common `agent`.
        locale: Language as a BCP 47 tag, such as `uk-UA`.
        system_prompt: Instructions that are placed before those of the agent.
        hints: Abilities of this client, used for every turn by default.
        agent_identity_id: Identity for unattended work.
        source: Newer servers only: origin of the session.
        goal: Newer servers only: goal of the session.
        sandbox: Newer servers only: `{"use": name}`, or a complete template.
        virtual_user_id: Newer servers only: replaces `agent_identity_id`.

    Backend: https://github.com/everruns/sdk, openapi/openapi.json, CreateSessionRequest; newer fields:
    https://github.com/everruns/everruns (read 2026-11)
    """

    agent_name: str | None = None
    locale: str | None = None
    system_prompt: str | None = None
    hints: dict[str, Any] | None = None
    agent_identity_id: str | None = None
    source: Literal["chat", "api"] | None = None
    goal: str | None = None
    sandbox: dict[str, Any] | None = None
    virtual_user_id: str | None = None


class EverrunsSessionChanges(NativeBody):
    """Fields of `PATCH /v1/sessions/{session_id}` that only Everruns has.

    None clears `agent_identity_id` and `virtual_user_id`. The server ignores null for `locale` and `goal`, so the
    provider refuses None for them.

    Attributes:
        locale: Language as a BCP 47 tag. Servers of February 2026 do not have it.
        agent_identity_id: Identity for unattended work. Servers of February 2026 do not have it.
        goal: Newer servers only: goal of the session.
        virtual_user_id: Newer servers only: replaces `agent_identity_id`.

    Backend: https://docs.everruns.com, PATCH /v1/sessions/{session_id}; newer fields:
    https://github.com/everruns/everruns (read 2026-11)
    """

    locale: str | None = None
    agent_identity_id: str | None = None
    goal: str | None = None
    virtual_user_id: str | None = None


class EverrunsReasoning(NativeBody):
    """Reasoning settings of the model.

    Attributes:
        effort: `low`, `medium` or `high`; newer servers also `none`, `minimal` and `xhigh`.
    """

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None


class EverrunsControls(NativeBody):
    """Settings of one turn.

    Attributes:
        model_id: Model of this turn, instead of the session's model.
        reasoning: Reasoning settings of the model.
        locale: Language as a BCP 47 tag.
        hints: Abilities of this client, which override those of the session key by key.
        error_disclosure: Level of detail in error messages. It can only be lower than that of the session.
        speed: Newer servers only: service level of the model calls.
        verbosity: Newer servers only: length of the model's output.
    """

    model_id: str | None = None
    reasoning: EverrunsReasoning | None = None
    locale: str | None = None
    hints: dict[str, Any] | None = None
    error_disclosure: Literal["generic", "standard", "detailed"] | None = None
    speed: Literal["flex", "default", "priority"] | None = None
    verbosity: str | None = None


class EverrunsMessage(NativeBody):
    """Fields of `POST /v1/sessions/{session_id}/messages` that only Everruns has.

    Attributes:
        controls: Settings of the turn that the message starts.
        metadata: Keys and values that are stored with the message.
        tags: Labels of the event.
        external_actor: The user on whose behalf the message is sent: `actor_id`, `source`, `actor_name`, `metadata`.
        addressed_participant_id: The participant that should answer (`part_...`).
        client_message_id: Newer servers only: id of the message, chosen by the client. The server does not store a
            second message with the same id. Older servers ignore it.

    Backend: https://github.com/everruns/sdk, openapi/openapi.json, CreateMessageRequest; newer fields:
    https://github.com/everruns/everruns (read 2026-11)
    """

    controls: EverrunsControls | None = None
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    external_actor: dict[str, Any] | None = None
    addressed_participant_id: str | None = None
    client_message_id: str | None = None


SessionSource = Literal[
    "chat",
    "api",
    "slack",
    "ag_ui",
    "fcp",
    "schedule",
    "webhook",
    "a2a",
    "eval",
    "subagent",
    "playground",
    "unknown",
]
SessionActivity = Literal["running", "paused", "failed", "completed", "idle"]


class EverrunsSessionQuery(NativeBody):
    """Filters of `GET /v1/sessions` that only newer servers have.

    Older servers ignore them and list every session.

    Attributes:
        source: Only sessions with one of these origins.
        status: Only sessions with one of these activities. Their values differ from those of a session's `status`.
        mine: Only sessions of the caller.
        include_archived: Also archived sessions.
        archived_only: Only archived sessions.
        created_after: Only sessions created at or after this time.
        created_before: Only sessions created before this time.
        order: The time to sort by, newest first; `created_at` by default.
        side_chats_only: Without the permanent chat.

    Backend: https://github.com/everruns/everruns (read 2026-11)
    """

    source: list[SessionSource] | None = None
    status: list[SessionActivity] | None = None
    mine: bool | None = None
    include_archived: bool | None = None
    archived_only: bool | None = None
    created_after: UtcDatetime | None = None
    created_before: UtcDatetime | None = None
    order: Literal["created_at", "last_activity"] | None = None
    side_chats_only: bool | None = None

    @field_serializer("source", "status")
    def _comma_separated(self, values: list[str] | None) -> str | None:
        return ",".join(values) if values else None


class _AgentParts(_Definition):
    """Fields that a new agent and an update of an agent have in common."""

    display_name: str | None = None
    tags: list[str] | None = None
    capabilities: list[EverrunsCapability] | None = None


class EverrunsNewAgent(_AgentParts):
    """Fields of `POST /v1/agents` that only Everruns has.

    Attributes:
        harness_id: Id of the harness that the agent's sessions run on; None means the organization's `generic`
            harness.
        harness_name: Name of the harness, instead of `harness_id`.
        tools: Tools that the client runs.
        initial_files: Files that the workspace of each session has from the start.
        mcp_servers: Remote MCP servers by name; `mcpServers` on the wire.
        network_access: Hosts that the agent's sessions may reach.
        max_iterations: Maximum number of model calls per turn, 0 or more.
        parallel_tool_calls: Whether the model may call several tools at once; None means the default of the model's
            provider.
        id: Id chosen by the caller: `agent_` and 32 hexadecimal digits. An existing agent with this id is overwritten.
        display_name: The name for users.
        tags: Labels of the agent.
        capabilities: Capabilities of the agent.

    Backend: https://github.com/everruns/sdk, openapi/openapi.json, CreateAgentRequest (read 2026-11)
    """

    id: str | None = None


class EverrunsAgentChanges(_AgentParts):
    """Fields of `PATCH /v1/agents/{agent_id}` that only Everruns has.

    Each replaces the whole field. None of the fields can be cleared: the server ignores null.

    Attributes:
        harness_id: Id of the harness that new sessions of the agent run on.
        harness_name: Name of the harness, instead of `harness_id`.
        tools: Tools that the client runs.
        initial_files: Files that the workspace of each new session has from the start.
        mcp_servers: Remote MCP servers by name; `mcpServers` on the wire.
        network_access: Hosts that the agent's sessions may reach; `{}` removes all limits.
        max_iterations: Maximum number of model calls per turn, 0 or more.
        parallel_tool_calls: Whether the model may call several tools at once.
        display_name: The name for users.
        tags: Labels of the agent.
        capabilities: Capabilities of the agent.
        status: `active` restores an archived agent.

    Backend: https://github.com/everruns/sdk, openapi/openapi.json, UpdateAgentRequest (read 2026-11)
    """

    status: Literal["active", "archived"] | None = None
