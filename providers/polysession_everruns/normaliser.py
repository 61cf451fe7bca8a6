"""Everruns' wire objects to the common model, and back. Pure and total.

Backend: https://docs.everruns.com, PATCH /v1/sessions/{session_id}, for the older shape, and
https://github.com/everruns/sdk, openapi/openapi.json, for the current one (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from polysession.provider_api import (
    Agent,
    AgentCapability,
    ModelConfig,
    NewAgent,
    NewSession,
    Session,
    SessionChanges,
    SessionStatus,
    Unset,
    UnsupportedOperation,
    Usage,
    UsageError,
    trusted,
    write_back,
)
from polysession_everruns.wire import WireAgent, WireCapability, WireSession, WireUsage

NAME: Final = "everruns"

# What a wire model holds was validated.
_new_session: Final = trusted(Session)
_new_model: Final = trusted(ModelConfig)
_new_usage: Final = trusted(Usage)
_new_capability: Final = trusted(AgentCapability)

_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "started": SessionStatus.IDLE,
    "active": SessionStatus.RUNNING,
    "idle": SessionStatus.IDLE,
    "waitingfortoolresults": SessionStatus.REQUIRES_ACTION,
    "waiting_for_tool_results": SessionStatus.REQUIRES_ACTION,
    "paused": SessionStatus.PAUSED,
    # Words of the first servers, read as today's servers read them: a session never ends.
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
# The first that is there counts: the server's own best figure, what was charged, what the price list says.
COSTS: Final = ("effective_cost_usd", "actual_cost_usd", "estimated_cost_usd")


def to_session(raw: dict[str, Any]) -> Session:
    """A session from its wire object, of any generation.

    Raises:
        pydantic.ValidationError: It is not a session.
    """
    return read_session(WireSession.model_validate(raw), raw)


def read_session(wire: WireSession, raw: dict[str, Any]) -> Session:
    """A session from its wire model; `raw` is the object that this was read from."""
    return _new_session(
        provider=NAME,
        id=wire.id,
        agent_id=wire.agent_id,
        title=wire.title,
        status=to_status(wire.status),
        native_status=wire.status or "",
        tags=tuple(wire.tags or ()),
        capabilities=_capabilities(wire.capabilities),
        model=_new_model(id=wire.model_id) if wire.model_id else None,
        workspace_id=wire.workspace_id,
        owner_id=wire.owner_principal_id,
        organization_id=wire.organization_id,
        usage=to_usage(wire.usage),
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        started_at=wire.started_at,
        finished_at=wire.finished_at,
        preview=wire.preview,
        raw=raw,
    )


def from_session(session: Session) -> dict[str, Any]:
    """The wire object of a session: every key of `raw` kept, every field that the backend has written."""
    return write_back(session, to_session, _WRITERS)


def to_agent(raw: dict[str, Any]) -> Agent:
    """An agent from its wire object.

    Raises:
        pydantic.ValidationError: It is not an agent.
    """
    wire = WireAgent.model_validate(raw)
    return Agent(
        provider=NAME,
        id=wire.id,
        name=wire.name,
        description=wire.description,
        model=wire.default_model_id,
        system_prompt=wire.system_prompt,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        archived_at=wire.archived_at,
        raw=raw,
    )


def to_status(word: str | None) -> SessionStatus:
    """A status in common words."""
    return _STATUSES.get(word or "", SessionStatus.UNKNOWN)


def to_usage(usage: WireUsage | None) -> Usage | None:
    """What was consumed, of a session, a turn or a single model call; None if it is not told."""
    if usage is None:
        return None
    return _new_usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_creation_tokens=usage.cache_creation_tokens,
        cost_usd=to_cost(getattr(usage, name) for name in COSTS),
    )


def to_cost(figures: Iterable[float | None]) -> Decimal | None:
    """The first of the figures of what it cost that is told, in the order of `COSTS`."""
    cost = next((figure for figure in figures if figure is not None), None)
    return None if cost is None else Decimal(str(cost))


def from_new_session(new: NewSession) -> dict[str, Any]:
    """The body of `POST /v1/sessions`: what was given, and no more.

    Raises:
        UsageError: A tag is reserved, the model has more than an id, or an agent or a harness is named twice.
    """
    given = {
        "agent_id": new.agent,
        "workspace_id": new.workspace,
        "title": new.title,
        "tags": None if new.tags is None else _checked_tags(new.tags),
        "capabilities": None if new.capabilities is None else _written_capabilities(new.capabilities),
        "model_id": None if new.model is None else _model_id(new.model),
    }
    body = {name: value for name, value in given.items() if value is not None}
    return _without_doubles(body | (new.native.to_body() if new.native else {}))


def from_changes(changes: SessionChanges) -> dict[str, Any]:
    """The body of `PATCH /v1/sessions/{session_id}`, without the edits of tags: what was asked for, and no more.

    Raises:
        UsageError: A tag is reserved, or is to be both added and removed.
        UnsupportedOperation: A native field is to be cleared that the server keeps.
    """
    _check_edits(changes)
    body: dict[str, Any] = {}
    if not isinstance(changes.title, Unset):
        body["title"] = changes.title
    if not isinstance(changes.tags, Unset):
        body["tags"] = _checked_tags(changes.tags or ())
    native = changes.native.to_body() if changes.native else {}
    for name in _KEPT_ON_NULL:
        if name in native and native[name] is None:
            raise _cannot_clear(name)
    return body | native


def edited_tags(tags: Sequence[str], changes: SessionChanges) -> list[str] | None:
    """A session's tags with some removed and others added, in their order; None if they stay as they are.

    Raises:
        UsageError: A tag that stays is reserved: the server has set it, and refuses a list that holds it.
    """
    kept = [tag for tag in tags if tag not in changes.remove_tags]
    added = [tag for tag in dict.fromkeys(changes.add_tags) if tag not in kept]
    edited = [*kept, *added]
    return None if edited == list(tags) else _checked_tags(edited)


def from_new_agent(new: NewAgent) -> dict[str, Any]:
    """The body of `POST /v1/agents`.

    Raises:
        UsageError: The system prompt is missing, or a harness is named twice.
    """
    if new.system_prompt is None:
        raise UsageError("an Everruns agent needs a system_prompt")
    given = {
        "name": new.name,
        "system_prompt": new.system_prompt,
        "description": new.description,
        "default_model_id": new.model,
    }
    body = {name: value for name, value in given.items() if value is not None}
    return _without_doubles(body | (new.native.to_body() if new.native else {}))


def check_statuses(statuses: Iterable[SessionStatus]) -> None:
    """Accept statuses to filter by.

    Raises:
        UsageError: No Everruns session is ever in one of them.
    """
    for status in statuses:
        if status not in _POSSIBLE_STATUSES:
            possible = ", ".join(_POSSIBLE_STATUSES)
            raise UsageError(f"an Everruns session is never {status.value!r}; it is one of {possible}")


def _checked_tags(tags: Iterable[str]) -> list[str]:
    """The tags, none of them with a prefix that the backend keeps to itself.

    Backend: https://github.com/everruns/everruns, rules of session updates (read 2026-11)
    """
    for tag in tags:
        prefix = next((prefix for prefix in _RESERVED_TAG_PREFIXES if tag.startswith(prefix)), None)
        if prefix is not None:
            raise UsageError(f"tag {tag!r} is reserved: Everruns refuses tags that begin with {prefix!r}, its own")
    return list(tags)


def _check_edits(changes: SessionChanges) -> None:
    both = [tag for tag in changes.add_tags if tag in changes.remove_tags]
    if both:
        raise UsageError(f"tag {both[0]!r} is in add_tags and in remove_tags")
    _checked_tags(changes.add_tags)


def _cannot_clear(name: str) -> UnsupportedOperation:
    hint = "the server takes null as no change; give another value"
    return UnsupportedOperation(
        f"{name} cannot be cleared: {hint}", feature=f"sessions.update native {name}=None", hint=hint, provider=NAME
    )


def _without_doubles(body: dict[str, Any]) -> dict[str, Any]:
    for by_id, by_name in _EXCLUSIVE:
        if body.get(by_id) is not None and body.get(by_name) is not None:
            raise UsageError(f"{by_id} and {by_name} exclude each other: give one of them")
    return body


def _model_id(model: ModelConfig) -> str:
    extra = [name for name in ("type", "credential_id", "parameters", "model_class") if getattr(model, name)]
    if extra:
        raise UsageError(f"an Everruns session takes a model by its id alone; it cannot carry {', '.join(extra)}")
    return model.id


def _capabilities(capabilities: Iterable[WireCapability] | None) -> tuple[AgentCapability, ...]:
    return tuple(_new_capability(ref=item.ref, config=item.config) for item in capabilities or ())


def _written_capabilities(capabilities: Iterable[AgentCapability]) -> list[dict[str, Any]]:
    return [
        {"ref": item.ref} if item.config is None else {"ref": item.ref, "config": item.config} for item in capabilities
    ]


def _write_usage(wire: dict[str, Any], usage: Usage | None) -> None:
    if usage is None:
        wire["usage"] = None
        return
    cost = usage.cost_usd
    wire["usage"] = {
        **(wire.get("usage") or {}),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_creation_tokens": usage.cache_creation_tokens,
        # No cost means none of the three: with one of them left, it would be read again.
        **(dict.fromkeys(COSTS) if cost is None else {COSTS[0]: float(cost)}),
    }


def _write_capabilities(wire: dict[str, Any], capabilities: Iterable[AgentCapability]) -> None:
    wire["capabilities"] = _written_capabilities(capabilities)


def _write_model(wire: dict[str, Any], model: ModelConfig | None) -> None:
    wire["model_id"] = None if model is None else _model_id(model)


def _write_native_status(wire: dict[str, Any], status: str) -> None:
    wire["status"] = status or None


def _key(name: str) -> Callable[[dict[str, Any], Any], None]:
    def write(wire: dict[str, Any], value: Any) -> None:
        wire[name] = list(value) if isinstance(value, tuple) else value

    return write


def _time(name: str) -> Callable[[dict[str, Any], datetime | None], None]:
    def write(wire: dict[str, Any], moment: datetime | None) -> None:
        wire[name] = moment and moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    return write


_WRITERS: Final[Mapping[str, Callable[[dict[str, Any], Any], None]]] = {
    "id": _key("id"),
    "organization_id": _key("organization_id"),
    "agent_id": _key("agent_id"),
    "workspace_id": _key("workspace_id"),
    "owner_id": _key("owner_principal_id"),
    "native_status": _write_native_status,
    "title": _key("title"),
    "tags": _key("tags"),
    "capabilities": _write_capabilities,
    "model": _write_model,
    "preview": _key("preview"),
    "usage": _write_usage,
    "created_at": _time("created_at"),
    "updated_at": _time("updated_at"),
    "started_at": _time("started_at"),
    "finished_at": _time("finished_at"),
}
