"""What the agent waits for, and the answers to it. Pure.

Backend: `POST /chat/` of `/openapi.json`, server 2.0.10 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Deny,
    Feature,
    NotFound,
    PendingAction,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UnsupportedOperation,
    UsageError,
)
from polysession_agentscope.message_normaliser import blocks_of, to_arguments
from polysession_agentscope.wire_events import WireBlock, WireMessage

_ACTIONS: Final[Mapping[str | None, type[ToolApproval | ToolExecution]]] = {
    "asking": ToolApproval,
    "submitted": ToolExecution,
}
_NO_REASON: Final = "AgentScope tells the agent that it was denied, and not why: deny without a reason"


class OpenCalls:
    """The tool calls of a reply that have no result yet, to see when nothing goes on any more without an answer.

    The service says which call it waits for, and not that it has come to rest: tools that may run side by side go on
    meanwhile, others wait in turn, and a call that waits since an earlier turn is not named again.

    Attributes:
        waiting: What it waits for, by id.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, PendingAction] = {}
        self._unused: set[str] = set()
        self._at_work: set[str] = set()

    def restore(self, waiting: dict[str, PendingAction], unused: Iterable[str]) -> None:
        """Take up what a stored reply tells."""
        self.clear()
        self.waiting = waiting
        self._unused.update(unused)

    def call(self, call_id: str) -> None:
        """The model calls a tool."""
        self._unused.add(call_id)

    def begin(self, call_id: str) -> None:
        """The tool begins to answer."""
        self._unused.discard(call_id)
        self._at_work.add(call_id)

    def end(self, call_id: str) -> None:
        """The tool has answered."""
        for calls in (self._unused, self._at_work):
            calls.discard(call_id)
        self.waiting.pop(call_id, None)

    def ask(self, actions: Iterable[PendingAction]) -> None:
        """The service waits for the caller."""
        for action in actions:
            self.end(action.id)
            self.waiting[action.id] = action

    def answer(self, call_ids: Iterable[str]) -> None:
        """The caller has answered."""
        for call_id in call_ids:
            self.waiting.pop(call_id, None)
            self.begin(call_id)

    def clear(self) -> None:
        """The model goes on, or the reply is over: all calls have their results."""
        self.waiting.clear()
        self._unused.clear()
        self._at_work.clear()

    @property
    def at_rest(self) -> bool:
        """Whether surely nothing happens before the caller answers: a call that was not used yet may run any moment."""
        return bool(self.waiting) and not self._at_work and not self._unused


def to_action(raw: dict[str, Any]) -> PendingAction | None:
    """What a tool call waits for; None if for nothing.

    Raises:
        pydantic.ValidationError: It is no block.
    """
    wire = WireBlock.model_validate(raw)
    action = _ACTIONS.get(wire.state)
    if wire.type != "tool_call" or action is None:
        return None
    return action(id=wire.id or "", name=wire.name or "", arguments=to_arguments(wire.input), raw=raw)


def pending_in(raw: dict[str, Any]) -> dict[str, PendingAction]:
    """What a stored message waits for, by id.

    Raises:
        pydantic.ValidationError: It is not a message.
    """
    found = (to_action(block) for block in blocks_of(WireMessage.model_validate(raw)))
    return {action.id: action for action in found if action is not None}


def unused_in(raw: dict[str, Any]) -> list[str]:
    """Ids of the tool calls of a stored message that nothing has become of yet.

    Raises:
        pydantic.ValidationError: It is not a message.
    """
    blocks = [WireBlock.model_validate(block) for block in blocks_of(WireMessage.model_validate(raw))]
    answered = {block.id for block in blocks if block.type == "tool_result"}
    calls = [block for block in blocks if block.type == "tool_call" and block.state not in _ACTIONS]
    return [block.id for block in calls if block.id is not None and block.id not in answered]


def is_waiting(raw: Mapping[str, Any]) -> bool:
    """Whether a stored message waits for something."""
    content = raw.get("content")
    blocks = [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []
    return any(block.get("type") == "tool_call" and str(block.get("state")) in _ACTIONS for block in blocks)


def check_answers(answers: Iterable[Answer]) -> None:
    """Raise if the backend cannot carry one of the answers.

    Raises:
        UnsupportedOperation: A denial has a reason.
    """
    if any(isinstance(answer, Deny) and answer.reason is not None for answer in answers):
        raise UnsupportedOperation(_NO_REASON, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=_NO_REASON)


def from_answers(answers: tuple[Answer, ...], reply_id: str, pending: Mapping[str, PendingAction]) -> dict[str, Any]:
    """The input that answers.

    Args:
        answers: The caller's answers, checked.
        reply_id: The reply that waits.
        pending: What it waits for, by id.

    Raises:
        NotFound: The agent does not wait for one of them.
        UsageError: An action is answered with the wrong kind of answer, or both kinds come together.
    """
    ids = [answer.action if isinstance(answer.action, str) else answer.action.id for answer in answers]
    for action_id in ids:
        if action_id not in pending:
            raise NotFound(f"the agent does not wait for action {action_id!r}; it waits for {', '.join(pending)}")
    pairs = [(answer, pending[action_id]) for answer, action_id in zip(answers, ids, strict=True)]
    for answer, action in pairs:
        _check_kind(answer, action)
    outputs = [_output(answer, action) for answer, action in pairs if isinstance(answer, ToolOutput)]
    decisions = [_decision(answer, action) for answer, action in pairs if not isinstance(answer, ToolOutput)]
    if outputs and decisions:
        raise UsageError("AgentScope takes outputs and approvals one after the other: answer those of one kind first")
    if outputs:
        return {"type": "EXTERNAL_EXECUTION_RESULT", "reply_id": reply_id, "execution_results": outputs}
    return {"type": "USER_CONFIRM_RESULT", "reply_id": reply_id, "confirm_results": decisions}


def answered_in(raw: Mapping[str, Any]) -> list[str]:
    """The tool calls that an input, or its echo, answers."""
    decided = [result["tool_call"] for result in raw.get("confirm_results", ())]
    return [str(call.get("id")) for call in (*decided, *raw.get("execution_results", ()))]


def _check_kind(answer: Answer, action: PendingAction) -> None:
    if isinstance(answer, ToolOutput) != isinstance(action, ToolExecution):
        wanted = "ToolOutput" if isinstance(action, ToolExecution) else "Approve or Deny"
        raise UsageError(f"action {action.id!r} is answered with {wanted}, not with {type(answer).__name__}")


def _decision(answer: Answer, action: PendingAction) -> dict[str, Any]:
    """The tool runs with the arguments that come back here: they must be the model's own."""
    tool_call = {name: action.raw.get(name) for name in ("type", "id", "name", "input")}
    return {"confirmed": not isinstance(answer, Deny), "tool_call": tool_call}


def _output(answer: ToolOutput, action: PendingAction) -> dict[str, Any]:
    return {
        "type": "tool_result",
        "id": action.id,
        "name": action.name,
        "output": answer.content,
        "state": "error" if answer.is_error else "success",
    }
