"""What an Everruns session waits for, and the answers to it.

A tool of the client's is asked for by its call. An approval is asked for by a call that the server makes up: its
arguments hold the call that was held back, and its id is that call's with a prefix.

Backend: https://github.com/everruns/everruns, crates/server/src/api/tool_approvals.rs and
crates/contracts/src/tool_approval_types.rs, route `POST /v1/sessions/{id}/tool-approvals` (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Approve,
    Call,
    Conflict,
    Deny,
    Feature,
    Flow,
    InvalidRequest,
    NotFound,
    PendingAction,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UnsupportedOperation,
    UsageError,
    json_body,
    read_json_or_nothing,
)
from polysession_everruns.wire_events import WireToolCall

APPROVAL_PREFIX: Final = "tool_approval_"
_APPROVAL_TOOL: Final = "approve_tool_call"
_APPROVAL_CODE: Final = "tool_approval_required"

_RETRIES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Waits between attempts to answer: the request is told a moment before the session is ready for the answer."""
_NOT_READY: Final = frozenset({409, 400})
"""How a session answers that does not wait; older servers say 400."""
_NO_REASON: Final = "Everruns takes a denial without a reason: send the reason as a message afterwards"


def to_action(raw: dict[str, Any]) -> PendingAction:
    """What a requested call asks for.

    Only calls that the server made up ask for an approval: name, id and content tell. The arguments of one that are
    too large to be shown are cut by the server, and stand under the key `preview` as text.

    Raises:
        pydantic.ValidationError: It is not a call.
    """
    call = WireToolCall.model_validate(raw)
    held = call.arguments if isinstance(call.arguments, dict) else {}
    if not is_approval(call.id, call.name) or held.get("code") != _APPROVAL_CODE:
        return ToolExecution(id=call.id, name=call.name, arguments=held, raw=raw)
    arguments = held.get("arguments")
    if not isinstance(arguments, dict):
        arguments = {} if arguments is None else {"preview": arguments}
    return ToolApproval(id=call.id, name=str(held.get("tool", "")), arguments=arguments, raw=raw)


def is_approval(call_id: str, name: str | None) -> bool:
    """Whether a call is one by which the server asks for an approval."""
    return name == _APPROVAL_TOOL and call_id.startswith(APPROVAL_PREFIX)


def action_id(answer: Answer) -> str:
    """Id of what is answered."""
    return answer.action if isinstance(answer.action, str) else answer.action.id


def completed_id(raw: Mapping[str, Any]) -> str | None:
    """Id of the call that an event says is done; None if it says nothing of the kind."""
    data = raw.get("data")
    return data.get("tool_call_id") if isinstance(data, dict) else None


def check_answers(answers: Iterable[Answer]) -> None:
    """Raise if the backend cannot carry the answers.

    Raises:
        UnsupportedOperation: A denial has a reason.
        UsageError: There are decisions and outputs.
    """
    kinds = {isinstance(answer, ToolOutput) for answer in answers}
    if any(isinstance(answer, Deny) and answer.reason is not None for answer in answers):
        raise UnsupportedOperation(_NO_REASON, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=_NO_REASON)
    if len(kinds) > 1:
        raise UsageError("Everruns takes decisions and outputs by two routes: answer with one kind at a time")


def check_expected(answers: Iterable[Answer], pending: Mapping[str, PendingAction]) -> None:
    """See that the session waits for exactly these: it goes on with the first answers, and would settle the others.

    Raises:
        Conflict: It waits for nothing.
        NotFound: It does not wait for one of them.
        UsageError: An answer is not of the kind that is asked for, or one is missing.
    """
    if not pending:
        raise Conflict("the session waits for nothing: it was answered before, or its turn is over")
    given = {action_id(answer): answer for answer in answers}
    unknown = [each for each in given if each not in pending]
    if unknown:
        raise NotFound(f"the session does not wait for {_quoted(unknown)}; it waits for {_quoted(pending)}")
    for each, answer in given.items():
        if isinstance(answer, ToolOutput) is isinstance(pending[each], ToolApproval):
            wanted = "Approve or Deny" if isinstance(pending[each], ToolApproval) else "ToolOutput"
            raise UsageError(f"{each!r} is to be answered with {wanted}")
    kinds = {pending[each].type for each in given}
    missing = [each for each, action in pending.items() if action.type in kinds and each not in given]
    if missing:
        raise UsageError(f"Everruns takes all answers at once; there is none for {_quoted(missing)}")


def post_answers(path: str, answers: Iterable[Answer]) -> Flow[None]:
    """Give the answers, again for a short while if the session is not ready for them.

    Args:
        path: Path of the session.
        answers: All of one kind.

    Raises:
        Conflict: It does not wait any more.
    """
    call = _call(path, answers)
    for wait_s in _RETRIES_S:
        try:
            read_json_or_nothing((yield call))
        except (Conflict, InvalidRequest) as error:
            if error.status not in _NOT_READY:
                raise
            call = Call(call.method, call.path, body=call.body, after_s=wait_s)
        else:
            return
    read_json_or_nothing((yield call))


def _call(path: str, answers: Iterable[Answer]) -> Call:
    outputs = [answer for answer in answers if isinstance(answer, ToolOutput)]
    if outputs:
        results = [
            {"tool_call_id": action_id(output), "error" if output.is_error else "result": output.content}
            for output in outputs
        ]
        return Call("POST", f"{path}/tool-results", body=json_body({"tool_results": results}))
    decisions = [
        {"tool_call_id": action_id(answer), "decision": "allow" if isinstance(answer, Approve) else "reject"}
        for answer in answers
    ]
    return Call("POST", f"{path}/tool-approvals", body=json_body({"decisions": decisions}))


def _quoted(action_ids: Iterable[str]) -> str:
    return ", ".join(map(repr, action_ids))
