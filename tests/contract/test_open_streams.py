"""A test can wait until a stream is open, on every backend."""

from __future__ import annotations

import time

import pytest

from polysession import Client
from polysession.emulation import serve


@pytest.mark.parametrize("backend", ["agentscope", "everruns", "qoder"])
def test_open_streams_are_counted(backend: str) -> None:
    with serve(backend) as handle, Client(backend, **handle.settings) as client:
        session = client.sessions.create(agent=handle.agent_id or None, environment=handle.environment_id, title="T")
        count = handle.control.open_streams
        assert count(session.id) == 0
        with client.sessions.stream(session):
            while not count(session.id):
                time.sleep(0.01)
            assert count(session.id) == 1
        while count(session.id):
            time.sleep(0.01)
        with pytest.raises(KeyError):
            count("none")
