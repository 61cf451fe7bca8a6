"""Streams and turns of the ADK API server: plans, sending, answering.

The response to the input is the stream of the turn. Closing it aborts the turn, even right before the end of the body,
and it cannot be reopened. Complete events that were missed are in the session's history.

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
"""Key of the custom metadata that marks each event of a turn, in the stream and in the history."""

POLL_S: Final = (2.0, 15.0)
"""Seconds between two reads of a session: the first value, which grows up to the second while there is no event."""
_FUNCTIONS: Final = {"approval": CONFIRMATION, "question": INPUT}
_RECOVERY_WAITS_S: Final = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Seconds before each read of the history after a break. The server stores the end of an aborted turn within 50 ms."""


def sessions_path(app: str | None, user: str | None) -> str:
    """Return the path of a user's sessions in an app."""
    return f"/apps/{api.path_segment(app or '', 'agent id')}/users/{api.path_segment(user or '', 'owner')}/sessions"


def session_path(ref: SessionRef) -> str:
    """Return the path of a session. Its id is unique only within its app and user."""
    return f"{sessions_path(ref.agent_id, ref.owner_id)}/{api.path_segment(ref.id, 'session id')}"


def get_stored(ref: SessionRef, *, after_s: float = 0.0) -> Flow[Stored]:
    """Read the stored events of a session: they are part of the session's JSON."""
    response = yield Call("GET", session_path(ref), after_s=after_s)
    return read_stored(api.read_response(read_session, response)[0])


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Position in the events of a session.

    Attributes:
        after: Id of the stored event before the position; empty before the first one.
        is_ended: Whether the end of that event's turn is also before the position.
        turn: Without `after`: marker of a turn. The position is before its first event, or after its end if `is_ended`.
    """

    after: str = ""
    is_ended: bool = False
    turn: str | None = None


class AdkTurn(api.AnsweredTurn):
    """Follows a turn by the response to its input.

    The server sends no heartbeats, so a silence has no limit. Pending actions are delivered at the end of the body:
    closing the connection earlier would abort the turn and its pending calls.

    Args:
        ref: The session.
        body: The body of the request.
        answers: The answers in the body. The server stores outputs of client tools but does not stream them.
        waiting: The actions that stay pending.
    """

    silence_s = None
    not_replayed = ("message.delta", "thinking.delta", "raw")  # fragments are not stored

    def __init__(
        self, ref: SessionRef, body: Mapping[str, Any], answers: Sequence[Answer], waiting: Iterable[PendingAction]
    ) -> None:
        self._ref = ref
        self._body = body
        self._answers = answers
        self._reader = EventReader(ref.id)
        self._turn = Turn(waiting)
        self._marker = body["customMetadata"][MARKER]
        self._ids: list[str] = []  # ids of the complete events that were read
        self._missed: list[Event] = []  # events that were read from the history
        self._last_frame = b""
        self._is_whole = False
        self._set_cursor()

    def start(self) -> Call:
        """Return the call that sends the input. Its response is the stream."""
        body = api.json_body({**self._body, "streaming": True})
        return Call("POST", "/run_sse", {"accept": "text/event-stream"}, body)

    def start_unfollowed(self) -> Call:
        """Return the call that sends the input for a response without fragments.

        It lasts as long as the turn.
        """
        return Call("POST", "/run_sse", body=api.json_body(self._body), timeout_s=None)

    def opened(self, head: api.Head, *, again: bool) -> Items:  # noqa: ARG002  (it is opened once)
        """Start the turn: the server accepted the input, and sends no event for it."""
        envelope: dict[str, Any] = {"session_id": self._ref.id, "synthetic": True}
        outputs = [
            api.ToolResultCompleted(tool_call_id=each.action_id, text=each.content, is_error=each.is_error, **envelope)
            for each in self._answers
            if isinstance(each, api.ToolOutput)
        ]
        return (api.TurnStarted(**envelope), *outputs)

    def read(self, frame: api.Frame) -> Items:
        """Read an event.

        A frame with the same bytes as the last one is a repetition: fragments have no ids.
        """
        if frame.data == self._last_frame:
            return ()
        self._last_frame = frame.data
        return self._take(frame.data)

    def ended(self, end: api.BodyEnd) -> Items:
        """End the turn at the end of the body.

        If the body was cut, the missing events are read from the history.
        """
        self._is_whole = end.failure is None and not end.inside_frame
        has_ended = self._is_whole and self._turn.may_have_ended and not self._turn.is_incomplete
        return self._end() if has_ended else (api.Reconcile(),)

    def reconcile(self) -> Flow[Items]:
        """Read the stored events of a turn whose connection broke. The break aborted the turn."""
        turn = self._turn
        for wait_s in _RECOVERY_WAITS_S:
            for wire, content in self._ours((yield from get_stored(self._ref, after_s=wait_s))):
                if wire.id not in self._ids:
                    self._missed += self._take(content)
            if turn.has_ended and not turn.waiting:
                break
        has_end = turn.has_ended or (self._is_whole and not turn.is_incomplete)
        return (*self._missed, *self._end(is_cut=not has_end))

    def _take(self, content: bytes) -> tuple[Event, ...]:
        received = self._reader.read(content)
        self._turn.add(received)
        if received.wire.id and not received.wire.partial:
            self._ids.append(received.wire.id)
            self._set_cursor()
        return received.events

    def _end(self, *, is_cut: bool = False) -> Items:
        self._set_cursor(is_ended=True)
        return (*self._turn.end(self._ref.id, is_cut=is_cut), api.Finished())

    def _set_cursor(self, *, is_ended: bool = False) -> None:
        self.cursor = api.encode_cursor(Cursor(self._ids[-1] if self._ids else "", is_ended, self._marker))

    def _ours(self, stored: Stored) -> Stored:
        """Return the agent's stored events of this turn."""
        marked = [each for each in stored if _marker(each[0]) == self._marker]
        # 1.39.1 does not store the marker. The first frame contains the invocation's id.
        same = [each for each in stored if each[0].invocation_id == (self._turn.id or self._marker)]
        return [each for each in marked or same if each[0].author != USER]


class AdkStream(api.PolledStream):
    """Follows a session by polling its whole history. It delivers complete events only.

    A turn whose last event may be final has ended if the next read finds no further event.
    """

    def __init__(self, ref: SessionRef, stored: Stored, cursor: Cursor | None) -> None:
        position = _position(stored, cursor)
        self._ref = ref
        self._history = History(ref.id, stored[:position])
        if cursor is None or cursor.is_ended:
            self._history.end_turns()
        self._last_id = next((wire.id for wire, _ in stored[:position][::-1] if wire.id), "")
        self._unread: deque[Received] = deque()
        self._add(self._history.update(stored[position:]))
        self.cursor = api.encode_cursor(cursor or Cursor(self._last_id, is_ended=True))

    @property
    def every_s(self) -> tuple[float, float]:  # type: ignore[override]
        """Seconds between two reads: the first and the longest wait.

        Events that were already read need no wait.
        """
        return (0.0 if self._unread else POLL_S[0], POLL_S[1])

    def poll(self) -> Flow[Items]:
        """Deliver the common events of the next stored event.

        If none is left, read the session first.
        """
        if not self._unread:
            stored = yield from get_stored(self._ref)
            self._add(self._history.update(stored) or self._history.end_turns())
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
    """Return the number of stored events before the cursor.

    Raises:
        UsageError: The session has no such event.
    """
    if cursor is None:
        return len(stored)
    if not cursor.after and cursor.turn is not None:
        ours = [n for n, (wire, _) in enumerate(stored) if _marker(wire) == cursor.turn] or [len(stored)]
        return ours[-1] + 1 if cursor.is_ended else ours[0]
    ids = ["", *[wire.id for wire, _ in stored]]
    if cursor.after not in ids:
        raise UsageError(f"the session has no event {cursor.after!r}: use a cursor of this session")
    return ids.index(cursor.after)


def run_to_end(ref: SessionRef, turn_input: api.TurnInput, native: api.NativeBody | None) -> Flow[None]:
    """Run a turn to its end without returning its events.

    Raises:
        MalformedResponse: The response is not an event stream, for example a proxy's HTML page.
    """
    turn = yield from prepare_turn(ref, turn_input, native)
    api.read_frames((yield turn.start_unfollowed()))


def read_refusal(response: Response) -> api.ErrorDetail | None:
    """Return the error of a run that sent nothing but an error; None otherwise."""
    try:
        frames = api.read_frames(response)
    except api.MalformedResponse:
        return None
    wire = decode_event(frames[0].data if frames else b"")
    return None if wire.error is None else to_failure(wire)


def prepare_turn(ref: SessionRef, turn_input: api.TurnInput, native: api.NativeBody | None) -> Flow[AdkTurn]:
    """Return a turn with a new marker. For answers, the pending actions are read first.

    The server accepts late and repeated answers, and may run a tool twice, so they are rejected here.

    Raises:
        Conflict: An action is not pending.
        UsageError: A block cannot be sent, an answer has the wrong type for its action, or the actions belong to
            several turns.
    """
    blocks, answers = api.split_turn_input(turn_input)
    parts = [_to_part(block) for block in blocks]
    waiting = History(ref.id, (yield from get_stored(ref))).waiting if answers else {}
    answered = [_pop(waiting, answer) for answer in answers]
    if len({action.reference for action in answered}) > 1:
        raise UsageError("the actions belong to several turns: answer the actions of each turn separately")
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
        raise api.Conflict(f"action {answer.action_id!r} is not pending: it was answered, or its turn was aborted")
    return waiting.pop(answer.action_id)


def _to_part(block: api.Block) -> dict[str, Any]:
    if isinstance(block, api.TextBlock):
        return {"text": block.text}
    if not isinstance(block, api.MediaBlock) or block.file_id is not None:
        raise UsageError(f"ADK has no uploaded files: pass the {block.type} by url or data, not by file_id")
    media = {"mimeType": block.media_type, "displayName": block.title, "data": block.data, "fileUri": block.url}
    kind = "fileData" if block.data is None else "inlineData"
    return {kind: {name: value for name, value in media.items() if value is not None}}


def _to_response(action: PendingAction, answer: Answer) -> dict[str, Any]:
    """Return the part that answers an action.

    Raises:
        UsageError: The answer has the wrong type for its action, or the action requests a credential.
    """
    api.check_answer_kind(answer, action)
    name = action.name if isinstance(action, api.ToolExecution) else _FUNCTIONS[action.type]
    if name == CREDENTIAL:
        raise UsageError(
            f"action {action.id!r} requests a credential: send it with client.request('POST', '/run_sse', ...), so that"
            " it is in no event"
        )
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
