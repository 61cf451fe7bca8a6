"""Streams and turns of LangGraph threads: plans, sending, answering, cancelling.

The stream is `GET /threads/{id}/stream`. `POST .../stream/events` is not used: its `since` counts from the start of the
remaining log, so that a whole run can be skipped. Observed on langgraph-api 0.16.7 (2026-11-30). Backend:
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
from polysession_langgraph.events import Envelope, EventReader, Position, order_of
from polysession_langgraph.sessions import TURN_KEY, read_thread, to_status
from polysession_langgraph.wire import WireAnswer, WireFailure, WireRun, WireState, WireThread

_ACTIVE: Final = frozenset({"pending", "running"})
_CANCELLED: Final = frozenset({"UserInterrupt", "UserRollback"})
_REPLAY_S: Final = 2.0
"""Seconds that a reopened stream has to replay the end of a run, before the run itself is read."""
_FIND_ATTEMPTS: Final = 20
_FIND_INTERVAL_S: Final = 0.25

_read_run: Final = decoder(WireRun)
_read_state: Final = decoder(WireState)
_read_command: Final = decoder(WireAnswer)


class ThreadStream(ConnectedStream):
    """Follows a thread over any number of runs.

    The server stores each event before it sends it. A new connection first gets the stored events, and a little later
    the live ones. Events between the two are not sent before the next connection. So if frame numbers jump after a
    reopening, the stream is opened once more. At the end of a run, the stream of that run alone is read as well: the
    server can then replay it whole. Only events that are no longer in the server's log are lost.
    """

    silence_s = 20.0  # heartbeats come every 5 s
    quiet_s = 15.0

    def __init__(self, session_id: str, input_key: str, position: Position, *, is_live: bool) -> None:
        self._session_id = session_id
        self._input_key = input_key
        self._at = position
        self._saved = msgspec.structs.replace(position)  # position of the cursor: before an incomplete message
        self._run_id: str | None = None  # the run of our turn; None follows all
        self._is_live = is_live
        self._is_replay = self._must_overlap = False
        self._is_skipping = bool(position.turn) and position.run is None
        self._reopened_for: set[str] = set()
        self._done: Frame | None = None
        self._reader = EventReader(session_id, input_key, position)

    @property
    def cursor(self) -> str:  # type: ignore[override]
        """Cursor after the last event that was read."""
        return encode_cursor(self._saved)

    def open(self) -> Call:
        """Open the stream for new events only, or after the position."""
        headers = {"accept": "text/event-stream"} if self._is_live else self._resumed()
        return Call("GET", f"{thread_path(self._session_id)}/stream?stream_modes=run_modes", headers)

    def _resumed(self) -> dict[str, str]:
        """Return headers that resume one millisecond before the last event.

        Several frames may share its id.
        """
        milliseconds, _ = order_of(self._at.last)
        return {"accept": "text/event-stream", "last-event-id": f"{milliseconds - 1}-0" if milliseconds else "-"}

    def opened(self, head: Head, *, again: bool) -> Items:  # noqa: ARG002  (the position has this information)
        """Schedule a read of the run, in case the replay does not contain its end."""
        self._is_replay, self._is_live = not self._is_live, False
        self._must_overlap = self._is_replay and bool(self._at.last)
        return (Reconcile(after_s=_REPLAY_S),) if self._is_replay else ()

    def quiet(self, for_s: float) -> Items:  # noqa: ARG002  (the loop lengthens the interval)
        """Check the run, and reopen the stream.

        The server sends heartbeats even for a thread that does not exist.
        """
        return (Reconcile(), *(self._reopen_once("quiet") if self._at.last else ()))

    def read(self, frame: Frame) -> Items:
        """Read one frame, unless it was read before."""
        does_overlap = not self._must_overlap or order_of(frame.id) <= order_of(self._at.last)
        self._must_overlap = False
        lost = () if does_overlap else self._reader.report_gap()  # the log starts after the last frame
        items = self._read(frame)
        if items is None:
            items = (self._reopen_once("gap") if self._may_skip_frames else ()) or self._read_after_gap(frame)
        return (*lost, *items)

    @property
    def _may_skip_frames(self) -> bool:
        """Whether the connection may lack frames: after a replay, before a run, or at its start."""
        return self._is_replay or self._at.run is None or self._at.seq == 0

    def _read(self, frame: Frame) -> Items | None:
        """Return the items of a frame. None: frames before it are missing, and it was not read."""
        if self._may_skip_frames and frame.id and order_of(frame.id) < order_of(self._at.last):
            return ()
        if frame.event == "metadata":
            return self._read_metadata(frame)
        if self._is_skipping:
            return ()
        seq, events = self._at.seq, self._reader.read(frame)
        if events or self._at.seq != seq:
            self._advance(frame)
        return events

    def _read_metadata(self, frame: Frame) -> Items | None:
        """Read the start or the end of a run."""
        run, problems = read_frame(_read_run, frame)
        envelope = self._reader.envelope(frame, problems)
        if run is None:
            return (raw_event(**envelope),)
        if run.status == "run_done":
            return self._read_end(run.run_id, frame)
        if self._at.run not in {None, run.run_id}:
            return None  # the end of the previous run is missing
        self._is_skipping = not self._follows(run.run_id)
        if self._is_skipping:
            return ()
        events = self._reader.start(run, envelope)
        if events:
            self._advance(frame)
        return events

    def _read_end(self, run_id: str, frame: Frame) -> Items | None:
        if not self._follows(run_id):
            return ()
        if run_id != self._at.run and not self._reader.has_lost:
            return None  # its start is missing
        self._at.run, self._done = run_id, frame
        return (Reconcile(),)

    def _read_after_gap(self, frame: Frame) -> Items:
        """Read a frame after missing ones.

        If it starts another run, the previous run has to end first.

        A jump in the numbers is not always a loss: the server also counts messages that it does not send.
        """
        if self._at.run is None:
            return (*self._reader.report_gap(), *(self._read(frame) or ()))
        if frame.event == "metadata":
            return (Reconcile(), Reopen(at_once=True))
        before, self._at.seq = self._at.seq, None
        items = self._read(frame) or ()
        self._reader.note_skipped(before)
        return items

    def _reopen_once(self, reason: str) -> Items:
        """Reopen the stream, once for each reason until the next event."""
        if reason in self._reopened_for:
            return ()
        self._reopened_for.add(reason)
        return (Reopen(at_once=True),)

    def _follows(self, run_id: str) -> bool:
        """Whether the stream follows a run whose end was not delivered yet."""
        is_ours = run_id > self._at.after_run if self._run_id is None else run_id == self._run_id
        return is_ours and run_id != self._at.ended

    def _advance(self, frame: Frame | None) -> None:
        self._reopened_for.clear()
        if frame is not None and frame.id:
            self._at.last = max(self._at.last, frame.id, key=order_of)
        if not self._reader.is_writing:
            self._saved = msgspec.structs.replace(self._at)
        self._saved.delivered, self._saved.failure = self._at.delivered, self._at.failure

    def reconcile(self) -> Flow[Items]:
        """Read the outcome of the run.

        The stream only reports that the run has ended, or not even that.

        Raises:
            NotFound: The thread was deleted.
        """
        at, run = self._at, None
        if self._done is None:
            run = yield from self._unfinished_run()
            if run is None or run.status in _ACTIVE:
                return ()
        run_id = run.run_id if run is not None else at.run or ""
        may_lack = self._done is None or self._is_replay
        frames = (yield from self._replayed(run_id)) if may_lack else []
        state = (yield from get_state(self._session_id)) if may_lack or self._reader.has_lost else None
        thread, content = yield from get_thread(self._session_id)
        if run is None and thread.status == "busy":
            run = yield from read_run(self._session_id, run_id)
        # All calls are done, and state changes only from here on: a flow that fails is run again.
        common: Envelope = {"session_id": self._session_id, "turn_id": run_id, "synthetic": True}
        events = self._read_rest(frames)
        if may_lack and not frames:
            events += [TurnStarted(**common)] if at.run is None else []
            at.run = run_id
            events += self._reader.report_gap()
        if state is not None and self._reader.has_lost:
            with contextlib.suppress(MalformedResponse):  # a state without a list of messages
                events += self._reader.read_state(state.values, common)
        usage = Usage(**at.used) if at.used else None
        ended = {**_outcome(thread, run, self._reader.failure), "usage": usage}
        events += _end(thread, ended, {**common, "source": content})
        self._leave_run(run_id)
        return events

    def _leave_run(self, run_id: str) -> None:
        """Move the position behind a run whose end was delivered."""
        at = self._at
        at.ended, at.run, at.seq, at.delivered, at.failure = run_id, None, None, 0, 0
        at.used, at.written = None, []
        self._reader = EventReader(self._session_id, self._input_key, at)
        self._is_replay = self._must_overlap = False
        done, self._done = self._done, None
        self._advance(done)

    def _replayed(self, run_id: str) -> Flow[list[Frame]]:
        """Read the frames of an ended run after the position.

        There are none if they are no longer in the log.
        """
        path = f"{run_path(self._session_id, run_id)}/stream"
        return read_frames((yield Call("GET", path, self._resumed())))

    def _read_rest(self, frames: Sequence[Frame]) -> list[Event]:
        """Return the events of the frames that were not read yet."""
        found: list[Event | Step] = []
        for frame in frames:
            items = self._read(frame)
            found += self._read_after_gap(frame) if items is None else items
        return [item for item in found if not isinstance(item, Step)]

    def _unfinished_run(self) -> Flow[WireRun | None]:
        run_id = self._run_id or self._at.run
        if run_id is not None:
            return None if run_id == self._at.ended else (yield from read_run(self._session_id, run_id))
        newest = yield from list_runs(self._session_id, limit=1)  # raises NotFound after a deletion
        return next((run for run in newest if self._follows(run.run_id)), None)


def _end(thread: WireThread, ended: Mapping[str, Any], common: Envelope) -> list[Event]:
    events: list[Event] = [StatusChanged(status=to_status(thread), native_status=thread.status or "", **common)]
    if ended["outcome"] is Outcome.REQUIRES_ACTION:
        events.append(ActionRequired(actions=tuple(to_actions(thread.interrupts).values()), **common))
    return [*events, TurnEnded(**ended, **common)]


def _outcome(thread: WireThread, run: WireRun | None, failure: WireFailure | None) -> dict[str, Any]:
    """Return the outcome of a run that has ended, the server's name of it, and the error.

    The thread reports it, unless another run is active: then the thread reports about that run.
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

    The metadata of the run contains our marker, because the response to `input.respond` has no run id, and the newest
    run may belong to another client.

    Args:
        session_id: Id of the thread.
        input_key: Key of the messages in the state.
        position: Position to start from; its `turn` is the marker.
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
        """Whether the event belongs to the run that our command started."""
        return self._run_id is not None and event.turn_id == self._run_id


def find_run(session_id: str, marker: str) -> Flow[str]:
    """Find the run whose metadata has the marker. Returns its id.

    Raises:
        NotFound: No run of the thread has the marker within five seconds.
    """
    for attempt in range(_FIND_ATTEMPTS):
        for run in (yield from list_runs(session_id, limit=100, after_s=_FIND_INTERVAL_S if attempt else 0.0)):
            if (run.metadata or {}).get(TURN_KEY) == marker:
                return run.run_id
    raise NotFound("the session has no run for this turn: the server did not accept its input; send it again")


def list_runs(session_id: str, *, after_s: float = 0.0, **query: Any) -> Flow[list[WireRun]]:
    """List runs of a thread, newest first.

    Args:
        session_id: Id of the thread.
        after_s: Seconds to wait before the call.
        query: Query parameters, such as `limit` and `status`.
    """
    response = yield Call("GET", with_query(f"{thread_path(session_id)}/runs", query), after_s=after_s)
    return [_read_run(bytes(item))[0] for item in read_array(response)]


def read_run(session_id: str, run_id: str) -> Flow[WireRun]:
    """Read a run. A run that was deleted or rolled back counts as cancelled."""
    try:
        response = yield Call("GET", run_path(session_id, run_id))
    except NotFound:
        return WireRun(run_id, status="interrupted")
    return read_response(_read_run, response)[0]


def get_thread(session_id: str) -> Flow[tuple[WireThread, bytes]]:
    """Read a thread. Returns it, and its JSON text."""
    response = yield Call("GET", thread_path(session_id))
    return read_response(read_thread, response)[0], response.content


def get_state(session_id: str) -> Flow[WireState]:
    """Read the state of a thread."""
    return read_response(_read_state, (yield Call("GET", f"{thread_path(session_id)}/state")))[0]


def thread_path(session_id: str) -> str:
    """Return the path of a thread."""
    return f"/threads/{path_segment(session_id, 'session id')}"


def run_path(session_id: str, run_id: str) -> str:
    """Return the path of a run."""
    return f"{thread_path(session_id)}/runs/{path_segment(run_id, 'run id')}"


def send_command(session_id: str, command: dict[str, Any]) -> Flow[dict[str, Any]]:
    """Send a command.

    Returns its result. The provider's `is_refusal` recognises an error with status 200.
    """
    response = yield Call("POST", f"{thread_path(session_id)}/commands", body=json_body({"id": 1, **command}))
    return read_response(_read_command, response)[0].result or {}


def cancel(session_id: str) -> Flow[tuple[bool, bytes]]:
    """Stop the runs of a thread, or end one that waits for answers.

    Returns:
        Whether there was such a run, and the thread's JSON text before the request.
    """
    thread, content = yield from get_thread(session_id)
    if thread.interrupts and thread.status != "busy":
        body = json_body({"values": None, "as_node": "__end__"})
        read_json((yield Call("POST", f"{thread_path(session_id)}/state", body=body)))
        return True, content
    stopped = False
    for status in ("running", "pending"):
        for run in (yield from list_runs(session_id, status=status, limit=100)):
            try:
                read_json_or_nothing((yield Call("POST", f"{run_path(session_id, run.run_id)}/cancel", body=b"{}")))
            except NotFound:
                continue  # the run has ended
            stopped = True
    return stopped, content


def position_now(session_id: str) -> Flow[Position]:
    """Return the position of a stream of new events only: after the runs that have ended."""
    runs = yield from list_runs(session_id, limit=100, select=["run_id", "status"])
    active = [run.run_id for run in runs if run.status in _ACTIVE]
    ended = [run.run_id for run in runs if run.status not in _ACTIVE]
    return Position(after_run=max(ended, default=""), run=min(active, default=None))
