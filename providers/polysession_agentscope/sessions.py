"""Conversion of AgentScope's sessions and agents, and the calls that find them.

Times of records have no time zone and are read as UTC. This is correct for SQL storage; on Redis storage they are in
the server's local time.

Backend: https://docs.agentscope.io/api-reference/sessions/update-a-session and its siblings (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw

from polysession.provider_api import (
    Agent,
    AgentChanges,
    Call,
    Feature,
    Flow,
    MalformedResponse,
    Model,
    ModelConfig,
    NewAgent,
    NewSession,
    NotFound,
    Page,
    PolysessionError,
    Response,
    Session,
    SessionChanges,
    SessionStatus,
    Unset,
    UnsupportedOperation,
    UsageError,
    decoder,
    path_segment,
    read_list,
    read_response,
    record_reader,
    with_query,
)
from polysession_agentscope.native import AgentScopeSessionChanges
from polysession_agentscope.wire import (
    WireAgent,
    WireAgentData,
    WireAnswer,
    WireCredentials,
    WireHealth,
    WireModelCard,
    WireModelConfig,
    WireModels,
    WirePermissions,
    WireRecord,
    WireSession,
    WireSessionConfig,
    WireSessions,
    WireState,
    WireStatus,
    WireTeam,
)

NAME: Final = "agentscope"
STATUSES: Final[Mapping[str, SessionStatus]] = {
    "idle": SessionStatus.IDLE,
    "running": SessionStatus.RUNNING,
    "awaiting_permission": SessionStatus.REQUIRES_ACTION,
    "awaiting_external_result": SessionStatus.REQUIRES_ACTION,
}
PERMISSION_MODES: Final = ("default", "accept_edits", "explore", "bypass", "dont_ask")
RUNNING: Final = "running"
IDLE: Final = "idle"

_POSSIBLE_STATUSES: Final = frozenset({*STATUSES.values(), SessionStatus.UNKNOWN})
_UNKNOWN_ROUTE: Final = "Not Found"
_LATER_FIELDS: Final = frozenset(AgentScopeSessionChanges.model_fields)
"""Fields of a session's configuration that older servers do not have."""

_read_session = decoder(WireSession)
_read_sessions = decoder(WireSessions)
_read_status = decoder(WireStatus)
_read_health = decoder(WireHealth)
_read_answer = decoder(WireAnswer)
_read_credentials = decoder(WireCredentials)
_read_models = decoder(WireModels)


@dataclass(frozen=True, slots=True)
class SessionAddress:
    """Ids of a session and of its agent: a request needs both."""

    session_id: str
    agent_id: str

    def path(self, suffix: str = "", **query: str | int | None) -> str:
        """Return the path of the session or, with a suffix, of its resource.

        Parameters that are None are left out.
        """
        session = path_segment(self.session_id, "session id")
        return with_query(f"/sessions/{session}{suffix}", {"agent_id": self.agent_id, **query})


def _to_session(wire: WireSession, content: bytes, problems: tuple[str, ...]) -> Session:
    record = wire.session or wire
    if not record.id:
        raise MalformedResponse("the backend's JSON has no valid id of the session")
    config = record.config or WireSessionConfig()
    permissions = (record.state or WireState()).permission_context or WirePermissions()
    native_status = wire.status or (RUNNING if wire.is_running else "")
    return Session(
        provider=NAME,
        id=record.id,
        agent_id=record.agent_id,
        title=config.name,
        status=to_status(native_status),
        native_status=native_status,
        model=_model_fields(config.chat_model_config),
        permission_mode=permissions.mode,
        workspace_id=config.workspace_id,
        owner_id=record.user_id,
        origin=record.source if record.origin is None else record.origin.type,
        parent_session_id=_to_parent(record, wire.team),
        created_at=record.created_at,
        updated_at=record.updated_at,
        source=content,
        problems=problems,
    )


to_session: Final = record_reader(WireSession, _to_session)
"""Reads a session of any server version: a bare record, or a view that contains the record."""


def to_status(word: str) -> SessionStatus:
    """Return the common status for the backend's status."""
    return STATUSES.get(word, SessionStatus.UNKNOWN)


def with_status(session: Session, word: str) -> Session:
    """Return the session with a status that was read by another call; `source` does not change."""
    return session.model_copy(update={"status": to_status(word), "native_status": word})


def _to_agent(wire: WireAgent, content: bytes, problems: tuple[str, ...]) -> Agent:
    data = wire.data or WireAgentData()
    return Agent(
        provider=NAME,
        id=wire.id,
        name=data.name or "",
        system_prompt=data.system_prompt,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


to_agent: Final = record_reader(WireAgent, _to_agent)
"""Reads an agent."""


def build_new_session(new: NewSession, agent_id: str) -> dict[str, Any]:
    """Return the body of `POST /sessions/`. It cannot contain the permission mode.

    Raises:
        UsageError: The model has no `type` or no `credential_id`.
    """
    fields = {
        "agent_id": agent_id,
        "name": new.title,
        "workspace_id": new.workspace,
        "chat_model_config": None if new.model is None else _build_model(new.model),
    }
    body = {name: value for name, value in fields.items() if value is not None}
    return body | (new.native.to_body() if new.native else {})


def build_changes(changes: SessionChanges) -> dict[str, Any]:
    """Return the body of `PATCH /sessions/{id}`: only the fields to change.

    Raises:
        UsageError: The model has no `type` or no `credential_id`, or the permission mode is unknown.
    """
    body: dict[str, Any] = {}
    if not isinstance(changes.title, Unset):
        body["name"] = changes.title
    if not isinstance(changes.model, Unset):
        body["chat_model_config"] = None if changes.model is None else _build_model(changes.model)
    if isinstance(changes.permission_mode, str):
        body["permission_mode"] = require_mode(changes.permission_mode)
    return body | (changes.native.to_body() if changes.native else {})


def build_new_agent(new: NewAgent) -> dict[str, Any]:
    """Return the body of `POST /agent/`."""
    fields = {"name": new.name, "system_prompt": new.system_prompt}
    body = {name: value for name, value in fields.items() if value is not None}
    return body | (new.native.to_body() if new.native else {})


def build_agent_changes(changes: AgentChanges) -> dict[str, Any]:
    """Return the body of `PATCH /agent/{id}`: only the fields to change."""
    fields = {"name": changes.name, "system_prompt": changes.system_prompt}
    body = {name: value for name, value in fields.items() if not isinstance(value, Unset)}
    return body | (changes.native.to_body() if changes.native else {})


def depends_on_version(body: Mapping[str, Any]) -> bool:
    """Whether a change has a field that an older server ignores without an error."""
    return any(value is None or name in _LATER_FIELDS for name, value in body.items())


def ignored_fields(body: Mapping[str, Any], session: Session) -> list[str]:
    """Return the fields of a creation or a change that the server ignores without an error.

    A server lists every field that it knows in the `config` of a session. A server that lists bare records (2.0.0)
    also ignores null.

    Args:
        body: Body of the creation or the change.
        session: Any session from a list of that server.
    """
    is_view = "session" in session.raw
    config = _config_of(session)
    return [
        name
        for name, value in body.items()
        if (name in _LATER_FIELDS and name not in config) or (value is None and not is_view)
    ]


def ignored_parts(body: Mapping[str, Any], session: Session) -> list[str]:
    """Return the sent parts of models that the server did not store.

    This is `model_class` before 2.0.11.
    """
    config = _config_of(session)
    return [
        f"{name}.model_class"
        for name in ("chat_model_config", "fallback_chat_model_config")
        if _object(body.get(name)).get("model_class") and "model_class" not in (_object(config.get(name)) or body[name])
    ]


def require_mode(mode: str) -> str:
    """Return the permission mode.

    Raises:
        UsageError: AgentScope has no such mode.
    """
    if mode not in PERMISSION_MODES:
        raise UsageError(f"{mode!r} is not a permission mode; AgentScope has {', '.join(PERMISSION_MODES)}")
    return mode


def check_statuses(statuses: Iterable[SessionStatus]) -> None:
    """Check that a session can have each of these statuses.

    Raises:
        UsageError: A session never has one of them.
    """
    for status in statuses:
        if status not in _POSSIBLE_STATUSES:
            possible = ", ".join(sorted(_POSSIBLE_STATUSES))
            raise UsageError(f"an AgentScope session is never {status.value!r}; it is one of {possible}")


def list_call(agent_id: str) -> Call:
    """Return the call that lists all sessions of an agent."""
    return Call("GET", with_query("/sessions/", {"agent_id": agent_id}))


def list_items(agent_id: str) -> Flow[Sequence[Raw]]:
    """Read all sessions of an agent, undecoded."""
    return read_response(_read_sessions, (yield list_call(agent_id)))[0].sessions


def is_view(content: bytes) -> bool:
    """Whether an item of a list is a view (2.0.1 or later) and not a bare record.

    An unreadable item counts as one.
    """
    try:
        return _read_session(content)[0].session is not None
    except MalformedResponse:
        return True


def find_session(session_id: str, agent_id: str) -> Flow[Session]:
    """Find a session in the list of its agent.

    The server has no call that only reads one session.

    Raises:
        NotFound: The agent has no such session.
    """
    for item in (yield from list_items(agent_id)):
        content = bytes(item)
        try:
            wire = _read_session(content)[0]
        except MalformedResponse:
            continue  # not an object, so it has no id
        record = wire.session or wire
        if record.id == session_id and record.agent_id in {agent_id, None}:
            return to_session(content)
    raise no_session(session_id, agent_id)


def no_session(session_id: str, agent_id: str) -> NotFound:
    """Return the error for a session that the agent does not have."""
    return NotFound(f"agent {agent_id!r} has no session {session_id!r}; another agent of the user may have it")


def list_models() -> Flow[Page[Model]]:
    """Read the models of the user's credentials.

    The response contains secrets in plain text, so no part of it is kept.

    Backend: `GET /credential/` and `GET /model/` of `/openapi.json`, server 2.0.11 (read 2026-11)
    """
    listed, _ = read_response(_read_credentials, (yield Call("GET", "/credential/")))
    models: list[Model] = []
    problems: list[str] = []
    cards: dict[str, Sequence[Raw]] = {}
    for credential in listed.credentials:
        kind = credential.data.type if credential.data else None
        if kind is None:
            problems.append(f"credential {credential.id}: no readable type, so its models are missing")
            continue
        if kind not in cards:
            response = yield Call("GET", with_query("/model/", {"provider": kind}))
            cards[kind] = read_response(_read_models, response)[0].models
        found = read_list(cards[kind], _model_reader(kind, credential.id))
        models += found.items
        problems += [f"{kind}: {problem}" for problem in found.problems]
    return Page(tuple(models), None, tuple(problems))


def _model_reader(kind: str, credential_id: str) -> Callable[[bytes], Model]:
    def build(wire: WireModelCard, content: bytes, problems: tuple[str, ...]) -> Model:
        return Model(
            provider=NAME,
            id=wire.name,
            name=wire.label,
            type=kind,
            credential_id=credential_id,
            source=content,
            problems=problems,
        )

    return record_reader(WireModelCard, build)


def request_status(address: SessionAddress, *, after_s: float = 0.0) -> Flow[Response | None]:
    """Request the status of a session.

    None from a server older than 2.0.4, which has no such call.

    Args:
        address: The session.
        after_s: Seconds to wait before the request.
    """
    try:
        return (yield Call("GET", address.path("/status"), after_s=after_s))
    except NotFound as error:
        # A missing session is a 404, too, with a message that names it. There is no error code.
        if error.message != _UNKNOWN_ROUTE:
            raise
        return None


def read_status(address: SessionAddress, *, after_s: float = 0.0) -> Flow[str]:
    """Read the backend's status.

    A server older than 2.0.4 only has `running` and the empty text.
    """
    response = yield from request_status(address, after_s=after_s)
    if response is None:  # pragma: no branch  (coverage loses the step after an error was thrown into a generator)
        session = yield from find_session(address.session_id, address.agent_id)
        return session.native_status
    return status_word(response)


def read_settled_status(address: SessionAddress, waits_s: Iterable[float]) -> Flow[str]:
    """Read the status after each of these waits, in seconds, until the session is not running."""
    word = RUNNING
    for wait_s in waits_s:
        word = yield from read_status(address, after_s=wait_s)
        if word != RUNNING:
            break
    return word


def status_word(response: Response) -> str:
    """Return the backend's status in the response to the status call."""
    return read_response(_read_status, response)[0].status


def read_version() -> Flow[str | None]:
    """Read the version of the server; None if it is older than 2.0.6, which does not report it."""
    try:
        response = yield Call("GET", "/health")
    except NotFound:
        return None
    return read_response(_read_health, response)[0].version


def check_answer(response: Response) -> None:
    """Check that the response to a change is a JSON object or empty.

    An HTML page is not a success.

    Raises:
        MalformedResponse: It is neither.
    """
    if response.content.strip():
        read_response(_read_answer, response)


@contextmanager
def already_done(what: str) -> Iterator[None]:
    """Add to an error what was done before it."""
    try:
        yield
    except PolysessionError as error:
        error.already_done = what
        raise


def too_old(feature: Feature, to_what: str, hint: str) -> UnsupportedOperation:
    """Return the error for a call that needs a newer server."""
    message = f"this AgentScope server is too old {to_what}: {hint}"
    return UnsupportedOperation(message, feature=feature.value, hint=hint)


def _config_of(session: Session) -> dict[str, Any]:
    return _object(_object(session.raw.get("session", session.raw)).get("config"))


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _model_fields(wire: WireModelConfig | None) -> dict[str, Any] | None:
    """Return the fields of a `ModelConfig`."""
    if wire is None:
        return None
    return {
        "id": wire.model,
        "type": wire.type,
        "credential_id": wire.credential_id,
        "parameters": wire.parameters or {},
        "model_class": wire.model_class or None,
    }


def _to_parent(record: WireRecord, team: WireTeam | None) -> str | None:
    """Return the id of the session of the team's leader; None if it is this session."""
    leader = team.team.session_id if team and team.team else None
    return None if leader == record.id else leader


def _build_model(model: ModelConfig) -> dict[str, Any]:
    """Return the model's body, with the four keys that the backend requires."""
    if model.type is None or model.credential_id is None:
        raise UsageError(
            f"model {model.id!r} has no {'type' if model.type is None else 'credential_id'}: AgentScope needs both,"
            f" as in ModelConfig(id={model.id!r}, type='openai_credential', credential_id=...)"
        )
    keys = {
        "type": model.type,
        "credential_id": model.credential_id,
        "model": model.id,
        "parameters": dict(model.parameters),
    }
    return keys if model.model_class is None else keys | {"model_class": model.model_class}
