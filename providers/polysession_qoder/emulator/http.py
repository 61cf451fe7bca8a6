"""The Qoder emulator's way from HTTP to its handlers and back: credentials, bodies, idempotency, errors.

Backend: https://docs.qoder.com/cloud-agents/api/conventions/overview, /authentication and /idempotency beside it
(read 2026-11)
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from polysession.emulation.emulator import Generation
from polysession_qoder.emulator.rules import Json, Refusal, conflict, invalid
from polysession_qoder.emulator.shapes import error_shape

BODY_LIMIT_BYTES = 4 * 1024 * 1024

_STATUS_CODES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "not_found_error": 404,
    "conflict_error": 409,
}
_IDEMPOTENCY_HEADERS = ("idempotency-key", "x-idempotency-key")
_WRITES = frozenset({"POST", "DELETE"})
_LISTS = frozenset({"statuses", "types", "event_deltas"})
_NUMBERS = frozenset({"limit", "version", "agent_version"})
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_FLAGS = {"true": True, "false": False}
_NOT_JSON = "Request body must be valid JSON."


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler is asked.

    Attributes:
        path: The ids in the path.
        query: The query, its values as the JSON types that they stand for.
        body: The JSON body; empty if there was none.
        betas: Names of the beta features that the caller opts into.
    """

    path: Mapping[str, str]
    query: Json
    body: Json
    betas: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers."""

    body: Json
    status: int = 200


Handler = Callable[[Call], Answer]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _Kept:
    request: tuple[str, str, bytes]
    answer: Answer


class Replays:
    """Answers to writes that carried an idempotency key, to give again when the same write is repeated.

    Only successes are kept: a request that was refused changed nothing, so it may run again. They are kept as long as
    the emulator runs.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    def answer(self, request: Request, raw: bytes, run: Callable[[], Answer]) -> Answer:
        """The kept answer, or else the one that `run` gives."""
        key = next((request.headers[name] for name in _IDEMPOTENCY_HEADERS if name in request.headers), None)
        if key is None or request.method not in _WRITES:
            return run()
        scope = (request.headers["authorization"], key)
        received = (request.method, request.url.path, raw)
        if scope not in self._kept:
            self._kept[scope] = _Kept(received, run())
        kept = self._kept[scope]
        if kept.request != received:
            raise conflict("Idempotency key reused with a different request body.")
        return kept.answer


def endpoint(handler: Handler, replays: Replays) -> Endpoint:
    """An endpoint that runs a handler."""

    async def respond(request: Request) -> Response:
        raw = await request.body()
        answer = replays.answer(request, raw, lambda: handler(_read_call(request, raw)))
        return JSONResponse(answer.body, answer.status)

    return respond


def raw_endpoint(handler: Callable[[Request, Call], Response]) -> Endpoint:
    """An endpoint whose handler makes the response itself, such as a stream."""

    async def respond(request: Request) -> Response:
        return handler(request, _read_call(request, await request.body()))

    return respond


class RequireToken:
    """Answers 401 unless the request carries a bearer token that looks like one of the backend's."""

    def __init__(self, app: ASGIApp, generation: Generation) -> None:
        self._app = app
        self._generation = generation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and not _is_authentic(Headers(scope=scope).get("authorization", "")):
            refusal = Refusal("authentication_error", "Invalid API key or token.")
            await error_response(refusal, scope, self._generation)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_authentic(authorization: str) -> bool:
    scheme, _, token = authorization.partition(" ")
    parts = token.split(".")
    is_jwt = len(parts) == len(("header", "payload", "signature")) and all(parts)
    return scheme.lower() == "bearer" and (token.startswith("pt-") or is_jwt)


def error_response(refusal: Refusal, scope: Scope, generation: Generation) -> JSONResponse:
    """An error body with the status that its type stands for."""
    return JSONResponse(error_shape(refusal, scope["request_id"], generation), _STATUS_CODES[refusal.type])


def exception_handlers(generation: Generation) -> dict[Any, Callable[[Request, Any], Response]]:
    """How refusals, unknown paths and unknown methods are answered."""

    def refuse(request: Request, refusal: Refusal) -> Response:
        return error_response(refusal, request.scope, generation)

    def refuse_route(request: Request, error: HTTPException) -> Response:
        error_type = (
            "not_found_error" if error.status_code == _STATUS_CODES["not_found_error"] else "invalid_request_error"
        )
        refusal = Refusal(error_type, f"{request.method} {request.url.path} is not offered.")
        shape = error_shape(refusal, request.scope["request_id"], generation)
        return JSONResponse(shape, error.status_code, error.headers)

    return {Refusal: refuse, HTTPException: refuse_route}


def _read_call(request: Request, raw: bytes) -> Call:
    # Several betas come as one header with commas, or as several headers.
    betas = ",".join(request.headers.getlist("x-qoder-beta")).split(",")
    return Call(
        path=request.path_params,
        query=_read_query(request.query_params),
        body=_read_body(raw) if raw else {},
        betas=frozenset(beta.strip() for beta in betas),
    )


def _read_query(params: QueryParams) -> Json:
    """Text to JSON types, where the text fits; where it does not, the rules refuse the text."""
    query: Json = {}
    for name, text in params.multi_items():
        plain_name = name.removesuffix("[]")
        if plain_name in _LISTS:
            query.setdefault(plain_name, []).extend(text.split(","))
        elif name in _NUMBERS and _NUMBER.fullmatch(text):
            query[name] = int(text)
        else:
            query[name] = _FLAGS.get(text, text) if name == "include_archived" else text
    return query


def _read_body(raw: bytes) -> Json:
    if len(raw) > BODY_LIMIT_BYTES:
        # The backend cuts a longer body, so that what is left is not JSON.
        raise invalid(_NOT_JSON)
    try:
        body = json.loads(raw)
        # Refuses what Python reads and JSON does not have: NaN, infinities, halves of surrogate pairs.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise invalid(_NOT_JSON) from error
    if not isinstance(body, dict):
        raise invalid("Request body must be a JSON object.")
    return body
