"""A test can wait until a stream is open, on every backend."""

from __future__ import annotations

import time

import pytest

from polysession import Client, Feature, Support
from polysession.cli.demo import emulated_providers
from polysession.emulation import serve
from polysession.plugins import load_provider

STREAMING = [
    name
    for name in emulated_providers()
    if load_provider(name).support(Feature.SESSIONS_STREAM).support is Support.NATIVE
]


@pytest.mark.parametrize("backend", STREAMING)
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
