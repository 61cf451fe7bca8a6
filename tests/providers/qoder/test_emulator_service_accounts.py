"""Qoder's SDK exchanges keys with the emulator; the tests check the other fields.

Backend: https://pypi.org/project/qca-sdk/0.11.0/ (read 2026-11)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import qca
from qca.common.service_account import AsyncServiceAccountCredential, ServiceAccountCredential

from polysession.emulation import EmulatorHandle, serve
from polysession_qoder.emulator import QoderEmulator
from polysession_qoder.emulator.service_accounts import EXCHANGE_PATH, ServiceAccounts

pytestmark = pytest.mark.evidence("qoder", "judge", by="qca-sdk")

KEY = "sa-emulator"
WANTED = {"grant_type": "client_credentials", "audience": "qoder", "scope": "qca.access", "ttl_seconds": 3600}


class ToEmulator(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that redirects Qoder's host to the emulator. Records URLs and statuses."""

    def __init__(self, origin: str) -> None:
        self._origin = httpx.URL(origin)
        self._blocking = httpx.HTTPTransport()
        self._awaited = httpx.AsyncHTTPTransport()
        self.answers: list[tuple[str, int]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._recorded(request.url, self._blocking.handle_request(self._redirected(request)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._recorded(request.url, await self._awaited.handle_async_request(self._redirected(request)))

    def _redirected(self, request: httpx.Request) -> httpx.Request:
        url = request.url.copy_with(scheme="http", host=self._origin.host, port=self._origin.port)
        return httpx.Request(request.method, url, headers=request.headers, stream=request.stream)

    def _recorded(self, url: httpx.URL, response: httpx.Response) -> httpx.Response:
        self.answers.append((str(url), response.status_code))
        return response

    def close(self) -> None:
        self._blocking.close()

    async def aclose(self) -> None:
        await self._awaited.aclose()


@pytest.fixture
def transport(handle: EmulatorHandle) -> Iterator[ToEmulator]:
    led = ToEmulator(handle.origin)
    yield led
    led.close()


@pytest.fixture
def handle() -> Iterator[EmulatorHandle]:
    with serve("qoder") as served:
        yield served


def accounts(handle: EmulatorHandle) -> ServiceAccounts:
    assert isinstance(handle.control, QoderEmulator)
    return handle.control.service_accounts


def credential(transport: ToEmulator, **options: Any) -> ServiceAccountCredential:
    values: dict[str, Any] = {"sa_key": KEY, "region": "global", "scopes": ["qca.access"], **options}
    return ServiceAccountCredential(**values, http_client=httpx.Client(transport=transport))


def test_the_sdk_works_with_a_key(handle: EmulatorHandle, transport: ToEmulator) -> None:
    with httpx.Client(trust_env=False) as http:
        client = qca.Managed(
            base_url=handle.base_url, credential=credential(transport), max_retries=0, http_client=http
        )
        for _ in range(2):
            client.sessions.create(agent=handle.agent_id, environment_id=str(handle.environment_id))

    assert transport.answers == [(f"https://openapi.qoder.sh{EXCHANGE_PATH}", 200)]


def test_the_sdk_works_with_a_key_in_async_code(handle: EmulatorHandle) -> None:
    async def scenario() -> None:
        http = httpx.AsyncClient(transport=ToEmulator(handle.origin))
        key = AsyncServiceAccountCredential(sa_key=KEY, region="cn", scopes=["qca.access"], http_client=http)
        async with http, httpx.AsyncClient(trust_env=False) as http_client:
            client = qca.AsyncManaged(base_url=handle.base_url, credential=key, max_retries=0, http_client=http_client)
            await client.sessions.create(agent=handle.agent_id, environment_id=str(handle.environment_id))

    asyncio.run(scenario())
    assert accounts(handle).issued == 1


def test_the_sdk_exchanges_the_key_again_before_its_token_expires(
    handle: EmulatorHandle, transport: ToEmulator
) -> None:
    key = credential(transport, ttl_seconds=1)
    first = key.get_token()
    give_up_s = time.monotonic() + 30
    while (second := key.get_token()) == first:
        assert time.monotonic() < give_up_s
        time.sleep(0.05)
    assert accounts(handle).issued == 2
    assert get_models(handle, second).status_code == 200


def test_a_token_is_refused_after_its_lifetime(handle: EmulatorHandle) -> None:
    accounts(handle).lifetime_s = 1
    token = exchange(handle).json()["access_token"]
    assert get_models(handle, token).status_code == 200
    give_up_s = time.monotonic() + 30
    while get_models(handle, token).status_code == 200:
        assert time.monotonic() < give_up_s
        time.sleep(0.05)
    assert get_models(handle, token).json()["error"]["type"] == "authentication_error"


def test_the_sdk_reads_a_refusal(transport: ToEmulator) -> None:
    with pytest.raises(qca.AuthenticationError) as caught:
        credential(transport, sa_key="sa-other").get_token()
    assert caught.value.request_id
    assert [status for _, status in transport.answers] == [401]


def test_the_response_has_the_fields_of_an_exchange(handle: EmulatorHandle) -> None:
    before = datetime.now(UTC)
    issued = exchange(handle, ttl_seconds=60).json()

    assert issued.keys() == {"access_token", "token_type", "expires_in", "expires_at"}
    assert len(issued["access_token"].split(".")) == 3
    assert (issued["token_type"], issued["expires_in"]) == ("Bearer", 60)
    lifetime = datetime.fromisoformat(issued["expires_at"]) - before
    assert timedelta(seconds=60) <= lifetime < timedelta(seconds=90)
    assert "expires_in" in exchange(handle, ttl_seconds=None).json()


@pytest.mark.parametrize(
    "change",
    [{"grant_type": "password"}, {"audience": ""}, {"scope": "other"}, {"ttl_seconds": 43_201}, {"ttl_seconds": 0}],
    ids=str,
)
def test_an_exchange_for_something_else_is_invalid(handle: EmulatorHandle, change: dict[str, Any]) -> None:
    refused = exchange(handle, **change)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, next(iter(change)))
    assert accounts(handle).issued == 0


def test_the_legacy_generation_has_no_service_accounts() -> None:
    with serve("qoder", generation="legacy") as handle:
        assert exchange(handle).status_code == 401


def exchange(handle: EmulatorHandle, **changes: Any) -> httpx.Response:
    body = {name: value for name, value in {**WANTED, **changes}.items() if value is not None}
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.post(handle.origin + EXCHANGE_PATH, json=body, headers=headers, trust_env=False)


def get_models(handle: EmulatorHandle, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.get(f"{handle.base_url}/models", headers=headers, trust_env=False)
