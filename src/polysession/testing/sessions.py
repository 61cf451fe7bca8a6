"""Sessions: how they are created, read, cancelled, archived and deleted."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import Any

import pytest

from polysession import CancelState, Client, Feature, NotFound, Session, SessionStatus
from polysession._core.effect_source import new_id
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.marks import covers

ODD_TEXT = 'Zürich 東京 🚀 "quoted" \\ & <b> %2F'


class SessionContract(ContractBase):
    """A session has the requested values, and keeps them until it is changed or deleted."""

    @covers(Feature.SESSIONS_CREATE)
    def test_a_new_session_is_there_and_idle(self, client: Client, backend: Backend) -> None:
        session = self.new_session(client, backend)

        assert (session.provider, session.status) == (self.provider, SessionStatus.IDLE)
        assert session.id
        assert bool(session.native_status) is self.has_status_word
        assert session.raw

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_AGENT)
    def test_a_session_is_created_for_an_agent(self, client: Client, backend: Backend) -> None:
        assert self.new_session(client, backend, agent=backend.agent_id).agent_id == backend.agent_id

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_AGENT)
    def test_a_session_for_an_agent_that_is_not_there_is_refused(self, client: Client, backend: Backend) -> None:
        agent = f"{backend.agent_id}"[:-4] + "0000"
        with pytest.raises(NotFound) as caught:
            self.new_session(client, backend, agent=agent)
        assert (caught.value.provider, caught.value.operation) == (self.provider, Feature.SESSIONS_CREATE)
        assert caught.value.message

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_ENVIRONMENT)
    def test_a_session_is_created_in_an_environment(self, client: Client, backend: Backend) -> None:
        assert self.new_session(client, backend).environment_id == backend.environment_id

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_WORKSPACE)
    def test_a_session_is_created_on_a_workspace(self, client: Client, backend: Backend) -> None:
        workspace = backend.workspace_id or self.new_session(client, backend).workspace_id
        assert workspace is not None, "Backend.workspace_id is None, and a session without one gets none"

        assert self.new_session(client, backend, workspace=workspace).workspace_id == workspace

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_TITLE)
    def test_a_session_is_created_with_a_title(self, client: Client, backend: Backend) -> None:
        assert self.new_session(client, backend, title="Ticket 42").title == "Ticket 42"

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_ID)
    def test_a_session_is_created_under_an_id(self, client: Client, backend: Backend) -> None:
        session_id = str(uuid.UUID(new_id()))  # a form of id that every backend accepts
        assert self.new_session(client, backend, id=session_id).id == session_id

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_OWNER, Feature.SESSIONS_LIST, Feature.SESSIONS_LIST_OWNER)
    def test_a_session_belongs_to_its_owner(self, client: Client, backend: Backend) -> None:
        owner = self.owner(backend)
        assert owner is not None, "Backend.owner_id is None, and the provider supports owners"
        session = self.new_session(client, backend, owner=owner)

        assert session.owner_id == owner
        assert client.sessions.get(session).owner_id == owner
        assert session.id in [each.id for each in client.sessions.list(owner=owner)]

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY)
    def test_the_same_key_creates_one_session(self, client: Client, backend: Backend) -> None:
        values = {**self.session_values(backend), "idempotency_key": uuid.uuid4().hex}
        first = client.sessions.create(**values)
        assert client.sessions.create(**values).id == first.id
        assert self.new_session(client, backend).id != first.id

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_METADATA)
    def test_a_session_is_created_with_metadata(self, client: Client, backend: Backend) -> None:
        metadata = {"team": "red", "priority": "high"}
        assert self.new_session(client, backend, metadata=metadata).metadata == metadata

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_TAGS)
    def test_a_session_is_created_with_tags(self, client: Client, backend: Backend) -> None:
        assert set(self.new_session(client, backend, tags=["urgent", "red"]).tags) == {"urgent", "red"}

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_CAPABILITIES)
    def test_a_session_is_created_with_capabilities(self, client: Client, backend: Backend) -> None:
        session = self.new_session(client, backend, capabilities=[self.capability])
        assert [capability.ref for capability in session.capabilities] == [self.capability.ref]

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_MODEL)
    def test_a_session_is_created_with_a_model(self, client: Client, backend: Backend) -> None:
        assert backend.model is not None, "Backend.model is None, and the provider supports it in a creation"
        session = self.new_session(client, backend, model=backend.model)
        assert session.model is not None
        assert session.model.id == backend.model.id

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_PERMISSION_MODE)
    def test_a_session_is_created_with_a_permission_mode(self, client: Client, backend: Backend) -> None:
        mode = self.needed("permission_mode")
        assert self.new_session(client, backend, permission_mode=mode).permission_mode == mode

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_TITLE, Feature.SESSIONS_GET)
    def test_a_text_is_kept_as_it_was_written(self, client: Client, backend: Backend) -> None:
        session = self.new_session(client, backend, title=ODD_TEXT)
        assert client.sessions.get(session).title == ODD_TEXT

    @covers(Feature.SESSIONS_GET)
    def test_a_session_is_read_anew(self, client: Client, session: Session) -> None:
        read = client.sessions.get(session)

        assert known(read) == known(session)
        assert read.raw

    @covers(Feature.SESSIONS_GET)
    def test_times_are_in_utc(self, client: Client, session: Session) -> None:
        read = client.sessions.get(session)

        times = [read.created_at, read.updated_at, read.started_at, read.finished_at, read.archived_at]
        assert {time.tzinfo for time in times if time is not None} == {UTC}

    @covers(Feature.SESSIONS_DELETE, Feature.SESSIONS_GET)
    def test_a_deleted_session_is_gone(self, client: Client, session: Session) -> None:
        client.sessions.delete(session)

        with pytest.raises(NotFound) as caught:
            client.sessions.get(session)
        assert (caught.value.provider, caught.value.operation) == (self.provider, Feature.SESSIONS_GET)
        assert caught.value.message
        with pytest.raises(NotFound):
            client.sessions.delete(session)

    @covers(Feature.SESSIONS_DELETE, Feature.SESSIONS_UPDATE, Feature.SESSIONS_UPDATE_TITLE)
    def test_a_deleted_session_takes_no_change(self, client: Client, session: Session) -> None:
        client.sessions.delete(session)

        with pytest.raises(NotFound):
            client.sessions.update(session, title="Too late")

    @covers(Feature.SESSIONS_DELETE, Feature.SESSIONS_SEND)
    def test_a_deleted_session_takes_no_message(self, client: Client, session: Session) -> None:
        client.sessions.delete(session)

        with pytest.raises(NotFound):
            client.sessions.send(session, self.script.plain)

    @covers(Feature.SESSIONS_DELETE, Feature.SESSIONS_MESSAGES)
    def test_a_deleted_session_has_no_messages(self, client: Client, session: Session) -> None:
        client.sessions.delete(session)

        with pytest.raises(NotFound):
            list(client.sessions.messages(session))

    @covers(Feature.SESSIONS_DELETE, Feature.SESSIONS_CANCEL)
    def test_a_deleted_session_has_nothing_to_cancel(self, client: Client, session: Session) -> None:
        client.sessions.delete(session)

        with pytest.raises(NotFound):
            client.sessions.cancel(session)

    @covers(Feature.SESSIONS_CANCEL)
    def test_there_may_be_nothing_to_cancel(self, client: Client, session: Session) -> None:
        cancellation = client.sessions.cancel(session)

        assert (cancellation.provider, cancellation.session_id) == (self.provider, session.id)
        assert cancellation.state is CancelState.NOTHING_RUNNING

    @covers(Feature.SESSIONS_CANCEL, Feature.SESSIONS_SEND, Feature.SESSIONS_GET)
    def test_cancel_stops_the_turn_and_leaves_the_session(self, client: Client, session: Session) -> None:
        client.sessions.send(session, self.script.slow)
        self.eventually(lambda: client.sessions.get(session).status is SessionStatus.RUNNING, "the turn runs")

        assert client.sessions.cancel(session).state is CancelState.REQUESTED

        self.eventually(lambda: client.sessions.get(session).status is not SessionStatus.RUNNING, "the turn ended")
        assert client.sessions.cancel(session).state is CancelState.NOTHING_RUNNING

    @covers(Feature.SESSIONS_ARCHIVE, Feature.SESSIONS_GET)
    def test_an_archived_session_can_be_read(self, client: Client, session: Session) -> None:
        archived = client.sessions.archive(session)

        assert archived.id == session.id
        assert archived.archived_at or "archive" in archived.native_status
        read = client.sessions.get(session)
        assert (read.archived_at, read.native_status) == (archived.archived_at, archived.native_status)

    @covers(Feature.SESSIONS_ARCHIVE, Feature.SESSIONS_LIST)
    def test_an_archived_session_is_not_listed(self, client: Client, backend: Backend) -> None:
        agent = self.own_agent(client, backend)
        kept, archived = (self.new_session(client, backend, **for_agent(agent)) for _ in range(2))
        client.sessions.archive(archived)

        listed = [session.id for session in client.sessions.list()]
        assert kept.id in listed
        assert archived.id not in listed


def for_agent(agent: str | None) -> dict[str, Any]:
    """Return the argument that names an agent, if the backend has agents."""
    return {} if agent is None else {"agent": agent}


def known(session: Session) -> dict[str, Any]:
    """Return the content of a session, without fields that change with time or are missing in some responses."""
    return {name: value for name, value in session.model_dump().items() if name not in {"raw", "updated_at", "usage"}}
