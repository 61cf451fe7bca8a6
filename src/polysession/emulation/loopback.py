"""A uvicorn server that stops at once. Importing it needs the extra `emulator`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_DATE_PERIOD_S: Final = 1.0
"""Seconds between two updates of the `date` header."""
_ACCEPTING: Final = 3
"""Iterations of the event loop after which uvicorn knows each accepted connection. asyncio needs two."""


class LoopbackServer(uvicorn.Server):
    """Serves an application until `stop`, then closes all open connections.

    uvicorn itself checks every 0.1 seconds whether it has to stop, and whether connections are still open.

    Args:
        app: The application.

    Attributes:
        is_settled: Set as soon as the server serves, or has ended without serving.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="critical",  # a fault on request, and a fault of the backend, are raised: no news to the user
                lifespan="off",
                ws="none",
                server_header=False,
            )
        )
        self.is_settled: threading.Event = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `stop`."""
        try:
            super().run(sockets)
        finally:
            self.is_settled.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        self.is_settled.set()

    def stop(self) -> None:
        """End the server's thread. May be called from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the server has already ended
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        """Renew the `date` header until the server has to stop."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _DATE_PERIOD_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  (uvicorn's signature)
        """Close the connections, and cancel the tasks that answer them."""
        await self._stop_listening()
        tasks = set(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in set(self.server_state.connections):
            connection.transport.abort()

    async def _stop_listening(self) -> None:
        """Close the listening sockets, after uvicorn knows each accepted connection.

        asyncio leaves a connection open whose listening socket is closed in between.
        """
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):  # an event loop that has no readers
            for listening in self.servers:
                for listener in listening.sockets:
                    loop.remove_reader(listener)
        for _ in range(_ACCEPTING):
            await asyncio.sleep(0)
        for listening in self.servers:
            listening.close()
