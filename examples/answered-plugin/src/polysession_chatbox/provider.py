"""Chatbox: a small chat server. The response to a message is the stream of its turn, and leaving it ends the turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, ClassVar, Final

import msgspec

from polysession import provider_api as api

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


def _session(chat: Chat, source: bytes, problems: tuple[str, ...]) -> api.Session:
    return api.Session(
        provider=NAME,
        id=chat.id,
        title=chat.title,
        status=api.SessionStatus.RUNNING if chat.busy else api.SessionStatus.IDLE,
        created_at=chat.created_at,
        source=source,
        problems=problems,
    )


def _message(session_id: str, content: bytes) -> api.Message:
    stored, problems = _read_message(content)
    return api.Message(
        provider=NAME,
        id=stored.id,
        session_id=session_id,
        role=api.Role.USER if stored.role == "user" else api.Role.ASSISTANT,
        content=(api.TextBlock(text=stored.text),),
        created_at=stored.at,
        source=content,
        problems=problems,
    )


_to_session: Final = api.record_reader(Chat, _session)
_read_message: Final = api.decoder(ChatMessage)
_read_list: Final = api.decoder(Listed)
_read_part: Final = api.decoder(Part)


def _said(part: Part, about: dict[str, Any]) -> api.Event:
    content = (api.TextBlock(text=part.text),)
    message = api.Message(
        provider=NAME, id=part.id, session_id=about["session_id"], role=api.Role.ASSISTANT, content=content
    )
    return api.MessageCompleted(**about, message=message)


_EVENTS: Final[Mapping[str, Callable[[Part, dict[str, Any]], api.Event]]] = {
    "text": lambda part, about: api.MessageDelta(**about, text=part.text),
    "thought": lambda part, about: api.ThinkingCompleted(**about, text=part.text),
    "tool": lambda part, about: api.ToolCallCompleted(
        **about, tool_call_id=part.id, name=part.tool, arguments=part.arguments
    ),
    "result": lambda part, about: api.ToolResultCompleted(
        **about, tool_call_id=part.id, text=part.text, is_error=False
    ),
    "message": _said,
    "done": lambda _, about: api.TurnEnded(**about, outcome=api.Outcome.COMPLETED),
    "error": lambda part, about: api.TurnEnded(
        **about, outcome=api.Outcome.FAILED, error=part.text or "it gave no reason"
    ),
}


class ChatboxTurn(api.AnsweredTurn):
    """A turn that is followed by the response to its message. Only the frames `done` and `error` end it."""

    silence_s = None  # Chatbox sends no heartbeat
    drain_s = 2.0  # it stores the answer when its response has been read to the end

    def __init__(self, ref: api.SessionRef, turn_input: api.TurnInput) -> None:
        self._ref = ref
        self._input = turn_input
        self._frames = 0
        self.cursor = api.encode_cursor(Position(0))

    def start(self) -> api.Call:
        """Send the message."""
        return _say(self._ref, self._input, {"accept": "text/event-stream"})

    def opened(self, head: api.Head, *, again: bool) -> api.Items:  # noqa: ARG002  (it is opened once)
        """The server accepted the message, so the turn runs. No frame says so."""
        return (api.TurnStarted(session_id=self._ref.id, synthetic=True),)

    def read(self, frame: api.Frame) -> api.Items:
        """Read a frame, which names its number. One that comes twice counts once."""
        if frame.id is not None and frame.id.isdigit() and int(frame.id) <= self._frames:
            return ()
        self._frames += 1
        self.cursor = api.encode_cursor(Position(self._frames))
        part, problems = api.read_frame(_read_part, frame)
        build = None if part is None else _EVENTS.get(part.type)
        if part is None or build is None:
            return (api.raw_event(self._ref.id, frame.data, problems=problems),)
        about = {"session_id": self._ref.id, "native_type": part.type, "source": frame.data, "problems": problems}
        event = build(part, about)
        return (event, api.Finished()) if isinstance(event, api.TurnEnded) else (event,)

    def ended(self, end: api.BodyEnd) -> api.Items:
        """The body ended before the turn: Chatbox stopped the agent then."""
        reason = "the response ended before the turn did" if end.failure is None else end.failure.message
        return (
            api.TurnEnded(session_id=self._ref.id, outcome=api.Outcome.FAILED, error=reason, synthetic=True),
            api.Finished(),
        )


class ChatboxSettings(api.ProviderSettings):
    """Settings of a client for Chatbox.

    Attributes:
        key: The API key.
        base_url: Where Chatbox is.
    """

    key: Annotated[api.HeaderSecret, api.FromEnv("CHATBOX_KEY")]
    base_url: Annotated[api.BaseUrl, api.FromEnv("CHATBOX_URL")] = "http://127.0.0.1:7071"


class ChatboxProvider(api.Provider[ChatboxSettings]):
    """Chatbox."""

    name = NAME
    docs_url = "https://chatbox.example/api"
    settings_type = ChatboxSettings
    turn_life = api.TurnLife.ATTENDED
    when_busy = api.WhenBusy.REFUSED
    emulator = "polysession_chatbox.emulator:ChatboxEmulator"
    features: ClassVar[Mapping[api.Feature, api.FeatureSupport]] = api.declared(
        native={
            api.Feature.SESSIONS_CREATE: "",
            api.Feature.SESSIONS_CREATE_TITLE: "",
            api.Feature.SESSIONS_GET: "",
            api.Feature.SESSIONS_LIST: "",
            api.Feature.SESSIONS_DELETE: "",
            api.Feature.SESSIONS_SEND: "the call lasts as long as the turn",
            api.Feature.SESSIONS_RUN: "leaving the stream ends the turn",
            api.Feature.SESSIONS_MESSAGES: "",
        },
        unsupported={api.Feature.SESSIONS_CANCEL: "leave the turn, which ends it"},
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

    def read_error(self, response: api.Response) -> api.ErrorDetail:
        """Read an error of FastAPI."""
        return api.fastapi_error(response)

    def create_session(self, new: api.NewSession) -> api.Flow[api.Session]:
        """Create a chat."""
        return api.read_response(
            _to_session, (yield api.Call("POST", "/chats", body=api.json_body({"title": new.title})))
        )

    def get_session(self, ref: api.SessionRef) -> api.Flow[api.Session]:
        """Read a chat."""
        return api.read_response(_to_session, (yield api.Call("GET", _path(ref))))

    def list_sessions(self, query: api.SessionQuery, cursor: str | None) -> api.Flow[api.Page[api.Session]]:
        """Read the chats, which Chatbox has on one page."""
        listed = api.read_whole(_read_list, (yield api.Call("GET", "/chats")))
        found = api.read_list(listed.items, _to_session)
        page = api.one_page(found.items, query.page_size, cursor)
        return api.Page(page.items, page.next_cursor, found.problems)

    def delete_session(self, ref: api.SessionRef) -> api.Flow[None]:
        """Delete a chat."""
        api.read_json_or_nothing((yield api.Call("DELETE", _path(ref))))

    def send_message(self, ref: api.SessionRef, content: tuple[api.Block, ...], **_: Any) -> api.Flow[None]:
        """Send a message, and wait until it is answered."""
        api.answer_id((yield _say(ref, content, {})), "id")

    def start_turn(self, ref: api.SessionRef, turn_input: api.TurnInput, **_: Any) -> api.Flow[api.StreamPlan]:
        """Follow the turn that a message starts."""
        yield from ()
        return ChatboxTurn(ref, turn_input)

    def list_messages(
        self, ref: api.SessionRef, page_size: int | None, cursor: str | None, **_: Any
    ) -> api.Flow[api.Page[api.Message]]:
        """Read the messages, which Chatbox has on one page."""
        listed = api.read_whole(_read_list, (yield api.Call("GET", f"{_path(ref)}/messages")))
        found = api.read_list(listed.items, partial(_message, ref.id))
        page = api.one_page(found.items, page_size, cursor)
        return api.Page(page.items, page.next_cursor, found.problems)


def _path(ref: api.SessionRef) -> str:
    return f"/chats/{api.path_segment(ref.id, 'session id')}"


def _say(ref: api.SessionRef, content: api.TurnInput, headers: Mapping[str, str]) -> api.Call:
    """The request with a message. Without a stream the response comes when the turn has ended."""
    text = "\n".join(block.text for block in content if isinstance(block, api.TextBlock))
    call = api.Call("POST", f"{_path(ref)}/messages", headers, api.json_body({"text": text}))
    return call if headers else replace(call, timeout_s=None)
