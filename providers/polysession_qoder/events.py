"""Converts Qoder's events into the common events: the rows that differ from the family's.

Pure: it does no I/O.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/events/overview and, for June and July 2026,
https://docs.qoder.com/cloud-agents/incremental-streaming (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from polysession.provider_api import (
    Event,
    MessageStarted,
    Outcome,
    Usage,
    UsageReported,
    message_delta,
    record_reader,
    thinking_delta,
)
from polysession_managed_agents import events
from polysession_managed_agents.events import RAW, SHARED_ROWS, Row, State, idle, raw, row, types_of
from polysession_managed_agents.messages import Envelope, reason_of
from polysession_managed_agents.wire import WireEvent, WireIdle, WireMessage, WirePreviewDelta
from polysession_qoder.sessions import QODER, usage_fields
from polysession_qoder.wire import WireUsage

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "end_turn": Outcome.COMPLETED,
    "requires_action": Outcome.REQUIRES_ACTION,
    "cancelled": Outcome.CANCELLED,
    "budget_reached": Outcome.LIMIT_REACHED,
}

_read_usage: Final = record_reader(WireUsage, lambda wire, _content, problems: (Usage(**usage_fields(wire)), problems))


def _idle(state: State, wire: WireIdle, envelope: Envelope) -> Sequence[Event]:
    return idle(state, wire, envelope, _OUTCOMES.get(reason_of(wire), Outcome.FAILED))


def _usage(_state: State, _wire: WireEvent, envelope: Envelope) -> Sequence[Event]:
    usage, problems = _read_usage(envelope["source"])
    envelope["problems"] = envelope.get("problems", ()) + problems
    return (UsageReported(usage=usage, is_delta=False, **envelope),)


def _stored_start(_state: State, wire: WireMessage, envelope: Envelope) -> Sequence[Event]:
    return (MessageStarted(message_id=wire.message_id or envelope.get("id"), **envelope),)


def _stored_delta(state: State, wire: WirePreviewDelta, envelope: Envelope) -> Sequence[Event]:
    delta = wire.delta
    if delta is not None and delta.text is not None:
        return (message_delta({"message_id": wire.message_id, "text": delta.text, **envelope}),)
    if delta is not None and delta.thinking is not None:
        return (thinking_delta({"text": delta.thinking, **envelope}),)
    return raw(state, wire, envelope)


_ROWS: Final[Mapping[str, Row]] = {
    **SHARED_ROWS,
    "session.status_idle": row(WireIdle, _idle, "session.status", "action.required", "turn.ended"),
    "session.usage": row(WireEvent, _usage, "usage"),
    "agent.artifact_delivered": RAW,
    # In June and July 2026, previews were separate events with ids, and the list kept them.
    "agent.message_start": row(WireMessage, _stored_start, "message.started"),
    "agent.content_block_delta": row(WirePreviewDelta, _stored_delta, "message.delta", "thinking.delta", "raw"),
    **dict.fromkeys(("agent.content_block_start", "agent.content_block_stop"), RAW),
    **dict.fromkeys(("agent.message_delta", "agent.message_stop"), RAW),
}

EVENT_TYPES: Final = types_of(_ROWS)
"""The types of the common events for each of Qoder's types.

A type without an entry becomes `raw`.
"""


class EventReader(events.EventReader):
    """Reads the events of one of Qoder's sessions."""

    member = QODER
    rows = _ROWS
