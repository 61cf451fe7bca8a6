"""The common event types: events of a session, the same for every backend."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from polysession.action import StoredAction
from polysession.message import Message
from polysession.record import JsonObject, ReceivedRecord, TypedRecord, UtcDatetime, stored_union
from polysession.session import SessionStatus, Usage


class Outcome(StrEnum):
    """How a turn ended. Only `completed` is success.

    Attributes:
        COMPLETED: The agent finished its answer.
        REQUIRES_ACTION: The agent waits for answers to pending actions.
        CANCELLED: The turn was cancelled.
        LIMIT_REACHED: A limit of the backend stopped the turn, such as a number of steps or a budget.
        FAILED: The turn failed.
    """

    COMPLETED = "completed"
    REQUIRES_ACTION = "requires_action"
    CANCELLED = "cancelled"
    LIMIT_REACHED = "limit_reached"
    FAILED = "failed"


class EventRecord(ReceivedRecord, TypedRecord):
    """Base of the events.

    Attributes:
        session_id: The session.
        id: The backend's id; None if the event has none, for example a delta that shares the id of its message. Events
            that come from one event of the backend share its id. No two events of a session share id, `type` and
            `tool_call_id`.
        turn_id: The turn, if the backend names it.
        sequence: Its number in the session, if the backend counts.
        created_at: UTC.
        author: Name of the agent that caused the event in a session with several agents, else None.
        native_type: The backend's type of the event; empty if the event was inferred.
        synthetic: Whether the event was inferred. The backend did not send it.
    """

    session_id: str
    id: str | None = None
    turn_id: str | None = None
    sequence: int | None = None
    created_at: UtcDatetime | None = None
    author: str | None = None
    native_type: str = ""
    synthetic: bool = False


class StatusChanged(EventRecord):
    """The session's status changed.

    Attributes:
        status: The new status.
        native_status: The backend's word for it.
    """

    type: Literal["session.status"] = "session.status"
    status: SessionStatus
    native_status: str = ""


class TurnStarted(EventRecord):
    """The agent began to work."""

    type: Literal["turn.started"] = "turn.started"


class TurnEnded(EventRecord):
    """The agent stopped working.

    Attributes:
        outcome: How it ended.
        native_reason: The backend's word for it.
        usage: Usage of the turn; None if the backend does not report it.
        error: Description of the failure; None unless the turn failed.
        continues: Whether `run` continues with another part of the turn, after the pending actions were answered.
    """

    type: Literal["turn.ended"] = "turn.ended"
    outcome: Outcome
    native_reason: str = ""
    usage: Usage | None = None
    error: str | None = None
    continues: bool = False


class MessageStarted(EventRecord):
    """The agent begins a message.

    Attributes:
        message_id: Id of the message, shared by its deltas; None if the backend gives none yet.
    """

    type: Literal["message.started"] = "message.started"
    message_id: str | None = None


class MessageDelta(EventRecord):
    """More text of the message that was started.

    Attributes:
        message_id: Id of the message; None if the backend gives none yet.
        text: The text that follows the text so far.
    """

    type: Literal["message.delta"] = "message.delta"
    message_id: str | None = None
    text: str


class MessageCompleted(EventRecord):
    """A whole message. It replaces the deltas.

    Attributes:
        message: The message. Its text is the joined text of the deltas.
    """

    type: Literal["message.completed"] = "message.completed"
    message: Message


class ThinkingStarted(EventRecord):
    """The agent begins a piece of reasoning."""

    type: Literal["thinking.started"] = "thinking.started"


class ThinkingDelta(EventRecord):
    """More reasoning.

    Attributes:
        text: The text that follows the text so far.
    """

    type: Literal["thinking.delta"] = "thinking.delta"
    text: str


class ThinkingCompleted(EventRecord):
    """A whole piece of reasoning. `text` is empty if the backend does not publish it.

    Attributes:
        text: All of its text.
    """

    type: Literal["thinking.completed"] = "thinking.completed"
    text: str = ""


class ToolCallStarted(EventRecord):
    """The agent begins to call a tool.

    Attributes:
        tool_call_id: Id of the call, shared by its deltas and its result.
        name: The tool.
    """

    type: Literal["tool_call.started"] = "tool_call.started"
    tool_call_id: str
    name: str


class ToolCallDelta(EventRecord):
    """More of the arguments, as JSON text.

    Attributes:
        tool_call_id: Id of the call.
        text: The JSON text that follows the text so far.
    """

    type: Literal["tool_call.delta"] = "tool_call.delta"
    tool_call_id: str
    text: str


class ToolCallCompleted(EventRecord):
    """A whole tool call: the tool's name and its arguments.

    Attributes:
        tool_call_id: Id of the call, shared by its result.
        name: The tool.
        arguments: The arguments, as JSON values.
    """

    type: Literal["tool_call.completed"] = "tool_call.completed"
    tool_call_id: str
    name: str
    arguments: JsonObject


class ToolResultDelta(EventRecord):
    """More of a tool's result.

    Attributes:
        tool_call_id: Id of the call.
        text: The text that follows the text so far.
    """

    type: Literal["tool_result.delta"] = "tool_result.delta"
    tool_call_id: str
    text: str


class ToolResultCompleted(EventRecord):
    """A whole tool result; `is_error` if the tool failed, was denied or was interrupted.

    Attributes:
        tool_call_id: Id of the call.
        text: The result as text.
        is_error: Whether the tool failed, was denied or was interrupted.
    """

    type: Literal["tool_result.completed"] = "tool_result.completed"
    tool_call_id: str
    text: str = ""
    is_error: bool = False


class ActionRequired(EventRecord):
    """The agent waits for the caller to answer these actions.

    Attributes:
        actions: The pending actions, in the order in which their group is answered.
    """

    type: Literal["action.required"] = "action.required"
    actions: tuple[StoredAction, ...]


class UsageReported(EventRecord):
    """Consumption: since the last report if `is_delta`, else of the whole session so far.

    Attributes:
        usage: The usage.
        is_delta: Whether it is the usage since the last report, and not of the whole session.
    """

    type: Literal["usage"] = "usage"
    usage: Usage
    is_delta: bool


class ErrorReported(EventRecord):
    """Something went wrong. The turn may continue.

    Attributes:
        message: Description of the error.
        code: The backend's code of the error; None if it gives none.
    """

    type: Literal["error"] = "error"
    message: str
    code: str | None = None


class StreamGap(EventRecord):
    """Events may be missing, because the backend does not repeat them after a broken connection.

    The turn has not failed. Events that the backend stores are still delivered: whole messages and thoughts, tool calls
    and results, usage, the end.

    Attributes:
        lost: Types of events that may be incomplete. Events of all other types are complete.
    """

    type: Literal["stream.gap"] = "stream.gap"
    lost: tuple[str, ...]


class RawEvent(EventRecord):
    """An event that is not modelled: `payload` is the backend's own object.

    Attributes:
        payload: The backend's object; another JSON value is in `{"value": ...}`, and other text in `{"text": ...}`.
    """

    type: Literal["raw"] = "raw"
    payload: JsonObject = Field(default_factory=dict)


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
"""Any event; see `event.type`."""

EVENT: Final[TypeAdapter[Event]] = TypeAdapter(
    Annotated[Event, Field(discriminator="type"), stored_union(Event, otherwise=RawEvent)]
)
"""Reads a stored event; one of an unknown type, which a newer version wrote, is a `RawEvent`."""
