"""The events of a session's turns, and the reply that is built from them.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Final

from polysession.emulation import hex_id
from polysession_agentscope.emulator.shapes import Json

ERROR_MESSAGES: Final = {
    "upstream": "The upstream model service returned an error.",
    "invalid_request": "The request to the model was rejected as invalid.",
    "setup": "The session could not be prepared — check the agent's model, tools and knowledge bases.",
    "unknown": "The reply failed with an unknown error.",
    "internal": "Session no longer exists.",
}
"""The service's message for each type of failure."""


def local_stamp() -> str:
    """Return the current time in the format of events and messages.

    It is the server's local time, without a time zone.
    """
    return datetime.now(UTC).astimezone().replace(tzinfo=None).isoformat()


def event(kind: str, **fields: Json) -> Json:
    """Return a new event."""
    return {"id": hex_id(), "created_at": local_stamp(), "metadata": {}, "type": kind, **fields}


def reply_start(session_id: str, reply_id: str, name: str) -> Json:
    """Return the event that starts or continues a reply."""
    return event("REPLY_START", session_id=session_id, reply_id=reply_id, name=name, role="assistant")


def reply_end(session_id: str, reply_id: str, reason: str, error_type: str | None = None) -> Json:
    """Return the event that ends a reply."""
    error = {"type": error_type, "message": ERROR_MESSAGES[error_type]} if error_type else None
    return event("REPLY_END", session_id=session_id, reply_id=reply_id, finished_reason=reason, error=error)


def new_reply(reply_id: str, name: str) -> Json:
    """Return the message of a reply without content."""
    return {
        "name": name,
        "content": [],
        "role": "assistant",
        "id": reply_id,
        "metadata": {},
        "created_at": local_stamp(),
        "usage": None,
        "finished_at": None,
        "finished_reason": None,
        "structured_output": None,
        "error": None,
    }


def add_to_reply(reply: Json, emitted: Json) -> None:
    """Add an event to a reply. Some types of event do not change it."""
    apply = _CHANGES.get(emitted["type"])
    if apply:
        apply(reply, emitted)


def new_block(kind: str, block_id: str, **fields: Json) -> Json:
    """Return a new block of a message."""
    return {"type": kind, **fields, "id": block_id, "created_at": local_stamp(), "finished_at": None}


def tool_call_block(call_id: str, name: str, arguments: str, state: str, rules: list[Json]) -> Json:
    """Return the block of a tool call in a state."""
    fields = {"name": name, "input": arguments, "state": state, "suggested_rules": rules}
    return new_block("tool_call", call_id, **fields)


def _block(reply: Json, kind: str, block_id: str) -> Json:
    return next(block for block in reply["content"] if (block["type"], block["id"]) == (kind, block_id))


def _start_block(kind: str) -> Callable[[Json, Json], None]:
    def apply(reply: Json, emitted: Json) -> None:
        reply["content"].append(new_block(kind, emitted["block_id"], **{kind: ""}))

    return apply


def _extend_block(kind: str) -> Callable[[Json, Json], None]:
    def apply(reply: Json, emitted: Json) -> None:
        _block(reply, kind, emitted["block_id"])[kind] += emitted["delta"]

    return apply


def _end_block(kind: str, id_key: str = "block_id") -> Callable[[Json, Json], None]:
    def apply(reply: Json, emitted: Json) -> None:
        _block(reply, kind, emitted[id_key])["finished_at"] = emitted["created_at"]

    return apply


def _hint(reply: Json, emitted: Json) -> None:
    block = new_block("hint", emitted["block_id"], hint=emitted["hint"], source=emitted["source"])
    reply["content"].append(block | {"finished_at": block["created_at"]})


def _add_usage(reply: Json, emitted: Json) -> None:
    before = reply["usage"] or {}
    counts = ("input_tokens", "output_tokens", "cache_input_tokens", "cache_creation_input_tokens")
    reply["usage"] = {count: before.get(count, 0) + emitted[count] for count in counts}


def _call_tool(reply: Json, emitted: Json) -> None:
    reply["content"].append(tool_call_block(emitted["tool_call_id"], emitted["tool_call_name"], "", "pending", []))


def _extend_tool_call(reply: Json, emitted: Json) -> None:
    _block(reply, "tool_call", emitted["tool_call_id"])["input"] += emitted["delta"]


def _require(reply: Json, emitted: Json) -> None:
    for call in emitted["tool_calls"]:
        block = _block(reply, "tool_call", call["id"])
        block.update(state=call["state"], suggested_rules=call["suggested_rules"])


def _start_result(reply: Json, emitted: Json) -> None:
    fields = {"name": emitted["tool_call_name"], "output": [], "state": "running", "metadata": {}}
    reply["content"].append(new_block("tool_result", emitted["tool_call_id"], **fields))


def _add_text_result(reply: Json, emitted: Json) -> None:
    output = _block(reply, "tool_result", emitted["tool_call_id"])["output"]
    if output and output[-1]["type"] == "text":
        output[-1]["text"] += emitted["delta"]
    else:
        output.append(new_block("text", hex_id(), text=emitted["delta"]))


def _add_data_result(reply: Json, emitted: Json) -> None:
    kind = "url" if emitted["data"] is None else "base64"
    content = {"url": emitted["url"]} if kind == "url" else {"data": emitted["data"]}
    source = {"type": kind, **content, "media_type": emitted["media_type"]}
    block = new_block("data", emitted["block_id"], source=source, name=None)
    _block(reply, "tool_result", emitted["tool_call_id"])["output"].append(block)


def _end_result(reply: Json, emitted: Json) -> None:
    result = _block(reply, "tool_result", emitted["tool_call_id"])
    result.update(state=emitted["state"], finished_at=emitted["created_at"])
    _block(reply, "tool_call", emitted["tool_call_id"])["state"] = "finished"


def _add_stray_results(reply: Json, emitted: Json) -> None:
    """Add the results that no call waits for: the service stores them with the others."""
    expected = {block["id"] for block in reply["content"] if block["type"] == "tool_result"}
    reply["content"] += [deepcopy(result) for result in emitted["execution_results"] if result["id"] not in expected]


def _end_reply(reply: Json, emitted: Json) -> None:
    reply.update(finished_at=emitted["created_at"], finished_reason=emitted["finished_reason"], error=emitted["error"])


_CHANGES: Final[Mapping[str, Callable[[Json, Json], None]]] = {
    "HINT_BLOCK": _hint,
    "MODEL_CALL_END": _add_usage,
    "THINKING_BLOCK_START": _start_block("thinking"),
    "THINKING_BLOCK_DELTA": _extend_block("thinking"),
    "THINKING_BLOCK_END": _end_block("thinking"),
    "TEXT_BLOCK_START": _start_block("text"),
    "TEXT_BLOCK_DELTA": _extend_block("text"),
    "TEXT_BLOCK_END": _end_block("text"),
    "TOOL_CALL_START": _call_tool,
    "TOOL_CALL_DELTA": _extend_tool_call,
    "TOOL_CALL_END": _end_block("tool_call", "tool_call_id"),
    "REQUIRE_USER_CONFIRM": _require,
    "REQUIRE_EXTERNAL_EXECUTION": _require,
    "EXTERNAL_EXECUTION_RESULT": _add_stray_results,
    "TOOL_RESULT_START": _start_result,
    "TOOL_RESULT_TEXT_DELTA": _add_text_result,
    "TOOL_RESULT_DATA_DELTA": _add_data_result,
    "TOOL_RESULT_END": _end_result,
    "REPLY_END": _end_reply,
}
