"""What the events of one stream need to know of those before them. Pure."""

from __future__ import annotations

import json
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
        is_simple: Whether it is that, and the backend did not begin it anew: then each piece is news.
        pieces: As long as each was news, what was delivered: the indexes of blocks and their texts, or a delta's JSON,
            which holds both.
    """

    __slots__ = ("_delivered", "_is_replayed", "_received", "is_message", "is_simple", "pieces")

    def __init__(self, kind: str) -> None:
        self.is_message = self.is_simple = kind == "agent.message"
        self._is_replayed = False
        self.pieces: list[tuple[int, str] | bytes] = []
        self._delivered: dict[int, int] = {}
        self._received: dict[int, int] = {}

    def restart(self) -> None:
        """The backend replays it from its beginning."""
        for index, text in map(_read_piece, self.pieces):
            self._delivered[index] = self._delivered.get(index, 0) + len(text)
        self._is_replayed, self.is_simple = True, False
        self.pieces.clear()
        self._received.clear()

    def add(self, index: int, text: str) -> str:
        """What of this piece was not delivered yet."""
        if not self._is_replayed:
            self.pieces.append((index, text))
            return text
        before = self._received.get(index, 0)
        after = self._received[index] = before + len(text)
        delivered = self._delivered.get(index, 0)
        self._delivered[index] = max(delivered, after)
        return text[max(0, delivered - before) :]


def _read_piece(piece: tuple[int, str] | bytes) -> tuple[int, str]:
    if isinstance(piece, tuple):
        return piece
    delta = json.loads(piece)["delta"]
    return delta["index"], delta["content"]["text"]


@dataclass(slots=True)
class StreamState:
    """What the events of one stream need to know of those before them."""

    seen: RecentIds = field(default_factory=lambda: RecentIds(_REMEMBERED_IDS))
    tool_uses: dict[str, PendingAction] = field(default_factory=dict)
    previews: dict[str, Preview] = field(default_factory=dict)
    turn_is_open: bool = False
    is_rescheduled: bool = False
    error: str | None = None
