"""Runs LangGraph's Agent Server in a process of its own, in the virtual environment that holds it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

HERE: Final = Path(__file__).parent
_SERVED: Final = ("langgraph.json", "graphs.py", "scripted.py")
_START_LIMIT_S: Final = 90.0
_STOP_LIMIT_S: Final = 20.0
_RUNS_AT_ONCE: Final = 24


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class LanggraphServer:
    """A server that can be ended and started again on the same port, with the same threads.

    Attributes:
        python: Interpreter of the environment that holds it.
        workdir: Where it keeps threads and its log; the graphs are copied there, because it writes beside them.
        port: Its TCP port on 127.0.0.1.
    """

    python: Path
    workdir: Path
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
        for name in _SERVED:
            shutil.copy(HERE / name, self.workdir / name)
        environment = {
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "HOME": str(self.workdir),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANGSMITH_TRACING": "false",
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        }
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        jobs = ("--n-jobs-per-worker", str(_RUNS_AT_ONCE))
        with (self.workdir / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (the server that is under judgement)
                [self.python.parent / "langgraph", "dev", "--no-browser", "--no-reload", *address, *jobs],
                cwd=self.workdir,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self._wait_until_healthy()

    def stop(self) -> None:
        """End it in order: it stores its threads."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, by: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(by)
        self._process.wait(_STOP_LIMIT_S)

    def _wait_until_healthy(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + _START_LIMIT_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.base_url}/ok", trust_env=False).is_success:
                    return
            log = (self.workdir / "server.log").read_text()[-2000:]
            assert self._process.poll() is None, f"the server ended: {log}"
            assert time.monotonic() < deadline_s, f"the server did not start: {log}"
            time.sleep(0.1)


@contextlib.contextmanager
def serve_langgraph(python: Path, workdir: Path) -> Iterator[LanggraphServer]:
    """Run a server while the context is open."""
    server = LanggraphServer(python, workdir)
    server.start()
    try:
        yield server
    finally:
        server.kill()
