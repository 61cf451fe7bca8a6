"""Messages to a session of the Everruns emulator, and cancellation.

Backend: https://docs.everruns.com and https://github.com/everruns/everruns, specs/events.md (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polysession.emulation import Act, Scripts
from polysession_everruns.emulator.ids import ordered_id
from polysession_everruns.emulator.messages import NewMessage, new_message, text_of, text_part
from polysession_everruns.emulator.records import Session
from polysession_everruns.emulator.tool_results import stop_waiting
from polysession_everruns.emulator.turn import Turn
from polysession_everruns.emulator.turn_records import Pace, TurnRecord


class Conversations:
    """Starts, steers and cancels the turns of the scripted agent."""

    def __init__(self, model: Mapping[str, Any], pace: Pace, scripts: Scripts) -> None:
        self._model = model
        self._pace = pace
        self._scripts = scripts

    def receive(self, session: Session, new: NewMessage) -> None:
        """Accept a message.

        It starts a turn or steers the running turn, and ends a wait for tool results.
        """
        session.log.write("input.message", {"message": new.message}, tags=new.tags)
        session.update_preview(new.message)
        if session.awaits_tool_results:
            stop_waiting(session, status="cancelled", error="Cancelled because the user sent a message instead")
        if session.scripted is not None:
            session.scripted.inbox.append(text_of(new.message))
        elif not session.is_mid_turn:
            self._begin_turn(session, new)

    async def cancel(self, session: Session) -> bool:
        """Cancel the turn. Returns whether there was one."""
        turn = session.scripted
        if not session.end_turn():
            return False
        turn_id = ordered_id("turn_") if turn is None else turn.id
        context = {"turn_id": turn_id} if turn is None else turn.context
        usage = None if turn is None else turn.usage.body()
        asked = new_message("user", [text_part("User requested to cancel the work.")])
        stopped = new_message("agent", [text_part("Work was cancelled by user.")])
        cancelled = {"turn_id": turn_id, "reason": "User requested cancellation", "usage": usage}
        session.log.write("turn.cancelled", cancelled, context=context)
        session.log.write("input.message", {"message": asked}, context=context)
        session.log.write("output.message.completed", {"message": stopped}, context=context)
        session.log.write("session.idled", {"turn_id": turn_id}, context=context)
        session.update_preview(stopped)
        await session.task.cancel()
        return True

    async def close(self, session: Session) -> None:
        """End the turn and all streams without further events."""
        await session.task.cancel()
        session.log.entries.close()

    def _begin_turn(self, session: Session, new: NewMessage) -> None:
        session.begin()
        session.scripted = TurnRecord(new.message["id"], [text_of(new.message)])

        def script_for(message: str) -> tuple[Act, ...]:
            return self._scripts.take(session.id, message)

        session.task.start(Turn(session, session.scripted, self._model, self._pace, script_for).run())
