"""Runs the ADK API server in a process of its own, in the virtual environment that holds it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import httpx

HERE: Final = Path(__file__).parent
_START_LIMIT_S: Final = 60.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class AdkServer:
    """A server that can be killed and started again on the same port, with the same sessions.

    Attributes:
        python: Interpreter of the environment that holds it.
        workdir: Where it keeps sessions and its log.
        storage: Where it keeps sessions: in a SQLite file, or in memory.
        port: Its TCP port on 127.0.0.1.
    """

    python: Path
    workdir: Path
    storage: Literal["sqlite", "memory"] = "sqlite"
    port: int = field(default_factory=_free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            AssertionError: It does not.
        """
        database = f"sqlite:///{self.workdir / 'sessions.db'}"
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--artifact_service_uri", "memory://"]
        arguments += ["--session_service_uri", database if self.storage == "sqlite" else "memory://"]
        arguments += ["--memory_service_uri", "memory://", str(HERE / "agents")]
        environment = {
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OTEL_SDK_DISABLED": "true",
            "HOME": str(self.workdir),
        }
        with (self.workdir / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (the server that is under judgement)
                [self.python.parent / "adk", "api_server", *arguments],
                cwd=self.workdir,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._wait_until_healthy()

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _wait_until_healthy(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + _START_LIMIT_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.base_url}/health", trust_env=False).is_success:
                    return
            log = (self.workdir / "server.log").read_text()[-2000:]
            assert self._process.poll() is None, f"the server ended: {log}"
            assert time.monotonic() < deadline_s, f"the server did not start: {log}"
            time.sleep(0.1)


@contextlib.contextmanager
def serve_adk(python: Path, workdir: Path, storage: Literal["sqlite", "memory"] = "sqlite") -> Iterator[AdkServer]:
    """Run a server while the context is open."""
    server = AdkServer(python, workdir, storage)
    server.start()
    try:
        yield server
    finally:
        server.kill()
