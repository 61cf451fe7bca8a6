"""Turns of LangGraph's real Agent Server, from tapes of its streams, through both drivers and cut at every byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from cassettes.conftest import OnTape
from live.sources import Source
from polysession import Approve, Deny, Event, MessageCompleted, MessageDelta, Outcome, Reply, SessionStatus, ToolOutput
from polysession._core.effect_source import EffectSource, replaced_by
from polysession._core.flow import Flow, Response
from polysession._core.operations import Operations
from polysession._core.sse import Frame, SseDecoder
from polysession.errors import ConnectionLost
from polysession.testing.tape_file import RandomId, TapeFile, unpacked
from polysession_langgraph import LanggraphProvider, LanggraphSettings, LanggraphTurn
from support.client_runners import ClientRunner
from support.flows import ok
from support.plan_runner import Chunk, Followed, follow
from tools.recordings.provenance import CASSETTES
from tools.recordings.tapes import read_tape, tape

LIMIT_S: Final = 60.0
STREAMS: Final = CASSETTES / "langgraph/streams"
Turns = list[tuple[list[Event], Any]]


def of_graph(name: str) -> Callable[[Source], tuple[dict[str, str], dict[str, str]]]:
    return lambda _: ({"assistant_id": name}, {})


def play(runner: ClientRunner, on_tape: OnTape, *inputs: Any, graph: str = "agent", **options: Any) -> Turns:
    """Turns of a new session, one after another, and a look at the session at their end.

    Args:
        runner: The client.
        on_tape: The tape.
        inputs: Messages, and functions that give answers to the actions of the turn before.
        graph: The agent.
        options: Of each turn.
    """

    async def scenario(client: Any) -> Turns:
        session = await client.sessions.create(title="taped")
        turns: Turns = []
        for each in inputs:
            given = each if isinstance(each, str) else each(turns[-1][1].actions)
            async with client.sessions.run(session, given, deadline_s=LIMIT_S, **options) as turn:
                turns.append(([event async for event in turn], turn.result))
        read = await client.sessions.get(session)
        waits = turns[-1][1].outcome is Outcome.REQUIRES_ACTION
        failed = turns[-1][1].outcome in {Outcome.FAILED, Outcome.LIMIT_REACHED}
        idle = SessionStatus.FAILED if failed else SessionStatus.IDLE
        assert read.status is (SessionStatus.REQUIRES_ACTION if waits else idle)
        return turns

    with on_tape(of_graph(graph)) as (settings, _):
        played: Turns = runner.play("langgraph", scenario, **settings)
    return played


def types_of(events: Sequence[Event]) -> list[str]:
    """The types of the events that are more than a part of a message."""
    parts = (".delta", ".started", "session.status")
    return [event.type for event in events if not event.type.endswith(parts)]


@tape("langgraph/streams/plain.jsonl")
def test_a_plain_turn(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, result),) = play(runner, on_tape, "hello there")

    assert types_of(events) == ["message.completed", "message.completed", "usage", "turn.ended"]
    deltas = "".join(event.text for event in events if isinstance(event, MessageDelta))
    assert deltas == result.text == "You said: hello there"
    assert (result.outcome, result.usage.output_tokens, result.usage.cache_read_tokens) == (Outcome.COMPLETED, 5, 3)


@tape("langgraph/streams/thinking.jsonl")
def test_a_thought_ends_before_the_words(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, _),) = play(runner, on_tape, "/think")

    types = [event.type for event in events]
    assert types.index("thinking.completed") < types.index("message.delta")
    assert types.count("thinking.completed") == 1


@tape("langgraph/streams/tools.jsonl")
def test_tools_are_used_at_once(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, result),) = play(runner, on_tape, "/tool 2")

    assert types_of(events) == [
        *("message.completed", "tool_call.completed", "tool_call.completed", "message.completed", "usage"),
        *("tool_result.completed", "tool_result.completed", "message.completed", "usage", "turn.ended"),
    ]
    assert result.text == "The tool has answered."


@tape("langgraph/streams/approvals.jsonl")
def test_approvals_of_one_step_are_answered_together(on_tape: OnTape, runner: ClientRunner) -> None:
    asked, answered = play(
        runner, on_tape, "/ask 2", lambda actions: [Approve(actions[0]), Deny(actions[1], "no")], graph="approving"
    )

    assert types_of(asked[0])[-2:] == ["action.required", "turn.ended"]
    assert {action.group for action in asked[1].actions} == {asked[1].actions[0].group}
    results = [event for event in answered[0] if event.type == "tool_result.completed"]
    assert sorted(each.is_error for each in results) == [False, True]
    assert answered[1].outcome is Outcome.COMPLETED


@tape("langgraph/streams/client_tool.jsonl")
def test_the_output_of_a_caller_is_a_result(on_tape: OnTape, runner: ClientRunner) -> None:
    _, (events, result) = play(runner, on_tape, "/client-tool", lambda actions: [ToolOutput(actions[0], "42")])

    assert types_of(events)[0] == "tool_result.completed"
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The output was received.")


@tape("langgraph/streams/question.jsonl")
def test_a_question_is_answered(on_tape: OnTape, runner: ClientRunner) -> None:
    (_, asked), (events, result) = play(runner, on_tape, "/question", lambda actions: [Reply(actions[0], "red")])

    assert (asked.actions[0].prompt, asked.actions[0].options) == ("Which colour?", ("red", "green"))
    assert types_of(events) == ["message.completed", "usage", "turn.ended"]
    assert result.text == "The reply was received."


@tape("langgraph/streams/failed.jsonl")
def test_a_failure_is_one_error_and_the_session_is_used_again(on_tape: OnTape, runner: ClientRunner) -> None:
    (events, failed), (_, again) = play(runner, on_tape, "/fail", "hello")

    assert [event.message for event in events if event.type == "error"] == ["the model is out of order"]
    assert (failed.outcome, failed.native_reason) == (Outcome.FAILED, "RuntimeError")
    assert again.outcome is Outcome.COMPLETED


@tape("langgraph/streams/limit.jsonl")
def test_a_limit_is_an_outcome_of_its_own(on_tape: OnTape, runner: ClientRunner) -> None:
    ((_, result),) = play(runner, on_tape, "/loop", native=LanggraphTurn(config={"recursion_limit": 4}))

    assert (result.outcome, result.native_reason) == (Outcome.LIMIT_REACHED, "GraphRecursionError")


@tape("langgraph/streams/nested.jsonl")
def test_a_graph_in_a_graph_speaks_once(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, result),) = play(runner, on_tape, "/tool", graph="nested")

    assert [kind for kind in types_of(events) if kind != "raw"].count("tool_result.completed") == 1
    assert result.text == "The tool has answered."


@tape("langgraph/streams/cancelled.jsonl")
def test_a_cancelled_turn_keeps_its_message(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(client: Any) -> Any:
        session = await client.sessions.create(title="taped")
        async with client.sessions.run(session, "/slow 50", deadline_s=LIMIT_S) as turn:
            async for event in turn:
                if event.type == "message.delta":
                    await client.sessions.cancel(session)
                    break
            return session, await turn.wait()

    with on_tape(of_graph("agent")) as (settings, _):
        session, result = runner.play("langgraph", scenario, **settings)
        stored = runner.call("langgraph", lambda client: client.sessions.messages(session), **settings)
    assert (result.outcome, result.native_reason) == (Outcome.CANCELLED, "UserInterrupt")
    assert [message.text for message in stored] == ["/slow 50"]


# --- One of the streams, cut at every byte


class TapedIds(EffectSource):
    """The random ids of a tape."""

    def __init__(self, taped: TapeFile) -> None:
        self._ids = iter([entry.random for entry in taped.entries if isinstance(entry, RandomId)])

    def new_id(self) -> str:
        return next(self._ids)


CUT: Final = ("tools", "/tool 2")


def start() -> Flow[Any]:
    provider = LanggraphProvider(LanggraphSettings(base_url="http://langgraph.test", assistant_id="agent"))
    return Operations(provider).start_turn("s1", CUT[1])


def encoded(frames: Sequence[Frame]) -> bytes:
    return b"".join(
        b"event: %b\r\ndata: %b\r\nid: %b\r\n\r\n" % (frame.event.encode(), frame.data, (frame.id or "").encode())
        for frame in frames
    )


def followed_over(taped: TapeFile, frames: Sequence[Frame], *connections: Sequence[Chunk]) -> Followed:
    """Follow a turn over these connections, and then one that replays the whole log."""
    answers = [unpacked(each.response.body) for each in taped.exchanges if each.response and not each.stream]
    *before, ended = (Response(200, {"content-type": "application/json"}, each) for each in answers[1:5])
    alone = Response(200, {"content-type": "text/event-stream"}, encoded(frames[:-1]))
    (*_, state) = [json.loads(frame.data)["params"]["data"] for frame in frames if frame.event == "values"]
    after = [alone, ok({"values": state}), ended] if connections else [ended]
    with replaced_by(TapedIds(taped)):
        return follow(start, [*before, *after], [*connections, [encoded(frames)]])


def test_a_recorded_turn_that_is_cut_at_any_byte_is_whole(request: pytest.FixtureRequest) -> None:
    """With and without a hole behind the replay, as a reopened stream of the server has it."""
    taped = read_tape(STREAMS / f"{CUT[0]}.jsonl")
    (chunks,) = taped.streams().values()
    body = b"".join(chunks)
    frames = list(SseDecoder().feed(body))
    whole = followed_over(taped, frames)
    stride = 1 if request.config.getoption("--every-byte") else 97
    for at_byte in range(0, len(body.rstrip()), stride):
        first = [*([body[:at_byte]] if at_byte else []), ConnectionLost("cut")]
        read = len(list(SseDecoder().feed(body[:at_byte])))
        hole = encoded([*frames[:read], *frames[read + 2 :]])
        for connections in ([first], [first, [hole]]):
            followed = followed_over(taped, frames, *connections)
            assert shown(followed) == shown(whole), at_byte
            assert followed.finished


def shown(followed: Followed) -> list[tuple[str, str]]:
    return [
        (event.type, event.message.text if isinstance(event, MessageCompleted) else getattr(event, "text", ""))
        for event in followed.events
    ]
