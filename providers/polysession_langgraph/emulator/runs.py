"""The runs of the LangGraph emulator: the scripted agent, its frames and its interrupts.

Backend: observed on `GET /threads/{id}/stream` of langgraph-api 0.16.7 (2026-11-30)
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from polysession.emulation import (
    Act,
    Ask,
    AskApproval,
    ClientTool,
    Fail,
    Say,
    Scripts,
    Think,
    ToolUse,
    UseTools,
    hex_id,
    pause,
)
from polysession_langgraph.emulator.store import Entry, Interrupt, Json, Run, Store, Thread, Waiting, timestamp

USAGE: Final[Mapping[str, Any]] = {
    "input_tokens": 7,
    "output_tokens": 5,
    "total_tokens": 12,
    "input_token_details": {"cache_read": 3},
    "output_token_details": {"reasoning": 2},
}
_DECISIONS: Final = ("approve", "edit", "reject", "respond")
_MODEL: Final[Mapping[str, Any]] = {"model_provider": "openai", "output_version": "v1"}
_CANCELLED: Final = "interrupt requested via POST /threads/{thread_id}/runs/{run_id}/cancel"


class RunFailure(Exception):  # noqa: N818  (an emulated failure, not an error of the emulator)
    """The failure of a run: the class of the server's exception, and its message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Runner:
    """Executes the runs of one thread, one after the other."""

    def __init__(self, store: Store, scripts: Scripts, thread: Thread) -> None:
        self._store = store
        self._scripts = scripts
        self._thread = thread

    def start(self, run: Run, answers: Mapping[str, Any] | None = None) -> None:
        """Queue a run for a message, or for answers, by the interrupt's id."""
        thread = self._thread
        thread.runs.append(run)
        thread.has_run = True
        thread.metadata = {**thread.metadata, "graph_id": run.graph_id, "assistant_id": run.assistant_id}
        if not thread.task.running:
            thread.task.start(self._work(run, answers))

    async def _work(self, first: Run, answers: Mapping[str, Any] | None) -> None:
        await self._execute(first, answers)
        while (run := next((each for each in self._thread.runs if each.status == "pending"), None)) is not None:
            await self._execute(run, None)

    async def cancel(self, run: Run) -> None:
        """Stop a run. A queued run leaves no event, and its message is not stored."""
        thread = self._thread
        if run.status == "running":
            await thread.task.cancel()
            thread.unfinished = "CancelledError()"
            self.end(run, "interrupted", {"error": "UserInterrupt", "message": _CANCELLED})
            queued = next((each for each in thread.runs if each.status == "pending"), None)
            if queued is not None:
                thread.task.start(self._work(queued, None))
        else:
            run.status = "interrupted"

    async def _execute(self, run: Run, answers: Mapping[str, Any] | None) -> None:
        thread = self._thread
        run.status = "running"
        thread.unfinished = None
        self._put(run, "metadata", {"run_id": run.id, "attempt": 1})
        try:
            acts = () if answers is not None else self._take_message(run)
            self.values(run, is_new=answers is None)
            if answers is not None:
                before = self._thread.messages
                acts = self._take_answers(answers)
                if self._thread.messages is not before:  # a reply to a question is not a message
                    self.values(run)
            waits = await self._perform(run, acts)
            thread.values_shown = True
            self.end(run, "success", None)
            if not waits:
                thread.interrupts, thread.rest = {}, ()
        except RunFailure as failure:
            thread.unfinished = f"{failure.kind}({failure.message!r})"
            self._put(run, "error", {"error": failure.kind, "message": failure.message})
            self.end(run, "error", {"error": failure.kind, "message": failure.message})

    def end(self, run: Run, status: str, error: Json | None) -> None:
        """End a run."""
        run.status = status
        self._thread.error = error
        self._thread.updated_at = timestamp()
        self._put(run, "metadata", {"status": "run_done", "run_id": run.id})

    def _take_message(self, run: Run) -> Sequence[Act]:
        self._thread.checkpoint()
        messages = (run.input or {}).get("messages") or []
        run.messages_before = len(self._thread.messages)
        self._thread.add(messages)
        text = _text(messages[-1].get("content")) if messages else ""
        return self._scripts.take(self._thread.id, text) if messages else ()

    def _take_answers(self, answers: Mapping[str, Any]) -> Sequence[Act]:
        """Apply answers, and return the acts that follow.

        Unanswered interrupts stay pending, with the same ids.
        """
        thread = self._thread
        for key, response in answers.items():
            self._take_answer(thread.interrupts[key].waiting, response)
            del thread.interrupts[key]
        if thread.interrupts:
            return ()
        rest, thread.rest = thread.rest, ()
        return rest

    def _take_answer(self, pending: Sequence[Waiting], response: Any) -> None:
        approvals = [each for each in pending if isinstance(each.use, AskApproval)]
        decisions = response.get("decisions", []) if isinstance(response, dict) else []
        if approvals and len(decisions) != len(approvals):
            raise RunFailure(
                "ValueError",
                f"Number of human decisions ({len(decisions)}) does not match number of hanging tool calls"
                f" ({len(approvals)}).",
            )
        for waiting, decision in zip(approvals, decisions, strict=True):
            self._decide(waiting, decision)
        for waiting in pending:
            if isinstance(waiting.use, ClientTool):
                text = response if isinstance(response, str) else str(response)
                self._tool_message(waiting.call_id, waiting.use.name, text)

    def _decide(self, waiting: Waiting, decision: Json) -> None:
        use = waiting.use
        if use is None:
            return
        if decision.get("type") == "reject":
            reason = decision.get("message")
            text = f"User rejected the tool call for `{use.name}`" + (f" with reason: {reason}" if reason else "")
            self._tool_message(waiting.call_id, use.name, text, status="error")
        elif decision.get("type") == "edit":
            edited = use.edited(decision["edited_action"]["args"])
            self._tool_message(waiting.call_id, use.name, edited.result)
        else:
            self._tool_message(waiting.call_id, use.name, use.result)

    async def _perform(self, run: Run, acts: Iterable[Act]) -> bool:
        """Perform the script. Returns whether the run waits for answers."""
        left = list(acts)
        while left:
            words: list[Think | Say] = []
            while left and isinstance(first := left[0], Think | Say):
                words.append(first)
                del left[0]
            act = left.pop(0) if left else None
            uses = act.uses if isinstance(act, UseTools) else ()
            calls = [(f"call_{hex_id(digits=8)}", use) for use in uses]
            if words or calls:
                await self._message(run, words, calls)
            if isinstance(act, Fail):
                raise RunFailure("RuntimeError", act.message)
            if isinstance(act, Ask):
                self._ask(act)
            for call_id, use in calls:
                if not isinstance(use, AskApproval | ClientTool):
                    self._tool_message(call_id, use.name, use.result)
            self._interrupt(calls)
            if self._thread.interrupts:
                self._thread.rest = tuple(left)
                break
            if calls:
                self.values(run)
        return self._show_waiting(run)

    def _show_waiting(self, run: Run) -> bool:
        """Send a frame for each pending interrupt. Returns whether there is one."""
        for interrupt in self._thread.interrupts.values():
            self.values(run, [{**interrupt.shape(), "response_schema": None}])
        return bool(self._thread.interrupts)

    def _ask(self, act: Ask) -> None:
        value = {"question": act.prompt, **({"options": list(act.options)} if act.options else {})}
        self._wait("respond", value, [Waiting()])

    def _interrupt(self, calls: Sequence[tuple[str, ToolUse]]) -> None:
        """Interrupt the run.

        All approvals of a step are one interrupt, and each tool that the client runs is another.
        """
        pending = [Waiting(call_id, use) for call_id, use in calls if isinstance(use, AskApproval)]
        uses = [waiting.use for waiting in pending if waiting.use is not None]
        if pending:
            description = "Tool execution requires approval"
            requests = [{"name": use.name, "args": dict(use.arguments), "description": description} for use in uses]
            reviews = [{"action_name": use.name, "allowed_decisions": list(_DECISIONS)} for use in uses]
            self._wait("approvals", {"action_requests": requests, "review_configs": reviews}, pending)
        for call_id, use in calls:
            if isinstance(use, ClientTool):
                value = {"type": "client_tool", "name": use.name, "args": dict(use.arguments)}
                self._wait("client", value, [Waiting(call_id, use)])

    def _wait(self, node: str, value: Json, waiting: Sequence[Waiting]) -> None:
        interrupt = Interrupt(hex_id(), node, value, list(waiting))
        self._thread.interrupts[interrupt.id] = interrupt

    async def _message(self, run: Run, words: Sequence[Think | Say], calls: Sequence[tuple[str, ToolUse]]) -> None:
        """Send a message of the agent in pieces, and then in the state.

        All its blocks end together.
        """
        message_id = f"lc_run--{self._store.clock.uuid7()}"
        self._piece(run, "message-start", role="ai", id=message_id, metadata={"provider": _MODEL["model_provider"]})
        blocks: list[Json] = []
        for index, act in enumerate(words):
            blocks.append(await self._words(run, index, act))
        for index, (call_id, use) in enumerate(calls, len(words)):
            blocks.append(await self._call(run, index, call_id, use))
        for index, block in enumerate(blocks):
            self._piece(run, "content-block-finish", index=index, content=block)
        self._piece(run, "message-finish", usage=dict(USAGE), metadata=dict(_MODEL))
        self._thread.store(
            {
                "content": blocks,
                "additional_kwargs": {},
                "response_metadata": dict(_MODEL),
                "type": "ai",
                "name": None,
                "id": message_id,
                "tool_calls": [block for block in blocks if block["type"] == "tool_call"],
                "invalid_tool_calls": [],
                "usage_metadata": dict(USAGE),
            }
        )
        self.values(run)

    async def _words(self, run: Run, index: int, act: Think | Say) -> Json:
        kind = key = "reasoning" if isinstance(act, Think) else "text"
        self._piece(run, "content-block-start", index=index, content={"type": kind, key: ""})
        for delta in Say(act.text).deltas:
            await pause(0.0 if isinstance(act, Think) else act.pause_s)
            self._piece(run, "content-block-delta", index=index, delta={"type": f"{kind}-delta", key: delta})
        return {"type": kind, key: act.text, "index": index}

    async def _call(self, run: Run, index: int, call_id: str, use: ToolUse) -> Json:
        chunk = {"type": "tool_call_chunk", "id": call_id, "name": use.name, "args": "", "index": index}
        self._piece(run, "content-block-start", index=index, content=chunk)
        await pause(0.0)
        delta = {"type": "tool-call-delta", "args": json.dumps(dict(use.arguments))}
        self._piece(run, "content-block-delta", index=index, delta=delta)
        return {"type": "tool_call", "id": call_id, "name": use.name, "args": dict(use.arguments)}

    def _tool_message(self, call_id: str, name: str, text: str, *, status: str = "success") -> None:
        self._thread.store(
            {
                "content": text,
                "additional_kwargs": {},
                "response_metadata": {},
                "type": "tool",
                "name": name,
                "id": str(uuid.uuid4()),
                "tool_call_id": call_id,
                "artifact": None,
                "status": status,
            }
        )

    def values(self, run: Run, interrupts: Sequence[Json] = (), *, is_new: bool = True) -> None:
        """Send the frame of the whole state after a step, or before the first step after answers."""
        if is_new:
            self._thread.checkpoint()
        params = {"data": {"messages": list(self._thread.messages)}, "interrupts": list(interrupts)}
        self._frame(run, "values", params)

    def _piece(self, run: Run, event: str, **fields: Any) -> None:
        self._frame(run, "messages", {"data": {"event": event, **fields}})

    def _frame(self, run: Run, method: str, params: Json) -> None:
        run.seq += 1
        now_ms = time.time_ns() // 1_000_000
        data = {"type": "event", "method": method, "params": {"namespace": [], "timestamp": now_ms, **params}}
        self._put(run, method, {**data, "seq": run.seq})

    def _put(self, run: Run, event: str, data: Json) -> None:
        self._thread.log.append(Entry(self._store.clock.event_id(), event, data, run.id))

    async def idle(self, run: Run, duration_s: float) -> None:
        """Perform a run without events for some seconds."""
        run.status = "running"
        self._put(run, "metadata", {"run_id": run.id, "attempt": 1})
        await pause(duration_s)
        self.end(run, "success", None)


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else [content]
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in parts if part)
