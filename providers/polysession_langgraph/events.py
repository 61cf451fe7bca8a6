"""Frames of a thread's stream, and new messages of its state, to common events. Pure.

Observed on `GET /threads/{id}/stream` of langgraph-api 0.16.7 (2026-11-30). Backend:
https://docs.langchain.com/langsmith/event-streaming (read 2026-11-30)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

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
from polysession_langgraph.messages import key_of, message_reader, state_messages, to_block, to_usage
from polysession_langgraph.sessions import NAME
from polysession_langgraph.wire import WireFailure, WireFrame, WirePiece, WireRun, WireTool, WireUsage

Envelope: TypeAlias = dict[str, Any]
_MS: Final = 1000

_decode_run: Final = decoder(WireRun)
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


class RunDone(NamedTuple):
    """Returned in place of an event when a run is over: the outcome has to be looked up.

    Attributes:
        run_id: The run.
    """

    run_id: str


class EventReader:
    """Reads the frames of one session, in their order and each once.

    Attributes:
        run_id: The run that the frames belong to; None between two runs.
        seq: Number of the last frame within its run; None if it is unknown.
        tail: Id of the last message of the state that was delivered; None before the first.
        has_lost: Whether frames of the run are lost: then its messages are taken from the state.
        is_skipping: Whether the frames belong to a run that is not followed.
        failure: The failure of the run that its stream reported; None if it reported none.
        used: Tokens that the run consumed, by the names of `Usage`; None if its start was not read.

    Args:
        session_id: The session.
        input_key: Key of the messages in the state.
        input_id: Id of our own message; empty without one.
        wants: Whether a run is followed.
    """

    def __init__(
        self,
        session_id: str,
        input_key: str = "messages",
        input_id: str = "",
        wants: Callable[[str], bool] = bool,
    ) -> None:
        self.session_id = session_id
        self.run_id: str | None = None
        self.seq: int | None = None
        self.tail: str | None = None
        self.has_lost = self.is_skipping = False
        self.failure: WireFailure | None = None
        self.used: dict[str, int] | None = None
        self._input_key = input_key
        self._input_id = input_id
        self._wants = wants
        self._to_message = message_reader(session_id)
        self._attempt: int | None = None
        self._readers = {"values": self._read_values, "messages": self._read_piece, "tools": self._read_tool}
        self._drafts: dict[str, Draft] = {}
        self._delivered: set[str] = set()  # messages and tool calls that were delivered whole
        self._answered: set[str] = set()  # tool calls whose results were delivered
        self._unstored: set[str] = set()  # those of them that are not in the state yet

    @property
    def is_writing(self) -> bool:
        """Whether the frames before are needed to read those that follow."""
        return bool(self._drafts or self._unstored)

    def read(self, frame: Frame) -> Sequence[Event | RunDone] | None:
        """The events of one frame; None if frames before it are missing, and then it was not read."""
        if frame.event == "metadata":
            return self._read_mark(frame)
        if self.is_skipping:
            return ()
        if frame.event == "error":
            return self._read_error(frame)
        wire, problems = read_frame(_decode_frame, frame)
        seq = wire.seq if wire is not None else None
        if seq is not None:
            if (self.run_id is None and not self.has_lost) or (self.seq is not None and seq > self.seq + 1):
                return None
            if self.seq is not None and seq <= self.seq:
                return ()  # it came before
            self.seq = seq
        envelope = self._envelope(frame, frame.id if seq is None else f"{self.run_id}:{seq}", problems)
        events = None
        reader = self._readers.get(wire.method or "") if wire is not None else None
        if wire is not None and wire.params is not None and reader is not None:
            if wire.params.timestamp is not None:
                envelope["created_at"] = datetime.fromtimestamp(wire.params.timestamp / _MS, UTC)
            with contextlib.suppress(MalformedResponse):
                events = reader(wire.params.namespace or (), bytes(wire.params.data), envelope)
        return (raw_event(**envelope),) if events is None else events

    def lose(self) -> Sequence[Event]:
        """Continue although frames are lost: a gap, once for each run."""
        had_lost, self.has_lost, self.seq = self.has_lost, True, None
        self._drafts.clear()
        gap = StreamGap(session_id=self.session_id, turn_id=self.run_id, lost=LOST, synthetic=True)
        return () if had_lost else (gap,)

    def end_run(self) -> None:
        """Forget the run, whose end was delivered."""
        self.run_id = self.seq = self._attempt = self.failure = self.used = None
        self.has_lost = False
        self._drafts.clear()
        for each in (self._delivered, self._answered, self._unstored):
            each.clear()

    def _envelope(self, frame: Frame, event_id: str | None, problems: tuple[str, ...]) -> Envelope:
        common = {"session_id": self.session_id, "turn_id": self.run_id, "source": frame.data, "problems": problems}
        return {**common, "id": event_id, "native_type": frame.event}

    def _read_mark(self, frame: Frame) -> Sequence[Event | RunDone] | None:
        wire, problems = read_frame(_decode_run, frame)
        if wire is None:
            return (raw_event(**self._envelope(frame, frame.id, problems)),)
        if wire.status != "run_done":
            return self._read_start(wire, self._envelope(frame, frame.id, problems))
        if not self._wants(wire.run_id):
            return ()
        is_known = wire.run_id == self.run_id or self.has_lost
        return (RunDone(wire.run_id),) if is_known else None  # its start is missing

    def _read_start(self, wire: WireRun, envelope: Envelope) -> Sequence[Event] | None:
        if wire.run_id == self.run_id:
            return self._read_attempt(wire)
        if self.run_id is not None:
            return None  # the end of the run before is missing
        self.is_skipping = not self._wants(wire.run_id)
        if self.is_skipping:
            return ()
        self.run_id, self.seq, self._attempt, self.used = wire.run_id, 0, wire.attempt, {}
        envelope["turn_id"] = wire.run_id
        running = StatusChanged(status=SessionStatus.RUNNING, native_status="busy", **{**envelope, "id": None})
        return (TurnStarted(**envelope), running)

    def _read_attempt(self, wire: WireRun) -> Sequence[Event]:
        """A run that starts again, after a restart of the server: what it was writing is never completed."""
        is_new, self._attempt = self._attempt not in {None, wire.attempt}, wire.attempt
        gap = self.lose() if is_new else ()
        self.seq = 0 if self.seq is None else self.seq
        return gap

    def _read_error(self, frame: Frame) -> Sequence[Event]:
        wire, problems = read_frame(_decode_failure, frame)
        envelope = self._envelope(frame, frame.id, problems)
        if wire is None:
            return (raw_event(**envelope),)
        self.failure = wire
        text = wire.message or wire.error or "the backend reports an error without a text"
        return (ErrorReported(message=text, code=wire.error, **envelope),)

    def _read_values(self, namespace: Sequence[str], data: bytes, envelope: Envelope) -> Sequence[Event] | None:
        """The state after a step. Subgraphs have states of their own, which repeat the same."""
        return None if namespace else self.read_state(data, envelope)

    def read_state(self, values: bytes | msgspec.Raw, envelope: Envelope) -> Sequence[Event]:
        """Events of what the state has and was not delivered.

        The agent's messages came as frames: they are taken from the state only if frames were lost.

        Raises:
            MalformedResponse: Its messages are something else.
        """
        self._unstored.clear()
        found: list[Event] = []
        for message in self._new_messages(state_messages(values, self._input_key)):
            own = {**envelope, "id": message.id or envelope.get("id"), "source": message.source}
            for block in message.content:
                if isinstance(block, ToolResultBlock):
                    found += self._result(block, own)
            is_needed = message.role is Role.USER or (message.role is Role.ASSISTANT and self.has_lost)
            if is_needed and key_of(message) not in self._delivered:
                found += self._completed(message, own)
        return found

    def _new_messages(self, contents: Sequence[bytes]) -> Sequence[Message]:
        """The messages after the tail, oldest first. Of a first state only those of people at its end are new."""
        new: list[Message] = []
        inputs = 0
        for message in map(self._to_message, reversed(contents)):
            if key_of(message) == self.tail:
                inputs = len(new)
                break
            new.append(message)
            if message.role is Role.USER and (inputs == len(new) - 1 or (self.has_lost and not inputs)):
                inputs = len(new)
            if self._input_id and message.id == self._input_id:
                inputs = len(new)
                break
        self.tail = key_of(new[0]) if new else self.tail
        return new[:inputs][::-1]

    def _completed(self, message: Message, envelope: Envelope) -> list[Event]:
        """A whole message, with those of its tool calls that were not delivered."""
        calls = [block for block in message.content if isinstance(block, ToolCallBlock)]
        found = [self._call(call, envelope) for call in calls if call.id not in self._delivered]
        self._delivered.add(key_of(message))
        found.append(MessageCompleted(message=message, **envelope))
        if message.usage is not None:
            self._count(message.usage)
            found.append(UsageReported(usage=message.usage, is_delta=True, **{**envelope, "id": None}))
        return found

    def _count(self, usage: Usage) -> None:
        counts = usage.model_dump(exclude_none=True)
        if self.used is not None:
            self.used = {key: self.used.get(key, 0) + counts.get(key, 0) for key in self.used.keys() | counts}

    def _call(self, call: ToolCallBlock, envelope: Envelope) -> Event:
        self._delivered.add(call.id)
        return ToolCallCompleted(tool_call_id=call.id, name=call.name, arguments=call.arguments, **envelope)

    def _result(self, result: ToolResultBlock, envelope: Envelope) -> Sequence[Event]:
        """A tool's result, once, although the state and the tools channel both report it."""
        if result.tool_call_id in self._answered:
            return ()
        self._answered.add(result.tool_call_id)
        fields = {"tool_call_id": result.tool_call_id, "text": result.text, "is_error": result.is_error}
        return (ToolResultCompleted(**fields, **envelope),)

    def _read_tool(self, _: Sequence[str], data: bytes, envelope: Envelope) -> Sequence[Event] | None:
        """A tool's end. Its start has no counterpart, because the call itself was reported in the message."""
        piece = _decode_tool(data)[0]
        if piece.event not in {"tool-error", "tool-finished"}:
            return None
        call_id, text, is_error = piece.tool_call_id or "", piece.message or "", piece.event == "tool-error"
        if isinstance(piece.output, dict):
            output = self._to_message(msgspec.json.encode({**piece.output, "type": "tool"}))
            (result,) = [block for block in output.content if isinstance(block, ToolResultBlock)]
            text, is_error = result.text, result.is_error
        elif piece.output is not None:
            text = str(piece.output)
        self._unstored.add(call_id)
        return self._result(ToolResultBlock(tool_call_id=call_id, text=text, is_error=is_error), envelope)

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
            return self._completed(self._written(draft, piece.usage, envelope), envelope)
        if piece.event == "content-block-finish":
            block = draft.blocks[piece.index or 0] = to_block(piece.content or {})
            if isinstance(block, ToolCallBlock):
                return (self._call(block, envelope),)
            return draft.end_thought(block.text, envelope) if isinstance(block, ThinkingBlock) else ()
        ended = draft.end_thought("".join(draft.thought), envelope) if piece.event == "content-block-start" else ()
        events = draft.read(piece, fragment)
        return None if events is None else (*ended, *events)

    def _written(self, draft: Draft, usage: WireUsage | None, envelope: Envelope) -> Message:
        return Message(
            provider=NAME,
            id=draft.message_id or "",
            session_id=self.session_id,
            role=Role.ASSISTANT,
            content=tuple(block for _, block in sorted(draft.blocks.items())),
            usage=to_usage(usage),
            created_at=envelope.get("created_at"),
            source=envelope["source"],
        )


class Draft:
    """A message that is being written.

    Attributes:
        message_id: Its id.
        blocks: The finished blocks, by index. Several may be open at once.
        thought: The pieces of the thought that is being written.
    """

    def __init__(self, message_id: str | None) -> None:
        self.message_id = message_id
        self.blocks: dict[int, Block] = {}
        self.thought: list[str] = []
        self._ended_thought = ""
        self._call_ids: dict[int, str] = {}

    def end_thought(self, text: str, envelope: Envelope) -> Sequence[Event]:
        """The end of a thought: where the next block starts, although the server ends all blocks together."""
        self.thought.clear()
        if text in {"", self._ended_thought}:
            return ()
        self._ended_thought = text
        return (ThinkingCompleted(text=text, **envelope),)

    def read(self, piece: WirePiece, fragment: Envelope) -> Sequence[Event] | None:
        """The event of a block's start or growth; None for a piece that is not modelled."""
        index = piece.index or 0
        event: Event | None
        match piece.event, piece.content or piece.delta:
            case "content-block-start", {"type": "text"}:
                event = None
            case "content-block-start", {"type": "reasoning"}:
                event = ThinkingStarted(**fragment)
            case "content-block-start", {"type": "tool_call_chunk", **chunk}:
                call_id = self._call_ids[index] = str(chunk.get("id") or "")
                event = ToolCallStarted(tool_call_id=call_id, name=str(chunk.get("name") or ""), **fragment)
            case "content-block-delta", {"type": "text-delta", "text": str() as text}:
                event = MessageDelta(message_id=self.message_id, text=text, **fragment) if text else None
            case "content-block-delta", {"type": "reasoning-delta", "reasoning": str() as text}:
                self.thought.append(text)
                event = ThinkingDelta(text=text, **fragment) if text else None
            case "content-block-delta", {"type": "tool-call-delta", "args": str() as text}:
                call_id = self._call_ids.get(index, "")
                event = ToolCallDelta(tool_call_id=call_id, text=text, **fragment) if text else None
            case _:
                return None
        return () if event is None else (event,)
