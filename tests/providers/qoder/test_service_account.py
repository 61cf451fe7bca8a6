"""The key of a service account is exchanged for a token; Qoder's SDK judges the request."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from qca.common.service_account import ServiceAccountCredential

from polysession import AuthenticationFailed, Client, MalformedResponse, UsageError
from polysession._core.flow import Call
from polysession.emulation import serve
from polysession.testing.fault_server import FaultServer, http
from polysession_qoder import QoderProvider, QoderSettings
from polysession_qoder.service_account import exchange, exchange_of
from support.flows import ok, step

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = "sa-c4n4ry"
ISSUED: dict[str, Any] = {"access_token": "header.issued-c4n4ry.signature", "token_type": "Bearer", "expires_in": 3600}


def client_with_key(openapi: FaultServer) -> Client:
    return Client("qoder", service_account_key=KEY, base_url=openapi.url, openapi_url=openapi.url)


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
def test_an_answer_without_a_token_is_malformed_and_not_quoted(answer: Any) -> None:
    with (
        FaultServer(http(200, json.dumps(answer))) as openapi,
        pytest.raises(MalformedResponse) as caught,
        client_with_key(openapi) as client,
    ):
        client.sessions.get("sess_1")
    assert "c4n4ry" not in "".join(traceback.format_exception(caught.value))


def test_a_client_with_a_key_works_like_one_with_a_token() -> None:
    with serve("qoder") as emulator, FaultServer(http(200, json.dumps(ISSUED))) as openapi:
        settings = {"base_url": emulator.settings["base_url"], "openapi_url": openapi.url, "service_account_key": KEY}
        with Client("qoder", **settings) as client:
            session = client.sessions.create(agent=emulator.agent_id, environment=emulator.environment_id)
            assert client.sessions.ask(session, "hello", deadline_s=30).text == "You said: hello"
        assert len(openapi.requests) == 1


def test_a_key_that_is_refused_is_no_missing_session() -> None:
    with (
        FaultServer(http(404, "no such key")) as openapi,
        pytest.raises(AuthenticationFailed, match="no such key"),
        client_with_key(openapi) as client,
    ):
        client.sessions.get("sess_1")


def test_a_key_without_a_server_that_exchanges_it_is_a_usage_error() -> None:
    settings = QoderSettings(service_account_key=KEY, base_url="https://gateway.example")
    with pytest.raises(UsageError, match="needs openapi_url too"):
        QoderProvider(settings).authorise(Call("GET", "/sessions"), NOW)
    assert "authorization" not in QoderProvider(settings).headers()
