"""Whole turns against the emulator, through both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from polysession import (
    Answer,
    AsyncClient,
    Client,
    Conflict,
    Event,
    NotFound,
    Outcome,
    RetryPolicy,
    Role,
    Session,
    SessionStatus,
    StreamInterrupted,
    ToolOutput,
    TurnResult,
    UsageError,
)
from polysession.emulation import EmulatorHandle, Fault, serve
from support.everruns_streams import place_of

DEADLINE_S = 20.0
RETRY = RetryPolicy(attempts=4, first_wait_s=0.01, max_wait_s=0.05)

Delivered = tuple[list[Event], TurnResult]
Run = Callable[[EmulatorHandle, Session, str | Sequence[Answer]], Delivered]


def client_for(handle: EmulatorHandle) -> Client:
    return Client("everruns", retry=RETRY, **handle.settings)


def run_sync(handle: EmulatorHandle, session: Session, content: str | Sequence[Answer]) -> Delivered:
    with client_for(handle) as client, client.sessions.run(session, content, deadline_s=DEADLINE_S) as turn:
        events = list(turn)
        return events, turn.result


def run_async(handle: EmulatorHandle, session: Session, content: str | Sequence[Answer]) -> Delivered:
    async def run() -> Delivered:
        async with (
            AsyncClient("everruns", retry=RETRY, **handle.settings) as client,
            client.sessions.run(session, content, deadline_s=DEADLINE_S) as turn,
        ):
            events = [event async for event in turn]
            return events, turn.result

    return asyncio.run(run())


both = pytest.mark.parametrize("run", [pytest.param(run_sync, id="sync"), pytest.param(run_async, id="async")])


@pytest.fixture(scope="module", params=["current", "legacy"])
def handle(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve("everruns", generation=request.param) as handle:
        yield handle


@pytest.fixture
def client(handle: EmulatorHandle) -> Iterator[Client]:
    with client_for(handle) as client:
        yield client
    handle.faults.clear()


@pytest.fixture
def session(handle: EmulatorHandle, client: Client) -> Session:
    return client.sessions.create(agent=handle.agent_id)


def types(events: Sequence[Event]) -> list[str]:
    """Return the types of events, without raw events."""
    return [event.type for event in events if event.type != "raw"]


def text_of(events: Sequence[Event], kind: str = "message.delta") -> str:
    return "".join(getattr(event, "text", "") for event in events if event.type == kind)


def assert_each_once_in_order(events: Sequence[Event]) -> None:
    places = [(event.sequence, event.native_type) for event in events if event.sequence is not None and event.id]
    assert [place for place, _ in places] == sorted(place for place, _ in places)
    ids = [(event.id, event.type, getattr(event, "tool_call_id", None)) for event in events if event.id]
    assert len(set(ids)) == len(ids)


# --- Turns


@both
@pytest.mark.parametrize(
    ("text", "outcome", "reason", "answer", "included"),
    [
        ("Hello there", Outcome.COMPLETED, "completed", "You said: Hello there", set()),
        (
            "/think",
            Outcome.COMPLETED,
            "completed",
            "I have thought about it.",
            {"thinking.started", "thinking.completed"},
        ),
        (
            "/tool 2",
            Outcome.COMPLETED,
            "completed",
            "The tool has answered.",
            {"tool_call.started", "tool_call.completed", "tool_result.completed"},
        ),
        ("/fail", Outcome.FAILED, "provider_unavailable", None, {"error"}),
    ],
)
def test_a_turn_is_followed_to_its_end(
    *,
    handle: EmulatorHandle,
    session: Session,
    run: Run,
    text: str,
    outcome: Outcome,
    reason: str,
    answer: str | None,
    included: set[str],
) -> None:
    run(handle, session, "An earlier turn")
    events, result = run(handle, session, text)
    assert (result.outcome, result.native_reason) == (outcome, reason)
    assert_each_once_in_order(events)
    kinds = types(events)
    assert kinds[:3] == ["message.completed", "session.status", "turn.started"]
    assert (kinds[-1], kinds.count("turn.started"), kinds.count("turn.ended")) == ("turn.ended", 1, 1)
    assert included < set(kinds)
    if answer is None:
        assert result.error == "the model is out of order"
    else:
        assert (result.text, text_of(events)) == (answer, answer)
        assert result.usage is not None
        assert {message.role for message in result.messages} == {Role.ASSISTANT}


@both
def test_thinking_is_delivered_in_deltas_and_whole(handle: EmulatorHandle, session: Session, run: Run) -> None:
    events, _ = run(handle, session, "/think")
    (whole,) = [event.text for event in events if event.type == "thinking.completed"]
    assert text_of(events, "thinking.delta") == whole == "The user wants to see me think."


@both
def test_a_tool_call_has_its_arguments_and_its_result(handle: EmulatorHandle, session: Session, run: Run) -> None:
    events, _ = run(handle, session, "/tool 2")
    calls = {event.tool_call_id: dict(event.arguments) for event in events if event.type == "tool_call.completed"}
    results = {event.tool_call_id: event.text for event in events if event.type == "tool_result.completed"}
    assert list(calls.values()) == [{"query": "item 0"}, {"query": "item 1"}]
    assert [results[call_id] for call_id in calls] == ["item 0 is in stock", "item 1 is in stock"]


def test_a_message_steers_the_running_turn(client: Client, session: Session) -> None:
    with client.sessions.run(session, "/slow 5", deadline_s=DEADLINE_S) as turn:
        client.sessions.send(session, "More")
        events = list(turn)
    assert [event.type for event in events].count("turn.ended") == 1
    assert turn.result.text == "You said: More"


def test_a_steered_turn_is_followed_from_the_message_on(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    client.sessions.send(session, "/slow 5")
    events, result = run_sync(handle, session, "More")
    assert types(events)[0] == "message.completed"
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: More")


# --- Client tools


@both
def test_a_turn_waits_for_the_output_of_a_client_tool(handle: EmulatorHandle, session: Session, run: Run) -> None:
    events, waiting = run(handle, session, "/client-tool 2")
    assert types(events)[-4:] == ["tool_call.completed", "tool_call.completed", "action.required", "turn.ended"]
    assert (waiting.outcome, len(waiting.actions)) == (Outcome.REQUIRES_ACTION, 2)
    with client_for(handle) as other:
        assert other.sessions.pending_actions(session.id) == waiting.actions
    first, second = waiting.actions
    answers = [ToolOutput(first, "In stock"), ToolOutput(second.id, "Sold out", is_error=True)]
    events, result = run(handle, session, answers)
    assert_each_once_in_order(events)
    assert types(events)[:3] == ["turn.started", "tool_result.completed", "tool_result.completed"]
    results = [(event.text, event.is_error) for event in events if event.type == "tool_result.completed"]
    assert results == [("In stock", False), ("Sold out", True)]
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The output was received.")
    assert result.actions == ()


def test_a_late_answer_is_refused_at_once(handle: EmulatorHandle, client: Client, session: Session) -> None:
    _, waiting = run_sync(handle, session, "/client-tool 2")
    first, second = waiting.actions
    with pytest.raises(UsageError, match="all answers of a request together"):
        client.sessions.answer(session, [ToolOutput(first, "x")])
    with pytest.raises(NotFound, match="not pending: 'call_9'"):
        client.sessions.answer(session, [ToolOutput("call_9", "x")])
    client.sessions.answer(session, [ToolOutput(first, "x"), ToolOutput(second, "y")])
    for again in (client.sessions.answer, lambda *args: run_sync(handle, *args)):
        with pytest.raises(Conflict, match="no pending actions"):
            again(session, [ToolOutput(first, "x"), ToolOutput(second, "y")])
    assert client.sessions.pending_actions(session) == ()


@pytest.mark.parametrize("ending", ["cancel", "message"])
def test_a_wait_may_end_without_an_output(
    handle: EmulatorHandle, client: Client, session: Session, ending: str
) -> None:
    _, waiting = run_sync(handle, session, "/client-tool")
    if ending == "cancel":
        client.sessions.cancel(session)
    else:
        while client.sessions.get(session).status is not SessionStatus.REQUIRES_ACTION:
            pass  # a message before the status has changed does not end the wait
        _, result = run_sync(handle, session, "Never mind")
        assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: Never mind")
    assert client.sessions.pending_actions(session) == ()
    with pytest.raises(Conflict):
        client.sessions.answer(session, [ToolOutput(waiting.actions[0], "x")])


def test_a_follower_sees_a_waiting_turn_start_again(handle: EmulatorHandle, client: Client, session: Session) -> None:
    with client.sessions.stream(session, deadline_s=DEADLINE_S) as stream:
        _, waiting = run_sync(handle, session, "/client-tool")
        client.sessions.answer(session, [ToolOutput(waiting.actions[0], "x")])
        edges: list[str] = []
        for event in stream:
            if event.type in {"turn.started", "turn.ended"}:
                edges.append(event.type)
            if edges.count("turn.ended") == 2:
                break
    assert edges == ["turn.started", "turn.ended"] * 2


# --- Breaks


@pytest.mark.parametrize("frame", [1, 2, 3, 5, 8, 9])
@pytest.mark.parametrize("kind", ["duplicate", "reorder"])
def test_repeated_or_late_frames_are_delivered_once(
    *, handle: EmulatorHandle, session: Session, kind: Any, frame: int
) -> None:
    handle.faults.add(Fault(kind, path="/sse", frame=frame))
    events, result = run_sync(handle, session, "One two")
    ids = [event.id for event in events]
    assert len(set(ids)) == len(ids)
    assert (result.outcome, result.text) == (Outcome.COMPLETED, "You said: One two")
    if kind == "duplicate":
        assert text_of(events) == result.text


def test_a_stream_continues_from_its_cursor_in_another_client(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    with client.sessions.stream(session, deadline_s=DEADLINE_S) as stream:
        run_sync(handle, session, "Hello")
        seen = [next(stream) for _ in range(3)]
    with client_for(handle) as other, other.sessions.stream(session, cursor=stream.cursor) as rest:
        seen += [next(rest) for _ in range(3)]
    assert [event.sequence for event in seen if event.sequence] == list(range(2, 8))


def test_a_stream_that_cannot_continue_has_its_cursor(handle: EmulatorHandle, client: Client, session: Session) -> None:
    handle.faults.add(Fault("end", path="/sse", times=10))
    (newest,) = client.sessions.events(session)
    with (
        pytest.raises(StreamInterrupted) as caught,
        client.sessions.stream(session, deadline_s=DEADLINE_S) as broken,
    ):
        next(broken)
    assert (place_of(caught.value.cursor), caught.value.events_seen) == (newest.id, 0)


def test_cycled_connections_continue_without_a_failure(session: Session, handle: EmulatorHandle) -> None:
    emulator: Any = handle.control
    before, emulator.pace.stream_s = emulator.pace.stream_s, 0.35
    try:
        with (
            Client("everruns", retry=None, **handle.settings) as client,
            client.sessions.run(session, "/slow 8", deadline_s=DEADLINE_S) as turn,
        ):
            events = list(turn)
    finally:
        emulator.pace.stream_s = before
    assert_each_once_in_order(events)
    assert turn.result.text == "".join(f"word{number} " for number in range(8))


# --- History


def test_the_history_matches_the_stream(handle: EmulatorHandle, client: Client, session: Session) -> None:
    with client.sessions.stream(session, deadline_s=DEADLINE_S) as stream:
        for text in ("Hello", "/tool"):
            run_sync(handle, session, text)
        included: list[Event] = []
        while types(included).count("usage") < 2:
            included.append(next(stream))
    past = list(client.sessions.events(session))
    assert past[0].native_type == "session.started"
    stored = [event for event in included if event.sequence is not None]
    assert past[1:] == stored
    for limit in (1, 3, 50):
        assert list(client.sessions.events(session, page_size=limit)) == past
    page = client.sessions.events(session, page_size=2).page()
    assert list(client.sessions.events(session, cursor=page.next_cursor)) == past[2:]


def test_a_session_that_is_deleted_ends_its_stream(client: Client, session: Session) -> None:
    with client.sessions.stream(session, deadline_s=DEADLINE_S) as stream:
        client.sessions.delete(session)
        with pytest.raises(NotFound):
            list(stream)
