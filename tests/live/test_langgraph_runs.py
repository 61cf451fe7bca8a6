"""Runs on LangGraph's real Agent Server: several at once, cancelled, lost, or interrupted."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from live.langgraph_service.process import serve_langgraph
from polysession import (
    Approve,
    AsyncClient,
    Client,
    Conflict,
    Event,
    Feature,
    MediaBlock,
    NotFound,
    Outcome,
    PolysessionError,
    Session,
    SessionStatus,
    StreamInterrupted,
    TextBlock,
    ToolOutput,
    TurnResult,
)
from polysession.testing import ServerProcess, covers
from polysession_langgraph import LanggraphTurn

pytestmark = pytest.mark.evidence("langgraph", "live", by="langgraph")

LIMIT_S: Final = 60.0


@pytest.fixture
def client(langgraph_server: ServerProcess) -> Iterator[Client]:
    with Client("langgraph", base_url=langgraph_server.base_url, assistant_id="agent") as client:
        yield client


def run(client: Client, session: Session, content: Any, **options: Any) -> tuple[list[Event], TurnResult]:
    with client.sessions.run(session, content, deadline_s=LIMIT_S, **options) as turn:
        events = list(turn)
        return events, turn.result


def ask(server: ServerProcess, method: str, path: str, body: Any = None) -> Any:
    """Send a request of another client."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  (the URL of the test's server)
        server.base_url + path, data, {"content-type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=LIMIT_S) as response:  # noqa: S310  (the URL of the test's server)
        content = response.read()
    return json.loads(content) if content else None


def runs_of(server: ServerProcess, session: Session) -> list[Any]:
    found: list[Any] = ask(server, "GET", f"/threads/{session.id}/runs")
    return found


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(
    ("strategy", "first", "second"),
    [
        ("enqueue", Outcome.COMPLETED, Outcome.COMPLETED),
        ("interrupt", Outcome.CANCELLED, Outcome.COMPLETED),
        ("rollback", Outcome.CANCELLED, Outcome.COMPLETED),
    ],
)
def test_a_second_message_to_a_busy_session(
    langgraph_server: ServerProcess, strategy: Any, first: Outcome, second: Outcome
) -> None:
    """The server waits up to five seconds for the active run before it applies the strategy."""

    async def both() -> list[Outcome]:
        async with AsyncClient("langgraph", base_url=langgraph_server.base_url, assistant_id="agent") as client:
            session = await client.sessions.create()
            async with client.sessions.run(session, "/slow 120", deadline_s=LIMIT_S) as slow:
                async for event in slow:
                    if event.type == "message.delta":
                        break
                native = LanggraphTurn(multitask_strategy=strategy)
                async with client.sessions.run(session, "second", deadline_s=LIMIT_S, native=native) as other:
                    results = await asyncio.gather(slow.wait(), other.wait())
            return [result.outcome for result in results]

    assert asyncio.run(both()) == [first, second]


@covers(Feature.SESSIONS_RUN)
def test_a_second_message_can_be_rejected(client: Client) -> None:
    session = client.sessions.create()
    client.sessions.send(session, "/slow 120")
    with pytest.raises(Conflict) as caught:
        run(client, session, "second", native=LanggraphTurn(multitask_strategy="reject"))
    assert "/slow" not in str(caught.value)
    client.sessions.cancel(session)


@covers(Feature.SESSIONS_CANCEL)
def test_cancel_stops_the_running_and_the_queued_runs(client: Client, langgraph_server: ServerProcess) -> None:
    session = client.sessions.create()
    for said in ("/slow 120", "never read"):
        client.sessions.send(session, said)
    while [run["status"] for run in runs_of(langgraph_server, session)] != ["pending", "running"]:
        pass

    client.sessions.cancel(session)

    while client.sessions.get(session).status is SessionStatus.RUNNING:
        pass
    assert [run["status"] for run in runs_of(langgraph_server, session)] == ["interrupted", "interrupted"]
    assert [message.text for message in client.sessions.messages(session)] == ["/slow 120"]
    assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_a_run_that_another_client_deletes_is_cancelled(client: Client, langgraph_server: ServerProcess) -> None:
    session = client.sessions.create()
    with client.sessions.run(session, "/hang", deadline_s=LIMIT_S) as turn:
        next(turn)
        (going,) = runs_of(langgraph_server, session)
        path = f"/threads/{session.id}/runs/{going['run_id']}/cancel?wait=true&action=rollback"
        ask(langgraph_server, "POST", path, {})
        assert turn.wait().outcome is Outcome.CANCELLED


@covers(Feature.SESSIONS_DELETE)
def test_deleting_a_session_ends_its_turn(client: Client) -> None:
    session = client.sessions.create()

    def leave() -> TurnResult:
        with client.sessions.run(session, "/slow 40", deadline_s=LIMIT_S) as turn:
            next(event for event in turn if event.type == "message.delta")
            client.sessions.delete(session)
            return turn.wait()

    with pytest.raises(NotFound):
        leave()
    with pytest.raises(NotFound):
        client.sessions.get(session)


@covers(Feature.SESSIONS_ANSWER_OUTPUT)
def test_two_interrupts_are_answered_one_by_one(client: Client) -> None:
    session = client.sessions.create()
    _, asked = run(client, session, "/mixed")
    approval, execution = sorted(asked.actions, key=lambda action: action.type)

    _, between = run(client, session, [ToolOutput(execution, "42")])
    assert between.outcome is Outcome.REQUIRES_ACTION
    assert [action.id for action in between.actions] == [approval.id]

    events, result = run(client, session, [Approve(approval)])
    assert result.outcome is Outcome.COMPLETED
    assert [event.type for event in events].count("tool_result.completed") <= 2


@covers(Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_METADATA)
def test_pages_are_stable_while_a_session_runs(client: Client) -> None:
    mark = uuid.uuid4().hex
    sessions = [client.sessions.create(metadata={"mark": mark}) for _ in range(12)]
    client.sessions.send(sessions[6], "/slow 30")

    found = [session.id for session in client.sessions.list(metadata={"mark": mark}, page_size=5)]

    assert found == [session.id for session in reversed(sessions)]
    client.sessions.cancel(sessions[6])


@covers(Feature.SESSIONS_LIST)
def test_a_list_omits_states(client: Client) -> None:
    mark = uuid.uuid4().hex
    session = client.sessions.create(metadata={"mark": mark})
    run(client, session, "/long 20000")

    (listed,) = client.sessions.list(metadata={"mark": mark})

    assert len(client.sessions.get(session).source) > 100_000
    assert len(listed.source) < 2_000


@covers(Feature.SESSIONS_SEND_IMAGE)
def test_a_message_of_several_blocks_is_kept(client: Client) -> None:
    session = client.sessions.create()
    image = MediaBlock(type="image", url="https://example.com/x.png", media_type="image/png")
    run(client, session, [TextBlock(text="look"), image])

    stored = client.sessions.messages(session).first()

    assert stored is not None
    assert [block["type"] for block in stored.raw["content"]] == ["text", "image"]


@covers(Feature.SESSIONS_REJOIN)
def test_a_cursor_older_than_the_log_has_a_gap(langgraph_python: Path, tmp_path: Path) -> None:
    with (
        serve_langgraph(langgraph_python, tmp_path) as server,
        Client("langgraph", base_url=server.base_url, assistant_id="agent") as client,
    ):
        session = client.sessions.create()
        with client.sessions.run(session, "/slow 20", deadline_s=LIMIT_S) as turn:
            next(event for event in turn if event.type == "message.delta")
            cursor = turn.cursor
        while client.sessions.get(session).status is SessionStatus.RUNNING:
            pass
        server.stop()
        server.start()
        assert cursor is not None
        with client.sessions.rejoin(session, cursor, deadline_s=LIMIT_S) as rejoined:
            events = list(rejoined)

    assert [event.type for event in events if event.type == "stream.gap"] == ["stream.gap"]
    assert rejoined.result.outcome is Outcome.COMPLETED
    assert rejoined.result.text == "".join(f"word{number} " for number in range(20))


@covers(Feature.SESSIONS_RUN)
def test_a_turn_of_a_killed_server_is_not_a_success(langgraph_python: Path, tmp_path: Path) -> None:
    """The server stores its threads when it is stopped.

    After a kill, the session or its turn may be missing.
    """
    with (
        serve_langgraph(langgraph_python, tmp_path) as server,
        Client("langgraph", base_url=server.base_url, assistant_id="agent") as client,
    ):
        session = client.sessions.create()

        def broken() -> TurnResult | PolysessionError:
            with client.sessions.run(session, "/slow 100", deadline_s=LIMIT_S) as turn:
                next(event for event in turn if event.type == "message.delta")
                server.restart()
                try:
                    return turn.wait()
                except (NotFound, StreamInterrupted) as error:
                    return error

        ended = broken()
        assert ended.cursor if isinstance(ended, PolysessionError) else ended.outcome is not Outcome.COMPLETED
        assert client.sessions.ask(client.sessions.create(), "hello", deadline_s=LIMIT_S).text == "You said: hello"
