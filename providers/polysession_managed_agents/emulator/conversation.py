"""The conversation of one session: the scripted agent's turns, and the pending actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from polysession.emulation import (
    Act,
    AskApproval,
    ClientTool,
    EventLog,
    Fail,
    Say,
    Signal,
    Think,
    ToolUse,
    TurnTask,
    UseTools,
)
from polysession_managed_agents.emulator.event_writer import Entry, EventWriter
from polysession_managed_agents.emulator.validation import Json

CONFIRMATION: Final = "user.tool_confirmation"

_DENIED: Final = "The user has denied this tool call."
_WAIT_LIMIT_S: Final = 3600.0

W = TypeVar("W", bound=EventWriter)


@dataclass(frozen=True, slots=True)
class Pending:
    """A tool use that waits for an answer from the client.

    Attributes:
        use: The tool use.
        answered_by: The type of the event that answers it.
    """

    use: ToolUse
    answered_by: str


@dataclass
class Conversation(Generic[W]):
    """The events of one session, and its running turn.

    Attributes:
        script_for: Returns the agent's acts in response to a message.
        writer: Writes the events.
        interrupted_as: The stop reason of an interrupted turn.
        has_worker: Whether tools run in the user's own environment, whose worker sends the results.
        pending: Tool uses that wait for an answer from the client, by event id.
        delegated: Tool uses that wait for a result from the worker, by event id.
        is_rescheduled: Whether the session waits to be scheduled again.
        is_terminated: Whether the session has ended for good.
    """

    script_for: Callable[[str], tuple[Act, ...]]
    writer: W
    interrupted_as: str = "cancelled"
    has_worker: bool = False
    pending: dict[str, Pending] = field(default_factory=dict)
    delegated: dict[str, ToolUse] = field(default_factory=dict)
    is_rescheduled: bool = False
    is_terminated: bool = False
    _task: TurnTask = field(default_factory=TurnTask)
    _interruption: Signal = field(default_factory=Signal)
    _worker: Signal = field(default_factory=Signal)
    _placement: TurnTask = field(default_factory=TurnTask)
    _placed: Signal = field(default_factory=Signal)
    _acts: list[Act] = field(default_factory=list)
    _results: list[tuple[str, ToolUse, bool]] = field(default_factory=list)

    @property
    def log(self) -> EventLog[Entry]:
        """All entries that streams deliver, in order."""
        return self.writer.log

    @property
    def running(self) -> bool:
        """Whether a turn is running."""
        return self._task.running

    def persisted(self) -> list[Json]:
        """Return the events that the list shows, oldest first."""
        return [entry.event for entry in self.log.entries if entry.previewed is None]

    def delete(self) -> None:
        """End the session as deleted: write the last event, and end the streams."""
        self.is_terminated = True
        self._stop()
        self.writer.emit("session.deleted")
        self.log.close()

    def terminate(self) -> None:
        """End the session for good, in any state, as after an unrecoverable error."""
        self._stop()
        self.is_terminated = True
        self.writer.terminated()
        self.log.close()

    def reschedule(self, duration_s: float) -> None:
        """Pause the session for `duration_s` seconds. A running turn continues after that."""
        self.is_rescheduled = True
        self._placed = Signal()
        self.writer.rescheduled()
        self._placement.start(self._place(duration_s))

    def begin(self, events: list[Json], message: str) -> None:
        """Start a turn in response to a message."""
        self._acts = list(self.script_for(message))
        self._start(events)

    def answer(self, events: list[Json], answers: dict[str, bool]) -> None:
        """Accept answers to pending tool uses. After the last one, the turn continues.

        Args:
            events: The events of the answers, as the session stores them.
            answers: Whether each answered tool use may run, by event id.
        """
        waiting = self.pending
        self.pending = {event_id: item for event_id, item in waiting.items() if event_id not in answers}
        for event_id, may_run in answers.items():
            if waiting[event_id].answered_by == CONFIRMATION:
                self._decide(event_id, waiting[event_id].use, may_run=may_run)
        self.writer.note(events)
        if self.pending:
            self._idle({"type": "requires_action", "event_ids": list(self.pending)})
        else:
            self._start([])

    def take_results(self, events: list[Json]) -> None:
        """Accept tool results from the worker."""
        self.writer.note(events)
        for event in events:
            del self.delegated[event["tool_use_id"]]
            content, is_error = event.get("content") or [], event.get("is_error") or False
            self.writer.emit("agent.tool_result", tool_use_id=event["tool_use_id"], content=content, is_error=is_error)
        if not self.delegated:
            self._worker.give()

    def interrupt(self) -> bool:
        """Stop the running turn, or drop the pending actions. Returns False if there was neither."""
        if self.running:
            self._stop()
            return True
        if not self.pending:
            return False
        self.pending.clear()
        self._results.clear()
        self._idle(self._interrupted())
        return True

    def _stop(self) -> None:
        self._interruption.give()
        self._worker.give()
        self._placed.give()

    async def _place(self, duration_s: float) -> None:
        if await self._placed.wait(duration_s):
            self.is_rescheduled = False  # the turn was stopped, or the session is over
            return
        self.is_rescheduled = False
        if self.running:
            self.writer.running()
        else:
            self._idle({"type": "end_turn"})
        self._placed.give()

    def _start(self, echoes: Iterable[Json]) -> None:
        self._interruption = Signal()
        self.writer.begin_turn(list(echoes))
        self._write_results()
        self._task.start(self._turn())

    async def _turn(self) -> None:
        """Run the turn until the script ends, or the agent has to wait."""
        reason = await self._work()
        self.writer.close_span()
        if not self.is_terminated:
            self.end_turn(reason)

    def end_turn(self, reason: Json) -> None:
        """End the turn with this stop reason."""
        self._idle(reason)

    async def _work(self) -> Json:
        """Perform the remaining acts. Returns the stop reason."""
        reason = await self._wait_for_worker()
        while reason is None and self._acts:
            reason = await self._perform(self._acts.pop(0))
        return reason or {"type": "end_turn"}

    async def _perform(self, act: Act) -> Json | None:
        """Perform one act. Returns a stop reason if it ends the turn."""
        self.writer.open_span()
        match act:
            case Think(text):
                self.writer.think(text)
                return None
            case Say():
                return await self._say(act)
            case UseTools(uses):
                return await self._use(uses)
            case Fail(message):
                error = {"type": "model_request_failed_error", "message": message}
                self.writer.emit("session.error", error={**error, "retry_status": {"type": "exhausted"}})
                self.writer.close_span(is_error=True)
                return {"type": "retries_exhausted"}
        raise AssertionError(act)  # this backend has no questions, so its scripts have no such act

    async def _say(self, say: Say) -> Json | None:
        """Write the previews of a message, then the whole event, unless the turn is interrupted."""
        event_id = self.writer.new_id()
        self.writer.preview(event_id, "agent.message")
        for text in say.deltas:
            if await self._is_interrupted(say.pause_s):
                return self._interrupted()
            self.writer.preview(event_id, "agent.message", text)
        self.writer.emit("agent.message", event_id, content=[{"type": "text", "text": say.text}])
        self.writer.close_span()
        return None

    async def _use(self, uses: Iterable[ToolUse]) -> Json | None:
        for use in uses:
            is_custom, asks = isinstance(use, ClientTool), isinstance(use, AskApproval)
            given: Json = {"name": use.name, "input": dict(use.arguments)}
            if not is_custom:
                given["evaluated_permission"] = "ask" if asks else "allow"
            event_id = self.writer.emit("agent.custom_tool_use" if is_custom else "agent.tool_use", **given)
            if is_custom or asks:
                self.pending[event_id] = Pending(use, "user.custom_tool_result" if is_custom else CONFIRMATION)
            else:
                self._decide(event_id, use, may_run=True)
        self.writer.close_span()
        self._write_results()
        if self.pending:
            return {"type": "requires_action", "event_ids": list(self.pending)}
        return await self._wait_for_worker()

    def _decide(self, event_id: str, use: ToolUse, *, may_run: bool) -> None:
        if may_run and self.has_worker:
            self.delegated[event_id] = use
        else:
            self._results.append((event_id, use, may_run))

    def _write_results(self) -> None:
        for event_id, use, allowed in self._results:
            content = [{"type": "text", "text": use.result if allowed else _DENIED}]
            writer = self.writer_of(event_id)
            writer.emit("agent.tool_result", tool_use_id=event_id, content=content, is_error=not allowed)
        self._results.clear()

    def writer_of(self, event_id: str) -> EventWriter:  # noqa: ARG002  (overridden where a session has several threads)
        """Return the writer of the thread that has this tool use."""
        return self.writer

    async def _wait_for_worker(self) -> Json | None:
        """Wait for the worker's tool results.

        Returns a stop reason if the turn ends in the meantime.
        """
        self._worker = Signal()
        if self.delegated:
            await self._worker.wait(_WAIT_LIMIT_S)
        return self._interrupted() if await self._is_interrupted(0.0) else None

    async def _is_interrupted(self, limit_s: float) -> bool:
        if self.is_rescheduled:
            await self._placed.wait(_WAIT_LIMIT_S)
        return await self._interruption.wait(limit_s)

    def _interrupted(self) -> Json:
        return {"type": self.interrupted_as}

    def _idle(self, reason: Json) -> None:
        self.writer.idle(reason)
