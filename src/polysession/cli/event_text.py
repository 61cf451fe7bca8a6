"""Events and pending actions as text for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final

from polysession import (
    ActionRequired,
    Cancellation,
    CancelState,
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    PendingAction,
    RawEvent,
    StatusChanged,
    StreamGap,
    ThinkingCompleted,
    ThinkingDelta,
    ToolCallCompleted,
    ToolCallDelta,
    ToolCallStarted,
    ToolResultCompleted,
    ToolResultDelta,
    TurnEnded,
    UsageReported,
)
from polysession.session import Usage


def event_line(event: Event) -> str:
    """Describe an event on one line: time, type and content."""
    when = event.created_at.astimezone(UTC).strftime("%H:%M:%S") if event.created_at else " " * 8
    gist = _GISTS[type(event)](event) if type(event) in _GISTS else ""
    return f"{when}  {event.type:<22} {gist}".rstrip()


def action_text(action: PendingAction) -> str:
    """Describe the tool call or the question of an action."""
    return action.prompt if action.type == "question" else call_text(action.name, action.arguments)


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """Describe a tool call as in source code."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def cancellation_text(cancellation: Cancellation) -> str:
    """Describe the outcome of a cancellation."""
    return _CANCELLATIONS[cancellation.state]


def usage_text(usage: Usage | None) -> str:
    """Describe the counters that the backend keeps."""
    if usage is None:
        return ""
    return ", ".join(f"{name} {value}" for name, value in usage.model_dump(mode="json", exclude_none=True).items())


def _message_gist(event: MessageCompleted) -> str:
    return f"{event.message.role.value}: {event.message.text}"


def _end_gist(event: TurnEnded) -> str:
    return "; ".join(part for part in (event.outcome.value, event.error or "", usage_text(event.usage)) if part)


def _actions_gist(event: ActionRequired) -> str:
    return "; ".join(f"{action.id} {action_text(action)}" for action in event.actions)


def _result_gist(event: ToolResultCompleted) -> str:
    return f"{'failed: ' if event.is_error else ''}{event.text}"


def _text_gist(event: Any) -> str:
    return str(event.text)


_CANCELLATIONS: Final[Mapping[CancelState, str]] = {
    CancelState.REQUESTED: "cancellation requested",
    CancelState.NOTHING_RUNNING: "no turn is running",
}

_GISTS: Final[Mapping[type, Callable[[Any], str]]] = {
    StatusChanged: lambda event: event.status.value,
    TurnEnded: _end_gist,
    MessageDelta: _text_gist,
    MessageCompleted: _message_gist,
    ThinkingDelta: _text_gist,
    ThinkingCompleted: _text_gist,
    ToolCallStarted: lambda event: event.name,
    ToolCallDelta: _text_gist,
    ToolCallCompleted: lambda event: call_text(event.name, event.arguments),
    ToolResultDelta: _text_gist,
    ToolResultCompleted: _result_gist,
    ActionRequired: _actions_gist,
    UsageReported: lambda event: usage_text(event.usage),
    ErrorReported: lambda event: event.message,
    StreamGap: lambda event: f"lost: {', '.join(event.lost)}",
    RawEvent: lambda event: event.native_type,
}
