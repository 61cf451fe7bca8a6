"""Clients with other options, calls that are not modelled, and what tools see of a client."""

from __future__ import annotations

import contextlib
import json
import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import httpx
import pytest

from polysession._core.exchange import Exchange
from polysession._core.flow import Call
from polysession.async_client import AsyncClient
from polysession.client import Client
from polysession.errors import InvalidRequest, MalformedResponse, NotFound, PolysessionError, ServerError, UsageError
from polysession.profiles import PlainSecretWarning
from polysession.provider_api import ErrorDetail, Response
from polysession.session import Session
from support.acme import TOKEN, AcmeProvider, acme
from support.client_runners import ClientRunner, both_runners

pytestmark = pytest.mark.usefixtures("acme_installed")

SESSION = {"id": "s1", "title": "T"}


class Server:
    """Answers with the same JSON, and keeps the requests."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[httpx.Request] = []
        self.statuses = list(statuses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        return httpx.Response(status, json=SESSION, headers={"x-request-id": "req-1"})


def call(runner: ClientRunner, server: Any, use: Any, **options: Any) -> Any:
    return runner.call("acme", use, http_client=runner.http(server), token=TOKEN, **options)


@both_runners
def test_another_client_shares_the_connections(runner: ClientRunner) -> None:
    server = Server()

    call(runner, server, lambda client: client.with_options(headers={"X-Team": "red"}).sessions.get("s1"))
    call(runner, server, lambda client: client.sessions.get("s1"))

    assert [request.headers.get("x-team") for request in server.requests] == ["red", None]
    assert server.requests[0].headers["authorization"] == server.requests[1].headers["authorization"]


@both_runners
def test_headers_of_a_client_come_before_those_of_its_profile(
    runner: ClientRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GATEWAY_KEY", "of-the-profile")
    file = tmp_path / "polysession/config.toml"
    file.parent.mkdir()
    file.write_text('[profiles.p]\nprovider = "acme"\nheaders = { x-key = { env = "GATEWAY_KEY" }, x-team = "red" }\n')
    server = Server()

    call(runner, server, lambda client: client.sessions.get("s1"), profile="p", headers={"X-Key": "given"})
    with pytest.warns(PlainSecretWarning, match=r"headers\.x-team"):
        call(runner, server, lambda client: client.sessions.get("s1"), profile="p")

    sent = [(request.headers.get("x-key"), request.headers.get("x-team")) for request in server.requests]
    assert sent == [("given", None), ("of-the-profile", "red")]


@both_runners
@pytest.mark.parametrize("name", ["Authorization", "content-length", "Host"])
def test_a_header_that_is_ours_makes_no_client(runner: ClientRunner, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name.lower()!r} is set by polysession"):
        call(runner, Server(), lambda client: client.sessions.get("s1"), headers={name: "c4n4ry"})


@both_runners
def test_another_client_retries_otherwise(runner: ClientRunner) -> None:
    server = Server(503, 200)
    with pytest.raises(ServerError):
        call(runner, server, lambda client: client.with_options(retry=None).sessions.get("s1"))
    assert len(server.requests) == 1


@both_runners
def test_another_client_has_its_own_time_limit(runner: ClientRunner) -> None:
    server = Server()

    call(runner, server, lambda client: client.with_options(timeout=7).sessions.get("s1"))

    assert server.requests[0].extensions["timeout"]["read"] == 7


@pytest.mark.parametrize(
    "options",
    [{"timeout": -1}, {"retry": 3}, {"headers": {"authorization": "x"}}, {"headers": {"a b": "x"}}, {"headers": 5}],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any]) -> None:
    with Client("acme", token=TOKEN) as client, pytest.raises(UsageError):
        client.with_options(**options)


def test_another_client_closes_nothing_and_ends_with_its_parent() -> None:
    server = Server()
    parent = Client("acme", token=TOKEN)
    child = parent.with_options(timeout=7)

    with child:
        pass
    parent.close()

    with pytest.raises(UsageError, match="this client is closed"):
        child.sessions.get("s1")
    assert server.requests == []


@both_runners
def test_a_call_that_is_not_modelled_is_made(runner: ClientRunner) -> None:
    server = Server()

    response = call(
        runner,
        server,
        lambda client: client.request(
            "post", "/files", query={"tag": ["a", "b"], "none": None}, json=[1], headers={"X-Part": "2"}
        ),
    )

    assert isinstance(response, Response)
    assert (response.status, response.json(), response.headers["x-request-id"]) == (200, SESSION, "req-1")
    (request,) = server.requests
    assert (request.method, request.url.raw_path) == ("POST", b"/api/files?tag=a&tag=b")
    assert (json.loads(request.content), request.headers["x-part"]) == ([1], "2")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


@both_runners
def test_its_body_may_be_anything(runner: ClientRunner) -> None:
    server = Server()

    call(
        runner,
        server,
        lambda client: client.request("PUT", "/files/f1", content="a,b", headers={"content-type": "text/csv"}),
    )

    (request,) = server.requests
    assert (request.content, request.headers["content-type"]) == (b"a,b", "text/csv")


@both_runners
@pytest.mark.parametrize(("idempotent", "attempts"), [(True, 2), (False, 1)])
def test_it_is_repeated_only_if_it_may_be(runner: ClientRunner, idempotent: bool, attempts: int) -> None:  # noqa: FBT001
    server = Server(502, 200)
    with contextlib.suppress(ServerError):
        call(runner, server, lambda client: client.request("POST", "/files", json={}, idempotent=idempotent))
    assert len(server.requests) == attempts


@both_runners
def test_its_errors_are_those_of_any_call(runner: ClientRunner) -> None:
    with pytest.raises(NotFound) as caught:
        call(runner, Server(404), lambda client: client.request("GET", "/files/none"))
    assert (caught.value.provider, caught.value.operation, caught.value.status) == ("acme", "request", 404)


@both_runners
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("GET", "https://evil.example/files"), "the path must begin with one slash"),
        (("GET", "//evil.example/files"), "the path must begin with one slash"),
        (("GET", "files"), "the path must begin with one slash"),
        (("GET /x", "/files"), "the method must be a name"),
        ((5, "/files"), "the method must be a name"),
    ],
)
def test_what_would_leave_the_backend_is_refused(runner: ClientRunner, arguments: Any, message: str) -> None:
    server = Server()
    with pytest.raises(UsageError, match=message):
        call(runner, server, lambda client: client.request(*arguments))
    assert server.requests == []


@both_runners
@pytest.mark.parametrize(
    "options", [{"json": 1, "content": b"x"}, {"headers": {"host": "x"}}, {"json": float("nan")}, {"timeout": -1}]
)
def test_what_cannot_be_sent_is_refused(runner: ClientRunner, options: dict[str, Any]) -> None:
    server = Server()
    with pytest.raises(UsageError):
        call(runner, server, lambda client: client.request("POST", "/files", **options))
    assert server.requests == []


def test_a_response_that_is_not_json_says_so() -> None:
    with pytest.raises(MalformedResponse, match="the body is not JSON") as caught:
        Response(200, {"x-request-id": "req-1"}, b"<html>").json()
    assert (caught.value.status, caught.value.request_id) == (200, "req-1")


class Polite(AcmeProvider):
    """Refuses with a success status."""

    def is_refusal(self, response: Response) -> bool:
        return b'"refused"' in response.content

    def read_error(self, response: Response) -> ErrorDetail:
        body = json.loads(response.content)
        return ErrorDetail(body["refused"], body.get("code"), status=body.get("status"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"refused": "no such thing", "status": 404}, NotFound),
        ({"refused": "wrong", "status": 400}, InvalidRequest),
        ({"refused": "wrong", "code": "busy"}, PolysessionError),
    ],
)
def test_a_refusal_inside_a_success_is_an_error(body: dict[str, Any], kind: type[PolysessionError]) -> None:
    exchange = Exchange(Polite(acme().settings))
    reply = Response(200, {}, json.dumps(body).encode())

    with pytest.raises(kind, match=body["refused"]) as caught:
        exchange.raise_for_outcome(Call("GET", "/x"), [reply], datetime.now(UTC))

    assert caught.value.status == 200
    fine = Response(200, {}, b"{}")
    assert exchange.raise_for_outcome(Call("GET", "/x"), [fine], datetime.now(UTC)) is fine


@pytest.mark.parametrize("client_type", [Client, AsyncClient])
def test_a_client_can_be_mocked_by_its_class(client_type: Any) -> None:
    mocked = create_autospec(client_type, instance=True)
    for part, method, arguments in (
        ("sessions", "get", ("s1",)),
        ("sessions", "list", ()),
        ("agents", "get", ("a1",)),
        ("environments", "get", ("e1",)),
        ("models", "list", ()),
    ):
        call = getattr(getattr(mocked, part), method)
        result = call(*arguments)
        if hasattr(result, "close") and client_type is AsyncClient and method == "get":
            result.close()
        with pytest.raises(TypeError):
            call(*arguments, colour="red")
    assert not hasattr(mocked.sessions, "of_tomorrow")


def test_a_mocked_client_returns_what_a_test_wants() -> None:
    mocked = create_autospec(Client, instance=True)
    mocked.sessions.get.return_value = Session(provider="acme", id="s1")
    assert mocked.sessions.get("s1").id == "s1"


@pytest.mark.parametrize("client_type", [Client, AsyncClient])
def test_the_annotations_of_a_client_resolve(client_type: Any) -> None:
    hints = typing.get_type_hints(client_type.__init__)
    assert "http_client" in hints
    assert typing.get_type_hints(client_type).keys() == {"sessions", "agents", "environments", "models"}
    for name in ("with_options", "request", "supports"):
        assert typing.get_type_hints(getattr(client_type, name))
