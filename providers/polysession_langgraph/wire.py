"""LangGraph Agent Server's JSON, in its own words: the parts that are read.

Observed on langgraph-api 0.16.7 (2026-11-30). Backend: https://docs.langchain.com/langsmith/server-api-ref
(read 2026-11-30)
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec


class WireFailure(msgspec.Struct):
    """The failure of a run, as its thread or an `error` frame has it: the class of the exception, and its text."""

    error: str | None = None
    message: str | None = None


class WireAnswer(WireFailure):
    """The answer to a command, or an error body. A refused command has HTTP status 200, a refused creation 201."""

    type: str | None = None
    result: dict[str, Any] | None = None
    detail: Any = None


class WireInterrupt(msgspec.Struct):
    """A question that a run asked before it stopped to wait. `value` is whatever the graph passed."""

    id: str | None = None
    value: Any = None
    response_schema: dict[str, Any] | None = None


class WireState(msgspec.Struct):
    """The state of a thread."""

    values: msgspec.Raw


class WireThread(msgspec.Struct):
    """A thread: a session."""

    thread_id: str
    values: msgspec.Raw = msgspec.Raw(b"null")  # after its first run
    created_at: datetime | None = None
    updated_at: datetime | None = None
    metadata: dict[str, Any] | None = None
    status: str | None = None
    interrupts: dict[str, list[WireInterrupt]] | None = None
    error: WireFailure | None = None


class WireRun(msgspec.Struct):
    """A run: a turn. Its status `success` means done or waiting.

    A `metadata` frame has the same form: a run starts, or with status `run_done` it is over, whatever its outcome.
    """

    run_id: str
    status: str | None = None
    metadata: dict[str, Any] | None = None
    attempt: int | None = None  # counts the starts of a run, which continues after a restart of the server


class WireAssistant(msgspec.Struct):
    """An assistant: an agent."""

    assistant_id: str
    graph_id: str | None = None
    name: str | None = None
    description: str | None = None
    version: int | str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WireUsage(msgspec.Struct):
    """Tokens of one message."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: dict[str, Any] | None = None


class WireToolCall(msgspec.Struct):
    """A tool call inside a message."""

    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None


class WireMessage(msgspec.Struct):
    """A message of the state."""

    type: str | None = None  # human, ai, tool, system
    id: str | None = None
    name: str | None = None
    content: list[dict[str, Any] | str] | str | None = None
    tool_calls: list[WireToolCall] | None = None
    tool_call_id: str | None = None
    status: str | None = None  # of a tool message: success, error
    usage_metadata: WireUsage | None = None


class WireParams(msgspec.Struct):
    """The inner part of a frame. `namespace` is empty for the graph itself and names a subgraph else."""

    namespace: list[str] | None = None
    timestamp: Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)] | None = None  # milliseconds, to year 9999
    data: msgspec.Raw = msgspec.Raw(b"null")


class WireFrame(msgspec.Struct):
    """A frame of a run that was started by a command. `seq` counts within its run."""

    method: str | None = None  # type of the frame, without the namespace that its SSE event has
    params: WireParams | None = None
    seq: int | None = None


class WirePiece(msgspec.Struct):
    """The data of a `messages` frame: a message, or a block of one, starts, grows or ends."""

    event: str | None = None
    role: str | None = None
    id: str | None = None
    index: int | None = None
    content: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    usage: WireUsage | None = None


class WireTool(msgspec.Struct):
    """The data of a `tools` frame, which only graphs with the tools transformer have."""

    event: str | None = None
    tool_call_id: str | None = None
    output: Any = None
    message: str | None = None
