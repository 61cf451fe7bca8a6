"""The fault matrix, streams that end between two frames: any two of them, through both drivers."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from itertools import islice

import pytest

from polysession import DeadlineExceeded, Event
from polysession.testing.comparing import check_same
from stress.following import CASES, DEADLINE_S, RETRY, Baselines, Case, side_by_side
from stress.libraries import LIBRARIES, Library
from stress.outcomes import BORDERS, FRAMES, GAPS
from stress.stream_faults import ENDS, SAID, STALL_S, cut
from support.cuts import check_ended
from support.fault_proxy import FaultInjector, FaultProxy, Move, chunk

SILENCE_S = 0.9
"""Long enough for a whole turn; AgentScope's `run` looks at what is stored after a second."""
FIRST = 2
"""Frames before the first border that is tried, where not each is."""


@pytest.mark.parametrize("said", FRAMES)
def test_each_chunk_is_a_frame_and_a_turn_ends_with_the_last_that_is_counted(said: str, baselines: Baselines) -> None:
    def check_frames(case: Case) -> None:
        emulator, frames = baselines.emulators[case.provider], FRAMES[said][case.provider]
        library = LIBRARIES["httpx"]
        chunks = baselines.of(case.provider, case.operation, said).chunks
        ends = [each.replace(b"\r\n", b"\n") for each in chunks]
        assert all(each.count(b"\n\n") == 1 and each.endswith(b"\n\n") for each in ends)
        for after, error, deadline_s in ((frames, None, DEADLINE_S), (frames - 1, DeadlineExceeded, SILENCE_S)):
            with FaultProxy(emulator.base_url, cut(STALL_S, after=after)) as proxy:
                found = case.follow(baselines.emulators, proxy.url, said, deadline_s, library)
            assert type(found.error) is (error or type(None)), f"{case}: after {after} frames"

    side_by_side(check_frames, [case for case in CASES if (case.operation, case.driver) == ("stream", "sync")])


@pytest.mark.usefixtures("late_look")
@pytest.mark.parametrize(("said", "end"), BORDERS, ids=str)
def test_a_stream_that_ends_between_two_frames_loses_and_doubles_nothing(
    said: str, end: str, baselines: Baselines, cases: list[Case], library: Library, request: pytest.FixtureRequest
) -> None:
    stride = 1 if request.config.getoption("--stress") else BORDERS[said, end]

    def check_case(case: Case) -> None:
        for after in range(0 if stride == 1 else FIRST, FRAMES[said][case.provider], stride):
            check_border(baselines, case, library, said, end, after)

    side_by_side(check_case, cases)


@pytest.mark.usefixtures("late_look")
@pytest.mark.parametrize("refused", [1, RETRY.attempts, 2 * RETRY.attempts + 1])
def test_a_look_behind_a_break_that_fails_is_made_again_and_loses_nothing(
    refused: int, baselines: Baselines, cases: list[Case], library: Library, request: pytest.FixtureRequest
) -> None:
    """The first calls that look at what the broken stream missed are refused, so that whole looks fail."""
    stride = 1 if request.config.getoption("--stress") else 5
    looked: set[str] = set()

    def check_case(case: Case) -> None:
        for after in range(0, FRAMES[SAID][case.provider], stride):
            if check_border(baselines, case, library, SAID, "reset", after, refused_reads=refused) < refused:
                looked.add(case.provider)

    side_by_side(check_case, cases)
    assert looked == {
        "agentscope",
        "anthropic",
        "langgraph",
        "qoder",
    }  # a session of Everruns has an event from its beginning, to continue after


def check_border(
    baselines: Baselines, case: Case, library: Library, said: str, end: str, after: int, *, refused_reads: int = 0
) -> int:
    """Gives how many of the readings that were to be refused did not come."""
    emulator = baselines.emulators[case.provider]
    where = f"{case}, {said}, {end} after {after} frames, {refused_reads} refused"
    passed: list[int] = []
    with FaultProxy(emulator.base_url, cut_after(after, end, passed), refused_reads=refused_reads) as proxy:
        found = case.follow(baselines.emulators, proxy.url, said, DEADLINE_S, library)

    assert found.error is None, where + "".join(traceback.format_exception(found.error))
    assert passed == [after], f"{where}: the turn was over before"
    assert found.took_s < DEADLINE_S, where
    assert proxy.inputs <= 1, f"{where}: an input was sent twice"
    check_ended(found.events)
    check_same(found.events, baselines.of(case.provider, case.operation, said).events, where)
    assert lost(found.events) <= set(GAPS[case.provider]), where
    return proxy.refused_reads


def cut_after(frames: int, end: str, passed: list[int]) -> FaultInjector:
    """Ends the stream after so many frames, and notes how many there were."""

    def spoil(head: bytes, chunks: Iterator[bytes]) -> Iterator[Move]:
        yield head
        count = 0
        for frame in islice(chunks, frames):
            count += 1
            yield chunk(frame)
        passed.append(count)
        yield ENDS[end]

    return spoil


def lost(events: list[Event]) -> set[str]:
    return {kind for event in events if event.type == "stream.gap" for kind in event.lost}
