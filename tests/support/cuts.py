"""Turns whose streams are cut: running them, and counting the bytes of their streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from polysession import AsyncClient, Client, Event, Feature, Outcome, RetryPolicy, Session, TurnEnded
from polysession.emulation import EmulatorHandle, Fault
from polysession.emulation.faults import FaultKind

AT_ONCE = RetryPolicy(attempts=5, first_wait_s=0, max_wait_s=0)
LIMIT_S = 20

Run = Callable[[EmulatorHandle, Session, Any], list[Event]]


class Measuring(httpx.HTTPTransport):
    """Transport that counts the bytes of streams."""

    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self.stream_bytes = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Counted(response.stream, self)  # type: ignore[arg-type]
        return response


class _Counted(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, owner: Measuring) -> None:
        self._stream = stream
        self._owner = owner

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._owner.stream_bytes += len(chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()


def new_session(emulator: EmulatorHandle) -> Session:
    with Client(emulator.provider, **emulator.settings) as client:
        return _create_session(client, emulator)


@contextmanager
def temporary_session(emulator: EmulatorHandle) -> Iterator[Session]:
    """Yield a session, and delete it.

    AgentScope's client reads all sessions of an agent to get one, so their number should stay small.
    """
    with Client(emulator.provider, **emulator.settings) as client:
        session = _create_session(client, emulator)
        yield session
        client.sessions.delete(session)


def _create_session(client: Client, emulator: EmulatorHandle) -> Session:
    model = emulator.model if client.supports(Feature.SESSIONS_UPDATE_MODEL) else None
    where = {"agent": emulator.agent_id, "environment": emulator.environment_id}
    return client.sessions.create(**where, title="Ticket 42", model=model)  # type: ignore[arg-type]


def run_sync(emulator: EmulatorHandle, session: Session, content: Any) -> list[Event]:
    with (
        Client(emulator.provider, retry=AT_ONCE, **emulator.settings) as client,
        client.sessions.run(session, content, deadline_s=LIMIT_S) as turn,
    ):
        return list(turn)


def run_async(emulator: EmulatorHandle, session: Session, content: Any) -> list[Event]:
    async def run() -> list[Event]:
        async with (
            AsyncClient(emulator.provider, retry=AT_ONCE, **emulator.settings) as client,
            client.sessions.run(session, content, deadline_s=LIMIT_S) as turn,
        ):
            return [event async for event in turn]

    return asyncio.run(run())


def measured(emulator: EmulatorHandle, session: Session, content: Any) -> tuple[list[Event], int]:
    """Return the events of a turn that is not cut, and the number of bytes in its stream."""
    transport = Measuring()
    with (
        httpx.Client(transport=transport) as http,
        Client(emulator.provider, http_client=http, **emulator.settings) as client,
        client.sessions.run(session, content, deadline_s=LIMIT_S) as turn,
    ):
        return list(turn), transport.stream_bytes


def cut(emulator: EmulatorHandle, kind: FaultKind, at_byte: int) -> None:
    """Cut the next stream at a byte."""
    emulator.faults.add(Fault(kind, streams_only=True, at_byte=at_byte))


def check_ended(events: Sequence[Event], outcome: Outcome = Outcome.COMPLETED) -> None:
    assert isinstance(events[-1], TurnEnded)
    assert events[-1].outcome is outcome
