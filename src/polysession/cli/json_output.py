"""Sessions, agents, messages and events: as JSON values with stable keys, and as lines for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from polysession import (
    ActionRequired,
    Agent,
    ErrorReported,
    Event,
    MessageCompleted,
    MessageDelta,
    PendingAction,
    RawEvent,
    Session,
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
from polysession.record import ReceivedRecord
from polysession.session import Usage

_AGES: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def record_json(record: ReceivedRecord, *, raw: bool) -> dict[str, Any]:
    """A record as JSON values.

    Args:
        record: A session, an agent, a message, an event or a pending action.
        raw: Add the backend's own object, as `raw`.
    """
    return record.dump() | ({"raw": record.raw} if raw else {})


def session_fields(session: Session) -> dict[str, str]:
    """The fields of a session that say something, as text."""
    return _fields(session)


def agent_fields(agent: Agent) -> dict[str, str]:
    """The fields of an agent that say something, as text."""
    return _fields(agent)


def age(moment: datetime | None) -> str:
    """How long ago that was, in its largest unit."""
    if moment is None:
        return ""
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    return next((f"{seconds // size}{unit}" for size, unit in _AGES if seconds >= size), f"{seconds}s")


def event_line(event: Event) -> str:
    """An event on one line: when, what, and the gist of it."""
    when = event.created_at.astimezone(UTC).strftime("%H:%M:%S") if event.created_at else " " * 8
    gist = _GISTS[type(event)](event) if type(event) in _GISTS else ""
    return f"{when}  {event.type:<22} {gist}".rstrip()


def action_text(action: PendingAction) -> str:
    """The tool call or the question of an action, as text."""
    return action.prompt if action.type == "question" else call_text(action.name, action.arguments)


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A tool call as it would be written."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def usage_text(usage: Usage | None) -> str:
    """The counters that the backend keeps."""
    if usage is None:
        return ""
    return ", ".join(f"{name} {value}" for name, value in usage.model_dump(mode="json", exclude_none=True).items())


def _fields(record: Session | Agent) -> dict[str, str]:
    form = record.model_dump(mode="json", exclude_none=True)
    return {name: _as_text(value) for name, value in form.items() if value not in ("", {}, [])}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
