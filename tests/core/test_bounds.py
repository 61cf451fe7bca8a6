"""A server cannot fill our memory, nor hold us for ever."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from typing import Any

import pytest

from polysession._core.retry import RetryPolicy
from polysession._drivers import transport
from polysession.errors import MalformedResponse, NetworkTimeout, PolysessionError, ServerError, UnexpectedRedirect
from polysession.testing.fault_server import Answer, FaultServer, http
from support.acme import TOKEN
from support.client_runners import ClientRunner, Use, both_runners

pytestmark = pytest.mark.usefixtures("acme_installed")

SESSION = {"id": "s1", "title": "x" * 900}
BODY = json.dumps(SESSION).encode()
BOMB_BYTES = 100_000_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def reading(client: Any) -> Any:
    return client.sessions.get("s1")


def call(runner: ClientRunner, answer: Answer, use: Use = reading, **options: Any) -> Any:
    with FaultServer(answer) as server:
        return runner.call("acme", use, **{"base_url": server.url, "token": TOKEN, "retry": None} | options)


def failure(runner: ClientRunner, answer: Answer, use: Use = reading, **options: Any) -> PolysessionError:
    with pytest.raises(PolysessionError) as caught:
        call(runner, answer, use, **options)
    assert (caught.value.provider, caught.value.attempts) == ("acme", 1)
    return caught.value


def chunked(body: bytes) -> Answer:
    return Answer(HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))


SENT = {
    "with its length": http(200, BODY),
    "in chunks": chunked(BODY),
    "until the connection closes": Answer(HEAD + b"\r\n" + BODY),
    "compressed": http(200, gzip.compress(BODY), content_encoding="gzip"),
}


@both_runners
@pytest.mark.parametrize("answer", SENT.values(), ids=SENT)
def test_a_body_may_be_as_large_as_the_bound_and_no_larger(runner: ClientRunner, answer: Answer) -> None:
    assert call(runner, answer, max_body_bytes=len(BODY)).id == "s1"

    error = failure(runner, answer, max_body_bytes=len(BODY) - 1)

    assert type(error) is MalformedResponse
    assert error.message == (
        f"the response is larger than {len(BODY) - 1} bytes; use a smaller page_size, or raise max_body_bytes"
    )
    assert (error.status, error.retryable, error.outcome_unknown) == (200, False, False)


@both_runners
def test_a_change_whose_answer_is_too_large_may_have_been_made(runner: ClientRunner) -> None:
    error = failure(runner, http(200, BODY), lambda client: client.sessions.update("s1", title="x"), max_body_bytes=10)

    assert error.outcome_unknown


@both_runners
def test_a_bomb_is_defused_before_it_fills_the_memory(runner: ClientRunner) -> None:
    bomb = http(200, gzip.compress(bytes(BOMB_BYTES), compresslevel=1), content_encoding="gzip")
    failure(runner, http(200, BODY), max_body_bytes=10)  # what is loaded at first use is not the bomb's

    tracemalloc.start()
    try:
        error = failure(runner, bomb, max_body_bytes=2_000_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert type(error) is MalformedResponse
    assert peak_bytes < 8_000_000


@both_runners
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip"])
def test_a_compression_that_was_not_asked_for_is_refused(runner: ClientRunner, encoding: str) -> None:
    error = failure(runner, http(200, BODY, content_encoding=encoding))

    assert type(error) is MalformedResponse
    assert f"has the content encoding {encoding!r}" in error.message


@both_runners
@pytest.mark.parametrize(("status", "error_class"), [(500, ServerError), (302, UnexpectedRedirect)])
def test_of_an_endless_error_enough_is_read_to_tell_it(
    runner: ClientRunner, status: int, error_class: type[PolysessionError]
) -> None:
    head = f"HTTP/1.1 {status} No\r\nx-request-id: req-1\r\n\r\n".encode()

    error = failure(runner, Answer(head + b"no " * 500_000, hold_s=5))

    assert type(error) is error_class
    assert (error.status, error.request_id) == (status, "req-1")
    assert len(error.message) < 1000


@both_runners
def test_a_body_in_drops_is_not_waited_for_without_end(runner: ClientRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BODY_WAITS", 0.2)  # the wait for one drop can be long on a busy machine
    head = HEAD + b"content-length: 1000000\r\n\r\n"
    drops = Answer(head + b" " * 100_000, piece_bytes=len(head), pause_s=0.02)
    started_s = time.monotonic()

    error = failure(runner, drops, timeout=5)

    assert type(error) is NetworkTimeout
    assert "no complete response in time" in error.message
    assert time.monotonic() - started_s > 1.0


@both_runners
def test_a_head_without_end_is_refused(runner: ClientRunner) -> None:
    error = failure(runner, Answer(HEAD + b"x: y\r\n" * 100_000), timeout=5)

    assert "the response is incomplete or not valid HTTP" in error.message


@both_runners
def test_a_retried_call_that_meets_a_large_answer_stops_there(runner: ClientRunner) -> None:
    with FaultServer(http(503), http(200, BODY)) as server, pytest.raises(MalformedResponse) as caught:
        runner.call(
            "acme",
            reading,
            base_url=server.url,
            token=TOKEN,
            retry=RetryPolicy(first_wait_s=0),
            max_body_bytes=10,
        )

    assert caught.value.attempts == 2
    assert len(server.requests) == 2
