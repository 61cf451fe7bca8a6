"""Events of a ticket to the common events: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from polysession.provider_api import (
    ActionRequired,
    Event,
    MalformedResponse,
    Message,
    MessageCompleted,
    MessageDelta,
    Outcome,
    Role,
    TextBlock,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
    TurnStarted,
    decoder,
    raw_event,
)
from polysession_helpdesk.sessions import NAME, to_action
from polysession_helpdesk.wire import TicketEvent, ToolCall

read_event = decoder(TicketEvent)

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "done": Outcome.COMPLETED,
    "waiting": Outcome.REQUIRES_ACTION,
    "cancelled": Outcome.CANCELLED,
}


def to_events(session_id: str, content: bytes) -> tuple[int | None, tuple[Event, ...]]:
    """The number of an event and the common events that it becomes. What cannot be read is a `raw` event."""
    try:
        event, problems = read_event(content)
    except MalformedResponse as error:
        return None, (raw_event(session_id, content, problems=(error.message,)),)
    envelope = {"id": str(event.seq), "sequence": event.seq, "created_at": event.at, "native_type": event.type}
    build = _TABLE.get(event.type)
    if build is None:
        return event.seq, (raw_event(session_id, content, problems=problems, **envelope),)
    return event.seq, build(event, {**envelope, "session_id": session_id, "source": content, "problems": problems})


def to_message(session_id: str, event: TicketEvent) -> Message:
    """The message in an event of type `message`."""
    return Message(
        provider=NAME,
        id=str(event.seq),
        session_id=session_id,
        role=Role.USER if event.role == "user" else Role.ASSISTANT,
        content=(TextBlock(text=event.text),),
        created_at=event.at,
    )


def _tool_call(event: TicketEvent, about: dict[str, Any]) -> ToolCallCompleted:
    return ToolCallCompleted(**about, tool_call_id=event.call, name=event.tool, arguments=event.arguments)


def _tool_request(event: TicketEvent, about: dict[str, Any]) -> tuple[Event, ...]:
    action = to_action(ToolCall(event.call, event.tool, event.arguments))
    return _tool_call(event, about), ActionRequired(**about, actions=(action,))


def _turn_ended(event: TicketEvent, about: dict[str, Any]) -> tuple[Event, ...]:
    """The end of a turn. An unknown reason is not a success."""
    outcome = _OUTCOMES.get(event.reason, Outcome.FAILED)
    error = event.text or event.reason if outcome is Outcome.FAILED else None
    return (TurnEnded(**about, outcome=outcome, native_reason=event.reason, error=error),)


_TABLE: Final[Mapping[str, Callable[[TicketEvent, dict[str, Any]], tuple[Event, ...]]]] = {
    "turn_started": lambda _, about: (TurnStarted(**about),),
    "delta": lambda event, about: (MessageDelta(**about, text=event.text),),
    "message": lambda event, about: (MessageCompleted(**about, message=to_message(about["session_id"], event)),),
    "tool_call": lambda event, about: (_tool_call(event, about),),
    "tool_result": lambda event, about: (
        ToolResultCompleted(**about, tool_call_id=event.call, text=event.text, is_error=event.failed),
    ),
    "tool_request": _tool_request,
    "turn_ended": _turn_ended,
}
EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "turn_started": ("turn.started",),
    "delta": ("message.delta",),
    "message": ("message.completed",),
    "tool_call": ("tool_call.completed",),
    "tool_result": ("tool_result.completed",),
    "tool_request": ("tool_call.completed", "action.required"),
    "turn_ended": ("turn.ended",),
}
