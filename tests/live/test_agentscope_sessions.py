"""Sessions on the real AgentScope service from creation to deletion, with both clients."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from live.agentscope_service.process import AgentScopeService
from polysession import (
    Agent,
    CancelState,
    Client,
    Conflict,
    InvalidRequest,
    ModelConfig,
    NotFound,
    Session,
    SessionStatus,
    UsageError,
)
from polysession_agentscope import (
    AgentScopeChatConfig,
    AgentScopeChatModelConfig,
    AgentScopeKnowledgeConfig,
    AgentScopeModelConfig,
    AgentScopeNewAgent,
    AgentScopeNewSession,
    AgentScopeReactConfig,
    AgentScopeSessionChanges,
)
from support.client_runners import ASYNC, SYNC, ClientRunner

pytestmark = pytest.mark.evidence("agentscope", "live", by="agentscope")

SOON_S = 10.0
MODES = ("accept_edits", "explore", "bypass", "dont_ask", "default")


@dataclass(frozen=True)
class User:
    """A user of the service with a credential, and a client."""

    service: AgentScopeService
    runner: ClientRunner
    id: str
    credential_id: str

    @classmethod
    def new(cls, service: AgentScopeService, runner: ClientRunner) -> User:
        user_id = f"user-{uuid.uuid4().hex}"
        return cls(service, runner, user_id, service.create_credential(user_id))

    def do(self, use: Callable[[Any], Any], **settings: Any) -> Any:
        """Return the result of a call by this user. A list is read to its end."""
        options = {"base_url": self.service.base_url, "user_id": self.id, **settings}
        return self.runner.call("agentscope", use, **options)

    def model(self, script: str = "plain", **parameters: Any) -> ModelConfig:
        return ModelConfig(id=script, type="openai_credential", credential_id=self.credential_id, parameters=parameters)

    def create(self, agent: Agent, **fields: Any) -> Session:
        session: Session = self.do(lambda client: client.sessions.create(agent=agent, **{"title": "T", **fields}))
        return session

    def update(self, session: Session | str, **fields: Any) -> Session:
        changed: Session = self.do(lambda client: client.sessions.update(session, **fields))
        return changed

    def get(self, session: Session) -> Session:
        found: Session = self.do(lambda client: client.sessions.get(session))
        return found

    def start_turn(self, session: Session) -> None:
        """Send a message, and wait until the session has the status running."""
        self._send(session)
        self.wait_for(session, SessionStatus.RUNNING)

    def finish_turn(self, session: Session) -> None:
        """Send a message, and wait until the stream reports the end of the turn."""
        with (
            self._http() as http,
            http.stream("GET", f"/sessions/{session.id}/stream", params=agent_of(session)) as log,
        ):
            self._send(session)
            assert any('"REPLY_END"' in line for line in log.iter_lines())

    def wait_for(self, session: Session, status: SessionStatus) -> None:
        deadline_s = time.monotonic() + SOON_S
        while self.get(session).status is not status:
            assert time.monotonic() < deadline_s, f"the session was not {status} in time"
            time.sleep(0.05)

    def messages(self, session: Session) -> list[Any]:
        with self._http() as http:
            answer = http.get(f"/sessions/{session.id}/messages", params=agent_of(session))
        return list(answer.raise_for_status().json()["messages"])

    def _send(self, session: Session) -> None:
        message = {"name": "user", "role": "user", "content": [{"type": "text", "text": "hi"}]}
        body = {**agent_of(session), "session_id": session.id, "input": message}
        with self._http() as http:
            http.post("/chat/", json=body).raise_for_status()

    def _http(self) -> httpx.Client:
        """Return a raw HTTP client, for the actions of other users of the session."""
        return httpx.Client(base_url=self.service.base_url, headers={"x-user-id": self.id}, trust_env=False)


def agent_of(session: Session) -> dict[str, str | None]:
    return {"agent_id": session.agent_id}


@pytest.fixture(params=[pytest.param(SYNC, id="sync"), pytest.param(ASYNC, id="async")])
def runner(request: pytest.FixtureRequest) -> ClientRunner:
    found: ClientRunner = request.param
    return found


@pytest.fixture
def new_user(agentscope_service: AgentScopeService, runner: ClientRunner) -> Callable[[], User]:
    return lambda: User.new(agentscope_service, runner)


@pytest.fixture
def user(new_user: Callable[[], User]) -> User:
    return new_user()


@pytest.fixture
def agent(user: User) -> Agent:
    created: Agent = user.do(lambda client: client.agents.create(name="Helper"))
    return created


def unchanged(before: Session, after: Session, *but: str) -> bool:
    """Whether two reads of a session are equal, except for times and the source."""
    apart = {"updated_at", "raw", *but}
    return before.model_dump(exclude=apart) == after.model_dump(exclude=apart)


def is_recent(moment: datetime | None) -> bool:
    """Whether a time is recent.

    The service runs in a time zone far from UTC, so a local time would differ by hours.
    """
    return moment is not None and abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


# --- Agents


def test_agents_are_created_read_and_listed(user: User) -> None:
    chat = AgentScopeChatConfig(react_config=AgentScopeReactConfig(max_iters=3))
    first = user.do(lambda client: client.agents.create(name="First", system_prompt="Be brief."))
    second = user.do(lambda client: client.agents.create(name="Second", native=AgentScopeNewAgent(chat_config=chat)))

    assert (first.name, first.system_prompt) == ("First", "Be brief.")
    assert is_recent(first.created_at)
    assert second.raw["data"]["chat_config"]["react_config"]["max_iters"] == 3
    assert user.do(lambda client: client.agents.get(first.id)) == first
    assert user.do(lambda client: client.agents.list(page_size=1)) == [second, first]
    with pytest.raises(NotFound, match="has no agent 'lost'"):
        user.do(lambda client: client.agents.get("lost"))


def test_a_rejected_agent_has_an_error_with_the_reason(user: User) -> None:
    chat = AgentScopeChatConfig(react_config=AgentScopeReactConfig(structured_output_grace_iters=-7))
    with pytest.raises(InvalidRequest, match=r"body.chat_config.react_config.\w+: ") as caught:
        user.do(lambda client: client.agents.create(name="X", native=AgentScopeNewAgent(chat_config=chat)))
    assert caught.value.status == 422
    assert "-7" not in str(caught.value)


# --- Create, read, list


def test_a_session_is_created_with_all_fields_and_read_back(user: User, agent: Agent) -> None:
    session = user.create(
        agent,
        title="Ticket 42",
        workspace="w1",
        model=user.model(temperature=0.5),
        permission_mode="explore",
        native=AgentScopeNewSession(knowledge_config=AgentScopeKnowledgeConfig(parameters={"top_k": 3})),
    )

    assert session.model_dump(include={"agent_id", "title", "workspace_id", "permission_mode", "owner_id"}) == {
        "agent_id": agent.id,
        "title": "Ticket 42",
        "workspace_id": "w1",
        "permission_mode": "explore",
        "owner_id": user.id,
    }
    assert session.model == user.model(temperature=0.5)
    assert (session.status, session.native_status) == (SessionStatus.IDLE, "idle")
    assert session.raw["session"]["config"]["knowledge_config"]["parameters"] == {"top_k": 3}
    assert is_recent(session.created_at)
    assert user.get(session) == session
    assert user.do(lambda client: client.sessions.get(session.id), agent_id=agent.id) == session


def test_a_session_without_a_title_gets_one_from_the_server(user: User, agent: Agent) -> None:
    assert user.do(lambda client: client.sessions.create(), agent_id=agent.id).title
    assert user.create(agent, title="").title == ""


@pytest.mark.parametrize(
    ("fields", "problem"), [({"agent": "lost"}, "Agent 'lost'"), ({"lost_credential": True}, "Credential 'lost'")]
)
def test_an_error_names_the_missing_resource(user: User, agent: Agent, fields: dict[str, Any], problem: str) -> None:
    asked = {"model": ModelConfig(id="m", type="t", credential_id="lost")} if "lost_credential" in fields else fields
    with pytest.raises(NotFound, match=f"{problem} not found") as caught:
        user.do(lambda client: client.sessions.create(**{"agent": agent, **asked}))
    assert (caught.value.status, caught.value.already_done) == (404, None)


def test_sessions_are_listed_newest_first_and_filtered(user: User, agent: Agent) -> None:
    first, second, third = (user.create(agent, title=f"{name} report") for name in ("First", "Second", "Third"))
    another = user.do(lambda client: client.agents.create(name="Another"))

    def ids(**filters: Any) -> list[str]:
        found = user.do(lambda client: client.sessions.list(**filters), agent_id=agent.id)
        return [session.id for session in found]

    everything = [third.id, second.id, first.id]
    assert ids() == ids(page_size=1) == ids(page_size=2) == ids(statuses=[SessionStatus.IDLE]) == everything
    assert ids(statuses=[SessionStatus.RUNNING]) == []
    assert ids(title_contains="SECOND") == [second.id]
    assert ids(created_after=first.created_at) == [third.id, second.id]
    assert ids(created_before=second.created_at) == [first.id]
    assert ids(agent=another) == []
    with pytest.raises(NotFound, match="Agent 'lost' not found"):
        ids(agent="lost")


# --- Update


def test_the_title_changes_alone(user: User, agent: Agent) -> None:
    session = user.create(agent, model=user.model())
    changed = user.update(session, title="New")
    assert (changed.title, changed.status) == ("New", SessionStatus.IDLE)
    assert unchanged(session, changed, "title")
    assert unchanged(changed, user.get(session))


def test_the_model_is_replaced_whole_and_cleared(user: User, agent: Agent) -> None:
    session = user.create(agent, model=user.model(temperature=0.5, max_tokens=10))
    assert user.update(session, model=user.model("slow", top_p=0.5)).model == user.model("slow", top_p=0.5)
    cleared = user.update(session, model=None)
    assert cleared.model is None
    assert unchanged(session, cleared, "model")


@pytest.mark.parametrize("mode", MODES)
def test_each_permission_mode_is_accepted(user: User, agent: Agent, mode: str) -> None:
    session = user.create(agent)
    assert user.update(session, permission_mode=mode).permission_mode == mode
    assert user.get(session).permission_mode == mode


def test_native_fields_are_set_and_cleared(user: User, agent: Agent) -> None:
    model = AgentScopeModelConfig(type="openai_credential", credential_id=user.credential_id, model="m", parameters={})
    values: dict[str, Any] = {
        "fallback_chat_model_config": AgentScopeChatModelConfig(**model.model_dump()),
        **dict.fromkeys(("tts_model_config", "realtime_model_config"), model),
        "knowledge_config": AgentScopeKnowledgeConfig(parameters={"top_k": 3}),
        "cwd": "/srv",
    }
    session = user.create(agent)

    config = user.update(session, native=AgentScopeSessionChanges(**values)).raw["config"]
    assert config["tts_model_config"] == model.to_body()
    assert config["knowledge_config"]["parameters"] == {"top_k": 3}
    assert config["cwd"] == "/srv"
    cleared = user.update(session, native=AgentScopeSessionChanges(**dict.fromkeys(values))).raw["config"]
    assert {name: cleared[name] for name in values} == dict.fromkeys(values)


def test_a_rejected_change_has_no_effect(user: User, agent: Agent) -> None:
    session = user.create(agent)
    with pytest.raises(NotFound, match="Credential 'lost' not found"):
        user.update(session, title="New", model=ModelConfig(id="m", type="t", credential_id="lost"))
    assert unchanged(session, user.get(session))


# --- Owners of sessions


def verbs(session: Session | str) -> list[Callable[[Any], Any]]:
    return [
        lambda client: client.sessions.get(session),
        lambda client: client.sessions.update(session, title="Stolen"),
        lambda client: client.sessions.cancel(session),
        lambda client: client.sessions.delete(session),
    ]


def test_an_id_is_accepted_only_with_its_own_agent(user: User, agent: Agent) -> None:
    another = user.do(lambda client: client.agents.create(name="Another"))
    session = user.create(agent)

    for verb in verbs(session.id):
        with pytest.raises(NotFound, match=f"agent '{another.id}' has no session '{session.id}'"):
            user.do(verb, agent_id=another.id)
        with pytest.raises(UsageError, match="AGENTSCOPE_AGENT_ID"):
            user.do(verb)
    assert user.get(session) == session
    assert user.do(lambda client: client.sessions.update(session.id, title="New"), agent_id=agent.id).title == "New"
    user.do(lambda client: client.sessions.delete(session.id), agent_id=agent.id)


def test_an_unknown_session_is_not_found(user: User, agent: Agent) -> None:
    lost = user.create(agent).model_copy(update={"id": "lost"})
    for verb in [*verbs(lost), *verbs("lost")]:
        with pytest.raises(NotFound):
            user.do(verb, agent_id=agent.id)


def test_another_users_session_is_not_found(user: User, agent: Agent, new_user: Callable[[], User]) -> None:
    session, stranger = user.create(agent), new_user()
    for verb in verbs(session):
        with pytest.raises(NotFound):
            stranger.do(verb)
    assert user.get(session) == session


def test_a_client_needs_a_user(agentscope_service: AgentScopeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTSCOPE_USER_ID", raising=False)
    with pytest.raises(UsageError, match="'user_id' is missing"):
        Client("agentscope", base_url=agentscope_service.base_url)


# --- Turns, cancellation and deletion


def test_cancel_does_not_interrupt_an_idle_session(user: User, agent: Agent) -> None:
    session = user.create(agent)  # without a model, an interrupt would store a reply with an error
    assert user.do(lambda client: client.sessions.cancel(session)).state is CancelState.NOTHING_RUNNING
    assert user.messages(session) == []


def test_a_running_session_rejects_changes_until_it_is_cancelled(user: User, agent: Agent) -> None:
    session = user.create(agent, model=user.model("slow"))
    user.start_turn(session)

    running = user.do(lambda client: client.sessions.list(agent=agent, statuses=[SessionStatus.RUNNING]))
    assert [found.id for found in running] == [session.id]
    with pytest.raises(Conflict, match="while the session is running") as caught:
        user.update(session, title="New")
    assert (caught.value.status, caught.value.already_done) == (409, None)
    assert user.get(session).title == "T"

    assert user.do(lambda client: client.sessions.cancel(session)).state is CancelState.REQUESTED
    user.wait_for(session, SessionStatus.IDLE)
    assert user.do(lambda client: client.sessions.cancel(session)).state is CancelState.NOTHING_RUNNING
    assert user.update(session, title="New").title == "New"


def test_a_change_waits_until_a_finished_turn_is_stored(user: User, agent: Agent) -> None:
    session = user.create(agent, model=user.model())

    def change_at_once(client: Any) -> Any:
        user.finish_turn(session)
        return client.sessions.update(session, title="At once")

    assert user.do(change_at_once).title == "At once"
    assert len(user.messages(session)) == 2


def test_a_deleted_session_is_not_found(user: User, agent: Agent) -> None:
    session = user.create(agent, model=user.model("slow"))
    user.start_turn(session)
    assert user.do(lambda client: client.sessions.delete(session)) is None
    assert user.do(lambda client: client.sessions.list(agent=agent)) == []
    for verb in verbs(session):
        with pytest.raises(NotFound):
            user.do(verb)


def test_reads_work_after_the_server_closed_a_connection(
    agentscope_service: AgentScopeService,
) -> None:
    user = User.new(agentscope_service, SYNC)
    session = user.create(user.do(lambda client: client.agents.create(name="Helper")))
    with httpx.Client(trust_env=False) as http:
        client = Client("agentscope", http_client=http, base_url=agentscope_service.base_url, user_id=user.id)
        for _ in range(3):
            fault = http.patch(
                f"{agentscope_service.base_url}/sessions/{session.id}",
                params={"agent_id": session.agent_id},
                headers={"x-user-id": user.id},
                json={"name": None},
            )
            assert fault.status_code == 500
            assert client.sessions.get(session) == session
