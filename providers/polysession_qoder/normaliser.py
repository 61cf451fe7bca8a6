"""Qoder's wire objects to the common model, and back. Pure and total.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from polysession.provider_api import (
    Agent,
    ModelConfig,
    NewAgent,
    NewSession,
    Session,
    SessionChanges,
    SessionStatus,
    Unset,
    Usage,
    UsageError,
    trusted,
    write_back,
)
from polysession_qoder.wire import WireAgent, WireModel, WireSession, WireUsage

NAME: Final = "qoder"

# What a wire model holds was validated.
_new_session: Final = trusted(Session)
_new_model: Final = trusted(ModelConfig)
_new_usage: Final = trusted(Usage)

_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "idle": SessionStatus.IDLE,
    "running": SessionStatus.RUNNING,
    "rescheduling": SessionStatus.RESCHEDULING,
    "terminated": SessionStatus.TERMINATED,
    # Older generations. A session that is being cancelled still holds its turn.
    "processing": SessionStatus.RUNNING,
    "canceling": SessionStatus.RUNNING,
    "cancelled": SessionStatus.TERMINATED,
    "archived": SessionStatus.TERMINATED,
}
_CURRENT_STATUSES: Final = ("idle", "running", "rescheduling", "terminated")
_METADATA_KEYS: Final = 16
_METADATA_KEY_LENGTH: Final = 64
_METADATA_VALUE_LENGTH: Final = 512
_BUSY_TURNS: Final = frozenset({"running", "canceling"})
_USAGE_KEYS: Final[Mapping[str, str]] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_creation_tokens": "cache_creation",
    "credits": "total_credits",
    "model_credits": "model_credits",
    "sandbox_credits": "sandbox_runtime_credits",
}


def to_session(raw: dict[str, Any]) -> Session:
    """A session from its wire object, of any generation.

    Raises:
        pydantic.ValidationError: It is not a session.
    """
    return read_session(WireSession.model_validate(raw), raw)


def read_session(wire: WireSession, raw: dict[str, Any]) -> Session:
    """A session from its wire model; `raw` is the object that this was read from."""
    agent = wire.agent
    return _new_session(
        provider=NAME,
        id=wire.id,
        agent_id=(agent.id if agent else None) or wire.agent_id,
        title=wire.title or None,  # older generations write "" for no title
        status=to_status(wire.status, wire.turn_status),
        native_status=wire.status or "",
        metadata=wire.metadata or {},
        model=_model(agent.model) if agent else None,
        environment_id=wire.environment_id,
        usage=to_usage(wire.usage),
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        archived_at=wire.archived_at,
        raw=raw,
    )


def from_session(session: Session) -> dict[str, Any]:
    """The wire object of a session: every key of `raw` kept, every field that the backend has written.

    Raises:
        UsageError: No Qoder session is ever in its status.
    """
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
        description=wire.description or None,
        model=wire.model.id if isinstance(wire.model, WireModel) else wire.model,
        system_prompt=wire.system or wire.instructions or None,
        version=None if wire.version is None else str(wire.version),
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        archived_at=wire.archived_at,
        raw=raw,
    )


def to_status(word: str | None, turn_word: str | None) -> SessionStatus:
    """A status in common words, from the backend's.

    In May 2026 a session stayed `idle` while `turn_status` told that it works.
    """
    status = _STATUSES.get(word or "", SessionStatus.UNKNOWN)
    return SessionStatus.RUNNING if turn_word in _BUSY_TURNS and status is SessionStatus.IDLE else status


def to_usage(usage: WireUsage | None) -> Usage | None:
    """What was consumed, in credits or in tokens; None if the backend does not say."""
    if usage is None:
        return None
    return _new_usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_creation_tokens=_sum(usage.cache_creation),
        credits=to_decimal(usage.total_credits),
        model_credits=to_decimal(usage.model_credits),
        sandbox_credits=to_decimal(usage.sandbox_runtime_credits),
    )


def from_new_session(new: NewSession) -> dict[str, Any]:
    """The body of `POST /sessions`: what was given, and no more.

    Raises:
        UsageError: The agent or the environment is missing, or metadata is over a limit.
    """
    given = {
        "agent": new.agent,
        "environment_id": new.environment,
        "title": new.title,
        "metadata": None if new.metadata is None else _checked_metadata(new.metadata),
    }
    body = {name: value for name, value in given.items() if value is not None}
    body |= new.native.to_body() if new.native else {}
    if not (body.get("agent") and body.get("environment_id")):
        raise UsageError("a Qoder session needs both an agent and an environment")
    return body


def from_changes(changes: SessionChanges, known_keys: Iterable[str] = ()) -> dict[str, Any]:
    """The body of `POST /sessions/{id}`: what was asked for, and no more.

    Args:
        changes: What was asked for.
        known_keys: The session's metadata keys, to remove all of them.

    Raises:
        UsageError: Metadata is over a limit.
    """
    body: dict[str, Any] = {}
    if not isinstance(changes.title, Unset):
        body["title"] = changes.title
    if changes.metadata is None:
        body["metadata"] = dict.fromkeys(known_keys)
    elif not isinstance(changes.metadata, Unset):
        body["metadata"] = _checked_metadata(changes.metadata)
    return body | (changes.native.to_body() if changes.native else {})


def from_new_agent(new: NewAgent) -> dict[str, Any]:
    """The body of `POST /agents`.

    Raises:
        UsageError: The model is missing.
    """
    given = {"name": new.name, "model": new.model, "system": new.system_prompt, "description": new.description}
    body = {name: value for name, value in given.items() if value is not None}
    body |= new.native.to_body() if new.native else {}
    if not body.get("model"):
        raise UsageError("a Qoder agent needs a model, such as 'auto'")
    return body


def wire_status(status: SessionStatus) -> str:
    """The current generation's word for a status.

    Raises:
        UsageError: No Qoder session is ever in it.
    """
    if status.value not in _CURRENT_STATUSES:
        raise UsageError(f"a Qoder session is never {status.value!r}; it is one of {', '.join(_CURRENT_STATUSES)}")
    return status.value


def wire_time(moment: datetime) -> str:
    """RFC 3339 in UTC, microsecond precision."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _checked_metadata(metadata: Mapping[str, str | None]) -> dict[str, str | None]:
    """The metadata, within the limits that every Qoder resource has.

    Backend: https://docs.qoder.com/cloud-agents/api/conventions/schemas (read 2026-11)
    """
    kept = [key for key, value in metadata.items() if value is not None]
    if len(kept) > _METADATA_KEYS:
        raise UsageError(f"metadata has {len(kept)} keys; Qoder takes at most {_METADATA_KEYS}")
    for key, value in metadata.items():
        if len(key) > _METADATA_KEY_LENGTH:
            raise UsageError(f"metadata key {key!r} has {len(key)} characters; at most {_METADATA_KEY_LENGTH}")
        if value is not None and len(value) > _METADATA_VALUE_LENGTH:
            raise UsageError(
                f"the metadata value of {key!r} has {len(value)} characters; at most {_METADATA_VALUE_LENGTH}"
            )
    return dict(metadata)


def _model(model: WireModel | str | None) -> ModelConfig | None:
    if isinstance(model, WireModel):
        return _new_model(id=model.id, parameters=dict(model.model_extra or {}))
    return _new_model(id=model) if model else None


def _sum(parts: Mapping[str, int | None] | None) -> int | None:
    return None if parts is None else sum(part or 0 for part in parts.values())


def to_decimal(number: float | None) -> Decimal | None:
    """A number of JSON, with the digits that it has there."""
    return None if number is None else Decimal(str(number))


def _write_agent_id(wire: dict[str, Any], agent_id: str | None) -> None:
    wire["agent"] = {**(wire.get("agent") or {}), "id": agent_id}
    if "agent_id" in wire:  # older generations say it twice
        wire["agent_id"] = agent_id


def _write_model(wire: dict[str, Any], model: ModelConfig | None) -> None:
    written = None if model is None else {**model.parameters, "id": model.id}
    wire["agent"] = {**(wire.get("agent") or {}), "model": written}


def _write_usage(wire: dict[str, Any], usage: Usage | None) -> None:
    """Write the counters that differ, so that one change does not sum up the parts of another."""
    if usage is None:
        wire["usage"] = None
        return
    written: dict[str, Any] = dict(wire.get("usage") or {})
    before = to_usage(WireUsage.model_validate(written))
    for name, key in _USAGE_KEYS.items():
        value = getattr(usage, name)
        if value != getattr(before, name):
            written[key] = _counter(key, value)
    wire["usage"] = written


def _counter(key: str, value: Decimal | int | None) -> Any:
    if key == "cache_creation" and value is not None:
        return {"ephemeral_5m_input_tokens": value}
    return float(value) if isinstance(value, Decimal) else value


def _write_native_status(wire: dict[str, Any], word: str) -> None:
    wire["status"] = word or None


def _write_status(wire: dict[str, Any], status: SessionStatus) -> None:
    """Write a status that the word beside it does not say already."""
    if to_status(wire.get("status"), wire.get("turn_status")) is status:
        return
    wire["status"] = wire_status(status)
    if "turn_status" in wire:
        wire["turn_status"] = "running" if status is SessionStatus.RUNNING else "idle"


def _key(name: str) -> Callable[[dict[str, Any], Any], None]:
    def write(wire: dict[str, Any], value: Any) -> None:
        wire[name] = wire_time(value) if isinstance(value, datetime) else value

    return write


_WRITERS: Final[Mapping[str, Callable[[dict[str, Any], Any], None]]] = {
    "id": _key("id"),
    "agent_id": _write_agent_id,
    "title": _key("title"),
    "native_status": _write_native_status,
    "status": _write_status,  # after the backend's own word, which says more
    "metadata": _key("metadata"),
    "model": _write_model,
    "environment_id": _key("environment_id"),
    "usage": _write_usage,
    "created_at": _key("created_at"),
    "updated_at": _key("updated_at"),
    "archived_at": _key("archived_at"),
}
