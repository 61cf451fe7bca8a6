"""Sessions and agents, as AgentScope's real service answered."""

from __future__ import annotations

from typing import Any

import pytest

from live.sources import Source
from polysession import (
    CancelState,
    Conflict,
    InvalidRequest,
    ModelConfig,
    NotFound,
    ServerError,
    Session,
    SessionStatus,
    UnsupportedOperation,
)
from polysession_agentscope import (
    AgentScopeChatConfig,
    AgentScopeKnowledgeConfig,
    AgentScopeModelConfig,
    AgentScopeNewAgent,
    AgentScopeReactConfig,
    AgentScopeSessionChanges,
)
from support.agentscope_user import User, model
from support.client_runners import ClientRunner
from tools.recordings.cassettes import cassette, sent


@pytest.fixture
def user(source: Source, runner: ClientRunner, request: pytest.FixtureRequest) -> User:
    return User(source, runner, request.node.originalname)


def update(user: User, session: Session, **fields: Any) -> Session:
    changed: Session = user.do(lambda client: client.sessions.update(session, **fields))
    return changed


@cassette("agentscope/recorded/session.yaml")
def test_a_session_lives_from_creation_to_deletion(user: User, vcr: Any) -> None:
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
    assert (session.permission_mode, session.model, session.archived_at) == ("default", None, None)
    assert session.created_at is not None
    assert user.do(lambda client: client.sessions.get(session)) == session
    assert user.do(lambda client: client.sessions.get(session.id), agent_id=agent.id) == session
    assert user.do(lambda client: client.sessions.list(agent=agent)) == [session]
    assert update(user, session, title="Done").title == "Done"
    user.do(lambda client: client.sessions.delete(session))
    with pytest.raises(NotFound, match=f"agent '{agent.id}' has no session '{session.id}'"):
        user.do(lambda client: client.sessions.get(session))
    with pytest.raises(NotFound, match=f"Session '{session.id}' not found"):
        user.do(lambda client: client.sessions.delete(session))
    assert sent(vcr, "POST", "/sessions/") == [{"agent_id": agent.id, "name": "Ticket 42", "workspace_id": "w1"}]
    assert sent(vcr, "PATCH") == [{"name": "Done"}]


@cassette("agentscope/recorded/agents.yaml")
def test_agents_are_created_read_and_listed(user: User, vcr: Any) -> None:
    chat = AgentScopeChatConfig(react_config=AgentScopeReactConfig(max_iters=3))
    first = user.do(lambda client: client.agents.create(name="First", system_prompt="Be brief."))
    second = user.do(lambda client: client.agents.create(name="Second", native=AgentScopeNewAgent(chat_config=chat)))
    assert (first.name, first.system_prompt) == ("First", "Be brief.")
    assert second.raw["data"]["chat_config"]["react_config"]["max_iters"] == 3
    assert user.do(lambda client: client.agents.get(first.id)) == first
    assert user.do(lambda client: client.agents.list(page_size=1)) == [second, first]
    with pytest.raises(NotFound, match="has no agent 'lost'"):
        user.do(lambda client: client.agents.get("lost"))
    assert sent(vcr, "POST", "/agent/") == [
        {"name": "First", "system_prompt": "Be brief."},
        {"name": "Second", "chat_config": {"react_config": {"max_iters": 3}}},
    ]


@cassette("agentscope/recorded/lists.yaml")
def test_sessions_are_listed_newest_first_and_filtered(user: User) -> None:
    agent, another = user.create_agent("Helper"), user.create_agent("Another")
    first, second, third = (user.create(agent, title=f"{name} report") for name in ("First", "Second", "Third"))

    def ids(**filters: Any) -> list[str]:
        found = user.do(lambda client: client.sessions.list(**filters), agent_id=agent.id)
        return [session.id for session in found]

    assert ids() == ids(page_size=2) == ids(statuses=[SessionStatus.IDLE]) == [third.id, second.id, first.id]
    assert ids(statuses=[SessionStatus.RUNNING]) == []
    assert ids(title_contains="SECOND") == [second.id]
    assert ids(created_after=first.created_at) == [third.id, second.id]
    assert ids(agent=another) == []
    with pytest.raises(NotFound, match="Agent 'lost' not found"):
        ids(agent="lost")


@cassette("agentscope/recorded/update.yaml")
def test_each_field_is_changed_alone_and_cleared_where_it_can_be(user: User, vcr: Any) -> None:
    credential_id = user.create_credential()
    native_model = AgentScopeModelConfig(
        type="openai_credential", credential_id=credential_id, model="voice", parameters={}
    )
    session = user.create(user.create_agent(), model=model(credential_id, temperature=0.5, max_tokens=10))
    assert session.model == model(credential_id, temperature=0.5, max_tokens=10)
    assert update(user, session, title="New").title == "New"
    assert update(user, session, model=model(credential_id, "slow", top_p=0.5)).model == model(
        credential_id, "slow", top_p=0.5
    )
    assert update(user, session, model=None).model is None
    assert update(user, session, permission_mode="explore").permission_mode == "explore"
    knowledge = AgentScopeKnowledgeConfig(parameters={"top_k": 3})
    given = AgentScopeSessionChanges(tts_model_config=native_model, knowledge_config=knowledge, cwd="notes")
    config = update(user, session, native=given).raw["config"]
    assert (config["tts_model_config"]["model"], config["cwd"]) == ("voice", "notes")
    assert config["knowledge_config"]["parameters"] == {"top_k": 3}
    none = AgentScopeSessionChanges(tts_model_config=None, knowledge_config=None, cwd=None)
    cleared = update(user, session, native=none)
    names = ("tts_model_config", "knowledge_config", "cwd")
    assert {name: cleared.raw["config"][name] for name in names} == dict.fromkeys(names)
    assert (cleared.title, cleared.model, cleared.permission_mode) == ("New", None, "explore")
    configured = {"type": "openai_credential", "credential_id": credential_id}
    assert sent(vcr, "PATCH") == [
        {"name": "New"},
        {"chat_model_config": {**configured, "model": "slow", "parameters": {"top_p": 0.5}}},
        {"chat_model_config": None},
        {"permission_mode": "explore"},
        {
            "tts_model_config": {**configured, "model": "voice", "parameters": {}},
            "knowledge_config": {"parameters": {"top_k": 3}},
            "cwd": "notes",
        },
        {"tts_model_config": None, "knowledge_config": None, "cwd": None},
    ]


class NoName(AgentScopeSessionChanges):
    """A body that our own types do not let through, because the service fails over it."""

    name: str | None = None


@cassette("agentscope/recorded/refusals.yaml")
def test_refusals_are_read(user: User) -> None:
    agent = user.create_agent()
    session = user.create(agent)
    lost_model = ModelConfig(id="m", type="t", credential_id="lost")
    lost = session.model_copy(update={"id": "lost"})
    with pytest.raises(NotFound, match="Agent 'lost' not found") as caught:
        user.create(agent.model_copy(update={"id": "lost"}))
    assert (caught.value.status, caught.value.operation) == (404, "sessions.create")
    with pytest.raises(NotFound, match="Credential 'lost' not found"):
        user.create(agent, model=lost_model)
    with pytest.raises(NotFound, match="Credential 'lost' not found"):
        update(user, session, title="New", model=lost_model)
    with pytest.raises(NotFound, match="Session 'lost' not found"):
        update(user, lost, title="New")
    with pytest.raises(NotFound, match="Session 'lost' not found"):
        user.do(lambda client: client.sessions.cancel(lost))
    with pytest.raises(NotFound, match=f"Session '{session.id}' not found"):
        update(User(user.source, user.runner, "a stranger"), session, title="Stolen")
    with pytest.raises(InvalidRequest, match=r"body.permission_mode: Input should be 'default'") as invalid:
        update(user, session, native=wrong_mode())
    assert invalid.value.status == 422
    with pytest.raises(ServerError, match="Internal Server Error") as fault:
        update(user, session, native=NoName(name=None))
    assert (fault.value.status, fault.value.outcome_unknown) == (500, True)
    for clear in ({"title": None}, {"permission_mode": None}):
        with pytest.raises(UnsupportedOperation):
            update(user, session, **clear)
    with pytest.raises(UnsupportedOperation, match="until it is deleted"):
        user.do(lambda client: client.sessions.archive(session))
    assert user.do(lambda client: client.sessions.get(session)).title == "T"


class WrongMode(AgentScopeSessionChanges):
    """A body that our own types do not let through."""

    permission_mode: str = "nope"


def wrong_mode() -> WrongMode:
    return WrongMode(permission_mode="nope")


@cassette("agentscope/recorded/running.yaml")
def test_a_running_session_refuses_changes_until_it_is_cancelled(user: User, vcr: Any) -> None:
    session = user.create(user.create_agent(), model=model(user.create_credential(), "slow"))
    user.do(lambda client: client.sessions.send(session, "Count."))
    running = user.run_until(session, SessionStatus.RUNNING)
    assert running.native_status == "running"
    only_running = {"agent": running.agent_id, "statuses": [SessionStatus.RUNNING]}
    assert user.do(lambda client: client.sessions.list(**only_running)) == [running]
    with pytest.raises(Conflict, match="while the session is running") as caught:
        update(user, session, title="New")
    assert (caught.value.status, caught.value.already_done) == (409, None)
    assert user.do(lambda client: client.sessions.cancel(session)).state is CancelState.REQUESTED
    user.run_until(session, SessionStatus.IDLE)
    assert user.do(lambda client: client.sessions.cancel(session)).state is CancelState.NOTHING_RUNNING
    assert update(user, session, title="New").title == "New"
    answer = user.do(lambda client: client.sessions.messages(session))[-1]
    assert (answer.role, answer.raw["finished_reason"]) == ("assistant", "interrupted")
    user.do(lambda client: client.sessions.send(session, "Again."))
    user.run_until(session, SessionStatus.RUNNING)
    user.do(lambda client: client.sessions.delete(session))
    with pytest.raises(NotFound):
        user.do(lambda client: client.sessions.get(session))
    said = [
        {"id": f"{number:032x}", "name": "user", "role": "user", "content": [{"type": "text", "text": text}]}
        for number, text in enumerate(("Count.", "Again."), 1)
    ]
    place = {"agent_id": session.agent_id, "session_id": session.id}
    assert sent(vcr, "POST", "/chat/") == [{**place, "input": message} for message in said]
