"""Builds the JSON of the Qoder emulator's responses, for each generation.

The legacy generation (May 2026) has two shapes of a session: a create returns the shape of the create page, every other
call that of the update page.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas and /cloud-agents/api/conventions/schemas
(read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from polysession.emulation import Answer, Generation, Refusal
from polysession_managed_agents.emulator.mounts import Mount
from polysession_managed_agents.emulator.paging import Page
from polysession_managed_agents.emulator.resources import Agent, Environment
from polysession_managed_agents.emulator.validation import Json
from polysession_qoder.emulator.state import PinnedAgent, Session
from polysession_qoder.emulator.threads import Thread

STATUSES: Mapping[Generation, frozenset[str]] = {
    "current": frozenset({"idle", "running", "rescheduling", "terminated"}),
    "legacy": frozenset({"idle", "processing", "canceling", "cancelled", "archived"}),
}

_ERROR_TYPES: Mapping[int, str] = {401: "authentication_error", 404: "not_found_error", 409: "conflict_error"}
_REPORTED_FIELDS = ("agent", "budget", "metadata", "title")
_CONTEXT_WINDOW = 200_000
_SNAPSHOT_FIELDS = ("version", "name", "description", "system", "tools", "skills", "mcp_servers")

T = TypeVar("T")


def timestamp(moment: datetime) -> str:
    """Format a time as RFC 3339 in UTC, without trailing zeros in the fraction of a second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"


def _timestamp_or_null(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


def session_status(session: Session, generation: Generation) -> str:
    """Return the status of a session in one generation."""
    if generation == "current":
        return _current_status(session)
    if session.archived_at is not None:
        return "archived"
    turn_status = _turn_status(session)
    return "processing" if turn_status == "running" else turn_status


def _current_status(session: Session) -> str:
    if session.conversation.is_terminated:
        return "terminated"
    if session.conversation.is_rescheduled:
        return "rescheduling"
    return "running" if session.busy else "idle"


def _turn_status(session: Session) -> str:
    if not session.busy:
        return "idle"
    return "canceling" if session.cancelling else "running"


def session_shape(session: Session, generation: Generation) -> Json:
    """Return the JSON of a session for every call except create."""
    return _current_session(session) if generation == "current" else _legacy_session(session)


def created_session_shape(session: Session, generation: Generation) -> Json:
    """Return the JSON of a session for create."""
    return _current_session(session) if generation == "current" else _created_legacy_session(session)


def _current_session(session: Session) -> Json:
    shape: Json = {
        "id": session.id,
        "type": "session",
        "status": session_status(session, "current"),
        "title": session.title,
        "agent": _snapshot(session.agent),
        "environment_id": session.environment_id,
        "environment_variables": session.environment_variables,
        "metadata": session.metadata,
        "resources": [mount_shape(mount, "current") for mount in session.resources.values()],
        "vault_ids": session.vault_ids,
        "deployment_id": None,
        "outcome_evaluations": [],
        "stats": {"active_seconds": 0, "duration_seconds": 0},
        "usage": {"total_credits": float(session.conversation.writer.credits)},
        "archived_at": _timestamp_or_null(session.archived_at),
        "created_at": timestamp(session.created_at),
        "updated_at": timestamp(session.updated_at),
    }
    return shape if session.budget is None else {**shape, "budget": session.budget}


def _legacy_session(session: Session) -> Json:
    return {
        **_legacy_session_base(session),
        "turn_status": _turn_status(session),
        "metadata": session.metadata,
        "environment_variables": {},
        "stats": {"active_seconds": 0, "duration_seconds": 0},
        "archived_at": _timestamp_or_null(session.archived_at),
        "agent": {
            **_legacy_agent(session.agent),
            "metadata": session.agent.fields["metadata"],
            "skills": session.agent.fields["skills"],
        },
    }


def _created_legacy_session(session: Session) -> Json:
    return {
        **_legacy_session_base(session),
        "usage": {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        },
        "agent": {
            **_legacy_agent(session.agent),
            "instructions": session.agent.fields["system"],
            "default_environment": "",
        },
    }


def _legacy_session_base(session: Session) -> Json:
    return {
        "id": session.id,
        "type": "session",
        "agent_id": session.agent.id,
        "environment_id": session.environment_id,
        "title": session.title or "",
        "status": session_status(session, "legacy"),
        "memory_store_ids": session.memory_store_ids,
        "resources": [mount_shape(mount, "legacy") for mount in session.resources.values()],
        "vault_ids": session.vault_ids,
        "created_at": timestamp(session.created_at),
        "updated_at": timestamp(session.updated_at),
    }


def _snapshot(agent: PinnedAgent) -> Json:
    fields = {name: agent.fields[name] for name in _SNAPSHOT_FIELDS}
    shape: Json = {"id": agent.id, "type": "agent", **fields, "model": _model_shape(agent.fields["model"])}
    multiagent = agent.fields["multiagent"]
    return shape if multiagent is None else {**shape, "multiagent": multiagent}


def _model_shape(model: str | Json) -> Json:
    given = {"id": model} if isinstance(model, str) else model
    return {**given, "effective_context_window": given.get("context_window") or _CONTEXT_WINDOW}


def _legacy_agent(agent: PinnedAgent) -> Json:
    return {
        "id": agent.id,
        "type": "agent",
        "name": agent.fields["name"],
        "description": agent.fields["description"],
        "model": _model_shape(agent.fields["model"])["id"],
        "system": agent.fields["system"],
        "tools": agent.fields["tools"],
        "mcp_servers": agent.fields["mcp_servers"],
        "version": agent.fields["version"],
        "created_at": timestamp(agent.created_at),
        "updated_at": timestamp(agent.updated_at),
    }


def cancelled_shape(session_id: str) -> Json:
    """Return the response to a cancel. Its status is always `canceling`."""
    return {"id": session_id, "type": "session", "status": "canceling"}


def deleted_shape(record_id: str, kind: str) -> Json:
    """Return the response to a deletion."""
    return {"id": record_id, "type": f"{kind}_deleted"}


def mount_shape(mount: Mount, generation: Generation) -> Json:
    """Return the JSON of a mounted resource."""
    if generation == "legacy":
        fields = mount.fields
        return {"type": fields["type"], "file_id": fields["file_id"], "path": fields["mount_path"]}
    created_at, updated_at = timestamp(mount.created_at), timestamp(mount.updated_at)
    return {"id": mount.id, **mount.fields, "created_at": created_at, "updated_at": updated_at}


def thread_shape(session: Session, thread: Thread) -> Json:
    """Return the JSON of a thread.

    The coordinator thread has the agent and the status of the session.
    """
    is_coordinator = thread.parent_id is None
    status = "idle" if thread.archived_at is None else "terminated"
    return {
        "id": thread.id,
        "type": "session_thread",
        "session_id": session.id,
        "parent_thread_id": thread.parent_id,
        "agent": _snapshot(session.agent) if is_coordinator else {"type": "agent", "name": thread.agent_name},
        "status": session_status(session, "current") if is_coordinator else status,
        "stats": {"active_seconds": 0, "duration_seconds": 0, "startup_seconds": 0},
        "archived_at": _timestamp_or_null(thread.archived_at),
        "created_at": timestamp(thread.created_at),
        "updated_at": timestamp(thread.archived_at or thread.created_at),
    }


def changed_fields(before: Json, after: Json) -> Json:
    """Return the fields of `session.updated`: the changed fields, null for a removed one."""
    return {name: after.get(name) for name in _REPORTED_FIELDS if after.get(name) != before.get(name)}


def agent_shape(agent: Agent, version: int | None = None) -> Json:
    """Return the JSON of an agent at a version; None means the latest."""
    return {
        "id": agent.id,
        "type": "agent",
        **agent.at(version),
        "archived_at": _timestamp_or_null(agent.archived_at),
        "created_at": timestamp(agent.created_at),
        "updated_at": timestamp(agent.updated_at),
    }


def environment_shape(environment: Environment, generation: Generation) -> Json:
    """Return the JSON of an environment."""
    shape: Json = {
        "id": environment.id,
        "type": "environment",
        "name": environment.name,
        "description": environment.description,
        "config": environment.config,
        "metadata": environment.metadata,
        "archived_at": _timestamp_or_null(environment.archived_at),
        "created_at": timestamp(environment.created_at),
        "updated_at": timestamp(environment.updated_at),
    }
    if environment.scope is not None:
        shape["scope"] = environment.scope
    if generation == "legacy":
        shape |= {"status": "ready", "archived": environment.archived_at is not None}
    return shape


def models_shape() -> Json:
    """Return the JSON of the list of models, which has no pages."""
    return {
        "data": [_model_info("ultimate", price_factor=2.0), _model_info("auto", price_factor=1.0)],
        "has_more": False,
    }


def _model_info(model_id: str, *, price_factor: float) -> Json:
    return {
        "id": model_id,
        "type": "model",
        "display_name": model_id.capitalize(),
        "source": "system",
        "is_enabled": True,
        "is_new": False,
        "price_factor": price_factor,
        "efforts": ["low", "medium", "high"],
        "default_effort": "medium",
        "max_input_tokens": _CONTEXT_WINDOW,
        "default_context_window": _CONTEXT_WINDOW,
        "available_context_windows": [_CONTEXT_WINDOW],
    }


def page_shape(page: Page[T], shape: Callable[[T], Json], generation: Generation) -> Json:
    """Return the JSON of a page.

    The legacy generation pages with `after_id`, so it has no `next_page`.
    """
    ids = list(page.items)
    envelope: Json = {
        "data": [shape(item) for item in page.items.values()],
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "has_more": page.has_more,
    }
    return envelope if generation == "legacy" else {**envelope, "next_page": page.next_page}


def error_answer(refusal: Refusal, request_id: str, generation: Generation) -> Answer:
    """Return the response to a refused request.

    A legacy error body does not repeat the request id.
    """
    error: Json = {"type": _ERROR_TYPES.get(refusal.status, "invalid_request_error"), "message": refusal.message}
    if refusal.details.get("param") is not None:
        error["param"] = refusal.details["param"]
    shape: Json = {"type": "error", "error": error}
    if generation == "current":
        shape["request_id"] = request_id
    return Answer(shape, refusal.status)
