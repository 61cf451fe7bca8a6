"""A server with minimal cost: it sends prepared bytes, in another process."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.agentscope_bodies import AGENT_OF_MANY
from benchmarks.bodies import PACED, answers, stream_chunks

_ANSWERS: Final = {backend: answers(backend) for backend in ("qoder", "everruns", "agentscope")}
_LENGTH: Final = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_STREAM: Final = re.compile(r"(\d+)/(?:events/stream|sse|stream)")
_PAUSE_S: Final = 0.0001
"""Seconds before each event of a paced stream: long enough that the client waits. asyncio's own timers are coarser."""
_STREAM_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _with_head(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


_READY: Final = {
    (backend, name): _with_head(body) for backend, bodies in _ANSWERS.items() for name, body in bodies.items()
}


class _Connection(asyncio.Protocol):
    """Answers requests one after the other."""

    def __init__(self) -> None:
        self._received = b""
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._streaming: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._answer(head.split(b" ", 2)[1].decode())

    def connection_lost(self, _error: Exception | None) -> None:
        self._can_write.set()
        if self._streaming is not None:
            self._streaming.cancel()

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def _answer(self, target: str) -> None:
        backend = target.split("/", 2)[1]
        stream = _STREAM.search(target)
        if stream is not None:
            is_paced, events = divmod(int(stream[1]), PACED)
            chunks = stream_chunks(backend, events)
            self._streaming = asyncio.ensure_future(self._stream(chunks, _PAUSE_S if is_paced else 0))
            return
        self._transport.write(_READY[backend, _kind(target)])

    async def _stream(self, chunks: tuple[bytes, ...], pause_s: float) -> None:
        self._transport.write(_STREAM_HEAD)
        for chunk in chunks:
            due_s = time.perf_counter() + pause_s
            while time.perf_counter() < due_s:  # noqa: ASYNC110  (a wait for a time, not for an event)
                await asyncio.sleep(0)
            await self._can_write.wait()
            self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self._transport.write(b"0\r\n\r\n")


def _kind(target: str) -> str:
    """Return the name of the body that answers a request."""
    path = target.partition("?")[0].rstrip("/")
    if path.endswith("/messages"):
        return "messages"
    is_page = AGENT_OF_MANY in target if path.startswith("/agentscope") else path.endswith("/sessions")
    return "page" if is_page else "session"


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def served() -> Iterator[str]:
    """Run the server. Yields its URL without a path."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.server"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(_serve())
