"""Streams and turns of the ADK API server, sending and answering.

The answer to the input is the stream of the turn. Leaving it aborts the turn, also right before the end of the body,
and nothing can join it again: what was missed of whole events is in the session's history.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and https://google.github.io/adk-docs/runtime/resume/
(read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

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
    MalformedResponse,
    MediaBlock,
    NativeBody,
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
    encode_cursor,
    json_body,
    new_id,
    path_segment,
    read_frames,
    read_response,
    split_turn_input,
)
from polysession_adk.events import USER, EventReader, to_failure
from polysession_adk.history import CREDENTIAL, History, Turn, Waiting, read_history
from polysession_adk.wire import WireEvent, WireSession, decode_event, read_session

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


def sessions_path(app: str, user: str | None) -> str:
    """The path of the sessions of a user in an app. The core has checked that there is a user."""
    return f"/apps/{path_segment(app, 'agent id')}/users/{path_segment(user or '', 'owner')}/sessions"


def get_stored(place: Place, *, after_s: float = 0.0) -> Flow[WireSession]:
    """Read a session, which is the only source of its events."""
    response = yield Call("GET", place.path, after_s=after_s)
    return read_response(read_session, response)[0]


class Run(NamedTuple):
    """A run of the agent.

    Attributes:
        place: The session.
        marker: Its name: see `MARKER`.
        native: Further fields of the body.
        parts: The message.
        outputs: Outputs of callers' tools in it: the server stores them and does not stream them.
        waiting: What waits on beside what is answered.
    """

    place: Place
    marker: str
    native: Mapping[str, Any]
    parts: Sequence[Mapping[str, Any]]
    outputs: Sequence[ToolOutput] = ()
    waiting: Sequence[Waiting] = ()

    def call(self, *, streaming: bool) -> Call:
        """The request, whose response lasts as long as the turn."""
        body = {
            "appName": self.place.app,
            "userId": self.place.user,
            "sessionId": self.place.id,
            "newMessage": {"role": "user", "parts": self.parts},
            "streaming": streaming,
            **self.native,
            "customMetadata": {**self.native.get("customMetadata", {}), MARKER: self.marker},
        }
        headers = {"accept": "text/event-stream"} if streaming else {}
        return Call("POST", "/run_sse", headers, json_body(body), timeout_s=UNSET if streaming else None)


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in the events of a session.

    Attributes:
        after: Id of a stored event; empty for the start of the session.
        is_ended: Whether the end of its turn comes before this place, too.
        turn: In place of an event: the marker of a turn without a known event.
    """

    after: str = ""
    is_ended: bool = False
    turn: str | None = None


class AdkTurn(AnsweredTurn):
    """Follows a turn by the response to its input.

    There is no heartbeat, so silence has no limit. What waits for the caller is delivered at the end of the body: to
    leave before it would abort the turn and close the calls that wait.
    """

    silence_s = None
    not_replayed = ("message.delta", "thinking.delta", "raw")  # fragments, which are stored nowhere

    def __init__(self, run: Run) -> None:
        self.cursor = encode_cursor(Cursor(turn=run.marker))
        self._run = run
        self._session_id = run.place.id
        self._reader = EventReader(run.place.id)
        self._turn = Turn(run.waiting)
        self._missed: list[Event] = []  # events that only the history held
        self._last_id = ""
        self._last_frame = b""
        self._is_whole = False

    def start(self) -> Call:
        """Send the input."""
        return self._run.call(streaming=True)

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (it is opened once)
        """The server accepted the input, so the turn runs. No frame says so."""
        envelope: dict[str, Any] = {"session_id": self._session_id, "synthetic": True}
        outputs = [
            ToolResultCompleted(tool_call_id=each.action_id, text=each.content, is_error=each.is_error, **envelope)
            for each in self._run.outputs
        ]
        return (TurnStarted(**envelope), *outputs)

    def read(self, frame: Frame) -> Items:
        """Read an event. Fragments have no ids of their own: a frame that comes twice is known by its bytes."""
        if frame.data == self._last_frame:
            return ()
        self._last_frame = frame.data
        return self._take(frame.data)

    def ended(self, end: BodyEnd) -> Items:
        """Close the turn at the end of the body. What is missing of a body that was cut is in the history."""
        self._is_whole = end.failure is None and not end.inside_frame
        return self._end() if self._is_whole and not self._turn.is_unfinished else (Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read what the server stored of a turn whose connection broke, which aborts it."""
        for wait_s in _LOOKS_S:
            session = yield from get_stored(self._run.place, after_s=wait_s)
            for content in self._ours(session):
                self._missed += self._take(content)
            if self._turn.is_settled or self._turn.has_answered:
                break
        is_told = self._turn.is_settled or self._turn.is_complete or (self._is_whole and not self._turn.is_broken_off)
        return (*self._missed, *self._end(is_cut=not is_told))

    def _take(self, content: bytes) -> tuple[Event, ...]:
        received = self._reader.read(content)
        self._turn.note(received)
        if received.wire.id and not received.wire.partial:
            self._last_id = received.wire.id
            self.cursor = encode_cursor(Cursor(self._last_id))
        return received.events

    def _end(self, *, is_cut: bool = False) -> Items:
        turn = None if self._last_id else self._run.marker
        self.cursor = encode_cursor(Cursor(self._last_id, is_ended=True, turn=turn))
        return (*self._turn.end(self._session_id, is_cut=is_cut), Finished())

    def _ours(self, session: WireSession) -> list[bytes]:
        """The agent's stored events of this turn: by the marker, or by the invocation where no marker is kept."""
        stored = _stored_events(session)
        ours = [each for each in stored if _marker(each[1]) == self._run.marker]
        if not ours and self._turn.id is not None:
            same = [each for each in stored if each[1].invocation_id == self._turn.id]
            ours = same[max((n for n, (_, wire) in enumerate(same) if wire.author == USER), default=0) :]
        return [content for content, wire in ours if wire.author != USER]


def check_answered(response: Response) -> None:
    """Check that a turn was answered by its events: a page of a proxy is no success.

    Raises:
        MalformedResponse: The response is something else.
    """
    kind = response.headers.get("content-type", "nothing")
    if not kind.startswith("text/event-stream"):
        raise MalformedResponse(f"the backend answered success, with {kind} and no events", status=response.status)


class AdkStream(PolledStream):
    """Follows a session by reading it whole again and again: whole events, and each turn once its end is certain.

    A turn whose last event is final is over if the next look finds nothing more of it.
    """

    def __init__(self, place: Place, session: WireSession, cursor: Cursor | None) -> None:
        self._place = place
        self._history = History(place.id)
        self._taken: set[str | bytes] = set()
        self._queue: deque[tuple[Items, str]] = deque()  # with the cursor after each
        self._last_id = ""
        stored = _stored_events(session)
        for content, wire in stored[: _position(stored, cursor)]:
            self._take(content, wire)  # without delivering it
        if cursor is None or cursor.is_ended:
            self._history.settle()
        self.cursor = encode_cursor(cursor or Cursor(self._last_id, is_ended=True))
        if cursor is not None:
            self._absorb(session)

    @property
    def every_s(self) -> tuple[float, float]:  # type: ignore[override]
        """Events that were read are delivered at once."""
        return (0.0 if self._queue else POLL_S[0], POLL_S[1])

    def poll(self) -> Flow[Items]:
        """Deliver the events of the next stored one; read the session if none is left."""
        if not self._queue:
            self._absorb((yield from get_stored(self._place)))
        if not self._queue:
            return ()
        events, self.cursor = self._queue.popleft()
        return events

    def _absorb(self, session: WireSession) -> None:
        """Take in what is new. Stored events may be put between older ones, so they are distinguished by their ids."""
        new = [(content, wire) for content, wire in _stored_events(session) if (wire.id or content) not in self._taken]
        for content, wire in new:
            if events := self._take(content, wire):
                self._queue.append((events, encode_cursor(Cursor(self._last_id))))
        if ends := self._history.settle(certain=bool(new)):
            self._queue.append((ends, encode_cursor(Cursor(self._last_id, is_ended=True))))

    def _take(self, content: bytes, wire: WireEvent) -> tuple[Event, ...]:
        self._taken.add(wire.id or content)
        self._last_id = wire.id or self._last_id
        return self._history.take(content).events


def _stored_events(session: WireSession) -> list[tuple[bytes, WireEvent]]:
    """The stored events, each as it is and decoded."""
    return [(bytes(raw), decode_event(bytes(raw))) for raw in session.events or ()]


def _marker(wire: WireEvent) -> object:
    return (wire.custom_metadata or {}).get(MARKER)


def _position(stored: Sequence[tuple[bytes, WireEvent]], cursor: Cursor | None) -> int:
    """How many stored events come before the cursor.

    Raises:
        UsageError: The session does not have its event.
    """
    wires = [wire for _, wire in stored]
    if cursor is None:
        return len(wires)
    if cursor.turn is not None:
        ours = [number for number, wire in enumerate(wires) if _marker(wire) == cursor.turn]
        if not ours:
            return len(wires)
        return ours[-1] + 1 if cursor.is_ended else ours[0]
    if not cursor.after:
        return 0
    found = next((number for number, wire in enumerate(wires, 1) if wire.id == cursor.after), None)
    if found is None:
        raise UsageError("the cursor belongs to another session, or its event was deleted")
    return found


def read_refusal(response: Response) -> ErrorDetail | None:
    """The error of a run that sent nothing but an error; None for another response."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return None
    wires = [decode_event(frame.data) for frame in read_frames(response)]
    failure = next((to_failure(wire) for wire in wires if wire.error is not None), None)
    return None if any(wire.id for wire in wires) else failure


def prepare_run(place: Place, turn_input: TurnInput, native: NativeBody | None) -> Flow[Run]:
    """A run with a name of its own. For answers the history is read first, to see what waits.

    The server takes late and repeated answers, and may run a tool twice: they are refused here.

    Raises:
        Conflict: An action does not wait.
        UsageError: The server takes no such message or answer, an answer does not fit its action, or the actions belong
            to several turns.
    """
    blocks, answers = split_turn_input(turn_input)
    parts = [_to_part(each) for each in blocks if isinstance(each, TextBlock | MediaBlock)]
    run = Run(place, new_id(), {} if native is None else native.to_body(), parts)
    if not answers:
        return run
    waiting = read_history((yield from get_stored(place))).waiting
    answered = {answer.action_id: _find(waiting, answer) for answer in answers}
    if len({each.turn_id for each in answered.values()}) > 1:
        raise UsageError("the actions belong to several turns: answer those of one turn together")
    return run._replace(
        parts=[_to_response(answered[answer.action_id], answer) for answer in answers],
        outputs=[answer for answer in answers if isinstance(answer, ToolOutput)],
        waiting=[each for action_id, each in waiting.items() if action_id not in answered],
    )


def _find(waiting: Mapping[str, Waiting], answer: Answer) -> Waiting:
    if answer.action_id not in waiting:
        raise Conflict(f"action {answer.action_id!r} does not wait: it was answered, or its turn was aborted")
    return waiting[answer.action_id]


def _to_part(block: TextBlock | MediaBlock) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"text": block.text}
    if block.file_id is not None:
        raise UsageError(f"ADK has no uploaded files: give the {block.type} by url or data")
    media = {"mimeType": block.media_type, "displayName": block.title, "data": block.data, "fileUri": block.url}
    kind = "fileData" if block.data is None else "inlineData"
    return {kind: {name: value for name, value in media.items() if value is not None}}


def _to_response(waiting: Waiting, answer: Answer) -> dict[str, Any]:
    """The part that answers an action."""
    check_answer_kind(answer, waiting.action)
    if waiting.function == CREDENTIAL:
        raise UsageError("a credential is given by client.request('POST', '/run_sse', ...), so that no event shows it")
    response = {"id": waiting.action.id, "name": waiting.function, "response": _response(answer)}
    return {"functionResponse": response}


def _response(answer: Answer) -> dict[str, Any]:
    match answer:
        case Approve():
            return {"confirmed": True}
        case Deny(reason=None):
            return {"confirmed": False}
        case Deny(reason=reason):
            return {"confirmed": False, "payload": {"reason": reason}}
        case ToolOutput(content=content, is_error=is_error):
            return {"error" if is_error else "result": content}
        case Reply(value=value):
            return {"result": value}
