"""AgentScope's messages to the common ones, and back. Pure.

Backend: `GET /sessions/{id}/messages` and `POST /chat/` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic_core import from_json

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
    UsageError,
)
from polysession_agentscope.normaliser import NAME
from polysession_agentscope.wire_events import WireBlock, WireEvent, WireMessage, WireSource, WireUsage

_ROLES: Final[Mapping[str | None, Role]] = {role.value: role for role in (Role.USER, Role.ASSISTANT, Role.SYSTEM)}
_NOT_FAILED: Final = frozenset({"success", "running", None})
"""A result that is still running went on in the background: a later turn brings it."""


def to_message(session_id: str, raw: dict[str, Any]) -> Message:
    """A message from its wire object. Its time has no zone, and is the server's local one: it stays in `raw`.

    Raises:
        pydantic.ValidationError: It is not a message.
    """
    wire = WireMessage.model_validate(raw)
    return Message(
        provider=NAME,
        id=wire.id,
        session_id=session_id,
        role=_ROLES.get(wire.role, Role.UNKNOWN),
        content=tuple(to_block(block) for block in blocks_of(wire)),
        usage=None if wire.usage is None else to_usage(wire.usage),
        raw=raw,
    )


def assistant_message(session_id: str, message_id: str, block: Block, raw: dict[str, Any]) -> Message:
    """One block that the agent said, as a message of its own."""
    return Message(provider=NAME, id=message_id, session_id=session_id, role=Role.ASSISTANT, content=(block,), raw=raw)


def blocks_of(wire: WireMessage) -> list[dict[str, Any]]:
    """The wire blocks of a message; bare text is one of them."""
    return [{"type": "text", "text": wire.content}] if isinstance(wire.content, str) else wire.content


def to_block(raw: dict[str, Any]) -> Block:
    """A block from its wire object. Hints to the model, and what is not known, stay as they are.

    Raises:
        pydantic.ValidationError: It is no block.
    """
    wire = WireBlock.model_validate(raw)
    reader = _BLOCKS.get(wire.type)
    return RawBlock(payload=raw) if reader is None else reader(wire)


def to_arguments(text: str | None) -> dict[str, Any]:
    """A tool's arguments from the model's JSON text. Text that is no JSON object stands under `input`."""
    try:
        value = from_json(text or "{}")
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"input": text}


def to_media(source: WireSource, title: str | None) -> MediaBlock:
    """An image, or else a document."""
    is_image = (source.media_type or "").startswith("image/")
    return MediaBlock(
        type="image" if is_image else "document",
        url=source.url,
        data=source.data,
        media_type=source.media_type,
        title=title,
    )


def to_output(output: str | list[dict[str, Any]] | None) -> str:
    """The text of what a tool answered."""
    if isinstance(output, list):
        return "".join(block.get("text") or "" for block in output)
    return output or ""


def is_failed(state: str | None) -> bool:
    """Whether a tool's result in this state is no success."""
    return state not in _NOT_FAILED


def to_usage(wire: WireUsage | WireEvent) -> Usage:
    """What was consumed. Cached tokens are in `input_tokens` too."""
    return Usage(
        input_tokens=wire.input_tokens,
        output_tokens=wire.output_tokens,
        cache_read_tokens=wire.cache_input_tokens,
        cache_creation_tokens=wire.cache_creation_input_tokens,
    )


def from_blocks(blocks: Iterable[Block]) -> dict[str, Any]:
    """The input that says these blocks.

    Raises:
        UsageError: A block cannot be sent.
    """
    content = [_from_media(block) if isinstance(block, MediaBlock) else _from_text(block) for block in blocks]
    return {"name": "user", "role": "user", "content": content}


def _from_text(block: Block) -> dict[str, Any]:
    if not isinstance(block, TextBlock):
        raise UsageError(f"a message to AgentScope is made of text and media, not of {block.type}")
    return {"type": "text", "text": block.text}


def _from_media(block: MediaBlock) -> dict[str, Any]:
    if block.file_id is not None:
        raise UsageError(f"AgentScope keeps no files: give the {block.type} by url or data, not by file_id")
    if (block.url is None) == (block.data is None) or block.media_type is None:
        raise UsageError(f"AgentScope takes the {block.type} with its media_type, and with either url or data")
    where = {"type": "base64", "data": block.data} if block.url is None else {"type": "url", "url": block.url}
    wire = {"type": "data", "source": where | {"media_type": block.media_type}}
    return wire if block.title is None else wire | {"name": block.title}


def _text(wire: WireBlock) -> Block:
    return TextBlock(text=wire.text or "")


def _thinking(wire: WireBlock) -> Block:
    return ThinkingBlock(text=wire.thinking or "")


def _media(wire: WireBlock) -> Block:
    source = wire.source if isinstance(wire.source, WireSource) else WireSource(url=wire.source)
    return to_media(source, wire.name)


def _tool_call(wire: WireBlock) -> Block:
    return ToolCallBlock(id=wire.id or "", name=wire.name or "", arguments=to_arguments(wire.input))


def _tool_result(wire: WireBlock) -> Block:
    text = to_output(wire.output)
    return ToolResultBlock(tool_call_id=wire.id or "", text=text, is_error=is_failed(wire.state))


_BLOCKS: Final[Mapping[str, Callable[[WireBlock], Block]]] = {
    "text": _text,
    "thinking": _thinking,
    "data": _media,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
}
