"""AgentScope's turns and streams on its emulator, in both generations, with both clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

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
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession_agentscope import plans, turns
from polysession_agentscope.plans import SessionStream
from support.client_runners import SYNC, ClientRunner, both_runners

AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0, max_wait_s=0)
LIMIT_S = 20.0


@pytest.fixture(scope="module", params=["current", "legacy"])
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve("agentscope", generation=request.param) as handle:
        yield handle


@pytest.fixture(scope="module")
def legacy() -> Iterator[EmulatorHandle]:
    with serve("agentscope", generation="legacy") as handle:
        yield handle


@pytest.fixture(scope="module")
def current() -> Iterator[EmulatorHandle]:
    with serve("agentscope") as handle:
        yield handle


def new_session(handle: EmulatorHandle) -> Session:
    model = ModelConfig(id="m", type="openai_credential", credential_id=handle.credential_id)
    with Client("agentscope", **handle.settings) as client:
        return client.sessions.create(agent=handle.agent_id, title="T", model=model)


def call(handle: EmulatorHandle, runner: ClientRunner, use: Any) -> Any:
    return runner.call("agentscope", use, retry=AT_ONCE, **handle.settings)


def run(handle: EmulatorHandle, runner: ClientRunner, session: Session, turn_input: Any) -> tuple[list[Any], Any]:
    """Return the events of a turn, and its result."""

    async def run_async() -> tuple[list[Any], Any]:
        async with (
            AsyncClient("agentscope", retry=AT_ONCE, **handle.settings) as client,
            client.sessions.run(session, turn_input, deadline_s=LIMIT_S) as turn,
        ):
            return [event async for event in turn], turn.result

    if runner.awaited:
        return asyncio.run(run_async())
    with (
        Client("agentscope", retry=AT_ONCE, **handle.settings) as client,
        client.sessions.run(session, turn_input, deadline_s=LIMIT_S) as turn,
    ):
        return list(turn), turn.result


def modelled(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type not in {"raw", "message.delta", "tool_call.delta"}]


@both_runners
def test_thinking_and_tools_are_delivered(emulator: EmulatorHandle, runner: ClientRunner) -> None:
    session = new_session(emulator)
    thought, result = run(emulator, runner, session, "/think")
    texts = ["message.started", "message.completed", "usage", "turn.ended"]
    assert modelled(thought) == ["turn.started", "thinking.started", "thinking.delta", "thinking.completed", *texts]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "I have thought about it.")
    used, result = run(emulator, runner, session, "/tool")
    called = ["tool_call.started", "tool_call.completed", "usage", "tool_result.delta", "tool_result.completed"]
    assert modelled(used) == ["turn.started", *called, *texts]
    assert result.usage.input_tokens == 14


@both_runners
def test_approvals_are_requested_one_after_the_other(emulator: EmulatorHandle, runner: ClientRunner) -> None:
    session = new_session(emulator)
    _, first = run(emulator, runner, session, "/ask 2")
    (pending,) = call(emulator, runner, lambda client: client.sessions.pending_actions(session))
    assert (first.outcome, [action.id for action in first.actions]) == (Outcome.REQUIRES_ACTION, [pending.id])
    approved, second = run(emulator, runner, session, [Approve(pending)])
    assert [event.is_error for event in approved if event.type == "tool_result.completed"] == [False]
    denied, last = run(emulator, runner, session, [Deny(second.actions[0].id)])
    assert [event.is_error for event in denied if event.type == "tool_result.completed"] == [True]
    assert (last.outcome, last.text) == (Outcome.COMPLETED, "The decision was heard.")


@both_runners
def test_outputs_are_sent_together_or_one_after_the_other(emulator: EmulatorHandle, runner: ClientRunner) -> None:
    session = new_session(emulator)
    _, both = run(emulator, runner, session, "/client-tool 2")
    assert len(both.actions) == 2
    _, result = run(emulator, runner, session, [ToolOutput(action, "blue") for action in both.actions])
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The output was received.")
    _, both = run(emulator, runner, session, "/client-tool 2")
    _, rest = run(emulator, runner, session, [ToolOutput(both.actions[0], "blue")])
    assert [action.id for action in rest.actions] == [both.actions[1].id]
    _, result = run(emulator, runner, session, [ToolOutput(rest.actions[0], "red", is_error=True)])
    assert result.outcome is Outcome.COMPLETED


@both_runners
def test_history_contains_the_conversation(emulator: EmulatorHandle, runner: ClientRunner) -> None:
    session = new_session(emulator)
    for text in ("one", "/tool"):
        run(emulator, runner, session, text)
    messages = call(emulator, runner, lambda client: client.sessions.messages(session, page_size=3))
    assert [(message.role.value, message.text) for message in messages] == [
        ("user", "one"),
        ("assistant", "You said: one"),
        ("user", "/tool"),
        ("assistant", "The tool has answered."),
    ]
    events = call(emulator, runner, lambda client: client.sessions.events(session, page_size=1))
    types = [event.type for event in events if event.type != "raw"]
    assert types == [*["message.completed"] * 3, "tool_call.completed", "tool_result.completed", "message.completed"]


@both_runners
def test_a_late_answer_is_rejected(emulator: EmulatorHandle, runner: ClientRunner) -> None:
    session = new_session(emulator)
    _, result = run(emulator, runner, session, "/ask")
    run(emulator, runner, session, [Approve(result.actions[0])])
    with pytest.raises(Conflict):
        run(emulator, runner, session, [Approve(result.actions[0])])
    run(emulator, runner, session, "/ask")
    with pytest.raises(NotFound):
        run(emulator, runner, session, [Approve(result.actions[0])])


def test_a_waiting_session_takes_a_message_only_after_a_cancel(
    current: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "CONFLICT_WAITS_S", (0.05, 0.1))
    monkeypatch.setattr(turns, "CONFLICT_WAITS_S", (0.05, 0.1))
    session = new_session(current)
    run(current, SYNC, session, "/client-tool 2")
    with pytest.raises(Conflict):
        run(current, SYNC, session, "hi")
    call(current, SYNC, lambda client: client.sessions.cancel(session))
    assert run(current, SYNC, session, "hi")[1].text == "You said: hi"


@both_runners
@pytest.mark.parametrize("kind", ["drop", "end"])
def test_a_break_during_a_turn_repeats_nothing(current: EmulatorHandle, runner: ClientRunner, kind: Any) -> None:
    for at_byte in (0, 900, 1500):
        current.faults.add(Fault(kind, path="/stream", at_byte=at_byte))
        events, result = run(current, runner, new_session(current), "/slow 6")
        deltas = [event.text for event in events if event.type == "message.delta"]
        assert "".join(deltas) == result.text == "word0 word1 word2 word3 word4 word5 "
        assert not [event for event in events if event.synthetic]


@pytest.mark.parametrize("kind", ["duplicate", "stall"])
def test_repeated_and_late_frames_change_nothing(current: EmulatorHandle, kind: Any) -> None:
    current.faults.add(Fault(kind, path="/stream", frame=3, at_byte=900, seconds=0.2))
    events, _ = run(current, SYNC, new_session(current), "hi")
    assert modelled(events) == ["turn.started", "message.started", "message.completed", "usage", "turn.ended"]


def test_a_long_turn_that_breaks_late_is_complete(current: EmulatorHandle) -> None:
    current.faults.add(Fault("drop", path="/stream", at_byte=200_000))
    events, result = run(current, SYNC, new_session(current), "/long 1500")
    streamed = "".join(event.text for event in events if event.type == "message.delta")
    assert len(result.text.split()) == 1500
    assert result.text.startswith(streamed)


def test_a_message_that_is_only_sent_is_also_answered(current: EmulatorHandle) -> None:
    session = new_session(current)
    with (
        Client("agentscope", **current.settings) as client,
        client.sessions.stream(session, deadline_s=LIMIT_S) as events,
    ):
        client.sessions.send(session, "/client-tool")
        asked = next(event for event in events if event.type == "action.required")
        assert next(event for event in events if event.type == "turn.ended").outcome is Outcome.REQUIRES_ACTION
        client.sessions.answer(session, [ToolOutput(asked.actions[0], "blue")])
        assert next(event for event in events if event.type == "turn.ended").outcome is Outcome.COMPLETED


def test_a_message_to_a_missing_session_is_not_found(current: EmulatorHandle) -> None:
    session = new_session(current)
    call(current, SYNC, lambda client: client.sessions.delete(session))
    for use in (
        lambda client: client.sessions.send(session, "hi"),
        lambda client: client.sessions.pending_actions(session),
        lambda client: client.sessions.messages(session),
    ):
        with pytest.raises(NotFound):
            call(current, SYNC, use)
    with pytest.raises(NotFound):
        run(current, SYNC, session, "hi")


@both_runners
def test_an_agent_of_2_0_0_remembers_every_turn(legacy: EmulatorHandle, runner: ClientRunner) -> None:
    """The service stores the agent's memory only when its response was read to the end."""
    session = new_session(legacy)
    for number in range(3):
        run(legacy, runner, session, f"turn {number}")
    found = call(legacy, runner, lambda client: client.sessions.get(session))
    assert len(found.raw["state"]["context"]) == 6
    _, asked = run(legacy, runner, session, "/ask")
    assert run(legacy, runner, session, [Approve(asked.actions[0])])[1].outcome is Outcome.COMPLETED


class Held(httpx.BaseTransport):
    """Transport that holds a message back, with the stream open, until `may_go` returns.

    It signals the acceptance.
    """

    def __init__(self, may_go: Callable[[], object]) -> None:
        self._inner = httpx.HTTPTransport(trust_env=False)
        self._may_go: Callable[[], object] | None = may_go
        self.reached, self.accepted = threading.Event(), threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        is_message = request.url.path == "/chat/"
        if is_message and self._may_go is not None:
            self.reached.set()
            self._may_go()
            self._may_go = None
        response = self._inner.handle_request(request)
        if is_message and response.status_code == httpx.codes.OK:
            self.accepted.set()
        return response

    def close(self) -> None:
        self._inner.close()


def ask(handle: EmulatorHandle, session: Session, texts: str, transport: httpx.BaseTransport) -> str:
    """Return the answer to a message. A message that meets another turn is sent again."""
    with httpx.Client(transport=transport) as http, Client("agentscope", http_client=http, **handle.settings) as client:
        while True:
            try:
                with client.sessions.run(session, texts, deadline_s=LIMIT_S) as turn:
                    return turn.wait().text
            except Conflict:
                continue


@pytest.mark.parametrize("clients", [2, 4, 8])
@pytest.mark.parametrize("forwards", [True, False], ids=["first to last", "last to first"])
def test_each_of_many_clients_gets_its_own_turn(current: EmulatorHandle, clients: int, *, forwards: bool) -> None:
    """All streams are open before the first message.

    Other clients' turns run between opening and message.
    """
    session, texts = new_session(current), [f"client {number}" for number in range(clients)]
    order = list(range(clients)) if forwards else list(reversed(range(clients)))
    all_open = threading.Event()
    transports: list[Held] = []

    def may_go(number: int) -> None:
        assert all_open.wait(LIMIT_S)
        place = order.index(number)
        assert place == 0 or transports[order[place - 1]].accepted.wait(LIMIT_S)
        while place and call(current, SYNC, lambda client: client.sessions.get(session)).status != "idle":
            continue

    with ThreadPoolExecutor(clients) as pool:
        answers = []
        for number, text in enumerate(texts):
            transports.append(Held(partial(may_go, number)))
            answers.append(pool.submit(ask, current, session, text, transports[-1]))
            assert transports[-1].reached.wait(LIMIT_S)
        all_open.set()
        assert [answer.result() for answer in answers] == [f"You said: {text}" for text in texts]


@pytest.mark.parametrize("clients", [2, 4, 8])
def test_each_of_many_parallel_clients_gets_its_own_turn(current: EmulatorHandle, clients: int) -> None:
    session, together = new_session(current), threading.Barrier(clients)
    texts = [f"client {number}" for number in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        found = pool.map(lambda text: ask(current, session, text, Held(partial(together.wait, LIMIT_S))), texts)
        assert list(found) == [f"You said: {text}" for text in texts]


def test_a_stream_of_a_deleted_session_ends_in_not_found(
    current: EmulatorHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionStream, "quiet_s", 0.2)
    session = new_session(current)
    with Client("agentscope", **current.settings) as client, client.sessions.stream(session, deadline_s=9) as stream:
        client.sessions.delete(session)
        with pytest.raises(NotFound) as caught:
            next(stream)
    assert caught.value.cursor
