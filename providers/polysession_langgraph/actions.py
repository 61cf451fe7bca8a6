"""Interrupts to pending actions, and answers to the values that continue a run. Pure.

A ninth room: what an interrupt means is a convention of the graph, apart from how its run is followed. Four forms are
known: the approval middleware of `create_agent`, which asks about several calls at once and takes its decisions
together; a tool that the client runs; a single call to approve; and anything else, which is a question.

Observed on langgraph 1.2.24, langchain 1.5.2 (2026-11-30). Backend:
https://docs.langchain.com/oss/python/langchain/human-in-the-loop (read 2026-11-30)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from polysession.provider_api import (
    Answer,
    Approve,
    Conflict,
    Deny,
    NotFound,
    PendingAction,
    Question,
    Reply,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UsageError,
    check_answer_kind,
)
from polysession_langgraph.sessions import present
from polysession_langgraph.wire import WireInterrupt

CLIENT_TOOL: Final = "client_tool"
APPROVED: Final = "approved"
DENIED: Final = "denied"
_PROMPT_KEYS: Final = ("question", "prompt", "message", "description", "text")


def to_actions(interrupts: Mapping[str, Sequence[WireInterrupt]] | None) -> dict[str, PendingAction]:
    """The pending actions of a thread, by id. Interrupts that are reported twice are one."""
    waiting = {each.id: each for several in (interrupts or {}).values() for each in several if each.id is not None}
    return {action.id: action for key, each in waiting.items() for action in _to_actions(key, each)}


def _to_actions(interrupt_id: str, interrupt: WireInterrupt) -> Iterator[PendingAction]:
    value, known = interrupt.value, {"id": interrupt_id, "source": msgspec.json.encode(interrupt.value)}
    match value:
        case {"action_requests": list() as requests}:
            for index, request in enumerate(requests):
                own = {"id": f"{interrupt_id}:{index}", "source": msgspec.json.encode(request)}
                yield ToolApproval(**_call(request, "name"), group=interrupt_id, **own)
        case {"type": str() as kind, "name": str()} if kind == CLIENT_TOOL:
            yield ToolExecution(**_call(value, "name"), **known)
        case {"action": str(), "args": dict()}:
            yield ToolApproval(**_call(value, "action"), **known)
        case _:
            payload = value if isinstance(value, dict) else {"value": value}
            options = payload.get("options")
            yield Question(
                prompt=_prompt(value, payload),
                options=tuple(each for each in options if isinstance(each, str)) if isinstance(options, list) else (),
                response_schema=interrupt.response_schema,
                payload=payload,
                **known,
            )


def _prompt(value: object, payload: Mapping[str, Any]) -> str:
    if isinstance(value, str):
        return value
    found = next((payload[key] for key in _PROMPT_KEYS if isinstance(payload.get(key), str)), None)
    return found if found is not None else json.dumps(value, ensure_ascii=False)


def _call(request: object, key: str) -> dict[str, Any]:
    fields = request if isinstance(request, dict) else {}
    arguments = fields.get("args")
    return {"name": str(fields.get(key) or ""), "arguments": arguments if isinstance(arguments, dict) else {}}


def to_responses(answers: Iterable[Answer], pending: Mapping[str, PendingAction]) -> list[dict[str, Any]]:
    """The `responses` of `input.respond`: one for each interrupt, the decisions of a group in its order.

    Args:
        answers: The caller's answers.
        pending: What the thread waits for, by id.

    Raises:
        Conflict: Nothing is pending.
        NotFound: One of the actions is not pending.
        UsageError: An action gets the wrong kind of answer, or a group is answered in part.
    """
    if not pending:
        raise Conflict("no pending actions: they were already answered, or the turn ended")
    given = {answer.action_id: answer for answer in answers}
    responses: dict[str, Any] = {}
    for action_id, answer in given.items():
        if action_id not in pending:
            raise NotFound(f"action {action_id!r} is not pending; pending are {', '.join(pending)}")
        check_answer_kind(answer, pending[action_id])
        group = pending[action_id].group
        responses[group or action_id] = _response(answer) if group is None else _decisions(group, given, pending)
    return [{"interrupt_id": key, "response": value} for key, value in responses.items()]


def _decisions(group: str, given: Mapping[str, Answer], pending: Mapping[str, PendingAction]) -> dict[str, Any]:
    """A wrong number of decisions spoils the question for good, so nothing is sent then."""
    members = [action for action in pending.values() if action.group == group]
    missing = [action.id for action in members if action.id not in given]
    if missing:
        raise UsageError(f"the actions of one group are answered together: {', '.join(missing)} is missing")
    return {"decisions": [_decision(given[action.id], action) for action in members]}


def _decision(answer: Answer, action: PendingAction) -> dict[str, Any]:
    if isinstance(answer, Deny):
        return {"type": "reject", **present(message=answer.reason)}
    if isinstance(answer, Approve) and answer.arguments is not None and isinstance(action, ToolApproval):
        return {"type": "edit", "edited_action": {"name": action.name, "args": dict(answer.arguments)}}
    return {"type": "approve"}


def _response(answer: Answer) -> Any:
    if isinstance(answer, ToolOutput):
        return {"error": answer.content} if answer.is_error else answer.content
    if isinstance(answer, Reply):
        return answer.value
    if isinstance(answer, Deny):
        return DENIED if answer.reason is None else f"{DENIED}: {answer.reason}"
    if answer.arguments is not None:
        raise UsageError("this interrupt takes no edited arguments; only the approval middleware does")
    return APPROVED
