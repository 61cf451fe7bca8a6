"""Messages, answers, history and streams of Qoder: the calls and the plans.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview,
https://docs.qoder.com/cloud-agents/api/sessions/events/send and its siblings,
https://docs.qoder.com/cloud-agents/permission-policies (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Approve,
    Block,
    Call,
    Conflict,
    Deny,
    Event,
    Flow,
    Frame,
    MalformedResponse,
    MediaBlock,
    Message,
    MessageCompleted,
    NotFound,
    OldStreamPlan,
    OldTurnPlan,
    Page,
    PendingAction,
    PolysessionError,
    Reply,
    SessionRef,
    ToolExecution,
    ToolOutput,
    TurnInput,
    TurnStarted,
    UsageError,
    decode_json,
    decoder,
    read_response,
    with_query,
)
from polysession_qoder.events import (
    LAST_EVENTS,
    MEDIA_SOURCES,
    ROLES,
    TOOL_USES,
    EventReader,
    awaited_ids,
    to_action,
)
from polysession_qoder.sessions import MAX_PAGE_SIZE, page_parameters, post, session_path, to_page
from polysession_qoder.wire import WireConfirmation, WireEvent, WireIdle, WireSent

_DELTAS: Final = ("agent.message", "agent.thinking")
_KEEP_ALIVE: Final = frozenset({"heartbeat", "ping"})
_END_OF_STREAM: Final = b"[DONE]"
_CURSOR_PREFIX: Final = "evt_"
_NEWEST_FIRST: Final[Mapping[str, Any]] = {"order": "desc"}
_NOT_WAITING: Final = frozenset({"session.status_running", *LAST_EVENTS})
_ANSWERED_IN: Final[Mapping[str, str]] = {answer_type: key for _, answer_type, key in TOOL_USES.values()}

_read_head: Final = decoder(WireEvent)
_read_idle: Final = decoder(WireIdle)
_read_confirmation: Final = decoder(WireConfirmation)
_read_sent: Final = decoder(WireSent)


class QoderStream(OldStreamPlan):
    """Follows a session from after one event on. The backend replays what came after it.

    Args:
        ref: The session.
        cursor: Id of that event; None if the session has none yet.
        reader: Reads the events.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/stream (read 2026-11)
    """

    cursor: str | None = None
    not_replayed = ("message.started", "message.delta", "thinking.started", "thinking.delta")

    def __init__(self, ref: SessionRef, cursor: str | None, reader: EventReader) -> None:
        super().__init__()
        self._ref = ref
        self.cursor = cursor
        self._has_broken = False
        self._reader = reader

    def open(self) -> Call:
        """Without a cursor the stream begins with what happens next: a probe reads what was before a reopening.

        Raises:
            MalformedResponse: The backend gave its last event an id that it cannot be asked for.
        """
        self.probe_due = self._has_broken and self.cursor is None
        headers = {"accept": "text/event-stream"}
        if self.cursor is not None:
            if not _fits_a_header(self.cursor):
                raise MalformedResponse(
                    f"the stream cannot continue after {self.cursor!r}: no header can carry that id"
                )
            headers["last-event-id"] = self.cursor
        return Call("GET", with_query(f"{_events_path(self._ref)}/stream", {"event_deltas[]": _DELTAS}), headers)

    def read(self, frame: Frame) -> Sequence[Event]:
        """The events of one frame. May 2026 kept id and type outside the JSON."""
        if frame.event in _KEEP_ALIVE or frame.data == _END_OF_STREAM:
            return ()
        events = self._reader.read(frame.data, kind=frame.event, event_id=frame.id or None)
        if events:
            self._move_to(events[0])
        return events

    def _move_to(self, event: Event) -> None:
        self.cursor = event.id or self.cursor  # a preview has none
        self.finished = self.finished or event.native_type in LAST_EVENTS

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (any break is alike)
        """From here on a reopening may miss something."""
        self._has_broken = True

    def probe(self) -> Flow[list[Event]]:
        """All stored events: only if there is no cursor yet, because then no reopened stream would tell them."""
        found = yield from _walk(self._ref, {}, lambda _: False)
        events: list[Event] = []
        for item in found:
            events += self._reader.read(item)
        for event in events:
            self._move_to(event)
        return events


class QoderTurn(QoderStream, OldTurnPlan):
    """Follows the turn that some events start.

    Args:
        ref: The session.
        cursor: Id of the last event before the turn; None if there is none.
        reader: Reads the events.
        events: What to send.
    """

    def __init__(self, ref: SessionRef, cursor: str | None, reader: EventReader, events: list[dict[str, Any]]) -> None:
        super().__init__(ref, cursor, reader)
        self._events = events
        self._answered_ids = {event[_ANSWERED_IN[event["type"]]] for event in events if event["type"] in _ANSWERED_IN}
        self._sent_ids: set[str] = set()
        self._turn_id: str | None = None

    def send(self) -> Flow[None]:
        """Send the events, and note the ids under which the stream will show them."""
        sent = yield from _send(self._ref, self._events)
        self._sent_ids = {event.id for event in sent.data or () if event.id}
        self._turn_id = sent.turn_id
        self._reader.expect_turn()

    def begins(self, event: Event) -> bool:
        """Whether it is what we sent, come back. May 2026 gave no ids: there the next turn to start is ours."""
        # Our turn also ends with the session, whether or not it had begun.
        if self.finished or (event.native_type in _ANSWERED_IN and _answered_id(event.source) in self._answered_ids):
            return True
        if self._sent_ids:
            return event.id in self._sent_ids
        return isinstance(event, TurnStarted) or (event.turn_id is not None and event.turn_id == self._turn_id)


def _fits_a_header(event_id: str) -> bool:
    return event_id.isascii() and event_id.isprintable() and " " not in event_id


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[OldStreamPlan]:
    """Prepare to follow a session: after the cursor, or after the newest event.

    Raises:
        UsageError: The cursor is not one of ours.
    """
    reader = EventReader(ref.id)
    is_resumed = cursor is not None
    if cursor is None:
        cursor = yield from _newest_id(ref, reader)
    elif not (cursor.startswith(_CURSOR_PREFIX) and _fits_a_header(cursor)):
        raise UsageError(f"{cursor!r} is not a cursor of a Qoder stream: those begin with {_CURSOR_PREFIX!r}")
    plan = QoderStream(ref, cursor, reader)
    plan.is_resumed = is_resumed
    return plan


def start_turn(ref: SessionRef, turn_input: TurnInput) -> Flow[OldTurnPlan]:
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
        cursor = yield from _newest_id(ref, reader)
        return QoderTurn(ref, cursor, reader, [message])
    pending = yield from _search_pending(ref)
    for action in pending.actions.values():
        reader.remember(action)  # the turn may stop again at those that are not answered
    return QoderTurn(ref, pending.newest_id, reader, answer_events(answers, pending))


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
    page = to_page(reply, bytes)
    heads = [_head_of(item) for item in page.items]
    stops = [item for item, head in zip(page.items, heads, strict=True) if head.type == "session.status_idle"]
    awaited = {event_id for item in stops for event_id in awaited_ids(_read_idle(item)[0])}
    reader = EventReader(ref.id)
    yield from _look_up(ref, awaited - {head.id for head in heads}, reader)
    events = tuple(event for item in page.items for event in reader.read(item))
    return Page(events, page.next_cursor, page.problems)


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


def _newest_id(ref: SessionRef, reader: EventReader) -> Flow[str | None]:
    """Id of the newest event. The reader sees it, for what it says of a turn that is in progress."""
    reply = yield Call("GET", with_query(_events_path(ref), {**_NEWEST_FIRST, **page_parameters(1, None)}))
    page = to_page(reply, reader.read)
    return next((event.id for events in page.items for event in events), None)


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


def _look_up(ref: SessionRef, event_ids: Iterable[str | None], reader: EventReader) -> Flow[None]:
    """Let the reader know these tool uses, as far as there are any."""
    missing = set(event_ids)

    def take(items: Sequence[bytes]) -> bool:
        for item in items:
            head = _head_of(item)
            if head.id in missing and head.type in TOOL_USES:
                reader.remember(to_action(item))
                missing.remove(head.id)
        return not missing

    if missing:
        yield from _walk(ref, {**_NEWEST_FIRST, "types[]": list(TOOL_USES)}, take)


# Pending actions, and what is sent.


class _Pending:
    """Finds the pending actions in a session's events, which are read newest first.

    Attributes:
        newest_id: Id of the newest event; None if there is none.
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
        if kind in _ANSWERED_IN:
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


def answer_event(answer: Answer, action: PendingAction) -> dict[str, Any]:
    """The event that answers an action, built from its reference.

    Raises:
        UsageError: It is the wrong kind of answer, or the action is another backend's.
    """
    if isinstance(answer, ToolOutput) != isinstance(action, ToolExecution) or isinstance(answer, Reply):
        wanted = "ToolOutput" if isinstance(action, ToolExecution) else "Approve or Deny"
        raise UsageError(f"action {action.id!r} is answered with {wanted}, not with {type(answer).__name__}")
    try:
        event = decode_json(action.reference.encode())
    except ValueError:
        event = None
    if not isinstance(event, dict) or event.get("type") not in _ANSWERED_IN:
        raise UsageError(f"the reference of action {action.id!r} is not one of Qoder's")
    return {**event, **_answer_fields(answer)}


def _answer_fields(answer: Approve | Deny | ToolOutput) -> dict[str, Any]:
    if isinstance(answer, ToolOutput):
        output = {"content": [{"type": "text", "text": answer.content}]}
        return output | {"is_error": True} if answer.is_error else output
    if isinstance(answer, Approve):
        return {"result": "allow"}
    return {"result": "deny"} if answer.reason is None else {"result": "deny", "deny_message": answer.reason}


def message_event(blocks: tuple[Block, ...]) -> dict[str, Any]:
    """The event that says these blocks, to be sent.

    Raises:
        UsageError: A block has something that Qoder does not take.
    """
    content = [
        _media(block) if isinstance(block, MediaBlock) else block.model_dump(include={"type", "text"})
        for block in blocks
    ]
    return {"type": "user.message", "content": content}


def _media(block: MediaBlock) -> dict[str, Any]:
    if block.media_type is not None and block.data is None:
        raise UsageError("Qoder takes a media_type together with data only")
    if block.title is not None and block.type == "image":
        raise UsageError("Qoder's images have no title")
    source: dict[str, Any] = {"media_type": block.media_type}
    for kind, name in MEDIA_SOURCES.items():
        if (value := getattr(block, name)) is not None:  # exactly one is
            source |= {"type": kind, name: value}
    wire = {"type": block.type, "source": _without_none(source), "title": block.title}
    return _without_none(wire)


def _without_none(wire: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if value is not None}
