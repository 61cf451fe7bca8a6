"""The legacy Everruns emulator returns the JSON of the published page, key for key."""

from __future__ import annotations

from typing import Any

import httpx

from polysession.emulation import EmulatorHandle, serve
from support.published import differences, example


def connect(handle: EmulatorHandle) -> httpx.Client:
    headers = {"authorization": handle.settings["api_key"]}
    return httpx.Client(base_url=f"{handle.base_url}/v1", headers=headers, trust_env=False)


def new_session(handle: EmulatorHandle, http: httpx.Client, **fields: Any) -> str:
    """Create a session with one finished turn."""
    session_id: str = http.post("/sessions", json={"agent_id": handle.agent_id, **fields}).json()["id"]
    message = {"message": {"content": [{"type": "text", "text": "hello"}]}}
    with http.stream("GET", f"/sessions/{session_id}/sse") as stream:
        assert http.post(f"/sessions/{session_id}/messages", json=message).is_success
        next(line for line in stream.iter_lines() if line == "event: session.idled")
    return session_id


def test_a_legacy_session_is_updated_as_published() -> None:
    published = example("everruns/documented/legacy_update.yaml")
    with serve("everruns", generation="legacy") as handle, connect(handle) as http:
        assert handle.model is not None
        kept = {"capabilities": [{"ref": "current_time", "config": {}}], "model_id": handle.model.id}
        session_id = new_session(handle, http, **kept)

        answer = http.patch(f"/sessions/{session_id}", json=published.request)

    assert answer.status_code == published.status
    # A field of the next generation, which the official client requires.
    assert differences(published.answer, answer.json()) == [".harness_id: not published"]
