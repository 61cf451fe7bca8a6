"""Everruns' JSON, in its own words: what we read of it.

Two generations are read: of February 2026, and the current one. Servers change faster than the published description;
what only newer ones know is marked so. An older server ignores a name that it does not know, without a word.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from polysession.provider_api import UtcDatetime


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
