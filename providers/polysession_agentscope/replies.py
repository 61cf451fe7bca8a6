"""What the events of one stream need to know of those before them, reply by reply. Pure.

Backend: `GET /sessions/{id}/stream` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from polysession.provider_api import Usage
from polysession_agentscope.actions import OpenCalls
from polysession_agentscope.message_normaliser import to_usage
from polysession_agentscope.wire_events import WireEvent, WireSource, WireUsage

_COUNTS: Final = tuple(WireUsage.model_fields)


class Phase(Enum):
    """How far a reply has come. One that waits for an answer goes on in another turn."""

    NEW = "new"
    OPEN = "open"
    PARKED = "parked"
    OVER = "over"


@dataclass(slots=True)
class ReplyState:
    """A reply, in the middle of its events.

    Attributes:
        id: Its id.
        phase: How far it has come.
        told: Keys of the blocks that were told whole.
        calls: Its open tool calls.
        announced: What the caller was told in this turn that the agent waits for.
        names: Names of the tools that are called, by call.
        was_answered: An answer has started this turn, and the reply has not been started again yet.
        hit_limit: It made as many model calls as it may.
    """

    id: str
    phase: Phase = Phase.NEW
    told: set[str] = field(default_factory=set)
    calls: OpenCalls = field(default_factory=OpenCalls)
    announced: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    was_answered: bool = False
    hit_limit: bool = False
    _pieces: dict[str, list[str]] = field(default_factory=dict)
    _media: dict[str, list[WireEvent]] = field(default_factory=dict)
    _usage: Counter[str] = field(default_factory=Counter)
    _usage_before: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, block_id: str | None, piece: str | None) -> str:
        """Note a piece of a block, and give it back."""
        self._pieces.setdefault(f"{kind}:{block_id}", []).append(piece or "")
        return piece or ""

    def take(self, kind: str, block_id: str | None) -> str:
        """The whole of a block, which is told by that."""
        key = f"{kind}:{block_id}"
        self.told.add(key)
        return "".join(self._pieces.pop(key, ()))

    def add_media(self, part: WireEvent) -> None:
        """Note a part of a block of data."""
        self._media.setdefault(part.block_id or "", []).append(part)

    def take_media(self, block_id: str | None) -> tuple[WireSource, str | None]:
        """The content of a block of data, which is told by that, and its name. Each piece is encoded for itself."""
        self.told.add(f"data:{block_id}")
        parts = self._media.pop(block_id or "", [])
        pieces = [base64.b64decode(part.data) for part in parts if part.data is not None]
        source = WireSource(
            data=base64.b64encode(b"".join(pieces)).decode() if pieces else None,
            url=next((part.url for part in parts if part.url is not None), None),
            media_type=next((part.media_type for part in parts if part.media_type is not None), None),
        )
        return source, next((part.name for part in parts if part.name is not None), None)

    def count(self, counts: WireUsage | WireEvent) -> Usage:
        """Add to what this turn has consumed, and tell what was added."""
        self._usage.update({name: value for name in _COUNTS if (value := getattr(counts, name)) is not None})
        return to_usage(counts)

    def count_rest(self, stored: WireUsage | None) -> Usage | None:
        """What the stored message has counted and nobody has told; None if there is nothing."""
        counted = self._usage + self._usage_before
        total = {name: value for name in _COUNTS if (value := getattr(stored, name, None)) is not None}
        rest = {name: max(0, value - counted[name]) for name, value in total.items()}
        is_news = any(rest.values()) or not (self._usage or self._usage_before)
        return self.count(WireUsage(**rest)) if total and is_news else None

    def close(self, phase: Phase) -> Usage | None:
        """End the turn: what it has consumed. The reply may go on in another one."""
        usage, self._usage = self._usage, Counter()
        self._usage_before.update(usage)
        self.phase, self.announced = phase, set()
        if phase is Phase.OVER:
            self.calls.clear()
            self._pieces.clear()
        return to_usage(WireUsage(**usage)) if usage else None


def key_of(raw: Mapping[str, Any]) -> str:
    """What tells a stored block from all others of its message: a tool's call and its result share one id."""
    return f"{raw.get('type')}:{raw.get('id')}"
