"""The streams of the LangGraph emulator: thread, run, and `stream/events`.

Backend: observed on langgraph-api 0.16.7 (2026-11-30)
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final

from polysession.emulation import ApiRequest, EventStream, Refusal, sse_frame
from polysession_langgraph.emulator.store import Entry, Json, Run, Store, Thread
from polysession_langgraph.emulator.validation import check_uuid

HEARTBEAT_S: Final = 5.0
_MODES: Final = frozenset({"run_modes", "lifecycle", "state_update"})
_CHANNELS: Final = ("values", "updates", "messages", "tools", "custom", "lifecycle", "input", "tasks")
_ENDS: Final[Mapping[str, str]] = {"success": "completed", "interrupted": "interrupted", "error": "failed"}
"""Event of the `lifecycle` channel for each status of an ended run."""


def thread_stream(store: Store, request: ApiRequest) -> EventStream:
    """Answer `GET /threads/{id}/stream`: all runs.

    For an unknown thread only heartbeats are sent.
    """
    thread = store.threads.get(check_uuid(request.parameters["id"]))
    for mode in request.query.get("stream_modes", "run_modes").split(","):
        if mode not in _MODES:
            raise Refusal(422, f"Invalid stream mode: {mode}")
    log = (thread or Thread("", {})).log
    start = _start(log.entries, request.headers.get("last-event-id"))
    return EventStream(_frames(log.follow(start, heartbeat_s=HEARTBEAT_S)))


def run_stream(store: Store, request: ApiRequest) -> EventStream:
    """Answer `GET /threads/{id}/runs/{run}/stream`: one run.

    Without `last-event-id` only new events are sent.
    """
    thread = store.thread(request.parameters["id"])
    run = store.run(thread, request.parameters["run"])
    start = _start(thread.log.entries, request.headers.get("last-event-id"))
    entries = (
        thread.log.follow(start, heartbeat_s=HEARTBEAT_S) if run.is_active else _replay(thread.log.entries[start:])
    )
    return EventStream(_frames(_of_run(run, entries)))


def event_stream(store: Store, request: ApiRequest) -> EventStream:
    """Answer `POST /threads/{id}/stream/events`: the log and then new events.

    An unknown thread has no events.
    """
    try:
        body = request.json()
    except ValueError as error:
        raise Refusal(400, "Invalid JSON body") from error
    channels = body.get("channels") if isinstance(body, dict) else None
    if not isinstance(channels, list) or not channels:
        raise Refusal(400, "channels is required and must be a non-empty array")
    known = {*_CHANNELS, "checkpoints"}
    unsupported = [str(each) for each in channels if each not in known and not str(each).startswith("custom:")]
    if unsupported:
        allowed = f"Allowed: {', '.join(_CHANNELS)}, or any `custom:<name>`."
        raise Refusal(400, f"channels contains unsupported entries: {', '.join(unsupported)}. {allowed}")
    thread = store.threads.get(request.parameters["id"]) or Thread("", {})
    return EventStream(_typed_frames(thread, channels, body))


async def _typed_frames(thread: Thread, channels: list[str], body: Json) -> AsyncGenerator[bytes, None]:
    """Yield the frames of the channels.

    Their numbers count all events of the remaining log, on this connection.
    """
    since, namespaces = body.get("since"), body.get("namespaces")
    is_root_shown = not isinstance(namespaces, list) or not namespaces or [] in namespaces
    number, ended = 0, set[str]()
    async for entry in thread.log.follow(0, heartbeat_s=HEARTBEAT_S):
        if entry is None:
            yield b": heartbeat\r\n\r\n"
            continue
        for channel, event in _typed(thread, entry, ended):
            number += 1
            is_new = not isinstance(since, int) or number > since
            if is_new and is_root_shown and channel in channels:
                yield _frame(event["method"], {**event, "seq": number}, str(number))


def _typed(thread: Thread, entry: Entry, ended: set[str]) -> Iterator[tuple[str, Json]]:
    """Yield the events of one entry, each with its channel; none if its run was deleted."""
    run = next((each for each in thread.runs if each.id == entry.run_id), None)
    if run is None:
        return
    if entry.event == "metadata":
        event = _ENDS.get(run.status, "completed") if "status" in entry.data else "running"
        if run.id not in ended:
            yield "lifecycle", _lifecycle(run, event)
        return
    if "method" not in entry.data:
        return  # an error, which the end of the run reports
    params = entry.data["params"]
    for interrupt in params.get("interrupts") or ():
        requested = {"interrupt_id": interrupt["id"], "payload": interrupt["value"]}
        yield "input", _event(f"synth:{run.id}:input||{interrupt['id']}", "input.requested", requested)
        if run.id not in ended:
            ended.add(run.id)
            yield "lifecycle", _lifecycle(run, "interrupted")
    data = params["data"]
    if entry.event == "values":
        data = {**data, "messages": [_short(message) for message in data["messages"]]}
    yield entry.event, _event(entry.id, entry.event, data, params["timestamp"])


def _lifecycle(run: Run, event: str) -> Json:
    return _event(f"synth:{run.id}:lc||{event}", "lifecycle", {"event": event, "graph_name": run.graph_id})


def _event(event_id: str, method: str, data: Any, timestamp: int | None = None) -> Json:
    timestamp = time.time_ns() // 1_000_000 if timestamp is None else timestamp
    params = {"namespace": [], "timestamp": timestamp, "data": data}
    return {"type": "event", "event_id": event_id, "method": method, "params": params}


def _short(message: Json) -> Json:
    """Return a message in the format of this stream: without usage and empty fields."""
    left_out = {"usage_metadata", "invalid_tool_calls"}
    return {
        name: value
        for name, value in message.items()
        if name == "artifact" or (name not in left_out and value not in (None, {}, []))
    }


def _start(entries: list[Entry], last_id: str | None) -> int:
    """Return the index at which a stream starts.

    Without an id it is after the last entry, with `-` at the first.
    """
    if last_id is None:
        return len(entries)
    if last_id == "-":
        return 0
    try:
        position = _order(last_id)
    except ValueError:
        raise Refusal(422, "Invalid last-event-id: must be a valid Redis stream ID") from None
    return sum(1 for entry in entries if _order(entry.id) <= position)


def _order(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


async def _of_run(run: Run, entries: AsyncIterator[Entry | None]) -> AsyncIterator[Entry | None]:
    """Yield the entries of a run. The stream ends before the entry of the run's end."""
    async for entry in entries:
        if entry is not None and entry.run_id == run.id and entry.data.get("status") == "run_done":
            return
        if entry is None or entry.run_id == run.id:
            yield entry


async def _replay(entries: Iterable[Entry]) -> AsyncIterator[Entry | None]:
    for entry in entries:
        yield entry


async def _frames(entries: AsyncIterator[Entry | None]) -> AsyncGenerator[bytes, None]:
    async for entry in entries:
        yield b": heartbeat\r\n\r\n" if entry is None else _frame(entry.event, entry.data, entry.id)


def _frame(event: str, data: Json, frame_id: str) -> bytes:
    return sse_frame({"event": event, "data": data, "id": frame_id}).replace(b"\n", b"\r\n")
