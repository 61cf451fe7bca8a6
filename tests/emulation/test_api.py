"""The HTTP layer of emulators: routes, bodies, refusals, idempotency keys and streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from polysession.emulation import (
    HEARTBEAT,
    JSON_NULL,
    Answer,
    ApiRequest,
    EventStream,
    Idempotency,
    Refusal,
    Route,
    build_app,
    sse_frame,
)
from polysession.emulation.faults import ConnectionDropped

Json = dict[str, Any]


def error(refusal: Refusal, request_id: str) -> Answer:
    body = {"why": refusal.message, "request": request_id, **refusal.details}
    return Answer(body, refusal.status, media_type="application/problem+json")


def ask(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9") as http:
            return await http.request(method, path, **options)

    return asyncio.run(send())


def app_of(*routes: Route, **options: Any) -> ASGIApp:
    return build_app(routes, error=error, **options)


def test_a_value_is_answered_as_json_with_the_status_of_its_route() -> None:
    app = app_of(Route("POST", "/things", lambda _: {"é": 1}, 201), base_path="/api")

    response = ask(app, "POST", "/api/things")

    assert (response.status_code, response.headers["content-type"], response.json()) == (
        201,
        "application/json",
        {"é": 1},
    )


def test_an_answer_has_a_status_headers_and_a_media_type_of_its_own() -> None:
    answer = Answer("no", 418, {"x-why": "tea"}, "text/plain")

    response = ask(app_of(Route("GET", "/", lambda _: answer)), "GET", "/")

    assert (response.status_code, response.headers["x-why"], response.text) == (418, "tea", "no")
    assert response.headers["content-type"].startswith("text/plain")


def test_an_answer_without_a_body_is_empty() -> None:
    response = ask(app_of(Route("DELETE", "/a", lambda _: None, 204)), "DELETE", "/a")

    assert (response.status_code, response.content) == (204, b"")


def test_an_answer_may_be_null() -> None:
    response = ask(app_of(Route("DELETE", "/a", lambda _: Answer(JSON_NULL))), "DELETE", "/a")

    assert (response.status_code, response.headers["content-type"], response.content) == (
        200,
        "application/json",
        b"null",
    )


def test_a_handler_may_be_a_coroutine_function() -> None:
    async def slow(request: ApiRequest) -> Json:
        await asyncio.sleep(0)
        return {"id": request.parameters["id"]}

    assert ask(app_of(Route("GET", "/things/{id}", slow)), "GET", "/things/t%201").json() == {"id": "t 1"}


def test_a_handler_sees_the_whole_request() -> None:
    seen: list[ApiRequest] = []
    app = app_of(Route("POST", "/things/{id}", seen.append), base_path="/api")

    ask(app, "POST", "/api/things/t1?a=1&a=2", content=b'{"b": [1]}', headers={"X-Mine": "yes"})

    (request,) = seen
    assert (request.method, request.path, request.parameters, request.origin) == (
        "POST",
        "/api/things/t1",
        {"id": "t1"},
        "http://127.0.0.1:9",
    )
    assert request.query.getlist("a") == ["1", "2"]
    assert request.headers["x-mine"] == "yes"
    assert request.json() == {"b": [1]}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"NaN", b"[Infinity]", b'"\\ud83d"', b"\xff", b"[" * 100_000, b'{"a": -Infinity}']
)
def test_what_is_not_json_is_a_value_error(content: bytes) -> None:
    def handler(request: ApiRequest) -> Json:
        try:
            return {"read": request.json()}
        except ValueError:
            return {"refused": True}

    assert ask(app_of(Route("POST", "/", handler)), "POST", "/", content=content).json() == {"refused": True}


def refuse(_: ApiRequest) -> Any:
    raise Refusal(409, "busy", headers={"retry-after": "3"}, code="b1")


def test_a_refusal_gets_the_shape_of_the_backend() -> None:
    response = ask(app_of(Route("GET", "/", refuse)), "GET", "/", headers={"x-request-id": "r1"})

    assert response.status_code == 409
    assert response.json() == {"why": "busy", "request": "r1", "code": "b1"}
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.headers["retry-after"], response.headers["x-request-id"]) == ("3", "r1")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/b", 404), ("PUT", "/a", 405), ("HEAD", "/a", 405)])
def test_an_address_that_is_not_offered_is_refused_in_that_shape(method: str, path: str, status: int) -> None:
    response = ask(app_of(Route("GET", "/a", lambda _: {})), method, path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get("allow") == ("GET" if status == 405 else None)


def test_backends_without_request_ids_give_none() -> None:
    app = app_of(Route("GET", "/", refuse), request_ids=None)

    response = ask(app, "GET", "/", headers={"x-request-id": "r1"})

    assert response.json()["request"] == ""
    assert "x-request-id" not in response.headers


def admit(headers: Headers) -> None:
    if headers.get("key") != "k":
        raise Refusal(401, "who are you")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/a", {}, 401),
        ("/a", {"Key": "k"}, 200),
        ("/open", {}, 200),
        ("/unknown", {}, 401),
        ("/unknown", {"Key": "k"}, 404),
    ],
)
def test_only_open_routes_are_answered_without_a_credential(path: str, headers: dict[str, str], status: int) -> None:
    app = app_of(Route("GET", "/a", lambda _: {}), Route("GET", "/open", lambda _: {}, is_open=True), admit=admit)

    assert ask(app, "GET", path, headers=headers).status_code == status


@pytest.mark.parametrize(("redirects", "status"), [(True, 307), (False, 404)])
def test_slashes_are_redirected_where_the_backend_does_so(redirects: bool, status: int) -> None:  # noqa: FBT001
    app = app_of(Route("GET", "/a/", lambda _: {}), redirects_slashes=redirects)

    assert ask(app, "GET", "/a").status_code == status


def test_frames_are_streamed() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield sse_frame({"id": 1, "event": "a", "retry": None, "data": {"é": "x\ny"}})
        yield HEARTBEAT
        yield sse_frame({"data": "text"})

    response = ask(app_of(Route("GET", "/", lambda _: EventStream(frames()))), "GET", "/")

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.text == 'id: 1\nevent: a\ndata: {"é":"x\\ny"}\n\n: heartbeat\n\ndata: text\n\n'


def test_a_stream_is_closed_when_its_connection_breaks() -> None:
    closed: list[bool] = []
    broken: list[ConnectionDropped] = []

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            yield HEARTBEAT
        finally:
            closed.append(True)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionDropped

    async def serve_once() -> list[bool]:
        app = app_of(Route("GET", "/", lambda _: EventStream(frames())))
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        try:
            await app({**scope, "asgi": {"spec_version": "2.4"}}, receive, send)
        except ConnectionDropped as error:
            broken.append(error)  # its traceback keeps the generator in memory
        return list(closed)

    assert asyncio.run(serve_once()) == [True]
    assert broken


def counting(status: int = 200) -> Callable[[ApiRequest], Any]:
    calls: list[None] = []

    def count(_: ApiRequest) -> Any:
        calls.append(None)
        if status != 200:
            raise Refusal(status, "no")
        return {"count": len(calls)}

    return count


def keyed(*routes: Route) -> ASGIApp:
    keys = Idempotency(headers=("key", "old-key"), methods={"POST"}, mismatch=lambda: Refusal(422, "another request"))
    return app_of(*routes, idempotency=keys)


def counts(app: ASGIApp, *requests: tuple[str, str, dict[str, str], bytes]) -> list[Any]:
    answers = [ask(app, method, path, headers=headers, content=content) for method, path, headers, content in requests]
    return [answer.json().get("count", answer.status_code) for answer in answers]


def test_a_write_that_is_repeated_under_its_key_gets_the_first_answer() -> None:
    app = keyed(Route("POST", "/a", counting()))

    mine, old, other = {"Key": "1"}, {"Old-Key": "1"}, {"Key": "1", "Authorization": "x"}
    assert counts(
        app,
        ("POST", "/a", mine, b"{}"),
        ("POST", "/a", mine, b"{}"),
        ("POST", "/a", old, b"{}"),
        ("POST", "/a", other, b"{}"),
        ("POST", "/a", {}, b"{}"),
        ("POST", "/a", {}, b"{}"),
    ) == [1, 1, 1, 2, 3, 4]


def test_a_key_that_comes_with_another_request_is_refused() -> None:
    app = keyed(Route("POST", "/a", counting()), Route("POST", "/b", counting()))
    key = {"key": "1"}

    assert counts(app, ("POST", "/a", key, b"{}"), ("POST", "/a", key, b"[]"), ("POST", "/b", key, b"{}")) == [
        1,
        422,
        422,
    ]


def test_refused_writes_and_other_methods_run_again() -> None:
    app = keyed(Route("POST", "/a", counting(409)), Route("GET", "/a", counting()))
    key = {"key": "1"}

    assert counts(app, *[("POST", "/a", key, b"")] * 2, *[("GET", "/a", key, b"")] * 2) == [409, 409, 1, 2]
