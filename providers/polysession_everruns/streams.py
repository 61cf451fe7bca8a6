"""Everruns' messages, events and turns: what is called, and how a live stream goes on.

Backend: https://github.com/everruns/sdk, openapi/openapi.json and specs/sse-streaming.md, and https://docs.everruns.com,
event and streaming pages (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from pydantic import ValidationError

from polysession.provider_api import (
    Answer,
    Approve,
    Block,
    Call,
    Deny,
    Event,
    Flow,
    Form,
    Frame,
    MalformedResponse,
    MediaBlock,
    Message,
    MessageCompleted,
    OldStreamPlan,
    OldTurnPlan,
    Page,
    PendingAction,
    PolysessionError,
    RecentIds,
    Response,
    SessionRef,
    TextBlock,
    ToolOutput,
    TurnInput,
    UsageError,
    json_body,
    read_as,
    read_json,
    undecoded,
    with_query,
)
from polysession_everruns.actions import action_id, check_answers, check_expected, completed_id, post_answers
from polysession_everruns.calls import cursor_number, session_path
from polysession_everruns.event_normaliser import (
    CONNECTED,
    DISCONNECTING,
    SETTLING,
    EventReader,
    Waiting,
)
from polysession_everruns.message_normaliser import to_message
from polysession_everruns.usual_events import USUAL, Teller
from polysession_everruns.wire_events import WireDisconnecting, WireEvent, WireList, WireMessage, shape_of

_OPEN: Final = Response(200, {}, b"")
"""What an error says of the answer that a frame came in."""
_NEWEST: Final = 1
_RECENT: Final = 50
"""Enough to hold what a session waits for: nothing but its answers comes after the request."""
_EVENT_ID: Final = re.compile(r"event_[0-9A-Za-z-]+")
_REMEMBERED: Final = 1_000
_STREAM_HEADERS: Final = {"accept": "text/event-stream", "cache-control": "no-store"}
_NEW_TURN: Final = "started"


# --- Messages


def send_message(ref: SessionRef, content: tuple[Block, ...]) -> Flow[None]:
    """Store a message; a turn starts, or the one that runs is steered."""
    yield from _post_message(ref, _written(content))


def list_messages(ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Message]]:
    """One page of messages. The server sends them all; our cursor is the number of those that were read before."""
    start = 0 if cursor is None else cursor_number(cursor)
    reply = yield Call("GET", f"{session_path(ref)}/messages")
    everything = read_as(WireList.model_validate, read_json(reply), reply).data
    end = len(everything) if limit is None else start + limit
    messages = tuple(read_as(lambda raw: to_message(raw, ref.id), raw, reply) for raw in everything[start:end])
    return Page(messages, str(end) if end < len(everything) else None)


def _post_message(ref: SessionRef, parts: Sequence[Mapping[str, Any]]) -> Flow[WireMessage]:
    body = json_body({"message": {"role": "user", "content": parts}})
    reply = yield Call("POST", f"{session_path(ref)}/messages", body=body)
    return read_as(WireMessage.model_validate, read_json(reply), reply)


def _written(content: Iterable[Block]) -> list[dict[str, Any]]:
    """The parts of a message; the core lets text and images through, and nothing else.

    Raises:
        UsageError: An image has what the server cannot take.
    """
    return [
        {"type": "text", "text": block.text} if isinstance(block, TextBlock) else _image(cast("MediaBlock", block))
        for block in content
    ]


def _image(block: MediaBlock) -> dict[str, Any]:
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


# --- Past events


def list_events(ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """One page of events, oldest first.

    The server's own `limit` counts from the end. So all that follows is read, and cut here; `limit` counts events of
    Everruns, and our cursor is the sequence number of the last one.
    """
    after = None if cursor is None else cursor_number(cursor)
    reply, events = yield from _read_events(ref, after_sequence=after)
    page = events if limit is None else events[:limit]
    reader = EventReader()
    found = [event for wire in page for event in read_as(reader.read, _whole(wire, reply), reply)]
    return Page(tuple(found), _last_sequence(page) if len(page) < len(events) else None)


def _last_sequence(events: Iterable[WireEvent]) -> str:
    sequences = [event.sequence for event in events if event.sequence is not None]
    if not sequences:
        raise MalformedResponse("the list of events cannot be read in pages: its events have no sequence numbers")
    return str(max(sequences))


def _read_events(ref: SessionRef, **query: int | None) -> Flow[tuple[Response, Sequence[WireEvent]]]:
    """The envelopes of events: most callers need no more, or not of all."""
    reply = yield Call("GET", with_query(f"{session_path(ref)}/events", query))
    raws = read_as(WireList.model_validate, read_json(reply), reply).data
    return reply, [read_as(lambda raw: WireEvent.envelope_of(raw, session_id=ref.id), raw, reply) for raw in raws]


def _whole(envelope: WireEvent, reply: Response) -> WireEvent:
    """An event of a list with the data of its type."""
    return read_as(lambda raw: WireEvent.of(raw, session_id=envelope.session_id), envelope.raw, reply)


# --- What the agent waits for


def pending_actions(ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
    """What a session waits for. Its events tell, because its status follows them only after a moment."""
    waiting, _ = yield from _read_waiting(ref)
    return tuple(waiting.actions.values())


def answer_actions(ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer all that the session waits for."""
    check_answers(answers)
    waiting, _ = yield from _read_waiting(ref)
    check_expected(answers, waiting.actions)
    yield from post_answers(session_path(ref), answers)


def _read_waiting(ref: SessionRef) -> Flow[tuple[Waiting, WireEvent | None]]:
    """What the newest events say is waited for, and the newest of them."""
    reply, events = yield from _read_events(ref, limit=_RECENT)
    waiting = Waiting()
    for event in events:
        read_as(waiting.take, _whole(event, reply) if event.type in SETTLING else event, reply)
    return waiting, events[-1] if events else None


# --- Live streams


class SessionStream(OldStreamPlan):
    """Follows a session.

    Its cursor is the id of the last event that the server keeps, which it replays from. Deltas may be live only: they
    have no id on their frame, and do not move it.

    Args:
        ref: The session.
        cursor: Id of the event to begin after; None if there is no event yet.
        waiting: What the session waits for at that point.
    """

    cursor: str | None = None
    not_replayed = ("message.delta", "thinking.delta")

    def __init__(self, ref: SessionRef, cursor: str | None, waiting: Waiting | None = None) -> None:
        super().__init__()
        self._ref = ref
        self.cursor = cursor
        self._has_broken = False
        self._last_sequence = 0
        self._reader = EventReader(waiting)
        self._told, self._waiting = self._reader.told, self._reader.waiting
        self._seen = RecentIds(_REMEMBERED)

    def open(self) -> Call:
        """Open the stream after the cursor. Without one it may begin with what happens next: a probe tells the rest."""
        self.probe_due = self._has_broken and self.cursor is None
        path = with_query(f"{session_path(self._ref)}/sse", {"since_id": self.cursor})
        return Call("GET", path, headers=_STREAM_HEADERS)

    def read(self, frame: Frame) -> Sequence[Event]:
        """The events of one frame. A frame that is no event of the session, but of no known kind, is `native`."""
        usual = USUAL.get(frame.event)
        if usual is not None and not self._waiting.is_parked:
            events = self._tell(frame, usual)
            if events is not None:
                return events
        if frame.event == DISCONNECTING:
            reply = Response(200, {}, frame.data)
            self.reopen_after_s = read_as(WireDisconnecting.model_validate, read_json(reply), reply).retry_ms / 1000
        if frame.event in {CONNECTED, DISCONNECTING}:
            return ()
        return self._take(self._read_event(frame), frame.id, _OPEN)

    def _tell(self, frame: Frame, usual: tuple[Form[Any], Teller]) -> Sequence[Event] | None:
        """The events of a frame whose event has the usual form of its type; None if it takes a closer look."""
        form, tell = usual
        try:
            fields = form.reader(frame.data)
        except ValidationError:
            return None
        if fields["native_type"] != frame.event:
            return None
        if not self._seen.add(fields["id"]):
            return ()
        if frame.id:
            self._move_on(frame.id, fields.get("sequence"))
        fields["raw"] = frame.data  # decoded when somebody looks at it there
        return tell(self._told, fields)

    def _read_event(self, frame: Frame) -> WireEvent:
        """The event of a frame, straight from its text if nothing is missing there."""
        with suppress(ValidationError):
            event = shape_of(frame.event).__pydantic_validator__.validate_json(frame.data)
            if event.session_id and event.type == frame.event:
                event.__dict__["raw"] = undecoded(frame.data)
                return cast("WireEvent", event)
        reply, missing = Response(200, {}, frame.data), {"session_id": self._ref.id, "type": frame.event}
        return read_as(lambda raw: WireEvent.of(raw, **missing), read_json(reply), reply)

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (any break is alike)
        """From here on a reopening may miss something; a first opening that had to be tried again misses nothing."""
        self._has_broken = True

    def probe(self) -> Flow[Sequence[Event]]:
        """All that has happened: without a cursor the reopened stream would not tell it."""
        reply, events = yield from _read_events(self._ref)
        return [found for event in events for found in self._take(_whole(event, reply), event.id, reply)]

    def _take(self, event: WireEvent, stored_id: str | None, reply: Response) -> Sequence[Event]:
        if event.id is not None and not self._seen.add(event.id):
            return ()
        events = read_as(self._reader.read, event, reply)
        self._move_on(stored_id, event.sequence)
        return events

    def _move_on(self, stored_id: str | None, sequence: int | None) -> None:
        if stored_id and (sequence is None or sequence > self._last_sequence):
            self.cursor = stored_id
            self._last_sequence = sequence or self._last_sequence


class MessageTurn(SessionStream, OldTurnPlan):
    """Follows the turn that a message starts, or steers."""

    def __init__(self, ref: SessionRef, cursor: str | None, parts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(ref, cursor)
        self._parts = parts
        self._message_id = ""
        self._is_new_turn = False
        self._has_come = False

    def send(self) -> Flow[None]:
        """Store the message."""
        stored = yield from _post_message(self._ref, self._parts)
        self._message_id = stored.id
        self._is_new_turn = stored.delivery == _NEW_TURN

    def read(self, frame: Frame) -> Sequence[Event]:
        """The events from our message on: what an earlier turn leaves behind is not ours."""
        events = super().read(frame)
        self._has_come = self._has_come or any(self._is_stored(event) or self._is_worked_on(event) for event in events)
        return events if self._has_come else ()

    def begins(self, event: Event) -> bool:
        """The stored message, or any work on it. A server that tells that a new turn starts means that turn only."""
        return self._is_worked_on(event) or (self._is_stored(event) and not self._is_new_turn)

    def _is_stored(self, event: Event) -> bool:
        return isinstance(event, MessageCompleted) and event.message.id == self._message_id

    def _is_worked_on(self, event: Event) -> bool:
        places = (event.raw.get("context"), event.raw.get("data"))
        return any(isinstance(place, dict) and place.get("input_message_id") == self._message_id for place in places)


class AnswerTurn(SessionStream, OldTurnPlan):
    """Follows the turn that goes on after what it waited for was answered."""

    def __init__(self, ref: SessionRef, cursor: str | None, answers: tuple[Answer, ...], waiting: Waiting) -> None:
        super().__init__(ref, cursor, waiting)
        self._answers = answers
        self._answered_ids = {action_id(answer) for answer in answers}
        self._turn_id = waiting.turn_id

    def send(self) -> Flow[None]:
        """Give the answers."""
        yield from post_answers(session_path(self._ref), self._answers)

    def begins(self, event: Event) -> bool:
        """What became of an answer, or anything else that the turn goes on with: nothing of it came since it waits."""
        if completed_id(event.raw) in self._answered_ids:
            return True
        return event.turn_id is not None and event.turn_id == self._turn_id


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[OldStreamPlan]:
    """Make ready to follow a session, after the cursor or after its newest event."""
    is_resumed = cursor is not None
    if cursor is None:
        cursor = yield from _newest_id(ref)
    elif not _EVENT_ID.fullmatch(cursor):
        raise UsageError(f"{cursor!r} is not a cursor of this stream")
    plan = SessionStream(ref, cursor)
    plan.is_resumed = is_resumed
    return plan


def start_turn(ref: SessionRef, turn_input: TurnInput) -> Flow[OldTurnPlan]:
    """Make ready to follow a turn: older servers replay from the beginning unless told what the newest event is."""
    if isinstance(turn_input[0], Approve | Deny | ToolOutput):
        answers = turn_input
        check_answers(answers)
        waiting, newest = yield from _read_waiting(ref)
        check_expected(answers, waiting.actions)
        return AnswerTurn(ref, newest.id if newest else None, answers, waiting)
    parts = _written(turn_input)
    newest_id = yield from _newest_id(ref)
    return MessageTurn(ref, newest_id, parts)


def _newest_id(ref: SessionRef) -> Flow[str | None]:
    _, events = yield from _read_events(ref, limit=_NEWEST)
    return events[-1].id if events else None
