"""Messages and tool results of the Everruns emulator: requests, and the stored JSON.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, CreateMessageRequest and Message (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from polysession_everruns.emulator.ids import ordered_id
from polysession_everruns.emulator.records import timestamp, utc_now
from polysession_everruns.emulator.requests import Shape, read_body, read_values, without_nulls, wrong_type
from polysession_everruns.emulator.validation import invalid

Json = dict[str, Any]

_ROLES = frozenset({"system", "user", "agent", "tool_result"})
_REQUEST: Final[Shape] = {
    "addressed_participant_id": "text?",
    "controls": "object?",
    "external_actor": "object?",
    "message": "object!",
    "metadata": "object?",
    "tags": "texts?",
}
_MESSAGE: Final[Shape] = {"content": "objects!"}
_PARTS: Final[Mapping[str, Shape]] = {
    "text": {"text": "text!"},
    "image": {"base64": "text?", "media_type": "text?", "url": "text?"},
    "image_file": {"filename": "text?", "image_id": "text!"},
}
_CONTROLS: Final[Shape] = {
    "error_disclosure": "text?",
    "hints": "object?",
    "locale": "text?",
    "model_id": "text?",
    "reasoning": "object?",
}
_EXTERNAL_ACTOR: Final[Shape] = {
    "actor_id": "text!",
    "actor_name": "text?",
    "metadata": "object?",
    "source": "text!",
}
_TOOL_RESULTS: Final[Shape] = {"tool_results": "objects!"}
_TOOL_RESULT: Final[Shape] = {"error": "text?", "tool_call_id": "text!"}


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that a client sent.

    Attributes:
        message: The JSON of the message as it is stored.
        tags: Labels of its event.
        addressed_participant_id: Id of the participant that should answer; None for the session's agent.
    """

    message: Json
    tags: Sequence[str]
    addressed_participant_id: str | None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a client-side tool.

    Attributes:
        call_id: Id of the call.
        result: Any JSON value.
        error: The error message; None for a success.
    """

    call_id: str
    result: Any
    error: str | None


def new_message(role: str, content: Sequence[Json], **extra: Any) -> Json:
    """Build a message with a new id. Extra fields that are None are left out."""
    message = {
        "id": ordered_id("message_"),
        "role": role,
        "content": list(content),
        "created_at": timestamp(utc_now()),
    }
    return message | {name: value for name, value in extra.items() if value is not None}


def text_part(text: str) -> Json:
    """Build a text part of a message."""
    return {"type": "text", "text": text}


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message."""
    return "\n".join(part["text"] for part in message["content"] if part["type"] == "text")


def read_message(content: bytes) -> NewMessage:
    """Read the message in a request body.

    Raises:
        Refusal: The body is not JSON, or the role is not `user` (400). A value has the wrong type (422).
    """
    body = read_body(content, _REQUEST)
    sent = body["message"]
    parts = read_values(sent, _MESSAGE)["content"]
    _check_role(sent.get("role", "user"))
    message = new_message(
        "user",
        [_read_part(part) for part in parts],
        controls=_read_optional(body.get("controls"), _CONTROLS),
        metadata=body.get("metadata"),
        external_actor=_read_optional(body.get("external_actor"), _EXTERNAL_ACTOR),
    )
    return NewMessage(message, body.get("tags") or (), body.get("addressed_participant_id"))


def read_tool_results(content: bytes) -> list[ToolResult]:
    """Read the results of client-side tools in a request body.

    Raises:
        Refusal: The body is not JSON, or has no results (400). A value has the wrong type (422).
    """
    sent = read_body(content, _TOOL_RESULTS)["tool_results"]
    if not sent:
        raise invalid("tool_results must not be empty")
    return [_read_tool_result(result) for result in sent]


def _check_role(role: object) -> None:
    if not isinstance(role, str) or role not in _ROLES:
        raise wrong_type(f"message.role: unknown variant {role!r}")
    if role != "user":
        raise invalid(f"Only user messages can be created via the API, got role '{role}'")


def _read_part(part: Mapping[str, Any]) -> Json:
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise wrong_type(f"message.content: unknown variant {kind!r}")
    return {"type": kind, **without_nulls(read_values(part, _PARTS[kind]))}


def _read_optional(values: Mapping[str, Any] | None, shape: Shape) -> Json | None:
    return None if values is None else without_nulls(read_values(values, shape))


def _read_tool_result(sent: Mapping[str, Any]) -> ToolResult:
    values = read_values(sent, _TOOL_RESULT)
    return ToolResult(values["tool_call_id"], sent.get("result"), values.get("error"))
