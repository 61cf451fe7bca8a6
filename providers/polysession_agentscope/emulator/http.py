"""How the AgentScope service reads requests and refuses them.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from polysession.emulation.emulator import Generation
from polysession_agentscope.emulator.bodies import Bodies
from polysession_agentscope.emulator.chat import ChatRunning
from polysession_agentscope.emulator.shapes import Json, Object, Problem, missing, problem
from polysession_agentscope.emulator.state import NotFound, SessionRunning, State

_RUNNING: Final = "Cannot modify session configuration while the session is running."
_STREAM_HEADERS: Final = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_NO_CONTENT: Final = 204
_NO_BODY: Final = object()


@dataclass(frozen=True, slots=True)
class Ask:
    """A valid request; a part that the operation does not have is empty."""

    user_id: str
    item_id: str
    agent_id: str
    query: Json
    body: Json


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: what it takes, and how it is answered.

    Attributes:
        answer: Gives the answer's content: the frames of a stream, or a JSON value.
        generations: Those that have it.
    """

    method: str
    path: str
    answer: Callable[[State, Ask], Json]
    status: int = 200
    query: Callable[[Bodies], Object] = lambda _: Object({})
    body: Callable[[Bodies], Object] | None = None
    agent_in_query: bool = False
    anonymous: bool = False
    generations: tuple[Generation, ...] = ("current", "legacy")


class ExactRoute(Route):
    """A route that does not answer HEAD, as the service's do not."""

    def __init__(self, operation: Operation, state: State) -> None:
        super().__init__(operation.path, _endpoint(operation, state), methods=[operation.method])
        self.methods = {operation.method}


class _Unprocessable(Exception):  # noqa: N818  (an answer of the service)
    """The request is not what the operation takes."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def _endpoint(operation: Operation, state: State) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            content = operation.answer(state, await _read(request, operation, state.generation.bodies))
        except _Unprocessable as refusal:
            return JSONResponse({"detail": refusal.problems}, 422)
        except NotFound as refusal:
            raise HTTPException(404, str(refusal)) from refusal
        except SessionRunning as refusal:
            raise HTTPException(409, _RUNNING) from refusal
        except ChatRunning as refusal:
            raise HTTPException(409, str(refusal)) from refusal
        if isinstance(content, AsyncIterator):
            return StreamingResponse(content, headers=_STREAM_HEADERS, media_type="text/event-stream")
        if operation.status == _NO_CONTENT:
            return Response(status_code=_NO_CONTENT, media_type="application/json")
        return JSONResponse(content, operation.status)

    return answer


async def _read(request: Request, operation: Operation, bodies: Bodies) -> Ask:
    """The parts of a request, checked in the service's order: unreadable JSON, header, query, body."""
    body = await _json_body(request) if operation.body else None
    problems: list[Problem] = []
    user_id = "" if operation.anonymous else _user_id(request, problems)
    agent_id = request.query_params.get("agent_id")
    if operation.agent_in_query and agent_id is None:
        problems.append(missing(("query", "agent_id")))
    query = operation.query(bodies).read(dict(request.query_params), ("query",), problems)
    if operation.body and body is _NO_BODY:
        problems.append(missing(("body",)))
    elif operation.body:
        body = operation.body(bodies).read(body, ("body",), problems)
    if problems:
        raise _Unprocessable(problems)
    return Ask(user_id, request.path_params.get("item_id", ""), agent_id or "", query, body)


async def _json_body(request: Request) -> Json:
    """The parsed body; a body that is not called JSON stays a string."""
    raw = await request.body()
    if not raw:
        return _NO_BODY
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        return raw.decode(errors="replace")
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        bad_json = problem("json_invalid", ("body", error.pos), "JSON decode error", {}, error=error.msg)
        raise _Unprocessable([bad_json]) from error
    except UnicodeDecodeError as error:
        raise HTTPException(400, "There was an error parsing the body") from error


def _user_id(request: Request, problems: list[Problem]) -> str:
    user_id = request.headers.get("x-user-id")
    if user_id is None:
        problems.append(missing(("header", "x-user-id")))
    elif not user_id:
        raise HTTPException(401, "X-User-ID header is required.")
    return user_id or ""


async def answer_refusal(_: Request, error: Exception) -> Response:
    """Answer an `HTTPException` in JSON, as FastAPI does."""
    assert isinstance(error, HTTPException)  # noqa: S101  (it is registered for nothing else)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
