"""Errors of LangGraph's real Agent Server: keys, owners, failing models, deleted runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from live.langgraph_service.process import serve_langgraph
from polysession import (
    AsyncClient,
    AuthenticationFailed,
    Client,
    Conflict,
    Feature,
    NotFound,
    Outcome,
    PermissionDenied,
    ServerError,
    Session,
    TurnResult,
)
from polysession.testing import ServerProcess, covers
from polysession_langgraph import LanggraphSessionQuery

pytestmark = pytest.mark.evidence("langgraph", "live", by="langgraph")

LIMIT_S: Final = 60.0


@pytest.fixture(scope="module")
def guarded_server(langgraph_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server with custom authentication."""
    with serve_langgraph(langgraph_python, tmp_path_factory.mktemp("guarded"), with_auth=True) as server:
        yield server


def client_of(server: ServerProcess, key: str | None = None, **settings: Any) -> Client:
    return Client("langgraph", base_url=server.base_url, assistant_id="agent", api_key=key, **settings)


@covers(Feature.SESSIONS_CREATE, Feature.AGENTS_LIST)
def test_a_server_that_requires_a_key(guarded_server: ServerProcess) -> None:
    with client_of(guarded_server) as without, pytest.raises(AuthenticationFailed, match="no key"):
        without.agents.list().first()
    with client_of(guarded_server, "wrong-123") as wrong, pytest.raises(PermissionDenied) as refused:
        wrong.sessions.create()
    assert "wrong-123" not in f"{refused.value!r} {refused.value}"
    with client_of(guarded_server, headers={"x-api-key": "key-of-carol"}) as carol:
        assert carol.sessions.create().metadata == {"owner": "key-of-carol"}


OF_ANOTHER: Final[dict[str, Callable[[Client, Session], object]]] = {
    "get": lambda client, session: client.sessions.get(session),
    "update": lambda client, session: client.sessions.update(session, title="mine"),
    "send": lambda client, session: client.sessions.send(session, "hello"),
    "ask": lambda client, session: client.sessions.ask(session, "hello"),
    "stream": lambda client, session: client.sessions.stream(session, deadline_s=LIMIT_S).__enter__(),
    "messages": lambda client, session: client.sessions.messages(session).first(),
    "pending_actions": lambda client, session: client.sessions.pending_actions(session),
    "cancel": lambda client, session: client.sessions.cancel(session),
    "delete": lambda client, session: client.sessions.delete(session),
}


@pytest.mark.parametrize("use", OF_ANOTHER.values(), ids=OF_ANOTHER)
@covers(Feature.SESSIONS_GET, Feature.SESSIONS_STREAM, Feature.SESSIONS_RUN, Feature.SESSIONS_LIST)
def test_the_session_of_another_owner_is_not_found(
    guarded_server: ServerProcess, use: Callable[[Client, Session], object]
) -> None:
    with client_of(guarded_server, "key-of-alice") as alice, client_of(guarded_server, "key-of-bob") as bob:
        session = alice.sessions.create(title="Alice's")
        with pytest.raises(NotFound):
            use(bob, session)
        assert alice.sessions.get(session).title == "Alice's"


@covers(Feature.SESSIONS_CREATE_ID, Feature.SESSIONS_LIST)
def test_owners_on_one_server_see_only_their_sessions(guarded_server: ServerProcess) -> None:
    with client_of(guarded_server, "key-of-dave") as dave, client_of(guarded_server, "key-of-eve") as eve:
        session = dave.sessions.create()
        with pytest.raises(Conflict):
            eve.sessions.create(id=session.id)
        assert [each.id for each in dave.sessions.list()] == [session.id]
        assert list(eve.sessions.list()) == []
        assert dave.sessions.ask(session, "hello", deadline_s=LIMIT_S).text == "You said: hello"


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "OpenAIAuthenticationError"), (429, "OpenAIRateLimitError"), (500, "OpenAIAPIError")],
)
def test_a_model_that_fails_is_named_by_its_class(langgraph_server: ServerProcess, status: int, reason: str) -> None:
    """The server does not send the message of the model's error."""
    with client_of(langgraph_server) as client:
        session = client.sessions.create()
        with client.sessions.run(session, f"/status {status}", deadline_s=LIMIT_S) as turn:
            events = list(turn)

        assert [event.code for event in events if event.type == "error"] == [reason]
        assert (turn.result.outcome, turn.result.native_reason) == (Outcome.FAILED, reason)
        assert client.sessions.ask(session, "hello", deadline_s=LIMIT_S).text == "You said: hello"


@covers(Feature.SESSIONS_LIST)
def test_after_a_500_the_connection_is_reset_and_the_next_call_works(langgraph_server: ServerProcess) -> None:
    with client_of(langgraph_server) as client:
        session = client.sessions.create()
        with pytest.raises(ServerError):
            client.sessions.list(native=LanggraphSessionQuery(values={"topic": "tea"})).first()
        assert client.sessions.get(session).id == session.id


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_CANCEL)
def test_a_queued_turn_that_is_cancelled_before_its_start(langgraph_server: ServerProcess) -> None:
    """It leaves no event, and its message is not stored. Only the run itself shows it."""

    async def story() -> tuple[TurnResult, list[str]]:
        async with AsyncClient("langgraph", base_url=langgraph_server.base_url, assistant_id="agent") as client:
            session = await client.sessions.create()
            runs = f"/threads/{session.id}/runs"
            await client.sessions.send(session, "/slow 200")
            async with client.sessions.run(session, "never read", deadline_s=LIMIT_S) as queued:
                (pending,) = (await client.request("GET", runs, query={"status": "pending"})).json()
                await client.request("POST", f"{runs}/{pending['run_id']}/cancel", json={})
                result = await queued.wait()
            await client.sessions.cancel(session)
            return result, [message.text async for message in client.sessions.messages(session)]

    result, texts = asyncio.run(story())
    assert result.outcome is Outcome.CANCELLED
    assert "never read" not in texts


@covers(Feature.SESSIONS_REJOIN)
def test_a_run_deleted_between_two_connections_hides_no_events(langgraph_server: ServerProcess) -> None:
    """The deletion shifts positions in `stream/events`.

    Ids of the thread's stream do not change.
    """
    with client_of(langgraph_server) as client:
        session = client.sessions.create()
        client.sessions.ask(session, "first", deadline_s=LIMIT_S)
        (first,) = client.request("GET", f"/threads/{session.id}/runs").json()
        with client.sessions.run(session, "/slow 20", deadline_s=LIMIT_S) as turn:
            next(event for event in turn if event.type == "message.delta")
            cursor = turn.cursor
        assert cursor is not None
        httpx.delete(f"{langgraph_server.base_url}/threads/{session.id}/runs/{first['run_id']}", trust_env=False)

        with client.sessions.rejoin(session, cursor, deadline_s=LIMIT_S) as rejoined:
            events = list(rejoined)

    assert "stream.gap" not in [event.type for event in events]
    assert rejoined.result.text == "".join(f"word{number} " for number in range(20))
