"""Stored messages of AgentScope, and the events that are built from them.

A separate module, because the service stores no events: the history, the rest of a turn after a broken stream, and the
pending actions all come from stored messages. The whole reply to one input is one message.

Times of messages have no time zone and are in the server's local time: they stay in `source`.

Backend: `GET /sessions/{id}/messages` of `/openapi.json`, server 2.0.11 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from polysession.provider_api import (
    Block,
    Call,
    ErrorReported,
    Event,
    Flow,
    MalformedResponse,
    MediaBlock,
    Message,
    MessageCompleted,
    Page,
    RawBlock,
    Response,
    Role,
    TextBlock,
    ThinkingBlock,
    ThinkingCompleted,
    ToolCallBlock,
    ToolCallCompleted,
    ToolResultBlock,
    ToolResultCompleted,
    Usage,
    UsageError,
    decode_json,
    decoder,
    raw_event,
    read_list,
    read_whole,
)
from polysession_agentscope.sessions import NAME, SessionAddress, is_view, list_items
from polysession_agentscope.wire import (
    WireBlock,
    WireMessage,
    WireMessages,
    WireModelEnd,
    WireSource,
    WireUsage,
)

T = TypeVar("T")

PAGE: Final = 10
"""Page size for a search through the newest messages."""

_LARGEST_PAGE: Final = 200
ROLES: Final[Mapping[str | None, Role]] = {role.value: role for role in (Role.USER, Role.ASSISTANT, Role.SYSTEM)}
NOT_FAILED: Final = frozenset({"success", "running", None})
"""States of a tool result that are not a failure. A tool that is still running continues in the background, and its
output comes in a later turn."""

_PIECES: Final[Mapping[str, tuple[str, ...]]] = {
    "message.completed": ("message.started", "message.delta"),
    "thinking.completed": ("thinking.started", "thinking.delta"),
    "tool_call.completed": ("tool_call.started", "tool_call.delta"),
    "tool_result.completed": ("tool_result.delta",),
}
"""For each type of event, the types that precede it on the stream and are not stored."""

_read_message = decoder(WireMessage)
_read_messages = decoder(WireMessages)
_read_block = decoder(WireBlock)


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block of a stored message.

    Attributes:
        wire: The decoded block.
        source: Its JSON text.
        problems: The parts that could not be read.
    """

    wire: WireBlock
    source: bytes
    problems: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A key that is unique within its message: a tool call and its result share one id."""
        return f"{self.wire.type}:{self.wire.id}"

    @property
    def is_whole(self) -> bool:
        """Whether it is complete. The result of a tool that still runs is empty."""
        return self.wire.type != "tool_result" or self.wire.state != "running" or bool(self.wire.output)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A stored message.

    Attributes:
        wire: The decoded message.
        blocks: Its blocks, without the unreadable ones.
        source: Its JSON text.
        problems: The parts that could not be read.
    """

    wire: WireMessage
    blocks: tuple[StoredBlock, ...]
    source: bytes
    problems: tuple[str, ...]

    @property
    def id(self) -> str:
        """Id of the message. For a message of the agent it is the id of the reply."""
        return self.wire.id

    @property
    def is_reply(self) -> bool:
        """Whether the agent wrote it."""
        return self.wire.role == Role.ASSISTANT.value

    @property
    def has_ended(self) -> bool:
        """Whether it is a reply that has ended."""
        return bool(self.wire.finished_reason or self.wire.finished_at)


@dataclass(frozen=True, slots=True)
class HistoryTail:
    """The end of a session's history.

    Attributes:
        messages: The newest messages, oldest first. A server older than 2.0.6 returns more than were requested.
        cursor: Cursor of the event stream after these messages. None before the first event, and before server 2.0.10.
        has_stream: Whether the session has an event stream. On 2.0.0 each turn has its own, which cannot be resumed.
        is_running: Whether the session runs a turn or stores its result.
        problems: The items that are not messages.
    """

    messages: list[StoredMessage]
    cursor: str | None
    has_stream: bool
    is_running: bool = False
    problems: tuple[str, ...] = ()

    @property
    def replies(self) -> list[StoredMessage]:
        """The messages that the agent wrote."""
        return [message for message in self.messages if message.is_reply]


def read_stored(content: bytes) -> StoredMessage:
    """Read a stored message.

    Raises:
        MalformedResponse: It is not an object, or has no id.
    """
    wire, problems = _read_message(content)
    if isinstance(wire.content, str):  # bare text
        return StoredMessage(wire, (StoredBlock(WireBlock("text", text=wire.content), content),), content, problems)
    blocks: list[StoredBlock] = []
    found = list(problems)
    for index, raw in enumerate(wire.content or ()):
        source = bytes(raw)
        try:
            block, missing = _read_block(source)
        except MalformedResponse:
            found.append(f"content[{index}]: not an object")
            continue
        blocks.append(StoredBlock(block, source, missing))
        found += [f"content[{index}].{problem}" for problem in missing]
    return StoredMessage(wire, tuple(blocks), content, tuple(found))


def to_message(session_id: str, stored: StoredMessage) -> Message:
    """Return the record of a stored message."""
    return Message(
        provider=NAME,
        id=stored.id,
        session_id=session_id,
        role=ROLES.get(stored.wire.role, Role.UNKNOWN),
        content=tuple([to_block(block) for block in stored.blocks]),
        usage=None if stored.wire.usage is None else to_usage(stored.wire.usage),
        source=stored.source,
        problems=stored.problems,
    )


def assistant_message(session_id: str, message_id: str, block: Block, source: bytes) -> Message:
    """Return one block of a reply as a separate message."""
    return Message(
        provider=NAME, id=message_id, session_id=session_id, role=Role.ASSISTANT, content=(block,), source=source
    )


def to_block(block: StoredBlock) -> Block:
    """Return the record of a stored block.

    Hints to the model and unknown types become a `RawBlock`.
    """
    build = BLOCKS.get(block.wire.type)
    return RawBlock(payload=decode_json(block.source)) if build is None else build(block.wire)


def to_arguments(text: str | None) -> dict[str, Any]:
    """Return a tool's arguments from the model's JSON text.

    Text that is not a JSON object is under the key `input`.
    """
    try:
        value = decode_json((text or "{}").encode("utf-8", "surrogatepass"))
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"input": text}


def to_media(source: WireSource, title: str | None) -> MediaBlock:
    """Return the media block: an image if the media type says so, otherwise a document."""
    is_image = (source.media_type or "").startswith("image/")
    return MediaBlock(
        type="image" if is_image else "document",
        url=source.url,
        data=source.data,
        media_type=source.media_type,
        title=title,
    )


def to_output(output: str | list[WireBlock] | None) -> str:
    """Return the text of a tool's output."""
    if isinstance(output, list):
        return "".join(block.text or "" for block in output)
    return output or ""


def is_failed(state: str | None) -> bool:
    """Whether this state of a tool's result means a failure."""
    return state not in NOT_FAILED


def to_usage(wire: WireUsage | WireModelEnd) -> Usage:
    """Return the usage. `input_tokens` includes the cached tokens."""
    return Usage(
        input_tokens=wire.input_tokens,
        output_tokens=wire.output_tokens,
        cache_read_tokens=wire.cache_input_tokens,
        cache_creation_tokens=wire.cache_creation_input_tokens,
    )


def history_events(session_id: str, stored: StoredMessage) -> list[Event]:
    """Return a stored message as synthetic events."""
    if not stored.is_reply:
        message = to_message(session_id, stored)
        return [MessageCompleted(session_id=session_id, message=message, synthetic=True, source=stored.source)]
    events = list(missed_events(session_id, stored, set()))
    failure = stored.wire.error
    if failure is not None:
        events.append(
            ErrorReported(
                message=failure.message or f"the turn failed with {failure.type!r}",
                code=failure.type,
                session_id=session_id,
                turn_id=stored.id,
                synthetic=True,
                source=stored.source,
            )
        )
    return events


def missed_events(session_id: str, reply: StoredMessage, delivered: set[str]) -> Iterator[Event]:
    """Yield the events of the blocks that were not delivered yet.

    Args:
        session_id: Id of the session.
        reply: The stored reply.
        delivered: Keys of the delivered blocks. The keys of the yielded ones are added.
    """
    for block in reply.blocks:
        if block.key not in delivered and block.is_whole:
            delivered.add(block.key)
            envelope = {
                "session_id": session_id,
                "turn_id": reply.id,
                "synthetic": True,
                "source": block.source,
                "problems": block.problems,
            }
            yield _BLOCK_EVENTS.get(block.wire.type, _raw_event)(block, envelope)


def lost_with(missed: Iterable[Event]) -> tuple[str, ...]:
    """Return the event types that are lost if events are read from stored messages."""
    pieces = {piece for event in missed for piece in _PIECES.get(event.type, ())}
    return ("raw", *sorted(pieces))


def read_tail(
    address: SessionAddress,
    limit: int = 1,
    enough: Callable[[Sequence[StoredMessage]], bool] = lambda _: True,
    after_s: float = 0.0,
) -> Flow[HistoryTail]:
    """Read the newest messages, and older ones until there are enough.

    Args:
        address: The session.
        limit: Page size, 1 to 200.
        enough: Whether the messages read so far are enough.
        after_s: Seconds to wait before the first call.

    Raises:
        NotFound: There is no such session.
        MalformedResponse: The pages do not advance.
    """
    response = yield Call("GET", address.path("/messages", limit=limit), after_s=after_s)
    page, messages, problems = _read_page(response)
    cursor, is_running = page.event_cursor, bool(page.is_running)
    if page.has_more is None:
        messages, problems = yield from _read_from_oldest(address)
        return HistoryTail(messages, None, (yield from _lists_views(address)), is_running, problems)
    seen: set[str] = set()
    while page.has_more and not enough(messages):
        before = messages[0].id if messages else None
        if before is None or before in seen:
            raise MalformedResponse("the list of messages does not advance: a page contains no older message")
        seen.add(before)
        response = yield Call("GET", address.path("/messages", limit=limit, before=before))
        page, older, found = _read_page(response)
        messages, problems = older + messages, found + problems
    return HistoryTail(messages, cursor, has_stream=True, is_running=is_running, problems=problems)


def list_messages(address: SessionAddress, page_size: int | None, cursor: str | None) -> Flow[Page[Message]]:
    """Read one page of messages, oldest first.

    The cursor is the id of the last message of the previous page.

    Raises:
        UsageError: The cursor is not of this list.
    """
    return (yield from _list(address, page_size, cursor, lambda stored: (to_message(address.session_id, stored),)))


def list_newest(address: SessionAddress, page_size: int | None, cursor: str | None) -> Flow[Page[Message]]:
    """Read one page of messages, newest first.

    The cursor is the id of the oldest message of the previous page.

    Raises:
        UsageError: The cursor is not of this list (checked only for servers older than 2.0.6).
    """
    limit = min(page_size or _LARGEST_PAGE, _LARGEST_PAGE)
    response = yield Call("GET", address.path("/messages", limit=limit, before=cursor))
    page, messages, problems = _read_page(response)
    if page.has_more is None:  # a server older than 2.0.6 has neither `before` nor this order
        messages, problems = yield from _read_from_oldest(address)
        end = len(messages) if cursor is None else _index_of(cursor, messages)
        messages, has_more = messages[:end][-limit:], end > limit
    else:
        has_more = page.has_more
    if has_more and not messages:
        raise MalformedResponse("the response says there are older messages, but has no message to continue from")
    items = tuple([to_message(address.session_id, stored) for stored in reversed(messages)])
    return Page(items, messages[0].id if has_more else None, problems)


def list_events(address: SessionAddress, page_size: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """Read one page of messages as events.

    Raises:
        UsageError: The cursor is not of this list.
    """
    return (yield from _list(address, page_size, cursor, lambda stored: history_events(address.session_id, stored)))


def _list(
    address: SessionAddress,
    page_size: int | None,
    cursor: str | None,
    to_records: Callable[[StoredMessage], Sequence[T]],
) -> Flow[Page[T]]:
    tail = yield from read_tail(address, _LARGEST_PAGE, lambda stored: cursor in [message.id for message in stored])
    messages = tail.messages
    start = 0 if cursor is None else _index_of(cursor, messages) + 1
    end = len(messages) if page_size is None else start + page_size
    items = [record for stored in messages[start:end] for record in to_records(stored)]
    return Page(tuple(items), messages[end - 1].id if end < len(messages) else None, tail.problems)


def _index_of(cursor: str, messages: Sequence[StoredMessage]) -> int:
    """Return the position of the message that a caller's cursor names.

    Raises:
        UsageError: There is no such message.
    """
    for index, message in enumerate(messages):
        if message.id == cursor:
            return index
    raise UsageError(f"{cursor!r} is not a cursor of this list; pass the next_cursor of one of its pages")


def _read_page(response: Response) -> tuple[WireMessages, list[StoredMessage], tuple[str, ...]]:
    page = read_whole(_read_messages, response)
    messages = read_list(page.messages, read_stored)
    return page, list(messages.items), messages.problems


def _read_from_oldest(address: SessionAddress) -> Flow[tuple[list[StoredMessage], tuple[str, ...]]]:
    """Read all messages from a server older than 2.0.6, which lists the oldest first."""
    messages: list[StoredMessage] = []
    problems: tuple[str, ...] = ()
    offset = 0
    while True:
        response = yield Call("GET", address.path("/messages", limit=_LARGEST_PAGE, offset=offset))
        page, found, missing = _read_page(response)
        if messages and [message.id for message in found[:1]] == [messages[0].id]:
            raise MalformedResponse("the list of messages does not advance: the first page was returned again")
        messages, problems, offset = messages + found, problems + missing, offset + len(page.messages)
        if len(page.messages) < _LARGEST_PAGE:
            return messages, problems


def _lists_views(address: SessionAddress) -> Flow[bool]:
    """Whether the server is newer than 2.0.0.

    That version lists bare records and has no stream of a session.
    """
    items = yield from list_items(address.agent_id)
    return all(is_view(bytes(item)) for item in items)


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
    return ToolResultBlock(tool_call_id=wire.id or "", text=to_output(wire.output), is_error=is_failed(wire.state))


def _message_event(block: StoredBlock, envelope: dict[str, Any]) -> Event:
    message = assistant_message(envelope["session_id"], block.wire.id or "", to_block(block), block.source)
    return MessageCompleted(message=message, **envelope)


def _thinking_event(block: StoredBlock, envelope: dict[str, Any]) -> Event:
    return ThinkingCompleted(text=block.wire.thinking or "", **envelope)


def _call_event(block: StoredBlock, envelope: dict[str, Any]) -> Event:
    wire = block.wire
    return ToolCallCompleted(
        tool_call_id=wire.id or "", name=wire.name or "", arguments=to_arguments(wire.input), **envelope
    )


def _result_event(block: StoredBlock, envelope: dict[str, Any]) -> Event:
    wire = block.wire
    return ToolResultCompleted(
        tool_call_id=wire.id or "", text=to_output(wire.output), is_error=is_failed(wire.state), **envelope
    )


def _raw_event(block: StoredBlock, envelope: dict[str, Any]) -> Event:
    return raw_event(native_type=block.wire.type, **envelope)


BLOCKS: Final[Mapping[str, Callable[[WireBlock], Block]]] = {
    "text": _text,
    "thinking": _thinking,
    "data": _media,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
}
"""Reader for each type of block. Other types become a `RawBlock`."""

_BLOCK_EVENTS: Final[Mapping[str, Callable[[StoredBlock, dict[str, Any]], Event]]] = {
    "text": _message_event,
    "data": _message_event,
    "thinking": _thinking_event,
    "tool_call": _call_event,
    "tool_result": _result_event,
}
