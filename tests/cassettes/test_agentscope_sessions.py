"""Sessions and agents, as AgentScope's real service answered."""

from __future__ import annotations

import pytest

from live.sources import Source
from polysession import (
    NotFound,
    SessionStatus,
)
from support.cassettes.agentscope import User
from support.cassettes.cassettes import cassette
from support.faces import Face


@pytest.fixture
def user(source: Source, face: Face, request: pytest.FixtureRequest) -> User:
    return User(source, face, request.node.originalname)


@cassette("agentscope/recorded/session.yaml")
def test_a_session_lives_from_creation_to_deletion(user: User) -> None:
    agent = user.create_agent()
    session = user.create(agent, title="Ticket 42", workspace="w1")
    assert session.model_dump(include={"provider", "agent_id", "title", "workspace_id", "owner_id", "status"}) == {
        "provider": "agentscope",
        "agent_id": agent.id,
        "title": "Ticket 42",
        "workspace_id": "w1",
        "owner_id": user.id,
        "status": SessionStatus.IDLE,
    }
    assert session.permission_mode == "default"
    assert session.created_at is not None
    assert user.do(lambda client: client.sessions.get(session)) == session
    assert user.do(lambda client: client.sessions.list(agent=agent)) == [session]
    assert user.do(lambda client: client.sessions.update(session, title="Done")).title == "Done"
    user.do(lambda client: client.sessions.delete(session))
    with pytest.raises(NotFound, match=f"agent '{agent.id}' has no session '{session.id}'"):
        user.do(lambda client: client.sessions.get(session))
    with pytest.raises(NotFound, match=f"Session '{session.id}' not found"):
        user.do(lambda client: client.sessions.delete(session))
