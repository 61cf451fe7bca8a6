"""Events of the ADK API server to the common ones: one reader for frames of a stream and for stored events.

The server has one kind of object, the event: what it becomes depends on its members. Fragments (`partial`) carry the id
of the whole that completes them, and are not stored.

Backend: https://google.github.io/adk-docs/events/ and https://google.github.io/adk-docs/tools-custom/confirmation/
(read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from polysession.provider_api import (
    Block,
    ErrorDetail,
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
    read_parts,
    record_reader,
)
from polysession_adk.wire import WireErrorDetails, WireEvent, WireFunction, WireMedia, WirePart, WireUsage, read_part

Envelope: TypeAlias = dict[str, Any]
"""The fields that all events have."""

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
    """A part of a content.

    Attributes:
        block: The block that it becomes.
        function: Name of the function that it calls or responds to; empty for other parts.
        function_id: Id of that call.
        source: Its JSON text.
    """

    block: Block
    function: str = ""
    function_id: str = ""
    source: bytes = b"{}"


class Received(NamedTuple):
    """One frame or stored event, read.

    Attributes:
        wire: The event.
        parts: The parts of its content.
        blocks: Those of them that belong to the conversation.
        message: The message that it is; None if it is a fragment, or no part of the conversation.
        events: What it becomes.
    """

    wire: WireEvent
    parts: tuple[Part, ...] = ()
    blocks: tuple[Block, ...] = ()
    message: Message | None = None
    events: tuple[Event, ...] = ()

    @property
    def calls(self) -> dict[str, Part]:
        """The calls of functions in a whole event, by their ids. Those of fragments are not the ids of the whole."""
        return self._functions(ToolCallBlock)

    @property
    def results(self) -> dict[str, Part]:
        """The responses to calls in a whole event, by the ids of the calls."""
        return self._functions(ToolResultBlock)

    def _functions(self, kind: type[Block]) -> dict[str, Part]:
        parts = () if self.wire.partial else self.parts
        return {part.function_id: part for part in parts if isinstance(part.block, kind)}


class EventReader:
    """Reads the events of one session: each once, also if a stream and the history both hold it."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._read = _reader(session_id)
        self._seen: set[tuple[str, str, str | None]] = set()
        self._thoughts: dict[str | None, list[str]] = {}  # in the making, by author; empty once delivered
        self._error_code: str | None = None  # of the event before, which a frame may repeat

    def read(self, content: bytes) -> Received:
        """Read one frame or stored event. What no event can hold is a `RawEvent`."""
        try:
            received = self._read(content)
        except MalformedResponse as error:
            unread = raw_event(self._session_id, content, problems=(error.message,))
            return Received(WireEvent(), events=(unread,))
        choose = self._fragments if received.wire.partial else self._wholes
        return received._replace(events=tuple(choose(received)))

    def _fragments(self, received: Received) -> Iterator[Event]:
        """Fragments, with the whole thought before the first words: the server sends it only with its message."""
        author = received.wire.author  # not the id: in 1.39.1 each fragment has its own
        for event in received.events:
            if isinstance(event, ThinkingDelta):
                self._thoughts.setdefault(author, []).append(event.text)
            elif isinstance(event, MessageDelta) and self._thoughts.get(author):
                whole = {"type": "thinking.completed", "text": "".join(self._thoughts[author]), "synthetic": True}
                yield ThinkingCompleted(**{**vars(event), **whole})
                self._thoughts[author] = []
            yield event

    def _wholes(self, received: Received) -> Iterator[Event]:
        """The events of a whole event, but for those that were delivered before."""
        has_thought = self._thoughts.pop(received.wire.author, None) == []
        before, self._error_code = self._error_code, received.wire.error_code
        for event in received.events:
            key = (event.id or "", event.type, getattr(event, "tool_call_id", None))
            is_told = event.id is not None and key in self._seen
            self._seen.add(key)
            if isinstance(event, ErrorReported) and event.id is None:
                is_told = event.code is not None and event.code == before
            if not is_told and not (has_thought and isinstance(event, ThinkingCompleted)):
                yield event


def _reader(session_id: str) -> Callable[[bytes], Received]:
    """A function that reads one frame or stored event, whatever came before it."""

    def build(wire: WireEvent, content: bytes, problems: tuple[str, ...]) -> Received:
        parts, unread = _to_parts(wire)
        envelope: Envelope = {
            "session_id": session_id,
            "turn_id": wire.invocation_id,
            "created_at": wire.timestamp,
            "author": None if wire.author == USER else wire.author,
            "source": content,
            "problems": problems + unread,
        }
        if wire.partial:
            return Received(wire, parts, events=tuple(_read_fragment(wire, parts, envelope)))
        received = Received(wire, parts, _conversation(wire, parts))
        received = received._replace(message=_to_message(received, envelope))
        return received._replace(events=tuple(_read_whole(received, {**envelope, "id": wire.id})))

    return record_reader(WireEvent, build)


def _read_fragment(wire: WireEvent, parts: Sequence[Part], envelope: Envelope) -> Iterator[Event]:
    """Text as it is written. Function calls stay raw: the ids of their fragments are not those of the whole."""
    for part in parts:
        if isinstance(part.block, ThinkingBlock):
            yield ThinkingDelta(text=part.block.text, native_type="partial", **envelope)
        elif isinstance(part.block, TextBlock):
            yield MessageDelta(message_id=wire.id, text=part.block.text, native_type="partial", **envelope)
    if not all(isinstance(part.block, ThinkingBlock | TextBlock) for part in parts):
        yield raw_event(native_type="partial", **envelope)


def _read_whole(received: Received, envelope: Envelope) -> Iterator[Event]:
    wire, blocks = received.wire, received.blocks
    thought = "".join(block.text for block in blocks if isinstance(block, ThinkingBlock))
    if thought and wire.author != USER:
        yield ThinkingCompleted(text=thought, native_type="content", **envelope)
    if not all(isinstance(block, ThinkingBlock | ToolCallBlock | ToolResultBlock) for block in blocks):
        yield MessageCompleted(message=received.message, native_type="content", **envelope)
    for block in blocks:
        yield from _tool_events(block, envelope)
    if (usage := to_usage(wire.usage_metadata)) is not None:
        yield UsageReported(usage=usage, is_delta=True, native_type="usageMetadata", **envelope)
    if (failure := to_failure(wire)) is not None:
        native_type = "errorCode" if wire.error is None else "error"
        yield ErrorReported(message=failure.message, code=failure.code, native_type=native_type, **envelope)
    if _stays_raw(received):
        yield raw_event(native_type="actions", **envelope)


def _tool_events(block: Block, envelope: Envelope) -> Iterator[Event]:
    if isinstance(block, ToolCallBlock):
        called = {"tool_call_id": block.id, "name": block.name, "arguments": block.arguments}
        yield ToolCallCompleted(native_type="functionCall", **called, **envelope)
    elif isinstance(block, ToolResultBlock):
        result = {"tool_call_id": block.tool_call_id, "text": block.text, "is_error": block.is_error}
        yield ToolResultCompleted(native_type="functionResponse", **result, **envelope)


def to_failure(wire: WireEvent) -> ErrorDetail | None:
    """The failure in an event with an error code, or in a frame that is no event; None without a failure."""
    if wire.error is None:
        is_error = wire.error_code is not None and wire.error_code not in _NO_ERRORS
        return ErrorDetail(wire.error_message or wire.error_code or "", wire.error_code) if is_error else None
    details = wire.error_details or WireErrorDetails()
    return ErrorDetail(details.error_message or wire.error, details.error_type)


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
    """The blocks that belong to the conversation: without requests, their answers, and placeholders of results.

    The placeholder of a result says no more than that the call has to be confirmed.
    """
    asked = wire.actions.requested_tool_confirmations or ()
    return tuple(
        [
            part.block
            for part in parts
            if not part.function.startswith(_REQUESTS)
            and not (isinstance(part.block, ToolResultBlock) and part.function_id in asked)
        ]
    )


def _stays_raw(received: Received) -> bool:
    """Whether the event holds something that no other common event shows. Requests are shown by `action.required`."""
    wire, parts, shown = received.wire, received.parts, received.blocks
    is_hidden = any(isinstance(part.block, ToolResultBlock) and part.block not in shown for part in parts)
    is_empty = not (parts or wire.usage_metadata or wire.error or wire.error_code)
    return is_hidden or is_empty or bool(wire.actions.artifact_delta)


def _to_message(received: Received, envelope: Envelope) -> Message | None:
    wire, blocks = received.wire, received.blocks
    if not blocks:
        return None
    role = Role.USER if wire.author == USER else Role.ASSISTANT
    usage = to_usage(wire.usage_metadata)
    return Message(provider=NAME, id=wire.id or "", role=role, content=blocks, usage=usage, **envelope)


def _to_parts(wire: WireEvent) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The parts of the content, without empty texts, and what could not be read of them."""
    read, problems = read_parts(wire.content.parts if wire.content else None, read_part, "content.parts")
    return tuple([_to_part(part, source) for part, source in read if part.text != ""]), problems


def _to_part(part: WirePart, source: bytes) -> Part:
    if part.text is not None:
        return Part(ThinkingBlock(text=part.text) if part.thought else TextBlock(text=part.text))
    if (call := part.function_call) is not None:
        block = ToolCallBlock(id=call.id, name=call.name, arguments=call.args or {})
        return Part(block, call.name, call.id, source)
    if (response := part.function_response) is not None:
        return Part(_to_tool_result(response), response.name, response.id, source)
    media = _to_media(part.inline_data or part.file_data or WireMedia())
    return Part(media or RawBlock(payload=decode_json(source)))


def _to_media(wire: WireMedia) -> MediaBlock | None:
    if wire.data is None and wire.file_uri is None:
        return None
    return MediaBlock(
        type="image" if (wire.mime_type or "").startswith("image/") else "document",
        url=wire.file_uri,
        data=None if wire.data is None else _to_base64(wire.data),
        media_type=wire.mime_type,
        title=wire.display_name,
    )


def _to_base64(text: str) -> str:
    """The same bytes in the standard alphabet, with padding: the server answers in the URL-safe one."""
    standard = text.translate(_TO_STANDARD_BASE64).rstrip("=")
    return standard + "=" * (-len(standard) % 4)


def _to_tool_result(wire: WireFunction) -> ToolResultBlock:
    """The result as text: `result` or `error` by itself, else the whole response as JSON."""
    response = wire.response or {}
    value: Any = response
    if len(response) == 1 and response.keys() <= {"result", "error"}:
        (value,) = response.values()
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    is_error = "error" in response and "result" not in response
    return ToolResultBlock(tool_call_id=wire.id, text=text, is_error=is_error)
