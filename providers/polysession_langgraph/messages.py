"""Messages of a thread's state, and content blocks of messages and frames.

Backend: https://docs.langchain.com/oss/python/langchain/messages (read 2026-11-30)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

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
    read_list,
    record_reader,
)
from polysession_langgraph.sessions import NAME, present
from polysession_langgraph.wire import WireMessage, WireUsage

_ROLES: Final[Mapping[str, Role]] = {"human": Role.USER, "ai": Role.ASSISTANT, "system": Role.SYSTEM}


def state_messages(values: bytes | msgspec.Raw, input_key: str) -> list[bytes]:
    """Return the JSON texts of the messages in a state.

    There are none if the state has no list of messages.
    """
    try:
        state = msgspec.json.decode(values, type=dict[str, msgspec.Raw])
        return [bytes(item) for item in msgspec.json.decode(state[input_key], type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, KeyError):
        return []


def message_reader(session_id: str) -> Callable[[bytes], Message]:
    """Return a function that reads a message of the state.

    It raises `MalformedResponse` for other JSON.
    """

    def build(wire: WireMessage, content: bytes, problems: tuple[str, ...]) -> Message:
        return Message(
            provider=NAME,
            id=wire.id or "",
            session_id=session_id,
            role=_ROLES.get(wire.type or "", Role.UNKNOWN),
            author=wire.name,
            content=_to_blocks(wire),
            usage=to_usage(wire.usage_metadata),
            source=content,
            problems=problems,
        )

    return record_reader(WireMessage, build)


def key_of(message: Message) -> str:
    """Return a key that finds a message in a later state.

    It is the id, or, without an id, a checksum of its JSON.
    """
    return message.id or str(zlib.crc32(message.source))


def tail_of(values: msgspec.Raw, input_key: str) -> str | None:
    """Return the `key_of` the last message of a state; None for a state without messages."""
    found = read_list(state_messages(values, input_key)[-1:], message_reader("")).items
    return key_of(found[0]) if found else None


def _to_blocks(wire: WireMessage) -> tuple[Block, ...]:
    parts = [wire.content] if isinstance(wire.content, str) else wire.content or []
    blocks = [to_block(part) for part in parts if part]
    if wire.type == "tool":
        text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
        is_error = wire.status == "error"
        return (ToolResultBlock(tool_call_id=wire.tool_call_id or "", text=text, is_error=is_error),)
    called = {block.id for block in blocks if isinstance(block, ToolCallBlock)}
    blocks += [
        ToolCallBlock(id=call.id or "", name=call.name or "", arguments=call.args or {})
        for call in wire.tool_calls or ()
        if call.id not in called
    ]
    return tuple(blocks)


def to_block(part: dict[str, Any] | str) -> Block:
    """Read a content block of a message or of a frame."""
    match part:
        case str():
            return TextBlock(text=part)
        case {"type": "text", "text": str() as text}:
            return TextBlock(text=text)
        case {"type": "reasoning", "reasoning": str() as text}:
            return ThinkingBlock(text=text)
        case {"type": "tool_call", "id": str() as call_id, "name": str() as name, "args": dict() as arguments}:
            return ToolCallBlock(id=call_id, name=name, arguments=arguments)
    return RawBlock(payload=part)


def to_usage(wire: WireUsage | None) -> Usage | None:
    """Return the usage of one message."""
    if wire is None:
        return None
    cached = (wire.input_token_details or {}).get("cache_read")
    cached = cached if isinstance(cached, int) else None
    return Usage(input_tokens=wire.input_tokens, output_tokens=wire.output_tokens, cache_read_tokens=cached)


def to_content(content: Iterable[Block]) -> list[dict[str, Any]]:
    """Return blocks as the content of a message. Which types work depends on the graph's model."""
    return [_part(block) for block in content if isinstance(block, TextBlock | MediaBlock)]


def _part(block: TextBlock | MediaBlock) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    kind = "image" if block.type == "image" else "file"
    return present(type=kind, url=block.url, base64=block.data, file_id=block.file_id, mime_type=block.media_type)
