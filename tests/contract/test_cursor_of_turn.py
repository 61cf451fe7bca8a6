"""The cursor of a turn is given before its input is sent, so that no stop of a process loses a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from polysession import Approve, AsyncClient, Client, Feature, Session, UsageError
from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle, serve


class Stopped(RuntimeError):  # noqa: N818  (no error)
    """A process that stops."""


@pytest.fixture(params=list(emulated_providers()), scope="module")
def emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


def new_session(client: Client, emulator: EmulatorHandle) -> Session:
    model = emulator.model if client.supports(Feature.SESSIONS_UPDATE_MODEL) else None
    return client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id, model=model)


def user_texts(client: Client, session: Session) -> list[str]:
    return [message.text for message in client.sessions.messages(session) if message.role == "user"]


def test_nothing_is_sent_before_the_cursor_is_stored(emulator: EmulatorHandle) -> None:
    with Client(emulator.provider, **emulator.settings) as client:
        session = new_session(client, emulator)
        given: list[str | None] = []

        def stop(cursor: str | None) -> None:
            given.append(cursor)
            raise Stopped

        with pytest.raises(Stopped), client.sessions.run(session, "hello", on_cursor=stop):
            pass
        assert user_texts(client, session) == []
        assert given[0]


def test_a_turn_is_rejoined_by_the_cursor_that_was_stored_first(emulator: EmulatorHandle) -> None:
    with Client(emulator.provider, **emulator.settings) as client:
        if not client.supports(Feature.SESSIONS_REJOIN):
            return
        session = new_session(client, emulator)
        stored: list[str | None] = []
        with client.sessions.run(session, "hello", on_cursor=stored.append):
            pass
        with Client(emulator.provider, **emulator.settings) as other:
            assert stored[0] is not None
            with other.sessions.rejoin(session, stored[0], deadline_s=30) as turn:
                assert turn.wait().text == "You said: hello"


def test_each_part_of_a_turn_has_a_cursor_of_its_own(emulator: EmulatorHandle) -> None:
    with Client(emulator.provider, **emulator.settings) as client:
        if not client.supports(Feature.SESSIONS_ANSWER_APPROVAL):
            return
        stored: list[str | None] = []
        session = new_session(client, emulator)
        with client.sessions.run(session, "/ask", on_action=Approve, on_cursor=stored.append, deadline_s=30) as turn:
            assert turn.wait().text == "The decision was heard."
        assert len(set(stored)) == 2


def test_an_async_function_is_awaited() -> None:
    async def use() -> list[str | None]:
        stored: list[str | None] = []

        async def store(cursor: str | None) -> None:
            await asyncio.sleep(0)
            stored.append(cursor)

        with serve("everruns") as emulator:
            async with AsyncClient("everruns", **emulator.settings) as client:
                session = await client.sessions.create(agent=emulator.agent_id)
                async with client.sessions.run(session, "hello", on_cursor=store) as turn:
                    assert (await turn.wait()).text == "You said: hello"
        return stored

    assert asyncio.run(use())[0]


def test_what_is_no_function_is_refused_at_once() -> None:
    with Client("qoder", token="pt-x") as client, pytest.raises(UsageError, match="on_cursor must be a function"):
        client.sessions.run("sess_1", "hello", on_cursor="cursor")  # type: ignore[arg-type]
