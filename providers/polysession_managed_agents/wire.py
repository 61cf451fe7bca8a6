"""The JSON of the family, in its own words: the parts of it that are read.

Each struct reads what both members send, and all of Qoder's generations: a comment says where a field is one's own.

Backend: https://platform.claude.com/docs/en/api/beta/sessions, https://docs.qoder.com/cloud-agents/api/sessions/schemas,
https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for Qoder in June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class WireObject(msgspec.Struct):
    """Any JSON object."""


class WireAgentSnapshot(msgspec.Struct):
    """The agent as it was when the session was created."""

    id: str | None = None
    model: dict[str, Any] | str | None = None  # Qoder, May 2026: the model's id alone


class WireSession(msgspec.Struct):
    """A session. Each member adds its usage."""

    id: str
    agent: WireAgentSnapshot | str | None = None  # Qoder, May 2026: in some answers its id alone
    environment_id: str | None = None
    title: str | None = None
    status: str | None = None
    metadata: dict[str, Any] | None = None
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
    last_id: str | None = None  # Qoder, before August 2026: the list continues after it
    has_more: bool | None = None  # Qoder


class WireDeleted(msgspec.Struct):
    """The answer to a deletion."""

    id: str


class WireEvent(msgspec.Struct):
    """The fields of every event."""

    type: str | None = None  # Qoder, May 2026: only in the name of the frame
    id: str | None = None  # Qoder, May 2026: only in the id of the frame
    turn_id: str | None = None  # Qoder, May 2026
    processed_at: datetime | None = None
    created_at: datetime | None = None  # Qoder, May 2026: `processed_at`


class WireMessage(WireEvent):
    """A message."""

    content: list[dict[str, Any] | str] | str | None = None  # Qoder, May 2026: text alone
    message_id: str | None = None  # Qoder, June 2026: the id that its previews name


class WireThinking(WireEvent):
    """A thought."""

    content: list[dict[str, Any] | str] | str | None = None  # Qoder, May 2026: text alone
    thinking: str | None = None


class WireToolUse(WireEvent):
    """A tool call."""

    name: str | None = None
    input: dict[str, Any] | str | None = None  # Qoder: in some events the JSON text of the object
    evaluated_permission: str | None = None
    session_thread_id: str | None = None


class WireToolResult(WireEvent):
    """The result of a tool call. Which key names the call depends on the kind of tool."""

    tool_use_id: str | None = None
    mcp_tool_use_id: str | None = None
    custom_tool_use_id: str | None = None
    content: list[dict[str, Any] | str] | str | None = None
    output: Any = None  # Qoder, May 2026: `content`
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

    stop_reason: WireStopReason | str | None = None  # Qoder, May 2026: the reason's type alone


class WireReportedError(msgspec.Struct):
    """A failure that a session reports."""

    type: str | None = None
    message: str | None = None


class WireErrorEvent(WireEvent):
    """A failure in a session."""

    error: WireReportedError | str | None = None  # Qoder, May 2026: the message alone
    code: str | int | None = None  # Qoder, May 2026: `error.type`


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
    text: str | None = None  # Qoder, June 2026: outside `content`
    thinking: str | None = None  # Qoder, June 2026


class WirePreviewDelta(WireEvent):
    """More of an event that is being written."""

    event_id: str | None = None
    message_id: str | None = None  # Qoder, June 2026: `event_id`
    delta: WireDelta | None = None


class WireSent(msgspec.Struct):
    """The answer to events that were sent: the events, or from Qoder in May 2026 the turn that they start."""

    data: list[WireEvent] | None = None
    turn_id: str | None = None  # Qoder, May 2026
    created_at: datetime | None = None  # Qoder, May 2026
