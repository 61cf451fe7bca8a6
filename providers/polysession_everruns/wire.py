"""Structs of Everruns' JSON, with its own names and only the fields that are read.

Each struct reads all generations: February 2026, the current one, and newer servers, which have fields that the
published OpenAPI document does not have. A comment marks fields that only some generations have.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json; newer fields:
https://github.com/everruns/everruns and https://crates.io/crates/everruns-contracts, 0.50.1 (read 2026-11)
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec


class WireList(msgspec.Struct):
    """A page of a list. The lists of messages and events have only `data`, with all items."""

    data: list[msgspec.Raw]
    total: int | None = None
    limit: int | None = None
    next_url: str | None = None  # current


class WireErrorDetail(msgspec.Struct):
    """The `error` object that the official clients expect in an error body."""

    code: str | None = None
    message: str | None = None


class WireError(msgspec.Struct):
    """An error body."""

    detail: str | None = None  # current
    title: str | None = None  # current
    code: str | None = None  # current
    error: WireErrorDetail | str | None = None  # February 2026: only the message


class WireStatus(msgspec.Struct):
    """The response to a cancel."""

    status: str | None = None


class WireCapability(msgspec.Struct):
    """A capability that a session has in addition to those of its agent."""

    ref: str
    config: Any = None


class WireUsage(msgspec.Struct):
    """The usage of a session, a turn or a model call. The counters do not overlap."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    effective_cost_usd: Decimal | None = None  # current
    actual_cost_usd: Decimal | None = None  # current
    estimated_cost_usd: Decimal | None = None  # current


class WireSession(msgspec.Struct):
    """A session."""

    id: str
    organization_id: str | None = None
    agent_id: str | None = None
    workspace_id: str | None = None  # current
    owner_principal_id: str | None = None  # current
    parent_session_id: str | None = None  # current
    status: str | None = None
    title: str | None = None
    tags: list[str] | None = None
    capabilities: list[WireCapability] | None = None
    model_id: str | None = None
    preview: str | None = None
    output_preview: str | None = None
    source: str | None = None  # newer servers
    usage: WireUsage | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class WireAgent(msgspec.Struct):
    """An agent."""

    id: str
    name: str | None = None
    description: str | None = None
    default_model_id: str | None = None
    system_prompt: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    archived_at: datetime | None = None


class WireModel(msgspec.Struct):
    """A model.

    Sessions and agents use its `id`; `model_id` is the model's name at its provider.
    """

    id: str
    model_id: str | None = None
    display_name: str | None = None


class WirePart(msgspec.Struct):
    """A part of a message, with the fields of all types."""

    type: str | None = None
    text: Any = None  # an object in a `reasoning` part of newer servers
    url: str | None = None
    base64: str | None = None
    media_type: str | None = None
    image_id: str | None = None
    file_id: str | None = None  # newer servers
    filename: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: dict[str, Any] | None = None
    tool_call_id: str | None = None
    result: Any = None
    error: str | None = None


class WireMessage(msgspec.Struct):
    """A message in the list, in the response to a new message, or in an event."""

    id: str
    role: str | None = None
    content: list[msgspec.Raw] | None = None
    thinking: str | None = None  # only in events
    created_at: datetime | None = None
    delivery: str | None = None  # newer servers, for a new message: started, steered, resumed or duplicate


class WireContext(msgspec.Struct):
    """The turn and the message that an event belongs to."""

    turn_id: str | None = None
    input_message_id: str | None = None


class WireData(msgspec.Struct):
    """The fields of `data` that all types of events may have."""

    turn_id: str | None = None
    input_message_id: str | None = None


class WireEvent(msgspec.Struct):
    """The envelope of an event."""

    id: str | None = None
    type: str | None = None
    ts: datetime | None = None
    session_id: str | None = None
    sequence: int | None = None  # absent in live deltas
    context: WireContext | None = None
    data: WireData | None = None


class WireTurnData(WireData):
    """Data of `turn.*`, `session.idled` and `reason.completed`.

    Each type has some of these fields.
    """

    usage: WireUsage | None = None
    reason: str | None = None
    detail: str | None = None
    error: str | None = None
    error_code: str | None = None
    termination_reason: str | None = None  # newer servers, in `turn.completed`: why the turn ended
    stop_reason: str | None = None  # newer servers: why the last model call of the turn ended


class WireTurnEvent(WireEvent):
    """`turn.*`, `session.idled` and `reason.completed`."""

    data: WireTurnData | None = None


class WireTextData(WireData):
    """Data of an incomplete message or of a thought."""

    message_id: str | None = None  # newer servers
    delta: str = ""
    accumulated: str | None = None
    thinking: str | None = None


class WireTextEvent(WireEvent):
    """`output.message.started`, `output.message.delta` and `reason.thinking.*`."""

    data: WireTextData | None = None


class WireMessageData(WireData):
    """Data of a whole message, with the usage of its model call."""

    message: msgspec.Raw = msgspec.Raw()
    usage: WireUsage | None = None


class WireMessageEvent(WireEvent):
    """`input.message` and `output.message.completed`."""

    data: WireMessageData | None = None


class WireConversationData(WireData):
    """Data of a message that the agent sent with a tool."""

    message_id: str | None = None
    text: str | None = None


class WireConversationEvent(WireEvent):
    """`conversation.message`; newer servers only."""

    data: WireConversationData | None = None


class WireWholeData(msgspec.Struct):
    """An event whose `data` is needed as JSON text."""

    data: msgspec.Raw


class WireToolCall(msgspec.Struct):
    """A tool call."""

    id: str
    name: str = ""
    arguments: dict[str, Any] | None = None


class WireToolData(WireData):
    """Data of one tool call."""

    tool_call: WireToolCall | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    success: bool = True
    result: Any = None
    error: str | None = None
    delta: str = ""


class WireToolEvent(WireEvent):
    """`tool.started`, `tool.completed` and `tool.output.delta`."""

    data: WireToolData | None = None


class WireToolCallsData(WireData):
    """Data of several tool calls."""

    tool_calls: list[msgspec.Raw] | None = None


class WireToolCallsEvent(WireEvent):
    """`act.started` and `tool.call_requested`."""

    data: WireToolCallsData | None = None


class WireHeldCall(msgspec.Struct):
    """A tool call that waits for an approval; newer servers only.

    Attributes:
        code: Code of the request; it identifies an approval.
        tool: Name of the tool.
        arguments: Arguments of the tool, as an object. If they are too large, the server sends truncated text.
    """

    code: str | None = None
    tool: str | None = None
    arguments: Any = None


class WireApproval(msgspec.Struct):
    """The call that the server generates to request an approval."""

    arguments: WireHeldCall


class WireOption(msgspec.Struct):
    """An option of a question."""

    label: str


class WireQuestion(msgspec.Struct):
    """A question of an `ask_user` call.

    Attributes:
        kind: `choice`, `text` or `secret`; None means `choice`.
        secret_name: For `secret`, the name under which the user must store the secret.
    """

    id: str
    question: str = ""
    kind: str | None = None
    options: list[WireOption] | None = None
    multi_select: bool = False
    allow_other: bool = False
    secret_name: str | None = None


class WireQuestions(msgspec.Struct):
    """The arguments of an `ask_user` call."""

    questions: list[msgspec.Raw]


class WireAskUser(msgspec.Struct):
    """An `ask_user` call; newer servers only."""

    arguments: WireQuestions


class WireReference(msgspec.Struct):
    """The content of a `PendingAction.reference`, from which its answer is built.

    Attributes:
        call_id: Id of the call that requested the action.
        question: The question, if the action is a question of an `ask_user` call; otherwise None.
    """

    call_id: str
    question: WireQuestion | None = None


class WireTurnMark(msgspec.Struct, omit_defaults=True):
    """The facts in a turn's cursor by which the turn is recognised.

    Attributes:
        digest: Digest of the message that starts the turn, to find the message before its id is known.
        message_id: Id of the message; None before it is stored.
        delivery: How the server delivered the message; see `WireMessage.delivery`.
        call_ids: Ids of the answered calls; None if a message starts the turn.
        turn_id: Id of the turn; None before an event proved it.
    """

    digest: str | None = None
    message_id: str | None = None
    delivery: str | None = None
    call_ids: list[str] | None = None
    turn_id: str | None = None


class WireCursor(msgspec.Struct, omit_defaults=True):
    """The content of a stream's cursor.

    Attributes:
        since_id: Id of the event after which the stream continues; None for the start of the session.
        turn: The turn that the plan follows; None for a stream of all events.
    """

    since_id: str | None
    turn: WireTurnMark | None = None


class WireDisconnecting(msgspec.Struct):
    """Data of the frame that announces the end of a connection."""

    retry_ms: int | None = None
