"""The HTTP side of an emulator: builds an application from a table of routes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from polysession.emulation.answers import Answer, EventStream, Refusal, to_response
from polysession.emulation.faults import REFUSED, Fault
from polysession.emulation.idempotency import Idempotency
from polysession.emulation.request_id import UUIDS, RequestIdMiddleware, RequestIds


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A request to a route.

    Attributes:
        method: HTTP method.
        path: Decoded path, including the base path.
        parameters: Parameters in the path, by their names in the route.
        query: Query of the URL; a name may occur several times.
        headers: Headers; their names are case-insensitive.
        content: The body, unchanged.
        origin: Scheme, host and port in the client's URL.
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    query: QueryParams
    headers: Headers
    content: bytes
    origin: str

    def json(self) -> Any:
        """The body, decoded as strict JSON.

        Raises:
            ValueError: The body is not JSON. NaN, infinities and halves of surrogate pairs are not JSON.
        """
        try:
            value = json.loads(self.content)
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except RecursionError as error:
            raise ValueError("the body is nested too deeply") from error
        return value


Handler: TypeAlias = Callable[[ApiRequest], Any]
"""Answers a request: returns an `Answer`, an `EventStream`, or a JSON value to send with the route's status.

It may be a coroutine function. To answer with an error of the backend, it raises `Refusal`.
"""

ErrorShape: TypeAlias = Callable[[Refusal, str], Answer]
"""Turns a refusal into the backend's error body. The second argument is the request id; it may be empty."""


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP method of one path.

    Attributes:
        method: HTTP method. HEAD is not answered.
        path: Path below the base path, such as `/sessions/{id}`.
        handler: See `Handler`.
        status: HTTP status of the response if the handler returns a JSON value.
        is_open: Whether the route needs no credential.
    """

    method: str
    path: str
    handler: Handler = field(repr=False)
    status: int = 200
    is_open: bool = False


def build_app(
    routes: Iterable[Route],
    *,
    error: ErrorShape,
    base_path: str = "",
    admit: Callable[[Headers], None] | None = None,
    idempotency: Idempotency | None = None,
    request_ids: RequestIds | None = UUIDS,
    redirects_slashes: bool = False,
) -> ASGIApp:
    """Build the application that answers these routes, and refuses all other requests.

    Args:
        routes: The routes. The first route that matches a request answers it.
        error: See `ErrorShape`. It also shapes the errors for unknown paths (404) and methods (405).
        base_path: Prefix of each path.
        admit: Checks the headers of each request, and raises `Refusal` for a caller without access.
        idempotency: How writes are repeated; None if the backend has no idempotency keys.
        request_ids: The request ids of the responses; None if the backend sends none.
        redirects_slashes: Whether a path with a missing or an extra slash at its end is redirected, as FastAPI does.
    """
    site = _Site(error, admit, idempotency)
    app = Starlette(
        routes=[site.route(route, base_path) for route in routes],
        exception_handlers={Refusal: site.refuse, HTTPException: site.refuse_address},
    )
    app.router.redirect_slashes = redirects_slashes
    return app if request_ids is None else RequestIdMiddleware(app, request_ids)


class _Site:
    """Answers each request to one application."""

    def __init__(
        self, error: ErrorShape, admit: Callable[[Headers], None] | None, idempotency: Idempotency | None
    ) -> None:
        self._error = error
        self._admit = admit
        self._idempotency = idempotency

    def route(self, route: Route, base_path: str) -> StarletteRoute:
        """Return a route of the application."""
        built = StarletteRoute(base_path + route.path, self._endpoint(route), methods=[route.method])
        built.methods = {route.method}  # Starlette adds HEAD to GET
        return built

    def refuse(self, request: Request, refusal: Exception) -> Response:
        """Answer with a refusal in the backend's shape."""
        assert isinstance(refusal, Refusal)  # noqa: S101  (it is registered for nothing else)
        answer = self._error(refusal, request.scope.get("request_id", ""))
        return to_response(Answer(answer.body, answer.status, {**refusal.headers, **answer.headers}, answer.media_type))

    def refuse_address(self, request: Request, error: Exception) -> Response:
        """Refuse an unknown path or method; without a credential, the error does not say which one it is."""
        assert isinstance(error, HTTPException)  # noqa: S101  (it is registered for nothing else)
        try:
            self._check(request)
        except Refusal as refusal:
            return self.refuse(request, refusal)
        return self.refuse(request, Refusal(error.status_code, error.detail, headers=error.headers))

    def _endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def respond(http: Request) -> Response:
            fault: Fault | None = http.scope.get(REFUSED)
            if fault is not None:
                headers = {"retry-after": fault.retry_after} if fault.retry_after else None
                raise Refusal(fault.status, "A fault refuses this request.", headers=headers)
            if not route.is_open:
                self._check(http)
            request = await _read(http)

            async def run() -> Answer | EventStream:
                return await _run(route, request)

            if self._idempotency is None:
                return to_response(await run())
            return to_response(
                await self._idempotency.answer(request.method, request.path, request.headers, request.content, run)
            )

        return respond

    def _check(self, request: Request) -> None:
        if self._admit is not None:
            self._admit(request.headers)


async def _read(http: Request) -> ApiRequest:
    return ApiRequest(
        method=http.method,
        path=http.scope["path"],
        parameters=http.path_params,
        query=http.query_params,
        headers=http.headers,
        content=await http.body(),
        origin=str(http.base_url).rstrip("/"),
    )


async def _run(route: Route, request: ApiRequest) -> Answer | EventStream:
    answer = route.handler(request)
    if inspect.isawaitable(answer):
        answer = await answer
    return answer if isinstance(answer, Answer | EventStream) else Answer(answer, route.status)
