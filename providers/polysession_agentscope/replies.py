"""The state of one reply: its phase, the pieces of its blocks, and its pending actions.

A separate module, because both the stream and the stored messages change it: a turn may begin on one and end on the
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
"""Type of the pending action of a tool call, by the call's state."""

_COUNTS: Final = WireUsage.__struct_fields__


class Phase(Enum):
    """Phase of a reply. A reply that waits for an answer continues in another turn."""

    NEW = "new"
    OPEN = "open"
    WAITING = "waiting"
    ENDED = "ended"


class OpenCalls:
    """The tool calls of a reply that have no result yet.

    They show when the reply only waits for the caller.

    The service reports the call that needs an answer, but not whether other calls still run: parallel tools continue,
    other calls are queued, and a call that waits since an earlier turn is not reported again.

    Attributes:
        waiting: The pending actions, by id.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, PendingAction] = {}
        self._unstarted: set[str] = set()
        self._running: set[str] = set()

    def restore(self, reply: StoredMessage) -> None:
        """Replace the state by that of a stored reply."""
        self.clear()
        self.waiting = actions_in(reply)
        self._unstarted.update(_unstarted_in(reply))

    def call(self, call_id: str) -> None:
        """Record that the model calls a tool."""
        self._unstarted.add(call_id)

    def begin(self, call_id: str) -> None:
        """Record that the tool starts to return its result."""
        self._unstarted.discard(call_id)
        self._running.add(call_id)

    def end(self, call_id: str) -> None:
        """Record that the tool has returned its result."""
        for calls in (self._unstarted, self._running):
            calls.discard(call_id)
        self.waiting.pop(call_id, None)

    def ask(self, actions: Iterable[PendingAction]) -> None:
        """Record that the service waits for the caller."""
        for action in actions:
            self.end(action.id)
            self.waiting[action.id] = action

    def answer(self, call_ids: Iterable[str]) -> None:
        """Record that the caller has answered."""
        for call_id in call_ids:
            self.waiting.pop(call_id, None)
            self.begin(call_id)

    def clear(self) -> None:
        """Record that all calls have their results: the model continues, or the reply has ended."""
        self.waiting.clear()
        self._unstarted.clear()
        self._running.clear()

    @property
    def settled(self) -> bool:
        """Whether nothing can happen before the caller answers.

        A call that has not started may start at any time.
        """
        return bool(self.waiting) and not self._running and not self._unstarted


@dataclass(slots=True)
class ReplyState:
    """State of a reply while its events arrive.

    Attributes:
        id: Id of the reply.
        phase: Phase of the reply.
        delivered: Keys of the blocks that were delivered whole.
        calls: Its tool calls without a result.
        announced: Ids of the actions that were delivered as pending in this turn.
        names: Names of the called tools, by the id of the call.
        was_answered: An answer started this turn, and the service has not sent the reply's next start yet.
        hit_limit: The reply reached the maximum number of model calls.
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
        """Add a piece of a block, and return its text.

        `source` is the event's JSON, with any split surrogate pair.
        """
        text = piece or ""
        if self._pairs.concern((kind, block_id), text):
            exact = json.loads(source).get("delta")
            text = self._pairs.join((kind, block_id), exact if isinstance(exact, str) else text)
        self._pieces.setdefault((kind, block_id), []).append(text)
        return text

    def take(self, kind: str, block_id: str | None) -> str:
        """Return the whole text of a block, and mark the block as delivered."""
        self.delivered.add(f"{kind}:{block_id}")
        return "".join(self._pieces.pop((kind, block_id), ()))

    def add_media(self, part: WireMedia) -> None:
        """Add a part of a data block."""
        self._media.setdefault(part.block_id, []).append(part)

    def take_media(self, block_id: str | None) -> tuple[WireSource, str | None]:
        """Return the content and the name of a data block, and mark it as delivered.

        Each part has its own base64.
        """
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
        """Add to the usage of this turn, and return the added usage."""
        self._usage.update({name: value for name in _COUNTS if (value := getattr(counts, name)) is not None})
        return to_usage(counts)

    def count_rest(self, stored: WireUsage | None) -> Usage | None:
        """Return the stored message's usage that was not counted yet; None if all was counted."""
        counted = self._usage + self._usage_before
        total = {name: value for name in _COUNTS if (value := getattr(stored, name, None)) is not None}
        rest = {name: max(0, value - counted[name]) for name, value in total.items()}
        is_new = any(rest.values()) or not (self._usage or self._usage_before)
        return self.count(WireUsage(**rest)) if total and is_new else None

    def close(self, phase: Phase) -> Usage | None:
        """End the turn, and return its usage. The reply may continue in another turn."""
        usage, self._usage = self._usage, Counter()
        self._usage_before.update(usage)
        self.phase, self.announced = phase, set()
        if phase is Phase.ENDED:
            self.calls.clear()
            self._pieces.clear()
        return to_usage(WireUsage(**usage)) if usage else None


def to_action(block: StoredBlock, reply_id: str) -> PendingAction | None:
    """Return the pending action of a tool call; None if it has none.

    Actions of one kind can be answered together.
    """
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
    """Return the pending actions of a stored message, by id."""
    found = (to_action(block, reply.id) for block in reply.blocks)
    return {action.id: action for action in found if action is not None}


def is_waiting(message: StoredMessage) -> bool:
    """Whether a stored message has pending actions."""
    return any(block.wire.type == "tool_call" and block.wire.state in ACTIONS for block in message.blocks)


def _unstarted_in(reply: StoredMessage) -> list[str]:
    """Return the ids of a stored message's tool calls without a result and a pending action."""
    answered = {block.wire.id for block in reply.blocks if block.wire.type == "tool_result"}
    calls = [b.wire for b in reply.blocks if b.wire.type == "tool_call" and b.wire.state not in ACTIONS]
    return [call.id for call in calls if call.id is not None and call.id not in answered]
