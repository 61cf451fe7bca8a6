"""Secrets and tapes: selects the headers to store, and searches everything for secrets before it is stored."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from polysession._core.exchange import spellings
from polysession.testing.tape_diff import described
from polysession.testing.tape_file import Exchange, TapeFile, unpacked

REQUEST_HEADERS: Final = frozenset({"accept", "content-type", "last-event-id"})
RESPONSE_HEADERS: Final = frozenset(
    {
        "cache-control",
        "content-type",
        "deprecation",
        "link",
        "location",
        "request-id",
        "retry-after",
        "sunset",
        "x-request-id",
    }
)
REDACTED: Final = "REDACTED"

_CREDENTIAL: Final = re.compile(r"auth|cookie|credential|password|secret|signature|token|(^|-)key($|-)")
_ISSUED: Final = re.compile(rb'("(?:access|id|refresh)_token"\s*:\s*")[^"\\]+')
_SCHEME: Final = re.compile(r"[A-Za-z]+ (?=\S)")
_HARMLESS: Final = frozenset({"idempotency-key"})
_SHORTEST: Final = 4


def kept_headers(headers: Mapping[str, str], allowed: Collection[str]) -> dict[str, str]:
    """Return the allowed headers with names in lower case. For a credential, only its scheme is kept."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {
        name: _without_credential(value) if _CREDENTIAL.search(name) else value
        for name, value in sorted(lower.items())
        if name in allowed
    }


def credentials_in(headers: Mapping[str, str]) -> set[str]:
    """Return the credentials in headers, without their schemes."""
    found = {
        _SCHEME.sub("", value, count=1)
        for name, value in headers.items()
        if _CREDENTIAL.search(name.lower()) and name.lower() not in _HARMLESS
    }
    return {value for value in found if len(value) >= _SHORTEST}


def leaks(file: TapeFile, secrets: Collection[str]) -> Iterator[str]:
    """Describe where a tape contains a secret in any of its spellings, without repeating the secret."""
    encoded = [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in secrets]
    patterns = spellings([*secrets, *encoded])
    for place, text in _texts(file):
        if any(pattern.search(text) for pattern in patterns):
            yield place


def _texts(file: TapeFile) -> Iterator[tuple[str, str]]:
    """Yield every text on a tape, with a description of its position."""
    yield "the first line", file.header.model_dump_json()
    streams = file.streams()
    for exchange in file.exchanges:
        request = described(exchange.request)
        yield "the address of a request", request
        yield f"the headers of {request}", _joined(exchange.request.headers)
        yield f"the body of {request}", _text(unpacked(exchange.request.body))
        yield from _response_texts(exchange, request)
        if exchange.stream is not None:
            yield f"the stream of {request}", _text(b"".join(streams[exchange.stream]))


def _response_texts(exchange: Exchange, request: str) -> Iterator[tuple[str, str]]:
    if exchange.response is not None:
        yield f"the headers of the response to {request}", _joined(exchange.response.headers)
        yield f"the body of the response to {request}", _text(unpacked(exchange.response.body))


def _joined(headers: Mapping[str, str]) -> str:
    return "\n".join(headers.values())


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def _without_credential(value: str) -> str:
    scheme = _SCHEME.match(value)
    return f"{scheme[0]}{REDACTED}" if scheme else REDACTED


def without_tokens(data: bytes) -> bytes:
    """Return JSON without the tokens that a backend issues, for example in exchange for a key."""
    return _ISSUED.sub(rb"\1" + REDACTED.encode(), data)


def replaced(data: bytes, replacements: Mapping[str, str]) -> bytes:
    """Return bytes with these texts replaced, the longest first."""
    for text, other in _longest_first(replacements.items()):
        data = data.replace(text.encode(), other.encode())
    return data


def _longest_first(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)
