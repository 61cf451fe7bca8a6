from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from polysession.emulation import RequestIdMiddleware, RequestIds
from polysession.emulation.request_id import UUIDS


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the request id that the scope holds, or `None`."""
    del receive
    body = str(scope.get("request_id")).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def answer(headers: dict[str, str], ids: RequestIds = UUIDS) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(RequestIdMiddleware(echo, ids))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.get("/", headers=headers)

    return asyncio.run(ask())


def test_the_id_of_the_caller_comes_back() -> None:
    response = answer({"X-Request-Id": "mine"})

    assert (response.headers["x-request-id"], response.text) == ("mine", "mine")


def test_without_one_a_uuid_is_made() -> None:
    response = answer({})

    assert uuid.UUID(response.headers["x-request-id"]) == uuid.UUID(response.text)


def test_a_backend_has_its_own_header_and_ids() -> None:
    response = answer({"request-id": "mine"}, RequestIds("request-id", lambda: "req_1", echoes=False))

    assert (response.headers["request-id"], response.text) == ("req_1", "req_1")
    assert "x-request-id" not in response.headers


def test_what_is_not_http_is_passed_on_untouched() -> None:
    sent: list[Any] = []

    async def collect(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        await RequestIdMiddleware(echo, UUIDS)({"type": "lifespan"}, asyncio.Future, collect)

    asyncio.run(ask())
    assert sent[1]["body"] == b"None"
    assert sent[0]["headers"] == []
