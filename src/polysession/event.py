"""The one event language: what happens in a session, whatever the backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from polysession.lazy import with_lazy_raw
from polysession.message import Message
from polysession.session import SessionStatus, Usage


class Outcome(StrEnum):
    """How a turn ended. Only `completed` is success."""

    COMPLETED = "completed"
    REQUIRES_ACTION = "requires_action"
    CANCELLED = "cancelled"
    LIMIT_REACHED = "limit_reached"
    FAILED = "failed"


@with_lazy_raw
@dataclass(frozen=True, kw_only=True)
class ToolApproval:
    """The agent wants to run a tool, and waits for a yes or no.

    Attributes:
        id: Id of the action, to answer it by.
        name: The tool.
        arguments: What it would be called with.
        raw: The wire object that the answer is built from.
    """

    type: Literal["approval"] = field(default="approval", init=False)
    id: str
    name: str
    arguments: Mapping[str, Any]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@with_lazy_raw
@dataclass(frozen=True, kw_only=True)
class ToolExecution:
    """The agent wants the caller to run a tool, and waits for its output.

    Attributes are those of `ToolApproval`.
    """

    type: Literal["execution"] = field(default="execution", init=False)
    id: str
    name: str
    arguments: Mapping[str, Any]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


PendingAction: TypeAlias = ToolApproval | ToolExecution


@dataclass(frozen=True, slots=True)
class Approve:
    """Let the tool run."""

    action: PendingAction | str


@dataclass(frozen=True, slots=True)
class Deny:
    """Do not let the tool run, and tell the agent why."""

    action: PendingAction | str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the tool answered; `is_error` if it failed."""

    action: PendingAction | str
    content: str
    is_error: bool = False


Answer: TypeAlias = Approve | Deny | ToolOutput


@with_lazy_raw
@dataclass(frozen=True, kw_only=True)
class _Envelope:
    """What every event has.

    Attributes:
        session_id: The session.
        id: The backend's id; None for what has none, such as some deltas.
        turn_id: The turn, if the backend names it.
        sequence: Its number in the session, if the backend counts.
        created_at: UTC.
        native_type: The backend's word for it; empty if we inferred it.
        synthetic: We inferred it; the backend did not say it.
        raw: The wire object as received.
    """

    session_id: str
    id: str | None = None
    turn_id: str | None = None
    sequence: int | None = None
    created_at: datetime | None = None
    native_type: str = ""
    synthetic: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class StatusChanged(_Envelope):
    """The session does something else now."""

    type: Literal["session.status"] = field(default="session.status", init=False)
    status: SessionStatus
    native_status: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnStarted(_Envelope):
    """The agent began to work."""

    type: Literal["turn.started"] = field(default="turn.started", init=False)


@dataclass(frozen=True, kw_only=True)
class TurnEnded(_Envelope):
    """The agent stopped working.

    Attributes:
        outcome: How.
        native_reason: The backend's word for it.
        usage: What the turn consumed; None if the backend does not say.
        error: What went wrong; None unless it failed.
    """

    type: Literal["turn.ended"] = field(default="turn.ended", init=False)
    outcome: Outcome
    native_reason: str = ""
    usage: Usage | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class MessageStarted(_Envelope):
    """The agent begins to say something."""

    type: Literal["message.started"] = field(default="message.started", init=False)
    message_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class MessageDelta(_Envelope):
    """More text of the message that was started."""

    type: Literal["message.delta"] = field(default="message.delta", init=False)
    message_id: str | None = None
    text: str


@dataclass(frozen=True, kw_only=True)
class MessageCompleted(_Envelope):
    """A whole message. It replaces the deltas."""

    type: Literal["message.completed"] = field(default="message.completed", init=False)
    message: Message


@dataclass(frozen=True, kw_only=True)
class ThinkingStarted(_Envelope):
    """The agent begins to reason."""

    type: Literal["thinking.started"] = field(default="thinking.started", init=False)


@dataclass(frozen=True, kw_only=True)
class ThinkingDelta(_Envelope):
    """More reasoning."""

    type: Literal["thinking.delta"] = field(default="thinking.delta", init=False)
    text: str


@dataclass(frozen=True, kw_only=True)
class ThinkingCompleted(_Envelope):
    """The agent has reasoned. `text` is empty where the backend keeps it to itself."""

    type: Literal["thinking.completed"] = field(default="thinking.completed", init=False)
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class ToolCallStarted(_Envelope):
    """The agent begins to call a tool."""

    type: Literal["tool_call.started"] = field(default="tool_call.started", init=False)
    tool_call_id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class ToolCallDelta(_Envelope):
    """More of the arguments, as JSON text."""

    type: Literal["tool_call.delta"] = field(default="tool_call.delta", init=False)
    tool_call_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ToolCallCompleted(_Envelope):
    """A whole tool call: what is called, and with what."""

    type: Literal["tool_call.completed"] = field(default="tool_call.completed", init=False)
    tool_call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolResultDelta(_Envelope):
    """More of what the tool answers."""

    type: Literal["tool_result.delta"] = field(default="tool_result.delta", init=False)
    tool_call_id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ToolResultCompleted(_Envelope):
    """What the tool answered; `is_error` if it failed, was denied or was interrupted."""

    type: Literal["tool_result.completed"] = field(default="tool_result.completed", init=False)
    tool_call_id: str
    text: str = ""
    is_error: bool = False


@dataclass(frozen=True, kw_only=True)
class ActionRequired(_Envelope):
    """The agent waits for the caller."""

    type: Literal["action.required"] = field(default="action.required", init=False)
    actions: tuple[PendingAction, ...]


@dataclass(frozen=True, kw_only=True)
class UsageReported(_Envelope):
    """What was consumed: since the last report if `is_delta`, else in the whole session so far."""

    type: Literal["usage"] = field(default="usage", init=False)
    usage: Usage
    is_delta: bool


@dataclass(frozen=True, kw_only=True)
class ErrorReported(_Envelope):
    """Something went wrong. The turn may go on."""

    type: Literal["error"] = field(default="error", init=False)
    message: str
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class StreamGap(_Envelope):
    """Events are missing that happened since the stream broke: the backend does not tell them again.

    It is no failure of the turn. What is stored is told all the same: whole messages and thoughts, tool calls and
    results, what was consumed, the end.

    Attributes:
        lost: The types of events of which some may be missing. Of all others none is.
    """

    type: Literal["stream.gap"] = field(default="stream.gap", init=False)
    lost: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RawEvent(_Envelope):
    """Anything that is not modelled; `native_type` and `raw` tell."""

    type: Literal["native"] = field(default="native", init=False)


Event: TypeAlias = (
    StatusChanged
    | TurnStarted
    | TurnEnded
    | MessageStarted
    | MessageDelta
    | MessageCompleted
    | ThinkingStarted
    | ThinkingDelta
    | ThinkingCompleted
    | ToolCallStarted
    | ToolCallDelta
    | ToolCallCompleted
    | ToolResultDelta
    | ToolResultCompleted
    | ActionRequired
    | UsageReported
    | ErrorReported
    | StreamGap
    | RawEvent
)
"""Any event; `event.type` tells which."""
