"""Broken servers and malformed arguments: every backend, both clients, real bytes on a loopback port."""

from __future__ import annotations

import gzip
import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from polysession import (
    AuthenticationFailed,
    BackendFault,
    ConnectFailed,
    ConnectionLost,
    MalformedResponse,
    NotFound,
    PolysessionError,
    RateLimited,
    RetryPolicy,
    Session,
    UnexpectedRedirect,
    UsageError,
)
from support.faces import Face, Use, both_faces
from polysession.testing.fault_server import Answer, FaultServer, closed_port, http

TWICE = RetryPolicy(attempts=2, first_wait_s=0.0)
DOUBT = "The backend may have carried the request out all the same: read before you repeat it"
CANARY = "c4n4ry"


@dataclass(frozen=True)
class Backend:
    """What differs between the backends here.

    Attributes:
        name: The provider.
        settings: Settings besides the address.
        create: Arguments of a creation.
        create_is_keyed: Whether a creation carries an idempotency key, so that it is tried again.
        deletion: Target of the deletion of a session whose id is in place of `{}`.
        refusals: Bodies of a 401, with the message and the code that each says.
        missing: Body of a 404.
        header_settings: Settings that are sent in headers, with the name that an error calls them by.
    """

    name: str
    settings: dict[str, Any]
    create: dict[str, Any]
    create_is_keyed: bool
    deletion: str
    refusals: list[tuple[dict[str, Any], str, str | None]]
    missing: dict[str, Any]
    header_settings: list[str] = field(default_factory=list)

    def call(self, face: Face, url: str, use: Use, **options: Any) -> Any:
        """What `use` does with a client of this backend at an address."""
        return face.call(self.name, use, **{"base_url": url, "retry": TWICE, "timeout": 5} | self.settings | options)

    def failure(self, face: Face, url: str, use: Use, **options: Any) -> PolysessionError:
        with pytest.raises(PolysessionError) as caught:
            self.call(face, url, use, **options)
        return caught.value

    def session(self, session_id: str) -> Session:
        return Session(provider=self.name, id=session_id, agent_id="agent_1")


QODER = Backend(
    name="qoder",
    settings={"token": CANARY},
    create={"agent": "agent_1", "environment": "env_1"},
    create_is_keyed=True,
    deletion="/sessions/{}",
    refusals=[
        (
            {"type": "error", "error": {"type": "authentication_error", "message": "Invalid API key or token."}},
            "Invalid API key or token.",
            "authentication_error",
        ),
    ],
    missing={"type": "error", "error": {"type": "not_found_error", "message": "Session 'x' was not found."}},
    header_settings=["token", "workspace_id"],
)
EVERRUNS = Backend(
    name="everruns",
    settings={"api_key": CANARY},
    create={"agent": "agent_1"},
    create_is_keyed=False,
    deletion="/v1/sessions/{}",
    refusals=[
        (
            {"title": "Unauthorized", "status": 401, "detail": "Invalid API key", "code": "invalid_key"},
            "Invalid API key",
            "invalid_key",
        ),
        ({"error": "Unauthorized"}, "Unauthorized", None),
        ({"error": {"code": "unauthorized", "message": "No."}}, "No.", "unauthorized"),
    ],
    missing={"title": "Not Found", "status": 404, "detail": "Session not found", "code": "session_not_found"},
    header_settings=["api_key", "org_id"],
)
AGENTSCOPE = Backend(
    name="agentscope",
    settings={"user_id": "alice", "agent_id": "agent_1", "headers": {"authorization": f"Bearer {CANARY}"}},
    create={"title": "Ticket"},
    create_is_keyed=False,
    deletion="/sessions/{}?agent_id=agent_1",
    refusals=[({"detail": "X-User-ID header is required."}, "X-User-ID header is required.", None)],
    missing={"detail": "Session 'x' not found."},
    header_settings=["user_id", "headers"],
)
BACKENDS = [QODER, EVERRUNS, AGENTSCOPE]

every_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment stands between us and the loopback port."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def elsewhere() -> Iterator[FaultServer]:
    """A server that nobody is to reach."""
    with FaultServer(http(200)) as server:
        yield server


def reading(client: Any) -> Any:
    return client.sessions.get("sess_1")


def creating(backend: Backend) -> Use:
    return lambda client: client.sessions.create(**backend.create)


@dataclass(frozen=True)
class Fault:
    """What a server does, and what it must come to.

    Attributes:
        answer: What it sends.
        error: The class of the error.
        said: What its message begins with, or holds.
        status: The HTTP status that it tells.
        tried_again: Whether a call that may be repeated is.
        in_doubt: Whether a creation may have been carried out.
        named: Whether the answer has a request id.
    """

    answer: Answer
    error: type[PolysessionError]
    said: str
    status: int | None = None
    tried_again: bool = False
    in_doubt: bool = True
    named: bool = False


def answered(status: int, body: bytes | str, error: type[PolysessionError], said: str, **rest: Any) -> Fault:
    """A fault with a sound HTTP answer that carries a request id."""
    headers = rest.pop("headers", {})
    return Fault(http(status, body, x_request_id="req-7", **headers), error, said, status=status, named=True, **rest)


PAGE = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Sign in</body></html>"
UNREADABLE = "the backend answered success, with a body that cannot be read: "
INCOMPLETE = "the answer is incomplete, or is not HTTP: "
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n"

FAULTS = {
    "reset before the headers": Fault(Answer(b"", reset=True), ConnectionLost, INCOMPLETE, tried_again=True),
    "closed before the headers": Fault(Answer(b""), ConnectionLost, INCOMPLETE, tried_again=True),
    "reset in the headers": Fault(Answer(HEAD[:40], reset=True), ConnectionLost, INCOMPLETE, tried_again=True),
    "closed in the headers": Fault(Answer(HEAD[:40]), ConnectionLost, INCOMPLETE, tried_again=True),
    "reset in the body": Fault(Answer(HEAD + b'\r\n{"id":', reset=True), ConnectionLost, INCOMPLETE, tried_again=True),
    "closed in the body": Fault(Answer(HEAD + b'\r\n{"id":'), ConnectionLost, INCOMPLETE, tried_again=True),
    "not HTTP": Fault(Answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), ConnectionLost, INCOMPLETE, tried_again=True),
    "gzip garbage": Fault(
        http(200, b"\x1f\x8bgarbage", content_encoding="gzip"), ConnectionLost, INCOMPLETE, tried_again=True
    ),
    "empty success": answered(200, "", MalformedResponse, UNREADABLE + "the body is empty"),
    "page with success": answered(
        200, PAGE, MalformedResponse, UNREADABLE + 'instead of JSON came: an HTML page titled "Welcome"'
    ),
    "truncated JSON": answered(
        200, '{"id": "sess_1", "ti', MalformedResponse, UNREADABLE + 'instead of JSON came: {"id": "sess_1", "ti'
    ),
    "truncated gzip": answered(
        200, gzip.compress(b"{}")[:11], MalformedResponse, UNREADABLE, headers={"content_encoding": "gzip"}
    ),
    "JSON of a list": answered(201, "[]", MalformedResponse, UNREADABLE + "instead of a JSON object came a list"),
    "JSON of null": answered(200, "null", MalformedResponse, UNREADABLE + "instead of a JSON object came a NoneType"),
    "object without what is needed": answered(200, "{}", MalformedResponse, UNREADABLE),
    "object of wrong types": answered(200, '{"id": 5, "session_id": 5, "sessions": 5}', MalformedResponse, UNREADABLE),
    "page with 502": answered(502, PAGE, BackendFault, 'an HTML page titled "Welcome"', tried_again=True),
    "500 in plain text": answered(500, "Internal Server Error", BackendFault, "Internal Server Error"),
    "503 without a body": answered(503, "", BackendFault, "the backend failed and gave no reason", tried_again=True),
    "429 without a time": answered(429, "", RateLimited, "too many requests", tried_again=True, in_doubt=False),
    "429 without a time that can be read": answered(
        429, "{}", RateLimited, "{}", headers={"retry_after": "soon"}, tried_again=True, in_doubt=False
    ),
    "401 without a body": answered(
        401, "", AuthenticationFailed, "the backend does not accept the credential", in_doubt=False
    ),
}

every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


def check(error: PolysessionError, fault: Fault, backend: Backend, operation: str, attempts: int) -> None:
    assert type(error) is fault.error
    assert fault.said in error.message
    assert (error.provider, error.operation) == (backend.name, operation)
    assert (error.status, error.request_id) == (fault.status, "req-7" if fault.named else None)
    assert error.attempts == attempts
    assert error.retryable is issubclass(fault.error, ConnectionLost | BackendFault | RateLimited)
    assert CANARY not in "".join(traceback.format_exception(error))


@both_faces
@every_backend
@every_fault
def test_a_read_from_a_broken_server_says_what_came(face: Face, backend: Backend, fault: Fault) -> None:
    with FaultServer(fault.answer) as server:
        error = backend.failure(face, server.url, reading)

    check(error, fault, backend, "sessions.get", attempts=2 if fault.tried_again else 1)
    assert not error.outcome_unknown
    assert len(server.requests) == error.attempts


@both_faces
@every_backend
@every_fault
def test_a_creation_at_a_broken_server_says_whether_it_may_be_done(face: Face, backend: Backend, fault: Fault) -> None:
    with FaultServer(fault.answer) as server:
        error = backend.failure(face, server.url, creating(backend))

    check(error, fault, backend, "sessions.create", attempts=2 if fault.tried_again and backend.create_is_keyed else 1)
    assert error.outcome_unknown is fault.in_doubt
    assert (DOUBT in str(error)) is fault.in_doubt
    assert len(server.requests) == error.attempts


@both_faces
@every_backend
@pytest.mark.parametrize("operation", ["sessions.get", "sessions.create"])
def test_a_server_that_is_down_has_done_nothing(face: Face, backend: Backend, operation: str) -> None:
    use = reading if operation == "sessions.get" else creating(backend)

    error = backend.failure(face, closed_port(), use)

    assert type(error) is ConnectFailed
    assert error.message.startswith("no connection could be made: ")
    assert (error.provider, error.operation, error.status) == (backend.name, operation, None)
    assert error.attempts == (2 if use is reading or backend.create_is_keyed else 1)
    assert (error.retryable, error.outcome_unknown) == (True, False)


@both_faces
@every_backend
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (lambda: "3600", 3600),
        (lambda: format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), pytest.approx(3600, abs=5)),
    ],
    ids=["seconds", "date"],
)
def test_a_long_wait_that_the_backend_asks_for_is_told_and_not_begun(
    face: Face, backend: Backend, retry_after: Any, seconds: Any
) -> None:
    with FaultServer(http(429, "", retry_after=retry_after())) as server:
        error = backend.failure(face, server.url, reading)

    assert isinstance(error, RateLimited)
    assert (error.retry_after_s, error.attempts, error.status) == (seconds, 1, 429)


@both_faces
@pytest.mark.parametrize(
    ("backend", "body", "said", "code"),
    [(backend, *refusal) for backend in BACKENDS for refusal in backend.refusals],
)
def test_a_refused_credential_is_told_in_the_words_of_the_backend(
    face: Face, backend: Backend, body: dict[str, Any], said: str, code: str | None
) -> None:
    with FaultServer(http(401, json.dumps(body))) as server:
        error = backend.failure(face, server.url, reading)

    assert type(error) is AuthenticationFailed
    assert (error.message, error.code, error.status) == (said, code, 401)
    assert (error.attempts, error.retryable) == (1, False)


def test_the_request_id_in_a_body_of_qoder_is_kept() -> None:
    body = json.dumps(QODER.missing | {"request_id": "req-8"})

    with FaultServer(http(404, body)) as server:
        error = QODER.failure(Face(awaited=False), server.url, reading)

    assert error.request_id == "req-8"


@both_faces
@every_backend
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("follows", [False, True], ids=["own", "injected that follows"])
def test_a_redirect_to_another_host_reaches_nobody(
    face: Face,
    backend: Backend,
    status: int,
    follows: bool,  # noqa: FBT001
    elsewhere: FaultServer,
) -> None:
    injected = {"http_client": face.real_http(follow_redirects=True)} if follows else {}

    with FaultServer(http(status, "", location=f"{elsewhere.url}/sessions/sess_1")) as server:
        error = backend.failure(face, server.url, reading, **injected)

    assert type(error) is UnexpectedRedirect
    assert (error.status, error.attempts, error.retryable) == (status, 1, False)
    assert f"{elsewhere.url}/sessions/sess_1" in error.message
    assert elsewhere.connections == 0


BAD_IDS = ["", ".", "..", "../x", "a/b", "a\\b", "a\r\nX: y", "a b", "\x00", "\ud800"]
ON_A_SESSION: dict[str, Any] = {
    "get": lambda client, session: client.sessions.get(session),
    "update": lambda client, session: client.sessions.update(session, title="x"),
    "delete": lambda client, session: client.sessions.delete(session),
    "cancel": lambda client, session: client.sessions.cancel(session),
}


@both_faces
@every_backend
@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("verb", ["get", "delete"])
def test_a_malformed_session_id_is_not_sent(
    face: Face, backend: Backend, bad: str, verb: str, elsewhere: FaultServer
) -> None:
    error = backend.failure(face, elsewhere.url, lambda client: ON_A_SESSION[verb](client, bad))

    assert type(error) is UsageError
    assert (error.provider, error.attempts) == (backend.name, 0)
    assert error.message.isprintable()
    assert elsewhere.connections == 0


@both_faces
@every_backend
@pytest.mark.parametrize("bad", BAD_IDS)
def test_a_malformed_agent_id_is_not_sent(face: Face, backend: Backend, bad: str, elsewhere: FaultServer) -> None:
    error = backend.failure(face, elsewhere.url, lambda client: client.agents.get(bad))

    assert type(error) is UsageError
    assert elsewhere.connections == 0


@both_faces
@every_backend
@pytest.mark.parametrize(
    ("session_id", "segment"),
    [
        ("sitzung-ü-会", "sitzung-%C3%BC-%E4%BC%9A"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a#b", "a%23b"),
        ("a%2Fb", "a%252Fb"),
        ("%2e%2e", "%252e%252e"),
        ("a&b;c", "a%26b%3Bc"),
        ("...", "..."),
    ],
)
def test_an_odd_session_id_is_sent_as_one_segment(face: Face, backend: Backend, session_id: str, segment: str) -> None:
    with FaultServer(http(404, json.dumps(backend.missing))) as server:
        error = backend.failure(
            face, server.url + "/base", lambda client: client.sessions.delete(backend.session(session_id))
        )

    assert type(error) is NotFound
    assert server.targets == [f"DELETE /base{backend.deletion.format(segment)}"]


def test_an_odd_agent_id_stays_one_parameter() -> None:
    with FaultServer(http(200, '{"sessions": [], "total": 0}')) as server:
        error = AGENTSCOPE.failure(Face(awaited=False), server.url, reading, agent_id="a&b=c#\r\nX: y/ü")

    assert type(error) is NotFound
    assert server.targets == ["GET /sessions/?agent_id=a%26b%3Dc%23%0D%0AX%3A+y%2F%C3%BC"]


@both_faces
@pytest.mark.parametrize(
    ("backend", "name"), [(backend, name) for backend in BACKENDS for name in backend.header_settings]
)
@pytest.mark.parametrize("text", [f"{CANARY}\r\nX-Admin: 1", f"{CANARY}\n", f"{CANARY}\x00", f"{CANARY}ü"])
def test_a_setting_that_could_break_out_of_its_header_makes_no_client(
    face: Face, backend: Backend, name: str, text: str, elsewhere: FaultServer
) -> None:
    value = {"x-gateway": text} if name == "headers" else text

    error = backend.failure(face, elsewhere.url, reading, **{name: value})

    assert type(error) is UsageError
    assert name in error.message
    assert CANARY not in "".join(traceback.format_exception(error))
    assert elsewhere.connections == 0


@pytest.mark.parametrize("name", ["x-a\r\nX-Admin", "x a", "", "x:a", "X-User-ID", "content-length"])
def test_the_name_of_a_further_header_is_checked_too(name: str, elsewhere: FaultServer) -> None:
    error = AGENTSCOPE.failure(Face(awaited=False), elsewhere.url, reading, headers={name: "x"})

    assert type(error) is UsageError
    assert "wrong setting: headers: " in error.message
    assert (error.message.isprintable(), elsewhere.connections) == (True, 0)


@both_faces
@every_backend
@pytest.mark.parametrize("bad", ["\r\nX: y", " ", "/\n", "?x=1", "#x"])
def test_an_address_that_is_none_makes_no_client(
    face: Face, backend: Backend, bad: str, elsewhere: FaultServer
) -> None:
    error = backend.failure(face, elsewhere.url + bad, reading)

    assert type(error) is UsageError
    assert "base_url" in error.message
    assert elsewhere.connections == 0


@both_faces
@every_backend
@pytest.mark.parametrize("verb", ON_A_SESSION.values(), ids=ON_A_SESSION)
def test_a_session_of_another_backend_is_not_sent(
    face: Face, backend: Backend, verb: Any, elsewhere: FaultServer
) -> None:
    stranger = Session(provider="acme", id="sess_1", agent_id="agent_1")

    error = backend.failure(face, elsewhere.url, lambda client: verb(client, stranger))

    assert type(error) is UsageError
    assert "comes from provider 'acme'" in error.message
    assert (error.provider, elsewhere.connections) == (backend.name, 0)
