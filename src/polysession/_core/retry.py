"""When a call is tried again, and after how long."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from polysession._core.flow import Call, Response
from polysession.errors import MalformedResponse, PolysessionError, TransportError, UsageError

if TYPE_CHECKING:
    from tenacity import RetryCallState

Outcome: TypeAlias = Response | TransportError | MalformedResponse
"""What one attempt brought."""

_RETRYABLE: Final = frozenset({408, 429, 502, 503, 504})
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_LONGEST_WAIT_S: Final = 1e9
"""About thirty years; whoever asks for more is told to have asked for this."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long, a failed call is tried again.

    Only calls that are safe to repeat are: reads, deletions, and writes that carry an idempotency key. What is
    retried: a connection that failed or broke, and the statuses 408, 429, 502, 503 and 504. `Retry-After` is honoured,
    in seconds or as a date.

    Attributes:
        attempts: Requests in all, the first included; 1 never retries.
        first_wait_s: Upper bound of the first wait, in seconds. It doubles each time, and the wait is drawn evenly
            between zero and the bound.
        max_wait_s: Where the doubling stops.
        deadline_s: No further attempt starts later than this after the first began.
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
        if self.attempts < 1 or not all(seconds >= 0 for seconds in times):
            raise UsageError(f"{self!r}: attempts must be at least 1, and no time may be negative")

    def wants_retry(self, call: Call, outcome: Outcome) -> bool:
        """Whether the call deserves another attempt after this outcome."""
        return call.repeatable and self.attempts > 1 and is_retryable(outcome)


def is_retryable(outcome: Outcome) -> bool:
    """Whether the same call may succeed if it is made again."""
    return outcome.retryable if isinstance(outcome, PolysessionError) else outcome.status in _RETRYABLE


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks to wait, in either of its forms; None if it says nothing readable."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year of many digits
        return None
    if moment.tzinfo is None:  # the date form is in GMT by definition; "-0000" reads as no zone
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def tenacity_settings(policy: RetryPolicy, left_s: float, clock: Callable[[], datetime]) -> dict[str, Any]:
    """The one set of settings that both of tenacity's loops are given.

    The loops run a function that returns an `Outcome`; its first call returns the failure that made us enter.

    Args:
        policy: The caller's wishes.
        left_s: Seconds from now in which further attempts may start.
        clock: Tells the time, to read a `Retry-After` date.
    """
    import tenacity  # noqa: PLC0415  (only a failure needs it; a good call never pays for the import)

    jitter = tenacity.wait_random_exponential(multiplier=policy.first_wait_s, max=policy.max_wait_s)

    def wait(state: RetryCallState) -> float:
        outcome = _outcome(state)
        asked = retry_after_s(outcome.headers, clock()) if isinstance(outcome, Response) else None
        return jitter(state) if asked is None else asked

    return {
        "retry": tenacity.retry_if_result(is_retryable),
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
