"""The way to a service on which faults can be asked for."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from polysession import Client
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.testing import proxy


@pytest.fixture(scope="module")
def service() -> Iterator[EmulatorHandle]:
    with serve("qoder") as emulator:
        yield emulator


def test_a_turn_comes_through_unchanged_and_can_be_cut(service: EmulatorHandle) -> None:
    with (
        proxy(service.base_url) as (url, faults),
        Client("qoder", **{**service.settings, "base_url": url}) as client,
    ):
        session = client.sessions.create(agent=service.agent_id, environment=service.environment_id, title="Zürich %2F")
        assert client.sessions.get(session).title == "Zürich %2F"
        assert [each.id for each in client.sessions.list(title_contains="zürich %2f")] == [session.id]
        faults.add(Fault("drop", streams_only=True, at_byte=300))
        with client.sessions.run(session, "hello", deadline_s=20) as turn:
            assert turn.wait().text == "You said: hello"
        assert faults.waiting() == []
        assert service.faults.waiting() == []


def test_answers_keep_their_status_and_headers(service: EmulatorHandle) -> None:
    headers = {"authorization": f"Bearer {service.settings['token']}", "x-request-id": "req-9"}
    with proxy(service.base_url) as (url, _):
        answer = httpx.get(f"{url}/sessions/sess_none", headers=headers, trust_env=False)

    assert answer.status_code == 404
    assert answer.headers["x-request-id"] == "req-9"
    assert answer.json()["error"]["type"] == "not_found_error"
