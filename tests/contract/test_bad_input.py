"""Bad input of single backends: their words for a refusal, and their own settings.

What holds for every backend is in `polysession.testing`.
"""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest

from polysession import AuthenticationFailed, MalformedResponse, NotFound, PolysessionError, Session, UsageError
from polysession.testing.fault_server import FaultServer, http
from support.client_runners import SYNC, ClientRunner, both_runners

CANARY = "c4n4ry"
SETTINGS: dict[str, dict[str, Any]] = {
    "qoder": {"token": CANARY},
    "everruns": {"api_key": CANARY},
    "agentscope": {
        "user_id": "alice",
        "agent_id": "agent_1",
        "headers": {"authorization": f"Bearer {CANARY}"},
    },
}
REFUSALS: list[tuple[str, dict[str, Any], str, str | None]] = [
    (
        "qoder",
        {"type": "error", "error": {"type": "authentication_error", "message": "Invalid API key or token."}},
        "Invalid API key or token.",
        "authentication_error",
    ),
    (
        "everruns",
        {"title": "Unauthorized", "status": 401, "detail": "Invalid API key", "code": "invalid_key"},
        "Invalid API key",
        "invalid_key",
    ),
    ("everruns", {"error": "Unauthorized"}, "Unauthorized", None),
    ("everruns", {"error": {"code": "unauthorized", "message": "No."}}, "No.", "unauthorized"),
    ("agentscope", {"detail": "X-User-ID header is required."}, "X-User-ID header is required.", None),
]
HEADER_SETTINGS = [
    ("qoder", "token"),
    ("qoder", "workspace_id"),
    ("everruns", "api_key"),
    ("everruns", "org_id"),
    ("agentscope", "user_id"),
    ("agentscope", "headers"),
]


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment stands between us and the loopback port."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def failure(runner: ClientRunner, backend: str, url: str, **options: Any) -> PolysessionError:
    """The error of reading a session at an address."""
    session = Session(provider=backend, id="sess_1", agent_id=options.get("agent_id", "agent_1"))
    with pytest.raises(PolysessionError) as caught:
        runner.call(
            backend,
            lambda client: client.sessions.get(session),
            **{"base_url": url, "retry": None, "timeout": 5} | SETTINGS[backend] | options,
        )
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    return caught.value


@both_runners
@pytest.mark.parametrize(("backend", "body", "said", "code"), REFUSALS)
def test_a_refused_credential_is_told_in_the_words_of_the_backend(
    runner: ClientRunner, backend: str, body: dict[str, Any], said: str, code: str | None
) -> None:
    with FaultServer(http(401, json.dumps(body))) as server:
        error = failure(runner, backend, server.url)

    assert type(error) is AuthenticationFailed
    assert (error.message, error.code, error.status) == (said, code, 401)
    assert (error.attempts, error.retryable) == (1, False)


@both_runners
@pytest.mark.parametrize("backend", SETTINGS)
def test_an_object_of_wrong_types_is_no_session(runner: ClientRunner, backend: str) -> None:
    with FaultServer(http(200, '{"id": 5, "session_id": 5, "sessions": 5}')) as server:
        error = failure(runner, backend, server.url)

    assert type(error) is MalformedResponse


def test_the_request_id_in_a_body_of_qoder_is_kept() -> None:
    body = {"type": "error", "error": {"type": "not_found_error", "message": "Not found."}, "request_id": "req-8"}

    with FaultServer(http(404, json.dumps(body))) as server:
        error = failure(SYNC, "qoder", server.url)

    assert error.request_id == "req-8"


def test_an_odd_agent_id_stays_one_parameter() -> None:
    with FaultServer(http(200, '{"sessions": [], "total": 0}')) as server:
        error = failure(SYNC, "agentscope", server.url, agent_id="a&b=c#\r\nX: y/ü")

    assert type(error) is NotFound
    assert server.targets == ["GET /sessions/?agent_id=a%26b%3Dc%23%0D%0AX%3A+y%2F%C3%BC"]


@both_runners
@pytest.mark.parametrize(("backend", "name"), HEADER_SETTINGS)
@pytest.mark.parametrize("text", [f"{CANARY}\r\nX-Admin: 1", f"{CANARY}\n", f"{CANARY}\x00", f"{CANARY}ü"])
def test_a_setting_that_could_break_out_of_its_header_makes_no_client(
    runner: ClientRunner, backend: str, name: str, text: str
) -> None:
    with FaultServer(http(200)) as elsewhere:
        error = failure(runner, backend, elsewhere.url, **{name: {"x-gateway": text} if name == "headers" else text})

    assert type(error) is UsageError
    assert ("x-gateway" if name == "headers" else name) in error.message
    assert CANARY not in error.message
    assert elsewhere.connections == 0


@pytest.mark.parametrize("name", ["x-a\r\nX-Admin", "x a", "", "x:a", "X-User-ID", "content-length"])
def test_the_name_of_a_further_header_is_checked_too(name: str) -> None:
    with FaultServer(http(200)) as elsewhere:
        error = failure(SYNC, "agentscope", elsewhere.url, headers={name: "x"})

    assert type(error) is UsageError
    assert "is not a valid header name" in error.message or "is set by polysession" in error.message
    assert (error.message.isprintable(), elsewhere.connections) == (True, 0)
