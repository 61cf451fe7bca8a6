"""The open turns of an async client; see `open_turns`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from polysession._drivers.open_turns import OpenTurns

if TYPE_CHECKING:
    from polysession._drivers.stream_base import TurnBase
    from polysession.result import UnfinishedTurn


class AsyncOpenTurns(OpenTurns):
    """The open turns of an `AsyncClient`, which tasks share."""

    def __init__(self, limit: int | None) -> None:
        super().__init__(limit)
        self._waiting: list[asyncio.Event] = []

    async def enter(self, turn: TurnBase, limit_s: float | None) -> None:
        """Count a turn as open, as soon as the limit allows it.

        Raises:
            DeadlineExceeded: The limit did not allow it within `limit_s` seconds.
            UsageError: The client is draining.
        """
        try:
            async with asyncio.timeout(limit_s):
                while not self._can_enter():
                    await self._change()
        except TimeoutError:
            raise self._full() from None
        self._turns.append(turn)

    def leave(self, turn: TurnBase) -> None:
        """Stop counting a turn."""
        if turn in self._turns:
            self._turns.remove(turn)
            self._notify()

    async def drain(self, limit_s: float | None) -> tuple[UnfinishedTurn, ...]:
        """Refuse new turns and wait for the open ones; return those that are still open after `limit_s` seconds."""
        self._is_draining = True
        self._notify()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._turns:
                    await self._change()
        return self._left()

    async def _change(self) -> None:
        event = asyncio.Event()
        self._waiting.append(event)
        await event.wait()

    def _notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()
