"""Reader of the ADK API server's events, for frames and for stored events.

The server has one type of object, the event. Its members decide which common events it becomes. Fragments (`partial`)
have the id of the complete event that follows them, and are not stored.

Backend: https://google.github.io/adk-docs/events/ and https://google.github.io/adk-docs/tools-custom/confirmation/
(read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from polysession import provider_api as api
from polysession.provider_api import Block, Event, Message, ThinkingBlock, ToolCallBlock, ToolResultBlock
from polysession_adk.wire import WireErrorDetails, WireEvent, WireFunction, WireMedia, WirePart, WireUsage, read_part

Parts: TypeAlias = Sequence[tuple[WirePart, bytes]]
"""The parts of a content, each as a struct and as JSON text."""

NAME: Final = "adk"
USER: Final = "user"
ABORTED: Final = "INVOCATION_ABORTED"
_REQUESTS: Final = "adk_request_"
_NO_ERRORS: Final = frozenset({None, ABORTED, "MODEL_RETURNED_NO_CONTENT"})
"""Error codes that are not errors: an abort is an outcome, and the code of an empty model response is sent only without
streaming."""
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
"""Members of an event, each with the common event types that it is read as."""


class Received(NamedTuple):
    """One frame or stored event after reading.

    Attributes:
        wire: The event.
        parts: The parts of its content.
        message: The event as a message; None for a fragment, and for an event outside the conversation.
        events: The event as common events.
    """

    wire: WireEvent
    parts: Parts = ()
    message: Message | None = None
    events: tuple[Event, ...] = ()

    @property
    def calls(self) -> dict[str, tuple[WireFunction, bytes]]:
        """The function calls in the event, by id, each with the JSON text of its part."""
        return {call.id: (call, source) for part, source in self.parts if (call := part.function_call)}

    @property
    def results(self) -> set[str]:
        """Ids of the calls to which the event contains responses."""
        return {response.id for part, _ in self.parts if (response := part.function_response)}


class EventReader:
    """Reads the events of a session or of one turn, in order."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._read = api.record_reader(WireEvent, partial(_to_received, session_id))
        self._thoughts: dict[str | None, str] = {}  # incomplete thoughts by author; an empty text was delivered
        self._error_code = ""  # error code of the previous event, which an error frame may repeat

    def read(self, content: bytes) -> Received:
        """Read one frame or stored event. JSON that is not an event becomes a `RawEvent`."""
        try:
            received = self._read(content)
        except api.MalformedResponse as error:
            unread = api.raw_event(self._session_id, content, problems=(error.message,))
            return Received(WireEvent(), events=(unread,))
        return received._replace(events=tuple(self._adjusted(received)))

    def _adjusted(self, received: Received) -> Iterator[Event]:
        """Yield the events, with a complete thought before the first text, and without repetitions.

        The server sends a complete thought only together with the message, and an error as an event and as a frame.
        """
        wire = received.wire
        before, self._error_code = self._error_code, wire.error_code or ""
        for event in received.events:
            is_repeated = isinstance(event, api.ErrorReported) and event.id is None and event.code == before
            thought = self._thoughts.get(wire.author)  # not by id: in 1.39.1 each fragment has a different id
            if isinstance(event, api.ThinkingDelta):
                self._thoughts[wire.author] = (thought or "") + event.text
            elif isinstance(event, api.MessageDelta) and thought:
                whole = {"type": "thinking.completed", "text": thought, "synthetic": True}
                yield api.ThinkingCompleted(**{**vars(event), **whole})
                self._thoughts[wire.author] = ""
            elif isinstance(event, api.ThinkingCompleted):
                is_repeated = thought is not None and not thought
            if not is_repeated:
                yield event
        if not wire.partial:
            self._thoughts.pop(wire.author, None)


def _to_received(session_id: str, wire: WireEvent, content: bytes, problems: tuple[str, ...]) -> Received:
    """Read one frame or stored event, without regard to earlier ones."""
    read, unread = api.read_parts(wire.content.parts if wire.content else None, read_part, "content.parts")
    parts = [(part, source) for part, source in read if part.text != ""]
    envelope = {
        "session_id": session_id,
        "turn_id": wire.invocation_id,
        "created_at": wire.timestamp,
        "author": None if wire.author == USER else wire.author,
        "source": content,
        "problems": problems + unread,
    }
    if wire.partial:
        return Received(wire, parts, events=tuple(_read_fragment(wire, parts, envelope)))
    envelope["id"] = wire.id
    message = _to_message(wire, parts, envelope)
    return Received(wire, parts, message, tuple(_read_whole(wire, parts, message, envelope)))


def _to_message(wire: WireEvent, parts: Parts, envelope: Mapping[str, Any]) -> Message | None:
    blocks = tuple([_to_block(part, source) for part, source in parts if not _is_hidden(part, wire)])
    if not blocks:
        return None
    role = api.Role.USER if wire.author == USER else api.Role.ASSISTANT
    fields = {**envelope, "id": wire.id or "", "usage": to_usage(wire.usage_metadata)}
    return Message(provider=NAME, role=role, content=blocks, **fields)


def _is_hidden(part: WirePart, wire: WireEvent) -> bool:
    """Whether a part is not shown in the conversation.

    Such a part is a request to the caller, its answer, or a tool's placeholder result before a confirmation.
    """
    function = part.function_call or part.function_response or WireFunction()
    is_placeholder = part.function_response and function.id in (wire.actions.requested_tool_confirmations or ())
    return bool(is_placeholder) or function.name.startswith(_REQUESTS)


def _read_fragment(wire: WireEvent, parts: Parts, envelope: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the deltas of a fragment.

    Function calls stay raw: their ids differ from those in the complete event.
    """
    envelope = {**envelope, "native_type": "partial"}
    for part, _ in parts:
        if part.text is not None and part.thought:
            yield api.thinking_delta({"text": part.text, **envelope})
        elif part.text is not None:
            yield api.message_delta({"message_id": wire.id, "text": part.text, **envelope})
    if any(part.text is None for part, _ in parts):
        yield api.raw_event(**envelope)


def _read_whole(wire: WireEvent, parts: Parts, message: Message | None, envelope: Mapping[str, Any]) -> Iterator[Event]:
    blocks = () if message is None else message.content
    thought = "".join([block.text for block in blocks if isinstance(block, ThinkingBlock)])
    if thought:
        yield api.ThinkingCompleted(text=thought, native_type="content", **envelope)
    if not all(isinstance(block, ThinkingBlock | ToolCallBlock | ToolResultBlock) for block in blocks):
        yield api.MessageCompleted(message=message, native_type="content", **envelope)
    for block in blocks:
        if isinstance(block, ToolCallBlock):
            called = {"tool_call_id": block.id, "name": block.name, "arguments": block.arguments}
            yield api.ToolCallCompleted(native_type="functionCall", **called, **envelope)
        elif isinstance(block, ToolResultBlock):
            result = {"tool_call_id": block.tool_call_id, "text": block.text, "is_error": block.is_error}
            yield api.ToolResultCompleted(native_type="functionResponse", **result, **envelope)
    if (usage := to_usage(wire.usage_metadata)) is not None:
        yield api.UsageReported(usage=usage, is_delta=True, native_type="usageMetadata", **envelope)
    if (failure := to_failure(wire)) is not None:
        native_type = "errorCode" if wire.error is None else "error"
        yield api.ErrorReported(message=failure.message, code=failure.code, native_type=native_type, **envelope)
    # Content that no other event contains. Requests to the caller are delivered by `action.required`.
    is_empty = not (parts or wire.usage_metadata or wire.error or wire.error_code)
    hides_result = any(part.function_response and _is_hidden(part, wire) for part, _ in parts)
    if is_empty or hides_result or wire.actions.artifact_delta:
        yield api.raw_event(native_type="actions", **envelope)


def to_failure(wire: WireEvent) -> api.ErrorDetail | None:
    """Return the failure in an event or an error frame; None without a failure."""
    if wire.error is not None:
        details = wire.error_details or WireErrorDetails()
        return api.ErrorDetail(details.error_message or wire.error, details.error_type)
    if wire.error_code in _NO_ERRORS:
        return None
    return api.ErrorDetail(wire.error_message or wire.error_code or "", wire.error_code)


def to_usage(wire: WireUsage | None) -> api.Usage | None:
    """Return the usage of one model call.

    The output includes thoughts, and the input includes cached tokens.
    """
    if wire is None:
        return None
    written = [count for count in (wire.candidates_token_count, wire.thoughts_token_count) if count is not None]
    return api.Usage(
        input_tokens=wire.prompt_token_count,
        output_tokens=sum(written) if written else None,
        cache_read_tokens=wire.cached_content_token_count,
    )


def _to_block(part: WirePart, source: bytes) -> Block:
    if part.text is not None:
        return ThinkingBlock(text=part.text) if part.thought else api.TextBlock(text=part.text)
    if (call := part.function_call) is not None:
        return ToolCallBlock(id=call.id, name=call.name, arguments=call.args or {})
    if (response := part.function_response) is not None:
        return _to_tool_result(response)
    media = part.inline_data or part.file_data or WireMedia()
    has_media = media.data is not None or media.file_uri is not None
    return _to_media(media) if has_media else api.RawBlock(payload=api.decode_json(source))


def _to_media(wire: WireMedia) -> Block:
    """Return media with padded base64 in the standard alphabet.

    The server uses the URL-safe alphabet.
    """
    data = None if wire.data is None else wire.data.translate(_TO_STANDARD_BASE64).rstrip("=")
    return api.MediaBlock(
        type="image" if (wire.mime_type or "").startswith("image/") else "document",
        url=wire.file_uri,
        data=None if data is None else data + "=" * (-len(data) % 4),
        media_type=wire.mime_type,
        title=wire.display_name,
    )


def _to_tool_result(wire: WireFunction) -> Block:
    """Return a tool's result as text.

    It is the value of `result` or `error` if that is the only member, otherwise the JSON of all members.
    """
    response = wire.response or {}
    value: Any = response
    if len(response) == 1 and response.keys() <= {"result", "error"}:
        (value,) = response.values()
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    is_error = "error" in response and "result" not in response
    return ToolResultBlock(tool_call_id=wire.id, text=text, is_error=is_error)
