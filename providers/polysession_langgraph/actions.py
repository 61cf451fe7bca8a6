"""Conversion of interrupts to pending actions, and of answers to values for the graph.

A separate module, because the meaning of an interrupt is a convention of the graph. Four forms are known: the approval
middleware of `create_agent`, which asks about several calls at once and takes all decisions together; a tool that the
client runs; a single call to approve; and any other value, which is a question.

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
    """Return the pending actions of a thread, by id.

    An interrupt that is reported twice counts once.
    """
    waiting = {each.id: each for several in (interrupts or {}).values() for each in several if each.id is not None}
    return {action.id: action for key, each in waiting.items() for action in _to_actions(key, each)}


def _to_actions(interrupt_id: str, interrupt: WireInterrupt) -> Iterator[PendingAction]:
    value, common = interrupt.value, {"id": interrupt_id, "source": msgspec.json.encode(interrupt.value)}
    match value:
        case {"action_requests": list() as requests}:
            for index, request in enumerate(requests):
                fields = {"id": f"{interrupt_id}:{index}", "source": msgspec.json.encode(request)}
                yield ToolApproval(**_call(request, "name"), group=interrupt_id, **fields)
        case {"type": str() as kind, "name": str()} if kind == CLIENT_TOOL:
            yield ToolExecution(**_call(value, "name"), **common)
        case {"action": str(), "args": dict()}:
            yield ToolApproval(**_call(value, "action"), **common)
        case _:
            payload = value if isinstance(value, dict) else {"value": value}
            options = payload.get("options")
            yield Question(
                prompt=_prompt(value, payload),
                options=tuple(each for each in options if isinstance(each, str)) if isinstance(options, list) else (),
                response_schema=interrupt.response_schema,
                payload=payload,
                **common,
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
    """Return the `responses` of `input.respond`: one for each interrupt.

    The decisions of a group are in its order.

    Args:
        answers: The caller's answers.
        pending: The pending actions of the thread, by id.

    Raises:
        Conflict: No action is pending.
        NotFound: One of the actions is not pending.
        UsageError: An answer has the wrong type for its action, or only a part of a group is answered.
    """
    if not pending:
        raise Conflict("no pending actions: they were already answered, or the turn ended")
    by_id = {answer.action_id: answer for answer in answers}
    responses: dict[str, Any] = {}
    for action_id, answer in by_id.items():
        if action_id not in pending:
            raise NotFound(f"action {action_id!r} is not pending; pending are {', '.join(map(repr, pending))}")
        check_answer_kind(answer, pending[action_id])
        group = pending[action_id].group
        responses[group or action_id] = _response(answer) if group is None else _decisions(group, by_id, pending)
    return [{"interrupt_id": key, "response": value} for key, value in responses.items()]


def _decisions(group: str, by_id: Mapping[str, Answer], pending: Mapping[str, PendingAction]) -> dict[str, Any]:
    """Return the decisions about all actions of a group.

    With too few of them the run would fail permanently.
    """
    members = [action for action in pending.values() if action.group == group]
    missing = [action.id for action in members if action.id not in by_id]
    if missing:
        names = ", ".join(map(repr, missing))
        raise UsageError(f"the actions of one group must be answered together: answer {names}, too")
    return {"decisions": [_decision(by_id[action.id], action) for action in members]}


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
        raise UsageError(
            f"action {answer.action_id!r} takes no edited arguments; only interrupts of the approval middleware do"
        )
    return APPROVED
