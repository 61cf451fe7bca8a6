"""The typed native bodies: what only Everruns can be asked for, in its own words.

What only newer servers know is marked so: an older one ignores a name that it does not know, without a word.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer

from polysession.provider_api import NativeBody, UtcDatetime


class EverrunsCapability(NativeBody):
    """An ability of an agent, and its configuration."""

    ref: str
    config: Any = None


class EverrunsClientTool(NativeBody):
    """A tool that the client runs, described for the model. Its name must not begin with `mcp_`.

    It is the only kind that can be given: a server drops every other kind without a word.

    Attributes:
        type: Always `client_side`.
        parameters: JSON Schema of its arguments.
        display_name: Name for people.
        category: Group that tool search files it under.
        deferrable: Whether tool search may hold its schema back.
        hints: How it behaves, such as whether it only reads.
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
        """Mark `type` as given, because only what was given is sent."""
        self.model_fields_set.add("type")


class EverrunsInitialFile(NativeBody):
    """A file that is there from the start; `path` is absolute within the workspace."""

    path: str
    content: str
    encoding: Literal["text", "base64"] | None = None
    is_readonly: bool | None = None


class EverrunsNetworkAccess(NativeBody):
    """Patterns of hosts that may be reached. `blocked` wins; an empty `allowed` allows all."""

    allowed: list[str] | None = None
    blocked: list[str] | None = None


class _Definition(NativeBody):
    """Fields of one session, and of an agent for all of its sessions."""

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
        harness_id: What the session runs on; without one the agent's, else the organization's.
        harness_name: The same by name.
        tools: Tools that the client runs, besides the agent's.
        initial_files: Files to begin with, besides the agent's.
        mcp_servers: Remote MCP servers by name; `mcpServers` on the wire.
        network_access: Hosts that may be reached, within what the agent allows.
        max_iterations: Model calls per turn, 0 or more.
        parallel_tool_calls: Whether the model may call several tools at once; None leaves it to the model's provider.
        agent_name: In place of the common `agent`, to find it by name.
        locale: Language as a BCP 47 tag, such as `uk-UA`.
        system_prompt: Instructions that precede the agent's.
        hints: What this client can handle, the default for every turn.
        agent_identity_id: Identity for unattended work.
        source: Newer servers only: where the session comes from.
        goal: Newer servers only: what it is to achieve.
        sandbox: Newer servers only: `{"use": name}`, or a whole template.
        virtual_user_id: Newer servers only, in place of `agent_identity_id`.

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

    None clears `agent_identity_id` and `virtual_user_id`. A server takes null for `locale` and `goal` as "keep", so
    None for them is refused.

    Attributes:
        locale: Language as a BCP 47 tag. Servers of February 2026 do not know it.
        agent_identity_id: Identity for unattended work. Servers of February 2026 do not know it.
        goal: Newer servers only: what the session is to achieve.
        virtual_user_id: Newer servers only, in place of `agent_identity_id`.

    Backend: https://docs.everruns.com, PATCH /v1/sessions/{session_id}; newer fields:
    https://github.com/everruns/everruns (read 2026-11)
    """

    locale: str | None = None
    agent_identity_id: str | None = None
    goal: str | None = None
    virtual_user_id: str | None = None


class EverrunsReasoning(NativeBody):
    """How much the model reasons.

    Attributes:
        effort: `low`, `medium` or `high`; newer servers also `none`, `minimal` and `xhigh`.
    """

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None


class EverrunsControls(NativeBody):
    """Settings of one turn.

    Attributes:
        model_id: Model of this turn, in place of the session's.
        reasoning: How much the model reasons.
        locale: Language as a BCP 47 tag.
        hints: Abilities of this client, merged over the session's.
        error_disclosure: How much an error says; it can only be narrowed.
        speed: Newer servers only.
        verbosity: Newer servers only: length of the answers.
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
        metadata: Keys and values that are kept with the message.
        tags: Labels of the event.
        external_actor: The person that a caller sends it for: `actor_id`, `source`, `actor_name`, `metadata`.
        addressed_participant_id: The participant that is to answer (`part_...`).
        client_message_id: Newer servers only: a message with an id that the session has is not stored again. Older
            ones ignore it.

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
    """Filters of `GET /v1/sessions` that only newer servers have. Older ones ignore them, and list every session.

    Attributes:
        source: Keep sessions from any of these.
        status: Keep sessions with any of these activities, which are not the words of a session's `status`.
        mine: Keep those of the caller.
        include_archived: List archived sessions too.
        archived_only: List archived sessions only.
        created_after: Earliest time of creation, itself included.
        created_before: Time of creation to stop before.
        order: What the newest comes first by; `created_at` unless given.
        side_chats_only: Leave out the permanent chat.

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
    """Fields of an agent that have no common form."""

    display_name: str | None = None
    tags: list[str] | None = None
    capabilities: list[EverrunsCapability] | None = None


class EverrunsNewAgent(_AgentParts):
    """Fields of `POST /v1/agents` that only Everruns has.

    Attributes:
        harness_id: What its sessions run on; without one the organization's `generic` harness.
        harness_name: The same by name.
        tools: Tools that the client runs.
        initial_files: Files that each session begins with.
        mcp_servers: Remote MCP servers by name; `mcpServers` on the wire.
        network_access: Hosts that its sessions may reach.
        max_iterations: Model calls per turn, 0 or more.
        parallel_tool_calls: Whether the model may call several tools at once; None leaves it to the model's provider.
        id: Id of the caller's choice, `agent_` and 32 hexadecimal digits. An agent that has it is overwritten.
        display_name: Name for people.
        tags: Labels.
        capabilities: Its abilities.

    Backend: https://github.com/everruns/sdk, openapi/openapi.json, CreateAgentRequest (read 2026-11)
    """

    id: str | None = None


class EverrunsAgentChanges(_AgentParts):
    """Fields of `PATCH /v1/agents/{agent_id}` that only Everruns has. Each replaces the whole field.

    None of them can be cleared: the server takes null as no change.

    Attributes:
        harness_id: What its new sessions run on.
        harness_name: The same by name.
        tools: Tools that the client runs.
        initial_files: Files that each new session begins with.
        mcp_servers: Remote MCP servers by name; `mcpServers` on the wire.
        network_access: Hosts that its sessions may reach; `{}` removes all limits.
        max_iterations: Model calls per turn, 0 or more.
        parallel_tool_calls: Whether the model may call several tools at once.
        display_name: Name for people.
        tags: Labels.
        capabilities: Its abilities.
        status: `active` restores an archived agent.

    Backend: https://github.com/everruns/sdk, openapi/openapi.json, UpdateAgentRequest (read 2026-11)
    """

    status: Literal["active", "archived"] | None = None
