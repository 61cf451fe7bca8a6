"""Messages, events, streams and turns of Qoder: the calls, and what a live stream is made of.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview,
https://docs.qoder.com/cloud-agents/api/sessions/events/send and its siblings (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Approve,
    Block,
    Call,
    Deny,
    Event,
    Flow,
    Frame,
    MalformedResponse,
    Message,
    OldStreamPlan,
    OldTurnPlan,
    Page,
    PendingAction,
    PolysessionError,
    Response,
    SessionRef,
    ToolOutput,
    TurnInput,
    TurnStarted,
    UsageError,
    read_as,
    read_json,
    undecoded,
    with_query,
)
from polysession_qoder.actions import TOOL_USES, PendingSearch, answered_id, awaited_ids, from_answers
from polysession_qoder.calls import MAX_LIMIT, page_parameters, post, read_page, session_path
from polysession_qoder.event_normaliser import LAST_EVENTS, PREVIEWS, EventNormaliser, text_to_wire, to_wire
from polysession_qoder.message_normaliser import ROLES, from_blocks, to_message
from polysession_qoder.wire_events import WireEventHead, WireIdle, WireSent

_DELTAS: Final = ("agent.message", "agent.thinking")
_KEEP_ALIVE: Final = frozenset({"heartbeat", "ping"})
_END_OF_STREAM: Final = b"[DONE]"
_SUCCESS: Final = 200
_CURSOR_PREFIX: Final = "evt_"
_NEWEST_FIRST: Final[Mapping[str, Any]] = {"order": "desc"}


class QoderStream(OldStreamPlan):
    """Follows a session from after one event on. The backend replays what came after it.

    Args:
        ref: The session.
        cursor: Id of that event; None if the session has none yet.
        normaliser: Reads the events.

    Attributes:
        cursor: Id of the last event that the backend stores; never a preview's, so that its text can be replayed.

    Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/stream (read 2026-11)
    """

    cursor: str | None = None
    not_replayed = ("message.started", "message.delta", "thinking.started", "thinking.delta")

    def __init__(self, ref: SessionRef, cursor: str | None, normaliser: EventNormaliser) -> None:
        super().__init__()
        self._ref = ref
        self.cursor = cursor
        self._has_broken = False
        self._normaliser = normaliser
        self._usual = normaliser.usual

    def open(self) -> Call:
        """Without a cursor the stream begins with what happens next: a probe tells what was before a reopening.

        Raises:
            MalformedResponse: The backend gave its last event an id that it cannot be asked for.
        """
        self.probe_due = self._has_broken and self.cursor is None
        headers = {"accept": "text/event-stream"}
        if self.cursor is not None:
            if not _fits_a_header(self.cursor):
                raise MalformedResponse(f"the stream cannot go on after {self.cursor!r}: no header can carry that id")
            headers["last-event-id"] = self.cursor
        return Call("GET", with_query(f"{_events_path(self._ref)}/stream", {"event_deltas[]": _DELTAS}), headers)

    def read(self, frame: Frame) -> Sequence[Event]:
        """The events of one frame. May 2026 kept id and type outside the JSON."""
        tell = self._usual.get(frame.event)
        events = None if tell is None else tell(frame.data)
        if events is not None:
            if frame.event != "event_delta" and events:
                self.cursor = events[0].id or self.cursor  # a preview has none
            return events
        if frame.event in _KEEP_ALIVE or frame.data == _END_OF_STREAM:
            return []
        wire = text_to_wire(frame.event, frame.data)
        if wire is not None and (wire.id is not None or not frame.id or wire.type in PREVIEWS):
            return self._take(wire, undecoded(frame.data))
        reply = Response(_SUCCESS, {}, frame.data)
        raw = {"type": frame.event, **read_json(reply)}
        if frame.id and raw["type"] not in PREVIEWS:
            raw = {"id": frame.id, **raw}
        return read_as(self._take_raw, raw, reply)

    def broke_off(self, failure: PolysessionError | None) -> None:  # noqa: ARG002  (any break is alike)
        """From here on a reopening may miss something; a first opening that had to be tried again misses nothing."""
        self._has_broken = True

    def probe(self) -> Flow[list[Event]]:
        """All that has happened: only if there is no cursor yet, because then no reopened stream would tell it."""
        found: list[dict[str, Any]] = []  # taken when all have come: a probe that fails in the middle is made again
        yield from _walk(self._ref, {}, found.append, lambda: False)
        return [event for raw in found for event in self._take_raw(raw)]

    def _take_raw(self, raw: dict[str, Any]) -> Sequence[Event]:
        return self._take(to_wire(raw), raw)

    def _take(self, wire: WireEventHead, raw: dict[str, Any]) -> Sequence[Event]:
        events = self._normaliser.read_wire(wire, raw)
        if events:  # else it came before, and the cursor is past it
            self.cursor = wire.id or self.cursor  # a preview has none
        self.finished = self.finished or wire.type in LAST_EVENTS
        return events


class QoderTurn(QoderStream, OldTurnPlan):
    """Follows the turn that some events start.

    Args:
        ref: The session.
        cursor: Id of the last event before the turn; None if there is none.
        normaliser: Reads the events.
        events: What to send.
    """

    def __init__(
        self, ref: SessionRef, cursor: str | None, normaliser: EventNormaliser, events: list[dict[str, Any]]
    ) -> None:
        super().__init__(ref, cursor, normaliser)
        self._events = events
        self._answered_ids = {answered_id(event) for event in events} - {None}
        self._sent_ids: set[str] = set()
        self._turn_id: str | None = None

    def send(self) -> Flow[None]:
        """Send the events, and note the ids under which the stream will show them."""
        sent = yield from _send(self._ref, self._events)
        self._sent_ids = {event.id for event in sent.data or () if event.id}
        self._turn_id = sent.turn_id
        self._normaliser.expect_turn()

    def begins(self, event: Event) -> bool:
        """Whether it is what we sent, come back. May 2026 gave no ids: there the next turn to start is ours."""
        # Our turn also ends with the session, whether or not it had begun.
        if self.finished or answered_id(event.raw) in self._answered_ids:
            return True
        if self._sent_ids:
            return event.id in self._sent_ids
        return isinstance(event, TurnStarted) or (event.turn_id is not None and event.turn_id == self._turn_id)


def _fits_a_header(event_id: str) -> bool:
    return event_id.isascii() and event_id.isprintable() and " " not in event_id


def send_message(ref: SessionRef, content: tuple[Block, ...]) -> Flow[None]:
    """Send a message."""
    yield from _send(ref, [from_blocks(content)])


def stream_events(ref: SessionRef, cursor: str | None) -> Flow[OldStreamPlan]:
    """Make ready to follow a session: after the cursor, or after the newest event.

    Raises:
        UsageError: The cursor is not one of ours.
    """
    normaliser = EventNormaliser(ref.id)
    is_resumed = cursor is not None
    if cursor is None:
        cursor = yield from _newest_id(ref, normaliser)
    elif not (cursor.startswith(_CURSOR_PREFIX) and _fits_a_header(cursor)):
        raise UsageError(f"{cursor!r} is not a cursor of a Qoder stream: those begin with {_CURSOR_PREFIX!r}")
    plan = QoderStream(ref, cursor, normaliser)
    plan.is_resumed = is_resumed
    return plan


def start_turn(ref: SessionRef, turn_input: TurnInput) -> Flow[OldTurnPlan]:
    """Make ready to follow the turn that this input starts, from the newest event on.

    Raises:
        Conflict: There are answers, and the agent waits for nothing.
        NotFound: The agent does not wait for one of the actions.
    """
    normaliser = EventNormaliser(ref.id)
    answers = tuple(item for item in turn_input if isinstance(item, Approve | Deny | ToolOutput))
    if not answers:
        message = from_blocks(tuple(item for item in turn_input if not isinstance(item, Approve | Deny | ToolOutput)))
        cursor = yield from _newest_id(ref, normaliser)
        return QoderTurn(ref, cursor, normaliser, [message])
    search = yield from _search(ref)
    for action in search.actions.values():
        normaliser.remember(dict(action.raw))  # the turn may stop again at those that are not answered
    return QoderTurn(ref, search.newest_id, normaliser, from_answers(answers, search.actions))


def answer_actions(ref: SessionRef, answers: tuple[Answer, ...]) -> Flow[None]:
    """Answer what the agent waits for. It is read first, because the backend may be silent about a late answer.

    Raises:
        Conflict: The agent waits for nothing.
        NotFound: The agent does not wait for one of the actions.
    """
    search = yield from _search(ref)
    yield from _send(ref, from_answers(answers, search.actions))


def pending_actions(ref: SessionRef) -> Flow[tuple[PendingAction, ...]]:
    """Read what the agent waits for."""
    search = yield from _search(ref)
    return tuple(search.actions.values())


def list_events(ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Event]]:
    """Read one page of events, oldest first.

    Where the session waited at tool uses of an earlier page, those are looked up.
    """
    reply = yield Call("GET", with_query(_events_path(ref), page_parameters(limit, cursor)))
    page = read_page(reply, _checked)
    stops = [raw for raw in page.items if raw.get("type") == "session.status_idle"]
    awaited = {event_id for raw in stops for event_id in awaited_ids(read_as(WireIdle.model_validate, raw, reply))}
    normaliser = EventNormaliser(ref.id)
    yield from _look_up(ref, awaited - {raw.get("id") for raw in page.items}, normaliser)
    events = tuple(event for raw in page.items for event in read_as(normaliser.read, raw, reply))
    return Page(events, page.next_cursor)


def list_messages(ref: SessionRef, limit: int | None, cursor: str | None) -> Flow[Page[Message]]:
    """Read one page of messages, oldest first: the events that are messages."""
    parameters = {"types[]": list(ROLES)} | page_parameters(limit, cursor)
    reply = yield Call("GET", with_query(_events_path(ref), parameters))
    return read_page(reply, lambda raw: to_message(ref.id, raw))


def _events_path(ref: SessionRef) -> str:
    return f"{session_path(ref)}/events"


def _send(ref: SessionRef, events: list[dict[str, Any]]) -> Flow[WireSent]:
    reply = yield post(_events_path(ref), {"events": events})
    return read_as(WireSent.model_validate, read_json(reply), reply)


def _newest_id(ref: SessionRef, normaliser: EventNormaliser) -> Flow[str | None]:
    """Id of the newest event. The normaliser sees it, for what it says of the turn that goes on."""
    reply = yield Call("GET", with_query(_events_path(ref), {**_NEWEST_FIRST, **page_parameters(1, None)}))
    page = read_page(reply, normaliser.read)
    return next((event.id for events in page.items for event in events), None)


def _search(ref: SessionRef) -> Flow[PendingSearch]:
    search = PendingSearch()
    yield from _walk(ref, _NEWEST_FIRST, search.take, lambda: search.finished)
    if search.missing:
        raise MalformedResponse(f"the session waits at {', '.join(search.missing)}, which its events do not hold")
    return search


def _look_up(ref: SessionRef, event_ids: set[str], normaliser: EventNormaliser) -> Flow[None]:
    """Let the normaliser know these tool uses, as far as there are any."""
    missing = set(event_ids)

    def take(raw: dict[str, Any]) -> None:
        if raw.get("id") in missing:
            normaliser.remember(raw)
            missing.remove(raw["id"])

    if missing:
        yield from _walk(ref, {**_NEWEST_FIRST, "types[]": list(TOOL_USES)}, take, lambda: not missing)


def _checked(raw: dict[str, Any]) -> dict[str, Any]:
    """The event itself, which has a type, and an id that is text."""
    WireEventHead.model_validate(raw)
    return raw


def _walk(
    ref: SessionRef,
    query: Mapping[str, Any],
    take: Callable[[dict[str, Any]], None],
    is_enough: Callable[[], bool],
) -> Flow[None]:
    """Read the list of events in large pages, until it is enough or there are no more.

    Raises:
        MalformedResponse: A page points back to one that was read, so that the list would never end.
    """
    cursor: str | None = None
    cursors = {cursor}
    while True:
        reply = yield Call("GET", with_query(_events_path(ref), {**query, **page_parameters(MAX_LIMIT, cursor)}))
        page = read_page(reply, lambda raw: take(_checked(raw)))
        if is_enough() or page.next_cursor is None:
            return
        if page.next_cursor in cursors:
            raise MalformedResponse("the list of events does not advance: the next page's cursor was read already")
        cursor = page.next_cursor
        cursors.add(cursor)
