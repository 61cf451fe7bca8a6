"""Reading of requests in the AgentScope emulator, and its error responses.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final

from polysession.emulation import Answer, ApiRequest, EventStream, Generation, Refusal, Route
from polysession_agentscope.emulator.bodies import Bodies
from polysession_agentscope.emulator.shapes import Json, Object, Problem, missing, problem
from polysession_agentscope.emulator.state import State

_STREAM_HEADERS: Final = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_NO_BODY: Final = object()


@dataclass(frozen=True, slots=True)
class ValidRequest:
    """The parts of a valid request. A part that the operation does not have is empty."""

    user_id: str
    item_id: str
    agent_id: str
    query: Json
    body: Json


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: its parameters and its response.

    Attributes:
        answer: Function that returns the response's content: a stream of frames, or a JSON value.
        generations: The generations that have it.
    """

    method: str
    path: str
    answer: Callable[[State, ValidRequest], Json]
    status: int = 200
    query: Callable[[Bodies], Object] = lambda _: Object({})
    body: Callable[[Bodies], Object] | None = None
    agent_in_query: bool = False
    anonymous: bool = False
    generations: tuple[Generation, ...] = ("current", "legacy")

    def route(self, state: State) -> Route:
        """Return the route of the operation."""

        def respond(request: ApiRequest) -> Json:
            content = self.answer(state, self._read(request, state.generation.bodies))
            return EventStream(content, _STREAM_HEADERS) if isinstance(content, AsyncGenerator) else content

        return Route(self.method, self.path, respond, self.status)

    def _read(self, request: ApiRequest, bodies: Bodies) -> ValidRequest:
        """Return the parts of a request.

        They are checked in the service's order: JSON syntax, header, query, body.
        """
        body = _json_body(request) if self.body else None
        problems: list[Problem] = []
        user_id = "" if self.anonymous else _user_id(request, problems)
        agent_id = request.query.get("agent_id")
        if self.agent_in_query and agent_id is None:
            problems.append(missing(("query", "agent_id")))
        query = self.query(bodies).read(dict(request.query), ("query",), problems)
        if self.body and body is _NO_BODY:
            problems.append(missing(("body",)))
        elif self.body:
            body = self.body(bodies).read(body, ("body",), problems)
        if problems:
            raise _unprocessable(problems)
        return ValidRequest(user_id, request.parameters.get("item_id", ""), agent_id or "", query, body)


def error_answer(refusal: Refusal, _request_id: str) -> Answer:
    """Return FastAPI's response for a refusal: one sentence, or a list of problems."""
    return Answer({"detail": refusal.details.get("problems", refusal.message)}, refusal.status)


def _unprocessable(problems: list[Problem]) -> Refusal:
    return Refusal(422, "The request does not match the operation.", problems=problems)


def _json_body(request: ApiRequest) -> Json:
    """Return the parsed body; a body without a JSON content type stays a string."""
    if not request.content:
        return _NO_BODY
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        return request.content.decode(errors="replace")
    try:
        return json.loads(request.content)
    except json.JSONDecodeError as error:
        bad_json = problem("json_invalid", ("body", error.pos), "JSON decode error", {}, error=error.msg)
        raise _unprocessable([bad_json]) from error
    except UnicodeDecodeError as error:
        raise Refusal(400, "There was an error parsing the body") from error


def _user_id(request: ApiRequest, problems: list[Problem]) -> str:
    user_id = request.headers.get("x-user-id")
    if user_id is None:
        problems.append(missing(("header", "x-user-id")))
    elif not user_id:
        raise Refusal(401, "X-User-ID header is required.")
    return user_id or ""
