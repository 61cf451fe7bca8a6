"""Sends the same requests to two ADK servers, and makes their responses comparable."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from live.scenarios import Ask, Side

_SERVER_PATH: Final = re.compile(r"'/[^']*/agents/")
_TOOLS: Final = re.compile(r"lookup_(with_approval|by_caller)")


@dataclass(frozen=True, slots=True)
class Turn:
    """One run in the scenario's session.

    Attributes:
        message: Text of the user, or the parts of the message; None sends no message.
        answers: Responses to waiting calls, by the position of the call among all waiting calls so far.
        app: Name of the app.
        streaming: Whether to request fragments.
        route: `/run_sse` or `/run`.
        more: Additional fields of the body.
    """

    message: str | Sequence[Any] | None = None
    answers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    app: str = "assistant"
    streaming: bool = True
    route: str = "/run_sse"
    more: Mapping[str, Any] = field(default_factory=dict)


class AdkSide(Side):
    """A server with a new user, who has a session `s` in each app."""

    ids = re.compile(r"(?:adk-|[ep]-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    times = frozenset({"timestamp", "lastUpdateTime"})

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.user = self.filled["{user}"] = f"user-{uuid.uuid4().hex[:8]}"
        self._base_url = base_url
        self._waiting: list[tuple[str, str]] = []

    def prepare(self, name: str) -> None:  # noqa: ARG002  (each user has new sessions)
        """Create the sessions."""
        for app in ("assistant", "crew", "quiet"):
            self._send(Ask("POST", f"/apps/{app}/users/{self.user}/sessions", {"sessionId": "s"}))

    def perform(self, step: Ask | Turn) -> dict[str, Any]:
        """Send a request, or run a turn."""
        return self._comparable(self._send(step)) if isinstance(step, Ask) else self._run(step)

    def _run(self, turn: Turn) -> dict[str, Any]:
        parts: Any = [{"text": turn.message}] if isinstance(turn.message, str) else turn.message
        if turn.answers:
            parts = [
                {"functionResponse": {"id": call_id, "name": name, "response": response}}
                for place, response in turn.answers.items()
                for call_id, name in [self._waiting[place]]
            ]
        body = {"appName": turn.app, "userId": self.user, "sessionId": "s", "streaming": turn.streaming, **turn.more}
        if parts is not None:
            body["newMessage"] = {"role": "user", "parts": parts}
        return self._comparable(self._send(Ask("POST", turn.route, body)))

    def _send(self, ask: Ask) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=60) as http:
            path, content = self.fill(ask.path), self.content(ask.body)
            return http.request(ask.method, self._base_url + path, content=content, headers=ask.all_headers)

    def _comparable(self, response: httpx.Response) -> dict[str, Any]:
        kind = response.headers.get("content-type")
        if kind == "application/json":
            body: Any = response.json()
        elif kind is not None and kind.startswith("text/event-stream"):
            frames = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.strip()]
            body = [json.loads(frame) for frame in frames]
            self._add_waiting(body)
        else:
            body = response.text
        return {"status": response.status_code, "type": (kind or "").partition(";")[0], "body": self.named(body)}

    def _add_waiting(self, frames: Sequence[Any]) -> None:
        for frame in frames:
            for part in (frame.get("content") or {}).get("parts", []):
                call = part.get("functionCall", {})
                if call.get("id") in frame.get("longRunningToolIds", []) and not frame.get("partial"):
                    self._waiting.append((call["id"], call["name"]))

    def named(self, value: Any, key: str = "") -> Any:
        """Return a JSON value without other scenarios' state and the order of random ids."""
        if key == "longRunningToolIds":
            return len(value)  # sorted by random ids
        if key == "state":  # the state of the app is shared with other scenarios
            value = {name: each for name, each in value.items() if not name.startswith("app:")}
        return super().named(value, key)

    def text(self, text: str) -> str:
        """Return a text without users and server paths, and with one name for the tools."""
        return _TOOLS.sub("lookup", super().text(_SERVER_PATH.sub("'<agents>/", text.replace(self.user, "<user>"))))
