"""The conversation of a session: its messages, its event log, and its running turn.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from polysession.emulation import EventLog, Signal, TurnTask, hex_id, sse_frame
from polysession_agentscope.emulator.progress import Progress
from polysession_agentscope.emulator.shapes import Json

_REPLAY_LIMIT: Final = 1000
_POSITIONS: Final = itertools.count(1)
"""One counter for all sessions, like that of the service's in-memory message bus."""


Work = Callable[[], Coroutine[None, None, None]]


@dataclass(slots=True)
class Conversation:
    """The conversation of one session.

    Attributes:
        messages: The stored messages by id, oldest first.
        context: The messages in the agent's memory, which differ a little from the stored ones.
        log: The events, each with its position.
        cursor: Position of the last event that the stored messages cover.
        progress: Progress of the last reply.
        task: Background task of the running turn.
        interruption: Signal that asks the running turn to stop.
        waiting: Turns that are queued behind the running one.
        streaming: Number of running turns whose events are the response to the request.
    """

    messages: dict[str, Json] = field(default_factory=dict)
    context: list[Json] = field(default_factory=list)
    log: EventLog[tuple[int, Json]] = field(default_factory=EventLog)
    cursor: int | None = None
    progress: Progress = field(default_factory=lambda: Progress(hex_id()))
    task: TurnTask = field(default_factory=TurnTask)
    interruption: Signal = field(default_factory=Signal)
    waiting: list[Work] = field(default_factory=list)
    streaming: int = 0
    _replay_from: int = 0
    _memory_ids: dict[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether a turn runs."""
        return self.task.running or self.streaming > 0

    def begin(self, work: Work) -> None:
        """Run a turn in the background: at once, or after the running one."""
        self.waiting.append(work)
        if not self.running:
            self.interruption = Signal()
            self.task.start(self._work())

    async def _work(self) -> None:
        while self.waiting:
            await self.waiting.pop(0)()
            self.interruption = Signal()

    def publish(self, emitted: Json) -> int:
        """Send an event to all streams. Returns its position."""
        position = next(_POSITIONS)
        self.log.append((position, emitted))
        return position

    def checkpoint(self, position: int) -> None:
        """Record that the stored messages cover all events up to a position.

        Only it and later ones are replayed.
        """
        self.cursor = position
        self._replay_from = next(index for index, entry in enumerate(self.log.entries) if entry[0] == position)

    async def frames(self, after: str | None, heartbeat_s: float) -> AsyncGenerator[bytes]:
        """Yield the frames of a new stream: the replayed events, then the new ones.

        Raises:
            ValueError: The cursor cannot be read. As in the service, the response has already started by then.
        """
        async for entry in self.log.follow(self._replay_start(after), heartbeat_s=heartbeat_s):
            yield b":\n\n" if entry is None else frame(entry[1])

    def _replay_start(self, after: str | None) -> int:
        entries = self.log.entries
        start = max(self._replay_from, len(entries) - _REPLAY_LIMIT)
        seen = int(after.partition("-")[0]) if after else 0
        return next((index for index in range(start, len(entries)) if entries[index][0] > seen), len(entries))

    def page(self, before: str | None, limit: int) -> tuple[list[Json], bool]:
        """Return the newest messages, or those before a given one, oldest first.

        The second value says whether there are older ones.
        """
        ids = list(self.messages)
        end = len(ids) if before is None else ids.index(before) if before in ids else 0
        start = max(0, end - limit)
        return [self.messages[each] for each in ids[start:end]], start > 0

    def remember(self, reply: Json) -> None:
        """Put the current state of a reply into the agent's memory, in place of the earlier one."""
        memory = deepcopy(reply) | {"finished_at": None, "finished_reason": None, "error": None}
        memory["content"] = [self._memory_of(block) for block in memory["content"] if not _is_awaited(block)]
        if not any((reply["usage"] or {}).values()):
            memory["usage"] = None
        self.context = [message for message in self.context if message["id"] != reply["id"]] + [memory]

    def _memory_of(self, block: Json) -> Json:
        if block["type"] == "hint":
            return block
        if block["type"] in {"text", "thinking"}:
            block["id"] = self._memory_ids.setdefault(block["id"], hex_id())
        if block["type"] == "tool_result":
            block["output"] = self.progress.received.get(block["id"], block["output"])
        return block | {"finished_at": None}


def frame(emitted: Json) -> bytes:
    """Return the SSE frame of an event."""
    return sse_frame({"data": json.dumps(emitted, ensure_ascii=False)})


def _is_awaited(block: Json) -> bool:
    return block["type"] == "tool_result" and block["state"] == "running" and not block["output"]
