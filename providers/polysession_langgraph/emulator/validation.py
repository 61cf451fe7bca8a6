"""Checks of request bodies, with the messages of the server's schema validation.

Backend: observed on langgraph-api 0.16.7 (2026-11-30)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from polysession.emulation import ApiRequest, Refusal

_TYPES: Final[Mapping[str, type]] = {"object": dict, "array": list, "string": str, "integer": int}
_SHOWN: Final = 2
"""Number of accepted values that an error message lists."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for one member of a body.

    Attributes:
        kind: JSON type.
        least: Minimum of a number.
        most: Maximum of a number.
        among: The accepted values; for an array, those of its items.
        required: Whether the member is required.
    """

    kind: str
    least: int | None = None
    most: int | None = None
    among: tuple[str, ...] = ()
    required: bool = False


_METADATA: Final = Rule("object")
_PAGE: Final = {"limit": Rule("integer", 1, 1000), "offset": Rule("integer", 0)}
_IF_EXISTS: Final = Rule("string", among=("raise", "do_nothing"))
_FIELDS: Final = (
    *("thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "config", "status", "values"),
    "interrupts",
)
_SORTED_BY: Final = ("thread_id", "status", "created_at", "updated_at", "state_updated_at")
_STATUSES: Final = ("idle", "busy", "interrupted", "error")
NEW_THREAD: Final = {"metadata": _METADATA, "if_exists": _IF_EXISTS}
THREAD_CHANGES: Final = {"metadata": _METADATA}
THREAD_SEARCH: Final = {
    "metadata": _METADATA,
    "status": Rule("string", among=_STATUSES),
    "sort_by": Rule("string", among=_SORTED_BY),
    "select": Rule("array", among=_FIELDS),
    **_PAGE,
}
NEW_ASSISTANT: Final = {"graph_id": Rule("string", required=True), "metadata": _METADATA, "if_exists": _IF_EXISTS}
ASSISTANT_CHANGES: Final = {
    **dict.fromkeys(("graph_id", "name", "description"), Rule("string")),
    **dict.fromkeys(("config", "context", "metadata"), Rule("object")),
}
ASSISTANT_SEARCH: Final = {"metadata": _METADATA, **_PAGE}


def checked_body(request: ApiRequest, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Return the JSON object in a request.

    Raises:
        Refusal: The body is not a JSON object, or violates a rule.
    """
    try:
        body = request.json()
    except ValueError as error:
        raise Refusal(422, "Invalid JSON in request body") from error
    if not isinstance(body, dict):
        raise _refusal(f'{json.dumps(body)} is not of type "object"', "type", "", "", body)
    for name, rule in rules.items():
        if name in body:
            _check(name, body[name], rule)
        elif rule.required:
            raise _refusal(f'"{name}" is a required property', "required", "", "", body)
    return body


def _check(name: str, value: Any, rule: Rule) -> None:
    schema, instance = f'["properties"]["{name}"]', f'["{name}"]'
    shown = json.dumps(value)
    is_of_kind = isinstance(value, _TYPES[rule.kind]) and not isinstance(value, bool)
    if not is_of_kind:
        raise _refusal(f'{shown} is not of type "{rule.kind}"', "type", schema, instance, value)
    if rule.least is not None and value < rule.least:
        raise _refusal(f"{shown} is less than the minimum of {rule.least}", "minimum", schema, instance, value)
    if rule.most is not None and value > rule.most:
        raise _refusal(f"{shown} is greater than the maximum of {rule.most}", "maximum", schema, instance, value)
    if rule.among and isinstance(value, str):
        _check_choice(value, rule.among, schema, instance)
    elif rule.among:
        for index, item in enumerate(value):
            _check_choice(item, rule.among, f'{schema}["items"]', f"{instance}[{index}]")


def _check_choice(value: Any, among: tuple[str, ...], schema: str, instance: str) -> None:
    if value not in among:
        known, more = ", ".join(map(json.dumps, among[:_SHOWN])), len(among) - _SHOWN
        what = f"{json.dumps(value)} is not one of {known} or {more} other candidates"
        raise _refusal(what, "enum", schema, instance, value)


def _refusal(what: str, rule: str, schema: str, instance: str, value: Any) -> Refusal:
    return Refusal(
        422,
        f'{what}\n\nFailed validating "{rule}" in schema{schema}\n\nOn instance{instance}:\n    {json.dumps(value)}',
    )


def check_uuid(text: str, what: str = "thread") -> str:
    """Return an id in its canonical spelling.

    Raises:
        Refusal: It is not a UUID.
    """
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError):
        raise Refusal(422, f"Invalid {what} ID: must be a UUID") from None
