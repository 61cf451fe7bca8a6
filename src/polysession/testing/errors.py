"""Broken servers: every error says what came and whether the call may have had an effect, without secrets."""

from __future__ import annotations

import gzip
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import httpx
import pytest

from polysession import (
    AuthenticationFailed,
    Client,
    ConnectError,
    ConnectionLost,
    Feature,
    MalformedResponse,
    PolysessionError,
    RateLimited,
    RetryPolicy,
    ServerError,
    Session,
    UnexpectedRedirect,
)
from polysession._drivers.environment import tls_context
from polysession.emulation import Fault
from polysession.testing.backend import Backend
from polysession.testing.base import CANARY, ContractBase
from polysession.testing.faces import Face
from polysession.testing.fault_server import Answer, FaultServer, closed_port, http
from polysession.testing.marks import covers

_TWICE: Final = RetryPolicy(attempts=2, first_wait_s=0.0)
_REQUEST_ID: Final = "req-7"
_LIMIT_S: Final = 5.0


@dataclass(frozen=True)
class BrokenAnswer:
    """The behaviour of a server, and the required outcome.

    Attributes:
        answer: The bytes that the server sends.
        error: The class of the error.
        text: A part of its message.
        status: The HTTP status of the error.
        tried_again: Whether a repeatable call is retried.
        in_doubt: Whether a creation with this answer may have taken effect.
    """

    answer: Answer
    error: type[PolysessionError]
    text: str
    status: int | None = None
    tried_again: bool = False
    in_doubt: bool = True


def _answered(status: int, body: bytes | str, error: type[PolysessionError], text: str, **rest: Any) -> BrokenAnswer:
    headers = rest.pop("headers", {})
    answer = http(status, body, x_request_id=_REQUEST_ID, **headers)
    return BrokenAnswer(answer, error, text, status=status, **rest)


def _lost(data: bytes, *, reset: bool = False) -> BrokenAnswer:
    return BrokenAnswer(Answer(data, reset=reset), ConnectionLost, _INCOMPLETE, tried_again=True)


_PAGE: Final = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Sign in</body></html>"
_UNREADABLE: Final = "the backend reported success, but its response cannot be read: "
_INCOMPLETE: Final = "the response is incomplete or not valid HTTP: "
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n"

BROKEN: Final = {
    "reset before the headers": _lost(b"", reset=True),
    "closed before the headers": _lost(b""),
    "reset in the headers": _lost(_HEAD[:40], reset=True),
    "closed in the headers": _lost(_HEAD[:40]),
    "reset in the body": _lost(_HEAD + b'\r\n{"id":', reset=True),
    "closed in the body": _lost(_HEAD + b'\r\n{"id":'),
    "not HTTP": _lost(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "gzip garbage": _lost(http(200, b"\x1f\x8bgarbage", content_encoding="gzip").data),
    "empty success": _answered(200, "", MalformedResponse, _UNREADABLE + "the body is empty"),
    "page with success": _answered(
        200, _PAGE, MalformedResponse, _UNREADABLE + 'expected JSON, received: an HTML page titled "Welcome"'
    ),
    "truncated JSON": _answered(
        200, '{"id": "sess_1", "ti', MalformedResponse, _UNREADABLE + 'expected JSON, received: {"id": "sess_1", "ti'
    ),
    "truncated gzip": BrokenAnswer(
        http(200, gzip.compress(b"{}")[:11], content_encoding="gzip"),
        ConnectionLost,
        "the data is truncated",
        tried_again=True,
    ),
    "JSON of a list": _answered(201, "[]", MalformedResponse, _UNREADABLE + "expected a JSON object, received a list"),
    "JSON of null": _answered(200, "null", MalformedResponse, _UNREADABLE + "expected a JSON object, received null"),
    "object without what is needed": _answered(200, "{}", MalformedResponse, _UNREADABLE),
    "page with 502": _answered(502, _PAGE, ServerError, 'an HTML page titled "Welcome"', tried_again=True),
    "500 in plain text": _answered(500, "Internal Server Error", ServerError, "Internal Server Error"),
    "503 without a body": _answered(
        503, "", ServerError, "the backend failed without giving a reason", tried_again=True
    ),
    "429 without a time": _answered(429, "", RateLimited, "too many requests", tried_again=True, in_doubt=False),
    "429 without a time that can be read": _answered(
        429, "{}", RateLimited, "{}", headers={"retry_after": "soon"}, tried_again=True, in_doubt=False
    ),
    "401 without a body": _answered(
        401, "", AuthenticationFailed, "the backend does not accept the credential", in_doubt=False
    ),
}

_every_fault = pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)


class ErrorContract(ContractBase):
    """An error has the right class and describes the response; a call is retried only if that is safe."""

    def failure(
        self, face: Face, backend: Backend, url: str, use: Callable[[Client], object], **options: Any
    ) -> PolysessionError:
        """Return the error of a call to an address without a backend."""
        settings = {**backend.settings, **self.canaries(), "base_url": url}
        with (
            pytest.raises(PolysessionError) as caught,
            self.open(face, settings, **{"retry": _TWICE, "timeout": _LIMIT_S, **options}) as client,
        ):
            use(client)
        error = caught.value
        assert error.provider == self.provider
        assert CANARY not in "".join(traceback.format_exception(error))
        assert error.message.isprintable()
        return error

    def reading(self, client: Client) -> object:
        """Read it."""
        return client.sessions.get(self.some_session())

    def creating(self, backend: Backend) -> Callable[[Client], object]:
        """Create one."""
        return lambda client: self.new_session(client, backend)

    @covers(Feature.SESSIONS_GET)
    @_every_fault
    def test_a_read_from_a_broken_server_names_what_came(
        self, face: Face, backend: Backend, broken: BrokenAnswer
    ) -> None:
        with FaultServer(broken.answer) as server:
            error = self.failure(face, backend, server.url, self.reading)

        self.check(error, broken, Feature.SESSIONS_GET)
        assert error.attempts == (2 if broken.tried_again else 1) == len(server.requests)
        assert not error.outcome_unknown

    @covers(Feature.SESSIONS_CREATE)
    @_every_fault
    def test_a_creation_at_a_broken_server_states_whether_it_may_be_done(
        self, face: Face, backend: Backend, broken: BrokenAnswer
    ) -> None:
        with FaultServer(broken.answer, reads_from=backend.settings["base_url"]) as server:
            error = self.failure(face, backend, server.url, self.creating(backend))

        self.check(error, broken, Feature.SESSIONS_CREATE)
        assert error.attempts == len(server.requests)
        assert error.outcome_unknown is broken.in_doubt
        assert ("may have executed the request" in str(error)) is broken.in_doubt

    @covers(Feature.SESSIONS_CREATE)
    def test_a_creation_is_tried_again_only_with_a_key(self, face: Face, backend: Backend) -> None:
        with FaultServer(http(503), reads_from=backend.settings["base_url"]) as server:
            errors = [self.failure(face, backend, server.url, self.creating(backend)) for _ in range(2)]

        if not self.supports(Feature.SESSIONS_CREATE_IDEMPOTENCY_KEY):
            assert [error.attempts for error in errors] == [1, 1], "a creation without a key was repeated"
            return
        assert [error.attempts for error in errors] == [2, 2]
        once, again, another, _ = server.requests
        assert once == again, "a repeated creation carries another key"
        assert once != another, "two creations carry the same key"

    def check(self, error: PolysessionError, broken: BrokenAnswer, operation: Feature) -> None:
        """Compare an error with the expected one."""
        assert type(error) is broken.error
        assert broken.text in error.message
        assert error.operation == operation
        assert (error.status, error.request_id) == (broken.status, _REQUEST_ID if broken.status else None)
        assert error.retryable is issubclass(broken.error, ConnectionLost | ServerError | RateLimited)

    @covers(Feature.SESSIONS_GET)
    def test_a_server_that_is_down_has_done_nothing(self, face: Face, backend: Backend) -> None:
        error = self.failure(face, backend, closed_port(), self.reading)

        assert type(error) is ConnectError
        assert error.message.startswith("cannot connect to ")
        assert (error.operation, error.status, error.attempts) == (Feature.SESSIONS_GET, None, 2)
        assert (error.retryable, error.outcome_unknown) == (True, False)

    @covers(Feature.SESSIONS_CREATE)
    def test_a_creation_at_a_server_that_is_down_is_not_in_doubt(self, face: Face, backend: Backend) -> None:
        error = self.failure(face, backend, closed_port(), self.creating(backend))

        assert type(error) is ConnectError
        assert (error.operation, error.outcome_unknown) == (Feature.SESSIONS_CREATE, False)

    @covers(Feature.SESSIONS_GET)
    @pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
    def test_a_long_wait_that_the_backend_asks_for_is_reported_and_not_started(
        self, face: Face, backend: Backend, *, as_date: bool
    ) -> None:
        in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        with FaultServer(http(429, "", retry_after=in_an_hour if as_date else "3600")) as server:
            error = self.failure(face, backend, server.url, self.reading)

        assert isinstance(error, RateLimited)
        assert error.retry_after_s == pytest.approx(3600, abs=10)
        assert (error.attempts, error.status) == (1, 429)

    @covers(Feature.SESSIONS_GET)
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("follows", [False, True], ids=["own", "injected that follows"])
    def test_a_redirect_to_another_host_reaches_nobody(
        self, face: Face, backend: Backend, status: int, nowhere: FaultServer, *, follows: bool
    ) -> None:
        options: dict[str, Any] = {"trust_env": False, "verify": tls_context(), "follow_redirects": True}
        injected = {
            "http_client": lambda: httpx.Client(**options),
            "async_http_client": lambda: httpx.AsyncClient(**options),
        }
        with FaultServer(http(status, "", location=f"{nowhere.url}/sessions/sess_1")) as server:
            error = self.failure(face, backend, server.url, self.reading, **injected if follows else {})

        assert type(error) is UnexpectedRedirect
        assert (error.status, error.attempts, error.retryable) == (status, 1, False)
        assert f"{nowhere.url}/sessions/sess_1" in error.message
        assert nowhere.connections == 0

    @covers(Feature.SESSIONS_GET)
    def test_a_tired_backend_is_asked_again(self, client: Client, backend: Backend, session: Session) -> None:
        backend.faults.add(Fault("status", method="GET", status=503))

        assert client.sessions.get(session).id == session.id
        assert backend.faults.waiting() == []
