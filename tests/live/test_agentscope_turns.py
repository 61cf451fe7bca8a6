"""Turns and streams on the real AgentScope service, with both clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from live.agentscope_service.process import AgentScopeService
from polysession import (
    Approve,
    AsyncClient,
    Client,
    Conflict,
    Deny,
    ModelConfig,
    NotFound,
    Outcome,
    RetryPolicy,
    Session,
    ToolOutput,
)
from support.client_runners import ASYNC, SYNC, ClientRunner, both_runners

pytestmark = pytest.mark.evidence("agentscope", "live", by="agentscope")

LIMIT_S = 40.0
AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0, max_wait_s=0)
TEXT_EVENTS = ["message.started", "message.completed", "usage", "turn.ended"]
RESULT_EVENTS = ["tool_result.delta", "tool_result.completed"]


@dataclass(frozen=True)
class ChatSession:
    """A session of a new user, and the client."""

    settings: dict[str, Any]
    session: Session

    def run(self, runner: ClientRunner, turn_input: Any, http: Any = None) -> tuple[list[Any], Any]:
        """Return the events of a turn, and its result."""
        options = {"retry": AT_ONCE, "http_client": http, **self.settings}

        async def run_async() -> tuple[list[Any], Any]:
            async with (
                AsyncClient("agentscope", **options) as client,
                client.sessions.run(self.session, turn_input, deadline_s=LIMIT_S) as turn,
            ):
                return [event async for event in turn], turn.result

        if runner.awaited:
            return asyncio.run(run_async())
        with (
            Client("agentscope", **options) as client,
            client.sessions.run(self.session, turn_input, deadline_s=LIMIT_S) as turn,
        ):
            return list(turn), turn.result

    def call(self, runner: ClientRunner, use: Callable[[Any], Any]) -> Any:
        return runner.call("agentscope", use, **self.settings)

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        with Client("agentscope", **self.settings) as client:
            yield client


@pytest.fixture
def chat(agentscope_service: AgentScopeService) -> ChatSession:
    return new_chat(agentscope_service)


def new_chat(service: AgentScopeService, script: str = "scripted") -> ChatSession:
    user_id = f"user-{uuid.uuid4().hex}"
    credential_id = service.create_credential(user_id)
    agent_id = service.create_agent(user_id)
    model = ModelConfig(id=script, type="openai_credential", credential_id=credential_id)
    settings: dict[str, Any] = {"base_url": service.base_url, "user_id": user_id}
    with Client("agentscope", **settings) as client:
        return ChatSession(settings, client.sessions.create(agent=agent_id, title="T", model=model))


def modelled(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type not in {"raw", "message.delta", "tool_call.delta"}]


@both_runners
def test_plain_turns_in_sequence(chat: ChatSession, runner: ClientRunner) -> None:
    for text in ("one", "two", "three"):
        events, result = chat.run(runner, text)
        assert modelled(events) == ["turn.started", *TEXT_EVENTS]
        assert (result.outcome, result.text) == (Outcome.COMPLETED, f"You said: {text}")
        assert "".join(event.text for event in events if event.type == "message.delta") == result.text
        assert (result.usage.input_tokens, result.usage.output_tokens) == (7, 3)
    history = chat.call(runner, lambda client: client.sessions.messages(chat.session, page_size=4))
    assert [message.text for message in history if message.role == "user"] == ["one", "two", "three"]
    said_in_events = [
        event.message.text for event in chat.call(runner, delivered(chat)) if event.type == "message.completed"
    ]
    assert said_in_events == [message.text for message in history]


def delivered(chat: ChatSession) -> Callable[[Any], Any]:
    return lambda client: client.sessions.events(chat.session, page_size=2)


def test_thinking_is_delivered(chat: ChatSession) -> None:
    events, _ = chat.run(SYNC, "/think")
    thought = ["thinking.started", "thinking.delta", "thinking.completed"]
    assert modelled(events) == ["turn.started", *thought, *TEXT_EVENTS]


@both_runners
def test_tools_are_delivered(chat: ChatSession, runner: ClientRunner) -> None:
    events, result = chat.run(runner, "/tool 2")
    calls = [event for event in events if event.type == "tool_call.completed"]
    assert [(call.name, call.arguments) for call in calls] == [
        ("Bash", {"command": f"echo item {number} is in stock"}) for number in range(2)
    ]
    results = [event for event in events if event.type == "tool_result.completed"]
    assert [(found.tool_call_id, found.text, found.is_error) for found in results] == [
        (call.tool_call_id, f"item {number} is in stock\n", False) for number, call in enumerate(calls)
    ]
    assert result.usage.input_tokens == 14


@both_runners
def test_tools_are_approved_and_denied_one_after_the_other(chat: ChatSession, runner: ClientRunner) -> None:
    events, first = chat.run(runner, "/ask 2")
    assert modelled(events)[-2:] == ["action.required", "turn.ended"]
    (pending,) = chat.call(runner, lambda client: client.sessions.pending_actions(chat.session))
    assert (first.actions[0].id, pending.arguments) == (pending.id, {"command": "touch item-0"})
    events, second = chat.run(runner, [Approve(pending.id)])
    assert modelled(events) == ["turn.started", *RESULT_EVENTS, "action.required", "turn.ended"]
    assert second.actions[0].arguments == {"command": "touch item-1"}
    events, last = chat.run(runner, [Deny(second.actions[0])])
    assert [event.is_error for event in events if event.type == "tool_result.completed"] == [True]
    assert (last.outcome, last.text) == (Outcome.COMPLETED, "The decision was heard.")


@both_runners
def test_client_tools_are_answered_together_or_one_by_one(chat: ChatSession, runner: ClientRunner) -> None:
    _, both = chat.run(runner, "/client-tool 2")
    events, rest = chat.run(runner, [ToolOutput(both.actions[1], "red", is_error=True)])
    assert [(event.text, event.is_error) for event in events if event.type == "tool_result.completed"] == [
        ("red", True)
    ]
    assert [action.id for action in rest.actions] == [both.actions[0].id]
    _, result = chat.run(runner, [ToolOutput(both.actions[0], "blue")])
    assert result.text == "The output was received."
    _, both = chat.run(runner, "/client-tool 2")
    _, result = chat.run(runner, [ToolOutput(action, "green") for action in both.actions])
    assert result.outcome is Outcome.COMPLETED


def test_late_and_wrong_answers_are_rejected(chat: ChatSession) -> None:
    _, waiting = chat.run(SYNC, "/ask")
    with pytest.raises(NotFound):
        chat.run(SYNC, [Approve("nothing")])
    with pytest.raises(Conflict):
        chat.run(SYNC, "hello?")
    chat.run(SYNC, [Approve(waiting.actions[0])])
    with pytest.raises(Conflict):
        chat.run(SYNC, [Approve(waiting.actions[0])])
    assert chat.call(SYNC, lambda client: client.sessions.pending_actions(chat.session)) == ()


@pytest.mark.parametrize("looks_first", [True, False])
def test_a_waiting_turn_can_be_cancelled_and_the_session_continues(chat: ChatSession, *, looks_first: bool) -> None:
    """An interrupt at the moment of the turn's end is lost, and is sent again.

    A read waits for the end.
    """
    for number in range(3):
        chat.run(SYNC, "/client-tool 2")
        if looks_first:
            assert len(chat.call(SYNC, lambda client: client.sessions.pending_actions(chat.session))) == 2
        chat.call(SYNC, lambda client: client.sessions.cancel(chat.session))
        assert chat.run(SYNC, f"again {number}")[1].text == f"You said: again {number}"


@pytest.mark.parametrize("other", [pytest.param(SYNC, id="sync"), pytest.param(ASYNC, id="async")])
def test_a_turn_is_cancelled_during_a_message(chat: ChatSession, other: ClientRunner) -> None:
    with chat.client() as client, client.sessions.run(chat.session, "/slow 100", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "message.delta")
        chat.call(other, lambda another: another.sessions.cancel(chat.session))
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.CANCELLED, "interrupted")
    assert result.text.startswith("word0")


def test_a_turn_that_is_cancelled_before_its_start_has_failed(chat: ChatSession) -> None:
    """The service stores nothing of the turn, not even its message.

    The exception is an agent that started before the interrupt.
    """
    with chat.client() as client, client.sessions.run(chat.session, "/slow 20", deadline_s=LIMIT_S) as turn:
        client.sessions.cancel(chat.session)
        result = turn.wait()
    assert (result.outcome, result.native_reason) in {(Outcome.FAILED, "no trace"), (Outcome.CANCELLED, "interrupted")}
    assert chat.run(SYNC, "again")[1].text == "You said: again"


@both_runners
def test_a_model_that_fails_is_a_failed_turn(chat: ChatSession, runner: ClientRunner) -> None:
    started_s = time.monotonic()
    events, result = chat.run(runner, "/fail")
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "error")
    assert next(event for event in events if event.type == "error").code == "upstream"
    assert time.monotonic() - started_s > 2  # during the silence of the service's retries, the status was read


def test_a_session_without_its_model_is_a_failed_turn(chat: ChatSession) -> None:
    with chat.client() as client:
        client.sessions.update(chat.session, model=None)
    events, result = chat.run(SYNC, "hi")
    assert (modelled(events), result.outcome) == (["turn.started", "error", "turn.ended"], Outcome.FAILED)


class Cutting(httpx.BaseTransport):
    """Transport that breaks the first streams, each after a number of bytes."""

    def __init__(self, *limits: int) -> None:
        self._inner = httpx.HTTPTransport(trust_env=False)
        self._limits = list(limits)
        self.streams = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        if not request.url.path.endswith("/stream"):
            return response
        self.streams += 1
        limit = self._limits.pop(0) if self._limits else None
        return httpx.Response(response.status_code, headers=response.headers, stream=_Cut(response, limit))

    def close(self) -> None:
        self._inner.close()


class _Cut(httpx.SyncByteStream):
    def __init__(self, response: httpx.Response, limit: int | None) -> None:
        self._response = response
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        left = self._limit
        for chunk in self._response.iter_raw():
            if left is None:
                yield chunk
                continue
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                raise httpx.ReadError("cut by the test")

    def close(self) -> None:
        self._response.close()


def test_a_turn_continues_after_breaks(chat: ChatSession) -> None:
    transport = Cutting(0, 300, 1400, 2200, 3000)
    with httpx.Client(transport=transport) as http:
        events, result = chat.run(SYNC, "/slow 15", http)
    words = "".join(f"word{number} " for number in range(15))
    assert "".join(event.text for event in events if event.type == "message.delta") == result.text == words
    assert transport.streams == 6
    assert not [event for event in events if event.synthetic]


@pytest.mark.parametrize("limit", [0, 300, 900, 1500, 2500])
def test_a_turn_that_ends_during_a_break_is_complete(chat: ChatSession, limit: int) -> None:
    with httpx.Client(transport=Cutting(limit)) as http:
        events, result = chat.run(SYNC, "/tool", http)
    milestones = [kind for kind in modelled(events) if "completed" in kind or kind.startswith("turn")]
    assert milestones == [
        "turn.started",
        "tool_call.completed",
        "tool_result.completed",
        "message.completed",
        "turn.ended",
    ]
    assert (result.outcome, result.text, result.usage.input_tokens) == (Outcome.COMPLETED, "The tool has answered.", 14)


def test_two_clients_get_the_same_events(chat: ChatSession) -> None:
    with chat.client() as watcher, watcher.sessions.stream(chat.session, deadline_s=LIMIT_S) as seen:
        events, waiting = chat.run(ASYNC, "/ask")
        events += chat.run(ASYNC, [Approve(waiting.actions[0])])[0]
        ids = [event.id for event in events if event.id]
        copies: list[Any] = []
        while len([event for event in copies if event.type == "turn.ended"]) < 2:
            copies.append(next(seen))
    assert [event.type for event in copies] == [event.type for event in events]
    assert [event.id for event in copies if event.id] == ids


def test_a_stream_resumes_in_another_process(chat: ChatSession) -> None:
    with chat.client() as client:
        with client.sessions.stream(chat.session, deadline_s=LIMIT_S) as stream:
            client.sessions.send(chat.session, "/slow 12")
            events: list[Any] = [next(stream) for _ in range(7)]
            cursor = stream.cursor
        with client.sessions.stream(chat.session, cursor=cursor, deadline_s=LIMIT_S) as stream:
            while events[-1].type != "turn.ended":
                events.append(next(stream))
            cursor = stream.cursor
        deltas = [event.text for event in events if event.type == "message.delta"]
        assert deltas == [f"word{number} " for number in range(12)]
        chat.run(SYNC, "missed")
        with client.sessions.stream(chat.session, cursor=cursor, deadline_s=LIMIT_S) as stream:
            missed: list[Any] = [next(stream) for _ in range(5)]
    assert [event.type for event in missed] == [
        "turn.started",
        "stream.gap",
        "message.completed",
        "usage",
        "turn.ended",
    ]
    assert missed[2].message.text == "You said: missed"
