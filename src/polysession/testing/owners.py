"""Owners: if the user is part of a session's address, a client never reads one user's session as another user."""

from __future__ import annotations

from typing import Any

import pytest

from polysession import Feature, Session, SessionRef, UsageError
from polysession.provider_api import Provider
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.faces import Face
from polysession.testing.fault_server import FaultServer
from polysession.testing.marks import covers


def has_owner_setting(declared: type[Provider[Any]]) -> bool:
    """Return whether a client of the provider may have its own user."""
    return declared.owner_setting is not None


class OwnerContract(ContractBase):
    """For providers with an `owner_setting`."""

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_CREATE_OWNER, Feature.SESSIONS_GET, needs=has_owner_setting)
    def test_a_handle_of_another_user_is_not_sent(self, face: Face, backend: Backend, nowhere: FaultServer) -> None:
        stranger = SessionRef("session-1", "agent_1", "somebody-else")
        with (
            self.open(face, {**backend.settings, "base_url": nowhere.url}) as client,
            pytest.raises(UsageError, match="somebody-else"),
        ):
            client.sessions.get(stranger)
        assert nowhere.connections == 0

    @covers(
        Feature.SESSIONS_CREATE,
        Feature.SESSIONS_CREATE_OWNER,
        Feature.SESSIONS_GET,
        Feature.SESSIONS_LIST_OWNER,
        needs=has_owner_setting,
    )
    def test_a_client_without_a_user_serves_several(self, face: Face, backend: Backend) -> None:
        setting = self.declared().owner_setting
        without_user = {name: value for name, value in backend.settings.items() if name != setting}
        sessions: list[Session] = []
        with self.open(face, without_user) as serving:
            for owner in ("user-a", "user-b"):
                session = self.new_session(serving, backend, owner=owner)
                assert serving.sessions.get(session).owner_id == owner
                sessions.append(session)
            assert [each.id for each in serving.sessions.list(owner="user-a")].count(sessions[1].id) == 0
            for needs_owner in (
                lambda: serving.sessions.get(sessions[0].id),
                lambda: self.new_session(serving, backend),
                lambda: list(serving.sessions.list()),
            ):
                with pytest.raises(UsageError, match="owner"):
                    needs_owner()
