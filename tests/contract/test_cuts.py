"""A stream that is cut anywhere goes on: every event once, in order, through both drivers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from polysession import (
    AsyncClient,
    Client,
    Event,
    Feature,
    MessageCompleted,
    MessageDelta,
    Outcome,
    ResumeContract,
    RetryPolicy,
    Session,
    TurnEnded,
)
from polysession.cli.demo import emulated_providers, place_of
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.emulation.faults import FaultKind
from polysession.plugins import load_provider

STREAM = {"agentscope": "/stream", "everruns": "/sse", "qoder": "/events/stream"}
AT_ONCE = RetryPolicy(attempts=5, first_wait_s=0, max_wait_s=0)
Run = Callable[[EmulatorHandle, Session, str], list[Event]]
TURNS_IN_A_SESSION = 50
BEGINNINGS = {"message.started", "thinking.started", "tool_call.started", "tool_call.delta", "tool_result.delta"}


@dataclass(frozen=True)
class Cuts:
    """Where the stream of a turn is cut.

    AgentScope takes a second to be sure how a turn ended that it no longer replays, so it is cut less often.
    """

    said: str
    longest_bytes: int
    stride: int
    strides: Mapping[str, int]


SAMPLED = Cuts("/tool", 6000, 101, {"agentscope": 1999})
EVERYWHERE = Cuts("hello", 2600, 1, {"agentscope": 97})


@pytest.fixture(params=list(emulated_providers()), scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


def new_session(emulator: EmulatorHandle) -> Session:
    with Client(emulator.provider, **emulator.settings) as client:
        model = place_of(emulator).model if client.supports(Feature.UPDATE_MODEL) else None
        where = {"agent": emulator.agent_id, "environment": emulator.environment_id}
        return client.sessions.create(**where, title="Ticket 42", model=model)  # type: ignore[arg-type]


def run_sync(emulator: EmulatorHandle, session: Session, said: str) -> list[Event]:
    with (
        Client(emulator.provider, retry=AT_ONCE, **emulator.settings) as client,
        client.sessions.run(session, said, deadline_s=20) as turn,
    ):
        return list(turn)


def run_async(emulator: EmulatorHandle, session: Session, said: str) -> list[Event]:
    async def run() -> list[Event]:
        async with (
            AsyncClient(emulator.provider, retry=AT_ONCE, **emulator.settings) as client,
            client.sessions.run(session, said, deadline_s=20) as turn,
        ):
            return [event async for event in turn]

    return asyncio.run(run())


def skeleton(emulator: EmulatorHandle, events: Sequence[Event]) -> list[str]:
    """What no cut may change: all but deltas, and the beginnings that a late reader is not told.

    A backend that replays only the turn that is going on forgets more of one that ended meanwhile: what is left is what
    it stores with the message.
    """
    forgotten = BEGINNINGS | {"message.delta"}
    if load_provider(emulator.provider).resume is ResumeContract.CURRENT_RUN_REPLAY:
        forgotten |= {"native", "usage"}
    return [event.type for event in events if event.type not in forgotten]


def check_text(events: Sequence[Event]) -> None:
    """Deltas are the beginning of the message that follows them: no text twice, none out of order."""
    streamed = ""
    for event in events:
        if isinstance(event, MessageDelta):
            streamed += event.text
        elif isinstance(event, MessageCompleted) and event.message.role == "assistant":
            assert event.message.text.startswith(streamed)
            streamed = ""


@pytest.mark.parametrize("kind", ["drop", "end"])
@pytest.mark.parametrize("run", [run_sync, run_async])
def test_a_cut_anywhere_loses_and_doubles_nothing(
    emulator: EmulatorHandle, request: pytest.FixtureRequest, kind: FaultKind, run: Run
) -> None:
    plan = EVERYWHERE if request.config.getoption("--every-byte") else SAMPLED
    stride = plan.strides.get(emulator.provider, plan.stride)
    session = new_session(emulator)
    whole = run(emulator, session, plan.said)

    for number, at_byte in enumerate(range(0, plan.longest_bytes, stride)):
        if number % TURNS_IN_A_SESSION == 0:
            session = new_session(emulator)  # an emulator is slower the longer a session's history is
        emulator.faults.add(Fault(kind, path=STREAM[emulator.provider], at_byte=at_byte))
        events = run(emulator, session, plan.said)
        assert skeleton(emulator, events) == skeleton(emulator, whole), f"cut at byte {at_byte}"
        check_text(events)
        assert isinstance(events[-1], TurnEnded)
        assert events[-1].outcome is Outcome.COMPLETED
