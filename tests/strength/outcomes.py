"""What each fault must come to: the tests hold the library to it, and `docs/generate.py` prints it.

Plain data, so that the documentation can be generated without the tests' packages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DRIVERS: Final = ("sync", "async")
TRIES: Final = 2
"""Attempts that the tests allow for a call."""

KEYED_WRITES: Final = {"agentscope": False, "everruns": False, "qoder": True}
"""Whether the writes of a provider carry an idempotency key, so that they are repeated."""


@dataclass(frozen=True)
class CallOutcome:
    """What a fault of a call comes to.

    Attributes:
        error: Name of the exception; empty where the call succeeds.
        again: Whether a call that may be repeated is.
        in_doubt: Whether a write may have been carried out.
    """

    error: str
    again: bool = False
    in_doubt: bool = True

    def told(self, *, repeatable: bool) -> str:
        """The outcome in words, for a call that may be repeated or may not."""
        tries = TRIES if self.again and repeatable else 1
        return f"{self.error or 'answer'}, {tries} {'tries' if tries > 1 else 'try'}"


_LOST = CallOutcome("ConnectionLost", again=True)
_NEVER_SENT = CallOutcome("ConnectFailed", again=True, in_doubt=False)
_LATE = CallOutcome("TimedOut", again=True)
_UNREADABLE = CallOutcome("MalformedResponse")
_LIMITED = CallOutcome("RateLimited", again=True, in_doubt=False)
_DOWN = CallOutcome("BackendFault", again=True)
_REDIRECTED = CallOutcome("UnexpectedRedirect", in_doubt=False)
_NO_FAULT = CallOutcome("", in_doubt=False)

CALLS: Final[dict[str, CallOutcome]] = {
    "connection refused": _NEVER_SENT,
    "reset before the headers": _LOST,
    "closed before the headers": _LOST,
    "reset in the headers": _LOST,
    "closed in the headers": _LOST,
    "reset after the headers": _LOST,
    "closed after the headers": _LOST,
    "reset in the body": _LOST,
    "closed in the body": _LOST,
    "reset at the border of a chunk": _LOST,
    "closed at the border of a chunk": _LOST,
    "half a UTF-8 character": _UNREADABLE,
    "stall before the headers": _LATE,
    "stall in the headers": _LATE,
    "stall after the headers": _LATE,
    "stall in the body": _LATE,
    "body in drops without end": _LATE,
    "slow bytes that come in time": _NO_FAULT,
    "not HTTP": _LOST,
    "head without end": _LOST,
    "empty success": _UNREADABLE,
    "HTML with success": _UNREADABLE,
    "HTML with 502": _DOWN,
    "HTML with 404": CallOutcome("NotFound", in_doubt=False),
    "500 in plain text": CallOutcome("BackendFault"),
    "JSON called text": _NO_FAULT,
    "JSON called HTML": _NO_FAULT,
    "429": _LIMITED,
    "429, Retry-After: 0": _LIMITED,
    "429, Retry-After in the past": _LIMITED,
    "429, Retry-After: soon": _LIMITED,
    "429, Retry-After: -5": _LIMITED,
    "429, Retry-After of an hour": CallOutcome("RateLimited", in_doubt=False),
    "429, Retry-After of a date in an hour": CallOutcome("RateLimited", in_doubt=False),
    "429, Retry-After of 30 digits": CallOutcome("RateLimited", in_doubt=False),
    "503": _DOWN,
    "503, Retry-After: 0": _DOWN,
    "503, Retry-After in the past": _DOWN,
    "503, Retry-After: soon": _DOWN,
    "503, Retry-After: -5": _DOWN,
    "503, Retry-After of an hour": CallOutcome("BackendFault"),
    "503, Retry-After of a date in an hour": CallOutcome("BackendFault"),
    "503, Retry-After of 30 digits": CallOutcome("BackendFault"),
    "oversized body": _UNREADABLE,
    "oversized body of an error": CallOutcome("BackendFault"),
    "gzip bomb": _UNREADABLE,
    "gzip garbage": _LOST,
    "gzip twice": _UNREADABLE,
    "unknown compression": _UNREADABLE,
    "deep nesting": _UNREADABLE,
    "redirect to itself": _REDIRECTED,
    "redirect to another host": _REDIRECTED,
    "no TLS behind https": _NEVER_SENT,
    "certificate that is sound": _NO_FAULT,
    "certificate of nobody": _NEVER_SENT,
    "certificate of another host": _NEVER_SENT,
    "certificate that has expired": _NEVER_SENT,
}
