"""How long to wait before a stream is opened again, and when to give up. Pure."""

from __future__ import annotations

from typing import Final

from polysession._core.retry import RetryPolicy

HEALTHY_S: Final = 5.0
"""A connection that lived this long ends an outage, whatever it brought."""
_FIRST_WAIT_S: Final = 0.1
"""Least bound of the first wait where heartbeats let the attempts continue for ever."""
_MAX_DOUBLINGS: Final = 30
"""Keeps the power within a float."""


class RetryState:
    """Counts the failures of an outage and chooses the wait after each.

    An outage ends with an event, a heartbeat, or a connection that lived for `HEALTHY_S`. Its attempts and its seconds
    are limited by the policy. Waits grow from one event to the next, so that a connection that brings nothing but
    heartbeats is opened again less and less often.

    Args:
        policy: The caller's wishes.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._waits = 0
        self._first_failure_at_s = 0.0
        self._opened_at_s: float | None = None

    def opened(self, now_s: float) -> None:
        """Note that a connection was made."""
        self._opened_at_s = now_s

    def wait_after(
        self, now_s: float, *, progress: bool, heartbeat: bool, wish_s: float, announced: bool
    ) -> tuple[float, float] | None:
        """Bounds of the wait before the next attempt; None if there is to be none.

        Args:
            now_s: The time of the failure.
            progress: Whether an event came since the last failure.
            heartbeat: Whether the connection brought something else than an event.
            wish_s: Least seconds that the server asks for; the policy's `max_wait_s` bounds them.
            announced: The server had announced the end. That is no failure after an event.
        """
        opened_at_s, self._opened_at_s = self._opened_at_s, None
        lived = opened_at_s is not None and now_s - opened_at_s >= HEALTHY_S
        if progress or lived:
            self._failures = self._waits = 0
        elif heartbeat and not announced:
            self._failures = 0
        least_s = min(max(wish_s, 0.0), self._policy.max_wait_s)
        if announced and (progress or lived):
            return least_s, least_s
        self._failures += 1
        self._waits += 1
        if self._failures == 1:
            self._first_failure_at_s = now_s
        left_s = self._first_failure_at_s + self._policy.deadline_s - now_s
        if self._failures >= self._policy.attempts or left_s < least_s:
            return None
        first_s = max(self._policy.first_wait_s, _FIRST_WAIT_S) if heartbeat else self._policy.first_wait_s
        doubled_s = first_s * 2.0 ** min(self._waits - 1, _MAX_DOUBLINGS)
        return least_s, max(least_s, min(doubled_s, self._policy.max_wait_s, left_s))
