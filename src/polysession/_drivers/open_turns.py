"""The open turns of a client: limits their number, and waits for their end."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from polysession.errors import DeadlineExceeded, UsageError

if TYPE_CHECKING:
    from polysession._drivers.stream_base import TurnBase
    from polysession.result import UnfinishedTurn

_DRAINING: Final = "this client is draining and starts no new turns; use another client"


class OpenTurns:
    """The open turns of one client.

    Args:
        limit: Maximum number of turns that are open at once; None for any number.

    Raises:
        UsageError: The limit is not a whole number above zero.
    """

    def __init__(self, limit: int | None) -> None:
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise UsageError(f"max_turns must be a whole number above zero or None, not {limit!r}")
        self._limit = limit
        self._turns: list[TurnBase] = []
        self._is_draining = False
        self._process = os.getpid()

    def _can_enter(self) -> bool:
        """Return whether another turn may start; a child process does not count its parent's turns.

        Raises:
            UsageError: The client is draining.
        """
        if self._process != os.getpid():
            self._process, self._turns = os.getpid(), []
        if self._is_draining:
            raise UsageError(_DRAINING)
        return self._limit is None or len(self._turns) < self._limit

    def _full(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"max_turns={self._limit} turns were open until the deadline; raise max_turns, or run fewer turns at once"
        )

    def _left(self) -> tuple[UnfinishedTurn, ...]:
        from polysession.result import UnfinishedTurn  # noqa: PLC0415  (others need no turns)

        return tuple([UnfinishedTurn(session_id=turn.session_id, cursor=turn.cursor) for turn in self._turns])


class BlockingOpenTurns(OpenTurns):
    """The open turns of a `Client`, which threads share."""

    def __init__(self, limit: int | None) -> None:
        super().__init__(limit)
        self._changed = threading.Condition()

    def enter(self, turn: TurnBase, limit_s: float | None) -> None:
        """Count a turn as open, as soon as the limit allows it.

        Raises:
            DeadlineExceeded: The limit did not allow it within `limit_s` seconds.
            UsageError: The client is draining.
        """
        with self._changed:
            if not self._changed.wait_for(self._can_enter, limit_s):
                raise self._full()
            self._turns.append(turn)

    def leave(self, turn: TurnBase) -> None:
        """Stop counting a turn."""
        with self._changed:
            if turn in self._turns:
                self._turns.remove(turn)
                self._changed.notify_all()

    def drain(self, limit_s: float | None) -> tuple[UnfinishedTurn, ...]:
        """Refuse new turns and wait for the open ones; return those that are still open after `limit_s` seconds."""
        with self._changed:
            self._is_draining = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._turns, limit_s)
            return self._left()
