"""Qoder's JSON, in its own words: the parts of it that are read.

Each struct reads every generation: those of May 2026, of June and July 2026, and the current one.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas,
https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec


class WireObject(msgspec.Struct):
    """Any JSON object."""


class WireAgentSnapshot(msgspec.Struct):
    """The agent as it was when the session was created."""

    id: str | None = None
    model: dict[str, Any] | str | None = None  # May 2026: the model's id alone


class WireUsage(msgspec.Struct):
    """Consumption."""

    total_credits: Decimal | None = None
    model_credits: Decimal | None = None
    sandbox_runtime_credits: Decimal | None = None
    input_tokens: int | None = None  # May 2026: tokens in place of credits
    output_tokens: int | None = None  # May 2026
    cache_read_input_tokens: int | None = None  # May 2026
    cache_creation: dict[str, int | None] | None = None  # May 2026


class WireSession(msgspec.Struct):
    """A session."""

    id: str
    agent: WireAgentSnapshot | str | None = None  # May 2026: in some answers its id alone
    agent_id: str | None = None  # May 2026: beside `agent`
    environment_id: str | None = None
    title: str | None = None
    status: str | None = None
    turn_status: str | None = None  # May 2026: the state of the turn while `status` stays idle
    metadata: dict[str, Any] | None = None
    usage: WireUsage | None = None
    deployment_id: str | None = None
    archived_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WireAgent(msgspec.Struct):
    """An agent."""

    id: str
    name: str | None = None
    description: str | None = None
    model: dict[str, Any] | str | None = None
    system: str | None = None
    instructions: str | None = None  # May 2026: `system`
    version: int | str | None = None
    archived_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WireEnvironment(msgspec.Struct):
    """An environment."""

    id: str
    name: str | None = None
    description: str | None = None
    metadata: dict[str, Any] | None = None
    archived_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WireModel(msgspec.Struct):
    """A model that agents can name."""

    id: str
    display_name: str | None = None


class WirePage(msgspec.Struct):
    """A page of a list."""

    data: list[msgspec.Raw] | None
    next_page: str | None = None
    last_id: str | None = None  # before August 2026: the list continues after it
    has_more: bool | None = None


class WireError(msgspec.Struct):
    """The inner part of an error body."""

    type: str | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class WireErrorBody(msgspec.Struct):
    """An error body."""

    error: WireError | str | None = None
    request_id: str | None = None  # absent before July 2026


class WireDeleted(msgspec.Struct):
    """The answer to a deletion."""

    id: str


class WireEvent(msgspec.Struct):
    """The fields of every event."""

    type: str | None = None  # May 2026: only in the name of the frame
    id: str | None = None  # May 2026: only in the id of the frame
    turn_id: str | None = None  # May 2026
    processed_at: datetime | None = None
    created_at: datetime | None = None  # May 2026: `processed_at`


class WireMessage(WireEvent):
    """A message."""

    content: list[dict[str, Any] | str] | str | None = None  # May 2026: text alone
    message_id: str | None = None  # June 2026: the id that its previews name


class WireThinking(WireEvent):
    """A thought."""

    content: list[dict[str, Any] | str] | str | None = None  # May 2026: text alone
    thinking: str | None = None


class WireToolUse(WireEvent):
    """A tool call."""

    name: str | None = None
    input: dict[str, Any] | str | None = None  # in some events the JSON text of the object
    session_thread_id: str | None = None


class WireToolResult(WireEvent):
    """The result of a tool call. Which key names the call depends on the kind of tool."""

    tool_use_id: str | None = None
    mcp_tool_use_id: str | None = None
    custom_tool_use_id: str | None = None
    content: list[dict[str, Any] | str] | str | None = None
    output: Any = None  # May 2026: `content`
    is_error: bool | None = None


class WireConfirmation(WireEvent):
    """The answer to a tool use, as the backend stores it."""

    tool_use_id: str | None = None
    custom_tool_use_id: str | None = None


class WireStopReason(msgspec.Struct):
    """Why a session became idle."""

    type: str | None = None
    event_ids: list[str] | None = None


class WireIdle(WireEvent):
    """The end of a turn."""

    stop_reason: WireStopReason | str | None = None  # May 2026: the reason's type alone


class WireReportedError(msgspec.Struct):
    """A failure that a session reports."""

    type: str | None = None
    message: str | None = None


class WireErrorEvent(WireEvent):
    """A failure in a session."""

    error: WireReportedError | str | None = None  # May 2026: the message alone
    code: str | int | None = None  # May 2026: `error.type`


class WirePreviewed(msgspec.Struct):
    """The event that a preview announces."""

    id: str | None = None
    type: str | None = None


class WirePreviewStart(WireEvent):
    """An event is being written; the whole event follows under its id."""

    event: WirePreviewed | None = None


class WireDeltaContent(msgspec.Struct):
    """A piece of a block."""

    text: str | None = None


class WireDelta(msgspec.Struct):
    """A piece of an event that is being written."""

    index: int | None = None
    content: WireDeltaContent | None = None
    text: str | None = None  # June 2026: outside `content`
    thinking: str | None = None  # June 2026


class WirePreviewDelta(WireEvent):
    """More of an event that is being written."""

    event_id: str | None = None
    message_id: str | None = None  # June 2026: `event_id`
    delta: WireDelta | None = None


class WireSent(msgspec.Struct):
    """The answer to events that were sent: the events, or in May 2026 the turn that they start."""

    data: list[WireEvent] | None = None
    turn_id: str | None = None  # May 2026
    created_at: datetime | None = None  # May 2026
