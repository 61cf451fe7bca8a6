"""Structs of the family's JSON, with the backends' own names.

The structs have only the fields that are read.
Each struct reads the JSON of both members and of all Qoder generations. A comment marks fields that only one of them
has.

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
    """A session's copy of its agent, from the time of its creation."""

    id: str | None = None
    model: dict[str, Any] | str | None = None  # Qoder, May 2026: only the model's id


class WireSession(msgspec.Struct):
    """A session. Each member adds a field for the usage."""

    id: str
    agent: WireAgentSnapshot | str | None = None  # Qoder, May 2026: in some responses only the agent's id
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
    """A model that agents can use."""

    id: str
    display_name: str | None = None


class WirePage(msgspec.Struct):
    """A page of a list."""

    data: list[msgspec.Raw] | None
    next_page: str | None = None
    last_id: str | None = None  # Qoder, before August 2026: the next page starts after this id
    has_more: bool | None = None  # Qoder


class WireDeleted(msgspec.Struct):
    """The response to a deletion."""

    id: str


class WireEvent(msgspec.Struct):
    """The fields that every event may have."""

    type: str | None = None  # Qoder, May 2026: only in the frame's `event`
    id: str | None = None  # Qoder, May 2026: only in the frame's `id`
    turn_id: str | None = None  # Qoder, May 2026
    processed_at: datetime | None = None
    created_at: datetime | None = None  # Qoder, May 2026: instead of `processed_at`


class WireMessage(WireEvent):
    """A message."""

    content: list[dict[str, Any] | str] | str | None = None  # Qoder, May 2026: only text
    message_id: str | None = None  # Qoder, June 2026: the id in the previews of this message


class WireThinking(WireEvent):
    """A thought."""

    content: list[dict[str, Any] | str] | str | None = None  # Qoder, May 2026: only text
    thinking: str | None = None


class WireToolUse(WireEvent):
    """A tool call."""

    name: str | None = None
    input: dict[str, Any] | str | None = None  # Qoder: in some events JSON in a string
    evaluated_permission: str | None = None
    session_thread_id: str | None = None


class WireToolResult(WireEvent):
    """The result of a tool call. The key that names the call depends on the kind of tool."""

    tool_use_id: str | None = None
    mcp_tool_use_id: str | None = None
    custom_tool_use_id: str | None = None
    content: list[dict[str, Any] | str] | str | None = None
    output: Any = None  # Qoder, May 2026: instead of `content`
    is_error: bool | None = None


class WireConfirmation(WireEvent):
    """The answer to a tool use, as the backend stores it."""

    tool_use_id: str | None = None
    custom_tool_use_id: str | None = None


class WireStopReason(msgspec.Struct):
    """The reason why a session became idle."""

    type: str | None = None
    event_ids: list[str] | None = None


class WireIdle(WireEvent):
    """The end of a turn."""

    stop_reason: WireStopReason | str | None = None  # Qoder, May 2026: only the type of the reason


class WireReportedError(msgspec.Struct):
    """The details of an error event."""

    type: str | None = None
    message: str | None = None


class WireErrorEvent(WireEvent):
    """An event that reports an error in a session."""

    error: WireReportedError | str | None = None  # Qoder, May 2026: only the message
    code: str | int | None = None  # Qoder, May 2026: instead of `error.type`


class WirePreviewed(msgspec.Struct):
    """The event that a preview announces."""

    id: str | None = None
    type: str | None = None


class WirePreviewStart(WireEvent):
    """The start of a preview: the agent writes an event, which follows later under the same id."""

    event: WirePreviewed | None = None


class WireDeltaContent(msgspec.Struct):
    """The text that a preview adds to a block."""

    text: str | None = None


class WireDelta(msgspec.Struct):
    """The content that a preview adds to an event."""

    index: int | None = None
    content: WireDeltaContent | None = None
    text: str | None = None  # Qoder, June 2026: instead of `content.text`
    thinking: str | None = None  # Qoder, June 2026


class WirePreviewDelta(WireEvent):
    """The continuation of a preview."""

    event_id: str | None = None
    message_id: str | None = None  # Qoder, June 2026: instead of `event_id`
    delta: WireDelta | None = None


class WireSent(msgspec.Struct):
    """The response to sent events: the events, or in Qoder's API of May 2026 their turn."""

    data: list[WireEvent] | None = None
    turn_id: str | None = None  # Qoder, May 2026
    created_at: datetime | None = None  # Qoder, May 2026
