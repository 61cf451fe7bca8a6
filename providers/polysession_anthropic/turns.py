"""Plans of Anthropic's streams and turns.

The backend replays nothing, so missed events come from the event list.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming and, for the way to reconnect, the
event runner of the SDK `anthropic` 2.14.0 (both read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from polysession.provider_api import (
    Call,
    Event,
    Flow,
    Head,
    Items,
    NotFound,
    Reconcile,
    SessionRef,
    Step,
    StreamGap,
    TurnEnded,
    TurnStarted,
)
from polysession_anthropic.events import EventReader, is_input
from polysession_anthropic.sessions import ANTHROPIC
from polysession_managed_agents.events import TurnMark
from polysession_managed_agents.history import NEWEST_FIRST, read_events
from polysession_managed_agents.messages import ANSWERED_IN, LAST_EVENTS, head_of
from polysession_managed_agents.turns import ManagedStream, ManagedTurn

_MAX_PAGES: Final = 10
"""Maximum number of pages of the event list that are read after a break.

Older events are lost.
"""
_STORED: Final = (
    *("session.status", "turn.started", "turn.ended", "message.completed", "thinking.completed"),
    *("tool_call.completed", "tool_result.completed", "action.required", "usage", "error", "raw"),
)
_MODEL_REQUEST: Final = "span.model_request_start"
_TURN_TYPES: Final = ("user.message", *ANSWERED_IN, "session.status_running", _MODEL_REQUEST, "session.status_idle")


class AnthropicStream(ManagedStream):
    """Plan of a stream.

    A connection sends only new events; older ones are read from the event list.
    """

    reader_type = EventReader
    not_replayed = ("message.started", "message.delta", "thinking.started")
    _reader: EventReader
    _is_behind = False  # events before this connection may be missing

    def open(self) -> Call:
        """Open the stream. It begins with the next event."""
        return self._opening({})

    def opened(self, _head: Head, *, again: bool) -> Items:
        """Ask for missed events, unless this is the first connection of a new stream."""
        self._is_behind = again or self.is_resumed
        self._reader.report_usage(is_empty=self._after is None and not self._is_behind)
        return (Reconcile(),) if self._is_behind else ()

    def _deliver(self, events: Sequence[Event]) -> Items:
        """Deliver input when it is first read.

        The position does not move past input that is not processed.
        """
        first = events[0] if events else None
        if first is None or first.id is None or not is_input(first.native_type):
            return super()._deliver(events)
        is_processed = first.created_at is not None
        is_first = self._reader.is_first_delivery(first.id, is_processed=is_processed)
        self._move_to(first.id if is_processed else self._after)
        return events if is_first else ()

    def reconcile(self) -> Flow[Items]:
        """Read the events before this connection, complete the held events, and deliver them."""
        if self._is_behind:
            yield from self._read_missed()
        return (yield from super().reconcile())

    def _read_missed(self) -> Flow[None]:
        """Read the missed events from the event list, and hold them for delivery.

        Raises:
            NotFound: The event list does not have the event after which the stream continues.
        """
        missed, is_whole = yield from self._read_back()
        self._is_behind = False
        if not is_whole:
            self._reader.forget_usage()
            self._held.append((StreamGap(session_id=self._ref.id, lost=_STORED, synthetic=True),))
        found = [self._reader.read(item) for item in reversed(missed)]
        self._held += [events for events in found if events]

    def _read_back(self) -> Flow[tuple[list[bytes], bool]]:
        """Read the event list from the newest event back to an event that was read before.

        Returns:
            The missed events, newest first, and whether they are complete.
        """
        missed: list[bytes] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            parameters = ANTHROPIC.page_parameters(ANTHROPIC.history_page, cursor)
            page = yield from read_events(ANTHROPIC, self._ref, {**NEWEST_FIRST, **parameters})
            for item in page.items:
                if self._reader.has_read(head_of(item).id):
                    return missed, True
                missed.append(item)
            cursor = page.next_cursor
            if cursor is None:
                break
        if cursor is None and self._after is not None:
            raise NotFound(
                f"the session has no event {self._after!r}, after which the stream should continue; start a new stream"
            )
        return missed, cursor is None


class AnthropicTurn(AnthropicStream, ManagedTurn):
    """Plan of a turn that a message starts, or that answers continue.

    A busy session queues input, so turns of other clients may end before ours starts. Our turn is the one in which our
    input is processed: the stream or the event list then has it with `processed_at`.
    """

    def __init__(
        self, ref: SessionRef, reader: EventReader, after: str | None, mark: TurnMark, to_send: Call | None = None
    ) -> None:
        self._queued: dict[str, Sequence[Event]] = {}  # our input, read before it was processed
        self._turn_events: Sequence[bytes] = ()  # the newest events of `_TURN_TYPES` in the event list
        self._started: str | None = None  # the start of a turn that may be ours
        self._is_busy = self._is_foreign = reader.in_turn  # another client's turn is in progress
        self._is_answered = False  # another client's input comes before the start of a turn, as answers do
        self._has_joined = False  # our input was sent in the middle of that turn
        super().__init__(ref, reader, after, mark, to_send)

    def _proves(self, event: Event) -> bool:
        """Return whether this event is our input, processed."""
        return event.created_at is not None and self._is_ours(event.id, event.native_type, event.source)

    def _is_ours(self, event_id: str | None, kind: str | None, content: bytes) -> bool:
        return event_id in self._mark.sent_ids or self._is_sent(kind, content)

    def _is_unclear(self, events: Sequence[Event]) -> bool:
        """Return whether these events may end another client's turn, or are incomplete."""
        may_be_foreign = not self._mark.is_proven and events[0].native_type not in LAST_EVENTS
        return may_be_foreign or super()._is_unclear(events)

    def _deliver(self, events: Sequence[Event]) -> Items:
        first = events[0] if events else None
        is_ours = first is not None and self._is_ours(first.id, first.native_type, first.source)
        if first is not None and is_input(first.native_type) and first.created_at is None and not is_ours:
            return ()  # queued input of another client
        if first is None or self._mark.is_proven:
            return super()._deliver(events)
        if is_ours:
            return self._deliver_input(events)
        last = events[-1]
        if isinstance(last, TurnEnded):
            return self._deliver_end(events, last)
        self._track_turn(first)
        if not (isinstance(first, TurnStarted) and self._queued) or self._held or self._is_foreign:
            return super()._deliver(events)
        self._started = first.id
        return (*super()._deliver(events), Reconcile())

    def _deliver_input(self, events: Sequence[Event]) -> Items:
        """Deliver our input when it is processed, which proves that the turn is ours.

        Hold it while it is queued.
        """
        first = events[0]
        if first.created_at is None and first.id is not None:
            self._queued[first.id] = events
            self._has_joined = self._is_busy
            return ()
        self._queued.pop(first.id or "", None)
        self._note(is_proven=True)
        return (*self._begin(), *super()._deliver(events))

    def _deliver_end(self, events: Sequence[Event], end: TurnEnded) -> Items:
        if self._is_flushed(end):
            return (*self._begin(), *self._claim(), *super()._deliver(events))
        if self._is_our_end(end):
            return (*self._claim(), *super()._deliver(events))
        self._is_busy = self._is_foreign = self._is_answered = self._has_joined = False
        self._reader.expect_turn()
        return super()._deliver(events)

    def _is_our_end(self, end: TurnEnded) -> bool:
        """Return whether our input was processed before this end, or was discarded with it."""
        return self._is_flushed(end) or self._turns_since_input(end.id) >= 0

    def _is_flushed(self, end: TurnEnded) -> bool:
        """Return whether our queued input was discarded with this end of a turn."""
        return bool(self._queued) and end.native_reason == "retries_exhausted"

    def _track_turn(self, first: Event) -> None:
        """Track whether another client's input started the turn in progress."""
        if isinstance(first, TurnStarted):
            self._is_busy, self._is_foreign, self._has_joined = True, self._is_answered, False
        elif is_input(first.native_type) and first.created_at is not None:
            self._is_answered = self._is_answered or not self._is_busy
            self._is_foreign = True
        elif first.native_type.startswith("agent."):
            self._is_busy = True
            self._has_joined = self._has_joined or self._is_foreign

    def _claim(self) -> Items:
        """Record that the turn in progress is ours, and return its held events.

        In the event list, our input may follow events that the stream has not delivered, so the position does not move.
        """
        self._note(is_proven=True)
        listed = {head_of(item).id: item for item in self._turn_events}
        queued, self._queued = self._queued, {}
        if self._has_joined:
            self._reader.forget_usage()
        items: list[Event | Step] = []
        for event_id, events in queued.items():
            self._reader.is_first_delivery(event_id, is_processed=False)
            items += EventReader(self._ref.id).read(listed[event_id]) if event_id in listed else events
        self._move_to(self._after)
        return items

    def _begin(self) -> Sequence[Event]:
        """Return a start of our turn, if our input joined a turn in progress.

        Earlier events are not ours.
        """
        if not self._has_joined:
            return ()
        self._reader.forget_usage()
        return (TurnStarted(session_id=self._ref.id, synthetic=True),)

    def reconcile(self) -> Flow[Items]:
        """Also check in the event list whether our input was processed in this turn."""
        if self._is_behind:
            yield from self._read_missed()
        if not self._mark.is_proven and (self._started is not None or self._has_unclear_end()):
            self._turn_events = yield from self._read_turn_events()
        started, self._started = self._started, None
        if started is not None and not self._mark.is_proven and self._starts_with_input(started):
            return (*self._claim(), Reconcile())
        return (yield from super().reconcile())

    def _has_unclear_end(self) -> bool:
        """Return whether a held event ends a turn before a held event proves that the turn is ours."""
        for events in self._held:
            if any(self._proves(event) for event in events):
                return False
            if isinstance(events[-1], TurnEnded):
                return True
        return False

    def _release(self) -> Items:
        """Deliver the held events.

        Events before the proof that the turn is ours are delivered in a batch of their own, because the turn checks
        each event with the proof that it has at that time.
        """
        items: list[Event | Step] = []
        while self._held:
            if items and not self._mark.is_proven and self._would_prove(self._held[0]):
                return (*items, Reconcile())
            items += self._deliver(self._held.pop(0))
        return items

    def _would_prove(self, events: Sequence[Event]) -> bool:
        """Return whether these events prove that the turn in progress is ours."""
        last = events[-1]
        return any(self._proves(event) for event in events) or (isinstance(last, TurnEnded) and self._is_our_end(last))

    def _read_turn_events(self) -> Flow[Sequence[bytes]]:
        """Read the newest inputs, model requests, and starts and ends of turns from the event list."""
        parameters = ANTHROPIC.page_parameters(ANTHROPIC.history_page, None)
        page = yield from read_events(ANTHROPIC, self._ref, {**NEWEST_FIRST, "types[]": _TURN_TYPES, **parameters})
        return page.items

    def _turns_since_input(self, event_id: str | None) -> int:
        """Return how many turns ended between our input and an event in the event list.

        The number is negative if our input was processed after the event. Input without `processed_at` counts as not
        processed, unless the backend sets it on no input at all.
        """
        ends, found = 0, 0  # the list may lag behind the stream, so an event that it does not have is the newest
        ours: int | None = None
        heads = [head_of(item) for item in self._turn_events]
        is_timed = any(is_input(head.type or "") and head.processed_at is not None for head in heads)
        for item, head in zip(self._turn_events, heads, strict=True):
            ends += head.type == "session.status_idle"
            if head.id == event_id:
                found = ends
            is_processed = head.processed_at is not None or not is_timed
            if ours is None and is_processed and self._is_ours(head.id, head.type, item):
                ours = ends
        return -1 if ours is None else ours - found

    def _starts_with_input(self, started: str) -> bool:
        """Return whether a turn starts with our input. In the event list, no model request comes between them."""
        has_request = has_input = False
        for item in self._turn_events:
            head = head_of(item)
            if head.id == started:
                break
            is_ours = self._is_ours(head.id, head.type, item)
            has_input = has_input or is_ours
            has_request = not is_ours and (has_request or head.type == _MODEL_REQUEST)
        return self._turns_since_input(started) == 0 and not (has_input and has_request)
