"""Turns, their ends and the pending actions of a session, derived from its events.

A separate module, because the server only has events: no status, no list of pending actions, and no end of a turn.

Backend: https://google.github.io/adk-docs/tools-custom/confirmation/ and
https://google.github.io/adk-docs/runtime/resume/ (read 2026-11), google-adk 2.13.0, 2.10.0 and 1.39.1
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from polysession import provider_api as api
from polysession.provider_api import ErrorDetail, Event, Outcome, PendingAction, SessionStatus
from polysession_adk.events import ABORTED, USER, EventReader, Received, to_failure, to_usage
from polysession_adk.wire import WireEvent, WireFunction, WireSession, decode_event, read_request

CREDENTIAL: Final = "adk_request_credential"
CONFIRMATION: Final = "adk_request_confirmation"
INPUT: Final = "adk_request_input"
_LIMITS: Final = frozenset({"MAX_TOKENS", "LlmCallsLimitExceededError"})
_NO_END: Final = "the connection broke: the server aborts the turn, and it stored no result"

Stored: TypeAlias = Sequence[tuple[WireEvent, bytes]]
"""The stored events of a session, oldest first, each as a struct and as JSON text."""


def read_stored(session: WireSession) -> Stored:
    """Return the stored events of a session.

    JSON that is not an object becomes an event without members.
    """
    return [(decode_event(bytes(raw)), bytes(raw)) for raw in session.events or ()]


class Turn:
    """State of one turn, derived from its events.

    Attributes:
        id: Id of its invocation; None until an event has it.
        waiting: Its pending actions, by the id of the call.
    """

    def __init__(self, waiting: Iterable[PendingAction] = ()) -> None:
        self.id: str | None = None
        self.waiting = {action.id: action for action in waiting}
        self._usage: api.Usage | None = None
        self._finish_reason = ""
        self._failure: ErrorDetail | None = None
        self._is_aborted = False
        self._agents: set[str | None] = set()
        self._unfinished: set[str | None] = set()  # agents with an incomplete message, and calls without a result
        self._is_final = True  # whether the last event may be the last of its agent

    @property
    def was_stopped(self) -> bool:
        """Whether it failed or was aborted."""
        return self._is_aborted or self._failure is not None

    @property
    def is_incomplete(self) -> bool:
        """Whether an event is missing: the rest of a message, or the result of a tool."""
        return bool(self._unfinished) and not self.was_stopped

    @property
    def may_have_ended(self) -> bool:
        """Whether it may have ended. It is not certain: another agent may follow."""
        return self.was_stopped or self._is_final

    @property
    def has_ended(self) -> bool:
        """Whether it has certainly ended, even if the body was cut.

        It has if its only agent answered or waits.
        """
        return self.was_stopped or (self._is_final and len(self._agents) == 1)

    def add(self, received: Received) -> None:
        """Add one event."""
        wire = received.wire
        self.id = self.id or wire.invocation_id
        if wire.partial:
            self._unfinished.add(wire.author)
            return
        if wire.error_code == ABORTED:
            self._is_aborted = bool(self.waiting) or not self.has_ended
        elif wire.author != USER:
            self._add_of_agent(received)
        else:
            self._is_final = False
        update_waiting(self.waiting, received)

    def _add_of_agent(self, received: Received) -> None:
        wire = received.wire
        self._usage = api.add_usage(self._usage, to_usage(wire.usage_metadata))
        self._finish_reason = wire.finish_reason or self._finish_reason
        failure = to_failure(wire)
        if failure is not None or wire.content is not None:
            self._failure = failure  # an agent without a model may continue after an error
        if wire.content is not None:
            self._agents.add(wire.author)
            self._unfinished |= received.calls.keys() - set(wire.long_running_tool_ids or ())
            self._unfinished -= {wire.author, *received.results}
            self._is_final = _is_final(received)

    def end(self, session_id: str, *, is_cut: bool = False) -> tuple[Event, ...]:
        """Return the events of its end.

        Args:
            session_id: Id of the session.
            is_cut: Whether the connection broke and the server stored no end of the turn.
        """
        outcome, reason, error = (Outcome.FAILED, "", _NO_END) if is_cut else self._outcome()
        envelope: dict[str, Any] = {"session_id": session_id, "turn_id": self.id, "synthetic": True}
        ended = api.TurnEnded(outcome=outcome, native_reason=reason, usage=self._usage, error=error, **envelope)
        if outcome is not Outcome.REQUIRES_ACTION:
            return (ended,)
        return api.ActionRequired(actions=tuple(self.waiting.values()), **envelope), ended

    def _outcome(self) -> tuple[Outcome, str, str | None]:
        """Return the outcome, the server's name of it, and the error."""
        failure = self._failure
        reason = self._finish_reason if failure is None else failure.code or ""
        if self._is_aborted and failure is None:
            return Outcome.CANCELLED, ABORTED, None
        if reason in _LIMITS:
            return Outcome.LIMIT_REACHED, reason, None
        if failure is not None:
            return Outcome.FAILED, reason, failure.message
        return (Outcome.REQUIRES_ACTION, "", None) if self.waiting else (Outcome.COMPLETED, reason, None)


class History:
    """The stored events of a session, oldest first.

    Attributes:
        waiting: The pending actions of the session, by the id of the call.
        usage: Usage of the session; None if the server does not report it.
    """

    def __init__(self, session_id: str, stored: Stored = ()) -> None:
        self.waiting: dict[str, PendingAction] = {}
        self.usage: api.Usage | None = None
        self._session_id = session_id
        self._reader = EventReader(session_id)
        self._known: set[str | bytes] = set()
        self._open: dict[str | None, Turn] = {}  # turns whose end was not delivered, by invocation
        self._last = Turn()
        self.update(stored)

    @property
    def status(self) -> SessionStatus:
        """Status derived from the events.

        A turn without an end is unknown: it may run, or the server was restarted.
        """
        if self.waiting:
            return SessionStatus.REQUIRES_ACTION
        return SessionStatus.IDLE if self._last.may_have_ended else SessionStatus.UNKNOWN

    def update(self, stored: Stored) -> list[Received]:
        """Add the new stored events.

        They are recognised by their ids, because they may be stored between older ones.

        Returns:
            The new events. The start of a turn comes with its first event, and its end before the next input.
        """
        new = [(wire.id or content, content) for wire, content in stored if (wire.id or content) not in self._known]
        self._known.update(key for key, _ in new)
        return [received for _, content in new for received in self._take(content)]

    def end_turns(self) -> list[Received]:
        """End the turns that may have ended.

        Call it when no event follows. Each end is returned once.
        """
        ended = [key for key, turn in self._open.items() if turn.may_have_ended]
        ends = tuple([event for key in ended for event in self._open.pop(key).end(self._session_id)])
        return [Received(WireEvent(), events=ends)] if ends else []

    def _take(self, content: bytes) -> list[Received]:
        received = self._reader.read(content)
        wire = received.wire
        is_input = wire.author == USER and wire.content is not None
        ends = self.end_turns() if is_input else []
        self.usage = api.add_usage(self.usage, to_usage(wire.usage_metadata))
        update_waiting(self.waiting, received)
        if is_input or (wire.author != USER and wire.invocation_id not in (None, *self._open)):
            self._open[wire.invocation_id] = Turn(self.waiting.values() if is_input and received.results else ())
            envelope = {"session_id": self._session_id, "turn_id": wire.invocation_id, "created_at": wire.timestamp}
            started = api.TurnStarted(synthetic=True, **envelope)
            received = received._replace(events=(started, *received.events))
        if wire.invocation_id in self._open:
            self._last = self._open[wire.invocation_id]
            self._last.add(received)
        return [*ends, received]


def update_waiting(waiting: dict[str, PendingAction], received: Received) -> None:
    """Add the actions that an event requests, and remove those that it answers.

    The agent's response to a waiting call is a placeholder, and does not answer it.
    """
    wire = received.wire
    if wire.author == USER or wire.error_code == ABORTED:
        for call_id in received.results:
            waiting.pop(call_id, None)
    for call, source in received.calls.values():
        if call.id in (wire.long_running_tool_ids or ()):
            waiting[call.id] = _to_action(wire, call, source)


def _is_final(received: Received) -> bool:
    """Whether the event may be the last of its agent, by the server's rule.

    Backend: https://google.github.io/adk-docs/events/, "Identifying final responses" (read 2026-11)
    """
    wire, parts = received.wire, received.parts
    if wire.long_running_tool_ids or wire.actions.skip_summarization:
        return True
    has_run_code = bool(parts) and parts[-1][0].code_execution_result is not None
    return not (received.calls or received.results or has_run_code)


def _to_action(wire: WireEvent, call: WireFunction, source: bytes) -> PendingAction:
    arguments = call.args or {}
    common = {"id": call.id, "author": wire.author, "reference": wire.invocation_id or "", "source": source}
    if call.name not in (CONFIRMATION, INPUT):
        return api.ToolExecution(name=call.name, arguments=arguments, **common)
    request, _ = read_request(api.json_body(arguments))
    if call.name == CONFIRMATION:
        called = request.original_function_call
        return api.ToolApproval(name=called.name, arguments=called.args or {}, **common)
    schema = request.response_schema
    options = (schema or {}).get("enum")
    return api.Question(
        prompt=request.message,
        options=tuple(options) if isinstance(options, list) and all(isinstance(each, str) for each in options) else (),
        response_schema=schema,
        payload=arguments,
        **common,
    )
