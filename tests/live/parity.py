"""Sends the same raw requests to two services, and makes their responses comparable."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

_ID = re.compile("[0-9a-f]{32}")
_RECORD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")
_DEFAULT_NAME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_RECENT = timedelta(minutes=10)
_COMPARED_HEADERS = ("content-type", "allow", "location")
_UNTIL_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Names such as `<agent>` in `path`, `body` and `user` are replaced by the ids of each side.

    Attributes:
        body: Body to send as JSON, or bytes to send unchanged; None sends no body.
        content_type: Content type of the body; None sends none.
        user: Value of `x-user-id`; None omits the header.
        until: Repeat the request until the response has this `status`.
    """

    method: str
    path: str
    body: Any = None
    content_type: str | None = "application/json"
    user: str | None = "<user>"
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Requests in sequence, by a new user with a credential, an agent and a session.

    Attributes:
        running: Whether a turn runs in the session at the same time.
    """

    name: str
    asks: tuple[Ask, ...]
    running: bool = False


@dataclass(slots=True)
class Side:
    """One of the two services, used by one user.

    Attributes:
        http: HTTP client. It must not keep connections, because the service closes them after a 500.
        ids: Ids by the names that scenarios use, such as `<agent>`.
        opaque: Keys whose values are compared only by JSON type.
        names: Names of the ids in responses, by id.
        updates: Time of the last update of each record, by id.
    """

    base_url: str
    http: httpx.Client
    opaque: Mapping[str, str]
    ids: dict[str, str] = field(default_factory=lambda: {"<user>": uuid.uuid4().hex, "<other user>": uuid.uuid4().hex})
    names: dict[str, str] = field(init=False)
    updates: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = {value: name for name, value in self.ids.items()}

    def create(self, name: str, path: str, body: Any) -> None:
        """Create a resource, and store its id under a name."""
        answer = self.send(Ask("POST", path, body))
        answer.raise_for_status()
        (self.ids[name],) = answer.json().values()
        self.names[self.ids[name]] = name

    def send(self, ask: Ask) -> httpx.Response:
        """Send one request."""
        return self.http.send(self._request(self.http, ask))

    @contextlib.contextmanager
    def open(self, http: httpx.Client, ask: Ask) -> Iterator[httpx.Response]:
        """Send one request with another client, and leave its response open for reading."""
        response = http.send(self._request(http, ask), stream=True)
        try:
            yield response
        finally:
            response.close()

    def _request(self, http: httpx.Client, ask: Ask) -> httpx.Request:
        headers = {}
        if ask.body is not None and ask.content_type is not None:
            headers[b"content-type"] = ask.content_type.encode()
        if ask.user is not None:
            headers[b"x-user-id"] = self._fill(ask.user).encode()
        body = ask.body if isinstance(ask.body, bytes | None) else self._fill(json.dumps(ask.body))
        return http.build_request(ask.method, self.base_url + self._fill(ask.path), content=body, headers=headers)

    def answer(self, ask: Ask) -> dict[str, Any]:
        """Return the comparable parts of the response to a request."""
        response = self.send(ask)
        deadline_s = time.monotonic() + _UNTIL_LIMIT_S
        while ask.until and response.json()["status"] != ask.until:
            assert time.monotonic() < deadline_s, f"{self.base_url} did not become {ask.until}: {response.text}"
            time.sleep(0.02)
            response = self.send(ask)
        is_json = response.headers.get("content-type") == "application/json" and response.content
        return {
            "status": response.status_code,
            "headers": {name: self._name(response.headers.get(name)) for name in _COMPARED_HEADERS},
            "body": self._name(response.json() if is_json else response.text),
        }

    def _fill(self, template: str) -> str:
        for name, value in self.ids.items():
            template = template.replace(name, value)
        return template

    def _name(self, value: Any) -> Any:
        """Return the value without random parts.

        Ids become numbers by first appearance, and times become their kind.
        """
        if isinstance(value, dict):
            if {"id", "updated_at"} <= value.keys():
                value = value | {"updated_at": self._update_time(value["id"], value["updated_at"])}
            return {key: _type(item) if key in self.opaque else self._name(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._name(item) for item in value]
        return self._name_text(value) if isinstance(value, str) else value

    def _update_time(self, record_id: str, time_text: str) -> str:
        before = self.updates.get(record_id)
        self.updates[record_id] = time_text
        return self._name_text(time_text) + {None: ", first seen", time_text: ", as before"}.get(before, ", changed")

    def _name_text(self, text: str) -> str:
        if _RECORD_TIME.fullmatch(text):
            age = datetime.now(UTC) - datetime.fromisoformat(text).replace(tzinfo=UTC)
            return "<UTC time>" if abs(age) < _RECENT else text
        if _DEFAULT_NAME.fullmatch(text):
            return "<local time>"
        text = text.replace(self.base_url, "<base>")
        return _ID.sub(lambda found: self.names.setdefault(found[0], f"<id {len(self.names) + 1}>"), text)


def _type(value: Any) -> str:
    return f"<{type(value).__name__}>"


def difference(asks: Iterable[Ask], real: Side, emulated: Side) -> str:
    """Send a request to both sides.

    Returns a readable difference of their responses, empty if they are equal.
    """
    found = []
    for ask in asks:
        first, second = (
            json.dumps(side.answer(ask), indent=2, sort_keys=True).splitlines() for side in (real, emulated)
        )
        lines = list(difflib.unified_diff(first, second, "the service", "the emulator", n=6, lineterm=""))
        if lines:
            found += [f"{ask.method} {ask.path} {ask.body}", *lines, ""]
    return "\n".join(found)
