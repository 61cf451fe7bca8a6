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
    Event,
    Outcome,
    PendingAction,
    Question,
    RawBlock,
    ToolApproval,
    ToolCallBlock,
    ToolExecution,
    ToolResultBlock,
    TurnEnded,
    TurnStarted,
    Usage,
)
from polysession_adk.events import ABORTED, USER, EventReader, Failure, Part, Received, to_failure, to_usage
from polysession_adk.wire import WireActions, WireEvent, WireSession

CREDENTIAL: Final = "adk_request_credential"
_CONFIRMATION: Final = "adk_request_confirmation"
_INPUT: Final = "adk_request_input"
_LIMITS: Final = frozenset({"MAX_TOKENS", "LlmCallsLimitExceededError"})


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
        self._usages: dict[str | None, Usage] = {}
        self._agents: set[str | None] = set()
        self._finish_reason = ""
        self._failure: Failure | None = None
        self._is_aborted = False
        self._is_speaking = False
        self._working: set[str] = set()  # calls of tools without a result
        self._rests = Rest.NO

    @property
    def is_settled(self) -> bool:
        """Whether it failed or was aborted."""
        return self._is_aborted or self._failure is not None

    @property
    def is_closed(self) -> bool:
        """Whether it may be over. Where agents follow each other, each says a last word."""
        return self.is_settled or self._rests is not Rest.NO

    @property
    def is_unfinished(self) -> bool:
        """Whether something should follow: also what the agent makes of the result of a tool."""
        return self.is_broken_off or (bool(self._agents) and not self.is_closed)

    @property
    def is_broken_off(self) -> bool:
        """Whether something must follow: the rest of a message, or the result of a tool."""
        return not self.is_settled and (self._is_speaking or bool(self._working))

    @property
    def is_complete(self) -> bool:
        """Whether all of it was read, although the end of the body was not: its only agent has answered, or waits."""
        if len(self._agents) != 1:
            return False
        waits = self._rests is Rest.WAITING and bool(self.waiting) and not self._is_aborted
        return waits or self._rests is Rest.ANSWERED

    def note(self, received: Received) -> None:
        """Take in one event. A whole event counts once, however often it is noted."""
        wire = received.wire
        self.id = self.id or wire.invocation_id
        if wire.partial:
            self._is_speaking = True
            return
        if wire.author == USER or wire.error_code == ABORTED:
            for call_id in answered_calls(received):
                self.waiting.pop(call_id, None)
        if wire.error_code == ABORTED:
            self._is_aborted = True
        elif wire.author != USER:
            self._note_agent(received)

    def _note_agent(self, received: Received) -> None:
        wire = received.wire
        if (usage := to_usage(wire.usage_metadata)) is not None:
            self._usages[wire.id] = usage
        self._finish_reason = wire.finish_reason or self._finish_reason
        failure = to_failure(wire)
        if failure is not None or wire.content is not None:
            self._failure = failure  # an agent without a model may continue after an error
        if wire.content is not None:
            self._is_speaking = False
            self._agents.add(wire.author)
            self._rests = _rest_of(received)
        asked = {each.action.id: each for each in waiting_calls(received)}
        calls = {part.function_id for part in received.parts if isinstance(part.block, ToolCallBlock)}
        self._working = (self._working | calls - asked.keys()) - set(answered_calls(received))
        self.waiting |= asked

    def end(self, session_id: str) -> tuple[Event, ...]:
        """The events of its end."""
        outcome, reason = self._outcome()
        error = self._failure.message if self._failure and outcome is Outcome.FAILED else None
        ended = TurnEnded(
            session_id=session_id,
            turn_id=self.id,
            outcome=outcome,
            native_reason=reason,
            usage=self._usage(),
            error=error,
            synthetic=True,
        )
        if outcome is not Outcome.REQUIRES_ACTION:
            return (ended,)
        actions = tuple([each.action for each in self.waiting.values()])
        asked = ActionRequired(session_id=session_id, turn_id=self.id, actions=actions, synthetic=True)
        return asked, ended

    def cut(self, session_id: str) -> tuple[Event, ...]:
        """The end of a turn whose connection broke and whose end the server did not store."""
        ended = TurnEnded(
            session_id=session_id,
            turn_id=self.id,
            outcome=Outcome.FAILED,
            usage=self._usage(),
            error="the connection broke, which ends the turn, and the server stored no end of it",
            synthetic=True,
        )
        return (ended,)

    def _outcome(self) -> tuple[Outcome, str]:
        """How it ended, and the server's word for it."""
        failed_by = (self._failure and self._failure.code) or ""
        if failed_by in _LIMITS:
            return Outcome.LIMIT_REACHED, failed_by
        if self._failure is not None:
            return Outcome.FAILED, failed_by
        if self._is_aborted and not self.is_complete:
            return Outcome.CANCELLED, ABORTED
        if self._finish_reason in _LIMITS:
            return Outcome.LIMIT_REACHED, self._finish_reason
        if self.waiting:
            return Outcome.REQUIRES_ACTION, ""
        return Outcome.COMPLETED, self._finish_reason

    def _usage(self) -> Usage | None:
        return add_usages(self._usages.values())


class History:
    """The stored events of a session, oldest first.

    Attributes:
        waiting: What the session waits for, by the id of the call.
    """

    def __init__(self, session_id: str) -> None:
        self.waiting: dict[str, Waiting] = {}
        self._session_id = session_id
        self._reader = EventReader(session_id)
        self._open: dict[str | None, Turn] = {}  # turns whose end was not delivered, by invocation
        self._last: Turn | None = None
        self._usages: list[Usage] = []

    @property
    def is_idle(self) -> bool:
        """Whether the last turn may be over. If not, it runs, or it died: the server does not tell which."""
        return self._last is None or self._last.is_closed

    @property
    def usage(self) -> Usage | None:
        """Consumption of the session; None if the server does not report it."""
        return add_usages(self._usages)

    def take(self, content: bytes) -> Received:
        """Take in the next event.

        Returns:
            The event. Its `events` include the ends of turns before it, and the start of its own.
        """
        received = self._reader.read(content)
        around = tuple(self._follow(received))
        if (usage := to_usage(received.wire.usage_metadata)) is not None:
            self._usages.append(usage)
        return received._replace(events=around + received.events)

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
        turn = self._open.get(wire.invocation_id)
        starts = wire.content is not None if wire.author == USER else turn is None
        if starts and wire.author == USER:
            yield from self.settle()
        answered = answered_calls(received) if wire.author == USER or wire.error_code == ABORTED else ()
        for call_id in answered:
            self.waiting.pop(call_id, None)
        if starts:
            turn = self._open[wire.invocation_id] = Turn(self.waiting.values() if answered else ())
            yield TurnStarted(
                session_id=self._session_id, turn_id=wire.invocation_id, created_at=wire.timestamp, synthetic=True
            )
        self.waiting |= {each.action.id: each for each in waiting_calls(received)}
        if turn is not None:
            turn.note(received)
            self._last = turn


def read_history(session_id: str, session: WireSession) -> History:
    """The history of a session, whole."""
    history = History(session_id)
    for raw in session.events or ():
        history.take(bytes(raw))
    return history


def add_usages(usages: Iterable[Usage]) -> Usage | None:
    """The sum of the counters that any of them has; None if there are none."""
    dumped = [usage.model_dump(exclude_none=True) for usage in usages]
    if not dumped:
        return None
    names = {name for each in dumped for name in each}
    return Usage(**{name: sum(each.get(name, 0) for each in dumped) for name in names})


def waiting_calls(received: Received) -> tuple[Waiting, ...]:
    """The pending actions of an event."""
    ids = received.wire.long_running_tool_ids or ()
    return tuple(
        [
            Waiting(_to_action(part, received.wire), part.function, received.wire.invocation_id)
            for part in received.parts
            if isinstance(part.block, ToolCallBlock) and part.function_id in ids and not received.wire.partial
        ]
    )


def answered_calls(received: Received) -> tuple[str, ...]:
    """Ids of the calls that an event responds to."""
    return tuple([part.function_id for part in received.parts if isinstance(part.block, ToolResultBlock)])


def _rest_of(received: Received) -> Rest:
    """Whether the event may be the last of its agent, by the server's own rule.

    Backend: https://google.github.io/adk-docs/events/, "Identifying final responses" (read 2026-11)
    """
    actions, blocks = received.wire.actions or WireActions(), [part.block for part in received.parts]
    if received.wire.long_running_tool_ids or (actions.skip_summarization and actions.requested_tool_confirmations):
        return Rest.WAITING
    if actions.skip_summarization:
        return Rest.ANSWERED
    uses_tools = any(isinstance(block, ToolCallBlock | ToolResultBlock) for block in blocks)
    has_run_code = bool(blocks) and isinstance(blocks[-1], RawBlock) and "codeExecutionResult" in blocks[-1].payload
    return Rest.NO if uses_tools or has_run_code else Rest.ANSWERED


def _to_action(part: Part, wire: WireEvent) -> PendingAction:
    arguments = part.block.arguments if isinstance(part.block, ToolCallBlock) else {}
    common = {"id": part.function_id, "author": wire.author, "source": part.source}
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
