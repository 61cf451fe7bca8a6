"""The event log of a session of the Everruns emulator.

Backend: https://docs.everruns.com, events (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from polysession.emulation import EventLog
from polysession_everruns.emulator.ids import ordered_id

Json = dict[str, Any]

DELTA_TYPES: Final = frozenset({"output.message.delta", "reason.thinking.delta"})

_MESSAGE_TYPES = frozenset({"input.message", "output.message.completed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the event log.

    Attributes:
        event: The JSON of the event.
        is_stored: Whether the event is stored. Only streams that are open at that time get other events.
    """

    event: Json
    is_stored: bool


class SessionLog:
    """The events of one session. Stored events are numbered from 1, without gaps."""

    def __init__(self, session_id: str, *, keeps_deltas: bool) -> None:
        self.entries: EventLog[Entry] = EventLog()
        self._session_id = session_id
        self._keeps_deltas = keeps_deltas
        self._last_sequence = 0

    def write(
        self,
        event_type: str,
        data: Mapping[str, Any],
        *,
        context: Mapping[str, str] | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        """Add an event. Values that are None are left out of its data."""
        is_stored = self._keeps_deltas or event_type not in DELTA_TYPES
        event: Json = {
            "id": ordered_id("event_"),
            "type": event_type,
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "session_id": self._session_id,
            "context": dict(context or {}),
            "data": {name: value for name, value in data.items() if value is not None},
        }
        if is_stored:
            self._last_sequence += 1
            event["sequence"] = self._last_sequence
        if tags:
            event["tags"] = list(tags)
        self.entries.append(Entry(event, is_stored))

    @property
    def events(self) -> list[Json]:
        """The stored events, oldest first."""
        return [entry.event for entry in self.entries.entries if entry.is_stored]

    @property
    def messages(self) -> list[Json]:
        """The messages, with the `session_id` and the `sequence` of the list of messages."""
        return [
            {**event["data"]["message"], "session_id": self._session_id, "sequence": event["sequence"]}
            for event in self.events
            if event["type"] in _MESSAGE_TYPES
        ]
