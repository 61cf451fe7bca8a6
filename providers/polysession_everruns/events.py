"""Converts Everruns' events into the common events.

Pure; `EventReader` keeps the state of one stream.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, EventData, and https://docs.everruns.com, event and
streaming pages; newer types: https://crates.io/crates/everruns-contracts, 0.50.1 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, get_args

import msgspec
from pydantic import ValidationError

from polysession.provider_api import (
    ActionRequired,
    ErrorReported,
    Event,
    MalformedResponse,
    Message,
    MessageCompleted,
    MessageStarted,
    Outcome,
    PendingAction,
    RecentIds,
    Role,
    SessionStatus,
    StatusChanged,
    TextBlock,
    ThinkingCompleted,
    ThinkingStarted,
    ToolApproval,
    ToolCallCompleted,
    ToolCallStarted,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    Usage,
    UsageReported,
    decoder,
    message_delta,
    raw_event,
    remove_unusable,
    thinking_delta,
    tool_result_delta,
)
from polysession_everruns.messages import MESSAGE, THINKING, Fragments, message_reader, to_output, unquoted
from polysession_everruns.pending import (
    CALL_REQUESTED,
    INPUT,
    REASON_STARTED,
    TOOL_COMPLETED,
    Waiting,
    is_approval,
    to_actions,
)
from polysession_everruns.sessions import NAME, usage_fields
from polysession_everruns.wire import (
    WireConversationData,
    WireConversationEvent,
    WireData,
    WireEvent,
    WireMessageData,
    WireMessageEvent,
    WireTextData,
    WireTextEvent,
    WireToolCall,
    WireToolCallsData,
    WireToolCallsEvent,
    WireToolData,
    WireToolEvent,
    WireTurnData,
    WireTurnEvent,
    WireWholeData,
)

Envelope: TypeAlias = dict[str, Any]
"""The fields that all common events have."""

CONNECTED: Final = "connected"
DISCONNECTING: Final = "disconnecting"

_SAFE_YEARS: Final = (2, 9998)
"""Range of years in which a time with any UTC offset can be converted to UTC."""
_REMEMBERED_EVENTS: Final = 1_000

_STOPPED: Final[Mapping[str, Outcome]] = {
    "max_tokens": Outcome.LIMIT_REACHED,
    "max_turn_requests": Outcome.LIMIT_REACHED,
    "refusal": Outcome.FAILED,
    "error": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    # Stop reasons of the model, used if the turn has no reason.
    "length": Outcome.LIMIT_REACHED,
    "content_filter": Outcome.FAILED,
}
"""Outcomes of a `turn.completed` that is not a success. Only newer servers send the reason."""

_SEALED: Final[Mapping[str, Outcome]] = {"budget": Outcome.LIMIT_REACHED, "no_progress": Outcome.FAILED}

_read_call: Final = decoder(WireToolCall)
_read_envelope: Final = decoder(WireEvent)
_read_whole_data: Final = decoder(WireWholeData)


class EventReader:
    """Reads the events of one session in order, and drops repeated events.

    Args:
        session_id: The session, for events that do not name it.
        waiting: The pending actions at the start of the stream.

    Attributes:
        fragments: The text of incomplete messages and thoughts.
        waiting: The pending actions.
        last: The event that was read last; None if it was a repeated event, or could not be read.
    """

    def __init__(self, session_id: str, waiting: Waiting | None = None) -> None:
        self.fragments = Fragments()
        self.waiting = waiting or Waiting()
        self.last: WireEvent | None = None
        self._session_id = session_id
        self._seen = RecentIds(_REMEMBERED_EVENTS)

    def read(self, content: bytes, kind: str = "") -> Sequence[Event]:
        """Read one event and return its common events; none for a repeated event or no new text.

        If a waiting turn continues, a synthetic `TurnStarted` comes first, because the backend sends no such event.

        Args:
            content: The event's JSON text.
            kind: The event's type, if the frame names it.
        """
        self.last = None
        row = TABLE.get(kind)
        try:
            if row is None:
                kind = _read_envelope(content)[0].type or kind
                row = TABLE.get(kind, RAW)
            wire, problems = row.decode(content)
        except MalformedResponse:
            problem = ("the event: not a JSON object",)
            return (raw_event(self._session_id, content, native_type=kind, problems=problem),)
        if wire.id is not None and not self._seen.add(wire.id):
            return ()
        self.last = wire
        if wire.ts is not None and not _SAFE_YEARS[0] <= wire.ts.year <= _SAFE_YEARS[1]:
            problems += remove_unusable(wire)
        try:
            return self._build(row, kind, wire, self._envelope(kind, wire, content, problems))
        except ValidationError:
            pass  # retried outside the handler, so that no traceback holds the event
        problems += remove_unusable(wire)
        return self._build(row, kind, wire, self._envelope(kind, wire, content, problems))

    def _build(self, row: Row, kind: str, wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
        events = row.build(self, wire.data or row.no_data, envelope)
        if events is None:
            events = (raw_event(**envelope),)
        if kind != CALL_REQUESTED and self.waiting.update(kind, wire):
            return (TurnStarted(**{**_inferred(envelope), "turn_id": self.waiting.turn_id}), *events)
        return events

    def _envelope(self, kind: str, wire: WireEvent, content: bytes, problems: tuple[str, ...]) -> Envelope:
        turn_id = wire.context.turn_id if wire.context is not None else None
        if turn_id is None and wire.data is not None:
            turn_id = wire.data.turn_id
        return {
            "session_id": wire.session_id or self._session_id,
            "id": wire.id,
            "turn_id": turn_id,
            "sequence": wire.sequence,
            "created_at": wire.ts,
            "native_type": kind,
            "source": content,
            "problems": problems,
        }


def remaining_required(waiting: Waiting, session_id: str) -> Sequence[Event]:
    """Return the events of a session that still waits after some of its actions were answered."""
    waiting.is_waiting = True
    inferred: Envelope = {"session_id": session_id, "turn_id": waiting.turn_id, "synthetic": True}
    return (
        ActionRequired(actions=waiting.actions, **inferred),
        TurnEnded(outcome=Outcome.REQUIRES_ACTION, native_reason=CALL_REQUESTED, **inferred),
    )


def _inferred(envelope: Envelope) -> Envelope:
    """Return the envelope of a synthetic event that is derived from an event of the backend."""
    kept = {name: envelope[name] for name in ("session_id", "turn_id", "sequence", "created_at")}
    return {**kept, "synthetic": True}


# --- Messages and thoughts


def _message(_: EventReader, data: WireMessageData, envelope: Envelope) -> tuple[MessageCompleted] | None:
    content = bytes(data.message)
    if not content:
        return None
    usage = None if data.usage is None else Usage(**usage_fields(data.usage))
    try:
        message = message_reader(envelope["session_id"], usage)(content)
    except MalformedResponse as error:
        envelope["problems"] += (f"data.message: {error.message}",)
        return None
    return (MessageCompleted(message=message, **envelope),)


def _output_message(reader: EventReader, data: WireMessageData, envelope: Envelope) -> Sequence[Event] | None:
    events = _message(reader, data, envelope)
    if events is not None:
        reader.fragments.complete_message(events[0].message.id)
    return events


def _conversation(_: EventReader, data: WireConversationData, envelope: Envelope) -> Sequence[Event] | None:
    """Read a message that the agent sent with a tool.

    Newer servers distinguish it from the model's output.
    """
    if data.message_id is None or data.text is None:
        return None
    message = Message(
        provider=NAME,
        id=data.message_id,
        session_id=envelope["session_id"],
        role=Role.ASSISTANT,
        content=(TextBlock(text=data.text),),
        created_at=envelope["created_at"],
        source=bytes(_read_whole_data(envelope["source"])[0].data),
    )
    return (MessageCompleted(message=message, **envelope),)


def _message_started(reader: EventReader, data: WireTextData, envelope: Envelope) -> Sequence[Event]:
    reader.fragments.forget(MESSAGE)
    return (MessageStarted(message_id=data.message_id, **envelope),)


def _message_delta(reader: EventReader, data: WireTextData, envelope: Envelope) -> Sequence[Event]:
    text = _new_text(reader, MESSAGE, data, envelope)
    return () if text is None else (message_delta({"message_id": data.message_id, "text": text, **envelope}),)


def _thinking_started(reader: EventReader, _: WireTextData, envelope: Envelope) -> Sequence[Event]:
    reader.fragments.forget(THINKING)
    return (ThinkingStarted(**envelope),)


def _thinking_delta(reader: EventReader, data: WireTextData, envelope: Envelope) -> Sequence[Event]:
    text = _new_text(reader, THINKING, data, envelope)
    return () if text is None else (thinking_delta({"text": text, **envelope}),)


def _new_text(reader: EventReader, part: str, data: WireTextData, envelope: Envelope) -> str | None:
    """Return the new text of a delta; None if it adds none.

    Deltas with a sequence number are stored and complete.
    """
    delta = reader.fragments.join(part, data.delta, envelope["source"])
    if envelope["sequence"] is not None:
        return delta
    return reader.fragments.add(part, data.message_id, delta, data.accumulated)


def _thinking_completed(reader: EventReader, data: WireTextData, envelope: Envelope) -> Sequence[Event]:
    text = data.thinking or ""
    reader.fragments.complete_thought(text)
    return (ThinkingCompleted(text=text, **envelope),)


# --- Turns and the session


def _turn_started(reader: EventReader, _: WireTurnData, envelope: Envelope) -> Sequence[Event]:
    reader.fragments.forget()
    return (TurnStarted(**envelope),)


def _turn_completed(reader: EventReader, data: WireTurnData, envelope: Envelope) -> Sequence[Event]:
    reason = data.termination_reason or data.stop_reason or ""
    outcome = _STOPPED.get(reason, Outcome.COMPLETED)
    if outcome is Outcome.COMPLETED:
        reason = "completed"
    error = f"the turn ended with {reason!r}" if outcome is Outcome.FAILED else None
    return _ended(reader, data, envelope, outcome=outcome, native_reason=reason, error=error)


def _turn_failed(reader: EventReader, data: WireTurnData, envelope: Envelope) -> Sequence[Event]:
    reason = data.error_code or "failed"
    return _ended(reader, data, envelope, outcome=Outcome.FAILED, native_reason=reason, error=data.error)


def _turn_cancelled(reader: EventReader, data: WireTurnData, envelope: Envelope) -> Sequence[Event]:
    reason = data.reason or "cancelled"
    return _ended(reader, data, envelope, outcome=Outcome.CANCELLED, native_reason=reason)


def _turn_sealed(reader: EventReader, data: WireTurnData, envelope: Envelope) -> Sequence[Event]:
    """Read the event of a turn that the server ended for its budget or a lack of progress."""
    reason = data.reason or "sealed"
    outcome = _SEALED.get(reason, Outcome.FAILED)
    error = (data.detail or reason) if outcome is Outcome.FAILED else None
    return _ended(reader, data, envelope, outcome=outcome, native_reason=reason, error=error)


def _ended(reader: EventReader, data: WireTurnData, envelope: Envelope, **facts: Any) -> Sequence[Event]:
    reader.fragments.forget()
    usage = None if data.usage is None else usage_fields(data.usage)
    return (TurnEnded(usage=usage, **facts, **envelope),)


def _reason_completed(_: EventReader, data: WireTurnData, envelope: Envelope) -> Sequence[Event] | None:
    if data.error is None:
        return None
    return (ErrorReported(message=data.error, code=data.error_code, **envelope),)


def _status(status: SessionStatus, word: str) -> Builder:
    def build(_: EventReader, _data: WireData, envelope: Envelope) -> Sequence[Event]:
        return (StatusChanged(status=status, native_status=word, **envelope),)

    return build


def _idled(_: EventReader, data: WireTurnData, envelope: Envelope) -> Sequence[Event]:
    status = StatusChanged(status=SessionStatus.IDLE, native_status="idle", **envelope)
    if data.usage is None:
        return (status,)
    return (status, UsageReported(usage=usage_fields(data.usage), is_delta=False, **envelope))


# --- Tools


def _tools_announced(_: EventReader, data: WireToolCallsData, envelope: Envelope) -> Sequence[Event] | None:
    calls = _calls(data, envelope)
    return [ToolCallStarted(tool_call_id=call.id, name=call.name, **envelope) for call, _ in calls] or None


def _tool_started(_: EventReader, data: WireToolData, envelope: Envelope) -> Sequence[Event] | None:
    return None if data.tool_call is None else (_call_completed(data.tool_call, envelope),)


def _call_completed(call: WireToolCall, envelope: Envelope) -> Event:
    return ToolCallCompleted(tool_call_id=call.id, name=call.name, arguments=call.arguments or {}, **envelope)


def _tool_output(_: EventReader, data: WireToolData, envelope: Envelope) -> Sequence[Event] | None:
    if data.tool_call_id is None:
        return None
    return (tool_result_delta({"tool_call_id": data.tool_call_id, "text": data.delta, **envelope}),)


def _tool_completed(_: EventReader, data: WireToolData, envelope: Envelope) -> Sequence[Event] | None:
    if data.tool_call_id is None or is_approval(data.tool_call_id, data.tool_name):
        return None  # the decision about an approval; the tool has not run yet
    text = to_output(data.result) if data.error is None else data.error
    if data.tool_name == "":
        text = unquoted(text)
    is_error = not data.success or data.error is not None
    return (ToolResultCompleted(tool_call_id=data.tool_call_id, text=text, is_error=is_error, **envelope),)


def _call_requested(reader: EventReader, data: WireToolCallsData, envelope: Envelope) -> Sequence[Event] | None:
    asked: dict[str, tuple[PendingAction, ...]] = {}
    completed: list[Event] = []
    round_id = envelope["id"] or envelope["turn_id"] or ""
    for call, content in _calls(data, envelope):
        asked[call.id] = actions = to_actions(call, content, round_id)
        if not isinstance(actions[0], ToolApproval):
            completed.append(_call_completed(call, envelope))
    reader.waiting.ask(asked, envelope["turn_id"])
    if not asked:
        return None
    end = TurnEnded(outcome=Outcome.REQUIRES_ACTION, native_reason=CALL_REQUESTED, **_inferred(envelope))
    return (*completed, ActionRequired(actions=reader.waiting.actions, **envelope), end)


def _calls(data: WireToolCallsData, envelope: Envelope) -> list[tuple[WireToolCall, bytes]]:
    """Return the readable calls, each with its JSON text.

    The envelope's `problems` describe the others.
    """
    calls = []
    for number, raw in enumerate(data.tool_calls or ()):
        content = bytes(raw)
        try:
            call, unreadable = _read_call(content)
        except MalformedResponse as error:
            unreadable = (error.message,)
        else:
            calls.append((call, content))
        envelope["problems"] += tuple(f"data.tool_calls[{number}]: {problem}" for problem in unreadable)
    return calls


# --- The table


Builder: TypeAlias = Callable[[EventReader, Any, Envelope], Sequence[Event] | None]
"""Builds the common events from the data of one event; None for a `RawEvent`."""


class Row(NamedTuple):
    """How the reader reads one type of event.

    Attributes:
        decode: Decodes the JSON of an event; returns a struct and the problems found.
        no_data: The default for an event without data.
        build: Builds the common events.
        types: The types of the common events that `build` may return.
    """

    decode: Callable[[bytes], tuple[Any, tuple[str, ...]]]
    no_data: WireData
    build: Builder
    types: tuple[str, ...]


def _row(shape: type[WireEvent], build: Builder, *types: str) -> Row:
    (data_type,) = (field.type for field in msgspec.structs.fields(shape) if field.name == "data")
    return Row(decoder(shape), get_args(data_type)[0](), build, types)


def _nothing(_: EventReader, _data: WireData, _envelope: Envelope) -> None:
    return None


RAW: Final = _row(WireEvent, _nothing, "raw")
"""The row for all types without a row of their own."""

TABLE: Final[Mapping[str, Row]] = {
    INPUT: _row(WireMessageEvent, _message, "turn.started", "message.completed", "raw"),
    "output.message.started": _row(WireTextEvent, _message_started, "message.started"),
    "output.message.delta": _row(WireTextEvent, _message_delta, "message.delta"),
    "output.message.completed": _row(WireMessageEvent, _output_message, "message.completed", "raw"),
    "conversation.message": _row(WireConversationEvent, _conversation, "message.completed", "raw"),
    "turn.started": _row(WireTurnEvent, _turn_started, "turn.started"),
    "turn.completed": _row(WireTurnEvent, _turn_completed, "turn.ended"),
    "turn.failed": _row(WireTurnEvent, _turn_failed, "turn.ended"),
    "turn.cancelled": _row(WireTurnEvent, _turn_cancelled, "turn.ended"),
    "turn.sealed": _row(WireTurnEvent, _turn_sealed, "turn.ended"),
    REASON_STARTED: _row(WireEvent, _nothing, "turn.started", "raw"),
    "reason.completed": _row(WireTurnEvent, _reason_completed, "error", "raw"),
    "reason.thinking.started": _row(WireTextEvent, _thinking_started, "thinking.started"),
    "reason.thinking.delta": _row(WireTextEvent, _thinking_delta, "thinking.delta"),
    "reason.thinking.completed": _row(WireTextEvent, _thinking_completed, "thinking.completed"),
    "act.started": _row(WireToolCallsEvent, _tools_announced, "tool_call.started", "raw"),
    "tool.started": _row(WireToolEvent, _tool_started, "tool_call.completed", "raw"),
    TOOL_COMPLETED: _row(WireToolEvent, _tool_completed, "turn.started", "tool_result.completed", "raw"),
    "tool.output.delta": _row(WireToolEvent, _tool_output, "tool_result.delta", "raw"),
    CALL_REQUESTED: _row(
        WireToolCallsEvent, _call_requested, "tool_call.completed", "action.required", "turn.ended", "raw"
    ),
    "session.started": _row(WireEvent, _status(SessionStatus.IDLE, "started"), "session.status"),
    "session.activated": _row(WireEvent, _status(SessionStatus.RUNNING, "active"), "session.status"),
    "session.idled": _row(WireTurnEvent, _idled, "session.status", "usage"),
    **dict.fromkeys(
        (
            *("output.message.replaced", "reason.recovered", "reason.item"),
            *("act.completed", "tool.progress", "tool.call_repaired", "transcript.repaired"),
            *("llm.generation", "capability.usage", "file.written", "context.compacting", "context.compacted"),
            *("task.created", "task.updated", "task.message.sent", "task.message.received"),
            *("budget.warning", "budget.paused", "budget.exhausted", "budget.resumed"),
            *("voice.session.started", "voice.session.ended", "voice.session.failed"),
            *("voice.input_transcript.delta", "voice.input_transcript.completed"),
            *("voice.output_transcript.delta", "voice.output_transcript.completed"),
            # Newer servers.
            *("tool.hosted_call", "tool.nested_call", "dreaming.activity", "voice.output.interrupted"),
            *("session.title.updated", "session.model.changed", "context.compaction.skipped"),
            *("context.compaction.failed", "sandbox.instance_lost", "sandbox.recovered"),
            *("environment.instance_lost", "environment.recovered", "timer.set", "timer.fired", "timer.cancelled"),
        ),
        RAW,
    ),
}

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    **{kind: row.types for kind, row in TABLE.items()},
    # Frames about the connection, which are not events of the session.
    CONNECTED: (),
    DISCONNECTING: (),
}
"""The types of the common events for each of Everruns' types.

A type without an entry becomes `raw`.
"""
