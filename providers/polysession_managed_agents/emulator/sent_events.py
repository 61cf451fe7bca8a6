"""Validates the events that clients send."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from polysession_managed_agents.emulator.validation import Json, invalid, need, only, take, take_typed_objects

INITIAL_EVENTS: Final = 50
SENT_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "user.message": frozenset({"content"}),
    "user.interrupt": frozenset({"session_thread_id"}),
    "user.tool_confirmation": frozenset({"tool_use_id", "result", "deny_message"}),
    "user.custom_tool_result": frozenset({"custom_tool_use_id", "content", "is_error"}),
    "user.tool_result": frozenset({"tool_use_id", "content", "is_error"}),
    "user.define_outcome": frozenset({"description", "rubric", "max_iterations"}),
    "system.message": frozenset({"content"}),
}
"""The types of events that clients may send, each with its fields."""

ANSWERED_IN: Final[Mapping[str, str]] = {
    "user.tool_confirmation": "tool_use_id",
    "user.custom_tool_result": "custom_tool_use_id",
}
"""The types of events that answer an action, each with the field that names it."""


def read_initial_events(body: Json, fields: Mapping[str, Collection[str]], blocks: Collection[str]) -> list[Json]:
    """Read and check the events that a new session begins with, from the body of its creation."""
    events = take_typed_objects(body, "initial_events")
    if len(events) > INITIAL_EVENTS:
        raise invalid(f"Field 'initial_events' may have at most {INITIAL_EVENTS} events.", "initial_events")
    for event in events:
        if event["type"] not in {"user.message", "user.define_outcome"}:
            raise invalid(f"A session cannot begin with {event['type']!r}.", "initial_events")
    check_events(events, fields, blocks)
    return events


def check_events(events: list[Json], fields: Mapping[str, Collection[str]], blocks: Collection[str]) -> None:
    """Refuse events that do not match the documentation, independent of the session's state.

    Args:
        events: Objects that each have a `type`.
        fields: The accepted types, each with its fields.
        blocks: Types of content blocks that a message may have.
    """
    for position, event in enumerate(events):
        kind = event["type"]
        if kind not in fields:
            raise invalid(f"Event type {kind!r} cannot be sent.", "type")
        only(event, {"type", *fields[kind]})
        if kind == "system.message" and position < len(events) - 1:
            raise invalid("A system.message must be the last event.", "events")
        _check_payload(event, blocks)


def _check_payload(event: Json, blocks: Collection[str]) -> None:
    kind = event["type"]
    if kind in {"user.message", "system.message"}:
        _check_content(event, blocks)
    elif kind == "user.tool_confirmation":
        need(event, "tool_use_id", str)
        if need(event, "result", str) not in {"allow", "deny"}:
            raise invalid("Field 'result' must be 'allow' or 'deny'.", "result")
    elif kind in {"user.custom_tool_result", "user.tool_result"}:
        need(event, ANSWERED_IN.get(kind, "tool_use_id"), str)
        take_typed_objects(event, "content")
        take(event, "is_error", bool)


def _check_content(event: Json, blocks: Collection[str]) -> None:
    content = take_typed_objects(event, "content")
    if not content:
        raise invalid("Missing required field: content", "content")
    for block in content:
        if block["type"] not in blocks:
            raise invalid(f"Content of type {block['type']!r} cannot be sent.", "content")
        need(block, *(("text", str) if block["type"] == "text" else ("source", dict)))


def text_of(message: Json) -> str:
    """Return the text of a message."""
    return "".join(block.get("text", "") for block in message["content"])
