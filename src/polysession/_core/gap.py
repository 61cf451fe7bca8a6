"""Says where a reopened stream lacks what was told only while it happened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
            heard.was_cut = bool(heard.text)

    def take(self, events: Iterable[Event]) -> list[Event]:
        """The events, with a gap before the first of which pieces are missing since the stream broke."""
        return list(events) if not self._not_replayed else [told for event in events for told in self._told(event)]

    def _told(self, event: Event) -> Iterator[Event]:
        if isinstance(event, MessageDelta):
            self._said.text += event.text
        elif isinstance(event, ThinkingDelta):
            self._thought.text += event.text
        elif isinstance(event, MessageCompleted) and event.message.role is Role.ASSISTANT:
            heard, self._said = self._said, _Heard()
            yield from self._compared(event, heard, event.message.text)
        elif isinstance(event, ThinkingCompleted):
            heard, self._thought = self._thought, _Heard()
            yield from self._compared(event, heard, event.text)
        yield event

    def _compared(self, event: Event, heard: _Heard, whole: str) -> Iterator[Event]:
        if self._may_lack and heard.text != whole:
            self._may_lack = False
            yield StreamGap(session_id=event.session_id, turn_id=event.turn_id, lost=self._not_replayed, synthetic=True)
        elif heard.text and not heard.was_cut:
            self._may_lack = False


@dataclass(slots=True)
class _Heard:
    """The pieces of what is being told.

    Attributes:
        text: What they have told so far.
        was_cut: Whether the stream broke meanwhile.
    """

    text: str = ""
    was_cut: bool = False
