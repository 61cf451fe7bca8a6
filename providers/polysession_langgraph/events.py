"""Frames of a thread's stream, and new messages of its state, to common events. Pure.

Observed on `GET /threads/{id}/stream` of langgraph-api 0.16.7 (2026-11-30). Backend:
https://docs.langchain.com/langsmith/event-streaming (read 2026-11-30)
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec

from polysession.provider_api import (
    Block,
    ErrorReported,
    Event,
    Frame,
    MalformedResponse,
    Message,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    Role,
    SessionStatus,
    StatusChanged,
    StreamGap,
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
    add_usage,
    decoder,
    raw_event,
    read_frame,
)
from polysession_langgraph.messages import key_of, message_reader, state_messages, to_block, to_usage
from polysession_langgraph.sessions import NAME
from polysession_langgraph.wire import WireFailure, WireFrame, WireParams, WirePiece, WireRun, WireTool, WireUsage

Envelope: TypeAlias = dict[str, Any]
_MS: Final = 1000

_decode_failure: Final = decoder(WireFailure)
_decode_frame: Final = decoder(WireFrame)
_decode_piece: Final = decoder(WirePiece)
_decode_tool: Final = decoder(WireTool)

PIECES: Final = (
    *("message.started", "message.delta", "thinking.started", "thinking.delta"),
    *("tool_call.started", "tool_call.delta"),
)
"""Types of events that are parts of a message which is being written."""
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "metadata": ("turn.started", "session.status", "action.required", "turn.ended"),
    "values": ("message.completed", "tool_call.completed", "tool_result.completed", "usage", "raw"),
    "messages": (*PIECES, "thinking.completed", "tool_call.completed", "message.completed", "usage", "raw"),
    "tools": ("tool_result.completed", "raw"),
    "error": ("error",),
    **dict.fromkeys(("updates", "custom", "tasks", "checkpoints"), ("raw",)),
}
"""The common events of each type of frame. A type that is not listed becomes `raw`."""
LOST: Final = (*PIECES, "thinking.completed", "raw")
"""Types of events that leave no trace in the state."""


class Position(msgspec.Struct):
    """Where a stream stands, as a cursor. Frames of a run are numbered from 1.

    Attributes:
        last: Id of the last frame that was read; empty before the first. Frames of one millisecond may share an id.
        seq: Number of the last frame; None if it is unknown.
        delivered: Number of the last frame whose events were delivered. While a message is being written, a cursor
            stays before its start, because another reader needs the whole of it.
        after_run: Runs up to this one were over when the stream began. Ids of runs sort by creation.
        ended: The run whose end was delivered last.
        run: The run that is going; None between two runs.
        used: Tokens that it has consumed, by the names of `Usage`; None if its start was not read.
        written: Marks of the messages that came as frames and were not in the state yet.
        tail: The `key_of` the last message of the state that was delivered.
        turn: The marker of the turn that the stream follows; empty for a stream of the whole session.
    """

    last: str = ""
    seq: int | None = None
    delivered: int = 0
    after_run: str = ""
    ended: str = ""
    run: str | None = None
    used: dict[str, int] | None = None
    written: list[tuple[str, int]] = []
    tail: str | None = None
    turn: str = ""


class EventReader:
    """Reads the frames of one run, in their order and each once.

    Args:
        session_id: The session.
        input_key: Key of the messages in the state.
        at: Where the stream stands. The reader moves it on.

    Attributes:
        has_lost: Whether frames of the run are lost: then its messages are taken from the state.
        failure: The failure that its stream reported; None if it reported none.
    """

    def __init__(self, session_id: str, input_key: str, at: Position) -> None:
        self.has_lost = False
        self.failure: WireFailure | None = None
        self._session_id = session_id
        self._input_key = input_key
        self._at = at
        self._attempt: int | None = None
        self._to_message = message_reader(session_id)
        self._readers = {"values": self._read_values, "messages": self._read_piece, "tools": self._read_tool}
        self._drafts: dict[str, Draft] = {}
        self._delivered: set[str] = set()  # messages and tool calls that were delivered whole
        self._answered: set[str] = set()  # tool calls whose results were delivered
        self._unstored: set[str] = set()  # those of them that are not in the state yet

    @property
    def is_writing(self) -> bool:
        """Whether the frames before are needed to read those that follow."""
        return bool(self._drafts or self._unstored)

    def envelope(self, frame: Frame, problems: tuple[str, ...]) -> Envelope:
        """The fields that all events of a frame have."""
        common = {"session_id": self._session_id, "turn_id": self._at.run, "source": frame.data, "problems": problems}
        return {**common, "id": frame.id, "native_type": frame.event}

    def start(self, run: WireRun, envelope: Envelope) -> Sequence[Event]:
        """The run starts. After a restart of the server it starts again: what it was writing is never completed."""
        at = self._at
        if at.run == run.run_id:
            gap = () if self._attempt in {None, run.attempt} else self.lose()
            self._attempt, at.seq = run.attempt, at.seq or 0
            return gap
        at.run, at.seq, at.delivered, at.used = run.run_id, 0, 0, {}
        self._attempt, self.has_lost = run.attempt, False
        envelope["turn_id"] = run.run_id
        running = StatusChanged(status=SessionStatus.RUNNING, native_status="busy", **{**envelope, "id": None})
        return (TurnStarted(**envelope), running)

    def lose(self) -> Sequence[Event]:
        """Continue although frames are lost: a gap, once for each run."""
        had_lost, self.has_lost = self.has_lost, True
        self._at.seq, self._at.delivered = None, 0
        self._drafts.clear()
        gap = StreamGap(session_id=self._session_id, turn_id=self._at.run, lost=LOST, synthetic=True)
        return () if had_lost else (gap,)

    def read(self, frame: Frame) -> Sequence[Event] | None:
        """The events of one frame; None if frames before it may be missing, and then it was not read."""
        if frame.event == "error":
            return self._read_error(frame)
        at = self._at
        wire, problems = read_frame(_decode_frame, frame)
        envelope = self.envelope(frame, problems)
        if wire is None or wire.seq is None:
            return (raw_event(**envelope),)
        if at.seq is not None and wire.seq <= at.seq and frame.id == at.last:
            return ()  # it came before
        if (at.run is None and not self.has_lost) or at.seq not in {None, wire.seq - 1}:
            return None
        at.seq = wire.seq
        is_again, at.delivered = wire.seq <= at.delivered, max(wire.seq, at.delivered)
        events = self._read_wire(wire, {**envelope, "id": f"{at.run}:{wire.seq}"})
        return [event for event in events if event.type in PIECES] if is_again else events

    def _read_wire(self, wire: WireFrame, envelope: Envelope) -> Sequence[Event]:
        params, reader = wire.params or WireParams(), self._readers.get(wire.method or "")
        if params.timestamp is not None:
            envelope["created_at"] = datetime.fromtimestamp(params.timestamp / _MS, UTC)
        events = None
        if reader is not None:
            with contextlib.suppress(MalformedResponse):
                events = reader(params.namespace or (), bytes(params.data), envelope)
        return (raw_event(**envelope),) if events is None else events

    def _read_error(self, frame: Frame) -> Sequence[Event]:
        """A failure of the run, which completes no message after it."""
        wire, problems = read_frame(_decode_failure, frame)
        envelope = self.envelope(frame, problems)
        if wire is None:
            return (raw_event(**envelope),)
        if wire == self.failure:
            return ()  # it came before: these frames have no number
        self.failure = wire
        self._drafts.clear()
        text = wire.message or wire.error or "the backend reports an error without a text"
        return (ErrorReported(message=text, code=wire.error, **envelope),)

    def _read_values(self, namespace: Sequence[str], data: bytes, envelope: Envelope) -> Sequence[Event] | None:
        """The state after a step. Subgraphs have states of their own, which repeat the same."""
        return None if namespace else self.read_state(data, envelope)

    def read_state(self, values: bytes | msgspec.Raw, envelope: Envelope) -> Sequence[Event]:
        """Events of what the state has and was not delivered: messages of a model came as frames, and others did not.

        Raises:
            MalformedResponse: Its messages are something else.
        """
        self._unstored.clear()
        found: list[Event] = []
        for message in self._new_messages(state_messages(values, self._input_key)):
            own = {**envelope, "id": message.id or envelope.get("id"), "source": message.source}
            found += self._results(message, own)
            if message.role in {Role.USER, Role.ASSISTANT} and not self._was_delivered(message):
                found += self._completed(message, own)
        return found

    def _was_delivered(self, message: Message) -> bool:
        """Whether it came as frames. A node may store what a model wrote under another id."""
        own, at = _marks(message), self._at
        found = next((marks for place in (0, 1) for marks in at.written if marks[place] == own[place]), None)
        at.written = [marks for marks in at.written if marks is not found]
        return found is not None or key_of(message) in self._delivered

    def _new_messages(self, contents: Sequence[bytes]) -> Sequence[Message]:
        """The messages after the tail, oldest first. Of a first state only those of people at its end are new."""
        at, new, inputs = self._at, list[Message](), 0
        for message in map(self._to_message, reversed(contents)):
            key = key_of(message)
            if key != at.tail:
                new.append(message)
            is_input = message.role is Role.USER and (inputs == len(new) - 1 or (self.has_lost and not inputs))
            is_start = key in {at.tail, at.turn}  # what was delivered last, or our own message
            if is_input or is_start:
                inputs = len(new)
            if is_start:
                break
        at.tail = key_of(new[0]) if new else at.tail
        return new[:inputs][::-1]

    def _completed(self, message: Message, envelope: Envelope) -> list[Event]:
        """A whole message, with those of its tool calls that were not delivered."""
        calls = [block for block in message.content if isinstance(block, ToolCallBlock)]
        found = [self._call(call, envelope) for call in calls if call.id not in self._delivered]
        self._delivered.add(key_of(message))
        found.append(MessageCompleted(message=message, **envelope))
        if message.usage is not None:
            if self._at.used is not None:
                total = add_usage(Usage(**self._at.used), message.usage) or message.usage
                self._at.used = total.model_dump(exclude_none=True)
            found.append(UsageReported(usage=message.usage, is_delta=True, **{**envelope, "id": None}))
        return found

    def _call(self, call: ToolCallBlock, envelope: Envelope) -> Event:
        self._delivered.add(call.id)
        return ToolCallCompleted(tool_call_id=call.id, name=call.name, arguments=call.arguments, **envelope)

    def _results(self, message: Message, envelope: Envelope) -> list[Event]:
        """A tool's result, once, although the state and the tools channel both report it."""
        found: list[Event] = []
        for block in message.content:
            if isinstance(block, ToolResultBlock) and block.tool_call_id not in self._answered:
                self._answered.add(block.tool_call_id)
                fields = {"tool_call_id": block.tool_call_id, "text": block.text, "is_error": block.is_error}
                found.append(ToolResultCompleted(**fields, **envelope))
        return found

    def _read_tool(self, _: Sequence[str], data: bytes, envelope: Envelope) -> Sequence[Event] | None:
        """A tool's end. Its start has no counterpart, because the call itself was reported in the message."""
        piece = _decode_tool(data)[0]
        if piece.event not in {"tool-error", "tool-finished"}:
            return None
        content = piece.message if piece.output is None else str(piece.output)
        output = piece.output if isinstance(piece.output, dict) else {"content": content}
        status = "error" if piece.event == "tool-error" else "success"
        whole = {"status": status, **output, "type": "tool", "tool_call_id": piece.tool_call_id}
        self._unstored.add(piece.tool_call_id or "")
        return self._results(self._to_message(msgspec.json.encode(whole)), envelope)

    def _read_piece(self, namespace: Sequence[str], data: bytes, envelope: Envelope) -> Sequence[Event] | None:
        """A piece of a message that the agent is writing."""
        piece, key = _decode_piece(data)[0], "/".join(namespace)
        fragment = {**envelope, "id": None}
        if piece.event == "message-start" and piece.role == "ai":
            self._drafts[key] = Draft(piece.id)
            return (MessageStarted(message_id=piece.id, **fragment),)
        draft = self._drafts.get(key)
        if draft is None:  # of a tool's message, or of one whose beginning was not read
            return () if self.has_lost else None
        if piece.event == "message-finish":
            del self._drafts[key]
            message = self._written(draft, piece.usage, envelope)
            self._at.written = [*self._at.written, _marks(message)]
            return self._completed(message, envelope)
        if piece.event == "content-block-finish":
            block = draft.blocks[piece.index or 0] = to_block(piece.content or {})
            if isinstance(block, ToolCallBlock):
                return (self._call(block, envelope),)
            return draft.end_thought(envelope)
        ended = draft.end_thought(envelope) if piece.event == "content-block-start" else ()
        events = draft.read(piece, fragment)
        return None if events is None else (*ended, *events)

    def _written(self, draft: Draft, usage: WireUsage | None, envelope: Envelope) -> Message:
        return Message(
            provider=NAME,
            id=draft.message_id or "",
            session_id=self._session_id,
            role=Role.ASSISTANT,
            content=tuple(block for _, block in sorted(draft.blocks.items())),
            usage=to_usage(usage),
            created_at=envelope.get("created_at"),
            source=envelope["source"],
        )


def _marks(message: Message) -> tuple[str, int]:
    return key_of(message), zlib.crc32(f"{message.role} {message.text}".encode())


class Draft:
    """A message that is being written.

    Attributes:
        message_id: Its id.
        blocks: The finished blocks, by index. Several may be open at once.
    """

    def __init__(self, message_id: str | None) -> None:
        self.message_id = message_id
        self.blocks: dict[int, Block] = {}
        self._thought = ""
        self._call_ids: dict[int, str] = {}

    def end_thought(self, envelope: Envelope) -> Sequence[Event]:
        """The end of a thought: where the next block starts, although the server ends all blocks together."""
        text, self._thought = self._thought, ""
        return (ThinkingCompleted(text=text, **envelope),) if text else ()

    def read(self, piece: WirePiece, fragment: Envelope) -> Sequence[Event] | None:
        """The event of a block's start or growth; None for a piece that is not modelled."""
        event: Event
        match piece.event, piece.content or piece.delta:
            case "content-block-start", {"type": "text"}:
                return ()
            case "content-block-delta", {"text": ""} | {"reasoning": ""} | {"args": ""}:
                return ()
            case "content-block-start", {"type": "reasoning"}:
                event = ThinkingStarted(**fragment)
            case "content-block-start", {"type": "tool_call_chunk", **chunk}:
                call_id = self._call_ids[piece.index or 0] = str(chunk.get("id") or "")
                event = ToolCallStarted(tool_call_id=call_id, name=str(chunk.get("name") or ""), **fragment)
            case "content-block-delta", {"type": "text-delta", "text": str() as text}:
                event = MessageDelta(message_id=self.message_id, text=text, **fragment)
            case "content-block-delta", {"type": "reasoning-delta", "reasoning": str() as text}:
                self._thought += text
                event = ThinkingDelta(text=text, **fragment)
            case "content-block-delta", {"type": "tool-call-delta", "args": str() as text}:
                event = ToolCallDelta(tool_call_id=self._call_ids.get(piece.index or 0, ""), text=text, **fragment)
            case _:
                return None
        return (event,)
