"""How turns end and what a session waits for, read from its events. Pure.

A session is its events: the server has no status, no list of what is pending, and no mark at the end of a turn.

Backend: https://google.github.io/adk-docs/tools-custom/confirmation/ and
https://google.github.io/adk-docs/runtime/resume/ (read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from polysession.provider_api import (
    ActionRequired,
    ErrorDetail,
    Event,
    Outcome,
    PendingAction,
    Question,
    RawBlock,
    ToolApproval,
    ToolCallBlock,
    ToolExecution,
    TurnEnded,
    TurnStarted,
    Usage,
    add_usage,
)
from polysession_adk.events import ABORTED, USER, EventReader, Part, Received, to_failure, to_usage
from polysession_adk.wire import WireSession

CREDENTIAL: Final = "adk_request_credential"
_CONFIRMATION: Final = "adk_request_confirmation"
_INPUT: Final = "adk_request_input"
_LIMITS: Final = frozenset({"MAX_TOKENS", "LlmCallsLimitExceededError"})
_NO_END: Final = "the connection broke, which ends the turn, and the server stored no end of it"


class Rest(Enum):
    """Whether an agent rests after an event: it has answered, it waits for the caller, or it continues."""

    NO = "no"
    WAITING = "waiting"
    ANSWERED = "answered"


class Waiting(NamedTuple):
    """An action that a session waits for.

    Attributes:
        action: The action.
        function: Name of the function to respond to.
        turn_id: The invocation that it belongs to.
    """

    action: PendingAction
    function: str
    turn_id: str | None


class Turn:
    """The end of one turn, as its events show it.

    Attributes:
        id: Its invocation; None until an event names it.
        waiting: What it waits for, by the id of the call.
    """

    def __init__(self, waiting: Iterable[Waiting] = ()) -> None:
        self.id: str | None = None
        self.waiting = {each.action.id: each for each in waiting}
        self._noted: set[str | None] = {None}  # ids of whole events
        self._usage: Usage | None = None
        self._finish_reason = ""
        self._failure: ErrorDetail | None = None
        self._is_aborted = False
        self._agents: set[str | None] = set()
        self._speaking: set[str | None] = set()  # agents whose message is not whole
        self._working: set[str] = set()  # calls of tools without a result
        self._rest = Rest.NO

    @property
    def is_settled(self) -> bool:
        """Whether it failed or was aborted."""
        return self._is_aborted or self._failure is not None

    @property
    def is_closed(self) -> bool:
        """Whether it may be over. Where agents follow each other, each says a last word."""
        return self.is_settled or self._rest is not Rest.NO

    @property
    def is_broken_off(self) -> bool:
        """Whether something must follow: the rest of a message, or the result of a tool."""
        return not self.is_settled and bool(self._speaking or self._working)

    @property
    def is_unfinished(self) -> bool:
        """Whether something should follow: also what the agent makes of the result of a tool."""
        return self.is_broken_off or (bool(self._agents) and not self.is_closed)

    @property
    def is_complete(self) -> bool:
        """Whether all of it was read, although the end of the body was not: its only agent has answered, or waits."""
        return len(self._agents) == 1 and self._rest is not Rest.NO

    @property
    def has_answered(self) -> bool:
        """Whether it is complete, and an abort would change nothing: it closes what waits."""
        return self.is_complete and self._rest is Rest.ANSWERED

    def note(self, received: Received) -> None:
        """Take in one event. A whole event counts once, however often it is noted."""
        wire = received.wire
        self.id = self.id or wire.invocation_id
        if wire.partial:
            self._speaking.add(wire.author)
        elif wire.error is not None or wire.id not in self._noted:
            self._noted.add(wire.id)
            note_waiting(self.waiting, received)
            self._is_aborted = self._is_aborted or wire.error_code == ABORTED
            if wire.author != USER and wire.error_code != ABORTED:
                self._note_agent(received)

    def _note_agent(self, received: Received) -> None:
        wire = received.wire
        self._usage = add_usage(self._usage, to_usage(wire.usage_metadata))
        self._finish_reason = wire.finish_reason or self._finish_reason
        failure = to_failure(wire)
        if failure is not None or wire.content is not None:
            self._failure = failure  # an agent without a model may continue after an error
        if wire.content is not None:
            self._agents.add(wire.author)
            self._speaking.discard(wire.author)
            self._working |= set(received.calls) - set(wire.long_running_tool_ids or ())
            self._working -= set(received.results)
            self._rest = _rest_of(received)

    def end(self, session_id: str, *, is_cut: bool = False) -> tuple[Event, ...]:
        """The events of its end.

        Args:
            session_id: The session.
            is_cut: Whether its connection broke, and the server stored no end of it.
        """
        outcome, reason, error = (Outcome.FAILED, "", _NO_END) if is_cut else self._outcome()
        envelope: dict[str, Any] = {"session_id": session_id, "turn_id": self.id, "synthetic": True}
        ended = TurnEnded(outcome=outcome, native_reason=reason, usage=self._usage, error=error, **envelope)
        if outcome is not Outcome.REQUIRES_ACTION:
            return (ended,)
        return ActionRequired(actions=tuple([each.action for each in self.waiting.values()]), **envelope), ended

    def _outcome(self) -> tuple[Outcome, str, str | None]:
        """How it ended, the server's word for it, and what went wrong."""
        if self._failure is not None:
            code = self._failure.code or ""
            if code in _LIMITS:
                return Outcome.LIMIT_REACHED, code, None
            return Outcome.FAILED, code, self._failure.message
        if self._is_aborted and not self.has_answered:
            return Outcome.CANCELLED, ABORTED, None
        if self._finish_reason in _LIMITS:
            return Outcome.LIMIT_REACHED, self._finish_reason, None
        if self.waiting:
            return Outcome.REQUIRES_ACTION, "", None
        return Outcome.COMPLETED, self._finish_reason, None


class History:
    """The stored events of a session, oldest first.

    Attributes:
        waiting: What the session waits for, by the id of the call.
        usage: Consumption of the session; None if the server does not report it.
    """

    def __init__(self, session_id: str) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.usage: Usage | None = None
        self._session_id = session_id
        self._reader = EventReader(session_id)
        self._open: dict[str | None, Turn] = {}  # turns whose end was not delivered, by invocation
        self._last: Turn | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the last turn may be over. If not, it runs, or it died: the server does not tell which."""
        return self._last is None or self._last.is_closed

    def take(self, content: bytes) -> Received:
        """Take in the next event.

        Returns:
            The event. Its `events` include the ends of turns before it, and the start of its own.
        """
        received = self._reader.read(content)
        self.usage = add_usage(self.usage, to_usage(received.wire.usage_metadata))
        return received._replace(events=(*self._follow(received), *received.events))

    def settle(self, *, certain: bool = False) -> tuple[Event, ...]:
        """The ends of the turns that are over, if nothing follows. Each is delivered once.

        Args:
            certain: Only of those that failed or were aborted; the others may continue with another agent.
        """
        over = [key for key, turn in self._open.items() if turn.is_settled or (turn.is_closed and not certain)]
        return tuple([event for key in over for event in self._open.pop(key).end(self._session_id)])

    def _follow(self, received: Received) -> Iterator[Event]:
        """Follow turns: a message or an answer of the user's starts one, and what is closed by then is over."""
        wire = received.wire
        is_input = wire.author == USER and wire.content is not None
        if is_input:
            yield from self.settle()
        note_waiting(self.waiting, received)
        if is_input or (wire.author != USER and wire.invocation_id not in (None, *self._open)):
            self._open[wire.invocation_id] = Turn(self.waiting.values() if is_input and received.results else ())
            yield TurnStarted(
                session_id=self._session_id, turn_id=wire.invocation_id, created_at=wire.timestamp, synthetic=True
            )
        if wire.invocation_id in self._open:
            self._last = self._open[wire.invocation_id]
            self._last.note(received)


def read_history(session: WireSession) -> History:
    """The history of a session, whole."""
    history = History(session.id)
    for raw in session.events or ():
        history.take(bytes(raw))
    return history


def note_waiting(waiting: dict[str, Waiting], received: Received) -> None:
    """Note what an event asks for, and what it answers. The agent's own response to a waiting call answers nothing."""
    wire = received.wire
    if wire.author == USER or wire.error_code == ABORTED:
        for call_id in received.results:
            waiting.pop(call_id, None)
    for call_id, part in received.calls.items():
        if call_id in (wire.long_running_tool_ids or ()):
            waiting[call_id] = Waiting(_to_action(part, wire.author), part.function, wire.invocation_id)


def _rest_of(received: Received) -> Rest:
    """Whether the event may be the last of its agent, by the server's own rule.

    Backend: https://google.github.io/adk-docs/events/, "Identifying final responses" (read 2026-11)
    """
    actions, parts = received.wire.actions, received.parts
    if received.wire.long_running_tool_ids or (actions.skip_summarization and actions.requested_tool_confirmations):
        return Rest.WAITING
    if actions.skip_summarization:
        return Rest.ANSWERED
    last = parts[-1].block if parts else None
    has_run_code = isinstance(last, RawBlock) and "codeExecutionResult" in last.payload
    return Rest.NO if received.calls or received.results or has_run_code else Rest.ANSWERED


def _to_action(part: Part, author: str | None) -> PendingAction:
    arguments = part.block.arguments if isinstance(part.block, ToolCallBlock) else {}
    common = {"id": part.function_id, "author": author, "source": part.source}
    if part.function == _CONFIRMATION:
        called = _object(arguments.get("originalFunctionCall"))
        name = called.get("name")
        return ToolApproval(name=name if isinstance(name, str) else "", arguments=_object(called.get("args")), **common)
    if part.function == _INPUT:
        return _to_question(arguments, common)
    return ToolExecution(name=part.function, arguments=arguments, **common)


def _to_question(arguments: Mapping[str, Any], common: dict[str, Any]) -> Question:
    message, schema = arguments.get("message"), arguments.get("response_schema")
    choices = _object(schema).get("enum")
    options = choices if isinstance(choices, list) and all(isinstance(each, str) for each in choices) else ()
    return Question(
        prompt=message if isinstance(message, str) else "",
        options=tuple(options),
        response_schema=schema if isinstance(schema, dict) else None,
        payload=arguments,
        **common,
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
