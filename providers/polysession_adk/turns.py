"""Streams and turns of the ADK API server, sending and answering.

The answer to the input is the stream of the turn. Leaving it aborts the turn, also right before the end of the body,
and nothing can join it again: what was missed of whole events is in the session's history.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and https://google.github.io/adk-docs/runtime/resume/
(read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from polysession import provider_api as api
from polysession.provider_api import Answer, Call, Event, Flow, Items, PendingAction, Response, SessionRef, UsageError
from polysession_adk.events import USER, EventReader, Received, to_failure
from polysession_adk.history import CONFIRMATION, CREDENTIAL, INPUT, History, Stored, Turn, read_stored
from polysession_adk.wire import WireEvent, decode_event, read_session

MARKER: Final = "polysession_turn"
"""Key of the custom metadata by which each event of a turn names it, in the stream and in the history."""

POLL_S: Final = (2.0, 15.0)
"""Seconds between two looks at a session, and to what they grow while nothing happens."""
_FUNCTIONS: Final = {"approval": CONFIRMATION, "question": INPUT}
_LOOKS_S: Final = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Waits before looks at the history after a break: the server stores the end of an aborted turn within 50 ms."""


def sessions_path(app: str | None, user: str | None) -> str:
    """The path of the sessions of a user in an app."""
    return f"/apps/{api.path_segment(app or '', 'agent id')}/users/{api.path_segment(user or '', 'owner')}/sessions"


def session_path(ref: SessionRef) -> str:
    """The path of a session: ids are unique for an app and a user only."""
    return f"{sessions_path(ref.agent_id, ref.owner_id)}/{api.path_segment(ref.id, 'session id')}"


def get_stored(ref: SessionRef, *, after_s: float = 0.0) -> Flow[Stored]:
    """Read the stored events of a session, which come with it only."""
    response = yield Call("GET", session_path(ref), after_s=after_s)
    return read_stored(api.read_response(read_session, response)[0])


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in the events of a session.

    Attributes:
        after: Id of a stored event; empty before the first one.
        is_ended: Whether the end of its turn comes before this place, too.
        turn: Marker of the turn whose first event this place is before, or whose end it is after, without `after`.
    """

    after: str = ""
    is_ended: bool = False
    turn: str | None = None


class AdkTurn(api.AnsweredTurn):
    """Follows a turn by the response to its input.

    There is no heartbeat, so silence has no limit. What waits for the caller is delivered at the end of the body: to
    leave before it would abort the turn and close the calls that wait.

    Args:
        ref: The session.
        body: The body of the request.
        answers: The answers in it: the server stores outputs of callers' tools and does not stream them.
        waiting: What waits on beside what is answered.
    """

    silence_s = None
    not_replayed = ("message.delta", "thinking.delta", "raw")  # fragments, which are stored nowhere

    def __init__(
        self, ref: SessionRef, body: Mapping[str, Any], answers: Sequence[Answer], waiting: Iterable[PendingAction]
    ) -> None:
        self._ref = ref
        self._body = body
        self._answers = answers
        self._reader = EventReader(ref.id)
        self._turn = Turn(waiting)
        self._marker = body["customMetadata"][MARKER]
        self._ids: list[str] = []  # of whole events
        self._missed: list[Event] = []  # events that only the history held
        self._last_frame = b""
        self._is_whole = False
        self._move()

    def start(self) -> Call:
        """Send the input."""
        body = api.json_body({**self._body, "streaming": True})
        return Call("POST", "/run_sse", {"accept": "text/event-stream"}, body)

    def start_unfollowed(self) -> Call:
        """Send the input where the response is read as a whole, which takes as long as the turn."""
        return Call("POST", "/run_sse", body=api.json_body(self._body), timeout_s=None)

    def opened(self, head: api.Head, *, again: bool) -> Items:  # noqa: ARG002  (it is opened once)
        """The server accepted the input, so the turn runs. No frame says so."""
        envelope: dict[str, Any] = {"session_id": self._ref.id, "synthetic": True}
        outputs = [
            api.ToolResultCompleted(tool_call_id=each.action_id, text=each.content, is_error=each.is_error, **envelope)
            for each in self._answers
            if isinstance(each, api.ToolOutput)
        ]
        return (api.TurnStarted(**envelope), *outputs)

    def read(self, frame: api.Frame) -> Items:
        """Read an event. Fragments have no ids of their own: a frame that comes twice is known by its bytes."""
        if frame.data == self._last_frame:
            return ()
        self._last_frame = frame.data
        return self._take(frame.data)

    def ended(self, end: api.BodyEnd) -> Items:
        """Close the turn at the end of the body. What is missing of a body that was cut is in the history."""
        self._is_whole = end.failure is None and not end.inside_frame
        is_over = self._is_whole and self._turn.is_over and not self._turn.is_broken_off
        return self._end() if is_over else (api.Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read what the server stored of a turn whose connection broke, which aborts it."""
        turn = self._turn
        for wait_s in _LOOKS_S:
            for wire, content in self._ours((yield from get_stored(self._ref, after_s=wait_s))):
                if wire.id not in self._ids:
                    self._missed += self._take(content)
            if turn.is_certain and not turn.waiting:
                break
        is_told = turn.is_certain or (self._is_whole and not turn.is_broken_off)
        return (*self._missed, *self._end(is_cut=not is_told))

    def _take(self, content: bytes) -> tuple[Event, ...]:
        received = self._reader.read(content)
        self._turn.note(received)
        if received.wire.id and not received.wire.partial:
            self._ids.append(received.wire.id)
            self._move()
        return received.events

    def _end(self, *, is_cut: bool = False) -> Items:
        self._move(is_ended=True)
        return (*self._turn.end(self._ref.id, is_cut=is_cut), api.Finished())

    def _move(self, *, is_ended: bool = False) -> None:
        self.cursor = api.encode_cursor(Cursor(self._ids[-1] if self._ids else "", is_ended, self._marker))

    def _ours(self, stored: Stored) -> Stored:
        """The agent's stored events of this turn."""
        marked = [each for each in stored if _marker(each[0]) == self._marker]
        # 1.39.1 keeps no marker. An invocation is known from the first frame on.
        same = [each for each in stored if each[0].invocation_id == (self._turn.id or self._marker)]
        return [each for each in marked or same if each[0].author != USER]


class AdkStream(api.PolledStream):
    """Follows a session by reading it whole again and again: whole events, and each turn once its end is certain.

    A turn whose last event is final is over if the next look finds nothing more of it.
    """

    def __init__(self, ref: SessionRef, stored: Stored, cursor: Cursor | None) -> None:
        position = _position(stored, cursor)
        self._ref = ref
        self._history = History(ref.id, stored[:position])
        if cursor is None or cursor.is_ended:
            self._history.settle()
        self._last_id = next((wire.id for wire, _ in stored[:position][::-1] if wire.id), "")
        self._unread: deque[Received] = deque()
        self._add(self._history.update(stored[position:]))
        self.cursor = api.encode_cursor(cursor or Cursor(self._last_id, is_ended=True))

    @property
    def every_s(self) -> tuple[float, float]:  # type: ignore[override]
        """Events that were read are delivered at once."""
        return (0.0 if self._unread else POLL_S[0], POLL_S[1])

    def poll(self) -> Flow[Items]:
        """Deliver the events of the next stored one; read the session if none is left."""
        if not self._unread:
            stored = yield from get_stored(self._ref)
            self._add(self._history.update(stored) or self._history.settle())
        if not self._unread:
            return ()
        received = self._unread.popleft()
        self._last_id = received.wire.id or self._last_id
        self.cursor = api.encode_cursor(Cursor(self._last_id, isinstance(received.events[-1], api.TurnEnded)))
        return received.events

    def _add(self, received: Sequence[Received]) -> None:
        self._unread += [each for each in received if each.events]


def _marker(wire: WireEvent) -> object:
    return (wire.custom_metadata or {}).get(MARKER)


def _position(stored: Stored, cursor: Cursor | None) -> int:
    """How many stored events come before the cursor.

    Raises:
        UsageError: The session does not have its event.
    """
    if cursor is None:
        return len(stored)
    if not cursor.after and cursor.turn is not None:
        ours = [n for n, (wire, _) in enumerate(stored) if _marker(wire) == cursor.turn] or [len(stored)]
        return ours[-1] + 1 if cursor.is_ended else ours[0]
    ids = ["", *[wire.id for wire, _ in stored]]
    if cursor.after not in ids:
        raise UsageError("the cursor belongs to another session, or its event was deleted")
    return ids.index(cursor.after)


def run_to_end(ref: SessionRef, turn_input: api.TurnInput, native: api.NativeBody | None) -> Flow[None]:
    """Run a turn without following it.

    Raises:
        MalformedResponse: The response is no stream of events, such as a page of a proxy.
    """
    turn = yield from prepare_turn(ref, turn_input, native)
    api.read_frames((yield turn.start_unfollowed()))


def read_refusal(response: Response) -> api.ErrorDetail | None:
    """The error of a run that sent nothing but an error; None for another response."""
    try:
        frames = api.read_frames(response)
    except api.MalformedResponse:
        return None
    wire = decode_event(frames[0].data if frames else b"")
    return None if wire.error is None else to_failure(wire)


def prepare_turn(ref: SessionRef, turn_input: api.TurnInput, native: api.NativeBody | None) -> Flow[AdkTurn]:
    """A turn with a name of its own. For answers the history is read first, to see what waits.

    The server takes late and repeated answers, and may run a tool twice: they are refused here.

    Raises:
        Conflict: An action does not wait.
        UsageError: The server takes no such message or answer, an answer does not fit its action, or the actions belong
            to several turns.
    """
    blocks, answers = api.split_turn_input(turn_input)
    parts = [_to_part(block) for block in blocks]
    waiting = History(ref.id, (yield from get_stored(ref))).waiting if answers else {}
    answered = [_pop(waiting, answer) for answer in answers]
    if len({action.reference for action in answered}) > 1:
        raise UsageError("the actions belong to several turns: answer those of one turn together")
    parts += [_to_response(action, answer) for action, answer in zip(answered, answers, strict=True)]
    more = {} if native is None else native.to_body()
    body = {
        "appName": ref.agent_id,
        "userId": ref.owner_id,
        "sessionId": ref.id,
        "newMessage": {"role": "user", "parts": parts},
        "streaming": False,
        **more,
        "customMetadata": {**more.get("customMetadata", {}), MARKER: api.new_id()},
    }
    return AdkTurn(ref, body, answers, waiting.values())


def _pop(waiting: dict[str, PendingAction], answer: Answer) -> PendingAction:
    if answer.action_id not in waiting:
        raise api.Conflict(f"action {answer.action_id!r} does not wait: it was answered, or its turn was aborted")
    return waiting.pop(answer.action_id)


def _to_part(block: api.Block) -> dict[str, Any]:
    if isinstance(block, api.TextBlock):
        return {"text": block.text}
    if not isinstance(block, api.MediaBlock) or block.file_id is not None:
        raise UsageError(f"ADK has no uploaded files: give the {block.type} by url or data")
    media = {"mimeType": block.media_type, "displayName": block.title, "data": block.data, "fileUri": block.url}
    kind = "fileData" if block.data is None else "inlineData"
    return {kind: {name: value for name, value in media.items() if value is not None}}


def _to_response(action: PendingAction, answer: Answer) -> dict[str, Any]:
    """The part that answers an action."""
    api.check_answer_kind(answer, action)
    name = action.name if isinstance(action, api.ToolExecution) else _FUNCTIONS[action.type]
    if name == CREDENTIAL:
        raise UsageError("a credential is given by client.request('POST', '/run_sse', ...), so that no event shows it")
    return {"functionResponse": {"id": action.id, "name": name, "response": _response(answer)}}


def _response(answer: Answer) -> dict[str, Any]:
    match answer:
        case api.Approve():
            return {"confirmed": True}
        case api.Deny(reason=None):
            return {"confirmed": False}
        case api.Deny(reason=reason):
            return {"confirmed": False, "payload": {"reason": reason}}
        case api.ToolOutput(content=content, is_error=is_error):
            return {"error" if is_error else "result": content}
        case api.Reply(value=value):
            return {"result": value}
