"""Follows turns of emulators through something that stands for them, with both clients."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from polysession import AsyncClient, Client, Event, PolysessionError, ResumeMode, RetryPolicy, Session
from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle
from polysession.plugins import load_provider
from stress.outcomes import DRIVERS, KEYED_WRITES
from stress.stream_faults import noting
from support.cuts import new_session
from support.fault_proxy import FaultProxy

OPERATIONS = ("run", "stream")
DEADLINE_S = 15.0
AT_ONCE = 6  # more would wait for the processor
RETRY = RetryPolicy(attempts=4, first_wait_s=0.0)


def busy_connections(client: Client | AsyncClient) -> list[str]:
    """Connections of the pool that are neither closed nor free for the next call."""
    http: Any = client._driver._holder._http
    if hasattr(http, "_session"):  # aiohttp's
        return [str(held) for held in http._session.connector._acquired] if http._session else []
    transport = http._transport
    return [str(held) for held in transport._pool.connections if not (held.is_idle() or held.is_closed())]


@dataclass
class Followed:
    """The result of following one turn."""

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


CELLS = list(itertools.product(OPERATIONS, DRIVERS))
RESUMING = [
    name
    for name in emulated_providers()
    if name in KEYED_WRITES and load_provider(name).resume_mode is not ResumeMode.NONE
]
"""The providers of the fault tables whose broken streams continue."""
CASES = [Case(provider, *cell) for provider in RESUMING for cell in CELLS]


@dataclass(frozen=True)
class Baseline:
    """The events of a turn without faults, and its chunks."""

    events: list[Event]
    chunks: list[bytes]


class Baselines:
    """Each turn when nothing goes wrong."""

    def __init__(self, emulators: dict[str, EmulatorHandle]) -> None:
        self.emulators = emulators
        self.of = cache(self._of)

    def _of(self, provider: str, operation: str, said: str) -> Baseline:
        emulator, chunks = self.emulators[provider], list[bytes]()
        with FaultProxy(emulator.base_url, noting(chunks)) as proxy:
            return Baseline(follow(emulator, proxy.url, said, (operation, "sync"), DEADLINE_S).events, chunks)


def side_by_side(check_case: Callable[[Case], None], cases: list[Case]) -> None:
    with ThreadPoolExecutor(min(len(cases), AT_ONCE)) as pool:
        for checked in [pool.submit(check_case, case) for case in cases]:
            checked.result()
