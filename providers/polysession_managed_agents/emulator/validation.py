"""Validates the fields of queries and bodies.

The emulators refuse a field that the backend does not document, so that tests find a client that sends one.
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
    """Build a refusal with 400.

    Args:
        message: The error message.
        param: Name of the invalid field; None if no single field is invalid.
        details: Additional fields of the error, such as a code.
    """
    return Refusal(400, message, param=param, **details)


def conflict(message: str) -> Refusal:
    """Build a refusal with 409, because of the state of the resource."""
    return Refusal(409, message)


def not_found(kind: str, record_id: str) -> Refusal:
    """Build a refusal with 404."""
    return Refusal(404, f"{kind} {record_id!r} was not found.")


def only(values: Json, accepted: Collection[str]) -> None:
    """Refuse fields that are not accepted."""
    for name in values:
        if name not in accepted:
            raise invalid(f"Field {name!r} is not accepted here.", name)


def take(values: Json, name: str, kind: type[T]) -> T | None:
    """Return the value of an optional field; None if it is absent or null."""
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise invalid(f"Field {name!r} must be {_KINDS[kind]}.", name)
    return value


def need(values: Json, name: str, kind: type[T]) -> T:
    """Return the value of a required field. Null and empty values count as missing."""
    value = take(values, name, kind)
    if not value:
        raise invalid(f"Missing required field: {name}", name)
    return value


def take_all(values: Json, name: str, kind: type[T]) -> list[T]:
    """Return the items of an optional array; none if it is absent or null."""
    items: list[Any] = take(values, name, list) or []
    if not all(isinstance(item, kind) for item in items):
        raise invalid(f"Each item of {name!r} must be {_KINDS[kind]}.", name)
    return items


def take_typed_objects(values: Json, name: str) -> list[Json]:
    """Return the items of an optional array of objects. Each must have a `type`."""
    items = take_all(values, name, dict)
    for item in items:
        need(item, "type", str)
    return items


def take_moment(values: Json, name: str) -> datetime | None:
    """Return an RFC 3339 time with any offset; None if it is absent."""
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
    """Return the metadata of a new resource."""
    given: Json = take(values, "metadata", dict) or {}
    if None in given.values():
        raise invalid("Metadata values must be strings.", "metadata")
    return patched_metadata({}, values)


def patched_metadata(current: dict[str, str], values: Json) -> dict[str, str]:
    """Return the merged metadata: a string sets a key, null removes it.

    The limits apply to the result.
    """
    patch: Json = take(values, "metadata", dict) or {}
    merged: Json = {key: value for key, value in {**current, **patch}.items() if value is not None}
    if len(merged) > METADATA_KEYS:
        raise invalid(f"Metadata may have at most {METADATA_KEYS} keys.", "metadata")
    for key, value in merged.items():
        if not isinstance(value, str):
            raise invalid("Metadata values must be strings.", "metadata")
        if len(key) > METADATA_KEY_CHARS or len(value) > METADATA_VALUE_CHARS:
            limits = f"{METADATA_KEY_CHARS} characters, and values at most {METADATA_VALUE_CHARS}"
            raise invalid(f"Metadata keys may have at most {limits}.", "metadata")
    return merged
