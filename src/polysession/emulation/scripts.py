"""Scripts that a test queues for the next turns of the emulated agent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import get_args

from polysession.emulation.script import Act, Ask, AskApproval, ClientTool, Say, ToolUse, UseTools, script_for
from polysession.errors import UsageError


class Scripts:
    """Queues of scripts: one for each session, and one for the next turn of any session. Thread-safe."""

    def __init__(self, *, has_questions: bool = False) -> None:
        self._has_questions = has_questions
        self._lock = threading.Lock()
        self._of_session: dict[str, deque[tuple[Act, ...]]] = {}
        self._of_any: deque[tuple[Act, ...]] = deque()

    def add(self, script: Iterable[Act | ToolUse], *, session_id: str | None = None) -> None:
        """Queue the acts of one turn.

        Args:
            script: The acts of the agent. A `ToolUse` is short for `UseTools` of one tool.
            session_id: The session that runs the turn; None for the next turn of any session without its own scripts.

        Raises:
            UsageError: An item of the script is not an act.
        """
        acts = tuple(_to_act(item) for item in script)
        with self._lock:
            queue = self._of_any if session_id is None else self._of_session.setdefault(session_id, deque())
            queue.append(acts)

    def clear(self) -> None:
        """Remove all queued scripts."""
        with self._lock:
            self._of_session.clear()
            self._of_any.clear()

    @property
    def waiting(self) -> int:
        """Return the number of queued scripts."""
        with self._lock:
            return len(self._of_any) + sum(len(queue) for queue in self._of_session.values())

    def take(self, session_id: str, message: str) -> tuple[Act, ...]:
        """Return the acts in answer to a message: from the session's queue, the common queue, or `script_for`."""
        with self._lock:
            queue = self._of_session.get(session_id) or self._of_any
            acts = queue.popleft() if queue else script_for(message)
            return acts if self._has_questions else self._split(session_id, acts)

    def _split(self, session_id: str, acts: tuple[Act, ...]) -> tuple[Act, ...]:
        """Return the acts up to the first question, as text; queue the others for the session's next turn."""
        for position, act in enumerate(acts):
            if isinstance(act, Ask):
                rest = acts[position + 1 :]
                if rest:
                    self._of_session.setdefault(session_id, deque()).appendleft(rest)
                return (*acts[:position], Say(" ".join([act.prompt, *act.options])))
        return acts


def _to_act(item: object) -> Act:
    if isinstance(item, ToolUse):
        return UseTools(item)
    if not isinstance(item, Act):
        kinds = (*get_args(Act), ToolUse, AskApproval, ClientTool)
        accepted = ", ".join(kind.__name__ for kind in kinds)
        raise UsageError(f"the items of a script must be {accepted}, not {item!r}")
    return item
