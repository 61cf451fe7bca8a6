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
    Step,
    TurnEnded,
    TurnPlan,
    TurnStarted,
    Usage,
    decoder,
    encode_cursor,
    json_body,
    path_segment,
    raw_event,
    read_array,
    read_frame,
    read_frames,
    read_json,
    read_json_or_nothing,
    read_response,
    with_query,
)
from polysession_langgraph.actions import to_actions
from polysession_langgraph.events import Envelope, EventReader, Position
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


class ThreadStream(ConnectedStream):
    """Follows a thread, run after run.

    The server stores each event before it sends it. But it replays what was stored when a connection was opened, and
    sends live what comes from a little later on: what falls between is on no connection until the next one. So where
    numbers of frames jump after a reopening, the stream is opened once more; and the end of a run is compared with the
    stream of that run alone, which the server can replay whole then. Lost is what its log no longer holds.
    """

    silence_s = 20.0  # heartbeats come every 5 s
    quiet_s = 15.0

    def __init__(self, session_id: str, input_key: str, position: Position, *, is_live: bool) -> None:
        self._session_id = session_id
        self._input_key = input_key
        self._at = position
        self._saved = msgspec.structs.replace(position)  # as a cursor has it: before a message that is being written
        self._run_id: str | None = None  # the run of our turn; None follows all
        self._is_live = is_live
        self._is_replay = self._must_overlap = False
        self._is_skipping = bool(position.turn) and position.run is None
        self._asked: set[str] = set()
        self._done: Frame | None = None
        self._reader = EventReader(session_id, input_key, position)

    @property
    def cursor(self) -> str:  # type: ignore[override]
        """Continues after the last event that was read."""
        return encode_cursor(self._saved)

    def open(self) -> Call:
        """Open from now on, or after the position."""
        headers = {"accept": "text/event-stream"} if self._is_live else self._resumed()
        return Call("GET", f"{thread_path(self._session_id)}/stream?stream_modes=run_modes", headers)

    def _resumed(self) -> dict[str, str]:
        """Headers that continue behind the millisecond before the last event, because others may share its id."""
        milliseconds, _ = _order(self._at.last)
        return {"accept": "text/event-stream", "last-event-id": f"{milliseconds - 1}-0" if milliseconds else "-"}

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002
        """Look at the run soon if the replay does not tell its end."""
        self._is_replay, self._is_live = not self._is_live, False
        self._must_overlap = self._is_replay and bool(self._at.last)
        return (Reconcile(after_s=_SETTLE_S),) if self._is_replay else ()

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002
        """Look at the run, and then for its events: heartbeats come also for a thread that does not exist."""
        return (Reconcile(), *(self._ask_again("quiet") if self._at.last else ()))

    def read(self, frame: Frame) -> Items:
        """Read one frame, unless it was read before."""
        does_overlap = not self._must_overlap or _order(frame.id) <= _order(self._at.last)
        self._must_overlap = False
        lost = () if does_overlap else self._reader.lose()  # the log does not reach back
        items = self._read(frame)
        if items is None:
            items = (self._ask_again("hole") if self._may_have_hole else ()) or self._read_in_spite(frame)
        return (*lost, *items)

    @property
    def _may_have_hole(self) -> bool:
        """Whether the connection may have left frames out: behind a replay, or before the first run."""
        return self._is_replay or self._at.run is None

    def _read(self, frame: Frame) -> Items | None:
        """The items of a frame; None if frames before it are missing, and then it was not read."""
        if frame.id and _order(frame.id) < _order(self._at.last):
            return ()
        if frame.event == "metadata":
            return self._read_mark(frame)
        if self._is_skipping:
            return ()
        seq, events = self._at.seq, self._reader.read(frame)
        if events or self._at.seq != seq:
            self._advance(frame)
        return events

    def _read_mark(self, frame: Frame) -> Items | None:
        """A run starts, or is over."""
        mark, problems = read_frame(_read_run, frame)
        envelope = self._reader.envelope(frame, problems)
        if mark is None:
            return (raw_event(**envelope),)
        if mark.status == "run_done":
            return self._read_end(mark.run_id, frame)
        if self._at.run not in {None, mark.run_id}:
            return None  # the end of the run before is missing
        self._is_skipping = not self._wants(mark.run_id)
        if self._is_skipping:
            return ()
        events = self._reader.start(mark, envelope)
        if events:
            self._advance(frame)
        return events

    def _read_end(self, run_id: str, frame: Frame) -> Items | None:
        if not self._wants(run_id):
            return ()
        if run_id != self._at.run and not self._reader.has_lost:
            return None  # its start is missing
        self._at.run, self._done = run_id, frame
        return (Reconcile(),)

    def _read_in_spite(self, frame: Frame) -> Items:
        """Read a frame, although those before it are on no connection. The run before it has to end first.

        Some numbers are on no connection: the server counts messages that no model wrote, and does not send them.
        """
        if self._at.run is None:
            return (*self._reader.lose(), *(self._read(frame) or ()))
        if frame.event == "metadata":
            return (Reconcile(), Reopen(at_once=True))
        self._at.seq = None
        return self._read(frame) or ()

    def _ask_again(self, why: str) -> Items:
        """Another connection, once for each reason since the last event."""
        if why in self._asked:
            return ()
        self._asked.add(why)
        return (Reopen(at_once=True),)

    def _wants(self, run_id: str) -> bool:
        """Whether a run is followed, and its end was not delivered yet."""
        is_ours = run_id > self._at.after_run if self._run_id is None else run_id == self._run_id
        return is_ours and run_id != self._at.ended

    def _advance(self, frame: Frame | None) -> None:
        self._asked.clear()
        if frame is not None and frame.id:
            self._at.last = frame.id
        if not self._reader.is_writing:
            self._saved = msgspec.structs.replace(self._at)
        self._saved.delivered = self._at.delivered

    def reconcile(self) -> Flow[Items]:
        """Read how the run ended: its stream says only that it is over, or nothing at all."""
        at, run = self._at, None
        if self._done is None:
            run = yield from self._unfinished_run()
            if run is None or run.status in _GOING:
                return ()
        run_id = run.run_id if run is not None else at.run or ""
        may_lack = self._done is None or self._is_replay
        frames = (yield from self._replayed(run_id)) if may_lack else []
        state = (yield from get_state(self._session_id)) if may_lack or self._reader.has_lost else None
        thread, content = yield from get_thread(self._session_id)
        if run is None and thread.status == "busy":
            run = yield from read_run(self._session_id, run_id)
        # Everything is read: from here on nothing fails.
        common: Envelope = {"session_id": self._session_id, "turn_id": run_id, "synthetic": True}
        events = self._read_rest(frames)
        if may_lack and not frames:
            events += [TurnStarted(**common)] if at.run is None else []
            at.run = run_id
            events += self._reader.lose()
        if state is not None and self._reader.has_lost:
            with contextlib.suppress(MalformedResponse):  # a state of another form, which has no messages
                events += self._reader.read_state(state.values, common)
        usage = Usage(**at.used) if at.used else None
        ended = {**_outcome(thread, run, self._reader.failure), "usage": usage}
        events += _end(thread, ended, {**common, "source": content})
        at.ended, at.run, at.seq, at.delivered, at.used, at.written = run_id, None, None, 0, None, []
        self._reader = EventReader(self._session_id, self._input_key, at)
        self._is_replay = self._must_overlap = False
        done, self._done = self._done, None
        self._advance(done)
        return events

    def _replayed(self, run_id: str) -> Flow[list[Frame]]:
        """The frames of a run that is over, from the position on; none if the log is gone."""
        path = f"{run_path(self._session_id, run_id)}/stream"
        return read_frames((yield Call("GET", path, self._resumed())))

    def _read_rest(self, frames: Sequence[Frame]) -> list[Event]:
        """The events of those frames that were not read yet."""
        found: list[Event | Step] = []
        for frame in frames:
            items = self._read(frame)
            found += self._read_in_spite(frame) if items is None else items
        return [item for item in found if not isinstance(item, Step)]

    def _unfinished_run(self) -> Flow[WireRun | None]:
        run_id = self._run_id or self._at.run
        if run_id is not None:
            return None if run_id == self._at.ended else (yield from read_run(self._session_id, run_id))
        newest = yield from list_runs(self._session_id, limit=1)  # raises NotFound after a deletion
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
        command: The command, with the marker in its metadata; None if another process sent it.
    """

    def __init__(self, session_id: str, input_key: str, position: Position, command: dict[str, Any] | None) -> None:
        super().__init__(session_id, input_key, position, is_live=command is not None)
        self._command = command

    def send(self) -> Flow[None]:
        """Send the command, and find the run that it starts."""
        run_id: str | None = None
        if self._command is not None:
            run_id = (yield from send_command(self._session_id, self._command)).get("run_id")
        self._run_id = run_id or (yield from find_run(self._session_id, self._at.turn))

    def is_ours(self, event: Event) -> bool:
        """Whether it belongs to the run that our command started."""
        return self._run_id is not None and event.turn_id == self._run_id


def find_run(session_id: str, marker: str) -> Flow[str]:
    """The id of the run that carries the marker.

    Raises:
        NotFound: No run of the thread carries it.
    """
    for look in range(_LOOKS):
        for run in (yield from list_runs(session_id, limit=100, after_s=_LOOK_S if look else 0.0)):
            if (run.metadata or {}).get(TURN_KEY) == marker:
                return run.run_id
    raise NotFound("no run of this session carries the marker of the turn: its input was not accepted")


def list_runs(session_id: str, *, after_s: float = 0.0, **query: Any) -> Flow[list[WireRun]]:
    """Runs of a thread, newest first."""
    response = yield Call("GET", with_query(f"{thread_path(session_id)}/runs", query), after_s=after_s)
    return [_read_run(bytes(item))[0] for item in read_array(response)]


def read_run(session_id: str, run_id: str) -> Flow[WireRun]:
    """Read a run. One that was deleted, or rolled back, counts as cancelled."""
    try:
        response = yield Call("GET", run_path(session_id, run_id))
    except NotFound:
        return WireRun(run_id, status="interrupted")
    return read_response(_read_run, response)[0]


def get_thread(session_id: str) -> Flow[tuple[WireThread, bytes]]:
    """Read a thread, and its JSON text."""
    response = yield Call("GET", thread_path(session_id))
    return read_response(read_thread, response)[0], response.content


def get_state(session_id: str) -> Flow[WireState]:
    """Read the state of a thread."""
    return read_response(_read_state, (yield Call("GET", f"{thread_path(session_id)}/state")))[0]


def thread_path(session_id: str) -> str:
    """The path of a thread."""
    return f"/threads/{path_segment(session_id, 'session id')}"


def run_path(session_id: str, run_id: str) -> str:
    """The path of a run."""
    return f"{thread_path(session_id)}/runs/{path_segment(run_id, 'run id')}"


def send_command(session_id: str, command: dict[str, Any]) -> Flow[dict[str, Any]]:
    """Send a command; gives its result. A refusal, which has status 200, is found by the provider's `is_refusal`."""
    response = yield Call("POST", f"{thread_path(session_id)}/commands", body=json_body({"id": 1, **command}))
    return read_response(_read_command, response)[0].result or {}


def cancel(session_id: str) -> Flow[tuple[bool, bytes]]:
    """Stop the runs of a thread, or give a waiting one up; returns whether there was one, with the thread's JSON."""
    thread, content = yield from get_thread(session_id)
    if thread.interrupts and thread.status != "busy":
        given_up = json_body({"values": None, "as_node": "__end__"})
        read_json((yield Call("POST", f"{thread_path(session_id)}/state", body=given_up)))
        return True, content
    stopped = False
    for status in ("running", "pending"):
        for run in (yield from list_runs(session_id, status=status, limit=100)):
            try:
                read_json_or_nothing((yield Call("POST", f"{run_path(session_id, run.run_id)}/cancel", body=b"{}")))
            except NotFound:
                continue  # it is over
            stopped = True
    return stopped, content


def position_now(session_id: str) -> Flow[Position]:
    """Where a stream from now on begins: after the runs that are over."""
    runs = yield from list_runs(session_id, limit=100, select=["run_id", "status"])
    going = [run.run_id for run in runs if run.status in _GOING]
    over = [run.run_id for run in runs if run.status not in _GOING]
    return Position(after_run=max(over, default=""), run=min(going, default=None))


def _order(event_id: str | None) -> tuple[int, int]:
    """Ids of the log are `<milliseconds>-<number>`."""
    milliseconds, _, number = (event_id or "").partition("-")
    return (int(milliseconds), int(number)) if milliseconds.isdigit() and number.isdigit() else (0, 0)
