"""AgentScope's events and stored messages, written by hand."""

from __future__ import annotations

import itertools
import json
from typing import Any

_NUMBERS = itertools.count(1)

COUNTS = {"input_tokens": 7, "output_tokens": 3, "cache_input_tokens": 2, "cache_creation_input_tokens": 1}
NO_RULES: list[Any] = []


def event(kind: str, reply_id: str | None = "r1", **fields: Any) -> dict[str, Any]:
    """Return an event with a new id."""
    owner = {} if reply_id is None else {"reply_id": reply_id}
    stamp = "2026-11-22T15:25:53.752213"
    return {"id": f"e{next(_NUMBERS)}", "created_at": stamp, "metadata": {}, "type": kind, **owner, **fields}


def start(reply_id: str = "r1", name: str = "Agent") -> dict[str, Any]:
    return event("REPLY_START", reply_id, session_id="s1", name=name, role="assistant")


def end(reply_id: str = "r1", reason: str = "completed", error: Any = None) -> dict[str, Any]:
    return event("REPLY_END", reply_id, session_id="s1", finished_reason=reason, error=error)


def text(*pieces: str, block_id: str = "b1", whole: str | None = None, reply_id: str = "r1") -> list[dict[str, Any]]:
    return [
        event("TEXT_BLOCK_START", reply_id, block_id=block_id),
        *(event("TEXT_BLOCK_DELTA", reply_id, block_id=block_id, delta=piece) for piece in pieces),
        event("TEXT_BLOCK_END", reply_id, block_id=block_id, text=whole),
    ]


def model_end(reply_id: str = "r1", **counts: int) -> dict[str, Any]:
    return event("MODEL_CALL_END", reply_id, **(COUNTS | counts), finished_reason="completed")


def plain_turn(reply_id: str = "r1", block_id: str = "b1") -> list[dict[str, Any]]:
    message = text("Hel", "lo", block_id=block_id, reply_id=reply_id)
    return [start(reply_id), event("MODEL_CALL_START", reply_id), *message, model_end(reply_id), end(reply_id)]


def call(call_id: str, name: str = "Bash", arguments: str = '{"command":"ls"}') -> list[dict[str, Any]]:
    return [
        event("TOOL_CALL_START", tool_call_id=call_id, tool_call_name=name),
        event("TOOL_CALL_DELTA", tool_call_id=call_id, delta=arguments[:5]),
        event("TOOL_CALL_DELTA", tool_call_id=call_id, delta=arguments[5:]),
        event("TOOL_CALL_END", tool_call_id=call_id),
    ]


def result(call_id: str, output: str = "ok", state: str = "success", *, started: bool = False) -> list[dict[str, Any]]:
    events = [
        event("TOOL_RESULT_START", tool_call_id=call_id, tool_call_name="Bash"),
        event("TOOL_RESULT_TEXT_DELTA", tool_call_id=call_id, delta=output),
        event("TOOL_RESULT_END", tool_call_id=call_id, state=state),
    ]
    return events[1:] if started else events


def call_block(call_id: str, state: str, name: str = "Bash", arguments: str = '{"command":"ls"}') -> dict[str, Any]:
    block = {"type": "tool_call", "id": call_id, "name": name, "input": arguments, "state": state}
    return block | {"suggested_rules": NO_RULES}


def result_block(call_id: str, output: Any = "ok", state: str = "success") -> dict[str, Any]:
    return {"type": "tool_result", "id": call_id, "name": "Bash", "output": output, "state": state, "metadata": {}}


def text_block(text: str, block_id: str = "b1") -> dict[str, Any]:
    return {"type": "text", "text": text, "id": block_id}


def requires_confirm(*call_ids: str) -> dict[str, Any]:
    return event("REQUIRE_USER_CONFIRM", tool_calls=[call_block(call_id, "asking") for call_id in call_ids])


def requires_execution(*call_ids: str) -> list[dict[str, Any]]:
    events = []
    for call_id in call_ids:
        events.append(event("TOOL_RESULT_START", tool_call_id=call_id, tool_call_name="lookup"))
        events.append(event("REQUIRE_EXTERNAL_EXECUTION", tool_calls=[call_block(call_id, "submitted", "lookup")]))
    return events


def confirmed(*call_ids: str) -> dict[str, Any]:
    decisions = [{"confirmed": True, "tool_call": call_block(call_id, "asking")} for call_id in call_ids]
    return event("USER_CONFIRM_RESULT", confirm_results=decisions)


def executed(*call_ids: str) -> dict[str, Any]:
    return event("EXTERNAL_EXECUTION_RESULT", execution_results=[result_block(call_id) for call_id in call_ids])


def reply(
    *blocks: dict[str, Any], reply_id: str = "r1", reason: str | None = "completed", **fields: Any
) -> dict[str, Any]:
    """Return a stored reply. Without a reason it waits for an answer, or is unfinished."""
    ended = None if reason is None else "2026-11-22T15:25:55"
    message = {"name": "Agent", "content": list(blocks), "role": "assistant", "id": reply_id, "metadata": {}}
    return message | {"usage": COUNTS, "finished_at": ended, "finished_reason": reason, "error": None} | fields


def user_message(text: str = "hi", message_id: str = "u1") -> dict[str, Any]:
    message = {"name": "user", "content": [text_block(text, "t1")], "role": "user", "id": message_id, "metadata": {}}
    return message | {"usage": None, "finished_at": None, "finished_reason": None, "error": None}


def frames(*raw_events: dict[str, Any]) -> bytes:
    """Return the body of a stream."""
    return b"".join(b"data: " + json.dumps(raw, ensure_ascii=False).encode() + b"\n\n" for raw in raw_events)
