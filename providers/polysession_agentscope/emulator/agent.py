"""The scripted agent: its acts become AgentScope's events.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from polysession.emulation import Act, Ask, AskApproval, ClientTool, Fail, Say, Signal, Think, ToolUse, UseTools, hex_id
from polysession_agentscope.emulator.events import event, local_stamp, reply_end, reply_start
from polysession_agentscope.emulator.progress import Progress, ToolCall, read_arguments
from polysession_agentscope.emulator.shapes import Json

_DECISIONS: Final = {
    "default": "ask",
    "accept_edits": "run",
    "dont_ask": "run",
    "explore": "denied",
    "bypass": "run",
}
"""Decision about a tool call that needs an approval, by permission mode. It is the service's one for writing a file."""

_DENIED_BY_USER: Final = '<system-reminder>The execution of tool "{}" is denied by user!</system-reminder>'
_DENIED_BY_MODE: Final = "Permission denied for {} ({} mode is read-only)"
_BAD_ARGUMENTS: Final = "The arguments of {} are not a JSON object."
_INTERRUPTED: Final = "<system-reminder>The tool call has been interrupted by the user.</system-reminder>"
_REMINDER: Final = "<system-reminder>\n<current-time>{:%Y-%m-%dT%H:%M:%S}</current-time>\n</system-reminder>"


class AgentFailed(Exception):  # noqa: N818  (the name states the event)
    """The reply fails; `error_type` is the service's name of the cause."""

    def __init__(self, error_type: str) -> None:
        super().__init__(error_type)
        self.error_type = error_type


class _Interrupted(Exception):  # noqa: N818  (the name states the event)
    """The user interrupted the turn."""


@dataclass(slots=True)
class ScriptedAgent:
    """An agent that writes one reply.

    Attributes:
        permissions: The session's permission context. Approvals may add rules to it.
        reminds: Whether the model first gets the current time, as in a session's first turn.
    """

    session_id: str
    name: str
    model: str
    permissions: Json
    progress: Progress
    interruption: Signal
    reminds: bool = False
    _unfinished: list[Json] = field(default_factory=list)

    async def reply(self, script: tuple[Act, ...]) -> AsyncIterator[Json]:
        """Start a reply, and perform the script."""
        yield reply_start(self.session_id, self.progress.reply_id, self.name)
        if self.reminds:
            source = json.dumps({"label": "System", "sublabel": "Runtime State"})
            yield self._event("HINT_BLOCK", block_id=hex_id(), source=source, hint=_REMINDER.format(datetime.now(UTC)))
        self.progress.rest = script
        async for emitted in self._continue():
            yield emitted

    async def decide(self, decisions: Sequence[Json]) -> AsyncIterator[Json]:
        """Continue after approvals and denials.

        Without decisions, or without a waiting call, nothing happens.

        Raises:
            AgentFailed: A decision is about a call that does not wait for one.
        """
        if not (self.progress.calls and decisions):
            return
        asking = {call.id: call for call in self.progress.calls if call.state == "asking"}
        if not asking.keys() >= {decision["tool_call"]["id"] for decision in decisions}:
            raise AgentFailed("unknown")
        for decision in decisions:
            for emitted in self._apply_decision(asking[decision["tool_call"]["id"]], decision):
                yield emitted
        # Tools that the agent runs count as a step; results that it only receives do not.
        is_step = bool(self.progress.calls) or any(decision["confirmed"] for decision in decisions)
        for emitted in self._use_tools():
            yield emitted
        if not self.progress.calls:
            self.progress.steps += is_step
            async for emitted in self._continue():
                yield emitted

    async def take_results(self, results: Sequence[Json]) -> AsyncIterator[Json]:
        """Continue with the results of tools that the caller ran. Unexpected results are ignored."""
        submitted = {call.id: call for call in self.progress.calls if call.state == "submitted"}
        expected = [result for result in results if result["id"] in submitted]
        for result in expected:
            call = submitted[result["id"]]
            self.progress.received[call.id] = result["output"]
            for emitted in self._output(call, result["output"]):
                yield emitted
            yield self._result_end(call, result["state"])
        if expected and not self.progress.calls:
            async for emitted in self._continue():
                yield emitted

    def stop_waiting(self) -> Iterator[Json]:
        """End a reply that waits for approvals or results; otherwise nothing happens."""
        if self.progress.calls:
            yield from self._interrupted_end()

    async def _continue(self) -> AsyncIterator[Json]:
        """Perform the rest of the script, until its end or until the caller has to answer."""
        try:
            while self.progress.rest:
                async for emitted in self._call_model():
                    yield emitted
                for emitted in self._use_tools():
                    yield emitted
                if self.progress.calls:
                    return
                self.progress.steps += 1
            yield reply_end(self.session_id, self.progress.reply_id, "completed")
        except _Interrupted:
            for emitted in self._interrupted_end():
                yield emitted

    async def _call_model(self) -> AsyncIterator[Json]:
        """Perform one model call. It ends at the next use of tools."""
        end = {"input_tokens": 0, "output_tokens": 0, "cache_input_tokens": 0, "cache_creation_input_tokens": 0}
        yield self._event("MODEL_CALL_START", model_name=self.model)
        self._unfinished.append(self._event("MODEL_CALL_END", **end, finished_reason="interrupted"))
        while self.progress.rest and not self.progress.calls:
            act, *rest = self.progress.rest
            self.progress.rest = tuple(rest)
            async for emitted in self._act(act):
                yield emitted
        self._unfinished.pop()
        yield self._event(
            "MODEL_CALL_END", **end | {"input_tokens": 7, "output_tokens": 3}, finished_reason="completed"
        )

    async def _act(self, act: Act) -> AsyncIterator[Json]:
        match act:
            case Fail():
                self._unfinished.clear()
                raise AgentFailed("upstream")
            case Think(text):
                async for emitted in self._speak("THINKING", [text]):
                    yield emitted
            case Say():
                async for emitted in self._speak("TEXT", act.deltas, act.pause_s, text=None):
                    yield emitted
            case UseTools(uses):
                for emitted in self._call_tools(uses):
                    yield emitted
            case Ask():
                raise AssertionError("a question in the script: AgentScope has none, and `Scripts.take` replaces them")

    async def _speak(
        self, kind: str, deltas: Sequence[str], pause_s: float = 0.0, **at_end: None
    ) -> AsyncIterator[Json]:
        block_id = hex_id()
        yield self._event(f"{kind}_BLOCK_START", block_id=block_id)
        self._unfinished.append(self._event(f"{kind}_BLOCK_END", block_id=block_id, **at_end))
        for delta in deltas:
            yield self._event(f"{kind}_BLOCK_DELTA", block_id=block_id, delta=delta)
            if await self.interruption.wait(pause_s):
                raise _Interrupted
        self._unfinished.pop()
        yield self._event(f"{kind}_BLOCK_END", block_id=block_id, **at_end)

    def _call_tools(self, uses: Sequence[ToolUse]) -> Iterator[Json]:
        calls = [ToolCall(use) for use in uses]
        for call in calls:
            yield self._event("TOOL_CALL_START", tool_call_id=call.id, tool_call_name=call.use.name)
            yield self._event("TOOL_CALL_DELTA", tool_call_id=call.id, delta=call.arguments)
        for call in calls:
            yield self._event("TOOL_CALL_END", tool_call_id=call.id)
        self.progress.calls = calls

    def _use_tools(self) -> Iterator[Json]:
        """Run the tools in order, up to the first that needs an approval.

        All client tools go to the caller.
        """
        for call in list(self.progress.calls):
            if isinstance(call.use, ClientTool):
                yield from self._hand_over(call)
                continue
            decision = self._decision(call)
            if decision == "ask":
                call.state = "asking"
                yield self._event("REQUIRE_USER_CONFIRM", tool_calls=[call.block()])
                return
            denied = _DENIED_BY_MODE.format(call.use.name, self.permissions["mode"])
            text, state = (denied, "denied") if decision == "denied" else (call.use.result, "success")
            yield from self._result(call, text, state)

    def _decision(self, call: ToolCall) -> str:
        allowed = self.permissions["allow_rules"].get(call.use.name, [])
        if not isinstance(call.use, AskApproval) or any(
            rule["rule_content"] == call.rule["rule_content"] for rule in allowed
        ):
            return "run"
        return _DECISIONS[self.permissions["mode"]]

    def _apply_decision(self, call: ToolCall, decision: Json) -> Iterator[Json]:
        if not decision["confirmed"]:
            yield from self._result(call, _DENIED_BY_USER.format(call.use.name), "denied")
            return
        for rule in decision["rules"] or []:
            self.permissions["allow_rules"].setdefault(rule["tool_name"], []).append(rule)
        # The tool runs with the arguments in the decision; the stored reply keeps the model's arguments.
        edited = read_arguments(decision["tool_call"]["input"])
        if edited is None:
            yield from self._result(call, _BAD_ARGUMENTS.format(call.use.name), "error")
        else:
            yield from self._result(call, call.use.edited(edited).result, "success")

    def _hand_over(self, call: ToolCall) -> Iterator[Json]:
        call.state = "submitted"
        yield self._event("TOOL_RESULT_START", tool_call_id=call.id, tool_call_name=call.use.name)
        yield self._event("REQUIRE_EXTERNAL_EXECUTION", tool_calls=[call.block()])

    def _result(self, call: ToolCall, text: str, state: str) -> Iterator[Json]:
        if call.state != "submitted":
            yield self._event("TOOL_RESULT_START", tool_call_id=call.id, tool_call_name=call.use.name)
        if state != "success":
            self.progress.received[call.id] = text
        yield from self._output(call, text)
        yield self._result_end(call, state)

    def _output(self, call: ToolCall, output: Json) -> Iterator[Json]:
        blocks: Json = [{"type": "text", "text": output}] if isinstance(output, str) else output
        for block in blocks:
            if block["type"] == "text":
                yield self._event("TOOL_RESULT_TEXT_DELTA", tool_call_id=call.id, delta=block["text"])
                continue
            source = {key: block["source"].get(key) for key in ("media_type", "data", "url")}
            yield self._event("TOOL_RESULT_DATA_DELTA", tool_call_id=call.id, block_id=hex_id(), **source)

    def _result_end(self, call: ToolCall, state: str) -> Json:
        self.progress.calls.remove(call)
        return self._event("TOOL_RESULT_END", tool_call_id=call.id, state=state)

    def _interrupted_end(self) -> Iterator[Json]:
        while self._unfinished:
            yield self._unfinished.pop() | {"created_at": local_stamp()}
        for call in list(self.progress.calls):
            yield from self._result(call, _INTERRUPTED, "interrupted")
        self.progress.rest = ()
        yield reply_end(self.session_id, self.progress.reply_id, "interrupted")

    def _event(self, kind: str, **fields: Json) -> Json:
        return event(kind, reply_id=self.progress.reply_id, **fields)
