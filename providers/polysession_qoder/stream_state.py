"""What the events of one stream need to know of those before them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from polysession.provider_api import PendingAction, RecentIds

_REMEMBERED_IDS: Final = 10_000


class Preview:
    """An event that is being written: how much of each of its blocks was delivered.

    Args:
        kind: Type of the event.

    Attributes:
        is_message: Whether it is one of the agent's messages.
    """

    __slots__ = ("_delivered", "_is_replayed", "_received", "is_message")

    def __init__(self, kind: str) -> None:
        self.is_message = kind == "agent.message"
        self._delivered: dict[int, int] = {}
        self._received: dict[int, int] = {}
        self._is_replayed = False

    def restart(self) -> None:
        """The backend replays it from its beginning."""
        self._is_replayed = True
        self._received.clear()

    def add(self, index: int, text: str) -> str:
        """What of this piece was not delivered yet."""
        delivered = self._delivered.get(index, 0)
        if not self._is_replayed:
            self._delivered[index] = delivered + len(text)
            return text
        before = self._received.get(index, 0)
        after = self._received[index] = before + len(text)
        self._delivered[index] = max(delivered, after)
        return text[max(0, delivered - before) :]


@dataclass(slots=True)
class StreamState:
    """What the events of one stream need to know of those before them."""

    seen: RecentIds = field(default_factory=lambda: RecentIds(_REMEMBERED_IDS))
    tool_uses: dict[str, PendingAction] = field(default_factory=dict)
    previews: dict[str, Preview] = field(default_factory=dict)
    turn_is_open: bool = False
    is_rescheduled: bool = False
    error: str | None = None
