"""A way to a service that is not ours, on which the faults of an emulator can be asked for."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from polysession._drivers.transport import tls_context
from polysession.emulation import serve_app
from polysession.emulation.faults import FaultMiddleware, Faults

_OF_ONE_CONNECTION: Final = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "content-length"})


@contextlib.contextmanager
def relay(base_url: str) -> Iterator[tuple[str, Faults]]:
    """Pass requests on to a service while the context is open.

    Args:
        base_url: The service's own.

    Yields:
        The base URL to use in its place, and the faults that its answers are to have.
    """
    parts = urlsplit(base_url)
    faults = Faults()
    with serve_app(FaultMiddleware(_Relay(f"{parts.scheme}://{parts.netloc}"), faults)) as origin:
        yield origin + parts.path, faults


class _Relay:
    def __init__(self, origin: str) -> None:
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        headers = [(name, value) for name, value in request.headers.items() if name not in _OF_ONE_CONNECTION]
        http = httpx.AsyncClient(trust_env=False, verify=tls_context(), timeout=None)  # noqa: S113  (the client's hold)
        content = await request.body()
        upstream = await http.send(
            http.build_request(request.method, self._origin + target, headers=headers, content=content or None),
            stream=True,
        )
        answer = StreamingResponse(_body(http, upstream), upstream.status_code)
        answer.raw_headers = [
            pair for pair in upstream.headers.raw if pair[0].lower().decode() not in _OF_ONE_CONNECTION
        ]
        return answer


async def _body(http: httpx.AsyncClient, upstream: httpx.Response) -> AsyncIterator[bytes]:
    async with http:
        try:
            async for chunk in upstream.aiter_raw():
                yield chunk
        finally:
            await upstream.aclose()
