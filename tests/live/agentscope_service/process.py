"""Starts and stops the real AgentScope service, and sends raw HTTP requests to it."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from polysession.testing import ServerProcess, process

_SERVER = Path(__file__).with_name("server.py")
_LEGACY_SERVER = Path(__file__).with_name("legacy_server.py")
# Far from UTC, to find times that should be in UTC and are not.
_ZONE = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class AgentScopeService:
    """A running service.

    Attributes:
        base_url: URL of the service.
        models_url: Base URL of the model stub for the service.
    """

    base_url: str
    models_url: str

    def create_credential(self, user_id: str) -> str:
        """Create a user's credential for the model stub. Returns its id."""
        data = {
            "type": "openai_credential",
            "name": "stub",
            "api_key": _key_of(user_id),
            "base_url": self.models_url,
        }
        return str(self._post("/credential/", user_id, {"data": data})["credential_id"])

    def create_agent(self, user_id: str) -> str:
        """Create an agent of a user. Returns its id."""
        return str(self._post("/agent/", user_id, {"name": "Live agent"})["agent_id"])

    def model_requests(self, user_id: str) -> list[dict[str, Any]]:
        """Return the model and the number of messages of each request to the stub for a user."""
        asked = httpx.get(f"{self.models_url}/requests", trust_env=False).json()
        return [each for each in asked if each["key"] == f"Bearer {_key_of(user_id)}"]

    def _post(self, path: str, user_id: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = httpx.post(self.base_url + path, json=body, headers={"x-user-id": user_id}, trust_env=False)
        answer.raise_for_status()
        return dict(answer.json())


def _key_of(user_id: str) -> str:
    return f"not-a-key-{user_id}"


def model_config(credential_id: str, script: str = "plain") -> dict[str, Any]:
    """Return a session's `chat_model_config` with a script of the stub as its model."""
    return {"type": "openai_credential", "credential_id": credential_id, "model": script, "parameters": {}}


@contextlib.contextmanager
def serve_agentscope(python: Path, workdir: Path, models_url: str) -> Iterator[AgentScopeService]:
    """Run the service with an interpreter while the context is open.

    Raises:
        RuntimeError: It did not start. The message contains its output.
    """
    with _serving(python, _SERVER, workdir, "/health") as server:
        yield AgentScopeService(server.base_url, models_url)


@contextlib.contextmanager
def serve_legacy_agentscope(
    python: Path, workdir: Path, models_url: str, redis_port: int
) -> Iterator[AgentScopeService]:
    """Run the first published service, 2.0.0, while the context is open. It has no `/health`.

    Raises:
        RuntimeError: See `serve_agentscope`.
    """
    with _serving(python, _LEGACY_SERVER, workdir, "/openapi.json", str(redis_port)) as server:
        yield AgentScopeService(server.base_url, models_url)


@contextlib.contextmanager
def serve_restartable_agentscope(
    python: Path, workdir: Path, models_url: str
) -> Iterator[tuple[AgentScopeService, ServerProcess]]:
    """Run the service with its data in a file, so that it can be killed and started again.

    Raises:
        RuntimeError: See `serve_agentscope`.
    """
    with _serving(python, _SERVER, workdir, "/health", f"sqlite+aiosqlite:///{workdir}/data.sqlite") as server:
        yield AgentScopeService(server.base_url, models_url), server


@contextlib.contextmanager
def _serving(python: Path, program: Path, workdir: Path, ready_path: str, *arguments: str) -> Iterator[ServerProcess]:
    def is_ready(server: ServerProcess) -> bool:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(server.base_url + ready_path, headers={"x-user-id": "probe"}, trust_env=False)
            return answer.is_success
        return False

    command: list[str | Path] = [python, program, "{port}", workdir, *arguments]
    with process(command, ready=is_ready, cwd=workdir, env=os.environ | {"TZ": _ZONE}) as server:
        yield server
        server.stop()
