"""Events of the ADK API server to the common ones: one reader for frames of a stream and for stored events.

The server has one kind of object, the event: what it becomes depends on its members. Fragments (`partial`) carry the id
of the whole that completes them, and are not stored.

Backend: https://google.github.io/adk-docs/events/ and https://google.github.io/adk-docs/tools-custom/confirmation/
(read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from polysession.provider_api import (
    Block,
    ErrorReported,
    Event,
    MalformedResponse,
    MediaBlock,
    Message,
    MessageCompleted,
    MessageDelta,
    RawBlock,
    Role,
    TextBlock,
    ThinkingBlock,
    ThinkingCompleted,
    ThinkingDelta,
    ToolCallBlock,
    ToolCallCompleted,
    ToolResultBlock,
    ToolResultCompleted,
    Usage,
    UsageReported,
    decode_json,
    raw_event,
)
from polysession_adk.wire import (
    WireBlob,
    WireErrorDetails,
    WireEvent,
    WireFile,
    WireFunctionResponse,
    WirePart,
    WireUsage,
    read_event,
    read_part,
)

NAME: Final = "adk"
USER: Final = "user"
ABORTED: Final = "INVOCATION_ABORTED"
_REQUESTS: Final = "adk_request_"
_NO_ERRORS: Final = frozenset({ABORTED, "MODEL_RETURNED_NO_CONTENT"})
"""Codes of what is no error: an abort is an outcome, and a model that says nothing has a code
without fragments only."""
_TO_STANDARD_BASE64: Final = str.maketrans("-_", "+/")

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "partial": ("message.delta", "thinking.delta", "thinking.completed", "raw"),
    "content": ("message.completed", "thinking.completed"),
    "functionCall": ("tool_call.completed",),
    "functionResponse": ("tool_result.completed",),
    "usageMetadata": ("usage",),
    "errorCode": ("error",),
    "error": ("error",),
    "actions": ("raw",),
}
"""The member of an event that a common event is read from, and the types that it becomes."""


class Part(NamedTuple):
    """A part of a content, and the block that it becomes.

    Attributes:
        block: Its block.
        function: Name of the function that it calls or responds to; empty for other parts.
        function_id: Id of that call.
        source: Its JSON text.
    """

    block: Block
    function: str = ""
    function_id: str = ""
    source: bytes = b"{}"

    @property
    def is_request(self) -> bool:
        """Whether it asks the caller by a reserved function, or answers such a request."""
        return self.function.startswith(_REQUESTS)


class Received(NamedTuple):
    """One frame or stored event, read.

    Attributes:
        wire: The event.
        parts: The parts of its content.
        events: What it becomes; events that were read before are left out.
        source: Its JSON text.
        problems: What could not be read.
    """

    wire: WireEvent
    parts: tuple[Part, ...]
    events: tuple[Event, ...]
    source: bytes
    problems: tuple[str, ...]


class Failure(NamedTuple):
    """The failure of a turn, and the server's word for it."""

    message: str
    code: str | None


class EventReader:
    """Reads the events of one session: each once, also if a stream and the history both hold it."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._seen: set[tuple[str, str, str | None]] = set()
        self._thoughts: dict[str | None, list[str]] = {}  # of fragments, by author: in 1.39.1 each has its own id
        self._completed: set[str | None] = set()  # authors whose thought was completed before its whole came
        self._has_error = False  # the event before was an error, which a frame may repeat

    def read(self, content: bytes) -> Received:
        """Read one frame or stored event. What is not a JSON object is a `RawEvent`."""
        try:
            wire, problems = read_event(content)
        except MalformedResponse as error:
            unread = raw_event(self._session_id, content, problems=(error.message,))
            return Received(WireEvent(), (), (unread,), content, unread.problems)
        parts, part_problems = _to_parts(wire)
        problems += part_problems
        envelope = {
            "session_id": self._session_id,
            "turn_id": wire.invocation_id,
            "created_at": wire.timestamp,
            "author": None if wire.author == USER else wire.author,
            "source": content,
            "problems": problems,
        }
        if wire.partial:
            events = tuple(self._read_fragment(wire, parts, envelope | {"native_type": "partial"}))
        else:
            whole = self._read_whole(wire, parts, envelope | {"id": wire.id})
            events = tuple([event for event in whole if self._is_new(event)])
            self._has_error = wire.error_code is not None
        return Received(wire, parts, events, content, problems)

    def _is_new(self, event: Event) -> bool:
        """Whether it was not read before. The common events of one event share its id."""
        if event.id is None:
            return True
        key = (event.id, event.type, getattr(event, "tool_call_id", None))
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new

    def _read_fragment(self, wire: WireEvent, parts: Sequence[Part], envelope: dict[str, Any]) -> Iterator[Event]:
        """Text as it is written. Function calls stay raw: the ids of their fragments are not those of the whole."""
        for block in [part.block for part in parts]:
            if isinstance(block, ThinkingBlock):
                self._thoughts.setdefault(wire.author, []).append(block.text)
                yield ThinkingDelta(text=block.text, **envelope)
            elif isinstance(block, TextBlock):
                yield from self._complete_thought(wire.author, envelope)
                yield MessageDelta(message_id=wire.id, text=block.text, **envelope)
        if any(not isinstance(part.block, ThinkingBlock | TextBlock) for part in parts):
            yield raw_event(**envelope)

    def _complete_thought(self, author: str | None, envelope: dict[str, Any]) -> Iterator[Event]:
        """The whole thought before the first words: the server sends it only with the whole message."""
        if thought := "".join(self._thoughts.pop(author, ())):
            self._completed.add(author)
            yield ThinkingCompleted(text=thought, **envelope | {"synthetic": True})

    def _read_whole(self, wire: WireEvent, parts: Sequence[Part], envelope: dict[str, Any]) -> Iterator[Event]:
        if wire.author != USER:
            yield from self._read_thought(wire, parts, envelope)
        blocks = _conversation(wire, parts)
        if any(not isinstance(block, ThinkingBlock | ToolCallBlock | ToolResultBlock) for block in blocks):
            message = _to_message(self._session_id, wire, blocks, envelope["source"], envelope["problems"])
            yield MessageCompleted(message=message, **envelope | {"native_type": "content"})
        for block in blocks:
            yield from _tool_events(block, envelope)
        if (usage := to_usage(wire.usage_metadata)) is not None:
            yield UsageReported(usage=usage, is_delta=True, **envelope | {"native_type": "usageMetadata"})
        failure = to_failure(wire)
        is_repeated = wire.error is not None and self._has_error
        if failure is not None and not is_repeated:
            native_type = "errorCode" if wire.error is None else "error"
            yield ErrorReported(message=failure.message, code=failure.code, **envelope | {"native_type": native_type})
        if _stays_raw(wire, parts, blocks):
            yield raw_event(**envelope | {"native_type": "actions"})

    def _read_thought(self, wire: WireEvent, parts: Sequence[Part], envelope: dict[str, Any]) -> Iterator[Event]:
        """The thought of a whole event, unless it was completed from its fragments."""
        fragments = "".join(self._thoughts.pop(wire.author, ()))
        thought = "".join(part.block.text for part in parts if isinstance(part.block, ThinkingBlock)) or fragments
        if wire.author in self._completed:
            self._completed.remove(wire.author)
            self._seen.add((wire.id or "", "thinking.completed", None))
        elif thought:
            yield ThinkingCompleted(text=thought, **envelope | {"native_type": "content"})


def to_failure(wire: WireEvent) -> Failure | None:
    """The failure in an event with an error code, or in a frame that is no event; None without a failure."""
    if wire.error is None:
        is_error = wire.error_code is not None and wire.error_code not in _NO_ERRORS
        return Failure(wire.error_message or wire.error_code or "", wire.error_code) if is_error else None
    details = wire.error_details or WireErrorDetails()
    return Failure(details.error_message or wire.error, details.error_type)


def to_messages(session_id: str, received: Received) -> tuple[Message, ...]:
    """The message that a stored event is; none if it is no part of the conversation."""
    blocks = _conversation(received.wire, received.parts)
    if not blocks or received.wire.error_code == ABORTED:
        return ()
    return (_to_message(session_id, received.wire, blocks, received.source, received.problems),)


def to_usage(wire: WireUsage | None) -> Usage | None:
    """The tokens of one model call. Thoughts are counted beside the candidates, cached tokens within the prompt's."""
    if wire is None:
        return None
    written = [count for count in (wire.candidates_token_count, wire.thoughts_token_count) if count is not None]
    return Usage(
        input_tokens=wire.prompt_token_count,
        output_tokens=sum(written) if written else None,
        cache_read_tokens=wire.cached_content_token_count,
    )


def _conversation(wire: WireEvent, parts: Sequence[Part]) -> tuple[Block, ...]:
    """The blocks that belong to the conversation: without requests, their answers, and placeholders of results."""
    return tuple([part.block for part in parts if not part.is_request and not _is_placeholder(wire, part)])


def _is_placeholder(wire: WireEvent, part: Part) -> bool:
    """Whether it says no more than that the call waits to be confirmed."""
    waiting = wire.actions.requested_tool_confirmations if wire.actions else None
    return bool(waiting) and isinstance(part.block, ToolResultBlock) and part.function_id in (waiting or {})


def _stays_raw(wire: WireEvent, parts: Sequence[Part], blocks: Sequence[Block]) -> bool:
    """Whether the event holds something that no other common event shows."""
    if wire.actions is not None and wire.actions.artifact_delta:
        return True
    if any(
        isinstance(part.block, ToolResultBlock) and (part.is_request or _is_placeholder(wire, part)) for part in parts
    ):
        return True
    is_shown = blocks or parts or wire.usage_metadata or wire.error or wire.error_code
    return not is_shown


def _to_message(
    session_id: str, wire: WireEvent, blocks: tuple[Block, ...], source: bytes, problems: tuple[str, ...]
) -> Message:
    return Message(
        provider=NAME,
        id=wire.id or "",
        session_id=session_id,
        role=Role.USER if wire.author == USER else Role.ASSISTANT,
        content=blocks,
        usage=to_usage(wire.usage_metadata),
        created_at=wire.timestamp,
        author=None if wire.author == USER else wire.author,
        source=source,
        problems=problems,
    )


def _tool_events(block: Block, envelope: dict[str, Any]) -> Iterator[Event]:
    if isinstance(block, ToolCallBlock):
        envelope |= {"tool_call_id": block.id, "native_type": "functionCall"}
        yield ToolCallCompleted(name=block.name, arguments=block.arguments, **envelope)
    elif isinstance(block, ToolResultBlock):
        envelope |= {"tool_call_id": block.tool_call_id, "native_type": "functionResponse"}
        yield ToolResultCompleted(text=block.text, is_error=block.is_error, **envelope)


def _to_parts(wire: WireEvent) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The parts of the content, without empty texts, and what could not be read of them."""
    parts: list[Part] = []
    problems: list[str] = []
    for index, raw in enumerate((wire.content and wire.content.parts) or ()):
        try:
            part, found = read_part(bytes(raw))
        except MalformedResponse:
            problems.append(f"content.parts[{index}]: not an object")
            continue
        problems += [f"content.parts[{index}].{problem}" for problem in found]
        if part.text != "":
            parts.append(_to_part(part, bytes(raw)))
    return tuple(parts), tuple(problems)


def _to_part(part: WirePart, source: bytes) -> Part:
    if part.text is not None:
        return Part(ThinkingBlock(text=part.text) if part.thought else TextBlock(text=part.text))
    if (call := part.function_call) is not None:
        name, call_id = call.name or "", call.id or ""
        return Part(ToolCallBlock(id=call_id, name=name, arguments=call.args or {}), name, call_id, source)
    if (response := part.function_response) is not None:
        return Part(_to_tool_result(response), response.name or "", response.id or "", source)
    media = _to_media(part.inline_data or part.file_data)
    return Part(media if media is not None else RawBlock(payload=decode_json(source)))


def _to_media(media: WireBlob | WireFile | None) -> Block | None:
    if media is None:
        return None
    kind = "image" if (media.mime_type or "").startswith("image/") else "document"
    named = {"type": kind, "media_type": media.mime_type, "title": media.display_name}
    if isinstance(media, WireBlob):
        return None if media.data is None else MediaBlock(data=_to_base64(media.data), **named)
    return None if media.file_uri is None else MediaBlock(url=media.file_uri, **named)


def _to_base64(text: str) -> str:
    """The same bytes in the standard alphabet, with padding: the server answers in the URL-safe one."""
    standard = text.translate(_TO_STANDARD_BASE64).rstrip("=")
    return standard + "=" * (-len(standard) % 4)


def _to_tool_result(wire: WireFunctionResponse) -> ToolResultBlock:
    """The result as text: `result` or `error` by itself, else the whole response as JSON."""
    response = wire.response or {}
    value: Any = response
    is_error = "error" in response and "result" not in response
    if len(response) == 1 and response.keys() <= {"result", "error"}:
        (value,) = response.values()
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return ToolResultBlock(tool_call_id=wire.id or "", text=text, is_error=is_error)
