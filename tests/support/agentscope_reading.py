"""AgentScope's events as they are read, put briefly."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from polysession.session import Usage
from polysession_agentscope.event_normaliser import EventNormaliser

USAGE = Usage(input_tokens=7, output_tokens=3, cache_read_tokens=2, cache_creation_tokens=1)
PNG, PDF = base64.b64encode(b"12345").decode(), "https://files.test/a.pdf"


def read(*happened: dict[str, Any], normaliser: EventNormaliser | None = None) -> list[Any]:
    reader = normaliser or EventNormaliser("s1")
    return [told for raw in happened for told in reader.read(raw)]


def types(events: Iterable[Any]) -> list[str]:
    return [told.type for told in events]


def modelled(events: Iterable[Any]) -> list[str]:
    return [told.type for told in events if told.type != "raw"]
