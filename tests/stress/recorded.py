"""Recordings of real services, as seeds: one answer of each shape, and one event of each type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import yaml

from polysession._core.sse import SseDecoder
from tools.recordings.tapes import read_tape

CASSETTES: Final = Path(__file__).parents[2] / "cassettes"


def answers(provider: str) -> list[Any]:
    """The JSON objects in cassettes."""
    shapes: dict[str, Any] = {}
    for path in sorted((CASSETTES / provider).rglob("*.yaml")):
        for exchange in yaml.load(path.read_text(), yaml.CSafeLoader)["interactions"]:
            body = _json(exchange["response"]["body"].get("string") or "")
            if isinstance(body, dict | list):
                shapes.setdefault(repr(_shape(body)), body)
    return list(shapes.values())


def events(provider: str) -> list[dict[str, Any]]:
    """The events on tapes, and those that cassettes list."""
    types: dict[str, dict[str, Any]] = {}
    tapes = sorted((CASSETTES / provider / "streams").glob("*.jsonl"))
    pages = (answer.get("data") or () for answer in answers(provider) if isinstance(answer, dict))
    listed = (event for page in pages for event in page if "type" in event)
    for event in chain(chain.from_iterable(map(_events_on, tapes)), listed):
        if isinstance(event, dict):
            types.setdefault(str(event.get("method") or event.get("type") or _shape(event)), event)
    return list(types.values())


def _events_on(path: Path) -> Iterator[Any]:
    for chunks in read_tape(path).streams().values():
        decoder = SseDecoder()
        for chunk in chunks:
            yield from (_json(frame.data) for frame in decoder.feed(chunk))


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _shape(value: Any) -> Any:
    """The keys, and the kinds of what is behind them."""
    if isinstance(value, dict):
        return sorted((name, _shape(inner)) for name, inner in value.items())
    return [_shape(inner) for inner in value[:2]] if isinstance(value, list) else type(value).__name__
