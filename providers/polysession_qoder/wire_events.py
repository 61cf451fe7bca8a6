"""The events of Qoder's streams and lists, in its own words.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasPath, Field

from polysession.provider_api import UtcDatetime
from polysession_qoder.wire import Wire, WireUsage


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
