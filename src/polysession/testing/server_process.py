"""Runs a real server in a process of its own, so that the contract suite can be pointed at it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import httpx

from polysession._drivers.environment import tls_context

_LOOK_AGAIN_S: Final = 0.05
_ASKS_FOR_CREDENTIAL: Final = frozenset({401, 403})
_SHOWN: Final = 4000
"""Characters of the output in an error."""


class ServerProcess:
    """A server that can be ended and started again on the same port. Use `process` to run one.

    Attributes:
        port: A TCP port that was free, for `{port}` in the command.
        base_url: The server on that port of 127.0.0.1.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        ready: Ready,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        start_limit_s: float,
        stop_limit_s: float,
    ) -> None:
        self.port: int = free_port()
        self.base_url: str = f"http://127.0.0.1:{self.port}"
        self._command = [str(part).replace("{port}", str(self.port)) for part in command]
        self._ready = ready
        self._cwd = cwd
        self._env = env
        self._start_limit_s = start_limit_s
        self._stop_limit_s = stop_limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `process`)

    @property
    def output(self) -> str:
        """Everything that it has written to stdout and stderr, over all its starts."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            RuntimeError: It ended, or was not ready in time; the message shows its output.
        """
        self._process = subprocess.Popen(  # noqa: S603  (the caller's command)
            self._command,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,  # what it starts is ended with it
        )
        deadline_s = time.monotonic() + self._start_limit_s
        while not self._is_ready():
            status = self._process.poll()
            if status is not None:
                raise self._failure(f"ended with status {status} before it was ready")
            if time.monotonic() > deadline_s:
                raise self._failure(f"was not ready after {self._start_limit_s} seconds")
            time.sleep(_LOOK_AGAIN_S)

    def stop(self) -> None:
        """Send SIGTERM and wait until the server has ended; then end its remaining processes.

        Raises:
            RuntimeError: It has not ended in time, and was killed.
        """
        assert self._process is not None, "it was not started"
        self._process.terminate()
        try:
            self._process.wait(self._stop_limit_s)
        except subprocess.TimeoutExpired:
            raise self._failure(f"did not end within {self._stop_limit_s} seconds") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the server and its child processes, as in a crash. Does nothing if it was not started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        """Kill it, and start it again on the same port."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Drop the output."""
        self._output.close()

    def _is_ready(self) -> bool:
        if callable(self._ready):
            return self._ready(self)
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(self.base_url + self._ready, trust_env=False, verify=tls_context())
            return answer.is_success or answer.status_code in _ASKS_FOR_CREDENTIAL
        return False

    def _failure(self, problem: str) -> RuntimeError:
        self.kill()
        return RuntimeError(f"the server {self._command[0]} {problem}. Its output ends with:\n{self.output[-_SHOWN:]}")


Ready: TypeAlias = str | Callable[[ServerProcess], bool]
"""How it is known that a server is ready: a path that it answers with success or by asking for a
credential, or a function."""


@contextlib.contextmanager
def process(
    command: Sequence[str | Path],
    *,
    ready: Ready,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    start_limit_s: float = 60.0,
    stop_limit_s: float = 20.0,
) -> Iterator[ServerProcess]:
    """Run a server while the context is open. In the end its whole process group is killed. POSIX only.

    Args:
        command: The program and its arguments. `{port}` in one of them is replaced by a free TCP port.
        ready: When the server counts as ready: a path, such as `/health`, that it answers on that port with success or
            by asking for a credential; or a function that is called with the process until it gives True, and may read
            its `output`.
        cwd: Where it runs; None for the current folder.
        env: Its whole environment; None for that of this process.
        start_limit_s: Seconds to become ready.
        stop_limit_s: Seconds to end by itself in `stop`.

    Raises:
        RuntimeError: It did not become ready; the message shows its output.
    """
    server = ServerProcess(
        command, ready=ready, cwd=cwd, env=env, start_limit_s=start_limit_s, stop_limit_s=stop_limit_s
    )
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.close()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
