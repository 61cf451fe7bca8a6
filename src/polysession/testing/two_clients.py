"""Two clients on one session at once, in fixed interleavings: neither receives or disturbs the other's turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pytest

from polysession import (
    Client,
    Conflict,
    Event,
    Feature,
    MessageCompleted,
    NotFound,
    Outcome,
    PolysessionError,
    Role,
    Session,
    WhenBusy,
)
from polysession.observing import RequestSent, hookimpl
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.faces import Face
from polysession.testing.marks import covers
from polysession.testing.page_answers import answer_to
from polysession.testing.turns import check_each_once

INTERLEAVINGS: Final = {
    "one after the other": ("open 1", "read 1", "open 2", "read 2"),
    "both open, then both read": ("open 1", "open 2", "read 1", "read 2"),
    "the first is read last": ("open 1", "open 2", "read 2", "read 1"),
    "the second comes while the first speaks": ("open 1", "begin 1", "open 2", "read 2", "read 1"),
}


class _Turns(contextlib.ExitStack):
    """Two turns that are opened and read in steps, and closed at the end.

    Args:
        first: The turn with the number 1 in the steps.
        second: The turn with the number 2 in the steps.
        working: Type of the event that shows the agent at work: `begin 1` reads up to it.

    Attributes:
        events: The events of each turn.
        errors: The error of each turn that ended in an error.
    """

    def __init__(self, first: Any, second: Any, working: str) -> None:
        super().__init__()
        self._working = working
        self._turns = {"1": first, "2": second}
        self.events: dict[str, list[Event]] = {"1": [], "2": []}
        self.errors: dict[str, PolysessionError] = {}

    def step(self, words: str) -> None:
        """Take a step. An error of a turn is kept, and later steps of this turn do nothing."""
        word, _, number = words.partition(" ")
        turn, events = self._turns[number], self.events[number]
        if number in self.errors:
            return
        try:
            if word == "open":
                self.enter_context(turn)
            elif word == "begin":
                while not (events and events[-1].type == self._working):
                    events.append(next(turn))
            else:
                events.extend(turn)
        except PolysessionError as error:
            self.errors[number] = error

    def outcome(self, number: str) -> Outcome:
        """Return the outcome of a turn that was read to its end."""
        outcome: Outcome = self._turns[number].result.outcome
        return outcome


class _BeforeInput:
    """An observer that calls a function once, before the first write of a turn.

    Attributes:
        is_done: Whether the function has returned.
    """

    def __init__(self, act: Callable[[], object]) -> None:
        self._act: Callable[[], object] | None = act
        self.is_done = False

    @hookimpl
    def polysession_before_request(self, request: RequestSent) -> None:
        """Call the function if the request is the first write."""
        if self._act is not None and request.method != "GET":
            act, self._act = self._act, None
            act()
            self.is_done = True


class TwoClientsContract(ContractBase):
    """Each client follows its own turn, and sees the effects of the other's actions."""

    @pytest.fixture
    def other(self, face: Face, backend: Backend) -> Iterator[Client]:
        """A second client."""
        with self.open(face, backend.settings) as other:
            yield other

    @covers(Feature.SESSIONS_RUN)
    @pytest.mark.parametrize("steps", INTERLEAVINGS)
    def test_two_turns_of_two_clients_are_distinguished(
        self, client: Client, other: Client, backend: Backend, session: Session, steps: str
    ) -> None:
        first, second = self.script.steady, self.script.plain
        alone = {
            number: answers_in(self.run(client, self.new_session(client, backend), said)[0])
            for number, said in (("1", first), ("2", second))
        }
        assert all(alone.values()), "a turn has no answer that identifies it"
        with _Turns(
            client.sessions.run(session, first, deadline_s=self.patience_s),
            other.sessions.run(session, second, deadline_s=self.patience_s),
            self.working,
        ) as turns:
            for step in INTERLEAVINGS[steps]:
                turns.step(step)
            for number, own in alone.items():
                self.check_turn(turns, number, own)

        assert len(turns.errors) < len(alone), "none of the turns was run"
        assert turns.errors == {} or steps != "one after the other"

    @covers(Feature.SESSIONS_RUN)
    def test_a_turn_that_runs_before_our_input_is_not_ours(
        self, face: Face, client: Client, backend: Backend, session: Session
    ) -> None:
        """A stream that is separate from the input is already open, and receives all events of the other turn."""
        alone = answers_in(self.run(client, self.new_session(client, backend), self.script.plain)[0])
        with self.open(Face.SYNC, backend.settings) as first:
            before = _BeforeInput(lambda: self.run(first, session, self.script.steady))
            with self.open(face, backend.settings, observers=[before]) as second:
                events, result = self.run(second, session, self.script.plain)

        assert before.is_done, "the other turn was not run"
        assert result.outcome is Outcome.COMPLETED
        assert answers_in(events) == alone
        assert [event.type for event in events].count("turn.started") == 1

    def check_turn(self, turns: _Turns, number: str, own: list[str]) -> None:
        """Check that a turn was refused, or has no message of the other client's turn."""
        busy = self.declared().when_busy
        if number in turns.errors:
            error = turns.errors[number]
            assert busy is not WhenBusy.QUEUED, f"turn {number} should have waited: {error!r}"
            assert isinstance(error, Conflict) or busy is not WhenBusy.REFUSED, repr(error)
            return
        check_each_once(turns.events[number])
        assert [event.type for event in turns.events[number]].count("turn.ended") == 1
        if busy in {WhenBusy.REFUSED, WhenBusy.QUEUED}:
            assert turns.outcome(number) is Outcome.COMPLETED
            assert answers_in(turns.events[number]) == own

    @covers(Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TITLE, Feature.SESSIONS_UPDATE_METADATA)
    def test_changes_of_two_clients_are_both_kept(self, client: Client, other: Client, session: Session) -> None:
        other.sessions.update(session, metadata={"team": "red"})
        client.sessions.update(session, title="Done")
        seen = other.sessions.update(session, metadata={"priority": "high"})

        assert seen.title == "Done"
        assert {"team": "red", "priority": "high"}.items() <= seen.metadata.items()

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER, Feature.SESSIONS_PENDING_ACTIONS)
    def test_an_action_is_answered_by_one_of_two_clients(self, client: Client, other: Client, session: Session) -> None:
        action = self.waiting(client, session)
        (seen,) = other.sessions.pending_actions(session)
        assert self.run(other, session, [answer_to(seen)])[1].outcome is Outcome.COMPLETED

        with pytest.raises((Conflict, NotFound)):
            client.sessions.answer(session, [answer_to(action)])

    @covers(Feature.SESSIONS_DELETE, Feature.SESSIONS_GET)
    def test_what_one_client_deleted_is_gone_for_the_other(
        self, client: Client, other: Client, session: Session
    ) -> None:
        other.sessions.get(session)
        client.sessions.delete(session)

        with pytest.raises(NotFound):
            other.sessions.get(session)


def answers_in(events: Iterable[Event]) -> list[str]:
    """Return the texts of the agent's messages among events."""
    said = [event.message for event in events if isinstance(event, MessageCompleted)]
    return [message.text for message in said if message.role is Role.ASSISTANT and message.text]
