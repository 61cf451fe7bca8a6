"""The messages and events of AgentScope, in its own words.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and the OpenAPI document that every server
offers at `/openapi.json` (read 2026-11)
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from polysession_agentscope.wire import Wire


class WireUsage(Wire):
    """What a message's model calls consumed. 2.0.0 did not count what was cached."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class WireFailure(Wire):
    """Why a reply failed."""

    type: str | None = None
    message: str | None = None


class WireSource(Wire):
    """Where a data block's content is."""

    data: str | None = None
    url: str | None = None
    media_type: str | None = None


class WireBlock(Wire):
    """A block of a message, of any type. A tool's call and its result share one id."""

    type: str
    id: str | None = None
    text: str | None = None
    thinking: str | None = None
    source: WireSource | str | None = None
    name: str | None = None
    input: str | None = None
    output: str | list[dict[str, Any]] | None = None
    state: str | None = None


class WireMessage(Wire):
    """A stored message. The whole reply to one input is a single one; `finished_reason` came after 2.0.0."""

    id: str
    role: str | None = None
    content: str | list[dict[str, Any]] = Field(default_factory=list)
    usage: WireUsage | None = None
    finished_at: str | None = None
    finished_reason: str | None = None
    error: WireFailure | None = None


class WireMessages(Wire):
    """A page of messages. `has_more` came with 2.0.6, and `event_cursor` with 2.0.10."""

    messages: list[dict[str, Any]]
    event_cursor: str | None = None
    has_more: bool | None = None


class WireEventHead(Wire):
    """What every event has, also one that is not known yet."""

    id: str | None = None
    type: str
    reply_id: str | None = None


class WireDecision(Wire):
    """What the caller decided about a tool call."""

    tool_call: dict[str, Any]


class WirePiece(WireEventHead):
    """A piece of a block, or of a tool's call or result."""

    block_id: str | None = None
    tool_call_id: str | None = None
    delta: str | None = None


class WireKnownPiece(WirePiece):
    """A piece of one of the types that streams are full of: no more is looked for in it than it may hold."""

    type: Literal["TEXT_BLOCK_DELTA", "THINKING_BLOCK_DELTA", "TOOL_CALL_DELTA", "TOOL_RESULT_TEXT_DELTA"]


class WireEvent(WirePiece):
    """An event of any other known type: the fields of all of them."""

    text: str | None = None
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    name: str | None = None
    tool_call_name: str | None = None
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    confirm_results: list[WireDecision] = Field(default_factory=list)
    execution_results: list[dict[str, Any]] = Field(default_factory=list)
    state: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    finished_reason: str | None = None
    error: WireFailure | None = None


def read_piece(text: bytes) -> WirePiece | None:
    """A piece, straight from its text; None if the event is of another type, or cannot be read."""
    try:
        piece: WirePiece = WireKnownPiece.__pydantic_validator__.validate_json(text)
    except ValidationError:
        return None
    return piece
