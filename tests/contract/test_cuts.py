"""A stream that is cut anywhere continues: every event once, in order, through both drivers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from polysession import (
    Approve,
    Client,
    Event,
    MessageCompleted,
    Outcome,
    ResumeMode,
    Session,
    ToolOutput,
    TurnEnded,
    TurnLife,
)
from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle, Say, serve
from polysession.emulation.faults import FaultKind
from polysession.plugins import load_provider
from polysession.testing.comparing import check_same
from support.cuts import (
    AT_ONCE,
    LIMIT_S,
    Run,
    check_ended,
    cut,
    measured,
    new_session,
    run_async,
    run_sync,
    temporary_session,
)

SAMPLES = 12
STORY_SAMPLES = 3
"""How many cuts are made of a stream in the normal run."""

both_drivers = pytest.mark.parametrize("run", [run_sync, run_async])
both_kinds = pytest.mark.parametrize("kind", ["drop", "end"])


RESUMING = [name for name in emulated_providers() if load_provider(name).resume_mode is not ResumeMode.NONE]
ATTENDED = [name for name in emulated_providers() if load_provider(name).turn_life is TurnLife.ATTENDED]


@pytest.fixture(params=RESUMING, scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@both_kinds
@both_drivers
def test_a_cut_anywhere_loses_and_doubles_nothing(
    emulator: EmulatorHandle, request: pytest.FixtureRequest, kind: FaultKind, run: Run
) -> None:
    whole, length = measured(emulator, new_session(emulator), "hello")
    stride = 1 if request.config.getoption("--every-byte") else length // SAMPLES
    for at_byte in range(0, length, stride):
        with temporary_session(emulator) as session:
            cut(emulator, kind, at_byte)
            events = run(emulator, session, "hello")
        assert not emulator.faults.waiting()
        check_same(events, whole, f"cut at byte {at_byte} of {length}")
        check_ended(events)


@both_kinds
@both_drivers
@pytest.mark.parametrize("said", ["hello", "/think", "/tool", "/ask"])
@pytest.mark.parametrize("provider", ATTENDED)
def test_a_cut_of_a_turn_that_ends_with_its_stream_is_never_half_a_success(
    provider: str, said: str, request: pytest.FixtureRequest, kind: FaultKind, run: Run
) -> None:
    """A stream that ends cleanly between two frames is one that the server may have sent: its events stay a success."""
    with serve(provider) as emulator:
        whole, length = measured(emulator, new_session(emulator), said)
        kept = durable(whole)
        stride = 1 if request.config.getoption("--every-byte") else length // SAMPLES
        for at_byte in range(0, length, stride):
            with temporary_session(emulator) as session:
                cut(emulator, kind, at_byte)
                events = run(emulator, session, said)
            assert not emulator.faults.waiting()
            ended = events[-1]
            assert isinstance(ended, TurnEnded)
            if kind == "drop":
                assert ended.outcome is not Outcome.COMPLETED or durable(events) == kept, at_byte
            elif ended.outcome in {Outcome.COMPLETED, Outcome.REQUIRES_ACTION}:
                before_the_end = durable(events)[:-1]
                assert before_the_end == kept[: len(before_the_end)], at_byte


def durable(events: list[Event]) -> list[tuple[str, str | None]]:
    """Type and text of the events that are more than a part of a message."""
    return [
        (event.type, event.message.text if isinstance(event, MessageCompleted) else None)
        for event in events
        if not event.type.endswith((".delta", ".started", ".gap"))
    ]


def story(emulator: EmulatorHandle, said: str, run: Run, cut_next: Callable[[int], None]) -> list[list[Event]]:
    """The turns of one story, with an answer to whatever is asked; `cut_next` receives the number of each before it."""
    session = new_session(emulator)
    turns: list[list[Event]] = []
    answers: Any = said
    while answers:
        cut_next(len(turns))
        turns.append(run(emulator, session, answers))
        asked = [action for event in turns[-1] if event.type == "action.required" for action in event.actions]
        answers = [Approve(each) if each.type == "approval" else ToolOutput(each, "42") for each in asked]
    return turns


@pytest.mark.parametrize("said", ["/think", "/tool", "/ask", "/client-tool", "/fail"])
def test_a_cut_in_any_turn_of_a_story_loses_and_doubles_nothing(emulator: EmulatorHandle, said: str) -> None:
    uncut = story(emulator, said, run_sync, lambda _: None)
    for number in range(len(uncut)):
        for sample, at_byte in enumerate(range(40, 40 + 700 * STORY_SAMPLES, 700)):
            kind: FaultKind = "drop" if sample % 2 else "end"

            def cut_one(turn: int, number: int = number, at_byte: int = at_byte, kind: FaultKind = kind) -> None:
                emulator.faults.clear()
                if turn == number:
                    cut(emulator, kind, at_byte)

            turns = story(emulator, said, run_async if sample % 3 else run_sync, cut_one)
            assert len(turns) == len(uncut)
            for events, whole in zip(turns, uncut, strict=True):
                check_same(events, whole, f"{said}, turn {number}, {kind} at byte {at_byte}")


def follow(stream: Iterator[Event], up_to: str) -> list[Event]:
    """Events up to the first of this type."""
    events: list[Event] = []
    while not (events and events[-1].type == up_to):
        events.append(next(stream))
    return events


PIECES = {"message.started", "message.delta"}


@pytest.mark.parametrize("left_at", ["raw", "message.delta"])
def test_a_stream_from_a_stored_cursor_may_be_cut_as_well(emulator: EmulatorHandle, left_at: str) -> None:
    """The first of two clients leaves in the middle of a turn; the stream of the second breaks too.

    The second stream receives a message that is being written from its beginning.
    """
    with Client(emulator.provider, retry=AT_ONCE, **emulator.settings) as client:

        def leave(up_to: str) -> tuple[Session, list[Event], str | None]:
            session = new_session(emulator)
            with client.sessions.stream(session, deadline_s=LIMIT_S) as stream:
                emulator.script([Say("word0 word1 word2", pause_s=0.01)], session=session)
                client.sessions.send(session, "hello")
                return session, follow(stream, up_to), stream.cursor

        _, whole, _ = leave("turn.ended")
        if left_at not in {event.type for event in whole}:
            left_at = "message.completed"  # LangGraph's emulator sends no raw event in such a turn
        for sample, at_byte in enumerate(range(20, 1400, 400)):
            session, events, cursor = leave(left_at)
            assert cursor is not None
            cut(emulator, "drop" if sample % 2 else "end", at_byte)
            with client.sessions.stream(session, cursor=cursor, deadline_s=LIMIT_S) as stream:
                events += follow(stream, "turn.ended")
            again = PIECES if left_at in PIECES else set()
            check_same(
                [event for event in events if event.type not in again],
                [event for event in whole if event.type not in again],
                f"left at {left_at}, cut at byte {at_byte}",
            )
