"""Pending actions of Everruns sessions, and the answers to them. Pure.

A separate module, because both `events` and `turns` need it. One event can request approvals, client tools and
questions together, and three routes answer them.

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
REASON_STARTED: Final = "reason.started"
READY_WAITS_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between retries.

The event that requests actions arrives before the session accepts the answers.
"""

_TURN_EDGES: Final = frozenset({"turn.started", "turn.completed", "turn.failed", "turn.cancelled", "turn.sealed"})
_CONTINUATIONS: Final = frozenset({INPUT, REASON_STARTED})
_ENDS_OF_WAIT: Final = _TURN_EDGES | {"session.activated", "session.idled", REASON_STARTED}

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
"""Routes for answers, in the order of use.

Results come last, because they end all approvals that still wait.
"""

_NO_REASON: Final = "Everruns accepts no reason for a denial: send the reason as a message after the answer"

_read_approval: Final = decoder(WireApproval)
_read_ask_user: Final = decoder(WireAskUser)
_read_question: Final = decoder(WireQuestion)
_read_reference: Final = decoder(WireReference)


# --- Pending actions


class Waiting:
    """The pending actions of a session, updated with each event.

    Attributes:
        calls: The actions without an answer, by the id of the call that requests them.
        turn_id: Id of the waiting turn.
        is_waiting: Whether a turn waits for answers.
    """

    def __init__(self) -> None:
        self.calls: dict[str, tuple[PendingAction, ...]] = {}
        self.turn_id: str | None = None
        self.is_waiting = False
        self._asked: frozenset[str] = frozenset()
        self._asks_approval = False

    @property
    def actions(self) -> tuple[PendingAction, ...]:
        """The actions without an answer, in order."""
        return tuple(action for actions in self.calls.values() for action in actions)

    @property
    def may_wait_for_rest(self) -> bool:
        """Whether some actions were answered and others not.

        Only the session's status shows whether it still waits.
        """
        return bool(self.calls) and not self.is_waiting

    def ask(self, calls: dict[str, tuple[PendingAction, ...]], turn_id: str | None) -> None:
        """Replace the pending actions by those of a new request."""
        self.calls, self.turn_id = calls, turn_id
        self._asked = frozenset(calls)
        self._asks_approval = self._waits_for_approval()
        self.is_waiting = bool(calls)

    def update(self, kind: str, wire: WireEvent) -> bool:
        """Update the pending actions for an event.

        Returns True if a waiting turn continues with it.
        """
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
        """Return whether the server wrote an input message to describe a decision.

        It ends no wait for other calls. The engine writes the message after each decision, in the context of
        the turn. The server writes it before the decisions, so an input message may be one as long as approvals
        wait.
        """
        if not self._asks_approval:
            return False
        if wire.context is not None and wire.context.turn_id is not None:
            return wire.context.turn_id == self.turn_id
        return self._waits_for_approval()

    def _waits_for_approval(self) -> bool:
        return any(isinstance(action, ToolApproval) for action in self.actions)


def to_actions(call: WireToolCall, content: bytes, round_id: str) -> tuple[PendingAction, ...]:
    """Return the actions that a call in `tool.call_requested` asks for.

    A client tool is one action. An approval is requested by a call that the server generates: its arguments hold the
    waiting call, and its id is the id of that call with a prefix. Each question of an `ask_user` call is an action.
    The approvals of a request are answered together, and so are the outputs, and the questions of one call.

    Args:
        call: The decoded call.
        content: The call's JSON text.
        round_id: Id of the request that the call is part of.
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
    """Return whether the server generated this call to request an approval."""
    return name == _APPROVAL_TOOL and call_id.startswith(_APPROVAL_PREFIX)


def _reference(call: WireToolCall, question: WireQuestion | None = None) -> str:
    return msgspec.json.encode(WireReference(call.id, question)).decode()


def _to_approval(call: WireToolCall, content: bytes, group: str) -> ToolApproval | None:
    """Return the approval that a call requests; None for a client tool that has the same name."""
    try:
        approval, problems = _read_approval(content)
    except MalformedResponse:
        return None
    held = approval.arguments
    if held.code != _APPROVAL_CODE:
        return None
    arguments = held.arguments
    if not isinstance(arguments, dict):
        arguments = {} if arguments is None else {"preview": arguments}  # text that the server truncated
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
    """Return the questions of an `ask_user` call; none for a client tool of the same name."""
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
        route: The last segment of the path.
        body: The JSON body.
        call_ids: Ids of the answered calls.
    """

    route: str
    body: dict[str, Any]
    call_ids: list[str]


def check_answers(answers: Sequence[Answer]) -> None:
    """Raise if the answers have fields that the backend does not accept.

    Raises:
        UnsupportedOperation: A denial has a reason, or an approval has edited arguments.
    """
    for answer in answers:
        if isinstance(answer, Deny) and answer.reason is not None:
            raise UnsupportedOperation(_NO_REASON, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=_NO_REASON)
        if isinstance(answer, Approve) and answer.arguments is not None:
            hint = "Everruns accepts no edited arguments: an approved call runs with the agent's arguments"
            raise UnsupportedOperation(hint, feature=Feature.SESSIONS_ANSWER_APPROVAL.value, hint=hint)


def to_batches(answers: Sequence[Answer], pending: Sequence[PendingAction]) -> Sequence[Batch]:
    """Build the bodies of the answers.

    Args:
        answers: The caller's answers. They must be complete for each group, because the server itself answers the
            missing actions of a group.
        pending: The pending actions.

    Returns:
        One batch for each group. Decisions come first, and outputs last, because outputs end all approvals.

    Raises:
        Conflict: There are no pending actions.
        NotFound: One of the answered actions is not pending.
        UsageError: An answer does not fit the kind of its action, an answer of its group is missing, or a question
            does not allow the reply.
    """
    if not pending:
        raise Conflict("no pending actions: they were already answered, or the turn ended")
    actions = {action.id: action for action in pending}
    given = {answer.action_id: answer for answer in answers}
    unknown = [each for each in given if each not in actions]
    if unknown:
        raise NotFound(f"not pending: {_quoted(unknown)}; the session waits for answers to {_quoted(actions)}")
    for each, answer in given.items():
        check_answer_kind(answer, actions[each])
    groups = {actions[each].group for each in given}
    missing = [each for each, action in actions.items() if action.group in groups and each not in given]
    if missing:
        raise UsageError(f"Everruns needs all answers of a request together: also answer {_quoted(missing)}")
    grouped: dict[str | None, list[tuple[Answer, WireReference]]] = {}
    for each, answer in given.items():
        note, _ = _read_reference(actions[each].reference.encode())
        grouped.setdefault(actions[each].group, []).append((answer, note))
    return sorted([_to_batch(group) for group in grouped.values()], key=lambda batch: _ROUTES.index(batch.route))


def post_answers(path: str, batches: Sequence[Batch]) -> Flow[None]:
    """Send the batches of answers.

    A batch is retried for a few seconds if the session does not accept answers yet.

    Args:
        path: Path of the session.
        batches: The batches of `to_batches`.

    Raises:
        Conflict: The session no longer waits. `already_done` names the routes of the batches that were sent.
    """
    for number, batch in enumerate(batches):
        try:
            yield from _post(batch.route, Call("POST", f"{path}/{batch.route}", body=json_body(batch.body)))
        except PolysessionError as error:
            if number:
                error.already_done = f"answers were sent to {', '.join(sent.route for sent in batches[:number])}"
            raise


def _post(route: str, call: Call) -> Flow[None]:
    for wait_s in READY_WAITS_S:
        try:
            response = yield call
        except (Conflict, InvalidRequest) as error:
            # Older servers return 400 instead of 409; they only have the route for outputs.
            if error.status not in ({409, 400} if route == _RESULTS else {409}):
                raise
            call = Call(call.method, call.path, body=call.body, after_s=wait_s)
        else:
            read_json_or_nothing(response)
            return
    response = yield call
    read_json_or_nothing(response)


def _to_batch(group: Sequence[tuple[Answer, WireReference]]) -> Batch:
    """Build the batch for the answers of one group, which are all of one kind."""
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
    """Build the reply to one question: chosen labels, the user's text, or a secret's reference.

    Raises:
        UsageError: The question does not allow the reply.
    """
    if question is None or not isinstance(answer, Reply):
        raise UsageError(f"action {answer.action_id!r} is not a question, so it cannot be answered with a Reply")
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
        raise UsageError(f"{others[0]!r} is not an option of {question.id!r}; choose from {_quoted(sorted(labels))}")
    if len(others) > 1 or (len(texts) > 1 and not question.multi_select):
        raise UsageError(f"the question {question.id!r} accepts one value, not {len(texts)}")
    body: dict[str, Any] = {"id": question.id, "selected": chosen}
    return {**body, "other_text": others[0]} if others else body


def _secret_ref(value: object, question: WireQuestion) -> str:
    """Check and return the reference to a stored secret.

    A reply never contains the secret itself.
    """
    expected = f"session:{question.secret_name or ''}"
    if value != expected:
        raise UsageError(
            f"the question {question.id!r} asks for a secret, which a reply must not contain: store it as"
            f" {question.secret_name!r} with PUT /v1/sessions/.../storage/secrets, then reply {expected!r}"
        )
    return expected


def _quoted(action_ids: Iterable[str]) -> str:
    return ", ".join(map(repr, action_ids))
