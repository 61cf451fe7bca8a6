"""The conversation of a session: its messages, its event log, and the turn in work.

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
"""One counter for all sessions, as in the service's message bus in memory."""


Work = Callable[[], Coroutine[None, None, None]]


@dataclass(slots=True)
class Conversation:
    """The talk of one session.

    Attributes:
        messages: The stored messages by id, oldest first.
        context: The messages as the agent remembers them, which is not quite as they are stored.
        log: The events, each with its position.
        cursor: Position of the last event that the stored messages tell of.
        progress: How far the agent has come with the last reply.
        task: What works on a turn in the background.
        interruption: How the turn in work is asked to stop.
        waiting: What is to be done after the turn in work.
        streaming: How many turns are in work whose events are the answer to the request.
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
        """Whether a turn is in work."""
        return self.task.running or self.streaming > 0

    def begin(self, work: Work) -> None:
        """Work on a turn in the background: at once, or after the one in work."""
        self.waiting.append(work)
        if not self.running:
            self.interruption = Signal()
            self.task.start(self._work())

    async def _work(self) -> None:
        while self.waiting:
            await self.waiting.pop(0)()
            self.interruption = Signal()

    def publish(self, happened: Json) -> int:
        """Tell an event to all who listen; gives its position."""
        position = next(_POSITIONS)
        self.log.append((position, happened))
        return position

    def checkpoint(self, position: int) -> None:
        """The stored messages now tell of all events up to this position: only it and later ones are replayed."""
        self.cursor = position
        self._replay_from = next(index for index, entry in enumerate(self.log.entries) if entry[0] == position)

    async def frames(self, after: str | None, heartbeat_s: float) -> AsyncGenerator[bytes]:
        """The frames of a new stream: what is replayed, then what happens.

        Raises:
            ValueError: The cursor cannot be read; the service, too, finds out when the answer has begun.
        """
        async for entry in self.log.follow(self._replay_start(after), heartbeat_s=heartbeat_s):
            yield b":\n\n" if entry is None else frame(entry[1])

    def _replay_start(self, after: str | None) -> int:
        entries = self.log.entries
        start = max(self._replay_from, len(entries) - _REPLAY_LIMIT)
        seen = int(after.partition("-")[0]) if after else 0
        return next((index for index in range(start, len(entries)) if entries[index][0] > seen), len(entries))

    def page(self, before: str | None, limit: int) -> tuple[list[Json], bool]:
        """The latest messages, or those before one, oldest first; and whether there are older ones."""
        ids = list(self.messages)
        end = len(ids) if before is None else ids.index(before) if before in ids else 0
        start = max(0, end - limit)
        return [self.messages[each] for each in ids[start:end]], start > 0

    def remember(self, reply: Json) -> None:
        """Let the agent remember a reply as it is now, in place of what it remembers of it."""
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


def frame(happened: Json) -> bytes:
    """An event as a stream sends it."""
    return sse_frame({"data": json.dumps(happened, ensure_ascii=False)})


def _is_awaited(block: Json) -> bool:
    return block["type"] == "tool_result" and block["state"] == "running" and not block["output"]
