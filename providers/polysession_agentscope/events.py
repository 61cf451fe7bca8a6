"""Reader of AgentScope's stream: one table, and the state of one stream.

Times of events have no time zone and are in the server's local time: they stay in `source`.

Backend: `GET /sessions/{id}/stream` of `/openapi.json`, server 2.0.11 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from polysession.provider_api import (
    ActionRequired,
    Block,
    ErrorReported,
    Event,
    MalformedResponse,
    MessageCompleted,
    MessageStarted,
    Outcome,
    StreamGap,
    TextBlock,
    ThinkingCompleted,
    ThinkingStarted,
    ToolCallCompleted,
    ToolCallStarted,
    ToolExecution,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    UsageReported,
    decoder,
    message_delta,
    raw_event,
    thinking_delta,
    tool_call_delta,
    tool_result_delta,
)
from polysession_agentscope.history import (
    StoredBlock,
    StoredMessage,
    assistant_message,
    is_failed,
    lost_with,
    missed_events,
    to_arguments,
    to_media,
)
from polysession_agentscope.replies import Phase, ReplyState, actions_in, to_action
from polysession_agentscope.wire import (
    WireAnswered,
    WireBlock,
    WireEvent,
    WireFailure,
    WireMedia,
    WireModelEnd,
    WireReplyEnd,
    WireRequest,
    WireTextEnd,
    WireToolEnd,
    WireToolStart,
)

OUTCOMES: Final[Mapping[str, Outcome]] = {
    "completed": Outcome.COMPLETED,
    "interrupted": Outcome.CANCELLED,
    "exceed_max_iters": Outcome.LIMIT_REACHED,
}
_INTERRUPTED: Final = "interrupted"
_REMEMBERED_REPLIES: Final = 100

_Envelope: TypeAlias = dict[str, Any]
_read_event = decoder(WireEvent)
_read_block = decoder(WireBlock)


class EventReader:
    """Reads the events of one session, and completes them from stored replies."""

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._replies: dict[str, ReplyState] = {}
        self._newest = self._before = ReplyState("")

    @property
    def newest_two(self) -> tuple[ReplyState, ReplyState]:
        """The two replies with the most recent events, newest first.

        A missing reply has an empty id.
        """
        return self._newest, self._before

    def read(self, content: bytes) -> Sequence[Event]:
        """Return the common events of one native event."""
        wire, problems = read_head(content)
        return self.read_body(wire, content, problems)

    def read_body(self, wire: WireEvent, content: bytes, problems: tuple[str, ...]) -> Sequence[Event]:
        """Return the common events of a native event whose head was read by `read_head`."""
        envelope: _Envelope = {
            "session_id": self._session_id,
            "turn_id": wire.reply_id or None,
            "id": wire.id,
            "native_type": wire.type,
            "source": content,
        }
        row = _ROWS.get(wire.type)
        if row is None or not wire.reply_id:
            # A raw event has the whole payload, so unreadable fields are not missing from it.
            return (raw_event(**envelope, problems=() if wire.type else problems),)
        reply = self.reply(wire.reply_id)
        if reply.phase is Phase.NEW:
            reply.phase = Phase.OPEN
        decode, to_events = row
        if decode is not None:
            wire, problems = decode(content)
        if problems:
            envelope["problems"] = problems
        return tuple(to_events(reply, wire, envelope))

    def reply(self, reply_id: str) -> ReplyState:
        """Return the state of a reply, and make it the newest. At most 100 replies are remembered."""
        if reply_id != self._newest.id:
            state = self._replies.pop(reply_id, None) or ReplyState(reply_id)
            self._before = next(reversed(self._replies.values()), ReplyState(""))
            self._newest = self._replies[reply_id] = state
            if len(self._replies) > _REMEMBERED_REPLIES:
                del self._replies[next(iter(self._replies))]
        return self._newest

    def knows(self, reply_id: str | None) -> bool:
        """Whether a reply had an event or was read from the stored messages."""
        return reply_id in self._replies

    def phase_of(self, reply_id: str | None) -> Phase:
        """Return the phase of a reply."""
        reply = self._replies.get(reply_id or "")
        return Phase.NEW if reply is None else reply.phase

    def restore(self, reply_id: str, phase: Phase, delivered: Iterable[str]) -> None:
        """Restore the state that an earlier stream had for a reply."""
        reply = self.reply(reply_id)
        reply.phase = phase
        reply.delivered.update(delivered)

    def resume(self, reply_id: str, answered: Iterable[str]) -> Event:
        """Record answers that the server accepted without an event. Returns the start of the turn."""
        reply = self.reply(reply_id)
        reply.phase, reply.was_answered = Phase.OPEN, True
        reply.calls.answer(answered)
        return TurnStarted(session_id=self._session_id, turn_id=reply_id, synthetic=True)

    def mark_delivered(self, stored: StoredMessage) -> None:
        """Mark all blocks of a stored reply as delivered."""
        reply = self.reply(stored.id)
        reply.delivered.update(block.key for block in stored.blocks if block.is_whole)
        reply.count_rest(stored.wire.usage)
        reply.calls.restore(stored)
        reply.close(Phase.WAITING if reply.calls.waiting else Phase.ENDED)

    def catch_up(self, stored: StoredMessage, *, may_lack: bool) -> list[Event]:
        """Return synthetic events for a stored reply: its undelivered parts, and its end.

        A gap precedes them if events are lost: deltas and model calls are not stored.

        Args:
            stored: The reply.
            may_lack: Whether the stream broke, so that events which are not stored may be lost.
        """
        if self.phase_of(stored.id) is Phase.ENDED:
            return []
        reply = self.reply(stored.id)
        missed = list(missed_events(self._session_id, stored, reply.delivered))
        if reply.phase is Phase.WAITING and not missed and not stored.has_ended:
            return []
        envelope: _Envelope = {
            "session_id": self._session_id,
            "turn_id": stored.id,
            "source": stored.source,
            "problems": stored.problems,
            "synthetic": True,
        }
        events: list[Event] = [] if reply.phase is Phase.OPEN else [TurnStarted(**envelope)]
        usage = reply.count_rest(stored.wire.usage)
        if may_lack or missed or usage is not None:
            events.append(StreamGap(lost=lost_with(missed), **envelope))
        events += missed
        if usage is not None:
            events.append(UsageReported(usage=usage, is_delta=True, **envelope))
        if stored.has_ended:
            events += _ended(reply, stored.wire.finished_reason, stored.wire.error, envelope)
        elif actions_in(stored):
            reply.calls.restore(stored)
            events += _waiting(reply, envelope)
        return events


def read_head(content: bytes) -> tuple[WireEvent, tuple[str, ...]]:
    """Decode the fields of every event and of the deltas.

    If the text is not an object, the type is empty.
    """
    try:
        return _read_event(content)
    except MalformedResponse as error:
        return WireEvent(), (error.message,)


def _start(reply: ReplyState, _wire: WireEvent, envelope: _Envelope) -> Iterator[Event]:
    is_started, reply.was_answered = reply.was_answered, False
    if is_started:
        yield raw_event(**envelope)
        return
    yield from _end_of_wait(reply, envelope)
    reply.phase = Phase.OPEN
    yield TurnStarted(**envelope)


def _end(reply: ReplyState, wire: WireReplyEnd, envelope: _Envelope) -> Iterator[Event]:
    if reply.phase is not Phase.ENDED:
        yield from _ended(reply, wire.finished_reason, wire.error, envelope)


def _ended(reply: ReplyState, reason: str | None, failure: WireFailure | None, envelope: _Envelope) -> Iterator[Event]:
    """End a turn. Server 2.0.0 sends no reason, and no end of a failed turn."""
    reason = reason or ("exceed_max_iters" if reply.hit_limit else "completed")
    outcome = OUTCOMES.get(reason, Outcome.FAILED)
    error = None
    if outcome is Outcome.FAILED:
        failure = failure or WireFailure()
        error = failure.message or f"the turn ended with {failure.type or reason!r}"
        yield ErrorReported(message=error, code=failure.type, **envelope)
    usage = reply.close(Phase.ENDED)
    yield TurnEnded(outcome=outcome, native_reason=reason, usage=usage, error=error, **envelope)


def _ask(reply: ReplyState, wire: WireRequest, envelope: _Envelope) -> Iterator[Event]:
    blocks = [StoredBlock(*_block_of(bytes(call))) for call in wire.tool_calls]
    found = (to_action(block, reply.id) for block in blocks)
    actions = [action for action in found if action is not None]
    if reply.phase is Phase.WAITING and all(action.id in reply.calls.waiting for action in actions):
        return  # the service repeats the request for each new connection
    reply.calls.ask(actions)
    yield _action_required(reply, envelope)
    yield from _settle(reply, envelope)


def _block_of(content: bytes) -> tuple[WireBlock, bytes, tuple[str, ...]]:
    try:
        wire, problems = _read_block(content)
    except MalformedResponse as error:
        return WireBlock(), content, (error.message,)
    return wire, content, problems


def _answered(reply: ReplyState, wire: WireAnswered, envelope: _Envelope) -> Iterator[Event]:
    """Start a turn for an accepted answer. The service starts the reply again afterwards."""
    yield from _end_of_wait(reply, envelope)
    if reply.phase is not Phase.OPEN:
        reply.phase, reply.was_answered = Phase.OPEN, True
        yield TurnStarted(**envelope)
    decided = [decision.tool_call for decision in wire.confirm_results if decision.tool_call is not None]
    reply.calls.answer(call.id for call in (*decided, *wire.execution_results) if call.id is not None)
    yield raw_event(**envelope)


def _end_of_wait(reply: ReplyState, envelope: _Envelope) -> Iterator[Event]:
    """End a turn that waited for answers, if its end was not recognised before it continued."""
    if reply.phase is Phase.OPEN and reply.calls.waiting:
        yield from _waiting(reply, envelope)


def _settle(reply: ReplyState, envelope: _Envelope) -> Iterator[Event]:
    if reply.phase is Phase.OPEN and reply.calls.settled:
        yield from _waiting(reply, envelope)


def _waiting(reply: ReplyState, envelope: _Envelope) -> Iterator[Event]:
    """End a turn that waits for answers. The service sends no such event."""
    envelope = envelope | {"synthetic": True, "id": None, "native_type": ""}
    if reply.announced != reply.calls.waiting.keys():
        yield _action_required(reply, envelope)
    executes = all(isinstance(action, ToolExecution) for action in reply.calls.waiting.values())
    reason = "awaiting_external_result" if executes else "awaiting_permission"
    usage = reply.close(Phase.WAITING)
    yield TurnEnded(outcome=Outcome.REQUIRES_ACTION, native_reason=reason, usage=usage, **envelope)


def _action_required(reply: ReplyState, envelope: _Envelope) -> Event:
    reply.announced = set(reply.calls.waiting)
    return ActionRequired(actions=tuple(reply.calls.waiting.values()), **envelope)


def _model_call(reply: ReplyState, _wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    reply.calls.clear()
    return (raw_event(**envelope),)


def _usage(reply: ReplyState, wire: WireModelEnd, envelope: _Envelope) -> Iterable[Event]:
    return (UsageReported(usage=reply.count(wire), is_delta=True, **envelope),)


def _limit(reply: ReplyState, _wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    reply.hit_limit = True
    return (raw_event(**envelope),)


def _hint(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    reply.delivered.add(f"hint:{wire.block_id}")
    return (raw_event(**envelope),)


def _text_start(_reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    return (MessageStarted(message_id=wire.block_id, **envelope),)


def _text_delta(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    text = reply.add("text", wire.block_id, wire.delta, envelope["source"])
    return (message_delta({"message_id": wire.block_id, "text": text, **envelope}),)


def _text_end(reply: ReplyState, wire: WireTextEnd, envelope: _Envelope) -> Iterable[Event]:
    text = reply.take("text", wire.block_id)
    block = TextBlock(text=text if wire.text is None else wire.text)
    return (_message(wire, block, envelope),)


def _message(wire: WireEvent, block: Block, envelope: _Envelope) -> Event:
    message = assistant_message(envelope["session_id"], wire.block_id or "", block, envelope["source"])
    return MessageCompleted(message=message, **envelope)


def _thinking_start(_reply: ReplyState, _wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    return (ThinkingStarted(**envelope),)


def _thinking_delta(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    text = reply.add("thinking", wire.block_id, wire.delta, envelope["source"])
    return (thinking_delta({"text": text, **envelope}),)


def _thinking_end(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    return (ThinkingCompleted(text=reply.take("thinking", wire.block_id), **envelope),)


def _media_start(reply: ReplyState, wire: WireMedia, envelope: _Envelope) -> Iterable[Event]:
    reply.add_media(wire)
    return (MessageStarted(message_id=wire.block_id, **envelope),)


def _media_delta(reply: ReplyState, wire: WireMedia, envelope: _Envelope) -> Iterable[Event]:
    reply.add_media(wire)
    return (raw_event(**envelope),)


def _media_end(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    return (_message(wire, to_media(*reply.take_media(wire.block_id)), envelope),)


def _call_start(reply: ReplyState, wire: WireToolStart, envelope: _Envelope) -> Iterable[Event]:
    call_id, name = wire.tool_call_id or "", wire.tool_call_name or ""
    reply.names[call_id] = name
    reply.calls.call(call_id)
    return (ToolCallStarted(tool_call_id=call_id, name=name, **envelope),)


def _call_delta(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    text = reply.add("tool_call", wire.tool_call_id, wire.delta, envelope["source"])
    return (tool_call_delta({"tool_call_id": wire.tool_call_id or "", "text": text, **envelope}),)


def _call_end(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    call_id = wire.tool_call_id or ""
    arguments = to_arguments(reply.take("tool_call", wire.tool_call_id))
    name = reply.names.pop(call_id, "")
    return (ToolCallCompleted(tool_call_id=call_id, name=name, arguments=arguments, **envelope),)


def _result_start(reply: ReplyState, wire: WireToolStart, envelope: _Envelope) -> Iterable[Event]:
    reply.calls.begin(wire.tool_call_id or "")
    return (raw_event(**envelope),)


def _result_delta(reply: ReplyState, wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    text = reply.add("tool_result", wire.tool_call_id, wire.delta, envelope["source"])
    return (tool_result_delta({"tool_call_id": wire.tool_call_id or "", "text": text, **envelope}),)


def _result_end(reply: ReplyState, wire: WireToolEnd, envelope: _Envelope) -> Iterator[Event]:
    call_id = wire.tool_call_id or ""
    reply.calls.end(call_id)
    text = reply.take("tool_result", wire.tool_call_id)
    yield ToolResultCompleted(tool_call_id=call_id, text=text, is_error=is_failed(wire.state), **envelope)
    if wire.state != _INTERRUPTED:  # an interruption ends all calls and the reply
        yield from _settle(reply, envelope)


def _raw(_reply: ReplyState, _wire: WireEvent, envelope: _Envelope) -> Iterable[Event]:
    return (raw_event(**envelope),)


class Row(NamedTuple):
    """How one native type is read.

    Attributes:
        shape: Struct to decode.
        to_events: Function that builds the common events.
        becomes: Types of the common events.
    """

    shape: type[WireEvent]
    to_events: Callable[[ReplyState, Any, _Envelope], Iterable[Event]]
    becomes: tuple[str, ...]


_RAW: Final = ("raw",)
_WAITS: Final = ("action.required", "turn.ended")

TABLE: Final[Mapping[str, Row]] = {
    "REPLY_START": Row(WireEvent, _start, (*_WAITS, "turn.started", "raw")),
    "REPLY_END": Row(WireReplyEnd, _end, ("error", "turn.ended")),
    "HINT_BLOCK": Row(WireEvent, _hint, _RAW),
    "MODEL_CALL_START": Row(WireEvent, _model_call, _RAW),
    "MODEL_CALL_END": Row(WireModelEnd, _usage, ("usage",)),
    "TEXT_BLOCK_START": Row(WireEvent, _text_start, ("message.started",)),
    "TEXT_BLOCK_DELTA": Row(WireEvent, _text_delta, ("message.delta",)),
    "TEXT_BLOCK_END": Row(WireTextEnd, _text_end, ("message.completed",)),
    "THINKING_BLOCK_START": Row(WireEvent, _thinking_start, ("thinking.started",)),
    "THINKING_BLOCK_DELTA": Row(WireEvent, _thinking_delta, ("thinking.delta",)),
    "THINKING_BLOCK_END": Row(WireEvent, _thinking_end, ("thinking.completed",)),
    "DATA_BLOCK_START": Row(WireMedia, _media_start, ("message.started",)),
    "DATA_BLOCK_DELTA": Row(WireMedia, _media_delta, _RAW),
    "DATA_BLOCK_END": Row(WireEvent, _media_end, ("message.completed",)),
    "TOOL_CALL_START": Row(WireToolStart, _call_start, ("tool_call.started",)),
    "TOOL_CALL_DELTA": Row(WireEvent, _call_delta, ("tool_call.delta",)),
    "TOOL_CALL_END": Row(WireEvent, _call_end, ("tool_call.completed",)),
    "TOOL_RESULT_START": Row(WireToolStart, _result_start, _RAW),
    "TOOL_RESULT_TEXT_DELTA": Row(WireEvent, _result_delta, ("tool_result.delta",)),
    "TOOL_RESULT_DATA_DELTA": Row(WireEvent, _raw, _RAW),
    "TOOL_RESULT_END": Row(WireToolEnd, _result_end, ("tool_result.completed", *_WAITS)),
    "REQUIRE_USER_CONFIRM": Row(WireRequest, _ask, _WAITS),
    "REQUIRE_EXTERNAL_EXECUTION": Row(WireRequest, _ask, _WAITS),
    "USER_CONFIRM_RESULT": Row(WireAnswered, _answered, (*_WAITS, "turn.started", "raw")),
    "EXTERNAL_EXECUTION_RESULT": Row(WireAnswered, _answered, (*_WAITS, "turn.started", "raw")),
    "EXCEED_MAX_ITERS": Row(WireEvent, _limit, _RAW),
    "USER_INTERRUPT": Row(WireEvent, _raw, _RAW),
    "CUSTOM": Row(WireEvent, _raw, _RAW),
}
"""How each native type is read. A type that is not here becomes a `RawEvent`."""

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {name: row.becomes for name, row in TABLE.items()}

_ROWS: Final = {
    name: (None if row.shape is WireEvent else decoder(row.shape), row.to_events) for name, row in TABLE.items()
}
"""The table with a decoder for each struct. None is the head, which `read_head` has decoded."""
