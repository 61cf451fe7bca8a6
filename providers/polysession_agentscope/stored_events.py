"""Stored messages to the events that they tell of. Pure.

Backend: `GET /sessions/{id}/messages` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from polysession.provider_api import (
    ErrorReported,
    Event,
    MessageCompleted,
    RawEvent,
    Role,
    ThinkingCompleted,
    ToolCallCompleted,
    ToolResultCompleted,
)
from polysession_agentscope.message_normaliser import (
    assistant_message,
    blocks_of,
    is_failed,
    to_arguments,
    to_block,
    to_message,
    to_output,
)
from polysession_agentscope.replies import key_of
from polysession_agentscope.wire_events import WireBlock, WireMessage

_PIECES: Final[Mapping[str, tuple[str, ...]]] = {
    "message.completed": ("message.started", "message.delta"),
    "thinking.completed": ("thinking.started", "thinking.delta"),
    "tool_call.completed": ("tool_call.started", "tool_call.delta"),
    "tool_result.completed": ("tool_result.delta",),
}
"""The events that come before one that is told from what is stored, and are not stored themselves."""


def history_events(session_id: str, raw: dict[str, Any]) -> list[Event]:
    """The events that a stored message tells of.

    Raises:
        pydantic.ValidationError: It is not a message.
    """
    message = to_message(session_id, raw)
    if message.role is not Role.ASSISTANT:
        return [MessageCompleted(session_id=session_id, message=message, synthetic=True, raw=raw)]
    reply = WireMessage.model_validate(raw)
    events = list(missed_events(session_id, reply, set()))
    if reply.error is not None:
        why, code = reply.error.message or f"the turn failed with {reply.error.type!r}", reply.error.type
        events.append(
            ErrorReported(session_id=session_id, turn_id=reply.id, message=why, code=code, synthetic=True, raw=raw)
        )
    return events


def missed_events(session_id: str, message: WireMessage, told: set[str]) -> Iterator[Event]:
    """The events of the blocks that were not told yet; they are then.

    Args:
        session_id: The session.
        message: A reply.
        told: Keys of the blocks that were told; added to.
    """
    for raw in blocks_of(message):
        key = key_of(raw)
        if key not in told and is_whole(raw):
            told.add(key)
            block = WireBlock.model_validate(raw)
            common = {"session_id": session_id, "turn_id": message.id, "synthetic": True, "raw": raw}
            yield _READERS.get(block.type, _native)(block, common)


def lost_with(missed: Iterable[Event]) -> tuple[str, ...]:
    """The types of events of which some are lost where these are told from what is stored."""
    pieces = {piece for event in missed for piece in _PIECES.get(event.type, ())}
    return ("raw", *sorted(pieces))


def is_whole(raw: Mapping[str, Any]) -> bool:
    """Whether a stored block is complete: a tool that has not answered yet has an empty result."""
    return raw.get("type") != "tool_result" or raw.get("state") != "running" or bool(raw.get("output"))


def _said(block: WireBlock, common: dict[str, Any]) -> Event:
    message = assistant_message(common["session_id"], block.id or "", to_block(common["raw"]), common["raw"])
    return MessageCompleted(message=message, **common)


def _thinking(block: WireBlock, common: dict[str, Any]) -> Event:
    return ThinkingCompleted(text=block.thinking or "", **common)


def _call(block: WireBlock, common: dict[str, Any]) -> Event:
    arguments = to_arguments(block.input)
    return ToolCallCompleted(tool_call_id=block.id or "", name=block.name or "", arguments=arguments, **common)


def _result(block: WireBlock, common: dict[str, Any]) -> Event:
    text, failed = to_output(block.output), is_failed(block.state)
    return ToolResultCompleted(tool_call_id=block.id or "", text=text, is_error=failed, **common)


def _native(block: WireBlock, common: dict[str, Any]) -> Event:
    return RawEvent(**common | {"native_type": block.type})


_READERS: Final[Mapping[str, Callable[[WireBlock, dict[str, Any]], Event]]] = {
    "text": _said,
    "data": _said,
    "thinking": _thinking,
    "tool_call": _call,
    "tool_result": _result,
}
