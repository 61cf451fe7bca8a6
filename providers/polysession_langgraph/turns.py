"""Streams and turns of LangGraph threads: plans, sending, answering, cancelling.

The stream is `GET /threads/{id}/stream`, and not `POST .../stream/events`, whose `since` counts what is left of the log
and can swallow a run. Observed on langgraph-api 0.16.7 (2026-11-30). Backend:
https://docs.langchain.com/langsmith/event-streaming (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from polysession.provider_api import (
    ActionRequired,
    Answer,
    Block,
    Call,
    Conflict,
    Event,
    Flow,
    Frame,
    Head,
    Items,
    MalformedResponse,
    MediaBlock,
    NotFound,
    Outcome,
    PendingAction,
    Reconcile,
    Response,
    Role,
    StatusChanged,
    StreamPlan,
    TextBlock,
    ToolResultBlock,
    TurnEnded,
    TurnPlan,
    UsageError,
    decoder,
    encode_cursor,
    json_body,
    path_segment,
    read_response,
    with_query,
)
from polysession_langgraph.actions import to_actions, to_responses
from polysession_langgraph.events import Envelope, EventReader, RunDone, state_messages, to_message
from polysession_langgraph.sessions import AGENT_KEY, TURN_KEY, read_thread, to_status
from polysession_langgraph.wire import WireCommandAnswer, WireErrorFrame, WireRun, WireState, WireThread

QUIET_S: Final = 15.0
SILENCE_S: Final = 20.0  # heartbeats come every 5 s
_GOING: Final = frozenset({"pending", "running"})
_CANCELLED: Final = frozenset({"UserInterrupt", "UserRollback"})
_PIECES: Final = frozenset(
    {
        *("message.started", "message.delta", "thinking.started", "thinking.delta"),
        *("tool_call.started", "tool_call.delta"),
    }
)
_SETTLE_S: Final = 2.0
"""How long a reopened stream may take to replay the end of a run before the run itself is read."""
_LOOKS: Final = 20
_LOOK_S: Final = 0.25

_read_run: Final = decoder(WireRun)
_read_state: Final = decoder(WireState)
_read_command: Final = decoder(WireCommandAnswer)


class Position(msgspec.Struct):
    """Where a stream stands, as a cursor.

    Several events of one millisecond may share an id, and the server continues after all of them. So the stream is
    opened after an earlier id, and the events up to this position are left out.

    Attributes:
        before: An id before `last`, and before the start of a message that is being written; empty for the start of
            the log.
        last: The id of the last event.
        count: How many events with this id were read.
        after_run: Runs up to this one are left out.
        run: The run that was going.
        messages: How many messages of the state were delivered.
        turn: The marker of the turn that the stream follows; empty for a stream of the whole session.
        answers: Whether that turn answers interrupts, so that its input is no message.
    """

    before: str = ""
    last: str = ""
    count: int = 0
    after_run: str = ""
    run: str | None = None
    messages: int | None = None
    turn: str = ""
    answers: bool = False


class ThreadStream(StreamPlan):
    """Follows a thread, run after run."""

    silence_s = SILENCE_S
    quiet_s = QUIET_S

    def __init__(self, session_id: str, input_key: str, position: Position, *, is_live: bool) -> None:
        self.is_resumed = not is_live
        self._path = thread_path(session_id)
        self._session_id = session_id
        self._input_key = input_key
        self._position = position
        self._is_live = is_live
        self._reader = EventReader(
            session_id, input_key, position.messages, position.turn, has_input=not position.answers
        )
        self._reader.run_id = position.run
        self._is_rebuilding = not is_live
        self._seen_again = 0
        self._was_reopened = False
        self._is_skipping = False
        self._done: tuple[RunDone, Frame] | None = None
        self._last_ended: str | None = None

    @property
    def cursor(self) -> str:  # type: ignore[override]
        """Continues after the last event that was read."""
        return encode_cursor(self._position)

    def open(self) -> Call:
        """Open from now on, or after the position."""
        headers = {"accept": "text/event-stream"}
        if not self._is_live:
            headers["last-event-id"] = self._position.before or "-"
        return Call("GET", with_query(f"{self._path}/stream", {"stream_modes": "run_modes"}), headers)

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002
        """After a break the log may have lost events, so the run is looked at if its end does not come."""
        self._is_live, self._seen_again = False, 0
        self._was_reopened = self._was_reopened or again
        return (Reconcile(after_s=_SETTLE_S),) if again else ()

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002
        """Look at the run: the server sends heartbeats also for a thread that does not exist."""
        return (Reconcile(),)

    def read(self, frame: Frame) -> Items:
        """Read one frame, unless it was read before."""
        if self._was_read(frame):
            return self._fragments(frame) if self._is_rebuilding else ()
        self._is_rebuilding = False
        items = [] if self._skips(frame) else list(self._reader.read(frame))
        done = next((item for item in items if isinstance(item, RunDone)), None)
        if done is not None:  # the cursor moves on when the outcome is known
            if done.run_id == self._last_ended:
                return ()
            self._done = done, frame
            return (Reconcile(),)
        self._advance(frame)
        return [item for item in items if not isinstance(item, RunDone)]

    def _fragments(self, frame: Frame) -> Items:
        """The pieces of a message that another stream left in the middle: it is delivered from its beginning."""
        return [item for item in self._reader.read(frame) if not isinstance(item, RunDone) and item.type in _PIECES]

    def _was_read(self, frame: Frame) -> bool:
        if not frame.id or not self._position.last:
            return False
        order, last = _order(frame.id), _order(self._position.last)
        if order == last:
            self._seen_again += 1
            return self._seen_again <= self._position.count
        return order < last

    def _skips(self, frame: Frame) -> bool:
        """Whether the frame belongs to a run that was over before this stream was asked for, or was ended already."""
        if frame.event == "metadata":
            run_id = msgspec.json.decode(frame.data).get("run_id") or ""
            is_over = run_id <= self._position.after_run or run_id == self._last_ended
            self._is_skipping = is_over or self._is_of_others(run_id)
        return self._is_skipping

    def _is_of_others(self, run_id: str) -> bool:  # noqa: ARG002
        return False

    def _advance(self, frame: Frame) -> None:
        at, before = self._position, self._position.last
        if frame.id == at.last:
            at.count += 1
            self._seen_again = at.count
        elif frame.id:
            at.last, at.count, self._seen_again = frame.id, 1, 1
            if not self._reader.is_writing:
                at.before = before
        at.run, at.messages = self._reader.run_id, self._reader.message_count

    def reconcile(self) -> Flow[Items]:
        """Read how the run ended: its stream says only that it is over, or nothing at all."""
        if self._done is not None:
            done, frame = self._done
            lacking = (yield from self._lacking()) if self._was_reopened else ()
            items = [*lacking, *(yield from self._ended(done.run_id, done.error))]
            self._done, self._last_ended = None, done.run_id
            self._advance(frame)
            return items
        run_id = self._followed_run()
        if run_id is None or run_id == self._last_ended:
            yield Call("GET", self._path)  # raises NotFound after a deletion
            return ()
        run = yield from read_run(self._path, run_id)
        if run is not None and run.status in _GOING:
            return ()
        lacking = (yield from self._lacking()) or ([] if self._reader.has_lost else [self._reader.gap()])
        end = yield from self._ended(run_id, None, run)
        self._last_ended = run_id
        return (*lacking, *end)

    def _followed_run(self) -> str | None:
        return self._reader.run_id

    def _lacking(self) -> Flow[list[Event]]:
        """The messages of the run in the state that were not delivered, with a gap before them."""
        state = read_response(_read_state, (yield Call("GET", f"{self._path}/state")))[0]
        reader, messages = self._reader, _messages_of(state, self._input_key)
        new = messages if reader.message_count is None else messages[reader.message_count :]
        reader.message_count = len(messages)
        common: Envelope = {"session_id": self._session_id, "turn_id": reader.run_id, "synthetic": True}
        found: list[Event] = []
        for content in new:
            message, envelope = to_message(self._session_id, content), {**common, "source": content}
            for block in message.content:
                if isinstance(block, ToolResultBlock):
                    found += reader.tool_result(block.tool_call_id, block.text, block.is_error, envelope)
            if message.role in {Role.USER, Role.ASSISTANT} and message.id not in reader.completed:
                found += reader.completed_of(message, {**envelope, "id": message.id or None})
        return [reader.gap(), *found] if found and not reader.has_lost else found

    def _ended(self, run_id: str, error: WireErrorFrame | None, run: WireRun | None = None) -> Flow[list[Event]]:
        """The end of a run, by what the thread says. If another run is queued, the thread speaks of that one."""
        thread, content = yield from get_thread(self._path)
        if thread.status == "busy" and run is None:
            run = yield from read_run(self._path, run_id)
        outcome, reason, text = _outcome(thread, run, error)
        common: dict[str, Any] = {"session_id": self._session_id, "turn_id": run_id, "synthetic": True}
        status = to_status(thread)
        events: list[Event] = [
            StatusChanged(status=status, native_status=thread.status or "", source=content, **common)
        ]
        if outcome is Outcome.REQUIRES_ACTION:
            actions = tuple(to_actions(thread.interrupts).values())
            events.append(ActionRequired(actions=actions, source=content, **common))
        events.append(TurnEnded(outcome=outcome, native_reason=reason, error=text, source=content, **common))
        return events


def _outcome(thread: WireThread, run: WireRun | None, error: WireErrorFrame | None) -> tuple[Outcome, str, str | None]:
    """The outcome of a run that is over, the server's word for it, and what went wrong."""
    about_this_run = thread.status != "busy"
    if about_this_run and thread.interrupts:
        return Outcome.REQUIRES_ACTION, "interrupted", None
    failure = thread.error if about_this_run else None
    name = (failure.error if failure else None) or (error.error if error else None)
    text = (failure.message if failure else None) or (error.message if error else None)
    if name in _CANCELLED or (run is not None and run.status == "interrupted"):
        return Outcome.CANCELLED, name or "interrupted", None
    if name == "GraphRecursionError":
        return Outcome.LIMIT_REACHED, name, text
    if name is not None or (run is not None and run.status in {"error", "timeout"}):
        return Outcome.FAILED, name or (run.status if run and run.status else ""), text or name or "the run failed"
    return Outcome.COMPLETED, "success", None


class ThreadTurn(ThreadStream, TurnPlan):
    """Follows the run that one command starts: `run.start` or `input.respond`.

    The run carries a marker of ours in its metadata, because the answer to `input.respond` does not name it, and the
    newest run may be another client's.

    Args:
        session_id: The thread.
        input_key: Key of the messages in the state.
        position: Where to begin; its `turn` is the marker.
        command: The command; None if another process sent it.
    """

    def __init__(self, session_id: str, input_key: str, position: Position, command: dict[str, Any] | None) -> None:
        super().__init__(session_id, input_key, position, is_live=command is not None)
        self._command = command
        self._marker = position.turn
        self._run_id: str | None = None

    def send(self) -> Flow[None]:
        """Send the command, and find the run that it starts."""
        if self._command is None:
            self._run_id = yield from find_run(self._path, self._marker)
            return
        params = self._command["params"]
        metadata = {**(params.get("metadata") or {}), TURN_KEY: self._marker}
        command = {**self._command, "params": {**params, "metadata": metadata}}
        result = yield from send_command(self._path, command)
        self._run_id = result.get("run_id") or (yield from find_run(self._path, self._marker))

    def is_ours(self, event: Event) -> bool:
        """Whether it belongs to the run that our command started."""
        return self._run_id is not None and event.turn_id == self._run_id

    def _is_of_others(self, run_id: str) -> bool:
        return self._run_id is not None and run_id != self._run_id

    def _followed_run(self) -> str | None:
        return self._run_id


def find_run(path: str, marker: str) -> Flow[str]:
    """The id of the run that carries the marker.

    Raises:
        NotFound: No run of the thread carries it.
    """
    for look in range(_LOOKS):
        response = yield Call("GET", with_query(f"{path}/runs", {"limit": 100}), after_s=_LOOK_S if look else 0.0)
        for item in _array(response):
            run = _read_run(item)[0]
            if (run.metadata or {}).get(TURN_KEY) == marker:
                return run.run_id
    raise NotFound("no run of this session carries the marker of the turn: its input was not accepted")


def read_run(path: str, run_id: str) -> Flow[WireRun | None]:
    """Read a run; None if it was deleted or rolled back."""
    try:
        response = yield Call("GET", f"{path}/runs/{path_segment(run_id, 'run id')}")
    except NotFound:
        return None
    return read_response(_read_run, response)[0]


def get_thread(path: str) -> Flow[tuple[WireThread, bytes]]:
    """Read a thread, and its JSON text."""
    response = yield Call("GET", path)
    return read_response(read_thread, response)[0], response.content


def thread_path(session_id: str) -> str:
    """The path of a thread."""
    return f"/threads/{path_segment(session_id, 'session id')}"


def send_command(path: str, command: dict[str, Any]) -> Flow[dict[str, Any]]:
    """Send a command; gives its result. A refusal, which has status 200, is found by the provider's `is_refusal`."""
    response = yield Call("POST", f"{path}/commands", body=json_body({"id": 1, **command}))
    return read_response(_read_command, response)[0].result or {}


def run_start(
    thread: WireThread,
    agent_id: str | None,
    input_key: str,
    content: Iterable[Block],
    message_id: str,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """The command that sends a message. The server keeps the message's id, so that the state shows where it begins.

    Raises:
        Conflict: The thread waits: the server would take the message for the answer.
        UsageError: No agent is known.
    """
    if thread.interrupts:
        raise Conflict("the session waits for answers; the server would take a message for the answer: use answer()")
    metadata = thread.metadata or {}
    agent = agent_id or metadata.get("assistant_id") or metadata.get(AGENT_KEY)
    if not isinstance(agent, str):
        raise UsageError("no agent is known for this session: give agent= on create, or the setting assistant_id")
    params = dict(more)
    message = {"role": "user", "id": message_id, "content": to_content(content)}
    params["input"] = {**(params.get("input") or {}), input_key: [message]}
    return {"method": "run.start", "params": {"assistant_id": agent, **params}}


def input_respond(thread: WireThread, answers: Iterable[Answer], more: Mapping[str, Any]) -> dict[str, Any]:
    """The command that answers interrupts.

    Raises:
        Conflict: Nothing is pending.
        NotFound: One of the actions is not pending.
        UsageError: An action gets the wrong kind of answer, or a group is answered in part.
    """
    responses = to_responses(answers, to_actions(thread.interrupts))
    return {"method": "input.respond", "params": {"responses": responses, **more}}


def to_content(content: Iterable[Block]) -> list[dict[str, Any]]:
    """Blocks as content of a message; the graph's model decides what it understands.

    Raises:
        UsageError: A block has no form here.
    """
    return [_part(block) for block in content]


def _part(block: Block) -> dict[str, Any]:
    if isinstance(block, TextBlock):
        return {"type": "text", "text": block.text}
    if not isinstance(block, MediaBlock):
        raise UsageError(f"a message cannot hold a {type(block).__name__}")
    kind = "image" if block.type == "image" else "file"
    source = {"url": block.url, "base64": block.data, "file_id": block.file_id, "mime_type": block.media_type}
    return {"type": kind, **{name: value for name, value in source.items() if value is not None}}


def pending(path: str) -> Flow[tuple[PendingAction, ...]]:
    """The pending actions of the thread."""
    thread, _ = yield from get_thread(path)
    return tuple(to_actions(thread.interrupts).values())


def cancel(path: str) -> Flow[tuple[bool, bytes]]:
    """Stop the runs of a thread, or give a waiting one up; returns whether there was one, with the thread's JSON."""
    thread, content = yield from get_thread(path)
    if thread.interrupts and thread.status != "busy":
        yield Call("POST", f"{path}/state", body=json_body({"values": None, "as_node": "__end__"}))
        return True, content
    stopped = False
    for status in ("running", "pending"):
        response = yield Call("GET", with_query(f"{path}/runs", {"status": status, "limit": 100}))
        for item in _array(response):
            stopped = (yield from _cancel_run(path, _read_run(item)[0].run_id)) or stopped
    return stopped, content


def _cancel_run(path: str, run_id: str) -> Flow[bool]:
    try:
        yield Call("POST", f"{path}/runs/{run_id}/cancel", body=b"{}")
    except NotFound:
        return False  # it is over
    return True


def list_messages(path: str, session_id: str, input_key: str) -> Flow[list[Any]]:
    """All messages of the state, oldest first."""
    state = read_response(_read_state, (yield Call("GET", f"{path}/state")))[0]
    return [to_message(session_id, content) for content in _messages_of(state, input_key)]


def position_now(path: str) -> Flow[Position]:
    """Where a stream from now on begins: after the runs that are over. Ids of runs sort by creation."""
    response = yield Call("GET", with_query(f"{path}/runs", {"limit": 100, "select": ["run_id", "status"]}))
    runs = [_read_run(item)[0] for item in _array(response)]
    going = [run.run_id for run in runs if run.status in _GOING]
    over = [run.run_id for run in runs if run.status not in _GOING]
    return Position(after_run=max(over, default=""), run=min(going, default=None))


def _array(response: Response) -> list[bytes]:
    """The items of a JSON array.

    Raises:
        MalformedResponse: The body is something else.
    """
    try:
        return [bytes(item) for item in msgspec.json.decode(response.content, type=list[msgspec.Raw])]
    except msgspec.MsgspecError:
        pass  # outside the handler: tracebacks must not hold the body
    raise MalformedResponse("the list is not a JSON array", status=response.status)


def _messages_of(state: WireState, input_key: str) -> list[bytes]:
    values = state.values or {}
    return state_messages(b'{"m":%b}' % bytes(values[input_key]), "m") if input_key in values else []


def _order(event_id: str) -> tuple[int, int]:
    """Ids of the log are `<milliseconds>-<number>`."""
    milliseconds, _, number = event_id.partition("-")
    return (int(milliseconds or 0), int(number or 0)) if milliseconds.isdigit() and number.isdigit() else (0, 0)
