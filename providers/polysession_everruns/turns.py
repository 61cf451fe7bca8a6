"""Everruns' events and turns: the calls, and the plans of live streams.

Backend: https://github.com/everruns/sdk, openapi/openapi.json and specs/sse-streaming.md, and https://docs.everruns.com,
event and streaming pages (read 2026-11)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Call,
    ConnectedStream,
    Event,
    Flow,
    Frame,
    Head,
    Items,
    MalformedResponse,
    MessageCompleted,
    NativeBody,
    Page,
    PendingAction,
    RawEvent,
    Reconcile,
    Reopen,
    SessionRef,
    SessionStatus,
    Step,
    ToolResultCompleted,
    TurnEnded,
    TurnInput,
    TurnPlan,
    UsageError,
    cursor_number,
    decode_cursor,
    decoder,
    encode_cursor,
    read_response,
    read_whole,
    split_turn_input,
    with_query,
)
from polysession_everruns.events import CONNECTED, DISCONNECTING, EventReader, rest_required
from polysession_everruns.messages import digest_of, message_body, post_message
from polysession_everruns.pending import (
    BECOMES_READY_S,
    CALL_REQUESTED,
    INPUT,
    TOOL_COMPLETED,
    WORKS,
    check_answers,
    post_answers,
    to_batches,
)
from polysession_everruns.sessions import session_path, to_session
from polysession_everruns.wire import (
    WireCursor,
    WireDisconnecting,
    WireEvent,
    WireList,
    WireMessage,
    WireTurnMark,
)

_NEWEST: Final = 1
_RECENT: Final = 50
"""Enough to hold what a session waits for: nothing but its answers comes after the request."""
_MOST_EVENTS: Final = 1000
_STREAM_HEADERS: Final = {"accept": "text/event-stream", "cache-control": "no-store"}
_DEFAULT_RETRY_MS: Final = 100
_NEW_TURN: Final = "started"
_TAKEN_BY_TURN: Final = frozenset({"steered", "resumed"})
_SETTLES_S: Final = 0.25
_LONGEST_LOOK_S: Final = 4.0
"""First and longest wait before the session's status is read, where its events do not tell what comes next."""
_SURE_LOOKS: Final = 2
_AT_REST: Final = frozenset({SessionStatus.IDLE, SessionStatus.REQUIRES_ACTION, SessionStatus.PAUSED})

_read_disconnecting: Final = decoder(WireDisconnecting)
_read_event: Final = decoder(WireEvent)
_read_list: Final = decoder(WireList)


# --- Past events and pending actions


def list_events(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """One page of events, oldest first.

    The server's own `limit` counts from the end. So all that follows is read, and cut here; `page_size` counts events
    of Everruns, and the cursor is the sequence number of the last one.
    """
    after = None if cursor is None else cursor_number(cursor)
    items = yield from _read_events(ref, after_sequence=after)
    page = items if page_size is None else items[:page_size]
    events, sequences = _read_page(ref, page)
    is_cut = len(page) < len(items)
    return Page(events, str(_known(sequences)[-1]) if is_cut else None)


def list_newest_events(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """One page of events, newest first: the cursor is the sequence number of the last one."""
    if page_size is not None and page_size > _MOST_EVENTS:
        raise UsageError(f"page_size is {page_size}; a page of Everruns has at most {_MOST_EVENTS} events")
    before = None if cursor is None else cursor_number(cursor)
    items = yield from _read_events(ref, before_sequence=before, limit=page_size)
    events, sequences = _read_page(ref, items)
    is_cut = page_size is not None and len(items) > 0 and _known(sequences)[0] > 1  # the server may send fewer
    return Page(events[::-1], str(sequences[0]) if is_cut else None)


def _read_page(ref: SessionRef, items: Sequence[Any]) -> tuple[tuple[Event, ...], Sequence[int]]:
    """The events of a list, and the sequence numbers in order."""
    reader = EventReader(ref.id)
    found: list[Event] = []
    sequences: list[int] = []
    for item in items:
        found += reader.read(bytes(item))
        if reader.last is not None and reader.last.sequence is not None:
            sequences.append(reader.last.sequence)
    return tuple(found), sorted(sequences)


def _known(sequences: Sequence[int]) -> Sequence[int]:
    if not sequences:
        raise MalformedResponse("the list of events cannot be read in pages: its events have no sequence numbers")
    return sequences


def pending_actions(ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
    """The actions that a session waits for, from its events: its status follows them only after a moment."""
    reader, _ = yield from _read_recent(ref)
    return reader.waiting.actions


def answer_actions(ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer pending actions, group by group."""
    check_answers(answers)
    reader, _ = yield from _read_recent(ref)
    yield from post_answers(session_path(ref), to_batches(answers, reader.waiting.actions))


def _read_recent(ref: SessionRef, *, up_to: str | None = None) -> Flow[tuple[EventReader, str | None]]:
    """A reader of the newest events, and the id of the newest.

    Args:
        ref: The session.
        up_to: Id of the last event to read; None reads all. If it is not among the newest none is read.
    """
    items = yield from _read_events(ref, limit=_RECENT)
    reader = EventReader(ref.id)
    for item in items:
        reader.read(bytes(item))
        if up_to is not None and reader.last is not None and reader.last.id == up_to:
            return reader, up_to
    return (reader, _newest_of(items).id) if up_to is None else (EventReader(ref.id), up_to)


def _read_newest(ref: SessionRef) -> Flow[WireEvent]:
    return _newest_of((yield from _read_events(ref, limit=_NEWEST)))


def _until_waiting(ref: SessionRef) -> Flow[None]:
    """Wait until a session that has asked for actions waits for them.

    The event comes a moment before. A message at that moment would steer the turn, and so not end its wait.
    """
    for after_s in (0.0, *BECOMES_READY_S):
        response = yield Call("GET", session_path(ref), after_s=after_s)
        if read_response(to_session, response).status is not SessionStatus.RUNNING:
            return


def _read_events(ref: SessionRef, **query: int | None) -> Flow[Sequence[Any]]:
    response = yield Call("GET", with_query(f"{session_path(ref)}/events", query))
    return read_whole(_read_list, response).data


def _newest_of(items: Sequence[Any]) -> WireEvent:
    """The newest event that has a readable id, else an empty one."""
    for item in reversed(items):
        try:
            event, _ = _read_event(bytes(item))
        except MalformedResponse:
            continue
        if event.id is not None:
            return event
    return WireEvent()


# --- Live streams


class SessionStream(ConnectedStream):
    """Follows a session.

    Its cursor holds the id of the last event that the server keeps and replays after. Deltas may be sent only while
    they happen: they have no id on their frame, and do not move it.

    Args:
        ref: The session.
        position: Where it begins.
        reader: The reader of the events before it.
        is_resumed: Whether it continues after a caller's cursor.
    """

    not_replayed = ("message.delta", "thinking.delta")

    def __init__(self, ref: SessionRef, position: WireCursor, reader: EventReader, *, is_resumed: bool = False) -> None:
        self.cursor = encode_cursor(position)
        self.is_resumed = is_resumed
        self._ref = ref
        self._position = position
        self._reader = reader
        self._last_sequence = 0
        self._lacks_history = False
        self._look_s: float | None = None

    def open(self) -> Call:
        """Build the request that opens the stream after the cursor."""
        path = with_query(f"{session_path(self._ref)}/sse", {"since_id": self._position.since_id})
        return Call("GET", path, headers=_STREAM_HEADERS)

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (only whether it was opened before)
        """Read the list where the server may begin with what happens next: it cannot replay from the start."""
        self._lacks_history = self._position.since_id is None and (again or self.is_resumed)
        return (Reconcile(),) if self._lacks_history else ()

    def read(self, frame: Frame) -> Items:
        """Read one frame. The frames of the connection itself are no events."""
        if frame.event == CONNECTED:
            return ()
        if frame.event == DISCONNECTING:
            return (Reopen(_wait_s(frame.data)),)
        return self._read(frame.data, frame.event, frame.id or None)

    def reconcile(self) -> Flow[Items]:
        """Read past events that the stream lacks, and whether a session waits on that was answered in part."""
        if not self._lacks_history:
            return (yield from self._look())
        items = yield from _read_events(self._ref)
        self._lacks_history = False
        return [found for item in items for found in self._read(bytes(item), "", "")]

    def _read(self, content: bytes, kind: str, stored_id: str | None) -> Items:
        """Read one event; `stored_id` is its id on the frame, empty in a list, None for one that is not stored."""
        events = self._reader.read(content, kind)
        if events and stored_id is not None:
            self._move_to(stored_id, self._reader.last)
        if self._look_s is None and self._is_look_needed():
            self._look_s = _SETTLES_S
            return (*events, Reconcile(self._look_s))
        return events

    def _move_to(self, stored_id: str, event: WireEvent | None) -> None:
        event_id, sequence = (stored_id, None) if event is None else (stored_id or event.id, event.sequence)
        if event_id and (sequence is None or sequence > self._last_sequence):
            self._position.since_id = event_id
            self._last_sequence = sequence or self._last_sequence
            self.cursor = encode_cursor(self._position)

    def _is_look_needed(self) -> bool:
        """Whether only the session's status shows what comes next."""
        return self._reader.waiting.may_wait_for_rest

    def _look(self) -> Flow[Items]:
        """Read the status, again for as long as it is needed."""
        if not self._is_look_needed():
            self._look_s = None
            return ()
        response = yield Call("GET", session_path(self._ref))
        items = self._settle(read_response(to_session, response).status)
        if items:
            self._look_s = None
            return items
        self._look_s = min(2 * (self._look_s or _SETTLES_S), _LONGEST_LOOK_S)
        return (Reconcile(self._look_s),)

    def _settle(self, status: SessionStatus) -> Items:
        """The events that follow from the session's status; none if it does not decide."""
        if status is SessionStatus.REQUIRES_ACTION and self._reader.waiting.may_wait_for_rest:
            return rest_required(self._reader.waiting, self._ref.id)
        return ()


class TurnStream(SessionStream, TurnPlan):
    """Follows one turn.

    Args:
        ref: The session.
        position: Where it begins, with the mark of the turn.
        reader: The reader of the events before it.
        sending: Makes the flow that sends the input; None if it was sent before, by another process.
    """

    def __init__(
        self,
        ref: SessionRef,
        position: WireCursor,
        reader: EventReader,
        sending: Callable[[], Flow[WireMessage | None]] | None,
    ) -> None:
        super().__init__(ref, position, reader, is_resumed=sending is None)
        self._mark = position.turn or WireTurnMark()
        self._sending = sending

    def send(self) -> Flow[None]:
        """Send the input, and note the id that it gets."""
        if self._sending is None:
            return
        stored = yield from self._sending()
        if stored is not None:
            self._mark.message_id, self._mark.delivery = stored.id, stored.delivery
            self.cursor = encode_cursor(self._position)

    def is_ours(self, event: Event) -> bool:
        """Whether an event belongs to our turn."""
        known = event.turn_id is not None and event.turn_id == self._mark.turn_id
        return known or self._proves(event)

    def _note_turn(self, event: Event) -> None:
        """Note the turn of an event that is ours."""
        if event.turn_id is not None and self._mark.turn_id is None:
            self._mark.turn_id = event.turn_id
            self.cursor = encode_cursor(self._position)

    @abstractmethod
    def _proves(self, event: Event) -> bool:
        """Whether an event belongs to the turn of our input."""


class MessageTurn(TurnStream):
    """Follows the turn that a message starts, or steers.

    The turn is ours from the first event that names our message as its input. A message that is stored while another
    turn runs is ours to follow when that turn works on, which takes the message in; if it ends before, it is not.
    """

    def __init__(
        self,
        ref: SessionRef,
        position: WireCursor,
        reader: EventReader,
        sending: Callable[[], Flow[WireMessage | None]] | None,
    ) -> None:
        super().__init__(ref, position, reader, sending)
        self._is_proven = self._has_begun = self._mark.turn_id is not None
        self._is_stored = False
        self._other_end: Sequence[Event] = ()
        self._is_adopted = False
        self._looks_at_rest = 0

    def _proves(self, event: Event) -> bool:
        if self._is_worked_on(event) or (self._is_adopted and event in self._other_end):
            return True
        if self._mark.delivery == _NEW_TURN:
            return False
        if self._mark.delivery in _TAKEN_BY_TURN:
            return self._is_echo(event)
        return self._is_stored and event.native_type == WORKS

    def _read(self, content: bytes, kind: str, stored_id: str | None) -> Items:
        """Read one event; what an earlier turn leaves behind comes before our message, and is left out."""
        items = super()._read(content, kind, stored_id)
        if self._is_proven and self._mark.turn_id is not None:
            return items
        for item in items:
            if isinstance(item, Step):
                continue
            self._is_stored = self._is_stored or self._is_echo(item)
            self._is_proven = self._is_proven or self.is_ours(item)
            self._has_begun = self._has_begun or self._is_stored or self._is_proven
            if self._is_proven:
                self._note_turn(item)
            if isinstance(item, TurnEnded) and self._is_stored and not self._is_proven:
                self._look_s, self._other_end = _SETTLES_S, [each for each in items if not isinstance(each, Step)]
                return (*items, Reconcile(_SETTLES_S))
        return items if self._has_begun else [item for item in items if isinstance(item, Step)]

    def _is_look_needed(self) -> bool:
        return super()._is_look_needed() or (bool(self._other_end) and not self._is_proven)

    def _settle(self, status: SessionStatus) -> Items:
        """Take the end of another turn for ours if the session rests: no turn of our own follows."""
        if not self._other_end or self._is_proven:
            return super()._settle(status)
        self._looks_at_rest = self._looks_at_rest + 1 if status in _AT_REST else 0
        if self._looks_at_rest < _SURE_LOOKS:  # between two turns a session rests for a moment
            return ()
        self._is_proven = self._is_adopted = True
        return self._other_end

    def _is_echo(self, event: Event) -> bool:
        """Whether an event is our message as the server stored it."""
        if not isinstance(event, MessageCompleted) or event.native_type != INPUT:
            return False
        if (
            self._mark.message_id is None
            and self._sending is None
            and self._mark.digest == digest_of(event.message.content)
        ):
            self._mark.message_id = event.message.id  # the cursor is from before the message was stored
        return event.message.id == self._mark.message_id

    def _is_worked_on(self, event: Event) -> bool:
        if event.synthetic or self._mark.message_id is None:
            return False
        try:
            wire, _ = _read_event(event.source)
        except MalformedResponse:
            return False
        places = (wire.context, wire.data)
        return any(place is not None and place.input_message_id == self._mark.message_id for place in places)


class AnswerTurn(TurnStream):
    """Follows the turn that continues after its actions were answered. It has sent no other event since it waits."""

    def _proves(self, event: Event) -> bool:
        call_ids = self._mark.call_ids or ()
        if isinstance(event, ToolResultCompleted):
            return event.tool_call_id in call_ids
        if isinstance(event, RawEvent) and event.native_type == TOOL_COMPLETED:
            data = event.payload.get("data")
            return isinstance(data, Mapping) and data.get("tool_call_id") in call_ids
        return False


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[ConnectedStream]:
    """Prepare to follow a session, after the cursor or after its newest event."""
    if cursor is None:
        return SessionStream(ref, WireCursor((yield from _read_newest(ref)).id), EventReader(ref.id))
    position = WireCursor(decode_cursor(WireCursor, cursor, "Everruns").since_id)
    return SessionStream(ref, position, EventReader(ref.id), is_resumed=True)


def start_turn(ref: SessionRef, turn_input: TurnInput, native: NativeBody | None = None) -> Flow[ConnectedStream]:
    """Prepare to follow a turn. Older servers replay from the start unless they get the id of the newest event."""
    _, answers = split_turn_input(turn_input)
    if answers:
        check_answers(answers)
        reader, newest = yield from _read_recent(ref)
        batches = to_batches(answers, reader.waiting.actions)
        call_ids = [call_id for batch in batches for call_id in batch.call_ids]
        mark = WireTurnMark(call_ids=call_ids, turn_id=reader.waiting.turn_id)
        sending = partial(post_answers, session_path(ref), batches)
        return AnswerTurn(ref, WireCursor(newest, mark), reader, sending)
    body = message_body(turn_input, native)
    mark = WireTurnMark(digest=digest_of(turn_input))
    newest_event = yield from _read_newest(ref)
    if newest_event.type == CALL_REQUESTED:
        yield from _until_waiting(ref)
    return MessageTurn(ref, WireCursor(newest_event.id, mark), EventReader(ref.id), partial(post_message, ref, body))


def rejoin_turn(ref: SessionRef, cursor: str) -> Flow[ConnectedStream]:
    """Prepare to continue a turn after a cursor of its plan.

    Raises:
        UsageError: The cursor is not that of a turn.
    """
    position = decode_cursor(WireCursor, cursor, "Everruns")
    if position.turn is None:
        raise UsageError(f"{cursor!r} is the cursor of a stream, which follows no turn")
    reader = EventReader(ref.id)
    if position.since_id is not None:
        reader, _ = yield from _read_recent(ref, up_to=position.since_id)
    plan = AnswerTurn if position.turn.call_ids else MessageTurn
    return plan(ref, position, reader, None)


def _wait_s(content: bytes) -> float:
    """Seconds that a server asks to wait before the stream is opened again."""
    try:
        retry_ms = _read_disconnecting(content)[0].retry_ms
    except MalformedResponse:
        retry_ms = None
    return (_DEFAULT_RETRY_MS if retry_ms is None or retry_ms < 0 else retry_ms) / 1000
