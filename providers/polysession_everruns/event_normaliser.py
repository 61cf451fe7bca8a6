"""Everruns' events to the common ones. Pure; `EventReader` keeps state for one stream.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, EventData, and https://docs.everruns.com, event and
streaming pages; newer types: https://crates.io/crates/everruns-contracts, 0.50.1 (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from polysession.provider_api import (
    ActionRequired,
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    Outcome,
    PendingAction,
    RawEvent,
    SessionStatus,
    StatusChanged,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallCompleted,
    ToolCallStarted,
    ToolExecution,
    ToolResultCompleted,
    ToolResultDelta,
    TurnEnded,
    TurnStarted,
    UsageReported,
    trusted_event,
)
from polysession_everruns.actions import is_approval, to_action
from polysession_everruns.endings import completed_turn, sealed_turn
from polysession_everruns.message_normaliser import conversation_message, to_arguments, to_message, to_output
from polysession_everruns.normaliser import to_usage
from polysession_everruns.stream_state import MESSAGE, THINKING, Told
from polysession_everruns.wire_events import (
    WireConversationEvent,
    WireEvent,
    WireMessageEvent,
    WireTextEvent,
    WireToolCall,
    WireToolCallsEvent,
    WireToolEvent,
    WireTurnEvent,
)

# What a wire model holds was validated.
_new_message: Final = trusted_event(MessageCompleted)
_new_message_delta: Final = trusted_event(MessageDelta)
_new_native: Final = trusted_event(RawEvent)
_new_thinking_delta: Final = trusted_event(ThinkingDelta)
_new_tool_call: Final = trusted_event(ToolCallCompleted)
_new_tool_output: Final = trusted_event(ToolResultDelta)
_new_tool_result: Final = trusted_event(ToolResultCompleted)

CONNECTED: Final = "connected"
DISCONNECTING: Final = "disconnecting"

_CALL_REQUESTED: Final = "tool.call_requested"
_TOOL_COMPLETED: Final = "tool.completed"
_MESSAGE_COMPLETED: Final = "output.message.completed"
_THINKING_COMPLETED: Final = "reason.thinking.completed"
_GOES_ON: Final = "reason.started"
_NOT_MODELLED: Final = (
    *("output.message.replaced", "reason.recovered", "reason.item"),
    *("act.completed", "tool.progress", "tool.call_repaired", "transcript.repaired"),
    *("llm.generation", "capability.usage", "file.written", "context.compacting", "context.compacted"),
    *("task.created", "task.updated", "task.message.sent", "task.message.received"),
    *("budget.warning", "budget.paused", "budget.exhausted", "budget.resumed"),
    *(
        "voice.session.started",
        "voice.session.ended",
        "voice.session.failed",
        "voice.input_transcript.delta",
        "voice.input_transcript.completed",
        "voice.output_transcript.delta",
        "voice.output_transcript.completed",
    ),
    # Newer servers only.
    *("tool.hosted_call", "tool.nested_call", "dreaming.activity", "voice.output.interrupted"),
    *("session.title.updated", "session.model.changed", "context.compaction.skipped", "context.compaction.failed"),
    *("sandbox.instance_lost", "sandbox.recovered", "environment.instance_lost", "environment.recovered"),
    *("timer.set", "timer.fired", "timer.cancelled"),
)
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "input.message": ("turn.started", "message.completed"),
    "output.message.started": ("message.started",),
    "output.message.delta": ("message.delta",),
    _MESSAGE_COMPLETED: ("message.completed",),
    "conversation.message": ("message.completed",),
    "turn.started": ("turn.started",),
    "turn.completed": ("turn.ended",),
    "turn.failed": ("turn.ended",),
    "turn.cancelled": ("turn.ended",),
    "turn.sealed": ("turn.ended",),
    _GOES_ON: ("turn.started", "raw"),
    "reason.completed": ("error", "raw"),
    "reason.thinking.started": ("thinking.started",),
    "reason.thinking.delta": ("thinking.delta",),
    _THINKING_COMPLETED: ("thinking.completed",),
    "act.started": ("tool_call.started",),
    "tool.started": ("tool_call.completed",),
    _TOOL_COMPLETED: ("turn.started", "tool_result.completed", "raw"),
    "tool.output.delta": ("tool_result.delta",),
    _CALL_REQUESTED: ("tool_call.completed", "action.required", "turn.ended"),
    "session.started": ("session.status",),
    "session.activated": ("session.status",),
    "session.idled": ("session.status", "usage"),
    **dict.fromkeys(_NOT_MODELLED, ("raw",)),
    # Frames of a connection: no events of the session, and so no events of ours.
    CONNECTED: (),
    DISCONNECTING: (),
}
"""The types of common events that each of Everruns' may become. A type that is not here is delivered as `native`."""

_TURN_EDGES: Final = frozenset({"turn.started", "turn.completed", "turn.failed", "turn.cancelled", "turn.sealed"})
_RESUMES: Final = frozenset({"input.message", _GOES_ON})
_END_OF_WAIT: Final = frozenset({"input.message", "session.activated", "session.idled", _GOES_ON})


SETTLING: Final = frozenset({_CALL_REQUESTED, _TOOL_COMPLETED})
"""The types whose data `Waiting` looks at; of all others the envelope is enough."""


class Waiting:
    """What the session waits for, followed from event to event.

    Attributes:
        actions: What has no answer yet, by id.
        turn_id: The turn that waits.
        is_parked: Whether a turn waits that has not gone on yet.
    """

    def __init__(self) -> None:
        self.actions: dict[str, PendingAction] = {}
        self.turn_id: str | None = None
        self._asked: frozenset[str] = frozenset()
        self.is_parked = False

    def take(self, event: WireEvent) -> bool:
        """Note what an event changes; tells whether it is the one that a parked turn goes on with.

        Raises:
            pydantic.ValidationError: It asks for something that is no call.
        """
        answered, kind = False, event.type
        if kind == _CALL_REQUESTED:
            self.actions = {action.id: action for action in _actions(event)}
            self._asked = frozenset(self.actions)
            self.turn_id = _turn_id(event)
            self.is_parked = bool(self.actions)
        elif kind in _TURN_EDGES:
            self.actions, self.is_parked = {}, False
        elif kind in _END_OF_WAIT:
            self.actions = {}
        elif isinstance(event, WireToolEvent) and kind == _TOOL_COMPLETED:
            self.actions.pop(event.tool_call_id, None)
            answered = event.tool_call_id in self._asked
        goes_on = self.is_parked and (answered or kind in _RESUMES)
        if goes_on:
            self.is_parked = False
        return goes_on


class EventReader:
    """Turns the events of one stream, in their order, into common ones.

    Deltas that are live only carry the text so far, and may be lost: what is told is what lies beyond that which was
    told before. A server may send them by another way than what it stores, and then those of a quick turn come after
    the message that they are part of, or after the turn: they tell nothing any more. Deltas that are stored have a
    sequence number, and are all there. A parked turn that goes on begins again, which the backend does not say.

    Args:
        waiting: What the session waits for when the stream begins.

    Attributes:
        told: What was told in pieces.
        waiting: What the session waits for.
    """

    def __init__(self, waiting: Waiting | None = None) -> None:
        self.told = Told()
        self.waiting = waiting or Waiting()

    def read(self, event: WireEvent) -> Sequence[Event]:
        """The common events of one; none if it tells only what was told before.

        Raises:
            pydantic.ValidationError: It is about calls, and one of them is none.
        """
        part, _, step = event.type.rpartition(".")
        if part == "turn":
            self.told.forget()
        if part in _PIECES and step == "started":
            self.told.forget(part)
        if isinstance(event, WireTextEvent) and step == "delta" and event.sequence is None:
            text = self.told.beyond(part, event.message_id, event.delta, event.accumulated)
            return () if text is None else (_PIECES[part](event, text),)
        if isinstance(event, WireMessageEvent) and event.type == _MESSAGE_COMPLETED:
            self.told.complete_message(str(event.message.get("id")))
        elif isinstance(event, WireTextEvent) and step == "completed":
            self.told.complete_thinking(part, event.thinking or "")
        if self.waiting.take(event):
            return (_continued(event, self.waiting.turn_id), *to_events(event))
        return to_events(event)


def to_events(event: WireEvent) -> Sequence[Event]:
    """The common events of one event by itself. What is not modelled, or has nothing to tell, becomes a `RawEvent`.

    Raises:
        pydantic.ValidationError: It is about calls, and one of them is none.
    """
    reader = _READERS.get(event.type)
    found = () if reader is None else tuple(reader(event))
    return found or (_new_native(**_envelope(event)),)


def _turn_id(event: WireEvent) -> str | None:
    return event.turn_id or _text_or_none(event.data_turn_id)


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _envelope(event: WireEvent) -> dict[str, Any]:
    return {
        "session_id": event.session_id,
        "id": event.id,
        "turn_id": event.turn_id or _text_or_none(event.data_turn_id),
        "sequence": event.sequence,
        "created_at": event.ts,
        "native_type": event.type,
        "raw": event.raw,
    }


def _inferred(event: WireEvent) -> dict[str, Any]:
    """The envelope of an event of ours that follows from one of the backend's."""
    return {
        "session_id": event.session_id,
        "turn_id": _turn_id(event),
        "sequence": event.sequence,
        "created_at": event.ts,
        "synthetic": True,
    }


def _continued(event: WireEvent, turn_id: str | None) -> Event:
    return TurnStarted(**{**_inferred(event), "turn_id": turn_id})


def _message(event: WireMessageEvent) -> Iterable[Event]:
    message = to_message(event.message, event.session_id, to_usage(event.usage))
    return (_new_message(**_envelope(event), message=message),)


def _conversation_message(event: WireConversationEvent) -> Iterable[Event]:
    return (_new_message(**_envelope(event), message=conversation_message(event)),)


def _message_started(event: WireTextEvent) -> Iterable[Event]:
    return (MessageStarted(**_envelope(event), message_id=event.message_id),)


def _message_delta(event: WireTextEvent) -> Iterable[Event]:
    return (_message_piece(event, event.delta),)


def _message_piece(event: WireTextEvent, text: str) -> Event:
    return _new_message_delta(**_envelope(event), message_id=event.message_id, text=text)


def _thinking_started(event: WireTextEvent) -> Iterable[Event]:
    return (ThinkingStarted(**_envelope(event)),)


def _thinking_delta(event: WireTextEvent) -> Iterable[Event]:
    return (_thinking_piece(event, event.delta),)


def _thinking_piece(event: WireTextEvent, text: str) -> Event:
    return _new_thinking_delta(**_envelope(event), text=text)


def _thinking_completed(event: WireTextEvent) -> Iterable[Event]:
    return (ThinkingCompleted(**_envelope(event), text=event.thinking or ""),)


def _turn_started(event: WireTurnEvent) -> Iterable[Event]:
    return (TurnStarted(**_envelope(event)),)


def _turn_completed(event: WireTurnEvent) -> Iterator[Event]:
    yield _ended(event, *completed_turn(event.termination_reason or event.stop_reason or ""))


def _turn_failed(event: WireTurnEvent) -> Iterator[Event]:
    yield _ended(event, Outcome.FAILED, event.error_code or "failed", event.error)


def _turn_cancelled(event: WireTurnEvent) -> Iterator[Event]:
    yield _ended(event, Outcome.CANCELLED, event.reason or "cancelled")


def _turn_sealed(event: WireTurnEvent) -> Iterator[Event]:
    yield _ended(event, *sealed_turn(event.reason or "sealed", event.detail))


def _ended(event: WireTurnEvent, outcome: Outcome, reason: str, error: str | None = None) -> Event:
    usage = to_usage(event.usage)
    return TurnEnded(**_envelope(event), outcome=outcome, native_reason=reason, usage=usage, error=error)


def _reason_completed(event: WireTurnEvent) -> Iterator[Event]:
    if event.error is not None:
        yield ErrorReported(**_envelope(event), message=event.error, code=event.error_code)


def _status(status: SessionStatus, native_status: str) -> Callable[[WireEvent], Iterator[Event]]:
    def read(event: WireEvent) -> Iterator[Event]:
        yield StatusChanged(**_envelope(event), status=status, native_status=native_status)

    return read


def _session_idled(event: WireTurnEvent) -> Iterator[Event]:
    yield StatusChanged(**_envelope(event), status=SessionStatus.IDLE, native_status="idle")
    usage = to_usage(event.usage)
    if usage is not None:
        yield UsageReported(**_envelope(event), usage=usage, is_delta=False)


def _tools_announced(event: WireToolCallsEvent) -> Iterator[Event]:
    for raw in event.tool_calls or ():
        call = WireToolCall.model_validate(raw)
        yield ToolCallStarted(**_envelope(event), tool_call_id=call.id, name=call.name)


def _tool_started(event: WireToolEvent) -> Iterable[Event]:
    call = event.tool_call
    if call is None:
        return ()
    arguments = to_arguments(call.arguments)
    return (_new_tool_call(**_envelope(event), tool_call_id=call.id, name=call.name, arguments=arguments),)


def _tool_output(event: WireToolEvent) -> Iterable[Event]:
    return (_new_tool_output(**_envelope(event), tool_call_id=event.tool_call_id, text=event.delta),)


def _tool_completed(event: WireToolEvent) -> Iterable[Event]:
    if is_approval(event.tool_call_id, event.tool_name):
        return ()  # what became of a request for an approval; the tool itself has not run yet
    is_error = not event.success or event.error is not None
    text = event.error if event.error is not None else to_output(event.result)
    if event.tool_name == "":
        text = _unquoted(text)
    return (_new_tool_result(**_envelope(event), tool_call_id=event.tool_call_id, text=text, is_error=is_error),)


def _unquoted(text: str) -> str:
    """The output of a client's tool as it was given: the server keeps it as JSON, and does not name the tool.

    Backend: https://github.com/everruns/everruns, command submit_tool_results (read 2026-11)
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _call_requested(event: WireToolCallsEvent) -> Iterator[Event]:
    actions = _actions(event)
    for action in actions:
        if isinstance(action, ToolExecution):
            yield ToolCallCompleted(
                **_envelope(event), tool_call_id=action.id, name=action.name, arguments=action.arguments
            )
    if actions:
        yield ActionRequired(**_envelope(event), actions=actions)
        yield TurnEnded(**_inferred(event), outcome=Outcome.REQUIRES_ACTION, native_reason=_CALL_REQUESTED)


def _actions(event: WireEvent) -> tuple[PendingAction, ...]:
    calls = event.tool_calls if isinstance(event, WireToolCallsEvent) else None
    return tuple(to_action(raw) for raw in calls or ())


_PIECES: Final[Mapping[str, Callable[[WireTextEvent, str], Event]]] = {
    MESSAGE: _message_piece,
    THINKING: _thinking_piece,
}
_READERS: Final[Mapping[str, Callable[[Any], Iterable[Event]]]] = {
    "input.message": _message,
    "output.message.started": _message_started,
    "output.message.delta": _message_delta,
    _MESSAGE_COMPLETED: _message,
    "conversation.message": _conversation_message,
    "turn.started": _turn_started,
    "turn.completed": _turn_completed,
    "turn.failed": _turn_failed,
    "turn.cancelled": _turn_cancelled,
    "turn.sealed": _turn_sealed,
    "reason.completed": _reason_completed,
    "reason.thinking.started": _thinking_started,
    "reason.thinking.delta": _thinking_delta,
    _THINKING_COMPLETED: _thinking_completed,
    "act.started": _tools_announced,
    "tool.started": _tool_started,
    _TOOL_COMPLETED: _tool_completed,
    "tool.output.delta": _tool_output,
    _CALL_REQUESTED: _call_requested,
    "session.started": _status(SessionStatus.IDLE, "started"),
    "session.activated": _status(SessionStatus.RUNNING, "active"),
    "session.idled": _session_idled,
}
