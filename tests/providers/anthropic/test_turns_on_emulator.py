"""Turns on the emulator: queued input, interrupts, budgets, refusals, and ended sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from polysession import (
    Approve,
    CancelState,
    Client,
    Event,
    InvalidRequest,
    MessageCompleted,
    NotFound,
    Outcome,
    RetryPolicy,
    Role,
    ServerError,
    Session,
    TurnEnded,
    TurnResult,
    WhenBusy,
)
from polysession.emulation import Act, AskApproval, EmulatorHandle, Fail, Fault, Say, serve
from polysession_anthropic import AnthropicBudget, AnthropicListCost, AnthropicNewSession, AnthropicSessionChanges
from polysession_anthropic.emulator import AnthropicEmulator
from support.client_runners import ClientRunner, both_runners

DEADLINE_S = 20.0
RETRY = RetryPolicy(attempts=4, first_wait_s=0.01, max_wait_s=0.05)


@pytest.fixture(scope="module")
def handle() -> Iterator[EmulatorHandle]:
    with serve("anthropic") as handle:
        yield handle


@pytest.fixture
def control(handle: EmulatorHandle) -> AnthropicEmulator:
    assert isinstance(handle.control, AnthropicEmulator)
    return handle.control


@pytest.fixture
def client(handle: EmulatorHandle) -> Iterator[Client]:
    handle.faults.clear()
    with Client("anthropic", retry=RETRY, **handle.settings) as client:
        yield client


@pytest.fixture
def session(handle: EmulatorHandle, client: Client) -> Session:
    return client.sessions.create(agent=handle.agent_id, environment=handle.environment_id)


def run(client: Client, session: Session, content: Any) -> tuple[list[Event], TurnResult]:
    with client.sessions.run(session, content, deadline_s=DEADLINE_S) as turn:
        events = list(turn)
        return events, turn.result


def said(events: list[Event]) -> list[str]:
    return [event.message.text for event in events if isinstance(event, MessageCompleted)]


class Busy:
    """A turn of another client that writes a message."""

    def __init__(self, handle: EmulatorHandle, client: Client, session: Session, *then: Act) -> None:
        handle.script([Say("theirs is a long answer", pause_s=0.1), *then], session=session)
        self.stream = client.sessions.stream(session, deadline_s=DEADLINE_S)
        self.client, self.session = client, session

    def __enter__(self) -> None:
        events = self.stream.__enter__()
        self.client.sessions.send(self.session, "theirs")
        next(event for event in events if event.type == "message.delta")

    def __exit__(self, *error: object) -> None:
        self.stream.__exit__(None, None, None)


@pytest.mark.parametrize("drops", [False, True], ids=["whole", "cut"])
def test_a_queued_message_gets_its_own_turn(
    handle: EmulatorHandle, client: Client, session: Session, *, drops: bool
) -> None:
    with Busy(handle, client, session):
        if drops:
            handle.faults.add(Fault("drop", streams_only=True, at_byte=900))
        events, result = run(client, session, "mine")

    assert client.when_busy is WhenBusy.QUEUED
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: mine")
    assert said(events) == ["mine", "You said: mine"]
    assert [event.type for event in events].count("turn.started") == 1
    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens) == (10, 5)


def test_the_first_turn_has_the_usage_of_its_session(client: Client, session: Session) -> None:
    _, result = run(client, session, "hello")

    assert result.usage is not None
    assert result.usage == client.sessions.get(session).usage


def test_only_reads_are_retried_after_an_overload(handle: EmulatorHandle, client: Client, session: Session) -> None:
    for _ in range(2):
        handle.faults.add(Fault("refuse", status=529))
    assert client.sessions.get(session).id == session.id
    assert handle.faults.waiting() == [], "the third request was answered"

    for _ in range(2):
        handle.faults.add(Fault("refuse", status=529))
    with pytest.raises(ServerError, match="refuses this request") as refused:
        client.sessions.send(session, "hello")
    assert (refused.value.status, refused.value.code, len(handle.faults.waiting())) == (529, "overloaded_error", 1)
    assert str(refused.value.request_id).startswith("req_")


def test_a_queued_message_may_join_the_turn_in_progress(
    handle: EmulatorHandle, client: Client, control: AnthropicEmulator, session: Session
) -> None:
    control.join_queued(session.id)
    with Busy(handle, client, session):
        events, result = run(client, session, "mine")

    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: mine")
    assert said(events) == ["mine", "You said: mine"]
    assert (events[0].type, events[0].synthetic) == ("turn.started", True)
    assert result.usage is None, "it includes the part of the other client"


@both_runners
@pytest.mark.parametrize("joins", [False, True], ids=["own turn", "joins"])
def test_a_message_before_the_answer_of_another_client_gets_its_own_events(
    handle: EmulatorHandle,
    client: Client,
    control: AnthropicEmulator,
    session: Session,
    runner: ClientRunner,
    *,
    joins: bool,
) -> None:
    if joins:
        control.join_queued(session.id)
    _, asked = run(client, session, "/ask")

    async def talk(own: Any) -> tuple[list[Event], TurnResult]:
        async with own.sessions.run(session, "mine", deadline_s=DEADLINE_S) as turn:
            client.sessions.answer(session, [Approve(action) for action in asked.actions])
            return [event async for event in turn], turn.result

    events, result = runner.play("anthropic", talk, retry=RETRY, **handle.settings)

    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: mine")
    assert said(events) == ["mine", "You said: mine"]
    assert (events[0].type, events[0].synthetic) == ("turn.started", joins)
    assert (result.usage is None) == joins, "the backend's figure includes the other client's turn"


def test_a_message_that_is_discarded_with_the_queue_fails(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    with Busy(handle, client, session, Fail("the model is overloaded")):
        events, result = run(client, session, "mine")

    assert (result.outcome, result.error) == (Outcome.FAILED, "the model is overloaded")
    assert said(events) == ["mine"]


def test_a_stream_delivers_queued_input_once(handle: EmulatorHandle, client: Client, session: Session) -> None:
    with client.sessions.stream(session, deadline_s=DEADLINE_S) as events:
        with Busy(handle, client, session):
            client.sessions.send(session, "mine")
        received: list[Event] = []
        while sum(isinstance(event, TurnEnded) for event in received) < 2:
            received.append(next(events))
        cursor = events.cursor

    user = [
        event.message.text
        for event in received
        if isinstance(event, MessageCompleted) and event.message.role is Role.USER
    ]
    assert user == ["theirs", "mine"]
    with client.sessions.stream(session, cursor=cursor, deadline_s=DEADLINE_S) as events:
        client.sessions.send(session, "next")
        assert said([next(event for event in events if isinstance(event, MessageCompleted))]) == ["next"]


def test_six_clients_at_once_get_their_own_answers(handle: EmulatorHandle, session: Session) -> None:
    answers: dict[str, list[str]] = {}

    def ask(text: str) -> None:
        with Client("anthropic", retry=RETRY, **handle.settings) as client:
            result = client.sessions.ask(session, text, deadline_s=DEADLINE_S)
            answers[text] = [message.text for message in result.messages]

    threads = [threading.Thread(target=ask, args=(f"question {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Messages that are queued during a turn are answered in one turn, so an answer may include those to other clients.
    assert len(answers) == 6
    assert [text for text, found in answers.items() if f"You said: {text}" not in found] == []


def test_an_interrupted_turn_is_cancelled_despite_its_stop_reason(client: Client, session: Session) -> None:
    with client.sessions.run(session, "/slow 100", deadline_s=DEADLINE_S) as turn:
        next(event for event in turn if event.type == "message.delta")
        assert client.sessions.cancel(session).state is CancelState.REQUESTED
        turn.wait()

    assert (turn.result.outcome, turn.result.native_reason) == (Outcome.CANCELLED, "end_turn")
    assert client.sessions.cancel(session).state is CancelState.NOTHING_RUNNING
    assert run(client, session, "again")[1].outcome is Outcome.COMPLETED
    for page_size in (None, 1, 3):
        for newest_first in (False, True):
            listed = client.sessions.events(session, page_size=page_size, newest_first=newest_first)
            ends = [event.outcome for event in listed if isinstance(event, TurnEnded)]
            assert ends[:: -1 if newest_first else 1] == [Outcome.CANCELLED, Outcome.COMPLETED]


def test_a_queued_turn_is_rejoined_in_another_process(handle: EmulatorHandle, client: Client, session: Session) -> None:
    with Busy(handle, client, session):
        with client.sessions.run(session, "mine", deadline_s=DEADLINE_S) as turn:
            cursor = turn.cursor
        assert cursor is not None
        with client.sessions.rejoin(session, cursor, deadline_s=DEADLINE_S) as turn:
            turn.wait()

    assert (turn.result.outcome, turn.result.text) == (Outcome.COMPLETED, "You said: mine")


@pytest.mark.parametrize("drops", [False, True], ids=["whole", "cut"])
def test_an_interrupt_without_an_id_cancels(
    handle: EmulatorHandle, client: Client, control: AnthropicEmulator, session: Session, *, drops: bool
) -> None:
    control.hide_interrupt_ids(session.id)
    for _ in range(2):
        if drops:
            handle.faults.add(Fault("drop", streams_only=True, at_byte=1500))
        with client.sessions.run(session, "/slow 100", deadline_s=DEADLINE_S) as turn:
            next(event for event in turn if event.type == "message.delta")
            with Client("anthropic", **handle.settings) as other:
                other.sessions.cancel(session)
            turn.wait()
        assert turn.result.outcome is Outcome.CANCELLED


def test_work_stops_at_the_budget_and_continues_with_a_higher_one(handle: EmulatorHandle, client: Client) -> None:
    session = client.sessions.create(
        agent=handle.agent_id, environment=handle.environment_id, native=AnthropicNewSession(budget=budget("1"))
    )
    assert run(client, session, "/tool")[1].outcome is Outcome.LIMIT_REACHED
    with pytest.raises(InvalidRequest):
        client.sessions.send(session, "more")
    with client.sessions.stream(session, deadline_s=DEADLINE_S) as events:
        client.sessions.update(session, native=AnthropicSessionChanges(budget=budget("500")))
        end = next(event for event in events if isinstance(event, TurnEnded))

    assert end.outcome is Outcome.COMPLETED
    usage = client.sessions.get(session).usage
    assert usage is not None
    assert usage.cost_usd is not None
    assert usage.cost_usd > 0


def budget(cents: str) -> AnthropicBudget:
    return AnthropicBudget(max_list_cost=AnthropicListCost(amount=cents))


def test_a_refusal_has_an_explanation(client: Client, control: AnthropicEmulator, session: Session) -> None:
    control.refuse(session.id, explanation="It is against the rules.")
    _, result = run(client, session, "Do it")

    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "refusal")
    assert result.error == "It is against the rules."


def test_a_turn_fails_with_its_session(client: Client, control: AnthropicEmulator, session: Session) -> None:
    with client.sessions.run(session, "/slow 100", deadline_s=DEADLINE_S) as turn:
        next(event for event in turn if event.type == "message.delta")
        control.terminate(session.id)
        turn.wait()
    assert (turn.result.outcome, turn.result.native_reason) == (Outcome.FAILED, "terminated")


def test_a_session_can_be_archived_or_deleted_right_after_its_turn(
    handle: EmulatorHandle, client: Client, control: AnthropicEmulator, session: Session
) -> None:
    other = client.sessions.create(agent=handle.agent_id, environment=handle.environment_id)
    for each in (session, other):
        control.lag(each.id, seconds=0.3)
        run(client, each, "hello")

    assert client.sessions.archive(session).archived_at is not None
    client.sessions.delete(other)
    with pytest.raises(NotFound):
        client.sessions.get(other)


def test_a_running_session_is_not_archived(client: Client, session: Session) -> None:
    client.sessions.send(session, "/slow 100")
    with pytest.raises(InvalidRequest):
        client.sessions.archive(session)
    client.sessions.cancel(session)


def test_a_stream_continues_after_an_error_event(client: Client, control: AnthropicEmulator, session: Session) -> None:
    with client.sessions.run(session, "/slow 3", deadline_s=DEADLINE_S) as turn:
        next(event for event in turn if event.type == "message.delta")
        control.break_streams(session.id)
        turn.wait()
    assert turn.result.outcome is Outcome.COMPLETED


def test_a_cursor_at_an_unknown_event_is_refused(handle: EmulatorHandle, client: Client, session: Session) -> None:
    other = client.sessions.create(agent=handle.agent_id, environment=handle.environment_id)
    with client.sessions.run(session, "hello", deadline_s=DEADLINE_S) as turn:
        turn.wait()
    with pytest.raises(NotFound), client.sessions.stream(other, cursor=turn.cursor, deadline_s=DEADLINE_S) as events:
        next(events)


def test_a_sub_agent_asks_through_its_session(client: Client, control: AnthropicEmulator, session: Session) -> None:
    asked = control.consult_about(session.id, "helper", "May I?", AskApproval("Bash", {"command": "ls"}, "done"))
    (action,) = client.sessions.pending_actions(session)

    assert action.id == asked
    assert "session_thread_id" not in action.reference
    assert run(client, session, [Approve(action)])[1].outcome is Outcome.COMPLETED
