"""Validation of fields.

A field that the documentation does not have is refused, so that a client that relies on it learns so here.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar

from polysession.emulation import Refusal

Json = dict[str, Any]
T = TypeVar("T")

METADATA_KEYS = 16
METADATA_KEY_CHARS = 64
METADATA_VALUE_CHARS = 512

_KINDS = {str: "a string", int: "an integer", bool: "a boolean", list: "an array", dict: "an object"}


def invalid(message: str, param: str | None = None, **details: Any) -> Refusal:
    """A refusal of the request as wrong; `param` names the field, None if no single one is wrong.

    `details` is what else the error shows, such as a code.
    """
    return Refusal(400, message, param=param, **details)


def conflict(message: str) -> Refusal:
    """A refusal because of the state that the resource is in."""
    return Refusal(409, message)


def not_found(kind: str, record_id: str) -> Refusal:
    """A refusal because there is no such resource."""
    return Refusal(404, f"{kind} {record_id!r} was not found.")


def only(values: Json, accepted: Collection[str]) -> None:
    """Refuse a field that is not accepted."""
    for name in values:
        if name not in accepted:
            raise invalid(f"Field {name!r} is not accepted here.", name)


def take(values: Json, name: str, kind: type[T]) -> T | None:
    """The value of an optional field; None if it is absent or null."""
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise invalid(f"Field {name!r} must be {_KINDS[kind]}.", name)
    return value


def need(values: Json, name: str, kind: type[T]) -> T:
    """The value of a required field. Null and empty values count as missing."""
    value = take(values, name, kind)
    if not value:
        raise invalid(f"Missing required field: {name}", name)
    return value


def take_all(values: Json, name: str, kind: type[T]) -> list[T]:
    """The items of an optional array; empty if it is absent or null."""
    items: list[Any] = take(values, name, list) or []
    if not all(isinstance(item, kind) for item in items):
        raise invalid(f"Each item of {name!r} must be {_KINDS[kind]}.", name)
    return items


def take_typed_objects(values: Json, name: str) -> list[Json]:
    """The items of an optional array of objects that each say their `type`."""
    items = take_all(values, name, dict)
    for item in items:
        need(item, "type", str)
    return items


def take_moment(values: Json, name: str) -> datetime | None:
    """An RFC 3339 time with any offset; None if it is absent."""
    text = take(values, name, str)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise invalid(f"Field {name!r} must be an RFC 3339 time.", name)
    return moment


def new_metadata(values: Json) -> dict[str, str]:
    """The metadata of a new resource."""
    given: Json = take(values, "metadata", dict) or {}
    if None in given.values():
        raise invalid("Metadata values must be strings.", "metadata")
    return patched_metadata({}, values)


def patched_metadata(current: dict[str, str], values: Json) -> dict[str, str]:
    """Metadata after a patch: a string sets a key, null removes it. The limits hold for the result."""
    patch: Json = take(values, "metadata", dict) or {}
    merged: Json = {key: value for key, value in {**current, **patch}.items() if value is not None}
    if len(merged) > METADATA_KEYS:
        raise invalid(f"Metadata may hold at most {METADATA_KEYS} keys.", "metadata")
    for key, value in merged.items():
        if not isinstance(value, str):
            raise invalid("Metadata values must be strings.", "metadata")
        if len(key) > METADATA_KEY_CHARS or len(value) > METADATA_VALUE_CHARS:
            limits = f"{METADATA_KEY_CHARS} and values {METADATA_VALUE_CHARS}"
            raise invalid(f"Metadata keys may have {limits} characters.", "metadata")
    return merged
