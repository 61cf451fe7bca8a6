"""A turn that is left early is cancelled, however it is left: `cancel_on_exit` under a web framework and in tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from polysession import AsyncClient, Client, Session, SessionStatus
from polysession.emulation import EmulatorHandle, serve, serve_app

A_MINUTE = "/slow 600"
"""The agent speaks for a minute, unless it is cancelled."""
LIMIT_S = 30


@pytest.fixture(params=["qoder", "everruns"], scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.fixture
def session(emulator: EmulatorHandle) -> Session:
    with Client(emulator.provider, **emulator.settings) as client:
        return client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id)


def wait_until_idle(emulator: EmulatorHandle, session: Session) -> None:
    """Return once no turn runs: that is soon only if it was cancelled."""
    until_s = time.monotonic() + LIMIT_S
    with Client(emulator.provider, **emulator.settings) as client:
        while client.sessions.get(session).status is SessionStatus.RUNNING:
            assert time.monotonic() < until_s, "the turn was not cancelled"
            time.sleep(0.02)


def application(emulator: EmulatorHandle) -> Starlette:
    """A web service that streams a turn to its caller."""

    async def frames(session_id: str) -> AsyncGenerator[bytes, None]:
        async with (
            AsyncClient(emulator.provider, **emulator.settings) as client,
            client.sessions.run(session_id, A_MINUTE, cancel_on_exit=True) as turn,
        ):
            async for event in turn:
                yield event.type.encode() + b"\n"

    def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(frames(request.path_params["session"]))

    return Starlette(routes=[Route("/{session}", stream)])


def test_a_browser_that_goes_away_cancels_the_turn(emulator: EmulatorHandle, session: Session) -> None:
    with serve_app(application(emulator)) as origin, httpx.Client(trust_env=False) as browser:
        with browser.stream("GET", f"{origin}/{session.id}") as response:
            for line in response.iter_lines():
                if line == "message.delta":
                    break
        wait_until_idle(emulator, session)


def test_a_timeout_of_the_caller_cancels_the_turn(emulator: EmulatorHandle, session: Session) -> None:
    async def talk() -> None:
        async with AsyncClient(emulator.provider, **emulator.settings) as client:
            with pytest.raises(TimeoutError):  # noqa: PT012  (a loop with a limit of its own)
                async with asyncio.timeout(None) as limit:
                    async with client.sessions.run(session, A_MINUTE, cancel_on_exit=True) as turn:
                        async for event in turn:
                            if event.type == "message.delta":
                                limit.reschedule(0.0)

    asyncio.run(talk())
    wait_until_idle(emulator, session)


def test_a_task_that_is_cancelled_twice_cancels_the_turn(emulator: EmulatorHandle, session: Session) -> None:
    async def talk(client: AsyncClient, speaks: asyncio.Event) -> None:
        async with client.sessions.run(session, A_MINUTE, cancel_on_exit=True) as turn:
            async for event in turn:
                if event.type == "message.delta":
                    speaks.set()

    async def cancel_twice() -> None:
        async with AsyncClient(emulator.provider, **emulator.settings) as client:
            speaks = asyncio.Event()
            task = asyncio.create_task(talk(client, speaks))
            await speaks.wait()
            task.cancel()
            await asyncio.sleep(0)  # it leaves its block
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel_twice())
    wait_until_idle(emulator, session)
