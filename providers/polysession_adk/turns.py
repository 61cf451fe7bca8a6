"""Streams and turns of the ADK API server, sending and answering.

The answer to the input is the stream of the turn. Leaving it aborts the turn, also right before the end of the body,
and nothing can join it again: what was missed of whole events is in the session's history.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and https://google.github.io/adk-docs/runtime/resume/
(read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from polysession.provider_api import (
    UNSET,
    Answer,
    AnsweredTurn,
    Approve,
    BodyEnd,
    Call,
    Conflict,
    Deny,
    ErrorDetail,
    Event,
    Finished,
    Flow,
    Frame,
    Head,
    Items,
    MediaBlock,
    Message,
    NativeBody,
    Page,
    PolledStream,
    Reconcile,
    Reply,
    Response,
    TextBlock,
    ToolOutput,
    ToolResultCompleted,
    TurnInput,
    TurnStarted,
    UsageError,
    check_answer_kind,
    decode_cursor,
    encode_cursor,
    json_body,
    new_id,
    one_page,
    path_segment,
    read_frames,
    read_response,
    split_turn_input,
)
from polysession_adk.events import USER, EventReader, to_failure, to_messages
from polysession_adk.history import CREDENTIAL, History, Turn, Waiting, read_history
from polysession_adk.wire import WireSession, read_event, read_session

T = TypeVar("T")

MARKER: Final = "polysession_turn"
"""Key of the custom metadata by which each event of a turn names it, in the stream and in the history."""

POLL_S: Final = (2.0, 15.0)
"""Seconds between two looks at a session, and to what they grow while nothing happens."""
_LOOKS_S: Final = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Waits before looks at the history after a break: the server stores the end of an aborted turn within 50 ms."""


class Place(NamedTuple):
    """Where a session is: ids are unique for an app and a user only."""

    app: str
    user: str
    id: str

    @property
    def path(self) -> str:
        """Its path."""
        return f"{sessions_path(self.app, self.user)}/{path_segment(self.id, 'session id')}"


def sessions_path(app: str, user: str) -> str:
    """The path of the sessions of a user in an app."""
    return f"/apps/{path_segment(app, 'agent id')}/users/{path_segment(user, 'owner')}/sessions"


def get_stored(place: Place, *, after_s: float = 0.0) -> Flow[WireSession]:
    """Read a session, which is the only source of its events."""
    response = yield Call("GET", place.path, after_s=after_s)
    return read_response(read_session, response)[0]


class Input(NamedTuple):
    """The input of a turn.

    Attributes:
        parts: The message.
        outputs: Outputs of callers' tools in it: the server stores them and does not stream them.
        waiting: What waits on beside what is answered.
    """

    parts: tuple[dict[str, Any], ...]
    outputs: tuple[ToolOutput, ...] = ()
    waiting: tuple[Waiting, ...] = ()


class Run(NamedTuple):
    """A run of the agent.

    Attributes:
        place: The session.
        input: What starts it.
        marker: Its name: see `MARKER`.
        native: Further fields of the body.
    """

    place: Place
    input: Input
    marker: str
    native: Mapping[str, Any]

    def call(self, *, streaming: bool) -> Call:
        """The request, whose response lasts as long as the turn."""
        metadata = {**self.native.get("customMetadata", {}), MARKER: self.marker}
        body = {
            "appName": self.place.app,
            "userId": self.place.user,
            "sessionId": self.place.id,
            "newMessage": {"role": "user", "parts": self.input.parts},
            "streaming": streaming,
            **self.native,
            "customMetadata": metadata,
        }
        headers = {"accept": "text/event-stream"} if streaming else {}
        return Call("POST", "/run_sse", headers, json_body(body), timeout_s=UNSET if streaming else None)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in the events of a session.

    Attributes:
        after: Id of a stored event; empty for the start of the session.
        events: How many of its common events come before this place; None for all.
        is_ended: Whether the end of its turn comes before this place, too.
        turn: In place of an event: the marker of a turn without a known event.
    """

    after: str = ""
    events: int | None = None
    is_ended: bool = False
    turn: str | None = None


class AdkTurn(AnsweredTurn):
    """Follows a turn by the response to its input.

    There is no heartbeat, so silence has no limit. What waits for the caller is delivered at the end of the body: to
    leave before it would abort the turn and close the calls that wait.
    """

    silence_s = None

    def __init__(self, run: Run) -> None:
        self.cursor = encode_cursor(Cursor(turn=run.marker))
        self._run = run
        self._session_id = run.place.id
        self._reader = EventReader(run.place.id)
        self._turn = Turn(run.input.waiting)
        self._last_id = ""
        self._last_frame = b""
        self._is_whole = False

    def start(self) -> Call:
        """Send the input."""
        return self._run.call(streaming=True)

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (it is opened once)
        """The server accepted the input, so the turn runs. No frame says so."""
        outputs = [
            ToolResultCompleted(
                session_id=self._session_id,
                tool_call_id=output.action_id,
                text=output.content,
                is_error=output.is_error,
                synthetic=True,
            )
            for output in self._run.input.outputs
        ]
        return (TurnStarted(session_id=self._session_id, synthetic=True), *outputs)

    def read(self, frame: Frame) -> Items:
        """Read an event. Fragments have no ids of their own: a frame that comes twice is known by its bytes."""
        if frame.data == self._last_frame:
            return ()
        self._last_frame = frame.data
        return self._take(frame.data)

    def ended(self, end: BodyEnd) -> Items:
        """Close the turn at the end of the body. What is missing of a body that was cut is in the history."""
        self._is_whole = end.failure is None and not end.inside_frame
        if self._is_whole and not self._turn.is_unfinished:
            return self._end(self._turn.end(self._session_id))
        return (Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read what the server stored of a turn whose connection broke, which aborts it."""
        for wait_s in _LOOKS_S:
            session = yield from get_stored(self._run.place, after_s=wait_s)
            stored = self._ours(session)
            turn, reader = Turn(self._run.input.waiting), EventReader(self._session_id)
            for content in stored:
                turn.note(reader.read(content))
            if turn.is_settled or turn.is_complete:
                break
        events = [event for content in stored for event in self._take(content)]
        is_told = self._turn.is_settled or self._turn.is_complete or (self._is_whole and not self._turn.is_broken_off)
        end = self._turn.end(self._session_id) if is_told else self._turn.cut(self._session_id)
        return (*events, *self._end(end))

    def _take(self, content: bytes) -> tuple[Event, ...]:
        received = self._reader.read(content)
        self._turn.note(received)
        if received.wire.id and not received.wire.partial:
            self._last_id = received.wire.id
            self.cursor = encode_cursor(Cursor(self._last_id))
        return received.events

    def _end(self, events: Sequence[Event]) -> Items:
        self.cursor = encode_cursor(
            Cursor(self._last_id, is_ended=True, turn=None if self._last_id else self._run.marker)
        )
        return (*events, Finished())

    def _ours(self, session: WireSession) -> list[bytes]:
        """The agent's stored events of this turn: by the marker, or by the invocation where no marker is kept."""
        stored = [(bytes(raw), read_event(bytes(raw))[0]) for raw in session.events or ()]
        ours = [each for each in stored if (each[1].custom_metadata or {}).get(MARKER) == self._run.marker]
        if not ours and self._turn.id is not None:
            same = [each for each in stored if each[1].invocation_id == self._turn.id]
            ours = same[max((n for n, (_, wire) in enumerate(same) if wire.author == USER), default=0) :]
        return [content for content, wire in ours if wire.author != USER]


class AdkStream(PolledStream):
    """Follows a session by reading it whole again and again: whole events, and each turn once its end is certain.

    A turn whose last event is final is over if the next look finds nothing more of it.
    """

    def __init__(self, place: Place, session: WireSession, cursor: str | None) -> None:
        self._place = place
        self._history = History(place.id)
        self._taken: set[str] = set()
        self._queue: deque[tuple[Event, str]] = deque()  # with the cursor after each
        self._last_id = ""
        self._skip(session, None if cursor is None else decode_cursor(Cursor, cursor, "ADK"))
        if cursor is not None:
            self._absorb(session)

    @property
    def every_s(self) -> tuple[float, float]:  # type: ignore[override]
        """Events that were read are delivered at once."""
        return (0.0 if self._queue else POLL_S[0], POLL_S[1])

    def poll(self) -> Flow[Items]:
        """Deliver the next event; read the session if no event waits."""
        if not self._queue:
            session = yield from get_stored(self._place)
            self._absorb(session)
        if not self._queue:
            return ()
        event, self.cursor = self._queue.popleft()
        return (event,)

    def _absorb(self, session: WireSession) -> None:
        """Take in what is new. Stored events may be put between older ones, so they are distinguished by their ids."""
        has_news = False
        for content, event_id in _stored(session):
            if event_id not in self._taken:
                has_news = True
                self._queue_events(self._take(content, event_id), 0)
        ends = self._history.settle(certain=has_news)
        for number, event in enumerate(ends, 1):
            self._queue.append((event, encode_cursor(Cursor(self._last_id, is_ended=number == len(ends)))))

    def _take(self, content: bytes, event_id: str) -> tuple[Event, ...]:
        self._taken.add(event_id)
        self._last_id = event_id
        return self._history.take(content).events

    def _queue_events(self, events: Sequence[Event], start: int) -> None:
        for number, event in enumerate(events[start:], start + 1):
            self._queue.append((event, encode_cursor(Cursor(self._last_id, number))))

    def _skip(self, session: WireSession, cursor: Cursor | None) -> None:
        """Take in what comes before the cursor, or everything, without delivering it."""
        stored = _stored(session)
        events: tuple[Event, ...] = ()
        for content, event_id in stored[: _position(session, cursor)]:
            events = self._take(content, event_id)
        if cursor is None or cursor.is_ended:
            self._history.settle()
        elif cursor.events is not None:
            self._queue_events(events, cursor.events)
        self.cursor = encode_cursor(cursor or Cursor(self._last_id, is_ended=True))


def stream_events(place: Place, cursor: str | None) -> Flow[AdkStream]:
    """Prepare to follow a session: from now on, or after the cursor."""
    session = yield from get_stored(place)
    return AdkStream(place, session, cursor)


def _stored(session: WireSession) -> list[tuple[bytes, str]]:
    """The stored events, each with its id."""
    contents = [bytes(raw) for raw in session.events or ()]
    return [(content, read_event(content)[0].id or "") for content in contents]


def _position(session: WireSession, cursor: Cursor | None) -> int:
    """How many stored events come before the cursor.

    Raises:
        UsageError: The session does not have its event.
    """
    wires = [read_event(bytes(raw))[0] for raw in session.events or ()]
    if cursor is None:
        return len(wires)
    if cursor.turn is not None:
        ours = [n for n, wire in enumerate(wires) if (wire.custom_metadata or {}).get(MARKER) == cursor.turn]
        if cursor.is_ended:
            return ours[-1] + 1 if ours else len(wires)
        return ours[0] if ours else len(wires)
    if not cursor.after:
        return 0
    found = next((n for n, wire in enumerate(wires, 1) if wire.id == cursor.after), None)
    if found is None:
        raise UsageError("the cursor belongs to another session, or its event was deleted")
    return found


def new_run(place: Place, turn_input: Input, native: NativeBody | None) -> Run:
    """A run with a name of its own."""
    return Run(place, turn_input, new_id(), {} if native is None else native.to_body())


def read_refusal(response: Response) -> ErrorDetail | None:
    """The error of a run that sent nothing but an error; None for another response."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return None
    wires = [read_event(frame.data)[0] for frame in read_frames(response)]
    failure = next((to_failure(wire) for wire in wires if wire.error is not None), None)
    if failure is None or any(wire.id for wire in wires):
        return None
    return ErrorDetail(failure.message, failure.code)


def read_pending(place: Place) -> Flow[History]:
    """Read the history of a session, to see what it waits for."""
    session = yield from get_stored(place)
    return read_history(place.id, session)


def list_events(place: Place, page_size: int | None, cursor: str | None, *, newest_first: bool) -> Flow[Page[Event]]:
    """Read the whole history, and keep one page of it. What becomes of one stored event stays on one page."""
    session = yield from get_stored(place)
    history = History(place.id)
    groups = [history.take(bytes(raw)).events for raw in session.events or ()]
    page = _page((*groups, history.settle()), page_size, cursor, newest_first=newest_first)
    order = -1 if newest_first else 1
    return Page(tuple([event for group in page.items for event in group[::order]]), page.next_cursor)


def list_messages(
    place: Place, page_size: int | None, cursor: str | None, *, newest_first: bool
) -> Flow[Page[Message]]:
    """Read the whole history, and keep one page of its messages."""
    session = yield from get_stored(place)
    reader = EventReader(place.id)
    messages = [each for raw in session.events or () for each in to_messages(place.id, reader.read(bytes(raw)))]
    return _page(messages, page_size, cursor, newest_first=newest_first)


def _page(items: Sequence[T], page_size: int | None, cursor: str | None, *, newest_first: bool) -> Page[T]:
    """One page of a whole history. Cursors count from its start, so that what happens meanwhile moves nothing."""
    if not newest_first:
        return one_page(items, page_size, cursor)
    end = len(items) if cursor is None else len(items) - len(one_page(items, None, cursor).items)
    start = 0 if page_size is None else max(0, end - page_size)
    return Page(tuple(items[start:end])[::-1], str(start) if start else None)


def to_input(place: Place, turn_input: TurnInput) -> Flow[Input]:
    """The input of a turn. For answers the history is read first, to see what waits.

    Raises:
        Conflict: An action does not wait.
        UsageError: The server takes no such message or answer.
    """
    blocks, answers = split_turn_input(turn_input)
    if not answers:
        return Input(tuple([_to_part(each) for each in blocks if isinstance(each, TextBlock | MediaBlock)]))
    return to_answer_input((yield from read_pending(place)), answers)


def to_answer_input(history: History, answers: Sequence[Answer]) -> Input:
    """The input for answers. The server takes late and repeated ones, and may run a tool twice: they are refused here.

    Raises:
        Conflict: An action does not wait.
        UsageError: An answer does not fit its action, or the actions belong to several turns.
    """
    waiting: list[Waiting] = []
    for answer in answers:
        found = history.waiting.get(answer.action_id)
        if found is None:
            raise Conflict(f"action {answer.action_id!r} does not wait: it was answered, or its turn was aborted")
        waiting.append(found)
    if len({each.turn_id for each in waiting}) > 1:
        raise UsageError("the actions belong to several turns: answer those of one turn together")
    answered = {each.action.id for each in waiting}
    parts = [_to_response(each, answer) for each, answer in zip(waiting, answers, strict=True)]
    outputs = tuple([answer for answer in answers if isinstance(answer, ToolOutput)])
    rest = tuple([each for key, each in history.waiting.items() if key not in answered])
    return Input(tuple(parts), outputs, rest)


def _to_part(block: TextBlock | MediaBlock) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"text": block.text}
    if block.file_id is not None:
        raise UsageError(f"ADK has no uploaded files: give the {block.type} by url or data")
    media = {"mimeType": block.media_type, "displayName": block.title}
    given = {name: value for name, value in media.items() if value is not None}
    if block.data is not None:
        return {"inlineData": {**given, "data": block.data}}
    return {"fileData": {**given, "fileUri": block.url}}


def _to_response(waiting: Waiting, answer: Answer) -> dict[str, Any]:
    """The part that answers an action."""
    check_answer_kind(answer, waiting.action)
    response = _response(waiting, answer)
    return {"functionResponse": {"id": waiting.action.id, "name": waiting.function, "response": response}}


def _response(waiting: Waiting, answer: Answer) -> dict[str, Any]:
    if waiting.function == CREDENTIAL:
        raise UsageError("a credential is given by client.request('POST', '/run_sse', ...), so that no event shows it")
    match answer:
        case Approve(arguments=None):
            return {"confirmed": True}
        case Approve():
            raise UsageError("ADK runs the tool with the agent's arguments: they cannot be edited")
        case Deny(reason=None):
            return {"confirmed": False}
        case Deny(reason=reason):
            return {"confirmed": False, "payload": {"reason": reason}}
        case ToolOutput(content=content, is_error=is_error):
            return {"error" if is_error else "result": content}
        case Reply(value=value):
            return {"result": value}
