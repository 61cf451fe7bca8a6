"""Turns of ADK's real API server, from tapes of its streams, through both drivers and cut at every byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest

from cassettes.conftest import OnTape
from live.sources import Source
from polysession import (
    Approve,
    Deny,
    Event,
    MessageCompleted,
    MessageDelta,
    Outcome,
    SessionStatus,
    ToolOutput,
    TurnEnded,
)
from polysession._core.effect_source import EffectSource, replaced_by
from polysession._core.flow import Flow, Response
from polysession._core.operations import Operations
from polysession.errors import ConnectionLost
from polysession.testing import TapeFile
from polysession.testing.comparing import check_same
from polysession.testing.tape_file import Exchange, RandomId, unpacked
from polysession_adk import AdkProvider, AdkSettings
from support.adk_events import abort_event
from support.client_runners import ClientRunner
from support.plan_runner import Chunk, Followed, follow
from tools.recordings.provenance import CASSETTES
from tools.recordings.pure_player import events_of
from tools.recordings.tapes import read_tape, tape

LIMIT_S: Final = 60.0
STREAMS: Final = CASSETTES / "adk/streams"


def user_of(name: str) -> Callable[[Source], tuple[dict[str, str], dict[str, str]]]:
    """Names a user of their own for each tape. Users need no account, and sessions are created on the tape."""
    return lambda _: ({"app": "assistant", "user_id": f"tape-{name}"}, {})


def play(
    runner: ClientRunner, on_tape: OnTape, name: str, *inputs: Any, app: str = "assistant"
) -> list[tuple[list[Event], Any]]:
    """Turns of a new session, one after another, and a look at the session at their end.

    Args:
        runner: The client.
        on_tape: The tape.
        name: Name of its user.
        inputs: Messages, and functions that give answers to the actions of the turn before.
        app: The app.
    """

    async def scenario(client: Any) -> list[tuple[list[Event], Any]]:
        session = await client.sessions.create(agent=app, id="s1")
        turns: list[tuple[list[Event], Any]] = []
        for each in inputs:
            given = each if isinstance(each, str) else each(turns[-1][1].actions)
            async with client.sessions.run(session, given, deadline_s=LIMIT_S) as turn:
                turns.append(([event async for event in turn], turn.result))
        read = await client.sessions.get(session)
        waits = turns[-1][1].outcome is Outcome.REQUIRES_ACTION
        assert read.status is (SessionStatus.REQUIRES_ACTION if waits else SessionStatus.IDLE)
        return turns

    with on_tape(user_of(name)) as (settings, _):
        played: list[tuple[list[Event], Any]] = runner.play("adk", scenario, **settings)
    return played


def delivered(events: list[Event]) -> list[str]:
    return [event.type for event in events if not event.type.endswith(".delta")]


@tape("adk/streams/plain.jsonl")
def test_a_plain_turn(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, result),) = play(runner, on_tape, "plain", "hello there")
    deltas = [event for event in events if isinstance(event, MessageDelta)]
    (said,) = [event for event in events if isinstance(event, MessageCompleted)]
    assert delivered(events) == ["turn.started", "message.completed", "usage", "turn.ended"]
    assert "".join(each.text for each in deltas) == said.message.text == result.text == "You said: hello there"
    assert {each.message_id for each in deltas} == {said.id}
    assert (result.outcome, result.usage.output_tokens) == (Outcome.COMPLETED, 10)


@tape("adk/streams/thinking.jsonl")
def test_a_thought_comes_before_the_words(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, _),) = play(runner, on_tape, "thinking", "/think")
    assert delivered(events) == ["turn.started", "thinking.completed", "message.completed", "usage", "turn.ended"]
    types = [event.type for event in events]
    assert types.index("thinking.completed") < types.index("message.delta")


@tape("adk/streams/tools.jsonl")
def test_tools_are_used_at_once(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, result),) = play(runner, on_tape, "tools", "/tool 2")
    assert delivered(events) == [
        *["turn.started", "tool_call.completed", "tool_call.completed", "usage"],
        *["tool_result.completed", "tool_result.completed", "message.completed", "usage", "turn.ended"],
    ]
    assert (result.text, result.usage.input_tokens) == ("The tool has answered.", 22)


@tape("adk/streams/approvals.jsonl")
def test_approvals_are_required_at_the_end_and_answered_one_by_one(on_tape: OnTape, runner: ClientRunner) -> None:
    asked, approved, denied = play(
        runner,
        on_tape,
        "approvals",
        "/ask 2",
        lambda actions: [Approve(actions[1])],
        lambda actions: [Deny(actions[0], "no")],
    )
    assert delivered(asked[0])[-2:] == ["action.required", "turn.ended"]
    assert [each.arguments for each in asked[1].actions] == [{"query": "item 0"}, {"query": "item 1"}]
    assert (approved[1].outcome, approved[1].actions) == (Outcome.REQUIRES_ACTION, asked[1].actions[:1])
    results = [event for turn in (approved, denied) for event in turn[0] if event.type == "tool_result.completed"]
    assert [each.is_error for each in results] == [False, True]
    assert denied[1].outcome is Outcome.COMPLETED


@tape("adk/streams/client_tool.jsonl")
def test_the_output_of_a_caller_is_a_result(on_tape: OnTape, runner: ClientRunner) -> None:
    _, (events, result) = play(
        runner, on_tape, "client_tool", "/client-tool", lambda actions: [ToolOutput(actions[0], "42")]
    )
    assert delivered(events)[:2] == ["turn.started", "tool_result.completed"]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The output was received.")


@tape("adk/streams/failed.jsonl")
def test_a_failure_is_one_error_and_the_session_is_used_again(on_tape: OnTape, runner: ClientRunner) -> None:
    (events, failed), (_, again) = play(runner, on_tape, "failed", "/fail-late", "hello")
    assert [event.message for event in events if event.type == "error"] == ["the model is out of order"]
    assert (failed.outcome, failed.native_reason) == (Outcome.FAILED, "RuntimeError")
    assert again.outcome is Outcome.COMPLETED


@tape("adk/streams/agents.jsonl")
def test_parallel_agents_are_told_apart(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, _),) = play(runner, on_tape, "agents", "/transfer line", app="crew")
    said = {event.author: event for event in events if isinstance(event, MessageCompleted)}
    assert said.keys() == {"first", "left", "right"}
    for author, whole in said.items():
        deltas = [event for event in events if isinstance(event, MessageDelta) and event.author == author]
        assert "".join(each.text for each in deltas) == whole.message.text
        assert {each.message_id for each in deltas} == {whole.id}


@tape("adk/streams/artifact.jsonl")
def test_an_artifact_is_one_result(on_tape: OnTape, runner: ClientRunner) -> None:
    ((events, _),) = play(runner, on_tape, "artifact", "/note hello")
    assert delivered(events)[3:6] == ["tool_result.completed", "raw", "message.completed"]


@tape("adk/streams/left.jsonl")
def test_a_turn_that_is_left_is_aborted(on_tape: OnTape, runner: ClientRunner) -> None:
    async def scenario(client: Any) -> None:
        session = await client.sessions.create(id="s1")
        async with client.sessions.run(session, "/slow 50", deadline_s=LIMIT_S) as turn:
            async for event in turn:
                if event.type == "message.delta":
                    break
        while (await client.sessions.get(session)).status is not SessionStatus.IDLE:
            pass

    with on_tape(user_of("left")) as (settings, _):
        runner.play("adk", scenario, **settings)
        events = runner.call("adk", lambda client: client.sessions.events("s1"), **settings)
    assert [event.outcome for event in events if isinstance(event, TurnEnded)] == [Outcome.CANCELLED]
    assert [event.type for event in events] == ["turn.started", "message.completed", "turn.ended"]


# --- The same streams in other pieces, and cut


class TapedIds(EffectSource):
    """The random ids of a tape."""

    def __init__(self, taped: TapeFile) -> None:
        self._ids = iter([entry.random for entry in taped.entries if isinstance(entry, RandomId)])

    def new_id(self) -> str:
        return next(self._ids)


def start_of(name: str) -> Callable[[], Flow[Any]]:
    """Starts the first turn of a tape."""
    settings = AdkSettings(app="assistant", user_id=f"tape-{name}")
    return partial(Operations(AdkProvider(settings)).start_turn, "s1", SAID[name])


SAID: Final = {"plain": "hello there", "thinking": "/think", "tools": "/tool 2", "artifact": "/note hello"}
CUT: Final = "tools"


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("name", SAID)
def test_the_pieces_of_a_stream_do_not_matter(name: str, size: int) -> None:
    taped = read_tape(STREAMS / f"{name}.jsonl")
    with replaced_by(TapedIds(taped)):
        as_recorded = events_of(created(taped), start_of(name), None)
    with replaced_by(TapedIds(taped)):
        in_pieces = events_of(created(taped), start_of(name), size)
    assert len(as_recorded) > 2
    assert in_pieces == as_recorded


def created(taped: TapeFile) -> TapeFile:
    """The tape from behind the creation of its session on."""
    stream = next(n for n, entry in enumerate(taped.entries) if isinstance(entry, Exchange) and entry.stream)
    return replace(taped, entries=taped.entries[stream:])


def stored_in(taped: TapeFile) -> dict[str, Any]:
    """The session as the server stored it, at the end of the tape."""
    response = list(taped.exchanges)[-1].response
    assert response is not None
    session: dict[str, Any] = json.loads(unpacked(response.body))
    return session


def cut_at(taped: TapeFile, last: Chunk, at_byte: int, events: list[Any]) -> Followed:
    """Follow a turn whose body ends at that byte, and whose history holds these events from then on."""
    body = b"".join(taped.streams()[1])
    session = json.dumps({**stored_in(taped), "events": events}).encode()
    replies = [Response(200, {"content-type": "application/json"}, session)] * 5
    with replaced_by(TapedIds(taped)):
        return follow(start_of(CUT), replies, [[*([body[:at_byte]] if at_byte else []), last]])


@pytest.mark.parametrize("last", [ConnectionLost("cut"), b""], ids=["drop", "end"])
def test_a_recorded_turn_that_is_cut_at_any_byte_is_never_half_a_success(
    last: Chunk, request: pytest.FixtureRequest
) -> None:
    """The server stored what it had sent, and aborted; or it had stored all of it before the connection broke."""
    taped = read_tape(STREAMS / f"{CUT}.jsonl")
    body, stored = b"".join(taped.streams()[1]), stored_in(taped)["events"]
    whole = cut_at(taped, b"", len(body), stored).events
    abort = json.loads(abort_event(invocationId=stored[0]["invocationId"], customMetadata=stored[0]["customMetadata"]))
    stride = 1 if request.config.getoption("--every-byte") else 37
    for at_byte in range(0 if last else 1, len(body), stride):  # an empty body is that of an agent that says nothing
        complete = cut_at(taped, last, at_byte, stored)
        check_same(complete.events, whole, f"cut at byte {at_byte}")

        sent = {json.loads(frame[6:])["id"] for frame in body[:at_byte].split(b"\n\n")[:-1]}
        kept = [each for each in stored if each["author"] == "user" or each["id"] in sent]
        aborted = cut_at(taped, last, at_byte, [*kept, abort])
        (ended,) = [each for each in aborted.events if isinstance(each, TurnEnded)]
        has_answer = stored[-1]["id"] in {each["id"] for each in kept if not each.get("partial")}
        assert ended.outcome is (Outcome.COMPLETED if has_answer else Outcome.CANCELLED), at_byte
        assert complete.finished
        assert aborted.finished
