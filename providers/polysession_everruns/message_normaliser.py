"""Everruns' messages to the common ones. Pure.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, Message and ContentPart; newer parts and events:
https://crates.io/crates/everruns-contracts, 0.50.1 (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from polysession.provider_api import (
    Block,
    MediaBlock,
    Message,
    RawBlock,
    Role,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    Usage,
    trusted,
)
from polysession_everruns.normaliser import NAME
from polysession_everruns.wire_events import WireConversationEvent, WireMessage

# What a wire model holds was validated.
_new_message: Final = trusted(Message)
_new_text: Final = trusted(TextBlock)

ROLES: Final[Mapping[str | None, Role]] = {
    "user": Role.USER,
    "agent": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
}


def to_message(raw: dict[str, Any], session_id: str, usage: Usage | None = None) -> Message:
    """A message of either shape.

    Raises:
        pydantic.ValidationError: It is not a message.
    """
    wire = WireMessage.model_validate(raw)
    thinking: tuple[Block, ...] = (ThinkingBlock(text=wire.thinking),) if wire.thinking else ()
    return _new_message(
        provider=NAME,
        id=wire.id,
        session_id=session_id,
        role=ROLES.get(wire.role, Role.UNKNOWN),
        content=(*thinking, *[_block(part) for part in wire.content or ()]),
        usage=usage,
        created_at=wire.created_at,
        raw=raw,
    )


def conversation_message(event: WireConversationEvent) -> Message:
    """What an agent said by sending a message on purpose, which newer servers tell apart from its other words."""
    return Message(
        provider=NAME,
        id=event.message_id,
        session_id=event.session_id,
        role=Role.ASSISTANT,
        content=(TextBlock(text=event.text),),
        created_at=event.ts,
        raw=event.data,
    )


def _block(part: dict[str, Any]) -> Block:
    """A part of a message; one that is not modelled, or lacks what it needs, as it came."""
    build = _BLOCKS.get(str(part.get("type")))
    try:
        return RawBlock(payload=part) if build is None else build(part)
    except (KeyError, TypeError, ValidationError):
        return RawBlock(payload=part)


def _text(part: dict[str, Any]) -> Block:
    text = part["text"]
    return _new_text(text=text) if isinstance(text, str) else RawBlock(payload=part)


def _image(part: dict[str, Any]) -> Block:
    if part.get("url") is None and part.get("base64") is None:
        return RawBlock(payload=part)
    return MediaBlock(type="image", url=part.get("url"), data=part.get("base64"), media_type=part.get("media_type"))


def _image_file(part: dict[str, Any]) -> Block:
    return MediaBlock(type="image", file_id=part["image_id"], title=part.get("filename"))


def _file(part: dict[str, Any]) -> Block:
    return MediaBlock(type="document", file_id=part["file_id"], title=part.get("filename"))


def _reasoning(part: dict[str, Any]) -> Block:
    """What the model's provider lets be read of it: its own words, or a summary of them. Not all do."""
    told = part["text"]
    return ThinkingBlock(text=told["text"] if told["kind"] == "plain" else "\n\n".join(told["parts"]))


def _tool_call_block(part: dict[str, Any]) -> Block:
    return ToolCallBlock(id=part["id"], name=part["name"], arguments=to_arguments(part.get("arguments")))


def _tool_result_block(part: dict[str, Any]) -> Block:
    error = part.get("error")
    text = to_output(part.get("result")) if error is None else error
    return ToolResultBlock(tool_call_id=part["tool_call_id"], text=text, is_error=error is not None)


_BLOCKS: Final[Mapping[str, Callable[[dict[str, Any]], Block]]] = {
    "text": _text,
    "image": _image,
    "image_file": _image_file,
    # Newer servers only.
    "file": _file,
    "reasoning": _reasoning,
    "tool_call": _tool_call_block,
    "tool_result": _tool_result_block,
}


def to_arguments(value: Any) -> dict[str, Any]:
    """The arguments of a tool call; none if they are no object."""
    return value if isinstance(value, dict) else {}


def to_output(value: Any) -> str:
    """What a tool answered, as text: JSON, unless it is text or made of text parts only."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and value and all(_is_text(part) for part in value):
        return "".join(part["text"] for part in value)
    return json.dumps(value, ensure_ascii=False)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
