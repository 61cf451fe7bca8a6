"""Sends the same requests to two LangGraph servers, and makes their answers comparable."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from polysession._core.sse import SseDecoder

_ID: Final = re.compile(r"(?:lc_run--)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|call_[0-9a-f]{8}|\b[0-9a-f]{32}\b")
_LOG_ID: Final = re.compile(r"\b\d{13}-\d+(?:\.\d+)?\b")
"""Several events of one millisecond share an id, or not."""
_TIMES: Final = frozenset({"timestamp", "created_at", "updated_at", "state_updated_at"})
_OPAQUE: Final = frozenset({"kwargs", "config", "path", "response_metadata", "parents", "langsmith_session_name"})
"""Keys whose values are compared by their type alone."""
_OF_CHECKPOINTS: Final = frozenset(
    {
        *("user_id", "run_attempt", "langgraph_version", "langgraph_api_version", "langgraph_plan", "langgraph_host"),
        *("langgraph_api_url", "thread_id", "run_id", "step", "langgraph_auth_user_id", "langgraph_request_id"),
    }
)
"""Keys of metadata that are not compared: they name the server, and its steps."""
_THIRD_GRAPH: Final = re.compile(", '?nested'?")
_LIMIT_S: Final = 30.0
_GOING: Final = frozenset({"pending", "running"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `{thread}`, `{run}` and `{agent}` in the path and the body are ids of the side that is asked.

    Attributes:
        method: HTTP method.
        path: Path and query.
        body: Sent as JSON, unless it is bytes.
        headers: Headers besides the content type of JSON.
        settles: Wait first until no run of the thread is going.
        starts: Wait then until the newest run says something: it is `{run}` from now on.
    """

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    settles: bool = False
    starts: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One run in the scenario's thread, and its frames.

    Attributes:
        message: What the user says.
        responses: Responses to interrupts that wait, by their place; given in place of a message.
        cancel_at: Event of a `messages` frame at which the run is cancelled.
        assistant: The assistant.
        more: Further parameters of the command.
    """

    message: str = ""
    responses: Mapping[int, Any] = field(default_factory=dict)
    cancel_at: str = ""
    assistant: str = "agent"
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Events:
    """The events of the scenario's thread on `stream/events`, once no run is going.

    Attributes:
        count: How many there are.
        channels: What is asked for.
        more: Further fields of the body.
    """

    count: int
    channels: tuple[str, ...] = ("values", "messages", "lifecycle", "input")
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps, one after another, in a new thread."""

    name: str
    steps: tuple[Ask | Turn | Events, ...]


class Side:
    """One of two servers."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url, trust_env=False, timeout=_LIMIT_S)
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._last_id = "-"

    def play(self, scenario: Scenario) -> list[Any]:
        """The answers, as far as they are comparable."""
        with self._http:
            created = self._http.post("/threads", json={"metadata": {"scenario": scenario.name}})
            self._ids["{thread}"] = created.json()["thread_id"]
            assistants = self._http.post("/assistants/search", json={"graph_id": "agent", "limit": 1000}).json()
            (self._ids["{agent}"],) = [each["assistant_id"] for each in assistants if each["name"] == "agent"]
            return [self._play(step) for step in scenario.steps]

    def _play(self, step: Ask | Turn | Events) -> Any:
        if isinstance(step, Ask):
            return self._ask(step)
        return self._run(step) if isinstance(step, Turn) else self._events(step)

    def _ask(self, ask: Ask) -> dict[str, Any]:
        if ask.settles:
            self._settle()
        body = ask.body if isinstance(ask.body, bytes | None) else self._filled(json.dumps(ask.body)).encode()
        headers = {"content-type": "application/json", "connection": "close", **ask.headers}
        with self._http.stream(ask.method, self._filled(ask.path), content=body, headers=headers) as response:
            kind = response.headers.get("content-type", "").partition(";")[0]
            content = b"" if kind == "text/event-stream" and response.is_success else response.read()
        if ask.starts:
            self._wait_for_start()
        shown = self._named(json.loads(content)) if kind == "application/json" and content else content.decode()
        following = response.headers.get("x-pagination-next")
        return {"status": response.status_code, "type": kind, "next": following, "body": shown}

    def _settle(self) -> None:
        deadline_s = time.monotonic() + _LIMIT_S
        path = self._filled("/threads/{thread}/runs")
        while any(run["status"] in _GOING for run in self._http.get(path).json()):
            assert time.monotonic() < deadline_s, "a run does not end"
            time.sleep(0.02)

    def _wait_for_start(self) -> None:
        path = self._filled("/threads/{thread}")
        self._ids["{run}"] = run_id = self._http.get(f"{path}/runs", params={"limit": 1}).json()[0]["run_id"]
        decoder, is_ours = SseDecoder(), False
        with self._http.stream("GET", f"{path}/stream", headers={"last-event-id": "-"}) as response:
            for chunk in response.iter_bytes():
                for frame in decoder.feed(chunk):
                    is_ours = is_ours or json.loads(frame.data).get("run_id") == run_id
                    if is_ours and frame.event != "metadata":
                        return
                assert not decoder.has_comments, "the run says nothing"

    def _run(self, turn: Turn) -> list[Any]:
        """The frames of a run, without the time between them."""
        thread = f"/threads/{self._ids['{thread}']}"
        method = "run.start"
        params: dict[str, Any] = {
            "assistant_id": turn.assistant,
            "input": {"messages": [{"role": "user", "content": turn.message}]},
        }
        if turn.responses:
            asked = [each for group in self._http.get(thread).json()["interrupts"].values() for each in group]
            waiting = [{"interrupt_id": asked[place]["id"], "response": it} for place, it in turn.responses.items()]
            method, params = "input.respond", {"responses": waiting}
        command = {"id": 7, "method": method, "params": {**params, **turn.more}}
        answer = self._http.post(f"{thread}/commands", json=command).json()
        shown = [{**answer, "result": sorted(answer.get("result", ()))}]
        self._ids["{run}"] = self._http.get(f"{thread}/runs", params={"limit": 1}).json()[0]["run_id"]
        decoder, headers = SseDecoder(), {"last-event-id": self._last_id}
        with self._http.stream("GET", f"{thread}/stream", headers=headers) as response:
            for chunk in response.iter_bytes():
                for frame in decoder.feed(chunk):
                    data = json.loads(frame.data)
                    shown.append({"event": frame.event, "data": self._named(data)})
                    if data.get("status") == "run_done":
                        self._last_id = frame.id or ""
                        return shown
                    if turn.cancel_at and data.get("params", {}).get("data", {}).get("event") == turn.cancel_at:
                        self._http.post(f"{thread}/runs/{self._ids['{run}']}/cancel", json={})
        raise AssertionError("the stream ended before the run")

    def _events(self, step: Events) -> list[Any]:
        self._settle()
        shown: list[Any] = []
        decoder, body = SseDecoder(), {"channels": step.channels, **step.more}
        with self._http.stream("POST", self._filled("/threads/{thread}/stream/events"), json=body) as response:
            for chunk in response.iter_bytes():
                frames = [(frame, self._named(json.loads(frame.data))) for frame in decoder.feed(chunk)]
                shown += [{"event": frame.event, "id": frame.id, "data": data} for frame, data in frames]
                if len(shown) >= step.count or decoder.has_comments:  # a heartbeat: that was all
                    break
        return shown

    def _filled(self, text: str) -> str:
        for name, value in self._ids.items():
            text = text.replace(name, value)
        return text

    def _named(self, value: Any, key: str = "") -> Any:
        """The value with names for what differs between two servers: ids and times."""
        if key in _TIMES | _OPAQUE:
            return type(value).__name__
        if key == "metadata" and isinstance(value, dict):
            value = {name: each for name, each in value.items() if name not in _OF_CHECKPOINTS}
        if isinstance(value, dict):
            members = sorted(value.items(), key=lambda member: "" if _ID.fullmatch(member[0]) else member[0])
            return {self._text(name): self._named(each, name) for name, each in members}
        if isinstance(value, list):
            return [self._named(each) for each in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = _ID.sub(lambda match: self._names.setdefault(match[0], f"<id {len(self._names)}>"), text)
        return _THIRD_GRAPH.sub("", _LOG_ID.sub("<log id>", text))
