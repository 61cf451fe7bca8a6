"""Messages and pending actions: read from events, and converted into the events to send.

Pure: it does no I/O.

Backend: https://platform.claude.com/docs/en/managed-agents/events-and-streaming,
https://platform.claude.com/docs/en/managed-agents/permission-policies,
https://docs.qoder.com/cloud-agents/api/sessions/events/send and
https://docs.qoder.com/cloud-agents/permission-policies (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgspec
from pydantic import ValidationError

from polysession.provider_api import (
    Answer,
    Block,
    Conflict,
    Deny,
    MalformedResponse,
    MediaBlock,
    Message,
    NotFound,
    PendingAction,
    RawBlock,
    Role,
    TextBlock,
    ToolApproval,
    ToolExecution,
    ToolOutput,
    UsageError,
    check_answer_kind,
    decode_json,
    decoder,
)
from polysession_managed_agents.member import Member
from polysession_managed_agents.wire import (
    WireConfirmation,
    WireEvent,
    WireIdle,
    WireMessage,
    WireStopReason,
    WireToolUse,
)

LAST_EVENTS: Final = frozenset({"session.status_terminated", "session.deleted"})
"""Types of events that end a session. No event follows them."""

ROLES: Final[Mapping[str, Role]] = {
    "user.message": Role.USER,
    "agent.message": Role.ASSISTANT,
    "system.message": Role.SYSTEM,
}
"""The types of events that are messages, each with the role."""

TOOL_USES: Final[Mapping[str, tuple[type[ToolApproval | ToolExecution], str, str]]] = {
    "agent.tool_use": (ToolApproval, "user.tool_confirmation", "tool_use_id"),
    "agent.mcp_tool_use": (ToolApproval, "user.tool_confirmation", "tool_use_id"),
    "agent.custom_tool_use": (ToolExecution, "user.custom_tool_result", "custom_tool_use_id"),
}
"""The types of events that an agent can wait for.

Each has the type of the action, the type of the event that answers it, and the key in the answer that names the event.
"""

_SELF_HOSTED: Final[tuple[type[ToolApproval | ToolExecution], str, str]] = (
    ToolExecution,
    "user.tool_result",
    "tool_use_id",
)
"""The same for an `agent.tool_use` that the caller's self-hosted environment runs."""

ANSWERED_IN: Final[Mapping[str, str]] = {
    answer_type: key for _, answer_type, key in (*TOOL_USES.values(), _SELF_HOSTED)
}
"""The types of events that answer an action, each with the key of the answered event."""

MEDIA_SOURCES: Final[Mapping[str, str]] = {"url": "url", "base64": "data", "file": "file_id"}
"""Types of media sources, each with the key of its value. `MediaBlock` uses the same names."""

Content: TypeAlias = list[dict[str, Any] | str] | str | None

Envelope: TypeAlias = dict[str, Any]
"""The fields that all common events have, without those that have no value."""

_NOT_WAITING: Final = frozenset({"session.status_running", *LAST_EVENTS})

_read_tool_use: Final = decoder(WireToolUse)
_read_head: Final = decoder(WireEvent)
_read_idle: Final = decoder(WireIdle)
_read_confirmation: Final = decoder(WireConfirmation)


def to_message(member: Member, session_id: str, wire: WireMessage, envelope: Envelope) -> Message:
    """Build the message of an event with these common fields."""
    parts = [wire.content] if isinstance(wire.content, str) else wire.content or []
    return Message(
        provider=member.name,
        id=wire.message_id or envelope.get("id") or "",
        session_id=session_id,
        role=ROLES.get(envelope["native_type"], Role.UNKNOWN),
        content=tuple([TextBlock(text=part) if isinstance(part, str) else _to_block(part) for part in parts]),
        created_at=envelope.get("created_at"),
        source=envelope["source"],
        problems=envelope.get("problems", ()),
    )


def _to_block(part: dict[str, Any]) -> Block:
    if _is_text(part):
        return TextBlock(text=part["text"])
    source = part.get("source")
    source = source if isinstance(source, dict) else {}
    name = MEDIA_SOURCES.get(str(source.get("type")))
    if name is None or source.get(name) is None:
        return RawBlock(payload=part)
    media = {"type": part.get("type"), "media_type": source.get("media_type"), "title": part.get("title")}
    try:
        return MediaBlock(**media, **{name: source[name]})
    except ValidationError:
        return RawBlock(payload=part)


def to_action(member: Member, content: bytes) -> PendingAction:
    """Read the action that an event asks for. Its type must be in `TOOL_USES`.

    Raises:
        MalformedResponse: The event is not a JSON object.
    """
    wire, problems = _read_tool_use(content)
    return read_action(member, wire, {"id": wire.id, "native_type": wire.type, "source": content, "problems": problems})


def read_action(member: Member, wire: WireToolUse, envelope: Envelope) -> ToolApproval | ToolExecution:
    """Build the action that an event with these common fields asks for."""
    is_self_hosted = envelope["native_type"] == "agent.tool_use" and wire.evaluated_permission == "allow"
    action_type, answer_type, key = _SELF_HOSTED if is_self_hosted else TOOL_USES[envelope["native_type"]]
    arguments, problems = wire.input or {}, envelope.get("problems", ())
    if isinstance(arguments, str):
        arguments, problems = _parse_arguments(arguments, problems)
    reference = {"type": answer_type, key: envelope.get("id")}
    if member.repeats_thread and wire.session_thread_id is not None:
        reference["session_thread_id"] = wire.session_thread_id
    return action_type(
        id=envelope.get("id") or "",
        name=wire.name or "",
        arguments=arguments,
        reference=msgspec.json.encode(reference).decode(),
        source=envelope["source"],
        problems=problems,
    )


def _parse_arguments(text: str, problems: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        arguments = decode_json(text.encode())
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        return arguments, problems
    return {}, (*problems, "input: not an object")


def text_of(content: Content) -> str:
    """Return the joined text of the text blocks. Other blocks stay in the event's source."""
    parts = [content] if isinstance(content, str) else content or []
    return "".join([part if isinstance(part, str) else part["text"] for part in parts if _is_text(part)])


def _is_text(part: dict[str, Any] | str) -> bool:
    return isinstance(part, str) or (part.get("type") == "text" and isinstance(part.get("text"), str))


def answer_event(member: Member, answer: Answer, action: PendingAction) -> dict[str, Any]:
    """Build the event that answers an action, from the action's reference.

    Raises:
        UsageError: The answer does not fit the kind of action, or the action belongs to another backend.
    """
    check_answer_kind(answer, action)
    try:
        event = decode_json(action.reference.encode())
    except ValueError:
        event = None
    if not isinstance(event, dict) or event.get("type") not in ANSWERED_IN:
        raise UsageError(f"action {action.id!r} does not belong to {member.title}: its reference cannot be read")
    return {**event, **_answer_fields(answer)}


def _answer_fields(answer: Answer) -> dict[str, Any]:
    match answer:
        case ToolOutput(content=content, is_error=is_error):
            output = {"content": [{"type": "text", "text": content}]}
            return output | {"is_error": True} if is_error else output
        case Deny(reason=str(reason)):
            return {"result": "deny", "deny_message": reason}
        case Deny():
            return {"result": "deny"}
        case _:
            return {"result": "allow"}


def message_event(member: Member, blocks: tuple[Block, ...]) -> dict[str, Any]:
    """Build the event that sends these blocks as a message.

    Raises:
        UsageError: A block has a field that the backend does not accept.
    """
    content = [
        _media(member, block) if isinstance(block, MediaBlock) else block.model_dump(include={"type", "text"})
        for block in blocks
    ]
    return {"type": "user.message", "content": content}


def _media(member: Member, block: MediaBlock) -> dict[str, Any]:
    if block.media_type is not None and block.data is None:
        raise UsageError(f"{member.title} accepts media_type={block.media_type!r} only together with data")
    if block.title is not None and block.type == "image":
        raise UsageError(f"{member.title} accepts no title for an image, and this one has title={block.title!r}")
    source: dict[str, Any] = {"media_type": block.media_type}
    for kind, name in MEDIA_SOURCES.items():
        if (value := getattr(block, name)) is not None:  # exactly one is
            source |= {"type": kind, name: value}
    wire = {"type": block.type, "source": _without_none(source), "title": block.title}
    return _without_none(wire)


def _without_none(wire: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if value is not None}


def reason_of(wire: WireIdle) -> str:
    """Return the backend's reason why a session became idle; empty if it gave none."""
    reason = wire.stop_reason
    return (reason.type or "") if isinstance(reason, WireStopReason) else reason or ""


def read_idle(content: bytes) -> WireIdle:
    """Decode the event of a session that became idle.

    Raises:
        MalformedResponse: The event is not a JSON object.
    """
    return _read_idle(content)[0]


def awaited_ids(wire: WireIdle) -> list[str]:
    """Return the ids of the events that the session waits for."""
    reason = wire.stop_reason
    if isinstance(reason, WireStopReason) and reason.type == "requires_action":
        return reason.event_ids or []
    return []


def content_of(event: bytes) -> Any:
    """Return the content of a stored message; None if it has none."""
    value = decode_json(event)
    return value.get("content") if isinstance(value, dict) else None


def digest_of(content: Any) -> str:
    """Return a digest of a message's content, to recognise the message in the history."""
    return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


def head_of(item: bytes) -> WireEvent:
    """Decode the fields that all events have. All are None if the item is not a JSON object."""
    try:
        return _read_head(item)[0]
    except MalformedResponse:
        return WireEvent()


class PendingActions:
    """Finds the pending actions in a session's events, which are read newest first.

    Args:
        member: The backend.

    Attributes:
        newest_id: Id of the newest event; None if no event was read.
        usage: The newest `session.usage`; None if none was read.
    """

    def __init__(self, member: Member) -> None:
        self.member = member
        self.newest_id: str | None = None
        self.usage: bytes | None = None
        self._awaited: list[str] | None = None  # None until it is known
        self._answered: set[str] = set()
        self._found: dict[str, PendingAction] = {}

    @property
    def ids(self) -> list[str]:
        """The ids of all pending actions, in the backend's order."""
        return self._awaited or []

    @property
    def missing(self) -> list[str]:
        """The ids of the pending actions whose events were not read yet."""
        return [event_id for event_id in self.ids if event_id not in self._found]

    @property
    def actions(self) -> dict[str, PendingAction]:
        """The pending actions whose events were read, by id."""
        return {event_id: self._found[event_id] for event_id in self.ids if event_id in self._found}

    def take(self, items: Sequence[bytes]) -> bool:
        """Read the next older events. Returns True if no older events are needed."""
        for item in items:
            head = head_of(item)
            self.newest_id = self.newest_id or head.id
            if head.type == "session.usage":
                self.usage = self.usage or item
            if self._awaited is None:
                self._look_for_state(item, head.type or "")
            elif head.type in TOOL_USES and head.id in self._awaited:
                self._found[head.id] = to_action(self.member, item)
        return self._awaited is not None and not self.missing

    def _look_for_state(self, item: bytes, kind: str) -> None:
        if kind in ANSWERED_IN:
            self._answered.add(answered_id(item))  # newer than the idle event, so the agent has not processed it yet
        elif kind == "session.status_idle":
            awaited = awaited_ids(read_idle(item))
            self._awaited = [event_id for event_id in awaited if event_id not in self._answered]
        elif kind in _NOT_WAITING:
            self._awaited = []


def answered_id(item: bytes) -> str:
    """Return the id of the event to which a stored answer belongs."""
    wire, _ = _read_confirmation(item)
    return wire.tool_use_id or wire.custom_tool_use_id or ""


def answer_events(answers: tuple[Answer, ...], pending: PendingActions) -> list[dict[str, Any]]:
    """Build the events that send these answers.

    Args:
        answers: The caller's answers.
        pending: The pending actions.

    Raises:
        Conflict: There are no pending actions.
        NotFound: One of the actions is not pending.
        UsageError: An answer does not fit the kind of its action.
    """
    if not pending.ids:
        raise Conflict("no pending actions: they were already answered, or the turn ended")
    return [answer_event(pending.member, answer, _action_of(answer, pending)) for answer in answers]


def _action_of(answer: Answer, pending: PendingActions) -> PendingAction:
    """Return the answered action: that of the answer, or for a bare id that of the history."""
    action_id = answer.action_id
    if action_id not in pending.ids:
        raise NotFound(f"action {action_id!r} is not pending; the agent waits for answers to {', '.join(pending.ids)}")
    if not isinstance(answer.action, str) and answer.action.reference:
        return answer.action
    if action_id not in pending.actions:
        raise MalformedResponse(f"the session waits for the event {action_id}, which is not in its history")
    return pending.actions[action_id]
