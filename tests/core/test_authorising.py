"""Authorisation that a provider fetches: when it is fetched again, what it is added to, and what is shown of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from polysession import AsyncClient, Client, DeadlineExceeded, RetryPolicy
from polysession._core.authorising import Authorisation, Authoriser
from polysession._core.flow import Call, Response
from polysession._drivers.refreshing import AsyncRefreshLock, RefreshLock
from polysession._drivers.transport import NO_DEADLINE, Deadline
from polysession.errors import AuthenticationFailed, MalformedResponse, PolysessionError, ServerError, UsageError
from support.acme import TOKEN, acme
from support.acme_authorised import EXCHANGE_URL
from support.acme_streams import frame
from support.client_runners import ASYNC, SYNC, ClientRunner, both_runners
from support.installed import Site
from support.scripted import SESSION

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ISSUED = "issued-c4n4ry"
CALLERS = 5


@pytest.fixture(autouse=True)
def _installed(site: Site) -> None:
    site.install("acme-authorised", "acme = support.acme_authorised")


class Backend:
    """Exchanges keys for numbered tokens, and answers who has one that it takes.

    Args:
        expires_in: Seconds that a token is valid; None for ever.
        refused: Numbers of the tokens that it does not take.
        exchange: Answers an exchange in its place.
    """

    def __init__(
        self,
        *,
        expires_in: float | None = None,
        refused: tuple[int, ...] = (),
        exchange: Callable[[], httpx.Response | None] = lambda: None,
    ) -> None:
        self._expires_in = expires_in
        self._refused = [f"Bearer {ISSUED}-{number}" for number in refused]
        self._exchange = exchange
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if str(request.url).startswith(EXCHANGE_URL):
            answer = self._exchange()
            token = f"{ISSUED}-{len(self.exchanges)}"
            return answer or httpx.Response(200, json={"token": token, "expires_in": self._expires_in})
        if request.headers["authorization"] in self._refused:
            return httpx.Response(401, json={"message": f"{request.headers['authorization']} is not valid"})
        if request.url.path.endswith("/stream"):
            body = frame(1, "start") + frame(2, "end")
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
        return httpx.Response(200, json=SESSION)

    @property
    def exchanges(self) -> list[httpx.Request]:
        """The requests for a token."""
        return [request for request in self.requests if str(request.url).startswith(EXCHANGE_URL)]

    @property
    def tokens(self) -> list[str]:
        """The authorisation of each other request."""
        return [request.headers["authorization"] for request in self.requests if request not in self.exchanges]

    def call(self, runner: ClientRunner, use: Callable[[Any], Any], **options: Any) -> Any:
        return runner.call("acme", use, **{"http_client": runner.http(self), "token": TOKEN, **options})


def issued(*numbers: int) -> list[str]:
    return [f"Bearer {ISSUED}-{number}" for number in numbers]


async def read(client: Any, times: int = 2) -> None:
    for _ in range(times):
        await client.sessions.get("s1")


@both_runners
def test_a_token_is_fetched_once_and_added_to_each_call(runner: ClientRunner) -> None:
    backend = Backend(expires_in=3600)

    runner.play("acme", read, http_client=runner.http(backend), token=TOKEN)

    assert backend.tokens == issued(1, 1)
    assert [str(request.url) for request in backend.exchanges] == [f"{EXCHANGE_URL}/exchange"]
    assert {request.headers["acme-version"] for request in backend.requests if request not in backend.exchanges} == {
        "2"
    }


@both_runners
def test_an_exchange_elsewhere_carries_its_own_headers_alone(runner: ClientRunner) -> None:
    backend = Backend()

    backend.call(runner, lambda client: client.sessions.get("s1"), headers={"x-gateway": "for the backend"})

    (exchange,) = backend.exchanges
    assert exchange.headers["authorization"] == f"Bearer {TOKEN}"
    assert not {"x-gateway", "acme-version"} & exchange.headers.keys()
    assert exchange.headers["user-agent"].startswith("polysession/")


@both_runners
def test_a_token_that_has_expired_is_replaced_first(runner: ClientRunner) -> None:
    backend = Backend(expires_in=0)

    runner.play("acme", read, http_client=runner.http(backend), token=TOKEN)

    assert backend.tokens == issued(1, 2)


@pytest.mark.parametrize(("lifetime_s", "fresh_for_s"), [(3600, 3540), (100, 90), (0, 0)])
def test_a_token_is_not_used_to_its_very_end(lifetime_s: float, fresh_for_s: float) -> None:
    authoriser = Authoriser(acme())
    fetched = Authorisation({"authorization": "Bearer x"}, NOW + timedelta(seconds=lifetime_s))

    authoriser.keep(fetched, NOW, 1000.0)

    assert authoriser.current(1000.0 + fresh_for_s) is None
    if fresh_for_s:
        assert authoriser.current(1000.0 + fresh_for_s - 0.1) is fetched


@both_runners
def test_a_token_that_is_refused_is_replaced_once(runner: ClientRunner) -> None:
    backend = Backend(refused=(1,))

    backend.call(runner, lambda client: client.sessions.create(title="Ticket"))

    assert backend.tokens == issued(1, 2)


def test_a_refusal_of_an_older_token_keeps_the_newer_one() -> None:
    authoriser = Authoriser(acme())
    older, newer = (Authorisation({"authorization": f"Bearer {number}"}) for number in range(2))
    authoriser.keep(older, NOW, 0.0)
    authoriser.keep(newer, NOW, 0.0)

    assert authoriser.is_refused(older, Response(401, {}, b""))
    assert authoriser.current(1.0) is newer


@both_runners
@pytest.mark.parametrize("body", [{"token": f"{ISSUED}\n", "expires_in": None}, [ISSUED]], ids=str)
def test_a_token_that_cannot_be_used_is_not_quoted(runner: ClientRunner, body: Any) -> None:
    backend = Backend(exchange=lambda: httpx.Response(200, json=body))

    with pytest.raises(MalformedResponse) as caught:
        backend.call(runner, lambda client: client.sessions.get("s1"))

    assert backend.tokens == []
    assert ISSUED not in "".join(traceback.format_exception(caught.value))


@both_runners
def test_a_second_refusal_is_the_answer(runner: ClientRunner) -> None:
    backend = Backend(refused=(1, 2))

    with pytest.raises(AuthenticationFailed) as caught:
        backend.call(runner, lambda client: client.sessions.create(title="Ticket"))

    assert backend.tokens == issued(1, 2)
    assert (caught.value.attempts, caught.value.outcome_unknown) == (2, False)
    assert ISSUED not in "".join(traceback.format_exception(caught.value))


@both_runners
def test_a_stream_is_opened_with_a_token_that_is_valid(runner: ClientRunner) -> None:
    backend = Backend(refused=(1,))

    async def follow(client: Any) -> list[str]:
        async with client.sessions.stream("s1") as stream:
            return [(await anext(stream)).type, (await anext(stream)).type]

    received = runner.play("acme", follow, http_client=runner.http(backend), token=TOKEN)

    assert received == ["turn.started", "turn.ended"]
    assert backend.tokens == issued(1, 2)


@pytest.mark.parametrize("runner", [SYNC, ASYNC], ids=["sync", "async"])
def test_clients_with_other_options_share_the_token(runner: ClientRunner) -> None:
    backend = Backend()

    def use(client: Any) -> Any:
        if isinstance(client, AsyncClient):
            return use_async(client)
        client.sessions.get("s1")
        return client.with_options(timeout=3, headers={"x-team": "red"}).sessions.get("s1")

    async def use_async(client: AsyncClient) -> Any:
        await client.sessions.get("s1")
        return await client.with_options(timeout=3, headers={"x-team": "red"}).sessions.get("s1")

    backend.call(runner, use)

    assert backend.tokens == issued(1, 1)


@both_runners
def test_a_header_of_the_callers_does_not_hide_behind_the_token(runner: ClientRunner) -> None:
    with pytest.raises(UsageError, match="'authorization' is set by polysession"):
        Backend().call(runner, lambda client: client.sessions.get("s1"), headers={"Authorization": "Bearer mine"})


@both_runners
@pytest.mark.parametrize(
    ("status", "error_class", "attempts"),
    [(404, AuthenticationFailed, 1), (503, ServerError, 2)],
    ids=["refused", "down"],
)
def test_an_exchange_that_fails_is_no_failure_of_the_call(
    runner: ClientRunner, status: int, error_class: type[PolysessionError], attempts: int
) -> None:
    backend = Backend(exchange=lambda: httpx.Response(status, text=f"no {TOKEN} here"))

    with pytest.raises(error_class) as caught:
        backend.call(
            runner,
            lambda client: client.sessions.create(title="Ticket"),
            retry=RetryPolicy(attempts=2, first_wait_s=0.0),
        )

    error = caught.value
    assert (error.operation, error.outcome_unknown) == ("sessions.create", False)
    assert len(backend.exchanges) == attempts
    assert backend.tokens == []
    assert TOKEN not in "".join(traceback.format_exception(error))


class CountedLock(RefreshLock):
    """A lock that counts attempts to hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Semaphore(0)

    @contextlib.contextmanager
    def hold(self, deadline: Deadline) -> Iterator[None]:
        self.came.release()
        with super().hold(deadline):
            yield


def test_threads_share_one_refresh() -> None:
    lock = CountedLock()

    def when_all_have_come() -> None:
        for _ in range(CALLERS):
            assert lock.came.acquire(timeout=10)

    backend = Backend(exchange=when_all_have_come)
    http = httpx.Client(transport=httpx.MockTransport(backend))
    with Client("acme", http_client=http, token=TOKEN) as client, ThreadPoolExecutor(CALLERS) as pool:
        client._driver._refreshing = lock
        list(pool.map(client.sessions.get, ["s1"] * CALLERS))

    assert len(backend.exchanges) == 1
    assert backend.tokens == issued(*[1] * CALLERS)


def test_tasks_share_one_refresh_and_one_that_is_cancelled_leaves_it_to_the_next() -> None:
    backend = Backend()
    is_stalled = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(EXCHANGE_URL) and not is_stalled.is_set():
            is_stalled.set()
            await asyncio.Future()
        return backend(request)

    async def scenario() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        async with AsyncClient("acme", http_client=http, token=TOKEN) as client:
            first = asyncio.create_task(client.sessions.get("s1"))
            await is_stalled.wait()
            others = [asyncio.create_task(client.sessions.get("s1")) for _ in range(CALLERS)]
            first.cancel()
            await asyncio.gather(*others)

    asyncio.run(scenario())
    assert len(backend.exchanges) == 1
    assert backend.tokens == issued(*[1] * CALLERS)


def test_nobody_waits_for_a_refresh_beyond_a_deadline() -> None:
    lock = RefreshLock()
    with lock.hold(NO_DEADLINE), pytest.raises(DeadlineExceeded), lock.hold(Deadline(0.01)):
        pass

    async def scenario() -> None:
        lock = AsyncRefreshLock()
        async with lock.hold(NO_DEADLINE):
            with pytest.raises(DeadlineExceeded):
                async with lock.hold(Deadline(0.01)):
                    pass

    asyncio.run(scenario())


def test_a_forked_process_has_a_lock_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = RefreshLock()
    with lock.hold(NO_DEADLINE):
        monkeypatch.setattr("os.getpid", lambda: -1)
        with lock.hold(Deadline(5)):
            pass


def test_neither_a_call_nor_an_authorisation_shows_a_secret() -> None:
    call = Call("POST", "/exchange", {"authorization": TOKEN}, body=TOKEN.encode())
    assert TOKEN not in repr(call) + repr(Authorisation({"authorization": TOKEN}))
