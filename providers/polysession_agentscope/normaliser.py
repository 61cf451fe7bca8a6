"""AgentScope's wire objects to the common model, and back. Pure and total.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
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
    UsageError,
    write_back,
)
from polysession_agentscope.wire import WireAgent, WireModelConfig, WireSessionConfig, WireView

NAME: Final = "agentscope"

_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "idle": SessionStatus.IDLE,
    "running": SessionStatus.RUNNING,
    "awaiting_permission": SessionStatus.REQUIRES_ACTION,
    "awaiting_external_result": SessionStatus.REQUIRES_ACTION,
}
_POSSIBLE_STATUSES: Final = frozenset({*_STATUSES.values(), SessionStatus.UNKNOWN})
_PERMISSION_MODES: Final = ("default", "accept_edits", "explore", "bypass", "dont_ask")


def to_session(raw: dict[str, Any]) -> Session:
    """A session from its wire object: a view, or a bare record.

    Record times have no zone. They are taken for UTC, which they are on SQL storage; on Redis storage they are in the
    server's local time.

    Raises:
        pydantic.ValidationError: It is neither.
    """
    wire = WireView.model_validate(raw if is_view(raw) else {"session": raw})
    record = wire.session
    config = record.config or WireSessionConfig()
    permissions = record.state.permission_context if record.state else None
    native_status = wire.status or ("running" if wire.is_running else "")
    return Session(
        provider=NAME,
        id=record.id,
        agent_id=record.agent_id,
        title=config.name,
        status=to_status(native_status),
        native_status=native_status,
        model=_model(config.chat_model_config),
        permission_mode=permissions.mode if permissions else None,
        workspace_id=config.workspace_id,
        owner_id=record.user_id,
        created_at=record.created_at,
        updated_at=record.updated_at,
        raw=raw,
    )


def from_session(session: Session) -> dict[str, Any]:
    """The wire object of a session: every key of `raw` kept, every field that the backend has written.

    A record whose status is known becomes a view, because a record has no place for it.
    """
    return write_back(session, to_session, _WRITERS)


def is_view(raw: Mapping[str, Any]) -> bool:
    """Whether a wire object is a view, which holds a record, rather than a record."""
    return isinstance(raw.get("session"), dict)


def record_of(raw: dict[str, Any]) -> dict[str, Any]:
    """The record in a wire object: of a view the inner part, else the object itself."""
    record: dict[str, Any] = raw["session"] if is_view(raw) else raw
    return record


def to_status(word: str) -> SessionStatus:
    """A status in common words."""
    return _STATUSES.get(word, SessionStatus.UNKNOWN)


def with_status(session: Session, word: str) -> Session:
    """The session, with a status that was asked for separately; `raw` stays what was received."""
    return session.model_copy(update={"status": to_status(word), "native_status": word})


def to_agent(raw: dict[str, Any]) -> Agent:
    """An agent from its wire object.

    Raises:
        pydantic.ValidationError: It is not an agent.
    """
    wire = WireAgent.model_validate(raw)
    return Agent(
        provider=NAME,
        id=wire.id,
        name=wire.data.name,
        system_prompt=wire.data.system_prompt,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        raw=raw,
    )


def from_new_session(new: NewSession, agent_id: str) -> dict[str, Any]:
    """The body of `POST /sessions/`: what was given, and no more. The permission mode has no place in it.

    Raises:
        UsageError: The model lacks a part.
    """
    given = {
        "agent_id": agent_id,
        "name": new.title,
        "workspace_id": new.workspace,
        "chat_model_config": None if new.model is None else _wire_model(new.model),
    }
    body = {name: value for name, value in given.items() if value is not None}
    return body | (new.native.to_body() if new.native else {})


def from_changes(changes: SessionChanges) -> dict[str, Any]:
    """The body of `PATCH /sessions/{id}`: what was asked for, and no more.

    Raises:
        UsageError: The model lacks a part, or there is no such permission mode.
    """
    body: dict[str, Any] = {}
    if not isinstance(changes.title, Unset):
        body["name"] = changes.title
    if not isinstance(changes.model, Unset):
        body["chat_model_config"] = None if changes.model is None else _wire_model(changes.model)
    if isinstance(changes.permission_mode, str):
        body["permission_mode"] = checked_mode(changes.permission_mode)
    return body | (changes.native.to_body() if changes.native else {})


def from_new_agent(new: NewAgent) -> dict[str, Any]:
    """The body of `POST /agent/`: what was given, and no more."""
    given = {"name": new.name, "system_prompt": new.system_prompt}
    body = {name: value for name, value in given.items() if value is not None}
    return body | (new.native.to_body() if new.native else {})


@cache
def _later_fields() -> frozenset[str]:
    """Fields of a configuration that not every server knows."""
    from polysession_agentscope.native import AgentScopeSessionChanges  # noqa: PLC0415  (only a change needs it)

    return frozenset(AgentScopeSessionChanges.model_fields)


def depends_on_version(body: Mapping[str, Any]) -> bool:
    """Whether a change has a part that some server generation would ignore without a word."""
    return any(value is None or name in _later_fields() for name, value in body.items())


def ignored_fields(body: Mapping[str, Any], raw: dict[str, Any]) -> list[str]:
    """The parts of a body that the server would ignore without a word.

    A server lists every field that it knows in a session's `config`, and one that lists bare records (2.0.0) keeps
    the old value where a null is sent.

    Args:
        body: Of a creation or a change.
        raw: Any session of that server, as it lists it.
    """
    config = record_of(raw).get("config") or {}
    return [
        name
        for name, value in body.items()
        if (name in _later_fields() and name not in config) or (value is None and not is_view(raw))
    ]


def checked_mode(mode: str) -> str:
    """A permission mode that exists.

    Raises:
        UsageError: It does not.
    """
    if mode not in _PERMISSION_MODES:
        raise UsageError(f"{mode!r} is not a permission mode; AgentScope has {', '.join(_PERMISSION_MODES)}")
    return mode


def check_statuses(statuses: Iterable[SessionStatus]) -> None:
    """Raise if a session can never have one of these statuses.

    Raises:
        UsageError: A session can never have it.
    """
    for status in statuses:
        if status not in _POSSIBLE_STATUSES:
            possible = ", ".join(sorted(_POSSIBLE_STATUSES))
            raise UsageError(f"an AgentScope session is never {status.value!r}; it is one of {possible}")


def _model(wire: WireModelConfig | None) -> ModelConfig | None:
    if wire is None:
        return None
    return ModelConfig(
        id=wire.model, type=wire.type, credential_id=wire.credential_id, parameters=wire.parameters or {}
    )


def _wire_model(model: ModelConfig) -> dict[str, Any]:
    """A model with the four keys that the backend insists on."""
    if model.type is None or model.credential_id is None:
        raise UsageError(
            f"model {model.id!r} lacks its {'type' if model.type is None else 'credential_id'}: AgentScope needs"
            " ModelConfig(id=..., type='openai_credential', credential_id=...) or the like"
        )
    return _four_keys(model)


def _four_keys(model: ModelConfig) -> dict[str, Any]:
    return {
        "type": model.type,
        "credential_id": model.credential_id,
        "model": model.id,
        "parameters": model.parameters,
    }


def _write(*path: str) -> Callable[[dict[str, Any], Any], None]:
    """A writer of one key of the record, at the end of this path."""

    def write(wire: dict[str, Any], value: Any) -> None:
        owner = record_of(wire)
        for name in path[:-1]:
            owner[name] = owner.get(name) or {}
            owner = owner[name]
        owner[path[-1]] = _plain(value)

    return write


def _plain(value: Any) -> Any:
    """A value as JSON has it; a time without its zone, as records have it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return _four_keys(value) if isinstance(value, ModelConfig) else value


def _write_native_status(wire: dict[str, Any], status: str) -> None:
    if not is_view(wire):
        if not status:
            return
        record = dict(wire)
        wire.clear()
        wire["session"] = record
    wire["status"] = status or None
    wire["is_running"] = status == "running"


_WRITERS: Final[Mapping[str, Callable[[dict[str, Any], Any], None]]] = {
    "id": _write("id"),
    "agent_id": _write("agent_id"),
    "title": _write("config", "name"),
    "native_status": _write_native_status,
    "model": _write("config", "chat_model_config"),
    "permission_mode": _write("state", "permission_context", "mode"),
    "workspace_id": _write("config", "workspace_id"),
    "owner_id": _write("user_id"),
    "created_at": _write("created_at"),
    "updated_at": _write("updated_at"),
}
