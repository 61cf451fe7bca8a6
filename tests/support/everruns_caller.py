"""A caller of Everruns' engine, for tests that record and replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import httpx

from live.sources import Source
from polysession import RetryPolicy, Session, SessionStatus
from polysession._drivers.environment import tls_context
from polysession_everruns import EverrunsNewSession
from support.client_runners import ClientRunner

API_KEY: Final = "any-text"
"""An engine without authentication accepts any key."""

_WAIT_S: Final = 0.1
_ONCE: Final = RetryPolicy(attempts=1)


@dataclass(frozen=True)
class Caller:
    """A caller of the engine, on a cassette or live.

    Attributes:
        source: The engine.
        runner: Runner of the client.
        api_key: API key to send.
    """

    source: Source
    runner: ClientRunner
    api_key: str = API_KEY

    def locked_out(self, api_key: str) -> Self:
        """Return the same caller for an engine that requires a key."""
        locked = replace(self.source, base_url=self.source.handle or self.source.base_url)
        return replace(self, source=locked, api_key=api_key)

    def do(self, use: Callable[[Any], Any]) -> Any:
        """Return the result of a call. A list is read to its end."""
        return self.runner.call("everruns", use, base_url=self.source.base_url, api_key=self.api_key, retry=_ONCE)

    def create(self, agent: str = "echo", **fields: Any) -> Session:
        """Create a session of one of the engine's agents."""
        native = EverrunsNewSession(agent_name=agent)
        session: Session = self.do(lambda client: client.sessions.create(native=native, **fields))
        return session

    def tell(self, session: Session, text: str = "hello") -> None:
        """Send a message."""
        self.do(lambda client: client.sessions.send(session, text))

    def wait(self, session: Session, status: SessionStatus = SessionStatus.IDLE) -> Session:
        """Wait until the session has a status, and, if that is not idle, until its turn has an id."""
        found: Session = self.do(lambda client: client.sessions.get(session))
        while found.status is not status or (found.raw["turn_id"] is None and status is not SessionStatus.IDLE):
            time.sleep(0 if self.source.base_url.endswith(".test") else _WAIT_S)
            found = self.do(lambda client: client.sessions.get(session))
        return found

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        """Return the response to a raw request. A text is sent as the body without encoding."""
        with httpx.Client(base_url=self.source.base_url, verify=tls_context(), trust_env=False) as http:
            if isinstance(body, str):
                headers = {"content-type": "application/json"}
                return http.request(method, path, params=query or None, content=body, headers=headers)
            return http.request(method, path, params=query or None, json=body)


def problem(answer: httpx.Response) -> tuple[int, str, Any]:
    """Return the status, the content type and the content of an error response."""
    kind = answer.headers.get("content-type", "")
    return answer.status_code, kind, answer.json()["detail"] if "json" in kind else answer.text
