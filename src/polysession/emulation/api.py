"""The HTTP side of an emulator: a table of routes becomes an application."""

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
    """A request that a route accepts.

    Attributes:
        method: HTTP method.
        path: Path with the base path, decoded.
        parameters: Parts of the path, by their names in the route.
        query: Query of the address; a name may occur several times.
        headers: Headers; names are looked up in any case.
        content: The body, as it came.
        origin: Scheme, host and port that the caller used.
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    query: QueryParams
    headers: Headers
    content: bytes
    origin: str

    def json(self) -> Any:
        """The body, read strictly.

        Raises:
            ValueError: It is not JSON. NaN, infinities and halves of surrogate pairs are not JSON.
        """
        try:
            value = json.loads(self.content)
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except RecursionError as error:
            raise ValueError("the body is nested too deeply") from error
        return value


Handler: TypeAlias = Callable[[ApiRequest], Any]
"""Answers a request: gives an `Answer`, an `EventStream`, or a JSON value for an answer with the route's status.

It may be a coroutine function. It raises `Refusal` for an error of the backend.
"""

ErrorShape: TypeAlias = Callable[[Refusal, str], Answer]
"""Gives a refusal the backend's shape; the second argument is the request id, empty if the backend has none."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        method: HTTP method. HEAD is not answered.
        path: Path below the base path, such as `/sessions/{id}`.
        handler: See `Handler`.
        status: Status of the answer if the handler gives a JSON value.
        is_open: Whether it is answered without a credential.
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
    """The application that answers routes, and refuses everything else.

    Args:
        routes: What is offered. The first route that fits a request answers it.
        error: See `ErrorShape`. Unknown paths (404) and methods (405) are refusals, too.
        base_path: Stands before each path.
        admit: Checks the headers of each request, and raises `Refusal` for a caller that is not let in.
        idempotency: How writes are repeated; None if the backend has no idempotency keys.
        request_ids: The ids that answers carry; None if the backend gives none.
        redirects_slashes: Whether a path with a slash too many or too few is redirected, as FastAPI does.
    """
    site = _Site(error, admit, idempotency)
    app = Starlette(
        routes=[site.route(route, base_path) for route in routes],
        exception_handlers={Refusal: site.refuse, HTTPException: site.refuse_address},
    )
    app.router.redirect_slashes = redirects_slashes
    return app if request_ids is None else RequestIdMiddleware(app, request_ids)


class _Site:
    """How each request to one application is answered."""

    def __init__(
        self, error: ErrorShape, admit: Callable[[Headers], None] | None, idempotency: Idempotency | None
    ) -> None:
        self._error = error
        self._admit = admit
        self._idempotency = idempotency

    def route(self, route: Route, base_path: str) -> StarletteRoute:
        """A route of the application."""
        built = StarletteRoute(base_path + route.path, self._endpoint(route), methods=[route.method])
        built.methods = {route.method}  # Starlette adds HEAD to GET
        return built

    def refuse(self, request: Request, refusal: Exception) -> Response:
        """Answer a refusal in the backend's shape."""
        assert isinstance(refusal, Refusal)  # noqa: S101  (it is registered for nothing else)
        answer = self._error(refusal, request.scope.get("request_id", ""))
        return to_response(Answer(answer.body, answer.status, {**refusal.headers, **answer.headers}, answer.media_type))

    def refuse_address(self, request: Request, error: Exception) -> Response:
        """Answer a path or a method that is not offered; a caller without a credential does not learn which."""
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
