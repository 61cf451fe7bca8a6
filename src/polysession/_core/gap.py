"""Reports where a reopened stream lacks events that the backend sends only live. Pure."""

from __future__ import annotations

from typing import Final

from polysession.event import (
    Event,
    MessageCompleted,
    MessageDelta,
    StreamGap,
    ThinkingCompleted,
    ThinkingDelta,
    ThinkingStarted,
)
from polysession.message import Role

_WATCHED: Final = frozenset({MessageCompleted, MessageDelta, ThinkingCompleted, ThinkingDelta, ThinkingStarted})


class GapWatch:
    """After a broken stream, compares the received pieces of a message with the whole message that follows.

    A thought may have no pieces: then its start may be missing.

    Args:
        not_replayed: Types of events that a reopened stream does not send again; if empty, there is nothing to watch.
        may_lack: Whether something may be missing before the first event.

    Attributes:
        texts: The pieces of the message that is being written; None if there is nothing to watch.
    """

    def __init__(self, not_replayed: tuple[str, ...], *, may_lack: bool = False) -> None:
        self.texts: list[str] | None = [] if not_replayed else None
        self._thoughts: list[str] = []
        self._starts_are_watched = "thinking.started" in not_replayed
        self._thought_started = not self._starts_are_watched
        self._not_replayed = not_replayed
        self._may_lack = may_lack
        self._was_cut = {"message": False, "thinking": False}

    def connection_ended(self) -> None:
        """Note that pieces may be missing from here on, until pieces come again."""
        self._may_lack = True
        self._was_cut = {"message": any(self.texts or ()), "thinking": any(self._thoughts)}

    def gap_before(self, event: Event) -> StreamGap | None:
        """Return the gap before the next event if pieces of that event are missing since the stream broke."""
        if self.texts is None or type(event) not in _WATCHED:
            return None
        if isinstance(event, MessageDelta):
            self.texts.append(event.text)
        elif isinstance(event, ThinkingDelta):
            self._thoughts.append(event.text)
        elif isinstance(event, ThinkingStarted):
            self._thought_started = True
        elif isinstance(event, ThinkingCompleted):
            is_announced, self._thought_started = self._thought_started, not self._starts_are_watched
            return self._compared(event, "thinking", self._thoughts, event.text, is_announced=is_announced)
        elif isinstance(event, MessageCompleted) and event.message.role is Role.ASSISTANT:
            return self._compared(event, "message", self.texts, event.message.text)
        return None

    def _compared(
        self, event: Event, kind: str, pieces: list[str], whole: str, *, is_announced: bool = True
    ) -> StreamGap | None:
        was_cut, self._was_cut[kind] = self._was_cut[kind], False
        text = "".join(pieces) if self._may_lack else ""
        pieces.clear()
        if not self._may_lack:
            return None
        if text != whole or not is_announced:
            self._may_lack = False
            lost = self._not_replayed
            return StreamGap(session_id=event.session_id, turn_id=event.turn_id, lost=lost, synthetic=True)
        if text and not was_cut:
            self._may_lack = False
        return None
