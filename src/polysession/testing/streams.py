"""Streams: they follow every turn, and continue at the same position after each network fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest

from polysession import (
    Client,
    Event,
    Feature,
    MessageCompleted,
    Outcome,
    RetryPolicy,
    Role,
    Session,
    StreamInterrupted,
    Support,
    TurnEnded,
    TurnLife,
)
from polysession.emulation import Fault
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.faces import Face
from polysession.testing.marks import covers
from polysession.testing.turns import check_each_once, check_text

_FORGOTTEN: Final = {
    "message.started",
    "message.delta",
    "thinking.started",
    "thinking.delta",
    "tool_call.started",
    "tool_call.delta",
    "tool_result.delta",
}
"""Deltas and starts: a late reader does not receive them."""


class StreamContract(ContractBase):
    """Each event comes once and in order, over one connection or many."""

    def until_ended(self, events: Iterable[Event]) -> list[Event]:
        """Return the next events of a stream, up to the end of a turn."""
        received: list[Event] = []
        for event in events:
            received.append(event)
            if isinstance(event, TurnEnded):
                break
        return received

    @covers(Feature.SESSIONS_STREAM, Feature.SESSIONS_SEND)
    def test_a_stream_follows_turn_after_turn(self, client: Client, session: Session) -> None:
        with client.sessions.stream(session, deadline_s=self.patience_s) as events:
            for _ in range(2):
                client.sessions.send(session, self.script.plain)
                received = self.until_ended(events)
                assert isinstance(received[-1], TurnEnded)
                assert received[-1].outcome is Outcome.COMPLETED
                assert [event.type for event in received].count("turn.started") == 1
                assert "message.completed" in [event.type for event in received]
                check_text(received)

    @covers(Feature.SESSIONS_STREAM, Feature.SESSIONS_RUN)
    def test_a_follower_sees_the_turn_of_another(
        self, client: Client, session: Session, face: Face, backend: Backend
    ) -> None:
        with (
            self.open(face, backend.settings) as other,
            other.sessions.stream(session, deadline_s=self.patience_s) as followed,
        ):
            mine, _ = self.run(client, session, self.script.tool)
            seen = self.until_ended(followed)
        kept = [(event.id, event.type) for event in mine if event.id and event.type not in _FORGOTTEN]
        assert kept, "no event has an id"
        assert [(event.id, event.type) for event in seen if (event.id, event.type) in kept] == kept
        assert isinstance(seen[-1], TurnEnded)
        assert seen[-1].outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_STREAM, Feature.SESSIONS_SEND)
    def test_a_stream_continues_in_another_process(
        self, client: Client, session: Session, face: Face, backend: Backend
    ) -> None:
        with client.sessions.stream(session, deadline_s=self.patience_s) as events:
            client.sessions.send(session, self.script.steady)
            first = [next(events) for _ in range(4)]
            cursor = events.cursor
        assert cursor

        with (
            self.open(face, backend.settings) as other,
            other.sessions.stream(session, cursor=cursor, deadline_s=self.patience_s) as events,
        ):
            rest = self.until_ended(events)

        assert isinstance(rest[-1], TurnEnded)
        check_each_once([*first, *rest])
        assert [event.type for event in [*first, *rest]].count("turn.started") == 1

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_STREAM)
    def test_events_since_a_turn_was_left_are_delivered(self, client: Client, session: Session) -> None:
        with client.sessions.stream(session, deadline_s=self.patience_s) as watched:
            with client.sessions.run(session, self.script.steady, deadline_s=self.patience_s) as turn:
                first = [next(turn)]
                while first[-1].type != self.working:
                    first.append(next(turn))
                cursor = turn.cursor
            self.until_ended(watched)

        with client.sessions.stream(session, cursor=cursor, deadline_s=self.patience_s) as events:
            rest = self.until_ended(events)

        assert isinstance(rest[-1], TurnEnded)
        check_each_once([*first, *rest])
        if self.declared().turn_life is TurnLife.ATTENDED:
            assert rest[-1].outcome is not Outcome.COMPLETED, "leaving the turn ended it"
            return
        assert rest[-1].outcome is Outcome.COMPLETED
        (said,) = [event.message for event in rest if isinstance(event, MessageCompleted) and event.message.text]
        assert len(said.text.split()) > 1, "the message is incomplete"

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_STREAM)
    def test_a_reader_that_leaves_after_each_event_gets_each_once(self, client: Client, session: Session) -> None:
        with client.sessions.stream(session, deadline_s=self.patience_s) as events:
            cursor = events.cursor
        whole, _ = self.run(client, session, self.script.tool)

        received: list[Event] = []
        while not received or not isinstance(received[-1], TurnEnded):
            assert len(received) <= len(whole), (
                f"the stream delivered events again: {[event.type for event in received]}"
            )
            with client.sessions.stream(session, cursor=cursor, deadline_s=self.patience_s) as events:
                received.append(next(event for event in events if event.type not in _FORGOTTEN))
                cursor = events.cursor

        check_each_once(received)
        assert _steps_of(received) == _steps_of(whole)

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_REJOIN)
    def test_a_turn_is_rejoined_in_another_process(
        self, client: Client, session: Session, face: Face, backend: Backend
    ) -> None:
        with client.sessions.run(session, self.script.steady, deadline_s=self.patience_s) as turn:
            first = [next(turn)]
            while first[-1].type != self.working:
                first.append(next(turn))
            cursor = turn.cursor
        assert cursor

        with (
            self.open(face, backend.settings) as other,
            other.sessions.rejoin(session, cursor, deadline_s=self.patience_s) as rejoined,
        ):
            rest = list(rejoined)

        assert rejoined.result.outcome is Outcome.COMPLETED
        assert rejoined.result.text
        check_each_once([*first, *rest])

    @covers(Feature.SESSIONS_STREAM)
    def test_a_stream_that_cannot_continue_raises(
        self, face: Face, client: Client, backend: Backend, session: Session
    ) -> None:
        is_polled = self.declared().support(Feature.SESSIONS_STREAM).support is Support.EMULATED
        if not is_polled:
            backend.faults.add(Fault("end", streams_only=True, times=100))

        def follow(impatient: Client) -> None:
            with impatient.sessions.stream(session, deadline_s=self.patience_s) as broken:
                if is_polled:  # each poll is a separate call
                    client.sessions.send(session, self.script.plain)
                    next(broken)
                    backend.faults.add(Fault("status", method="GET", times=100))
                list(broken)

        retry = RetryPolicy(attempts=3, first_wait_s=0.0)
        with self.open(face, backend.settings, retry=retry) as impatient, pytest.raises(StreamInterrupted) as caught:
            follow(impatient)
        assert (caught.value.provider, caught.value.operation) == (self.provider, Feature.SESSIONS_STREAM)
        assert is_polled or caught.value.events_seen == 0


def _steps_of(events: Iterable[Event]) -> list[str]:
    """Return the types of the events that every reader receives, without the caller's own messages."""
    kept = {"turn.started", "tool_call.completed", "tool_result.completed", "message.completed", "turn.ended"}
    return [
        event.type
        for event in events
        if event.type in kept and not (isinstance(event, MessageCompleted) and event.message.role is Role.USER)
    ]
