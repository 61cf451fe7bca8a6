"""Behaviour that only ADK agents have, chosen by the first word of a message.

| app | message begins with | the agent |
|---|---|---|
| `assistant` | `/refuse` | is stopped by a safety filter |
| | `/fail-late` | fails in the middle of its text |
| | `/cut` | reaches the limit of output tokens |
| | `/empty` | returns no content |
| | `/picture` | answers with an image |
| | `/boom` | uses a tool that fails the turn |
| | `/wait N` | uses a tool that takes N seconds |
| | `/note TEXT` | saves an artifact |
| | `/state VALUE` | writes to the state of session, user and app |
| | `/ticket` | uses a tool whose result may come later, and continues |
| | `/ask-more` | uses a tool that requests a confirmation itself, and continues |
| `crew` | `/transfer AGENT` | transfers to `writer`, or to `line`: one agent, then two in parallel |
| `quiet` | `/nothing` | does nothing; every other message is stored in the state |
| | `/count N` | sends N messages |
| | `/fail` | fails |

Backend: https://google.github.io/adk-docs/agents/multi-agents/ and https://google.github.io/adk-docs/artifacts/ (read
2026-11), google-adk 2.13.0
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from polysession.emulation import AskApproval, ClientTool, Fail, Say, ToolUse, pause
from polysession_adk.emulator.shapes import USAGE, content, new_id, response_part, text_part
from polysession_adk.emulator.store import Json

if TYPE_CHECKING:
    from polysession_adk.emulator.agent import Run

Special: TypeAlias = "Callable[[Run, str, str], AsyncIterator[Json]]"
"""Function that yields the events. Arguments: the run, the message, and its text after the first word."""


def special_for(app: str, message: str) -> Special | None:
    """Return an agent's special behaviour for a message; None if it follows the script."""
    if app == "quiet":
        return _quiet
    return _SPECIALS[app].get(message.partition(" ")[0])


async def _refuse(run: Run, _message: str, _rest: str) -> AsyncIterator[Json]:
    yield run.keep(run.event(errorCode="SAFETY", errorMessage="blocked by the safety filter"))


async def _fail_late(run: Run, _message: str, _rest: str) -> AsyncIterator[Json]:
    async for event in run.model_call([Say("So ")], fails=Fail()):
        yield event


async def _cut(run: Run, _message: str, _rest: str) -> AsyncIterator[Json]:
    async for event in run.model_call([Say("As long as it may be")], finish="MAX_TOKENS"):
        yield event


async def _empty(run: Run, _message: str, _rest: str) -> AsyncIterator[Json]:
    event = run.event(content=content("model", []), finishReason="STOP")
    if not run.request.streaming:
        event["errorCode"] = "MODEL_RETURNED_NO_CONTENT"
        event["errorMessage"] = "The model returned no content (finish_reason=STOP with empty parts)."
    yield run.keep(event)


async def _picture(run: Run, _message: str, _rest: str) -> AsyncIterator[Json]:
    picture = {"inlineData": {"mimeType": "image/png", "data": "iVBOR_v_"}}
    yield run.keep(_whole(run, picture))


async def _boom(run: Run, _message: str, _rest: str) -> AsyncIterator[Json]:
    async for event in run.model_call([], [(f"adk-{new_id()}", ToolUse("boom"))]):
        yield event
    raise run.failure("ValueError", "the tool broke")


async def _wait(run: Run, message: str, rest: str) -> AsyncIterator[Json]:
    seconds = float(rest or 1)
    call_id = f"adk-{new_id()}"
    async for event in run.model_call([], [(call_id, ToolUse("wait", {"seconds": seconds}))]):
        yield event
    await pause(seconds)
    async for event in _respond(run, message, call_id, "wait", {"result": "waited"}):
        yield event


async def _note(run: Run, message: str, rest: str) -> AsyncIterator[Json]:
    call_id = f"adk-{new_id()}"
    async for event in run.model_call([], [(call_id, ToolUse("note", {"text": rest or "hello"}))]):
        yield event
    version = run.session.saved_notes
    run.session.saved_notes += 1
    parts = [response_part(call_id, "note", {"result": f"version {version}"})]
    stored = run.keep(run.event(content=content("user", parts), actions={"artifactDelta": {"note.txt": version}}))
    yield {**stored, "actions": {**stored["actions"], "artifactDelta": {}}}
    yield {name: value for name, value in stored.items() if name != "content"}
    async for event in run.model_call([Say(f"You said: {message}")]):
        yield event


async def _state(run: Run, message: str, rest: str) -> AsyncIterator[Json]:
    value = rest or "blue"
    call_id = f"adk-{new_id()}"
    async for event in run.model_call([], [(call_id, ToolUse("remember", {"value": value}))]):
        yield event
    delta = {f"{prefix}seen": value for prefix in ("", "user:", "app:")}
    async for event in _respond(run, message, call_id, "remember", {"result": "remembered"}, {"stateDelta": delta}):
        yield event


async def _ticket(run: Run, message: str, _rest: str) -> AsyncIterator[Json]:
    call_id = f"adk-{new_id()}"
    use = ClientTool("open_ticket", {"topic": "otters"})
    async for event in run.model_call([], [(call_id, use)]):
        yield event
    run.leave_open(call_id, call_id, use, (Say(f"You said: {message}"),))
    response = {"status": "pending", "ticket": "T1"}
    async for event in _respond(run, message, call_id, "open_ticket", response):
        yield event


async def _ask_more(run: Run, message: str, _rest: str) -> AsyncIterator[Json]:
    call_id, request_id = f"adk-{new_id()}", f"adk-{new_id()}"
    use = AskApproval("book", {"place": "Rome"}, "Rome is booked")
    async for event in run.model_call([], [(call_id, use)]):
        yield event
    run.leave_open(request_id, call_id, use, (Say(f"You said: {message}"),))
    hint = {"hint": "For how many?", "confirmed": False, "payload": {"people": 0}}
    response = run.event(
        content=content("user", [response_part(call_id, "book", {"status": "waiting"})]),
        actions={"requestedToolConfirmations": {call_id: hint}},
    )
    request = run.request_event([(request_id, call_id, use, hint)])
    run.keep(response)
    yield run.keep(request)
    yield response
    async for event in run.model_call([Say(f"You said: {message}")]):
        yield event


async def _transfer(run: Run, message: str, rest: str) -> AsyncIterator[Json]:
    target = rest or "writer"
    call_id = f"adk-{new_id()}"
    async for event in run.model_call([], [(call_id, ToolUse("transfer_to_agent", {"agent_name": target}))]):
        yield event
    responses = content("user", [response_part(call_id, "transfer_to_agent", {"result": None})])
    yield run.keep(run.event(content=responses, actions={"transferToAgent": target}))
    for name, path, branch in _TARGETS[target]:
        run.agent, run.path, run.branch = name, path, branch
        async for event in run.model_call([Say(f"You said: {message}")]):
            yield event


async def _quiet(run: Run, message: str, rest: str) -> AsyncIterator[Json]:
    word = message.partition(" ")[0]
    if word == "/nothing":
        return
    yield run.keep(run.event(path="", actions={"stateDelta": {"heard": word}}))
    if word == "/fail":
        raise run.failure("RuntimeError", "the agent is out of order", is_stored=False)
    for number in range(int(rest) if word == "/count" else 0):
        yield run.keep(run.event(path="", content=content("model", [text_part(f"step {number}")])))


async def _respond(
    run: Run, message: str, call_id: str, name: str, response: Json, actions: Json | None = None
) -> AsyncIterator[Json]:
    """Yield the response of a tool, and the model's answer after it."""
    parts = [response_part(call_id, name, response)]
    yield run.keep(run.event(content=content("user", parts), actions=actions))
    async for event in run.model_call([Say(f"You said: {message}")]):
        yield event


def _whole(run: Run, *parts: Json) -> Json:
    members: dict[str, Any] = {"partial": False, "finishReason": "STOP", "usageMetadata": USAGE}
    return run.event(modelVersion="script-1", content=content("model", parts), **members)


_TARGETS: Final[Mapping[str, tuple[tuple[str, str, str | None], ...]]] = {
    "writer": (("writer", "chief@1/writer@1", None),),
    "line": (
        ("first", "chief@1/line@1", None),
        ("left", "chief@1/line@1", "pair.left"),
        ("right", "chief@1/line@1", "pair.right"),
    ),
}
_SPECIALS: Final[Mapping[str, Mapping[str, Special]]] = {
    "assistant": {
        "/refuse": _refuse,
        "/fail-late": _fail_late,
        "/cut": _cut,
        "/empty": _empty,
        "/picture": _picture,
        "/boom": _boom,
        "/wait": _wait,
        "/note": _note,
        "/state": _state,
        "/ticket": _ticket,
        "/ask-more": _ask_more,
    },
    "crew": {"/transfer": _transfer},
}
