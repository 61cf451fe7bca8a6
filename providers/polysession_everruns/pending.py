"""Pending actions of Everruns sessions, and the answers to them. Pure.

A room of its own, because both the reading of events and the turns need it: approvals, tools of the client and
questions wait in one round, are asked for by one event, and are answered by three routes.

Backend: https://github.com/everruns/everruns, crates/server/src/api/tool_approvals.rs, question_answers.rs and
tool_results.rs, and crates/contracts/src/tool_approval_types.rs (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from polysession.provider_api import (
    Answer,
    Approve,
    Call,
    Conflict,
    Deny,
    Feature,
    Flow,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PendingAction,
    PolysessionError,
    Question,
    Reply,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UnsupportedOperation,
    UsageError,
    check_answer_kind,
    decode_json,
    decoder,
    json_body,
    read_json_or_nothing,
)
from polysession_everruns.wire import (
    WireApproval,
    WireAskUser,
    WireEvent,
    WireQuestion,
    WireReference,
    WireToolCall,
    WireToolData,
)

CALL_REQUESTED: Final = "tool.call_requested"
INPUT: Final = "input.message"
TOOL_COMPLETED: Final = "tool.completed"
WORKS: Final = "reason.started"
BECOMES_READY_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Waits between looks: an event that asks for actions comes a moment before the session is ready for the answers."""

_TURN_EDGES: Final = frozenset({"turn.started", "turn.completed", "turn.failed", "turn.cancelled", "turn.sealed"})
_CONTINUATIONS: Final = frozenset({INPUT, WORKS})
_ENDS_OF_WAIT: Final = _TURN_EDGES | {"session.activated", "session.idled", WORKS}

_APPROVAL_TOOL: Final = "approve_tool_call"
_APPROVAL_PREFIX: Final = "tool_approval_"
_APPROVAL_CODE: Final = "tool_approval_required"
_QUESTION_TOOL: Final = "ask_user"
_SECRET: Final = "secret"  # noqa: S105  (a kind of question)
_FREE_TEXT: Final = "text"

_DECISIONS: Final = "tool-approvals"
_REPLIES: Final = "question-answers"
_RESULTS: Final = "tool-results"
_ROUTES: Final = (_DECISIONS, _REPLIES, _RESULTS)
"""Routes of answers, in the order in which they are used: results settle the approvals that still wait."""
_NO_REASON: Final = "Everruns takes a denial without a reason: send the reason as a message afterwards"

_read_approval: Final = decoder(WireApproval)
_read_ask_user: Final = decoder(WireAskUser)
_read_question: Final = decoder(WireQuestion)
_read_reference: Final = decoder(WireReference)


# --- Following the wait


class Waiting:
    """The pending actions of a session, followed from event to event.

    Attributes:
        calls: The actions that have no answer yet, by the call that asks for them.
        turn_id: The turn that waits.
        is_waiting: Whether a turn waits that has not continued yet.
    """

    def __init__(self) -> None:
        self.calls: dict[str, tuple[PendingAction, ...]] = {}
        self.turn_id: str | None = None
        self.is_waiting = False
        self._asked: frozenset[str] = frozenset()
        self._asks_approval = False

    @property
    def actions(self) -> tuple[PendingAction, ...]:
        """The actions that have no answer yet, in order."""
        return tuple(action for actions in self.calls.values() for action in actions)

    @property
    def may_wait_for_rest(self) -> bool:
        """Whether some actions were answered and others were not: only the session's status shows if it still waits."""
        return bool(self.calls) and not self.is_waiting

    def ask(self, calls: dict[str, tuple[PendingAction, ...]], turn_id: str | None) -> None:
        """Note that the session asks for these, and for nothing else."""
        self.calls, self.turn_id = calls, turn_id
        self._asked = frozenset(calls)
        self._asks_approval = self._waits_for_approval()
        self.is_waiting = bool(calls)

    def take(self, kind: str, wire: WireEvent) -> bool:
        """Note what an event changes; True if a turn that waited continues with it."""
        answered = False
        if kind in _ENDS_OF_WAIT or (kind == INPUT and not self._is_decision(wire)):
            self.calls = {}
        elif isinstance(wire.data, WireToolData) and kind == TOOL_COMPLETED:
            call_id = wire.data.tool_call_id or ""
            self.calls.pop(call_id, None)
            answered = call_id in self._asked
        continues = self.is_waiting and (answered or kind in _CONTINUATIONS)
        self.is_waiting = self.is_waiting and not continues and kind not in _TURN_EDGES
        return continues

    def _is_decision(self, wire: WireEvent) -> bool:
        """Whether a message is the server's own, which puts decisions into words and leaves other calls waiting.

        The engine writes it after each decision, in the context of the turn. The server writes it before them, so that
        the next events tell whether it was one.
        """
        if not self._asks_approval:
            return False
        if wire.context is not None and wire.context.turn_id is not None:
            return wire.context.turn_id == self.turn_id
        return self._waits_for_approval()

    def _waits_for_approval(self) -> bool:
        return any(isinstance(action, ToolApproval) for action in self.actions)


def to_actions(call: WireToolCall, content: bytes, round_id: str) -> tuple[PendingAction, ...]:
    """The actions that a requested call asks for.

    A tool of the client asks by its own call. An approval is asked for by a call that the server makes up: its
    arguments hold the call that waits, and its id is that call's with a prefix. Each question of a call of `ask_user`
    is an action. The approvals of a round are answered together, as are the outputs, and the questions of one call.

    Args:
        call: The call.
        content: Its JSON text.
        round_id: Names the request that the call is part of.
    """
    if is_approval(call.id, call.name):
        approval = _to_approval(call, content, f"{round_id}/approvals")
        if approval is not None:
            return (approval,)
    if call.name == _QUESTION_TOOL:
        questions = _to_questions(call, content)
        if questions:
            return questions
    execution = ToolExecution(
        id=call.id,
        name=call.name,
        arguments=call.arguments or {},
        group=f"{round_id}/outputs",
        reference=_reference(call),
        source=content,
    )
    return (execution,)


def is_approval(call_id: str, name: str | None) -> bool:
    """Whether a call is one that the server makes up to ask for an approval."""
    return name == _APPROVAL_TOOL and call_id.startswith(_APPROVAL_PREFIX)


def _reference(call: WireToolCall, question: WireQuestion | None = None) -> str:
    return msgspec.json.encode(WireReference(call.id, question)).decode()


def _to_approval(call: WireToolCall, content: bytes, group: str) -> ToolApproval | None:
    """The approval that a made-up call asks for; None for a call of the model that only has its name."""
    try:
        approval, problems = _read_approval(content)
    except MalformedResponse:
        return None
    held = approval.arguments
    if held.code != _APPROVAL_CODE:
        return None
    arguments = held.arguments
    if not isinstance(arguments, dict):
        arguments = {} if arguments is None else {"preview": arguments}  # cut by the server: text
    return ToolApproval(
        id=call.id,
        name=held.tool or "",
        arguments=arguments,
        group=group,
        reference=_reference(call),
        source=content,
        problems=problems,
    )


def _to_questions(call: WireToolCall, content: bytes) -> tuple[Question, ...]:
    """The questions that a call of `ask_user` asks; none for a tool of the client that only has its name."""
    try:
        asked, _ = _read_ask_user(content)
        return tuple([_to_question(call, bytes(raw)) for raw in asked.arguments.questions])
    except MalformedResponse:
        return ()


def _to_question(call: WireToolCall, content: bytes) -> Question:
    wire, problems = _read_question(content)
    labels = [option.label for option in wire.options or ()]
    item: dict[str, Any] = {"type": "string"} if wire.allow_other else {"type": "string", "enum": labels}
    return Question(
        id=f"{call.id}/{wire.id}",
        prompt=wire.question,
        options=tuple(labels),
        response_schema={"type": "array", "items": item} if wire.multi_select else None,
        payload=decode_json(content),
        group=call.id,
        reference=_reference(call, wire),
        source=content,
        problems=problems,
    )


# --- Answers


class Batch(NamedTuple):
    """Answers that are sent together.

    Attributes:
        route: The last part of the path.
        body: The body.
        call_ids: The calls that are answered.
    """

    route: str
    body: dict[str, Any]
    call_ids: list[str]


def check_answers(answers: Sequence[Answer]) -> None:
    """Raise if the backend cannot carry the answers.

    Raises:
        UnsupportedOperation: A denial has a reason, or an approval other arguments.
    """
    for answer in answers:
        if isinstance(answer, Deny) and answer.reason is not None:
            raise UnsupportedOperation(_NO_REASON, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=_NO_REASON)
        if isinstance(answer, Approve) and answer.arguments is not None:
            hint = "Everruns runs an approved call with the agent's arguments"
            raise UnsupportedOperation(hint, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=hint)


def to_batches(answers: Sequence[Answer], pending: Sequence[PendingAction]) -> Sequence[Batch]:
    """The answers as they are sent, if the session waits for these, and for no others of their groups.

    Returns:
        The answers, one batch for each group. Decisions come first, and outputs last: outputs settle the approvals.

    Raises:
        Conflict: It waits for nothing.
        NotFound: It does not wait for one of them.
        UsageError: An answer is not of the kind that is asked for, one of its group is missing, which the server would
            settle, or a question does not allow the reply.
    """
    if not pending:
        raise Conflict("the session waits for nothing: it was answered before, or its turn is over")
    actions = {action.id: action for action in pending}
    given = {answer.action_id: answer for answer in answers}
    unknown = [each for each in given if each not in actions]
    if unknown:
        raise NotFound(f"the session does not wait for {_quoted(unknown)}; it waits for {_quoted(actions)}")
    for each, answer in given.items():
        check_answer_kind(answer, actions[each])
    groups = {actions[each].group for each in given}
    missing = [each for each, action in actions.items() if action.group in groups and each not in given]
    if missing:
        raise UsageError(f"Everruns takes all answers at once; an answer is missing for {_quoted(missing)}")
    grouped: dict[str | None, list[tuple[Answer, WireReference]]] = {}
    for each, answer in given.items():
        note, _ = _read_reference(actions[each].reference.encode())
        grouped.setdefault(actions[each].group, []).append((answer, note))
    return sorted([_to_batch(group) for group in grouped.values()], key=lambda batch: _ROUTES.index(batch.route))


def post_answers(path: str, batches: Sequence[Batch]) -> Flow[None]:
    """Send the answers, batch by batch, again for a short time if the session is not ready for them.

    Args:
        path: Path of the session.
        batches: As `to_batches` gives them.

    Raises:
        Conflict: The session does not wait any more. `already_done` names the answers that were sent before.
    """
    for number, batch in enumerate(batches):
        try:
            yield from _post(batch.route, Call("POST", f"{path}/{batch.route}", body=json_body(batch.body)))
        except PolysessionError as error:
            if number:
                error.already_done = f"answers were sent by {', '.join(sent.route for sent in batches[:number])}"
            raise


def _post(route: str, call: Call) -> Flow[None]:
    for wait_s in BECOMES_READY_S:
        try:
            response = yield call
        except (Conflict, InvalidRequest) as error:
            # Older servers answer 400 where newer ones answer 409; they know no route but that of outputs.
            if error.status not in ({409, 400} if route == _RESULTS else {409}):
                raise
            call = Call(call.method, call.path, body=call.body, after_s=wait_s)
        else:
            read_json_or_nothing(response)
            return
    response = yield call
    read_json_or_nothing(response)


def _to_batch(group: Sequence[tuple[Answer, WireReference]]) -> Batch:
    """The answers of one group, all of one kind."""
    answer, note = group[0]
    call_ids = list(dict.fromkeys(note.call_id for _, note in group))
    match answer:
        case ToolOutput():
            return Batch(_RESULTS, {"tool_results": [_output_body(*each) for each in group]}, call_ids)
        case Reply():
            replies = [_reply_body(answer, note.question) for answer, note in group]
            return Batch(_REPLIES, {"tool_call_id": note.call_id, "answers": replies}, call_ids)
    return Batch(_DECISIONS, {"decisions": [_decision_body(*each) for each in group]}, call_ids)


def _output_body(answer: Answer, note: WireReference) -> dict[str, Any]:
    is_error = isinstance(answer, ToolOutput) and answer.is_error
    content = answer.content if isinstance(answer, ToolOutput) else ""
    return {"tool_call_id": note.call_id, "error" if is_error else "result": content}


def _decision_body(answer: Answer, note: WireReference) -> dict[str, Any]:
    return {"tool_call_id": note.call_id, "decision": "allow" if isinstance(answer, Approve) else "reject"}


def _reply_body(answer: Answer, question: WireQuestion | None) -> dict[str, Any]:
    """The reply to one question: labels that are chosen, text of the person's own, or the name of a stored secret.

    Raises:
        UsageError: The question does not allow the reply.
    """
    if question is None or not isinstance(answer, Reply):
        raise UsageError("a reply answers a question")
    if question.kind == _SECRET:
        return {"id": question.id, "secret_ref": _secret_ref(answer.value, question)}
    values = answer.value if isinstance(answer.value, list) else [answer.value]
    texts = [value for value in values if isinstance(value, str)]
    if not texts or len(texts) < len(values):
        raise UsageError(f"the reply to {question.id!r} must be text, or a list of texts")
    labels = {option.label for option in question.options or ()}
    chosen = [text for text in texts if text in labels]
    others = [text for text in texts if text not in labels]
    if others and not (question.allow_other or question.kind == _FREE_TEXT):
        raise UsageError(f"{others[0]!r} is not an option of {question.id!r}: {_quoted(sorted(labels))}")
    if len(others) > 1 or (len(texts) > 1 and not question.multi_select):
        raise UsageError(f"the question {question.id!r} takes one reply, not {len(texts)}")
    body: dict[str, Any] = {"id": question.id, "selected": chosen}
    return {**body, "other_text": others[0]} if others else body


def _secret_ref(value: object, question: WireQuestion) -> str:
    """The reference to a stored secret: the secret itself is never sent in a reply."""
    expected = f"session:{question.secret_name or ''}"
    if value != expected:
        raise UsageError(
            f"the question {question.id!r} asks for a secret, which is not sent in a reply: store it with PUT"
            f" /v1/sessions/.../storage/secrets as {question.secret_name!r}, then reply {expected!r}"
        )
    return expected


def _quoted(action_ids: Iterable[str]) -> str:
    return ", ".join(map(repr, action_ids))
