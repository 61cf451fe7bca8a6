from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest

from polysession._core.flow import Call, Flow, Response
from polysession._core.plans import ConnectedStream, StreamPlan
from polysession._core.retry import RetryPolicy
from polysession._core.sse import Frame
from polysession._drivers import async_driver, environment, sync_driver, transport
from polysession._drivers.async_stream import AsyncEventStream
from polysession._drivers.sync_stream import EventStream
from polysession.async_client import AsyncClient
from polysession.change import UNSET
from polysession.client import Client
from polysession.errors import (
    ConnectError,
    ConnectionLost,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    PolysessionError,
    UsageError,
)
from polysession.event import Event
from support.acme import TOKEN, AcmeProvider
from support.async_parity import outline
from support.client_runners import ClientRunner, both_runners
from support.scripted import Answer, Script, ok, status

pytestmark = pytest.mark.usefixtures("acme_installed")


def test_the_drivers_are_twins() -> None:
    words = {"AsyncDriver": "SyncDriver", "AsyncClient": "Client", "AsyncRetrying": "Retrying", "asyncio": "time"}
    methods = {"aclose": "close", "aiter_raw": "iter_raw"}
    methods |= {"AsyncClientHolder": "ClientHolder", "AsyncHttpClient": "HttpClient", "AsyncRefreshLock": "RefreshLock"}
    methods |= {"AsyncOpenTurns": "BlockingOpenTurns"}

    assert outline(async_driver, words | methods, skip="") == outline(sync_driver, {}, skip="")


@both_runners
def test_a_request_goes_to_the_base_url_with_our_headers(runner: ClientRunner) -> None:
    script = Script(ok())

    script.call(runner, lambda client: client.sessions.get("s1"), base_url="http://127.0.0.1:9/v1/", region="eu")

    request = script.requests[0]
    assert (request.method, str(request.url)) == ("GET", "http://127.0.0.1:9/v1/sessions/s1")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["acme-region"] == "eu"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("polysession/")
    assert "content-type" not in request.headers


@both_runners
def test_a_body_is_sent_as_json(runner: ClientRunner) -> None:
    script = Script(ok())

    script.call(runner, lambda client: client.sessions.create(title="ü"))

    assert script.requests[0].headers["content-type"] == "application/json"
    assert script.requests[0].content == b'{"title":"\xc3\xbc"}'


@both_runners
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
    runner: ClientRunner, options: dict[str, Any], limits: dict[str, float | None]
) -> None:
    script = Script(ok())

    script.call(runner, lambda client: client.sessions.get("s1"), http_client=runner.http(script, timeout=7), **options)

    assert script.requests[0].extensions["timeout"] == limits


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "30"])
def test_an_impossible_time_limit_is_refused(client_class: Any, timeout: Any) -> None:
    with pytest.raises(UsageError, match=f"timeout must be a number of seconds above zero.*not {timeout!r}"):
        client_class("acme", token=TOKEN, timeout=timeout)


@both_runners
def test_an_http_client_of_our_own_has_limits_and_follows_no_redirects(runner: ClientRunner) -> None:
    http = runner.call("acme", lambda client: client, token=TOKEN)._driver._holder._http

    assert http.timeout == httpx.Timeout(30.0, connect=5.0)
    assert not http.follow_redirects


def test_the_process_has_one_tls_context_for_each_choice_of_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    usual = environment.tls_context()
    assert environment.tls_context() is usual

    chosen = shutil.copy(certifi.where(), tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(chosen))
    assert environment.tls_context() is not usual


def test_a_direct_http_client_heeds_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    with transport.direct_http_client() as http:
        assert http._mounts == {}


@both_runners
def test_a_flow_of_several_calls_ends_in_the_error_of_the_one_that_failed(runner: ClientRunner) -> None:
    error = Script(ok(), status(400)).failure(runner, lambda client: client.sessions.update("s1", add_tags=["b"]))

    assert isinstance(error, InvalidRequest)
    assert (error.attempts, error.operation) == (1, "sessions.update")


@both_runners
def test_a_flow_of_several_calls_passes_the_first_answer_to_the_second(runner: ClientRunner) -> None:
    script = Script(ok(), ok())

    script.call(runner, lambda client: client.sessions.update("s1", add_tags=["b"]))

    assert json.loads(script.requests[1].content) == {"tags": ["a", "b"]}


@both_runners
def test_an_address_that_is_too_long_is_not_sent(runner: ClientRunner) -> None:
    error = Script().failure(runner, lambda client: client.sessions.get("s" * 70_000))

    assert (type(error), error.operation) == (UsageError, "sessions.get")


class ForeignError(Exception):
    """Nothing of ours, and nothing of the HTTP library."""


@both_runners
@pytest.mark.parametrize("error", [ForeignError("x"), KeyError("x")], ids=repr)
def test_an_error_of_somebody_else_is_let_through(runner: ClientRunner, error: Exception) -> None:
    with pytest.raises(type(error)):
        Script(error).call(runner, lambda client: client.sessions.get("s1"))


def test_an_http_client_that_runs_dry_is_not_taken_for_the_end_of_a_flow() -> None:
    answers: Iterator[httpx.Response] = iter(())
    http = httpx.Client(transport=httpx.MockTransport(lambda _: next(answers)))

    with Client("acme", http_client=http, token=TOKEN) as acme, pytest.raises(StopIteration):
        acme.sessions.get("s1")


class Watched(AcmeProvider):
    """Notes whether its flow was closed."""

    closed: bool = False

    def watched(self, call: Call) -> Flow[Response]:
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


@both_runners
def test_any_http_client_with_the_same_methods_will_do(runner: ClientRunner) -> None:
    script = Script(status(503), ok())

    session = script.call(runner, lambda client: client.sessions.get("s1"), http_client=LookAlike(runner.http(script)))

    assert session.id == "s1"


class Following(ConnectedStream):
    """Follows everything, and reads nothing."""

    def open(self) -> Call:
        return Call("GET", "/stream")

    def read(self, frame: Frame) -> tuple[Event, ...]:
        raise AssertionError(frame)


def following() -> Flow[StreamPlan]:
    yield from ()
    return Following()


def open_stream(client: Any) -> Any:
    """Open a stream with a client of either runner."""
    if isinstance(client, AsyncClient):
        return AsyncEventStream(client._driver, "sessions.stream", following()).__aenter__()
    return EventStream(client._driver, "sessions.stream", following()).__enter__()


@both_runners
@pytest.mark.parametrize(
    ("answer", "error_class", "code"),
    [
        (httpx.ReadError("reset"), ConnectionLost, None),
        (httpx.ConnectError("refused"), ConnectError, None),
        (status(404, x_request_id="req-1"), NotFound, 404),
        (httpx.Response(200, json={}, headers={"x-request-id": "req-1"}), MalformedResponse, 200),
    ],
    ids=repr,
)
def test_a_stream_that_cannot_be_opened_says_whose_it_is_and_why(
    runner: ClientRunner, answer: Answer, error_class: type[PolysessionError], code: int | None
) -> None:
    error = Script(answer).failure(runner, open_stream, retry=RetryPolicy(attempts=1))

    assert type(error) is error_class
    assert (error.provider, error.operation, error.attempts) == ("acme", "sessions.stream", 1)
    assert (error.status, error.request_id) == (code, "req-1" if code else None)
    assert not error.outcome_unknown
