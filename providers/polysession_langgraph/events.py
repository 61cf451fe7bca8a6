"""Frames of a thread's stream, and messages of its state, to common events and messages. Pure.

Observed on `GET /threads/{id}/stream` of langgraph-api 0.16.7 (2026-11-30). Backend:
https://docs.langchain.com/langsmith/event-streaming (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec

from polysession.provider_api import (
    Block,
    ErrorReported,
    Event,
    Frame,
    Message,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    RawBlock,
    Role,
    SessionStatus,
    StatusChanged,
    StreamGap,
    TextBlock,
    ThinkingBlock,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallBlock,
    ToolCallCompleted,
    ToolCallDelta,
    ToolCallStarted,
    ToolResultBlock,
    ToolResultCompleted,
    TurnStarted,
    Usage,
    UsageReported,
    decoder,
    raw_event,
    read_frame,
)
from polysession_langgraph.sessions import NAME
from polysession_langgraph.wire import (
    WireErrorFrame,
    WireFrame,
    WireMessage,
    WireMessageFrame,
    WireRunMark,
    WireToolFrame,
    WireUsage,
)

Envelope: TypeAlias = dict[str, Any]
_ROLES: Final[Mapping[str, Role]] = {
    "human": Role.USER,
    "ai": Role.ASSISTANT,
    "system": Role.SYSTEM,
}
_MS: Final = 1000
FRAGMENTS: Final = (
    *("message.started", "message.delta", "thinking.started", "thinking.delta", "thinking.completed"),
    *("tool_call.started", "tool_call.delta", "raw"),
)
"""Types of events that leave no trace in the state."""
_DELTAS: Final[Mapping[str, str]] = {"text-delta": "text", "reasoning-delta": "reasoning", "tool-call-delta": "args"}
"""Where each kind of piece keeps its text."""

read_message: Final = decoder(WireMessage)
_read_mark: Final = decoder(WireRunMark)
_read_frame: Final = decoder(WireFrame)
_read_message_frame: Final = decoder(WireMessageFrame)
_read_tool_frame: Final = decoder(WireToolFrame)
_read_error: Final = decoder(WireErrorFrame)


class RunDone:
    """Returned in place of an event when a run is over: the outcome has to be looked up.

    Attributes:
        run_id: The run.
        error: The failure that the stream reported; None if it reported none.
    """

    def __init__(self, run_id: str, error: WireErrorFrame | None) -> None:
        self.run_id = run_id
        self.error = error


class EventReader:
    """Reads the frames of one session, in their order and each once.

    Attributes:
        run_id: The run that the frames belong to; None before the first one.
        message_count: How many messages of the state were delivered; None before the first state came.
        completed: Ids of the messages and tool calls that were delivered whole.
        results: Ids of the tool calls whose results were delivered.
        has_lost: Whether frames of the run were lost.
        seq: Number of the last frame within its run; None if it is unknown. The server may lose frames where a stream
            was opened again: then the numbers jump, and messages are taken from the state.

    Args:
        session_id: The session.
        input_key: Key of the messages in the state.
        message_count: How many messages of the state another stream delivered.
        input_id: Id of our own message; empty without one.
        has_input: Whether the first run has a message as its input; answers are none.
    """

    def __init__(
        self,
        session_id: str,
        input_key: str = "messages",
        message_count: int | None = None,
        input_id: str = "",
        *,
        has_input: bool = True,
    ) -> None:
        self.session_id = session_id
        self.run_id: str | None = None
        self.message_count = message_count
        self._input_key = input_key
        self._input_id = input_id
        self._has_input = has_input
        self._drafts: dict[str, Draft] = {}
        self.results: set[str] = set()
        self.completed: set[str | None] = set()
        self.has_lost = False
        self._error: WireErrorFrame | None = None
        self.seq: int | None = None

    def read(self, frame: Frame) -> Sequence[Event | RunDone]:
        """The events of one frame; after frames that were lost, a gap before them."""
        had_lost = self.has_lost
        events = self._read(frame)
        if self.has_lost and not had_lost:
            return (self.gap(), *events)
        return events

    def gap(self) -> StreamGap:
        """Pieces of messages and tool calls are lost; the whole is taken from the state."""
        return StreamGap(session_id=self.session_id, turn_id=self.run_id, lost=FRAGMENTS, synthetic=True)

    def _read(self, frame: Frame) -> Sequence[Event | RunDone]:
        if frame.event == "metadata":
            return self._read_mark(frame)
        if frame.event == "error":
            return self._read_error(frame)
        wire, problems = read_frame(_read_frame, frame)
        if wire is not None and wire.seq is not None:
            if self.seq is not None and wire.seq <= self.seq:
                return ()  # it came before
            if self.seq is not None and wire.seq > self.seq + 1:
                self.has_lost, self._drafts = True, {key: Draft(None) for key in self._drafts}
            self.seq = wire.seq
        envelope: Envelope = {
            "id": frame.id if wire is None or wire.seq is None else f"{self.run_id}:{wire.seq}",
            "turn_id": self.run_id,
            "native_type": frame.event,
            "problems": problems,
        }
        reader = _READERS.get(wire.method or "") if wire is not None else None
        if wire is None or wire.params is None or reader is None:
            return (raw_event(self.session_id, frame.data, **envelope),)
        if wire.params.timestamp is not None:
            envelope["created_at"] = datetime.fromtimestamp(wire.params.timestamp / _MS, UTC)
        events = reader(self, wire, {**envelope, "session_id": self.session_id, "source": frame.data})
        return events if events is not None else (raw_event(self.session_id, frame.data, **envelope),)

    @property
    def is_writing(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._drafts)

    def _read_mark(self, frame: Frame) -> Sequence[Event | RunDone]:
        wire, problems = read_frame(_read_mark, frame)
        envelope: Envelope = {"id": frame.id, "native_type": "metadata", "problems": problems}
        if wire is None or wire.run_id is None:
            return (raw_event(self.session_id, frame.data, **envelope),)
        if wire.status == "run_done":
            error, self._error = self._error, None
            return (RunDone(wire.run_id, error),)
        is_again, self.run_id = wire.run_id == self.run_id, wire.run_id
        self.seq, self._drafts, self._error, self.has_lost = 0, {}, None, False
        if is_again:
            return ()  # another attempt of the same run, after a restart of the server
        envelope |= {"session_id": self.session_id, "turn_id": wire.run_id, "source": frame.data}
        running = StatusChanged(status=SessionStatus.RUNNING, native_status="busy", **{**envelope, "id": None})
        return (TurnStarted(**envelope), running)

    def _read_error(self, frame: Frame) -> Sequence[Event]:
        wire, problems = read_frame(_read_error, frame)
        envelope: Envelope = {"id": frame.id, "turn_id": self.run_id, "native_type": "error", "problems": problems}
        if wire is None:
            return (raw_event(self.session_id, frame.data, **envelope),)
        self._error = wire
        text = wire.message or wire.error or "the backend reports an error without a text"
        return (
            ErrorReported(message=text, code=wire.error, session_id=self.session_id, source=frame.data, **envelope),
        )

    def values(self, wire: WireFrame, envelope: Envelope) -> Sequence[Event] | None:
        """New messages of the state after a step. Subgraphs have states of their own, which repeat the same."""
        if wire.params is None or wire.params.namespace:
            return None
        messages = state_messages(bytes(wire.params.data), self._input_key)
        first_new = self._first_new(messages) if self.message_count is None else self.message_count
        self.message_count = len(messages)
        found: list[Event] = []
        for content in messages[first_new:]:
            message, problems = read_message(content)
            found += self._stored(message, {**envelope, "source": content, "problems": problems})
        return found

    def _first_new(self, messages: Sequence[bytes]) -> int:
        """Where the input begins in the first state of a run: at our message, or at those of people at its end."""
        first = len(messages)
        for content in reversed(messages if self._has_input else ()):
            message = read_message(content)[0]
            if message.type != "human":
                break
            first -= 1
            if message.id == self._input_id:
                break
        return first

    def _stored(self, wire: WireMessage, envelope: Envelope) -> Sequence[Event]:
        """A message of the state: of a person, or of a tool. The agent's own came as frames."""
        envelope["id"] = wire.id or envelope["id"]
        if wire.type == "human":
            message = to_message(self.session_id, envelope["source"], created_at=envelope.get("created_at"))
            return (MessageCompleted(message=message, **envelope),)
        if wire.type == "tool":
            return self.tool_result(wire.tool_call_id or "", text_of(wire), wire.status == "error", envelope)
        if wire.type == "ai" and self.has_lost and wire.id not in self.completed:
            return self.completed_of(to_message(self.session_id, envelope["source"]), envelope)
        return ()

    def completed_of(self, message: Message, envelope: Envelope) -> Sequence[Event]:
        """A message whose frames were lost, as the state has it."""
        calls = [block for block in message.content if isinstance(block, ToolCallBlock)]
        found: list[Event] = [
            ToolCallCompleted(tool_call_id=each.id, name=each.name, arguments=each.arguments, **envelope)
            for each in calls
            if each.id not in self.completed
        ]
        self.completed.add(message.id)
        found.append(MessageCompleted(message=message, **envelope))
        if message.usage is not None:
            found.append(UsageReported(usage=message.usage, is_delta=True, **{**envelope, "id": None}))
        return found

    def tool_result(self, call_id: str, text: str, failed: object, envelope: Envelope) -> Sequence[Event]:
        """A tool's result, once, although the state and the tools channel both report it."""
        if call_id in self.results:
            return ()
        self.results.add(call_id)
        return (ToolResultCompleted(tool_call_id=call_id, text=text, is_error=bool(failed), **envelope),)

    def messages(self, wire: WireFrame, envelope: Envelope) -> Sequence[Event] | None:
        """A piece of a message that the agent is writing."""
        params = wire.params
        if params is None:
            return None
        piece, _ = _read_message_frame(bytes(params.data))
        key = "/".join(params.namespace or ())
        if piece.event == "message-start" and piece.role == "ai":
            self._drafts[key] = Draft(piece.id)
            return (MessageStarted(message_id=piece.id, **{**envelope, "id": None}),)
        draft = self._drafts.get(key)
        if draft is None:
            return () if self.has_lost else None  # of a tool's message, or of one whose beginning was not read
        if piece.event == "message-finish":
            del self._drafts[key]
            if draft.message_id is None and self.has_lost:
                return ()  # incomplete: the state has it whole
            return self._finished(draft, piece.usage, envelope)
        events = draft.read(piece, envelope)
        self.completed |= {event.tool_call_id for event in events or () if isinstance(event, ToolCallCompleted)}
        return events

    def _finished(self, draft: Draft, wire_usage: WireUsage | None, envelope: Envelope) -> Sequence[Event]:
        usage = to_usage(wire_usage)
        self.completed.add(draft.message_id)
        message = Message(
            provider=NAME,
            id=draft.message_id or "",
            session_id=self.session_id,
            role=Role.ASSISTANT,
            content=tuple(draft.blocks[index] for index in sorted(draft.blocks)),
            usage=usage,
            created_at=envelope.get("created_at"),
            source=envelope["source"],
        )
        completed = MessageCompleted(message=message, **envelope)
        if usage is None:
            return (completed,)
        return (completed, UsageReported(usage=usage, is_delta=True, **{**envelope, "id": None}))

    def tools(self, wire: WireFrame, envelope: Envelope) -> Sequence[Event] | None:
        """A tool's end. Its start has no counterpart, because the call itself was reported in the message."""
        piece, _ = _read_tool_frame(bytes(wire.params.data) if wire.params else b"{}")
        if piece.event == "tool-error":
            return self.tool_result(piece.tool_call_id or "", piece.message or "", failed=True, envelope=envelope)
        if piece.event == "tool-finished":
            output, _ = (
                read_message(msgspec.json.encode(piece.output)) if isinstance(piece.output, dict) else (None, ())
            )
            text = str(piece.output) if output is None else text_of(output)
            failed = output is not None and output.status == "error"
            return self.tool_result(piece.tool_call_id or "", text, failed, envelope)
        return None


class Draft:
    """A message that is being written.

    Attributes:
        message_id: Its id.
        blocks: The finished blocks, by index. Several may be open at once.
    """

    def __init__(self, message_id: str | None) -> None:
        self.message_id = message_id
        self.blocks: dict[int, Block] = {}
        self._call_ids: dict[int, str] = {}

    def read(self, piece: WireMessageFrame, envelope: Envelope) -> Sequence[Event] | None:
        """The event of one piece; None for a piece that is not modelled."""
        index, fragment = piece.index or 0, {**envelope, "id": None}
        content = piece.content or {}
        if piece.event == "content-block-start":
            return self._start(index, content, fragment)
        if piece.event == "content-block-delta":
            return self._delta(index, piece.delta or {}, fragment)
        if piece.event == "content-block-finish":
            return self._finish(index, content, envelope)
        return None

    def _start(self, index: int, content: dict[str, Any], fragment: Envelope) -> Sequence[Event] | None:
        kind = content.get("type")
        if kind == "reasoning":
            return (ThinkingStarted(**fragment),)
        if kind == "tool_call_chunk":
            call_id = self._call_ids[index] = str(content.get("id") or "")
            return (ToolCallStarted(tool_call_id=call_id, name=str(content.get("name") or ""), **fragment),)
        return () if kind == "text" else None

    def _delta(self, index: int, delta: dict[str, Any], fragment: Envelope) -> Sequence[Event] | None:
        key = _DELTAS.get(str(delta.get("type")))
        if key is None:
            return None
        text = str(delta.get(key) or "")
        if not text:
            return ()
        if key == "text":
            return (MessageDelta(message_id=self.message_id, text=text, **fragment),)
        if key == "reasoning":
            return (ThinkingDelta(text=text, **fragment),)
        return (ToolCallDelta(tool_call_id=self._call_ids.get(index, ""), text=text, **fragment),)

    def _finish(self, index: int, content: dict[str, Any], envelope: Envelope) -> Sequence[Event]:
        block = self.blocks[index] = to_block(content)
        if isinstance(block, ThinkingBlock):
            return (ThinkingCompleted(text=block.text, **envelope),)
        if isinstance(block, ToolCallBlock):
            call = {"tool_call_id": block.id, "name": block.name, "arguments": block.arguments}
            return (ToolCallCompleted(**call, **envelope),)
        return ()


_READERS: Final[Mapping[str, Callable[[EventReader, WireFrame, Envelope], Sequence[Event] | None]]] = {
    "values": EventReader.values,
    "messages": EventReader.messages,
    "tools": EventReader.tools,
}

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "metadata": ("turn.started", "session.status", "action.required", "turn.ended"),
    "values": ("message.completed", "tool_result.completed", "raw"),
    "messages": (
        "message.started",
        "message.delta",
        "message.completed",
        "thinking.started",
        "thinking.delta",
        "thinking.completed",
        "tool_call.started",
        "tool_call.delta",
        "tool_call.completed",
        "usage",
        "raw",
    ),
    "tools": ("tool_result.completed", "raw"),
    "error": ("error",),
    "updates": ("raw",),
    "custom": ("raw",),
    "tasks": ("raw",),
    "checkpoints": ("raw",),
}
"""The common events of each type of frame. A type that is not listed becomes `raw`."""


def state_messages(state: bytes, input_key: str) -> list[bytes]:
    """The JSON texts of the messages in a state; none if it has another form."""
    try:
        values = msgspec.json.decode(state, type=dict[str, msgspec.Raw])
        return [bytes(item) for item in msgspec.json.decode(values[input_key], type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, KeyError):
        return []


def to_message(session_id: str, content: bytes, *, created_at: datetime | None = None) -> Message:
    """Read a message of the state."""
    wire, problems = read_message(content)
    parts = [wire.content] if isinstance(wire.content, str) else wire.content or []
    blocks = [to_block(part) for part in parts if part]
    if wire.type == "tool":
        result = ToolResultBlock(
            tool_call_id=wire.tool_call_id or "", text=text_of(wire), is_error=wire.status == "error"
        )
        blocks = [result]
    called = {block.id for block in blocks if isinstance(block, ToolCallBlock)}
    blocks += [
        ToolCallBlock(id=call.id or "", name=call.name or "", arguments=call.args or {})
        for call in wire.tool_calls or ()
        if call.id not in called
    ]
    return Message(
        provider=NAME,
        id=wire.id or "",
        session_id=session_id,
        role=_ROLES.get(wire.type or "", Role.UNKNOWN),
        author=wire.name,
        content=tuple(blocks),
        usage=to_usage(wire.usage_metadata),
        created_at=created_at,
        source=content,
        problems=problems,
    )


def to_block(part: dict[str, Any] | str) -> Block:
    """Read a content block, of a message or of a frame."""
    if isinstance(part, str):
        return TextBlock(text=part)
    match part.get("type"):
        case "text" if isinstance(part.get("text"), str):
            return TextBlock(text=part["text"])
        case "reasoning" if isinstance(part.get("reasoning"), str):
            return ThinkingBlock(text=part["reasoning"])
        case "tool_call" if isinstance(part.get("args", {}), dict):
            arguments = part.get("args") or {}
            return ToolCallBlock(id=str(part.get("id") or ""), name=str(part.get("name") or ""), arguments=arguments)
    return RawBlock(payload=part)


def text_of(wire: WireMessage) -> str:
    """The text of a message."""
    parts = [wire.content] if isinstance(wire.content, str) else wire.content or []
    return "".join(block.text for block in map(to_block, parts) if isinstance(block, TextBlock))


def to_usage(wire: WireUsage | None) -> Usage | None:
    """Tokens of one message."""
    if wire is None:
        return None
    cached = (wire.input_token_details or {}).get("cache_read")
    return Usage(
        input_tokens=wire.input_tokens,
        output_tokens=wire.output_tokens,
        cache_read_tokens=cached if isinstance(cached, int) else None,
    )
