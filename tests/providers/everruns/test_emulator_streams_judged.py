"""The official Everruns client reads the emulator's turns and streams strictly."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from everruns_sdk import ApiError, client  # type: ignore[import-untyped]
from everruns_sdk.models import (  # type: ignore[import-untyped]
    ContentPart,
    Controls,
    Message,
    TokenUsage,
)

from polysession import Feature
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.testing import covers
from providers.everruns.test_emulator_judged import create, judge, sooner
from providers.everruns.test_emulator_streams import ANSWER, BEGIN, CALL, DELTA, END, THINK, TOOL

pytestmark = pytest.mark.evidence("everruns", "judge", by="everruns-sdk")

WITHOUT_DELTAS = [*BEGIN, *[name for name in ANSWER if name != DELTA], *END]


@pytest.fixture
def handle() -> Iterator[EmulatorHandle]:
    with serve("everruns") as handle:
        yield handle


async def say(everruns: Any, session_id: str, text: str, controls: object = None) -> Any:
    client._warned_deprecations.clear()
    with pytest.warns(DeprecationWarning, match="Everruns.messages.create"):
        return await everruns.messages.create(session_id, text, controls)


async def until(stream: Any, last: str, on_event: Callable[[Any], Awaitable[None]] | None = None) -> list[Any]:
    """Read the events up to the first event of a type, with a time limit."""
    seen: list[Any] = []
    others = asyncio.all_tasks()
    async with asyncio.timeout(20), contextlib.aclosing(aiter(stream)) as events:
        async for event in events:
            seen.append(event)
            if on_event is not None:
                await on_event(event)
            if event.type == last:
                break
    # The client does not close its generator; the event loop closes it in a separate task.
    await asyncio.gather(*asyncio.all_tasks() - others)
    await stream.aclose()
    return seen


async def opened(handle: EmulatorHandle, session_id: str) -> None:
    """Wait until a stream of the session is open."""
    async with asyncio.timeout(20):
        while not handle.control.open_streams(session_id):  # noqa: ASYNC110  (it opens in the server's thread)
            await asyncio.sleep(0.01)


async def turn(
    handle: EmulatorHandle, everruns: Any, session_id: str, text: str, on_event: Any = None, **options: Any
) -> list[Any]:
    """Run a turn on a stream that is open before the message is sent. Returns its events."""
    reading = asyncio.create_task(until(everruns.events.stream(session_id, **options), "session.idled", on_event))
    await opened(handle, session_id)
    await say(everruns, session_id, text)
    return await reading


def names(events: Sequence[Any]) -> list[str]:
    types = [event.type for event in events]
    return [name for i, name in enumerate(types) if not (name.endswith(".delta") and i and types[i - 1] == name)]


@pytest.mark.parametrize(
    ("text", "story"),
    [
        ("hello", [*BEGIN, *ANSWER, *END]),
        ("/think", [*BEGIN, "reason.started", *THINK, *ANSWER[1:], *END]),
        ("/tool", [*BEGIN, *CALL, "act.started", *TOOL, "act.completed", *ANSWER, *END]),
    ],
)
@covers(Feature.SESSIONS_SEND, Feature.SESSIONS_STREAM, Feature.SESSIONS_RUN, Feature.SESSIONS_EVENTS)
def test_the_client_streams_a_whole_turn(handle: EmulatorHandle, text: str, story: list[str]) -> None:
    async def scenario(everruns: Any) -> None:
        session = await create(everruns, agent_id=handle.agent_id)
        events = await turn(handle, everruns, session.id, text)
        assert names(events) == story
        by_type = {event.type: event for event in events}
        deltas = [event for event in events if event.type == DELTA]
        answer = Message(**by_type["output.message.completed"].data["message"])
        assert "".join(event.data["delta"] for event in deltas) == answer.content[0].text
        assert deltas[-1].data["accumulated"] == answer.content[0].text
        assert [event.sequence for event in deltas] == [None] * len(deltas)
        read = await everruns.sessions.get(session.id)
        assert (read.status, read.preview, read.output_preview) == ("idle", text, answer.content[0].text)
        assert TokenUsage(**by_type["session.idled"].data["usage"]) == read.usage
        durable = [event for event in events if event not in deltas and "thinking.delta" not in event.type]
        assert (await everruns.events.list(session.id))[1:] == durable

    judge(handle, scenario)


def test_the_client_reconnects_after_every_disconnecting(handle: EmulatorHandle) -> None:
    emulator: Any = handle.control

    async def scenario(everruns: Any) -> None:
        session = await create(everruns)
        emulator.pace.stream_s = 0.35
        events = await turn(handle, everruns, session.id, "/slow 12")
        durable = [event for event in events if event.type != DELTA]
        # Only deltas between two connections are lost, and no event is repeated.
        assert 0 < len(events) - len(durable) < 12
        assert [event.type for event in durable] == WITHOUT_DELTAS
        assert durable == (await everruns.events.list(session.id))[1:]

    judge(handle, scenario)


@covers(Feature.SESSIONS_STREAM)
def test_the_client_resumes_after_a_dropped_connection(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        session = await create(everruns)
        handle.faults.add(Fault("drop", path="/sse", at_byte=2500))
        events = await turn(handle, everruns, session.id, "hello", exclude=[DELTA])
        assert handle.faults.waiting() == []
        assert [event.type for event in events] == WITHOUT_DELTAS

    with sooner():
        judge(handle, scenario)


def test_the_client_starts_after_an_event_it_names(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        session = await create(everruns)
        events = await turn(handle, everruns, session.id, "hello", exclude=[DELTA])
        stream = everruns.events.stream(session.id, since_id=events[4].id)
        assert await until(stream, "session.idled") == events[5:]
        types = ["turn.started", "turn.completed"]
        chosen = everruns.events.stream(session.id, since_id=events[0].id, types=types)
        assert [event.type for event in await until(chosen, "turn.completed")] == types

    judge(handle, scenario)


@covers(Feature.SESSIONS_ANSWER, Feature.SESSIONS_ANSWER_OUTPUT)
def test_the_client_runs_tools_and_retries_while_the_session_is_not_yet_waiting(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        session = await create(everruns)
        accepted = []

        async def run_tools(event: Any) -> None:
            if event.type == "tool.call_requested":
                first, second = event.tool_calls()
                assert (first.name, first.arguments) == ("lookup", {"query": "item 0"})
                results = [
                    ContentPart.make_tool_result(first.id, {"n": 1}),
                    ContentPart.make_tool_error(second.id, "no"),
                ]
                accepted.append(await everruns.messages.create_tool_results(session.id, results))

        events = await turn(handle, everruns, session.id, "/client-tool 2", run_tools)
        assert [(answer.accepted, answer.status) for answer in accepted] == [(2, "active")]
        completed = [event.data for event in events if event.type == "tool.completed"]
        assert [(data["success"], data["status"]) for data in completed] == [(True, "success"), (False, "error")]
        assert names(events)[-2:] == END
        with pytest.raises(ApiError, match="not waiting for tool results") as late:
            await everruns.messages.create_tool_results(session.id, [ContentPart.make_tool_result("a", 1)])
        assert late.value.status_code == 409

    with sooner():
        judge(handle, scenario)


@covers(Feature.SESSIONS_MESSAGES)
def test_the_client_reads_messages_of_every_kind(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        session = await create(everruns)
        (model,) = await everruns.models.list()
        await turn(handle, everruns, session.id, "/tool")
        sent = await say(everruns, session.id, "/slow 50", Controls(model_id=model.id))
        assert (sent.role, sent.content[0].text, sent.controls.model_id) == ("user", "/slow 50", model.id)
        await everruns.sessions.cancel(session.id)
        messages = await everruns.messages.list(session.id)
        assert [message.role for message in messages] == ["user", "agent", "agent", "user", "user", "agent"]
        assert messages[1].content[0].as_tool_call().name == "lookup"
        assert messages[-1].content[0].text == "Work was cancelled by user."

    judge(handle, scenario)


@covers(Feature.SESSIONS_EVENTS, Feature.SESSIONS_RUN)
def test_the_client_streams_and_lists_a_failure(handle: EmulatorHandle) -> None:
    async def scenario(everruns: Any) -> None:
        session = await create(everruns)
        events = await turn(handle, everruns, session.id, "/fail")
        assert names(events)[-4:] == ["output.message.completed", "reason.completed", "turn.failed", "session.idled"]
        (failed,) = await everruns.events.list(session.id, types=["turn.failed"], limit=1, order_desc=True)
        assert failed == events[-2]

    judge(handle, scenario)


def test_the_client_replays_a_session_of_the_legacy_generation() -> None:
    with serve("everruns", generation="legacy") as older:

        async def scenario(everruns: Any) -> None:
            session = await create(everruns, agent_id=older.agent_id)
            events = await turn(older, everruns, session.id, "hello")
            assert names(events) == ["session.started", *BEGIN, *ANSWER, *END]
            assert await until(everruns.events.stream(session.id), "session.idled") == events
            assert await everruns.events.list(session.id) == events

        judge(older, scenario)
