"""Both clients against the emulator, in both generations of the backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from polysession import (
    Agent,
    AuthenticationFailed,
    Client,
    Conflict,
    InvalidRequest,
    ModelConfig,
    NotFound,
    RetryPolicy,
    Session,
    SessionStatus,
)
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import Face, faces
from polysession_qoder import (
    QoderAgentReference,
    QoderAgentWithOverrides,
    QoderBudget,
    QoderFileResource,
    QoderGitRepository,
    QoderMemoryStore,
    QoderNewAgent,
    QoderNewEnvironment,
    QoderNewSession,
    QoderSessionAgentChanges,
    QoderSessionChanges,
    QoderSessionQuery,
)

TOOL = {"type": "custom", "name": "ask", "description": "", "input_schema": {}}


@pytest.fixture(scope="module", params=["current", "legacy"])
def handle(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve("qoder", generation=request.param) as handle:
        yield handle


@pytest.fixture(scope="module")
def current() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


@pytest.fixture(scope="module")
def legacy() -> Iterator[EmulatorHandle]:
    with serve("qoder", generation="legacy") as handle:
        yield handle


@pytest.fixture(params=list(Face), ids=str)
def open_client(request: pytest.FixtureRequest) -> Iterator[Callable[[EmulatorHandle], Client]]:
    """Return a function that opens a client of either kind. Its methods need no `await`."""
    with contextlib.ExitStack() as stack:
        yield lambda handle: stack.enter_context(faces.open_client(request.param, "qoder", **handle.settings))


@pytest.fixture
def client(handle: EmulatorHandle, open_client: Callable[[EmulatorHandle], Any]) -> Any:
    return open_client(handle)


@pytest.fixture
def new_client(current: EmulatorHandle, open_client: Callable[[EmulatorHandle], Any]) -> Any:
    return open_client(current)


@pytest.fixture
def old_client(legacy: EmulatorHandle, open_client: Callable[[EmulatorHandle], Any]) -> Any:
    return open_client(legacy)


def own_agent(client: Any) -> Agent:
    """Create an agent for one test, to select the sessions of this test."""
    agent: Agent = client.agents.create(name="Fixer", model="auto")
    return agent


def create(client: Any, handle: EmulatorHandle, **values: Any) -> Session:
    fields = {"agent": handle.agent_id, "environment": handle.environment_id, **values}
    session: Session = client.sessions.create(**fields)
    return session


def ids(sessions: Any) -> list[str]:
    return [session.id for session in sessions]


def test_a_list_is_filtered_in_the_current_generation(new_client: Any, current: EmulatorHandle) -> None:
    agent = own_agent(new_client)
    store = QoderNewSession(resources=[QoderMemoryStore(memory_store_id="memstore_1")])
    stored, busy = create(new_client, current, agent=agent, native=store), create(new_client, current, agent=agent)
    current.control.start_turn(busy.id, duration_s=60)

    def found(**query: Any) -> list[str]:
        return ids(new_client.sessions.list(agent=agent, **query))

    assert found(statuses=[SessionStatus.RUNNING]) == [busy.id]
    assert found(statuses=[SessionStatus.RUNNING, SessionStatus.IDLE]) == [busy.id, stored.id]
    assert found(statuses=[SessionStatus.TERMINATED, SessionStatus.RESCHEDULING]) == []
    assert found(native=QoderSessionQuery(memory_store_id="memstore_1")) == [stored.id]
    assert found(native=QoderSessionQuery(deployment_id="dep_1")) == []
    assert found(native=QoderSessionQuery(agent_version=1)) == [busy.id, stored.id]
    assert found(native=QoderSessionQuery(agent_version=2)) == []


def test_a_search_finds_by_title_and_metadata(new_client: Any, current: EmulatorHandle) -> None:
    agent = own_agent(new_client)
    sessions = [
        create(new_client, current, agent=agent, title=f"Ticket {number}", metadata={"odd": str(number % 2), "all": ""})
        for number in range(5)
    ]
    expected = ids(sessions)

    def found(**query: Any) -> list[str]:
        return ids(new_client.sessions.list(agent=agent, oldest_first=True, **query))

    assert found(title_contains="tICKET") == expected
    assert found(title_contains="3") == [expected[3]]
    assert found(metadata={"odd": "1"}) == [expected[1], expected[3]]
    assert found(metadata={"odd": "1", "all": ""}, title_contains="ticket 1") == [expected[1]]
    assert found(metadata={"odd": "0"}, page_size=1) == expected[::2]
    assert found(metadata={"all": ""}, page_size=2, created_after=sessions[1].created_at) == expected[2:]
    new_client.sessions.archive(sessions[0])
    assert found(metadata={"odd": "0"}) == expected[2::2]
    assert found(metadata={"odd": "0"}, include_archived=True) == expected[::2]
    current.control.start_turn(expected[2], duration_s=60)
    assert found(metadata={"odd": "0"}, statuses=[SessionStatus.RUNNING]) == [expected[2]]


def test_the_legacy_generation_refuses_unknown_fields(old_client: Any, legacy: EmulatorHandle) -> None:
    with pytest.raises(NotFound):
        list(old_client.sessions.list(title_contains="42"))
    with pytest.raises(InvalidRequest):
        list(old_client.sessions.list(statuses=[SessionStatus.RUNNING]))
    with pytest.raises(InvalidRequest):
        create(old_client, legacy, native=QoderNewSession(agent=QoderAgentReference(id=legacy.agent_id, version=1)))


def test_an_archived_session_accepts_no_changes(client: Any, handle: EmulatorHandle) -> None:
    session = create(client, handle)
    archived = client.sessions.archive(session)
    assert client.sessions.archive(session).archived_at == archived.archived_at
    with pytest.raises(Conflict):
        client.sessions.update(session, title="Too late")
    with pytest.raises(NotFound):
        client.sessions.cancel(session)


def test_native_fields_arrive(new_client: Any, current: EmulatorHandle) -> None:
    agent = own_agent(new_client)
    resources = [
        QoderFileResource(file_id="file_1", mount_path="/data/a"),
        QoderGitRepository(url="https://g.example/a.git", password="s3cret"),
    ]
    native = QoderNewSession(
        agent=QoderAgentWithOverrides(id=agent.id, version=1, model="ultimate", tools=[TOOL]),
        environment_variables="A=1;B=2",
        resources=resources,
        vault_ids=["vault_1"],
        budget=QoderBudget(max_credit_cost="12.50"),
    )
    created = create(new_client, current, native=native)
    assert created.model == ModelConfig(id="ultimate", parameters={"effective_context_window": 200000})
    assert [resource["type"] for resource in created.raw["resources"]] == ["file", "git_repository"]
    kept = {name: created.raw[name] for name in ("environment_variables", "vault_ids", "budget")}
    assert kept == {
        "environment_variables": {"A": "1", "B": "2"},
        "vault_ids": ["vault_1"],
        "budget": {"type": "limit", "max_credit_cost": "12.50"},
    }

    changes = QoderSessionChanges(agent=QoderSessionAgentChanges(tools=[]), budget=None)
    changed = new_client.sessions.update(created, title="Free", native=changes)
    assert (changed.title, changed.raw["agent"]["tools"]) == ("Free", [])
    assert changed.raw.get("budget") is None


def test_the_delta_flush_interval_arrives(
    new_client: Any, old_client: Any, current: EmulatorHandle, legacy: EmulatorHandle
) -> None:
    # No response shows the field: a legacy server accepts it, and a current server refuses it by name.
    fields, changes = QoderNewSession(delta_flush_interval_ms=50), QoderSessionChanges(delta_flush_interval_ms=5000)
    created = create(old_client, legacy, native=fields)
    old_client.sessions.update(created, native=changes)
    with pytest.raises(InvalidRequest, match="delta_flush_interval_ms"):
        create(new_client, current, native=fields)
    session = create(new_client, current)
    with pytest.raises(InvalidRequest, match="delta_flush_interval_ms"):
        new_client.sessions.update(session, native=changes)


def test_agents_are_created_read_and_listed(client: Any) -> None:
    native = QoderNewAgent(metadata={"team": "red"}, tools=[TOOL])
    created = client.agents.create(
        name="Fixer", model="auto", system_prompt="Be brief.", description="Fixes", native=native
    )
    assert (created.name, created.model, created.system_prompt, created.description) == (
        "Fixer",
        "auto",
        "Be brief.",
        "Fixes",
    )
    assert (created.version, created.raw["metadata"], created.raw["tools"]) == ("1", {"team": "red"}, [TOOL])
    assert client.agents.get(created) == created
    others = [own_agent(client).id for _ in range(3)]
    assert ids(client.agents.list(page_size=2))[:4] == [*others[::-1], created.id]


def test_environments_are_created_read_and_listed(client: Any) -> None:
    native = QoderNewEnvironment(config={"type": "cloud", "networking": {"type": "unrestricted"}})
    created = client.environments.create(name="Open", description="For tests", native=native)
    assert (created.name, created.description) == ("Open", "For tests")
    assert created.raw["config"]["networking"]["type"] == "unrestricted"
    assert client.environments.get(created) == created
    others = [client.environments.create(name=f"env {number}").id for number in range(3)]
    assert ids(client.environments.list(page_size=2))[:4] == [*others[::-1], created.id]


def test_a_first_session_needs_no_other_tool(client: Any) -> None:
    model, *_ = client.models.list()
    agent = client.agents.create(name="Fixer", model=model.id)
    environment = client.environments.create(name="cloud")
    session = client.sessions.create(agent=agent, environment=environment)
    assert (session.agent_id, session.environment_id) == (agent.id, environment.id)


def test_an_idempotency_key_creates_one_session(client: Any, handle: EmulatorHandle) -> None:
    key = f"key-{own_agent(client).id}"
    first = create(client, handle, idempotency_key=key)
    assert create(client, handle, idempotency_key=key).id == first.id
    with pytest.raises(Conflict, match="Idempotency"):
        create(client, handle, idempotency_key=key, title="Other")


def test_a_refusal_has_the_message_of_the_backend(client: Any, handle: EmulatorHandle) -> None:
    with pytest.raises(NotFound) as caught:
        create(client, handle, agent="agent_none")
    assert (caught.value.status, caught.value.code) == (404, "not_found_error")
    assert "agent_none" in caught.value.message
    assert caught.value.request_id


def test_a_request_without_the_right_header_is_refused(handle: EmulatorHandle) -> None:
    bare = httpx.Client(transport=WithoutToken())
    with bare, Client("qoder", http_client=bare, **handle.settings) as client, pytest.raises(AuthenticationFailed):
        client.sessions.get("sess_1")


class WithoutToken(httpx.HTTPTransport):
    """A transport that removes the credential."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        del request.headers["authorization"]
        return super().handle_request(request)


class LosesTheFirstAnswer(httpx.HTTPTransport):
    """A transport that breaks the connection before the first response, after the request."""

    delivered = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        self.delivered += 1
        if self.delivered == 1:
            response.close()
            raise httpx.ReadError("the connection broke", request=request)
        return response


def test_a_write_whose_response_was_lost_is_carried_out_once(handle: EmulatorHandle) -> None:
    transport = LosesTheFirstAnswer()
    with httpx.Client(transport=transport) as flaky, Client("qoder", **handle.settings) as client:
        agent = own_agent(client)
        with Client("qoder", http_client=flaky, retry=RetryPolicy(first_wait_s=0), **handle.settings) as unlucky:
            created = create(unlucky, handle, agent=agent)
        assert transport.delivered == 2
        assert ids(client.sessions.list(agent=agent)) == [created.id]


@pytest.mark.parametrize("provider", ["anthropic", "qoder"])
def test_an_agent_that_another_client_changed_is_not_overwritten(provider: str) -> None:
    with serve(provider) as emulator, Client(provider, **emulator.settings) as client:
        first = client.agents.create(name="Fixer", model="m", system_prompt="Be brief.")
        second = client.agents.update(first, description="Fixes")
        with pytest.raises(Conflict):
            client.agents.update(first, name="Mender")
        assert client.agents.update(first.id, name="Mender").version == "3"
        with pytest.raises(Conflict):
            client.agents.update(second, name="Other")
        assert client.agents.get(first).name == "Mender"
