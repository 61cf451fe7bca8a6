"""Sessions and turns, as the first published AgentScope service answered: 2.0.0, which the published page shows."""

from __future__ import annotations

from typing import Any

import pytest

from live.sources import Source
from polysession import ModelConfig, NotFound, Session, SessionStatus, UnsupportedOperation
from support.agentscope_user import User, model
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent


@pytest.fixture
def user(source: Source, runner: ClientRunner, request: pytest.FixtureRequest) -> User:
    return User(source, runner, request.node.originalname)


def update(user: User, session: Session, **fields: Any) -> Session:
    changed: Session = user.do(lambda client: client.sessions.update(session, **fields))
    return changed


@cassette("agentscope/recorded/legacy_session.yaml")
def test_a_session_of_the_first_service_is_read_changed_and_deleted(user: User, vcr: Any) -> None:
    credential_id = user.create_credential()
    session = user.create(user.create_agent(), workspace="w1", model=model(credential_id, temperature=0.5))
    assert "source_schedule_id" in session.raw  # the older shape, and not a view
    assert "session" not in session.raw
    assert session.model == model(credential_id, temperature=0.5)
    assert session.created_at is not None
    assert user.do(lambda client: client.sessions.get(session)) == session
    assert user.do(lambda client: client.sessions.list(agent=session.agent_id)) == [session]
    assert update(user, session, title="New").title == "New"
    assert update(user, session, permission_mode="bypass").permission_mode == "bypass"
    changed = update(user, session, model=model(credential_id, "slow"))
    assert (changed.title, changed.model) == ("New", model(credential_id, "slow"))
    with pytest.raises(UnsupportedOperation, match="too old"):
        update(user, session, model=None)
    with pytest.raises(NotFound, match="Credential 'lost' not found"):
        update(user, session, model=ModelConfig(id="m", type="t", credential_id="lost"))
    with pytest.raises(NotFound, match="Session 'lost' not found"):
        update(user, session.model_copy(update={"id": "lost"}), title="New")
    user.do(lambda client: client.sessions.delete(session))
    with pytest.raises(NotFound, match=f"has no session '{session.id}'"):
        user.do(lambda client: client.sessions.get(session))
    configured = {"type": "openai_credential", "credential_id": credential_id, "model": "slow", "parameters": {}}
    assert [body for body in sent(vcr, "PATCH") if body][:3] == [
        {"name": "New"},
        {"permission_mode": "bypass"},
        {"chat_model_config": configured},
    ]


@cassette("agentscope/recorded/legacy_turn.yaml")
def test_a_turn_of_the_first_service_is_its_answer(user: User) -> None:
    session = user.create(user.create_agent(), model=model(user.create_credential(), "scripted"))
    received = user.runner.play(
        "agentscope",
        lambda client: run(client.sessions, session),
        base_url=user.source.base_url,
        user_id=user.id,
    )
    events, result = received
    assert (events[0].type, events[-1].type) == ("turn.started", "turn.ended")
    assert "".join(event.text for event in events if event.type == "message.delta") == result.text == "You said: Hello"
    said = user.do(lambda client: client.sessions.messages(session))
    assert [(message.role, message.text) for message in said] == [("user", "Hello"), ("assistant", "You said: Hello")]
    assert user.do(lambda client: client.sessions.get(session)).status in {SessionStatus.IDLE, SessionStatus.UNKNOWN}
    for too_new in (
        lambda client: client.sessions.send(session, "Hello"),
        lambda client: client.sessions.cancel(session),
    ):
        with pytest.raises(UnsupportedOperation):
            user.do(too_new)


async def run(sessions: Any, session: Session) -> tuple[list[Any], Any]:
    async with sessions.run(session, "Hello") as turn:
        return [event async for event in turn], turn.result
