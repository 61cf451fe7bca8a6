"""Sending, listing and streaming events in the Qoder emulator.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/send, /list and /stream beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime

from polysession.emulation import HEARTBEAT, EventStream, Generation, base36_id, sse_frame
from polysession_qoder.emulator.conversation import Conversation, timestamp_now
from polysession_qoder.emulator.listing import WINDOW_FIELDS, cut, read_created_at, read_window
from polysession_qoder.emulator.shapes import page_shape
from polysession_qoder.emulator.state import Session
from polysession_qoder.emulator.validation import (
    Json,
    conflict,
    invalid,
    need,
    only,
    take,
    take_all,
    take_typed_objects,
)

HEARTBEAT_S = 15.0

_CREATED_AT = frozenset({"created_at[gt]", "created_at[gte]", "created_at[lt]", "created_at[lte]"})
_LIST_FIELDS = WINDOW_FIELDS | _CREATED_AT | {"order", "types"}
_STREAM_FIELDS = frozenset({"event_deltas"})
_PREVIEWABLE = frozenset({"agent.message", "agent.thinking"})
_FIELDS: Mapping[str, Collection[str]] = {
    "user.message": {"content"},
    "user.interrupt": {"session_thread_id"},
    "user.tool_confirmation": {"tool_use_id", "result", "deny_message", "session_thread_id"},
    "user.custom_tool_result": {"custom_tool_use_id", "content", "is_error", "session_thread_id"},
    "user.define_outcome": {"description", "rubric", "max_iterations"},
    "system.message": {"content"},
}
_ANSWERS = frozenset({"user.tool_confirmation", "user.custom_tool_result"})
_BLOCKS = frozenset({"text", "image", "document", "redacted"})
_TERMINAL = frozenset({"session.deleted", "session.status_terminated"})


def send(session: Session, body: Json) -> list[Json]:
    """Accept events, all or none; the accepted events with their permanent ids."""
    only(body, {"events"})
    events = take_typed_objects(body, "events")
    if not events:
        raise invalid("Missing required field: events", "events")
    if session.archived_at is not None:
        raise conflict(f"Session {session.id!r} is archived.")
    for position, event in enumerate(events):
        _check_event(event, is_last=position == len(events) - 1)
    _check_state(session, events)
    accepted = [{**event, "id": base36_id("evt_"), "processed_at": timestamp_now()} for event in events]
    _apply(session, accepted)
    return accepted


def _check_event(event: Json, *, is_last: bool) -> None:
    kind = event["type"]
    if kind not in _FIELDS:
        raise invalid(f"Event type {kind!r} cannot be sent.", "type")
    only(event, {"type", *_FIELDS[kind]})
    if kind == "system.message" and not is_last:
        raise invalid("A system.message must be the last event.", "events")
    if kind in {"user.message", "system.message"}:
        _check_content(event)
    elif kind == "user.tool_confirmation":
        need(event, "tool_use_id", str)
        if need(event, "result", str) not in {"allow", "deny"}:
            raise invalid("Field 'result' must be 'allow' or 'deny'.", "result")
    elif kind == "user.custom_tool_result":
        need(event, "custom_tool_use_id", str)
        take_typed_objects(event, "content")
        take(event, "is_error", bool)


def _check_content(event: Json) -> None:
    blocks = take_typed_objects(event, "content")
    if not blocks:
        raise invalid("Missing required field: content", "content")
    for block in blocks:
        if block["type"] not in _BLOCKS:
            raise invalid(f"Content of type {block['type']!r} cannot be sent.", "content")
        need(block, *(("text", str) if block["type"] == "text" else ("source", dict)))


def _check_state(session: Session, events: list[Json]) -> None:
    talk = session.conversation
    kinds = {event["type"] for event in events}
    if "user.message" in kinds and (session.busy or talk.pending):
        raise conflict(f"Session {session.id!r} is busy.")
    for event in events:
        if event["type"] not in _ANSWERS:
            continue
        is_custom = event["type"] == "user.custom_tool_result"
        name = "custom_tool_use_id" if is_custom else "tool_use_id"
        pending = talk.pending.get(event[name])
        if pending is None or pending.is_custom is not is_custom:
            raise invalid(f"Event {event[name]!r} does not wait for this answer.", name)


def _apply(session: Session, events: list[Json]) -> None:
    """Let accepted events take effect."""
    talk = session.conversation
    messages = [event for event in events if event["type"] == "user.message"]
    answers = [event for event in events if event["type"] in _ANSWERS]
    if messages:
        talk.begin(events, _text(messages[-1]))
    elif answers:
        talk.answer(answers)
    else:
        talk.note(events)
    if any(event["type"] == "user.interrupt" for event in events):
        talk.interrupt()


def _text(message: Json) -> str:
    return "".join(block.get("text", "") for block in message["content"])


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
    only(query, _STREAM_FIELDS)
    wanted = frozenset(take_all(query, "event_deltas", str))
    if not wanted <= _PREVIEWABLE:
        raise invalid("Only agent.message and agent.thinking have deltas.", "event_deltas")
    talk = session.conversation
    start = _start(talk, last_event_id, generation)
    frames = _frames(talk, start, with_previews="agent.message" in wanted, generation=generation)
    return EventStream(frames)


def _start(talk: Conversation, last_event_id: str | None, generation: Generation) -> int:
    entries = talk.log.entries
    if last_event_id is None:
        return 0 if generation == "legacy" else len(entries)
    for position in range(len(entries) - 1, -1, -1):
        if entries[position].id == last_event_id:
            return position + 1
    raise invalid(f"Event {last_event_id!r} is not known.", "Last-Event-ID")


async def _frames(
    talk: Conversation, start: int, *, with_previews: bool, generation: Generation
) -> AsyncIterator[bytes]:
    # Previews of an event that was finished before the stream was opened are not told again.
    finished = {entry.id for entry in talk.log.entries if not entry.is_preview}
    async for entry in talk.log.follow(start, heartbeat_s=HEARTBEAT_S):
        if entry is None:
            yield sse_frame({"event": "heartbeat", "data": {}}) if generation == "legacy" else HEARTBEAT
        elif not entry.is_preview or (with_previews and entry.id not in finished):
            yield sse_frame({"id": entry.id, "event": entry.event["type"], "data": entry.event})
        if entry is not None and entry.event["type"] in _TERMINAL:
            return
