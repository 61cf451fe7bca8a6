"""The forms that most events of the current generation have, read straight into the fields of the common ones.

It says the same as `wire_events` and `event_normaliser` do, for what streams are full of, in a third of the time.
Whatever does not fit, older generations among it, is read by those.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias

from pydantic import AliasPath, ConfigDict, Field, ValidationError
from typing_extensions import TypedDict  # before Python 3.12 pydantic takes no other, and brings this one along

from polysession.provider_api import (
    Event,
    Form,
    Message,
    MessageCompleted,
    MessageDelta,
    NativeEvent,
    TextBlock,
    ThinkingCompleted,
    ToolApproval,
    ToolCallCompleted,
    ToolResultCompleted,
    UsualTime,
    filled,
    filled_event,
    for_record,
    undecoded,
)
from polysession_qoder.message_normaliser import ROLES
from polysession_qoder.normaliser import NAME
from polysession_qoder.stream_state import StreamState


class UsualDelta(TypedDict):
    """A piece of what is being written; it has nothing to say besides."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # as pydantic wants it

    native_type: Annotated[Literal["event_delta"], Field(validation_alias="type")]
    message_id: Annotated[str, Field(validation_alias="event_id")]
    text: Annotated[str, Field(validation_alias=AliasPath("delta", "content", "text"))]
    index: Annotated[int, Field(validation_alias=AliasPath("delta", "index"))]


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

    content: list[UsualText]
    message_id: NotRequired[None]


class UsualThinking(UsualEvent):
    """A thought."""

    text: Annotated[str, Field(validation_alias="thinking", min_length=1)]
    content: NotRequired[list[UsualText] | None]


class UsualToolUse(UsualEvent):
    """A call of one of the backend's tools."""

    name: str
    arguments: Annotated[dict[str, Any], Field(validation_alias="input")]


class UsualToolResult(UsualEvent):
    """What it answered."""

    tool_call_id: Annotated[str, Field(validation_alias="tool_use_id", min_length=1)]
    text: Annotated[list[UsualText], Field(validation_alias="content")]
    is_error: bool
    output: NotRequired[None]


_Fields: TypeAlias = dict[str, Any]
UsualReader: TypeAlias = Callable[[bytes], Sequence[Event] | None]
"""Tells what an event is, from its text; None for one that has another form than the usual one."""

_new_action: Final = filled_event(ToolApproval)
_new_message: Final = filled(Message, ("id", "session_id", "role", "content", "created_at", "raw"), provider=NAME)
_new_native: Final = filled_event(NativeEvent)
_new_text: Final = filled(TextBlock, ("text",))
_new_thinking: Final = filled_event(ThinkingCompleted)
_new_tool_call: Final = filled_event(ToolCallCompleted)
_new_tool_result: Final = filled_event(ToolResultCompleted)
_said: Final = filled_event(MessageCompleted)

_DELTA: Final = Form(UsualDelta)


def _delta(state: StreamState, session_id: str) -> UsualReader:
    """Nine of ten events are these: what would be a call elsewhere is written out here."""
    read, previews, new, put = _DELTA.reader, state.previews, object.__new__, object.__setattr__

    def tell(text: bytes) -> Sequence[Event] | None:
        try:
            fields: Any = read(text)
        except ValidationError:
            return None
        preview, piece = previews.get(fields["message_id"]), fields["text"]
        if preview is None or preview.is_replayed or not preview.is_message:
            return None
        if not piece:
            return ()
        preview.pieces.append((fields.pop("index"), piece))
        fields["session_id"] = session_id
        fields["raw"] = text  # decoded when somebody looks at it there
        event = new(MessageDelta)
        put(event, "__dict__", fields)
        return (event,)

    return tell


def _native(_state: StreamState, fields: _Fields) -> Event:
    return _new_native(fields)


def _model_request_end(state: StreamState, fields: _Fields) -> Event:
    state.previews.clear()
    return _new_native(fields)


def _message(state: StreamState, fields: _Fields) -> Event:
    state.previews.pop(fields["id"], None)
    fields.pop("message_id", None)
    fields["message"] = _new_message(
        {
            "id": fields["id"],
            "session_id": fields["session_id"],
            "role": ROLES[fields["native_type"]],
            "content": tuple([_new_text(block) for block in fields.pop("content")]),
            "created_at": fields["created_at"],
            "raw": for_record(fields["raw"]),
        }
    )
    return _said(fields)


def _thinking(state: StreamState, fields: _Fields) -> Event:
    state.previews.pop(fields["id"], None)
    fields.pop("content", None)
    return _new_thinking(fields)


def _tool_use(state: StreamState, fields: _Fields) -> Event:
    names = ("id", "name", "arguments", "raw")
    call_id = fields["tool_call_id"] = fields["id"]
    state.tool_uses[call_id] = _new_action({name: fields[name] for name in names})
    return _new_tool_call(fields)


def _tool_result(state: StreamState, fields: _Fields) -> Event:
    state.tool_uses.pop(fields["tool_call_id"], None)
    fields["text"] = "".join([block["text"] for block in fields["text"]])
    fields.pop("output", None)
    return _new_tool_result(fields)


def _stored(
    kind: str, form: Form[Any], made: Callable[[StreamState, _Fields], Event], state: StreamState, session_id: str
) -> UsualReader:
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
        return (made(state, fields),)

    return tell


_EVENT: Final = Form(UsualEvent)
_MESSAGE: Final = Form(UsualMessage)
_FORMS: Final[Mapping[str, tuple[Form[Any], Callable[[StreamState, _Fields], Event]]]] = {
    "user.message": (_MESSAGE, _message),
    "agent.message": (_MESSAGE, _message),
    "agent.thinking": (Form(UsualThinking), _thinking),
    "agent.tool_use": (Form(UsualToolUse), _tool_use),
    "agent.tool_result": (Form(UsualToolResult), _tool_result),
    "span.model_request_start": (_EVENT, _native),
    "span.model_request_end": (_EVENT, _model_request_end),
}


def usual_readers(state: StreamState, session_id: str) -> Mapping[str, UsualReader]:
    """What reads the events of one stream that have the usual form, by type."""
    stored = {kind: _stored(kind, form, made, state, session_id) for kind, (form, made) in _FORMS.items()}
    return {"event_delta": _delta(state, session_id), **stored}
