from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from polysession.emulation.event_log import EventLog, Signal, TurnTask, pause

LONG_S = 5.0


def play(scenario: Callable[[], Awaitable[Any]]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(5):
            return await scenario()

    return asyncio.run(limited())


async def collect(entries: AsyncIterator[str | None]) -> list[str | None]:
    return [entry async for entry in entries]


def test_a_follower_gets_what_was_said_and_what_is_said_later_until_the_end() -> None:
    async def scenario() -> list[str | None]:
        log: EventLog[str] = EventLog()
        log.append("a")
        log.append("b")
        follower = asyncio.create_task(collect(log.follow(1, heartbeat_s=LONG_S)))
        for entry in ("c", "d"):
            await pause(0)
            log.append(entry)
        log.close()
        return await follower

    assert play(scenario) == ["b", "c", "d"]


def test_what_is_appended_while_a_follower_is_busy_is_not_missed() -> None:
    async def scenario() -> list[str | None]:
        log: EventLog[str] = EventLog()
        log.append("a")
        seen: list[str | None] = []
        async for entry in log.follow(0, heartbeat_s=LONG_S):
            seen.append(entry)
            if entry == "a":
                log.append("b")
            if entry == "b":
                log.append("c")
                log.close()
        return seen

    assert play(scenario) == ["a", "b", "c"]


def test_every_follower_gets_every_entry() -> None:
    async def scenario() -> list[list[str | None]]:
        log: EventLog[str] = EventLog()
        followers = [asyncio.create_task(collect(log.follow(0, heartbeat_s=LONG_S))) for _ in range(3)]
        await pause(0)
        log.append("a")
        log.close()
        return await asyncio.gather(*followers)

    assert play(scenario) == [["a"]] * 3


def test_followers_are_counted_from_their_first_entry_to_their_end() -> None:
    async def scenario() -> list[int]:
        log: EventLog[str] = EventLog()
        log.append("a")
        first, second = (aiter(log.follow(0, heartbeat_s=LONG_S)) for _ in range(2))
        counts = [log.followers]
        for entries in (first, second):
            await anext(entries)
            counts.append(log.followers)
        await first.aclose()  # type: ignore[attr-defined]
        counts.append(log.followers)
        log.close()
        assert await collect(second) == []
        return [*counts, log.followers]

    assert play(scenario) == [0, 1, 2, 1, 0]


def test_silence_is_told_and_does_not_end_the_log() -> None:
    async def scenario() -> list[str | None]:
        log: EventLog[str] = EventLog()
        entries = log.follow(0, heartbeat_s=0.01)
        seen = [await anext(entries), await anext(entries)]
        log.append("a")
        return [*seen, await anext(entries)]

    assert play(scenario) == [None, None, "a"]


def test_a_log_that_was_closed_is_told_to_its_end() -> None:
    async def scenario() -> tuple[list[str | None], bool]:
        log: EventLog[str] = EventLog()
        log.append("a")
        log.close()
        return await collect(log.follow(0, heartbeat_s=LONG_S)), log.closed

    assert play(scenario) == (["a"], True)


def test_a_turn_runs_in_the_background() -> None:
    async def scenario() -> list[bool]:
        done = asyncio.Event()

        async def work() -> None:
            await pause(0.01)
            done.set()

        turn = TurnTask()
        seen = [turn.running]
        turn.start(work())
        seen.append(turn.running)
        await done.wait()
        await pause(0)
        return [*seen, turn.running, await turn.cancel()]

    assert play(scenario) == [False, True, False, False]


@pytest.mark.parametrize("fails", [False, True])
def test_a_cancelled_turn_has_stopped_when_the_cancellation_returns(*, fails: bool) -> None:
    async def scenario() -> list[Any]:
        outcome: list[Any] = []

        async def work() -> None:
            try:
                await pause(LONG_S)
            finally:
                await pause(0)
                outcome.append("stopped")
                if fails:
                    raise RuntimeError

        turn = TurnTask()
        turn.start(work())
        await pause(0)
        outcome.append(await turn.cancel())
        return [*outcome, turn.running]

    assert play(scenario) == ["stopped", True, False]


def test_a_turn_does_not_cancel_itself() -> None:
    async def scenario() -> bool:
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        turn = TurnTask()

        async def work() -> None:
            outcome.set_result(await turn.cancel())

        turn.start(work())
        return await outcome

    assert play(scenario) is False


@pytest.mark.parametrize("given_first", [False, True])
def test_a_signal_ends_a_wait_whenever_it_is_given(*, given_first: bool) -> None:
    async def scenario() -> list[bool]:
        signal = Signal()
        seen = [await signal.wait(0), await signal.wait(0.01)]
        if given_first:
            signal.give()
        else:
            asyncio.get_running_loop().call_later(0.01, signal.give)
        return [*seen, await signal.wait(LONG_S + 1), await signal.wait(0)]

    assert play(scenario) == [False, False, True, True]
