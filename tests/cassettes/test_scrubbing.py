"""No secret gets from a recording into a file, wherever in the exchange it stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from polysession import AsyncClient, Client, PolysessionError
from polysession.emulation import serve
from polysession.testing import Tape
from polysession.testing.fault_server import FaultServer, http
from polysession_agentscope import AgentScopeNewSession
from support.stream_server import StreamServer, stream
from tools.recordings import guard
from tools.recordings.cassettes import recording, refuse_emulator
from tools.recordings.inventory import problems_in
from tools.recordings.provenance import CASSETTES, BadEvidence, Provenance
from tools.recordings.scrubbing import REDACTED, Scrubber
from tools.recordings.tapes import read_tape, scrubbed, write_tape

IN_SETTINGS = "canary-in-the-settings"
CANARIES = {
    "settings": IN_SETTINGS,
    "request header": "canary-in-a-request-header",
    "authorization": "canary-in-an-authorization",
    "body, by its key": "canary in a body",
    "body, by its look": "sk-canary0123456789",
    "body, in a path": "/home/canary/secret",
    "query": "canary-in-a-query",
    "response header": "canary-in-a-response-header",
    "cookie": "canary-in-a-cookie",
    "response body, by its key": "canary in a response body",
    "response body, by its look": "eyJjYW5hcnkiOjEyMzQ1.canary_signed.canary",
    "response body, echoed": IN_SETTINGS,
    "response body, a key of an object": "/Users/canary",
    "response that is no JSON": "Bearer canary.of.a.page",
}
PROVENANCE = Provenance.of_recording("agentscope", "a throw-away server", "0")


def leaky(**more: str) -> Any:
    """An answer that holds a secret wherever one can be."""
    body = {
        "session_id": "s1",
        "api_key": CANARIES["response body, by its key"],
        "name": f"it is {CANARIES['response body, by its look']}",
        "detail": f"you sent {IN_SETTINGS}",
        "state": {"working_directories": {CANARIES["response body, a key of an object"]: {"mode": "x"}}},
        "context": [{CANARIES["response body, a key of an object"]: 1}],
    }
    headers = {"set_cookie": f"sid={CANARIES['cookie']}", "x_trace": CANARIES["response header"], **more}
    return http(200, json.dumps(body), content_type="application/json", **headers)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    page = http(404, f"<html>{CANARIES['response that is no JSON']}</html>", content_type="text/html")
    with FaultServer(leaky(), page) as server:
        yield server


def use(client: Any) -> Any:
    """A creation that sends secrets and is answered with others."""
    native = AgentScopeNewSession(
        knowledge_config={"parameters": {"key": CANARIES["body, by its look"], "at": CANARIES["body, in a path"]}},
    )
    return client.sessions.create(agent="a1", title=f"T {IN_SETTINGS}", native=native)


def settings(server: FaultServer) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {IN_SETTINGS}", "x-gateway": CANARIES["request header"]}
    return {"base_url": server.url, "user_id": "u1", "headers": headers}


def record_sync(server: FaultServer) -> None:
    with Client("agentscope", **settings(server)) as client, pytest.raises(PolysessionError):
        use(client)


def record_async(server: FaultServer) -> None:
    async def record() -> None:
        async with AsyncClient("agentscope", **settings(server)) as client:
            with pytest.raises(PolysessionError):
                await use(client)

    asyncio.run(record())


@pytest.mark.parametrize("record", [record_sync, record_async])
def test_no_canary_is_in_the_cassette(
    server: FaultServer, tmp_path: Path, record: Callable[[FaultServer], None]
) -> None:
    path = tmp_path / "agentscope/recorded/canaries.yaml"
    with recording(path, PROVENANCE, Scrubber("agentscope", secrets=[IN_SETTINGS])):
        record(server)
        data = {"type": "t", "api_key": CANARIES["body, by its key"]}
        url = f"{server.url}/credential/?agent_id=a1&token={CANARIES['query']}"
        headers = {"x-api-key": CANARIES["request header"], "authorization": CANARIES["authorization"]}
        httpx.post(url, json={"data": data}, headers=headers)
    sent = b"".join(server.requests).decode()
    planted = [name for name in CANARIES if "response" not in name and name != "cookie"]
    assert [name for name in planted if CANARIES[name] not in sent] == []
    assert guard.leaks(path.read_bytes(), CANARIES.values()) == []
    assert REDACTED in path.read_text(encoding="utf-8")
    assert problems_in(path) == []


def test_no_canary_is_in_the_tape(tmp_path: Path) -> None:
    path = tmp_path / "agentscope/streams/canaries.jsonl"
    scrubber = Scrubber("agentscope", secrets=[IN_SETTINGS])
    frame = b'data: {"text": "you sent %s"}\n\n' % IN_SETTINGS.encode()
    served = StreamServer(stream(frame, end="close"), replies=(leaky(),))
    headers = {"authorization": f"Bearer {IN_SETTINGS}", "x-gateway": CANARIES["request header"]}
    recorded = Tape(tmp_path / "new.jsonl", mode="once", provenance=PROVENANCE.to_body(), replace=scrubber.replacements)
    with served, recorded as tape, tape.http_client() as http:
        url = f"{served.url}/chat/?token={CANARIES['query']}"
        body = {"api_key": CANARIES["body, by its key"]}
        http.send(http.build_request("POST", url, json=body, headers=headers))
        http.send(http.build_request("GET", f"{served.url}/sessions/s1/stream", headers=headers))
    assert IN_SETTINGS.encode() in b"".join(served.requests)
    write_tape(path, scrubbed(read_tape(tmp_path / "new.jsonl"), scrubber))
    assert read_tape(path).streams() == {1: [b'data: {"text": "you sent REDACTED"}\n\n']}
    assert guard.leaks(path.read_bytes(), CANARIES.values()) == []
    assert problems_in(path) == []


def test_a_secret_that_nobody_knew_keeps_a_tape_from_being_written(tmp_path: Path) -> None:
    served = StreamServer(stream(b'data: {"text": "sk-can', b'ary0123456789"}\n\n', end="close"))
    new = tmp_path / "new.jsonl"
    with served, Tape(new, mode="once", provenance=PROVENANCE.to_body()) as tape, tape.http_client() as http:
        http.send(http.build_request("GET", f"{served.url}/stream"))
    with pytest.raises(BadEvidence, match="text has a token, 'sk-canary012'"):
        write_tape(tmp_path / "tape.jsonl", scrubbed(read_tape(new), Scrubber("agentscope")))
    assert not (tmp_path / "tape.jsonl").exists()


def test_a_cassette_with_what_the_scrubbing_missed_is_not_written(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scrubber, "body", lambda _, body: body or b"")
    path = tmp_path / "c.yaml"
    refused = pytest.raises(BadEvidence, match="key 'api_key' of the body is not listed")
    with refused, recording(path, PROVENANCE, Scrubber("agentscope")):
        httpx.get(server.url)
    assert not path.exists()


def test_what_an_emulator_answers_is_never_stored_as_evidence(tmp_path: Path) -> None:
    target = CASSETTES / "agentscope/recorded/emulated.yaml"
    with serve("agentscope") as emulator:
        with pytest.raises(BadEvidence, match="is an emulator: its responses are never stored as evidence"):
            refuse_emulator(emulator.base_url, target)
        refuse_emulator(emulator.base_url, tmp_path / "elsewhere.yaml")
    with FaultServer(http(404)) as real:
        refuse_emulator(real.url, target)
