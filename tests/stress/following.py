"""Follows turns of emulators through something that stands for them, with both clients."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from polysession import Client, Event, PolysessionError, RetryPolicy, Session
from polysession.emulation import EmulatorHandle
from stress.libraries import LIBRARIES, Library
from stress.outcomes import DRIVERS, RESUMING
from stress.stream_faults import noting
from support.cuts import new_session
from support.fault_proxy import FaultProxy

OPERATIONS = ("run", "stream")
DEADLINE_S = 15.0
AT_ONCE = 6  # more would wait for the processor
RETRY = RetryPolicy(attempts=4, first_wait_s=0.0)


@dataclass
class Followed:
    """The result of following one turn."""

    events: list[Event] = field(default_factory=list)
    error: PolysessionError | None = None
    took_s: float = 0.0


@dataclass(frozen=True)
class Follower:
    """Follows one turn of a new session, at an address that stands for the emulator's.

    Attributes:
        emulator: The emulator.
        url: The address.
        said: What starts the turn.
        deadline_s: Seconds that it may take.
        library: What the client sends with.
    """

    emulator: EmulatorHandle
    url: str
    said: str
    deadline_s: float
    library: Library

    def follow(self, operation: str, driver: str) -> Followed:
        """Follow it by `run`, or by `stream` while another client sends the message."""
        session = new_session(self.emulator)
        found = Followed()
        started_s = time.monotonic()
        try:
            if driver == "sync":
                self._follow_sync(session, operation, found.events)
            else:
                asyncio.run(self._follow_async(session, operation, found.events))
        except PolysessionError as error:
            found.error = error
        found.took_s = time.monotonic() - started_s
        return found

    @property
    def _options(self) -> dict[str, Any]:
        return {"retry": RETRY, **self.emulator.settings, "base_url": self.url}

    def _send(self, session: Session) -> None:
        with Client(self.emulator.provider, **self.emulator.settings) as other:
            other.sessions.send(session, self.said)

    def _follow_sync(self, session: Session, operation: str, events: list[Event]) -> None:
        with self.library.client(self.emulator.provider, **self._options) as client:
            if operation == "run":
                with client.sessions.run(session, self.said, deadline_s=self.deadline_s) as turn:
                    events.extend(turn)
                return
            with client.sessions.stream(session, deadline_s=self.deadline_s) as stream:
                self._send(session)
                while not events or events[-1].type != "turn.ended":
                    events.append(next(stream))

    async def _follow_async(self, session: Session, operation: str, events: list[Event]) -> None:
        async with self.library.async_client(self.emulator.provider, **self._options) as client:
            if operation == "run":
                async with client.sessions.run(session, self.said, deadline_s=self.deadline_s) as turn:
                    events.extend([event async for event in turn])
                return
            async with client.sessions.stream(session, deadline_s=self.deadline_s) as stream:
                await asyncio.to_thread(self._send, session)
                while not events or events[-1].type != "turn.ended":
                    events.append(await anext(stream))


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    provider: str
    operation: str
    driver: str

    def follow(
        self, emulators: Mapping[str, EmulatorHandle], url: str, said: str, deadline_s: float, library: Library
    ) -> Followed:
        """Follow a turn, at an address that stands for the emulator's."""
        return Follower(emulators[self.provider], url, said, deadline_s, library).follow(self.operation, self.driver)


CELLS = list(itertools.product(OPERATIONS, DRIVERS))
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
            follower = Follower(emulator, proxy.url, said, DEADLINE_S, LIBRARIES["httpx"])
            return Baseline(follower.follow(operation, "sync").events, chunks)


def side_by_side(check_case: Callable[[Case], None], cases: list[Case]) -> None:
    with ThreadPoolExecutor(min(len(cases), AT_ONCE)) as pool:
        for checked in [pool.submit(check_case, case) for case in cases]:
            checked.result()
