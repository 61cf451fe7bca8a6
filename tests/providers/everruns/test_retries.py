"""Writes are retried only if the backend certainly has not carried them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from polysession import Client, PolysessionError, RateLimited, RetryPolicy, ServerError, ToolOutput

ID = "session_0195e0c0000070008000000000000001"
SESSION = {"id": ID, "status": "idle", "title": "New"}
CALL = {"id": "call_1", "name": "look_up", "arguments": {}}
ASKED = {"id": "event_1", "type": "tool.call_requested", "sequence": 1, "data": {"tool_calls": [CALL]}}
QUICK = RetryPolicy(attempts=3, first_wait_s=0.0, max_wait_s=0.0)

Use = Callable[[Client], Any]
WRITES: dict[str, Use] = {
    "POST /v1/sessions": lambda client: client.sessions.create(title="New"),
    f"PATCH /v1/sessions/{ID}": lambda client: client.sessions.update(ID, title="New"),
    f"POST /v1/sessions/{ID}/messages": lambda client: client.sessions.send(ID, "Hi"),
    f"POST /v1/sessions/{ID}/cancel": lambda client: client.sessions.cancel(ID),
    f"POST /v1/sessions/{ID}/tool-results": lambda client: client.sessions.answer(ID, [ToolOutput("call_1", "x")]),
    "POST /v1/agents": lambda client: client.agents.create(name="a", system_prompt="b"),
}


def attempts(use: Use, write: str, *outcomes: httpx.Response | Exception) -> int:
    """Return how often a write is sent if its first attempts have these outcomes."""
    remaining = list(outcomes)
    sent: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked = f"{request.method} {request.url.path.removeprefix('/api')}"
        if asked != write:
            return httpx.Response(200, json={"data": [ASKED]})
        sent.append(asked)
        outcome = remaining.pop(0) if remaining else httpx.Response(200, json={**SESSION, "name": "a"})
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    http = httpx.Client(transport=httpx.MockTransport(respond))
    with Client("everruns", api_key="k", base_url="https://everruns.test/api", http_client=http, retry=QUICK) as client:
        try:
            use(client)
        finally:
            http.close()
            assert not remaining
    return len(sent)


def busy() -> httpx.Response:
    return httpx.Response(429, content=json.dumps({"title": "Too Many Requests", "status": 429}))


writes = pytest.mark.parametrize(("write", "use"), WRITES.items(), ids=WRITES)


@writes
def test_a_write_is_retried_after_429(write: str, use: Use) -> None:
    assert attempts(use, write, busy(), busy()) == 3


@writes
def test_a_write_is_retried_after_a_refused_connection(write: str, use: Use) -> None:
    assert attempts(use, write, httpx.ConnectError("refused")) == 2


@writes
def test_a_write_that_stays_refused_fails(write: str, use: Use) -> None:
    with pytest.raises(RateLimited) as caught:
        attempts(use, write, busy(), busy(), busy())
    assert not caught.value.outcome_unknown


@writes
@pytest.mark.parametrize("outcome", [httpx.Response(503), httpx.ReadTimeout("late"), httpx.ReadError("gone")])
def test_a_write_that_may_have_arrived_is_not_retried(
    *, write: str, use: Use, outcome: httpx.Response | Exception
) -> None:
    with pytest.raises(PolysessionError) as caught:
        attempts(use, write, outcome)
    assert caught.value.outcome_unknown
    assert isinstance(caught.value, ServerError) is isinstance(outcome, httpx.Response)
