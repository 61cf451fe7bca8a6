"""Decodes a backend's JSON into wire structs; no other module does this."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from pydantic import ValidationError

from polysession._json import JSON_FAILURES, replace_lone_surrogates
from polysession.errors import MalformedResponse, UsageError

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")

_UNREADABLE: Final = object()


def decoder(shape: type[T]) -> Callable[[bytes], tuple[T, tuple[str, ...]]]:
    """Return a function that decodes JSON text into a struct, and names the parts that could not be read.

    Text that fits the shape is decoded in one step. Otherwise the object is read member by member, so that only the
    smallest unreadable parts are left out.

    Args:
        shape: The struct. Make a field required if the result is of no use without it.

    Returns:
        A function from JSON text to the struct and its problems: path and expected type of each part that is left out.
        It raises `MalformedResponse` for text that is not a JSON object or lacks a required field.
    """
    decode = _decode(shape)

    def read(content: bytes) -> tuple[T, tuple[str, ...]]:
        try:
            return decode(content), ()
        except JSON_FAILURES:
            pass  # outside the handler: tracebacks must not hold the body
        problems: list[str] = []
        return _read_struct(shape, replace_lone_surrogates(content), "", problems), tuple(problems)

    return read


def record_reader(shape: type[T], build: Callable[[T, bytes, tuple[str, ...]], R]) -> Callable[[bytes], R]:
    """Return a function that reads JSON text into a record.

    Args:
        shape: The struct that the text is decoded into.
        build: Builds the record from the struct, the text and the problems.

    Returns:
        A function from JSON text to the record. It raises `MalformedResponse` in the same cases as the function that
        `decoder` returns, and if no record can hold the object.
    """
    decode = decoder(shape)

    def read(content: bytes) -> R:
        wire, problems = decode(content)
        try:
            return build(wire, content, problems)
        except ValidationError:
            pass  # outside the handlers: tracebacks must not hold the body
        problems += remove_unusable(wire)
        try:
            return build(wire, content, problems)
        except ValidationError as error:
            fields = (str(item["loc"][0]) for item in error.errors(include_input=False, include_url=False))
            refused = ", ".join(dict.fromkeys(fields))
        raise MalformedResponse(f"it has a value that the record cannot hold: {refused}")

    return read


def encode_cursor(position: msgspec.Struct) -> str:
    """Encode a position in a stream as a cursor: opaque base64url text."""
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(shape: type[T], cursor: str, backend: str) -> T:
    """Decode a cursor into the position in a stream.

    Args:
        shape: The struct that was passed to `encode_cursor`.
        cursor: The cursor, as a caller gave it.
        backend: Name of the backend, for the error.

    Raises:
        UsageError: It is not a cursor of this backend.
    """
    try:
        content = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(content, type=shape)
    except (ValueError, msgspec.MsgspecError):
        pass  # outside the handler: the cause would add no information
    raise UsageError(f"{cursor!r} is not a stream cursor of {backend}; pass the cursor of a stream or turn unchanged")


def remove_unusable(wire: msgspec.Struct, path: str = "") -> tuple[str, ...]:
    """Set each value to None that can be decoded but not held by a record, and name these values.

    These are times outside the years 1 to 9999 in UTC, and decimal numbers that are not finite.
    """
    problems: list[str] = []
    for field in msgspec.structs.fields(wire):
        value, name = getattr(wire, field.name), f"{path}{field.encode_name}"
        if isinstance(value, msgspec.Struct):
            problems += remove_unusable(value, f"{name}.")
        elif isinstance(value, datetime) and not _is_in_utc_range(value):
            problems.append(f"{name}: not a time within the years 1 to 9999 in UTC")
            setattr(wire, field.name, None)
        elif isinstance(value, Decimal) and not value.is_finite():
            problems.append(f"{name}: not a finite number")
            setattr(wire, field.name, None)
    return tuple(problems)


def _is_in_utc_range(moment: datetime) -> bool:
    try:
        moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return False
    return True


@cache
def _decode(kind: Any) -> Callable[[Any], Any]:
    """Return a lax decoder: it accepts every spelling of a number, also as text, and of a time."""
    return msgspec.json.Decoder(kind, strict=False).decode


def _read_struct(shape: type[T], content: Any, path: str, problems: list[str]) -> T:
    members = _read_or_none(dict[str, msgspec.Raw], content)
    if members is None:
        raise MalformedResponse(_not_an_object(content, path))
    fields = msgspec.structs.fields(shape)
    values: dict[str, Any] = {}
    found: list[str] = []
    for field in fields:
        if field.encode_name in members:
            value = _salvage(field.type, members[field.encode_name], f"{path}{field.encode_name}", found)
            if value is not _UNREADABLE:
                values[field.name] = value
    missing = [field.encode_name for field in fields if field.required and field.name not in values]
    if missing:
        raise MalformedResponse(f"it has no valid {' and '.join(f'{path}{name}' for name in missing)}")
    problems += found
    return shape(**values)


def _salvage(kind: Any, raw: Any, path: str, problems: list[str]) -> Any:
    """Return the value of one member without its unreadable parts; `_UNREADABLE` if nothing is left."""
    try:
        return _decode(kind)(raw)
    except JSON_FAILURES:
        pass
    for branch in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
        value = _salvage_parts(branch, raw, path, problems)
        if value is not _UNREADABLE:
            return value
    problems.append(f"{path}: not {_describe(kind)}")
    return _UNREADABLE


def _salvage_parts(branch: Any, raw: Any, path: str, problems: list[str]) -> Any:
    """The readable parts of a struct, a list or a dictionary."""
    if isinstance(branch, type) and issubclass(branch, msgspec.Struct):
        try:
            return _read_struct(branch, raw, f"{path}.", problems)
        except MalformedResponse:
            return _UNREADABLE
    if get_origin(branch) is list and (items := _read_or_none(list[msgspec.Raw], raw)) is not None:
        (item_kind,) = get_args(branch)
        read = [_salvage(item_kind, item, f"{path}[{index}]", problems) for index, item in enumerate(items)]
        return [value for value in read if value is not _UNREADABLE]
    if get_origin(branch) is dict and (members := _read_or_none(dict[str, msgspec.Raw], raw)) is not None:
        value_kind = get_args(branch)[1]
        pairs = {key: _salvage(value_kind, item, f"{path}.{key}", problems) for key, item in members.items()}
        return {key: value for key, value in pairs.items() if value is not _UNREADABLE}
    return _UNREADABLE


def _read_or_none(kind: Any, raw: Any) -> Any:
    try:
        return _decode(kind)(raw)
    except JSON_FAILURES:
        return None


def _describe(kind: Any) -> str:
    """The expected type in JSON's words."""
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_describe(branch) for branch in get_args(kind) if branch is not type(None))
    if get_origin(kind) is Literal:
        return " or ".join(repr(value) for value in get_args(kind))
    outer = get_origin(kind) or kind
    if isinstance(outer, type) and issubclass(outer, msgspec.Struct):
        return "an object"
    return JSON_WORDS.get(outer, getattr(outer, "__name__", str(outer)))


JSON_WORDS: Final[dict[Any, str]] = {
    type(None): "null",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _not_an_object(content: Any, path: str) -> str:
    where = path.rstrip(".") or "the body"
    if not bytes(content).strip():
        return f"{where} is empty, not a JSON object"
    return f"{where} is not a JSON object"
