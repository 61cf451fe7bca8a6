"""Cursors between events that a plan reads together.

A plan has a cursor after each whole unit that it reads: a frame, a poll, a part of the history. A caller may leave
between two events of one unit. The cursor is then the plan's cursor before the unit, followed by a mark of each event
that was delivered: `plan~1a2b3c4d5e6f7a8b`. The stream that continues from it reads the unit again, and skips the
marked events.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from polysession.event import (
    Event,
    MessageDelta,
    MessageStarted,
    StreamGap,
    ThinkingDelta,
    ThinkingStarted,
    ToolCallDelta,
    ToolCallStarted,
    ToolResultDelta,
)

_SEPARATOR: Final = "~"
"""A character that base64url text never contains, and that needs no escape in a shell or in a URL."""
_MARKED: Final = re.compile(rf"(.*){_SEPARATOR}((?:[0-9a-f]{{8}})+)", re.DOTALL)
_MARK_DIGITS: Final = 8
_BEFORE_A_WHOLE: Final = (
    StreamGap,
    MessageStarted,
    MessageDelta,
    ThinkingStarted,
    ThinkingDelta,
    ToolCallStarted,
    ToolCallDelta,
    ToolResultDelta,
)


def cursor_after(cursor: str | None, event: Event) -> str:
    """Return the cursor after an event that is not the last event of its unit.

    Args:
        cursor: The cursor before the event: the plan's, or the result of an earlier call.
        event: The event.
    """
    cursor = cursor or ""
    return f"{cursor}{'' if _SEPARATOR in cursor else _SEPARATOR}{_mark(event)}"


def plan_cursor(cursor: str | None) -> str | None:
    """Return the plan's cursor: a caller's cursor without its marks."""
    match = None if cursor is None else _MARKED.fullmatch(cursor)
    return cursor if match is None else match[1]


class DeliveredEvents:
    """The events at the beginning of a stream that an earlier stream already delivered.

    Args:
        cursor: The caller's cursor, with the marks of these events; None for a stream that begins now.

    Attributes:
        marks: The marks of the events that are still expected.
    """

    def __init__(self, cursor: str | None) -> None:
        match = None if cursor is None else _MARKED.fullmatch(cursor)
        digits = "" if match is None else match[2]
        self.marks = [digits[at : at + _MARK_DIGITS] for at in range(0, len(digits), _MARK_DIGITS)]

    def include(self, event: Event) -> bool:
        """Return whether the next event is one of these events.

        After the first event without its mark no event is skipped, because the history has changed. Gaps, and fragments
        of an event that was delivered whole, may come again before the marked event.
        """
        if not self.marks:
            return False
        if self.marks[0] == _mark(event):
            del self.marks[0]
            return True
        if isinstance(event, _BEFORE_A_WHOLE):
            return True
        self.marks.clear()
        return False


def _mark(event: Event) -> str:
    return f"{zlib.crc32(f'{event.type} {event.turn_id}'.encode()):0{_MARK_DIGITS}x}"
