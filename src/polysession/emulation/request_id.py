"""The response header with the id of a request, as backends send it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def _uuid() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class RequestIds:
    """How one backend gives ids to requests.

    Attributes:
        header: The header of each response that holds the id.
        new_id: Returns a new id.
        echoes: Whether an id that the client sends in that header is used.
    """

    header: str = "x-request-id"
    new_id: Callable[[], str] = _uuid
    echoes: bool = True


UUIDS: Final = RequestIds()
"""UUIDs in `x-request-id`, unless the client sends an id."""


class RequestIdMiddleware:
    """Puts an id on every response; `scope["request_id"]` holds it."""

    def __init__(self, app: ASGIApp, ids: RequestIds) -> None:
        self.app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(self._ids.header) if self._ids.echoes else None
        request_id = given or self._ids.new_id()
        scope["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[self._ids.header] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)
