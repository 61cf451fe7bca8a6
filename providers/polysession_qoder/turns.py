"""Messages, answers, history and streams of Qoder: the calls and the plans.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview,
https://docs.qoder.com/cloud-agents/api/sessions/events/send and its siblings,
https://docs.qoder.com/cloud-agents/permission-policies (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from polysession.provider_api import (
    ActionRequired,
    Answer,
    Block,
    Call,
    Event,
    Finished,
    Flow,
    Frame,
    Head,
    Items,
    MalformedResponse,
    Message,
    MessageCompleted,
    Page,
    PendingAction,
    Reconcile,
    SessionRef,
    Step,
    StreamPlan,
    TurnEnded,
    TurnInput,
    TurnPlan,
    TurnStarted,
    UsageError,
    as_utc,
    decode_cursor,
    decoder,
    encode_cursor,
    read_response,
    split_turn_input,
    with_query,
)
from polysession_qoder.events import EventReader, Position, TurnMark
from polysession_qoder.messages import (
    ANSWERED_IN,
    LAST_EVENTS,
    ROLES,
    TOOL_USES,
    PendingActions,
    answer_events,
    answered_id,
    awaited_ids,
    content_of,
    digest_of,
    head_of,
    message_event,
    read_idle,
    to_action,
)
from polysession_qoder.sessions import MAX_PAGE_SIZE, page_parameters, post, session_path, to_page
from polysession_qoder.wire import WireSent

_DELTAS: Final = ("agent.message", "agent.thinking")
_KEEP_ALIVE: Final = frozenset({"heartbeat", "ping"})
_END_OF_STREAM: Final = b"[DONE]"
_LOOKED_BACK: Final = 10
"""Events that are read before a stream is opened, for the state of the turn."""
_NEWEST_FIRST: Final[Mapping[str, Any]] = {"order": "desc"}

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
    _mark: TurnMark | None = None

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
        self.cursor = encode_cursor(self._reader.position_after(event_id, self._mark))

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
        after: Id of the last event before the position; None without any.
        mark: Facts by which the turn is recognised.
        to_send: The call that starts the turn; None for a turn that another process started.
    """

    _mark: TurnMark

    def __init__(
        self, ref: SessionRef, reader: EventReader, after: str | None, mark: TurnMark, to_send: Call | None = None
    ) -> None:
        self._mark = mark
        super().__init__(ref, reader, after)
        self._start = after
        self._to_send = to_send
        self.is_resumed = to_send is None
        if to_send is None:
            reader.expect_turn()

    def send(self) -> Flow[None]:
        """Send the events, and note the ids and the time that the backend gives them."""
        if self._to_send is None:
            return
        reply = yield self._to_send
        sent, _ = read_response(_read_sent, reply)
        accepted = sent.data or []
        times = [_to_utc(event.processed_at or event.created_at) for event in accepted] or [_to_utc(sent.created_at)]
        self._reader.expect_turn()
        self._note(
            sent_ids=tuple(event.id for event in accepted if event.id),
            turn_id=sent.turn_id,
            accepted_at=max((moment for moment in times if moment is not None), default=None),
        )

    def _note(self, **facts: Any) -> None:
        self._mark = msgspec.structs.replace(self._mark, **facts)
        self._move_to(self._after)

    def read(self, frame: Frame) -> Items:
        """The events of one frame. Their cursor keeps it if one of them proves that the turn is ours."""
        items = super().read(frame)
        if not self._mark.is_proven:
            for item in items:
                if not isinstance(item, Step):
                    self.is_ours(item)
        return items

    def is_ours(self, event: Event) -> bool:
        """Whether the turn in progress is ours.

        It is if the event is what was sent, or happened after the backend accepted that: no turn was in progress then,
        and no other starts before ours ends. The end of the session is the end of our turn, too.
        """
        if not self._mark.is_proven and self._proves(event):
            self._note(is_proven=True)
        return self._mark.is_proven

    def _proves(self, event: Event) -> bool:
        mark = self._mark
        if event.native_type in LAST_EVENTS or event.id in mark.sent_ids:
            return True
        if event.turn_id is not None and event.turn_id == mark.turn_id:
            return True
        if self._is_sent(event.native_type, event.source):
            return True
        is_later = self._is_later(event)
        if is_later is None and not mark.sent_ids:  # May 2026 gave no ids
            return self._to_send is not None and isinstance(event, TurnStarted)
        return bool(is_later)

    def _is_sent(self, kind: str | None, content: bytes) -> bool:
        """Whether an event answers the same actions, or says the same where no ids are known yet."""
        if kind in ANSWERED_IN:
            return answered_id(content) in self._mark.answered_ids
        mark = self._mark
        is_compared = mark.digest is not None and not (mark.sent_ids or mark.turn_id)
        return is_compared and kind == "user.message" and digest_of(content_of(content)) == mark.digest

    def _is_later(self, event: Event) -> bool | None:
        """Whether an event happened after ours were accepted; None if a time is missing, or both are the same."""
        accepted_at = self._mark.accepted_at
        if accepted_at is None or event.created_at is None or event.created_at == accepted_at:
            return None
        return event.created_at > accepted_at

    def _is_unclear(self, events: Sequence[Event]) -> bool:
        """Whether these events may end another client's turn, or lack something that the history has."""
        may_be_foreign = self._is_later(events[-1]) is None and not any(self.is_ours(event) for event in events)
        return may_be_foreign or super()._is_unclear(events)

    def reconcile(self) -> Flow[Items]:
        """Also look whether the end that is held came after the events that were sent."""
        if self._held and not self._mark.is_proven and (yield from self._ends_our_turn(self._held[-1])):
            self._note(is_proven=True)
        return (yield from super().reconcile())

    def _ends_our_turn(self, end: Event) -> Flow[bool]:
        """Whether the end of a turn is later in the history than what was sent, or is the end of the newest turn."""

        def is_ours(item: bytes) -> bool:
            head = head_of(item)
            return head.id in self._mark.sent_ids or self._is_sent(head.type, item)

        def is_enough(items: Sequence[bytes]) -> bool:
            return any(head_of(item).id == self._start or is_ours(item) for item in items)

        is_newer = has_successor = False
        for item in (yield from _walk(self._ref, _NEWEST_FIRST, is_enough)):
            head = head_of(item)
            is_newer = is_newer or head.id == end.id
            if is_ours(item):
                return is_newer
            has_successor = has_successor or (head.type == "session.status_running" and not is_newer)
        return is_newer and not has_successor


def _to_utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC; None also for one outside the years 1 to 9999."""
    try:
        return moment and as_utc(moment)
    except ValueError:
        return None


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[StreamPlan]:
    """Prepare to follow a session: after the cursor, or after the newest event.

    Raises:
        UsageError: The cursor is not one of ours.
    """
    if cursor is None:
        reader = EventReader(ref.id)
        return QoderStream(ref, reader, (yield from _read_newest(ref, reader)))
    position = decode_cursor(Position, cursor, "Qoder")
    plan = QoderStream(ref, EventReader(ref.id, position), position.after)
    plan.is_resumed = True
    return plan


def start_turn(ref: SessionRef, turn_input: TurnInput, idempotency_key: str | None) -> Flow[TurnPlan]:
    """Prepare to follow the turn that this input starts, from the newest event on.

    Raises:
        Conflict: There are answers, and no pending actions.
        NotFound: One of the actions is not pending.
    """
    reader = EventReader(ref.id)
    blocks, answers = split_turn_input(turn_input)
    if not answers:
        message = message_event(blocks)
        to_send = _sending(ref, [message], idempotency_key)
        after = yield from _read_newest(ref, reader)
        return QoderTurn(ref, reader, after, TurnMark(digest=digest_of(message["content"])), to_send)
    pending = yield from _search_pending(ref)
    for action in pending.actions.values():
        reader.remember(action)  # the turn may stop again at those that are not answered
    events = answer_events(answers, pending)
    mark = TurnMark(answered_ids=tuple(event[ANSWERED_IN[event["type"]]] for event in events))
    return QoderTurn(ref, reader, pending.newest_id, mark, _sending(ref, events, idempotency_key))


def rejoin_turn(ref: SessionRef, cursor: str) -> Flow[TurnPlan]:
    """Prepare to continue a turn after a cursor of its plan.

    Raises:
        UsageError: The cursor is not that of a turn.
    """
    yield from ()  # a flow without a call
    position = decode_cursor(Position, cursor, "Qoder")
    if position.turn is None:
        raise UsageError(f"{cursor!r} is the cursor of a stream, which follows no turn")
    return QoderTurn(ref, EventReader(ref.id, position), position.after, position.turn)


def send_message(ref: SessionRef, content: tuple[Block, ...], idempotency_key: str | None) -> Flow[None]:
    """Send a message."""
    reply = yield _sending(ref, [message_event(content)], idempotency_key)
    read_response(_read_sent, reply)


def answer_actions(ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer pending actions. They are read first, because the backend may be silent about a late answer.

    Raises:
        Conflict: There are no pending actions.
        NotFound: One of the actions is not pending.
    """
    pending = yield from _search_pending(ref)
    reply = yield _sending(ref, answer_events(answers, pending), None)
    read_response(_read_sent, reply)


def pending_actions(ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
    """Read the pending actions.

    Raises:
        MalformedResponse: The session waits at an event that its history does not hold.
    """
    pending = yield from _search_pending(ref)
    if pending.missing:
        raise MalformedResponse(f"the session waits at {', '.join(pending.missing)}, which its events do not hold")
    return tuple(pending.actions.values())


def list_events(ref: SessionRef, parameters: Mapping[str, Any], *, newest_first: bool) -> Flow[Page[Event]]:
    """Read one page of events.

    Where the session waited at tool uses of an earlier page, those are looked up.
    """
    order = _NEWEST_FIRST if newest_first else {}
    reply = yield Call("GET", with_query(_events_path(ref), {**order, **parameters}))
    page = to_page(reply, bytes)
    events = _read_in_order(page.items, EventReader(ref.id), newest_first=newest_first)
    completed = yield from _with_actions(ref, events)
    return Page(tuple(completed), page.next_cursor, page.problems)


def list_messages(ref: SessionRef, parameters: Mapping[str, Any], *, newest_first: bool) -> Flow[Page[Message]]:
    """Read one page of messages: the events that are messages."""
    order = _NEWEST_FIRST if newest_first else {}
    reply = yield Call("GET", with_query(_events_path(ref), {"types[]": list(ROLES), **order, **parameters}))
    page = to_page(reply, bytes)
    events = _read_in_order(page.items, EventReader(ref.id), newest_first=newest_first)
    messages = tuple(event.message for event in events if isinstance(event, MessageCompleted))
    unread = [f"an event: {problem}" for event in events if not event.native_type for problem in event.problems]
    return Page(messages, page.next_cursor, (*page.problems, *unread))


def _read_in_order(items: Sequence[bytes], reader: EventReader, *, newest_first: bool) -> list[Event]:
    """The common events of a page, in its order; they are read from the oldest on."""
    oldest_first = reversed(items) if newest_first else items
    events = [event for item in oldest_first for event in reader.read(item)]
    return events[::-1] if newest_first else events


def _events_path(ref: SessionRef) -> str:
    return f"{session_path(ref)}/events"


def _sending(ref: SessionRef, events: list[dict[str, Any]], idempotency_key: str | None) -> Call:
    return post(_events_path(ref), {"events": events}, idempotency_key)


def _read_newest(ref: SessionRef, reader: EventReader) -> Flow[str | None]:
    """Read the newest events, for the state of the turn that is in progress; the id of the newest, None without any."""
    query = {**_NEWEST_FIRST, **page_parameters(_LOOKED_BACK, None)}
    reply = yield Call("GET", with_query(_events_path(ref), query))
    events = _read_in_order(to_page(reply, bytes).items, reader, newest_first=True)
    return next((event.id for event in events if event.id is not None), None)


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
    return [event_id for event_id in awaited_ids(read_idle(event.source)) if event_id not in known]


def _with_actions(ref: SessionRef, events: Sequence[Event]) -> Flow[Sequence[Event]]:
    """The events, with the pending actions that were not read before, as far as the history has them."""
    missing = {event_id for event in events for event_id in _missing_ids(event)}
    found: dict[str, PendingAction] = {}

    def take(items: Sequence[bytes]) -> bool:
        for item in items:
            head = head_of(item)
            if head.id in missing and head.type in TOOL_USES:
                found[head.id] = to_action(item)
        return missing <= found.keys()

    if missing:
        yield from _walk(ref, {**_NEWEST_FIRST, "types[]": list(TOOL_USES)}, take)
    return [_completed(event, found) if isinstance(event, ActionRequired) else event for event in events]


def _completed(event: ActionRequired, found: Mapping[str, PendingAction]) -> Event:
    known = {**found, **{action.id: action for action in event.actions}}
    awaited = awaited_ids(read_idle(event.source))
    return event.model_copy(update={"actions": tuple(known[event_id] for event_id in awaited if event_id in known)})


def _search_pending(ref: SessionRef) -> Flow[PendingActions]:
    pending = PendingActions()
    yield from _walk(ref, _NEWEST_FIRST, pending.take)
    return pending
