"""The same script gives the same turns on every backend.

Compared are the milestones of a turn. Left out is what backends tell more or less of: statuses, usage, native events,
the echo of what was sent, the beginnings of things, and messages without text. `DIFFERENCES` lists what remains, as
the page "Turns and streams" does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polysession import (
    Answer,
    Approve,
    Client,
    Deny,
    Event,
    Feature,
    MessageCompleted,
    Outcome,
    PendingAction,
    ResumeContract,
    Role,
    Session,
    Support,
    ToolApproval,
    ToolOutput,
    TurnEnded,
    UnsupportedOperation,
)
from polysession.cli.demo import emulated_providers, local_client, place_of
from polysession.emulation import EmulatorHandle, serve

MILESTONES = {
    "turn.started",
    "thinking.completed",
    "message.delta",
    "message.completed",
    "tool_call.completed",
    "tool_result.completed",
    "action.required",
    "turn.ended",
}
STORIES = {
    "hello there": [["turn.started", "message.delta", "message.completed", "turn.ended completed"]],
    "/think": [["turn.started", "thinking.completed", "message.delta", "message.completed", "turn.ended completed"]],
    "/tool": [
        [
            "turn.started",
            "tool_call.completed",
            "tool_result.completed",
            "message.delta",
            "message.completed",
            "turn.ended completed",
        ]
    ],
    "/client-tool": [
        ["turn.started", "tool_call.completed", "action.required", "turn.ended requires_action"],
        ["turn.started", "tool_result.completed", "message.delta", "message.completed", "turn.ended completed"],
    ],
    "/ask": [
        ["turn.started", "tool_call.completed", "action.required", "turn.ended requires_action"],
        ["turn.started", "tool_result.completed", "message.delta", "message.completed", "turn.ended completed"],
    ],
    "/fail": [["turn.started", "turn.ended failed"]],
}
DIFFERENCES = {
    # Everruns tells the user in a message that the turn failed.
    ("everruns", "/fail"): [["turn.started", "message.completed", "turn.ended failed"]],
    # Its way to ask for an approval is not published: the tool runs without one.
    ("everruns", "/ask"): STORIES["/tool"],
    # Qoder echoes an output before it says that it runs again.
    ("qoder", "/client-tool"): [
        STORIES["/client-tool"][0],
        ["tool_result.completed", "turn.started", "message.delta", "message.completed", "turn.ended completed"],
    ],
}


@pytest.fixture(params=list(emulated_providers()), scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.fixture
def client(emulator: EmulatorHandle) -> Iterator[Client]:
    with local_client(emulator) as client:
        yield client


@pytest.fixture
def session(client: Client, emulator: EmulatorHandle) -> Session:
    model = place_of(emulator).model if client.supports(Feature.UPDATE_MODEL) else None
    return client.sessions.create(
        agent=emulator.agent_id, environment=emulator.environment_id, title="Ticket 42", model=model
    )


def milestones(events: list[Event]) -> list[str]:
    told: list[str] = []
    for event in events:
        word = f"turn.ended {event.outcome.value}" if isinstance(event, TurnEnded) else event.type
        plain = isinstance(event, MessageCompleted) and (
            event.message.role is not Role.ASSISTANT or not event.message.text
        )
        repeated = word == "message.delta" and told[-1:] == [word]
        if event.type in MILESTONES and not plain and not repeated:
            told.append(word)
    return told


def answer(action: PendingAction) -> Answer:
    return Approve(action) if isinstance(action, ToolApproval) else ToolOutput(action, "42")


@pytest.mark.parametrize("said", STORIES)
def test_the_same_script_gives_the_same_milestones(client: Client, session: Session, said: str) -> None:
    told, turn_input = [], said
    while True:
        with client.sessions.run(session, turn_input, deadline_s=20) as turn:
            told.append(milestones(list(turn)))
        if turn.result.outcome is not Outcome.REQUIRES_ACTION:
            break
        turn_input = [answer(action) for action in turn.result.actions]  # type: ignore[assignment]

    assert told == DIFFERENCES.get((client.provider, said), STORIES[said])


def test_a_turn_is_cancelled_while_it_speaks(client: Client, session: Session) -> None:
    with client.sessions.run(session, "/slow 100", deadline_s=20) as turn:
        next(event for event in turn if event.type == "message.delta")
        client.sessions.cancel(session)
        turn.wait()

    assert turn.result.outcome is Outcome.CANCELLED


def test_a_denial_reaches_the_agent(client: Client, session: Session) -> None:
    if client.supports(Feature.ANSWER_APPROVAL) is Support.UNSUPPORTED:
        with pytest.raises(UnsupportedOperation):
            client.sessions.answer(session, [Deny("any")])
        return
    with client.sessions.run(session, "/ask", deadline_s=20) as turn:
        (action,) = turn.wait().actions
    with client.sessions.run(session, [Deny(action)], deadline_s=20) as turn:
        results = [event for event in turn if event.type == "tool_result.completed"]

    assert [event.is_error for event in results] == [True]
    assert turn.result.outcome is Outcome.COMPLETED


def test_what_is_pending_is_answered_by_another_process(
    client: Client, session: Session, emulator: EmulatorHandle
) -> None:
    with client.sessions.run(session, "/client-tool", deadline_s=20) as turn:
        (asked,) = turn.wait().actions
    with local_client(emulator) as other:
        (found,) = other.sessions.pending_actions(session)
        assert (found.id, found.name, found.arguments) == (asked.id, asked.name, asked.arguments)
        with other.sessions.run(session, [ToolOutput(found.id, "42")], deadline_s=20) as turn:
            assert turn.wait().outcome is Outcome.COMPLETED
        assert other.sessions.pending_actions(session) == ()


def test_two_turns_after_each_other_are_told_apart(client: Client, session: Session) -> None:
    for text in ("first", "second"):
        with client.sessions.run(session, text, deadline_s=20) as turn:
            assert turn.wait().text == f"You said: {text}"


def test_what_was_said_is_kept(client: Client, session: Session) -> None:
    with client.sessions.run(session, "hello there", deadline_s=20) as turn:
        turn.wait()

    said = [(message.role, message.text) for message in client.sessions.messages(session)]
    assert said == [(Role.USER, "hello there"), (Role.ASSISTANT, "You said: hello there")]
    assert [event.type for event in client.sessions.events(session)].count("message.completed") >= 1


def test_how_a_stream_goes_on_is_public(client: Client) -> None:
    replays = {"agentscope": ResumeContract.CURRENT_RUN_REPLAY}

    assert client.resume is replays.get(client.provider, ResumeContract.SERVER_REPLAY)
