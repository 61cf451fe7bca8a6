"""What was told of the messages and thoughts of one stream. Pure."""

from __future__ import annotations

from typing import Final

MESSAGE: Final = "output.message"
THINKING: Final = "reason.thinking"
"""What is written in pieces: the first parts of the names of events."""

_REMEMBERED: Final = 100
"""Completed messages whose late deltas are known: far more than a turn makes while its last deltas are on their way."""


class Told:
    """What was told in pieces, and how much of a live delta is news."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[str | None, str]] = {}
        self._completed: dict[str, None] = {}
        self._thought = ""

    def forget(self, part: str | None = None) -> None:
        """A turn begins or ends, or only a message or a thought begins anew."""
        if part is None:
            self._texts.clear()
        else:
            self._texts.pop(part, None)

    def beyond(self, part: str, message_id: str | None, delta: str, accumulated: str | None) -> str | None:
        """What a live delta tells beyond what was told before; None for nothing."""
        if message_id in self._completed or (part != MESSAGE and self._was_thought(delta, accumulated)):
            return None
        told_id, told = self._texts.get(part, (message_id, ""))
        if told_id != message_id:
            told = ""
        text = told + delta if accumulated is None else accumulated
        if told and told.startswith(text):
            return None
        self._texts[part] = (message_id, text)
        return text.removeprefix(told)

    def complete_message(self, message_id: str) -> None:
        """A message is told whole: its late deltas tell nothing any more."""
        self._completed[message_id] = None
        if len(self._completed) > _REMEMBERED:
            del self._completed[next(iter(self._completed))]

    def complete_thinking(self, part: str, whole: str) -> None:
        """Thoughts have no id: what is known of their late deltas is the rest of the text."""
        _, told = self._texts.get(part, (None, ""))
        self._thought = whole.removeprefix(told) if whole.startswith(told) else ""

    def _was_thought(self, delta: str, accumulated: str | None) -> bool:
        if accumulated is not None or not delta:
            return False
        is_late = self._thought.startswith(delta)
        self._thought = self._thought.removeprefix(delta) if is_late else ""
        return is_late
