"""Plans of Qoder's streams and turns: how a stream resumes, and how a turn is recognised.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/stream and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Sequence

from polysession.provider_api import (
    Call,
    Event,
    Flow,
    Head,
    Items,
    MalformedResponse,
    Reconcile,
    SessionRef,
    TurnStarted,
)
from polysession_managed_agents.events import TurnMark
from polysession_managed_agents.history import NEWEST_FIRST, walk
from polysession_managed_agents.messages import head_of
from polysession_managed_agents.turns import ManagedStream, ManagedTurn
from polysession_qoder.events import EventReader
from polysession_qoder.sessions import QODER


class QoderStream(ManagedStream):
    """Plan of a stream that starts at a position.

    The backend replays the stored events after the position.
    """

    reader_type = EventReader
    not_replayed = ("message.started", "message.delta", "thinking.started", "thinking.delta")

    def open(self) -> Call:
        """Open the stream after the last stored event.

        Without one, the stream begins with the next event.

        Raises:
            MalformedResponse: The id of the last stored event cannot be sent in a header.
        """
        if self._after is None:
            return self._opening({})
        if not (self._after.isascii() and self._after.isprintable() and " " not in self._after):
            raise MalformedResponse(
                f"the stream cannot resume after the event {self._after!r}: the id cannot be sent in a header"
            )
        return self._opening({"last-event-id": self._after})

    def opened(self, _head: Head, *, again: bool) -> Items:
        """Ask for missed events, if there is no event id after which the backend can replay."""
        return (Reconcile(),) if self._after is None and (again or self.is_resumed) else ()

    def reconcile(self) -> Flow[Items]:
        """Complete and deliver the held events.

        If there are none, read and deliver all stored events.
        """
        if self._held:
            return (yield from super().reconcile())
        stored = yield from walk(QODER, self._ref, {}, lambda _: False)
        return [item for content in stored for item in self._deliver(self._reader.read(content))]


class QoderTurn(QoderStream, ManagedTurn):
    """Plan of a turn that a message starts, or that answers continue."""

    def __init__(
        self, ref: SessionRef, reader: EventReader, after: str | None, mark: TurnMark, to_send: Call | None = None
    ) -> None:
        super().__init__(ref, reader, after, mark, to_send)
        self._start = after

    def _proves(self, event: Event) -> bool:
        """Return whether an event is our input, or happened after the backend accepted our input.

        The backend accepts input only if no turn is in progress, and starts no other turn before ours ends.
        """
        mark = self._mark
        if event.id in mark.sent_ids:
            return True
        if event.turn_id is not None and event.turn_id == mark.turn_id:
            return True
        if self._is_sent(event.native_type, event.source):
            return True
        is_later = self._is_later(event)
        if is_later is None and not mark.sent_ids:  # Qoder's API of May 2026 returns no event ids
            return self._to_send is not None and isinstance(event, TurnStarted)
        return bool(is_later)

    def _is_later(self, event: Event) -> bool | None:
        """Return whether an event is later than our input; None if the times do not decide it."""
        accepted_at = self._mark.accepted_at
        if accepted_at is None or event.created_at is None or event.created_at == accepted_at:
            return None
        return event.created_at > accepted_at

    def _is_unclear(self, events: Sequence[Event]) -> bool:
        """Return whether these events may end another client's turn, or are incomplete."""
        may_be_foreign = self._is_later(events[-1]) is None and not any(self.is_ours(event) for event in events)
        return may_be_foreign or super()._is_unclear(events)

    def reconcile(self) -> Flow[Items]:
        """Also check in the history whether the held end of a turn came after our input."""
        if self._held and not self._mark.is_proven and (yield from self._ends_our_turn(self._held[0][-1])):
            self._note(is_proven=True)
        return (yield from super().reconcile())

    def _ends_our_turn(self, end: Event) -> Flow[bool]:
        """Return whether an end is later in the history than our input, or ends the newest turn."""

        def is_ours(item: bytes) -> bool:
            head = head_of(item)
            return head.id in self._mark.sent_ids or self._is_sent(head.type, item)

        def is_enough(items: Sequence[bytes]) -> bool:
            return any(head_of(item).id == self._start or is_ours(item) for item in items)

        is_newer = has_successor = False
        for item in (yield from walk(QODER, self._ref, NEWEST_FIRST, is_enough)):
            head = head_of(item)
            is_newer = is_newer or head.id == end.id
            if is_ours(item):
                return is_newer
            has_successor = has_successor or (head.type == "session.status_running" and not is_newer)
        return is_newer and not has_successor
