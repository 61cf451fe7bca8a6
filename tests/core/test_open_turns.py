"""A limit on turns at once, and the wait for open turns at the end of a process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from polysession import AsyncClient, Client, DeadlineExceeded, NotFound, UsageError
from polysession.emulation import EmulatorHandle, serve


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorHandle]:
    with serve("everruns") as handle:
        yield handle


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "2"])
@pytest.mark.parametrize("client_type", [Client, AsyncClient])
def test_a_limit_counts_turns(client_type: Any, limit: object) -> None:
    with pytest.raises(UsageError, match="max_turns must be a whole number above zero"):
        client_type("qoder", token="t", max_turns=limit)


def test_a_turn_waits_for_its_place(emulator: EmulatorHandle) -> None:
    with Client("everruns", max_turns=1, **emulator.settings) as client:
        first, second = (client.sessions.create(agent=emulator.agent_id) for _ in range(2))
        with client.sessions.run(first, "hello") as turn:
            with (
                pytest.raises(DeadlineExceeded, match="max_turns=1 turns were open"),
                client.with_options().sessions.run(second, "hello", deadline_s=0.05),
            ):
                pass
            asked: list[str] = []
            asking = threading.Thread(target=lambda: asked.append(client.sessions.ask(second, "hi").text))
            asking.start()
            turn.wait()
            assert not asked
        asking.join()
        assert asked == ["You said: hi"]


def test_a_turn_that_could_not_start_gives_its_place_back(emulator: EmulatorHandle) -> None:
    with Client("everruns", max_turns=1, **emulator.settings) as client:
        for _ in range(2):
            with pytest.raises(NotFound), client.sessions.run("session_" + "0" * 32, "hi"):
                pass
        assert client.sessions.ask(client.sessions.create(agent=emulator.agent_id), "hi").text == "You said: hi"


def test_a_client_that_drains_starts_no_turns_and_waits_for_open_ones(emulator: EmulatorHandle) -> None:
    with Client("everruns", **emulator.settings) as client:
        session = client.sessions.create(agent=emulator.agent_id)
        turn = client.sessions.run(session, "/slow 5").__enter__()
        (left,) = client.drain(deadline_s=0.05)
        assert (left.session_id, left.cursor) == (session.id, turn.cursor)
        with pytest.raises(UsageError, match="draining"), client.sessions.run(session, "more"):
            pass
        ending = threading.Timer(0.0, turn.close)
        ending.start()
        assert client.drain(deadline_s=30) == ()
        ending.join()


def test_an_async_turn_waits_for_its_place(emulator: EmulatorHandle) -> None:
    async def use() -> None:
        async with AsyncClient("everruns", max_turns=1, **emulator.settings) as client:
            first, second = [await client.sessions.create(agent=emulator.agent_id) for _ in range(2)]
            async with client.sessions.run(first, "hello") as turn:
                with pytest.raises(DeadlineExceeded, match="max_turns=1 turns were open"):
                    async with client.sessions.run(second, "hello", deadline_s=0.05):
                        pass
                asking = asyncio.create_task(client.sessions.ask(second, "hi"))
                await turn.wait()
                assert not asking.done()
            assert (await asking).text == "You said: hi"

    asyncio.run(use())


def test_an_async_client_that_drains_starts_no_turns_and_waits_for_open_ones(emulator: EmulatorHandle) -> None:
    async def use() -> None:
        async with AsyncClient("everruns", **emulator.settings) as client:
            session = await client.sessions.create(agent=emulator.agent_id)
            turn = await client.sessions.run(session, "/slow 5").__aenter__()
            (left,) = await client.drain(deadline_s=0.05)
            assert (left.session_id, left.cursor) == (session.id, turn.cursor)
            with pytest.raises(UsageError, match="draining"):
                async with client.sessions.run(session, "more"):
                    pass
            draining = asyncio.create_task(client.drain(deadline_s=30))
            await turn.aclose()
            assert await draining == ()

    asyncio.run(use())
