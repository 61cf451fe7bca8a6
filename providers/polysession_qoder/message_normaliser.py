"""Qoder's messages to common ones, and common blocks to Qoder's. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/send (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from polysession.provider_api import Block, MediaBlock, Message, RawBlock, Role, TextBlock, UsageError, trusted
from polysession_qoder.normaliser import NAME
from polysession_qoder.wire_events import WireContent, WireMessageEvent

ROLES: Final[Mapping[str, Role]] = {
    "user.message": Role.USER,
    "agent.message": Role.ASSISTANT,
    "system.message": Role.SYSTEM,
}
"""The events that are messages."""

_SOURCES: Final[Mapping[str, str]] = {"url": "url", "base64": "data", "file": "file_id"}
"""Where a source of each type keeps its value: the same names as in our `MediaBlock`."""

_new_message: Final = trusted(Message)
_new_text: Final = trusted(TextBlock)


def to_message(session_id: str, raw: dict[str, Any]) -> Message:
    """A message from its event, of any generation.

    Raises:
        pydantic.ValidationError: It is not one.
    """
    return read_message(session_id, WireMessageEvent.model_validate(raw), raw)


def read_message(session_id: str, wire: WireMessageEvent, raw: dict[str, Any]) -> Message:
    """A message from the wire model of its event; `raw` is what this was read from."""
    return _new_message(
        provider=NAME,
        id=wire.message_id or wire.id or "",
        session_id=session_id,
        role=ROLES.get(wire.type, Role.UNKNOWN),
        content=to_blocks(wire.content),
        created_at=wire.processed_at or wire.created_at,
        raw=raw,
    )


def to_blocks(content: WireContent | None) -> tuple[Block, ...]:
    """Blocks from content; plain text, as May 2026 had it, is one block."""
    parts = [content] if isinstance(content, str) else content or []
    return tuple([_new_text(text=part) if isinstance(part, str) else _to_block(part) for part in parts])


def text_of(content: WireContent | None) -> str:
    """The text in content. What else there is stays in `raw`."""
    parts = [content] if isinstance(content, str) else content or []
    return "".join([part if isinstance(part, str) else part["text"] for part in parts if _is_text(part)])


def from_blocks(blocks: tuple[Block, ...]) -> dict[str, Any]:
    """The event that says these blocks, to be sent.

    Raises:
        UsageError: A block says something that Qoder does not take.
    """
    content = [
        _from_media(block) if isinstance(block, MediaBlock) else block.model_dump(include={"type", "text"})
        for block in blocks
    ]
    return {"type": "user.message", "content": content}


def _is_text(part: dict[str, Any] | str) -> bool:
    return isinstance(part, str) or (part.get("type") == "text" and isinstance(part.get("text"), str))


def _to_block(raw: dict[str, Any]) -> Block:
    if _is_text(raw):
        return _new_text(text=raw["text"])
    kind, source = raw.get("type"), raw.get("source")
    if kind in ("image", "document") and isinstance(source, dict):  # a tuple: what came may be unhashable
        name = _SOURCES.get(str(source.get("type")), "")
        if isinstance(source.get(name), str):
            value = {name: source[name]}
            return MediaBlock(type=kind, media_type=source.get("media_type"), title=raw.get("title"), **value)
    return RawBlock(payload=raw)


def _from_media(block: MediaBlock) -> dict[str, Any]:
    if block.media_type is not None and block.data is None:
        raise UsageError("Qoder takes a media_type together with data only")
    if block.title is not None and block.type == "image":
        raise UsageError("Qoder's images have no title")
    source = {"media_type": block.media_type}
    for kind, name in _SOURCES.items():
        if (value := getattr(block, name)) is not None:  # exactly one is
            source |= {"type": kind, name: value}
    wire = {"type": block.type, "source": _without_none(source), "title": block.title}
    return _without_none(wire)


def _without_none(wire: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if value is not None}
