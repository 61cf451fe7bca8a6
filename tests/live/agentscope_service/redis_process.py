"""A Redis of its own for the first AgentScope service, which keeps everything there."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_READY_LIMIT_S: Final = 10.0


@contextlib.contextmanager
def serve_redis(workdir: Path) -> Iterator[int]:
    """Run `redis-server` on a free loopback port while the context is open; gives the port.

    Raises:
        RuntimeError: There is none, or it does not answer.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError(
            "redis-server is not on the PATH: install it (Debian: redis-server), it is only used to record"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(workdir)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)  # noqa: S603  (ours, from the PATH)
    try:
        deadline_s = time.monotonic() + _READY_LIMIT_S
        while not _answers(port):
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"redis-server did not answer in {_READY_LIMIT_S} s")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(7).startswith(b"+PONG")
    return False
