"""Runs a real server in a separate process, so that the contract suite can use it."""

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
"""Number of characters of the output that an error or a report shows."""
_running: Final[list[ServerProcess]] = []


class ServerProcess:
    """A server that can be ended and started again on the same port. Use `process` to run one.

    Attributes:
        port: TCP port of the server, chosen because it was free; replaces `{port}` in the command.
        base_url: URL of the server on 127.0.0.1.
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
        """The output of the server on stdout and stderr, over all its starts."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    @property
    def last_output(self) -> str:
        """The command, and the last 4000 characters of the output."""
        return f"the server {' '.join(self._command)} printed last:\n{self.output[-_SHOWN:]}"

    def start(self) -> None:
        """Start the server and wait until it is ready.

        Raises:
            RuntimeError: The server ended, or was not ready in time; the message shows its output.
        """
        self._process = subprocess.Popen(  # noqa: S603  (the caller's command)
            self._command,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,  # its child processes are ended with it
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
            RuntimeError: The server did not end in time and was killed.
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
        """Kill the server and its child processes, as in a crash. Does nothing if the server was not started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        """Kill the server and start it again on the same port."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Discard the output."""
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


def running_servers() -> Sequence[ServerProcess]:
    """Return the servers of all open `process` contexts, in the order of their starts."""
    return tuple(_running)


Ready: TypeAlias = str | Callable[[ServerProcess], bool]
"""The sign that a server is ready: a function, or a path that it answers with success or by asking for a credential."""


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
    """Run a server while the context is open. At the end its whole process group is killed. POSIX only.

    An exception that leaves the context has a note with the end of the server's output. A test that fails while the
    context is open, for example in a fixture, has it in a section of its report.

    Args:
        command: The program and its arguments. `{port}` in one of them is replaced by a free TCP port.
        ready: The sign that the server is ready. Either a path, such as `/health`, that it answers on that port with
            success or by asking for a credential; or a function that is called with the `ServerProcess` until it
            returns True. The function may read `output`.
        cwd: Working directory of the server; None for the current directory.
        env: Complete environment of the server; None for the environment of this process.
        start_limit_s: Seconds in which the server must become ready.
        stop_limit_s: Seconds in which the server must end after `stop` sends SIGTERM.

    Raises:
        RuntimeError: The server did not become ready; the message shows its output.
    """
    server = ServerProcess(
        command, ready=ready, cwd=cwd, env=env, start_limit_s=start_limit_s, stop_limit_s=stop_limit_s
    )
    try:
        server.start()
        _running.append(server)
        try:
            yield server
        except Exception as error:
            error.add_note(server.last_output)
            raise
        finally:
            _running.remove(server)
    finally:
        server.kill()
        server.close()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
