"""From Porter's words to the common ones. Pure functions, and one table for each enum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from polysession.provider_api import (
    ActionRequired,
    ErrorReported,
    Event,
    Message,
    MessageCompleted,
    MessageDelta,
    Outcome,
    PendingAction,
    RawEvent,
    Role,
    Session,
    SessionStatus,
    TextBlock,
    ToolCallCompleted,
    ToolExecution,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    decode_json,
    decoder,
    record_reader,
)
from polysession_porter.wire import Ask, Errand, Note

NAME: Final = "porter"

_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "resting": SessionStatus.IDLE,
    "working": SessionStatus.RUNNING,
    "asking": SessionStatus.REQUIRES_ACTION,
}
_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "done": Outcome.COMPLETED,
    "asking": Outcome.REQUIRES_ACTION,
    "stopped": Outcome.CANCELLED,
    "broke": Outcome.FAILED,
}
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "heard": ("message.completed",),
    "began": ("turn.started",),
    "piece": ("message.delta",),
    "said": ("message.completed",),
    "used": ("tool_call.completed",),
    "got": ("tool_result.completed",),
    "asks": ("tool_call.completed", "action.required"),
    "rested": ("error", "turn.ended"),
}


def _session(errand: Errand, source: bytes, problems: tuple[str, ...]) -> Session:
    return Session(
        provider=NAME,
        id=str(errand.no),
        title=errand.subject,
        status=_STATUSES.get(errand.doing, SessionStatus.UNKNOWN),
        native_status=errand.doing,
        metadata=errand.labels,
        created_at=_moment(errand.made),
        updated_at=_moment(errand.touched),
        source=source,
        problems=problems,
    )


to_session = record_reader(Errand, _session)
"""Reads an errand's JSON into a session."""

read_note = decoder(Note)


def to_action(ask: Ask) -> PendingAction:
    """What the agent waits for."""
    return ToolExecution(id=ask.call, name=ask.tool, arguments=ask.given)


def to_message(session_id: str, note: Note) -> Message:
    """What was said: by the user in a note `heard`, by the agent in a note `said`."""
    return Message(
        provider=NAME,
        id=str(note.n),
        session_id=session_id,
        role=Role.USER if note.note == "heard" else Role.ASSISTANT,
        content=(TextBlock(text=note.text),),
        created_at=_moment(note.at),
    )


def to_events(session_id: str, content: bytes) -> list[Event]:
    """The events of one note. An unknown kind is a `RawEvent`."""
    note, problems = read_note(content)
    about: dict[str, Any] = {
        "session_id": session_id,
        "id": str(note.n),
        "sequence": note.n,
        "created_at": _moment(note.at),
        "native_type": note.note,
        "source": content,
        "problems": problems,
    }
    read = _READERS.get(note.note)
    return [RawEvent(**about, payload=decode_json(content))] if read is None else read(note, about)


def _heard_or_said(note: Note, about: dict[str, Any]) -> list[Event]:
    return [MessageCompleted(**about, message=to_message(about["session_id"], note))]


def _began(_: Note, about: dict[str, Any]) -> list[Event]:
    return [TurnStarted(**about)]


def _piece(note: Note, about: dict[str, Any]) -> list[Event]:
    return [MessageDelta(**about, text=note.text)]


def _used(note: Note, about: dict[str, Any]) -> list[Event]:
    return [ToolCallCompleted(**about, tool_call_id=note.call, name=note.tool, arguments=note.given)]


def _got(note: Note, about: dict[str, Any]) -> list[Event]:
    return [ToolResultCompleted(**about, tool_call_id=note.call, text=note.text, is_error=note.failed)]


def _asks(note: Note, about: dict[str, Any]) -> list[Event]:
    action = to_action(Ask(call=note.call, tool=note.tool, given=note.given))
    return [*_used(note, about), ActionRequired(**about, actions=(action,))]


def _rested(note: Note, about: dict[str, Any]) -> list[Event]:
    """The end of a turn, after the error if there was one. A reason that is not known is no success."""
    outcome = _OUTCOMES.get(note.because, Outcome.FAILED)
    error = note.text or note.because if outcome is Outcome.FAILED else None
    ended = TurnEnded(**about, outcome=outcome, native_reason=note.because, error=error)
    return [ended] if error is None else [ErrorReported(**about, message=error), ended]


_READERS: Final[Mapping[str, Callable[[Note, dict[str, Any]], list[Event]]]] = {
    "heard": _heard_or_said,
    "began": _began,
    "piece": _piece,
    "said": _heard_or_said,
    "used": _used,
    "got": _got,
    "asks": _asks,
    "rested": _rested,
}


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
