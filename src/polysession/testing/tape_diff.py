"""Comparison of requests: their identity, and a readable difference from the most similar request on a tape."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from polysession.testing.tape_file import TapedRequest, unpacked

_CONTEXT_LINES: Final = 3
Identity: TypeAlias = tuple[object, ...]


def identity(request: TapedRequest, match_headers: Iterable[str] = ()) -> Identity:
    """Return the key by which requests match: method, path, query, body, and the headers with these names."""
    path, query = _target(request)
    body = json.dumps(_value(request), sort_keys=True)
    return (request.method, path, *query, body, *(request.headers.get(name) for name in match_headers))


def described(request: TapedRequest) -> str:
    """Return the request in one line."""
    return f"{request.method} {request.target}"


def difference(
    sent: TapedRequest, recorded: Sequence[TapedRequest], played: Collection[int], match_headers: Collection[str] = ()
) -> str:
    """Describe line by line how a request differs from the most similar recorded request.

    Args:
        sent: The request.
        recorded: All requests of the tape.
        played: Positions of the recorded requests that were already answered.
        match_headers: Names of the headers to compare.
    """
    if not recorded:
        return f"{described(sent)}\nThe tape has no requests."
    own = identity(sent, match_headers)
    times = sum(position in played and identity(each, match_headers) == own for position, each in enumerate(recorded))
    if times:
        return f"{described(sent)}\nThe tape has this request {times} times, and the program already made all of them."
    lines = _lines(sent, match_headers)
    candidates = [position for position in range(len(recorded)) if position not in played] or range(len(recorded))
    nearest = max(candidates, key=lambda position: _likeness(lines, _lines(recorded[position], match_headers)))
    found = difflib.unified_diff(
        _lines(recorded[nearest], match_headers),
        lines,
        f"recorded: request {nearest + 1} of {len(recorded)}",
        "sent",
        n=_CONTEXT_LINES,
        lineterm="",
    )
    shown = ["..." if line.startswith("@@") else line for line in found]
    return "\n".join([lines[0], *shown[:2], *shown[3:]])


def _likeness(sent: list[str], recorded: list[str]) -> tuple[bool, bool, float]:
    """Return a sort key: the same path counts first, then the same method, then the number of equal lines."""
    return (
        sent[0].partition(" ")[2] == recorded[0].partition(" ")[2],
        sent[0].partition(" ")[0] == recorded[0].partition(" ")[0],
        difflib.SequenceMatcher(None, sent, recorded, autojunk=False).ratio(),
    )


def _lines(request: TapedRequest, match_headers: Iterable[str]) -> list[str]:
    """Return a request in readable lines: method and path, each parameter, each header, and the body."""
    path, query = _target(request)
    value = _value(request)
    text = value if isinstance(value, str) else json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return [
        f"{request.method} {path}",
        *(f"  ?{name}={parameter}" for name, parameter in query),
        *(f"{name}: {request.headers.get(name, '(not sent)')}" for name in sorted(match_headers)),
        *(text.splitlines() if request.body is not None else ()),
    ]


def _target(request: TapedRequest) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(request.target)
    return parts.path, sorted(parse_qsl(parts.query, keep_blank_values=True))


def _value(request: TapedRequest) -> object:
    """Return the body as a JSON value if it is JSON, otherwise as text."""
    data = unpacked(request.body)
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", errors="backslashreplace")
