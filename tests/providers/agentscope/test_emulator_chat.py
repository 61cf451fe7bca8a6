"""Turns on the AgentScope emulator by raw HTTP; `tests/live` compares what they tell with the real service."""

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
PARKED: Final = ("REQUIRE_USER_CONFIRM", "REQUIRE_EXTERNAL_EXECUTION")
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


class Talk(Api):
    """A session of a new user, which is given messages and listened to."""

    def __init__(self, handle: EmulatorHandle, http: httpx.Client) -> None:
        super().__init__(handle, http)
        self.session_id = self.new_session(name="named", chat_model_config=self.model)

    def body(self, text: str) -> dict[str, Any]:
        message = {"name": "user", "role": "user", "content": [{"type": "text", "text": text}]}
        return {"agent_id": self.agent_id, "session_id": self.session_id, "input": message}

    def say(self, text: str) -> httpx.Response:
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
        """The events of a turn, from its message to its end or until it waits for an answer."""
        self.raise_for_outcome()
        with self.events(self.messages()["event_cursor"]) as events:
            assert self.say(text).json() == {"status": "started", "session_id": self.session_id}
            return until(events, "REPLY_END", *PARKED)


def parsed(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def until(events: Iterator[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    heard = []
    for event in events:
        heard.append(event)
        if event["type"] in kinds:
            break
    return heard


def kinds_of(events: Sequence[dict[str, Any]]) -> list[str]:
    """The types, with deltas that follow each other counted once."""
    kinds = [event["type"] for event in events]
    pairs = zip(kinds, ["", *kinds], strict=False)
    return [kind for kind, before in pairs if not (kind == before and kind.endswith("_DELTA"))]


def said(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


@pytest.fixture(scope="module")
def emulator() -> Iterator[tuple[EmulatorHandle, httpx.Client]]:
    with served("current") as both:
        yield both


@pytest.fixture
def talk(emulator: tuple[EmulatorHandle, httpx.Client]) -> Talk:
    return Talk(*emulator)


@pytest.fixture
def old_talk() -> Iterator[Talk]:
    with served("legacy") as both:
        yield Talk(*both)


def test_a_turn_is_streamed_and_stored(talk: Talk) -> None:
    events = talk.turn("hello there")
    assert kinds_of(events) == PLAIN
    deltas = [event["delta"] for event in events if "delta" in event]
    assert deltas == ["You ", "said: ", "hello ", "there"]
    page = talk.messages()
    assert [(each["role"], said(each)) for each in page["messages"]] == [
        ("user", "hello there"),
        ("assistant", "You said: hello there"),
    ]
    assert (page["messages"][1]["id"], page["messages"][1]["name"]) == (events[0]["reply_id"], "A")
    assert "HINT_BLOCK" not in kinds_of(talk.turn("the model knows the time by now"))


def test_a_session_without_a_model_fails_to_set_up(talk: Talk) -> None:
    talk.session_id = talk.new_session(name="no model")
    start, end = talk.turn("hello")
    assert (start["name"], end["finished_reason"]) == (talk.agent_id, "error")
    assert end["error"] == {
        "type": "invalid_request",
        "message": "The request to the model was rejected as invalid.",
    }
    assert [each["role"] for each in talk.messages()["messages"]] == ["assistant"]


def test_one_reply_holds_all_rounds_of_a_tool_turn(talk: Talk) -> None:
    kinds = kinds_of(talk.turn("/tool"))
    assert kinds[3:10] == [
        *(f"TOOL_CALL_{part}" for part in ("START", "DELTA", "END")),
        "MODEL_CALL_END",
        *(f"TOOL_RESULT_{part}" for part in ("START", "TEXT_DELTA", "END")),
    ]
    assert kinds.count("MODEL_CALL_START") == 2
    _, reply = talk.messages()["messages"]
    assert [block["type"] for block in reply["content"]] == ["hint", "tool_call", "tool_result", "text"]


def test_approvals_are_asked_for_one_at_a_time(talk: Talk) -> None:
    with talk.events() as events:
        talk.say("/ask 2")
        first = until(events, *PARKED)[-1]
        assert (talk.raise_for_outcome(), len(first["tool_calls"])) == ("awaiting_permission", 1)
        talk.decide(first["tool_calls"][0], confirmed=False)
        second = until(events, *PARKED)
        assert kinds_of(second)[:2] == ["USER_CONFIRM_RESULT", "REPLY_START"]
        assert [event["state"] for event in second if event["type"] == "TOOL_RESULT_END"] == ["denied"]
        # Queued, however early it comes.
        talk.decide(second[-1]["tool_calls"][0], confirmed=True)
        rest = until(events, "REPLY_END")
        assert [event["state"] for event in rest if event["type"] == "TOOL_RESULT_END"] == ["success"]
        assert {event["reply_id"] for event in [first, *second[1:], *rest[1:]]} == {first["reply_id"]}
    assert (talk.raise_for_outcome(), said(talk.messages()["messages"][1])) == ("idle", "The decision was heard.")


def test_a_rule_allows_such_calls_for_good(talk: Talk) -> None:
    call = talk.turn("/ask")[-1]["tool_calls"][0]
    with talk.events(talk.messages()["event_cursor"]) as events:
        talk.decide(call, confirmed=True, rules=call["suggested_rules"])
        told = until(events, "CUSTOM")[-1]
    assert told["name"] == "state_updated"
    assert told["value"]["permission_context"]["allow_rules"] == {"lookup": call["suggested_rules"]}
    assert talk.turn("/ask")[-1]["type"] == "REPLY_END"


def test_the_caller_brings_the_results_of_its_tools(talk: Talk) -> None:
    with talk.events() as events:
        talk.say("/client-tool")
        (call,) = until(events, *PARKED)[-1]["tool_calls"]
        assert (talk.raise_for_outcome(), call["state"]) == ("awaiting_external_result", "submitted")
        result = {"type": "tool_result", "id": call["id"], "name": call["name"], "output": "found", "state": "success"}
        talk.answer("EXTERNAL_EXECUTION_RESULT", execution_results=[result])
        assert until(events, "REPLY_END")[-1]["finished_reason"] == "completed"
    assert said(talk.messages()["messages"][1]) == "The output was received."


def test_a_model_error_ends_the_reply(talk: Talk) -> None:
    end = talk.turn("/fail")[-1]
    assert (end["finished_reason"], end["error"]["type"]) == ("error", "upstream")
    assert talk.messages()["messages"][1]["error"] == end["error"]


@pytest.mark.parametrize("message", ["/slow 50", "/ask", "/client-tool"])
def test_an_interruption_ends_the_reply(talk: Talk, message: str) -> None:
    with talk.events() as events:
        talk.say(message)
        if until(events, "TEXT_BLOCK_DELTA", *PARKED)[-1]["type"] in PARKED:
            talk.raise_for_outcome()  # a run that is being stored takes no notice
        talk.ok("POST", talk.path(talk.session_id, "/interrupt"), status=202)
        assert until(events, "REPLY_END")[-1]["finished_reason"] == "interrupted"
    assert talk.raise_for_outcome() == "idle"


def test_an_interruption_before_the_first_event_undoes_the_turn(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, emulator: tuple[EmulatorHandle, httpx.Client]
) -> None:
    assert isinstance(emulator[0].control, AgentScopeEmulator)
    monkeypatch.setattr(emulator[0].control.pace, "setup_s", LIMIT_S)
    talk.say("hello")
    talk.ok("POST", talk.path(talk.session_id, "/interrupt"), status=202)
    assert (talk.raise_for_outcome(), talk.messages()["messages"]) == ("idle", [])


def test_a_turn_is_not_over_with_its_last_event(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, emulator: tuple[EmulatorHandle, httpx.Client]
) -> None:
    assert isinstance(emulator[0].control, AgentScopeEmulator)
    monkeypatch.setattr(emulator[0].control.pace, "settle_s", 1.0)
    talk.turn("hello")
    active = f"Session '{talk.session_id}' already has an active chat run in this process."
    assert refusal(talk.say("too early")) == (409, active)
    assert talk.ask("PATCH", talk.path(talk.session_id), {}).status_code == 409
    assert [said(each) for each in talk.messages()["messages"]] == ["hello", "You said: hello"]
    assert talk.raise_for_outcome() == "idle"
    assert talk.say("now").status_code == 200


def test_a_turn_by_the_clock_takes_no_message(talk: Talk) -> None:
    talk.run(talk.session_id)
    assert talk.say("hello").status_code == 409


def test_the_first_message_names_a_session_without_a_name(talk: Talk) -> None:
    talk.session_id = talk.new_session(chat_model_config=talk.model)
    with talk.events() as events:
        talk.say("a first message of more than five words")
        kinds = kinds_of(until(events, "CUSTOM"))
    assert kinds == [*PLAIN, "CUSTOM"]
    talk.raise_for_outcome()
    (view,) = (each for each in talk.sessions() if each["session"]["id"] == talk.session_id)
    assert (view["session"]["config"]["name"], view["session"]["config"]["naming"]) == (
        "a first message of more",
        {"auto": False},
    )


def test_a_new_stream_replays_the_running_turn_or_the_end_of_the_last(talk: Talk) -> None:
    end = talk.turn("hello")[-1]
    talk.raise_for_outcome()
    with talk.events() as events:
        assert next(events) == end
    cursor = talk.messages()["event_cursor"]
    with talk.events(cursor) as running:
        talk.say("/slow 3")
        until(running, "TEXT_BLOCK_DELTA")
        with talk.events(cursor) as events:
            again = until(events, "REPLY_END")
    assert kinds_of(again) == [kind for kind in PLAIN if kind != "HINT_BLOCK"]


def test_no_more_than_the_newest_thousand_events_are_replayed() -> None:
    async def replayed() -> list[bytes]:
        conversation = Conversation()
        for number in range(1100):
            conversation.publish({"number": number})
        frames = conversation.frames(None, heartbeat_s=0.01)
        heard = [await anext(frames) for _ in range(1001)]
        await frames.aclose()
        return heard

    heard = asyncio.run(replayed())
    assert [heard[0], heard[-2], heard[-1]] == [b'data: {"number": 100}\n\n', b'data: {"number": 1099}\n\n', b":\n\n"]


def test_a_cursor_that_cannot_be_read_breaks_the_answer(talk: Talk) -> None:
    with talk.events("nonsense") as events, pytest.raises(httpx.RemoteProtocolError):
        next(events)


def test_a_silent_stream_sends_comments(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, emulator: tuple[EmulatorHandle, httpx.Client]
) -> None:
    handle, http = emulator
    assert isinstance(handle.control, AgentScopeEmulator)
    assert handle.control.pace.heartbeat_s == 30
    monkeypatch.setattr(handle.control.pace, "heartbeat_s", 0.02)
    url = handle.base_url + talk.path(talk.session_id, "/stream")
    with http.stream("GET", url, headers={"x-user-id": talk.user_id}) as answer:
        assert next(answer.iter_raw()) == b":\n\n"


def test_messages_come_in_pages_from_the_latest(talk: Talk) -> None:
    for number in range(2):
        talk.turn(str(number))
    latest = talk.messages("&limit=3")
    assert [said(each) for each in latest["messages"]] == ["You said: 0", "1", "You said: 1"]
    assert latest["has_more"]
    older = talk.messages(f"&limit=3&before={latest['messages'][0]['id']}")
    assert [said(each) for each in older["messages"]] == ["0"]
    assert (older["has_more"], older["event_cursor"]) == (False, None)


def test_a_server_with_open_streams_and_turns_stops_soon() -> None:
    with httpx.Client(trust_env=False) as http:
        with serve("agentscope") as handle:
            talk = Talk(handle, http)
            with talk.events() as events:
                talk.say("/slow 1000")
                until(events, "TEXT_BLOCK_DELTA")
            threading.Thread(target=_listen, args=(talk,), daemon=True).start()
            started_s = time.monotonic()
        assert time.monotonic() - started_s < 30


def _listen(talk: Talk) -> None:
    with httpx.Client(trust_env=False) as http:
        talk.http = http
        try:
            with talk.events() as events:
                list(events)
        except httpx.TransportError:
            pass


def test_the_legacy_generation_answers_a_message_with_the_stream(old_talk: Talk) -> None:
    answer = old_talk.say("hello there")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = list(parsed(answer))
    assert kinds_of(events) == [kind for kind in PLAIN if kind != "HINT_BLOCK"]
    assert events[-1].keys() == {"id", "created_at", "type", "session_id", "reply_id"}
    page = old_talk.messages("&offset=1")
    assert page.keys() == {"messages", "is_running"}
    (reply,) = page["messages"]
    assert reply["content"] == [{"type": "text", "text": "You said: hello there", "id": events[2]["block_id"]}]
    assert reply.keys() == {"name", "content", "role", "id", "metadata", "created_at", "finished_at", "usage"}
    (record,) = old_talk.sessions()
    assert (record["state"]["reply_id"], record["state"]["cur_iter"]) == (reply["id"], 1)


def test_the_legacy_generation_goes_on_with_a_reply_without_a_new_start(old_talk: Talk) -> None:
    (call,) = list(parsed(old_talk.say("/ask")))[-1]["tool_calls"]
    results = [{"confirmed": True, "tool_call": call}]
    decision = {"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": results}
    events = list(parsed(old_talk.ask("POST", "/chat/", old_talk.body("") | {"input": decision})))
    assert (events[0]["type"], events[-1]["type"]) == ("TOOL_RESULT_START", "REPLY_END")


def test_an_error_breaks_the_stream_of_the_legacy_generation(old_talk: Talk) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        old_talk.say("/fail")


def test_to_stop_reading_stops_a_turn_of_the_legacy_generation(old_talk: Talk) -> None:
    url, headers = f"{old_talk.handle.base_url}/chat/", {"x-user-id": old_talk.user_id}
    with old_talk.http.stream("POST", url, json=old_talk.body("/slow 100"), headers=headers) as answer:
        events = parsed(answer)
        until(events, "TEXT_BLOCK_DELTA")
        assert old_talk.messages()["is_running"]
    deadline_s = time.monotonic() + LIMIT_S
    while old_talk.messages()["is_running"] and time.monotonic() < deadline_s:
        time.sleep(0.01)
    page = old_talk.messages()
    assert (page["is_running"], [each["role"] for each in page["messages"]]) == (False, ["user"])


def test_a_tool_runs_with_the_arguments_that_come_back(talk: Talk) -> None:
    (call,) = talk.turn("/ask")[-1]["tool_calls"]
    with talk.events(talk.messages()["event_cursor"]) as events:
        talk.decide(call | {"input": '{"query": "item 7"}'}, confirmed=True)
        told = until(events, "REPLY_END")

    assert [event["delta"] for event in told if event["type"] == "TOOL_RESULT_TEXT_DELTA"] == ["item 7 is in stock"]
    talk.raise_for_outcome()
    blocks = [block for block in talk.messages()["messages"][-1]["content"] if block["type"] == "tool_call"]
    assert [block["input"] for block in blocks] == [call["input"]]


@pytest.mark.parametrize("text", ["", "nonsense", "[1]"])
def test_arguments_that_are_no_object_fail_the_tool(talk: Talk, text: str) -> None:
    (call,) = talk.turn("/ask")[-1]["tool_calls"]
    with talk.events(talk.messages()["event_cursor"]) as events:
        talk.decide(call | {"input": text}, confirmed=True)
        told = until(events, "REPLY_END")

    assert [event["state"] for event in told if event["type"] == "TOOL_RESULT_END"] == ["error"]
    assert told[-1]["finished_reason"] == "completed"


def leave_at_the_end(talk: Talk, text: str) -> None:
    """Close the connection at the last event of a turn, before the body ends, and wait until the service notices."""
    url, headers = f"{talk.handle.base_url}/chat/", {"x-user-id": talk.user_id}
    with talk.http.stream("POST", url, json=talk.body(text), headers=headers) as answer:
        until(parsed(answer), "REQUIRE_USER_CONFIRM" if text == "/ask" else "REPLY_END")
    deadline_s = time.monotonic() + LIMIT_S
    while talk.messages()["is_running"] and time.monotonic() < deadline_s:
        time.sleep(0.01)


def test_a_client_that_leaves_at_the_last_event_loses_the_turn_in_the_legacy_generation(
    old_talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = old_talk.handle.control
    assert isinstance(control, AgentScopeEmulator)
    old_talk.say("one")
    monkeypatch.setattr(control.pace, "settle_s", LIMIT_S)
    for text in ("two", "/ask"):
        leave_at_the_end(old_talk, text)
    monkeypatch.undo()
    old_talk.say("three")

    (record,) = old_talk.sessions()
    assert [(message["role"], message["content"][0]["text"]) for message in record["state"]["context"]] == [
        ("user", "one"),
        ("assistant", "You said: one"),
        ("user", "three"),
        ("assistant", "You said: three"),
    ]
    assert [message["role"] for message in old_talk.messages()["messages"]].count("assistant") == 2


def test_an_approval_is_lost_with_its_turn_in_the_legacy_generation(
    old_talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = old_talk.handle.control
    assert isinstance(control, AgentScopeEmulator)
    monkeypatch.setattr(control.pace, "settle_s", LIMIT_S)
    leave_at_the_end(old_talk, "/ask")
    monkeypatch.undo()

    decision = {"confirmed": True, "tool_call": {"type": "tool_call", "id": "c", "name": "n", "input": "{}"}}
    answer = {"type": "USER_CONFIRM_RESULT", "reply_id": "r", "confirm_results": [decision]}
    response = old_talk.ask("POST", "/chat/", old_talk.body("") | {"input": answer})

    assert list(parsed(response)) == []
