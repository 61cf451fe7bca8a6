from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest

from polysession import (
    async_client,
    async_paginator,
    async_resource_operations,
    async_session_operations,
    client,
    paginator,
    resource_operations,
    session_operations,
)
from polysession.async_client import AsyncClient
from polysession.async_resource_operations import AsyncAgents, AsyncEnvironments, AsyncModels
from polysession.async_session_operations import AsyncSessions
from polysession.client import Client
from polysession.errors import MissingCredentials, UnsupportedOperation, UsageError
from polysession.feature import Feature, Support
from polysession.resources import Agent
from polysession.session import Cancellation, CancelState, Session
from support.acme import TOKEN, AcmeNewSession
from support.async_parity import outline
from support.client_runners import ASYNC, ClientRunner, Use, both_runners

pytestmark = pytest.mark.usefixtures("acme_installed")

TWINS = {
    "AsyncClient": "Client",
    "AsyncDriver": "SyncDriver",
    "AsyncHttpClient": "HttpClient",
    "AsyncIterator": "Iterator",
    "AsyncPaginator": "Paginator",
    "AsyncSessions": "Sessions",
    "AsyncAgents": "Agents",
    "AsyncEnvironments": "Environments",
    "AsyncModels": "Models",
    "AsyncTurn": "Turn",
    "AsyncOnAction": "OnAction",
    "AsyncOnCursor": "OnCursor",
    "AsyncEventStream": "EventStream",
    "async_stream": "sync_stream",
    "async with": "with",
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
}
SESSION = Session(provider="acme", id="s1", title="Ticket", source=b'{"id": "s1", "title": "Ticket"}')
AGENT = Agent(provider="acme", id="a1", name="helper", source=b'{"id": "a1", "name": "helper"}')


class Server:
    """Answers every request with the same JSON, and keeps the requests."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json=self.answer(request) if callable(self.answer) else self.answer)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode().removeprefix('/api')}" for request in self.requests]


def call(runner: ClientRunner, server: Server, use: Use) -> Any:
    return runner.call("acme", use, http_client=runner.http(server), token=TOKEN)


@pytest.mark.parametrize(
    ("blocking", "awaited"),
    [
        (client, async_client),
        (session_operations, async_session_operations),
        (resource_operations, async_resource_operations),
        (paginator, async_paginator),
    ],
    ids=lambda module: module.__name__,
)
def test_the_clients_are_counterparts(blocking: ModuleType, awaited: ModuleType) -> None:
    # __iter__ is left out: an async generator has no `yield from`.
    assert outline(awaited, TWINS, skip="__iter__") == outline(blocking, {}, skip="__iter__")


@pytest.mark.parametrize(
    "group",
    [AsyncSessions, AsyncAgents, AsyncEnvironments, AsyncModels],
)
def test_an_operation_is_awaited_unless_its_result_is_looped_over(group: type) -> None:
    for name, operation in vars(group).items():
        if not name.startswith("_"):
            lazy = inspect.signature(operation).return_annotation.startswith("Async")
            assert inspect.iscoroutinefunction(operation) is not lazy, name


@both_runners
@pytest.mark.parametrize(
    ("use", "asked", "body", "result"),
    [
        (
            lambda client: client.sessions.create(title="Ticket", native=AcmeNewSession(acme_region="eu")),
            "POST /sessions",
            {"title": "Ticket", "acme_region": "eu"},
            SESSION,
        ),
        (lambda client: client.sessions.get("s1"), "GET /sessions/s1", None, SESSION),
        (lambda client: client.sessions.get(SESSION), "GET /sessions/s1", None, SESSION),
        (
            lambda client: client.sessions.update(SESSION, title="Ticket"),
            "PATCH /sessions/s1",
            {"title": "Ticket"},
            SESSION,
        ),
        (lambda client: client.sessions.update("s1", title=None), "PATCH /sessions/s1", {"title": None}, SESSION),
        (lambda client: client.sessions.delete("s1"), "DELETE /sessions/s1", None, None),
        (lambda client: client.agents.delete("a1"), "DELETE /agents/a1", None, None),
        (
            lambda client: client.sessions.cancel("s1"),
            "POST /sessions/s1/cancel",
            None,
            Cancellation(provider="acme", session_id="s1", state=CancelState.REQUESTED, source=SESSION.source),
        ),
    ],
)
def test_a_verb_on_sessions_makes_its_call(runner: ClientRunner, use: Use, asked: str, body: Any, result: Any) -> None:
    server = Server(SESSION.raw)

    assert call(runner, server, use) == result
    assert server.asked == [asked]
    assert [json.loads(request.content) if request.content else None for request in server.requests] == [body]


@both_runners
@pytest.mark.parametrize(
    ("use", "asked", "body"),
    [
        (
            lambda client: client.agents.create(name="helper", model="m", system_prompt="Be brief.", description="d"),
            "POST /agents",
            {"name": "helper", "model": "m", "system_prompt": "Be brief.", "description": "d"},
        ),
        (lambda client: client.agents.get("a1"), "GET /agents/a1", None),
        (lambda client: client.agents.get(AGENT), "GET /agents/a1", None),
        (
            lambda client: client.agents.update(AGENT, name="helper", description=None),
            "PATCH /agents/a1",
            {"name": "helper", "description": None},
        ),
        (lambda client: client.agents.archive("a1"), "POST /agents/a1/archive", None),
    ],
)
def test_a_verb_on_agents_makes_its_call(runner: ClientRunner, use: Use, asked: str, body: Any) -> None:
    server = Server(AGENT.raw)

    assert call(runner, server, use) == AGENT
    assert server.asked == [asked]
    assert [json.loads(request.content) if request.content else None for request in server.requests] == [body]


FIELDS: dict[str, Callable[[Any], Any]] = {
    "create": lambda client: client.sessions.create,
    "list": lambda client: client.sessions.list,
    "update": lambda client: lambda **values: client.sessions.update("s1", **values),
    "agents.create": lambda client: lambda **values: client.agents.create(**{"name": "a"} | values),
    "agents.list": lambda client: client.agents.list,
    "agents.update": lambda client: lambda **values: client.agents.update("a1", **values),
}
FACE_OF: dict[str, Callable[..., Any]] = {
    "create": session_operations.Sessions.create,
    "list": session_operations.Sessions.list,
    "update": session_operations.Sessions.update,
    "agents.create": resource_operations.Agents.create,
    "agents.list": resource_operations.Agents.list,
    "agents.update": resource_operations.Agents.update,
}


@both_runners
@pytest.mark.parametrize(
    ("verb", "name"),
    [
        (verb, name)
        for verb, method in FACE_OF.items()
        for name in inspect.signature(method).parameters
        if name not in {"self", "session", "cursor"} and (verb, name) != ("agents.update", "agent")
    ],
)
def test_every_argument_is_passed_on_and_checked(runner: ClientRunner, verb: str, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        call(runner, Server({"data": []}), lambda client: FIELDS[verb](client)(**{name: object()}))


def two_pages(request: httpx.Request) -> dict[str, Any]:
    if request.url.params.get("cursor") == "2":
        return {"data": [{"id": "s3", "name": "s3"}]}
    return {"data": [{"id": "s1", "name": "s1"}, {"id": "s2", "name": "s2"}], "next": "2"}


async def ids_of_pages(pages: Any) -> list[list[str]]:
    """The ids on each page, by `pages()` of either runner."""
    if hasattr(pages, "__aiter__"):
        return [[item.id for item in page.items] async for page in pages.pages()]
    return [[item.id for item in page.items] for page in pages.pages()]


LISTS = pytest.mark.parametrize(
    ("path", "list_of"),
    [("/sessions", lambda client: client.sessions.list), ("/agents", lambda client: client.agents.list)],
)


@both_runners
@LISTS
def test_a_list_is_read_page_by_page_to_its_end(runner: ClientRunner, path: str, list_of: Use) -> None:
    server = Server(two_pages)

    items = call(runner, server, lambda client: list_of(client)(page_size=2))

    assert [item.id for item in items] == ["s1", "s2", "s3"]
    assert server.asked == [f"GET {path}?limit=2", f"GET {path}?limit=2&cursor=2"]


@both_runners
@LISTS
def test_nothing_is_read_before_the_loop(runner: ClientRunner, path: str, list_of: Use) -> None:
    server = Server(two_pages)

    call(runner, server, lambda client: type(list_of(client)()))

    assert server.asked == [], path


@both_runners
@LISTS
def test_one_page_tells_where_the_next_one_is(runner: ClientRunner, path: str, list_of: Use) -> None:
    server = Server(two_pages)

    page = call(runner, server, lambda client: list_of(client)().page())
    last = call(runner, server, lambda client: list_of(client)(cursor=page.next_cursor).page())

    assert ([item.id for item in page.items], page.next_cursor) == (["s1", "s2"], "2")
    assert ([item.id for item in last.items], last.next_cursor) == (["s3"], None)
    assert server.asked == [f"GET {path}", f"GET {path}?cursor=2"]


def test_pages_can_be_looped_over_and_each_loop_starts_anew() -> None:
    server = Server(two_pages)
    with Client("acme", http_client=httpx.Client(transport=httpx.MockTransport(server)), token=TOKEN) as acme:
        pages = acme.sessions.list()
        assert [asyncio.run(ids_of_pages(pages)) for _ in range(2)] == [[["s1", "s2"], ["s3"]]] * 2
        assert [session.id for session in pages] == [session.id for session in pages]


def test_async_pages_can_be_looped_over_and_each_loop_starts_anew() -> None:
    async def read() -> list[list[list[str]]]:
        http = httpx.AsyncClient(transport=httpx.MockTransport(Server(two_pages)))
        async with AsyncClient("acme", http_client=http, token=TOKEN) as acme:
            pages = acme.sessions.list()
            return [await ids_of_pages(pages) for _ in range(2)]

    assert asyncio.run(read()) == [[["s1", "s2"], ["s3"]]] * 2


@both_runners
def test_what_is_unsupported_is_told_before_anything_is_sent(runner: ClientRunner) -> None:
    server = Server(SESSION.raw)

    with pytest.raises(UnsupportedOperation, match=r"acme sessions\.archive: not supported"):
        call(runner, server, lambda client: client.sessions.archive("s1"))
    assert server.asked == []


@both_runners
def test_a_client_tells_who_it_is_and_what_it_can(runner: ClientRunner) -> None:
    answers = runner.call(
        "acme",
        lambda client: (
            repr(client),
            client.provider,
            client.supports(Feature.SESSIONS_GET),
            client.supports(Feature.SESSIONS_ARCHIVE),
        ),
        token=TOKEN,
        base_url="https://acme.example/v2/",
    )

    name = "AsyncClient" if runner is ASYNC else "Client"
    assert answers == (
        f"{name}('acme', base_url='https://acme.example/v2')",
        "acme",
        Support.NATIVE,
        Support.UNSUPPORTED,
    )


@both_runners
def test_the_provider_and_its_settings_may_come_from_the_environment(
    runner: ClientRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYSESSION_PROVIDER", "acme")
    monkeypatch.setenv("ACME_TOKEN", "from-environment")
    server = Server(SESSION.raw)

    runner.call("", lambda client: client.sessions.get("s1"), http_client=runner.http(server))

    assert server.requests[0].headers["authorization"] == "Bearer from-environment"


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_a_client_without_its_secret_is_not_made(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_TOKEN", raising=False)

    with pytest.raises(MissingCredentials, match="setting 'token' is missing"):
        client_class("acme")


@both_runners
def test_a_client_closes_the_http_client_that_it_made(runner: ClientRunner) -> None:
    client = runner.call("acme", lambda client: client, token=TOKEN)

    assert client._driver._holder._http.is_closed


@both_runners
def test_an_injected_http_client_stays_open(runner: ClientRunner) -> None:
    http = runner.http(Server(SESSION.raw))

    runner.call("acme", lambda client: client.sessions.get("s1"), http_client=http, token=TOKEN)

    assert not http.is_closed
