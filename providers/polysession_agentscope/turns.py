"""Messages and answers of AgentScope: what is sent, what is pending, and the plans that follow.

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
    probe_status,
    read_settled_status,
    read_status,
    status_word,
    too_old,
)
from polysession_agentscope.turn_plans import SETTLING_S, AgentScopeTurn, LegacyTurn

_STOPPING_S: Final = (0.05, 0.1, 0.2)
"""A turn stops within this time, unless it is at work in a tool."""

_TURN_BOUND: Final = "a turn of 2.0.0 lives only as long as its answer is read: use run"
_NO_REASON: Final = "AgentScope has no place for the reason of a denial: deny without one"


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
    """Send a message. The messages are read first: the server accepts one for a session that does not exist."""
    wire_input = build_message(content, native)
    tail = yield from _read_free(address)
    _require_stream(tail, Feature.SESSIONS_SEND, "to leave a turn to itself", _TURN_BOUND)
    yield from post_input(address, wire_input, EventReader(address.session_id))


def answer_actions(address: SessionAddress, answers: tuple[Answer, ...], native: NativeBody | None) -> Flow[None]:
    """Answer pending actions."""
    _check_answers(answers)
    waiting = yield from _read_waiting(address)
    wire_input = build_answers(answers, waiting.actions, native)
    _require_stream(waiting.tail, Feature.SESSIONS_ANSWER, "to leave a turn to itself", _TURN_BOUND)
    yield from post_input(address, wire_input, EventReader(address.session_id))


def start_turn(
    address: SessionAddress, turn_input: TurnInput, native: NativeBody | None
) -> Flow[TurnPlan | AnsweredTurn]:
    """Read where the session stands, for a plan that opens the stream there and then sends the input."""
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
    """Read where the session stands, for a plan that follows it from there, or from a cursor."""
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
        # A restarted server gives no cursor, and counts its events from the start: an old cursor hides them.
        after = None if tail.cursor is None else mark.after
        backlog = events_since(tail, reader)
        plan = SessionStream(
            address, after, reader, last_id=last_id, resumed_reply=mark.reply, backlog=backlog, cursor=cursor
        )
    _require_stream(tail, Feature.SESSIONS_STREAM, "to stream a session", "run follows one turn")
    return plan


def cancel(address: SessionAddress) -> Flow[tuple[Response, CancelState]]:
    """Interrupt a turn that runs or waits. An idle session is left alone: it would log a turn that never ends.

    A session is running for a moment after the end of its turn, until that is stored: the messages are read first,
    which wait for it. An interrupt is lost if the turn starts to wait in that moment: it is sent again then. A turn
    that ended by itself in spite of the interrupt was not cancelled.

    Returns:
        The last answer, and what became of the request.
    """
    answer = _required((yield from probe_status(address)))
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
            word = yield from _read_stopped_status(address)
            if word not in {RUNNING, IDLE}:
                answer = yield interrupt
            elif word == IDLE and (yield from _has_ended_by_itself(address, newest)):
                return answer, CancelState.NOTHING_RUNNING
    return answer, CancelState.REQUESTED


def _read_stopped_status(address: SessionAddress) -> Flow[str]:
    word = RUNNING
    for wait_s in _STOPPING_S:
        word = yield from read_status(address, after_s=wait_s)
        if word != RUNNING:
            break
    return word


def _has_ended_by_itself(address: SessionAddress, before: StoredMessage | None) -> Flow[bool]:
    """Whether the newest reply is another one than before, and was not interrupted."""
    tail = yield from read_tail(address)
    newest = tail.replies[-1] if tail.replies else None
    if newest is None or (before is not None and newest.id == before.id):
        return False
    return newest.wire.finished_reason != "interrupted"


def _required(probed: Response | None) -> Response:
    """The answer of the status call, from a server that can cancel: both came with the same version."""
    if probed is None:
        raise too_old(Feature.SESSIONS_CANCEL, "to cancel a turn", "servers from 2.0.4 on can")
    return probed


def pending_actions(address: SessionAddress) -> Flow[tuple[PendingAction, ...]]:
    """Read the pending actions."""
    waiting = yield from _find_waiting(address)
    return () if waiting is None else tuple(waiting.actions.values())


def build_message(blocks: Iterable[Block], native: NativeBody | None = None) -> dict[str, Any]:
    """The input that says these blocks. The server keeps the id, by which the reply is recognised.

    Raises:
        UsageError: A block cannot be sent.
    """
    content = [_build_media(block) if isinstance(block, MediaBlock) else _build_text(block) for block in blocks]
    message = {"id": new_id(), "name": "user", "role": "user", "content": content}
    return message | (native.to_body() if native else {})


def build_answers(
    answers: tuple[Answer, ...], pending: Mapping[str, PendingAction], native: NativeBody | None = None
) -> dict[str, Any]:
    """The input that answers actions: from the reference of each, or of the pending one where only its id is given.

    Args:
        answers: The caller's answers.
        pending: The pending actions, by id.
        native: Which further calls the approvals allow; None for no others.

    Raises:
        NotFound: One of the actions is not pending.
        UsageError: An action is answered with the wrong kind of answer, or both kinds come together.
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
        raise UsageError("AgentScope takes outputs and approvals one after the other: answer those of one kind first")
    kind, results = ("EXTERNAL_EXECUTION_RESULT", "execution_results") if outputs else _DECISIONS
    return {"id": new_id(), "type": kind, "reply_id": references[0]["reply_id"], results: outputs or decisions}


_DECISIONS: Final = ("USER_CONFIRM_RESULT", "confirm_results")


def _read_free(address: SessionAddress) -> Flow[HistoryTail]:
    """Where a session stands that takes a message. One with pending actions would store the message, and fail.

    Raises:
        Conflict: It has pending actions, and not only because a cancellation was not carried out yet.
    """
    for wait_s in (0.0, *CONFLICT_WAITS_S):
        tail = yield from read_tail(address, RECENT, after_s=wait_s)
        if not any(is_waiting(message) for message in tail.messages[-RECENT:]):
            return tail
    raise Conflict("the agent waits for an answer, and takes no message before: answer it, or cancel")


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
    """The reply with pending actions. The server would accept an answer without one, and ignore it.

    Raises:
        Conflict: No action is pending.
    """
    waiting = yield from _find_waiting(address)
    if waiting is None:
        raise Conflict("no pending actions: they were already answered, or a turn is running")
    return waiting


def _find_waiting(address: SessionAddress) -> Flow[_Waiting | None]:
    word = yield from read_settled_status(address, SETTLING_S)
    if word in {RUNNING, IDLE}:
        return None
    tail = yield from read_tail(address, PAGE, lambda stored: any(map(is_waiting, stored)))
    waiting = [message for message in tail.messages if is_waiting(message)]
    return _Waiting(waiting[-1], actions_in(waiting[-1]), tail) if waiting else None


def _require_stream(tail: HistoryTail, feature: Feature, to_what: str, hint: str) -> None:
    if not tail.has_stream:
        raise too_old(feature, to_what, hint)


def _check_answers(answers: Iterable[Answer]) -> None:
    """Raise before any call if the backend cannot carry one of the answers.

    Raises:
        UsageError: One replies to a question.
        UnsupportedOperation: A denial has a reason.
    """
    if any(isinstance(answer, Reply) for answer in answers):
        raise UsageError("AgentScope asks no questions: answer with Approve, Deny or ToolOutput")
    if any(isinstance(answer, Deny) and answer.reason is not None for answer in answers):
        raise UnsupportedOperation(_NO_REASON, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=_NO_REASON)


def _action_of(answer: Answer, pending: Mapping[str, PendingAction]) -> PendingAction:
    """The action that is answered."""
    action_id = answer.action_id
    if action_id not in pending:
        raise NotFound(f"the agent does not wait for action {action_id!r}; it waits for {', '.join(pending)}")
    given = None if isinstance(answer.action, str) else answer.action
    return given if given is not None and given.reference else pending[action_id]


def _read_reference(action: PendingAction) -> dict[str, Any]:
    """The reply that waits and the tool call, as `to_action` stored them."""
    try:
        reference = decode_json(action.reference.encode())
        return {"reply_id": str(reference["reply_id"]), "tool_call": dict(reference["tool_call"])}
    except (ValueError, TypeError, KeyError):
        pass
    raise UsageError(f"the reference of action {action.id!r} is not one of AgentScope")


def _build_decision(answer: Answer, call: Mapping[str, Any], native: AgentScopeAnswer) -> dict[str, Any]:
    """The tool runs with the arguments that come back here: the model's own text, unless the caller edits them."""
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
        raise UsageError(f"a message to AgentScope is made of text and media, not of {block.type}")
    return {"type": "text", "text": block.text}


def _build_media(block: MediaBlock) -> dict[str, Any]:
    if block.file_id is not None:
        raise UsageError(f"AgentScope keeps no files: give the {block.type} by url or data, not by file_id")
    if (block.url is None) == (block.data is None) or block.media_type is None:
        raise UsageError(f"AgentScope takes the {block.type} with its media_type, and with either url or data")
    where = {"type": "base64", "data": block.data} if block.url is None else {"type": "url", "url": block.url}
    wire = {"type": "data", "source": where | {"media_type": block.media_type}}
    return wire if block.title is None else wire | {"name": block.title}
