"""The async client on aiohttp keeps what our drivers promise: errors by name, every request once, nothing left open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import httpx
import pytest

from polysession._core.retry import RetryPolicy
from polysession._drivers import aiohttp_client
from polysession._drivers.aiohttp_client import AiohttpClient
from polysession._drivers.environment import tls_context
from polysession.async_client import AsyncClient
from polysession.errors import ConnectError, ConnectionLost, NetworkTimeout, PolysessionError, UsageError
from polysession.testing.fault_server import Answer, FaultServer, http
from support.acme import TOKEN

pytestmark = pytest.mark.usefixtures("acme_installed")

T = TypeVar("T")
SESSION = b'{"id":"s1","title":"one"}'
OPEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 25\r\n"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def over_aiohttp(base_url: str, **options: Any) -> AsyncClient:
    return AsyncClient("acme", **{"base_url": base_url, "token": TOKEN, "retry": None, "http": "aiohttp"} | options)


def use(base_url: str, scenario: Callable[[AsyncClient], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        async with over_aiohttp(base_url, **options) as client:
            assert isinstance(http_of(client), AiohttpClient)
            return await scenario(client)

    return asyncio.run(run())


def http_of(client: AsyncClient) -> Any:
    return client._driver._holder._http


async def get(client: AsyncClient) -> Any:
    return await client.sessions.get("s1")


async def change(client: AsyncClient) -> Any:
    return await client.sessions.update("s1", title="two")


def failure(base_url: str, scenario: Callable[[AsyncClient], Awaitable[Any]] = get, **options: Any) -> PolysessionError:
    with pytest.raises(PolysessionError) as caught:
        use(base_url, scenario, **options)
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(b"", reset=True), ConnectionLost),
        (Answer(b""), ConnectionLost),
        (Answer(OPEN[:20], reset=True), ConnectionLost),
        (Answer(OPEN + b"\r\n{"), ConnectionLost),
        (Answer(OPEN + b"\r\n{", reset=True), ConnectionLost),
        (Answer(b"not HTTP\r\n\r\n"), ConnectionLost),
        (Answer(b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 20_000 + b"\r\n\r\n"), ConnectionLost),
        (Answer(b"", hold_s=5), NetworkTimeout),
        (Answer(OPEN + b"\r\n{", hold_s=5), NetworkTimeout),
    ],
    ids=["reset", "closed", "in the head", "in the body", "reset in the body", "no HTTP", "long", "silent", "stalled"],
)
def test_what_was_sent_and_broke_is_in_doubt(answer: Answer, kind: type[PolysessionError]) -> None:
    with FaultServer(answer) as server:
        error = failure(server.url, change, timeout=2.0 if kind is NetworkTimeout else 30.0)
    assert type(error) is kind
    assert error.outcome_unknown
    assert len(server.requests) == 1


def test_what_was_not_sent_is_in_no_doubt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = failure(url, change)
    assert type(error) is ConnectError
    assert not error.outcome_unknown


def test_a_connection_that_takes_too_long_was_not_sent_either() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as others:
        for _ in range(3):  # fill the queue of connections, so that no other is accepted
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
        error = failure(f"http://127.0.0.1:{listener.getsockname()[1]}", change, timeout=0.3)
    assert type(error) is NetworkTimeout
    assert not error.outcome_unknown


def test_a_server_without_tls_is_no_connection() -> None:
    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is not TLS\r\n")
        writer.close()

    async def run() -> PolysessionError:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with over_aiohttp(url) as client:
                with pytest.raises(PolysessionError) as caught:
                    await change(client)
                return caught.value

    error = asyncio.run(run())
    assert type(error) is ConnectError
    assert not error.outcome_unknown


def test_nothing_is_repeated_behind_our_back() -> None:
    """aiohttp repeats a DELETE whose kept connection turns out to be closed; the second one would find nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                methods.append(head.split(b" ", 1)[0].decode())
                if methods[-1] == "DELETE":
                    break
                writer.write(OPEN + b"\r\n" + SESSION)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with over_aiohttp(url) as client:
                await client.sessions.get("s1")
                with pytest.raises(ConnectionLost):
                    await client.sessions.delete("s1")

    methods: list[str] = []
    asyncio.run(run())
    assert methods == ["GET", "DELETE"]


def test_more_than_a_hundred_calls_run_at_once() -> None:
    """aiohttp's own bound is a hundred connections."""
    count = 130
    waiting: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        waiting.append(writer)
        if len(waiting) == count:  # only now is anyone answered
            for other in waiting:
                other.write(OPEN + b"connection: close\r\n\r\n" + SESSION)
                other.close()

    async def run() -> list[Any]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, backlog=count) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with over_aiohttp(url) as client, asyncio.timeout(30):
                return await asyncio.gather(*(client.sessions.get("s1") for _ in range(count)))

    assert len(asyncio.run(run())) == count


@pytest.mark.filterwarnings("ignore::polysession.settings.ClearTextWarning")
@pytest.mark.filterwarnings("ignore::polysession.settings.ClearTextWarning")
def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(http(200, SESSION)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//us%65r:word@"))
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.delenv("no_proxy", raising=False)
        assert use("http://backend.example", get).title == "one"
    assert proxy.targets == ["GET http://backend.example/sessions/s1"]
    assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in proxy.requests[0]


def test_cookies_are_kept_by_httpx_alone() -> None:
    with FaultServer(http(200, SESSION, set_cookie="a=1"), http(200, SESSION)) as server:

        async def twice(client: AsyncClient) -> None:
            await get(client)
            await get(client)

        use(server.url, twice)
    assert server.requests[1].lower().count(b"a=1") == 1


def test_a_cancelled_call_leaves_nothing_open() -> None:
    async def run() -> int:
        with FaultServer(Answer(OPEN + b"\r\n{", hold_s=5)) as server:
            async with over_aiohttp(server.url) as client:
                call = asyncio.ensure_future(client.sessions.get("s1"))
                await asyncio.sleep(0.2)
                assert server.requests
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                session = http_of(client)._session
                return sum(len(group) for group in session.connector._conns.values())

    assert asyncio.run(run()) == 0


def test_a_client_that_was_never_used_is_closed() -> None:
    async def run() -> None:
        await over_aiohttp("http://127.0.0.1:9").aclose()

    asyncio.run(run())


async def wait_with(error: Exception) -> None:
    async def fail() -> None:
        raise error

    await aiohttp_client._within(None, fail())


def test_an_unknown_error_of_aiohttp_is_an_answer_that_is_no_http() -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="odd"):
        asyncio.run(wait_with(aiohttp.ClientError("odd")))
    with pytest.raises(ValueError, match="no error of aiohttp"):
        asyncio.run(wait_with(ValueError("no error of aiohttp")))


def test_without_being_asked_for_it_is_not_used() -> None:
    async def run() -> None:
        async with AsyncClient("acme", base_url="http://127.0.0.1:9", token=TOKEN) as client:
            assert isinstance(http_of(client), httpx.AsyncClient)

    asyncio.run(run())


def test_where_it_is_not_installed_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polysession._drivers.aiohttp_client", None)
    with pytest.raises(UsageError, match=r'pip install "polysession\[aiohttp\]"'):
        over_aiohttp("http://127.0.0.1:9")


def test_a_silence_of_a_stream_is_limited_by_its_own_time() -> None:
    """The timeout of the client is for the head, and a stream may be silent for longer, or for less long."""

    async def run(url: str, read_s: float | None) -> bytes:
        http = AiohttpClient(tls_context(), httpx.Limits())
        try:
            request = httpx.Request("GET", url, extensions={"timeout": {"read": 0.3}})
            response = await http.send(request, stream=True, follow_redirects=False)
            request.extensions["timeout"] = {"read": read_s}
            async with contextlib.aclosing(response):
                return b"".join([chunk async for chunk in response.aiter_raw()])
        finally:
            await http.aclose()

    slow = Answer(OPEN + b"\r\n" + SESSION[:5], hold_s=0.6)
    with FaultServer(slow) as server:
        with pytest.raises(httpx.ReadTimeout):
            asyncio.run(run(server.url, 0.1))
        with pytest.raises(httpx.ReadError):  # the server closed it
            asyncio.run(run(server.url, None))


@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY", "http_proxy"])
def test_a_socks_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "socks5://127.0.0.1:9")
    with pytest.raises(UsageError, match=f"{variable} names a SOCKS proxy"):
        over_aiohttp("http://127.0.0.1:9")


def test_retries_are_ours() -> None:
    quick = RetryPolicy(first_wait_s=0.0)
    with FaultServer(Answer(b"", reset=True), Answer(b""), http(200, SESSION)) as server:
        assert use(server.url, get, retry=quick).title == "one"
    assert len(server.requests) == 3
