"""Turns on the AgentScope emulator over raw HTTP.

`tests/live` compares their events with those of the real service.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest

from polysession.emulation import EmulatorHandle, serve
from polysession_agentscope.emulator import AgentScopeEmulator
from polysession_agentscope.emulator.conversation import Conversation
from providers.agentscope.test_emulator import Api, refusal, served

LIMIT_S: Final = 5.0
WAITING_REPLY: Final = ("REQUIRE_USER_CONFIRM", "REQUIRE_EXTERNAL_EXECUTION")
PLAIN: Final = [
    "REPLY_START",
    "HINT_BLOCK",
    "MODEL_CALL_START",
    "TEXT_BLOCK_START",
    "TEXT_BLOCK_DELTA",
    "TEXT_BLOCK_END",
    "MODEL_CALL_END",
    "REPLY_END",
]


class ChatSession(Api):
    """A session of a new user: sends its messages, and reads its events."""

    def __init__(self, handle: EmulatorHandle, http: httpx.Client) -> None:
        super().__init__(handle, http)
        self.session_id = self.new_session(name="named", chat_model_config=self.model)

    def body(self, text: str) -> dict[str, Any]:
        message = {"name": "user", "role": "user", "content": [{"type": "text", "text": text}]}
        return {"agent_id": self.agent_id, "session_id": self.session_id, "input": message}

    def send(self, text: str) -> httpx.Response:
        return self.ask("POST", "/chat/", self.body(text))

    def answer(self, kind: str, **results: Any) -> None:
        self.ok("POST", "/chat/", self.body("") | {"input": {"type": kind, "reply_id": "any"} | results})

    def decide(self, call: dict[str, Any], *, confirmed: bool, **parts: Any) -> None:
        self.answer("USER_CONFIRM_RESULT", confirm_results=[{"confirmed": confirmed, "tool_call": call} | parts])

    @contextmanager
    def events(self, after: str | None = None) -> Iterator[Iterator[dict[str, Any]]]:
        path = self.path(self.session_id, "/stream") + (f"&after={after}" if after else "")
        headers = {"x-user-id": self.user_id}
        with self.http.stream("GET", self.handle.base_url + path, headers=headers, timeout=LIMIT_S) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            yield parsed(answer)

    def status(self) -> str:
        return str(self.ok("GET", self.path(self.session_id, "/status"))["status"])

    def messages(self, query: str = "") -> Any:
        return self.ok("GET", self.path(self.session_id, "/messages") + query)

    def raise_for_outcome(self) -> str:
        deadline_s = time.monotonic() + LIMIT_S
        while self.status() == "running" and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return self.status()

    def turn(self, text: str) -> list[dict[str, Any]]:
        """Return the events of a turn from its message to its end, or until it waits for an answer."""
        self.raise_for_outcome()
        with self.events(self.messages()["event_cursor"]) as events:
            assert self.send(text).json() == {"status": "started", "session_id": self.session_id}
            return until(events, "REPLY_END", *WAITING_REPLY)


def parsed(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def until(events: Iterator[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    received = []
    for event in events:
        received.append(event)
        if event["type"] in kinds:
            break
    return received


def kinds_of(events: Sequence[dict[str, Any]]) -> list[str]:
    """Return the types of events. Consecutive deltas count once."""
    kinds = [event["type"] for event in events]
    pairs = zip(kinds, ["", *kinds], strict=False)
    return [kind for kind, before in pairs if not (kind == before and kind.endswith("_DELTA"))]


def text_of(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[EmulatorHandle, httpx.Client]]:
    with served("current") as both:
        yield both


@pytest.fixture
def chat(emulator: tuple[EmulatorHandle, httpx.Client]) -> ChatSession:
    return ChatSession(*emulator)


@pytest.fixture
def legacy_chat() -> Iterator[ChatSession]:
    with served("legacy") as both:
        yield ChatSession(*both)


def test_a_turn_is_streamed_and_stored(chat: ChatSession) -> None:
    events = chat.turn("hello there")
    assert kinds_of(events) == PLAIN
    deltas = [event["delta"] for event in events if "delta" in event]
    assert deltas == ["You ", "said: ", "hello ", "there"]
    page = chat.messages()
    assert [(each["role"], text_of(each)) for each in page["messages"]] == [
        ("user", "hello there"),
        ("assistant", "You said: hello there"),
    ]
    assert (page["messages"][1]["id"], page["messages"][1]["name"]) == (events[0]["reply_id"], "A")
    assert "HINT_BLOCK" not in kinds_of(chat.turn("the model gets the time only in the first turn"))


def test_a_turn_of_a_session_without_a_model_fails(chat: ChatSession) -> None:
    chat.session_id = chat.new_session(name="no model")
    start, end = chat.turn("hello")
    assert (start["name"], end["finished_reason"]) == (chat.agent_id, "error")
    assert end["error"] == {
        "type": "invalid_request",
        "message": "The request to the model was rejected as invalid.",
    }
    assert [each["role"] for each in chat.messages()["messages"]] == ["assistant"]


def test_one_reply_contains_all_rounds_of_a_turn_with_tools(chat: ChatSession) -> None:
    kinds = kinds_of(chat.turn("/tool"))
    assert kinds[3:10] == [
        *(f"TOOL_CALL_{part}" for part in ("START", "DELTA", "END")),
        "MODEL_CALL_END",
        *(f"TOOL_RESULT_{part}" for part in ("START", "TEXT_DELTA", "END")),
    ]
    assert kinds.count("MODEL_CALL_START") == 2
    _, reply = chat.messages()["messages"]
    assert [block["type"] for block in reply["content"]] == ["hint", "tool_call", "tool_result", "text"]


def test_approvals_are_requested_one_at_a_time(chat: ChatSession) -> None:
    with chat.events() as events:
        chat.send("/ask 2")
        first = until(events, *WAITING_REPLY)[-1]
        assert (chat.raise_for_outcome(), len(first["tool_calls"])) == ("awaiting_permission", 1)
        chat.decide(first["tool_calls"][0], confirmed=False)
        second = until(events, *WAITING_REPLY)
        assert kinds_of(second)[:2] == ["USER_CONFIRM_RESULT", "REPLY_START"]
        assert [event["state"] for event in second if event["type"] == "TOOL_RESULT_END"] == ["denied"]
        # The answer is queued, even if it arrives before the turn was stored.
        chat.decide(second[-1]["tool_calls"][0], confirmed=True)
        rest = until(events, "REPLY_END")
        assert [event["state"] for event in rest if event["type"] == "TOOL_RESULT_END"] == ["success"]
        assert {event["reply_id"] for event in [first, *second[1:], *rest[1:]]} == {first["reply_id"]}
    assert (chat.raise_for_outcome(), text_of(chat.messages()["messages"][1])) == ("idle", "The decision was heard.")


def test_a_rule_allows_matching_calls_for_the_rest_of_the_session(chat: ChatSession) -> None:
    call = chat.turn("/ask")[-1]["tool_calls"][0]
    with chat.events(chat.messages()["event_cursor"]) as events:
        chat.decide(call, confirmed=True, rules=call["suggested_rules"])
        emitted = until(events, "CUSTOM")[-1]
    assert emitted["name"] == "state_updated"
    assert emitted["value"]["permission_context"]["allow_rules"] == {"lookup": call["suggested_rules"]}
    assert chat.turn("/ask")[-1]["type"] == "REPLY_END"


def test_the_caller_sends_the_results_of_client_tools(chat: ChatSession) -> None:
    with chat.events() as events:
        chat.send("/client-tool")
        (call,) = until(events, *WAITING_REPLY)[-1]["tool_calls"]
        assert (chat.raise_for_outcome(), call["state"]) == ("awaiting_external_result", "submitted")
        result = {"type": "tool_result", "id": call["id"], "name": call["name"], "output": "found", "state": "success"}
        chat.answer("EXTERNAL_EXECUTION_RESULT", execution_results=[result])
        assert until(events, "REPLY_END")[-1]["finished_reason"] == "completed"
    assert text_of(chat.messages()["messages"][1]) == "The output was received."


def test_a_model_error_ends_the_reply(chat: ChatSession) -> None:
    end = chat.turn("/fail")[-1]
    assert (end["finished_reason"], end["error"]["type"]) == ("error", "upstream")
    assert chat.messages()["messages"][1]["error"] == end["error"]


@pytest.mark.parametrize("message", ["/slow 50", "/ask", "/client-tool"])
def test_an_interruption_ends_the_reply(chat: ChatSession, message: str) -> None:
    with chat.events() as events:
        chat.send(message)
        if until(events, "TEXT_BLOCK_DELTA", *WAITING_REPLY)[-1]["type"] in WAITING_REPLY:
            chat.raise_for_outcome()  # a turn that is being stored ignores an interrupt
        chat.ok("POST", chat.path(chat.session_id, "/interrupt"), status=202)
        assert until(events, "REPLY_END")[-1]["finished_reason"] == "interrupted"
    assert chat.raise_for_outcome() == "idle"


def test_an_interruption_before_the_first_event_drops_the_turn(
    chat: ChatSession, monkeypatch: pytest.MonkeyPatch, emulator: tuple[EmulatorHandle, httpx.Client]
) -> None:
    assert isinstance(emulator[0].control, AgentScopeEmulator)
    monkeypatch.setattr(emulator[0].control.pace, "setup_s", LIMIT_S)
    chat.send("hello")
    chat.ok("POST", chat.path(chat.session_id, "/interrupt"), status=202)
    assert (chat.raise_for_outcome(), chat.messages()["messages"]) == ("idle", [])


def test_a_session_is_still_running_after_the_last_event(
    chat: ChatSession, monkeypatch: pytest.MonkeyPatch, emulator: tuple[EmulatorHandle, httpx.Client]
) -> None:
    assert isinstance(emulator[0].control, AgentScopeEmulator)
    monkeypatch.setattr(emulator[0].control.pace, "settle_s", 1.0)
    chat.turn("hello")
    active = f"Session '{chat.session_id}' already has an active chat run in this process."
    assert refusal(chat.send("too early")) == (409, active)
    assert chat.ask("PATCH", chat.path(chat.session_id), {}).status_code == 409
    assert [text_of(each) for each in chat.messages()["messages"]] == ["hello", "You said: hello"]
    assert chat.raise_for_outcome() == "idle"
    assert chat.send("now").status_code == 200


def test_a_timed_turn_rejects_messages(chat: ChatSession) -> None:
    chat.run(chat.session_id)
    assert chat.send("hello").status_code == 409


def test_the_first_message_names_a_session_without_a_name(chat: ChatSession) -> None:
    chat.session_id = chat.new_session(chat_model_config=chat.model)
    with chat.events() as events:
        chat.send("a first message of more than five words")
        kinds = kinds_of(until(events, "CUSTOM"))
    assert kinds == [*PLAIN, "CUSTOM"]
    chat.raise_for_outcome()
    (view,) = (each for each in chat.sessions() if each["session"]["id"] == chat.session_id)
    assert (view["session"]["config"]["name"], view["session"]["config"]["naming"]) == (
        "a first message of more",
        {"auto": False},
    )


def test_a_new_stream_replays_the_running_turn_or_the_end_of_the_last(chat: ChatSession) -> None:
    end = chat.turn("hello")[-1]
    chat.raise_for_outcome()
    with chat.events() as events:
        assert next(events) == end
    cursor = chat.messages()["event_cursor"]
    with chat.events(cursor) as running:
        chat.send("/slow 3")
        until(running, "TEXT_BLOCK_DELTA")
        with chat.events(cursor) as events:
            again = until(events, "REPLY_END")
    assert kinds_of(again) == [kind for kind in PLAIN if kind != "HINT_BLOCK"]


def test_no_more_than_the_newest_thousand_events_are_replayed() -> None:
    async def replayed() -> list[bytes]:
        conversation = Conversation()
        for number in range(1100):
            conversation.publish({"number": number})
        frames = conversation.frames(None, heartbeat_s=0.01)
        received = [await anext(frames) for _ in range(1001)]
        await frames.aclose()
        return received

    received = asyncio.run(replayed())
    assert [received[0], received[-2], received[-1]] == [
        b'data: {"number": 100}\n\n',
        b'data: {"number": 1099}\n\n',
        b":\n\n",
    ]


def test_an_unreadable_cursor_breaks_the_response(chat: ChatSession) -> None:
    with chat.events("nonsense") as events, pytest.raises(httpx.RemoteProtocolError):
        next(events)


def test_a_silent_stream_sends_heartbeats(
    chat: ChatSession, monkeypatch: pytest.MonkeyPatch, emulator: tuple[EmulatorHandle, httpx.Client]
) -> None:
    handle, http = emulator
    assert isinstance(handle.control, AgentScopeEmulator)
    assert handle.control.pace.heartbeat_s == 30
    monkeypatch.setattr(handle.control.pace, "heartbeat_s", 0.02)
    url = handle.base_url + chat.path(chat.session_id, "/stream")
    with http.stream("GET", url, headers={"x-user-id": chat.user_id}) as answer:
        assert next(answer.iter_raw()) == b":\n\n"


def test_messages_are_paginated_from_the_newest(chat: ChatSession) -> None:
    for number in range(2):
        chat.turn(str(number))
    latest = chat.messages("&limit=3")
    assert [text_of(each) for each in latest["messages"]] == ["You said: 0", "1", "You said: 1"]
    assert latest["has_more"]
    older = chat.messages(f"&limit=3&before={latest['messages'][0]['id']}")
    assert [text_of(each) for each in older["messages"]] == ["0"]
    assert (older["has_more"], older["event_cursor"]) == (False, None)


def test_a_server_with_open_streams_and_turns_stops_soon() -> None:
    with httpx.Client(trust_env=False) as http:
        with serve("agentscope") as handle:
            chat = ChatSession(handle, http)
            with chat.events() as events:
                chat.send("/slow 1000")
                until(events, "TEXT_BLOCK_DELTA")
            threading.Thread(target=_listen, args=(chat,), daemon=True).start()
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 30


def _listen(chat: ChatSession) -> None:
    with httpx.Client(trust_env=False) as http:
        chat.http = http
        try:
            with chat.events() as events:
                list(events)
        except httpx.TransportError:
            pass


def test_the_legacy_generation_answers_a_message_with_the_stream(legacy_chat: ChatSession) -> None:
    answer = legacy_chat.send("hello there")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = list(parsed(answer))
    assert kinds_of(events) == [kind for kind in PLAIN if kind != "HINT_BLOCK"]
    assert events[-1].keys() == {"id", "created_at", "type", "session_id", "reply_id"}
    page = legacy_chat.messages("&offset=1")
    assert page.keys() == {"messages", "is_running"}
    (reply,) = page["messages"]
    assert reply["content"] == [{"type": "text", "text": "You said: hello there", "id": events[2]["block_id"]}]
    assert reply.keys() == {"name", "content", "role", "id", "metadata", "created_at", "finished_at", "usage"}
    (record,) = legacy_chat.sessions()
    assert (record["state"]["reply_id"], record["state"]["cur_iter"]) == (reply["id"], 1)


def test_the_legacy_generation_continues_a_reply_without_a_new_start(legacy_chat: ChatSession) -> None:
    (call,) = list(parsed(legacy_chat.send("/ask")))[-1]["tool_calls"]
    results = [{"confirmed": True, "tool_call": call}]
    decision = {"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": results}
    events = list(parsed(legacy_chat.ask("POST", "/chat/", legacy_chat.body("") | {"input": decision})))
    assert (events[0]["type"], events[-1]["type"]) == ("TOOL_RESULT_START", "REPLY_END")


def test_an_error_breaks_the_stream_of_the_legacy_generation(legacy_chat: ChatSession) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        legacy_chat.send("/fail")


def test_closing_the_response_stops_a_turn_of_the_legacy_generation(legacy_chat: ChatSession) -> None:
    url, headers = f"{legacy_chat.handle.base_url}/chat/", {"x-user-id": legacy_chat.user_id}
    with legacy_chat.http.stream("POST", url, json=legacy_chat.body("/slow 100"), headers=headers) as answer:
        events = parsed(answer)
        until(events, "TEXT_BLOCK_DELTA")
        assert legacy_chat.messages()["is_running"]
    deadline_s = time.monotonic() + LIMIT_S
    while legacy_chat.messages()["is_running"] and time.monotonic() < deadline_s:
        time.sleep(0.01)
    page = legacy_chat.messages()
    assert (page["is_running"], [each["role"] for each in page["messages"]]) == (False, ["user"])


def test_a_tool_runs_with_the_arguments_in_the_decision(chat: ChatSession) -> None:
    (call,) = chat.turn("/ask")[-1]["tool_calls"]
    with chat.events(chat.messages()["event_cursor"]) as events:
        chat.decide(call | {"input": '{"query": "item 7"}'}, confirmed=True)
        emitted = until(events, "REPLY_END")

    assert [event["delta"] for event in emitted if event["type"] == "TOOL_RESULT_TEXT_DELTA"] == ["item 7 is in stock"]
    chat.raise_for_outcome()
    blocks = [block for block in chat.messages()["messages"][-1]["content"] if block["type"] == "tool_call"]
    assert [block["input"] for block in blocks] == [call["input"]]


@pytest.mark.parametrize("text", ["", "nonsense", "[1]"])
def test_arguments_that_are_not_an_object_fail_the_tool(chat: ChatSession, text: str) -> None:
    (call,) = chat.turn("/ask")[-1]["tool_calls"]
    with chat.events(chat.messages()["event_cursor"]) as events:
        chat.decide(call | {"input": text}, confirmed=True)
        emitted = until(events, "REPLY_END")

    assert [event["state"] for event in emitted if event["type"] == "TOOL_RESULT_END"] == ["error"]
    assert emitted[-1]["finished_reason"] == "completed"


def leave_at_the_end(chat: ChatSession, text: str) -> None:
    """Close the connection at the last event of a turn, before the body ends.

    Wait until the service notices it.
    """
    url, headers = f"{chat.handle.base_url}/chat/", {"x-user-id": chat.user_id}
    with chat.http.stream("POST", url, json=chat.body(text), headers=headers) as answer:
        until(parsed(answer), "REQUIRE_USER_CONFIRM" if text == "/ask" else "REPLY_END")
    deadline_s = time.monotonic() + LIMIT_S
    while chat.messages()["is_running"] and time.monotonic() < deadline_s:
        time.sleep(0.01)


def test_closing_at_the_last_event_loses_the_turn_in_the_legacy_generation(
    legacy_chat: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = legacy_chat.handle.control
    assert isinstance(control, AgentScopeEmulator)
    legacy_chat.send("one")
    monkeypatch.setattr(control.pace, "settle_s", LIMIT_S)
    for text in ("two", "/ask"):
        leave_at_the_end(legacy_chat, text)
    monkeypatch.undo()
    legacy_chat.send("three")

    (record,) = legacy_chat.sessions()
    assert [(message["role"], message["content"][0]["text"]) for message in record["state"]["context"]] == [
        ("user", "one"),
        ("assistant", "You said: one"),
        ("user", "three"),
        ("assistant", "You said: three"),
    ]
    assert [message["role"] for message in legacy_chat.messages()["messages"]].count("assistant") == 2


def test_an_approval_is_lost_with_its_turn_in_the_legacy_generation(
    legacy_chat: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = legacy_chat.handle.control
    assert isinstance(control, AgentScopeEmulator)
    monkeypatch.setattr(control.pace, "settle_s", LIMIT_S)
    leave_at_the_end(legacy_chat, "/ask")
    monkeypatch.undo()

    decision = {"confirmed": True, "tool_call": {"type": "tool_call", "id": "c", "name": "n", "input": "{}"}}
    answer = {"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": [decision]}
    response = legacy_chat.ask("POST", "/chat/", legacy_chat.body("") | {"input": answer})

    assert list(parsed(response)) == []
