"""Retries: whether a call is repeated, and after how long."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from polysession._core import effect_source
from polysession._core.flow import Call, Response
from polysession.errors import MalformedResponse, PolysessionError, TransportError, UsageError

if TYPE_CHECKING:
    from tenacity import RetryCallState

Outcome: TypeAlias = Response | TransportError | MalformedResponse
"""The outcome of one attempt."""

_TOO_MANY: Final = 429
_RETRYABLE: Final = frozenset({408, 429, 502, 503, 504, 529})
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
LONGEST_WAIT_S: Final = 1e9
"""About thirty years; a longer `Retry-After` counts as this."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and for how long, a failed call is retried.

    Reads, deletions, and writes with an idempotency key are retried after a failed or broken connection, and after the
    statuses 408, 429, 502, 503, 504 and 529. Other writes are retried only if they certainly had no effect: after a
    refused connection, and after 429. `Retry-After`, in seconds or as a date, is the shortest wait. If it exceeds
    `deadline_s`, there is no further attempt.

    Attributes:
        attempts: Maximum number of requests, including the first; 1 disables retries.
        first_wait_s: Upper bound of the first wait, in seconds. It doubles with each attempt; the wait is random
            between zero and the bound.
        max_wait_s: Maximum of this upper bound, in seconds.
        deadline_s: Seconds after the start of the first attempt, after which no further attempt starts.
    """

    attempts: int = 4
    first_wait_s: float = 0.5
    max_wait_s: float = 8.0
    deadline_s: float = 60.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: A number is out of range.
        """
        times = (self.first_wait_s, self.max_wait_s, self.deadline_s)
        numbers = all(isinstance(seconds, int | float) and seconds >= 0 for seconds in times)
        if not isinstance(self.attempts, int) or self.attempts < 1 or not numbers:
            raise UsageError(f"attempts must be a whole number above zero, and no time may be negative: {self!r}")

    def wants_retry(self, call: Call, outcome: Outcome) -> bool:
        """Return whether the call gets another attempt after this outcome."""
        if self.attempts == 1 or not is_retryable(outcome):
            return False
        return call.repeatable or _did_nothing(outcome)


def checked_policy(retry: RetryPolicy | None) -> RetryPolicy:
    """Return the caller's policy; for None, one that never retries.

    Raises:
        UsageError: The value is neither a policy nor None.
    """
    if retry is None:
        return RetryPolicy(attempts=1)
    if not isinstance(retry, RetryPolicy):
        raise UsageError(f"retry must be a RetryPolicy, such as RetryPolicy(attempts=3), or None, not {retry!r}")
    return retry


def _did_nothing(outcome: Outcome) -> bool:
    """Return whether the call certainly had no effect at the backend."""
    if isinstance(outcome, Response):
        return outcome.status == _TOO_MANY
    return isinstance(outcome, TransportError) and not outcome.outcome_unknown


def is_retryable(outcome: Outcome) -> bool:
    """Return whether the same call may succeed if it is made again."""
    return outcome.retryable if isinstance(outcome, PolysessionError) else outcome.status in _RETRYABLE


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait, in either of its forms; None if unreadable.

    Args:
        headers: Headers of the response. A date is compared with their `Date`, which is by the server's clock.
        now: The time by our clock, for a response without `Date`.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_S)
    moment = _date(text)
    if moment is None:
        return None
    return min(max(0.0, (moment - (_date(headers.get("date", "")) or now)).total_seconds()), LONGEST_WAIT_S)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # OverflowError for a year of many digits
        return None
    # The date form is in GMT by definition; "-0000" reads as no zone.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def tenacity_settings(policy: RetryPolicy, call: Call, left_s: float, clock: Callable[[], datetime]) -> dict[str, Any]:
    """Return the settings that both the sync and the async loop of tenacity use.

    The loops run a function that returns an `Outcome`; its first call returns the failure that started the retries.

    Args:
        policy: The caller's retry policy.
        call: The call to repeat.
        left_s: Seconds from now during which further attempts may start.
        clock: Returns the time, to read a `Retry-After` date.
    """
    import tenacity  # noqa: PLC0415  (only a failure needs it; a good call never pays for the import)

    jitter = tenacity.wait_random_exponential(multiplier=policy.first_wait_s, max=policy.max_wait_s)

    def wait(state: RetryCallState) -> float:
        outcome = _outcome(state)
        asked = retry_after_s(outcome.headers, clock()) if isinstance(outcome, Response) else None
        return effect_source.wait_s(max(jitter(state), asked or 0.0))

    return {
        "retry": tenacity.retry_if_result(lambda outcome: policy.wants_retry(call, outcome)),
        "wait": wait,
        "stop": tenacity.stop_any(
            tenacity.stop_after_attempt(policy.attempts),
            tenacity.stop_before_delay(max(0.0, left_s)),
        ),
        "retry_error_callback": _outcome,
    }


def _outcome(state: RetryCallState) -> Outcome:
    if state.outcome is None:  # tenacity asks only after an attempt
        raise AssertionError("tenacity asked before the first attempt")
    outcome: Outcome = state.outcome.result()
    return outcome
