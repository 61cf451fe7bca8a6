"""Results of client-side tools in the Everruns emulator.

Backend: https://github.com/everruns/everruns, command submit_tool_results (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from polysession_everruns.emulator.messages import ToolResult, text_part
from polysession_everruns.emulator.records import Session


def take_results(session: Session, results: Sequence[ToolResult]) -> None:
    """Store results, and resume the turn. Calls without a result fail.

    Call ids are not checked, as on the server.
    """
    for result in results:
        if session.scripted is not None:
            session.scripted.pending.pop(result.call_id, None)
        _complete(session, result)
    stop_waiting(session, status="error", error="No result was provided for this tool call")


def stop_waiting(session: Session, *, status: str, error: str) -> None:
    """Resume the turn. Every call without a result gets an error."""
    session.awaits_tool_results = False
    session.touch()
    turn = session.scripted
    if turn is None:
        return
    for call_id, name in turn.pending.items():
        failed = {"tool_call_id": call_id, "tool_name": name, "success": False, "status": status, "error": error}
        session.log.write("tool.completed", failed, context=turn.context)
    turn.pending.clear()
    turn.answered.give()


def _complete(session: Session, result: ToolResult) -> None:
    # The server does not know the tool and the turn here. It leaves the name empty, and derives the ids in the context
    # from the session id.
    digits = session.id.partition("_")[2]
    context = {"turn_id": f"turn_{digits}", "input_message_id": f"message_{digits}"}
    body: dict[str, Any] = {"tool_call_id": result.call_id, "tool_name": ""}
    if result.error is not None:
        body |= {"success": False, "status": "error", "error": result.error}
    else:
        given = [] if result.result is None else [text_part(_compact_json(result.result))]
        body |= {"success": True, "status": "success", "result": given}
    session.log.write("tool.completed", body, context=context)


def _compact_json(value: Any) -> str:
    """Return the value as JSON text. A string is quoted."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
