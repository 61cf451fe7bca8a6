"""Turns: the same script gives the same milestones on every backend.

The milestones leave out events that not every backend sends: statuses, usage, native events, the echo of the input,
start events, and messages without text.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Final

import pytest

from polysession import (
    Client,
    DeadlineExceeded,
    Event,
    Feature,
    MessageCompleted,
    MessageDelta,
    Outcome,
    Role,
    Session,
    SessionStatus,
    TextBlock,
    TurnEnded,
    TurnResult,
    UsageError,
)
from polysession.emulation import Fault
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.marks import covers

_MILESTONES: Final = {
    "turn.started",
    "thinking.completed",
    "message.delta",
    "message.completed",
    "tool_call.completed",
    "tool_result.completed",
    "action.required",
    "turn.ended",
}


def milestones(events: Sequence[Event]) -> list[str]:
    """Return the course of a turn in common event types: several deltas count as one, and the end has its outcome."""
    found: list[str] = []
    for event in events:
        word = f"turn.ended {event.outcome.value}" if isinstance(event, TurnEnded) else event.type
        plain = isinstance(event, MessageCompleted) and (
            event.message.role is not Role.ASSISTANT or not event.message.text
        )
        repeated = word == "message.delta" and found[-1:] == [word]
        if event.type in _MILESTONES and not plain and not repeated:
            found.append(word)
    return found


def check_text(events: Sequence[Event]) -> None:
    """Check that deltas are the beginning of the message that follows them: no text twice or out of order.

    If a gap declares lost deltas, the received deltas must be words of the message in the same order.
    """
    streamed = ""
    has_gap = any(event.type == "stream.gap" and "message.delta" in event.lost for event in events)
    for event in events:
        if isinstance(event, MessageDelta):
            streamed += event.text
        elif isinstance(event, MessageCompleted) and event.message.role is Role.ASSISTANT:
            words = iter(event.message.text.split())
            whole = all(word in words for word in streamed.split())
            assert whole if has_gap else event.message.text.startswith(streamed)
            streamed = ""


def check_each_once(events: Sequence[Event]) -> None:
    """Check that no event comes twice, and that numbered events come in order."""
    ids = Counter((event.id, event.type, getattr(event, "tool_call_id", None)) for event in events if event.id)
    shared = [each for each, number in ids.items() if number > 1]
    assert shared == [], "several events have the same id, type and tool call"
    numbers = [event.sequence for event in events if event.sequence is not None]
    assert numbers == sorted(numbers)


class TurnContract(ContractBase):
    """A turn is followed from start to end and delivered as common events."""

    def check_deltas(self, events: Sequence[Event], result: TurnResult) -> None:
        """Check that the deltas, if there are any, together are the answer."""
        text = "".join(event.text for event in events if isinstance(event, MessageDelta))
        assert text == (result.text if self.has_deltas else "")

    @covers(Feature.SESSIONS_RUN)
    def test_a_plain_turn(self, client: Client, session: Session) -> None:
        events, result = self.run(client, session, self.script.plain)

        assert milestones(events) == ["turn.started", *self.said]
        assert result.outcome is Outcome.COMPLETED
        assert result.text == (self.script.plain_answer or result.text) != ""
        self.check_deltas(events, result)
        assert all(event.session_id == session.id for event in events)
        check_each_once(events)

    @covers(Feature.SESSIONS_RUN)
    def test_a_turn_with_thinking(self, client: Client, session: Session) -> None:
        events, result = self.run(client, session, self.script.think)

        assert milestones(events) == ["turn.started", "thinking.completed", *self.said]
        assert result.outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN)
    def test_a_turn_with_a_tool(self, client: Client, session: Session) -> None:
        events, result = self.run(client, session, self.script.tool)

        assert milestones(events) == ["turn.started", "tool_call.completed", "tool_result.completed", *self.said]
        assert result.outcome is Outcome.COMPLETED
        (call,) = (event for event in events if event.type == "tool_call.completed")
        (answer,) = (event for event in events if event.type == "tool_result.completed")
        assert call.name
        assert call.arguments
        assert (answer.tool_call_id, answer.is_error) == (call.tool_call_id, False)
        assert answer.text
        check_each_once(events)

    @covers(Feature.SESSIONS_RUN)
    def test_a_turn_that_fails(self, client: Client, session: Session) -> None:
        events, result = self.run(client, session, self.script.fail)

        found = [word for word in milestones(events) if not word.startswith("message.")]  # some send the error as text
        assert found == ["turn.started", "turn.ended failed"]
        assert result.outcome is Outcome.FAILED
        assert result.error

    @covers(Feature.SESSIONS_RUN)
    def test_a_session_continues_after_a_failure(self, client: Client, session: Session) -> None:
        self.run(client, session, self.script.fail)
        assert self.run(client, session, self.script.plain)[1].outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_CANCEL)
    def test_a_turn_is_cancelled_while_it_speaks(self, client: Client, session: Session) -> None:
        with client.sessions.run(session, self.script.slow, deadline_s=self.patience_s) as turn:
            next(event for event in turn if event.type == self.working)
            client.sessions.cancel(session)
            turn.wait()

        assert turn.result.outcome is Outcome.CANCELLED
        assert self.run(client, session, self.script.plain)[1].outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN)
    def test_successive_turns_are_distinguished(self, client: Client, session: Session) -> None:
        for text in ("first", "second", "third"):
            events, result = self.run(client, session, text)
            assert milestones(events) == ["turn.started", *self.said]
            if self.script.plain_answer == f"You said: {self.script.plain}":
                assert result.text == f"You said: {text}"

    @covers(Feature.SESSIONS_RUN)
    def test_a_long_answer_comes_whole(self, client: Client, session: Session) -> None:
        events, result = self.run(client, session, self.script.long)

        assert len(result.text.split()) > 100
        self.check_deltas(events, result)

    @covers(Feature.SESSIONS_RUN)
    def test_a_message_may_be_blocks(self, client: Client, session: Session) -> None:
        _, result = self.run(client, session, [TextBlock(text=self.script.plain)])
        assert result.text == (self.script.plain_answer or result.text)

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_SEND_IMAGE)
    def test_an_image_is_sent(self, client: Client, session: Session) -> None:
        assert self.run(client, session, [TextBlock(text="See"), self.image])[1].outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_SEND_DOCUMENT)
    def test_a_document_is_sent(self, client: Client, session: Session) -> None:
        assert self.run(client, session, [TextBlock(text="Read"), self.document])[1].outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_CANCEL, Feature.SESSIONS_GET)
    def test_a_turn_that_is_left_is_cancelled_if_asked_for(self, client: Client, session: Session) -> None:
        with client.sessions.run(session, self.script.slow, cancel_on_exit=True, deadline_s=self.patience_s) as turn:
            next(turn)

        self.eventually(lambda: client.sessions.get(session).status is SessionStatus.IDLE, "it was cancelled")

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_CANCEL)
    def test_a_turn_that_has_ended_is_not_cancelled(self, client: Client, session: Session, backend: Backend) -> None:
        with client.sessions.run(session, self.script.plain, cancel_on_exit=True, deadline_s=self.patience_s) as turn:
            turn.wait()
            backend.faults.add(Fault("status", status=500))  # a cancellation would get this fault

        assert turn.result.outcome is Outcome.COMPLETED
        assert len(backend.faults.waiting()) == 1
        backend.faults.clear()

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_MESSAGES)
    def test_what_was_said_is_kept(self, client: Client, session: Session) -> None:
        results = [self.run(client, session, text)[1] for text in (self.script.plain, self.script.tool)]

        for page_size in (None, 1, 3):
            messages = [each for each in client.sessions.messages(session, page_size=page_size) if each.text]
            assert [(message.role, message.text) for message in messages] == [
                (Role.USER, self.script.plain),
                (Role.ASSISTANT, results[0].text),
                (Role.USER, self.script.tool),
                (Role.ASSISTANT, results[1].text),
            ]

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_MESSAGES, Feature.SESSIONS_MESSAGES_NEWEST_FIRST)
    def test_messages_are_listed_newest_first(self, client: Client, session: Session) -> None:
        for text in (self.script.plain, self.script.tool):
            self.run(client, session, text)

        oldest_first = [message.id for message in client.sessions.messages(session)]
        for page_size in (None, 1, 3):
            listed = client.sessions.messages(session, newest_first=True, page_size=page_size)
            assert [message.id for message in listed] == oldest_first[::-1]
        newest = client.sessions.messages(session, newest_first=True, limit=1).first()
        assert newest is not None
        assert newest.id == oldest_first[-1]

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_EVENTS, Feature.SESSIONS_EVENTS_NEWEST_FIRST)
    def test_events_are_listed_newest_first(self, client: Client, session: Session) -> None:
        self.run(client, session, self.script.tool)

        stored = [event.id for event in client.sessions.events(session) if event.id]
        assert len(set(stored)) > 2, "the turn left no events"
        for page_size in (None, 2):
            listed = client.sessions.events(session, newest_first=True, page_size=page_size)
            newest_first = [event.id for event in listed if event.id]
            assert list(dict.fromkeys(newest_first)) == list(dict.fromkeys(reversed(stored)))

    @covers(Feature.SESSIONS_SEND, Feature.SESSIONS_SEND_IDEMPOTENCY_KEY, Feature.SESSIONS_MESSAGES)
    def test_the_same_key_sends_one_message(self, client: Client, session: Session) -> None:
        key = uuid.uuid4().hex
        for _ in range(2):
            client.sessions.send(session, self.script.plain, idempotency_key=key)

        self.eventually(lambda: len(list(client.sessions.messages(session))) > 1, "the turn is stored")
        said = [message for message in client.sessions.messages(session) if message.role is Role.USER]
        assert len(said) == 1

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_RUN_IDEMPOTENCY_KEY)
    def test_a_turn_is_started_with_a_key(self, client: Client, session: Session) -> None:
        with client.sessions.run(
            session, self.script.plain, deadline_s=self.patience_s, idempotency_key=uuid.uuid4().hex
        ) as turn:
            assert turn.wait().outcome is Outcome.COMPLETED

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_EVENTS)
    def test_what_happened_is_kept(self, client: Client, session: Session) -> None:
        streamed, _ = self.run(client, session, self.script.tool)

        past = list(client.sessions.events(session))
        check_each_once(past)
        assert list(client.sessions.events(session, page_size=2)) == past
        kept = {"tool_call.completed", "tool_result.completed"}
        assert [event.type for event in past if event.type in kept] == [
            event.type for event in streamed if event.type in kept
        ]
        said = [event.message.text for event in past if isinstance(event, MessageCompleted) and event.message.text]
        assert said[0] == self.script.tool
        assert said[-1] == next(event.message.text for event in reversed(streamed) if event.type == "message.completed")

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_EVENTS)
    def test_a_page_of_events_has_the_cursor_of_the_next_page(self, client: Client, session: Session) -> None:
        self.run(client, session, self.script.tool)

        page = client.sessions.events(session, page_size=1).page()
        rest = client.sessions.events(session, page_size=1, cursor=page.next_cursor)
        assert page.next_cursor is not None
        assert [*page.items, *rest] == list(client.sessions.events(session))

    @covers(Feature.SESSIONS_RUN)
    def test_a_deadline_ends_the_wait_and_not_the_turn(self, client: Client, session: Session) -> None:
        with (
            pytest.raises(DeadlineExceeded) as caught,
            client.sessions.run(session, self.script.slow, deadline_s=0.2) as turn,
        ):
            turn.wait()
        assert (caught.value.provider, caught.value.operation) == (self.provider, Feature.SESSIONS_RUN)

    @covers(Feature.SESSIONS_RUN)
    def test_a_turn_is_run_once(self, client: Client, session: Session) -> None:
        with client.sessions.run(session, self.script.plain, deadline_s=self.patience_s) as turn:
            with pytest.raises(UsageError):
                _ = turn.result
            turn.wait()
        with pytest.raises(UsageError), turn:
            pass

    @covers(Feature.SESSIONS_RUN, Feature.SESSIONS_CREATE)
    def test_two_sessions_do_not_hear_each_other(self, client: Client, backend: Backend, session: Session) -> None:
        other = self.new_session(client, backend)
        with client.sessions.run(session, self.script.long, deadline_s=self.patience_s) as turn:
            first = [next(turn)]
            events, _ = self.run(client, other, self.script.plain)
            rest = list(turn)

        assert {event.session_id for event in events} == {other.id}
        assert {event.session_id for event in [*first, *rest]} == {session.id}
