"""Messages, answers, history and streams of Qoder: the calls and the plans.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview,
https://docs.qoder.com/cloud-agents/api/sessions/events/send and its siblings,
https://docs.qoder.com/cloud-agents/permission-policies (read 2026-11)
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from polysession.provider_api import (
    ActionRequired,
    Answer,
    Approve,
    Block,
    Call,
    Conflict,
    Deny,
    Event,
    Finished,
    Flow,
    Frame,
    Head,
    Items,
    MalformedResponse,
    Message,
    MessageCompleted,
    NotFound,
    Page,
    PendingAction,
    Reconcile,
    Reply,
    SessionRef,
    StreamPlan,
    ToolOutput,
    TurnEnded,
    TurnInput,
    TurnPlan,
    TurnStarted,
    UsageError,
    as_utc,
    decoder,
    read_response,
    with_query,
)
from polysession_qoder.events import LAST_EVENTS, EventReader, Position, awaited_ids
from polysession_qoder.messages import ANSWERED_IN, ROLES, TOOL_USES, answer_event, message_event, to_action
from polysession_qoder.sessions import MAX_PAGE_SIZE, page_parameters, post, session_path, to_page
from polysession_qoder.wire import WireConfirmation, WireEvent, WireIdle, WireSent

_DELTAS: Final = ("agent.message", "agent.thinking")
_KEEP_ALIVE: Final = frozenset({"heartbeat", "ping"})
_END_OF_STREAM: Final = b"[DONE]"
_LOOKED_BACK: Final = 10
"""Events that are read before a stream is opened, for the state of the turn."""
_NEWEST_FIRST: Final[Mapping[str, Any]] = {"order": "desc"}
_NOT_WAITING: Final = frozenset({"session.status_running", *LAST_EVENTS})

_read_head: Final = decoder(WireEvent)
_read_idle: Final = decoder(WireIdle)
_read_confirmation: Final = decoder(WireConfirmation)
_read_sent: Final = decoder(WireSent)


class QoderStream(StreamPlan):
    """Follows a session from a position on. The backend replays the stored events after it.

    Args:
        ref: The session.
        reader: Reads the events, from the position on.
        after: Id of the last event before the position; None for the start of the session.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/stream (read 2026-11)
    """

    not_replayed = ("message.started", "message.delta", "thinking.started", "thinking.delta")

    def __init__(self, ref: SessionRef, reader: EventReader, after: str | None) -> None:
        self._ref = ref
        self._reader = reader
        self._held: Sequence[Event] = ()  # events that need to be reconciled before they are delivered
        self._move_to(after)

    def open(self) -> Call:
        """Open the stream after the last stored event; without one it begins with the next event.

        Raises:
            MalformedResponse: The backend gave its last event an id that it cannot be asked for.
        """
        headers = {"accept": "text/event-stream"}
        if self._after is not None:
            if not (self._after.isascii() and self._after.isprintable() and " " not in self._after):
                raise MalformedResponse(f"no header can carry {self._after!r}, after which the stream would continue")
            headers["last-event-id"] = self._after
        return Call("GET", with_query(f"{_events_path(self._ref)}/stream", {"event_deltas[]": _DELTAS}), headers)

    def opened(self, _head: Head, *, again: bool) -> Items:
        """Look for events before this opening, if the backend could not be asked to replay them."""
        return (Reconcile(),) if self._after is None and (again or self.is_resumed) else ()

    def read(self, frame: Frame) -> Items:
        """The events of one frame. May 2026 kept id and type outside the JSON."""
        if frame.event in _KEEP_ALIVE or frame.data == _END_OF_STREAM:
            return ()
        events = self._reader.read(frame.data, kind=frame.event, event_id=frame.id or None)
        if events and isinstance(events[-1], TurnEnded) and self._is_unclear(events):
            self._held = events
            return (Reconcile(),)
        return self._deliver(events)

    def _is_unclear(self, events: Sequence[Event]) -> bool:
        """Whether these events, the last of a turn, lack something that the history has."""
        return any(_missing_ids(event) for event in events)

    def _deliver(self, events: Sequence[Event]) -> Items:
        if not events or events[0].id is None:  # a preview has none
            return events
        self._move_to(events[0].id)
        return (*events, Finished()) if events[0].native_type in LAST_EVENTS else events

    def _move_to(self, event_id: str | None) -> None:
        self._after = event_id
        self.cursor = _to_cursor(self._reader.position_after(event_id))

    def reconcile(self) -> Flow[Items]:
        """Complete the events that are held; without any, read all stored events."""
        if self._held:
            events = yield from _with_actions(self._ref, self._held)
            self._held = ()
            return self._deliver(events)
        stored = yield from _walk(self._ref, {}, lambda _: False)
        return [item for content in stored for item in self._deliver(self._reader.read(content))]


class QoderTurn(QoderStream, TurnPlan):
    """Follows the turn that some events start.

    Args:
        ref: The session.
        reader: Reads the events, from the position on.
        after: Id of the last event before the turn; None without any.
        events: What to send.
    """

    def __init__(self, ref: SessionRef, reader: EventReader, after: str | None, events: list[dict[str, Any]]) -> None:
        super().__init__(ref, reader, after)
        self._events = events
        self._answered_ids = {event[ANSWERED_IN[event["type"]]] for event in events if event["type"] in ANSWERED_IN}
        self._sent_ids: set[str] = set()
        self._turn_id: str | None = None
        self._accepted_at: datetime | None = None
        self._is_proven = False

    def send(self) -> Flow[None]:
        """Send the events, and note the ids and the time that the backend gives them."""
        sent = yield from _send(self._ref, self._events)
        accepted = sent.data or []
        self._sent_ids = {event.id for event in accepted if event.id}
        self._turn_id = sent.turn_id
        times = [_to_utc(event.processed_at or event.created_at) for event in accepted] or [_to_utc(sent.created_at)]
        self._accepted_at = max((moment for moment in times if moment is not None), default=None)
        self._reader.expect_turn()

    def is_ours(self, event: Event) -> bool:
        """Whether the turn in progress is ours.

        It is if the event is what we sent, or happened after the backend accepted that: no turn was in progress then,
        and no other starts before ours ends. The end of the session is the end of our turn, too.
        """
        self._is_proven = self._is_proven or self._proves(event)
        return self._is_proven

    def _proves(self, event: Event) -> bool:
        if event.native_type in LAST_EVENTS or event.id in self._sent_ids:
            return True
        if event.native_type in ANSWERED_IN and _answered_id(event.source) in self._answered_ids:
            return True
        if event.turn_id is not None and event.turn_id == self._turn_id:
            return True
        is_later = self._is_later(event)
        # May 2026 gave no ids.
        return bool(is_later) or (not self._sent_ids and isinstance(event, TurnStarted) and is_later is None)

    def _is_later(self, event: Event) -> bool | None:
        """Whether an event happened after ours were accepted; None if a time is missing, or both are the same."""
        if self._accepted_at is None or event.created_at is None or event.created_at == self._accepted_at:
            return None
        return event.created_at > self._accepted_at

    def _is_unclear(self, events: Sequence[Event]) -> bool:
        """Whether these events may end another client's turn, or lack something that the history has."""
        may_be_foreign = self._is_later(events[-1]) is None and not any(self.is_ours(event) for event in events)
        return may_be_foreign or super()._is_unclear(events)

    def reconcile(self) -> Flow[Items]:
        """Also look whether the end that is held came after what we sent."""
        if self._held and not self._is_proven:
            self._is_proven = yield from self._ends_our_turn(self._held[-1])
        return (yield from super().reconcile())

    def _ends_our_turn(self, end: Event) -> Flow[bool]:
        """Whether the end of a turn is later in the history than what we sent, or is the end of the newest turn."""
        newer: list[WireEvent] = []

        def take(items: Sequence[bytes]) -> bool:
            newer.extend(_head_of(item) for item in items)
            return any(head.id in {end.id, *self._sent_ids} for head in newer)

        yield from _walk(self._ref, _NEWEST_FIRST, take)
        for head in newer:
            if head.id == end.id:
                return True
            if head.id in self._sent_ids or head.type == "session.status_running":
                return False
        return False


def _to_utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC; None also for one outside the years 1 to 9999."""
    try:
        return moment and as_utc(moment)
    except ValueError:
        return None


def _to_cursor(position: Position) -> str:
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _from_cursor(cursor: str) -> Position:
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(content, type=Position)
    except (ValueError, msgspec.MsgspecError):
        pass
    raise UsageError(f"{cursor!r} is not a cursor of a Qoder stream")


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
    """Prepare to follow a session: after the cursor, or after the newest event.

    Raises:
        UsageError: The cursor is not one of ours.
    """
    if cursor is None:
        reader = EventReader(ref.id)
        return QoderStream(ref, reader, (yield from _read_newest(ref, reader)))
    position = _from_cursor(cursor)
    plan = QoderStream(ref, EventReader(ref.id, position), position.after)
    plan.is_resumed = True
    return plan


def start_turn(ref: SessionRef, turn_input: TurnInput) -> Flow[StreamPlan]:
    """Prepare to follow the turn that this input starts, from the newest event on.

    Raises:
        Conflict: There are answers, and no pending actions.
        NotFound: One of the actions is not pending.
    """
    reader = EventReader(ref.id)
    answers = tuple(item for item in turn_input if isinstance(item, Approve | Deny | ToolOutput | Reply))
    if not answers:
        blocks = tuple(item for item in turn_input if not isinstance(item, Approve | Deny | ToolOutput | Reply))
        message = message_event(blocks)
        return QoderTurn(ref, reader, (yield from _read_newest(ref, reader)), [message])
    pending = yield from _search_pending(ref)
    for action in pending.actions.values():
        reader.remember(action)  # the turn may stop again at those that are not answered
    return QoderTurn(ref, reader, pending.newest_id, answer_events(answers, pending))


def send_message(ref: SessionRef, content: tuple[Block, ...]) -> Flow[None]:
    """Send a message."""
    yield from _send(ref, [message_event(content)])


def answer_actions(ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer pending actions. They are read first, because the backend may be silent about a late answer.

    Raises:
        Conflict: There are no pending actions.
        NotFound: One of the actions is not pending.
    """
    pending = yield from _search_pending(ref)
    yield from _send(ref, answer_events(answers, pending))


def pending_actions(ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
    """Read the pending actions.

    Raises:
        MalformedResponse: The session waits at an event that its history does not hold.
    """
    pending = yield from _search_pending(ref)
    if pending.missing:
        raise MalformedResponse(f"the session waits at {', '.join(pending.missing)}, which its events do not hold")
    return tuple(pending.actions.values())


def list_events(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """Read one page of events, oldest first.

    Where the session waited at tool uses of an earlier page, those are looked up.
    """
    reply = yield Call("GET", with_query(_events_path(ref), page_parameters(page_size, cursor)))
    page = to_page(reply, EventReader(ref.id).read)
    events = yield from _with_actions(ref, [event for found in page.items for event in found])
    return Page(tuple(events), page.next_cursor, page.problems)


def list_messages(ref: SessionRef, page_size: int | None, cursor: str | None) -> Flow[Page[Message]]:
    """Read one page of messages, oldest first: the events that are messages."""
    parameters = {"types[]": list(ROLES)} | page_parameters(page_size, cursor)
    reply = yield Call("GET", with_query(_events_path(ref), parameters))
    reader = EventReader(ref.id)
    page = to_page(reply, reader.read)
    events = [event for found in page.items for event in found]
    messages = tuple(event.message for event in events if isinstance(event, MessageCompleted))
    unread = [f"an event: {problem}" for event in events if not event.native_type for problem in event.problems]
    return Page(messages, page.next_cursor, (*page.problems, *unread))


def _events_path(ref: SessionRef) -> str:
    return f"{session_path(ref)}/events"


def _send(ref: SessionRef, events: list[dict[str, Any]]) -> Flow[WireSent]:
    reply = yield post(_events_path(ref), {"events": events})
    return read_response(_read_sent, reply)[0]


def _read_newest(ref: SessionRef, reader: EventReader) -> Flow[str | None]:
    """Read the newest events, for the state of the turn that is in progress; the id of the newest, None without any."""
    query = {**_NEWEST_FIRST, **page_parameters(_LOOKED_BACK, None)}
    reply = yield Call("GET", with_query(_events_path(ref), query))
    newest_first = to_page(reply, bytes).items
    events = [event for content in reversed(newest_first) for event in reader.read(content)]
    return next((event.id for event in reversed(events) if event.id is not None), None)


def _head_of(item: bytes) -> WireEvent:
    """The fields that all events have; none for what is not an object."""
    try:
        return _read_head(item)[0]
    except MalformedResponse:
        return WireEvent()


def _walk(ref: SessionRef, query: Mapping[str, Any], is_enough: Callable[[Sequence[bytes]], bool]) -> Flow[list[bytes]]:
    """Read the list of events in large pages, until it is enough or there are no more.

    Args:
        ref: The session.
        query: Which events, and in which order.
        is_enough: Called with the events of each page.

    Raises:
        MalformedResponse: A page points back to one that was read, so that the list would never end.
    """
    found: list[bytes] = []
    cursor: str | None = None
    cursors = {cursor}
    while True:
        reply = yield Call("GET", with_query(_events_path(ref), {**query, **page_parameters(MAX_PAGE_SIZE, cursor)}))
        page = to_page(reply, bytes)
        found += page.items
        if is_enough(page.items) or page.next_cursor is None:
            return found
        if page.next_cursor in cursors:
            raise MalformedResponse("the list of events does not advance: the next page's cursor was read already")
        cursor = page.next_cursor
        cursors.add(cursor)


def _missing_ids(event: Event) -> list[str]:
    """Ids of the tool uses that the session waits at and whose events were not read."""
    if not isinstance(event, ActionRequired):
        return []
    known = {action.id for action in event.actions}
    return [event_id for event_id in awaited_ids(_read_idle(event.source)[0]) if event_id not in known]


def _with_actions(ref: SessionRef, events: Sequence[Event]) -> Flow[Sequence[Event]]:
    """The events, with the pending actions that were not read before, as far as the history has them."""
    missing = {event_id for event in events for event_id in _missing_ids(event)}
    found: dict[str, PendingAction] = {}

    def take(items: Sequence[bytes]) -> bool:
        for item in items:
            head = _head_of(item)
            if head.id in missing and head.type in TOOL_USES:
                found[head.id] = to_action(item)
        return missing <= found.keys()

    if missing:
        yield from _walk(ref, {**_NEWEST_FIRST, "types[]": list(TOOL_USES)}, take)
    return [_completed(event, found) if isinstance(event, ActionRequired) else event for event in events]


def _completed(event: ActionRequired, found: Mapping[str, PendingAction]) -> Event:
    known = {**found, **{action.id: action for action in event.actions}}
    awaited = awaited_ids(_read_idle(event.source)[0])
    return event.model_copy(update={"actions": tuple(known[event_id] for event_id in awaited if event_id in known)})


# Pending actions, and what is sent.


class _Pending:
    """Finds the pending actions in a session's events, which are read newest first.

    Attributes:
        newest_id: Id of the newest event; None without any.
    """

    def __init__(self) -> None:
        self.newest_id: str | None = None
        self._awaited: list[str] | None = None  # None until it is known
        self._answered: set[str] = set()
        self._found: dict[str, PendingAction] = {}

    @property
    def ids(self) -> list[str]:
        """Ids of all, in the order in which the backend names them."""
        return self._awaited or []

    @property
    def missing(self) -> list[str]:
        """Ids of those whose events were not read yet."""
        return [event_id for event_id in self.ids if event_id not in self._found]

    @property
    def actions(self) -> dict[str, PendingAction]:
        """Those whose events were read, by id."""
        return {event_id: self._found[event_id] for event_id in self.ids if event_id in self._found}

    def take(self, items: Sequence[bytes]) -> bool:
        """Read the next older events; whether nothing older has to be read."""
        for item in items:
            head = _head_of(item)
            self.newest_id = self.newest_id or head.id
            if self._awaited is None:
                self._look_for_state(item, head.type or "")
            elif head.type in TOOL_USES and head.id in self._awaited:
                self._found[head.id] = to_action(item)
        return self._awaited is not None and not self.missing

    def _look_for_state(self, item: bytes, kind: str) -> None:
        if kind in ANSWERED_IN:
            self._answered.add(_answered_id(item))  # after the session became idle: it has not acted on it yet
        elif kind == "session.status_idle":
            awaited = awaited_ids(_read_idle(item)[0])
            self._awaited = [event_id for event_id in awaited if event_id not in self._answered]
        elif kind in _NOT_WAITING:
            self._awaited = []


def _search_pending(ref: SessionRef) -> Flow[_Pending]:
    pending = _Pending()
    yield from _walk(ref, _NEWEST_FIRST, pending.take)
    return pending


def _answered_id(item: bytes) -> str:
    """Id of the event that a stored answer is about."""
    wire, _ = _read_confirmation(item)
    return wire.tool_use_id or wire.custom_tool_use_id or ""


def answer_events(answers: tuple[Answer, ...], pending: _Pending) -> list[dict[str, Any]]:
    """The events that answer, to be sent.

    Args:
        answers: The caller's answers.
        pending: The pending actions.

    Raises:
        Conflict: There are none.
        NotFound: One of the actions is not pending.
        UsageError: An action is answered with the wrong kind of answer.
    """
    if not pending.ids:
        raise Conflict("no pending actions: they were already answered, or the turn ended")
    return [answer_event(answer, _action_of(answer, pending)) for answer in answers]


def _action_of(answer: Answer, pending: _Pending) -> PendingAction:
    """The action that is answered: the caller's own, or for a bare id the one in the events."""
    action_id = answer.action if isinstance(answer.action, str) else answer.action.id
    if action_id not in pending.ids:
        raise NotFound(f"action {action_id!r} is not pending; the agent waits for {', '.join(pending.ids)}")
    if not isinstance(answer.action, str) and answer.action.reference:
        return answer.action
    if action_id not in pending.actions:
        raise MalformedResponse(f"the session waits at {action_id}, which its events do not hold")
    return pending.actions[action_id]
