"""Chatbox: a small chat server. The response to a message is the stream of its turn, and leaving it ends the turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar, Final

import msgspec

from polysession.provider_api import (
    AnsweredTurn,
    BaseUrl,
    Block,
    BodyEnd,
    Call,
    ErrorDetail,
    Event,
    Feature,
    FeatureSupport,
    Finished,
    Flow,
    Frame,
    FromEnv,
    Head,
    HeaderSecret,
    Items,
    Message,
    MessageCompleted,
    MessageDelta,
    NewSession,
    Outcome,
    Page,
    Provider,
    ProviderSettings,
    Response,
    Role,
    Session,
    SessionQuery,
    SessionRef,
    SessionStatus,
    StreamPlan,
    TextBlock,
    ThinkingCompleted,
    ToolCallCompleted,
    ToolResultCompleted,
    TurnEnded,
    TurnInput,
    TurnLife,
    TurnStarted,
    WhenBusy,
    answer_id,
    declared,
    decoder,
    encode_cursor,
    fastapi_error,
    json_body,
    one_page,
    path_segment,
    raw_event,
    read_frame,
    read_json_or_nothing,
    read_list,
    read_response,
    read_whole,
    record_reader,
)

NAME: Final = "chatbox"


class Chat(msgspec.Struct):
    """A chat, which is a session."""

    id: str
    title: str | None = None
    busy: bool = False
    created_at: datetime | None = None


class ChatMessage(msgspec.Struct):
    """A stored message."""

    id: str
    role: str = ""
    text: str = ""
    at: datetime | None = None


class Listed(msgspec.Struct):
    """The whole of a list: chats, or the messages of one."""

    items: list[msgspec.Raw]


class Part(msgspec.Struct):
    """A frame of a stream. Each type uses some of the optional fields."""

    type: str
    text: str = ""
    id: str = ""
    tool: str = ""
    arguments: dict[str, Any] = {}


class Position(msgspec.Struct):
    """The cursor of a turn. Nothing can be resumed from it: it says how many frames had been read."""

    frames: int


def _session(chat: Chat, source: bytes, problems: tuple[str, ...]) -> Session:
    return Session(
        provider=NAME,
        id=chat.id,
        title=chat.title,
        status=SessionStatus.RUNNING if chat.busy else SessionStatus.IDLE,
        created_at=chat.created_at,
        source=source,
        problems=problems,
    )


def _message(session_id: str, content: bytes) -> Message:
    stored, problems = _read_message(content)
    return Message(
        provider=NAME,
        id=stored.id,
        session_id=session_id,
        role=Role.USER if stored.role == "user" else Role.ASSISTANT,
        content=(TextBlock(text=stored.text),),
        created_at=stored.at,
        source=content,
        problems=problems,
    )


_to_session: Final = record_reader(Chat, _session)
_read_message: Final = decoder(ChatMessage)
_read_list: Final = decoder(Listed)
_read_part: Final = decoder(Part)


def _said(part: Part, about: dict[str, Any]) -> Event:
    content = (TextBlock(text=part.text),)
    message = Message(provider=NAME, id=part.id, session_id=about["session_id"], role=Role.ASSISTANT, content=content)
    return MessageCompleted(**about, message=message)


_EVENTS: Final[Mapping[str, Callable[[Part, dict[str, Any]], Event]]] = {
    "text": lambda part, about: MessageDelta(**about, text=part.text),
    "thought": lambda part, about: ThinkingCompleted(**about, text=part.text),
    "tool": lambda part, about: ToolCallCompleted(
        **about, tool_call_id=part.id, name=part.tool, arguments=part.arguments
    ),
    "result": lambda part, about: ToolResultCompleted(**about, tool_call_id=part.id, text=part.text, is_error=False),
    "message": _said,
    "done": lambda _, about: TurnEnded(**about, outcome=Outcome.COMPLETED),
    "error": lambda part, about: TurnEnded(**about, outcome=Outcome.FAILED, error=part.text or "it gave no reason"),
}


class ChatboxTurn(AnsweredTurn):
    """A turn that is followed by the response to its message. Only the frames `done` and `error` end it."""

    silence_s = None  # Chatbox sends no heartbeat
    drain_s = 2.0  # it stores the answer when its response has been read to the end

    def __init__(self, ref: SessionRef, turn_input: TurnInput) -> None:
        self._ref = ref
        self._input = turn_input
        self._frames = 0
        self.cursor = encode_cursor(Position(0))

    def start(self) -> Call:
        """Send the message."""
        return _say(self._ref, self._input, {"accept": "text/event-stream"})

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (it is opened once)
        """The server accepted the message, so the turn runs. No frame says so."""
        return (TurnStarted(session_id=self._ref.id, synthetic=True),)

    def read(self, frame: Frame) -> Items:
        """Read a frame, which names its number. One that comes twice counts once."""
        if frame.id is not None and frame.id.isdigit() and int(frame.id) <= self._frames:
            return ()
        self._frames += 1
        self.cursor = encode_cursor(Position(self._frames))
        part, problems = read_frame(_read_part, frame)
        build = None if part is None else _EVENTS.get(part.type)
        if part is None or build is None:
            return (raw_event(self._ref.id, frame.data, problems=problems),)
        about = {"session_id": self._ref.id, "native_type": part.type, "source": frame.data, "problems": problems}
        event = build(part, about)
        return (event, Finished()) if isinstance(event, TurnEnded) else (event,)

    def ended(self, end: BodyEnd) -> Items:
        """The body ended before the turn: Chatbox stopped the agent then."""
        reason = "the response ended before the turn did" if end.failure is None else end.failure.message
        return (
            TurnEnded(session_id=self._ref.id, outcome=Outcome.FAILED, error=reason, synthetic=True),
            Finished(),
        )


class ChatboxSettings(ProviderSettings):
    """Settings of a client for Chatbox.

    Attributes:
        key: The API key.
        base_url: Where Chatbox is.
    """

    key: Annotated[HeaderSecret, FromEnv("CHATBOX_KEY")]
    base_url: Annotated[BaseUrl, FromEnv("CHATBOX_URL")] = "http://127.0.0.1:7071"


class ChatboxProvider(Provider[ChatboxSettings]):
    """Chatbox."""

    name = NAME
    docs_url = "https://chatbox.example/api"
    settings_type = ChatboxSettings
    turn_life = TurnLife.ATTENDED
    when_busy = WhenBusy.REFUSED
    emulator = "polysession_chatbox.emulator:ChatboxEmulator"
    features: ClassVar[Mapping[Feature, FeatureSupport]] = declared(
        native={
            Feature.SESSIONS_CREATE: "",
            Feature.SESSIONS_CREATE_TITLE: "",
            Feature.SESSIONS_GET: "",
            Feature.SESSIONS_LIST: "",
            Feature.SESSIONS_DELETE: "",
            Feature.SESSIONS_SEND: "the call lasts as long as the turn",
            Feature.SESSIONS_RUN: "leaving the stream ends the turn",
            Feature.SESSIONS_MESSAGES: "",
        },
        unsupported={Feature.SESSIONS_CANCEL: "leave the turn, which ends it"},
        otherwise="Chatbox has nothing like it",
    )

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """The backend's event types, each with the types of the common events that it becomes."""
        return {
            "text": ("message.delta",),
            "thought": ("thinking.completed",),
            "tool": ("tool_call.completed",),
            "result": ("tool_result.completed",),
            "message": ("message.completed",),
            "done": ("turn.ended",),
            "error": ("turn.ended",),
        }

    def headers(self) -> Mapping[str, str]:
        """The API key."""
        return {"x-api-key": self.settings.key.get_secret_value()}

    def read_error(self, reply: Response) -> ErrorDetail:
        """Read an error of FastAPI."""
        return fastapi_error(reply)

    def create_session(self, new: NewSession) -> Flow[Session]:
        """Create a chat."""
        return read_response(_to_session, (yield Call("POST", "/chats", body=json_body({"title": new.title}))))

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a chat."""
        return read_response(_to_session, (yield Call("GET", _path(ref))))

    def list_sessions(self, query: SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read the chats, which Chatbox has on one page."""
        listed = read_whole(_read_list, (yield Call("GET", "/chats")))
        found = read_list(listed.items, _to_session)
        page = one_page(found.items, query.page_size, cursor)
        return Page(page.items, page.next_cursor, found.problems)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a chat."""
        read_json_or_nothing((yield Call("DELETE", _path(ref))))

    def send_message(self, ref: SessionRef, content: tuple[Block, ...], **_: Any) -> Flow[None]:
        """Send a message, and wait until it is answered."""
        answer_id((yield _say(ref, content, {})), "id")

    def start_turn(self, ref: SessionRef, turn_input: TurnInput, **_: Any) -> Flow[StreamPlan]:
        """Follow the turn that a message starts."""
        yield from ()
        return ChatboxTurn(ref, turn_input)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, **_: Any
    ) -> Flow[Page[Message]]:
        """Read the messages, which Chatbox has on one page."""
        listed = read_whole(_read_list, (yield Call("GET", f"{_path(ref)}/messages")))
        found = read_list(listed.items, partial(_message, ref.id))
        page = one_page(found.items, page_size, cursor)
        return Page(page.items, page.next_cursor, found.problems)


def _path(ref: SessionRef) -> str:
    return f"/chats/{path_segment(ref.id, 'session id')}"


def _say(ref: SessionRef, content: TurnInput, headers: Mapping[str, str]) -> Call:
    """The request with a message. Without a stream the response comes when the turn has ended."""
    text = "\n".join(block.text for block in content if isinstance(block, TextBlock))
    call = Call("POST", f"{_path(ref)}/messages", headers, json_body({"text": text}))
    return call if headers else replace(call, timeout_s=None)
