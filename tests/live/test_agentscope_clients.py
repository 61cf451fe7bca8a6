"""Many clients of the real AgentScope service, on one session and on fifty sessions."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from live.agentscope_service.model_scripts import echo_of
from live.agentscope_service.process import AgentScopeService
from polysession import AsyncClient, Client, Conflict, ModelConfig, Outcome, Session, SessionStatus, TurnResult

pytestmark = pytest.mark.evidence("agentscope", "live", by="agentscope")

LIMIT_S = 120.0


@dataclass(frozen=True)
class Shared:
    """A session that several clients use."""

    settings: dict[str, Any]
    session: Session

    @classmethod
    def new(cls, service: AgentScopeService) -> Shared:
        user_id = f"user-{uuid.uuid4().hex}"
        model = ModelConfig(id="scripted", type="openai_credential", credential_id=service.create_credential(user_id))
        agent_id = service.create_agent(user_id)
        settings: dict[str, Any] = {"base_url": service.base_url, "user_id": user_id}
        with Client("agentscope", **settings) as client:
            return cls(settings, client.sessions.create(agent=agent_id, title="T", model=model))

    def ask(self, text: str, transport: httpx.BaseTransport) -> TurnResult:
        """Return the result of a turn. A message that meets another turn is sent again."""
        with (
            httpx.Client(transport=transport) as http,
            Client("agentscope", http_client=http, **self.settings) as client,
        ):
            while True:
                try:
                    with client.sessions.run(self.session, text, deadline_s=LIMIT_S) as turn:
                        return turn.wait()
                except Conflict:
                    continue

    def rest(self) -> None:
        """Wait until the session is idle."""
        with Client("agentscope", **self.settings) as client:
            while client.sessions.get(self.session).status is not SessionStatus.IDLE:
                pass


class Held(httpx.BaseTransport):
    """Transport that holds a client's first message back until it may be sent.

    The client's stream is open in the meantime.
    """

    def __init__(self, may_go: Callable[[], None]) -> None:
        self._inner = httpx.HTTPTransport(trust_env=False)
        self._may_go: Callable[[], None] | None = may_go
        self.reached = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/chat/" and self._may_go is not None:
            self.reached.set()
            self._may_go()
            self._may_go = None
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("clients", [2, 4, 8])
@pytest.mark.parametrize("order", ["first to last", "last to first"])
def test_each_client_gets_its_own_of_sequential_turns(
    agentscope_service: AgentScopeService, clients: int, order: str
) -> None:
    """Other clients' turns run between the opening of a stream and its message."""
    shared = Shared.new(agentscope_service)
    texts = [f"client {number}" for number in range(clients)]
    numbers = list(range(clients)) if order == "first to last" else list(reversed(range(clients)))
    sent = [threading.Event() for _ in range(clients)]

    def release(number: int) -> Callable[[], None]:
        def wait() -> None:
            place = numbers.index(number)
            if place == 0:
                assert all_open.wait(LIMIT_S)
            else:
                assert sent[numbers[place - 1]].wait(LIMIT_S)
                shared.rest()

        return wait

    all_open = threading.Event()
    transports = [_Signalling(release(number), sent[number]) for number in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        answers = []
        for text, transport in zip(texts, transports, strict=True):
            answers.append(pool.submit(shared.ask, text, transport))
            assert transport.reached.wait(LIMIT_S)
        all_open.set()
        found = [answer.result().text for answer in answers]
    assert found == [echo_of(text) for text in texts]


class _Signalling(Held):
    """Transport that signals when its message was accepted."""

    def __init__(self, may_go: Callable[[], None], sent: threading.Event) -> None:
        super().__init__(may_go)
        self._sent = sent

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path == "/chat/" and response.status_code == httpx.codes.OK:
            self._sent.set()
        return response


@pytest.mark.parametrize("clients", [2, 4, 8])
def test_each_client_gets_its_own_of_simultaneous_turns(agentscope_service: AgentScopeService, clients: int) -> None:
    """All messages are sent at the same time.

    The service accepts one, and the others are repeated.
    """
    shared = Shared.new(agentscope_service)
    texts = [f"client {number}" for number in range(clients)]
    together = threading.Barrier(clients)

    def meet() -> None:
        together.wait(LIMIT_S)

    def ask(text: str) -> TurnResult:
        return shared.ask(text, Held(meet))

    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(ask, texts))
    assert [result.text for result in results] == [echo_of(text) for text in texts]


@pytest.mark.parametrize("clients", [2, 4, 8])
def test_each_async_client_gets_its_own_of_simultaneous_turns(
    agentscope_service: AgentScopeService, clients: int
) -> None:
    shared = Shared.new(agentscope_service)

    async def ask(text: str) -> str:
        async with AsyncClient("agentscope", **shared.settings) as client:
            while True:
                try:
                    async with client.sessions.run(shared.session, text, deadline_s=LIMIT_S) as turn:
                        return (await turn.wait()).text
                except Conflict:
                    continue

    async def ask_all() -> list[str]:
        return await asyncio.gather(*(ask(f"client {number}") for number in range(clients)))

    assert asyncio.run(ask_all()) == [echo_of(f"client {number}") for number in range(clients)]


@dataclass
class Counting(httpx.AsyncBaseTransport):
    """Transport that counts the calls by their kind."""

    calls: dict[str, int] = field(default_factory=dict)
    inner: httpx.AsyncHTTPTransport = field(
        default_factory=lambda: httpx.AsyncHTTPTransport(trust_env=False, limits=httpx.Limits(max_connections=200))
    )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kind = request.url.path.rpartition("/")[2] or request.url.path
        self.calls[kind] = self.calls.get(kind, 0) + 1
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def test_fifty_simultaneous_turns_complete_with_one_connection_each(
    agentscope_service: AgentScopeService, record_property: Callable[[str, object], None]
) -> None:
    shared = Shared.new(agentscope_service)
    transport = Counting()

    async def run_all() -> list[TurnResult]:
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncClient("agentscope", http_client=http, **shared.settings) as client,
        ):
            new: dict[str, Any] = {"agent": shared.session.agent_id, "title": "T", "model": shared.session.model}
            sessions = [await client.sessions.create(**new) for _ in range(50)]
            transport.calls.clear()

            async def run(number: int, session: Session) -> TurnResult:
                async with client.sessions.run(session, f"turn {number}", deadline_s=LIMIT_S) as turn:
                    return await turn.wait()

            return await asyncio.gather(*(run(number, session) for number, session in enumerate(sessions)))

    results = asyncio.run(run_all())
    failed = [result.error for result in results if result.outcome is not Outcome.COMPLETED]
    record_property("calls", transport.calls)
    record_property("failed", failed)
    for number, result in enumerate(results):
        # A busy service has too few connections to its database, and reports it.
        assert (result.text == echo_of(f"turn {number}")) or result.native_reason == "error"
    assert len(failed) <= 5
    assert transport.calls["stream"] == 50
