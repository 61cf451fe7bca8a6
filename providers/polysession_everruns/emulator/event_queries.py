"""Filters of the event list and of streams in the Everruns emulator.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, list_events and stream_sse (read 2026-11)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from polysession.emulation import QueryParams
from polysession_everruns.emulator.requests import bad_query, read_count, read_switch
from polysession_everruns.emulator.session_log import DELTA_TYPES
from polysession_everruns.emulator.validation import check_id, invalid, unknown

Json = dict[str, Any]

_TYPES_BY_FAMILY: Final[Mapping[str, tuple[str, ...]]] = {
    "act": ("started", "completed"),
    "budget": ("warning", "paused", "exhausted", "resumed"),
    "capability": ("usage",),
    "context": ("compacting", "compacted"),
    "file": ("written",),
    "input": ("message",),
    "llm": ("generation",),
    "output.message": ("started", "delta", "completed", "replaced"),
    "reason": ("started", "completed", "recovered", "item"),
    "reason.thinking": ("started", "delta", "completed"),
    "session": ("started", "activated", "idled"),
    "task": ("created", "updated", "message.sent", "message.received"),
    "tool": ("started", "completed", "progress", "output.delta", "call_requested", "call_repaired"),
    "transcript": ("repaired",),
    "turn": ("started", "completed", "failed", "cancelled", "sealed"),
    "voice.input_transcript": ("delta", "completed"),
    "voice.output_transcript": ("delta", "completed"),
    "voice.session": ("started", "ended", "failed"),
}
EVENT_TYPES: Final = frozenset(f"{family}.{name}" for family, names in _TYPES_BY_FAMILY.items() for name in names)

_MAX_TYPES = 25
_LARGEST_LIMIT = 1000
_DEFAULT_WINDOW = 50
_LARGEST_WINDOW = 500
_FAILURES = frozenset({"turn.failed", "tool.failed", "subagent.failed"})


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """A filter by event type.

    Attributes:
        wanted: Types that pass; empty for all types.
        excluded: Types that do not pass.
    """

    wanted: frozenset[str]
    excluded: frozenset[str]

    def passes(self, event: Mapping[str, Any]) -> bool:
        """Return whether an event passes the filter."""
        return (not self.wanted or event["type"] in self.wanted) and event["type"] not in self.excluded


def read_type_filter(query: QueryParams) -> TypeFilter:
    """Read the filter by type.

    Raises:
        Refusal: A type is unknown, or there are too many (400).
    """
    return TypeFilter(wanted=_read_types(query, "types"), excluded=_read_types(query, "exclude"))


def read_since_id(query: QueryParams) -> str | None:
    """Read the id of the event after which to begin; None if the query has none.

    Raises:
        Refusal: The id is malformed (400).
    """
    since_id = query.get("since_id")
    if since_id is not None:
        check_id("event", since_id)
    return since_id


def select_events(events: Sequence[Json], query: QueryParams) -> list[Json]:
    """Return the stored events that a query selects, in the order that it asks for.

    Raises:
        Refusal: A value cannot be read, an id is malformed, a type is unknown, or cursors are combined (400). The event
            of `around` does not exist (404).
    """
    types = read_type_filter(query)
    criteria = _read_criteria(query)
    newest_first = read_switch(query, "order_desc")
    found = [event for event in events if types.passes(event) and all(test(event) for test in criteria)]
    if "around" in query:
        found = _around(events, found, query)
    elif "limit" in query:
        found = _last(found, min(max(read_count(query, "limit", _LARGEST_LIMIT), 1), _LARGEST_LIMIT))
    return found[::-1] if newest_first else found


def count_non_deltas(events: Sequence[Json]) -> int:
    """Return the number of events that are not deltas."""
    return sum(event["type"] not in DELTA_TYPES for event in events)


def summarise(events: Sequence[Json]) -> Json:
    """Return the number of events by type, and the times of the first and the last event."""
    counts = Counter(event["type"] for event in events)
    summary: Json = {
        "total": len(events),
        "by_type": [{"event_type": event_type, "count": counts[event_type]} for event_type in sorted(counts)],
        "turn_count": counts["turn.started"],
        "error_count": sum(counts[name] for name in counts if name in _FAILURES or name.endswith(".error")),
    }
    if events:
        summary |= {"first_ts": events[0]["ts"], "last_ts": events[-1]["ts"]}
    return summary


_Criterion = Callable[[Json], bool]


def _read_criteria(query: QueryParams) -> list[_Criterion]:
    criteria = [make(query[name]) for name, make in _CRITERIA.items() if name in query]
    since_id = read_since_id(query)
    if since_id is not None:
        # Ids sort in the order of the events, so the id of a delta, which is not stored, also works.
        criteria.append(lambda event: event["id"] > since_id)
    if "after_sequence" in query:
        after = read_count(query, "after_sequence", 0)
        criteria.append(lambda event: event["sequence"] > after)
    if "before_sequence" in query:
        before = read_count(query, "before_sequence", 0)
        criteria.append(lambda event: event["sequence"] < before)
    tags = frozenset(query.getlist("tags"))
    if tags:
        criteria.append(lambda event: not tags.isdisjoint(event.get("tags", ())))
    return criteria


def _in_context(name: str) -> Callable[[str], _Criterion]:
    return lambda wanted: lambda event: event["context"].get(name) == wanted


def _from_time(text: str) -> _Criterion:
    bound = _read_time("from_ts", text)
    return lambda event: datetime.fromisoformat(event["ts"]) >= bound


def _to_time(text: str) -> _Criterion:
    bound = _read_time("to_ts", text)
    return lambda event: datetime.fromisoformat(event["ts"]) <= bound


def _contains(text: str) -> _Criterion:
    wanted = text.casefold()
    return lambda event: wanted in json.dumps(event["data"], ensure_ascii=False).casefold()


_CRITERIA: Final[Mapping[str, Callable[[str], _Criterion]]] = {
    "turn_id": _in_context("turn_id"),
    "exec_id": _in_context("exec_id"),
    "trace_id": _in_context("trace_id"),
    "tool_name": lambda wanted: lambda event: event["data"].get("tool_name") == wanted,
    "from_ts": _from_time,
    "to_ts": _to_time,
    "q": _contains,
}


def _read_types(query: QueryParams, name: str) -> frozenset[str]:
    types = query.getlist(name)
    if len(types) > _MAX_TYPES:
        raise invalid(f"At most {_MAX_TYPES} values are accepted for '{name}', got {len(types)}")
    for event_type in types:
        if event_type not in EVENT_TYPES:
            raise invalid(f"Unknown event type in '{name}': {event_type}")
    return frozenset(types)


def _read_time(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_query(name) from error
    if moment.tzinfo is None:
        raise bad_query(name)
    return moment


def _last(events: Sequence[Json], limit: int) -> list[Json]:
    """Return the last events.

    An incomplete list starts at the first `turn.started` in it, if there is one.
    """
    page = list(events[-limit:])
    if len(page) == len(events):
        return page
    turns = [position for position, event in enumerate(page) if event["type"] == "turn.started"]
    return page[turns[0] :] if turns else page


def _around(events: Sequence[Json], found: Sequence[Json], query: QueryParams) -> list[Json]:
    if any(name in query for name in ("since_id", "after_sequence", "before_sequence")):
        raise invalid("'around' cannot be combined with since_id, after_sequence or before_sequence")
    check_id("event", query["around"])
    anchor = next((event["sequence"] for event in events if event["id"] == query["around"]), None)
    if anchor is None:
        raise unknown("Event not found")
    window = min(read_count(query, "window", _DEFAULT_WINDOW), _LARGEST_WINDOW)
    earlier = [event for event in found if event["sequence"] < anchor]
    later = [event for event in found if event["sequence"] > anchor]
    itself = [event for event in found if event["sequence"] == anchor]
    return [*earlier[max(len(earlier) - window, 0) :], *itself, *later[:window]]
