"""The request bodies of the AgentScope service, for both generations.

https://docs.agentscope.io/api-reference (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from polysession_agentscope.emulator.shapes import (
    MAPPING,
    TEXT,
    Choice,
    Field,
    Flag,
    Json,
    Listed,
    Object,
    Shape,
    integer,
    number,
)


@dataclass(frozen=True, slots=True)
class Bodies:
    """Shapes of the request bodies of one generation of the service.

    Attributes:
        agent_configs: The parts of an agent's configuration. Each one, read from `{}`, gives its defaults.
        messages_query: Query parameters of the list of messages.
    """

    create_session: Object
    update_session: Object
    create_agent: Object
    update_agent: Object
    credential: Object
    agent_configs: Mapping[str, Object]
    messages_query: Object
    stream_query: ClassVar[Object] = Object({"after": Field(TEXT)})
    models_query: ClassVar[Object] = Object({"provider": Field(TEXT, required=True)})


def _optional(shapes: Mapping[str, Shape]) -> dict[str, Field]:
    return {key: Field(shape, nullable=True) for key, shape in shapes.items()}


def _not_null(shapes: Mapping[str, Shape]) -> dict[str, Field]:
    return {key: Field(shape) for key, shape in shapes.items()}


def _invitation_rule(config: Json) -> str | None:
    described = (config["invite_description"] or "").strip()
    return "invite_description must be non-empty when invitable=True" if config["invitable"] and not described else None


_REQUIRED_TEXT: Final = Field(TEXT, required=True)
_NULLABLE_TEXT: Final = Field(TEXT, nullable=True, default=None)

# Short texts in place of the service's long ones: an emulated agent never uses them.
_COMPRESSION: Final = {
    "compression_prompt": Field(TEXT, default="Summarise the conversation so far."),
    "summary_template": Field(TEXT, default="Summary of the conversation so far: {summary}"),
    "summary_schema": Field(MAPPING, default={"type": "object", "properties": {"summary": {"type": "string"}}}),
}

_LEGACY_AGENT_CONFIGS: Final = {
    "context_config": Object({
        "trigger_ratio": Field(number(gt=0, lt=0.9), default=0.8),
        "reserve_ratio": Field(number(gt=0, lt=0.9), default=0.1),
        **_COMPRESSION,
        "tool_result_limit": Field(integer(), default=3000),
    }),
    "react_config": Object({
        "max_iters": Field(integer(), default=20),
        "stop_on_reject": Field(Flag(), default=False),
    }),
}  # fmt: skip

_AGENT_CONFIGS: Final = {
    "context_config": Object(
        {
            "trigger_ratio": Field(number(gt=0, le=0.9), default=0.8),
            "reserve_ratio": Field(number(gt=0, lt=0.9), default=0.1),
            "context_buffer_ratio": Field(number(ge=0, le=1), default=0.2),
            **_COMPRESSION,
            "tool_result_limit": Field(integer(), default=50000),
            "compression_fallback_to_truncation": Field(Flag(), default=True),
            "compression_tool_enabled": Field(Flag(), default=False),
            "max_image_num": Field(integer(ge=0), default=5),
        }
    ),
    "react_config": Object(
        {
            "max_iters": Field(integer(), default=50),
            "structured_output_grace_iters": Field(integer(gt=0), default=5),
            "stop_on_reject": Field(Flag(), default=False),
            "interruption_message": Field(TEXT, default="I notice the interruption. How can I help you?"),
            "interruption_raise_cancelled_error": Field(Flag(), default=False),
        }
    ),
    "invite_config": Object(
        {"invitable": Field(Flag(), default=False), "invite_description": _NULLABLE_TEXT},
        rule=_invitation_rule,
    ),
}

_CHAT_CONFIG: Final = Object(_not_null(_AGENT_CONFIGS))
_MODEL_CONFIG: Final = Object(
    {
        "type": _REQUIRED_TEXT,
        "credential_id": _REQUIRED_TEXT,
        "model": _REQUIRED_TEXT,
        "parameters": Field(MAPPING, required=True),
    }
)
_CHAT_MODEL_CONFIG: Final = Object({**_MODEL_CONFIG.fields, "model_class": Field(TEXT, default="")})
_KNOWLEDGE_CONFIG: Final = Object(
    {
        "knowledge_base_ids": Field(Listed(TEXT), default=[]),
        "parameters": Field(MAPPING, default={}),
    }
)
_PERMISSION_MODE: Final = Choice(("default", "accept_edits", "explore", "bypass", "dont_ask"))

_LEGACY_CONFIG: Final[Mapping[str, Shape]] = {"name": TEXT, "chat_model_config": _MODEL_CONFIG}
_CONFIG: Final[Mapping[str, Shape]] = {
    "name": TEXT,
    "chat_model_config": _CHAT_MODEL_CONFIG,
    "fallback_chat_model_config": _CHAT_MODEL_CONFIG,
    "tts_model_config": _MODEL_CONFIG,
    "realtime_model_config": _MODEL_CONFIG,
    "knowledge_config": _KNOWLEDGE_CONFIG,
}
_NEW_SESSION: Final = {"agent_id": _REQUIRED_TEXT, "workspace_id": _NULLABLE_TEXT}
_PERMISSION_CHANGE: Final[Mapping[str, Shape]] = {"permission_mode": _PERMISSION_MODE}
_NEW_AGENT: Final = {"name": _REQUIRED_TEXT, "system_prompt": Field(TEXT, default="You're a helpful assistant.")}
_AGENT_CHANGE: Final[Mapping[str, Shape]] = {"name": TEXT, "system_prompt": TEXT}
_CREDENTIAL: Final = Object({"data": Field(MAPPING, required=True)})
_PAGE_SIZE: Final = Field(integer(ge=1, le=200), default=50)

LEGACY: Final = Bodies(
    create_session=Object(_NEW_SESSION | _optional(_LEGACY_CONFIG)),
    update_session=Object(_optional({**_LEGACY_CONFIG, **_PERMISSION_CHANGE})),
    create_agent=Object(_NEW_AGENT | _not_null(_LEGACY_AGENT_CONFIGS)),
    update_agent=Object(_optional({**_AGENT_CHANGE, **_LEGACY_AGENT_CONFIGS})),
    credential=_CREDENTIAL,
    agent_configs=_LEGACY_AGENT_CONFIGS,
    messages_query=Object({"offset": Field(integer(ge=0), default=0), "limit": _PAGE_SIZE}),
)

CURRENT: Final = Bodies(
    create_session=Object(_NEW_SESSION | _optional(_CONFIG)),
    update_session=Object(_optional({**_CONFIG, **_PERMISSION_CHANGE, "cwd": TEXT})),
    create_agent=Object(_NEW_AGENT | {"chat_config": Field(_CHAT_CONFIG)} | _optional(_AGENT_CONFIGS)),
    update_agent=Object(_optional({**_AGENT_CHANGE, "chat_config": _CHAT_CONFIG, **_AGENT_CONFIGS})),
    credential=_CREDENTIAL,
    agent_configs=_AGENT_CONFIGS,
    messages_query=Object({"before": Field(TEXT), "offset": Field(integer()), "limit": _PAGE_SIZE}),
)

OPENAI_CREDENTIAL: Final = Object(
    {
        "type": Field(Choice(("openai_credential",)), required=True),
        "id": Field(TEXT),
        "name": Field(TEXT, default=""),
        "api_key": _REQUIRED_TEXT,
        "organization": _NULLABLE_TEXT,
        "base_url": _NULLABLE_TEXT,
    }
)
"""The `data` of a credential of the only type that the emulator has."""
