"""The events of a session's turns, and how they make up a reply.

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
"""The one sentence of the service about each kind of failure."""


def local_stamp() -> str:
    """This moment as events and messages show it: in the server's local time, without saying so."""
    return datetime.now(UTC).astimezone().replace(tzinfo=None).isoformat()


def event(kind: str, **fields: Json) -> Json:
    """A new event."""
    return {"id": hex_id(), "created_at": local_stamp(), "metadata": {}, "type": kind, **fields}


def reply_start(session_id: str, reply_id: str, name: str) -> Json:
    """The event that begins or continues a reply."""
    return event("REPLY_START", session_id=session_id, reply_id=reply_id, name=name, role="assistant")


def reply_end(session_id: str, reply_id: str, reason: str, error_type: str | None = None) -> Json:
    """The event that ends a reply."""
    error = {"type": error_type, "message": ERROR_MESSAGES[error_type]} if error_type else None
    return event("REPLY_END", session_id=session_id, reply_id=reply_id, finished_reason=reason, error=error)


def new_reply(reply_id: str, name: str) -> Json:
    """The message that a reply is at its beginning."""
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


def add_to_reply(reply: Json, happened: Json) -> None:
    """Let a reply grow by an event; most kinds of event leave a trace in it, some do not."""
    trace = _TRACES.get(happened["type"])
    if trace:
        trace(reply, happened)


def new_block(kind: str, block_id: str, **fields: Json) -> Json:
    """A new block of a message."""
    return {"type": kind, **fields, "id": block_id, "created_at": local_stamp(), "finished_at": None}


def tool_call_block(call_id: str, name: str, arguments: str, state: str, rules: list[Json]) -> Json:
    """A block that says how far a tool call has come."""
    fields = {"name": name, "input": arguments, "state": state, "suggested_rules": rules}
    return new_block("tool_call", call_id, **fields)


def _block(reply: Json, kind: str, block_id: str) -> Json:
    return next(block for block in reply["content"] if (block["type"], block["id"]) == (kind, block_id))


def _start_block(kind: str) -> Callable[[Json, Json], None]:
    def trace(reply: Json, happened: Json) -> None:
        reply["content"].append(new_block(kind, happened["block_id"], **{kind: ""}))

    return trace


def _grow_block(kind: str) -> Callable[[Json, Json], None]:
    def trace(reply: Json, happened: Json) -> None:
        _block(reply, kind, happened["block_id"])[kind] += happened["delta"]

    return trace


def _end_block(kind: str, id_key: str = "block_id") -> Callable[[Json, Json], None]:
    def trace(reply: Json, happened: Json) -> None:
        _block(reply, kind, happened[id_key])["finished_at"] = happened["created_at"]

    return trace


def _hint(reply: Json, happened: Json) -> None:
    block = new_block("hint", happened["block_id"], hint=happened["hint"], source=happened["source"])
    reply["content"].append(block | {"finished_at": block["created_at"]})


def _add_usage(reply: Json, happened: Json) -> None:
    before = reply["usage"] or {}
    counts = ("input_tokens", "output_tokens", "cache_input_tokens", "cache_creation_input_tokens")
    reply["usage"] = {count: before.get(count, 0) + happened[count] for count in counts}


def _call_tool(reply: Json, happened: Json) -> None:
    reply["content"].append(tool_call_block(happened["tool_call_id"], happened["tool_call_name"], "", "pending", []))


def _grow_tool_call(reply: Json, happened: Json) -> None:
    _block(reply, "tool_call", happened["tool_call_id"])["input"] += happened["delta"]


def _require(reply: Json, happened: Json) -> None:
    for call in happened["tool_calls"]:
        block = _block(reply, "tool_call", call["id"])
        block.update(state=call["state"], suggested_rules=call["suggested_rules"])


def _start_result(reply: Json, happened: Json) -> None:
    fields = {"name": happened["tool_call_name"], "output": [], "state": "running", "metadata": {}}
    reply["content"].append(new_block("tool_result", happened["tool_call_id"], **fields))


def _add_text_result(reply: Json, happened: Json) -> None:
    output = _block(reply, "tool_result", happened["tool_call_id"])["output"]
    if output and output[-1]["type"] == "text":
        output[-1]["text"] += happened["delta"]
    else:
        output.append(new_block("text", hex_id(), text=happened["delta"]))


def _add_data_result(reply: Json, happened: Json) -> None:
    kind = "url" if happened["data"] is None else "base64"
    content = {"url": happened["url"]} if kind == "url" else {"data": happened["data"]}
    source = {"type": kind, **content, "media_type": happened["media_type"]}
    block = new_block("data", happened["block_id"], source=source, name=None)
    _block(reply, "tool_result", happened["tool_call_id"])["output"].append(block)


def _end_result(reply: Json, happened: Json) -> None:
    result = _block(reply, "tool_result", happened["tool_call_id"])
    result.update(state=happened["state"], finished_at=happened["created_at"])
    _block(reply, "tool_call", happened["tool_call_id"])["state"] = "finished"


def _add_stray_results(reply: Json, happened: Json) -> None:
    """The service keeps results that no call waits for, beside those that the agent takes."""
    expected = {block["id"] for block in reply["content"] if block["type"] == "tool_result"}
    reply["content"] += [deepcopy(result) for result in happened["execution_results"] if result["id"] not in expected]


def _end_reply(reply: Json, happened: Json) -> None:
    reply.update(
        finished_at=happened["created_at"], finished_reason=happened["finished_reason"], error=happened["error"]
    )


_TRACES: Final[Mapping[str, Callable[[Json, Json], None]]] = {
    "HINT_BLOCK": _hint,
    "MODEL_CALL_END": _add_usage,
    "THINKING_BLOCK_START": _start_block("thinking"),
    "THINKING_BLOCK_DELTA": _grow_block("thinking"),
    "THINKING_BLOCK_END": _end_block("thinking"),
    "TEXT_BLOCK_START": _start_block("text"),
    "TEXT_BLOCK_DELTA": _grow_block("text"),
    "TEXT_BLOCK_END": _end_block("text"),
    "TOOL_CALL_START": _call_tool,
    "TOOL_CALL_DELTA": _grow_tool_call,
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
