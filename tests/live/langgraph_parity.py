"""Sends the same requests to two LangGraph servers, and makes their responses comparable."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from live.scenarios import Ask, Scenario, Side
from polysession._core.sse import SseDecoder

_LOG_ID: Final = re.compile(r"\b\d{13}-\d+(?:\.\d+)?\b")
"""Ids of log entries. Entries of one millisecond may share an id."""
_OPAQUE: Final = frozenset({"kwargs", "config", "path", "response_metadata", "parents", "langsmith_session_name"})
"""Keys whose values are compared only by their type."""
_OF_CHECKPOINTS: Final = frozenset(
    {
        *("user_id", "run_attempt", "langgraph_version", "langgraph_api_version", "langgraph_plan", "langgraph_host"),
        *("langgraph_api_url", "thread_id", "run_id", "step", "langgraph_auth_user_id", "langgraph_request_id"),
    }
)
"""Keys of metadata that are not compared, because they depend on the server and its steps."""
_THIRD_GRAPH: Final = re.compile(", '?nested'?")
_LIMIT_S: Final = 30.0
_ACTIVE: Final = frozenset({"pending", "running"})


@dataclass(frozen=True, slots=True)
class Settled(Ask):
    """A request that is sent when no run of the thread is active."""


@dataclass(frozen=True, slots=True)
class Start(Ask):
    """A command that starts a run, and a wait until the run has an event.

    `{run}` then stands for this run.
    """


@dataclass(frozen=True, slots=True)
class Turn:
    """One run in the scenario's thread, and its frames.

    Attributes:
        message: Text of the user.
        responses: Responses to pending interrupts, by their position, instead of a message.
        cancel_at: Event of a `messages` frame at which the run is cancelled.
        assistant: Id of the assistant.
        more: Additional parameters of the command.
    """

    message: str = ""
    responses: Mapping[int, Any] = field(default_factory=dict)
    cancel_at: str = ""
    assistant: str = "agent"
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Events:
    """The events of the scenario's thread on `stream/events`, read when no run is active.

    Attributes:
        count: Number of events.
        channels: Requested channels.
        more: Additional fields of the body.
    """

    count: int
    channels: tuple[str, ...] = ("values", "messages", "lifecycle", "input")
    more: Mapping[str, Any] = field(default_factory=dict)


class LanggraphSide(Side):
    """A server with a new thread, `{thread}`.

    `{agent}` is an assistant, and `{run}` the newest run.
    """

    ids = re.compile(r"(?:lc_run--)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|call_[0-9a-f]{8}|\b[0-9a-f]{32}\b")
    times = frozenset({"timestamp", "created_at", "updated_at", "state_updated_at", *_OPAQUE})

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._http = httpx.Client(base_url=base_url, trust_env=False, timeout=_LIMIT_S)
        self._last_id = "-"

    def play(self, scenario: Scenario) -> list[Any]:
        """Return the comparable parts of each step's result."""
        with self._http:
            return super().play(scenario)

    def prepare(self, name: str) -> None:
        """Create the thread."""
        self.filled["{thread}"] = self._http.post("/threads", json={"metadata": {"scenario": name}}).json()["thread_id"]
        assistants = self._http.post("/assistants/search", json={"graph_id": "agent", "limit": 1000}).json()
        (self.filled["{agent}"],) = [each["assistant_id"] for each in assistants if each["name"] == "agent"]

    def perform(self, step: Ask | Turn | Events) -> Any:
        """Send a request, run a turn, or read the typed events."""
        if isinstance(step, Turn):
            return self._run(step)
        return self._ask(step) if isinstance(step, Ask) else self._events(step)

    def _ask(self, ask: Ask) -> dict[str, Any]:
        if isinstance(ask, Settled):
            self._settle()
        path, body = self.fill(ask.path), self.content(ask.body)
        with self._http.stream(ask.method, path, content=body, headers=ask.all_headers) as response:
            kind = response.headers.get("content-type", "").partition(";")[0]
            content = b"" if kind == "text/event-stream" and response.is_success else response.read()
        if isinstance(ask, Start):
            self._wait_for_start()
        shown = self.named(json.loads(content)) if kind == "application/json" and content else content.decode()
        following = response.headers.get("x-pagination-next")
        return {"status": response.status_code, "type": kind, "next": following, "body": shown}

    def _settle(self) -> None:
        deadline_s = time.monotonic() + _LIMIT_S
        path = self.fill("/threads/{thread}/runs")
        while any(run["status"] in _ACTIVE for run in self._http.get(path).json()):
            assert time.monotonic() < deadline_s, "a run did not end"
            time.sleep(0.02)

    def _wait_for_start(self) -> None:
        path = self.fill("/threads/{thread}")
        self.filled["{run}"] = run_id = self._http.get(f"{path}/runs", params={"limit": 1}).json()[0]["run_id"]
        decoder, is_ours = SseDecoder(), False
        with self._http.stream("GET", f"{path}/stream", headers={"last-event-id": "-"}) as response:
            for chunk in response.iter_bytes():
                for frame in decoder.feed(chunk):
                    is_ours = is_ours or json.loads(frame.data).get("run_id") == run_id
                    if is_ours and frame.event != "metadata":
                        return
                assert not decoder.has_comments, "the run had no event"

    def _run(self, turn: Turn) -> list[Any]:
        """Return the frames of a run, without their times."""
        thread = f"/threads/{self.filled['{thread}']}"
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
        self.filled["{run}"] = self._http.get(f"{thread}/runs", params={"limit": 1}).json()[0]["run_id"]
        decoder, headers = SseDecoder(), {"last-event-id": self._last_id}
        with self._http.stream("GET", f"{thread}/stream", headers=headers) as response:
            for chunk in response.iter_bytes():
                for frame in decoder.feed(chunk):
                    data = json.loads(frame.data)
                    shown.append({"event": frame.event, "data": self.named(data)})
                    if data.get("status") == "run_done":
                        self._last_id = frame.id or ""
                        return shown
                    if turn.cancel_at and data.get("params", {}).get("data", {}).get("event") == turn.cancel_at:
                        self._http.post(f"{thread}/runs/{self.filled['{run}']}/cancel", json={})
        raise AssertionError("the stream ended before the run")

    def _events(self, step: Events) -> list[Any]:
        self._settle()
        shown: list[Any] = []
        decoder, body = SseDecoder(), {"channels": step.channels, **step.more}
        with self._http.stream("POST", self.fill("/threads/{thread}/stream/events"), json=body) as response:
            for chunk in response.iter_bytes():
                frames = [(frame, self.named(json.loads(frame.data))) for frame in decoder.feed(chunk)]
                shown += [{"event": frame.event, "id": frame.id, "data": data} for frame, data in frames]
                if len(shown) >= step.count or decoder.has_comments:  # a heartbeat: there are no further events
                    break
        return shown

    def named(self, value: Any, key: str = "") -> Any:
        """Return a JSON value without the keys of metadata that depend on the server."""
        if key == "metadata" and isinstance(value, dict):
            value = {name: each for name, each in value.items() if name not in _OF_CHECKPOINTS}
        return super().named(value, key)

    def text(self, text: str) -> str:
        """Return a text without log ids, and without the third graph of the real server."""
        return _THIRD_GRAPH.sub("", _LOG_ID.sub("<log id>", super().text(text)))
