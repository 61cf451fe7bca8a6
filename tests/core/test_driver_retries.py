from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import formatdate

import httpx
import pytest

from polysession._core.retry import RetryPolicy
from polysession.errors import (
    ConnectError,
    ConnectionLost,
    MalformedResponse,
    NetworkTimeout,
    NotFound,
    RateLimited,
    ServerError,
    UnexpectedRedirect,
)
from support.client_runners import ASYNC, ClientRunner, Use, both_runners
from support.scripted import Answer, Script, ok, status

pytestmark = pytest.mark.usefixtures("acme_installed")
READING = pytest.param(lambda client: client.sessions.get("s1"), id="read")
KEYED = pytest.param(lambda client: client.sessions.create(), id="write with a key")
DELETING = pytest.param(lambda client: client.sessions.delete("s1"), id="delete")
CHANGES = [
    pytest.param(lambda client: client.sessions.update("s1", title="x"), id="update"),
    pytest.param(lambda client: client.sessions.cancel("s1"), id="cancel"),
    pytest.param(lambda client: client.agents.create(name="a"), id="create agent"),
]


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records every wait in place of waiting."""
    taken: list[float] = []

    async def nap(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(time, "sleep", taken.append)
    monkeypatch.setattr(asyncio, "sleep", nap)
    return taken


@both_runners
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
def test_a_passing_trouble_is_tried_again(runner: ClientRunner, use: Use, trouble: Answer) -> None:
    script = Script(trouble, trouble, ok())

    assert script.call(runner, use).id == "s1"
    assert len(script.requests) == 3


@both_runners
@pytest.mark.parametrize("use", CHANGES)
@pytest.mark.parametrize("trouble", [status(503), status(408), httpx.ReadError("reset")], ids=repr)
def test_a_change_that_may_have_been_carried_out_is_never_repeated(
    runner: ClientRunner, use: Use, trouble: Answer
) -> None:
    assert Script(trouble).failure(runner, use).attempts == 1


@both_runners
@pytest.mark.parametrize("use", CHANGES)
@pytest.mark.parametrize(
    "trouble", [status(429), httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")], ids=repr
)
def test_a_change_that_was_not_carried_out_is_repeated(runner: ClientRunner, use: Use, trouble: Answer) -> None:
    script = Script(trouble, status(404))
    error = script.failure(runner, use)

    assert (type(error), error.attempts, len(script.requests)) == (NotFound, 2, 2)


@both_runners
@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422, 500, 501])
def test_a_refusal_is_not_repeated(runner: ClientRunner, code: int) -> None:
    assert Script(status(code)).failure(runner, lambda client: client.sessions.get("s1")).attempts == 1


@both_runners
@pytest.mark.parametrize("retry", [None, RetryPolicy(attempts=1)])
def test_retries_can_be_turned_off(runner: ClientRunner, retry: RetryPolicy | None) -> None:
    assert Script(status(503)).failure(runner, lambda client: client.sessions.get("s1"), retry=retry).attempts == 1


@both_runners
def test_all_attempts_of_a_call_carry_one_key_and_each_call_its_own(runner: ClientRunner) -> None:
    first, second = Script(status(503), httpx.ReadError("reset"), ok()), Script(ok())

    first.call(runner, lambda client: client.sessions.create())
    second.call(runner, lambda client: client.sessions.create())

    assert len(first.keys()) == 3
    assert len(set(first.keys())) == 1
    assert set(first.keys()).isdisjoint(second.keys())


@both_runners
def test_a_repeated_request_is_the_same_to_the_byte(runner: ClientRunner) -> None:
    script = Script(status(503), ok())

    script.call(runner, lambda client: client.sessions.create(title="x"))

    first, again = script.requests
    assert (first.url, first.headers, first.content) == (again.url, again.headers, again.content)


@both_runners
def test_when_attempts_run_out_the_last_failure_counts_and_keeps_its_cause(runner: ClientRunner) -> None:
    last = httpx.ReadTimeout("slow")

    error = Script(status(503), httpx.ConnectError("x"), httpx.ReadError("y"), last).failure(
        runner, lambda client: client.sessions.get("s1")
    )

    assert (type(error), error.attempts, error.__cause__) == (NetworkTimeout, 4, last)
    assert (error.provider, error.operation, error.retryable) == ("acme", "sessions.get", True)


@both_runners
@pytest.mark.parametrize("later", [lambda: "5", lambda: formatdate(time.time() + 5, usegmt=True)])
def test_the_backend_says_when_to_try_again(runner: ClientRunner, later: Callable[[], str], naps: list[float]) -> None:
    Script(status(429, retry_after=later()), ok()).call(runner, lambda client: client.sessions.get("s1"))

    assert naps == [pytest.approx(5, abs=1.5)]


@both_runners
def test_what_the_backend_asks_for_beyond_the_deadline_is_told_at_once(runner: ClientRunner, naps: list[float]) -> None:
    error = Script(status(429, "Slow down.", retry_after="3600")).failure(
        runner, lambda client: client.sessions.get("s1"), retry=RetryPolicy(deadline_s=60)
    )

    assert isinstance(error, RateLimited)
    assert (error.retry_after_s, error.attempts, naps) == (3600, 1, [])


@both_runners
def test_a_wait_is_drawn_anew_and_ends_with_the_attempts(runner: ClientRunner, naps: list[float]) -> None:
    Script(*[status(503)] * 4).failure(runner, lambda client: client.sessions.get("s1"), retry=RetryPolicy())

    assert len(naps) == 3
    assert all(0 <= nap <= bound for nap, bound in zip(naps, (0.5, 1, 2), strict=True))


@both_runners
@pytest.mark.parametrize("use", [KEYED, DELETING, *CHANGES])
def test_a_lost_answer_to_a_change_leaves_the_outcome_unknown(runner: ClientRunner, use: Use) -> None:
    error = Script(httpx.ReadError("reset")).failure(runner, use, retry=None)

    assert isinstance(error, ConnectionLost)
    assert error.outcome_unknown
    assert "may have executed the request" in str(error)


@both_runners
def test_a_refused_connection_after_a_lost_answer_still_leaves_it_unknown(runner: ClientRunner) -> None:
    error = Script(httpx.ReadError("reset"), httpx.ConnectError("refused")).failure(
        runner, lambda client: client.sessions.create(), retry=RetryPolicy(attempts=2, first_wait_s=0)
    )

    assert isinstance(error, ConnectError)
    assert error.outcome_unknown


@both_runners
def test_a_deletion_whose_answer_was_lost_is_done_when_the_session_is_gone(runner: ClientRunner) -> None:
    assert (
        Script(httpx.ReadError("reset"), status(404)).call(runner, lambda client: client.sessions.delete("s1")) is None
    )


@both_runners
def test_a_deletion_that_was_only_put_off_must_find_its_session(runner: ClientRunner) -> None:
    error = Script(status(429), status(404)).failure(runner, lambda client: client.sessions.delete("s1"))

    assert (type(error), error.attempts) == (NotFound, 2)


@both_runners
def test_an_unreadable_success_counts_its_attempts(runner: ClientRunner) -> None:
    error = Script(status(503), status(200, "<html>")).failure(runner, lambda client: client.sessions.get("s1"))

    assert (type(error), error.attempts, error.outcome_unknown) == (MalformedResponse, 2, False)


@both_runners
def test_a_session_that_was_made_and_cannot_be_read_is_not_made_again(runner: ClientRunner) -> None:
    error = Script(ok([], 201)).failure(runner, lambda client: client.sessions.create())

    assert (type(error), error.attempts) == (MalformedResponse, 1)
    assert "may have executed the request" in str(error)


@both_runners
def test_a_redirect_is_not_followed_even_by_an_http_client_that_would(runner: ClientRunner) -> None:
    script = Script(status(307, location="https://evil.example/"))

    error = script.failure(
        runner, lambda client: client.sessions.get("s1"), http_client=runner.http(script, follow_redirects=True)
    )

    assert isinstance(error, UnexpectedRedirect)
    assert (error.status, len(script.requests)) == (307, 1)


@both_runners
def test_a_flow_may_answer_an_error_with_another_call_and_wait_before_it(
    runner: ClientRunner, naps: list[float]
) -> None:
    script = Script(status(409), ok())

    session = script.call(runner, lambda client: client.sessions.update("s1", title="x"))

    assert session.id == "s1"
    assert [request.method for request in script.requests] == ["PATCH", "PATCH"]
    assert naps == [0.25]


SUCCESS = """
import asyncio, sys
sys.path[:0] = {path!r}
import httpx
from polysession._core.retry import RetryPolicy
from polysession._drivers.{runner}_driver import {cls}
from support.acme import acme
answer = httpx.MockTransport(lambda request: httpx.Response(200, json={{"id": "s1"}}))
http = httpx.{http}(transport=answer)
driver = {cls}(acme(), http_client=http, timeout=1.0, retry=RetryPolicy(), observers=())
ran = driver.run("sessions.get", acme().get_session(__import__("polysession").provider_api.SessionRef("s1")))
session = asyncio.run(ran) if {awaited} else ran
assert session.id == "s1"
assert "tenacity" not in sys.modules
"""


@both_runners
def test_a_call_that_succeeds_never_loads_the_retry_library(runner: ClientRunner) -> None:
    names = ("async", "AsyncDriver", "AsyncClient") if runner is ASYNC else ("sync", "SyncDriver", "Client")
    program = SUCCESS.format(path=sys.path, runner=names[0], cls=names[1], http=names[2], awaited=runner.awaited)

    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  (our own interpreter)


@both_runners
def test_a_server_fault_of_a_change_warns_before_it_is_repeated(runner: ClientRunner) -> None:
    error = Script(status(500, "Internal Server Error")).failure(
        runner, lambda client: client.sessions.update("s1", title="x")
    )

    assert isinstance(error, ServerError)
    assert str(error) == (
        "acme sessions.update: Internal Server Error. The backend may have executed the request:"
        " check before you repeat it (HTTP 500)"
    )
