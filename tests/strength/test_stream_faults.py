"""The fault matrix, streams: a proxy of raw sockets between both drivers and every emulator."""

from __future__ import annotations

import asyncio
import itertools
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache

import pytest

from polysession import (
    AsyncClient,
    Client,
    Event,
    MessageCompleted,
    MessageDelta,
    PolysessionError,
    RetryPolicy,
    Session,
)
from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle, serve
from polysession.testing.comparing import check_same
from strength import outcomes
from strength.outcomes import DRIVERS, REOPENED, STREAMS, StreamOutcome, outcome_of_stream
from strength.stream_faults import FAULTS, REOPENING, SAID, UNKNOWN_TYPE, cut
from strength.test_call_faults import busy_connections
from support.cuts import check_ended, new_session
from support.fault_proxy import FaultProxy, Spoiler

OPERATIONS = ("run", "stream")
STALL_DEADLINE_S = 1.5
DEADLINE_S = 15.0
SLOW_SAID = "/slow 5"
RETRY = RetryPolicy(attempts=4, first_wait_s=0.0)
INPUTS = ("/chat/", "/events", "/messages")


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, EmulatorHandle]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(serve(name)) for name in emulated_providers()}


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@dataclass
class Followed:
    """What following one turn came to."""

    events: list[Event] = field(default_factory=list)
    error: PolysessionError | None = None
    took_s: float = 0.0


def follow(emulator: EmulatorHandle, url: str, said: str, cell: tuple[str, str], deadline_s: float) -> Followed:
    """Follow one turn of a new session, at an address that stands for the emulator's."""
    session = new_session(emulator)
    found = Followed()
    started_s = time.monotonic()
    operation, driver = cell
    try:
        if driver == "sync":
            _follow_sync(emulator, url, session, said, operation, found.events, deadline_s)
        else:
            asyncio.run(_follow_async(emulator, url, session, said, operation, found.events, deadline_s))
    except PolysessionError as error:
        found.error = error
    found.took_s = time.monotonic() - started_s
    return found


def _send(emulator: EmulatorHandle, session: Session, said: str) -> None:
    with Client(emulator.provider, **emulator.settings) as other:
        other.sessions.send(session, said)


def _follow_sync(
    emulator: EmulatorHandle,
    url: str,
    session: Session,
    said: str,
    operation: str,
    events: list[Event],
    deadline_s: float,
) -> None:
    with Client(emulator.provider, retry=RETRY, **emulator.settings | {"base_url": url}) as client:
        try:
            if operation == "run":
                with client.sessions.run(session, said, deadline_s=deadline_s) as turn:
                    events.extend(turn)
                return
            with client.sessions.stream(session, deadline_s=deadline_s) as stream:
                _send(emulator, session, said)
                while not events or events[-1].type != "turn.ended":
                    events.append(next(stream))
        finally:
            assert busy_connections(client) == []


async def _follow_async(
    emulator: EmulatorHandle,
    url: str,
    session: Session,
    said: str,
    operation: str,
    events: list[Event],
    deadline_s: float,
) -> None:
    async with AsyncClient(emulator.provider, retry=RETRY, **emulator.settings | {"base_url": url}) as client:
        try:
            if operation == "run":
                async with client.sessions.run(session, said, deadline_s=deadline_s) as turn:
                    events.extend([event async for event in turn])
                return
            async with client.sessions.stream(session, deadline_s=deadline_s) as stream:
                await asyncio.to_thread(_send, emulator, session, said)
                while not events or events[-1].type != "turn.ended":
                    events.append(await anext(stream))
        finally:
            assert busy_connections(client) == []


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    provider: str
    operation: str
    driver: str

    @property
    def cell(self) -> tuple[str, str]:
        return self.operation, self.driver


CASES = [Case(*parts) for parts in itertools.product(emulated_providers(), OPERATIONS, DRIVERS)]
HALF = [case for case in CASES if (case.operation == "run") is (case.driver == "sync")]
"""Each provider, operation and driver, if not in all combinations: without `--strength` these are enough."""


class Baselines:
    """What each turn tells when nothing goes wrong."""

    def __init__(self, emulators: dict[str, EmulatorHandle]) -> None:
        self.emulators = emulators
        self.of = cache(self._of)

    def _of(self, provider: str, operation: str, said: str) -> list[Event]:
        emulator = self.emulators[provider]
        return follow(emulator, emulator.base_url, said, (operation, "sync"), DEADLINE_S).events


@pytest.fixture(scope="module")
def baselines(emulators: dict[str, EmulatorHandle]) -> Baselines:
    return Baselines(emulators)


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> list[Case]:
    return CASES if request.config.getoption("--strength") else HALF


def check(baselines: Baselines, case: Case, said: str, expected: StreamOutcome, fault: str, *spoilers: Spoiler) -> None:
    emulator = baselines.emulators[case.provider]
    whole = baselines.of(case.provider, case.operation, said)
    deadline_s = STALL_DEADLINE_S if expected.error == "WaitExceeded" else DEADLINE_S
    with FaultProxy(emulator.base_url, *spoilers) as proxy:
        found = follow(emulator, proxy.url, said, case.cell, deadline_s)

    assert found.took_s < deadline_s + 2, "it hung past its deadline"
    assert proxy.inputs <= 1, "an input was sent twice"
    if expected.error:
        check_error(found, expected, case, whole)
    else:
        assert found.error is None, "".join(traceback.format_exception(found.error))
        check_whole(found.events, whole, expected, fault, case)


def check_error(found: Followed, expected: StreamOutcome, case: Case, whole: list[Event]) -> None:
    assert type(found.error).__name__ == expected.error, f"{case}: {found.error!r}"
    assert found.error is not None
    assert (found.error.provider, found.error.operation) == (case.provider, f"sessions.{case.operation}")
    assert all(event.type != "turn.ended" for event in found.events), "a turn ended, and then did not"
    kinds = [event.type for event in found.events]
    assert kinds == [event.type for event in whole][: len(kinds)], "what came before the fault is not whole"


def check_whole(
    events: Sequence[Event], whole: Sequence[Event], expected: StreamOutcome, fault: str, case: Case
) -> None:
    check_ended(events)
    strange = [event for event in events if event.native_type == UNKNOWN_TYPE]
    assert [event.type for event in strange] == ["native"] * (fault == "unknown event type")
    ours = [event for event in events if event not in strange]
    if expected.note == outcomes.DOUBLED:
        ours, whole = _without_deltas(ours), _without_deltas(whole)
    if fault == "two frames change places":
        assert Counter(event.type for event in ours) == Counter(event.type for event in whole)
    else:
        has_gap = check_same(ours, whole, f"{fault}, {case}")
        assert expected.may_lack or not has_gap
    if expected.note != outcomes.AS_IT_CAME:
        assert _last_message(events) == _last_message(whole)


def _without_deltas(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, MessageDelta)]


def _last_message(events: Sequence[Event]) -> str:
    return [event.message.text for event in events if isinstance(event, MessageCompleted)][-1]


@pytest.mark.parametrize("fault", STREAMS)
def test_a_fault_of_a_stream_comes_to_what_is_written_down(fault: str, baselines: Baselines, cases: list[Case]) -> None:
    def check_case(case: Case) -> None:
        expected = outcome_of_stream(fault, case.provider, case.operation)
        check(baselines, case, SAID, expected, fault, FAULTS[fault])

    side_by_side(check_case, cases)


@pytest.mark.parametrize("fault", REOPENED)
def test_a_fault_of_a_reopened_stream_comes_to_what_is_written_down(
    fault: str, baselines: Baselines, cases: list[Case]
) -> None:
    def check_case(case: Case) -> None:
        check(baselines, case, SLOW_SAID, REOPENED[fault], fault, cut("reset"), REOPENING[fault])

    side_by_side(check_case, cases)


def side_by_side(check_case: Callable[[Case], None], cases: list[Case]) -> None:
    with ThreadPoolExecutor(len(cases)) as pool:
        for checked in [pool.submit(check_case, case) for case in cases]:
            checked.result()


def test_every_fault_has_an_outcome() -> None:
    assert list(FAULTS) == list(STREAMS)
    assert set(REOPENING) == set(REOPENED)
