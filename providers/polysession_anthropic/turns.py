"""Anthropic's streams: the backend replays nothing, so that the list of events fills what a stream lacks.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming and, for how to reconnect, the event
runner of the SDK `anthropic` 2.14.0 (both read 2026-11-30)
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

_MOST_PAGES: Final = 10
"""Pages of the list that are read back after a break; what is older is lost."""
_STORED: Final = (
    *("session.status", "turn.started", "turn.ended", "message.completed", "thinking.completed"),
    *("tool_call.completed", "tool_result.completed", "action.required", "usage", "error", "raw"),
)
_LOOKED_AT: Final = ("user.message", *ANSWERED_IN, "session.status_running", "session.status_idle")


class AnthropicStream(ManagedStream):
    """Follows a session from a position on. A connection brings new events only; the list has those before it."""

    reader_type = EventReader
    not_replayed = ("message.started", "message.delta", "thinking.started")
    _reader: EventReader
    _is_behind = False  # events may be missing before the connection

    def open(self) -> Call:
        """Open the stream; it begins with the next event."""
        return self._opening({})

    def opened(self, _head: Head, *, again: bool) -> Items:
        """Look for events before this opening, unless it is the first of a new stream."""
        self._is_behind = again or self.is_resumed
        self._reader.measure(is_empty=self._after is None and not self._is_behind)
        return (Reconcile(),) if self._is_behind else ()

    def _deliver(self, events: Sequence[Event]) -> Items:
        """Input is delivered when it comes first. The position stays before input that is not processed."""
        first = events[0] if events else None
        if first is None or first.id is None or not is_input(first.native_type):
            return super()._deliver(events)
        is_processed = first.created_at is not None
        is_first = self._reader.is_first(first.id, is_processed=is_processed)
        self._move_to(first.id if is_processed else self._after)
        return events if is_first else ()

    def reconcile(self) -> Flow[Items]:
        """Read what happened before the connection, and complete the events that are held."""
        if self._is_behind:
            yield from self._catch_up()
        return (yield from super().reconcile())

    def _catch_up(self) -> Flow[None]:
        """Hold the events of the list that no connection brought.

        Raises:
            NotFound: The list does not hold the event after which the stream continues.
        """
        missed, is_whole = yield from self._read_back()
        self._is_behind = False
        if not is_whole:
            self._reader.forget_usage()
            self._held.append((StreamGap(session_id=self._ref.id, lost=_STORED, synthetic=True),))
        found = [self._reader.read(item) for item in reversed(missed)]
        self._held += [events for events in found if events]

    def _read_back(self) -> Flow[tuple[list[bytes], bool]]:
        """Read the list from its newest event back to the first that was read before.

        Returns:
            The events, newest first, and whether none is missing.
        """
        missed: list[bytes] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
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
            raise NotFound(f"the session's events do not hold {self._after!r}, after which the stream would continue")
        return missed, cursor is None


class AnthropicTurn(AnthropicStream, ManagedTurn):
    """Follows the turn that some events start.

    Input to a busy session is queued, so that turns of other clients may end before ours starts. Ours is the one in
    which our input was processed: it comes with its time then, or the list has it so.
    """

    def __init__(
        self, ref: SessionRef, reader: EventReader, after: str | None, mark: TurnMark, to_send: Call | None = None
    ) -> None:
        self._queued: dict[str, Sequence[Event]] = {}  # input of ours that came without a time
        self._looked: Sequence[bytes] = ()  # the newest inputs, starts and ends of turns in the list
        self._started: str | None = None  # the start of a turn that may be ours
        self._is_busy = self._is_foreign = reader.in_turn  # with a turn of another client's
        self._has_joined = False  # our input came in the middle of that
        super().__init__(ref, reader, after, mark, to_send)

    def _proves(self, event: Event) -> bool:
        """An event does that is what was sent, once it is processed."""
        return event.created_at is not None and self._is_ours(event.id, event.native_type, event.source)

    def _is_ours(self, event_id: str | None, kind: str | None, content: bytes) -> bool:
        return event_id in self._mark.sent_ids or self._is_sent(kind, content)

    def _is_unclear(self, events: Sequence[Event]) -> bool:
        """Whether these events may end another client's turn, or lack something that the history has."""
        may_be_foreign = not self._mark.is_proven and events[0].native_type not in LAST_EVENTS
        return may_be_foreign or super()._is_unclear(events)

    def _deliver(self, events: Sequence[Event]) -> Items:
        first = events[0] if events else None
        is_ours = first is not None and self._is_ours(first.id, first.native_type, first.source)
        if first is not None and is_input(first.native_type) and first.created_at is None and not is_ours:
            return ()  # what others send is theirs until a turn takes it up
        if first is None or self._mark.is_proven:
            return super()._deliver(events)
        if is_ours:
            return self._deliver_input(events)
        last = events[-1]
        if isinstance(last, TurnEnded):
            return self._deliver_end(events, last)
        self._note_turn(first)
        if not (isinstance(first, TurnStarted) and self._queued) or self._held:
            return super()._deliver(events)
        self._started = first.id
        return (*super()._deliver(events), Reconcile())

    def _deliver_input(self, events: Sequence[Event]) -> Items:
        """Hold input of ours back while it is queued. It proves that the turn is ours when it is processed."""
        first = events[0]
        if first.created_at is None and first.id is not None:
            self._queued[first.id] = events
            self._has_joined = self._is_busy
            return ()
        self._queued.pop(first.id or "", None)
        self._note(is_proven=True)
        return (*self._begin(), *super()._deliver(events))

    def _deliver_end(self, events: Sequence[Event], end: TurnEnded) -> Items:
        if self._is_our_end(end):
            return (*self._claim(), *super()._deliver(events))
        self._is_busy = self._is_foreign = self._has_joined = False
        self._reader.expect_turn()
        return super()._deliver(events)

    def _is_our_end(self, end: TurnEnded) -> bool:
        """Whether our input was processed before this end, or was thrown away with it."""
        is_flushed = bool(self._queued) and end.native_reason == "retries_exhausted"
        return is_flushed or self._turns_since_input(end.id) >= 0

    def _note_turn(self, first: Event) -> None:
        """Note whose turn is in progress: input of others may have started it."""
        if isinstance(first, TurnStarted):
            self._is_busy, self._is_foreign, self._has_joined = True, False, False
        elif is_input(first.native_type) and first.created_at is not None:
            self._is_foreign = True
        elif first.native_type.startswith("agent."):
            self._is_busy = True
            self._has_joined = self._has_joined or self._is_foreign

    def _claim(self) -> Items:
        """Take the turn in progress for ours: what was held back of it."""
        self._note(is_proven=True)
        listed = {head_of(item).id: item for item in self._looked}
        queued, self._queued = self._queued, {}
        items: list[Event | Step] = [*self._begin()]
        for event_id, events in queued.items():
            processed = self._reader.read(listed[event_id]) if event_id in listed else ()
            items += super()._deliver(processed or events)
        return items

    def _begin(self) -> Sequence[Event]:
        """The start of our turn, if it lies within one in progress: what came before it is not ours."""
        if not self._has_joined:
            return ()
        self._reader.forget_usage()
        return (TurnStarted(session_id=self._ref.id, synthetic=True),)

    def reconcile(self) -> Flow[Items]:
        """Also look in the list whether our input was processed in the turn that starts or ends."""
        if self._is_behind:
            yield from self._catch_up()
        if not self._mark.is_proven and (self._started is not None or self._has_unclear_end()):
            self._looked = yield from self._look()
        started, self._started = self._started, None
        if started is not None and not self._mark.is_proven and self._turns_since_input(started) == 0:
            return (*self._claim(), Reconcile())
        return (yield from super().reconcile())

    def _has_unclear_end(self) -> bool:
        """Whether one of the events that are held ends a turn before one of them proves that the turn is ours."""
        for events in self._held:
            if any(self._proves(event) for event in events):
                return False
            if isinstance(events[-1], TurnEnded):
                return True
        return False

    def _release(self) -> Items:
        """Deliver what is held. What may be another client's goes first, by itself: it is judged without the proof."""
        items: list[Event | Step] = []
        while self._held:
            if items and not self._mark.is_proven and self._would_prove(self._held[0]):
                return (*items, Reconcile())
            items += self._deliver(self._held.pop(0))
        return items

    def _would_prove(self, events: Sequence[Event]) -> bool:
        """Whether the turn in progress is ours after these events."""
        last = events[-1]
        return any(self._proves(event) for event in events) or (isinstance(last, TurnEnded) and self._is_our_end(last))

    def _look(self) -> Flow[Sequence[bytes]]:
        """Read the newest inputs, starts and ends of turns from the list."""
        parameters = ANTHROPIC.page_parameters(ANTHROPIC.history_page, None)
        page = yield from read_events(ANTHROPIC, self._ref, {**NEWEST_FIRST, "types[]": _LOOKED_AT, **parameters})
        return page.items

    def _turns_since_input(self, event_id: str | None) -> int:
        """How many turns ended between our input and an event, by the list; below zero if it was processed later.

        Input without a time is not processed, unless the backend gives no input a time.
        """
        ends, found = 0, 0  # the list may lag behind the stream: an event that it does not hold is the newest
        ours: int | None = None
        heads = [head_of(item) for item in self._looked]
        is_timed = any(is_input(head.type or "") and head.processed_at is not None for head in heads)
        for item, head in zip(self._looked, heads, strict=True):
            ends += head.type == "session.status_idle"
            if head.id == event_id:
                found = ends
            is_processed = head.processed_at is not None or not is_timed
            if ours is None and is_processed and self._is_ours(head.id, head.type, item):
                ours = ends
        return -1 if ours is None else ours - found
