"""A proxy in front of another service, which injects an emulator's faults into the responses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from polysession._drivers.environment import tls_context
from polysession.emulation import serve_app
from polysession.emulation.faults import FaultMiddleware, Faults

_OF_ONE_CONNECTION: Final = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "content-length"})


@contextlib.contextmanager
def proxy(base_url: str) -> Iterator[tuple[str, Faults]]:
    """Forward requests to a service while the context is open.

    Args:
        base_url: Base URL of the service.

    Yields:
        The base URL of the proxy, and the faults for the next responses.
    """
    parts = urlsplit(base_url)
    faults = Faults()
    with serve_app(FaultMiddleware(_Proxy(f"{parts.scheme}://{parts.netloc}"), faults)) as origin:
        yield origin + parts.path, faults


class _Proxy:
    def __init__(self, origin: str) -> None:
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request until its response is complete or the client has disconnected."""
        body = await Request(scope, receive).body()
        answering = asyncio.ensure_future(self._answer(scope, body, send))
        leaving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
            await asyncio.gather(leaving, answering, return_exceptions=True)
        if not answering.cancelled():
            answering.result()

    async def _answer(self, scope: Scope, body: bytes, send: Send) -> None:
        query = scope["query_string"].decode()
        target = self._origin + scope["raw_path"].decode() + (f"?{query}" if query else "")
        headers = [pair for pair in scope["headers"] if pair[0].decode() not in _OF_ONE_CONNECTION]
        async with (
            httpx.AsyncClient(trust_env=False, verify=tls_context(), timeout=None) as http,  # noqa: S113  (the client's)
            http.stream(scope["method"], target, headers=headers, content=body or None) as answer,
        ):
            kept = [pair for pair in answer.headers.raw if pair[0].lower().decode() not in _OF_ONE_CONNECTION]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
