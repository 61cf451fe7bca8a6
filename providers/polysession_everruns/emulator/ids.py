"""Ids that sort in the order of their creation: UUIDs of version 7, without dashes.

Backend: https://github.com/everruns/everruns, specs/events.md (read 2026-11)
"""

from __future__ import annotations

import secrets
import time

_COUNTER_BITS = 12
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1


class _Ticks:
    """A strictly increasing clock of milliseconds and a counter."""

    def __init__(self) -> None:
        self._last = 0

    def advance(self) -> int:
        now = (time.time_ns() // 1_000_000) << _COUNTER_BITS
        self._last = max(now, self._last + 1)
        return self._last


_TICKS = _Ticks()


def ordered_id(prefix: str) -> str:
    """Return an id of a prefix and 32 hexadecimal digits that sorts after all earlier ids."""
    ticks = _TICKS.advance()
    version = 7 << 76
    variant = 0b10 << 62
    number = (ticks >> _COUNTER_BITS) << 80 | version | (ticks & _COUNTER_MASK) << 64 | variant | secrets.randbits(62)
    return f"{prefix}{number:032x}"
