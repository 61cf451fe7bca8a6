"""Turns of Everruns' real engine, from tapes of its streams, through both drivers and through the pure reader."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from live.sources import Source
from polysession import (
    Approve,
    Deny,
    MessageCompleted,
    MessageDelta,
    Outcome,
    RetryPolicy,
    Session,
    ThinkingBlock,
)
from polysession._core.flow import Flow
from polysession._core.operations import Operations
from polysession.testing.tape_file import unpacked
from polysession_everruns import EverrunsProvider, EverrunsSettings
from support.client_runners import ClientRunner
from support.cut_stream import AsyncCuttingClient, CuttingClient
from support.everruns_caller import API_KEY
from tools.recordings.provenance import CASSETTES
from tools.recordings.pure_player import events_of
from tools.recordings.tapes import read_tape, tape

LIMIT_S = 60.0
QUIET_S = 31.0
"""The engine sends a comment after half a minute of silence."""

STREAMS = CASSETTES / "everruns/streams"
FOLLOWED = {"two_turns", "resumed", "steered", "interrupted_wait", "quiet"}
"""Tapes of `stream`; the others are of `run`."""

BEGINNING = ["message.completed", "session.status", "session.status", "turn.started"]
MESSAGE = ["message.started", "message.completed"]
TOOL = ["tool_call.started", "tool_call.completed", "tool_result.completed"]
AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0, max_wait_s=0)
Ids = dict[str, str]
OnTape = Callable[[Callable[[Source], tuple[dict[str, str], Ids]]], AbstractContextManager[tuple[dict[str, Any], Ids]]]
Scenario = Callable[[Any, str], Awaitable[Any]]


def session_of(agent: str) -> Callable[[Source], tuple[dict[str, str], Ids]]:
    """Prepares a new session of that agent of the engine."""

    def prepare(source: Source) -> tuple[dict[str, str], Ids]:
        answer = httpx.post(f"{source.base_url}/v1/sessions", json={"agent_name": agent}, trust_env=False)
        return {}, {"session": answer.raise_for_status().json()["id"]}

    return prepare


def played(runner: ClientRunner, stage: tuple[dict[str, Any], Ids], scenario: Scenario) -> Any:
    """The result of a scenario with that client."""
    settings, ids = stage
    options = {"retry": AT_ONCE, **settings, "api_key": API_KEY}
    return runner.play("everruns", lambda client: scenario(client.sessions, ids["session"]), **options)


def run(runner: ClientRunner, on_tape: OnTape, agent: str, said: str = "hello") -> tuple[list[Any], Any]:
    """The events of one turn, and its result."""

    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.run(session, said, deadline_s=LIMIT_S) as turn:
            return [event async for event in turn], turn.result

    with on_tape(session_of(agent)) as stage:
        events, result = played(runner, stage, scenario)
    return events, result


async def until_idle(events: Any) -> list[Any]:
    """The events of a stream up to the last one that a session sends before it is idle."""
    found = []
    async for event in events:
        found.append(event)
        if event.type == "usage":
            return found
    raise AssertionError("the stream ended")


def types_of(events: Sequence[Any]) -> list[str]:
    """The types of common events, without deltas."""
    return [event.type for event in events if event.type not in {"raw", "message.delta", "thinking.delta"}]


def text_of(events: Sequence[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, MessageDelta))


@tape("everruns/streams/plain.jsonl")
def test_a_plain_turn(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "echo")
    assert types_of(events) == [*BEGINNING, *MESSAGE, "turn.ended"]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "Echo: hello")
    assert result.usage is not None
    assert result.usage.output_tokens == 2


@tape("everruns/streams/deltas.jsonl")
def test_a_message_comes_in_deltas(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "storyteller")
    assert types_of(events) == [*BEGINNING, *MESSAGE, "turn.ended"]
    deltas = [event for event in events if isinstance(event, MessageDelta)]
    assert len(deltas) > 3
    # The engine leaves the text so far out of its deltas, and numbers only what it stores.
    assert all("accumulated" not in event.raw["data"] and event.sequence is None for event in deltas)
    assert text_of(events).startswith("Once upon a time")
    assert result.text.startswith(text_of(events))


@tape("everruns/streams/tool.jsonl")
def test_a_tool_is_used(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "worker")
    assert types_of(events) == [*BEGINNING, *MESSAGE, *TOOL, *MESSAGE, "turn.ended"]
    (called,) = [event for event in events if event.type == "tool_call.completed"]
    (answered,) = [event for event in events if event.type == "tool_result.completed"]
    assert (called.name, called.arguments) == ("weather", {"city": "Berlin"})
    assert (answered.tool_call_id, answered.text, answered.is_error) == (called.tool_call_id, "Berlin: rain", False)
    (progress,) = [event for event in events if event.native_type == "tool.progress"]
    assert progress.raw["data"]["message"] == "looking out of a window in Berlin"
    assert result.text == "It is raining in Berlin."


@tape("everruns/streams/tool_failed.jsonl")
def test_a_tool_fails(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "unlucky")
    assert types_of(events) == [*BEGINNING, *MESSAGE, *TOOL, *MESSAGE, "turn.ended"]
    (answered,) = [event for event in events if event.type == "tool_result.completed"]
    assert (answered.text, answered.is_error) == ("the tool is out of order", True)
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The tool failed.")


@tape("everruns/streams/client_tool.jsonl")
def test_a_tool_of_the_client_is_asked_for(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "remote")
    assert types_of(events) == [*BEGINNING, *MESSAGE, "tool_call.completed", "action.required", "turn.ended"]
    assert result.outcome is Outcome.REQUIRES_ACTION
    (action,) = result.actions
    assert (action.id, action.name, action.arguments) == ("call_llmsim_0_0", "read_clock", {"zone": "UTC"})


@tape("everruns/streams/question.jsonl")
def test_a_question_is_asked(on_tape: OnTape, runner: ClientRunner) -> None:
    _, result = run(runner, on_tape, "asker")
    assert result.outcome is Outcome.REQUIRES_ACTION
    (action,) = result.actions
    assert (action.type, action.id, action.prompt) == ("question", "call_llmsim_0_0/question_1", "Where should it go?")
    assert (action.options, action.payload["header"]) == (("Staging", "Production"), "Target")


@tape("everruns/streams/approval.jsonl")
def test_approvals_are_asked_for(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "careful")
    assert result.outcome is Outcome.REQUIRES_ACTION
    asked = [(action.type, action.id, action.name, action.arguments) for action in result.actions]
    assert asked == [
        ("approval", f"tool_approval_call_llmsim_0_{n}", "erase", {"path": path})
        for n, path in enumerate(("/notes.txt", "/old.txt"))
    ]
    # The tools themselves are reported as failed: the model is to call them again once they are approved.
    failed = [event for event in events if event.type == "tool_result.completed"]
    assert [event.tool_call_id for event in failed] == [f"call_llmsim_0_{n}" for n in (0, 1)]
    assert all(event.is_error and "needs a person's approval" in event.text for event in failed)


@tape("everruns/streams/approved.jsonl")
def test_a_turn_goes_on_when_its_approvals_are_decided(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.run(session, "hello", deadline_s=LIMIT_S) as turn:
            await turn.wait()
            first, second = turn.result.actions
        async with sessions.run(session, [Approve(first), Deny(second)], deadline_s=LIMIT_S) as turn:
            return [event async for event in turn], turn.result

    with on_tape(session_of("careful")) as stage:
        events, result = played(runner, stage, scenario)
    assert types_of(events) == [
        *("turn.started", "message.completed", "message.completed"),
        *(*MESSAGE, "tool_call.started", "tool_call.started"),
        *("tool_call.completed", "tool_result.completed"),
        *("tool_call.completed", "tool_result.completed"),
        *(*MESSAGE, "turn.ended"),
    ]
    decided = [event.message.text for event in events if isinstance(event, MessageCompleted)][:2]
    assert decided[0].startswith("I approved `erase` this once.")
    assert decided[1].startswith("I rejected `erase`.")
    ran, refused = [event for event in events if event.type == "tool_result.completed"]
    assert (ran.text, ran.is_error) == ("/notes.txt is gone", False)
    assert (refused.text, refused.is_error) == ("blocked by pre_tool_use hook: rejected by user", True)
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "I am done.")


@tape("everruns/streams/failed.jsonl")
def test_the_model_fails(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "failing")
    assert types_of(events) == [*BEGINNING, *MESSAGE, "error", "turn.ended"]
    (error,) = [event for event in events if event.type == "error"]
    assert error.message == "Internal error: LLM error: the model is out of order"
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "processing_error")
    assert result.error == "I encountered an error while processing your request. Please try again later."


@tape("everruns/streams/model_unavailable.jsonl")
def test_the_model_is_gone(on_tape: OnTape, runner: ClientRunner) -> None:
    _, result = run(runner, on_tape, "forgotten")
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "model_unavailable")
    assert "The model `llmsim-model` is not available" in result.error


@tape("everruns/streams/thinking.jsonl")
def test_the_model_thinks_aloud(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "echo", "[[llmsim:thinking]]")
    assert types_of(events) == [*BEGINNING, "message.started", "thinking.completed", "message.completed", "turn.ended"]
    (whole,) = [event for event in events if event.type == "thinking.completed"]
    # The last delta of a text may come after the whole, and then adds nothing.
    assert whole.text.startswith("".join(event.text for event in events if event.type == "thinking.delta"))
    said = [event.message for event in events if isinstance(event, MessageCompleted)][-1]
    assert [block.type for block in said.content] == ["thinking", "text"]
    assert isinstance(said.content[0], ThinkingBlock)
    assert said.content[0].text == whole.text
    assert result.text == said.text
    assert result.text.startswith(text_of(events))


@tape("everruns/streams/recovered.jsonl")
def test_the_model_breaks_off_and_begins_again(on_tape: OnTape, runner: ClientRunner) -> None:
    events, result = run(runner, on_tape, "echo", "[[llmsim:broken-stream]]")
    assert types_of(events) == [*BEGINNING, "message.started", *MESSAGE, "turn.ended"]
    again = max(number for number, event in enumerate(events) if event.type == "message.started")
    assert text_of(events[:again]) != ""
    assert text_of(events[again:])
    assert result.text.startswith(text_of(events[again:]))
    assert "reason.recovered" in [event.native_type for event in events]


@tape("everruns/streams/cancelled.jsonl")
def test_a_turn_is_cancelled_in_the_middle(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(sessions: Any, session: str) -> Any:
        events: list[Any] = []
        async with sessions.run(session, "hello", deadline_s=LIMIT_S) as turn:
            async for event in turn:
                if isinstance(event, MessageDelta) and text_of(events) == "":
                    await sessions.cancel(session)
                events.append(event)
            return events, turn.result

    with on_tape(session_of("storyteller")) as stage:
        events, result = played(runner, stage, scenario)
    # The engine lets the model finish what it says.
    assert types_of(events) == [*BEGINNING, *MESSAGE, "turn.ended"]
    assert (result.outcome, result.native_reason) == (Outcome.CANCELLED, "User requested cancellation")
    assert result.text.startswith(text_of(events))


@tape("everruns/streams/two_turns.jsonl")
def test_deltas_that_come_after_their_turn_tell_nothing(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.stream(session) as events:
            await sessions.send(session, "one")
            first = await until_idle(events)
            await sessions.send(session, "two")
            return first + await until_idle(events)

    with on_tape(session_of("worker")) as stage:
        events = played(runner, stage, scenario)
    answer = ["Let me look.", "It is raining in Berlin."]
    said = [event.message.text for event in events if isinstance(event, MessageCompleted)]
    assert said == ["one", *answer, "two", *answer]
    completed: set[str] = set()
    for event in events:
        assert not (isinstance(event, MessageDelta) and event.message_id in completed)
        if isinstance(event, MessageCompleted):
            completed.add(event.message.id)
    taped = b"".join(b"".join(stream) for stream in read_tape(STREAMS / "two_turns.jsonl").streams().values()).decode()
    assert taped.index('"output.message.delta"') > taped.index('"session.idled"')


@tape("everruns/streams/resumed.jsonl")
def test_a_stream_goes_on_from_its_cursor(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.stream(session) as events:
            await sessions.send(session, "hello")
            first = []
            async for event in events:
                first.append(event)
                if event.type == "turn.started":
                    break
            cursor = events.cursor
        async with sessions.stream(session, cursor=cursor) as events:
            return first, await until_idle(events)

    with on_tape(session_of("slow")) as stage:
        first, then = played(runner, stage, scenario)
    sequences = [event.sequence for event in first + then if event.sequence is not None]
    assert list(dict.fromkeys(sequences)) == list(range(1, 13))
    # A stream that continues from a cursor may lack deltas; here they come after the message, and so it does.
    assert types_of(first + then) == [
        *(*BEGINNING, "message.started", "stream.gap", "message.completed"),
        *("turn.ended", "session.status", "usage"),
    ]


@tape("everruns/streams/broken_off.jsonl")
def test_a_stream_that_breaks_is_opened_again_after_its_cursor(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.run(session, "hello", deadline_s=LIMIT_S) as turn:
            return [event async for event in turn], turn.result

    with on_tape(session_of("storyteller")) as (settings, ids):
        taped = settings.pop("tape")
        cut = (b"output.message.delta", 40)
        http = (
            AsyncCuttingClient(taped.async_http_client(), *cut)
            if runner.awaited
            else CuttingClient(taped.http_client(), *cut)
        )
        events, result = played(runner, ({**settings, "http_client": http}, ids), scenario)
    assert types_of(events) == [*BEGINNING, "message.started", "stream.gap", "message.completed", "turn.ended"]
    stored = [event.sequence for event in events if event.sequence is not None]
    assert stored == list(range(1, 12))
    assert (result.outcome, result.text[:16]) == (Outcome.COMPLETED, "Once upon a time")
    first, again = [each.request.target for each in read_tape(STREAMS / "broken_off.jsonl").exchanges if each.stream]
    assert "since_id" not in first
    assert again == f"{first}?since_id={next(event.id for event in events if event.type == 'message.started')}"


@tape("everruns/streams/steered.jsonl")
def test_a_message_steers_the_turn_that_runs(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.stream(session) as events:
            await sessions.send(session, "one")
            found: list[Any] = []
            async for event in events:
                found.append(event)
                if isinstance(event, MessageDelta):
                    break
            await sessions.send(session, "two")
            return found + await until_idle(events)

    with on_tape(session_of("storyteller")) as stage:
        events = played(runner, stage, scenario)
    assert types_of(events) == [
        *BEGINNING,
        "message.started",
        "message.completed",
        *("message.completed", *MESSAGE, "turn.ended", "session.status", "usage"),
    ]
    assert len({event.turn_id for event in events if event.type in {"turn.started", "turn.ended"}}) == 1


@tape("everruns/streams/interrupted_wait.jsonl")
def test_a_message_ends_the_wait_for_a_tool(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.stream(session) as events:
            await sessions.send(session, "hello")
            found: list[Any] = []
            async for event in events:
                found.append(event)
                if event.type == "turn.ended":
                    break
            await sessions.send(session, "never mind")
            return found, await until_idle(events)

    with on_tape(session_of("remote")) as stage:
        before, after = played(runner, stage, scenario)
    assert types_of(before)[-2:] == ["action.required", "turn.ended"]
    assert types_of(after).count("turn.started") == 1
    assert [each for each in types_of(after) if each != "turn.started"] == [
        *("message.completed", "tool_result.completed", *MESSAGE),
        *("turn.ended", "session.status", "usage"),
    ]


@tape("everruns/streams/quiet.jsonl")
def test_a_quiet_stream_has_a_comment(on_tape: OnTape, runner: ClientRunner) -> None:
    waits_s: list[float] = []

    def prepare(source: Source) -> tuple[dict[str, str], Ids]:
        waits_s.append(QUIET_S)
        return session_of("echo")(source)

    async def scenario(sessions: Any, session: str) -> Any:
        async with sessions.stream(session) as events:
            for wait_s in waits_s:
                await asyncio.sleep(wait_s)
            await sessions.send(session, "hello")
            return await until_idle(events)

    with on_tape(prepare) as stage:
        events = played(runner, stage, scenario)
    assert types_of(events)[-3:] == ["turn.ended", "session.status", "usage"]
    (taped,) = read_tape(STREAMS / "quiet.jsonl").streams().values()
    assert b": heartbeat\n\n" in b"".join(taped)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1_000_000])
@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_cuts_of_a_stream_do_not_matter(path: Path, size: int) -> None:
    """A piece of one byte is a cut at every byte."""
    taped = read_tape(path)
    operations = Operations(EverrunsProvider(EverrunsSettings(base_url="http://everruns.test", api_key=API_KEY)))
    session = Session(provider="everruns", id=taped.header.values["ids"]["session"])
    begin: Callable[[], Flow[Any]]
    if path.stem in FOLLOWED:
        begin = partial(operations.stream_events, session, None)
    else:
        _, _, sent, *_ = taped.exchanges
        message = json.loads(unpacked(sent.request.body))["message"]
        begin = partial(operations.start_turn, session, message["content"][0]["text"])
    as_recorded = events_of(taped, begin, None)
    assert as_recorded
    assert events_of(taped, begin, size) == as_recorded
