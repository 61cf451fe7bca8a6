"""Sends, lists and streams events in the Qoder emulator.

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
from polysession_managed_agents.emulator.record_store import CREATED_AT_FIELDS, read_created_at
from polysession_managed_agents.emulator.sent_events import (
    ANSWERED_IN,
    SENT_FIELDS,
    check_events,
    read_initial_events,
    text_of,
)
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
    """Read and check the events that a new session begins with, from the body of its creation."""
    return read_initial_events(body, _FIELDS, _BLOCKS)


def send(session: Session, body: Json, generation: Generation) -> list[Json]:
    """Accept all events, or none. Returns the accepted events with their ids."""
    only(body, {"events"})
    sent = take_typed_objects(body, "events")
    if not sent:
        raise invalid("Missing required field: events", "events")
    check_open(session)
    events = [_to_current(event) for event in sent] if generation == "legacy" else sent
    check_events(events, _FIELDS, _BLOCKS)
    _check_state(session, events)
    conversation = session.conversation
    if any(event["type"] == "user.message" for event in events):
        conversation.writer.turn_id = base36_id("turn_")
    accepted = [conversation.writer.accepted(event) for event in sent]
    _apply(conversation, events, accepted)
    return accepted


def _to_current(event: Json) -> Json:
    """Convert a legacy event to the current field names.

    Whether the legacy API refused those is not documented.
    """
    if event["type"] == "user.tool_confirmation" and "decision" in event:
        rest = {name: value for name, value in event.items() if name != "decision"}
        return {**rest, "result": _LEGACY_DECISIONS.get(event["decision"], event["decision"])}
    if event["type"] == "user.custom_tool_result" and "tool_use_id" in event:
        rest = {name: value for name, value in event.items() if name != "tool_use_id"}
        return {**rest, "custom_tool_use_id": event["tool_use_id"]}
    return event


def _check_state(session: Session, events: list[Json]) -> None:
    conversation = session.conversation
    kinds = {event["type"] for event in events}
    if "user.message" in kinds and (session.busy or conversation.pending):
        raise conflict(f"Session {session.id!r} is busy: a turn runs, or actions are pending.")
    for event in events:
        if event["type"] == "user.tool_result" and event["tool_use_id"] not in conversation.delegated:
            raise invalid(f"Event {event['tool_use_id']!r} does not wait for a user.tool_result.", "tool_use_id")
        if event["type"] not in ANSWERED_IN:
            continue
        name = ANSWERED_IN[event["type"]]
        pending = conversation.pending.get(event[name])
        if pending is None or pending.answered_by != event["type"]:
            raise invalid(f"Event {event[name]!r} does not wait for a {event['type']}.", name)


def _apply(conversation: QoderConversation, events: list[Json], accepted: list[Json]) -> None:
    """Apply accepted events to the conversation."""
    messages = [event for event in events if event["type"] == "user.message"]
    answers = {
        event[ANSWERED_IN[event["type"]]]: event.get("result") != "deny"
        for event in events
        if event["type"] in ANSWERED_IN
    }
    results = [event for event in accepted if event["type"] == "user.tool_result"]
    if messages:
        conversation.begin(accepted, text_of(messages[-1]))
    elif answers:
        answering = [event for event in accepted if event["type"] in ANSWERED_IN]
        conversation.answer(answering, answers)
    elif results:
        conversation.take_results(results)
    else:
        conversation.writer.note(accepted)
    if any(event["type"] == "user.interrupt" for event in events):
        conversation.interrupt()


def list_events(session: Session, query: Json, generation: Generation) -> Json:
    """Return one page of the stored events. Unknown types match nothing."""
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
    """Return the live stream: after `last_event_id`, or from now on.

    A legacy stream starts at the first event.
    """
    only(query, _STREAM_FIELDS[generation])
    previewed = frozenset(take_all(query, "event_deltas", str))
    if not previewed <= _PREVIEWABLE:
        raise invalid("Field 'event_deltas' accepts only 'agent.message' and 'agent.thinking'.", "event_deltas")
    types = frozenset([*take_all(query, "type", str), *take_all(query, "types", str)])
    conversation = session.conversation
    start = _start(conversation, last_event_id, generation)
    heartbeat = HEARTBEAT if generation == "current" else sse_frame({"event": "heartbeat", "data": {}})
    # The stream repeats no previews of events that were complete before it was opened.
    finished = {entry.id for entry in conversation.log.entries if entry.previewed is None}

    def is_wanted(entry: Entry) -> bool:
        if entry.previewed is not None:
            return entry.previewed in previewed and entry.id not in finished
        return not types or entry.event["type"] in types

    return EventStream(_frames(conversation, start, is_wanted, heartbeat))


def _start(conversation: QoderConversation, last_event_id: str | None, generation: Generation) -> int:
    entries = conversation.log.entries
    if last_event_id is None:
        return 0 if generation == "legacy" else len(entries)
    for position in range(len(entries) - 1, -1, -1):
        if entries[position].id == last_event_id:
            return position + 1
    raise invalid(f"Unknown event {last_event_id!r}.", "Last-Event-ID")


async def _frames(
    conversation: QoderConversation, start: int, is_wanted: Callable[[Entry], bool], heartbeat: bytes
) -> AsyncGenerator[bytes, None]:
    async for entry in conversation.log.follow(start, heartbeat_s=HEARTBEAT_S):
        if entry is None:
            yield heartbeat
        elif is_wanted(entry):
            yield sse_frame({"id": entry.id, "event": entry.event["type"], "data": entry.event})
        if entry is not None and entry.event["type"] in _TERMINAL:
            return
