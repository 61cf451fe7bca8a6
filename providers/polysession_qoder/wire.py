"""Qoder's JSON, in its own words: what we read of it.

Three generations are read: of May 2026, of June and July 2026, and the current one.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas,
https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasPath, BaseModel, ConfigDict, Field

from polysession.provider_api import UtcDatetime


class Wire(BaseModel):
    """Base of what we read. Fields that are not modelled stay in the record's `raw`."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class WireModel(Wire):
    """A model inside a session's agent. Keys besides `id` are its settings."""

    model_config = ConfigDict(extra="allow")

    id: str


class WireSessionAgent(Wire):
    """The agent as it was when the session was created."""

    id: str | None = None
    model: WireModel | str | None = None


class WireUsage(Wire):
    """Credits in the current generation, tokens in the one of May 2026."""

    total_credits: float | None = None
    model_credits: float | None = None
    sandbox_runtime_credits: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: dict[str, int | None] | None = None


class WireSession(Wire):
    """A session of any generation."""

    id: str
    agent: WireSessionAgent | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    title: str | None = None
    status: str | None = None
    turn_status: str | None = None
    metadata: dict[str, str] | None = None
    usage: WireUsage | None = None
    archived_at: UtcDatetime | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WireAgent(Wire):
    """An agent."""

    id: str
    name: str
    description: str | None = None
    model: WireModel | str | None = None
    system: str | None = None
    instructions: str | None = None
    version: int | str | None = None
    archived_at: UtcDatetime | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None


class WirePageEnd(Wire):
    """Where a list goes on. Older generations have no `next_page`."""

    next_page: str | None = None
    last_id: str | None = None
    has_more: bool | None = None


class WirePage(WirePageEnd):
    """A page of a list."""

    data: list[dict[str, Any]]


class WireSessions(WirePageEnd):
    """A page of sessions."""

    data: list[WireSession]


class WireError(Wire):
    """The inner part of an error body."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


class WireErrorBody(Wire):
    """An error body."""

    request_id: str | None = None
    error: WireError


class WireDeleted(Wire):
    """What is left of a session: the answer to a deletion."""

    id: str


class WireStopReason(Wire):
    """Why a session went idle."""

    type: str | None = None
    event_ids: list[str] | None = None


class WireEventError(Wire):
    """What went wrong in a session."""

    type: str | None = None
    message: str | None = None


class WireEventHead(Wire):
    """What every event has, whatever its type. Previews have no id of their own."""

    type: str
    id: str | None = None
    turn_id: str | None = None
    processed_at: UtcDatetime | None = None
    created_at: UtcDatetime | None = None


WireContent = list[dict[str, Any] | str] | str
"""Blocks; in May 2026 also plain text."""


class WireMessageEvent(WireEventHead):
    """A message."""

    content: WireContent | None = None
    message_id: str | None = None


class WireThinkingEvent(WireEventHead):
    """A thought."""

    content: WireContent | None = None
    thinking: str | None = None


class WireToolUse(WireEventHead):
    """A tool call."""

    name: str | None = None
    input: dict[str, Any] | None = None


class WireToolResult(WireEventHead):
    """What a tool answered. Which key names the call depends on whose tool it is."""

    tool_use_id: str | None = None
    mcp_tool_use_id: str | None = None
    custom_tool_use_id: str | None = None
    content: WireContent | None = None
    output: Any = None
    is_error: bool | None = None


class WireIdle(WireEventHead):
    """The end of a turn."""

    stop_reason: WireStopReason | str | None = None


class WireErrorEvent(WireEventHead):
    """Something went wrong."""

    error: WireEventError | str | None = None
    code: str | None = None


class WireUsageEvent(WireEventHead, WireUsage):
    """What the session has consumed."""


class WirePreviewed(Wire):
    """The event that a preview announces."""

    id: str
    type: str


class WirePreviewStart(WireEventHead):
    """An event is being written, and will follow whole."""

    event: WirePreviewed | None = None


class WirePreviewDelta(WireEventHead):
    """More of an event that is being written: a piece of the text of one of its blocks."""

    event_id: str | None = None
    index: Annotated[int | None, Field(validation_alias=AliasPath("delta", "index"))] = None
    text: Annotated[str | None, Field(validation_alias=AliasPath("delta", "content", "text"))] = None


class WireDelta(Wire):
    """A piece of a block of a message, as June and July 2026 had it."""

    text: str | None = None
    thinking: str | None = None


class WireStoredDelta(WireEventHead):
    """More of a message, as June and July 2026 had it."""

    message_id: str | None = None
    delta: WireDelta | None = None


class WireSent(Wire):
    """The answer to events that were sent: the events with their ids, or in May 2026 the turn that they start."""

    data: list[WireEventHead] | None = None
    turn_id: str | None = None
