"""A turn of the scripted agent in the Everruns emulator.

The turn writes the events that the backend documents, in the documented order. The order of the events of a thought, a
failure and an approval is that of the server's source.

Backend: https://docs.everruns.com, events, and https://github.com/everruns/everruns, specs/events.md (read 2026-11)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from polysession.emulation import (
    Act,
    Ask,
    AskApproval,
    ClientTool,
    Fail,
    Say,
    Signal,
    Think,
    ToolUse,
    UseTools,
    hex_id,
    pause,
)
from polysession_everruns.emulator import approvals, questions
from polysession_everruns.emulator.ids import ordered_id
from polysession_everruns.emulator.messages import new_message, text_part
from polysession_everruns.emulator.records import PREVIEW_LIMIT, Session
from polysession_everruns.emulator.tool_results import stop_waiting
from polysession_everruns.emulator.turn_records import Pace, TurnRecord, Usage

Json = dict[str, Any]

_FAILURE_CODE: Final = "provider_unavailable"
_FAILURE_TEXT: Final = "The model provider is unavailable at the moment. Please try again later."


class _ModelFailureError(Exception):
    """The model call failed."""


class Turn:
    """One turn, from its first event until the session is idle."""

    def __init__(
        self,
        session: Session,
        record: TurnRecord,
        model: Mapping[str, Any],
        pace: Pace,
        script_for: Callable[[str], Sequence[Act]],
    ) -> None:
        self._session = session
        self._record = record
        self._model = model
        self._pace = pace
        self._script_for = script_for
        self._began_s = time.monotonic()
        self._first_token_ms: int | None = None
        self._iterations = 0
        self._tool_calls = 0
        self._reasoning: dict[str, str] | None = None
        self._last_message: Json | None = None
        self._prompt = record.inbox[0]
        self._input = record.inbox[0]

    async def run(self) -> None:
        """Answer all messages in the inbox, including those that arrive during the turn."""
        turn_id, message_id = self._record.id, self._record.input_message_id
        self._write("session.activated", {"turn_id": turn_id, "input_message_id": message_id})
        self._write("turn.started", {"turn_id": turn_id, "input_message_id": message_id, "input_content": self._input})
        try:
            while self._record.inbox:
                self._prompt = self._record.inbox.pop(0)
                for act in self._script_for(self._prompt):
                    await self._perform(act)
        except _ModelFailureError as failure:
            self._fail(str(failure))
        else:
            self._complete()

    async def _perform(self, act: Act) -> None:
        match act:
            case Think():
                await self._think(act.text)
            case Say():
                await self._say(act)
            case UseTools():
                await self._use_tools(act.uses)
            case Ask():
                await self._ask(act)
            case Fail():
                raise _ModelFailureError(act.message)

    async def _think(self, text: str) -> None:
        self._begin_reasoning()
        self._write("reason.thinking.started", {"turn_id": self._record.id, "model": self._model["model_id"]})
        await self._stream("reason.thinking.delta", Say(text).deltas, pause_s=0.0)
        self._write("reason.thinking.completed", {"turn_id": self._record.id, "thinking": text})

    async def _say(self, said: Say) -> None:
        self._begin_reasoning()
        self._begin_message()
        await self._stream("output.message.delta", said.deltas, pause_s=said.pause_s)
        self._finish_reasoning(text=said.text, output_tokens=len(said.deltas))

    async def _stream(self, event_type: str, deltas: Sequence[str], *, pause_s: float) -> None:
        accumulated = ""
        for delta in deltas:
            accumulated += delta
            if self._first_token_ms is None:
                self._first_token_ms = self._elapsed_ms()
            self._write(event_type, {"turn_id": self._record.id, "delta": delta, "accumulated": accumulated})
            await pause(pause_s)

    async def _use_tools(self, uses: Sequence[ToolUse]) -> None:
        """Use tools in one step. The client runs client-side tools.

        Calls that need an approval fail and request it.
        """
        calls = self._call_tools(uses)
        handed = [call for call, use in zip(calls, uses, strict=True) if isinstance(use, ClientTool)]
        held = {call["id"]: use for call, use in zip(calls, uses, strict=True) if self._is_held(use)}
        requests = {call["id"]: self._request(call) for call in calls if call["id"] in held}
        own = [(call, use) for call, use in zip(calls, uses, strict=True) if not isinstance(use, ClientTool)]
        outcomes = [self._outcome(use, requests.get(call["id"])) for call, use in own]
        if own:
            await self._act([call for call, _ in own], outcomes)
        if handed or requests:
            await self._wait_for([*handed, *requests.values()])
        if held:
            await self._repeat_calls(list(held.values()), self._record.approved)

    async def _repeat_calls(self, uses: Sequence[ToolUse], approved: Sequence[bool]) -> None:
        """Repeat the calls after the decisions, as the model does."""
        outcomes = [
            {"result": [text_part(use.result)]} if may_run else {"error": approvals.BLOCKED}
            for use, may_run in zip(uses, approved, strict=True)
        ]
        await self._act(self._call_tools(uses), outcomes)

    def _is_held(self, use: ToolUse) -> bool:
        return isinstance(use, AskApproval) and self._pace.asks and use.name not in self._session.approval_rules

    def _request(self, call: Json) -> Json:
        return approvals.request_for(call, self._pace.approval_wait_s)

    def _outcome(self, use: ToolUse, request: Json | None) -> Json:
        if request is not None:
            return {"error": request["arguments"]["error"]}
        if isinstance(use, AskApproval) and not self._session.approval_rules.get(use.name, True):
            return {"error": approvals.BLOCKED}
        return {"result": [text_part(use.result)]}

    async def _ask(self, ask: Ask) -> None:
        arguments = questions.arguments_of(ask, self._pace.question_wait_s)
        await self._wait_for(self._call_tools([ToolUse(questions.ASK_TOOL, arguments)]))

    async def _act(self, calls: Sequence[Json], outcomes: Sequence[Json]) -> None:
        acting = self._step(ordered_id("exec_"))
        self._write("act.started", {"tool_calls": _summaries(calls), "headline": "Using tools"}, acting)
        for call, outcome in zip(calls, outcomes, strict=True):
            span = {**acting, "span_id": ordered_id("exec_"), "parent_span_id": acting["exec_id"]}
            self._write("tool.started", {"tool_call": call, "display_name": "Lookup"}, span)
            await pause(0.0)
            failed = "error" in outcome
            done = {"tool_call_id": call["id"], "tool_name": call["name"], "success": not failed}
            status = "error" if failed else "success"
            self._write("tool.completed", {**done, "status": status, **outcome, "duration_ms": 1}, span)
        failures = sum("error" in outcome for outcome in outcomes)
        counts = {"success_count": len(calls) - failures, "error_count": failures}
        self._write("act.completed", {"completed": True, **counts}, acting)

    async def _wait_for(self, calls: Sequence[Json]) -> None:
        """Request calls from the client, and wait for all answers or until the wait expires."""
        names = [call["name"] for call in calls]
        self._record.answered = Signal()
        self._record.approved = [False] * names.count(approvals.APPROVAL_TOOL)
        self._record.pending = {call["id"]: call["name"] for call in calls}
        self._write("tool.call_requested", {"tool_calls": calls, "tool_summaries": _summaries(calls)})
        await pause(self._pace.waiting_after_s)
        self._session.awaits_tool_results = True
        if await self._record.answered.wait(self._limit_s(names)):
            return
        waiting = self._record.pending.values()
        if approvals.APPROVAL_TOOL in waiting:
            approvals.settle(self._session, {}, "expired")
        elif questions.ASK_TOOL in waiting:
            questions.expire(self._session)
        if self._session.awaits_tool_results:
            stop_waiting(self._session, status="timeout", error="Timed out waiting for client tool results")

    def _limit_s(self, names: Sequence[str]) -> float:
        """Return how long to wait for the answers to calls with these names, in seconds."""
        if approvals.APPROVAL_TOOL in names:
            return self._pace.approval_wait_s
        return self._pace.question_wait_s if questions.ASK_TOOL in names else self._pace.results_wait_s

    def _call_tools(self, uses: Sequence[ToolUse]) -> list[Json]:
        self._begin_reasoning()
        self._begin_message()
        calls = [{"id": hex_id("call_", 24), "name": use.name, "arguments": dict(use.arguments)} for use in uses]
        self._finish_reasoning(calls=calls, output_tokens=len(calls))
        self._tool_calls += len(calls)
        return calls

    def _begin_reasoning(self) -> None:
        if self._reasoning is not None:
            return
        self._iterations += 1
        self._reasoning = self._step(ordered_id("exec_"))
        about = {"harness_id": self._session.harness_id, "agent_id": self._session.agent_id}
        self._write("reason.started", {**about, "metadata": self._metadata}, self._reasoning)

    def _begin_message(self) -> None:
        model, turn_id = self._model["model_id"], self._record.id
        self._write("output.message.started", {"turn_id": turn_id, "model": model, "iteration": self._iterations})

    def _finish_reasoning(self, *, text: str | None = None, calls: Sequence[Json] = (), output_tokens: int) -> None:
        usage = Usage(input_tokens=len(self._prompt.split()), output_tokens=output_tokens)
        self._record.usage.add(usage)
        self._session.count(usage)
        reason = "tool_calls" if calls else "stop"
        self._generation(
            {"text": text, "tool_calls": calls or None}, success=True, usage=usage, finish_reasons=[reason]
        )
        content = [text_part(text)] if text is not None else [{"type": "tool_call", **call} for call in calls]
        self._last_message = new_message("agent", content, phase="commentary" if calls else "final_answer")
        self._session.update_preview(self._last_message)
        body = {"message": self._last_message, "metadata": self._metadata, "usage": usage.body()}
        self._write("output.message.completed", body)
        done = {"success": True, "has_tool_calls": bool(calls), "tool_call_count": len(calls), "usage": usage.body()}
        preview = text[:PREVIEW_LIMIT] if text is not None else None
        self._write("reason.completed", {**done, "text_preview": preview}, self._reasoning)
        self._reasoning = None

    def _generation(self, output: Json, *, usage: Usage | None = None, **outcome: object) -> None:
        metadata = {"model": self._model["model_id"], "provider": self._model["provider_type"], **outcome}
        if usage is not None:
            metadata["usage"] = usage.body()
        sent = [event["data"]["message"] for event in self._session.log.events if event["type"] == "input.message"]
        given = {name: value for name, value in output.items() if value is not None}
        self._write("llm.generation", {"messages": sent, "output": given, "metadata": metadata}, self._reasoning)

    def _complete(self) -> None:
        self._session.end_turn()
        answer = self._last_message or {}
        texts = [part["text"] for part in answer.get("content", ()) if part["type"] == "text"]
        body = {
            "turn_id": self._record.id,
            "iterations": self._iterations,
            "duration_ms": self._elapsed_ms(),
            "usage": self._record.usage.body(),
            "input_content": self._input,
            "final_message_id": answer.get("id"),
            "final_answer_preview": "".join(texts)[:PREVIEW_LIMIT],
            "time_to_first_token_ms": self._first_token_ms,
            "tool_call_count": self._tool_calls,
            "llm_call_count": self._iterations,
        }
        self._write("turn.completed", body)
        used = None if self._session.usage is None else self._session.usage.body()
        self._write("session.idled", {"turn_id": self._record.id, "iterations": self._iterations, "usage": used})

    def _fail(self, error: str) -> None:
        self._begin_reasoning()
        self._begin_message()
        self._generation({}, success=False, error=error)
        blame = {"error_code": _FAILURE_CODE, "error_disclosure": "standard"}
        message = new_message("agent", [text_part(_FAILURE_TEXT)])
        self._session.update_preview(message)
        self._write("output.message.completed", {"message": message, "metadata": self._metadata, **blame})
        outcome = {"success": False, "has_tool_calls": False, "tool_call_count": 0, "error": error}
        self._write("reason.completed", outcome, self._reasoning)
        self._session.end_turn()
        self._write("turn.failed", {"turn_id": self._record.id, "error": error, **blame})
        self._write("session.idled", {"turn_id": self._record.id})

    @property
    def _metadata(self) -> Json:
        return {
            "model": self._model["model_id"],
            "model_id": self._model["id"],
            "provider_id": self._model["provider_id"],
        }

    def _step(self, exec_id: str) -> dict[str, str]:
        return {**self._record.context, "exec_id": exec_id, "span_id": exec_id, "parent_span_id": self._record.id}

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._began_s) * 1000)

    def _write(self, event_type: str, data: Mapping[str, Any], context: Mapping[str, str] | None = None) -> None:
        self._session.log.write(event_type, data, context=context or self._record.context)


def _summaries(calls: Sequence[Json]) -> list[Json]:
    return [{"id": call["id"], "name": call["name"], "display_name": "Lookup"} for call in calls]
