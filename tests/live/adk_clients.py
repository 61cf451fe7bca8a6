"""Helpers for tests on the real ADK API server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from polysession import Client, Event, RetryPolicy, Session, TurnResult

LIMIT_S: Final = 60.0
_AT_ONCE: Final = RetryPolicy(attempts=4, first_wait_s=0.0, max_wait_s=0.05)


def open_client(base_url: str, user: str | None, **options: Any) -> Client:
    """Return a client for the sessions of one user, or of several users."""
    return Client("adk", **{"base_url": base_url, "app": "assistant", "user_id": user, "retry": _AT_ONCE, **options})


def run(client: Client, session: Session, content: Any) -> tuple[list[Event], TurnResult]:
    """Return the events of a turn, and its result."""
    with client.sessions.run(session, content, deadline_s=LIMIT_S) as turn:
        events = list(turn)
        return events, turn.result


def of(kind: type[Any], events: Sequence[Event]) -> list[Any]:
    """Return the events of one type."""
    return [event for event in events if isinstance(event, kind)]


def eventually(look: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    deadline_s = time.monotonic() + LIMIT_S
    while not look():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
