"""Plans of Everruns' streams and turns. Pure.

Backend: https://github.com/everruns/sdk, openapi/openapi.json and specs/sse-streaming.md, and https://docs.everruns.com,
event and streaming pages (read 2026-11)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from polysession.provider_api import (
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
    decode_cursor,
    decoder,
    encode_cursor,
    read_response,
    split_turn_input,
    with_query,
)
from polysession_everruns.events import CONNECTED, DISCONNECTING, EventReader, remaining_required
from polysession_everruns.history import read_events, read_newest, read_recent
from polysession_everruns.messages import digest_of, message_body, post_message
from polysession_everruns.pending import (
    CALL_REQUESTED,
    INPUT,
    READY_WAITS_S,
    REASON_STARTED,
    TOOL_COMPLETED,
    check_answers,
    post_answers,
    to_batches,
)
from polysession_everruns.sessions import session_path, to_session
from polysession_everruns.wire import (
    WireCursor,
    WireDisconnecting,
    WireEvent,
    WireMessage,
    WireTurnMark,
)

_STREAM_HEADERS: Final = {"accept": "text/event-stream", "cache-control": "no-store"}
_DEFAULT_RETRY_MS: Final = 100
_NEW_TURN: Final = "started"
_JOINED_TURN: Final = frozenset({"steered", "resumed"})
_FIRST_POLL_S: Final = 0.25
_LONGEST_POLL_S: Final = 4.0
"""First and longest wait, in seconds, before the session's status is read.

The status is read if the events are not conclusive.
"""
_REQUIRED_SETTLED_POLLS: Final = 2
_SETTLED: Final = frozenset({SessionStatus.IDLE, SessionStatus.REQUIRES_ACTION, SessionStatus.PAUSED})

_read_disconnecting: Final = decoder(WireDisconnecting)
_read_event: Final = decoder(WireEvent)


class SessionStream(ConnectedStream):
    """Plan of a stream.

    The cursor has the id of the last stored event. Live deltas are not stored: their frames have no id, and they do not
    change the cursor.

    Args:
        ref: The session.
        position: Position at which the stream starts.
        reader: The reader, which has read the events before the position.
        is_resumed: Whether the stream continues after a cursor of the caller.
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
        self._poll_s: float | None = None

    def open(self) -> Call:
        """Build the call that opens the stream after the cursor."""
        path = with_query(f"{session_path(self._ref)}/sse", {"since_id": self._position.since_id})
        return Call("GET", path, headers=_STREAM_HEADERS)

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (the plan only needs `again`)
        """Ask for the event list if the stream has no event id after which the server replays."""
        self._lacks_history = self._position.since_id is None and (again or self.is_resumed)
        return (Reconcile(),) if self._lacks_history else ()

    def read(self, frame: Frame) -> Items:
        """Return the events of one frame. Frames about the connection itself have none."""
        if frame.event == CONNECTED:
            return ()
        if frame.event == DISCONNECTING:
            return (Reopen(_wait_s(frame.data)),)
        return self._read(frame.data, frame.event, frame.id or None)

    def reconcile(self) -> Flow[Items]:
        """Read missed events, or the session's status if the events are not conclusive."""
        if not self._lacks_history:
            return (yield from self._poll_status())
        items = yield from read_events(self._ref)
        self._lacks_history = False
        return [found for item in items for found in self._read(bytes(item), "", "")]

    def _read(self, content: bytes, kind: str, stored_id: str | None) -> Items:
        """Return the common events of one event.

        Args:
            content: The event's JSON text.
            kind: The event's type, if the frame names it.
            stored_id: Id in the frame; empty for an event of the list, None for an event that is not stored.
        """
        events = self._reader.read(content, kind)
        if events and stored_id is not None:
            self._move_to(stored_id, self._reader.last)
        if self._poll_s is None and self._needs_status():
            self._poll_s = _FIRST_POLL_S
            return (*events, Reconcile(self._poll_s))
        return events

    def _move_to(self, stored_id: str, event: WireEvent | None) -> None:
        event_id, sequence = (stored_id, None) if event is None else (stored_id or event.id, event.sequence)
        if event_id and (sequence is None or sequence > self._last_sequence):
            self._position.since_id = event_id
            self._last_sequence = sequence or self._last_sequence
            self.cursor = encode_cursor(self._position)

    def _needs_status(self) -> bool:
        """Return whether only the session's status shows the next step."""
        return self._reader.waiting.may_wait_for_rest

    def _poll_status(self) -> Flow[Items]:
        """Read the session's status, and repeat that until it is conclusive or no longer needed."""
        if not self._needs_status():
            self._poll_s = None
            return ()
        response = yield Call("GET", session_path(self._ref))
        items = self._items_for_status(read_response(to_session, response).status)
        if items:
            self._poll_s = None
            return items
        self._poll_s = min(2 * (self._poll_s or _FIRST_POLL_S), _LONGEST_POLL_S)
        return (Reconcile(self._poll_s),)

    def _items_for_status(self, status: SessionStatus) -> Items:
        """Return the events that follow from the session's status; none if it is inconclusive."""
        if status is SessionStatus.REQUIRES_ACTION and self._reader.waiting.may_wait_for_rest:
            return remaining_required(self._reader.waiting, self._ref.id)
        return ()


class TurnStream(SessionStream, TurnPlan):
    """Plan of a turn.

    Args:
        ref: The session.
        position: Position at which the stream starts, with the mark of the turn.
        reader: The reader, which has read the events before the position.
        sending: Returns the flow that sends the input; None if another process sent it.
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
        """Send the input, and store the id that the server gives it."""
        if self._sending is None:
            return
        stored = yield from self._sending()
        if stored is not None:
            self._mark.message_id, self._mark.delivery = stored.id, stored.delivery
            self.cursor = encode_cursor(self._position)

    def is_ours(self, event: Event) -> bool:
        """Return whether an event belongs to the turn that this plan follows."""
        known = event.turn_id is not None and event.turn_id == self._mark.turn_id
        return known or self._proves(event)

    def _note_turn(self, event: Event) -> None:
        """Store the turn id of an event that belongs to our turn."""
        if event.turn_id is not None and self._mark.turn_id is None:
            self._mark.turn_id = event.turn_id
            self.cursor = encode_cursor(self._position)

    @abstractmethod
    def _proves(self, event: Event) -> bool:
        """Return whether an event proves that its turn is the one of our input."""


class MessageTurn(TurnStream):
    """Plan of a turn that a message starts or steers.

    A turn is ours from the first event that names our message as its input. If the message is stored while another turn
    runs, that turn is ours once it continues to work, because it then includes the message. If that turn ends first,
    the server starts a new turn for the message.
    """

    def __init__(
        self,
        ref: SessionRef,
        position: WireCursor,
        reader: EventReader,
        sending: Callable[[], Flow[WireMessage | None]] | None,
    ) -> None:
        super().__init__(ref, position, reader, sending)
        self._is_proven = self._has_started = self._mark.turn_id is not None
        self._is_stored = False
        self._other_end: Sequence[Event] = ()
        self._is_adopted = False
        self._settled_polls = 0

    def _proves(self, event: Event) -> bool:
        if self._names_our_input(event) or (self._is_adopted and event in self._other_end):
            return True
        if self._mark.delivery == _NEW_TURN:
            return False
        if self._mark.delivery in _JOINED_TURN:
            return self._is_echo(event)
        return self._is_stored and event.native_type == REASON_STARTED

    def _read(self, content: bytes, kind: str, stored_id: str | None) -> Items:
        """Return the common events of one event, without those of an earlier turn."""
        items = super()._read(content, kind, stored_id)
        if self._is_proven and self._mark.turn_id is not None:
            return items
        for item in items:
            if isinstance(item, Step):
                continue
            self._is_stored = self._is_stored or self._is_echo(item)
            self._is_proven = self._is_proven or self.is_ours(item)
            self._has_started = self._has_started or self._is_stored or self._is_proven
            if self._is_proven:
                self._note_turn(item)
            if isinstance(item, TurnEnded) and self._is_stored and not self._is_proven:
                self._poll_s, self._other_end = _FIRST_POLL_S, [each for each in items if not isinstance(each, Step)]
                return (*items, Reconcile(_FIRST_POLL_S))
        return items if self._has_started else [item for item in items if isinstance(item, Step)]

    def _needs_status(self) -> bool:
        return super()._needs_status() or (bool(self._other_end) and not self._is_proven)

    def _items_for_status(self, status: SessionStatus) -> Items:
        """Accept the end of another turn as that of ours if no turn follows it.

        No turn follows if the session stays settled.
        """
        if not self._other_end or self._is_proven:
            return super()._items_for_status(status)
        self._settled_polls = self._settled_polls + 1 if status in _SETTLED else 0
        if self._settled_polls < _REQUIRED_SETTLED_POLLS:  # the session is also settled for a moment between two turns
            return ()
        self._is_proven = self._is_adopted = True
        return self._other_end

    def _is_echo(self, event: Event) -> bool:
        """Return whether an event is our message as the server stored it."""
        if not isinstance(event, MessageCompleted) or event.native_type != INPUT:
            return False
        if (
            self._mark.message_id is None
            and self._sending is None
            and self._mark.digest == digest_of(event.message.content)
        ):
            self._mark.message_id = event.message.id  # the cursor is older than the stored message
        return event.message.id == self._mark.message_id

    def _names_our_input(self, event: Event) -> bool:
        if event.synthetic or self._mark.message_id is None:
            return False
        try:
            wire, _ = _read_event(event.source)
        except MalformedResponse:
            return False
        places = (wire.context, wire.data)
        return any(place is not None and place.input_message_id == self._mark.message_id for place in places)


class AnswerTurn(TurnStream):
    """Plan of a turn that continues after answers. A waiting turn sends no other events."""

    def _proves(self, event: Event) -> bool:
        call_ids = self._mark.call_ids or ()
        if isinstance(event, ToolResultCompleted):
            return event.tool_call_id in call_ids
        if isinstance(event, RawEvent) and event.native_type == TOOL_COMPLETED:
            data = event.payload.get("data")
            return isinstance(data, Mapping) and data.get("tool_call_id") in call_ids
        return False


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[ConnectedStream]:
    """Prepare a stream plan that starts after the cursor, or after the newest event."""
    if cursor is None:
        return SessionStream(ref, WireCursor((yield from read_newest(ref)).id), EventReader(ref.id))
    position = WireCursor(decode_cursor(WireCursor, cursor, "Everruns").since_id)
    return SessionStream(ref, position, EventReader(ref.id), is_resumed=True)


def start_turn(ref: SessionRef, turn_input: TurnInput, native: NativeBody | None = None) -> Flow[ConnectedStream]:
    """Prepare a plan for the turn that this input starts or continues.

    The newest event is read first, because older servers replay all events unless the stream names an event id.

    Raises:
        Conflict: The input is answers, and there are no pending actions.
        NotFound: One of the answered actions is not pending.
        UnsupportedOperation: A denial has a reason, or an approval has edited arguments.
        UsageError: The input has a field that Everruns does not accept, an answer does not fit its action, or an answer
            of its group is missing.
    """
    _, answers = split_turn_input(turn_input)
    if answers:
        check_answers(answers)
        reader, newest = yield from read_recent(ref)
        batches = to_batches(answers, reader.waiting.actions)
        call_ids = [call_id for batch in batches for call_id in batch.call_ids]
        mark = WireTurnMark(call_ids=call_ids, turn_id=reader.waiting.turn_id)
        sending = partial(post_answers, session_path(ref), batches)
        return AnswerTurn(ref, WireCursor(newest, mark), reader, sending)
    body = message_body(turn_input, native)
    mark = WireTurnMark(digest=digest_of(turn_input))
    newest_event = yield from read_newest(ref)
    if newest_event.type == CALL_REQUESTED:
        yield from _until_waiting(ref)
    return MessageTurn(ref, WireCursor(newest_event.id, mark), EventReader(ref.id), partial(post_message, ref, body))


def rejoin_turn(ref: SessionRef, cursor: str) -> Flow[ConnectedStream]:
    """Prepare a plan that continues a turn after a cursor of its plan.

    Raises:
        UsageError: The cursor does not belong to a turn.
    """
    position = decode_cursor(WireCursor, cursor, "Everruns")
    if position.turn is None:
        raise UsageError(f"{cursor!r} is the cursor of a stream; rejoin needs a cursor of a turn")
    reader = EventReader(ref.id)
    if position.since_id is not None:
        reader, _ = yield from read_recent(ref, up_to=position.since_id)
    plan = AnswerTurn if position.turn.call_ids else MessageTurn
    return plan(ref, position, reader, None)


def _until_waiting(ref: SessionRef) -> Flow[None]:
    """Wait until the status shows that a session waits for the actions that it requested.

    The event of the request arrives a moment earlier. At that moment, a message would steer the turn instead of ending
    the wait.
    """
    for after_s in (0.0, *READY_WAITS_S):
        response = yield Call("GET", session_path(ref), after_s=after_s)
        if read_response(to_session, response).status is not SessionStatus.RUNNING:
            return


def _wait_s(content: bytes) -> float:
    """Return the seconds that the server asks to wait before the stream is reopened."""
    try:
        retry_ms = _read_disconnecting(content)[0].retry_ms
    except MalformedResponse:
        retry_ms = None
    return (_DEFAULT_RETRY_MS if retry_ms is None or retry_ms < 0 else retry_ms) / 1000
