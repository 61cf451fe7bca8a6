"""Reads requests in the Everruns emulator: JSON bodies, pages and query parameters.

Names and types are those of the published OpenAPI document. Unknown names are ignored, as on the server.

Backend: https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from polysession.emulation import QueryParams, Refusal

Shape = Mapping[str, str]
"""The fields of a body, with a kind of `_KINDS` for each name.

`!` after the kind means required, `?` nullable.
"""

_DEFAULT_LIMIT = 20
_LARGEST_LIMIT = 100


def unreadable(status: int, text: str) -> Refusal:
    """Build a refusal of a request that cannot be parsed.

    The backend does not document the response: it is the plain text of the web framework. The status is 400 for text
    that is not JSON or not a number, and 422 for JSON of the wrong type.
    """
    return Refusal(status, text, is_plain=True)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that a request asks for."""

    offset: int
    limit: int


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _is_capabilities(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("ref"), str) for item in value
    )


_KINDS: Final[Mapping[str, Callable[[object], bool]]] = {
    "text": lambda value: isinstance(value, str),
    "texts": _is_list_of(str),
    "flag": lambda value: isinstance(value, bool),
    "count": _is_count,
    "object": lambda value: isinstance(value, dict),
    "objects": _is_list_of(dict),
    "capabilities": _is_capabilities,
    "status": lambda value: value in {"active", "archived"},
}

_BEHAVIOUR: Final[Shape] = {
    "capabilities": "capabilities",
    "initial_files": "objects",
    "mcpServers": "object",
    "network_access": "object?",
    "tags": "texts",
}

SESSION_CREATE: Final[Shape] = {
    **_BEHAVIOUR,
    "agent_id": "text?",
    "agent_identity_id": "text?",
    "agent_name": "text?",
    "harness_id": "text?",
    "harness_name": "text?",
    "hints": "object?",
    "locale": "text?",
    "max_iterations": "count?",
    "model_id": "text?",
    "parallel_tool_calls": "flag?",
    "system_prompt": "text?",
    "title": "text?",
    "tools": "objects",
    "workspace_id": "text?",
}
SESSION_UPDATE: Final[Shape] = {
    "agent_identity_id": "text?",
    "locale": "text?",
    "tags": "texts?",
    "title": "text?",
}
SESSION_FORK: Final[Shape] = {
    "agent_id": "text?",
    "locale": "text?",
    "model_id": "text?",
    "system_prompt": "text?",
    "tags": "texts?",
    "title": "text?",
}

# The legacy generation: the agent is required, and a session has fewer fields.
LEGACY_SESSION_CREATE: Final[Shape] = {
    "agent_id": "text!",
    "capabilities": "capabilities",
    "model_id": "text?",
    "tags": "texts",
    "title": "text?",
}
LEGACY_SESSION_UPDATE: Final[Shape] = {"tags": "texts?", "title": "text?"}

AGENT_CREATE: Final[Shape] = {
    **_BEHAVIOUR,
    "default_model_id": "text?",
    "description": "text?",
    "display_name": "text?",
    "harness_id": "text?",
    "harness_name": "text?",
    "id": "text?",
    "max_iterations": "count?",
    "name": "text!",
    "parallel_tool_calls": "flag?",
    "system_prompt": "text!",
    "tools": "objects",
}
AGENT_UPDATE: Final[Shape] = {
    **{name: f"{kind.rstrip('!?')}?" for name, kind in AGENT_CREATE.items() if name != "id"},
    "status": "status?",
}
HARNESS_CREATE: Final[Shape] = {
    **_BEHAVIOUR,
    "default_model_id": "text?",
    "description": "text?",
    "display_name": "text?",
    "embedder_metadata": "object",
    "name": "text!",
    "parent_harness_id": "text?",
    "system_prompt": "text?",
}


def read_body(content: bytes, shape: Shape) -> dict[str, Any]:
    """Read the fields of a JSON body that the shape has, including nulls.

    Raises:
        Refusal: The body is not JSON (400). It is not an object, or a field is missing or has the wrong type (422).
    """
    try:
        body = json.loads(content)
    except ValueError as error:
        raise unreadable(400, f"Failed to parse the request body as JSON: {error}") from error
    if not isinstance(body, dict):
        raise wrong_type("the body is not an object")
    return read_values(body, shape)


def read_values(values: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Read the fields of a JSON object that the shape has, including nulls.

    Raises:
        Refusal: A field is missing or has the wrong type (422).
    """
    for name, kind in shape.items():
        _check_value(values, name, kind)
    return {name: values[name] for name in shape if name in values}


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not null."""
    return {name: value for name, value in values.items() if value is not None}


def _check_value(body: Mapping[str, Any], name: str, kind: str) -> None:
    if name not in body:
        if kind.endswith("!"):
            raise wrong_type(f"missing field `{name}`")
    elif not (body[name] is None and kind.endswith("?")) and not _KINDS[kind.rstrip("!?")](body[name]):
        raise wrong_type(f"{name}: invalid type")


def wrong_type(problem: str) -> Refusal:
    """Build a refusal of JSON of the wrong type (422)."""
    return unreadable(422, f"Failed to deserialize the JSON body into the target type: {problem}")


def read_window(query: QueryParams) -> Window:
    """Read the page that a query asks for. A limit outside 1 to 100 is clamped, not refused.

    Raises:
        Refusal: `offset` or `limit` is not a whole number of 0 or more (400).
    """
    limit = min(max(read_count(query, "limit", _DEFAULT_LIMIT), 1), _LARGEST_LIMIT)
    return Window(offset=read_count(query, "offset", 0), limit=limit)


def read_switch(query: QueryParams, name: str) -> bool:
    """Read a boolean query parameter, False by default.

    Raises:
        Refusal: The value is neither `true` nor `false` (400).
    """
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise bad_query(name)
    return text == "true"


def read_count(query: QueryParams, name: str, default: int) -> int:
    """Read a query parameter that is a whole number of 0 or more.

    Raises:
        Refusal: The value is not such a number (400).
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()):
        raise bad_query(name)
    return int(text)


def bad_query(name: str) -> Refusal:
    """Build a refusal of a query parameter that cannot be read (400)."""
    return unreadable(400, f"Failed to deserialize query string: {name}: invalid value")
