"""Threads and assistants to `Session` and `Agent`, and requests to bodies. Pure.

Backend: https://docs.langchain.com/langsmith/server-api-ref (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from polysession.provider_api import (
    Agent,
    NewAgent,
    NewSession,
    Session,
    SessionChanges,
    SessionQuery,
    SessionStatus,
    UsageError,
    decoder,
    record_reader,
)
from polysession_langgraph.wire import WireAssistant, WireThread

NAME: Final = "langgraph"
AGENT_KEY: Final = "polysession_agent"
"""Metadata key of the agent that a thread was created for. The server binds one only when a run starts."""
TITLE_KEY: Final = "polysession_title"
TURN_KEY: Final = "polysession_turn"
"""Metadata key of a run: the marker by which the turn that started it finds it."""

_SERVER_KEYS: Final = frozenset({"assistant_id", "graph_id"})
_OWN_KEYS: Final = frozenset({AGENT_KEY, TITLE_KEY})
_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "idle": SessionStatus.IDLE,
    "busy": SessionStatus.RUNNING,
    "interrupted": SessionStatus.REQUIRES_ACTION,
    "error": SessionStatus.FAILED,
}
SELECT: Final = ("thread_id", "created_at", "updated_at", "metadata", "status", "interrupts")
"""The fields that a list asks for: without `values`, which hold the whole state of each thread."""

read_thread: Final = decoder(WireThread)


def _to_session(wire: WireThread, content: bytes, problems: tuple[str, ...]) -> Session:
    metadata = wire.metadata or {}
    return Session(
        provider=NAME,
        id=wire.thread_id,
        agent_id=agent_of(wire),
        title=_text(metadata.get(TITLE_KEY)),
        status=to_status(wire),
        native_status=wire.status or "",
        metadata={name: value for name, value in metadata.items() if name not in _SERVER_KEYS | _OWN_KEYS},
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


def agent_of(wire: WireThread) -> str | None:
    """The agent of the latest run, or the one that the thread was created for."""
    metadata = wire.metadata or {}
    return _text(metadata.get("assistant_id")) or _text(metadata.get(AGENT_KEY))


def to_status(wire: WireThread) -> SessionStatus:
    """Status of a thread. A failed run may have left questions, which still can be answered."""
    status = _STATUSES.get(wire.status or "", SessionStatus.UNKNOWN)
    if status in {SessionStatus.REQUIRES_ACTION, SessionStatus.FAILED}:
        if wire.interrupts:
            return SessionStatus.REQUIRES_ACTION
        return SessionStatus.FAILED if status is SessionStatus.FAILED else SessionStatus.IDLE
    return status


def _to_agent(wire: WireAssistant, content: bytes, problems: tuple[str, ...]) -> Agent:
    return Agent(
        provider=NAME,
        id=wire.assistant_id,
        name=wire.name or wire.graph_id or "",
        description=wire.description or None,
        version=None if wire.version is None else str(wire.version),
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


to_session: Final = record_reader(WireThread, _to_session)
to_agent: Final = record_reader(WireAssistant, _to_agent)


def new_session_body(new: NewSession) -> dict[str, Any]:
    """The body of `POST /threads`.

    Raises:
        UsageError: A metadata key belongs to the server or to polysession.
    """
    metadata = _own_metadata(new.metadata)
    if new.agent is not None:
        metadata[AGENT_KEY] = new.agent
    if new.title is not None:
        metadata[TITLE_KEY] = new.title
    body: dict[str, Any] = {"metadata": metadata} if metadata else {}
    if new.id is not None:
        body["thread_id"] = new.id
    return _merged(body, new.native.to_body() if new.native else {})


def changes_body(changes: SessionChanges) -> dict[str, Any]:
    """The body of `PATCH /threads/{id}`. The server merges the top level of metadata, and stores null for a null.

    Raises:
        UsageError: A metadata key belongs to the server or to polysession.
    """
    metadata: dict[str, Any] = {}
    if isinstance(changes.metadata, Mapping):
        metadata = _own_metadata(changes.metadata)
    if isinstance(changes.title, str | None):
        metadata[TITLE_KEY] = changes.title
    return _merged({"metadata": metadata}, changes.native.to_body() if changes.native else {})


def search_body(query: SessionQuery, offset: int) -> dict[str, Any]:
    """The body of `POST /threads/search`. Pages are stable only when sorted by creation."""
    body: dict[str, Any] = {
        "select": list(SELECT),
        "sort_by": "created_at",
        "sort_order": "asc" if query.oldest_first else "desc",
        "offset": offset,
        "metadata": dict(query.metadata) if query.metadata else None,
        "limit": query.page_size,
    }
    body |= query.native.to_body() if query.native else {}
    return {name: value for name, value in body.items() if value is not None}


def is_of_agent(session: Session, agent_id: str) -> bool:
    """Whether a session is of an agent, which is named by its id or by its graph."""
    if session.agent_id == agent_id:
        return True
    metadata = session.raw.get("metadata")
    return isinstance(metadata, dict) and metadata.get("graph_id") == agent_id


def new_agent_body(new: NewAgent) -> dict[str, Any]:
    """The body of `POST /assistants`.

    Raises:
        UsageError: The graph is missing.
    """
    body = {"name": new.name, "description": new.description}
    body |= new.native.to_body() if new.native else {}
    if not body.get("graph_id"):
        raise UsageError("an assistant needs a graph: native=LanggraphNewAgent(graph_id=...)")
    return {name: value for name, value in body.items() if value is not None}


def _own_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    reserved = [name for name in metadata or {} if name in _SERVER_KEYS | _OWN_KEYS]
    if reserved:
        raise UsageError(f"the metadata key {reserved[0]!r} is reserved: the server or polysession writes it")
    return dict(metadata or {})


def _merged(body: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The body with native fields; metadata of both is merged."""
    if isinstance(more.get("metadata"), Mapping):
        return {**body, **more, "metadata": {**body.get("metadata", {}), **more["metadata"]}}
    return {**body, **more}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
