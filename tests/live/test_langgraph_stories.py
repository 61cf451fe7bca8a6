"""Sessions and turns on LangGraph's real Agent Server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from live.langgraph_service.process import serve_langgraph
from polysession import (
    Approve,
    AsyncClient,
    Client,
    Conflict,
    Deny,
    Event,
    Feature,
    NotFound,
    Outcome,
    Reply,
    RetryPolicy,
    Session,
    SessionStatus,
    ToolOutput,
    TurnResult,
    UsageError,
)
from polysession.emulation import Fault
from polysession.testing import ServerProcess, covers, proxy
from polysession.testing.comparing import check_same
from polysession_langgraph import LanggraphNewSession, LanggraphTurn

pytestmark = pytest.mark.evidence("langgraph", "live", by="langgraph")

LIMIT_S = 60.0
TOGETHER = 20
BREAKS = 40


@pytest.fixture
def client(langgraph_server: ServerProcess) -> Iterator[Client]:
    with open_client(langgraph_server) as client:
        yield client


def open_client(server: ServerProcess, **settings: Any) -> Client:
    return Client("langgraph", **{"base_url": server.base_url, "assistant_id": "agent", **settings})


def run(client: Client, session: Session, content: Any, **options: Any) -> tuple[list[Event], TurnResult]:
    with client.sessions.run(session, content, deadline_s=LIMIT_S, **options) as turn:
        events = list(turn)
        return events, turn.result


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_SEND)
def test_a_message_to_a_waiting_session_is_not_an_approval(client: Client) -> None:
    session = client.sessions.create()
    _, asked = run(client, session, "/ask")

    with pytest.raises(Conflict):
        client.sessions.send(session, "continue")
    with pytest.raises(Conflict):
        run(client, session, "continue")

    assert client.sessions.pending_actions(session) == asked.actions
    assert not [message for message in client.sessions.messages(session) if "in stock" in message.text]
    _, result = run(client, session, [Deny(action, "no") for action in asked.actions])
    assert result.outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_ANSWER_APPROVAL)
def test_a_group_is_answered_together_in_any_order_of_the_answers(client: Client) -> None:
    session = client.sessions.create()
    _, asked = run(client, session, "/ask 2")
    first, second = asked.actions

    with pytest.raises(UsageError):
        run(client, session, [Approve(first)])
    events, result = run(client, session, [Deny(second), Approve(first)])

    assert [event.is_error for event in events if event.type == "tool_result.completed"] == [False, True]
    assert result.outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_ANSWER_APPROVAL, Feature.SESSIONS_ANSWER_ARGUMENTS)
def test_approvals_of_the_middleware_are_answered(client: Client) -> None:
    session = client.sessions.create(agent="approving")
    _, asked = run(client, session, "/ask 2")
    first, second = asked.actions

    events, result = run(client, session, [Approve(first, arguments={"query": "tea"}), Deny(second, "no")])

    results = [event for event in events if event.type == "tool_result.completed"]
    assert {(each.text == "tea is in stock", each.is_error) for each in results} == {(True, False), (False, True)}
    assert result.outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_a_subgraph_sends_its_message_and_end_once(client: Client) -> None:
    session = client.sessions.create(agent="nested")
    events, result = run(client, session, "/tool")

    kinds = [event.type for event in events]
    assert (kinds.count("turn.ended"), kinds.count("tool_result.completed")) == (1, 1)
    assert result.text == "The tool has answered."


@covers(Feature.SESSIONS_RUN)
def test_a_message_that_no_model_wrote_is_read_from_the_state(client: Client) -> None:
    """The server counts such messages as frames, but does not send them."""
    session = client.sessions.create()
    for said in ("/return one", "/return two"):
        events, result = run(client, session, said)
        assert [event.type for event in events] == [
            *("turn.started", "session.status", "message.completed", "message.completed"),
            *("session.status", "turn.ended"),
        ]
        assert result.text == said.replace("/return", "No model says:")


@covers(Feature.SESSIONS_CANCEL)
@pytest.mark.parametrize("said", ["/slow 100", "/wait 30"])
def test_a_cancelled_turn_is_reported_and_the_next_one_works(client: Client, said: str) -> None:
    session = client.sessions.create()
    with client.sessions.run(session, said, deadline_s=LIMIT_S) as turn:
        for event in turn:
            if event.type in {"message.delta", "tool_call.completed"}:
                client.sessions.cancel(session)
                break
        assert turn.wait().outcome is Outcome.CANCELLED

    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_CANCEL)
def test_cancel_ends_a_waiting_session(client: Client) -> None:
    session = client.sessions.create()
    run(client, session, "/client-tool")

    client.sessions.cancel(session)

    assert client.sessions.pending_actions(session) == ()
    assert client.sessions.get(session).status is SessionStatus.IDLE
    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_failures_and_limits_are_outcomes(client: Client) -> None:
    session = client.sessions.create()
    limited = run(client, session, "/loop", native=LanggraphTurn(config={"recursion_limit": 4}))[1]
    outcomes = [run(client, session, said)[1].outcome for said in ("/crash", "/boom", "hello")]

    assert limited.outcome is Outcome.LIMIT_REACHED
    assert outcomes == [Outcome.FAILED, Outcome.FAILED, Outcome.COMPLETED]


@covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_ID)
def test_an_id_of_the_caller_makes_a_creation_repeatable(client: Client) -> None:
    session_id = str(uuid.uuid4())
    client.sessions.create(id=session_id, title="mine")

    with pytest.raises(Conflict):
        client.sessions.create(id=session_id)
    again = client.sessions.create(id=session_id, title="other", native=LanggraphNewSession(if_exists="do_nothing"))
    assert again.title == "mine"


@covers(Feature.SESSIONS_RUN)
def test_two_clients_on_one_session_follow_their_own_turns(langgraph_server: ServerProcess) -> None:
    async def both() -> list[TurnResult]:
        async with AsyncClient("langgraph", base_url=langgraph_server.base_url, assistant_id="agent") as client:
            session = await client.sessions.create()
            said = ("one", "two")
            return list(
                await asyncio.gather(*(client.sessions.ask(session, each, deadline_s=LIMIT_S) for each in said))
            )

    assert [result.text for result in asyncio.run(both())] == ["You said: one", "You said: two"]


@covers(Feature.SESSIONS_RUN)
def test_twenty_simultaneous_turns(langgraph_server: ServerProcess) -> None:
    async def one(client: AsyncClient, number: int) -> str:
        session = await client.sessions.create()
        return (await client.sessions.ask(session, f"number {number}", deadline_s=LIMIT_S)).text or ""

    async def all_of_them() -> list[str]:
        async with AsyncClient("langgraph", base_url=langgraph_server.base_url, assistant_id="agent") as client:
            return list(await asyncio.gather(*(one(client, number) for number in range(TOGETHER))))

    assert asyncio.run(all_of_them()) == [f"You said: number {number}" for number in range(TOGETHER)]


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(("said", "at_byte"), [("/long 1000", 12_000), ("/tool 3", 3_000)])
def test_turns_with_repeated_breaks_are_complete_and_have_no_gap(
    langgraph_server: ServerProcess, said: str, at_byte: int
) -> None:
    """A busy server omits events on reopened streams.

    Several turns at once show it; a single one rarely does.
    """

    async def one(client: AsyncClient) -> list[Event]:
        session = await client.sessions.create()
        async with client.sessions.run(session, said, deadline_s=LIMIT_S) as turn:
            return [event async for event in turn]

    async def several(base_url: str, number: int) -> list[list[Event]]:
        at_once = RetryPolicy(attempts=2 * BREAKS, first_wait_s=0.0)  # while the run is active
        async with AsyncClient("langgraph", base_url=base_url, assistant_id="agent", retry=at_once) as client:
            return await asyncio.gather(*(one(client) for _ in range(number)))

    with proxy(langgraph_server.base_url) as (base_url, faults):
        (whole,) = asyncio.run(several(base_url, 1))
        faults.add(Fault("drop", streams_only=True, at_byte=at_byte, times=BREAKS))
        for events in asyncio.run(several(base_url, 4)):
            assert not check_same(events, whole, said), "there is a gap"
        assert faults.waiting() == []


@covers(Feature.SESSIONS_STREAM)
def test_the_stream_of_an_unknown_session_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound), client.sessions.stream(str(uuid.uuid4()), deadline_s=LIMIT_S) as events:
        next(events)


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_ANSWER_QUESTION)
def test_a_server_that_restarts_during_a_turn(langgraph_python: Path, tmp_path: Path) -> None:
    """The run is resumed, and a waiting session still waits."""
    with serve_langgraph(langgraph_python, tmp_path) as server, open_client(server) as client:
        waiting = client.sessions.create()
        _, asked = run(client, waiting, "/question")
        session = client.sessions.create()
        with client.sessions.run(session, "/slow 30", deadline_s=LIMIT_S) as turn:
            for event in turn:
                if event.type == "message.delta":
                    break
            server.stop()
            server.start()
            result = turn.wait()
        assert result.outcome is Outcome.COMPLETED
        assert result.text == "".join(f"word{number} " for number in range(30))
        assert run(client, waiting, [Reply(action, "red") for action in asked.actions])[1].text
        assert run(client, session, "/client-tool")[1].actions
        outputs = [ToolOutput(action, "42") for action in client.sessions.pending_actions(session)]
        assert run(client, session, outputs)[1].outcome is Outcome.COMPLETED
