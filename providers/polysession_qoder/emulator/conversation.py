"""Conversations of the Qoder emulator: the log of events, the scripted agent's turns, and what they wait for.

The order of a turn's events is the one of a published trace of the live service (2026-09-21); the event pages leave
`session.usage` out.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview and
https://docs.qoder.com/cloud-agents/events-stream (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

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
    base36_id,
)
from polysession_qoder.emulator.validation import Json

REQUEST_CREDITS = Decimal("0.05")
"""What one model request costs here."""

_DENIED = "The user has denied this tool call."


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of the log.

    Attributes:
        id: The SSE id: that of the event, and for a preview that of the event it previews.
        event: The JSON.
        is_preview: Whether it goes to streams only, and is not kept in the list of events.
    """

    id: str
    event: Json
    is_preview: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A tool use that blocks the turn, by the id of its event.

    Attributes:
        use: What the agent wants.
        is_custom: Whether the caller runs it, rather than approves it.
    """

    use: ToolUse
    is_custom: bool


def timestamp_now() -> str:
    """The present moment, as the backend writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Conversation:
    """What was said in one session, and the turn that works on it.

    Attributes:
        script_for: Gives the agent's acts in answer to a message.
        log: Everything that streams get, in order.
        pending: What the agent waits for, by event id.
        credits: What the session has cost so far.
    """

    script_for: Callable[[str], tuple[Act, ...]]
    log: EventLog[Entry] = field(default_factory=EventLog)
    pending: dict[str, Pending] = field(default_factory=dict)
    credits: Decimal = Decimal(0)
    _thread_id: str = field(default_factory=lambda: base36_id("sthr_"))
    _task: TurnTask = field(default_factory=TurnTask)
    _interruption: Signal = field(default_factory=Signal)
    _acts: list[Act] = field(default_factory=list)
    _results: list[tuple[str, ToolUse, bool]] = field(default_factory=list)
    _span_id: str | None = None

    @property
    def running(self) -> bool:
        """Whether the agent works at this moment."""
        return self._task.running

    def persisted(self) -> list[Json]:
        """The events that the list shows, oldest first."""
        return [entry.event for entry in self.log.entries if not entry.is_preview]

    def end(self, event_type: str) -> None:
        """Tell the streams that the session is gone, and end them."""
        self._interruption.give()
        self._emit(event_type)
        self.log.close()

    def note(self, events: Iterable[Json]) -> None:
        """Keep events of the client that start nothing."""
        for event in events:
            self.log.append(Entry(event["id"], event))

    def begin(self, events: list[Json], message: str) -> None:
        """Start a turn in answer to a message."""
        self._acts = list(self.script_for(message))
        self._start(events)

    def answer(self, events: list[Json]) -> None:
        """Take answers to pending tool uses; once the last is there, the turn goes on."""
        answered = {_answered_id(event): event for event in events}
        waiting = self.pending
        self.pending = {event_id: item for event_id, item in waiting.items() if event_id not in answered}
        self.note(events)
        for event_id, event in answered.items():
            if not waiting[event_id].is_custom:
                self._results.append((event_id, waiting[event_id].use, event["result"] == "allow"))
        if self.pending:
            self._idle({"type": "requires_action", "event_ids": list(self.pending)})
        else:
            self._start([])

    def interrupt(self) -> bool:
        """Stop the turn, or give up what it waits for; tells whether there was one."""
        if self.running:
            self._interruption.give()
            return True
        if not self.pending:
            return False
        self.pending.clear()
        self._results.clear()
        self._idle({"type": "cancelled"})
        return True

    def _start(self, echoes: list[Json]) -> None:
        self._interruption = Signal()
        self._task.start(self._turn(echoes))

    async def _turn(self, echoes: list[Json]) -> None:
        """Work until there is nothing left to do, or something to wait for."""
        self._emit("session.status_running")
        self._emit("session.thread_status_running", session_thread_id=self._thread_id)
        self.note(echoes)
        self._tell_results()
        reason = await self._work()
        self._close_span()
        self._idle(reason)

    async def _work(self) -> Json:
        while self._acts:
            act = self._acts.pop(0)
            self._open_span()
            if isinstance(act, Think):
                self._emit("agent.thinking")
                continue
            if isinstance(act, Say):
                if await self._say(act):
                    return {"type": "cancelled"}
            elif isinstance(act, Fail):
                error = {"type": "model_request_failed_error", "message": act.message}
                self._emit("session.error", error={**error, "retry_status": {"type": "exhausted"}})
                self._close_span(is_error=True)
                return {"type": "retries_exhausted"}
            elif isinstance(act, UseTools):
                self._use(act)
            self._close_span()
            self._tell_results()
            if self.pending:
                return {"type": "requires_action", "event_ids": list(self.pending)}
        return {"type": "end_turn"}

    async def _say(self, say: Say) -> bool:
        """Say it in deltas, and then as a whole; tells whether it was interrupted before that."""
        event_id = base36_id("evt_")
        start = {"type": "event_start", "event": {"id": event_id, "type": "agent.message"}}
        self.log.append(Entry(event_id, start, is_preview=True))
        for text in say.deltas:
            if await self._interruption.wait(say.pause_s):
                return True
            delta = {"type": "content_delta", "index": 0, "content": {"type": "text", "text": text}}
            event = {"type": "event_delta", "event_id": event_id, "delta": delta}
            self.log.append(Entry(event_id, event, is_preview=True))
        self._emit("agent.message", event_id, content=[{"type": "text", "text": say.text}])
        return False

    def _use(self, act: UseTools) -> None:
        for use in act.uses:
            is_custom, asks = isinstance(use, ClientTool), isinstance(use, AskApproval)
            given: Json = {"name": use.name, "input": dict(use.arguments)}
            if not is_custom:
                given["evaluated_permission"] = "ask" if asks else "allow"
            event_id = self._emit("agent.custom_tool_use" if is_custom else "agent.tool_use", **given)
            if is_custom or asks:
                self.pending[event_id] = Pending(use, is_custom)
            else:
                self._results.append((event_id, use, True))

    def _tell_results(self) -> None:
        for event_id, use, allowed in self._results:
            content = [{"type": "text", "text": use.result if allowed else _DENIED}]
            self._emit("agent.tool_result", tool_use_id=event_id, content=content, is_error=not allowed)
        self._results.clear()

    def _idle(self, reason: Json) -> None:
        self._emit("session.thread_status_idle", session_thread_id=self._thread_id, stop_reason=reason)
        spent = float(self.credits)
        self._emit("session.usage", model_credits=spent, sandbox_runtime_credits=0, total_credits=spent)
        self._emit("session.status_idle", stop_reason=reason)

    def _open_span(self) -> None:
        if self._span_id is None:
            self._span_id = self._emit("span.model_request_start")

    def _close_span(self, *, is_error: bool = False) -> None:
        if self._span_id is not None:
            self.credits += REQUEST_CREDITS
            usage = {"credits": float(REQUEST_CREDITS)}
            span_id, self._span_id = self._span_id, None
            self._emit("span.model_request_end", model_request_start_id=span_id, is_error=is_error, model_usage=usage)

    def _emit(self, event_type: str, event_id: str | None = None, **payload: object) -> str:
        event_id = event_id or base36_id("evt_")
        event = {"id": event_id, "type": event_type, **payload, "processed_at": timestamp_now()}
        self.log.append(Entry(event_id, event))
        return event_id


def _answered_id(event: Json) -> str:
    found: str = event["custom_tool_use_id" if event["type"] == "user.custom_tool_result" else "tool_use_id"]
    return found
