"""The forms that most events of the current generation have, read straight into the fields of the common ones.

It says the same as `wire_events` and `event_normaliser` do, for what streams are full of, in a third of the time.
Whatever does not fit, older generations among it, is read by those.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias

from pydantic import AliasPath, Field, ValidationError
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other, and brings this one along

from polysession.provider_api import (
    Event,
    Form,
    Message,
    MessageCompleted,
    MessageDelta,
    TextBlock,
    ThinkingCompleted,
    ToolApproval,
    ToolCallCompleted,
    ToolResultCompleted,
    UsageReported,
    UsualTime,
    filled,
    filled_event,
    for_record,
    undecoded,
)
from polysession_qoder.message_normaliser import ROLES
from polysession_qoder.normaliser import NAME
from polysession_qoder.state_events import begun, idle, model_request_end, running, to_raw_event
from polysession_qoder.stream_state import StreamState
from polysession_qoder.usual import UsualUsage, to_usage

_Absent: TypeAlias = Annotated[str, Field(min_length=1, max_length=0)]
"""Of a key that is not to be there: nothing is as long as this."""


class UsualPreview(TypedDict):
    """What is only a preview. Of what stored events have, it has nothing."""

    id: NotRequired[_Absent]
    turn_id: NotRequired[_Absent]
    processed_at: NotRequired[_Absent]
    created_at: NotRequired[_Absent]


class UsualStart(UsualPreview):
    """An event is being written."""

    native_type: Annotated[Literal["event_start"], Field(validation_alias="type")]
    target_id: Annotated[str, Field(validation_alias=AliasPath("event", "id"))]
    target_type: Annotated[str, Field(validation_alias=AliasPath("event", "type"))]


class UsualDelta(UsualPreview):
    """A piece of it: the fields of `MessageDelta`. In the place of `raw` stands the number of its block."""

    native_type: Annotated[Literal["event_delta"], Field(validation_alias="type")]
    message_id: Annotated[str, Field(validation_alias="event_id")]
    text: Annotated[str, Field(validation_alias=AliasPath("delta", "content", "text"))]
    raw: Annotated[int, Field(validation_alias=AliasPath("delta", "index"))]


class UsualEvent(TypedDict):
    """What every stored event has."""

    native_type: Annotated[str, Field(validation_alias="type")]
    id: str
    created_at: Annotated[UsualTime, Field(validation_alias="processed_at")]
    turn_id: NotRequired[str | None]


class UsualText(TypedDict):
    """A block of text."""

    type: Literal["text"]
    text: str


class UsualMessage(UsualEvent):
    """A message of text."""

    content: tuple[TextBlock, ...]
    message_id: NotRequired[None]


class UsualThinking(UsualEvent):
    """A thought."""

    text: Annotated[str, Field(validation_alias="thinking", min_length=1)]
    content: NotRequired[list[UsualText] | None]


class UsualToolUse(UsualEvent):
    """A call of one of the backend's tools."""

    name: str
    arguments: Annotated[dict[str, Any], Field(validation_alias="input")]


class UsualIdle(UsualEvent):
    """The end of a turn, which waits for nothing."""

    reason: Annotated[str, Field(validation_alias=AliasPath("stop_reason", "type"))]
    event_ids: Annotated[NotRequired[None], Field(validation_alias=AliasPath("stop_reason", "event_ids"))]


class UsualConsumption(UsualEvent, UsualUsage):
    """What the session has consumed."""


class UsualToolResult(UsualEvent):
    """What it answered."""

    tool_call_id: Annotated[str, Field(validation_alias="tool_use_id", min_length=1)]
    text: Annotated[list[UsualText], Field(validation_alias="content")]
    is_error: bool
    output: NotRequired[None]


_Fields: TypeAlias = dict[str, Any]
_Told: TypeAlias = Callable[[StreamState, dict[str, Any]], Sequence[Event]]
UsualReader: TypeAlias = Callable[[bytes], Sequence[Event] | None]
"""Tells what an event is, from its text; None for one that has another form than the usual one."""

_new_delta: Final = filled_event(MessageDelta)
_new_action: Final = filled_event(ToolApproval)
_new_message: Final = filled(Message, ("id", "session_id", "role", "content", "created_at", "raw"), provider=NAME)
_new_thinking: Final = filled_event(ThinkingCompleted)
_new_tool_call: Final = filled_event(ToolCallCompleted)
_new_tool_result: Final = filled_event(ToolResultCompleted)
_new_usage: Final = filled_event(UsageReported)
_said: Final = filled_event(MessageCompleted)

_DELTA: Final = Form(UsualDelta)
_START: Final = Form(UsualStart)


def _delta(state: StreamState, session_id: str) -> UsualReader:
    """Eight of ten events are these: what is a call elsewhere is written out here."""
    read, previews = _DELTA.reader, state.previews

    def tell(text: bytes) -> Sequence[Event] | None:
        try:
            fields: Any = read(text)
        except ValidationError:
            return None
        preview = previews.get(fields["message_id"])
        if preview is None or not preview.is_simple:
            return None
        if not fields["text"]:
            return ()
        preview.pieces.append(text)
        fields["session_id"] = session_id
        fields["raw"] = text  # decoded when somebody looks at it there
        return (_new_delta(fields),)

    return tell


def _start(state: StreamState, session_id: str) -> UsualReader:
    read = _START.read_text

    def tell(text: bytes) -> Sequence[Event] | None:
        fields: Any = read(text)
        if fields is None:
            return None
        target_id, kind = fields.pop("target_id"), fields.pop("target_type")
        fields["session_id"] = session_id
        fields["raw"] = undecoded(text)
        return begun(state, target_id, kind, fields)

    return tell


def _native(_state: StreamState, fields: _Fields) -> Sequence[Event]:
    return to_raw_event(fields)


def _idle(state: StreamState, fields: _Fields) -> Sequence[Event]:
    fields.pop("event_ids", None)
    return idle(state, fields.pop("reason"), (), fields)


def _usage(_state: StreamState, fields: _Fields) -> Sequence[Event]:
    usage: Any = {name: fields.pop(name) for name in UsualUsage.__annotations__ if name in fields}
    return (_new_usage({**fields, "usage": to_usage(usage), "is_delta": False}),)


def _message(state: StreamState, fields: _Fields) -> Sequence[Event]:
    state.previews.pop(fields["id"], None)
    fields.pop("message_id", None)
    fields["message"] = _new_message(
        {
            "id": fields["id"],
            "session_id": fields["session_id"],
            "role": ROLES[fields["native_type"]],
            "content": fields.pop("content"),
            "created_at": fields["created_at"],
            "raw": for_record(fields["raw"]),
        }
    )
    return (_said(fields),)


def _thinking(state: StreamState, fields: _Fields) -> Sequence[Event]:
    state.previews.pop(fields["id"], None)
    fields.pop("content", None)
    return (_new_thinking(fields),)


def _tool_use(state: StreamState, fields: _Fields) -> Sequence[Event]:
    names = ("id", "name", "arguments", "raw")
    call_id = fields["tool_call_id"] = fields["id"]
    state.tool_uses[call_id] = _new_action({name: fields[name] for name in names})
    return (_new_tool_call(fields),)


def _tool_result(state: StreamState, fields: _Fields) -> Sequence[Event]:
    state.tool_uses.pop(fields["tool_call_id"], None)
    fields["text"] = "".join([block["text"] for block in fields["text"]])
    fields.pop("output", None)
    return (_new_tool_result(fields),)


def _stored(kind: str, form: Form[Any], made: _Told, state: StreamState, session_id: str) -> UsualReader:
    read, is_the_agents = form.read_text, kind.startswith("agent.")

    def tell(text: bytes) -> Sequence[Event] | None:
        fields = read(text)
        if fields is None or fields["native_type"] != kind:
            return None
        if not state.seen.add(fields["id"]):
            return ()
        if is_the_agents:
            state.turn_is_open = True
        fields["session_id"] = session_id
        fields["raw"] = undecoded(text)
        return made(state, fields)

    return tell


_EVENT: Final = Form(UsualEvent)
_MESSAGE: Final = Form(UsualMessage)
_FORMS: Final[Mapping[str, tuple[Form[Any], _Told]]] = {
    "user.message": (_MESSAGE, _message),
    "agent.message": (_MESSAGE, _message),
    "agent.thinking": (Form(UsualThinking), _thinking),
    "agent.tool_use": (Form(UsualToolUse), _tool_use),
    "agent.tool_result": (Form(UsualToolResult), _tool_result),
    "span.model_request_start": (_EVENT, _native),
    "span.model_request_end": (_EVENT, model_request_end),
    "session.status_running": (_EVENT, running),
    "session.status_idle": (Form(UsualIdle), _idle),
    "session.usage": (Form(UsualConsumption), _usage),
}


def usual_readers(state: StreamState, session_id: str) -> Mapping[str, UsualReader]:
    """What reads the events of one stream that have the usual form, by type."""
    stored = {kind: _stored(kind, form, made, state, session_id) for kind, (form, made) in _FORMS.items()}
    return {"event_start": _start(state, session_id), "event_delta": _delta(state, session_id), **stored}
