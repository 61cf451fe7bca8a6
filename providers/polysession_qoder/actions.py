"""What the agent waits for, and the answers to it. Pure.

Backend: https://docs.qoder.com/cloud-agents/permission-policies and
https://docs.qoder.com/cloud-agents/api/sessions/events/send (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    Approve,
    Conflict,
    Deny,
    NotFound,
    PendingAction,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UsageError,
    trusted_event,
)
from polysession_qoder.wire_events import WireIdle, WireStopReason, WireToolUse

TOOL_USES: Final = ("agent.tool_use", "agent.mcp_tool_use", "agent.custom_tool_use")
"""The events that an agent can wait at."""

_new_approval: Final = trusted_event(ToolApproval)
_new_execution: Final = trusted_event(ToolExecution)

_ANSWERED_IN: Final[Mapping[str, str]] = {
    "user.tool_confirmation": "tool_use_id",
    "user.custom_tool_result": "custom_tool_use_id",
}
_NOT_WAITING: Final = frozenset({"session.status_running", "session.status_terminated", "session.deleted"})


def to_action(raw: dict[str, Any]) -> PendingAction:
    """The action that an event of `TOOL_USES` asks for, if the session waits for it.

    Raises:
        pydantic.ValidationError: It is no such event.
    """
    return read_action(WireToolUse.model_validate(raw), raw)


def read_action(wire: WireToolUse, raw: dict[str, Any]) -> PendingAction:
    """The same from the wire model of the event; `raw` is what this was read from."""
    new_action = _new_execution if wire.type == "agent.custom_tool_use" else _new_approval
    return new_action(id=wire.id or "", name=wire.name or "", arguments=wire.input or {}, raw=raw)


def reason_of(wire: WireIdle) -> str:
    """Why a session went idle, in Qoder's word; empty if it does not say."""
    reason = wire.stop_reason
    return (reason.type or "") if isinstance(reason, WireStopReason) else reason or ""


def awaited_ids(wire: WireIdle) -> list[str]:
    """Ids of the events that a session waits at when it goes idle so."""
    reason = wire.stop_reason
    if isinstance(reason, WireStopReason) and reason.type == "requires_action":
        return reason.event_ids or []
    return []


def answered_id(raw: Mapping[str, Any]) -> str | None:
    """Id of the action that an event answers; None if it answers none."""
    value = raw.get(_ANSWERED_IN.get(raw["type"], ""))
    return value if isinstance(value, str) else None


class PendingSearch:
    """Finds what the agent waits for in a session's events, which are read newest first.

    Attributes:
        newest_id: Id of the newest event; None if there is none.
    """

    def __init__(self) -> None:
        self.newest_id: str | None = None
        self._awaited: list[str] | None = None  # None until it is known
        self._answered: set[str] = set()
        self._found: dict[str, PendingAction] = {}

    @property
    def finished(self) -> bool:
        """Whether nothing older has to be read."""
        return self._awaited is not None and not self.missing

    @property
    def missing(self) -> list[str]:
        """Ids that the session waits at, and that were not read yet."""
        return [event_id for event_id in self._awaited or [] if event_id not in self._found]

    @property
    def actions(self) -> dict[str, PendingAction]:
        """What was found, by id, in the order in which the backend names it."""
        return {event_id: self._found[event_id] for event_id in self._awaited or [] if event_id in self._found}

    def take(self, raw: dict[str, Any]) -> None:
        """Read the next older event.

        Raises:
            pydantic.ValidationError: It cannot be read.
        """
        if self.newest_id is None:
            self.newest_id = raw.get("id")
        kind = raw.get("type")
        if self._awaited is None:
            self._look_for_state(raw)
        elif kind in TOOL_USES and raw.get("id") in self._awaited:
            self._found[raw["id"]] = to_action(raw)

    def _look_for_state(self, raw: dict[str, Any]) -> None:
        kind = raw.get("type")
        answered = answered_id(raw)
        if answered is not None:
            self._answered.add(answered)  # after the session went idle: it has not acted on it yet
        elif kind == "session.status_idle":
            awaited = awaited_ids(WireIdle.model_validate(raw))
            self._awaited = [event_id for event_id in awaited if event_id not in self._answered]
        elif kind in _NOT_WAITING:
            self._awaited = []


def from_answers(answers: tuple[Answer, ...], pending: Mapping[str, PendingAction]) -> list[dict[str, Any]]:
    """The events that answer, to be sent.

    Args:
        answers: The caller's answers.
        pending: What the agent waits for, by id.

    Raises:
        Conflict: The agent waits for nothing.
        NotFound: The agent does not wait for one of them.
        UsageError: An action is answered with the wrong kind of answer.
    """
    if not pending:
        raise Conflict("the agent waits for nothing: the actions were answered already, or the turn has ended")
    ids = [answer.action if isinstance(answer.action, str) else answer.action.id for answer in answers]
    for action_id in ids:
        if action_id not in pending:
            raise NotFound(f"the agent does not wait for action {action_id!r}; it waits for {', '.join(pending)}")
    return [_from_answer(answer, pending[action_id]) for answer, action_id in zip(answers, ids, strict=True)]


def _from_answer(answer: Answer, action: PendingAction) -> dict[str, Any]:
    if isinstance(answer, ToolOutput) != isinstance(action, ToolExecution):
        wanted = "ToolOutput" if isinstance(action, ToolExecution) else "Approve or Deny"
        raise UsageError(f"action {action.id!r} is answered with {wanted}, not with {type(answer).__name__}")
    wire = _output(answer, action.id) if isinstance(answer, ToolOutput) else _confirmation(answer, action.id)
    # A sub-agent's event names its thread, and the answer has to name it too.
    thread_id = action.raw.get("session_thread_id")
    return wire if thread_id is None else wire | {"session_thread_id": thread_id}


def _confirmation(answer: Approve | Deny, action_id: str) -> dict[str, Any]:
    wire = {"type": "user.tool_confirmation", "tool_use_id": action_id}
    if isinstance(answer, Approve):
        return wire | {"result": "allow"}
    reason = {} if answer.reason is None else {"deny_message": answer.reason}
    return wire | {"result": "deny"} | reason


def _output(answer: ToolOutput, action_id: str) -> dict[str, Any]:
    content = [{"type": "text", "text": answer.content}]
    wire = {"type": "user.custom_tool_result", "custom_tool_use_id": action_id, "content": content}
    return wire | {"is_error": True} if answer.is_error else wire
