"""Conversations of the Anthropic emulator: queues, interrupts, budgets and outcomes.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming and /docs/en/managed-agents/budgets
(read 2026-11)
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from polysession.emulation import Act, Say, ToolUse
from polysession_anthropic.emulator.event_writer import REQUEST_CENTS, AnthropicEventWriter, timestamp_now
from polysession_managed_agents.emulator.conversation import Conversation, Pending
from polysession_managed_agents.emulator.event_writer import EventWriter
from polysession_managed_agents.emulator.sent_events import ANSWERED_IN, text_of
from polysession_managed_agents.emulator.validation import Json

WORK: Final = frozenset({"user.message", "user.define_outcome"})
"""The types of events that start work."""
RESULT: Final = "user.tool_result"
ANSWERS: Final = {**ANSWERED_IN, RESULT: "tool_use_id"}
"""The types of events that answer an action, each with the field that names the tool use."""

_PROCESSED_AT_ONCE: Final = frozenset({"user.define_outcome"})
_INTERRUPTED: Final = [{"type": "text", "text": "The call was interrupted."}]


@dataclass
class AnthropicConversation(Conversation[AnthropicEventWriter]):
    """The events of one session, and its running turn.

    Attributes:
        queue: Accepted events that wait for a turn.
        outcomes: All outcomes that clients defined, with the state of their evaluation.
        is_paused: Whether the session has stopped at its budget.
        joins_queued: Whether a turn answers queued messages before it ends. Otherwise the next turn does.
        refusal: The stop details of a refusal in the next turn; None for a turn without a refusal.
        idle_since_s: Monotonic time of the last end of a turn, in seconds.
        child_of_use: The thread of each tool use outside the primary thread, by event id.
    """

    interrupted_as: str = "end_turn"
    queue: list[Json] = field(default_factory=list)
    outcomes: list[Json] = field(default_factory=list)
    is_paused: bool = False
    joins_queued: bool = False
    refusal: Json | None = None
    idle_since_s: float = 0.0
    child_of_use: dict[str, AnthropicEventWriter] = field(default_factory=dict)
    _interrupts: list[Json] = field(default_factory=list)

    def persisted(self) -> list[Json]:
        """Return the events that the list shows: the processed events, then those that wait."""
        events: dict[str, Json] = {}
        for event in super().persisted():
            events.pop(event["id"], None)
            events[event["id"]] = event
        waiting = {event["id"] for event in self.queue + self._interrupts}
        done = [event for event in events.values() if event["processed_at"] is not None]
        return done + [event for event in events.values() if event["processed_at"] is None and event["id"] in waiting]

    def accept(self, events: Iterable[Json]) -> list[Json]:
        """Accept events that a client sends. Returns them as the response shows them."""
        accepted = [{**event, "id": self.writer.new_id(), "processed_at": None} for event in events]
        for event in accepted:
            if event["type"] == "user.interrupt":
                self._interrupt_by(event)
        answers = [event for event in accepted if event["type"] in ANSWERS]
        if answers:
            self._answer_by(answers)
        work = [event for event in accepted if event["type"] in WORK]
        systems = [event for event in accepted if event["type"] == "system.message"]
        if work:
            self._work_on(work + systems)
        else:
            for event in systems:
                self.writer.process(event)
        return accepted

    def run_alone(self, duration_s: float) -> None:
        """Run a turn that no client started."""
        self._acts = [Say("working", pause_s=duration_s)]
        self._start([])

    def resume(self) -> None:
        """Continue after the budget was raised or removed."""
        if not self.is_paused:
            return
        self.is_paused = False
        if self._acts:
            self._start([])
        elif self.queue:
            self._next_turn()

    def end_turn(self, reason: Json) -> None:
        """End the turn with this stop reason, and start the next turn if messages are queued."""
        for event in self._interrupts:
            self.writer.process(event)
        if self._interrupts and self.pending:
            self._drop_pending()
            reason = self._interrupted()
        elif reason["type"] == "end_turn" and not self._interrupts and self._is_at_budget():
            self.writer.thread_reason, reason = reason, {"type": "budget_reached"}
        self._interrupts.clear()
        self.is_paused = reason["type"] == "budget_reached"
        if reason["type"] == "retries_exhausted":
            self.queue.clear()
        self._idle(reason)
        if self.queue and not self.pending and not self.is_paused:
            self._next_turn()

    def ask_for(self, child: AnthropicEventWriter, use: ToolUse) -> str:
        """Let another agent ask for a tool, in its thread and in the primary thread.

        Returns the id of the tool use.
        """
        given: Json = {"name": use.name, "input": dict(use.arguments), "evaluated_permission": "ask"}
        event_id = child.emit("agent.tool_use", **given)
        self.writer.emit("agent.tool_use", event_id, **given, session_thread_id=child.thread_id)
        self.child_of_use[event_id] = child
        self.pending[event_id] = Pending(use, "user.tool_confirmation")
        return event_id

    def wait_for_answers(self) -> None:
        """Report that the session waits for its pending actions."""
        self._idle({"type": "requires_action", "event_ids": list(self.pending)})

    def _work_on(self, work: list[Json]) -> None:
        for event in work:
            if event["type"] == "user.define_outcome":
                event["outcome_id"] = self.writer.new_id().replace("sevt_", "outc_")
        self.queue += work
        if not self.running and not self.pending:
            self._next_turn()
            return
        for event in work:
            (self.writer.process if event["type"] in _PROCESSED_AT_ONCE else self.writer.queue)(event)

    def _next_turn(self) -> None:
        self._acts = []
        self._start(self._empty_queue())

    def _empty_queue(self) -> list[Json]:
        """Empty the queue, and add the acts for its events. Returns the events."""
        taken, self.queue = self.queue, []
        for event in taken:
            if event["type"] == "user.message":
                self._acts += self.script_for(text_of(event))
            elif event["type"] == "user.define_outcome":
                self._acts += self.script_for(event["description"])
                self.outcomes.append(_evaluation(event))
        return taken

    def _interrupt_by(self, event: Json) -> None:
        if self.is_paused:
            return
        if event.get("session_thread_id") not in {None, self.writer.thread_id}:
            self._interrupt_child(event)
            return
        if self.running:
            self._interrupts.append(event)
            self.writer.queue(event)
            self._stop()
            return
        self.writer.process(event)
        if self.pending:
            self._drop_pending()
            self.end_turn(self._interrupted())

    def _interrupt_child(self, event: Json) -> None:
        """Drop the pending actions of another agent.

        Its thread becomes idle without a model request.
        """
        self.writer.process(event)
        thread_id = event["session_thread_id"]
        given_up = [use_id for use_id, child in self.child_of_use.items() if child.thread_id == thread_id]
        if self._fail_uses([use_id for use_id in given_up if use_id in self.pending]):
            if self.pending:
                self.wait_for_answers()
            else:
                self.end_turn(self._interrupted())

    def _drop_pending(self) -> None:
        self._fail_uses(list(self.pending))
        self._results.clear()
        self._acts.clear()

    def _fail_uses(self, use_ids: list[str]) -> bool:
        """Answer pending tool uses with errors. Returns whether there were any."""
        for use_id in use_ids:
            self.writer_of(use_id).emit("agent.tool_result", tool_use_id=use_id, content=_INTERRUPTED, is_error=True)
            del self.pending[use_id]
        return bool(use_ids)

    def _answer_by(self, answers: list[Json]) -> None:
        decisions = {}
        for event in answers:
            use_id = event[ANSWERS[event["type"]]]
            decisions[use_id] = event.get("result") != "deny"
            event["processed_at"] = timestamp_now()
            if use_id in self.child_of_use:
                event["session_thread_id"] = self.child_of_use[use_id].thread_id
        self.answer([dict(event) for event in answers], decisions)

    async def _work(self) -> Json:
        """Perform the remaining acts. Returns the stop reason."""
        if self.refusal is not None:
            self.writer.stop_details, self.refusal = self.refusal, None
            return {"type": "refusal"}
        reason = await super()._work()
        while reason["type"] == "end_turn" and self.joins_queued and self.queue and not self._interrupts:
            for event in self._empty_queue():
                self.writer.process(event)
            reason = await super()._work()
        self._evaluate(reason)
        return reason

    async def _perform(self, act: Act) -> Json | None:
        """Perform one act, unless the budget is used up before its model request."""
        if self.writer.span_id is None and self._is_at_budget():
            self._acts.insert(0, act)
            return {"type": "budget_reached"}
        return await super()._perform(act)

    def _is_at_budget(self) -> bool:
        budget = self.writer.budget
        return budget is not None and self.writer.requests * REQUEST_CENTS >= int(budget["max_list_cost"]["amount"])

    def _decide(self, event_id: str, use: ToolUse, *, may_run: bool) -> None:
        if may_run and self.has_worker:
            self.pending[event_id] = Pending(use, RESULT)
        else:
            super()._decide(event_id, use, may_run=may_run)

    def writer_of(self, event_id: str) -> EventWriter:
        """Return the writer of the thread that has this tool use."""
        return self.child_of_use.get(event_id, self.writer)

    def _evaluate(self, reason: Json) -> None:
        """Evaluate the open outcomes: satisfied, or interrupted after an interrupted turn."""
        if reason["type"] != "end_turn":
            return
        result = "interrupted" if self._interrupts else "satisfied"
        for outcome in self.outcomes:
            if outcome["completed_at"] is None:
                evaluated = {"outcome_id": outcome["outcome_id"], "iteration": outcome["iteration"]}
                started = "" if self._interrupts else self.writer.emit("span.outcome_evaluation_start", **evaluated)
                found = {"result": result, "explanation": f"The outcome is {result}."}
                usage = self.writer.request_usage()
                self.writer.emit(
                    "span.outcome_evaluation_end",
                    **evaluated,
                    outcome_evaluation_start_id=started,
                    **found,
                    usage=usage,
                )
                outcome |= {**found, "completed_at": timestamp_now()}

    def _idle(self, reason: Json) -> None:
        self.idle_since_s = time.monotonic()
        super()._idle(reason)


def _evaluation(event: Json) -> Json:
    return {
        "type": "outcome_evaluation",
        "outcome_id": event["outcome_id"],
        "description": event["description"],
        "iteration": 0,
        "result": "running",
        "explanation": None,
        "completed_at": None,
    }
