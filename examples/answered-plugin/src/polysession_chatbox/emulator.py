"""An emulator of Chatbox: its routes over chats in memory. It shares no code with the provider."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from polysession.emulation import (
    Answer,
    ApiRequest,
    Emulator,
    EventStream,
    Fail,
    Generation,
    InitialResources,
    Refusal,
    Route,
    Say,
    Think,
    TurnClock,
    UseTools,
    build_app,
    pause,
    sse_frame,
)

KEY: Final = "key-of-the-emulator"

Json = dict[str, Any]


@dataclass
class Chat:
    """A chat."""

    id: str
    title: str | None
    created_at: str
    messages: list[Json] = field(default_factory=list)
    clock: TurnClock = field(default_factory=TurnClock)
    is_answering: bool = False

    def as_json(self) -> Json:
        """The JSON of the chat."""
        busy = self.is_answering or self.clock.running
        return {"id": self.id, "title": self.title, "busy": busy, "created_at": self.created_at}


class ChatboxEmulator(Emulator):
    """Chatbox over state in memory. It has one generation."""

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self._chats: dict[str, Chat] = {}
        self._numbers = itertools.count(1)
        self.initial = InitialResources()
        self.settings = {"key": KEY}
        self.routes = [
            Route("POST", "/chats", self._create, 201),
            Route("GET", "/chats", self._list),
            Route("GET", "/chats/{id}", lambda request: self._chat(request).as_json()),
            Route("DELETE", "/chats/{id}", self._delete, 204),
            Route("GET", "/chats/{id}/messages", lambda request: {"items": self._chat(request).messages}),
            Route("POST", "/chats/{id}/messages", self._answer),
        ]
        self.app = build_app(self.routes, admit=_check_key, error=_error)

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Keep a chat busy for a while."""
        self._chats[session_id].clock.start(duration_s)

    def _chat(self, request: ApiRequest) -> Chat:
        chat_id = request.parameters["id"]
        if chat_id not in self._chats:
            raise Refusal(404, f"no chat {chat_id}")
        return self._chats[chat_id]

    def _create(self, request: ApiRequest) -> Json:
        chat = Chat(f"chat-{next(self._numbers)}", _body(request).get("title"), _now())
        self._chats[chat.id] = chat
        return chat.as_json()

    def _list(self, _: ApiRequest) -> Json:
        return {"items": [chat.as_json() for chat in reversed(self._chats.values())]}

    def _delete(self, request: ApiRequest) -> None:
        del self._chats[self._chat(request).id]

    async def _answer(self, request: ApiRequest) -> EventStream | Json:
        chat, text = self._chat(request), _body(request).get("text")
        if not isinstance(text, str) or not text:
            raise Refusal(422, "text is missing")
        if chat.as_json()["busy"]:
            raise Refusal(409, "the chat is busy")
        chat.is_answering = True
        chat.messages.append(self._message("user", text))
        parts = self._parts(chat, text)
        if "text/event-stream" in request.headers.get("accept", ""):
            return EventStream(_frames(parts))
        last: Json = {}
        async for part in parts:
            last = part if part["type"] in {"message", "error"} else last
        return {"id": last.get("id", "none"), "text": last.get("text", "")}

    async def _parts(self, chat: Chat, text: str) -> AsyncGenerator[Json, None]:
        """The parts of an answer. It is closed when the caller leaves: the agent stops then."""
        try:
            for act in self.scripts.take(chat.id, text):
                match act:
                    case Say(said, pause_s):
                        for delta in act.deltas:
                            yield {"type": "text", "text": delta}
                            await pause(pause_s)
                        chat.messages.append(self._message("assistant", said))
                        yield {"type": "message", "id": chat.messages[-1]["id"], "text": said}
                    case Think(thought):
                        yield {"type": "thought", "text": thought}
                    case UseTools(uses):
                        for use in uses:
                            call = f"call-{next(self._numbers)}"
                            yield {"type": "tool", "id": call, "tool": use.name, "arguments": dict(use.arguments)}
                            yield {"type": "result", "id": call, "text": use.result}
                    case Fail(message):
                        yield {"type": "error", "text": message}
                        return
            yield {"type": "done"}
        finally:
            chat.is_answering = False

    def _message(self, role: str, text: str) -> Json:
        return {"id": f"msg-{next(self._numbers)}", "role": role, "text": text, "at": _now()}


async def _frames(parts: AsyncGenerator[Json, None]) -> AsyncGenerator[bytes, None]:
    try:
        number = 0
        async for part in parts:
            number += 1
            yield sse_frame({"id": number, "data": part})
    finally:
        await parts.aclose()


def _check_key(headers: Mapping[str, str]) -> None:
    if headers.get("x-api-key") != KEY:
        raise Refusal(401, "the key is not valid")


def _body(request: ApiRequest) -> Json:
    try:
        body = request.json()
    except ValueError as error:
        raise Refusal(422, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise Refusal(422, "the body is not an object")
    return body


def _error(refusal: Refusal, _request_id: str) -> Answer:
    return Answer({"detail": refusal.message}, refusal.status)


def _now() -> str:
    return datetime.now(UTC).isoformat()
