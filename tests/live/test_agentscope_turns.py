"""Turns and streams on the real AgentScope service, through both clients."""

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
SAID = ["message.started", "message.completed", "usage", "turn.ended"]
CALLED = ["tool_call.started", "tool_call.completed", "usage"]
ANSWERED = ["tool_result.delta", "tool_result.completed"]


@dataclass(frozen=True)
class Talk:
    """A session of a new user, and who talks in it."""

    settings: dict[str, Any]
    session: Session

    def run(self, runner: ClientRunner, turn_input: Any, http: Any = None) -> tuple[list[Any], Any]:
        """The events of a turn, and its result."""
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
def talk(agentscope_service: AgentScopeService) -> Talk:
    return new_talk(agentscope_service)


def new_talk(service: AgentScopeService, script: str = "scripted") -> Talk:
    user_id = f"user-{uuid.uuid4().hex}"
    credential_id = service.create_credential(user_id)
    agent_id = service.create_agent(user_id)
    model = ModelConfig(id=script, type="openai_credential", credential_id=credential_id)
    settings: dict[str, Any] = {"base_url": service.base_url, "user_id": user_id}
    with Client("agentscope", **settings) as client:
        return Talk(settings, client.sessions.create(agent=agent_id, title="T", model=model))


def modelled(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type not in {"raw", "message.delta", "tool_call.delta"}]


@both_runners
def test_plain_turns_follow_each_other(talk: Talk, runner: ClientRunner) -> None:
    for said in ("one", "two", "three"):
        events, result = talk.run(runner, said)
        assert modelled(events) == ["turn.started", *SAID]
        assert (result.outcome, result.text) == (Outcome.COMPLETED, f"You said: {said}")
        assert "".join(event.text for event in events if event.type == "message.delta") == result.text
        assert (result.usage.input_tokens, result.usage.output_tokens) == (7, 3)
    history = talk.call(runner, lambda client: client.sessions.messages(talk.session, page_size=4))
    assert [message.text for message in history if message.role == "user"] == ["one", "two", "three"]
    said_in_events = [
        event.message.text for event in talk.call(runner, delivered(talk)) if event.type == "message.completed"
    ]
    assert said_in_events == [message.text for message in history]


def delivered(talk: Talk) -> Callable[[Any], Any]:
    return lambda client: client.sessions.events(talk.session, page_size=2)


def test_thinking_is_told(talk: Talk) -> None:
    events, _ = talk.run(SYNC, "/think")
    thought = ["thinking.started", "thinking.delta", "thinking.completed"]
    assert modelled(events) == ["turn.started", *thought, *SAID]


@both_runners
def test_tools_are_told(talk: Talk, runner: ClientRunner) -> None:
    events, result = talk.run(runner, "/tool 2")
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
def test_tools_are_approved_and_denied_one_after_the_other(talk: Talk, runner: ClientRunner) -> None:
    events, first = talk.run(runner, "/ask 2")
    assert modelled(events)[-2:] == ["action.required", "turn.ended"]
    (pending,) = talk.call(runner, lambda client: client.sessions.pending_actions(talk.session))
    assert (first.actions[0].id, pending.arguments) == (pending.id, {"command": "touch item-0"})
    events, second = talk.run(runner, [Approve(pending.id)])
    assert modelled(events) == ["turn.started", *ANSWERED, "action.required", "turn.ended"]
    assert second.actions[0].arguments == {"command": "touch item-1"}
    events, last = talk.run(runner, [Deny(second.actions[0])])
    assert [event.is_error for event in events if event.type == "tool_result.completed"] == [True]
    assert (last.outcome, last.text) == (Outcome.COMPLETED, "The decision was heard.")


@both_runners
def test_tools_of_the_caller_are_answered_together_or_one_by_one(talk: Talk, runner: ClientRunner) -> None:
    _, both = talk.run(runner, "/client-tool 2")
    events, rest = talk.run(runner, [ToolOutput(both.actions[1], "red", is_error=True)])
    assert [(event.text, event.is_error) for event in events if event.type == "tool_result.completed"] == [
        ("red", True)
    ]
    assert [action.id for action in rest.actions] == [both.actions[0].id]
    _, result = talk.run(runner, [ToolOutput(both.actions[0], "blue")])
    assert result.text == "The output was received."
    _, both = talk.run(runner, "/client-tool 2")
    _, result = talk.run(runner, [ToolOutput(action, "green") for action in both.actions])
    assert result.outcome is Outcome.COMPLETED


def test_late_and_wrong_answers_are_refused(talk: Talk) -> None:
    _, asked = talk.run(SYNC, "/ask")
    with pytest.raises(NotFound):
        talk.run(SYNC, [Approve("nothing")])
    with pytest.raises(Conflict):
        talk.run(SYNC, "hello?")
    talk.run(SYNC, [Approve(asked.actions[0])])
    with pytest.raises(Conflict):
        talk.run(SYNC, [Approve(asked.actions[0])])
    assert talk.call(SYNC, lambda client: client.sessions.pending_actions(talk.session)) == ()


@pytest.mark.parametrize("looks_first", [True, False])
def test_what_waits_can_be_cancelled_and_the_session_goes_on(talk: Talk, *, looks_first: bool) -> None:
    """An interrupt at the moment in which the turn ends is lost, and sent again; a read waits for the end."""
    for number in range(3):
        talk.run(SYNC, "/client-tool 2")
        if looks_first:
            assert len(talk.call(SYNC, lambda client: client.sessions.pending_actions(talk.session))) == 2
        talk.call(SYNC, lambda client: client.sessions.cancel(talk.session))
        assert talk.run(SYNC, f"again {number}")[1].text == f"You said: again {number}"


@pytest.mark.parametrize("other", [pytest.param(SYNC, id="sync"), pytest.param(ASYNC, id="async")])
def test_a_turn_is_cancelled_while_it_speaks(talk: Talk, other: ClientRunner) -> None:
    with talk.client() as client, client.sessions.run(talk.session, "/slow 100", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "message.delta")
        talk.call(other, lambda another: another.sessions.cancel(talk.session))
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.CANCELLED, "interrupted")
    assert result.text.startswith("word0")


def test_a_turn_that_is_cancelled_before_it_began_has_failed(talk: Talk) -> None:
    """The service forgets it altogether, its message too, unless the agent was quicker."""
    with talk.client() as client, client.sessions.run(talk.session, "/slow 20", deadline_s=LIMIT_S) as turn:
        client.sessions.cancel(talk.session)
        result = turn.wait()
    assert (result.outcome, result.native_reason) in {(Outcome.FAILED, "no trace"), (Outcome.CANCELLED, "interrupted")}
    assert talk.run(SYNC, "again")[1].text == "You said: again"


@both_runners
def test_a_model_that_fails_is_a_failed_turn(talk: Talk, runner: ClientRunner) -> None:
    started_s = time.monotonic()
    events, result = talk.run(runner, "/fail")
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "error")
    assert next(event for event in events if event.type == "error").code == "upstream"
    assert time.monotonic() - started_s > 2  # silence, while the service tries again: the status was read meanwhile


def test_a_session_without_its_model_is_a_failed_turn(talk: Talk) -> None:
    with talk.client() as client:
        client.sessions.update(talk.session, model=None)
    events, result = talk.run(SYNC, "hi")
    assert (modelled(events), result.outcome) == (["turn.started", "error", "turn.ended"], Outcome.FAILED)


class Cutting(httpx.BaseTransport):
    """Breaks the first streams after so many bytes each."""

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


def test_a_turn_goes_on_after_breaks_in_its_middle(talk: Talk) -> None:
    transport = Cutting(0, 300, 1400, 2200, 3000)
    with httpx.Client(transport=transport) as http:
        events, result = talk.run(SYNC, "/slow 15", http)
    words = "".join(f"word{number} " for number in range(15))
    assert "".join(event.text for event in events if event.type == "message.delta") == result.text == words
    assert transport.streams == 6
    assert not [event for event in events if event.synthetic]


@pytest.mark.parametrize("limit", [0, 300, 900, 1500, 2500])
def test_a_turn_that_ends_while_the_stream_is_broken_is_whole(talk: Talk, limit: int) -> None:
    with httpx.Client(transport=Cutting(limit)) as http:
        events, result = talk.run(SYNC, "/tool", http)
    milestones = [kind for kind in modelled(events) if "completed" in kind or kind.startswith("turn")]
    assert milestones == [
        "turn.started",
        "tool_call.completed",
        "tool_result.completed",
        "message.completed",
        "turn.ended",
    ]
    assert (result.outcome, result.text, result.usage.input_tokens) == (Outcome.COMPLETED, "The tool has answered.", 14)


def test_two_clients_see_the_same_turns(talk: Talk) -> None:
    with talk.client() as watcher, watcher.sessions.stream(talk.session, deadline_s=LIMIT_S) as seen:
        events, asked = talk.run(ASYNC, "/ask")
        events += talk.run(ASYNC, [Approve(asked.actions[0])])[0]
        ids = [event.id for event in events if event.id]
        copies: list[Any] = []
        while len([event for event in copies if event.type == "turn.ended"]) < 2:
            copies.append(next(seen))
    assert [event.type for event in copies] == [event.type for event in events]
    assert [event.id for event in copies if event.id] == ids


def test_a_stream_goes_on_in_another_process(talk: Talk) -> None:
    with talk.client() as client:
        with client.sessions.stream(talk.session, deadline_s=LIMIT_S) as stream:
            client.sessions.send(talk.session, "/slow 12")
            events: list[Any] = [next(stream) for _ in range(7)]
            cursor = stream.cursor
        with client.sessions.stream(talk.session, cursor=cursor, deadline_s=LIMIT_S) as stream:
            while events[-1].type != "turn.ended":
                events.append(next(stream))
            cursor = stream.cursor
        deltas = [event.text for event in events if event.type == "message.delta"]
        assert deltas == [f"word{number} " for number in range(12)]
        talk.run(SYNC, "missed")
        with client.sessions.stream(talk.session, cursor=cursor, deadline_s=LIMIT_S) as stream:
            missed: list[Any] = [next(stream) for _ in range(5)]
    assert [event.type for event in missed] == [
        "turn.started",
        "stream.gap",
        "message.completed",
        "usage",
        "turn.ended",
    ]
    assert missed[2].message.text == "You said: missed"
