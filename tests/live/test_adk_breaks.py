"""Turns on the real ADK API server: left, cut, disturbed, silent, or simultaneous."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from live.adk_clients import LIMIT_S, eventually, of, open_client, run
from live.adk_service.process import serve_adk
from polysession import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    Event,
    Feature,
    NotFound,
    Outcome,
    Session,
    SessionStatus,
    StreamInterrupted,
    TurnEnded,
    TurnResult,
)
from polysession.emulation import Fault
from polysession.testing import ServerProcess, covers, proxy

pytestmark = pytest.mark.evidence("adk", "live", by="adk")

SILENCE_S: Final = 90


@pytest.fixture(scope="module", autouse=True)
def silent_turns(adk_server: ServerProcess) -> Iterator[list[Future[TurnResult]]]:
    """Run a turn of each client with a long silence.

    They start with the first test of this file and run during all of them.

    The silence is longer than the client's timeout, and than the limit for streams of other backends.
    """
    settings: dict[str, Any] = {"base_url": adk_server.base_url, "app": "assistant", "user_id": "silent", "timeout": 5}
    options: dict[str, Any] = {"content": f"/wait {SILENCE_S}", "deadline_s": SILENCE_S + LIMIT_S}

    def of_client() -> TurnResult:
        with Client("adk", **settings) as client, client.sessions.run(client.sessions.create(), **options) as turn:
            return turn.wait()

    async def of_async_client() -> TurnResult:
        async with AsyncClient("adk", **settings) as client:
            session = await client.sessions.create()
            async with client.sessions.run(session, **options) as turn:
                return await turn.wait()

    with ThreadPoolExecutor() as threads:
        yield [threads.submit(of_client), threads.submit(lambda: asyncio.run(of_async_client()))]


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize(("text", "until"), [("/slow 100", "message.delta"), ("/wait 30", "tool_call.completed")])
def test_leaving_a_turn_aborts_it(adk_client: Client, adk_session: Session, text: str, until: str) -> None:
    with adk_client.sessions.run(adk_session, text, deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == until)

    eventually(lambda: adk_client.sessions.get(adk_session).status is SessionStatus.IDLE)
    ended = of(TurnEnded, list(adk_client.sessions.events(adk_session)))
    assert [each.outcome for each in ended] == [Outcome.CANCELLED]
    assert run(adk_client, adk_session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_leaving_during_a_blocking_tool_is_noticed_when_the_tool_returns(
    adk_client: Client, adk_session: Session
) -> None:
    with adk_client.sessions.run(adk_session, "/block 1", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "tool_call.completed")
    eventually(lambda: adk_client.sessions.get(adk_session).status is SessionStatus.IDLE)
    assert run(adk_client, adk_session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN)
def test_leaving_after_the_last_event_keeps_the_whole_answer(adk_client: Client, adk_session: Session) -> None:
    with adk_client.sessions.run(adk_session, "hello", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "usage")
    eventually(lambda: adk_client.sessions.get(adk_session).status is SessionStatus.IDLE)
    ended = of(TurnEnded, list(adk_client.sessions.events(adk_session)))
    assert [each.outcome for each in ended] == [Outcome.COMPLETED]


@covers(Feature.SESSIONS_RUN)
def test_a_deadline_aborts_the_turn(adk_client: Client, adk_session: Session) -> None:
    with pytest.raises(DeadlineExceeded), adk_client.sessions.run(adk_session, "/slow 100", deadline_s=0.5) as turn:
        turn.wait()
    eventually(lambda: adk_client.sessions.get(adk_session).status is SessionStatus.IDLE)


def body_of(adk_server: ServerProcess, adk_user: str, text: str) -> bytes:
    """Return the whole body of one turn."""
    body = {"appName": "assistant", "userId": adk_user, "sessionId": "cut", "streaming": True}
    message = {"newMessage": {"role": "user", "parts": [{"text": text}]}}
    return httpx.post(f"{adk_server.base_url}/run_sse", json=body | message, trust_env=False).content


@covers(Feature.SESSIONS_RUN)
@pytest.mark.parametrize("text", ["/think", "/tool", "/ask"])
def test_a_turn_cut_at_any_byte_is_complete_or_not_a_success(
    adk_server: ServerProcess, adk_user: str, text: str, request: pytest.FixtureRequest
) -> None:
    """After a cut the outcome is the one that the server stored. The message is sent once."""
    step = 1 if request.config.getoption("--every-byte") else 97
    with proxy(adk_server.base_url) as (base_url, faults), open_client(base_url, adk_user) as client:
        client.sessions.create(id="cut")
        size = len(body_of(adk_server, adk_user, text))
        whole = run(client, client.sessions.create(), text)[1]
        for at_byte in range(0, size, step):
            session = client.sessions.create()
            faults.add(Fault("drop", path="/run_sse", at_byte=at_byte))
            try:
                events, result = run(client, session, text)
            except StreamInterrupted:
                continue
            if result.outcome in {Outcome.COMPLETED, Outcome.REQUIRES_ACTION}:
                assert (result.outcome, result.text) == (whole.outcome, whole.text), at_byte
            else:
                assert result.outcome in {Outcome.CANCELLED, Outcome.FAILED}
            sent = [each for each in client.sessions.messages(session) if each.role.value == "user"]
            assert len(sent) <= 1, at_byte  # in the first milliseconds, even the message is not stored yet
            assert len(of(TurnEnded, events)) == 1


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """File without which a turn of `/hold` does not continue."""
    return tmp_path / "released"


@covers(Feature.SESSIONS_RUN)
def test_the_first_of_two_simultaneous_messages_gets_its_error(
    adk_server: ServerProcess, adk_client: Client, adk_session: Session, adk_user: str, held: Path
) -> None:
    with (
        open_client(adk_server.base_url, adk_user) as other,
        adk_client.sessions.run(adk_session, f"/hold {held}", deadline_s=LIMIT_S) as turn,
    ):
        next(event for event in turn if event.type == "tool_call.completed")
        assert run(other, adk_session, "hello")[1].outcome is Outcome.COMPLETED
        held.touch()
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "StaleSessionError")


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_UPDATE)
def test_a_change_of_the_session_makes_its_turn_fail(adk_client: Client, adk_session: Session, held: Path) -> None:
    with adk_client.sessions.run(adk_session, f"/hold {held}", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "tool_call.completed")
        assert adk_client.sessions.update(adk_session, title="Changed").title == "Changed"
        held.touch()
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "StaleSessionError")
    assert run(adk_client, adk_session, "hello")[1].outcome is Outcome.COMPLETED


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_DELETE)
def test_a_session_that_is_deleted_during_a_turn_stays_deleted(
    adk_client: Client, adk_session: Session, held: Path
) -> None:
    with adk_client.sessions.run(adk_session, f"/hold {held}", deadline_s=LIMIT_S) as turn:
        next(event for event in turn if event.type == "tool_call.completed")
        adk_client.sessions.delete(adk_session)
        held.touch()
        result = turn.wait()
    assert (result.outcome, result.native_reason) == (Outcome.FAILED, "SessionNotFoundError")
    with pytest.raises(NotFound):
        adk_client.sessions.get(adk_session)


@covers(Feature.SESSIONS_RUN)
def test_in_memory_two_simultaneous_turns_continue(adk_python: Path, tmp_path: Path, adk_user: str, held: Path) -> None:
    with (
        serve_adk(adk_python, tmp_path, "memory") as server,
        open_client(server.base_url, adk_user) as client,
        contextlib.ExitStack() as stack,
    ):
        session = client.sessions.create()
        turn = stack.enter_context(client.sessions.run(session, f"/hold {held}", deadline_s=LIMIT_S))
        next(event for event in turn if event.type == "tool_call.completed")
        assert run(client, session, "hello")[1].text == "You said: hello"
        held.touch()
        assert turn.wait().text == f"You said: /hold {held}"


@covers(Feature.SESSIONS_RUN)
def test_twenty_simultaneous_turns(adk_server: ServerProcess, adk_user: str) -> None:
    async def turns() -> list[TurnResult]:
        options: dict[str, Any] = {"base_url": adk_server.base_url, "app": "assistant", "user_id": adk_user}
        async with AsyncClient("adk", **options) as client:
            sessions = [await client.sessions.create() for _ in range(20)]

            async def one(number: int) -> TurnResult:
                async with client.sessions.run(sessions[number], f"number {number}", deadline_s=LIMIT_S) as turn:
                    return await turn.wait()

            return await asyncio.gather(*[one(number) for number in range(20)])

    results = asyncio.run(turns())
    assert [each.text for each in results] == [f"You said: number {number}" for number in range(20)]


@covers(Feature.SESSIONS_STREAM)
def test_a_stream_delivers_a_turn_of_another_client(
    adk_server: ServerProcess, adk_client: Client, adk_user: str
) -> None:
    session = adk_client.sessions.create()
    with (
        open_client(adk_server.base_url, adk_user) as other,
        other.sessions.stream(session, deadline_s=LIMIT_S) as followed,
    ):
        mine, _ = run(adk_client, session, "/tool")
        seen: list[Event] = []
        for event in followed:
            seen.append(event)
            if isinstance(event, TurnEnded):
                break
    kept = [(event.id, event.type) for event in mine if event.id]
    assert [(event.id, event.type) for event in seen if (event.id, event.type) in kept] == kept
    assert [each.outcome for each in of(TurnEnded, seen)] == [Outcome.COMPLETED]


@covers(Feature.SESSIONS_RUN, Feature.SESSIONS_STREAM)
def test_a_killed_server_leaves_no_turn_that_runs_forever(adk_python: Path, tmp_path: Path, adk_user: str) -> None:
    with serve_adk(adk_python, tmp_path) as server, open_client(server.base_url, adk_user) as client:
        session = client.sessions.create()

        def lose() -> None:
            with client.sessions.run(session, "/wait 30", deadline_s=LIMIT_S) as turn:
                next(event for event in turn if event.type == "tool_call.completed")
                server.kill()
                turn.wait()

        with pytest.raises(StreamInterrupted) as caught:
            lose()
        assert caught.value.cursor
        server.start()
        assert client.sessions.get(session).status is SessionStatus.UNKNOWN
        assert run(client, session, "hello")[1].outcome is Outcome.COMPLETED
        assert client.sessions.get(session).status is SessionStatus.IDLE


@covers(Feature.SESSIONS_RUN)
def test_no_silence_ends_a_turn(silent_turns: list[Future[TurnResult]]) -> None:
    """The last test: the silence is over by now, or the test waits for its end."""
    assert [each.result().outcome for each in silent_turns] == [Outcome.COMPLETED] * 2
