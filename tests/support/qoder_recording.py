"""The program of the Qoder recording.

It runs on the service (with a token), an emulator and a cassette.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from polysession import Agent, CancelState, NotFound, Session, SessionStatus

ENVIRONMENT: Final = "env_recorded"
"""Name of the environment in the recording."""

_LIMIT_S: Final = 120.0
_PROMPT: Final = "Say the word hello, and nothing else."

Do = Callable[[Callable[[Any], Any]], Any]
"""Function that runs a call with a client and returns its result: see `ClientRunner.call`."""


def run_session(do: Do, environment: str, *, poll_s: float) -> None:
    """Use a session from its creation to its deletion, with a short turn.

    Args:
        do: Function that runs a call with a client.
        environment: Environment in which the session is created.
        poll_s: Seconds between two reads of the session.
    """
    agent: Agent = do(lambda client: client.agents.create(name="polysession recording", model="auto"))
    assert do(lambda client: client.agents.get(agent.id)).name == "polysession recording"
    session: Session = do(
        lambda client: client.sessions.create(
            agent=agent, environment=environment, title="Ticket 42", metadata={"team": "red"}
        )
    )
    assert (session.title, session.status, session.metadata) == ("Ticket 42", SessionStatus.IDLE, {"team": "red"})
    assert do(lambda client: client.sessions.get(session)).id == session.id
    assert [found.id for found in do(lambda client: client.sessions.list(agent=agent, page_size=2))] == [session.id]
    change_it(do, session)
    do(lambda client: client.sessions.send(session, _PROMPT))
    wait_until_idle(do, session, poll_s)
    messages = do(lambda client: client.sessions.messages(session, page_size=50))
    assert [message.role for message in messages] == ["user", "assistant"]
    assert "turn.ended" in [event.type for event in do(lambda client: client.sessions.events(session, page_size=50))]
    assert do(lambda client: client.sessions.cancel(session)).state is CancelState.NOTHING_RUNNING
    assert do(lambda client: client.sessions.archive(session)).archived_at is not None
    do(lambda client: client.sessions.delete(session))
    with pytest.raises(NotFound):
        do(lambda client: client.sessions.get(session))


def change_it(do: Do, session: Session) -> None:
    """Change and clear fields, and check the results."""
    changed = do(lambda client: client.sessions.update(session, title="Done", metadata={"team": None, "more": "1"}))
    assert (changed.title, changed.metadata) == ("Done", {"more": "1"})
    cleared = do(lambda client: client.sessions.update(session, title=None))
    assert (cleared.title, cleared.metadata) == (None, {"more": "1"})


def wait_until_idle(do: Do, session: Session, poll_s: float) -> None:
    """Read the events of a session until a turn has ended."""
    deadline_s = time.monotonic() + _LIMIT_S
    while "turn.ended" not in [
        event.type for event in do(lambda client: client.sessions.events(session, page_size=50))
    ]:
        assert time.monotonic() < deadline_s, "the turn did not end"
        time.sleep(poll_s)
    assert do(lambda client: client.sessions.get(session)).status is SessionStatus.IDLE


def a_session(do: Do, environment: str) -> dict[str, str]:
    """Return the ids of a new session and its agent, for a tape."""
    agent = do(lambda client: client.agents.create(name="polysession recording", model="auto"))
    session = do(lambda client: client.sessions.create(agent=agent, environment=environment, title="Tape"))
    return {"session": session.id, "agent": agent.id}


async def follow_a_turn(client: Any, ids: dict[str, str]) -> list[Any]:
    """Return the events of a short turn."""
    async with client.sessions.run(ids["session"], _PROMPT, deadline_s=_LIMIT_S) as turn:
        return [event async for event in turn]


def first_environment(base_url: str, token: str) -> str:
    """Return the id of the account's first environment, in which sessions are created.

    Raises:
        RuntimeError: The account has no environment.
    """
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    with httpx.Client(headers=headers) as http:
        found = http.get(f"{base_url}/environments?limit=1").raise_for_status().json()["data"]
    if not found:
        raise RuntimeError("this Qoder account has no environment: create one (POST /environments), then record")
    return str(found[0]["id"])
