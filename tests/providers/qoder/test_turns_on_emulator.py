"""Whole turns against the emulator, through both clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from polysession import (
    Answer,
    Approve,
    AsyncClient,
    Client,
    Conflict,
    Deny,
    Event,
    NotFound,
    Outcome,
    RetryPolicy,
    Role,
    Session,
    ToolApproval,
    TurnResult,
)
from polysession.emulation import EmulatorHandle, Fault, serve

DEADLINE_S = 20.0
RETRY = RetryPolicy(attempts=4, first_wait_s=0.01, max_wait_s=0.05)

Delivered = tuple[list[Event], TurnResult]
Run = Callable[[EmulatorHandle, Session, str | Sequence[Answer]], Delivered]


def client_for(handle: EmulatorHandle) -> Client:
    return Client("qoder", retry=RETRY, **handle.settings)


def run_sync(handle: EmulatorHandle, session: Session, content: str | Sequence[Answer]) -> Delivered:
    with client_for(handle) as client, client.sessions.run(session, content, deadline_s=DEADLINE_S) as turn:
        events = list(turn)
        return events, turn.result


def run_async(handle: EmulatorHandle, session: Session, content: str | Sequence[Answer]) -> Delivered:
    async def run() -> Delivered:
        async with (
            AsyncClient("qoder", retry=RETRY, **handle.settings) as client,
            client.sessions.run(session, content, deadline_s=DEADLINE_S) as turn,
        ):
            events = [event async for event in turn]
            return events, turn.result

    return asyncio.run(run())


both = pytest.mark.parametrize("run", [pytest.param(run_sync, id="sync"), pytest.param(run_async, id="async")])


@pytest.fixture(scope="module", params=["current", "legacy"])
def handle(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve("qoder", generation=request.param) as handle:
        yield handle


@pytest.fixture
def client(handle: EmulatorHandle) -> Iterator[Client]:
    handle.faults.clear()
    with client_for(handle) as client:
        yield client


@pytest.fixture
def session(handle: EmulatorHandle, client: Client) -> Session:
    return client.sessions.create(agent=handle.agent_id, environment=handle.environment_id)


def types(events: Sequence[Event]) -> list[str]:
    return [event.type for event in events]


def deltas(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if event.type == "message.delta")


@both
def test_a_plain_turn(run: Run, handle: EmulatorHandle, session: Session) -> None:
    events, result = run(handle, session, "Hello there")

    assert (result.outcome, result.native_reason, result.text) == (
        Outcome.COMPLETED,
        "end_turn",
        "You said: Hello there",
    )
    assert deltas(events) == result.text
    assert types(events).count("turn.started") == types(events).count("turn.ended") == 1
    # In the API of May 2026, the echo of the message comes before the session runs.
    before = types(events)[: types(events).index("turn.started")]
    assert before == ([] if handle.control.generation == "current" else ["message.completed"])
    assert types(events)[-1] == "turn.ended"
    assert [event.message.role for event in events if event.type == "message.completed"] == [
        Role.USER,
        Role.ASSISTANT,
    ]


@both
@pytest.mark.parametrize(("kind", "is_error"), [(Approve, False), (Deny, True)])
def test_a_tool_that_needs_an_approval(
    run: Run,
    handle: EmulatorHandle,
    session: Session,
    kind: type[Approve | Deny],
    is_error: bool,  # noqa: FBT001
) -> None:
    _, waiting = run(handle, session, "/ask 2")
    assert waiting.outcome is Outcome.REQUIRES_ACTION
    assert [type(action) for action in waiting.actions] == [ToolApproval, ToolApproval]

    events, result = run(handle, session, [kind(action) for action in waiting.actions])

    assert (result.outcome, result.text) == (Outcome.COMPLETED, "The decision was heard.")
    assert [event.is_error for event in events if event.type == "tool_result.completed"] == [is_error] * 2


@both
def test_a_partly_answered_turn_requires_the_other_actions(run: Run, handle: EmulatorHandle, session: Session) -> None:
    first, second = run(handle, session, "/ask 2")[1].actions

    again = run(handle, session, [Approve(first)])[1]
    assert (again.outcome, again.actions) == (Outcome.REQUIRES_ACTION, (second,))

    assert run(handle, session, [Approve(second.id)])[1].outcome is Outcome.COMPLETED


def test_a_turn_whose_session_is_deleted(client: Client, session: Session) -> None:
    events = []
    with client.sessions.run(session, "/slow 100") as turn:
        for event in turn:
            events.append(event)
            if event.type == "message.started":
                client.sessions.delete(session)

    assert (turn.result.outcome, turn.result.native_reason) == (Outcome.FAILED, "deleted")
    assert events[-1].synthetic


@both
@pytest.mark.parametrize("kind", ["drop", "end"])
@pytest.mark.parametrize("at_byte", [0, 1, 400, 700, 1500])
def test_a_broken_stream_continues(
    run: Run, handle: EmulatorHandle, client: Client, session: Session, kind: Any, at_byte: int
) -> None:
    run(handle, session, "before")
    handle.faults.add(Fault(kind, path="/stream", at_byte=at_byte))

    events, result = run(handle, session, "a rather long message of many words")

    assert handle.faults.waiting() == []
    assert result.text == "You said: a rather long message of many words"
    # An event that is complete when the stream is reopened is delivered whole, without its remaining deltas.
    assert result.text.startswith(deltas(events))
    listed = [event.id for event in client.sessions.events(session)]
    ids = [event.id for event in events if event.id is not None]
    assert ids == listed[-len(ids) :]


def test_a_stream_follows_every_turn_and_continues_in_another_client(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    with client_for(handle) as other, other.sessions.stream(session, deadline_s=DEADLINE_S) as events:
        client.sessions.send(session, "one")
        first = [next(events) for _ in range(3)]
        cursor = events.cursor

    with client_for(handle) as other, other.sessions.stream(session, cursor=cursor, deadline_s=DEADLINE_S) as events:
        rest = []
        for event in events:
            rest.append(event)
            if event.type == "turn.ended":
                break

    seen = [event.id for event in [*first, *rest] if event.id is not None]
    listed = [event.id for event in client.sessions.events(session)]
    assert seen == listed


def test_the_history_matches_the_stream(handle: EmulatorHandle, client: Client, session: Session) -> None:
    streamed = run_sync(handle, session, "/tool")[0] + run_sync(handle, session, "two")[0]

    history = list(client.sessions.events(session, page_size=3))
    messages = list(client.sessions.messages(session, page_size=2))

    assert [event for event in streamed if event.id is not None] == history
    assert [message.text for message in messages] == ["/tool", "The tool has answered.", "two", "You said: two"]
    assert messages == [event.message for event in history if event.type == "message.completed"]


def test_pending_actions_are_answered_by_another_client(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    waiting = run_sync(handle, session, "/ask 2")[1]

    with client_for(handle) as other:
        actions = other.sessions.pending_actions(session.id)
        assert actions == waiting.actions
        other.sessions.answer(session.id, [Approve(action.id) for action in actions])

    with pytest.raises(Conflict, match="no pending actions"):
        client.sessions.answer(session, [Approve(actions[0])])
    assert client.sessions.pending_actions(session) == ()


ANSWERS_STORED_ACTIONS = """
import json, sys
from polysession import ACTION, Approve, Client

given = json.load(sys.stdin)
with Client("qoder", **given["settings"]) as client:
    actions = [ACTION.validate_python(action) for action in given["actions"]]
    client.sessions.answer(given["session"], [Approve(action) for action in actions])
"""


def test_stored_actions_are_answered_by_another_process(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    with client.sessions.run(session, "/ask 2", deadline_s=DEADLINE_S) as turn:
        turn.wait()
    waiting, cursor = turn.result, turn.cursor
    stored = [action.model_dump(mode="json") for action in waiting.actions]
    given = json.dumps({"settings": handle.settings, "session": session.id, "actions": stored})

    subprocess.run([sys.executable, "-c", ANSWERS_STORED_ACTIONS], input=given, text=True, check=True)  # noqa: S603

    assert client.sessions.pending_actions(session) == ()
    with client.sessions.stream(session, cursor=cursor, deadline_s=DEADLINE_S) as events:
        assert next(event.outcome for event in events if event.type == "turn.ended") is Outcome.COMPLETED


@pytest.mark.parametrize("seen", [0, 2, 6])
def test_a_turn_is_rejoined_after_it_was_left(
    handle: EmulatorHandle, client: Client, session: Session, seen: int
) -> None:
    with client.sessions.run(session, "a message of several words", deadline_s=DEADLINE_S) as turn:
        for _ in range(seen):
            next(turn)
        cursor = turn.cursor
    assert cursor is not None

    with client_for(handle) as other, other.sessions.rejoin(session.id, cursor, deadline_s=DEADLINE_S) as turn:
        turn.wait()

    assert turn.result.outcome is Outcome.COMPLETED
    assert turn.result.text == "You said: a message of several words"


class WithoutEcho(httpx.HTTPTransport):
    """A transport that removes the user's messages from streams."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith("/stream"):
            response.stream = _WithoutEcho(response.stream)  # type: ignore[arg-type]
        return response


class _WithoutEcho(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        left = b""
        for chunk in self._stream:
            *frames, left = (left + chunk).split(b"\n\n")
            yield b"".join(frame + b"\n\n" for frame in frames if b"event: user.message" not in frame)

    def close(self) -> None:
        self._stream.close()


def test_a_turn_whose_message_is_not_streamed_ends(handle: EmulatorHandle, session: Session) -> None:
    with (
        httpx.Client(transport=WithoutEcho()) as http,
        Client("qoder", http_client=http, **handle.settings) as client,
        client.sessions.run(session, "Hello", deadline_s=DEADLINE_S) as turn,
    ):
        events = list(turn)

    assert (turn.result.outcome, turn.result.text) == (Outcome.COMPLETED, "You said: Hello")
    assert [event.message.role for event in events if event.type == "message.completed"] == [Role.ASSISTANT]


@pytest.mark.parametrize("clients", [2, 4, 8])
def test_clients_on_one_session_get_their_own_turns(handle: EmulatorHandle, session: Session, clients: int) -> None:
    async def run_until_accepted(client: AsyncClient, text: str) -> str:
        while True:
            try:
                async with client.sessions.run(session, text, deadline_s=DEADLINE_S) as turn:
                    await turn.wait()
                    return turn.result.text
            except Conflict:
                await asyncio.sleep(0)

    async def run() -> list[str]:
        async with contextlib.AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(AsyncClient("qoder", retry=RETRY, **handle.settings))
                for _ in range(clients)
            ]
            runs = [run_until_accepted(client, f"from {number}") for number, client in enumerate(opened)]
            return await asyncio.gather(*runs)

    assert asyncio.run(run()) == [f"You said: from {number}" for number in range(clients)]


def test_an_unknown_action_is_not_answered(handle: EmulatorHandle, client: Client, session: Session) -> None:
    run_sync(handle, session, "/ask")

    with pytest.raises(NotFound, match="evt_none"):
        client.sessions.answer(session, [Approve("evt_none")])
    assert len(client.sessions.pending_actions(session)) == 1


def test_a_message_to_a_running_turn_is_a_conflict(client: Client, session: Session) -> None:
    client.sessions.send(session, "/slow 50")

    with pytest.raises(Conflict):
        client.sessions.send(session, "now")


def test_a_message_while_the_agent_waits_is_a_conflict_and_the_answer_continues(
    handle: EmulatorHandle, client: Client, session: Session
) -> None:
    """So the events after an accepted message never belong to the turn of an answer."""
    run_sync(handle, session, "/ask")
    with pytest.raises(Conflict), client.sessions.run(session, "now", deadline_s=DEADLINE_S):
        pass

    answers = [Approve(action) for action in client.sessions.pending_actions(session)]
    assert client.sessions.ask(session, answers, deadline_s=DEADLINE_S).text == "The decision was heard."
