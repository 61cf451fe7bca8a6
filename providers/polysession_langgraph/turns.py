"""Streams and turns of LangGraph threads: plans, sending, answering, cancelling.

The stream is `GET /threads/{id}/stream`, and not `POST .../stream/events`, whose `since` counts what is left of the log
and can swallow a run. Observed on langgraph-api 0.16.7 (2026-11-30). Backend:
https://docs.langchain.com/langsmith/event-streaming (read 2026-11-30)
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from polysession.provider_api import (
    ActionRequired,
    Call,
    ConnectedStream,
    Event,
    Flow,
    Frame,
    Head,
    Items,
    MalformedResponse,
    NotFound,
    Outcome,
    Reconcile,
    Reopen,
    StatusChanged,
    TurnEnded,
    TurnPlan,
    TurnStarted,
    Usage,
    decoder,
    encode_cursor,
    json_body,
    path_segment,
    read_array,
    read_frames,
    read_json,
    read_json_or_nothing,
    read_response,
    with_query,
)
from polysession_langgraph.actions import to_actions
from polysession_langgraph.events import PIECES, Envelope, EventReader, RunDone
from polysession_langgraph.sessions import TURN_KEY, read_thread, to_status
from polysession_langgraph.wire import WireAnswer, WireFailure, WireRun, WireState, WireThread

_GOING: Final = frozenset({"pending", "running"})
_CANCELLED: Final = frozenset({"UserInterrupt", "UserRollback"})
_SETTLE_S: Final = 2.0
"""How long a reopened stream may take to replay the end of a run before the run itself is read."""
_LOOKS: Final = 20
_LOOK_S: Final = 0.25

_read_run: Final = decoder(WireRun)
_read_state: Final = decoder(WireState)
_read_command: Final = decoder(WireAnswer)


class Position(msgspec.Struct):
    """Where a stream stands, as a cursor.

    Several events of one millisecond may share an id, and the server continues after all of them. So the stream is
    opened after an earlier id, and the events up to this position are left out.

    Attributes:
        before: An id before `last`, and before the start of a message that is being written; empty for the start of
            the log.
        last: The id of the last event.
        count: How many events with this id were read.
        after_run: Runs up to this one were over when the stream began. Ids of runs sort by creation.
        ended: The run whose end was delivered last.
        run: The run that is going.
        used: Tokens that this run has consumed; None if that is not known.
        tail: The `key_of` the last message of the state that was delivered.
        turn: The marker of the turn that the stream follows; empty for a stream of the whole session.
    """

    before: str = ""
    last: str = ""
    count: int = 0
    after_run: str = ""
    ended: str = ""
    run: str | None = None
    used: dict[str, int] | None = None
    tail: str | None = None
    turn: str = ""


class ThreadStream(ConnectedStream):
    """Follows a thread, run after run.

    The server stores each event before it sends it. But it replays what was stored when a connection was opened, and
    sends live what comes from a little later on: what falls between is on no connection until the next one. So where
    numbers of events jump, the stream is opened once more; and after a reopening the end of a run is compared with the
    stream of that run alone, which the server can replay whole then. Only what is missing there, too, is lost.
    """

    silence_s = 20.0  # heartbeats come every 5 s
    quiet_s = 15.0

    def __init__(self, session_id: str, input_key: str, position: Position, *, is_live: bool) -> None:
        self._path = thread_path(session_id)
        self._session_id = session_id
        self._position = position
        self._before = position.before  # moves on also while a message is being written
        self._is_live = is_live
        self._run_id: str | None = None  # the run of our turn; None follows all
        self._reader = reader = EventReader(session_id, input_key, position.turn, self._wants)
        reader.run_id, reader.tail, reader.used = position.run, position.tail, position.used
        reader.is_skipping = bool(position.turn) and position.run is None
        self._is_rebuilding = not is_live
        self._is_replay = self._must_overlap = False
        self._seen_again = 0
        self._asked: set[str] = set()
        self._done: tuple[RunDone, Frame] | None = None
        self._held: Frame | None = None

    @property
    def cursor(self) -> str:  # type: ignore[override]
        """Continues after the last event that was read."""
        return encode_cursor(self._position)

    def open(self) -> Call:
        """Open from now on, or after the position."""
        headers = {"accept": "text/event-stream"}
        if not self._is_live:
            headers["last-event-id"] = self._before or "-"
        return Call("GET", with_query(f"{self._path}/stream", {"stream_modes": "run_modes"}), headers)

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002
        """Look at the run soon if the replay does not tell its end."""
        self._is_replay, self._is_live, self._seen_again = not self._is_live, False, 0
        self._must_overlap = self._is_replay and bool(self._position.last)
        return (Reconcile(after_s=_SETTLE_S),) if self._is_replay else ()

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002
        """Look at the run, and then for its events: heartbeats come also for a thread that does not exist."""
        return (Reconcile(), *(self._ask_again("quiet") if self._position.last else ()))

    def read(self, frame: Frame) -> Items:
        """Read one frame, unless it was read before."""
        if self._was_read(frame):
            self._must_overlap = False
            return self._read_again(frame) if self._is_rebuilding else ()
        lost = self._reader.lose() if self._must_overlap else ()  # the log does not reach back to the position
        self._is_rebuilding = self._must_overlap = False
        return [*lost, *self._read(frame)]

    def _read_again(self, frame: Frame) -> Items:
        """A piece of a message that another stream left in the middle: it is delivered from its beginning."""
        items = self._reader.read(frame) or ()
        self._reader.used = self._position.used
        return [item for item in items if not isinstance(item, RunDone) and item.type in PIECES]

    def _read(self, frame: Frame) -> Items:
        items = self._reader.read(frame)
        if items is None:
            return self._ask_again("hole") or self._read_in_spite(frame)
        if items and isinstance(items[0], RunDone):
            self._done = items[0], frame  # the position moves on when the outcome is known
            return (Reconcile(),)
        if not self._reader.is_skipping:  # the start of our run may be missing
            self._advance(frame)
        return [item for item in items if not isinstance(item, RunDone)]

    def _read_in_spite(self, frame: Frame) -> Items:
        """Read a frame although those before it are lost."""
        if frame.event == "metadata" and self._reader.run_id is not None:
            self._held = frame  # of another run: this one has to end first
            return (Reconcile(),)
        return [*self._reader.lose(), *self._read(frame)]

    def _read_held(self) -> Items:
        held, self._held = self._held, None
        if held is None:
            return ()
        self._reader.end_run()
        return self._read(held)

    def _ask_again(self, why: str) -> Items:
        """Another connection, once for each reason since the last event."""
        if why in self._asked:
            return ()
        self._asked.add(why)
        return (Reopen(at_once=True),)

    def _was_read(self, frame: Frame) -> bool:
        if not frame.id or not self._position.last:
            return False
        order, last = _order(frame.id), _order(self._position.last)
        if order == last:
            self._seen_again += 1
            return self._seen_again <= self._position.count
        return order < last

    def _wants(self, run_id: str) -> bool:
        """Whether a run is followed, and its end was not delivered yet."""
        is_ours = run_id > self._position.after_run if self._run_id is None else run_id == self._run_id
        return is_ours and run_id != self._position.ended

    def _advance(self, frame: Frame | None) -> None:
        at = self._position
        self._asked.clear()
        if frame is not None and frame.id == at.last:
            at.count += 1
        elif frame is not None and frame.id:
            self._before = at.last
            if not self._reader.is_writing:
                at.before = at.last
            at.last, at.count = frame.id, 1
        self._seen_again = at.count
        at.run, at.tail, at.used = self._reader.run_id, self._reader.tail, self._reader.used

    def reconcile(self) -> Flow[Items]:
        """Read how the run ended: its stream says only that it is over, or nothing at all."""
        run: WireRun | None = None
        done: Frame | None = None
        if self._done is not None:
            (run_id,), done = self._done
        else:
            run = yield from self._unfinished_run()
            if run is None or run.status in _GOING:
                return self._read_held()
            run_id = run.run_id
        may_lack = done is None or self._is_replay
        frames = (yield from self._replayed(run_id)) if may_lack else []
        state = (yield from get_state(self._path)) if may_lack or self._reader.has_lost else None
        thread, content = yield from get_thread(self._path)
        if run is None and thread.status == "busy":
            run = yield from read_run(self._path, run_id)
        # Everything is read: from here on nothing fails.
        common: Envelope = {"session_id": self._session_id, "turn_id": run_id, "synthetic": True}
        events = self._rest(frames)
        if may_lack and not frames:
            events += () if self._reader.run_id is not None else (TurnStarted(**common),)
            self._reader.run_id = run_id
            events += self._reader.lose()
        if state is not None and self._reader.has_lost:
            with contextlib.suppress(MalformedResponse):  # a state of another form, which has no messages
                events += self._reader.read_state(state.values, common)
        usage = Usage(**self._reader.used) if self._reader.used else None
        ended = {**_outcome(thread, run, self._reader.failure), "usage": usage}
        events += _end(thread, ended, {**common, "source": content})
        self._position.ended, self._done = run_id, None
        self._is_replay = self._must_overlap = False
        self._reader.end_run()
        self._advance(done)
        return [*events, *self._read_held()]

    def _replayed(self, run_id: str) -> Flow[list[Frame]]:
        """The frames of a run that is over, from the position on; none if the log is gone."""
        headers = {"accept": "text/event-stream", "last-event-id": self._before or "-"}
        path = f"{self._path}/runs/{path_segment(run_id, 'run id')}/stream"
        return [frame for frame in read_frames((yield Call("GET", path, headers))) if frame.id]

    def _rest(self, frames: Sequence[Frame]) -> list[Event]:
        """The events of those frames that were not read yet."""
        self._seen_again = 0
        found: list[Event] = []
        for frame in frames:
            if self._was_read(frame):
                continue
            items = self._reader.read(frame)
            if items is None:
                found += self._reader.lose()
                items = self._reader.read(frame) or ()
            found += [item for item in items if not isinstance(item, RunDone)]
            self._advance(frame)
        return found

    def _unfinished_run(self) -> Flow[WireRun | None]:
        run_id = self._run_id or self._reader.run_id
        if run_id is not None:
            return None if run_id == self._position.ended else (yield from read_run(self._path, run_id))
        newest = yield from list_runs(self._path, limit=1)  # raises NotFound after a deletion
        return next((run for run in newest if self._wants(run.run_id)), None)


def _end(thread: WireThread, ended: Mapping[str, Any], common: Envelope) -> list[Event]:
    events: list[Event] = [StatusChanged(status=to_status(thread), native_status=thread.status or "", **common)]
    if ended["outcome"] is Outcome.REQUIRES_ACTION:
        events.append(ActionRequired(actions=tuple(to_actions(thread.interrupts).values()), **common))
    return [*events, TurnEnded(**ended, **common)]


def _outcome(thread: WireThread, run: WireRun | None, failure: WireFailure | None) -> dict[str, Any]:
    """The outcome of a run that is over, the server's word for it, and what went wrong.

    The thread has it, unless another run is going: then the thread speaks of that one.
    """
    about_this_run = thread.status != "busy"
    if about_this_run and thread.interrupts:
        return {"outcome": Outcome.REQUIRES_ACTION, "native_reason": "interrupted"}
    failure = (thread.error if about_this_run else None) or failure or WireFailure()
    status = (run.status if run is not None else None) or ""
    reason, text = failure.error or status, failure.message
    if failure.error in _CANCELLED or status == "interrupted":
        return {"outcome": Outcome.CANCELLED, "native_reason": reason}
    if failure.error == "GraphRecursionError":
        return {"outcome": Outcome.LIMIT_REACHED, "native_reason": reason, "error": text}
    if failure.error is not None or status in {"error", "timeout"}:
        return {"outcome": Outcome.FAILED, "native_reason": reason, "error": text or reason or "the run failed"}
    return {"outcome": Outcome.COMPLETED, "native_reason": "success"}


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

    def send(self) -> Flow[None]:
        """Send the command, and find the run that it starts."""
        run_id: str | None = None
        if self._command is not None:
            params = self._command["params"]
            metadata = {**(params.get("metadata") or {}), TURN_KEY: self._position.turn}
            command = {**self._command, "params": {**params, "metadata": metadata}}
            run_id = (yield from send_command(self._path, command)).get("run_id")
        self._run_id = run_id or (yield from find_run(self._path, self._position.turn))

    def is_ours(self, event: Event) -> bool:
        """Whether it belongs to the run that our command started."""
        return self._run_id is not None and event.turn_id == self._run_id


def find_run(path: str, marker: str) -> Flow[str]:
    """The id of the run that carries the marker.

    Raises:
        NotFound: No run of the thread carries it.
    """
    for look in range(_LOOKS):
        for run in (yield from list_runs(path, limit=100, after_s=_LOOK_S if look else 0.0)):
            if (run.metadata or {}).get(TURN_KEY) == marker:
                return run.run_id
    raise NotFound("no run of this session carries the marker of the turn: its input was not accepted")


def list_runs(path: str, *, after_s: float = 0.0, **query: Any) -> Flow[list[WireRun]]:
    """Runs of a thread, newest first."""
    response = yield Call("GET", with_query(f"{path}/runs", query), after_s=after_s)
    return [_read_run(bytes(item))[0] for item in read_array(response)]


def read_run(path: str, run_id: str) -> Flow[WireRun]:
    """Read a run. One that was deleted, or rolled back, counts as cancelled."""
    try:
        response = yield Call("GET", f"{path}/runs/{path_segment(run_id, 'run id')}")
    except NotFound:
        return WireRun(run_id, status="interrupted")
    return read_response(_read_run, response)[0]


def get_thread(path: str) -> Flow[tuple[WireThread, bytes]]:
    """Read a thread, and its JSON text."""
    response = yield Call("GET", path)
    return read_response(read_thread, response)[0], response.content


def get_state(path: str) -> Flow[WireState]:
    """Read the state of a thread."""
    return read_response(_read_state, (yield Call("GET", f"{path}/state")))[0]


def thread_path(session_id: str) -> str:
    """The path of a thread."""
    return f"/threads/{path_segment(session_id, 'session id')}"


def send_command(path: str, command: dict[str, Any]) -> Flow[dict[str, Any]]:
    """Send a command; gives its result. A refusal, which has status 200, is found by the provider's `is_refusal`."""
    response = yield Call("POST", f"{path}/commands", body=json_body({"id": 1, **command}))
    return read_response(_read_command, response)[0].result or {}


def cancel(path: str) -> Flow[tuple[bool, bytes]]:
    """Stop the runs of a thread, or give a waiting one up; returns whether there was one, with the thread's JSON."""
    thread, content = yield from get_thread(path)
    if thread.interrupts and thread.status != "busy":
        read_json((yield Call("POST", f"{path}/state", body=json_body({"values": None, "as_node": "__end__"}))))
        return True, content
    stopped = False
    for status in ("running", "pending"):
        for run in (yield from list_runs(path, status=status, limit=100)):
            try:
                address = f"{path}/runs/{path_segment(run.run_id, 'run id')}/cancel"
                read_json_or_nothing((yield Call("POST", address, body=b"{}")))
            except NotFound:
                continue  # it is over
            stopped = True
    return stopped, content


def position_now(path: str) -> Flow[Position]:
    """Where a stream from now on begins: after the runs that are over."""
    runs = yield from list_runs(path, limit=100, select=["run_id", "status"])
    going = [run.run_id for run in runs if run.status in _GOING]
    over = [run.run_id for run in runs if run.status not in _GOING]
    return Position(after_run=max(over, default=""), run=min(going, default=None))


def _order(event_id: str) -> tuple[int, int]:
    """Ids of the log are `<milliseconds>-<number>`."""
    milliseconds, _, number = event_id.partition("-")
    return (int(milliseconds or 0), int(number or 0)) if milliseconds.isdigit() and number.isdigit() else (0, 0)
