"""Work that a good call must not do, counted and not timed: docs/performance.md has its cost."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pluggy
import pytest

from polysession import Client, record
from support.qoder_events import cursor_after

SESSION = {"id": "sess_1", "agent": {"id": "agent_1"}, "status": "idle", "extra": {"kept": True}}
PAGE = {"data": [SESSION | {"id": f"sess_{number}"} for number in range(5)], "has_more": False}
EVERRUNS_ID = "session_0195e0c0000070008000000000000001"
DELTA = {"type": "event_delta", "event_id": "evt_1", "delta": {"content": {"text": "word "}}}
LAST = {"type": "session.deleted", "id": "evt_2"}
EVENTS: list[dict[str, Any]] = [*[DELTA] * 50, LAST]
FRAMES = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS)

STARTED = """
import sys
import polysession
print(*sys.modules)
import httpx
from polysession import Client, record
answer = httpx.MockTransport(lambda request: httpx.Response(200, json={answer}))
with Client("{provider}", **{settings}, http_client=httpx.Client(transport=answer)) as client:
    assert client.sessions.get("{id}").id == "{id}"
print(*sys.modules)
"""
GETS: dict[str, dict[str, Any]] = {
    "qoder": {"id": "sess_1", "settings": {"token": "pt-x"}, "answer": SESSION},
    "everruns": {
        "id": EVERRUNS_ID,
        "settings": {"api_key": "evr_x", "base_url": "https://x"},
        "answer": {"id": EVERRUNS_ID, "status": "idle"},
    },
    "agentscope": {
        "id": "s1",
        "settings": {"base_url": "https://x", "user_id": "u", "agent_id": "a"},
        "answer": {"sessions": [{"session": {"id": "s1"}}]},
    },
}
NOT_FOR_A_GET = (
    "aiohttp",
    "asyncio",
    "difflib",
    "opentelemetry",
    "tenacity",
    "tomllib",
    "typer",
    "uvicorn",
    "polysession._core.gap",
    "polysession._core.streams",
    "polysession._core.turn",
    "polysession._core.turn_input",
    "polysession._drivers.async_driver",
    "polysession._drivers.sync_stream",
    "polysession.async_client",
    "polysession.observing",
    "polysession.profiles",
    "polysession.switching",
)
NOT_FOR_A_GET_OF_QODER = ("polysession.action", "polysession.event", "polysession.message")
"""The records of events take a sixth of the time of the first call."""


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/events/stream"):
        return httpx.Response(200, text=FRAMES, headers={"content-type": "text/event-stream"})
    return httpx.Response(200, json=PAGE if request.url.path.endswith("/sessions") else SESSION)


@pytest.fixture
def client() -> Iterator[Client]:
    with (
        httpx.Client(transport=httpx.MockTransport(answer)) as given,
        Client("qoder", token="pt-x", http_client=given) as client,
    ):
        client.sessions.get("sess_1")  # what is done once is done
        yield client


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Note the calls of a function; it still does what it does."""

    def watch(owner: Any, name: str) -> list[str]:
        noted: list[str] = []
        original = getattr(owner, name)

        def noting(*args: Any, **kwargs: Any) -> Any:
            noted.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, noting)
        return noted

    return watch


def read_stream(client: Client) -> int:
    with client.sessions.stream("sess_1", cursor=cursor_after("evt_0")) as events:
        return sum(1 for _ in events)


USES: dict[str, Callable[[Client], object]] = {
    "get": lambda client: client.sessions.get("sess_1"),
    "update": lambda client: client.sessions.update("sess_1", title="new"),
    "page": lambda client: client.sessions.list().page(),
    "stream": read_stream,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_raw_is_decoded_when_it_is_read_and_not_before(
    client: Client, calls: Callable[..., list[str]], use: Callable[[Client], object]
) -> None:
    decoded = calls(record, "decode_json")
    assert use(client)
    assert decoded == []
    assert client.sessions.get("sess_1").raw["extra"] == {"kept": True}
    assert len(decoded) == 1


def test_no_hook_is_called_for_an_event(client: Client, calls: Callable[..., list[str]]) -> None:
    called = calls(pluggy.HookCaller, "__call__")
    assert read_stream(client) > 50
    assert called == []


def test_a_second_client_shares_the_tls_context_and_looks_nothing_up(calls: Callable[..., list[str]]) -> None:
    Client("qoder", token="pt-x").close()
    made, looked_up = calls(ssl, "create_default_context"), calls(sys.modules["polysession.plugins"], "distributions")
    Client("qoder", token="pt-x").close()
    assert (made, looked_up) == ([], [])


@pytest.mark.parametrize("provider", GETS)
def test_what_is_not_needed_is_not_imported(provider: str) -> None:
    program = STARTED.format(provider=provider, **GETS[provider])
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    at_import, at_first_get = (set(line.split()) for line in run.stdout.splitlines())
    assert not at_import & {"httpx", "pydantic", "pluggy", "tenacity", "typing", "importlib.metadata"}
    assert not at_first_get.intersection(NOT_FOR_A_GET)
    assert provider != "qoder" or not at_first_get.intersection(NOT_FOR_A_GET_OF_QODER)
    assert not {name for name in at_first_get if ".emulator" in name}
