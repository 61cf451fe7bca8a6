"""Cursors between the events that a plan reads at once.

A plan has a cursor for what it has read whole: a frame, a poll, a part of the history. A caller may leave between two
events of that. Then the cursor is the plan's cursor before all of them, followed by a mark of each event that was
delivered: `plan~1a2b3c4d5e6f7a8b`. The stream that continues there reads them again, and leaves out what is marked.
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
"""Stands in no base64url text, and needs no escape in a shell or in an address."""
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
    """The cursor after an event that is not the last one of those that were read with it.

    Args:
        cursor: The cursor before it: the plan's, or the result of an earlier call.
        event: The event.
    """
    cursor = cursor or ""
    return f"{cursor}{'' if _SEPARATOR in cursor else _SEPARATOR}{_mark(event)}"


def plan_cursor(cursor: str | None) -> str | None:
    """The cursor of the plan in a caller's cursor."""
    match = None if cursor is None else _MARKED.fullmatch(cursor)
    return cursor if match is None else match[1]


class DeliveredEvents:
    """The events at the beginning of a stream that were delivered before it.

    Args:
        cursor: The caller's cursor, with their marks; None for a stream that begins now.

    Attributes:
        marks: The marks of those that are still expected.
    """

    def __init__(self, cursor: str | None) -> None:
        match = None if cursor is None else _MARKED.fullmatch(cursor)
        digits = "" if match is None else match[2]
        self.marks = [digits[at : at + _MARK_DIGITS] for at in range(0, len(digits), _MARK_DIGITS)]

    def include(self, event: Event) -> bool:
        """Whether the next event is one of them.

        After the first that differs none is: the history is another one. Gaps, and fragments of a whole that was
        delivered, may come again before it.
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
