"""A client of another HTTP library with the same methods will do."""

import httpx2
import pytest

from polysession import Client, ConnectFailed, NotFound
from polysession.emulation import serve


def test_httpx2_carries_a_session_and_its_errors() -> None:
    with (
        serve("qoder") as emulator,
        httpx2.Client(trust_env=False) as http_client,
        Client("qoder", http_client=http_client, timeout=10, **emulator.settings) as client,  # type: ignore[arg-type]
    ):
        session = client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id, title="Ticket")
        with client.sessions.run(session, "hello", deadline_s=20) as turn:
            assert turn.wait().text == "You said: hello"
        with pytest.raises(NotFound):
            client.sessions.get("sess_unknown")

    with httpx2.Client(trust_env=False) as http_client:
        settings = {"base_url": emulator.base_url, "token": "pt-x"}
        client = Client("qoder", http_client=http_client, retry=None, **settings)  # type: ignore[arg-type]
        with pytest.raises(ConnectFailed):
            client.sessions.get("sess_unknown")
