"""Builds the JSON of the Anthropic emulator's responses.

Backend: https://platform.claude.com/docs/en/api/beta/sessions/create and the pages beside it, and
https://platform.claude.com/docs/en/api/errors (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from polysession.emulation import Answer, Refusal
from polysession_anthropic.emulator.event_writer import timestamp, usage_shape
from polysession_anthropic.emulator.resources import MODELS
from polysession_anthropic.emulator.state import Session
from polysession_anthropic.emulator.threads import Thread
from polysession_managed_agents.emulator.mounts import Mount
from polysession_managed_agents.emulator.resources import Agent, Environment
from polysession_managed_agents.emulator.validation import Json

_ERROR_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SNAPSHOT_FIELDS: Final = (
    "version",
    "name",
    "description",
    "system",
    "model",
    "tools",
    "skills",
    "mcp_servers",
    "multiagent",
    "execution_identity",
)
_REPORTED_FIELDS: Final = ("agent", "budget", "metadata", "title")


def session_shape(session: Session) -> Json:
    """Return the JSON of a session."""
    return {
        "id": session.id,
        "type": "session",
        "agent": _session_agent(session.agent),
        "environment_id": session.environment_id,
        "status": session.status,
        "title": session.title,
        "metadata": session.metadata,
        "resources": [mount_shape(mount) for mount in session.resources.values()],
        "vault_ids": session.vault_ids,
        "budget": session.conversation.writer.budget,
        "outcome_evaluations": session.conversation.outcomes,
        "stats": {"active_seconds": 0.0, "duration_seconds": 0.0},
        "usage": usage_shape(session.conversation.writer.requests),
        "deployment_id": None,
        "archived_at": _timestamp_or_null(session.archived_at),
        "created_at": timestamp(session.created_at),
        "updated_at": timestamp(session.updated_at),
    }


def changed_fields(before: Json, after: Json) -> Json:
    """Return the fields of `session.updated`: the changed ones, without empty metadata."""
    changed = {name: after[name] for name in _REPORTED_FIELDS if after[name] != before[name]}
    return {name: value for name, value in changed.items() if value != {}}


def mount_shape(mount: Mount) -> Json:
    """Return the JSON of a mounted resource. A memory store has no id and no times."""
    if mount.fields["type"] == "memory_store":
        return {"name": mount.fields["memory_store_id"], "description": None, "instructions": None, **mount.fields}
    times = {"created_at": timestamp(mount.created_at), "updated_at": timestamp(mount.updated_at)}
    checkout = {"checkout": None} if mount.fields["type"] == "github_repository" else {}
    return {"id": mount.id, **checkout, **mount.fields, **times}


def thread_shape(session: Session, thread: Thread) -> Json:
    """Return the JSON of a thread.

    The primary thread has the agent and the status of the session.
    """
    is_own = thread.parent_id is None
    agent = _member(session.agent)
    return {
        "id": thread.id,
        "type": "session_thread",
        "session_id": session.id,
        "parent_thread_id": thread.parent_id,
        "agent": agent if is_own else {**agent, "name": thread.writer.agent_name},
        "status": session.status if is_own else "idle" if thread.archived_at is None else "terminated",
        "workflow_run_id": None,
        "stats": {"active_seconds": 0.0, "duration_seconds": 0.0, "startup_seconds": 0.0},
        "usage": usage_shape(thread.writer.requests),
        "archived_at": _timestamp_or_null(thread.archived_at),
        "created_at": timestamp(thread.created_at),
        "updated_at": timestamp(thread.archived_at or thread.created_at),
    }


def agent_shape(agent: Agent, version: int | None = None) -> Json:
    """Return the JSON of an agent at a version; None means the latest."""
    fields = agent.at(version)
    return {
        **_snapshot({**fields, "id": agent.id}),
        "metadata": fields["metadata"],
        "archived_at": _timestamp_or_null(agent.archived_at),
        "created_at": timestamp(agent.created_at),
        "updated_at": timestamp(agent.updated_at),
    }


def environment_shape(environment: Environment) -> Json:
    """Return the JSON of an environment."""
    return {
        "id": environment.id,
        "type": "environment",
        "name": environment.name,
        "description": environment.description or None,
        "config": environment.config,
        "metadata": environment.metadata,
        "scope": environment.scope or "organization",
        "archived_at": _timestamp_or_null(environment.archived_at),
        "created_at": timestamp(environment.created_at),
        "updated_at": timestamp(environment.updated_at),
    }


def models_shape() -> Json:
    """Return the JSON of the list of models, all on one page."""
    return {
        "data": [_model_info(name) for name in MODELS],
        "has_more": False,
        "first_id": MODELS[0],
        "last_id": MODELS[-1],
    }


def _model_info(name: str) -> Json:
    return {
        "id": name,
        "type": "model",
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-06-01T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def deleted_shape(record_id: str, kind: str) -> Json:
    """Return the response to a deletion."""
    return {"id": record_id, "type": f"{kind}_deleted"}


def error_shape(status: int, message: str, request_id: str, code: str | None = None) -> Json:
    """Return an error body."""
    error: Json = {"type": _ERROR_TYPES.get(status, "invalid_request_error"), "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error, "request_id": request_id}


def error_answer(refusal: Refusal, request_id: str) -> Answer:
    """Return the response to a refused request."""
    code = refusal.details.get("error_code")
    return Answer(error_shape(refusal.status, refusal.message, request_id, code), refusal.status)


def _session_agent(agent: Json) -> Json:
    """Return the agent of a session, with full copies of the agents of a coordinator."""
    multiagent = agent["multiagent"]
    if multiagent is not None and multiagent["type"] == "coordinator":
        members = [_member(each) if "name" in each else each for each in multiagent["agents"]]
        multiagent = {**multiagent, "agents": members}
    return _snapshot({**agent, "multiagent": multiagent})


def _member(agent: Json) -> Json:
    """Return the agent of a thread, without its multi-agent configuration."""
    return {name: value for name, value in _snapshot(agent).items() if name != "multiagent"}


def _snapshot(agent: Json) -> Json:
    return {"id": agent["id"], "type": "agent", **{name: agent[name] for name in _SNAPSHOT_FIELDS}}


def _timestamp_or_null(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
