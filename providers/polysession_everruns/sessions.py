"""Converts Everruns' JSON into records, and requests into Everruns' bodies. Pure.

Backend: https://docs.everruns.com, PATCH /v1/sessions/{session_id}, for the older shape, and
https://github.com/everruns/sdk, openapi/openapi.json, for the current one (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from polysession.provider_api import (
    Agent,
    AgentCapability,
    AgentChanges,
    ErrorDetail,
    MalformedResponse,
    Model,
    ModelConfig,
    NewAgent,
    NewSession,
    Session,
    SessionChanges,
    SessionRef,
    SessionStatus,
    Unset,
    UnsupportedOperation,
    UsageError,
    decoder,
    path_segment,
    record_reader,
)
from polysession_everruns.wire import (
    WireAgent,
    WireCapability,
    WireError,
    WireErrorDetail,
    WireModel,
    WireSession,
    WireUsage,
)

NAME: Final = "everruns"

_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "started": SessionStatus.IDLE,
    "active": SessionStatus.RUNNING,
    "idle": SessionStatus.IDLE,
    "waitingfortoolresults": SessionStatus.REQUIRES_ACTION,
    "waiting_for_tool_results": SessionStatus.REQUIRES_ACTION,
    "paused": SessionStatus.PAUSED,
    # Statuses of the first servers, mapped as current servers map them: a session never ends.
    "running": SessionStatus.RUNNING,
    "pending": SessionStatus.IDLE,
    "completed": SessionStatus.IDLE,
    "failed": SessionStatus.IDLE,
}
_POSSIBLE_STATUSES: Final = (*dict.fromkeys(_STATUSES.values()), SessionStatus.UNKNOWN)
_RESERVED_TAG_PREFIXES: Final = (
    "__internal:",
    "app:",
    "app_channel:",
    "slack:app:",
    "slack:endpoint:",
    "fcp:endpoint:",
    "ag_ui:app:",
    "agent:",
    "endpoint:",
)
_EXCLUSIVE: Final = (("agent_id", "agent_name"), ("harness_id", "harness_name"))
_KEPT_ON_NULL: Final = ("locale", "goal")

_read_error: Final = decoder(WireError)


# --- Records


def _to_session(wire: WireSession, content: bytes, problems: tuple[str, ...]) -> Session:
    return Session(
        provider=NAME,
        id=wire.id,
        agent_id=wire.agent_id,
        title=wire.title,
        status=to_status(wire.status),
        native_status=wire.status or "",
        tags=tuple(wire.tags or ()),
        capabilities=_to_capabilities(wire.capabilities) if wire.capabilities else (),
        model={"id": wire.model_id} if wire.model_id else None,
        workspace_id=wire.workspace_id,
        owner_id=wire.owner_principal_id,
        organization_id=wire.organization_id,
        usage=None if wire.usage is None else usage_fields(wire.usage),
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        started_at=wire.started_at,
        finished_at=wire.finished_at,
        preview=wire.preview,
        output_preview=wire.output_preview,
        origin=wire.source,
        parent_session_id=wire.parent_session_id,
        source=content,
        problems=problems,
    )


def _to_agent(wire: WireAgent, content: bytes, problems: tuple[str, ...]) -> Agent:
    return Agent(
        provider=NAME,
        id=wire.id,
        name=wire.name or "",
        description=wire.description,
        model=wire.default_model_id,
        system_prompt=wire.system_prompt,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        archived_at=wire.archived_at,
        source=content,
        problems=problems,
    )


to_session: Final = record_reader(WireSession, _to_session)
"""Reads a session of any generation. Raises `MalformedResponse` if the id is missing."""

to_agent: Final = record_reader(WireAgent, _to_agent)
"""Reads an agent. Raises `MalformedResponse` if the id is missing."""


def _to_model(wire: WireModel, content: bytes, problems: tuple[str, ...]) -> Model:
    return Model(provider=NAME, id=wire.id, name=wire.display_name or wire.model_id, source=content, problems=problems)


to_model: Final = record_reader(WireModel, _to_model)
"""Reads a model. Raises `MalformedResponse` if the id is missing."""


def to_status(word: str | None) -> SessionStatus:
    """Return the common status for one of Everruns' statuses."""
    return _STATUSES.get(word or "", SessionStatus.UNKNOWN)


def usage_fields(wire: WireUsage) -> dict[str, Any]:
    """Return the fields of a `Usage`, of a session, a turn or a model call.

    The cost is `effective_cost_usd`, else `actual_cost_usd`, else `estimated_cost_usd`.
    """
    cost = wire.effective_cost_usd
    if cost is None:
        cost = wire.estimated_cost_usd if wire.actual_cost_usd is None else wire.actual_cost_usd
    return {
        "input_tokens": wire.input_tokens,
        "output_tokens": wire.output_tokens,
        "cache_read_tokens": wire.cache_read_tokens,
        "cache_creation_tokens": wire.cache_creation_tokens,
        "cost_usd": cost,
    }


def _to_capabilities(wires: Iterable[WireCapability]) -> tuple[dict[str, Any], ...]:
    return tuple([{"ref": wire.ref, "config": wire.config} for wire in wires])


# --- Errors


def to_error(content: bytes) -> ErrorDetail:
    """Read an error body of any generation.

    It is a problem object, `{"error": {...}}` or `{"error": "..."}`. An empty or unknown body gives an empty detail.
    """
    try:
        body, _ = _read_error(content)
    except MalformedResponse:
        return ErrorDetail()
    inner = body.error if isinstance(body.error, WireErrorDetail) else WireErrorDetail(message=body.error)
    return ErrorDetail(message=body.detail or inner.message or body.title or "", code=body.code or inner.code or None)


# --- Requests


def session_path(ref: SessionRef) -> str:
    """Return the path of a session."""
    return f"/v1/sessions/{path_segment(ref.id, 'session id')}"


def new_session_body(new: NewSession) -> dict[str, Any]:
    """Return the body of `POST /v1/sessions`, with the fields that the caller passed.

    Raises:
        UsageError: A tag is reserved, the model has more than an id, or an agent or a harness is named twice.
    """
    given = {
        "agent_id": new.agent,
        "workspace_id": new.workspace,
        "title": new.title,
        "tags": None if new.tags is None else _checked_tags(new.tags),
        "capabilities": None if new.capabilities is None else [_capability_body(each) for each in new.capabilities],
        "model_id": None if new.model is None else _model_id(new.model),
    }
    body = {name: value for name, value in given.items() if value is not None}
    return _without_doubles(body | (new.native.to_body() if new.native else {}))


def ignored_fields(new: NewSession, session: Session) -> list[str]:
    """Return the common fields of a new session that the server ignored without an error.

    Fields of the response that could not be read do not count; they are in the session's `problems`.

    Backend: https://crates.io/crates/everruns-serve, 0.50.1, which accepts an agent only by name, and ignores models
    and capabilities (read 2026-11)
    """
    refs = {capability.ref for capability in session.capabilities}
    kept = {
        "agent": new.agent in {None, session.agent_id},
        "workspace": new.workspace in {None, session.workspace_id},
        "title": new.title in {None, session.title or ""},
        "tags": set(new.tags or ()) <= set(session.tags),
        "capabilities": {capability.ref for capability in new.capabilities or ()} <= refs,
        "model": new.model is None or (session.model is not None and session.model.id == new.model.id),
    }
    unreadable = {problem.partition(":")[0].partition("[")[0].removesuffix("_id") for problem in session.problems}
    return [name for name, is_kept in kept.items() if not is_kept and name not in unreadable]


def changes_body(changes: SessionChanges) -> dict[str, Any]:
    """Return the body of `PATCH /v1/sessions/{session_id}`, without edits of tags.

    Raises:
        UsageError: A tag is reserved, or is both added and removed.
        UnsupportedOperation: A native field is None that the server does not clear.
    """
    _check_edits(changes)
    body: dict[str, Any] = {}
    if not isinstance(changes.title, Unset):
        body["title"] = changes.title
    if not isinstance(changes.tags, Unset):
        body["tags"] = _checked_tags(changes.tags or ())
    native = changes.native.to_body() if changes.native else {}
    _refuse_null(native, _KEPT_ON_NULL, "sessions.update")
    return body | native


def edited_tags(tags: Sequence[str], changes: SessionChanges) -> list[str] | None:
    """Return the edited tags of a session, in order; None if the edit changes nothing.

    Raises:
        UsageError: A remaining tag is reserved: the server set it, and refuses a list that contains it.
    """
    kept = [tag for tag in tags if tag not in changes.remove_tags]
    added = [tag for tag in dict.fromkeys(changes.add_tags) if tag not in kept]
    edited = [*kept, *added]
    return None if edited == list(tags) else _checked_tags(edited)


def new_agent_body(new: NewAgent) -> dict[str, Any]:
    """Return the body of `POST /v1/agents`.

    Raises:
        UsageError: The system prompt is missing, or a harness is named twice.
    """
    if new.system_prompt is None:
        raise UsageError("an Everruns agent needs a system prompt: pass system_prompt=")
    given = {
        "name": new.name,
        "system_prompt": new.system_prompt,
        "description": new.description,
        "default_model_id": new.model,
    }
    body = {name: value for name, value in given.items() if value is not None}
    return _without_doubles(body | (new.native.to_body() if new.native else {}))


def agent_changes_body(changes: AgentChanges) -> dict[str, Any]:
    """Return the body of `PATCH /v1/agents/{agent_id}`, with the fields that the caller passed.

    Raises:
        UsageError: A harness is named twice.
        UnsupportedOperation: A native field is None, which the server ignores.
    """
    given = {
        "name": changes.name,
        "system_prompt": changes.system_prompt,
        "description": changes.description,
        "default_model_id": changes.model,
    }
    body = {name: value for name, value in given.items() if not isinstance(value, Unset)}
    native = changes.native.to_body() if changes.native else {}
    _refuse_null(native, native, "agents.update")
    return _without_doubles(body | native)


def check_statuses(statuses: Iterable[SessionStatus]) -> None:
    """Check the statuses of a filter.

    Raises:
        UsageError: Everruns does not have one of the statuses.
    """
    for status in statuses:
        if status not in _POSSIBLE_STATUSES:
            possible = ", ".join(_POSSIBLE_STATUSES)
            raise UsageError(f"Everruns has no session status {status.value!r}; use one of {possible}")


def _checked_tags(tags: Iterable[str]) -> list[str]:
    """Return the tags, after a check that none has a reserved prefix.

    Backend: https://github.com/everruns/everruns, rules of session updates (read 2026-11)
    """
    for tag in tags:
        prefix = next((prefix for prefix in _RESERVED_TAG_PREFIXES if tag.startswith(prefix)), None)
        if prefix is not None:
            raise UsageError(f"tag {tag!r} is reserved: Everruns does not accept tags that begin with {prefix!r}")
    return list(tags)


def _check_edits(changes: SessionChanges) -> None:
    both = [tag for tag in changes.add_tags if tag in changes.remove_tags]
    if both:
        raise UsageError(f"tag {both[0]!r} is in both add_tags and remove_tags")
    _checked_tags(changes.add_tags)


def _refuse_null(body: Mapping[str, Any], names: Iterable[str], operation: str) -> None:
    for name in names:
        if name in body and body[name] is None:
            hint = "the server ignores null; pass another value instead"
            feature = f"{operation} native {name}=None"
            raise UnsupportedOperation(f"{name} cannot be cleared: {hint}", feature=feature, hint=hint, provider=NAME)


def _without_doubles(body: dict[str, Any]) -> dict[str, Any]:
    for by_id, by_name in _EXCLUSIVE:
        if body.get(by_id) is not None and body.get(by_name) is not None:
            raise UsageError(f"{by_id} and {by_name} cannot be combined: pass one of them")
    return body


def _model_id(model: ModelConfig) -> str:
    extra = [name for name in ("type", "credential_id", "parameters") if getattr(model, name)]
    if extra:
        raise UsageError(f"Everruns accepts only the id of a model, not {', '.join(extra)}")
    return model.id


def _capability_body(capability: AgentCapability) -> dict[str, Any]:
    body = {"ref": capability.ref, "config": capability.config}
    return {name: value for name, value in body.items() if value is not None}
