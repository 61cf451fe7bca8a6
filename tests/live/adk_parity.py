"""Sends the same requests to two ADK servers, and makes their answers comparable."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

_ID: Final = re.compile(r"(?:adk-|[ep]-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SERVER_PATH: Final = re.compile(r"'/[^']*/agents/")
_TOOLS: Final = re.compile(r"lookup_(with_approval|by_caller)")
_TIMES: Final = frozenset({"timestamp", "lastUpdateTime"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `{user}` in the path is the user of the side that is asked.

    Attributes:
        method: HTTP method.
        path: Path and query.
        body: Sent as JSON, unless it is bytes.
        headers: Headers besides the content type of JSON.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """One run in the scenario's session.

    Attributes:
        message: What the user says, or the parts of the message; None sends none.
        answers: Responses to calls that wait, by the place of the call among all that waited so far.
        app: The app.
        streaming: Whether fragments are wanted.
        route: `/run_sse` or `/run`.
        more: Further fields of the body.
    """

    message: str | Sequence[Any] | None = None
    answers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    app: str = "assistant"
    streaming: bool = True
    route: str = "/run_sse"
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps, one after another, by a new user with a session `s` in each app."""

    name: str
    steps: tuple[Ask | Turn, ...]


class Side:
    """One of two servers, seen by one user."""

    def __init__(self, base_url: str) -> None:
        self.user = f"user-{uuid.uuid4().hex[:8]}"
        self._base_url = base_url
        self._names: dict[str, str] = {}
        self._waiting: list[tuple[str, str]] = []

    def play(self, scenario: Scenario) -> list[Any]:
        """The comparable parts of the answers."""
        for app in ("assistant", "crew", "quiet"):
            self._send("POST", f"/apps/{app}/users/{self.user}/sessions", {"sessionId": "s"})
        return [self._ask(step) if isinstance(step, Ask) else self._run(step) for step in scenario.steps]

    def _ask(self, ask: Ask) -> dict[str, Any]:
        path = ask.path.replace("{user}", self.user)
        return self._comparable(self._send(ask.method, path, ask.body, ask.headers))

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
        return self._comparable(self._send("POST", turn.route, body))

    def _send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"content-type": "application/json", "connection": "close"} | dict(headers or {})
        with httpx.Client(trust_env=False, timeout=60) as http:
            return http.request(method, self._base_url + path, content=content, headers=sent)

    def _comparable(self, response: httpx.Response) -> dict[str, Any]:
        kind = response.headers.get("content-type")
        if kind == "application/json":
            body: Any = response.json()
        elif kind is not None and kind.startswith("text/event-stream"):
            frames = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.strip()]
            body = [json.loads(frame) for frame in frames]
            self._note_waiting(body)
        else:
            body = response.text
        return {"status": response.status_code, "type": (kind or "").partition(";")[0], "body": self._named(body)}

    def _note_waiting(self, frames: Sequence[Any]) -> None:
        for frame in frames:
            for part in (frame.get("content") or {}).get("parts", []):
                call = part.get("functionCall", {})
                if call.get("id") in frame.get("longRunningToolIds", []) and not frame.get("partial"):
                    self._waiting.append((call["id"], call["name"]))

    def _named(self, value: Any, key: str = "") -> Any:
        """The value with names for what differs between two servers: ids, times, users, paths."""
        if key in _TIMES:
            return type(value).__name__
        if key == "longRunningToolIds":
            return len(value)  # sorted by ids, which are random
        if key == "state":  # that of the app is shared with other scenarios
            value = {name: each for name, each in value.items() if not name.startswith("app:")}
        if isinstance(value, dict):
            return {self._text(name): self._named(each, name) for name, each in sorted(value.items())}
        if isinstance(value, list):
            return [self._named(each) for each in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = _SERVER_PATH.sub("'<agents>/", text.replace(self.user, "<user>"))
        text = _ID.sub(lambda match: self._names.setdefault(match[0], f"<id {len(self._names)}>"), text)
        return _TOOLS.sub("lookup", text)
