"""Qoder's messages and actions, in both directions: read from events, and written into the events that are sent.

Reading (`events`) and sending (`turns`) share these tables. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/send and
https://docs.qoder.com/cloud-agents/permission-policies (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec
from pydantic import ValidationError

from polysession.provider_api import (
    Answer,
    Approve,
    Block,
    Deny,
    MediaBlock,
    Message,
    PendingAction,
    RawBlock,
    Reply,
    Role,
    TextBlock,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UsageError,
    decode_json,
    decoder,
)
from polysession_qoder.sessions import NAME
from polysession_qoder.wire import WireMessage, WireToolUse

ROLES: Final[Mapping[str, Role]] = {
    "user.message": Role.USER,
    "agent.message": Role.ASSISTANT,
    "system.message": Role.SYSTEM,
}
"""The events that are messages."""

TOOL_USES: Final[Mapping[str, tuple[type[ToolApproval | ToolExecution], str, str]]] = {
    "agent.tool_use": (ToolApproval, "user.tool_confirmation", "tool_use_id"),
    "agent.mcp_tool_use": (ToolApproval, "user.tool_confirmation", "tool_use_id"),
    "agent.custom_tool_use": (ToolExecution, "user.custom_tool_result", "custom_tool_use_id"),
}
"""The events that an agent can wait at: the action, and the type of its answer with the key that names the event."""

ANSWERED_IN: Final[Mapping[str, str]] = {answer_type: key for _, answer_type, key in TOOL_USES.values()}
"""The events that answer, each with the key that names the answered event."""

MEDIA_SOURCES: Final[Mapping[str, str]] = {"url": "url", "base64": "data", "file": "file_id"}
"""The key of the value in a source of each type: the same names as in `MediaBlock`."""

Content: TypeAlias = list[dict[str, Any] | str] | str | None

Envelope: TypeAlias = dict[str, Any]
"""The fields that all events have."""

_read_tool_use: Final = decoder(WireToolUse)


def to_message(session_id: str, wire: WireMessage, envelope: Envelope) -> Message:
    """The message in an event with these common fields."""
    parts = [wire.content] if isinstance(wire.content, str) else wire.content or []
    return Message(
        provider=NAME,
        id=wire.message_id or envelope["id"] or "",
        session_id=session_id,
        role=ROLES.get(envelope["native_type"], Role.UNKNOWN),
        content=tuple([TextBlock(text=part) if isinstance(part, str) else _to_block(part) for part in parts]),
        created_at=envelope["created_at"],
        source=envelope["source"],
        problems=envelope["problems"],
    )


def _to_block(part: dict[str, Any]) -> Block:
    if _is_text(part):
        return TextBlock(text=part["text"])
    source = part.get("source")
    source = source if isinstance(source, dict) else {}
    name = MEDIA_SOURCES.get(str(source.get("type")))
    if name is None or source.get(name) is None:
        return RawBlock(payload=part)
    media = {"type": part.get("type"), "media_type": source.get("media_type"), "title": part.get("title")}
    try:
        return MediaBlock(**media, **{name: source[name]})
    except ValidationError:
        return RawBlock(payload=part)


def to_action(content: bytes) -> PendingAction:
    """Read the action that an event of `TOOL_USES` asks for.

    Raises:
        MalformedResponse: It is not a JSON object.
    """
    wire, problems = _read_tool_use(content)
    return read_action(wire, {"id": wire.id, "native_type": wire.type, "source": content, "problems": problems})


def read_action(wire: WireToolUse, envelope: Envelope) -> ToolApproval | ToolExecution:
    """The action that an event with these common fields asks for."""
    action_type, answer_type, key = TOOL_USES[envelope["native_type"]]
    arguments, problems = wire.input or {}, envelope["problems"]
    if isinstance(arguments, str):
        arguments, problems = _parse_arguments(arguments, problems)
    reference = {"type": answer_type, key: envelope["id"]}
    if wire.session_thread_id is not None:  # of a sub-agent, whose thread the answer has to name
        reference["session_thread_id"] = wire.session_thread_id
    return action_type(
        id=envelope["id"] or "",
        name=wire.name or "",
        arguments=arguments,
        reference=msgspec.json.encode(reference).decode(),
        source=envelope["source"],
        problems=problems,
    )


def _parse_arguments(text: str, problems: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        arguments = decode_json(text.encode())
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        return arguments, problems
    return {}, (*problems, "input: not an object")


def text_of(content: Content) -> str:
    """The text in content. Other blocks are in the source only."""
    parts = [content] if isinstance(content, str) else content or []
    return "".join([part if isinstance(part, str) else part["text"] for part in parts if _is_text(part)])


def _is_text(part: dict[str, Any] | str) -> bool:
    return isinstance(part, str) or (part.get("type") == "text" and isinstance(part.get("text"), str))


def answer_event(answer: Answer, action: PendingAction) -> dict[str, Any]:
    """The event that answers an action, built from its reference.

    Raises:
        UsageError: It is the wrong kind of answer, or the action is another backend's.
    """
    if isinstance(answer, ToolOutput) != isinstance(action, ToolExecution) or isinstance(answer, Reply):
        wanted = "ToolOutput" if isinstance(action, ToolExecution) else "Approve or Deny"
        raise UsageError(f"action {action.id!r} is answered with {wanted}, not with {type(answer).__name__}")
    try:
        event = decode_json(action.reference.encode())
    except ValueError:
        event = None
    if not isinstance(event, dict) or event.get("type") not in ANSWERED_IN:
        raise UsageError(f"the reference of action {action.id!r} is not one of Qoder's")
    return {**event, **_answer_fields(answer)}


def _answer_fields(answer: Approve | Deny | ToolOutput) -> dict[str, Any]:
    if isinstance(answer, ToolOutput):
        output = {"content": [{"type": "text", "text": answer.content}]}
        return output | {"is_error": True} if answer.is_error else output
    if isinstance(answer, Approve):
        return {"result": "allow"}
    return {"result": "deny"} if answer.reason is None else {"result": "deny", "deny_message": answer.reason}


def message_event(blocks: tuple[Block, ...]) -> dict[str, Any]:
    """The event that says these blocks, to be sent.

    Raises:
        UsageError: A block has something that Qoder does not take.
    """
    content = [
        _media(block) if isinstance(block, MediaBlock) else block.model_dump(include={"type", "text"})
        for block in blocks
    ]
    return {"type": "user.message", "content": content}


def _media(block: MediaBlock) -> dict[str, Any]:
    if block.media_type is not None and block.data is None:
        raise UsageError("Qoder takes a media_type together with data only")
    if block.title is not None and block.type == "image":
        raise UsageError("Qoder's images have no title")
    source: dict[str, Any] = {"media_type": block.media_type}
    for kind, name in MEDIA_SOURCES.items():
        if (value := getattr(block, name)) is not None:  # exactly one is
            source |= {"type": kind, name: value}
    wire = {"type": block.type, "source": _without_none(source), "title": block.title}
    return _without_none(wire)


def _without_none(wire: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if value is not None}
