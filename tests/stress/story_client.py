"""Runs the steps of random stories with `Client` or `AsyncClient`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from polysession import AsyncClient, AsyncPaginator, Client, Event, Paginator, RetryPolicy
from polysession.emulation import EmulatorHandle

AT_ONCE = RetryPolicy(attempts=5, first_wait_s=0, max_wait_s=0)
DEADLINE_S = 20.0


class StoryClient:
    """One client of an emulator, sync or async."""

    def __init__(self, emulator: EmulatorHandle, *, awaits: bool) -> None:
        self._runner = asyncio.Runner() if awaits else None
        kind: Any = AsyncClient if awaits else Client
        self.client = kind(emulator.provider, retry=AT_ONCE, **emulator.settings)
        if self._runner is not None:
            self._runner.get_loop()

    def close(self) -> None:
        """Close the client."""
        if self._runner is None:
            self.client.close()
        else:
            self._runner.run(self.client.aclose())
            self._runner.close()

    def do(self, use: Callable[[Any], Any]) -> Any:
        """Return the result of a call on `sessions`; a list is read to its end."""
        if self._runner is None:
            result = use(self.client.sessions)
            return list(result) if isinstance(result, Paginator) else result
        return self._runner.run(_awaited(use, self.client.sessions))

    def follow(self, session: Any, said: Any, up_to: str = "turn.ended") -> tuple[list[Event], str | None]:
        """Return the events of a turn up to the first one of a type, and the cursor there."""
        return self._read(lambda sessions: sessions.run(session, said, deadline_s=DEADLINE_S), up_to)

    def go_on(self, session: Any, cursor: str) -> list[Event]:
        """Return the events after a cursor, to the end of the turn."""
        return self._read(
            lambda sessions: sessions.stream(session, cursor=cursor, deadline_s=DEADLINE_S), "turn.ended"
        )[0]

    def _read(self, open_stream: Callable[[Any], Any], up_to: str) -> tuple[list[Event], str | None]:
        if self._runner is not None:
            return self._runner.run(_read_async(open_stream(self.client.sessions), up_to))
        events: list[Event] = []
        with open_stream(self.client.sessions) as stream:
            for event in stream:
                events.append(event)
                if event.type == up_to:
                    break
            return events, stream.cursor


async def _awaited(use: Callable[[Any], Any], sessions: Any) -> Any:
    result = use(sessions)
    if isinstance(result, AsyncPaginator):
        return [item async for item in result]
    return await result if inspect.isawaitable(result) else result


async def _read_async(stream: Any, up_to: str) -> tuple[list[Event], str | None]:
    events: list[Event] = []
    async with stream:
        async for event in stream:
            events.append(event)
            if event.type == up_to:
                break
        return events, stream.cursor
