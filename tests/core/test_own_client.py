"""Our own HTTP clients take a shorter way than httpx's, and do on it what those do."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from typing import Any

import httpx
import pytest

from polysession._core.flow import Call
from polysession._core.retry import RetryPolicy
from polysession._drivers.own_client import OwnAsyncClient, OwnClient
from polysession._drivers.transport import build_request
from polysession.errors import ConnectError
from polysession.testing.fault_server import FaultServer, closed_port, http
from support.acme import TOKEN
from support.client_runners import ClientRunner, both_runners

pytestmark = pytest.mark.usefixtures("acme_installed")

SESSION = b'{"id":"s1","title":"one"}'
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy is set, and the extra `aiohttp` is not installed."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "polysession._drivers.on_aiohttp", None)


@pytest.fixture
def sent_by_httpx(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that took httpx's own way."""
    noted: list[str] = []
    for kind in (httpx.Client, httpx.AsyncClient):

        def send(self: Any, request: httpx.Request, *, original: Any = kind.send, **options: Any) -> Any:
            noted.append(str(request.url))
            return original(self, request, **options)

        monkeypatch.setattr(kind, "send", send)
    return noted


def get(runner: ClientRunner, server_url: str, times: int = 1) -> Any:
    async def scenario(client: Any) -> Any:
        return [await client.sessions.get("s1") for _ in range(times)][-1]

    return runner.play("acme", scenario, base_url=server_url, token=TOKEN, retry=RetryPolicy(attempts=1))


@both_runners
def test_a_request_goes_straight_to_the_transport(runner: ClientRunner, sent_by_httpx: list[str]) -> None:
    with FaultServer(http(200, SESSION)) as server:
        assert get(runner, server.url).title == "one"
    assert sent_by_httpx == []


@both_runners
def test_through_a_proxy_of_the_environment_httpx_sends(
    runner: ClientRunner, sent_by_httpx: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(http(200, SESSION)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert get(runner, "http://backend.example").title == "one"
    assert proxy.targets == ["GET http://backend.example/sessions/s1"]
    assert sent_by_httpx == ["http://backend.example/sessions/s1"]


@both_runners
def test_hosts_without_a_proxy_are_no_proxy(
    runner: ClientRunner, sent_by_httpx: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FaultServer(http(200, SESSION)) as server:
        get(runner, server.url)
    assert sent_by_httpx == []


@both_runners
def test_a_cookie_comes_back_to_who_set_it(runner: ClientRunner) -> None:
    with FaultServer(http(200, SESSION, set_cookie="a=1"), http(200, SESSION)) as server:
        get(runner, server.url, times=2)
    assert b"cookie" not in server.requests[0].lower()
    assert server.requests[1].lower().count(b"cookie: a=1\r\n") == 1


@both_runners
def test_the_log_of_httpx_has_its_line(runner: ClientRunner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "httpx")
    with FaultServer(http(200, SESSION)) as server:
        get(runner, server.url)
        lines = [record.getMessage() for record in caplog.records if record.name == "httpx"]
        assert lines == [f'HTTP Request: GET {server.url}/sessions/s1 "HTTP/1.1 200 OK"']


@both_runners
def test_the_error_of_httpx_knows_its_request(runner: ClientRunner) -> None:
    url = closed_port()
    with pytest.raises(ConnectError) as caught:
        get(runner, url)
    assert isinstance(caught.value.__cause__, httpx.RequestError)
    assert str(caught.value.__cause__.request.url) == f"{url}/sessions/s1"


def test_a_closed_client_sends_nothing() -> None:
    async def send(http: OwnAsyncClient) -> None:
        await http.aclose()
        await http.send(httpx.Request("GET", closed_port()), stream=True)

    blocking = OwnClient()
    blocking.close()
    with pytest.raises(RuntimeError, match="has been closed"):
        blocking.send(httpx.Request("GET", closed_port()), stream=True)
    with pytest.raises(RuntimeError, match="has been closed"):
        asyncio.run(send(OwnAsyncClient()))


def test_an_answer_that_is_not_to_be_streamed_is_read() -> None:
    async def content(url: str) -> bytes:
        async with OwnAsyncClient() as http:
            return (await http.send(httpx.Request("GET", url))).content

    with FaultServer(http(200, SESSION)) as server, OwnClient() as blocking:
        assert blocking.send(httpx.Request("GET", server.url)).content == SESSION
        assert asyncio.run(content(server.url)) == SESSION


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [None, b"", b'{"a":1}'])
@pytest.mark.parametrize("headers", [{}, {"host": "gateway.example"}], ids=["", "host"])
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:81/a%2Fb?c=%20", "https://[::1]/", "https://b\u00fccher.example:443/"]
)
def test_a_request_is_the_one_that_httpx_makes(
    method: str, body: bytes | None, headers: dict[str, str], url: str
) -> None:
    with OwnClient() as own:
        made = build_request(own, Call(method, "", body=body), url, headers, {}, is_ours=True)
    expected = httpx.Request(method, url, headers=headers, content=body)

    assert (made.method, made.url, made.read()) == (expected.method, expected.url, expected.content)
    assert dict(made.headers) == dict(expected.headers)


def test_the_two_ways_to_send_are_twins() -> None:
    awaited = inspect.getsource(OwnAsyncClient.send)
    for word, other in {"async def": "def", "await ": "", "handle_async_request": "handle_request"}.items():
        awaited = awaited.replace(word, other)
    assert awaited == inspect.getsource(OwnClient.send)
