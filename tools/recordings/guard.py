"""Finds content of recordings that must not be stored. It does not rely on the redaction."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tools.recordings.allowed import CREDENTIAL_HEADERS, KEYS, OPEN_KEYS, REQUEST_HEADERS, RESPONSE_HEADERS
from tools.recordings.scrubbing import REDACTED, SUSPICIONS, redacted_credential

_SHOWN: Final = 12


def suspicions(text: str) -> Iterator[str]:
    """Yield the forbidden kinds of text that match, each with the first letters only."""
    for name, pattern in SUSPICIONS.items():
        for found in pattern.finditer(text):
            yield f"{name}, {found[0][:_SHOWN]!r}..."


def request_problems(backend: str, headers: Mapping[str, Any], address: str, body: str) -> Iterator[str]:
    """Yield the problems of a request: of its headers, its URL, and its body."""
    yield from header_problems(headers, REQUEST_HEADERS)
    yield from suspicions(address)
    for key, value in parse_qsl(urlsplit(address).query):
        if key.partition("[")[0] not in KEYS[backend] and not value.isdecimal() and value != REDACTED:
            yield f"key {key!r} of the query is not listed and has a text"
    yield from body_problems(backend, body)


def response_problems(backend: str, headers: Mapping[str, Any], body: str) -> Iterator[str]:
    """Yield the problems of a response: of its headers and its body."""
    yield from header_problems(headers, RESPONSE_HEADERS)
    yield from body_problems(backend, body)


def header_problems(headers: Mapping[str, Any], listed: Iterable[str]) -> Iterator[str]:
    """Yield unlisted headers, credentials that are not redacted, and suspicious values."""
    for name, value in headers.items():
        values = value if isinstance(value, list) else [value]
        if name not in listed:
            yield f"header {name!r} is not listed"
        elif name in CREDENTIAL_HEADERS and values != [redacted_credential(values)]:
            yield f"header {name!r} is not redacted"
        for each in values:
            yield from (f"header {name!r} has {found}" for found in suspicions(str(each)))


def body_problems(backend: str, body: str) -> Iterator[str]:
    """Yield the problems of a body: of its keys and texts if it is JSON, otherwise of its text."""
    try:
        value = json.loads(body)
    except ValueError:
        yield from suspicions(body)
    else:
        yield from _value_problems(value, KEYS[backend], ())


def stream_problems(backend: str, data: bytes) -> Iterator[str]:
    """Yield the problems of the events of a stream, independent of its chunks."""
    for line in data.decode("utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        yield from body_problems(backend, value) if name == "data" else suspicions(line)


def _value_problems(value: Any, keys: Iterable[str], path: tuple[str, ...]) -> Iterator[str]:
    place = ".".join(path) or "the body"
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (f"a key of {place} has {found}" for found in suspicions(key))
            is_listed = key in keys or bool(OPEN_KEYS.intersection(path))
            if not is_listed and key not in OPEN_KEYS and any(_texts(item)):
                yield f"key {key!r} of {place} is not listed and has a text"
            yield from _value_problems(item, keys, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _value_problems(item, keys, path)
    elif isinstance(value, str):
        yield from (f"{place} has {found}" for found in suspicions(value))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, at any depth, that are not redacted."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value not in {"", REDACTED}:
        yield value


def leaks(data: bytes, secrets: Iterable[str]) -> list[str]:
    """Return the secrets that a file contains, as plain text or in base64.

    They are found even if chunks divide them.
    """
    plain = data + b"".join(_decoded(data))
    return [secret for secret in secrets if secret.encode() in plain]


def _decoded(data: bytes) -> Iterator[bytes]:
    for line in data.splitlines():
        try:
            yield base64.b64decode(json.loads(line)["base64"])
        except (ValueError, KeyError, TypeError):
            continue
