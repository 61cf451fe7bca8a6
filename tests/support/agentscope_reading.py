"""Short forms for reading AgentScope's events and stored messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from polysession.session import Usage
from polysession_agentscope.events import EventReader
from polysession_agentscope.history import StoredMessage, read_stored

USAGE = Usage(input_tokens=7, output_tokens=3, cache_read_tokens=2, cache_creation_tokens=1)
PNG, PDF = base64.b64encode(b"12345").decode(), "https://files.test/a.pdf"


def text_of(raw: Any) -> bytes:
    return json.dumps(raw).encode()


def stored(raw: dict[str, Any]) -> StoredMessage:
    return read_stored(text_of(raw))


def read(*raw_events: dict[str, Any], reader: EventReader | None = None) -> list[Any]:
    reader = reader or EventReader("s1")
    return [event for raw in raw_events for event in reader.read(text_of(raw))]


def types(events: Iterable[Any]) -> list[str]:
    return [each.type for each in events]


def modelled(events: Iterable[Any]) -> list[str]:
    return [each.type for each in events if each.type != "raw"]
