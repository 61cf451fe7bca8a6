"""Everruns' JSON, in its own words: the parts of it that are read.

Each struct reads every generation: that of February 2026, the current one, and newer servers, which have more than the
published description.

Backend: https://docs.everruns.com and https://github.com/everruns/sdk, openapi/openapi.json; newer fields:
https://github.com/everruns/everruns and https://crates.io/crates/everruns-contracts, 0.50.1 (read 2026-11)
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec


class WireList(msgspec.Struct):
    """A page of a list. Messages and events come whole, without the other fields."""

    data: list[msgspec.Raw]
    total: int | None = None
    limit: int | None = None
    next_url: str | None = None  # current


class WireErrorDetail(msgspec.Struct):
    """The inner object that official clients expect of an error."""

    code: str | None = None
    message: str | None = None


class WireError(msgspec.Struct):
    """An error body."""

    detail: str | None = None  # current
    title: str | None = None  # current
    code: str | None = None  # current
    error: WireErrorDetail | str | None = None  # February 2026: the message alone


class WireStatus(msgspec.Struct):
    """The answer to a request to cancel."""

    status: str | None = None


class WireCapability(msgspec.Struct):
    """An ability that a session has on top of its agent's."""

    ref: str
    config: Any = None


class WireUsage(msgspec.Struct):
    """Consumption, in counters that do not overlap."""

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
    """A model: `id` is what sessions and agents are given, `model_id` the name at its provider."""

    id: str
    model_id: str | None = None
    display_name: str | None = None


class WirePart(msgspec.Struct):
    """A part of a message: the fields of every type."""

    type: str | None = None
    text: Any = None  # of `reasoning`, which newer servers have, an object
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
    """A message: of the list, of the answer to a new one, or inside an event."""

    id: str
    role: str | None = None
    content: list[msgspec.Raw] | None = None
    thinking: str | None = None  # inside events
    created_at: datetime | None = None
    delivery: str | None = None  # newer servers, answer to a new message: started, steered, resumed or duplicate


class WireContext(msgspec.Struct):
    """The turn and the message that an event belongs to."""

    turn_id: str | None = None
    input_message_id: str | None = None


class WireData(msgspec.Struct):
    """The data of an event, as far as every type may have them."""

    turn_id: str | None = None
    input_message_id: str | None = None


class WireEvent(msgspec.Struct):
    """An event: the envelope."""

    id: str | None = None
    type: str | None = None
    ts: datetime | None = None
    session_id: str | None = None
    sequence: int | None = None  # none for deltas that are sent only while they happen
    context: WireContext | None = None
    data: WireData | None = None


class WireTurnData(WireData):
    """Data of `turn.*`, `session.idled` and `reason.completed`: each has a few of these."""

    usage: WireUsage | None = None
    reason: str | None = None
    detail: str | None = None
    error: str | None = None
    error_code: str | None = None
    termination_reason: str | None = None  # newer servers: why a turn ended that is called completed
    stop_reason: str | None = None  # newer servers: why the last model call of a turn ended


class WireTurnEvent(WireEvent):
    """`turn.*`, `session.idled` and `reason.completed`."""

    data: WireTurnData | None = None


class WireTextData(WireData):
    """Data of a message or of reasoning in the making."""

    message_id: str | None = None  # newer servers
    delta: str = ""
    accumulated: str | None = None
    thinking: str | None = None


class WireTextEvent(WireEvent):
    """`output.message.*` and `reason.thinking.*`, but for a whole message."""

    data: WireTextData | None = None


class WireMessageData(WireData):
    """Data of a whole message, with the tokens of the one model call that made it."""

    message: msgspec.Raw = msgspec.Raw()
    usage: WireUsage | None = None


class WireMessageEvent(WireEvent):
    """`input.message` and `output.message.completed`."""

    data: WireMessageData | None = None


class WireConversationData(WireData):
    """Data of a message that an agent sent on purpose."""

    message_id: str | None = None
    text: str | None = None


class WireConversationEvent(WireEvent):
    """`conversation.message`, of newer servers."""

    data: WireConversationData | None = None


class WireWholeData(msgspec.Struct):
    """An event whose data are needed as text."""

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
        arguments: Arguments of the tool. Those that are too large to be shown are cut by the server, and are text.
    """

    code: str | None = None
    tool: str | None = None
    arguments: Any = None


class WireApproval(msgspec.Struct):
    """The call that a server makes up to ask for an approval."""

    arguments: WireHeldCall


class WireOption(msgspec.Struct):
    """A reply that a question offers."""

    label: str


class WireQuestion(msgspec.Struct):
    """A question of `ask_user`.

    Attributes:
        kind: `choice`, `text` or `secret`; without one a choice.
        secret_name: Name under which the reply to a question of the kind `secret` is stored.
    """

    id: str
    question: str = ""
    kind: str | None = None
    options: list[WireOption] | None = None
    multi_select: bool = False
    allow_other: bool = False
    secret_name: str | None = None


class WireQuestions(msgspec.Struct):
    """Arguments of `ask_user`."""

    questions: list[msgspec.Raw]


class WireAskUser(msgspec.Struct):
    """A call of `ask_user`; newer servers only."""

    arguments: WireQuestions


class WireReference(msgspec.Struct):
    """Our own note of what the answer to an action is built from.

    Attributes:
        question: The question, where the action is one of those of a call of `ask_user`.
    """

    call_id: str
    question: WireQuestion | None = None


class WireTurnMark(msgspec.Struct, omit_defaults=True):
    """Our own note of a turn, in the cursor of its stream.

    Attributes:
        digest: Digest of the message that starts it, to find it by before it has an id.
        message_id: Id of the message, once it is stored.
        delivery: The server's word for what became of the message; see `WireMessage`.
        call_ids: The calls that are answered, in place of a message.
        turn_id: The turn, once an event proved it.
    """

    digest: str | None = None
    message_id: str | None = None
    delivery: str | None = None
    call_ids: list[str] | None = None
    turn_id: str | None = None


class WireCursor(msgspec.Struct, omit_defaults=True):
    """Our own note in the cursor of a stream.

    Attributes:
        since_id: The event that it continues after; None from the start.
        turn: The turn that is followed; None for all events of the session.
    """

    since_id: str | None
    turn: WireTurnMark | None = None


class WireDisconnecting(msgspec.Struct):
    """Data of the frame that announces the end of a connection."""

    retry_ms: int | None = None
