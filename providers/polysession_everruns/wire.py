"""Everruns' JSON, in its own words: what we read of it, and the typed native bodies.

Two generations are read: of February 2026, and the current one. Servers change faster than the published description;
what only newer ones know is marked so. An older server ignores a name that it does not know, without a word.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from polysession.provider_api import NativeBody, UtcDatetime


class Wire(BaseModel):
    """Base of what we read. Fields that are not modelled stay in the record's `raw`."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class WireCapability(Wire):
    """An ability that a session has on top of its agent's."""

    ref: str
    config: Any = None


class WireUsage(Wire):
    """Tokens so far, in buckets that do not overlap. The older generation states no costs."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    effective_cost_usd: float | None = None
    actual_cost_usd: float | None = None
    estimated_cost_usd: float | None = None


class WireSession(Wire):
    """A session of any generation."""

    id: str
    organization_id: str | None = None
    agent_id: str | None = None
    workspace_id: str | None = None
    owner_principal_id: str | None = None
    status: str | None = None
    title: str | None = None
    tags: list[str] | None = None
    capabilities: list[WireCapability] | None = None
    model_id: str | None = None
    preview: str | None = None
    usage: WireUsage | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    finished_at: UtcDatetime | None = None


class WireAgent(Wire):
    """An agent."""

    id: str
    name: str
    description: str | None = None
    default_model_id: str | None = None
    system_prompt: str | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    archived_at: UtcDatetime | None = None


class WirePageEnd(Wire):
    """Where a list goes on. The older generation has no `next_url`."""

    total: int | None = None
    limit: int | None = None
    next_url: str | None = None


class WireAgents(WirePageEnd):
    """A page of agents."""

    data: list[dict[str, Any]]


class WireSessions(WirePageEnd):
    """A page of sessions."""

    data: list[WireSession]


class WireList(Wire):
    """A list that comes whole: messages and events."""

    data: list[dict[str, Any]]


class WireMessage(Wire):
    """A message: of the list, of the answer to a new one, or inside an event.

    Attributes:
        thinking: What the model thought before; not in the list.
        delivery: Newer servers only, in the answer to a new message: `started`, `steered`, `resumed` or `duplicate`.
    """

    id: str
    role: str | None = None
    content: list[dict[str, Any]] | None = None
    thinking: str | None = None
    created_at: UtcDatetime | None = None
    delivery: str | None = None


class WireContext(Wire):
    """What an event belongs to."""

    turn_id: str | None = None
    input_message_id: str | None = None


class WireEvent(Wire):
    """The envelope of an event; `data` depends on `type`. `raw` is the whole of it as received, perhaps still text."""

    id: str | None = None
    type: str = ""
    ts: UtcDatetime | None = None
    session_id: str = ""
    sequence: int | None = None
    context: WireContext = Field(default_factory=WireContext)
    data: dict[str, Any] = Field(default_factory=dict)
    raw: dict[str, Any] = Field(default_factory=dict)

    @field_validator("context", "data", mode="before")
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value

    @classmethod
    def of(cls, raw: dict[str, Any], **missing: str) -> Self:
        """Read an envelope; `missing` is what its surroundings say in case it does not.

        Raises:
            pydantic.ValidationError: It is not an event.
        """
        return cls.model_validate({**missing, **raw, "raw": raw})


class WireTurnData(Wire):
    """Data of `turn.*`, `session.*` and `reason.completed`: each has a few of these.

    Attributes:
        termination_reason: Newer servers only: why a turn that is over is over.
        stop_reason: Newer servers only: why the last model call of a turn ended.
    """

    turn_id: str | None = None
    input_message_id: str | None = None
    usage: WireUsage | None = None
    reason: str | None = None
    detail: str | None = None
    error: str | None = None
    error_code: str | None = None
    termination_reason: str | None = None
    stop_reason: str | None = None


class WireTextData(Wire):
    """Data of a message or of thinking in the making. Only newer servers name the message."""

    message_id: str | None = None
    delta: str = ""
    accumulated: str | None = None
    thinking: str | None = None


class WireMessageData(Wire):
    """Data of a whole message, with the tokens of the one model call that made it."""

    message: dict[str, Any]
    usage: WireUsage | None = None


class WireConversationMessage(Wire):
    """Data of a message that an agent sent on purpose; newer servers only."""

    message_id: str
    text: str


class WireToolCall(Wire):
    """A call of a tool."""

    id: str
    name: str = ""
    arguments: Any = None


class WireToolData(Wire):
    """Data of one tool call's events."""

    tool_call: WireToolCall | None = None
    tool_call_id: str = ""
    tool_name: str | None = None
    success: bool = True
    result: Any = None
    error: str | None = None
    delta: str = ""


class WireToolCallsData(Wire):
    """Data of events about several tool calls, each as received."""

    tool_calls: list[dict[str, Any]] | None = None


class WireDisconnecting(Wire):
    """Data of the frame that announces the end of a connection."""

    retry_ms: Annotated[int, Field(ge=0)] = 100


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
    """What can be said of one session, and of an agent for all of its sessions."""

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


class EverrunsNewAgent(_Definition):
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
    display_name: str | None = None
    tags: list[str] | None = None
    capabilities: list[EverrunsCapability] | None = None
