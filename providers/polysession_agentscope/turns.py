"""Messages, answers and pending actions of AgentScope, and the choice of a plan.

Backend: `POST /chat/` and `GET /sessions/{id}/messages` of `/openapi.json`, server 2.0.11 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from polysession.provider_api import (
    Answer,
    AnsweredTurn,
    Approve,
    Block,
    Call,
    CancelState,
    Conflict,
    Deny,
    Feature,
    Flow,
    MediaBlock,
    NativeBody,
    NotFound,
    PendingAction,
    Reply,
    Response,
    StreamPlan,
    TextBlock,
    ToolOutput,
    TurnInput,
    TurnPlan,
    UnsupportedOperation,
    UsageError,
    check_answer_kind,
    decode_json,
    json_body,
    new_id,
    split_turn_input,
)
from polysession_agentscope.events import EventReader
from polysession_agentscope.history import PAGE, HistoryTail, StoredMessage, read_tail
from polysession_agentscope.native import AgentScopeAnswer
from polysession_agentscope.plans import (
    CONFLICT_WAITS_S,
    RECENT,
    SessionStream,
    decode_cursor,
    events_since,
    mark_replies,
    post_input,
    read_since,
)
from polysession_agentscope.replies import Phase, actions_in, is_waiting
from polysession_agentscope.sessions import (
    IDLE,
    RUNNING,
    SessionAddress,
    already_done,
    check_answer,
    read_settled_status,
    read_status,
    request_status,
    status_word,
    too_old,
)
from polysession_agentscope.turn_plans import SETTLING_S, AgentScopeTurn, LegacyTurn

_STOPPING_S: Final = (0.05, 0.1, 0.2)
"""Seconds before each read of the status after an interrupt. A turn stops within this time unless a tool runs."""

_ENDS_WITH_RESPONSE: Final = "server 2.0.0 ends a turn when its response is closed; use run"
_NO_REASON: Final = "AgentScope takes no reason for a denial: leave it out"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A reply with pending actions.

    Attributes:
        reply: The stored reply.
        actions: The pending actions, by id.
        tail: The end of the session's history.
    """

    reply: StoredMessage
    actions: Mapping[str, PendingAction]
    tail: HistoryTail


def send_message(address: SessionAddress, content: tuple[Block, ...], native: NativeBody | None) -> Flow[None]:
    """Send a message.

    The history is read first, because the server accepts a message for a missing session.

    Raises:
        Conflict: The session has pending actions, or runs a turn.
        NotFound: There is no such session.
        UnsupportedOperation: The server is 2.0.0.
        UsageError: A block cannot be sent.
    """
    wire_input = build_message(content, native)
    tail = yield from _read_free(address)
    _require_stream(tail, Feature.SESSIONS_SEND, "to run a turn in the background", _ENDS_WITH_RESPONSE)
    yield from post_input(address, wire_input, EventReader(address.session_id))


def answer_actions(address: SessionAddress, answers: tuple[Answer, ...], native: NativeBody | None) -> Flow[None]:
    """Answer pending actions.

    Raises:
        Conflict: No action is pending.
        NotFound: One of the actions is not pending.
        UnsupportedOperation: The server is 2.0.0, or a denial has a reason.
        UsageError: An answer does not fit its action.
    """
    _check_answers(answers)
    waiting = yield from _read_waiting(address)
    wire_input = build_answers(answers, waiting.actions, native)
    _require_stream(waiting.tail, Feature.SESSIONS_ANSWER, "to run a turn in the background", _ENDS_WITH_RESPONSE)
    yield from post_input(address, wire_input, EventReader(address.session_id))


def start_turn(
    address: SessionAddress, turn_input: TurnInput, native: NativeBody | None
) -> Flow[TurnPlan | AnsweredTurn]:
    """Read the session's history, and return the plan of a turn.

    The plan opens the stream after the history, and then sends the input.

    Raises:
        Conflict: A message is sent while actions are pending, or answers while none is.
    """
    blocks, answers = split_turn_input(turn_input)
    if answers:
        return (yield from _resume(address, answers, native))
    wire_input = build_message(blocks, native)
    reader = EventReader(address.session_id)
    tail = yield from _read_free(address)
    mark_replies(tail, reader)
    if not tail.has_stream:
        return LegacyTurn(address, reader, wire_input)
    return AgentScopeTurn(address, tail, reader, wire_input)


def stream_events(address: SessionAddress, cursor: str | None) -> Flow[StreamPlan]:
    """Read the session's history, and return the plan of a stream.

    The plan follows the session after the history, or from a cursor.

    Raises:
        UsageError: The cursor is not of an AgentScope stream.
        UnsupportedOperation: The server is 2.0.0.
    """
    reader = EventReader(address.session_id)
    if cursor is None:
        tail = yield from read_tail(address, RECENT)
        mark_replies(tail, reader)
        plan = SessionStream(address, tail.cursor, reader)
    else:
        mark, last_id = decode_cursor(cursor)
        if mark.before is not None:
            reader.restore(mark.before, Phase.ENDED, ())
        if mark.reply is not None:
            reader.restore(mark.reply, mark.phase, mark.delivered)
        tail = yield from read_since(address, reader)
        # A restarted server has no cursor and numbers its events from the start: an old cursor would hide them.
        after = None if tail.cursor is None else mark.after
        backlog = events_since(tail, reader)
        plan = SessionStream(
            address, after, reader, last_id=last_id, resumed_reply=mark.reply, backlog=backlog, cursor=cursor
        )
    _require_stream(tail, Feature.SESSIONS_STREAM, "to stream a session", "run follows one turn")
    return plan


def cancel(address: SessionAddress) -> Flow[tuple[Response, CancelState]]:
    """Interrupt a turn that runs or waits.

    An idle session is not interrupted: it would log a turn that never ends.

    A session still reports `running` until its turn is stored. So the messages are read first: that call waits for the
    storage. If the turn starts to wait for an answer at that moment, the interrupt is lost and is sent again. A turn
    that ended in spite of the interrupt was not cancelled.

    Returns:
        The last response, and the result of the request.

    Raises:
        UnsupportedOperation: The server is older than 2.0.4.
    """
    answer = _require_status((yield from request_status(address)))
    word = status_word(answer)
    newest: StoredMessage | None = None
    if word == RUNNING:
        tail = yield from read_tail(address)
        newest = tail.replies[-1] if tail.replies else None
        word = word if tail.is_running else (yield from read_status(address))
    if word == IDLE:
        return answer, CancelState.NOTHING_RUNNING
    interrupt = Call("POST", address.path("/interrupt"))
    answer = yield interrupt
    check_answer(answer)
    with already_done("the turn was asked to stop"):
        if word == RUNNING:
            word = yield from read_settled_status(address, _STOPPING_S)
            if word not in {RUNNING, IDLE}:
                answer = yield interrupt
            elif word == IDLE and (yield from _has_ended_by_itself(address, newest)):
                return answer, CancelState.NOTHING_RUNNING
    return answer, CancelState.REQUESTED


def _has_ended_by_itself(address: SessionAddress, before: StoredMessage | None) -> Flow[bool]:
    """Whether there is a newer reply than before that was not interrupted."""
    tail = yield from read_tail(address)
    newest = tail.replies[-1] if tail.replies else None
    if newest is None or (before is not None and newest.id == before.id):
        return False
    return newest.wire.finished_reason != "interrupted"


def _require_status(response: Response | None) -> Response:
    """Return the response of the status call.

    A server without that call cannot cancel: both came with 2.0.4.
    """
    if response is None:
        raise too_old(Feature.SESSIONS_CANCEL, "to cancel a turn", "use 2.0.4 or later")
    return response


def pending_actions(address: SessionAddress) -> Flow[tuple[PendingAction, ...]]:
    """Read the pending actions."""
    waiting = yield from _find_waiting(address)
    return () if waiting is None else tuple(waiting.actions.values())


def build_message(blocks: Iterable[Block], native: NativeBody | None = None) -> dict[str, Any]:
    """Return the input for a message with these blocks.

    The server keeps the message's id, which identifies the reply.

    Raises:
        UsageError: A block cannot be sent.
    """
    content = [_build_media(block) if isinstance(block, MediaBlock) else _build_text(block) for block in blocks]
    message = {"id": new_id(), "name": "user", "role": "user", "content": content}
    return message | (native.to_body() if native else {})


def build_answers(
    answers: tuple[Answer, ...], pending: Mapping[str, PendingAction], native: NativeBody | None = None
) -> dict[str, Any]:
    """Return the input that answers actions. It is built from the action's reference.

    Args:
        answers: The caller's answers. If one has only an id, the pending action of that id is used.
        pending: The pending actions, by id.
        native: Rules that the approvals add; None for no rules.

    Raises:
        NotFound: One of the actions is not pending.
        UsageError: An answer has the wrong type for its action, or outputs and approvals are sent together.
    """
    actions = [_action_of(answer, pending) for answer in answers]
    for answer, action in zip(answers, actions, strict=True):
        check_answer_kind(answer, action)
    references = [_read_reference(action) for action in actions]
    pairs = list(zip(answers, (reference["tool_call"] for reference in references), strict=True))
    outputs = [_build_output(answer, call) for answer, call in pairs if isinstance(answer, ToolOutput)]
    rules = native if isinstance(native, AgentScopeAnswer) else AgentScopeAnswer()
    decisions = [_build_decision(answer, call, rules) for answer, call in pairs if not isinstance(answer, ToolOutput)]
    if outputs and decisions:
        raise UsageError("AgentScope takes outputs and approvals in separate requests: answer those of one kind first")
    kind, results = ("EXTERNAL_EXECUTION_RESULT", "execution_results") if outputs else _DECISIONS
    return {"id": new_id(), "type": kind, "reply_id": references[0]["reply_id"], results: outputs or decisions}


_DECISIONS: Final = ("USER_CONFIRM_RESULT", "confirm_results")


def _read_free(address: SessionAddress) -> Flow[HistoryTail]:
    """Read the end of the history of a session that accepts a message.

    With pending actions the server would store the message, and then fail. The read is repeated for a short time,
    because a cancellation may still be in progress.

    Raises:
        Conflict: The session has pending actions.
    """
    for wait_s in (0.0, *CONFLICT_WAITS_S):
        tail = yield from read_tail(address, RECENT, after_s=wait_s)
        if not any(is_waiting(message) for message in tail.messages[-RECENT:]):
            return tail
    raise Conflict("the agent waits for an answer and accepts no message until then: answer its actions, or cancel")


def _resume(
    address: SessionAddress, answers: tuple[Answer, ...], native: NativeBody | None
) -> Flow[TurnPlan | AnsweredTurn]:
    _check_answers(answers)
    waiting = yield from _read_waiting(address)
    wire_input = build_answers(answers, waiting.actions, native)
    reader = EventReader(address.session_id)
    mark_replies(waiting.tail, reader)
    if not waiting.tail.has_stream:
        return LegacyTurn(address, reader, wire_input, waiting.reply.id)
    return AgentScopeTurn(address, waiting.tail, reader, wire_input, waiting.reply.id)


def _read_waiting(address: SessionAddress) -> Flow[_Waiting]:
    """Read the reply with pending actions.

    Without one the server would accept an answer and ignore it.

    Raises:
        Conflict: No action is pending.
    """
    waiting = yield from _find_waiting(address)
    if waiting is None:
        raise Conflict("no pending actions: they were already answered, or a turn is running")
    return waiting


def _find_waiting(address: SessionAddress) -> Flow[_Waiting | None]:
    word = yield from read_settled_status(address, (0.0, *SETTLING_S))
    if word in {RUNNING, IDLE}:
        return None
    tail = yield from read_tail(address, PAGE, lambda stored: any(map(is_waiting, stored)))
    waiting = [message for message in tail.messages if is_waiting(message)]
    return _Waiting(waiting[-1], actions_in(waiting[-1]), tail) if waiting else None


def _require_stream(tail: HistoryTail, feature: Feature, to_what: str, hint: str) -> None:
    if not tail.has_stream:
        raise too_old(feature, to_what, hint)


def _check_answers(answers: Iterable[Answer]) -> None:
    """Check, before any call, that the backend can take the answers.

    Raises:
        UsageError: One of them is a `Reply`.
        UnsupportedOperation: A denial has a reason.
    """
    if any(isinstance(answer, Reply) for answer in answers):
        raise UsageError("AgentScope asks no questions: answer with Approve, Deny or ToolOutput")
    if any(isinstance(answer, Deny) and answer.reason is not None for answer in answers):
        raise UnsupportedOperation(_NO_REASON, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=_NO_REASON)


def _action_of(answer: Answer, pending: Mapping[str, PendingAction]) -> PendingAction:
    """Return the action that is answered.

    It is the caller's if that has a reference, otherwise the pending one.
    """
    action_id = answer.action_id
    if action_id not in pending:
        raise NotFound(f"action {action_id!r} is not pending; pending are {', '.join(map(repr, pending))}")
    action = None if isinstance(answer.action, str) else answer.action
    return action if action is not None and action.reference else pending[action_id]


def _read_reference(action: PendingAction) -> dict[str, Any]:
    """Return the reply's id and the tool call, as `to_action` stored them in the reference."""
    try:
        reference = decode_json(action.reference.encode())
        return {"reply_id": str(reference["reply_id"]), "tool_call": dict(reference["tool_call"])}
    except (ValueError, TypeError, KeyError):
        pass
    raise UsageError(f"action {action.id!r} has no reference of AgentScope: pass the action that was read, or its id")


def _build_decision(answer: Answer, call: Mapping[str, Any], native: AgentScopeAnswer) -> dict[str, Any]:
    """Return the decision about one call.

    The tool runs with the arguments in it: the model's, or the caller's.
    """
    tool_call = {"type": "tool_call"} | {name: call.get(name) for name in ("id", "name", "input")}
    if isinstance(answer, Approve) and answer.arguments is not None:
        tool_call["input"] = json_body(answer.arguments).decode()
    decision = {"confirmed": not isinstance(answer, Deny), "tool_call": tool_call}
    rules = [rule.to_body() for rule in native.rules or ()]
    if native.allow_suggested:
        rules += call.get("suggested_rules") or []
    return decision | {"rules": rules} if rules and isinstance(answer, Approve) else decision


def _build_output(answer: ToolOutput, call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_result",
        "id": call.get("id"),
        "name": call.get("name"),
        "output": answer.content,
        "state": "error" if answer.is_error else "success",
    }


def _build_text(block: Block) -> dict[str, Any]:
    if not isinstance(block, TextBlock):
        raise UsageError(f"AgentScope takes text and media in a message, not a block of type {block.type!r}")
    return {"type": "text", "text": block.text}


def _build_media(block: MediaBlock) -> dict[str, Any]:
    if block.file_id is not None:
        raise UsageError(f"AgentScope stores no files: pass the {block.type} by url or data, not by file_id")
    if (block.url is None) == (block.data is None) or block.media_type is None:
        raise UsageError(f"AgentScope needs the media_type of the {block.type}, and either its url or its data")
    where = {"type": "base64", "data": block.data} if block.url is None else {"type": "url", "url": block.url}
    wire = {"type": "data", "source": where | {"media_type": block.media_type}}
    return wire if block.title is None else wire | {"name": block.title}
