"""Turns that the caller leaves: they continue or end, as the provider declares."""

from __future__ import annotations

import pytest

from polysession import Client, Feature, Outcome, Role, Session, SessionStatus, TurnLife, UnsupportedOperation
from polysession.testing.base import ContractBase
from polysession.testing.cuts import survive
from polysession.testing.marks import covers


class TurnLifeContract(ContractBase):
    """`client.turn_life` says whether a turn continues when the caller leaves its stream."""

    def leave(self, client: Client, session: Session, *, cancel_on_exit: bool | None) -> None:
        """Start a turn and leave it while the agent sends text."""
        with client.sessions.run(
            session, self.script.steady, cancel_on_exit=cancel_on_exit, deadline_s=self.patience_s
        ) as turn:
            next(event for event in turn if event.type == self.working)

    def ended(self, client: Client, session: Session) -> bool:
        """Return whether no turn runs in the session."""
        return client.sessions.get(session).status is not SessionStatus.RUNNING

    def stored_answers(self, client: Client, session: Session) -> list[str]:
        """Return the texts of the agent's stored messages."""
        return [each.text for each in client.sessions.messages(session) if each.role is Role.ASSISTANT and each.text]

    @covers(Feature.SESSIONS_RUN)
    def test_the_client_states_what_leaving_a_turn_does(self, client: Client) -> None:
        assert client.turn_life is self.declared().turn_life

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_MESSAGES)
    def test_a_turn_that_is_left_continues_or_ends_as_declared(self, client: Client, session: Session) -> None:
        _, whole = self.run(client, session, self.script.steady)
        before = len(self.stored_answers(client, session))
        is_detached = self.declared().turn_life is TurnLife.DETACHED
        self.leave(client, session, cancel_on_exit=None if is_detached else True)  # an attended turn ends with both

        if is_detached:
            self.eventually(
                lambda: len(self.stored_answers(client, session)) > before, "the turn that was left is stored"
            )
            assert self.stored_answers(client, session)[-1] == whole.text
        else:
            again = survive(lambda: self.run(client, session, self.script.plain))
            self.eventually(lambda: again.is_completed or self.completes(client, session), "the next turn runs")
            assert self.stored_answers(client, session).count(whole.text) == 1, "the turn that was left was completed"

    def completes(self, client: Client, session: Session) -> bool:
        """Return whether a plain turn completes now."""
        return survive(lambda: self.run(client, session, self.script.plain)).is_completed

    @covers(Feature.SESSIONS_RUN)
    def test_a_turn_may_be_left_alone_where_it_continues(self, client: Client, session: Session) -> None:
        def leave_alone() -> None:
            with client.sessions.run(
                session, self.script.plain, cancel_on_exit=False, deadline_s=self.patience_s
            ) as turn:
                assert turn.wait().outcome is Outcome.COMPLETED

        if self.declared().turn_life is TurnLife.ATTENDED:
            with pytest.raises(UnsupportedOperation):
                leave_alone()
        else:
            leave_alone()
