"""The state of one reply: how far it has come, the pieces of its blocks, and the actions that it waits for.

A room of its own, because the stream and the stored messages both move it: a turn may begin on one and end on the
other, and a reply that waits for an answer continues in another turn.

Backend: `GET /sessions/{id}/stream` of `/openapi.json`, server 2.0.11 (read 2026-11)
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec

from polysession.provider_api import PendingAction, SplitPairs, ToolApproval, ToolExecution, Usage
from polysession_agentscope.history import StoredBlock, StoredMessage, to_arguments, to_usage
from polysession_agentscope.wire import WireMedia, WireModelEnd, WireSource, WireUsage

ACTIONS: Final[Mapping[str | None, type[ToolApproval | ToolExecution]]] = {
    "asking": ToolApproval,
    "submitted": ToolExecution,
}
"""The kind of action that a tool call in this state waits for."""

_COUNTS: Final = WireUsage.__struct_fields__


class Phase(Enum):
    """How far a reply has come. One that waits for an answer continues in another turn."""

    NEW = "new"
    OPEN = "open"
    WAITING = "waiting"
    ENDED = "ended"


class OpenCalls:
    """The tool calls of a reply that have no result yet: they tell when the reply does nothing without an answer.

    The service names the call that it waits for, and does not say that nothing else happens: tools that may run side by
    side continue meanwhile, others wait in turn, and a call that waits since an earlier turn is not named again.

    Attributes:
        waiting: The pending actions, by id.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, PendingAction] = {}
        self._unused: set[str] = set()
        self._at_work: set[str] = set()

    def restore(self, reply: StoredMessage) -> None:
        """Continue from a stored reply."""
        self.clear()
        self.waiting = actions_in(reply)
        self._unused.update(_unused_in(reply))

    def call(self, call_id: str) -> None:
        """The model calls a tool."""
        self._unused.add(call_id)

    def begin(self, call_id: str) -> None:
        """The tool begins to answer."""
        self._unused.discard(call_id)
        self._at_work.add(call_id)

    def end(self, call_id: str) -> None:
        """The tool has answered."""
        for calls in (self._unused, self._at_work):
            calls.discard(call_id)
        self.waiting.pop(call_id, None)

    def ask(self, actions: Iterable[PendingAction]) -> None:
        """The service waits for the caller."""
        for action in actions:
            self.end(action.id)
            self.waiting[action.id] = action

    def answer(self, call_ids: Iterable[str]) -> None:
        """The caller has answered."""
        for call_id in call_ids:
            self.waiting.pop(call_id, None)
            self.begin(call_id)

    def clear(self) -> None:
        """All calls have their results: the model continues, or the reply is over."""
        self.waiting.clear()
        self._unused.clear()
        self._at_work.clear()

    @property
    def settled(self) -> bool:
        """Whether surely nothing happens before the caller answers: an unused call may run at any moment."""
        return bool(self.waiting) and not self._at_work and not self._unused


@dataclass(slots=True)
class ReplyState:
    """A reply, in the middle of its events.

    Attributes:
        id: Its id.
        phase: How far it has come.
        delivered: Keys of the blocks that were delivered whole.
        calls: Its open tool calls.
        announced: Ids of the actions that were delivered as pending in this turn.
        names: Names of the called tools, by call.
        was_answered: An answer has started this turn, and the reply has not been started again yet.
        hit_limit: It made as many model calls as it may.
    """

    id: str
    phase: Phase = Phase.NEW
    delivered: set[str] = field(default_factory=set)
    calls: OpenCalls = field(default_factory=OpenCalls)
    announced: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    was_answered: bool = False
    hit_limit: bool = False
    _pieces: dict[tuple[str, str | None], list[str]] = field(default_factory=dict)
    _media: dict[str | None, list[WireMedia]] = field(default_factory=dict)
    _pairs: SplitPairs = field(default_factory=SplitPairs)
    _usage: Counter[str] = field(default_factory=Counter)
    _usage_before: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, block_id: str | None, piece: str | None, source: bytes) -> str:
        """Note a piece of a block, and return its text. `source` is the event, with the halves of surrogate pairs."""
        text = piece or ""
        if self._pairs.concern((kind, block_id), text):
            exact = json.loads(source).get("delta")
            text = self._pairs.join((kind, block_id), exact if isinstance(exact, str) else text)
        self._pieces.setdefault((kind, block_id), []).append(text)
        return text

    def take(self, kind: str, block_id: str | None) -> str:
        """The whole of a block, which is delivered with it."""
        self.delivered.add(f"{kind}:{block_id}")
        return "".join(self._pieces.pop((kind, block_id), ()))

    def add_media(self, part: WireMedia) -> None:
        """Note a part of a block of data."""
        self._media.setdefault(part.block_id, []).append(part)

    def take_media(self, block_id: str | None) -> tuple[WireSource, str | None]:
        """The content of a block of data, which is delivered with it, and its name. Each piece is encoded alone."""
        self.delivered.add(f"data:{block_id}")
        parts = self._media.pop(block_id, [])
        pieces = [base64.b64decode(part.data) for part in parts if part.data is not None]
        source = WireSource(
            data=base64.b64encode(b"".join(pieces)).decode() if pieces else None,
            url=next((part.url for part in parts if part.url is not None), None),
            media_type=next((part.media_type for part in parts if part.media_type is not None), None),
        )
        return source, next((part.name for part in parts if part.name is not None), None)

    def count(self, counts: WireUsage | WireModelEnd) -> Usage:
        """Add to the consumption of this turn, and return what was added."""
        self._usage.update({name: value for name in _COUNTS if (value := getattr(counts, name)) is not None})
        return to_usage(counts)

    def count_rest(self, stored: WireUsage | None) -> Usage | None:
        """The consumption that the stored message has and that was not counted yet; None if it has no more."""
        counted = self._usage + self._usage_before
        total = {name: value for name in _COUNTS if (value := getattr(stored, name, None)) is not None}
        rest = {name: max(0, value - counted[name]) for name, value in total.items()}
        is_new = any(rest.values()) or not (self._usage or self._usage_before)
        return self.count(WireUsage(**rest)) if total and is_new else None

    def close(self, phase: Phase) -> Usage | None:
        """End the turn, and return its consumption. The reply may continue in another turn."""
        usage, self._usage = self._usage, Counter()
        self._usage_before.update(usage)
        self.phase, self.announced = phase, set()
        if phase is Phase.ENDED:
            self.calls.clear()
            self._pieces.clear()
        return to_usage(WireUsage(**usage)) if usage else None


def to_action(block: StoredBlock, reply_id: str) -> PendingAction | None:
    """The pending action of a tool call, if it has one. Those of one kind can be answered together."""
    wire = block.wire
    kind = ACTIONS.get(wire.state)
    if wire.type != "tool_call" or kind is None:
        return None
    call = {"id": wire.id, "name": wire.name, "input": wire.input, "suggested_rules": wire.suggested_rules}
    reference = {"reply_id": reply_id, "tool_call": call}
    return kind(
        id=wire.id or "",
        name=wire.name or "",
        arguments=to_arguments(wire.input),
        group=f"{reply_id}:{wire.state}",
        reference=msgspec.json.encode(reference).decode(),
        source=block.source,
        problems=block.problems,
    )


def actions_in(reply: StoredMessage) -> dict[str, PendingAction]:
    """The pending actions of a stored message, by id."""
    found = (to_action(block, reply.id) for block in reply.blocks)
    return {action.id: action for action in found if action is not None}


def is_waiting(message: StoredMessage) -> bool:
    """Whether a stored message has pending actions."""
    return any(block.wire.type == "tool_call" and block.wire.state in ACTIONS for block in message.blocks)


def _unused_in(reply: StoredMessage) -> list[str]:
    """Ids of the tool calls of a stored message that have neither a result nor a question."""
    answered = {block.wire.id for block in reply.blocks if block.wire.type == "tool_result"}
    calls = [b.wire for b in reply.blocks if b.wire.type == "tool_call" and b.wire.state not in ACTIONS]
    return [call.id for call in calls if call.id is not None and call.id not in answered]
