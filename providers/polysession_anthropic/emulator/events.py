"""Sends, lists and streams events in the Anthropic emulator.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming (read 2026-11)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from functools import partial
from typing import Final

from polysession.emulation import EventStream, sse_frame
from polysession_anthropic.emulator.conversation import ANSWERS, WORK, AnthropicConversation
from polysession_anthropic.emulator.event_writer import AnthropicEventWriter
from polysession_anthropic.emulator.paging import LISTS, PAGE_FIELDS
from polysession_anthropic.emulator.state import Session
from polysession_managed_agents.emulator.emulated import check_open
from polysession_managed_agents.emulator.event_writer import Entry
from polysession_managed_agents.emulator.record_store import CREATED_AT_FIELDS, read_created_at
from polysession_managed_agents.emulator.sent_events import SENT_FIELDS, check_events, read_initial_events
from polysession_managed_agents.emulator.validation import (
    Json,
    invalid,
    need,
    only,
    take,
    take_all,
    take_typed_objects,
)

HEARTBEAT_S: Final = 15.0
STREAM_ERROR: Final = "error"
"""The `previewed` mark of a log entry that ends open streams with an error.

Lists do not show it.
"""

_HEARTBEAT: Final = sse_frame({"event": "ping", "data": {"type": "ping"}})
_LIST_FIELDS: Final = PAGE_FIELDS | CREATED_AT_FIELDS | {"order", "types"}
_PREVIEWABLE: Final = frozenset({"agent.message", "agent.thinking"})
_MAX_DELTAS: Final = 100
_BLOCKS: Final = frozenset({"text", "image", "document"})
_MAX_ITERATIONS: Final = range(1, 21)
_RUBRICS: Final = {"text": "content", "file": "file_id"}


def read_initial(body: Json) -> list[Json]:
    """Read and check the events that a new session begins with, from the body of its creation."""
    events = read_initial_events(body, SENT_FIELDS, _BLOCKS)
    outcomes = [event for event in events if event["type"] == "user.define_outcome"]
    if len(outcomes) > 1:
        raise invalid("Field 'initial_events' may have at most one user.define_outcome.", "initial_events")
    _check_outcomes(outcomes)
    return events


def send(session: Session, body: Json) -> list[Json]:
    """Accept all events, or none. Returns the accepted events with their ids."""
    only(body, {"events"})
    events = take_typed_objects(body, "events")
    if not events:
        raise invalid("Missing required field: events", "events")
    check_open(session)
    check_events(events, SENT_FIELDS, _BLOCKS)
    _check_outcomes([event for event in events if event["type"] == "user.define_outcome"])
    _check_state(session, events)
    return [_shown(session.conversation.writer, event) for event in session.conversation.accept(events)]


def _check_outcomes(outcomes: list[Json]) -> None:
    for outcome in outcomes:
        need(outcome, "description", str)
        rubric = need(outcome, "rubric", dict)
        kind = need(rubric, "type", str)
        if kind not in _RUBRICS:
            raise invalid("Field 'rubric.type' must be 'text' or 'file'.", "rubric")
        need(rubric, _RUBRICS[kind], str)
        iterations = take(outcome, "max_iterations", int)
        if iterations is not None and iterations not in _MAX_ITERATIONS:
            raise invalid("Field 'max_iterations' must be between 1 and 20.", "max_iterations")


def _check_state(session: Session, events: list[Json]) -> None:
    conversation = session.conversation
    kinds = {event["type"] for event in events}
    if conversation.is_paused and kinds & WORK:
        raise invalid("The session has reached its budget. Raise or remove the budget first.")
    for event in events:
        if event["type"] == "user.interrupt" and event.get("session_thread_id") is not None:
            session.threads.find(need(event, "session_thread_id", str))
    _check_answers(conversation, events)


def _check_answers(conversation: AnthropicConversation, events: list[Json]) -> None:
    answered = set()
    for event in events:
        name = ANSWERS.get(event["type"])
        if name is None:
            continue
        pending = conversation.pending.get(event[name])
        if pending is None or pending.answered_by != event["type"] or event[name] in answered:
            raise invalid(f"Event {event[name]!r} does not wait for a {event['type']}.", name)
        answered.add(event[name])
    if conversation.pending and not answered and any(event["type"] == "system.message" for event in events):
        raise invalid("While actions are pending, a system.message must be sent with an answer.")


def list_events(session: Session, query: Json) -> Json:
    """Return one page of the stored events. Events that are not processed yet are last."""
    only(query, _LIST_FIELDS)
    types = take_all(query, "types", str)
    in_range = read_created_at(query)
    events = session.conversation.persisted()
    rows = {
        event["id"]: event
        for event in events
        if (not types or event["type"] in types)
        and (event["processed_at"] is None or in_range(datetime.fromisoformat(event["processed_at"])))
    }
    positions = {event["id"]: position for position, event in enumerate(events)}
    return LISTS.page_among_parts(rows, positions, query, partial(_shown, session.conversation.writer))


def list_thread_events(writer: AnthropicEventWriter, events: list[Json], query: Json) -> Json:
    """Return one page of the events of a thread."""
    only(query, PAGE_FIELDS)
    return LISTS.page_of_parts({event["id"]: event for event in events}, query, partial(_shown, writer))


def stream(writer: AnthropicEventWriter, query: Json) -> EventStream:
    """Return the live stream from now on.

    It has no previews of a model request that is already open.
    """
    only(query, {"event_deltas"})
    previewed = take_all(query, "event_deltas", str)
    if len(previewed) > _MAX_DELTAS or not _PREVIEWABLE.issuperset(previewed):
        raise invalid(
            "Field 'event_deltas' accepts at most 100 items: 'agent.message' or 'agent.thinking'.", "event_deltas"
        )
    start, open_span = len(writer.log.entries), writer.span_id

    def is_wanted(entry: Entry) -> bool:
        if entry.previewed in {None, STREAM_ERROR}:
            return True
        has_text = entry.previewed == "agent.message" or entry.event["type"] == "event_start"
        return entry.previewed in previewed and has_text and (open_span is None or entry.span_id != open_span)

    return EventStream(_frames(writer, start, is_wanted))


async def _frames(
    writer: AnthropicEventWriter, start: int, is_wanted: Callable[[Entry], bool]
) -> AsyncGenerator[bytes, None]:
    async for entry in writer.log.follow(start, heartbeat_s=HEARTBEAT_S):
        if entry is None:
            yield _HEARTBEAT
        elif is_wanted(entry):
            yield sse_frame({"event": entry.event["type"], "data": _shown(writer, entry.event)})
            if entry.previewed == STREAM_ERROR:
                return


def _shown(writer: AnthropicEventWriter, event: Json) -> Json:
    is_nameless = event["type"] == "user.interrupt" and writer.nameless_interrupts
    return {**event, "id": ""} if is_nameless else dict(event)
