"""Faults of turns: for every kind of turn, a partial turn is never a success, and no input is sent twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from polysession import Client, ConnectionLost, Feature, MalformedResponse, Outcome, ResumeMode, Role, Session
from polysession.emulation import Fault
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.cuts import Survived, check_whole_or_failed, survive
from polysession.testing.marks import covers
from polysession.testing.turns import check_each_once

CUTS: Final = {
    "drop before the first byte": Fault("drop", streams_only=True, at_byte=0),
    "end after one byte": Fault("end", streams_only=True, at_byte=1),
    "drop in the first frame": Fault("drop", streams_only=True, at_byte=60),
    "end in the middle": Fault("end", streams_only=True, at_byte=400),
    "drop in the middle": Fault("drop", streams_only=True, at_byte=900),
    "end near the end": Fault("end", streams_only=True, at_byte=1500),
}
FAULTS: Final = {
    "the input is refused": Fault("status", writes_only=True, status=503, times=9),
    "the input is answered by a page": Fault("page", writes_only=True),
    "the stream is refused once": Fault("status", streams_only=True, status=503),
    "the stream is not found": Fault("status", streams_only=True, status=404),
    "the stream is answered by a page": Fault("page", streams_only=True),
    "the stream is silent for a moment": Fault("stall", streams_only=True, at_byte=200, seconds=0.3),
    "reads are refused twice": Fault("status", method="GET", status=503, times=2),
    "a read breaks": Fault("drop", method="GET", at_byte=20),
}


class TurnFaultContract(ContractBase):
    """The same rules for every kind of turn: with a separate stream, answered by a stream, polled, attended or not."""

    def turn_that_meets(
        self, client: Client, backend: Backend, session: Session, said: str, *faults: Fault
    ) -> Survived:
        """Run a turn in a new session with faults. Skips the test if no request of the turn matches a fault."""
        placed = [replace(fault) for fault in faults]  # each fault counts down
        for fault in placed:
            backend.faults.add(fault)
        try:
            turn = survive(lambda: self.run(client, session, said))
        finally:
            backend.faults.clear()
        if all(fault.times == asked.times for fault, asked in zip(placed, faults, strict=True)):
            pytest.skip(f"a turn of {self.provider} sends no request that the fault applies to")
        return turn

    def check_sent_once(self, client: Client, session: Session, said: str) -> None:
        """Check that the input is in the history once, or not at all."""
        if self.supports(Feature.SESSIONS_MESSAGES):
            stored = [each.text for each in client.sessions.messages(session) if each.role is Role.USER]
            assert stored.count(said) <= 1, "the input was sent twice"

    def check_usable(self, client: Client, session: Session) -> None:
        """Check that the session accepts another turn after the turn with the fault is over."""

        def runs() -> bool:
            again = survive(lambda: self.run(client, session, self.script.plain))
            return again.is_completed

        self.eventually(runs, "the session takes another turn")

    @covers(Feature.SESSIONS_RUN)
    @pytest.mark.parametrize("fault", CUTS)
    def test_a_turn_that_is_cut_is_whole_or_no_success(
        self, client: Client, backend: Backend, session: Session, fault: str
    ) -> None:
        whole, _ = self.run(client, session, self.script.tool)
        other = self.new_session(client, backend)

        turn = self.turn_that_meets(client, backend, other, self.script.tool, CUTS[fault])

        check_whole_or_failed(turn, whole, fault)
        if turn.error is not None:
            assert turn.error.cursor, "the error has no cursor"
        if self.declared().resume_mode is not ResumeMode.NONE:
            assert turn.is_completed, "a resumable stream was not resumed"
        self.check_sent_once(client, other, self.script.tool)

    @covers(Feature.SESSIONS_RUN)
    def test_cuts_while_the_agent_speaks_double_no_word(
        self, client: Client, backend: Backend, session: Session
    ) -> None:
        whole, _ = self.run(client, session, self.script.steady)
        other = self.new_session(client, backend)
        cuts = [Fault("drop", streams_only=True, at_byte=at_byte) for at_byte in (600, 1000)]

        turn = self.turn_that_meets(client, backend, other, self.script.steady, *cuts)

        check_whole_or_failed(turn, whole, "two cuts")
        if self.declared().resume_mode is not ResumeMode.NONE:
            assert turn.is_completed

    @covers(Feature.SESSIONS_RUN)
    @pytest.mark.parametrize("frame", [0, 2, 5])
    def test_a_frame_that_comes_twice_counts_once(
        self, client: Client, backend: Backend, session: Session, frame: int
    ) -> None:
        whole, _ = self.run(client, session, self.script.tool)
        other = self.new_session(client, backend)

        fault = Fault("duplicate", streams_only=True, frame=frame)
        turn = self.turn_that_meets(client, backend, other, self.script.tool, fault)

        assert turn.is_completed
        assert not any(event.type == "stream.gap" for event in turn.events), "nothing was lost, but a gap was reported"
        check_whole_or_failed(turn, whole, f"frame {frame} came twice")

    @covers(Feature.SESSIONS_RUN)
    def test_a_body_that_ends_between_two_frames_is_no_success(
        self, client: Client, backend: Backend, session: Session
    ) -> None:
        whole, _ = self.run(client, session, self.script.steady)
        other = self.new_session(client, backend)

        fault = Fault("truncate", streams_only=True, frame=2)
        turn = self.turn_that_meets(client, backend, other, self.script.steady, fault)

        check_whole_or_failed(turn, whole, "the body ended while the agent spoke")
        self.check_sent_once(client, other, self.script.steady)

    @covers(Feature.SESSIONS_RUN)
    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_turn_that_meets_a_fault_is_whole_or_no_success(
        self, client: Client, backend: Backend, session: Session, fault: str
    ) -> None:
        whole, _ = self.run(client, session, self.script.plain)
        other = self.new_session(client, backend)

        turn = self.turn_that_meets(client, backend, other, self.script.plain, FAULTS[fault])

        check_whole_or_failed(turn, whole, fault)
        self.check_sent_once(client, other, self.script.plain)
        self.check_usable(client, other)

    @covers(Feature.SESSIONS_RUN)
    def test_an_input_that_a_page_answers_is_in_doubt(self, client: Client, backend: Backend, session: Session) -> None:
        fault = FAULTS["the input is answered by a page"]
        turn = self.turn_that_meets(client, backend, session, self.script.plain, fault)

        assert isinstance(turn.error, MalformedResponse | ConnectionLost), turn
        assert turn.error.outcome_unknown

    @covers(Feature.SESSIONS_RUN)
    def test_a_session_is_usable_after_a_cut(self, client: Client, backend: Backend, session: Session) -> None:
        self.turn_that_meets(client, backend, session, self.script.tool, CUTS["drop in the middle"])
        self.check_usable(client, session)

        events, result = self.run(client, session, self.script.plain)
        assert result.outcome is Outcome.COMPLETED
        check_each_once(events)
