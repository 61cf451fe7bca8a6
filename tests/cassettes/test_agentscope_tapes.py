"""Turns of AgentScope's real service, from tapes of its streams, through both drivers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

import httpx
import pytest

from live.agentscope_service.process import model_config
from live.sources import Source
from polysession import Approve, Deny, Event, Outcome, RetryPolicy, Session, ToolOutput
from polysession._core.effect_source import EffectSource, replaced_by
from polysession._core.operations import Operations
from polysession.testing import TapeFile
from polysession.testing.tape_file import RandomId
from polysession_agentscope import AgentScopeProvider, AgentScopeSettings
from support.client_runners import ClientRunner
from tools.recordings.provenance import CASSETTES
from tools.recordings.pure_player import events_of
from tools.recordings.tapes import read_tape, tape

LIMIT_S = 40.0
AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0, max_wait_s=0)
Settings = dict[str, str]
Ids = dict[str, str]
OnTape = Callable[[Callable[[Source], tuple[Settings, Ids]]], AbstractContextManager[tuple[dict[str, Any], Ids]]]


def a_session(source: Source, script: str = "scripted") -> tuple[Settings, Ids]:
    """A new session of a user of its own, with a script of the model stub.

    A turn in another session comes first: the service's first one takes so long that a client looks after it.
    """
    user_id = "tape"
    with httpx.Client(base_url=source.base_url, headers={"x-user-id": user_id}, trust_env=False, timeout=60) as http:
        model = model_config(source.handle.create_credential(user_id), script)
        agent_id = source.handle.create_agent(user_id)
        new = {"agent_id": agent_id, "name": "T", "chat_model_config": model}
        warm, session_id = (http.post("/sessions/", json=new).raise_for_status().json()["session_id"] for _ in range(2))
        said = {"name": "user", "role": "user", "content": [{"type": "text", "text": "Warm up."}]}
        http.post("/chat/", json={"agent_id": agent_id, "session_id": warm, "input": said}).raise_for_status()
        while len(http.get(f"/sessions/{warm}/messages", params={"agent_id": agent_id}).json()["messages"]) < 2:
            time.sleep(0.1)
    return {"user_id": user_id}, {"session": session_id, "agent": agent_id}


def session_of(ids: Ids) -> Session:
    return Session(provider="agentscope", id=ids["session"], agent_id=ids["agent"])


async def turn(sessions: Any, session: Session, turn_input: Any) -> tuple[list[Any], Any]:
    """The events of a turn, and its result."""
    async with sessions.run(session, turn_input, deadline_s=LIMIT_S) as running:
        return [event async for event in running], running.result


def run(runner: ClientRunner, settings: dict[str, Any], session: Session, turn_input: Any) -> tuple[list[Any], Any]:
    received: tuple[list[Any], Any] = runner.play(
        "agentscope", lambda client: turn(client.sessions, session, turn_input), retry=AT_ONCE, **settings
    )
    return received


def modelled(events: list[Any]) -> list[str]:
    return [event.type for event in events if event.type not in {"raw", "message.delta", "tool_call.delta"}]


@tape("agentscope/streams/plain.jsonl")
def test_a_plain_turn(on_tape: OnTape, runner: ClientRunner) -> None:
    with on_tape(a_session) as (settings, ids):
        events, result = run(runner, settings, session_of(ids), "Hello")
    assert modelled(events) == ["turn.started", "message.started", "message.completed", "usage", "turn.ended"]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: Hello")
    assert "".join(event.text for event in events if event.type == "message.delta") == result.text
    assert (result.usage.input_tokens, result.usage.output_tokens) == (7, 3)


@tape("agentscope/streams/thinking.jsonl")
def test_a_turn_with_thinking(on_tape: OnTape, runner: ClientRunner) -> None:
    with on_tape(a_session) as (settings, ids):
        events, result = run(runner, settings, session_of(ids), "/think")
    thought = ["thinking.started", "thinking.delta", "thinking.completed"]
    assert modelled(events)[:4] == ["turn.started", *thought]
    assert result.outcome is Outcome.COMPLETED


@tape("agentscope/streams/tools.jsonl")
def test_a_turn_with_tools(on_tape: OnTape, runner: ClientRunner) -> None:
    with on_tape(a_session) as (settings, ids):
        events, result = run(runner, settings, session_of(ids), "/tool 2")
    calls = [event for event in events if event.type == "tool_call.completed"]
    assert [(call.name, call.arguments) for call in calls] == [
        ("Bash", {"command": f"echo item {number} is in stock"}) for number in range(2)
    ]
    results = [event for event in events if event.type == "tool_result.completed"]
    assert [(found.tool_call_id, found.text, found.is_error) for found in results] == [
        (call.tool_call_id, f"item {number} is in stock\n", False) for number, call in enumerate(calls)
    ]
    assert (result.text, result.usage.input_tokens) == ("The tool has answered.", 14)


@tape("agentscope/streams/approval.jsonl")
def test_turns_with_an_approval_and_a_denial(on_tape: OnTape, runner: ClientRunner) -> None:
    with on_tape(a_session) as (settings, ids):
        session = session_of(ids)
        events, first = run(runner, settings, session, "/ask")
        assert modelled(events)[-2:] == ["action.required", "turn.ended"]
        assert (first.outcome, first.actions[0].arguments) == (Outcome.REQUIRES_ACTION, {"command": "touch item-0"})
        events, approved = run(runner, settings, session, [Approve(first.actions[0])])
        assert [event.is_error for event in events if event.type == "tool_result.completed"] == [False]
        assert (approved.outcome, approved.text) == (Outcome.COMPLETED, "The decision was heard.")
        _, second = run(runner, settings, session, "/ask")
        events, last = run(runner, settings, session, [Deny(second.actions[0])])
    assert [event.is_error for event in events if event.type == "tool_result.completed"] == [True]
    assert (last.outcome, last.text) == (Outcome.COMPLETED, "The decision was heard.")


@tape("agentscope/streams/external_tool.jsonl")
def test_turns_with_a_tool_of_the_caller(on_tape: OnTape, runner: ClientRunner) -> None:
    with on_tape(a_session) as (settings, ids):
        session = session_of(ids)
        _, asked = run(runner, settings, session, "/client-tool")
        (action,) = asked.actions
        assert (asked.outcome, action.name) == (Outcome.REQUIRES_ACTION, "lookup")
        events, result = run(runner, settings, session, [ToolOutput(action, "green")])
    assert [(event.text, event.is_error) for event in events if event.type == "tool_result.completed"] == [
        ("green", False)
    ]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The output was received.")


async def hear(stream: Any, until: Callable[[Any], bool] = lambda event: event.type == "turn.ended") -> list[Any]:
    """The events of a stream up to one of them."""
    events: list[Any] = []
    async for event in stream:
        events.append(event)
        if until(event):
            break
    return events


@tape("agentscope/streams/interrupt.jsonl")
def test_a_turn_that_is_cancelled_while_it_speaks(on_tape: OnTape, runner: ClientRunner) -> None:
    async def cancel_at_the_first_word(client: Any) -> list[Any]:
        async with client.sessions.stream(session, deadline_s=LIMIT_S) as stream:
            await client.sessions.send(session, "/slow 100")
            events = await hear(stream, lambda event: event.type == "message.delta")
            await client.sessions.cancel(session)
            return events + await hear(stream)

    with on_tape(a_session) as (settings, ids):
        session = session_of(ids)
        events = runner.play("agentscope", cancel_at_the_first_word, **settings)
    assert (events[-1].outcome, events[-1].native_reason) == (Outcome.CANCELLED, "interrupted")
    (said,) = [event for event in events if event.type == "message.completed"]
    assert said.message.text.startswith("word0")


@tape("agentscope/streams/model_error.jsonl")
def test_a_turn_whose_model_fails(on_tape: OnTape, runner: ClientRunner) -> None:
    """The service tries for nine seconds; the tape is played without waiting."""

    async def follow(client: Any) -> list[Any]:
        async with client.sessions.stream(session, deadline_s=LIMIT_S) as stream:
            await client.sessions.send(session, "/fail")
            return await hear(stream)

    with on_tape(a_session) as (settings, ids):
        session = session_of(ids)
        events = runner.play("agentscope", follow, **settings)
    assert modelled(events) == ["turn.started", "error", "turn.ended"]
    assert (events[-2].code, events[-1].outcome, events[-1].native_reason) == ("upstream", Outcome.FAILED, "error")


@tape("agentscope/streams/reconnect.jsonl")
def test_a_stream_that_is_left_and_taken_up_by_another_client(on_tape: OnTape, runner: ClientRunner) -> None:
    async def leave_at_the_fifth_word(client: Any) -> tuple[list[Any], str]:
        async with client.sessions.stream(session, deadline_s=LIMIT_S) as stream:
            await client.sessions.send(session, "/slow 12")
            events = await hear(stream, lambda event: event.type == "message.delta" and event.text == "word4 ")
            return events, stream.cursor

    async def take_up(client: Any) -> list[Any]:
        async with client.sessions.stream(session, cursor=cursor, deadline_s=LIMIT_S) as stream:
            return await hear(stream)

    with on_tape(a_session) as (settings, ids):
        session = session_of(ids)
        first, cursor = runner.play("agentscope", leave_at_the_fifth_word, **settings)
        rest = runner.play("agentscope", take_up, **settings)
    said = [event.text for event in [*first, *rest] if event.type == "message.delta"]
    assert said == [f"word{number} " for number in range(12)]
    assert rest[-1].outcome is Outcome.COMPLETED


@tape("agentscope/streams/legacy_tools.jsonl")
def test_a_turn_of_the_first_service(on_tape: OnTape, runner: ClientRunner) -> None:
    """There the stream is the answer to the message, and ends with the turn."""
    with on_tape(a_session) as (settings, ids):
        events, result = run(runner, settings, session_of(ids), "/tool")
    assert [event.type for event in events if event.type == "tool_result.completed"] == ["tool_result.completed"]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The tool has answered.")


PURE: Final[Mapping[str, str | None]] = {
    "plain": "Hello",
    "thinking": "/think",
    "tools": "/tool 2",
    "approval": "/ask",
    "external_tool": "/client-tool",
    "interrupt": None,
    "model_error": None,
    "reconnect": None,
    "legacy_tools": "/tool",
}
"""The input of the turn that each tape begins with; None where a session is followed."""


PROGRAMS: Final = ["program"]
"""Tapes that begin with calls."""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1_000_000])
@pytest.mark.parametrize("name", PURE)
def test_the_cuts_of_a_stream_do_not_matter(name: str, size: int) -> None:
    """A piece of one byte is a cut at every byte."""
    taped = read_tape(CASSETTES / f"agentscope/streams/{name}.jsonl")
    operations = Operations(AgentScopeProvider(AgentScopeSettings(**taped.header.clients["agentscope"])))
    session, said = session_of(taped.header.values["ids"]), PURE[name]
    begin = (
        partial(operations.stream_events, session, None)
        if said is None
        else partial(operations.start_turn, session, said)
    )
    as_recorded = with_same_ids(taped, lambda: events_of(taped, begin, None))
    assert len(as_recorded) > 2
    assert with_same_ids(taped, lambda: events_of(taped, begin, size)) == as_recorded


class RecordedIds(EffectSource):
    def __init__(self, taped: TapeFile) -> None:
        self._ids = (entry.random for entry in taped.entries if isinstance(entry, RandomId))

    def new_id(self) -> str:
        return next(self._ids)


def with_same_ids(taped: TapeFile, play: Callable[[], list[Event]]) -> list[Event]:
    """The result of `play` with the random ids of the recording."""
    with replaced_by(RecordedIds(taped)):
        return play()


def test_each_tape_is_cut() -> None:
    assert sorted(path.stem for path in (CASSETTES / "agentscope/streams").iterdir()) == sorted([*PURE, *PROGRAMS])
