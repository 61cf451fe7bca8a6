"""Compares two runs of the same turn, without the fields that may differ between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from polysession import Event, PendingAction, Usage

NOT_TOLD = {"id", "session_id", "turn_id", "sequence", "created_at", "source", "synthetic", "native_type"}
"""Fields that differ between two turns with the same events, or between an event and its stored version."""


@dataclass
class Comparable:
    """The comparable content of events.

    Attributes:
        events: Each event without the fields that differ between turns.
        used: The usage, summed over all reports.
        lost: The event types that a gap declares as lost; empty if there is no gap.
    """

    events: list[tuple[str, str]] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    lost: frozenset[str] = frozenset()


def to_comparable(events: Sequence[Event]) -> Comparable:
    """Return the comparable content of these events."""
    found = Comparable()
    for event in events:
        if event.type == "stream.gap":
            assert not found.lost, "one break makes one gap"
            assert event.lost
            assert event.synthetic
            found.lost = frozenset(event.lost)
            continue
        if event.type == "usage":
            found.used.update(_counts(event.usage))
        if event.type in {"message.delta", "thinking.delta"}:
            found.events += [(event.type, word) for word in event.text.split()]  # however they are cut
        else:
            found.events.append((event.type, _content(event)))
    return found


def _content(event: Event) -> str:
    names = [name for name in type(event).model_fields if name not in NOT_TOLD | {"type"}]
    values = {name: getattr(event, name) for name in names}
    match event.type:
        case "message.started" | "message.delta":
            del values["message_id"]
        case "message.completed":
            values = {"role": event.message.role, "content": [_block(block) for block in event.message.content]}
        case "tool_call.completed" | "tool_call.started" | "tool_call.delta" | "tool_result.completed":
            del values["tool_call_id"]
        case "tool_result.delta":
            del values["tool_call_id"]
        case "action.required":
            values = {"actions": [(action.type, *_asked(action)) for action in event.actions]}
        case "raw":
            values = {}
    return repr(values)


def _asked(action: PendingAction) -> tuple[object, ...]:
    if action.type == "question":
        return (action.prompt, action.options)
    return (action.name, action.arguments)


def _block(block: Any) -> Any:
    return (block.name, block.arguments) if block.type == "tool_call" else block


def _counts(usage: Usage) -> dict[str, int]:
    return {name: value for name, value in usage.model_dump().items() if isinstance(value, int)}


def check_same(events: Sequence[Event], whole: Sequence[Event], where: str) -> bool:
    """Check that no event is lost or doubled. If a gap declares missing events, all others must be there.

    Returns:
        Whether there is a gap.
    """
    cut, uncut = to_comparable(events), to_comparable(whole)
    assert uncut.lost == frozenset()
    if not cut.lost:
        assert cut.events == uncut.events, where
        return False
    assert cut.used == uncut.used, where
    left = iter(item for item in uncut.events if item[0] != "usage")  # the reports of the other may come as one
    kept = [item for item in cut.events if item[0] != "usage"]
    assert all(item in left for item in kept), f"{where}: out of order, doubled, or not the same: {kept}"
    missing = Counter(uncut.events) - Counter(cut.events)
    assert {kind for kind, _ in missing} <= cut.lost | {"usage"}, f"{where}: lost {missing}"
    return True
