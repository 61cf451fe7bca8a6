"""One agent with tools of all kinds."""

# mypy: disable-error-code="import-not-found"

import asyncio
import time
from pathlib import Path
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.tools import FunctionTool, LongRunningFunctionTool, ToolContext, request_input
from google.genai import types
from scripted import ScriptedModel


def lookup(query: str) -> dict[str, Any]:
    """Look something up."""
    return {"result": f"{query} is in stock"}


def lookup_with_approval(query: str) -> dict[str, Any]:
    """Look something up, if the caller approves."""
    return {"result": f"{query} is in stock"}


def lookup_by_caller(query: str) -> None:
    """Have the caller look something up."""


def book(place: str, tool_context: ToolContext) -> dict[str, Any]:
    """Book a place, if the caller approves; ask with its own hint."""
    confirmation = tool_context.tool_confirmation
    if confirmation is None:
        tool_context.request_confirmation(hint="For how many?", payload={"people": 0})
        return {"status": "waiting"}
    reason = (confirmation.payload or {}).get("reason")
    return {"result": f"{place} is booked"} if confirmation.confirmed else {"error": f"not booked: {reason}"}


def open_ticket(topic: str) -> dict[str, Any]:
    """Open a ticket, whose answer may come later."""
    return {"status": "pending", "ticket": "T1"}


async def wait(seconds: float) -> dict[str, Any]:
    """Take a while, and let others work."""
    await asyncio.sleep(seconds)
    return {"result": "waited"}


async def hold(path: str) -> dict[str, Any]:
    """Wait until a file exists."""
    for _ in iter(Path(path).exists, True):
        await asyncio.sleep(0.02)
    return {"result": "released"}


def block(seconds: float) -> dict[str, Any]:
    """Take a while, and block the event loop."""
    time.sleep(seconds)
    return {"result": "blocked"}


def boom() -> dict[str, Any]:
    """Fail."""
    raise ValueError("the tool broke")


async def note(text: str, tool_context: ToolContext) -> dict[str, Any]:
    """Save an artifact."""
    version = await tool_context.save_artifact("note.txt", types.Part(text=text))
    return {"result": f"version {version}"}


def remember(value: str, tool_context: ToolContext) -> dict[str, Any]:
    """Write to each kind of state."""
    for prefix in ("", "user:", "app:", "temp:"):
        tool_context.state[f"{prefix}seen"] = value
    return {"result": "remembered"}


root_agent = LlmAgent(
    name="assistant",
    model=ScriptedModel(model="scripted"),
    description="Answers by a script.",
    tools=[
        lookup,
        FunctionTool(lookup_with_approval, require_confirmation=True),
        LongRunningFunctionTool(lookup_by_caller),
        book,
        LongRunningFunctionTool(open_ticket),
        wait,
        hold,
        block,
        boom,
        note,
        remember,
        request_input,
    ],
)
