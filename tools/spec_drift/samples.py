"""Requests of our code, for the comparison with the published ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from polysession import SessionStatus
from polysession.change import AgentChanges, NewAgent, NewSession, SessionChanges, SessionQuery, SessionRef
from polysession.message import TextBlock
from polysession.plugins import load_provider
from polysession.provider_api import Call, ConnectedStream, Provider

REF: Final = SessionRef("session_0195e0c0000070008000000000000001", "a")
NEW: Final = NewSession(agent="a", environment="e", title="t", metadata={"k": "v"})
AGENT: Final = NewAgent(name="n", model="m", system_prompt="s", description="d")
AGENT_CHANGES: Final = AgentChanges(name="n", model="m", system_prompt="s", description="d")


def make_changes(**values: Any) -> SessionChanges:
    """Return changes of the title and of more fields."""
    return SessionChanges(title="t", **values)


def make_provider(backend: str, **settings: Any) -> Provider[Any]:
    """Return a provider with these settings."""
    provider_type = load_provider(backend)
    return provider_type(provider_type.settings_type(**settings))


def query_of(call: Call) -> list[str]:
    """Return the names of a call's query parameters."""
    return list(parse_qs(urlsplit(call.path).query))


def list_query(provider: Provider[Any]) -> list[str]:
    """Return the query parameters of a list of sessions with all supported filters."""
    everything = SessionQuery(
        agent="a",
        statuses=[SessionStatus.IDLE],
        title_contains="t" if provider.name == "everruns" else None,
        created_after=datetime.min.replace(tzinfo=UTC),
        created_before=datetime.max.replace(tzinfo=UTC),
        include_archived=True,
        oldest_first=True,
        page_size=5,
    )
    return query_of(next(provider.list_sessions(everything, None)))


def stream_query(provider: Provider[Any], cursor: str) -> list[str]:
    """Return the query parameters of a stream that continues after a cursor."""
    try:
        next(provider.stream_events(REF, cursor))
    except StopIteration as made:
        plan: ConnectedStream = made.value
        return query_of(plan.open())
    raise AssertionError("a stream with a cursor is opened without another call")


def message_body(provider: Provider[Any]) -> dict[str, Any]:
    """Return the body of a message."""
    return body_of(next(provider.send_message(REF, (TextBlock(text="hi"),))))


def body_of(call: Call) -> dict[str, Any]:
    """Return the body of a call."""
    body: dict[str, Any] = json.loads(call.body or b"{}")
    return body
