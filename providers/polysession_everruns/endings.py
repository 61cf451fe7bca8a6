"""How turns end, in the words of Everruns. Pure.

Backend: https://docs.everruns.com, event pages; newer servers: https://crates.io/crates/everruns-contracts, 0.50.1
(read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from polysession.provider_api import Outcome

_STOPPED: Final[Mapping[str, Outcome]] = {
    "max_tokens": Outcome.LIMIT_REACHED,
    "max_turn_requests": Outcome.LIMIT_REACHED,
    "refusal": Outcome.FAILED,
    "error": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    # The model's own word, where the turn has none.
    "length": Outcome.LIMIT_REACHED,
    "content_filter": Outcome.FAILED,
}
"""Why a turn that newer servers call completed was no success. Older ones do not say."""

_SEALED: Final[Mapping[str, Outcome]] = {"budget": Outcome.LIMIT_REACHED, "no_progress": Outcome.FAILED}


def completed_turn(reason: str) -> tuple[Outcome, str, str | None]:
    """The outcome of a turn that the server calls completed, the word for it, and what went wrong.

    Args:
        reason: Why it ended; empty if the server does not say.
    """
    outcome = _STOPPED.get(reason, Outcome.COMPLETED)
    error = f"the turn ended with {reason!r}" if outcome is Outcome.FAILED else None
    return outcome, "completed" if outcome is Outcome.COMPLETED else reason, error


def sealed_turn(reason: str, detail: str | None) -> tuple[Outcome, str, str | None]:
    """The same of one that the server closed for good."""
    outcome = _SEALED.get(reason, Outcome.FAILED)
    return outcome, reason, (detail or reason) if outcome is Outcome.FAILED else None
