"""Everruns' messages, events and turns: the calls, and the plans of live streams.

Backend: https://github.com/everruns/sdk, openapi/openapi.json and specs/sse-streaming.md, and https://docs.everruns.com,
event and streaming pages (read 2026-11)
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from polysession.provider_api import (
    Answer,
    Approve,
    Block,
    Call,
    Deny,
    Event,
    Flow,
    Frame,
    Head,
    Items,
    MalformedResponse,
    MediaBlock,
    Message,
    MessageCompleted,
    NativeBody,
    Page,
    PendingAction,
    RawEvent,
    Reconcile,
    Reopen,
    Reply,
    SessionRef,
    SessionStatus,
    Step,
    StreamPlan,
    TextBlock,
    ToolOutput,
    ToolResultCompleted,
    TurnEnded,
    TurnInput,
    TurnPlan,
    UsageError,
    decoder,
    json_body,
    read_list,
    read_response,
    read_whole,
    with_query,
)
from polysession_everruns.events import CONNECTED, DISCONNECTING, EventReader, rest_required
from polysession_everruns.messages import message_reader
from polysession_everruns.pending import TOOL_COMPLETED, WORKS, Waiting, check_answers, check_expected, post_answers
from polysession_everruns.sessions import cursor_number, session_path, to_session
from polysession_everruns.wire import WireCursor, WireDisconnecting, WireEvent, WireList, WireMessage, WireReference

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

_read_cursor: Final = decoder(WireCursor)
_read_disconnecting: Final = decoder(WireDisconnecting)
_read_event: Final = decoder(WireEvent)
_read_list: Final = decoder(WireList)
_read_message: Final = decoder(WireMessage)
_read_reference: Final = decoder(WireReference)


# --- Messages


def send_message(ref: SessionRef, content: tuple[Block, ...], native: NativeBody | None = None) -> Flow[None]:
    """Store a message; a turn starts, or the one that runs is steered."""
    yield from _post_message(ref, _message_body(content, native))


def list_messages(
    ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
) -> Flow[Page[Message]]:
    """One page of messages. The server sends them all; the cursor is the number of those before it, oldest first."""
    place = None if cursor is None else cursor_number(cursor)
    response = yield Call("GET", f"{session_path(ref)}/messages")
    items = read_whole(_read_list, response).data
    if newest_first:
        end = len(items) if place is None else min(place, len(items))
        start = 0 if page_size is None else max(0, end - page_size)
        next_cursor, chosen = str(start) if start else None, items[start:end][::-1]
    else:
        start = place or 0
        end = len(items) if page_size is None else start + page_size
        next_cursor, chosen = str(end) if end < len(items) else None, items[start:end]
    return read_list(chosen, message_reader(ref.id), next_cursor=next_cursor)


def _post_message(ref: SessionRef, body: Mapping[str, Any]) -> Flow[WireMessage]:
    response = yield Call("POST", f"{session_path(ref)}/messages", body=json_body(body))
    message, _ = read_response(_read_message, response)
    return message


def _message_body(content: Iterable[object], native: NativeBody | None) -> dict[str, Any]:
    """The body of a message; the core lets text and images through, and nothing else.

    Raises:
        UsageError: An image has something that the server cannot take.
    """
    parts: list[dict[str, Any]] = []
    for block in content:
        if isinstance(block, TextBlock):
            parts.append({"type": "text", "text": block.text})
        elif isinstance(block, MediaBlock):
            parts.append(_to_image(block))
    return {"message": {"role": "user", "content": parts}, **(native.to_body() if native else {})}


def _to_image(block: MediaBlock) -> dict[str, Any]:
    if block.file_id is not None:
        _refuse(block, "media_type", "an uploaded image")
        return _given({"type": "image_file", "image_id": block.file_id, "filename": block.title})
    _refuse(block, "title", "an image that is not uploaded")
    return _given({"type": "image", "url": block.url, "base64": block.data, "media_type": block.media_type})


def _refuse(block: MediaBlock, name: str, what: str) -> None:
    if getattr(block, name) is not None:
        raise UsageError(f"Everruns takes no {name} with {what}")


def _given(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None}


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
    is_cut = page_size is not None and len(items) >= page_size and _known(sequences)[0] > 1
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
    waiting, _ = yield from _read_waiting(ref)
    return waiting.actions


def answer_actions(ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer actions of one group."""
    check_answers(answers)
    waiting, _ = yield from _read_waiting(ref)
    yield from post_answers(session_path(ref), check_expected(answers, waiting.actions))


def _read_waiting(ref: SessionRef) -> Flow[tuple[Waiting, str | None]]:
    """The pending actions by the newest events, and the id of the newest event."""
    items = yield from _read_events(ref, limit=_RECENT)
    reader = EventReader(ref.id)
    for item in items:
        reader.read(bytes(item))
    return reader.waiting, _newest_of(items)


def _read_newest(ref: SessionRef) -> Flow[str | None]:
    return _newest_of((yield from _read_events(ref, limit=_NEWEST)))


def _read_events(ref: SessionRef, **query: int | None) -> Flow[Sequence[Any]]:
    response = yield Call("GET", with_query(f"{session_path(ref)}/events", query))
    return read_whole(_read_list, response).data


def _newest_of(items: Sequence[Any]) -> str | None:
    """Id of the newest event that has a readable one."""
    for item in reversed(items):
        try:
            event, _ = _read_event(bytes(item))
        except MalformedResponse:
            continue
        if event.id is not None:
            return event.id
    return None


# --- Live streams


class SessionStream(StreamPlan):
    """Follows a session.

    Its cursor holds the id of the last event that the server keeps and replays after. Deltas may be sent only while
    they happen: they have no id on their frame, and do not move it.

    Args:
        ref: The session.
        after: Id of the event to begin after; None from the start.
        waiting: What the session waits for at that point.
        is_resumed: Whether it continues after a caller's cursor.
    """

    not_replayed = ("message.delta", "thinking.delta")

    def __init__(
        self, ref: SessionRef, after: str | None, waiting: Waiting | None = None, *, is_resumed: bool = False
    ) -> None:
        self.cursor = to_cursor(after)
        self.is_resumed = is_resumed
        self._ref = ref
        self._after = after
        self._last_sequence = 0
        self._lacks_history = False
        self._look_s: float | None = None
        self._reader = EventReader(ref.id, waiting)

    def open(self) -> Call:
        """Build the request that opens the stream after the cursor."""
        path = with_query(f"{session_path(self._ref)}/sse", {"since_id": self._after})
        return Call("GET", path, headers=_STREAM_HEADERS)

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (only whether it was opened before)
        """Read the list where the server may begin with what happens next: it cannot replay from the start."""
        self._lacks_history = self._after is None and (again or self.is_resumed)
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
        items: list[Event | Step] = []
        if self._lacks_history:
            for item in (yield from _read_events(self._ref)):
                items += self._read(bytes(item), "", "")
            self._lacks_history = False
        items += yield from self._look()
        return items

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
            self._after, self.cursor = event_id, to_cursor(event_id)
            self._last_sequence = sequence or self._last_sequence

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


class MessageTurn(SessionStream, TurnPlan):
    """Follows the turn that a message starts, or steers.

    The turn is ours from the first event that names our message as its input. A message that is stored while another
    turn runs is ours to follow when that turn works on, which takes the message in; if it ends before, it is not.
    """

    def __init__(self, ref: SessionRef, after: str | None, body: Mapping[str, Any]) -> None:
        super().__init__(ref, after)
        self._body = body
        self._message_id = ""
        self._delivery: str | None = None
        self._is_stored = False
        self._is_proven = False
        self._has_begun = False
        self._other_end: TurnEnded | None = None
        self._adopted_end: TurnEnded | None = None
        self._looks_at_rest = 0

    def send(self) -> Flow[None]:
        """Store the message."""
        stored = yield from _post_message(self._ref, self._body)
        self._message_id, self._delivery = stored.id, stored.delivery

    def is_ours(self, event: Event) -> bool:
        """Whether an event belongs to work on our message."""
        if self._is_worked_on(event) or event is self._adopted_end:
            return True
        if self._delivery == _NEW_TURN:
            return False
        if self._delivery in _TAKEN_BY_TURN:
            return self._is_echo(event)
        return self._is_stored and event.native_type == WORKS

    def _read(self, content: bytes, kind: str, stored_id: str | None) -> Items:
        """Read one event; what an earlier turn leaves behind comes before our message, and is left out."""
        items = super()._read(content, kind, stored_id)
        if self._is_proven:
            return items
        for item in items:
            if isinstance(item, Step):
                continue
            self._is_stored = self._is_stored or self._is_echo(item)
            self._is_proven = self._is_proven or self.is_ours(item)
            self._has_begun = self._has_begun or self._is_stored or self._is_proven
            if isinstance(item, TurnEnded) and self._is_stored and not self._is_proven:
                self._look_s, self._other_end = _SETTLES_S, item
                return (*items, Reconcile(_SETTLES_S))
        return items if self._has_begun else [item for item in items if isinstance(item, Step)]

    def _is_look_needed(self) -> bool:
        return super()._is_look_needed() or (self._other_end is not None and not self._is_proven)

    def _settle(self, status: SessionStatus) -> Items:
        """Take the end of another turn for ours if the session rests: no turn of our own follows."""
        if self._other_end is None or self._is_proven:
            return super()._settle(status)
        self._looks_at_rest = self._looks_at_rest + 1 if status is SessionStatus.IDLE else 0
        if self._looks_at_rest < _SURE_LOOKS:  # between two turns a session rests for a moment
            return ()
        self._is_proven, self._adopted_end = True, self._other_end
        return (self._other_end,)

    def _is_echo(self, event: Event) -> bool:
        return isinstance(event, MessageCompleted) and event.message.id == self._message_id

    def _is_worked_on(self, event: Event) -> bool:
        if event.synthetic:
            return False
        try:
            wire, _ = _read_event(event.source)
        except MalformedResponse:
            return False
        return any(
            place is not None and place.input_message_id == self._message_id for place in (wire.context, wire.data)
        )


class AnswerTurn(SessionStream, TurnPlan):
    """Follows the turn that continues after its actions were answered."""

    def __init__(
        self, ref: SessionRef, after: str | None, waiting: Waiting, answers: Sequence[tuple[Answer, str]]
    ) -> None:
        super().__init__(ref, after, waiting)
        self._answers = answers
        self._call_ids = {_read_reference(reference.encode())[0].call_id for _, reference in answers}
        self._turn_id = waiting.turn_id

    def send(self) -> Flow[None]:
        """Send the answers."""
        yield from post_answers(session_path(self._ref), self._answers)

    def is_ours(self, event: Event) -> bool:
        """Whether it is the result of an answer, or of the turn that waited: it has sent no other event since."""
        if isinstance(event, ToolResultCompleted) and event.tool_call_id in self._call_ids:
            return True
        if isinstance(event, RawEvent) and event.native_type == TOOL_COMPLETED:
            data = event.payload.get("data")
            if isinstance(data, Mapping) and data.get("tool_call_id") in self._call_ids:
                return True
        return event.turn_id is not None and event.turn_id == self._turn_id


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
    """Prepare to follow a session, after the cursor or after its newest event."""
    if cursor is not None:
        return SessionStream(ref, from_cursor(cursor), is_resumed=True)
    return SessionStream(ref, (yield from _read_newest(ref)))


def start_turn(ref: SessionRef, turn_input: TurnInput, native: NativeBody | None = None) -> Flow[StreamPlan]:
    """Prepare to follow a turn. Older servers replay from the start unless they get the id of the newest event."""
    answers = tuple(part for part in turn_input if isinstance(part, Approve | Deny | ToolOutput | Reply))
    if answers:
        check_answers(answers)
        waiting, newest = yield from _read_waiting(ref)
        return AnswerTurn(ref, newest, waiting, check_expected(answers, waiting.actions))
    body = _message_body(turn_input, native)
    return MessageTurn(ref, (yield from _read_newest(ref)), body)


# --- Cursors of streams


def to_cursor(after: str | None) -> str:
    """The cursor that continues after an event; None for the start of a session."""
    return base64.urlsafe_b64encode(msgspec.json.encode(WireCursor(after))).decode().rstrip("=")


def from_cursor(cursor: str) -> str | None:
    """The id of the event that a cursor continues after; None for the start.

    Raises:
        UsageError: It is not a cursor of this backend.
    """
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return _read_cursor(content)[0].since_id
    except (ValueError, binascii.Error, MalformedResponse):
        pass
    raise UsageError(f"{cursor!r} is not a cursor of this stream")


def _wait_s(content: bytes) -> float:
    """Seconds that a server asks to wait before the stream is opened again."""
    try:
        retry_ms = _read_disconnecting(content)[0].retry_ms
    except MalformedResponse:
        retry_ms = None
    return (_DEFAULT_RETRY_MS if retry_ms is None or retry_ms < 0 else retry_ms) / 1000
