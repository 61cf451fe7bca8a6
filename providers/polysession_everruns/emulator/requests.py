"""Reads what callers send to an emulated Everruns server: JSON bodies, page windows and switches.

Names and types are those of the request objects of the published description; names that it does not have are ignored.

Backend: https://github.com/everruns/sdk, openapi/openapi.json (read 2026-11)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from polysession.emulation import QueryParams, Refusal

Shape = Mapping[str, str]
"""What a body may hold: names, and kinds out of `_KINDS`. A `!` after the kind: must be there; a `?`: may be null."""

_DEFAULT_LIMIT = 20
_LARGEST_LIMIT = 100


def unreadable(status: int, text: str) -> Refusal:
    """A refusal of a request that cannot be parsed.

    The backend does not document the answer: it is the web framework's own, a line of plain text. Status 400 is for
    text that is not JSON or not a number, 422 for JSON of the wrong type.
    """
    return Refusal(status, text, is_plain=True)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for."""

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

# The older generation: an agent is a must, and a session has few fields.
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
    """The values of a JSON body that the shape knows, nulls included.

    Raises:
        Refusal: It is not JSON, not an object, lacks a value, or has one of the wrong type (400 or 422).
    """
    try:
        body = json.loads(content)
    except ValueError as error:
        raise unreadable(400, f"Failed to parse the request body as JSON: {error}") from error
    if not isinstance(body, dict):
        raise wrong_type("the body is not an object")
    return read_values(body, shape)


def read_values(values: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Those values of a JSON object that the shape knows, nulls included.

    Raises:
        Refusal: It lacks a value, or has one of the wrong type (400 or 422).
    """
    for name, kind in shape.items():
        _check_value(values, name, kind)
    return {name: values[name] for name in shape if name in values}


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are given and not null."""
    return {name: value for name, value in values.items() if value is not None}


def _check_value(body: Mapping[str, Any], name: str, kind: str) -> None:
    if name not in body:
        if kind.endswith("!"):
            raise wrong_type(f"missing field `{name}`")
    elif not (body[name] is None and kind.endswith("?")) and not _KINDS[kind.rstrip("!?")](body[name]):
        raise wrong_type(f"{name}: invalid type")


def wrong_type(problem: str) -> Refusal:
    """A refusal of JSON that is not of the expected type."""
    return unreadable(422, f"Failed to deserialize the JSON body into the target type: {problem}")


def read_window(query: QueryParams) -> Window:
    """The page that a query asks for; a limit outside 1 to 100 is brought inside, not refused.

    Raises:
        Refusal: `offset` or `limit` is not a whole number, or negative (400 or 422).
    """
    limit = min(max(read_count(query, "limit", _DEFAULT_LIMIT), 1), _LARGEST_LIMIT)
    return Window(offset=read_count(query, "offset", 0), limit=limit)


def read_switch(query: QueryParams, name: str) -> bool:
    """A switch that is off unless the query says `true`.

    Raises:
        Refusal: It says something other than `true` or `false` (400 or 422).
    """
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise bad_query(name)
    return text == "true"


def read_count(query: QueryParams, name: str, default: int) -> int:
    """A whole number that is not negative.

    Raises:
        Refusal: It is something else (400 or 422).
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()):
        raise bad_query(name)
    return int(text)


def bad_query(name: str) -> Refusal:
    """A value of the query that cannot be read."""
    return unreadable(400, f"Failed to deserialize query string: {name}: invalid value")
