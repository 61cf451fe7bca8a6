"""LangGraph Agent Server's JSON, with its names: the fields that are read.

Observed on langgraph-api 0.16.7 (2026-11-30). Backend: https://docs.langchain.com/langsmith/server-api-ref
(read 2026-11-30)
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec


class WireFailure(msgspec.Struct):
    """The failure of a run, in its thread or in an `error` frame.

    It has the class of the exception, and its message.
    """

    error: str | None = None
    message: str | None = None


class WireAnswer(WireFailure):
    """The response to a command, or an error body.

    Rejected commands have HTTP status 200, rejected states 201.
    """

    type: str | None = None
    result: dict[str, Any] | None = None
    detail: Any = None


class WireInterrupt(msgspec.Struct):
    """A request for input, for which a run stopped.

    `value` can be anything: the graph chooses it.
    """

    id: str | None = None
    value: Any = None
    response_schema: dict[str, Any] | None = None


class WireState(msgspec.Struct):
    """The state of a thread."""

    values: msgspec.Raw


class WireThread(msgspec.Struct):
    """A thread: a session."""

    thread_id: str
    values: msgspec.Raw = msgspec.Raw(b"null")  # null before the first run
    created_at: datetime | None = None
    updated_at: datetime | None = None
    metadata: dict[str, Any] | None = None
    status: str | None = None
    interrupts: dict[str, list[WireInterrupt]] | None = None
    error: WireFailure | None = None


class WireRun(msgspec.Struct):
    """A run: a turn. Its status `success` means that it completed or waits for answers.

    A `metadata` frame has the same fields: the run starts, or, with status `run_done`, it has ended with any outcome.
    """

    run_id: str
    status: str | None = None
    metadata: dict[str, Any] | None = None
    attempt: int | None = None  # number of starts: a run is started again after a restart of the server


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
    """The content of a frame.

    `namespace` is empty for the graph itself; otherwise it names a subgraph.
    """

    namespace: list[str] | None = None
    timestamp: Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)] | None = None  # milliseconds, to year 9999
    data: msgspec.Raw = msgspec.Raw(b"null")


class WireFrame(msgspec.Struct):
    """A frame of a run that a command started. `seq` counts the frames of the run."""

    method: str | None = None  # type of the frame, without the namespace in the SSE event name
    params: WireParams | None = None
    seq: int | None = None


class WirePiece(msgspec.Struct):
    """The data of a `messages` frame.

    It is the start, a delta or the end of a message or of its block.
    """

    event: str | None = None
    role: str | None = None
    id: str | None = None
    index: int | None = None
    content: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    usage: WireUsage | None = None


class WireTool(msgspec.Struct):
    """The data of a `tools` frame. Only graphs with the tools transformer send it."""

    event: str | None = None
    tool_call_id: str | None = None
    output: Any = None
    message: str | None = None
