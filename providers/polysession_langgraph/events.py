"""Conversion of a thread's frames, and of new messages in its state, to common events.

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
    MessageStarted,
    Role,
    SessionStatus,
    StatusChanged,
    StreamGap,
    ThinkingCompleted,
    ThinkingStarted,
    ToolCallBlock,
    ToolCallCompleted,
    ToolCallStarted,
    ToolResultBlock,
    ToolResultCompleted,
    TurnStarted,
    Usage,
    UsageReported,
    add_usage,
    decoder,
    message_delta,
    raw_event,
    read_frame,
    thinking_delta,
    tool_call_delta,
)
from polysession_langgraph.messages import key_of, message_reader, state_messages, to_block, to_usage
from polysession_langgraph.sessions import NAME
from polysession_langgraph.wire import WireFailure, WireFrame, WireParams, WirePiece, WireRun, WireTool, WireUsage

Envelope: TypeAlias = dict[str, Any]
_MS: Final = 1000
_MOST_LATE: Final = 100
"""Largest difference between the last number and that of a frame that arrives late."""

_decode_failure: Final = decoder(WireFailure)
_decode_frame: Final = decoder(WireFrame)
_decode_piece: Final = decoder(WirePiece)
_decode_tool: Final = decoder(WireTool)

PIECES: Final = (
    *("message.started", "message.delta", "thinking.started", "thinking.delta"),
    *("tool_call.started", "tool_call.delta"),
)
"""Types of the events about a message that is not complete yet."""
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "metadata": ("turn.started", "session.status", "action.required", "turn.ended"),
    "values": ("message.completed", "tool_call.completed", "tool_result.completed", "usage", "raw"),
    "messages": (*PIECES, "thinking.completed", "tool_call.completed", "message.completed", "usage", "raw"),
    "tools": ("tool_result.completed", "raw"),
    "error": ("error",),
    **dict.fromkeys(("updates", "custom", "tasks", "checkpoints"), ("raw",)),
}
"""The common event types for each type of frame. Other types become `raw`."""
LOST: Final = (*PIECES, "thinking.completed", "raw")
"""Types of events that cannot be read from the state."""


class Position(msgspec.Struct):
    """Position of a stream, stored in its cursor. Frames of a run are numbered from 1.

    Attributes:
        last: Id of the last frame that was read; empty before the first. Frames of one millisecond may share an id.
        seq: Number of the last frame; None if it is unknown.
        delivered: Number of the last frame whose events were delivered. During a message, a cursor stays before the
            start of the message, because another reader needs all of its frames.
        after_run: Runs up to this id had ended when the stream began. Ids of runs sort by creation.
        ended: Id of the run whose end was delivered last.
        run: Id of the active run; None between two runs.
        failure: Checksum of the failure that was reported last in the active run; 0 without one.
        used: Tokens used by the active run, with the names of `Usage`; None if its start was not read.
        written: Key and checksum of the messages that were delivered from frames and were not in the state yet.
        tail: The `key_of` the last message of the state that was delivered.
        turn: Marker of the turn that the stream follows; empty for a stream of the whole session.
    """

    last: str = ""
    seq: int | None = None
    delivered: int = 0
    after_run: str = ""
    ended: str = ""
    run: str | None = None
    failure: int = 0
    used: dict[str, int] | None = None
    written: list[tuple[str, int]] = []
    tail: str | None = None
    turn: str = ""


class EventReader:
    """Reads the frames of one run in order, each once.

    Args:
        session_id: Id of the session.
        input_key: Key of the messages in the state.
        at: Position of the stream. The reader updates it.

    Attributes:
        has_lost: Whether frames of the run are lost. Its messages are then read from the state.
        failure: The failure that the stream reported; None if there was none.
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
        self._unstored: set[str] = set()  # tool calls whose delivered results are not in the state yet
        self._skipped: set[int] = set()  # lower numbers whose frames may still arrive

    @property
    def is_writing(self) -> bool:
        """Whether a message or a result is incomplete.

        The next frames cannot be read without the last ones then.
        """
        return bool(self._drafts or self._unstored)

    def envelope(self, frame: Frame, problems: tuple[str, ...]) -> Envelope:
        """Return the fields that all events of a frame have."""
        common = {"session_id": self._session_id, "turn_id": self._at.run, "source": frame.data, "problems": problems}
        return {**common, "id": frame.id, "native_type": frame.event}

    def start(self, run: WireRun, envelope: Envelope) -> Sequence[Event]:
        """Read the start of a run.

        After a restart of the server it starts again, and an open message is dropped.
        """
        at = self._at
        if at.run == run.run_id:
            gap = () if self._attempt in {None, run.attempt} else self.report_gap()
            self._attempt, at.seq = run.attempt, at.seq or 0
            return gap
        at.run, at.seq, at.delivered, at.failure, at.used = run.run_id, 0, 0, 0, {}
        self._attempt, self.has_lost = run.attempt, False
        envelope["turn_id"] = run.run_id
        running = StatusChanged(status=SessionStatus.RUNNING, native_status="busy", **{**envelope, "id": None})
        return (TurnStarted(**envelope), running)

    def report_gap(self) -> Sequence[Event]:
        """Continue without lost frames. Returns a gap, once for each run."""
        had_lost, self.has_lost = self.has_lost, True
        self._at.seq, self._at.delivered = None, 0
        self._drafts.clear()
        self._skipped.clear()
        gap = StreamGap(session_id=self._session_id, turn_id=self._at.run, lost=LOST, synthetic=True)
        return () if had_lost else (gap,)

    def read(self, frame: Frame) -> Sequence[Event] | None:
        """Return the events of one frame.

        None: frames before it may be missing, and it was not read.
        """
        if frame.event == "error":
            return self._read_error(frame)
        at = self._at
        wire, problems = read_frame(_decode_frame, frame)
        envelope = self.envelope(frame, problems)
        if wire is None or wire.seq is None:
            return (raw_event(**envelope),)
        is_late = wire.seq in self._skipped
        if not is_late:
            if at.seq is not None and wire.seq <= at.seq and order_of(frame.id) <= order_of(at.last):
                return ()  # the frame was sent again
            if (at.run is None and not self.has_lost) or at.seq not in {None, wire.seq - 1}:
                return None
            at.seq = wire.seq
        self._skipped.discard(wire.seq)
        is_again, at.delivered = not is_late and wire.seq <= at.delivered, max(wire.seq, at.delivered)
        tail = at.tail
        events = self._read_wire(wire, {**envelope, "id": f"{at.run}:{wire.seq}"})
        at.tail = tail if is_late else at.tail
        return [event for event in events if event.type in PIECES] if is_again else events

    def note_skipped(self, after: int | None) -> None:
        """Note that the numbers after this one, up to the last, were skipped.

        Their frames may arrive late.
        """
        last = self._at.seq or 0
        self._skipped.update(range(max((after or 0) + 1, last - _MOST_LATE), last))

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
        """Read a failure of the run. An open message is not completed after it."""
        wire, problems = read_frame(_decode_failure, frame)
        envelope = self.envelope(frame, problems)
        if wire is None:
            return (raw_event(**envelope),)
        self.failure, checksum = wire, zlib.crc32(f"{wire.error} {wire.message}".encode())
        if checksum == self._at.failure:
            return ()  # the frame was sent again; these frames have no number
        self._at.failure = checksum
        self._drafts.clear()
        text = wire.message or wire.error or "the run failed; the server sent no error message"
        return (ErrorReported(message=text, code=wire.error, **envelope),)

    def _read_values(self, namespace: Sequence[str], data: bytes, envelope: Envelope) -> Sequence[Event] | None:
        """Read the state after a step.

        States of subgraphs repeat the same messages and are not read.
        """
        return None if namespace else self.read_state(data, envelope)

    def read_state(self, values: bytes | msgspec.Raw, envelope: Envelope) -> Sequence[Event]:
        """Return the events of the messages in a state that were not delivered as frames.

        Raises:
            MalformedResponse: An item of the messages is not a message.
        """
        self._unstored.clear()
        found: list[Event] = []
        for message in self._new_messages(state_messages(values, self._input_key)):
            fields = {**envelope, "id": message.id or envelope.get("id"), "source": message.source}
            found += self._results(message, fields)
            if message.role in {Role.USER, Role.ASSISTANT} and not self._was_delivered(message):
                found += self._completed(message, fields)
        return found

    def _was_delivered(self, message: Message) -> bool:
        """Whether the message was delivered as frames.

        A node may store a model's message under another id.
        """
        identity, at = _identity(message), self._at
        found = next((each for part in (0, 1) for each in at.written if each[part] == identity[part]), None)
        at.written = [each for each in at.written if each is not found]
        return found is not None or key_of(message) in self._delivered

    def _new_messages(self, contents: Sequence[bytes]) -> Sequence[Message]:
        """Return the messages after the tail, oldest first.

        In the first state only the user's last ones are new.
        """
        at, new, inputs = self._at, list[Message](), 0
        for message in map(self._to_message, reversed(contents)):
            key = key_of(message)
            if key != at.tail:
                new.append(message)
            is_input = message.role is Role.USER and (inputs == len(new) - 1 or (self.has_lost and not inputs))
            is_start = key in {at.tail, at.turn}  # the message that was delivered last, or the one we sent
            if is_input or is_start:
                inputs = len(new)
            if is_start:
                break
        at.tail = key_of(new[0]) if new else at.tail
        return new[:inputs][::-1]

    def _completed(self, message: Message, envelope: Envelope) -> list[Event]:
        """Return the events of a whole message, and of its tool calls that were not delivered."""
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
        """Return a tool's result once, although both the state and the tools channel report it."""
        found: list[Event] = []
        for block in message.content:
            if isinstance(block, ToolResultBlock) and block.tool_call_id not in self._answered:
                self._answered.add(block.tool_call_id)
                fields = {"tool_call_id": block.tool_call_id, "text": block.text, "is_error": block.is_error}
                found.append(ToolResultCompleted(**fields, **envelope))
        return found

    def _read_tool(self, _: Sequence[str], data: bytes, envelope: Envelope) -> Sequence[Event] | None:
        """Read the end of a tool.

        Its start becomes a raw event, because the message already contains the call.
        """
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
        """Read a piece of an agent's message."""
        piece, key = _decode_piece(data)[0], "/".join(namespace)
        fragment = {**envelope, "id": None}
        if piece.event == "message-start" and piece.role == "ai":
            self._drafts[key] = Draft(piece.id)
            return (MessageStarted(message_id=piece.id, **fragment),)
        draft = self._drafts.get(key)
        if draft is None:  # a tool's message, or one whose start was not read
            return () if self.has_lost else None
        if piece.event == "message-finish":
            del self._drafts[key]
            message = self._written(draft, piece.usage, envelope)
            self._at.written = [*self._at.written, _identity(message)]
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


def order_of(event_id: str | None) -> tuple[int, int]:
    """Return the parts of a log id, `<milliseconds>-<number>`, for comparisons."""
    milliseconds, _, number = (event_id or "").partition("-")
    return (int(milliseconds), int(number)) if milliseconds.isdigit() and number.isdigit() else (0, 0)


def _identity(message: Message) -> tuple[str, int]:
    """Return the key of a message, and a checksum of its role and text."""
    return key_of(message), zlib.crc32(f"{message.role} {message.text}".encode())


class Draft:
    """A message that is not complete yet.

    Attributes:
        message_id: Id of the message.
        blocks: The finished blocks, by index. Several blocks may be open at once.
    """

    def __init__(self, message_id: str | None) -> None:
        self.message_id = message_id
        self.blocks: dict[int, Block] = {}
        self._thought = ""
        self._call_ids: dict[int, str] = {}

    def end_thought(self, envelope: Envelope) -> Sequence[Event]:
        """End a thought when the next block starts: the server ends all blocks together."""
        text, self._thought = self._thought, ""
        return (ThinkingCompleted(text=text, **envelope),) if text else ()

    def read(self, piece: WirePiece, fragment: Envelope) -> Sequence[Event] | None:
        """Return the event of a block's start or delta; None for a piece of another kind."""
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
                event = message_delta({"message_id": self.message_id, "text": text, **fragment})
            case "content-block-delta", {"type": "reasoning-delta", "reasoning": str() as text}:
                self._thought += text
                event = thinking_delta({"text": text, **fragment})
            case "content-block-delta", {"type": "tool-call-delta", "args": str() as text}:
                call_id = self._call_ids.get(piece.index or 0, "")
                event = tool_call_delta({"tool_call_id": call_id, "text": text, **fragment})
            case _:
                return None
        return (event,)
