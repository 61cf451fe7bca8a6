"""Service accounts, on the emulator: a key is exchanged for a token, and again on expiry."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from qca.common.service_account import ServiceAccountCredential

from polysession import AsyncClient, AuthenticationFailed, Client, MalformedResponse, RetryPolicy, UsageError
from polysession._core.flow import Call
from polysession.emulation import EmulatorHandle, Fault, serve
from polysession.observing import ResponseReceived, hookimpl
from polysession.testing.fault_server import FaultServer, http
from polysession_qoder import QoderProvider, QoderSettings
from polysession_qoder.emulator import QoderEmulator
from polysession_qoder.emulator.service_accounts import ServiceAccounts
from polysession_qoder.service_account import exchange, exchange_of
from support.client_runners import ClientRunner, both_runners
from support.flows import ok, step

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = "sa-emulator"
ISSUED: dict[str, Any] = {"access_token": "header.issued-c4n4ry.signature", "token_type": "Bearer", "expires_in": 3600}
CALLERS = 5
AT_ONCE = RetryPolicy(attempts=4, first_wait_s=0.0, max_wait_s=0.05)


class Statuses:
    """An observer that records the status of each response."""

    def __init__(self) -> None:
        self.statuses: list[int | None] = []

    @hookimpl
    def polysession_after_response(self, response: ResponseReceived) -> None:
        self.statuses.append(response.status)


@pytest.fixture
def emulator() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


def accounts(emulator: EmulatorHandle) -> ServiceAccounts:
    assert isinstance(emulator.control, QoderEmulator)
    return emulator.control.service_accounts


def with_key(emulator: EmulatorHandle, **options: Any) -> dict[str, Any]:
    return {
        "base_url": emulator.base_url,
        "openapi_url": emulator.origin,
        "service_account_key": KEY,
        "retry": None,
        **options,
    }


async def new_session(client: Any, emulator: EmulatorHandle) -> Any:
    return await client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id)


def test_the_exchange_is_the_one_of_qoders_sdk() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=ISSUED)

    with httpx.Client(transport=httpx.MockTransport(answer)) as http_client:
        sdk = ServiceAccountCredential(sa_key=KEY, region="cn", scopes=["qca.access"], http_client=http_client)
        assert sdk.get_token() == ISSUED["access_token"]
    (theirs,) = sent
    base_url = "https://api.qoder.com.cn/api/v1/cloud"
    ours = next(exchange(KEY, str(exchange_of(base_url)), NOW))

    assert (ours.method, f"{ours.base_url}{ours.path}") == (theirs.method, str(theirs.url))
    assert json.loads(ours.body or b"") == json.loads(theirs.content)
    assert ours.headers["authorization"] == theirs.headers["authorization"]


@pytest.mark.parametrize("seconds", [3600, "3600"])
def test_a_token_expires_after_its_seconds(seconds: int | str) -> None:
    flow = exchange(KEY, "https://openapi.example", NOW)

    _, fetched = step(flow, ok({**ISSUED, "expires_in": seconds}))

    assert fetched.headers == {"authorization": "Bearer header.issued-c4n4ry.signature"}
    assert fetched.expires_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("answer", [{"expires_in": 60}, {"access_token": "issued-c4n4ry", "expires_in": "soon"}, []])
def test_a_response_without_a_token_is_malformed_and_not_quoted(answer: Any) -> None:
    with (
        FaultServer(http(200, json.dumps(answer))) as openapi,
        pytest.raises(MalformedResponse) as caught,
        Client("qoder", service_account_key=KEY, base_url=openapi.url, openapi_url=openapi.url) as client,
    ):
        client.sessions.get("sess_1")
    assert "c4n4ry" not in "".join(traceback.format_exception(caught.value))


@both_runners
def test_a_client_with_a_key_works_like_one_with_a_token(runner: ClientRunner, emulator: EmulatorHandle) -> None:
    async def scenario(client: Any) -> str:
        text: str = (await client.sessions.ask(await new_session(client, emulator), "hello", deadline_s=30)).text
        return text

    assert runner.play("qoder", scenario, **with_key(emulator)) == "You said: hello"
    assert accounts(emulator).issued == 1


@both_runners
def test_a_token_is_replaced_before_it_expires(runner: ClientRunner, emulator: EmulatorHandle) -> None:
    accounts(emulator).lifetime_s = 1
    answered = Statuses()

    async def scenario(client: Any) -> None:
        give_up_s = time.monotonic() + 30
        while accounts(emulator).issued < 3:
            assert time.monotonic() < give_up_s
            await client.sessions.pending_actions(await new_session(client, emulator))
            await asyncio.sleep(0.05)

    runner.play("qoder", scenario, **with_key(emulator, observers=[answered]))
    assert set(answered.statuses) == {200}


@both_runners
def test_a_revoked_token_is_replaced_once(runner: ClientRunner, emulator: EmulatorHandle) -> None:
    answered = Statuses()

    async def scenario(client: Any) -> None:
        await new_session(client, emulator)
        accounts(emulator).revoke_tokens()
        await new_session(client, emulator)

    runner.play("qoder", scenario, **with_key(emulator, observers=[answered]))
    assert answered.statuses == [200, 200, 401, 200, 200]
    assert accounts(emulator).issued == 2


@both_runners
def test_a_removed_key_raises_authentication_failed(runner: ClientRunner, emulator: EmulatorHandle) -> None:
    answered = Statuses()

    async def scenario(client: Any) -> None:
        await new_session(client, emulator)
        accounts(emulator).revoke_tokens()
        accounts(emulator).keys.clear()
        await new_session(client, emulator)

    with pytest.raises(AuthenticationFailed, match="Invalid service account key") as caught:
        runner.play("qoder", scenario, **with_key(emulator, observers=[answered]))
    assert answered.statuses == [200, 200, 401, 401]
    assert caught.value.request_id


@both_runners
def test_a_stream_is_opened_again_with_a_token_that_is_valid(runner: ClientRunner, emulator: EmulatorHandle) -> None:
    async def scenario(client: Any) -> Any:
        session = await new_session(client, emulator)
        async with client.sessions.run(session, "/slow 6", deadline_s=30) as turn:
            await anext(turn)
            accounts(emulator).revoke_tokens()
            emulator.faults.add(Fault("drop", path="/stream", at_byte=0))
            async for _ in turn:
                pass
            return turn.result.outcome

    emulator.faults.add(Fault("drop", path="/stream", at_byte=600))
    assert runner.play("qoder", scenario, **with_key(emulator, retry=AT_ONCE)) == "completed"
    assert accounts(emulator).issued == 2


def test_threads_share_one_exchange(emulator: EmulatorHandle) -> None:
    emulator.faults.add(Fault("stall", path="/exchange", seconds=0.3))
    begin = threading.Barrier(CALLERS)

    def read(client: Client) -> None:
        begin.wait(timeout=10)
        client.sessions.list().first()

    with Client("qoder", **with_key(emulator)) as client, ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(read, [client] * CALLERS))
    assert accounts(emulator).issued == 1


def test_tasks_share_one_exchange(emulator: EmulatorHandle) -> None:
    emulator.faults.add(Fault("stall", path="/exchange", seconds=0.3))

    async def scenario() -> None:
        async with AsyncClient("qoder", **with_key(emulator)) as client:
            await asyncio.gather(*(client.sessions.list().first() for _ in range(CALLERS)))

    asyncio.run(scenario())
    assert accounts(emulator).issued == 1


@both_runners
def test_a_busy_exchange_is_retried_and_a_refused_key_is_not(runner: ClientRunner, emulator: EmulatorHandle) -> None:
    emulator.faults.add(Fault("refuse", path="/exchange", status=503))
    runner.call("qoder", lambda client: client.models.list(), **with_key(emulator, retry=AT_ONCE))

    answered = Statuses()
    options = with_key(emulator, service_account_key="sa-other", retry=AT_ONCE, observers=[answered])
    with pytest.raises(AuthenticationFailed):
        runner.call("qoder", lambda client: client.models.list(), **options)
    assert answered.statuses == [401]


def test_a_refused_key_is_not_a_missing_session(emulator: EmulatorHandle) -> None:
    emulator.faults.add(Fault("refuse", path="/exchange", status=404))
    with pytest.raises(AuthenticationFailed, match="refuses"), Client("qoder", **with_key(emulator)) as client:
        client.sessions.get("sess_1")


def test_a_key_without_an_exchange_server_is_a_usage_error() -> None:
    settings = QoderSettings(service_account_key=KEY, base_url="https://gateway.example")
    with pytest.raises(UsageError, match="also needs openapi_url"):
        QoderProvider(settings).authorise(Call("GET", "/sessions"), NOW)
    assert "authorization" not in QoderProvider(settings).headers()
