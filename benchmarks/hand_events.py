"""The baseline for streams: a splitter of frames, and a union of plain models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from benchmarks.hand import Tokens


class Text(BaseModel):
    """A text block."""

    type: Literal["text"]
    text: str


class StopReason(BaseModel):
    """The reason for the end of a turn."""

    type: str


class Previewed(BaseModel):
    """An event that will follow."""

    id: str
    type: str


class Delta(BaseModel):
    """A delta of that event."""

    type: str
    index: int
    content: Text


class Running(BaseModel):
    """An event."""

    type: Literal["session.status_running"]
    id: str
    processed_at: datetime


class Idle(BaseModel):
    """An event."""

    type: Literal["session.status_idle"]
    id: str
    processed_at: datetime
    stop_reason: StopReason


class MessageEvent(BaseModel):
    """An event."""

    type: Literal["user.message", "agent.message"]
    id: str
    processed_at: datetime
    content: list[Text]


class Start(BaseModel):
    """An event."""

    type: Literal["event_start"]
    event: Previewed


class DeltaEvent(BaseModel):
    """An event."""

    type: Literal["event_delta"]
    event_id: str
    delta: Delta


class ToolUse(BaseModel):
    """An event."""

    type: Literal["agent.tool_use"]
    id: str
    processed_at: datetime
    name: str
    input: dict[str, Any]


class ToolResult(BaseModel):
    """An event."""

    type: Literal["agent.tool_result"]
    id: str
    processed_at: datetime
    tool_use_id: str
    content: list[Text]
    is_error: bool


class Span(BaseModel):
    """An event."""

    type: Literal["span.model_request_start", "span.model_request_end"]
    id: str
    processed_at: datetime


class UsageEvent(BaseModel):
    """An event."""

    type: Literal["session.usage"]
    id: str
    processed_at: datetime
    total_credits: float


QODER_EVENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Running | Idle | MessageEvent | Start | DeltaEvent | ToolUse | ToolResult | Span | UsageEvent,
        Field(discriminator="type"),
    ]
)


class Context(BaseModel):
    """The owner of an event."""

    turn_id: str | None = None


class Envelope(BaseModel):
    """Fields of every event."""

    id: str
    ts: datetime
    session_id: str
    sequence: int | None = None
    context: Context


class WireMessage(BaseModel):
    """A message."""

    id: str
    role: str
    content: list[Text]
    created_at: datetime


class MessageData(BaseModel):
    """Data of a message."""

    message: WireMessage


class StoredMessage(Envelope):
    """An event."""

    type: Literal["input.message", "output.message.completed"]
    data: MessageData


class DeltaData(BaseModel):
    """Data of a piece."""

    delta: str


class MessageDelta(Envelope):
    """An event."""

    type: Literal["output.message.delta"]
    data: DeltaData


class ToolCall(BaseModel):
    """A tool call."""

    id: str
    name: str
    arguments: dict[str, Any]


class ToolStartedData(BaseModel):
    """Data of a tool call."""

    tool_call: ToolCall


class ToolStarted(Envelope):
    """An event."""

    type: Literal["tool.started"]
    data: ToolStartedData


class ToolCompletedData(BaseModel):
    """Data of a tool result."""

    tool_call_id: str
    success: bool
    result: list[Text]


class ToolCompleted(Envelope):
    """An event."""

    type: Literal["tool.completed"]
    data: ToolCompletedData


class TurnData(BaseModel):
    """Data of a turn."""

    turn_id: str
    usage: Tokens | None = None


class TurnEvent(Envelope):
    """An event."""

    type: Literal["session.activated", "session.idled", "turn.started", "turn.completed", "output.message.started"]
    data: TurnData


EVERRUNS_EVENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        StoredMessage | MessageDelta | ToolStarted | ToolCompleted | TurnEvent,
        Field(discriminator="type"),
    ]
)


class AgentScopeEvent(BaseModel):
    """Fields of every event."""

    id: str
    created_at: datetime
    reply_id: str


class ReplyEvent(AgentScopeEvent):
    """An event."""

    type: Literal["REPLY_START", "REPLY_END", "MODEL_CALL_START"]
    finished_reason: str | None = None
    error: Any = None


class ModelCallEnd(AgentScopeEvent):
    """An event."""

    type: Literal["MODEL_CALL_END"]
    input_tokens: int
    output_tokens: int
    cache_input_tokens: int
    cache_creation_input_tokens: int


class TextEvent(AgentScopeEvent):
    """An event."""

    type: Literal["TEXT_BLOCK_START", "TEXT_BLOCK_DELTA", "TEXT_BLOCK_END"]
    block_id: str
    delta: str = ""


class CallEvent(AgentScopeEvent):
    """An event."""

    type: Literal[
        "TOOL_CALL_START",
        "TOOL_CALL_DELTA",
        "TOOL_CALL_END",
        "TOOL_RESULT_START",
        "TOOL_RESULT_TEXT_DELTA",
        "TOOL_RESULT_END",
    ]
    tool_call_id: str
    tool_call_name: str | None = None
    delta: str = ""
    state: str | None = None


AGENTSCOPE_EVENT: TypeAdapter[Any] = TypeAdapter(
    Annotated[ReplyEvent | ModelCallEnd | TextEvent | CallEvent, Field(discriminator="type")]
)


def split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the data of each frame.

    This is fast, and correct only for the frames of this benchmark's server.
    """
    rest = b""
    for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            for line in frame.split(b"\n"):
                if line.startswith(b"data: "):
                    yield line[6:]


async def asplit(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`split`, awaited."""
    rest = b""
    async for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            for line in frame.split(b"\n"):
                if line.startswith(b"data: "):
                    yield line[6:]
