"""A user of AgentScope's service, for tests that record and replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from live.sources import Source
from polysession import Agent, ModelConfig, Session, SessionStatus
from support.client_runners import ClientRunner

MODELS_URL: Final = "http://models.test/v1"
"""URL of the model stub in cassettes."""

_LIMIT_S: Final = 30.0
_POLL_S: Final = 0.25


@dataclass(frozen=True)
class User:
    """A user of the service, on a cassette or live.

    Attributes:
        source: The service.
        runner: Runner of the client.
        id: Id of the user. Each test has its own, because the service lists all resources of a user.
    """

    source: Source
    runner: ClientRunner
    id: str

    def do(self, use: Callable[[Any], Any], **settings: Any) -> Any:
        """Return the result of a call by this user. A list is read to its end."""
        return self.runner.call("agentscope", use, base_url=self.source.base_url, user_id=self.id, **settings)

    def create_credential(self) -> str:
        """Create a credential for the model stub. Returns its id."""
        models_url = self.source.handle.models_url if self.source.handle else MODELS_URL
        data = {"type": "openai_credential", "name": "stub", "api_key": "not-a-key", "base_url": models_url}
        return str(self.ask("POST", "/credential/", {"data": data})["credential_id"])

    def create_agent(self, name: str = "Helper") -> Agent:
        """Create an agent."""
        agent: Agent = self.do(lambda client: client.agents.create(name=name))
        return agent

    def create(self, agent: Agent, **fields: Any) -> Session:
        """Create a session."""
        session: Session = self.do(lambda client: client.sessions.create(agent=agent, **{"title": "T", **fields}))
        return session

    def run_until(self, session: Session, *statuses: SessionStatus, poll_s: float = _POLL_S) -> Session:
        """Read a session until it has one of these statuses.

        With a cassette there is no wait between two reads.
        """
        deadline_s = time.monotonic() + _LIMIT_S
        while (found := self.do(lambda client: client.sessions.get(session))).status not in statuses:
            assert time.monotonic() < deadline_s, f"the session is {found.status}"
            time.sleep(poll_s if self.source.handle else 0)
        reading: Session = found
        return reading

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the response to a raw request."""
        headers = {"x-user-id": self.id}
        with httpx.Client(base_url=self.source.base_url, headers=headers, trust_env=False) as http:
            answer = http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def model(credential_id: str, script: str = "plain", **parameters: Any) -> ModelConfig:
    """Return a model that follows a script of the stub."""
    return ModelConfig(id=script, type="openai_credential", credential_id=credential_id, parameters=parameters)
