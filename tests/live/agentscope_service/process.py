"""Starts and stops the real AgentScope service, and speaks its raw HTTP."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_SERVER = Path(__file__).with_name("server.py")
_LEGACY_SERVER = Path(__file__).with_name("legacy_server.py")
# Far from UTC, so that a time that should be UTC and is not shows.
_ZONE = "Asia/Shanghai"
_READY_LIMIT_S = 60.0
_STOP_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class AgentScopeService:
    """A running service.

    Attributes:
        base_url: Where it listens.
        models_url: Base URL of the model stub, as the service reaches it.
    """

    base_url: str
    models_url: str

    def create_credential(self, user_id: str) -> str:
        """A credential of that user for the model stub; gives its id."""
        data = {
            "type": "openai_credential",
            "name": "stub",
            "api_key": _key_of(user_id),
            "base_url": self.models_url,
        }
        return str(self._post("/credential/", user_id, {"data": data})["credential_id"])

    def create_agent(self, user_id: str) -> str:
        """An agent of that user; gives its id."""
        return str(self._post("/agent/", user_id, {"name": "Live agent"})["agent_id"])

    def model_requests(self, user_id: str) -> list[dict[str, Any]]:
        """The model and the number of messages of each request that the service sent to the model for that user."""
        asked = httpx.get(f"{self.models_url}/requests", trust_env=False).json()
        return [each for each in asked if each["key"] == f"Bearer {_key_of(user_id)}"]

    def _post(self, path: str, user_id: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(self.base_url + path, json=body, headers={"x-user-id": user_id}, trust_env=False)
        answer.raise_for_status()
        return dict(answer.json())


def _key_of(user_id: str) -> str:
    return f"not-a-key-{user_id}"


def model_config(credential_id: str, script: str = "plain") -> dict[str, Any]:
    """A session's `chat_model_config` whose model is a script of the stub."""
    return {"type": "openai_credential", "credential_id": credential_id, "model": script, "parameters": {}}


@contextlib.contextmanager
def serve_agentscope(python: Path, workdir: Path, models_url: str) -> Iterator[AgentScopeService]:
    """Run the service with that interpreter while the context is open.

    Raises:
        RuntimeError: It did not start; the message holds what it printed.
    """
    with _serving(python, _SERVER, workdir, models_url, "/health") as service:
        yield service


@contextlib.contextmanager
def serve_legacy_agentscope(
    python: Path, workdir: Path, models_url: str, redis_port: int
) -> Iterator[AgentScopeService]:
    """Run the first published service, 2.0.0, likewise; it has no `/health`.

    Raises:
        RuntimeError: As `serve_agentscope`.
    """
    with _serving(python, _LEGACY_SERVER, workdir, models_url, "/openapi.json", str(redis_port)) as service:
        yield service


@contextlib.contextmanager
def _serving(
    python: Path, server: Path, workdir: Path, models_url: str, ready_path: str, *arguments: str
) -> Iterator[AgentScopeService]:
    port = _free_port()
    log = workdir / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  (the interpreter is the caller's choice)
            [python, server, str(port), workdir, *arguments],
            cwd=workdir,
            env=os.environ | {"TZ": _ZONE},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            service = AgentScopeService(f"http://127.0.0.1:{port}", models_url)
            _wait_until_ready(process, service.base_url + ready_path, log)
            yield service
        finally:
            _stop(process)


class RestartedService:
    """The service with its data in a file, to be killed and started again on the same port.

    Args:
        python: Interpreter that has the service.
        workdir: Where it keeps its data.
        models_url: Base URL of the model stub.
    """

    def __init__(self, python: Path, workdir: Path, models_url: str) -> None:
        self._port = _free_port()
        self._command: list[str | Path] = [
            python,
            _SERVER,
            str(self._port),
            workdir,
            f"sqlite+aiosqlite:///{workdir}/data.sqlite",
        ]
        self._workdir = workdir
        self.service = AgentScopeService(f"http://127.0.0.1:{self._port}", models_url)
        self._process = self._start()

    def restart(self) -> None:
        """Kill it, and start it again."""
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        log = self._workdir / "service.log"
        with log.open("ab") as output:
            process = subprocess.Popen(self._command, cwd=self._workdir, stdout=output, stderr=output)  # noqa: S603
        _wait_until_ready(process, f"{self.service.base_url}/health", log)
        return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline_s = time.monotonic() + _READY_LIMIT_S
    while not _is_ready(url):
        if process.poll() is not None:
            raise RuntimeError(f"the AgentScope service ended with status {process.returncode}:\n{log.read_text()}")
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"the AgentScope service was not ready after {_READY_LIMIT_S} s:\n{log.read_text()}")
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        answer = httpx.get(url, headers={"x-user-id": "probe"}, trust_env=False)
        return answer.status_code == httpx.codes.OK
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
