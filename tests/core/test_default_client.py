"""The default HTTP clients: environment, options of the caller, and lifetimes."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import certifi
import httpx
import httpx2
import pytest
import trustme

from polysession._core.retry import RetryPolicy
from polysession._drivers.environment import tls_context
from polysession._drivers.http_client import AsyncHttpClient, HttpClient
from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.errors import ConnectError, UsageError
from polysession.testing.fault_server import Answer, FaultServer, closed_port, http
from support.acme import TOKEN
from support.client_runners import ASYNC, SYNC, ClientRunner, both_runners
from support.scripted import Script, ok, status

pytestmark = pytest.mark.usefixtures("acme_installed")

SESSION = b'{"id":"s1","title":"one"}'
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
AIOHTTP = {"http": "aiohttp"}
both_clients = pytest.mark.parametrize("client_class", [Client, AsyncClient])


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def get(runner: ClientRunner, server_url: str, times: int = 1, **options: Any) -> Any:
    async def scenario(client: Any) -> Any:
        return [await client.sessions.get("s1") for _ in range(times)][-1]

    return runner.play("acme", scenario, **{"base_url": server_url, "token": TOKEN, "retry": None} | options)


# --- As with httpx itself


@both_runners
@pytest.mark.filterwarnings("ignore::polysession.settings.ClearTextWarning")
def test_a_proxy_of_the_environment_is_used(runner: ClientRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(http(200, SESSION)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert get(runner, "http://backend.example").title == "one"
    assert proxy.targets == ["GET http://backend.example/sessions/s1"]


@both_runners
def test_hosts_without_a_proxy_are_reached_directly(runner: ClientRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FaultServer(http(200, SESSION)) as server:
        assert get(runner, server.url).title == "one"


@both_runners
def test_a_cookie_is_returned_to_the_server_that_set_it(runner: ClientRunner) -> None:
    with FaultServer(http(200, SESSION, set_cookie="a=1"), http(200, SESSION)) as server:
        get(runner, server.url, times=2)
    assert b"cookie" not in server.requests[0].lower()
    assert server.requests[1].lower().count(b"cookie: a=1\r\n") == 1


@both_runners
@pytest.mark.parametrize(
    ("method", "content"), [("GET", None), ("POST", None), ("POST", b"body"), ("DELETE", None), ("PUT", b"")]
)
def test_a_request_has_the_host_and_the_length_that_httpx_sends(
    runner: ClientRunner, method: str, content: bytes | None
) -> None:
    def use(client: Any) -> Any:
        return client.request(method, "/path", content=content)

    kind: Any = httpx.AsyncClient if runner.awaited else httpx.Client
    with FaultServer(http(200, b"{}"), http(200, b"{}")) as server:
        for given in (None, kind(trust_env=False, verify=tls_context())):
            runner.call("acme", use, base_url=server.url, token=TOKEN, http_client=given)
    ours, theirs = (_framing(request) for request in server.requests)
    assert ours == theirs


def _framing(request: bytes) -> list[bytes]:
    """The body, and the headers that tell where it goes and where it ends."""
    head, _, body = request.lower().partition(b"\r\n\r\n")
    return [
        *sorted(line for line in head.split(b"\r\n") if line.startswith((b"host", b"content-len", b"transf"))),
        body,
    ]


@both_runners
def test_the_log_of_httpx_has_its_line(runner: ClientRunner, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "httpx")
    with FaultServer(http(200, SESSION)) as server:
        get(runner, server.url)
        lines = [record.getMessage() for record in caplog.records if record.name == "httpx"]
        assert lines == [f'HTTP Request: GET {server.url}/sessions/s1 "HTTP/1.1 200 OK"']


@both_runners
def test_the_error_of_httpx_is_the_cause(runner: ClientRunner) -> None:
    url = closed_port()
    with pytest.raises(ConnectError) as caught:
        get(runner, url)
    assert isinstance(caught.value.__cause__, httpx.RequestError)
    assert str(caught.value.__cause__.request.url) == f"{url}/sessions/s1"


# --- Faults of the environment


@both_clients
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks://user:secret@127.0.0.1:9"),
        ("all_proxy", "ftp://127.0.0.1:9"),
        ("HTTPS_PROXY", "socks4://127.0.0.1:9"),
        ("HTTP_PROXY", "socks5://127.0.0.1:9"),
        ("NO_PROXY", "fe80::/10"),
    ],
)
def test_an_environment_that_httpx_cannot_use_is_named(
    client_class: Any, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable == "NO_PROXY":
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=f"the environment variable {variable} cannot be used") as caught:
        client_class("acme", token=TOKEN)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("client_class", "options"), [(Client, {}), (AsyncClient, {}), (AsyncClient, AIOHTTP)])
def test_certificates_that_cannot_be_read_are_named(
    client_class: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(UsageError, match=r"the environment variable SSL_CERT_FILE names .*missing\.pem"):
        client_class("acme", token=TOKEN, **options)


@both_runners
def test_a_failed_connection_names_the_proxy_on_its_way(runner: ClientRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", closed_port())
    with pytest.raises(ConnectError, match="through the proxy in http_proxy"):
        get(runner, "http://127.0.0.1:9")


@both_runners
def test_a_failed_connection_without_a_proxy_asks_about_base_url(runner: ClientRunner) -> None:
    with pytest.raises(ConnectError, match=r"cannot connect to '.*': .* Check base_url"):
        get(runner, closed_port())


@pytest.fixture
def untrusted() -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with FaultServer(http(200, SESSION), tls=context) as server:
        yield server


@pytest.mark.parametrize(("runner", "options"), [(SYNC, {}), (ASYNC, {}), (ASYNC, AIOHTTP)])
def test_an_untrusted_certificate_is_not_tried_again(
    runner: ClientRunner, untrusted: FaultServer, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    with pytest.raises(ConnectError, match="SSL_CERT_FILE") as caught:
        get(runner, untrusted.url, retry=RetryPolicy(first_wait_s=0.0), **options)
    assert (caught.value.attempts, caught.value.retryable, untrusted.connections) == (1, False, 1)


# --- Options of the caller


@both_runners
def test_headers_of_the_caller_are_added_to_each_request(runner: ClientRunner) -> None:
    script = Script(ok())
    script.call(
        runner, lambda client: client.sessions.get("s1"), headers={"X-Team": "red"}, user_agent="tickets/1.2 (test)"
    )
    assert script.requests[0].headers["x-team"] == "red"
    assert script.requests[0].headers["user-agent"].startswith("polysession/")
    assert script.requests[0].headers["user-agent"].endswith(" tickets/1.2 (test)")
    assert script.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@both_runners
def test_values_of_the_callers_headers_are_redacted(runner: ClientRunner) -> None:
    script = Script(status(400, "bad key hunter2hunter2"))
    error = script.failure(runner, lambda client: client.sessions.get("s1"), headers={"x-key": "hunter2hunter2"})
    assert "bad key ***" in str(error)


@both_clients
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"Authorization": "mine"}}, "'authorization' is set by polysession"),
        ({"headers": {"content-type": "text/plain"}}, "'content-type' is set by polysession"),
        ({"headers": {"x": "a\r\nb: c"}}, "printable ASCII"),
        ({"headers": {"x y": "a"}}, "'x y' is not a valid header name"),
        ({"headers": {"x": 3}}, "headers.x: Input should be a valid string"),
        ({"headers": "x: y"}, "headers: Input should be a valid dict"),
        ({"user_agent": "a\nb"}, "user_agent must be printable ASCII"),
        ({"retry": 3}, "retry must be a RetryPolicy"),
        ({"limits": 5}, "limits must be an httpx.Limits, not a int"),
        ({"http": "curl"}, 'http must be "aiohttp"|http=.curl. is for AsyncClient'),
        ({"http_client": "http"}, "http_client must be a client of httpx or httpx2, or like one, not a str"),
        ({"http_client": httpx.Client}, "http_client must be "),
        ({"timeout": True}, "timeout must be a number of seconds above zero"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_argument_is_refused_at_construction(client_class: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        client_class("acme", token=TOKEN, **options)


def test_each_client_needs_an_http_client_of_its_own_kind() -> None:
    with pytest.raises(UsageError, match="Client needs a sync http_client"):
        Client("acme", token=TOKEN, http_client=httpx.AsyncClient())  # type: ignore[arg-type]
    with httpx.Client() as blocking, pytest.raises(UsageError, match="AsyncClient needs an async http_client"):
        AsyncClient("acme", token=TOKEN, http_client=blocking)  # type: ignore[arg-type]


def test_aiohttp_is_for_the_async_client() -> None:
    with pytest.raises(UsageError, match="is for AsyncClient"):
        Client("acme", token=TOKEN, http="aiohttp")
    with pytest.raises(UsageError, match="pass either http or http_client"):
        AsyncClient("acme", token=TOKEN, http="aiohttp", http_client=httpx.AsyncClient())


def test_limits_belong_to_the_http_client() -> None:
    with httpx.Client() as given, pytest.raises(UsageError, match="pass either limits or http_client"):
        Client("acme", token=TOKEN, limits=httpx.Limits(max_connections=1), http_client=given)


@both_runners
@pytest.mark.parametrize("timeout", [float("inf"), 1e10, 1_000_001])
def test_a_number_above_the_bound_means_no_limit(runner: ClientRunner, timeout: float) -> None:
    script = Script(ok())
    script.call(runner, lambda client: client.sessions.get("s1"), timeout=timeout)
    assert set(script.requests[0].extensions["timeout"].values()) == {None}


def test_http_clients_of_both_libraries_have_the_right_type() -> None:
    """Checked by mypy: the annotations are the test."""
    blocking: list[HttpClient] = [httpx.Client(), httpx2.Client()]
    for each in blocking:
        each.close()
    kinds: list[Callable[[], AsyncHttpClient]] = [httpx.AsyncClient, httpx2.AsyncClient]
    assert len(kinds) == len(blocking)


# --- A caller's HTTP client that changes the request


@both_runners
@pytest.mark.parametrize("library", [httpx, httpx2])
def test_parameters_of_a_callers_http_client_are_added(runner: ClientRunner, library: Any) -> None:
    requests: list[Any] = []

    def answer(request: Any) -> Any:
        requests.append(request)
        return library.Response(200, json={"data": []})

    kind = library.AsyncClient if runner.awaited else library.Client
    given = kind(transport=library.MockTransport(answer), params={"tenant": "7"})
    runner.call(
        "acme",
        lambda client: client.sessions.list(tags=["a b", "c"], page_size=2),
        http_client=given,
        token=TOKEN,
    )
    pairs = requests[0].url.params.multi_items()
    assert ("tenant", "7") in pairs
    assert {name for name, _ in pairs} > {"tenant"}
    without = Script(ok({"data": []}))
    without.call(runner, lambda client: client.sessions.list(tags=["a b", "c"], page_size=2))
    assert sorted(pairs) == sorted([("tenant", "7"), *without.requests[0].url.params.multi_items()])


@both_runners
def test_an_http_client_that_changes_the_address_is_refused(runner: ClientRunner) -> None:
    base: Any = httpx.AsyncClient if runner.awaited else httpx.Client

    class Elsewhere(base):  # type: ignore[misc]
        def build_request(self, method: str, url: str, **options: Any) -> httpx.Request:
            request: httpx.Request = super().build_request(method, url.replace("sessions", "other"), **options)
            return request

    given = Elsewhere(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with pytest.raises(UsageError, match="changes the URL of a request"):
        runner.call("acme", lambda client: client.sessions.get("s1"), http_client=given, token=TOKEN)


# --- Lifetimes


@both_runners
def test_a_closed_client_is_refused(runner: ClientRunner) -> None:
    async def use(client: Any) -> None:
        await client.sessions.get("s1")

    with FaultServer(http(200, SESSION)) as server:
        kept: list[Any] = []

        async def keep(client: Any) -> None:
            kept.append(client)

        runner.play("acme", keep, base_url=server.url, token=TOKEN)
        with pytest.raises(UsageError, match=r"acme sessions\.get: this client is closed"):
            asyncio.run(use(kept[0]))


@both_runners
def test_a_given_http_client_that_is_closed_is_refused(runner: ClientRunner) -> None:
    async def scenario(client: Any) -> None:
        await given.aclose() if runner.awaited else given.close()
        await client.sessions.get("s1")

    given: Any = runner.http(lambda _: httpx.Response(200, json={"id": "s1"}))
    with pytest.raises(UsageError, match="the http_client of this client is closed"):
        runner.play("acme", scenario, http_client=given, token=TOKEN)


@pytest.mark.parametrize("http_option", [None, "aiohttp"])
def test_a_second_event_loop_is_refused(http_option: Any) -> None:
    with FaultServer(http(200, SESSION)) as server:
        client = AsyncClient("acme", base_url=server.url, token=TOKEN, http=http_option)

        async def use() -> None:
            await client.sessions.get("s1")

        async def last() -> None:
            await use()
            await client.aclose()

        with asyncio.Runner() as runner:
            runner.run(use())
            with pytest.raises(UsageError, match="belongs to another event loop"):
                asyncio.run(use())
            runner.run(last())


@both_runners
def test_an_exhausted_pool_is_named(runner: ClientRunner) -> None:
    async def scenario(client: Any) -> None:
        async def call() -> None:
            await client.sessions.get("s1")

        if not runner.awaited:
            await call()
            return
        await asyncio.gather(call(), call())

    limits = httpx.Limits(max_connections=1 if runner.awaited else 0)
    with FaultServer(Answer(b"", hold_s=2)) as server, pytest.raises(ConnectError, match="no connection became free"):
        runner.play("acme", scenario, base_url=server.url, token=TOKEN, limits=limits, timeout=0.3)


def in_child(use: Callable[[], str]) -> str:
    """The result of a function in a forked process."""
    reader, writer = os.pipe()
    process_id = os.fork()
    if process_id == 0:  # pragma: no cover  (another process)
        try:
            os.write(writer, use().encode())
        except BaseException as error:  # noqa: BLE001
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(process_id, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


class EchoServer:
    """Keeps each connection open, and answers with the id that was asked for."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = 0


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    server = EchoServer()

    def answer(connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65_536):
                session_id = request.split(b" ", 2)[1].rsplit(b"/", 1)[1]
                body = b'{"id":"%s"}' % session_id
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                    % (len(body), body)
                )

    def accept() -> None:
        while True:
            try:
                connection, _ = server.listener.accept()
            except OSError:
                return
            server.connections += 1
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    thread.join(timeout=5)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_client_survives_a_fork(echo: EchoServer) -> None:
    with Client("acme", base_url=echo.url, token=TOKEN) as client:
        assert client.sessions.get("before").id == "before"
        assert (
            in_child(lambda: ",".join(client.sessions.get(f"child{n}").id for n in range(3))) == "child0,child1,child2"
        )
        assert client.sessions.get("after").id == "after"
    assert echo.connections == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_given_http_client_does_not_cross_a_fork(echo: EchoServer) -> None:
    with httpx.Client() as given, Client("acme", base_url=echo.url, token=TOKEN, http_client=given) as client:
        client.sessions.get("before")
        assert in_child(lambda: client.sessions.get("child").id).startswith(
            "UsageError: acme sessions.get: the http_client"
        )
