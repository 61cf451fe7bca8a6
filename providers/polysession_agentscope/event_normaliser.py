"""AgentScope's events to the common ones, one table row for each type. Pure.

Backend: `GET /sessions/{id}/stream` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from polysession.provider_api import (
    ActionRequired,
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    Outcome,
    RawEvent,
    StreamGap,
    TextBlock,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallCompleted,
    ToolCallDelta,
    ToolCallStarted,
    ToolExecution,
    ToolResultCompleted,
    ToolResultDelta,
    TurnEnded,
    TurnStarted,
    UsageReported,
    trusted_event,
)
from polysession_agentscope.actions import answered_in, pending_in, to_action, unused_in
from polysession_agentscope.message_normaliser import assistant_message, blocks_of, is_failed, to_arguments, to_media
from polysession_agentscope.replies import Phase, ReplyState, key_of
from polysession_agentscope.stored_events import is_whole, lost_with, missed_events
from polysession_agentscope.wire_events import WireEvent, WireEventHead, WireFailure, WireMessage, WirePiece

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "completed": Outcome.COMPLETED,
    "interrupted": Outcome.CANCELLED,
    "exceed_max_iters": Outcome.LIMIT_REACHED,
}
_INTERRUPTED: Final = "interrupted"
_REMEMBERED_REPLIES: Final = 100

# What a wire model holds was validated.
_new_native: Final = trusted_event(RawEvent)
_new_message_delta: Final = trusted_event(MessageDelta)
_new_thinking_delta: Final = trusted_event(ThinkingDelta)
_new_call_delta: Final = trusted_event(ToolCallDelta)
_new_result_delta: Final = trusted_event(ToolResultDelta)

_Common: TypeAlias = dict[str, Any]
_Reader: TypeAlias = Callable[[ReplyState, Any, _Common], Iterable[Event]]


class EventNormaliser:
    """Turns the events of one session into common ones, and says what stored replies tell beyond them.

    Events have the server's local time, without its zone: it stays in `raw`.
    """

    def __init__(self, session_id: str) -> None:
        self._session_id = session_id
        self._replies: dict[str, ReplyState] = {}
        self._newest = self._before = ReplyState("")

    @property
    def newest_two(self) -> tuple[ReplyState, ReplyState]:
        """The two replies that were spoken of last, the last one first; without an id where there are fewer."""
        return self._newest, self._before

    def read(self, raw: dict[str, Any]) -> list[Event]:
        """The common events of one event.

        Raises:
            pydantic.ValidationError: It is no event, or its type is known and its body is not.
        """
        return self.read_body(WireEventHead.model_validate(raw), raw)

    def read_body(self, head: WireEventHead, raw: dict[str, Any]) -> list[Event]:
        """The same for an event whose head was read, or that is a piece and was read whole.

        Raises:
            pydantic.ValidationError: Its type is known and its body is not.
        """
        kind, reply_id = head.type, head.reply_id
        common: _Common = {
            "session_id": self._session_id,
            "turn_id": reply_id or None,
            "raw": raw,
            "id": head.id,
            "native_type": kind,
        }
        reader = _READERS.get(kind)
        if reader is None or not reply_id:
            return [_new_native(**common)]
        reply = self.reply(reply_id)
        if reply.phase is Phase.NEW:
            reply.phase = Phase.OPEN
        wire = head if isinstance(head, WirePiece) else WireEvent.model_validate(raw)
        return list(reader(reply, wire, common))

    def reply(self, reply_id: str) -> ReplyState:
        """What is known of a reply, which becomes the newest. The oldest of many are forgotten."""
        if reply_id != self._newest.id:
            state = self._replies.pop(reply_id, None) or ReplyState(reply_id)
            self._before = next(reversed(self._replies.values()), ReplyState(""))
            self._newest = self._replies[reply_id] = state
        if len(self._replies) > _REMEMBERED_REPLIES:
            del self._replies[next(iter(self._replies))]
        return self._newest

    def knows(self, reply_id: str | None) -> bool:
        """Whether a reply was spoken of."""
        return reply_id in self._replies

    def is_over(self, reply_id: str | None) -> bool:
        """Whether the end of a reply was told."""
        reply = self._replies.get(reply_id or "")
        return reply is not None and reply.phase is Phase.OVER

    def is_at_rest(self, reply_id: str | None) -> bool:
        """Whether a reply was told to its end, or up to where it waits."""
        reply = self._replies.get(reply_id or "")
        return reply is not None and reply.phase in {Phase.OVER, Phase.PARKED}

    def restore(self, reply_id: str, phase: Phase, told: Iterable[str]) -> None:
        """Take up what another stream of the session had told of a reply."""
        reply = self.reply(reply_id)
        reply.phase = phase
        reply.told.update(told)

    def go_on(self, reply_id: str, answered: Iterable[str]) -> Event:
        """Take answers for accepted, where the server does not say so; gives the start of the turn."""
        reply = self.reply(reply_id)
        reply.phase, reply.was_answered = Phase.OPEN, True
        reply.calls.answer(answered)
        return TurnStarted(synthetic=True, **self._common(reply_id, {}))

    def know(self, raw: dict[str, Any]) -> None:
        """Take a stored reply for told.

        Raises:
            pydantic.ValidationError: It is not a message.
        """
        wire = WireMessage.model_validate(raw)
        reply = self.reply(wire.id)
        reply.told.update(key_of(block) for block in blocks_of(wire) if is_whole(block))
        reply.count_rest(wire.usage)
        reply.calls.restore(pending_in(raw), unused_in(raw))
        reply.close(Phase.PARKED if reply.calls.waiting else Phase.OVER)

    def catch_up(self, raw: dict[str, Any], *, may_lack: bool) -> list[Event]:
        """What a stored reply tells that was not told yet, with its end if it has one; all of it inferred.

        A gap comes before it if it is not the whole: deltas are not stored, nor are the calls of models.

        Args:
            raw: The message.
            may_lack: Whether the stream broke, so that events may have been missed of which nothing is stored.

        Raises:
            pydantic.ValidationError: It is not a message.
        """
        wire = WireMessage.model_validate(raw)
        reply = self.reply(wire.id)
        if reply.phase is Phase.OVER:
            return []
        waiting, has_ended = pending_in(raw), bool(wire.finished_reason or wire.finished_at)
        missed = list(missed_events(self._session_id, wire, reply.told))
        if reply.phase is Phase.PARKED and not missed and not has_ended:
            return []
        common = self._common(wire.id, raw) | {"synthetic": True}
        events: list[Event] = [] if reply.phase is Phase.OPEN else [TurnStarted(**common)]
        usage = reply.count_rest(wire.usage)
        if may_lack or missed or usage is not None:
            events.append(StreamGap(lost=lost_with(missed), **common))
        events += missed
        if usage is not None:
            events.append(UsageReported(usage=usage, is_delta=True, **common))
        if has_ended:
            events += _ended(reply, wire.finished_reason, wire.error, common)
        elif waiting:
            reply.calls.restore(waiting, unused_in(raw))
            events += _parked(reply, common)
        return events

    def _common(self, reply_id: str | None, raw: dict[str, Any]) -> _Common:
        return {"session_id": self._session_id, "turn_id": reply_id or None, "raw": raw}


def _start(reply: ReplyState, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    is_started, reply.was_answered = reply.was_answered, False
    if is_started:
        yield RawEvent(**common)
        return
    yield from _end_of_wait(reply, common)
    reply.phase = Phase.OPEN
    yield TurnStarted(**common)


def _end(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    if reply.phase is not Phase.OVER:
        yield from _ended(reply, wire.finished_reason, wire.error, common)


def _ended(reply: ReplyState, reason: str | None, failure: WireFailure | None, common: _Common) -> Iterator[Event]:
    """2.0.0 gave no reason; a turn that failed had no end at all there."""
    reason = reason or ("exceed_max_iters" if reply.hit_limit else "completed")
    outcome = _OUTCOMES.get(reason, Outcome.FAILED)
    error = None
    if outcome is Outcome.FAILED:
        failure = failure or WireFailure()
        error = failure.message or f"the turn ended with {failure.type or reason!r}"
        yield ErrorReported(message=error, code=failure.type, **common)
    yield TurnEnded(outcome=outcome, native_reason=reason, usage=reply.close(Phase.OVER), error=error, **common)


def _ask(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    found = (to_action(call) for call in wire.tool_calls)
    asked = [action for action in found if action is not None]
    if reply.phase is Phase.PARKED and all(action.id in reply.calls.waiting for action in asked):
        return  # it is told again to who connects meanwhile
    reply.calls.ask(asked)
    yield _action_required(reply, common)
    yield from _rest(reply, common)


def _answered(reply: ReplyState, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    """An answer that was accepted starts a turn, before the start of the reply is told once more."""
    yield from _end_of_wait(reply, common)
    if reply.phase is not Phase.OPEN:
        reply.phase, reply.was_answered = Phase.OPEN, True
        yield TurnStarted(**common)
    reply.calls.answer(answered_in(common["raw"]))
    yield RawEvent(**common)


def _end_of_wait(reply: ReplyState, common: _Common) -> Iterator[Event]:
    """The end of a turn that waited, and that was not seen to come to rest: it goes on now, so it had."""
    if reply.phase is Phase.OPEN and reply.calls.waiting:
        yield from _parked(reply, common)


def _rest(reply: ReplyState, common: _Common) -> Iterator[Event]:
    if reply.phase is Phase.OPEN and reply.calls.at_rest:
        yield from _parked(reply, common)


def _parked(reply: ReplyState, common: _Common) -> Iterator[Event]:
    """The end that the service does not tell, after all that it waits for."""
    common = common | {"synthetic": True, "id": None, "native_type": ""}
    if reply.announced != reply.calls.waiting.keys():
        yield _action_required(reply, common)
    executes = all(isinstance(action, ToolExecution) for action in reply.calls.waiting.values())
    reason = "awaiting_external_result" if executes else "awaiting_permission"
    usage = reply.close(Phase.PARKED)
    yield TurnEnded(outcome=Outcome.REQUIRES_ACTION, native_reason=reason, usage=usage, **common)


def _action_required(reply: ReplyState, common: _Common) -> Event:
    reply.announced = set(reply.calls.waiting)
    return ActionRequired(actions=tuple(reply.calls.waiting.values()), **common)


def _model_call(reply: ReplyState, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    reply.calls.clear()
    yield RawEvent(**common)


def _usage(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    yield UsageReported(usage=reply.count(wire), is_delta=True, **common)


def _limit(reply: ReplyState, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    reply.hit_limit = True
    yield RawEvent(**common)


def _hint(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    reply.told.add(f"hint:{wire.block_id}")
    yield RawEvent(**common)


def _text_start(_reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    yield MessageStarted(message_id=wire.block_id, **common)


def _text_delta(reply: ReplyState, wire: WirePiece, common: _Common) -> Iterable[Event]:
    return (_new_message_delta(message_id=wire.block_id, text=reply.add("text", wire.block_id, wire.delta), **common),)


def _text_end(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    text = reply.take("text", wire.block_id)
    block = TextBlock(text=text if wire.text is None else wire.text)
    message = assistant_message(common["session_id"], wire.block_id or "", block, common["raw"])
    yield MessageCompleted(message=message, **common)


def _thinking_start(_reply: ReplyState, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    yield ThinkingStarted(**common)


def _thinking_delta(reply: ReplyState, wire: WirePiece, common: _Common) -> Iterable[Event]:
    return (_new_thinking_delta(text=reply.add("thinking", wire.block_id, wire.delta), **common),)


def _thinking_end(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    yield ThinkingCompleted(text=reply.take("thinking", wire.block_id), **common)


def _media_start(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    reply.add_media(wire)
    yield MessageStarted(message_id=wire.block_id, **common)


def _media_delta(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    reply.add_media(wire)
    yield RawEvent(**common)


def _media_end(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    block = to_media(*reply.take_media(wire.block_id))
    message = assistant_message(common["session_id"], wire.block_id or "", block, common["raw"])
    yield MessageCompleted(message=message, **common)


def _call_start(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    call_id, name = wire.tool_call_id or "", wire.tool_call_name or ""
    reply.names[call_id] = name
    reply.calls.call(call_id)
    yield ToolCallStarted(tool_call_id=call_id, name=name, **common)


def _call_delta(reply: ReplyState, wire: WirePiece, common: _Common) -> Iterable[Event]:
    text = reply.add("tool_call", wire.tool_call_id, wire.delta)
    return (_new_call_delta(tool_call_id=wire.tool_call_id or "", text=text, **common),)


def _call_end(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    call_id = wire.tool_call_id or ""
    arguments = to_arguments(reply.take("tool_call", call_id))
    name = reply.names.pop(call_id, "")
    yield ToolCallCompleted(tool_call_id=call_id, name=name, arguments=arguments, **common)


def _result_start(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    reply.calls.begin(wire.tool_call_id or "")
    yield RawEvent(**common)


def _result_delta(reply: ReplyState, wire: WirePiece, common: _Common) -> Iterable[Event]:
    text = reply.add("tool_result", wire.tool_call_id, wire.delta)
    return (_new_result_delta(tool_call_id=wire.tool_call_id or "", text=text, **common),)


def _result_end(reply: ReplyState, wire: WireEvent, common: _Common) -> Iterator[Event]:
    call_id = wire.tool_call_id or ""
    reply.calls.end(call_id)
    text = reply.take("tool_result", call_id)
    yield ToolResultCompleted(tool_call_id=call_id, text=text, is_error=is_failed(wire.state), **common)
    if wire.state != _INTERRUPTED:  # which ends all of them, and the reply
        yield from _rest(reply, common)


def _as_it_is(_reply: ReplyState, _wire: WireEvent, common: _Common) -> Iterator[Event]:
    yield RawEvent(**common)


_NATIVE: Final = ("raw",)
_REQUIRED: Final = (_ask, ("action.required", "turn.ended"))
_ANSWERED: Final = (_answered, ("action.required", "turn.ended", "turn.started", "raw"))

_TABLE: Final[Mapping[str, tuple[_Reader, tuple[str, ...]]]] = {
    "REPLY_START": (_start, ("action.required", "turn.ended", "turn.started", "raw")),
    "REPLY_END": (_end, ("error", "turn.ended")),
    "HINT_BLOCK": (_hint, _NATIVE),
    "MODEL_CALL_START": (_model_call, _NATIVE),
    "MODEL_CALL_END": (_usage, ("usage",)),
    "TEXT_BLOCK_START": (_text_start, ("message.started",)),
    "TEXT_BLOCK_DELTA": (_text_delta, ("message.delta",)),
    "TEXT_BLOCK_END": (_text_end, ("message.completed",)),
    "THINKING_BLOCK_START": (_thinking_start, ("thinking.started",)),
    "THINKING_BLOCK_DELTA": (_thinking_delta, ("thinking.delta",)),
    "THINKING_BLOCK_END": (_thinking_end, ("thinking.completed",)),
    "DATA_BLOCK_START": (_media_start, ("message.started",)),
    "DATA_BLOCK_DELTA": (_media_delta, _NATIVE),
    "DATA_BLOCK_END": (_media_end, ("message.completed",)),
    "TOOL_CALL_START": (_call_start, ("tool_call.started",)),
    "TOOL_CALL_DELTA": (_call_delta, ("tool_call.delta",)),
    "TOOL_CALL_END": (_call_end, ("tool_call.completed",)),
    "TOOL_RESULT_START": (_result_start, _NATIVE),
    "TOOL_RESULT_TEXT_DELTA": (_result_delta, ("tool_result.delta",)),
    "TOOL_RESULT_DATA_DELTA": (_as_it_is, _NATIVE),
    "TOOL_RESULT_END": (_result_end, ("tool_result.completed", "action.required", "turn.ended")),
    "REQUIRE_USER_CONFIRM": _REQUIRED,
    "REQUIRE_EXTERNAL_EXECUTION": _REQUIRED,
    "USER_CONFIRM_RESULT": _ANSWERED,
    "EXTERNAL_EXECUTION_RESULT": _ANSWERED,
    "EXCEED_MAX_ITERS": (_limit, _NATIVE),
    "USER_INTERRUPT": (_as_it_is, _NATIVE),
    "CUSTOM": (_as_it_is, _NATIVE),
}
_READERS: Final[Mapping[str, _Reader]] = {name: reader for name, (reader, _) in _TABLE.items()}

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {name: common for name, (_, common) in _TABLE.items()}
"""What each of AgentScope's types becomes. A type that is not here becomes `native`."""
