"""The inputs of a turn: messages, answers to a reply that waits, or none.

https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from polysession.emulation import hex_id
from polysession_agentscope.emulator.events import event, local_stamp
from polysession_agentscope.emulator.shapes import (
    MAPPING,
    TEXT,
    Field,
    Flag,
    Json,
    Listed,
    Literal,
    Object,
    Shape,
    Union,
)

_REQUIRED_TEXT: Final = Field(TEXT, required=True)
_NULLABLE_TEXT: Final = Field(TEXT, nullable=True)
_RULES: Final = Listed(MAPPING)


def _block(kind: str, **fields: Field) -> Object:
    named: dict[str, Field] = {"type": Field(Literal((kind,), repr(kind)), default=kind)}
    times = {"created_at": Field(TEXT), "finished_at": _NULLABLE_TEXT}
    return Object(named | fields | times)


def _blocks(*names: str) -> Shape:
    return Listed(Union({name: _BLOCKS[name] for name in names}))


def _event(kind: str, **fields: Field) -> Object:
    expected = f"<EventType.{kind}: '{kind}'>"
    base = {"id": Field(TEXT), "created_at": Field(TEXT), "metadata": Field(MAPPING)}
    return Object(base | {"type": Field(Literal((kind,), expected), default=kind)} | fields)


def _role_rule(message: Json) -> str | None:
    is_fit = message["role"] != "user" or all(block["type"] in {"text", "data"} for block in message["content"])
    return None if is_fit else "User message can only contain text blocks or data blocks."


_SOURCE: Final = Union(
    {
        name: Object(
            {
                "type": Field(Literal((kind,), repr(kind)), default=kind),
                key: _REQUIRED_TEXT,
                "media_type": _REQUIRED_TEXT,
            }
        )
        for name, kind, key in (("Base64Source", "base64", "data"), ("URLSource", "url", "url"))
    }
)
_TOOL_CALL: Final = _block(
    "tool_call",
    id=_REQUIRED_TEXT,
    name=_REQUIRED_TEXT,
    input=_REQUIRED_TEXT,
    state=Field(TEXT),
    suggested_rules=Field(_RULES),
)
_BLOCKS: Final[dict[str, Shape]] = {
    "TextBlock": _block("text", text=_REQUIRED_TEXT, id=Field(TEXT)),
    "ThinkingBlock": _block("thinking", thinking=_REQUIRED_TEXT, id=Field(TEXT)),
    "HintBlock": _block("hint", hint=_REQUIRED_TEXT, id=Field(TEXT), source=_NULLABLE_TEXT),
    "ToolCallBlock": _TOOL_CALL,
    "DataBlock": _block("data", id=Field(TEXT), source=Field(_SOURCE, required=True), name=_NULLABLE_TEXT),
}
_OUTPUT: Final = Union({"str": TEXT, "list[union[TextBlock,DataBlock]]": _blocks("TextBlock", "DataBlock")})
_TOOL_RESULT: Final = _block(
    "tool_result",
    id=_REQUIRED_TEXT,
    name=_REQUIRED_TEXT,
    output=Field(_OUTPUT, required=True),
    state=Field(TEXT),
    metadata=Field(MAPPING),
)
_BLOCKS["ToolResultBlock"] = _TOOL_RESULT

_MESSAGE: Final = Object(
    {
        "name": _REQUIRED_TEXT,
        "content": Field(_blocks(*_BLOCKS), required=True),
        "role": Field(
            Literal(("user", "assistant", "system"), "'user', 'assistant' or 'system'"),
            required=True,
        ),
        "id": Field(TEXT),
        "metadata": Field(MAPPING),
        "created_at": Field(TEXT),
    },
    rule=_role_rule,
)
_DECISION: Final = Object(
    {
        "confirmed": Field(Flag(), required=True),
        "tool_call": Field(_TOOL_CALL, required=True),
        "rules": Field(_RULES, nullable=True, default=None),
    }
)
_MESSAGE_NAME: Final = "function-after[validate_role_content(), Msg]"
_INPUT: Final = Union(
    {
        _MESSAGE_NAME: _MESSAGE,
        f"list[{_MESSAGE_NAME}]": Listed(_MESSAGE),
        "UserConfirmResultEvent": _event(
            "USER_CONFIRM_RESULT",
            reply_id=_REQUIRED_TEXT,
            confirm_results=Field(Listed(_DECISION), required=True),
        ),
        "ExternalExecutionResultEvent": _event(
            "EXTERNAL_EXECUTION_RESULT",
            reply_id=_REQUIRED_TEXT,
            execution_results=Field(Listed(_TOOL_RESULT), required=True),
        ),
    }
)

CHAT: Final = Object(
    {
        "agent_id": _REQUIRED_TEXT,
        "session_id": _REQUIRED_TEXT,
        "input": Field(_INPUT, required=True, nullable=True),
    }
)
"""The body of `POST /chat/`."""

INTERRUPTION: Final = {"type": "USER_INTERRUPT"}
"""The service's internal input that ends a reply which waits."""

_BLOCK_DEFAULTS: Final[Mapping[str, Json]] = {
    "hint": {"source": None},
    "data": {"name": None},
    "tool_call": {"state": "pending", "suggested_rules": []},
    "tool_result": {"state": "running", "metadata": {}},
}
_MESSAGE_END: Final = {
    "usage": None,
    "finished_at": None,
    "finished_reason": None,
    "structured_output": None,
    "error": None,
}


def complete(sent: Json) -> Json:
    """Return an input with the service's defaults.

    It is a list of messages, or an answer to a reply that waits.
    """
    if isinstance(sent, dict) and "type" in sent:
        return _complete_answer(sent)
    messages = [sent] if isinstance(sent, dict) else sent or []
    return [_complete_message(message) for message in messages]


def is_answer(turn_input: Json) -> bool:
    """Whether a complete input answers a reply that waits."""
    return isinstance(turn_input, dict)


def last_text(messages: Sequence[Json]) -> str:
    """Return the text of the user's last message; empty without such a message."""
    sent = [message for message in messages if message["role"] == "user"]
    return "".join(block["text"] for block in sent[-1]["content"] if block["type"] == "text") if sent else ""


def _complete_answer(sent: Json) -> Json:
    answer: Json = event(sent["type"]) | sent
    if "confirm_results" in answer:
        decisions = answer["confirm_results"]
        return answer | {"confirm_results": [each | {"tool_call": _complete(each["tool_call"])} for each in decisions]}
    return answer | {"execution_results": [_complete_result(result) for result in answer["execution_results"]]}


def _complete_result(result: Json) -> Json:
    output = result["output"]
    return _complete(result) | {"output": output if isinstance(output, str) else [_complete(block) for block in output]}


def _complete_message(message: Json) -> Json:
    added = {"id": hex_id(), "metadata": {}, "created_at": local_stamp()}
    return added | message | {"content": [_complete(block) for block in message["content"]]} | _MESSAGE_END


def _complete(block: Json) -> Json:
    added = {"id": hex_id(), "created_at": local_stamp(), "finished_at": None}
    return added | _BLOCK_DEFAULTS.get(block["type"], {}) | block
