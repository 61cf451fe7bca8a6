"""What the events of one stream need to know of those before them. Pure."""

from __future__ import annotations

from collections import Counter
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
        is_replayed: Whether the backend began it anew, so that some of its pieces were delivered before.
        pieces: Until then, what was delivered: the indexes of blocks, and their texts.
    """

    __slots__ = ("_delivered", "_received", "is_message", "is_replayed", "pieces")

    def __init__(self, kind: str) -> None:
        self.is_message = kind == "agent.message"
        self.is_replayed = False
        self.pieces: list[tuple[int, str]] = []
        self._delivered: Counter[int] = Counter()
        self._received: Counter[int] = Counter()

    def restart(self) -> None:
        """The backend replays it from its beginning."""
        for index, text in self.pieces:
            self._delivered[index] += len(text)
        self.is_replayed = True
        self.pieces.clear()
        self._received.clear()

    def add(self, index: int, text: str) -> str:
        """What of this piece was not delivered yet."""
        if not self.is_replayed:
            self.pieces.append((index, text))
            return text
        before = self._received[index]
        after = self._received[index] = before + len(text)
        delivered = self._delivered[index]
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
