from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import certifi
import httpx
import pytest

from polysession._core.flow import Call, Flow, Reply
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession._core.stream import StreamPlan
from polysession._drivers import async_driver, sync_driver, transport
from polysession._drivers.async_stream import AsyncEventStream
from polysession._drivers.sync_stream import EventStream
from polysession.async_client import AsyncClient
from polysession.change import UNSET
from polysession.client import Client
from polysession.errors import (
    BackendFault,
    ConnectFailed,
    ConnectionLost,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PolysessionError,
    RateLimited,
    TimedOut,
    UnexpectedRedirect,
    UsageError,
)
from polysession.event import Event
from support.acme import TOKEN, AcmeProvider
from support.faces import ASYNC, Face, Use, both_faces
from support.twins import outline

pytestmark = pytest.mark.usefixtures("acme_installed")

Answer = httpx.Response | Exception
SESSION = {"id": "s1", "title": "Ticket", "tags": ["a"]}
QUICK = RetryPolicy(first_wait_s=0.0)
READING = pytest.param(lambda client: client.sessions.get("s1"), id="read")
KEYED = pytest.param(lambda client: client.sessions.create(), id="write with a key")
DELETING = pytest.param(lambda client: client.sessions.delete("s1"), id="delete")
CHANGES = [
    pytest.param(lambda client: client.sessions.update("s1", title="x"), id="update"),
    pytest.param(lambda client: client.sessions.cancel("s1"), id="cancel"),
    pytest.param(lambda client: client.agents.create(name="a"), id="create agent"),
]


class Script:
    """A backend that answers with what was prepared, in that order, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def keys(self) -> list[str]:
        return [request.headers["acme-key"] for request in self.requests]

    def call(self, face: Face, use: Use, **options: Any) -> Any:
        options = {"http_client": face.http(self), "retry": QUICK, "token": TOKEN} | options
        try:
            return face.call("acme", use, **options)
        finally:
            assert not self._answers, "not every answer was asked for"

    def failure(self, face: Face, use: Use, **options: Any) -> PolysessionError:
        with pytest.raises(PolysessionError) as caught:
            self.call(face, use, **options)
        return caught.value


def ok(body: Any = SESSION, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def status(code: int, text: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(code, text=text, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records every wait in place of waiting."""
    taken: list[float] = []

    async def nap(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(asyncio, "sleep", nap)
    return taken


def test_the_drivers_are_twins() -> None:
    words = {"AsyncDriver": "SyncDriver", "AsyncClient": "Client", "AsyncRetrying": "Retrying", "asyncio": "time"}
    methods = {"aclose": "close", "aiter_raw": "iter_raw", "new_async_http_client": "new_http_client"}

    assert outline(async_driver, words | methods, skip="") == outline(sync_driver, {}, skip="")


@both_faces
def test_a_request_goes_to_the_base_url_with_our_headers(face: Face) -> None:
    script = Script(ok())

    script.call(face, lambda client: client.sessions.get("s1"), base_url="http://127.0.0.1:9/v1/", region="eu")

    request = script.requests[0]
    assert (request.method, str(request.url)) == ("GET", "http://127.0.0.1:9/v1/sessions/s1")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["acme-region"] == "eu"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("polysession/")
    assert "content-type" not in request.headers


@both_faces
def test_a_body_is_sent_as_json(face: Face) -> None:
    script = Script(ok())

    script.call(face, lambda client: client.sessions.create(title="ü"))

    assert script.requests[0].headers["content-type"] == "application/json"
    assert script.requests[0].content == b'{"title":"\xc3\xbc"}'


@both_faces
@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, {"connect": 7.0, "read": 7.0, "write": 7.0, "pool": 7.0}),
        ({"timeout": UNSET}, {"connect": 7.0, "read": 7.0, "write": 7.0, "pool": 7.0}),
        ({"timeout": 60}, {"connect": 5.0, "read": 60, "write": 60, "pool": 60}),
        ({"timeout": 0.5}, {"connect": 0.5, "read": 0.5, "write": 0.5, "pool": 0.5}),
        ({"timeout": None}, {"connect": None, "read": None, "write": None, "pool": None}),
    ],
)
def test_time_limits_are_ours_if_given_and_else_those_of_the_http_client(
    face: Face, options: dict[str, Any], limits: dict[str, float | None]
) -> None:
    script = Script(ok())

    script.call(face, lambda client: client.sessions.get("s1"), http_client=face.http(script, timeout=7), **options)

    assert script.requests[0].extensions["timeout"] == limits


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "30"])
def test_an_impossible_time_limit_is_refused(client_class: Any, timeout: Any) -> None:
    with pytest.raises(UsageError, match=f"timeout is {timeout!r}; it must be a number of seconds above zero"):
        client_class("acme", token=TOKEN, timeout=timeout)


@both_faces
def test_an_http_client_of_our_own_has_limits_and_follows_no_redirects(face: Face) -> None:
    http = face.call("acme", lambda client: client, token=TOKEN)._driver._http

    assert http.timeout == httpx.Timeout(30.0, connect=5.0)
    assert not http.follow_redirects


def test_the_process_has_one_tls_context_for_each_choice_of_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    usual = transport.tls_context()
    assert transport.tls_context() is usual

    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    assert transport.tls_context() is not usual


def test_a_direct_http_client_heeds_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    with transport.direct_http_client() as http:
        assert http._mounts == {}


@both_faces
@pytest.mark.parametrize("use", [READING, KEYED])
@pytest.mark.parametrize(
    "trouble",
    [
        *(status(code) for code in (408, 429, 502, 503, 504)),
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("slow"),
    ],
    ids=repr,
)
def test_a_passing_trouble_is_tried_again(face: Face, use: Use, trouble: Answer) -> None:
    script = Script(trouble, trouble, ok())

    assert script.call(face, use).id == "s1"
    assert len(script.requests) == 3


@both_faces
@pytest.mark.parametrize("use", CHANGES)
@pytest.mark.parametrize("trouble", [status(503), status(429), httpx.ConnectError("refused")], ids=repr)
def test_a_change_without_a_key_is_never_repeated(face: Face, use: Use, trouble: Answer) -> None:
    assert Script(trouble).failure(face, use).attempts == 1


@both_faces
@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422, 500, 501])
def test_a_refusal_is_not_repeated(face: Face, code: int) -> None:
    assert Script(status(code)).failure(face, lambda client: client.sessions.get("s1")).attempts == 1


@both_faces
@pytest.mark.parametrize("retry", [None, RetryPolicy(attempts=1)])
def test_retries_can_be_turned_off(face: Face, retry: RetryPolicy | None) -> None:
    assert Script(status(503)).failure(face, lambda client: client.sessions.get("s1"), retry=retry).attempts == 1


@both_faces
def test_all_attempts_of_a_call_carry_one_key_and_each_call_its_own(face: Face) -> None:
    first, second = Script(status(503), httpx.ReadError("reset"), ok()), Script(ok())

    first.call(face, lambda client: client.sessions.create())
    second.call(face, lambda client: client.sessions.create())

    assert len(first.keys()) == 3
    assert len(set(first.keys())) == 1
    assert set(first.keys()).isdisjoint(second.keys())


@both_faces
def test_a_repeated_request_is_the_same_to_the_byte(face: Face) -> None:
    script = Script(status(503), ok())

    script.call(face, lambda client: client.sessions.create(title="x"))

    first, again = script.requests
    assert (first.url, first.headers, first.content) == (again.url, again.headers, again.content)


@both_faces
def test_when_attempts_run_out_the_last_failure_counts_and_keeps_its_cause(face: Face) -> None:
    last = httpx.ReadTimeout("slow")

    error = Script(status(503), httpx.ConnectError("x"), httpx.ReadError("y"), last).failure(
        face, lambda client: client.sessions.get("s1")
    )

    assert (type(error), error.attempts, error.__cause__) == (TimedOut, 4, last)
    assert (error.provider, error.operation, error.retryable) == ("acme", "sessions.get", True)


@both_faces
@pytest.mark.parametrize("later", [lambda: "5", lambda: formatdate(time.time() + 5, usegmt=True)])
def test_the_backend_says_when_to_try_again(face: Face, later: Callable[[], str], naps: list[float]) -> None:
    Script(status(429, retry_after=later()), ok()).call(face, lambda client: client.sessions.get("s1"))

    assert naps == [pytest.approx(5, abs=1.5)]


@both_faces
def test_what_the_backend_asks_for_beyond_the_deadline_is_told_at_once(face: Face, naps: list[float]) -> None:
    error = Script(status(429, "Slow down.", retry_after="3600")).failure(
        face, lambda client: client.sessions.get("s1"), retry=RetryPolicy(deadline_s=60)
    )

    assert isinstance(error, RateLimited)
    assert (error.retry_after_s, error.attempts, naps) == (3600, 1, [])


@both_faces
def test_a_wait_is_drawn_anew_and_ends_with_the_attempts(face: Face, naps: list[float]) -> None:
    Script(*[status(503)] * 4).failure(face, lambda client: client.sessions.get("s1"), retry=RetryPolicy())

    assert len(naps) == 3
    assert all(0 <= nap <= bound for nap, bound in zip(naps, (0.5, 1, 2), strict=True))


@both_faces
@pytest.mark.parametrize("use", [KEYED, DELETING, *CHANGES])
def test_a_lost_answer_to_a_change_leaves_the_outcome_unknown(face: Face, use: Use) -> None:
    error = Script(httpx.ReadError("reset")).failure(face, use, retry=None)

    assert isinstance(error, ConnectionLost)
    assert error.outcome_unknown
    assert "may have carried the request out" in str(error)


@both_faces
def test_a_refused_connection_after_a_lost_answer_still_leaves_it_unknown(face: Face) -> None:
    error = Script(httpx.ReadError("reset"), httpx.ConnectError("refused")).failure(
        face, lambda client: client.sessions.create(), retry=RetryPolicy(attempts=2, first_wait_s=0)
    )

    assert isinstance(error, ConnectFailed)
    assert error.outcome_unknown


@both_faces
def test_a_deletion_whose_answer_was_lost_is_done_when_the_session_is_gone(face: Face) -> None:
    assert Script(httpx.ReadError("reset"), status(404)).call(face, lambda client: client.sessions.delete("s1")) is None


@both_faces
def test_a_deletion_that_was_only_put_off_must_find_its_session(face: Face) -> None:
    error = Script(status(429), status(404)).failure(face, lambda client: client.sessions.delete("s1"))

    assert (type(error), error.attempts) == (NotFound, 2)


@both_faces
def test_an_unreadable_success_counts_its_attempts(face: Face) -> None:
    error = Script(status(503), status(200, "<html>")).failure(face, lambda client: client.sessions.get("s1"))

    assert (type(error), error.attempts, error.outcome_unknown) == (MalformedResponse, 2, False)


@both_faces
def test_a_session_that_was_made_and_cannot_be_read_is_not_made_again(face: Face) -> None:
    error = Script(ok([], 201)).failure(face, lambda client: client.sessions.create())

    assert (type(error), error.attempts) == (MalformedResponse, 1)
    assert "may have carried the request out" in str(error)


@both_faces
def test_a_redirect_is_not_followed_even_by_an_http_client_that_would(face: Face) -> None:
    script = Script(status(307, location="https://evil.example/"))

    error = script.failure(
        face, lambda client: client.sessions.get("s1"), http_client=face.http(script, follow_redirects=True)
    )

    assert isinstance(error, UnexpectedRedirect)
    assert (error.status, len(script.requests)) == (307, 1)


@both_faces
def test_a_flow_may_answer_an_error_with_another_call_and_wait_before_it(face: Face, naps: list[float]) -> None:
    script = Script(status(409), ok())

    session = script.call(face, lambda client: client.sessions.update("s1", title="x"))

    assert session.id == "s1"
    assert [request.method for request in script.requests] == ["PATCH", "PATCH"]
    assert naps == [0.25]


@both_faces
def test_a_flow_of_several_calls_ends_in_the_error_of_the_one_that_failed(face: Face) -> None:
    error = Script(ok(), status(400)).failure(face, lambda client: client.sessions.update("s1", add_tags=["b"]))

    assert isinstance(error, InvalidRequest)
    assert (error.attempts, error.operation) == (1, "sessions.update")


@both_faces
def test_a_flow_of_several_calls_passes_the_first_answer_to_the_second(face: Face) -> None:
    script = Script(ok(), ok())

    script.call(face, lambda client: client.sessions.update("s1", add_tags=["b"]))

    assert json.loads(script.requests[1].content) == {"tags": ["a", "b"]}


@both_faces
def test_an_address_that_is_too_long_is_not_sent(face: Face) -> None:
    error = Script().failure(face, lambda client: client.sessions.get("s" * 70_000))

    assert (type(error), error.operation) == (UsageError, "sessions.get")


class ForeignError(Exception):
    """Nothing of ours, and nothing of the HTTP library."""


@both_faces
@pytest.mark.parametrize("error", [ForeignError("x"), KeyError("x")], ids=repr)
def test_an_error_of_somebody_else_is_let_through(face: Face, error: Exception) -> None:
    with pytest.raises(type(error)):
        Script(error).call(face, lambda client: client.sessions.get("s1"))


def test_an_http_client_that_runs_dry_is_not_taken_for_the_end_of_a_flow() -> None:
    answers: Iterator[httpx.Response] = iter(())
    http = httpx.Client(transport=httpx.MockTransport(lambda _: next(answers)))

    with Client("acme", http_client=http, token=TOKEN) as acme, pytest.raises(StopIteration):
        acme.sessions.get("s1")


class Watched(AcmeProvider):
    """Tells whether its flow was closed."""

    closed: bool = False

    def watched(self, call: Call) -> Flow[Reply]:
        try:
            return (yield call)
        finally:
            self.closed = True


@pytest.mark.parametrize("failure", [ForeignError("x"), KeyboardInterrupt()], ids=repr)
def test_a_flow_is_closed_whatever_happens(failure: BaseException) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise failure

    http = httpx.Client(transport=httpx.MockTransport(broken))
    with Client("acme", http_client=http, token=TOKEN) as acme:
        provider = Watched(acme._provider.settings)
        with pytest.raises(type(failure)):
            acme._driver.run("sessions.get", provider.watched(Call("GET", "/")))

    assert provider.closed


def test_a_cancelled_task_closes_its_flow_and_is_not_tried_again() -> None:
    requests = []

    async def cancelled() -> bool:
        begun = asyncio.Event()

        async def stalled(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            begun.set()
            return await asyncio.Future()

        http = httpx.AsyncClient(transport=httpx.MockTransport(stalled))
        async with AsyncClient("acme", http_client=http, token=TOKEN) as acme:
            provider = Watched(acme._provider.settings)
            task = asyncio.create_task(acme._driver.run("sessions.get", provider.watched(Call("GET", "/"))))
            await asyncio.wait_for(begun.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return provider.closed

    assert asyncio.run(cancelled())
    assert len(requests) == 1


class LookAlike:
    """Has the methods of an HTTP client and is of no known class."""

    def __init__(self, http: Any) -> None:
        self.build_request = http.build_request
        self.send = http.send


@both_faces
def test_any_http_client_with_the_same_methods_will_do(face: Face) -> None:
    script = Script(status(503), ok())

    session = script.call(face, lambda client: client.sessions.get("s1"), http_client=LookAlike(face.http(script)))

    assert session.id == "s1"


SUCCESS = """
import asyncio, sys
sys.path[:0] = {path!r}
import httpx
from polysession._core.retry import RetryPolicy
from polysession._drivers.{face}_driver import {cls}
from polysession.observing import Observers
from support.acme import acme
answer = httpx.MockTransport(lambda request: httpx.Response(200, json={{"id": "s1"}}))
http = httpx.{http}(transport=answer)
driver = {cls}(acme(), http_client=http, timeout=1.0, retry=RetryPolicy(), observers=Observers())
ran = driver.run("sessions.get", acme().get_session(__import__("polysession").provider_api.SessionRef("s1")))
session = asyncio.run(ran) if {awaited} else ran
assert session.id == "s1"
assert "tenacity" not in sys.modules
"""


@both_faces
def test_a_call_that_succeeds_never_loads_the_retry_library(face: Face) -> None:
    names = ("async", "AsyncDriver", "AsyncClient") if face is ASYNC else ("sync", "SyncDriver", "Client")
    program = SUCCESS.format(path=sys.path, face=names[0], cls=names[1], http=names[2], awaited=face.awaited)

    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  (our own interpreter)


LEAKS: dict[str, Callable[[], Answer]] = {
    "in a refusal": lambda: httpx.Response(401, json={"message": f"bad {TOKEN}", "code": TOKEN, "request_id": TOKEN}),
    "in a header": lambda: status(500, "", x_request_id=TOKEN),
    "in plain text": lambda: status(500, f"{'x' * 490}{TOKEN}"),
    "in a page": lambda: status(502, f"<html><title>{TOKEN}</title>"),
    "in a redirect": lambda: status(302, "", location=f"https://evil.example/{TOKEN}"),
    "in text with success": lambda: status(200, f"hello {TOKEN}", x_request_id=TOKEN),
    "cut off in text with success": lambda: status(200, f"{'x' * 70}{TOKEN}"),
    "as a key": lambda: ok({"id": "s1", "tags": {TOKEN: 1}}),
    "as a value": lambda: ok({"id": {"token": TOKEN}}),
    "in a broken answer": lambda: httpx.RemoteProtocolError(f"illegal header line: bytearray(b'{TOKEN}')"),
    "in a failed connection": lambda: httpx.ConnectError(f"cannot reach http://{TOKEN}@proxy"),
}


@both_faces
@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_secret_that_the_backend_repeats_is_shown_nowhere(
    face: Face, leak: Callable[[], Answer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        error = Script(leak()).failure(face, lambda client: client.sessions.get("s1"), retry=None)

    shown = [*traceback.format_exception(error), repr(error), str(vars(error)), *getattr(error, "__notes__", [])]
    chain: BaseException | None = error
    while chain is not None:
        shown += [repr(chain), str(chain)]
        chain = chain.__cause__ or chain.__context__
    shown += [str(warning.message) for warning in warned] + caplog.messages
    assert TOKEN[:8] not in "".join(shown)


@both_faces
def test_a_client_shows_no_secret(face: Face) -> None:
    shown = face.call("acme", lambda client: f"{client!r} {client} {client._provider.settings!r}", token=TOKEN)

    assert TOKEN not in shown


@both_faces
def test_a_server_fault_of_a_change_warns_before_it_is_repeated(face: Face) -> None:
    error = Script(status(500, "Internal Server Error")).failure(
        face, lambda client: client.sessions.update("s1", title="x")
    )

    assert isinstance(error, BackendFault)
    assert str(error) == (
        "acme sessions.update: Internal Server Error. The backend may have carried the request out all the same:"
        " read before you repeat it (HTTP 500)"
    )


class Following(StreamPlan):
    """Follows everything, and reads nothing."""

    cursor = None

    def open(self) -> Call:
        return Call("GET", "/stream")

    def read(self, frame: Frame) -> tuple[Event, ...]:
        raise AssertionError(frame)


def following() -> Flow[StreamPlan]:
    yield from ()
    return Following()


def open_stream(client: Any) -> Any:
    """Open a stream with a client of either face."""
    if isinstance(client, AsyncClient):
        return AsyncEventStream(client._driver, "sessions.stream", following()).__aenter__()
    return EventStream(client._driver, "sessions.stream", following()).__enter__()


@both_faces
@pytest.mark.parametrize(
    ("answer", "error_class", "code"),
    [
        (httpx.ReadError("reset"), ConnectionLost, None),
        (httpx.ConnectError("refused"), ConnectFailed, None),
        (status(404, x_request_id="req-1"), NotFound, 404),
        (httpx.Response(200, json={}, headers={"x-request-id": "req-1"}), MalformedResponse, 200),
    ],
    ids=repr,
)
def test_a_stream_that_cannot_be_opened_says_whose_it_is_and_why(
    face: Face, answer: Answer, error_class: type[PolysessionError], code: int | None
) -> None:
    error = Script(answer).failure(face, open_stream, retry=RetryPolicy(attempts=1))

    assert type(error) is error_class
    assert (error.provider, error.operation, error.attempts) == ("acme", "sessions.stream", 1)
    assert (error.status, error.request_id) == (code, "req-1" if code else None)
    assert not error.outcome_unknown
