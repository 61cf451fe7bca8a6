"""Temporary: lets providers that still read by two paths build the plain records. Goes with the last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from polysession._json import decode_json

UsualTime = datetime


class JsonText:
    def __init__(self, text: bytes) -> None:
        self.text = text


class LazyRecord:
    def __init__(self, make: Callable[[Any], Any], fields: Any) -> None:
        self.make, self.fields = make, fields


def lazily(document: JsonText, *path: str | int) -> Any:
    value = decode_json(document.text)
    for key in path:
        value = value[key]
    return value


def undecoded(text: bytes) -> Any:
    return text


def for_record(raw: Any, *path: str | int) -> Any:
    value = decode_json(raw) if isinstance(raw, bytes) else raw
    for key in path:
        value = value[key]
    return value


def loaded(value: Any) -> Any:
    if isinstance(value, LazyRecord):
        return value.make(value.fields)
    return decode_json(value) if isinstance(value, bytes) else value


def trusted(record_type: Any) -> Any:
    return lambda **values: _built(record_type, values)


def trusted_event(event_type: Any) -> Any:
    return trusted(event_type)


def filled(record_type: Any, given: Iterable[str], **constants: Any) -> Any:
    return lambda values: _built(record_type, {**constants, **values})


def filled_event(event_type: Any) -> Any:
    return lambda values: _built(event_type, values)


def _built(record_type: Any, values: Mapping[str, Any]) -> Any:
    return record_type(**{k: v.make(v.fields) if isinstance(v, LazyRecord) else v for k, v in values.items()})
