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
    NativeEvent,
    Outcome,
    PendingAction,
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
)
from polysession_everruns.actions import is_approval, to_action
from polysession_everruns.message_normaliser import conversation_message, to_arguments, to_message, to_output
from polysession_everruns.normaliser import to_usage
from polysession_everruns.wire import (
    WireEvent,
    WireMessageData,
    WireTextData,
    WireToolCall,
    WireToolCallsData,
    WireToolData,
    WireTurnData,
)

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
    _GOES_ON: ("turn.started", "native"),
    "reason.completed": ("error", "native"),
    "reason.thinking.started": ("thinking.started",),
    "reason.thinking.delta": ("thinking.delta",),
    _THINKING_COMPLETED: ("thinking.completed",),
    "act.started": ("tool_call.started",),
    "tool.started": ("tool_call.completed",),
    _TOOL_COMPLETED: ("turn.started", "tool_result.completed", "native"),
    "tool.output.delta": ("tool_result.delta",),
    _CALL_REQUESTED: ("tool_call.completed", "action.required", "turn.ended"),
    "session.started": ("session.status",),
    "session.activated": ("session.status",),
    "session.idled": ("session.status", "usage"),
    **dict.fromkeys(_NOT_MODELLED, ("native",)),
    # Frames of a connection: no events of the session, and so no events of ours.
    CONNECTED: (),
    DISCONNECTING: (),
}
"""The types of common events that each of Everruns' may become. A type that is not here is delivered as `native`."""

_SEALED: Final[Mapping[str, Outcome]] = {"budget": Outcome.LIMIT_REACHED, "no_progress": Outcome.FAILED}
_STOPPED: Final[Mapping[str, Outcome]] = {
    "max_tokens": Outcome.LIMIT_REACHED,
    "max_turn_requests": Outcome.LIMIT_REACHED,
    "refusal": Outcome.FAILED,
    "error": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    # The model's own word, where the turn has none.
    "length": Outcome.LIMIT_REACHED,
    "content_filter": Outcome.FAILED,
}
"""Why a turn that newer servers call completed was no success. Older ones do not say."""

_REMEMBERED: Final = 100
"""Completed messages whose late deltas are known: far more than a turn makes while its last deltas are on their way."""
_TURN_EDGES: Final = frozenset({"turn.started", "turn.completed", "turn.failed", "turn.cancelled", "turn.sealed"})
_RESUMES: Final = frozenset({"input.message", _GOES_ON})
_END_OF_WAIT: Final = frozenset({"input.message", "session.activated", "session.idled", _GOES_ON})


class Waiting:
    """What the session waits for, followed from event to event.

    Attributes:
        actions: What has no answer yet, by id.
        turn_id: The turn that waits.
    """

    def __init__(self) -> None:
        self.actions: dict[str, PendingAction] = {}
        self.turn_id: str | None = None
        self._asked: frozenset[str] = frozenset()
        self._is_parked = False

    def take(self, event: WireEvent) -> bool:
        """Note what an event changes; tells whether it is the one that a parked turn goes on with."""
        answered = False
        if event.type == _CALL_REQUESTED:
            self.actions = {action.id: action for action in _actions(event)}
            self._asked = frozenset(self.actions)
            self.turn_id = _turn_id(event)
            self._is_parked = bool(self.actions)
        elif event.type in _TURN_EDGES:
            self.actions, self._is_parked = {}, False
        elif event.type in _END_OF_WAIT:
            self.actions = {}
        elif event.type == _TOOL_COMPLETED:
            answered_id = _tool(event).tool_call_id
            self.actions.pop(answered_id, None)
            answered = answered_id in self._asked
        goes_on = self._is_parked and (answered or event.type in _RESUMES)
        if goes_on:
            self._is_parked = False
        return goes_on


class EventReader:
    """Turns the events of one stream, in their order, into common ones.

    Deltas that are live only carry the text so far, and may be lost: what is told is what lies beyond that which was
    told before. A server may send them by another way than what it stores, and then those of a quick turn come after
    the message that they are part of, or after the turn: they tell nothing any more. Deltas that are stored have a
    sequence number, and are all there. A parked turn that goes on begins again, which the backend does not say.

    Args:
        waiting: What the session waits for when the stream begins.
    """

    def __init__(self, waiting: Waiting | None = None) -> None:
        self._waiting = waiting or Waiting()
        self._texts: dict[str, tuple[str | None, str]] = {}
        self._completed: dict[str, None] = {}
        self._thought: str = ""

    def read(self, event: WireEvent) -> Sequence[Event]:
        """The common events of one; none if it tells only what was told before.

        Raises:
            pydantic.ValidationError: Its data are not those of its type.
        """
        kind, _, step = event.type.rpartition(".")
        if kind == "turn":
            self._texts.clear()
        if kind in _BEYOND and step == "started":
            self._texts.pop(kind, None)
        if kind in _BEYOND and step == "delta" and event.sequence is None:
            return self._beyond(kind, event)
        if event.type == _MESSAGE_COMPLETED:
            self._complete_message(event)
        elif event.type == _THINKING_COMPLETED:
            self._complete_thinking(event, kind)
        if self._waiting.take(event):
            return (_continued(event, self._waiting.turn_id), *to_events(event))
        return to_events(event)

    def _beyond(self, kind: str, event: WireEvent) -> Sequence[Event]:
        data = _text(event)
        if data.message_id in self._completed or self._was_thought(kind, data):
            return ()
        message_id, told = self._texts.get(kind, (data.message_id, ""))
        if message_id != data.message_id:
            told = ""
        text = told + data.delta if data.accumulated is None else data.accumulated
        if told and told.startswith(text):
            return ()
        self._texts[kind] = (data.message_id, text)
        return (_BEYOND[kind](event, data.message_id, text.removeprefix(told)),)

    def _complete_message(self, event: WireEvent) -> None:
        self._completed[str(WireMessageData.model_validate(event.data).message.get("id"))] = None
        if len(self._completed) > _REMEMBERED:
            del self._completed[next(iter(self._completed))]

    def _complete_thinking(self, event: WireEvent, kind: str) -> None:
        """Thoughts have no id: what is known of their late deltas is the rest of the text."""
        whole = _text(event).thinking or ""
        _, told = self._texts.get(kind, (None, ""))
        self._thought = whole.removeprefix(told) if whole.startswith(told) else ""

    def _was_thought(self, kind: str, data: WireTextData) -> bool:
        if kind == "output.message" or data.accumulated is not None or not data.delta:
            return False
        is_late = self._thought.startswith(data.delta)
        self._thought = self._thought.removeprefix(data.delta) if is_late else ""
        return is_late


def to_events(event: WireEvent) -> Sequence[Event]:
    """The common events of one event by itself. What is not modelled, or has nothing to tell, becomes a `NativeEvent`.

    Raises:
        pydantic.ValidationError: Its data are not those of its type.
    """
    reader = _READERS.get(event.type)
    found = () if reader is None else tuple(reader(event))
    return found or (NativeEvent(**_envelope(event)),)


def _turn_id(event: WireEvent) -> str | None:
    told = event.data.get("turn_id")
    return event.context.turn_id or (told if isinstance(told, str) else None)


def _envelope(event: WireEvent) -> dict[str, Any]:
    told = {"id": event.id, "native_type": event.type, "synthetic": False, "raw": event.raw}
    return _inferred(event) | told


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


def _message(event: WireEvent) -> Iterator[Event]:
    data = WireMessageData.model_validate(event.data)
    yield MessageCompleted(**_envelope(event), message=to_message(data.message, event.session_id, to_usage(data.usage)))


def _conversation_message(event: WireEvent) -> Iterator[Event]:
    yield MessageCompleted(**_envelope(event), message=conversation_message(event))


def _message_started(event: WireEvent) -> Iterator[Event]:
    yield MessageStarted(**_envelope(event), message_id=_text(event).message_id)


def _message_delta(event: WireEvent) -> Iterator[Event]:
    data = _text(event)
    yield _message_piece(event, data.message_id, data.delta)


def _message_piece(event: WireEvent, message_id: str | None, text: str) -> Event:
    return MessageDelta(**_envelope(event), message_id=message_id, text=text)


def _thinking_started(event: WireEvent) -> Iterator[Event]:
    yield ThinkingStarted(**_envelope(event))


def _thinking_delta(event: WireEvent) -> Iterator[Event]:
    yield _thinking_piece(event, None, _text(event).delta)


def _thinking_piece(event: WireEvent, _message_id: str | None, text: str) -> Event:
    return ThinkingDelta(**_envelope(event), text=text)


def _thinking_completed(event: WireEvent) -> Iterator[Event]:
    yield ThinkingCompleted(**_envelope(event), text=_text(event).thinking or "")


def _text(event: WireEvent) -> WireTextData:
    return WireTextData.model_validate(event.data)


def _turn_started(event: WireEvent) -> Iterator[Event]:
    yield TurnStarted(**_envelope(event))


def _turn_completed(event: WireEvent) -> Iterator[Event]:
    data = _turn(event)
    reason = data.termination_reason or data.stop_reason or ""
    outcome = _STOPPED.get(reason, Outcome.COMPLETED)
    error = f"the turn ended with {reason!r}" if outcome is Outcome.FAILED else None
    yield _ended(event, data, outcome, "completed" if outcome is Outcome.COMPLETED else reason, error)


def _turn_failed(event: WireEvent) -> Iterator[Event]:
    data = _turn(event)
    yield _ended(event, data, Outcome.FAILED, data.error_code or "failed", data.error)


def _turn_cancelled(event: WireEvent) -> Iterator[Event]:
    data = _turn(event)
    yield _ended(event, data, Outcome.CANCELLED, data.reason or "cancelled")


def _turn_sealed(event: WireEvent) -> Iterator[Event]:
    data = _turn(event)
    reason = data.reason or "sealed"
    outcome = _SEALED.get(reason, Outcome.FAILED)
    yield _ended(event, data, outcome, reason, (data.detail or reason) if outcome is Outcome.FAILED else None)


def _ended(event: WireEvent, data: WireTurnData, outcome: Outcome, reason: str, error: str | None = None) -> Event:
    return TurnEnded(**_envelope(event), outcome=outcome, native_reason=reason, usage=to_usage(data.usage), error=error)


def _turn(event: WireEvent) -> WireTurnData:
    return WireTurnData.model_validate(event.data)


def _reason_completed(event: WireEvent) -> Iterator[Event]:
    data = _turn(event)
    if data.error is not None:
        yield ErrorReported(**_envelope(event), message=data.error, code=data.error_code)


def _status(status: SessionStatus, native_status: str) -> Callable[[WireEvent], Iterator[Event]]:
    def read(event: WireEvent) -> Iterator[Event]:
        yield StatusChanged(**_envelope(event), status=status, native_status=native_status)

    return read


def _session_idled(event: WireEvent) -> Iterator[Event]:
    yield StatusChanged(**_envelope(event), status=SessionStatus.IDLE, native_status="idle")
    usage = to_usage(_turn(event).usage)
    if usage is not None:
        yield UsageReported(**_envelope(event), usage=usage, is_delta=False)


def _tools_announced(event: WireEvent) -> Iterator[Event]:
    for raw in _tool_calls(event):
        call = WireToolCall.model_validate(raw)
        yield ToolCallStarted(**_envelope(event), tool_call_id=call.id, name=call.name)


def _tool_started(event: WireEvent) -> Iterator[Event]:
    call = _tool(event).tool_call
    if call is not None:
        yield ToolCallCompleted(
            **_envelope(event), tool_call_id=call.id, name=call.name, arguments=to_arguments(call.arguments)
        )


def _tool_output(event: WireEvent) -> Iterator[Event]:
    data = _tool(event)
    yield ToolResultDelta(**_envelope(event), tool_call_id=data.tool_call_id, text=data.delta)


def _tool_completed(event: WireEvent) -> Iterator[Event]:
    data = _tool(event)
    if is_approval(data.tool_call_id, data.tool_name):
        return  # what became of a request for an approval; the tool itself has not run yet
    is_error = not data.success or data.error is not None
    text = data.error if data.error is not None else to_output(data.result)
    if data.tool_name == "":
        text = _unquoted(text)
    yield ToolResultCompleted(**_envelope(event), tool_call_id=data.tool_call_id, text=text, is_error=is_error)


def _unquoted(text: str) -> str:
    """The output of a client's tool as it was given: the server keeps it as JSON, and does not name the tool.

    Backend: https://github.com/everruns/everruns, command submit_tool_results (read 2026-11)
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _call_requested(event: WireEvent) -> Iterator[Event]:
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
    return tuple(to_action(raw) for raw in _tool_calls(event))


def _tool(event: WireEvent) -> WireToolData:
    return WireToolData.model_validate(event.data)


def _tool_calls(event: WireEvent) -> Iterable[dict[str, Any]]:
    return WireToolCallsData.model_validate(event.data).tool_calls or ()


_BEYOND: Final[Mapping[str, Callable[[WireEvent, str | None, str], Event]]] = {
    "output.message": _message_piece,
    "reason.thinking": _thinking_piece,
}
_READERS: Final[Mapping[str, Callable[[WireEvent], Iterator[Event]]]] = {
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
