"""Decides how long to wait before a stream is opened again, and when to give up. Pure."""

from __future__ import annotations

from typing import Final

from polysession._core.retry import RetryPolicy

HEALTHY_S: Final = 5.0
"""A connection that lasted this long ends an outage, even without an event."""
_FIRST_WAIT_S: Final = 0.1
"""Minimum bound of the first wait where heartbeats allow attempts without end."""
_MAX_DOUBLINGS: Final = 30
"""Limits the exponent, so that the power fits a float."""


class RetryState:
    """Counts the failures of an outage and chooses the wait after each failure.

    An outage ends with an event, a heartbeat, or a connection that lasted for `HEALTHY_S`. The policy limits its
    attempts and its seconds. Waits grow until the next event, so that a connection that brings only heartbeats is
    opened again less and less often.

    Args:
        policy: The caller's retry policy.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._waits = 0
        self._first_failure_at_s = 0.0
        self._opened_at_s: float | None = None

    @property
    def failures(self) -> int:
        """Number of failed attempts in this outage."""
        return self._failures

    def opened(self, now_s: float) -> None:
        """Note that a connection was made."""
        self._opened_at_s = now_s

    def wait_after(
        self, now_s: float, *, progress: bool, heartbeat: bool, wish_s: float, announced: bool
    ) -> tuple[float, float] | None:
        """Return the bounds of the wait before the next attempt; None if there is no next attempt.

        Args:
            now_s: The time of the failure.
            progress: Whether an event came since the last failure.
            heartbeat: Whether the connection brought something other than an event.
            wish_s: Minimum seconds that the server asks for, at most the policy's `max_wait_s`.
            announced: Whether the server had announced the end. After an event, such an end is no failure.
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
