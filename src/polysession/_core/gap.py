"""Says where a reopened stream lacks what was told only while it happened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from polysession.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    StreamGap,
    ThinkingCompleted,
    ThinkingDelta,
)
from polysession.message import Role


class GapWatch:
    """Compares what was heard in pieces with the whole that follows them, after the stream broke.

    Args:
        not_replayed: Types of events that a reopened stream does not tell again; without any there is nothing to watch.
        may_lack: Whether something may be missing before the first event.
    """

    def __init__(self, not_replayed: tuple[str, ...], *, may_lack: bool = False) -> None:
        self._not_replayed = not_replayed
        self._may_lack = may_lack
        self._said = _Heard()
        self._thought = _Heard()

    def broke_off(self) -> None:
        """From here on something may be missing, until pieces come again."""
        self._may_lack = True
        for heard in (self._said, self._thought):
            heard.was_cut = any(heard.pieces)

    def take(self, events: Iterable[Event]) -> Sequence[Event]:
        """The events, with a gap before the first of which pieces are missing since the stream broke."""
        told: list[Event] = []
        for event in events:
            gap = self.gap_before(event)
            told += (event,) if gap is None else (gap, event)
        return told

    def gap_before(self, event: Event) -> StreamGap | None:
        """The gap before the next event, if pieces of it are missing since the stream broke."""
        if not self._not_replayed:
            return None
        if isinstance(event, MessageDelta):
            self._said.pieces.append(event.text)
        elif isinstance(event, ThinkingDelta):
            self._thought.pieces.append(event.text)
        elif isinstance(event, ThinkingCompleted):
            heard, self._thought = self._thought, _Heard()
            return self._compared(event, heard, event.text)
        elif isinstance(event, MessageCompleted) and event.message.role is Role.ASSISTANT:
            heard, self._said = self._said, _Heard()
            return self._compared(event, heard, event.message.text)
        return None

    def _compared(self, event: Event, heard: _Heard, whole: str) -> StreamGap | None:
        if not self._may_lack:
            return None
        text = "".join(heard.pieces)
        if text != whole:
            self._may_lack = False
            return StreamGap(
                session_id=event.session_id, turn_id=event.turn_id, lost=self._not_replayed, synthetic=True
            )
        if text and not heard.was_cut:
            self._may_lack = False
        return None


@dataclass(slots=True)
class _Heard:
    """The pieces of what is being told.

    Attributes:
        pieces: What they have told so far.
        was_cut: Whether the stream broke meanwhile.
    """

    pieces: list[str] = field(default_factory=list)
    was_cut: bool = False
