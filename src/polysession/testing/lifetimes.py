"""Lifetimes: everything that is opened is closed, and a session works from its creation to its deletion."""

from __future__ import annotations

from pathlib import Path

import pytest

from polysession import Client, Feature, NotFound, Outcome
from polysession.testing.backend import Backend
from polysession.testing.base import ContractBase
from polysession.testing.faces import Face
from polysession.testing.marks import covers

_DESCRIPTORS = Path("/proc/self/fd")


class LifetimeContract(ContractBase):
    """Nothing stays open."""

    @covers(
        Feature.SESSIONS_CREATE,
        Feature.SESSIONS_GET,
        Feature.SESSIONS_RUN,
        Feature.SESSIONS_UPDATE,
        Feature.SESSIONS_UPDATE_TITLE,
        Feature.SESSIONS_DELETE,
    )
    def test_the_whole_life_of_a_session(self, client: Client, backend: Backend) -> None:
        session = self.new_session(client, backend)
        assert self.run(client, session, self.script.plain)[1].outcome is Outcome.COMPLETED
        assert client.sessions.update(session, title="Done").title == "Done"
        assert self.run(client, session, self.script.tool)[1].outcome is Outcome.COMPLETED
        assert client.sessions.get(session).title == "Done"
        client.sessions.delete(session)
        with pytest.raises(NotFound):
            client.sessions.get(session)

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_RUN, Feature.SESSIONS_CANCEL)
    def test_an_abandoned_turn_leaves_nothing_open(self, face: Face, backend: Backend) -> None:
        with self.open(face, backend.settings) as client:
            self.run(client, self.new_session(client, backend), self.script.plain)
        before = self.open_descriptors()

        with self.open(face, backend.settings) as client:
            session = self.new_session(client, backend)
            with client.sessions.run(session, self.script.slow, deadline_s=self.patience_s) as turn:
                next(turn)
            client.sessions.cancel(session)

        self.eventually(lambda: self.open_descriptors() <= before, "every connection is closed")

    @covers(Feature.SESSIONS_CREATE, Feature.SESSIONS_STREAM)
    def test_an_error_in_the_block_closes_the_stream(self, face: Face, backend: Backend) -> None:
        with self.open(face, backend.settings) as client:
            session = self.new_session(client, backend)
        before = self.open_descriptors()

        with (
            pytest.raises(ZeroDivisionError),
            self.open(face, backend.settings) as client,
            client.sessions.stream(session, deadline_s=self.patience_s),
        ):
            raise ZeroDivisionError

        self.eventually(lambda: self.open_descriptors() <= before, "every connection is closed")

    @staticmethod
    def open_descriptors() -> int:
        """Return the number of open files and sockets of this process. Skips the test if it is unknown."""
        if not _DESCRIPTORS.exists():
            pytest.skip(f"{_DESCRIPTORS} does not exist on this system")
        return len(list(_DESCRIPTORS.iterdir()))
