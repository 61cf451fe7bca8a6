"""Conversion of threads and assistants to `Session` and `Agent`, and of requests to bodies.

Backend: https://docs.langchain.com/langsmith/server-api-ref (read 2026-11-30)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from polysession.provider_api import (
    Agent,
    AgentChanges,
    NewAgent,
    NewSession,
    Session,
    SessionChanges,
    SessionQuery,
    SessionStatus,
    Unset,
    UsageError,
    decoder,
    record_reader,
)
from polysession_langgraph.wire import WireAssistant, WireThread

NAME: Final = "langgraph"
AGENT_KEY: Final = "polysession_agent"
"""Metadata key of the agent that a thread was created for. The server binds an agent only when a run starts."""
TITLE_KEY: Final = "polysession_title"
TURN_KEY: Final = "polysession_turn"
"""Metadata key of a run: the marker with which a turn finds the run that it started."""

_RESERVED: Final = frozenset({"assistant_id", "graph_id", AGENT_KEY, TITLE_KEY})
"""Metadata keys that the server or this provider writes."""
_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "idle": SessionStatus.IDLE,
    "busy": SessionStatus.RUNNING,
    "interrupted": SessionStatus.IDLE,
    "error": SessionStatus.FAILED,
}
"""Statuses of a thread without pending interrupts."""
SELECT: Final = ("thread_id", "created_at", "updated_at", "metadata", "status", "interrupts")
"""Fields that a list requests: all but `values`, which is the whole state of a thread."""

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
        metadata={name: value for name, value in metadata.items() if name not in _RESERVED},
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


def agent_of(wire: WireThread) -> str | None:
    """Return the agent of the latest run, or the one that the thread was created for."""
    metadata = wire.metadata or {}
    return _text(metadata.get("assistant_id")) or _text(metadata.get(AGENT_KEY))


def to_status(wire: WireThread) -> SessionStatus:
    """Return the status of a thread. Interrupts of a failed run can still be answered."""
    if wire.interrupts and wire.status in {"interrupted", "error"}:
        return SessionStatus.REQUIRES_ACTION
    return _STATUSES.get(wire.status or "", SessionStatus.UNKNOWN)


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


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def new_session_body(new: NewSession) -> dict[str, Any]:
    """Return the body of `POST /threads`.

    Raises:
        UsageError: A metadata key belongs to the server or to polysession.
    """
    native = new.native.to_body() if new.native else {}
    ours = present(**{AGENT_KEY: new.agent, TITLE_KEY: new.title})
    metadata = {**_check_metadata(new.metadata), **ours, **(native.pop("metadata", None) or {})}
    return present(thread_id=new.id, metadata=metadata or None) | native


def changes_body(changes: SessionChanges) -> dict[str, Any]:
    """Return the body of `PATCH /threads/{id}`.

    The server merges the top level of metadata, and stores null values.

    Raises:
        UsageError: A metadata key belongs to the server or to polysession.
    """
    metadata = _check_metadata(changes.metadata if isinstance(changes.metadata, Mapping) else None)
    if isinstance(changes.title, str | None):
        metadata[TITLE_KEY] = changes.title
    return {"metadata": metadata, **(changes.native.to_body() if changes.native else {})}


def search_body(query: SessionQuery, offset: int) -> dict[str, Any]:
    """Return the body of `POST /threads/search`. Pages are stable only if sorted by creation."""
    order = {"sort_by": "created_at", "sort_order": "asc" if query.oldest_first else "desc"}
    metadata = dict(query.metadata) if query.metadata else None
    body = present(select=list(SELECT), **order, offset=offset, metadata=metadata, limit=query.page_size)
    return body | (query.native.to_body() if query.native else {})


def is_of_agent(session: Session, agent_id: str) -> bool:
    """Whether a session belongs to an agent, given by its id or by the name of its graph."""
    return agent_id in {session.agent_id, (session.raw.get("metadata") or {}).get("graph_id")}


def new_agent_body(new: NewAgent) -> dict[str, Any]:
    """Return the body of `POST /assistants`.

    Raises:
        UsageError: There is no `graph_id`.
    """
    body = present(name=new.name, description=new.description) | (new.native.to_body() if new.native else {})
    if not body.get("graph_id"):
        raise UsageError("an assistant needs a graph: native=LanggraphNewAgent(graph_id=...)")
    return body


def agent_changes_body(changes: AgentChanges) -> dict[str, Any]:
    """Return the body of `PATCH /assistants/{id}`. The server rejects null as a description."""
    body: dict[str, Any] = {}
    if isinstance(changes.name, str):
        body["name"] = changes.name
    if not isinstance(changes.description, Unset):
        body["description"] = changes.description or ""
    return body | (changes.native.to_body() if changes.native else {})


def _check_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    reserved = [name for name in metadata or {} if name in _RESERVED]
    if reserved:
        raise UsageError(
            f"the metadata key {reserved[0]!r} is reserved for the server or polysession: use another name"
        )
    return dict(metadata or {})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
