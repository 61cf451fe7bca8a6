"""Everruns' messages: read as a whole and in fragments, sent and listed. Pure.

A separate module, because messages occur in lists, in the response to a new message, and in events.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, Message and ContentPart; newer parts:
https://crates.io/crates/everruns-contracts, 0.50.1 (read 2026-11)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from polysession.provider_api import (
    Block,
    Call,
    Flow,
    MediaBlock,
    Message,
    NativeBody,
    Page,
    RawBlock,
    Role,
    SessionRef,
    SplitPairs,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    Usage,
    UsageError,
    cursor_number,
    decode_json,
    decoder,
    json_body,
    one_page,
    read_list,
    read_parts,
    read_response,
    read_whole,
    record_reader,
)
from polysession_everruns.sessions import NAME, session_path
from polysession_everruns.wire import WireList, WireMessage, WirePart

MESSAGE: Final = "output.message"
THINKING: Final = "reason.thinking"

_ROLES: Final[Mapping[str, Role]] = {
    "user": Role.USER,
    "agent": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
}
_REPLACEMENT: Final = "\ufffd"
_REMEMBERED_MESSAGES: Final = 100
"""Number of completed messages whose late deltas are dropped.

Far more than a turn completes before they arrive.
"""

_read_list: Final = decoder(WireList)
_read_message: Final = decoder(WireMessage)
_read_part: Final = decoder(WirePart)


def message_reader(session_id: str, usage: Usage | None = None) -> Callable[[bytes], Message]:
    """Return a function that reads a message of either shape.

    It raises `MalformedResponse` if the id is missing.

    Args:
        session_id: The session of the message, because a message inside an event does not name it.
        usage: The usage of the message; None if the backend did not report it.
    """

    def build(wire: WireMessage, content: bytes, problems: tuple[str, ...]) -> Message:
        blocks, unreadable = _to_blocks(wire.content or ())
        thinking: tuple[Block, ...] = (ThinkingBlock(text=wire.thinking),) if wire.thinking else ()
        return Message(
            provider=NAME,
            id=wire.id,
            session_id=session_id,
            role=_ROLES.get(wire.role or "", Role.UNKNOWN),
            content=(*thinking, *blocks),
            usage=usage,
            created_at=wire.created_at,
            source=content,
            problems=problems + unreadable,
        )

    return record_reader(WireMessage, build)


def _to_blocks(parts: Iterable[bytes]) -> tuple[list[Block], tuple[str, ...]]:
    """Return the blocks of a message, and the problems found."""
    read, problems = read_parts(parts, _read_part, "content")
    return [_to_block(part) or RawBlock(payload=decode_json(content)) for part, content in read], problems


def _to_block(part: WirePart) -> Block | None:
    build = _BLOCKS.get(part.type or "")
    return None if build is None else build(part)


def _text(part: WirePart) -> Block | None:
    return TextBlock(text=part.text) if isinstance(part.text, str) else None


def _image(part: WirePart) -> Block | None:
    if part.url is None and part.base64 is None:
        return None
    return MediaBlock(type="image", url=part.url, data=part.base64, media_type=part.media_type)


def _image_file(part: WirePart) -> Block | None:
    return MediaBlock(type="image", file_id=part.image_id, title=part.filename) if part.image_id else None


def _file(part: WirePart) -> Block | None:
    return MediaBlock(type="document", file_id=part.file_id, title=part.filename) if part.file_id else None


def _reasoning(part: WirePart) -> Block | None:
    """Read the full text or a summary of the reasoning, if the model's provider publishes it."""
    match part.text:
        case {"kind": "plain", "text": str(text)}:
            return ThinkingBlock(text=text)
        case {"kind": "summary", "parts": [*parts]} if all(isinstance(text, str) for text in parts):
            return ThinkingBlock(text="\n\n".join(parts))
    return None


def _tool_call(part: WirePart) -> Block | None:
    if part.id is None or part.name is None:
        return None
    return ToolCallBlock(id=part.id, name=part.name, arguments=part.arguments or {})


def _tool_result(part: WirePart) -> Block | None:
    if part.tool_call_id is None:
        return None
    text = to_output(part.result) if part.error is None else part.error
    return ToolResultBlock(tool_call_id=part.tool_call_id, text=text, is_error=part.error is not None)


_BLOCKS: Final[Mapping[str, Callable[[WirePart], Block | None]]] = {
    "text": _text,
    "image": _image,
    "image_file": _image_file,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    # Newer servers.
    "file": _file,
    "reasoning": _reasoning,
}


def to_output(value: Any) -> str:
    """Return the result of a tool as text: a text, joined text parts, or JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list) and value and all(_is_text(part) for part in value):
        return "".join(part["text"] for part in value)
    return json.dumps(value, ensure_ascii=False)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def unquoted(text: str) -> str:
    """Return the output of a client tool as the client sent it.

    The server stores it as JSON, without the tool's name.

    Backend: https://github.com/everruns/everruns, command submit_tool_results (read 2026-11)
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


# --- Sending and listing


def send_message(ref: SessionRef, content: tuple[Block, ...], native: NativeBody | None = None) -> Flow[None]:
    """Send a message. It starts a turn, or steers the running turn."""
    yield from post_message(ref, message_body(content, native))


def list_messages(
    ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
) -> Flow[Page[Message]]:
    """Read one page of messages.

    The server sends all messages at once, oldest first. The cursor is the number of messages before the page.

    Raises:
        UsageError: The cursor is not one of this list.
    """
    if cursor is not None:
        cursor_number(cursor)  # refuses a wrong cursor before the call
    response = yield Call("GET", f"{session_path(ref)}/messages")
    page = one_page(read_whole(_read_list, response).data, page_size, cursor, newest_first=newest_first)
    return read_list(page.items, message_reader(ref.id), next_cursor=page.next_cursor)


def post_message(ref: SessionRef, body: Mapping[str, Any]) -> Flow[WireMessage]:
    """Send a message. Returns it as the server stored it."""
    response = yield Call("POST", f"{session_path(ref)}/messages", body=json_body(body))
    message, _ = read_response(_read_message, response)
    return message


def message_body(content: Iterable[Any], native: NativeBody | None) -> dict[str, Any]:
    """Return the body of a message. The core accepts only text and images.

    Raises:
        UsageError: An image has a field that the server does not accept.
    """
    parts = [
        {"type": "text", "text": block.text} if isinstance(block, TextBlock) else _to_image(block) for block in content
    ]
    return {"message": {"role": "user", "content": parts}, **(native.to_body() if native else {})}


def _to_image(block: MediaBlock) -> dict[str, Any]:
    if block.file_id is not None:
        _refuse(block, "media_type", "an uploaded image")
        return _without_none({"type": "image_file", "image_id": block.file_id, "filename": block.title})
    _refuse(block, "title", "an image that was not uploaded")
    return _without_none({"type": "image", "url": block.url, "base64": block.data, "media_type": block.media_type})


def _refuse(block: MediaBlock, name: str, what: str) -> None:
    if getattr(block, name) is not None:
        raise UsageError(f"Everruns accepts no {name} for {what}, and this one has {name}={getattr(block, name)!r}")


def _without_none(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None}


def digest_of(content: Iterable[object]) -> str:
    """Return a digest of a message's text and images, independent of the server's JSON."""
    blocks = [block.model_dump(exclude_none=True) for block in content if isinstance(block, TextBlock | MediaBlock)]
    return hashlib.sha256(json_body({"content": blocks})).hexdigest()[:16]


# --- Fragments


class Fragments:
    """The text of incomplete messages and thoughts, to find the new text of a live delta.

    Live deltas are not stored, and may be lost or late. They have the whole text so far, or, from the engine, only the
    new text.
    """

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str | None, str]] = {}
        self._completed: dict[str, None] = {}
        self._pairs = SplitPairs()
        self._rest_of_thought = ""

    def forget(self, part: str | None = None) -> None:
        """Forget the text of the message or the thought, or of both if `part` is None."""
        for each in (MESSAGE, THINKING) if part is None else (part,):
            self._texts.pop(each, None)
            self._pairs.forget(each)

    def join(self, part: str, delta: str, source: bytes) -> str:
        """Return the text of a delta, and join surrogate pairs that are split between two deltas.

        A half without its other half becomes U+FFFD.

        Args:
            part: `MESSAGE` or `THINKING`.
            delta: The decoded text, with U+FFFD for each half.
            source: The event's JSON text.
        """
        if not self._pairs.concern(part, delta):
            return delta
        exact = json.loads(source)["data"]["delta"]
        return self._pairs.join(part, exact if isinstance(exact, str) else delta)

    def add(self, part: str, message_id: str | None, delta: str, accumulated: str | None) -> str | None:
        """Return the text that a live delta adds to the earlier text; None if it adds nothing."""
        if message_id in self._completed or (part == THINKING and self._is_late_thought(delta, accumulated)):
            return None
        known_id, known = self._texts.get(part, (message_id, ""))
        if known_id != message_id:
            known = ""
        # The text may end with half a character; the next delta has the whole character.
        text = known + delta if accumulated is None else accumulated.removesuffix(_REPLACEMENT)
        if known and known.startswith(text):
            return None
        self._texts[part] = (message_id, text)
        return text.removeprefix(known)

    def complete_message(self, message_id: str) -> None:
        """Mark a message as complete, so that its late deltas are dropped."""
        self._completed[message_id] = None
        if len(self._completed) > _REMEMBERED_MESSAGES:
            del self._completed[next(iter(self._completed))]

    def complete_thought(self, whole: str) -> None:
        """Mark a thought as complete.

        Thoughts have no id, so a late delta is recognised by the rest of the text.
        """
        _, known = self._texts.get(THINKING, (None, ""))
        self._rest_of_thought = whole.removeprefix(known) if whole.startswith(known) else ""

    def _is_late_thought(self, delta: str, accumulated: str | None) -> bool:
        if accumulated is not None or not delta:
            return False
        is_late = self._rest_of_thought.startswith(delta)
        self._rest_of_thought = self._rest_of_thought.removeprefix(delta) if is_late else ""
        return is_late
