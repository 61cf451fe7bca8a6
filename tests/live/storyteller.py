"""Runs the same conversation on two services, and makes their events comparable."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from live.parity import Ask, Side

_ID = re.compile("[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")
_CURSOR = re.compile(r"\d+-0")
_DEFAULT_NAME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_SLOW_WORDS = re.compile(r"(word\d+ )+")
_LIMIT_S = 20.0
_QUIET_S = 0.25

_OPAQUE = {
    "hint": "each describes the time of day in its own format",
    "tool_call_name": "the service uses its own tools, which the emulated agent does not have",
    "input": "as tool_call_name",
    "output": "as tool_call_name",
    "tool_name": "as tool_call_name",
    "rule_content": "as tool_call_name",
    "allow_rules": "as tool_call_name",
    "working_directories": "they contain paths of the host",
}
"""Keys whose values are compared only by JSON type, with the reason."""

Record = dict[str, Any]


class Listener:
    """Reads a session's stream in another thread."""

    def __init__(self, side: Side, session: str, after: str | None) -> None:
        self.events: list[dict[str, Any]] = []
        self.ended = threading.Event()
        self._connected = threading.Event()
        ask = Ask("GET", f"/sessions/{session}/stream?agent_id=<agent>" + (f"&after={after}" if after else ""))
        self._client = httpx.Client(trust_env=False, timeout=60)
        self._thread = threading.Thread(target=self._read, args=(side, ask), daemon=True)
        self._thread.start()
        assert self._connected.wait(_LIMIT_S)
        time.sleep(_QUIET_S)

    def _read(self, side: Side, ask: Ask) -> None:
        try:
            with side.open(self._client, ask) as response:
                assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
                self._connected.set()
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        self.events.append(json.loads(line.removeprefix("data: ")))
        except httpx.TransportError:
            self.ended.set()


@dataclass(slots=True)
class Conversation:
    """One side of a conversation.

    Attributes:
        session: Name of the current session.
        notes: Records to compare, in order.
    """

    side: Side
    session: str = "<session>"
    records: list[Record] = field(default_factory=list)
    _listener: Listener | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _heard: int = 0

    def new_session(self, **fields: Any) -> None:
        """Continue in another session."""
        self.session = "<another session>"
        self.side.create(self.session, "/sessions/", {"agent_id": "<agent>"} | fields)

    def listen(self, after: str | None = None) -> None:
        """Follow the session's stream: new events only, or those after a cursor."""
        self._listener = Listener(self.side, self.session, after)
        self._heard = 0

    def send_message(self, text: str, **parts: Any) -> None:
        """Send a message."""
        self.send_input({"name": "user", "role": "user", "content": [{"type": "text", "text": text}]} | parts)

    def send_input(
        self, turn_input: Any, *, agent: str = "<agent>", user: str = "<user>", session: str | None = None
    ) -> None:
        """Send any input."""
        body = {"agent_id": agent, "session_id": session or self.session, "input": turn_input}
        self.do("POST", "/chat/", body, user=user)

    def do(self, method: str, path: str, body: Any = None, *, user: str = "<user>") -> None:
        """Send any request, and record the response."""
        answer = self.side.send(Ask(method, path.replace("<session>", self.session), body, user=user))
        self._record("answered", [answer.status_code, answer.json() if answer.content else None])

    def interrupt(self) -> None:
        """Interrupt the session."""
        self.do("POST", "/sessions/<session>/interrupt?agent_id=<agent>")

    def answer(self, confirmed: bool, **parts: Any) -> None:  # noqa: FBT001  (readable in a conversation)
        """Approve or deny the tool call that needs an approval."""
        call = self.required() | parts.pop("call", {})
        self._answer("USER_CONFIRM_RESULT", confirm_results=[{"confirmed": confirmed, "tool_call": call} | parts])

    def send_results(self, *results: dict[str, Any]) -> None:
        """Send the results of tools that the caller runs, in the order of the requests."""
        calls = [event["tool_calls"][0] for event in self._events() if event["type"] == "REQUIRE_EXTERNAL_EXECUTION"]
        named = [
            {"type": "tool_result", "id": c["id"], "name": c["name"]} | r for c, r in zip(calls, results, strict=False)
        ]
        self._answer("EXTERNAL_EXECUTION_RESULT", execution_results=[each for each in named if "output" in each])

    def _answer(self, kind: str, **results: Any) -> None:
        self.send_input({"type": kind, "reply_id": "r"} | results)

    def required(self) -> dict[str, Any]:
        """The tool call of the last request."""
        asked = [event for event in self._events() if event["type"].startswith("REQUIRE_")]
        return dict(asked[-1]["tool_calls"][0])

    def cursor(self) -> str | None:
        """The current cursor of the messages."""
        cursor = self._get("messages")["event_cursor"]
        return None if cursor is None else str(cursor)

    def wait(self, kind: str, count: int = 1) -> None:
        """Wait until a number of events of a type were received since the last record."""
        assert self._listener is not None
        before = sum(event["type"] == kind for event in self._listener.events[: self._heard])
        self._until(lambda: self._events_of(kind) >= before + count, f"{count} {kind}")

    def raise_for_outcome(self, *kinds: str) -> None:
        """Wait for events of these types, the end of the turn, and silence.

        Record the events and the messages.
        """
        for kind in kinds:
            self.wait(kind)
        self._until(lambda: self._get("status").get("status") != "running", "the end of the turn")
        self.record_events()
        self._record("status", self._get("status"))
        self._record("messages", self._get("messages"))
        stored = self.side.send(Ask("PATCH", f"/sessions/{self.session}?agent_id=<agent>", {})).json()
        self._record("state", stored["state"])
        self._record("config", stored["config"])

    def record_events(self) -> None:
        """Wait for silence, and record the received events."""
        heard = -1
        while heard != len(self._events()):
            heard = len(self._events())
            time.sleep(_QUIET_S)
            self._get("status")  # a busy service, which may also send an event late, takes longer for this
        events, self._heard = self._events()[self._heard :], len(self._events())
        self._record("events", _joined(events))
        assert self._listener is not None
        self._record("stream ended", self._listener.ended.is_set())

    def _events(self) -> list[dict[str, Any]]:
        return list(self._listener.events) if self._listener else []

    def _events_of(self, kind: str) -> int:
        return sum(event["type"] == kind for event in self._events())

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + _LIMIT_S
        while not is_so():
            assert time.monotonic() < deadline_s, f"{self.side.base_url} did not reach {what}: {self._events()}"
            time.sleep(0.01)

    def _get(self, part: str) -> Any:
        return self.side.send(Ask("GET", f"/sessions/{self.session}/{part}?agent_id=<agent>")).json()

    def _record(self, what: str, value: Any) -> None:
        self.records.append({what: self._plain(value)})

    def _plain(self, value: Any) -> Any:
        """Return the value without random parts.

        Ids become numbers, and times and cursors become their kind.
        """
        if isinstance(value, dict):
            opaque = _OPAQUE.keys() | _opaque_in(value)
            return {key: _type(item) if key in opaque else self._plain(item) for key, item in sorted(value.items())}
        if isinstance(value, list):
            return [self._plain(item) for item in value]
        return self._plain_text(value) if isinstance(value, str) else value

    def _plain_text(self, text: str) -> str:
        for kind in (_TIME, _CURSOR, _DEFAULT_NAME):
            if kind.fullmatch(text):
                return f"<like {kind.pattern}>"
        text = _SLOW_WORDS.sub("<words>", text)
        known = {value: name for name, value in self.side.ids.items()}
        return _ID.sub(
            lambda found: known.get(found[0]) or self._names.setdefault(found[0], f"<id {len(self._names)}>"), text
        )


def _joined(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events with consecutive deltas joined.

    The model decides about their length.
    """
    joined: list[dict[str, Any]] = []
    for event in events:
        last = joined[-1] if joined else {}
        if "delta" in event and _same_block(event, last):
            joined[-1] = last | {"delta": last["delta"] + event["delta"]}
        else:
            joined.append(event)
    return joined


def _same_block(event: dict[str, Any], last: dict[str, Any]) -> bool:
    keys = ("type", "block_id", "tool_call_id")
    return [event.get(key) for key in keys] == [last.get(key) for key in keys]


def _opaque_in(value: dict[str, Any]) -> set[str]:
    """Return the keys that are opaque in some objects only.

    They are names, arguments and results of tools.
    """
    kind = str(value.get("type"))
    if kind in {"tool_call", "tool_result"}:
        return {"name"}
    return {"delta"} if kind in {"TOOL_CALL_DELTA", "TOOL_RESULT_TEXT_DELTA"} else set()


def _type(value: Any) -> str:
    return f"<{type(value).__name__}>"
