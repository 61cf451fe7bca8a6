"""Sending, listing and streaming events in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/send, /list and /stream beside it, and for the legacy
generation https://docs.qoder.com/cloud-agents/api/sessions/stream-events (read 2026-11)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime

from polysession.emulation import HEARTBEAT, EventStream, Generation, base36_id, sse_frame
from polysession_managed_agents.emulator.emulated import check_open
from polysession_managed_agents.emulator.event_writer import Entry
from polysession_managed_agents.emulator.paging import cut
from polysession_managed_agents.emulator.sent_events import (
    ANSWERED_IN,
    SENT_FIELDS,
    check_events,
    read_initial_events,
    text_of,
)
from polysession_managed_agents.emulator.shelf import CREATED_AT_FIELDS, read_created_at
from polysession_managed_agents.emulator.validation import (
    Json,
    conflict,
    invalid,
    only,
    take_all,
    take_typed_objects,
)
from polysession_qoder.emulator.event_writer import QoderConversation
from polysession_qoder.emulator.listing import WINDOW_FIELDS, read_window
from polysession_qoder.emulator.shapes import page_shape
from polysession_qoder.emulator.state import Session

HEARTBEAT_S = 15.0

_LIST_FIELDS = WINDOW_FIELDS | CREATED_AT_FIELDS | {"order", "types"}
_STREAM_FIELDS: Mapping[Generation, frozenset[str]] = {
    "current": frozenset({"event_deltas"}),
    "legacy": frozenset({"event_deltas", "type", "types"}),
}
_PREVIEWABLE = frozenset({"agent.message", "agent.thinking"})
_THREAD_NAMED = frozenset({"user.tool_confirmation", "user.custom_tool_result", "user.tool_result"})
_FIELDS = {
    kind: fields | {"session_thread_id"} if kind in _THREAD_NAMED else fields for kind, fields in SENT_FIELDS.items()
}
_LEGACY_DECISIONS = {"approve": "allow", "deny": "deny"}
_BLOCKS = frozenset({"text", "image", "document", "redacted"})
_TERMINAL = frozenset({"session.deleted", "session.status_terminated"})


def read_initial(body: Json) -> list[Json]:
    """The events that a new session begins with, taken out of the body of its creation."""
    return read_initial_events(body, _FIELDS, _BLOCKS)


def send(session: Session, body: Json, generation: Generation) -> list[Json]:
    """Accept events, all or none; the accepted events with their permanent ids."""
    only(body, {"events"})
    sent = take_typed_objects(body, "events")
    if not sent:
        raise invalid("Missing required field: events", "events")
    check_open(session)
    events = [_modern(event) for event in sent] if generation == "legacy" else sent
    check_events(events, _FIELDS, _BLOCKS)
    _check_state(session, events)
    talk = session.conversation
    if any(event["type"] == "user.message" for event in events):
        talk.writer.turn_id = base36_id("turn_")
    accepted = [talk.writer.accepted(event) for event in sent]
    _apply(talk, events, accepted)
    return accepted


def _modern(event: Json) -> Json:
    """An event of the legacy generation under the names of today. That the names of today were refused is not known."""
    if event["type"] == "user.tool_confirmation" and "decision" in event:
        rest = {name: value for name, value in event.items() if name != "decision"}
        return {**rest, "result": _LEGACY_DECISIONS.get(event["decision"], event["decision"])}
    if event["type"] == "user.custom_tool_result" and "tool_use_id" in event:
        rest = {name: value for name, value in event.items() if name != "tool_use_id"}
        return {**rest, "custom_tool_use_id": event["tool_use_id"]}
    return event


def _check_state(session: Session, events: list[Json]) -> None:
    talk = session.conversation
    kinds = {event["type"] for event in events}
    if "user.message" in kinds and (session.busy or talk.pending):
        raise conflict(f"Session {session.id!r} is busy.")
    for event in events:
        if event["type"] == "user.tool_result" and event["tool_use_id"] not in talk.delegated:
            raise invalid(f"Event {event['tool_use_id']!r} does not wait for a result.", "tool_use_id")
        if event["type"] not in ANSWERED_IN:
            continue
        name = ANSWERED_IN[event["type"]]
        pending = talk.pending.get(event[name])
        if pending is None or pending.answered_by != event["type"]:
            raise invalid(f"Event {event[name]!r} does not wait for this answer.", name)


def _apply(talk: QoderConversation, events: list[Json], accepted: list[Json]) -> None:
    """Let accepted events take effect."""
    messages = [event for event in events if event["type"] == "user.message"]
    answers = {
        event[ANSWERED_IN[event["type"]]]: event.get("result") != "deny"
        for event in events
        if event["type"] in ANSWERED_IN
    }
    results = [event for event in accepted if event["type"] == "user.tool_result"]
    if messages:
        talk.begin(accepted, text_of(messages[-1]))
    elif answers:
        answering = [event for event in accepted if event["type"] in ANSWERED_IN]
        talk.answer(answering, answers)
    elif results:
        talk.take_results(results)
    else:
        talk.writer.note(accepted)
    if any(event["type"] == "user.interrupt" for event in events):
        talk.interrupt()


def list_events(session: Session, query: Json, generation: Generation) -> Json:
    """One page of the events that are kept. Unknown types match nothing."""
    only(query, _LIST_FIELDS)
    types = take_all(query, "types", str)
    in_range = read_created_at(query)
    events = session.conversation.persisted()
    positions = {event["id"]: position for position, event in enumerate(events)}
    rows = {
        event["id"]: event
        for event in events
        if (not types or event["type"] in types) and in_range(datetime.fromisoformat(event["processed_at"]))
    }
    return page_shape(cut(rows, positions, read_window(query, newest_first=False)), lambda event: event, generation)


def stream(session: Session, query: Json, last_event_id: str | None, generation: Generation) -> EventStream:
    """The live stream: what comes after `last_event_id`, else from now on, or in 2026-05 from the beginning."""
    only(query, _STREAM_FIELDS[generation])
    previewed = frozenset(take_all(query, "event_deltas", str))
    if not previewed <= _PREVIEWABLE:
        raise invalid("Only agent.message and agent.thinking have deltas.", "event_deltas")
    types = frozenset([*take_all(query, "type", str), *take_all(query, "types", str)])
    talk = session.conversation
    start = _start(talk, last_event_id, generation)
    heartbeat = HEARTBEAT if generation == "current" else sse_frame({"event": "heartbeat", "data": {}})
    # Previews of an event that was finished before the stream was opened are not sent again.
    finished = {entry.id for entry in talk.log.entries if entry.previewed is None}

    def is_wanted(entry: Entry) -> bool:
        if entry.previewed is not None:
            return entry.previewed in previewed and entry.id not in finished
        return not types or entry.event["type"] in types

    return EventStream(_frames(talk, start, is_wanted, heartbeat))


def _start(talk: QoderConversation, last_event_id: str | None, generation: Generation) -> int:
    entries = talk.log.entries
    if last_event_id is None:
        return 0 if generation == "legacy" else len(entries)
    for position in range(len(entries) - 1, -1, -1):
        if entries[position].id == last_event_id:
            return position + 1
    raise invalid(f"Event {last_event_id!r} is not known.", "Last-Event-ID")


async def _frames(
    talk: QoderConversation, start: int, is_wanted: Callable[[Entry], bool], heartbeat: bytes
) -> AsyncGenerator[bytes, None]:
    async for entry in talk.log.follow(start, heartbeat_s=HEARTBEAT_S):
        if entry is None:
            yield heartbeat
        elif is_wanted(entry):
            yield sse_frame({"id": entry.id, "event": entry.event["type"], "data": entry.event})
        if entry is not None and entry.event["type"] in _TERMINAL:
            return
