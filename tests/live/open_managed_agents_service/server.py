"""Serves open-managed-agents on a given port.

The interpreter of its virtual environment runs this file.

Routes, rules, log and streams are those of the server. Its local runtime has no model: an agent with tools uses the
first one. For an agent without tools, this file replaces it by a runtime that follows the commands of our emulators and
writes events in the same format.
"""

# mypy: disable-error-code="import-not-found,no-any-return"

import asyncio
import sys
from typing import Any

import uvicorn
from app.db.engine import get_engine
from app.db.models._base import Base
from app.factory import create_app
from app.runtime import runner

ENDS = {
    "/tool": "The tool has answered.",
    "/ask": "The decision was heard.",
    "/client-tool": "The output was received.",
    "/mixed": "Both have answered.",
}
_STEP_S = 0.1
_local_runtime = runner._execute_local


async def follow_script(version: Any, history: Any, environment_config: Any = None, **options: Any) -> Any:
    """Perform the command in the user's last message."""
    if version.tools:
        return await _local_runtime(version, history, environment_config, **options)
    text = _last_message(history)
    command, _, rest = text.partition(" ")
    number = int(rest) if rest.isdigit() else 1
    answers = _answers(history)
    if command in {"/ask", "/client-tool", "/mixed"} and not answers:
        return runner.RuntimeResult("", _questions(command, number), requires_action=True)
    if command == "/fail":
        raise RuntimeError("the model is out of order")
    if command == "/slow":
        await asyncio.sleep(number * _STEP_S)
    return runner.RuntimeResult(_said(command, text, number), _events(command, number, answers))


def _last_message(history: Any) -> str:
    texts = [runner._text_from_payload(event.payload) for event in history if event.type == "user.message"]
    return texts[-1] if texts else ""


def _answers(history: Any) -> list[Any]:
    """Return the answers since the last message."""
    last = max((number for number, event in enumerate(history) if event.type == "user.message"), default=-1)
    results = {"user.tool_confirmation", "user.custom_tool_result"}
    return [event for event in history[last + 1 :] if event.type in results]


def _questions(command: str, number: int) -> list[dict[str, Any]]:
    kinds = {"/ask": ["agent.tool_use"] * number, "/client-tool": ["agent.custom_tool_use"] * number}
    mixed = ["agent.tool_use", "agent.custom_tool_use"]
    return [_use(kind, place) for place, kind in enumerate(kinds.get(command, mixed))]


def _use(kind: str, place: int) -> dict[str, Any]:
    return {"type": kind, "name": "lookup", "input": {"query": f"item {place}"}}


def _events(command: str, number: int, answers: list[Any]) -> list[dict[str, Any]]:
    """Return the events before the agent's last message."""
    if command == "/think":
        return [{"type": "agent.thinking", "content": [{"type": "text", "text": "The user wants to see me think."}]}]
    if command == "/tool":
        return [event for place in range(number) for event in _tool(place)]
    confirmed = [event for event in answers if event.type == "user.tool_confirmation"]
    return [
        _result(event.payload["tool_use_id"], place, is_error=event.payload["result"] == "deny")
        for place, event in enumerate(confirmed)
    ]


def _tool(place: int) -> list[dict[str, Any]]:
    call_id = f"call_{place}"
    return [{**_use("agent.tool_use", place), "tool_use_id": call_id}, _result(call_id, place, is_error=False)]


def _result(tool_use_id: str, place: int, *, is_error: bool) -> dict[str, Any]:
    text = "The user has denied this tool call." if is_error else f"item {place} is in stock"
    content = [{"type": "text", "text": text}]
    return {"type": "agent.tool_result", "tool_use_id": tool_use_id, "content": content, "is_error": is_error}


def _said(command: str, text: str, number: int) -> str:
    if command in {"/slow", "/long"}:
        return "".join(f"word{place} " for place in range(number))
    return "I have thought about it." if command == "/think" else ENDS.get(command, f"You said: {text}")


async def _create_tables() -> None:
    async with get_engine().begin() as connection:
        await connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # its streams read while others write
        await connection.run_sync(Base.metadata.create_all)
    await get_engine().dispose()


if __name__ == "__main__":
    runner._execute_local = follow_script
    asyncio.run(_create_tables())
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
