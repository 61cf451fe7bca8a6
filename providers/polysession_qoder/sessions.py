"""Qoder's sessions, agents, environments and models to the common records, and requests to Qoder's calls. Pure.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/schemas,
https://docs.qoder.com/cloud-agents/api/conventions/pagination and
https://docs.qoder.com/cloud-agents/api/conventions/idempotency (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any, Final, TypeVar

from polysession.provider_api import (
    Agent,
    Call,
    Environment,
    ErrorDetail,
    MalformedResponse,
    Model,
    ModelConfig,
    NewAgent,
    NewEnvironment,
    NewSession,
    Page,
    Response,
    Session,
    SessionChanges,
    SessionQuery,
    SessionRef,
    SessionStatus,
    Unset,
    Usage,
    UsageError,
    decoder,
    json_body,
    path_segment,
    read_list,
    read_response,
    record_reader,
)
from polysession_qoder.wire import (
    WireAgent,
    WireAgentSnapshot,
    WireEnvironment,
    WireError,
    WireErrorBody,
    WireModel,
    WirePage,
    WireSession,
    WireUsage,
)

T = TypeVar("T")

NAME: Final = "qoder"
IDEMPOTENCY_KEY: Final = "idempotency-key"
MAX_PAGE_SIZE: Final = 100
"""Items of the largest page."""

_CURRENT_STATUSES: Final[Mapping[str, SessionStatus]] = {
    "idle": SessionStatus.IDLE,
    "running": SessionStatus.RUNNING,
    "rescheduling": SessionStatus.RESCHEDULING,
    "terminated": SessionStatus.TERMINATED,
}
_STATUSES: Final[Mapping[str, SessionStatus]] = {
    **_CURRENT_STATUSES,
    # Older generations. A session that is being cancelled still holds its turn.
    "processing": SessionStatus.RUNNING,
    "canceling": SessionStatus.RUNNING,
    "cancelled": SessionStatus.TERMINATED,
    "archived": SessionStatus.TERMINATED,
}
_BUSY_TURNS: Final = frozenset({"running", "canceling"})

_METADATA_KEYS: Final = 16
_METADATA_KEY_LENGTH: Final = 64
_METADATA_VALUE_LENGTH: Final = 512

_read_page: Final = decoder(WirePage)
_read_error: Final = decoder(WireErrorBody)


def _to_session(wire: WireSession, content: bytes, problems: tuple[str, ...]) -> Session:
    agent = WireAgentSnapshot(id=wire.agent) if isinstance(wire.agent, str) else wire.agent or WireAgentSnapshot()
    model = _to_model(agent.model)
    if agent.model and model is None:
        problems = (*problems, "agent.model.id: not text")
    return Session(
        provider=NAME,
        id=wire.id,
        agent_id=agent.id or wire.agent_id,
        title=wire.title or None,  # older generations write "" for no title
        status=to_status(wire.status, wire.turn_status),
        native_status=wire.status or "",
        metadata=wire.metadata or {},
        model=model,
        environment_id=wire.environment_id,
        usage=None if wire.usage is None else to_usage(wire.usage),
        origin="deployment" if wire.deployment_id else None,
        archived_at=wire.archived_at,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


def _to_agent(wire: WireAgent, content: bytes, problems: tuple[str, ...]) -> Agent:
    model = _to_model(wire.model)
    if wire.model and model is None:
        problems = (*problems, "model.id: not text")
    return Agent(
        provider=NAME,
        id=wire.id,
        name=wire.name or "",
        description=wire.description or None,
        model=None if model is None else model.id,
        system_prompt=wire.system or wire.instructions or None,
        version=None if wire.version is None else str(wire.version),
        archived_at=wire.archived_at,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


to_session: Final = record_reader(WireSession, _to_session)
"""Reads a session of any generation. Raises `MalformedResponse` without an id."""

to_agent: Final = record_reader(WireAgent, _to_agent)
"""Reads an agent of any generation. Raises `MalformedResponse` without an id."""


def _to_environment(wire: WireEnvironment, content: bytes, problems: tuple[str, ...]) -> Environment:
    return Environment(
        provider=NAME,
        id=wire.id,
        name=wire.name or "",
        description=wire.description or None,
        metadata=wire.metadata or {},
        archived_at=wire.archived_at,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


def _to_listed_model(wire: WireModel, content: bytes, problems: tuple[str, ...]) -> Model:
    return Model(provider=NAME, id=wire.id, name=wire.display_name or None, source=content, problems=problems)


to_environment: Final = record_reader(WireEnvironment, _to_environment)
"""Reads an environment of any generation. Raises `MalformedResponse` without an id."""

to_listed_model: Final = record_reader(WireModel, _to_listed_model)
"""Reads an item of the list of models. Raises `MalformedResponse` without an id."""


def to_status(word: str | None, turn_word: str | None = None) -> SessionStatus:
    """A status in common words.

    In May 2026 a session stayed `idle` while `turn_status` was `running`.
    """
    status = _STATUSES.get(word or "", SessionStatus.UNKNOWN)
    return SessionStatus.RUNNING if turn_word in _BUSY_TURNS and status is SessionStatus.IDLE else status


def to_usage(wire: WireUsage) -> Usage:
    """Consumption, in credits or in tokens."""
    parts = wire.cache_creation
    return Usage(
        input_tokens=wire.input_tokens,
        output_tokens=wire.output_tokens,
        cache_read_tokens=wire.cache_read_input_tokens,
        cache_creation_tokens=None if parts is None else sum(part or 0 for part in parts.values()),
        credits=wire.total_credits,
        model_credits=wire.model_credits,
        sandbox_credits=wire.sandbox_runtime_credits,
    )


def _to_model(model: dict[str, Any] | str | None) -> ModelConfig | None:
    if not model:
        return None
    if isinstance(model, str):
        return ModelConfig(id=model)
    model_id, parameters = model.get("id"), {name: value for name, value in model.items() if name != "id"}
    return ModelConfig(id=model_id, parameters=parameters) if isinstance(model_id, str) else None


def to_page(response: Response, to_item: Callable[[bytes], T]) -> Page[T]:
    """Read a page. An item that cannot be read is reported in the page's `problems`.

    Args:
        response: The response.
        to_item: Reads an item.

    Raises:
        MalformedResponse: It is not a page, or the position of the next page cannot be read.
    """
    wire, problems = read_response(_read_page, response)
    if any(problem.startswith(("next_page:", "has_more:")) for problem in problems):
        raise MalformedResponse(f"cannot tell where the list continues: {'; '.join(problems)}")
    return read_list(wire.data, to_item, next_cursor=_next_cursor(wire))


def _next_cursor(page: WirePage) -> str | None:
    """The cursor of the next page. It names its parameter, because older generations continue by another one."""
    if page.next_page and page.has_more is not False:
        return f"page={page.next_page}"
    if not page.has_more:
        return None
    if page.last_id:
        return f"after_id={page.last_id}"
    raise MalformedResponse("the response says that there are more pages, but gives no cursor")


def page_parameters(page_size: int | None, cursor: str | None) -> dict[str, Any]:
    """The query of one page.

    Raises:
        UsageError: The page is larger than Qoder's largest, or the cursor is not one of a Qoder list.
    """
    if page_size is not None and page_size > MAX_PAGE_SIZE:
        raise UsageError(f"page_size is {page_size}; a page of Qoder has at most {MAX_PAGE_SIZE} items")
    parameters: dict[str, Any] = {} if page_size is None else {"limit": page_size}
    if cursor is not None:
        name, _, value = cursor.partition("=")
        if name not in {"page", "after_id"} or not value:
            raise UsageError(f"{cursor!r} is not a cursor of this list")
        parameters[name] = value
    return parameters


def to_error(content: bytes) -> ErrorDetail:
    """Read an error body of any generation; an empty or foreign body gives an empty detail."""
    try:
        body, _ = _read_error(content)
    except MalformedResponse:
        return ErrorDetail()
    error = WireError(message=body.error) if isinstance(body.error, str) else body.error or WireError()
    message = error.message or ""
    if error.param:
        message = f"{message} (parameter {error.param})"
    code = error.code or error.type
    return ErrorDetail(message, None if code is None else str(code), body.request_id)


def post(path: str, body: Mapping[str, Any], idempotency_key: str | None = None) -> Call:
    """Build a write that is safe to repeat.

    Args:
        path: Its path.
        body: Its JSON object.
        idempotency_key: The caller's key; None for a random one.
    """
    headers = {} if idempotency_key is None else {IDEMPOTENCY_KEY: idempotency_key}
    return Call("POST", path, headers, body=json_body(body), idempotency_header=IDEMPOTENCY_KEY)


def session_path(ref: SessionRef) -> str:
    """The path of a session."""
    return f"/sessions/{path_segment(ref.id, 'session id')}"


def session_filters(query: SessionQuery) -> dict[str, Any]:
    """The filters that a list and a search share.

    Raises:
        UsageError: No Qoder session is ever in one of the statuses.
    """
    filters: dict[str, Any] = {
        "agent_id": query.agent,
        "statuses": [_to_status_word(status) for status in query.statuses] or None,
        "include_archived": True if query.include_archived else None,
        "order": "asc" if query.oldest_first else None,
    }
    filters |= query.native.to_body() if query.native else {}
    return {name: value for name, value in filters.items() if value is not None}


def created_filters(query: SessionQuery) -> dict[str, str]:
    """The filters by time of creation that only a list has: RFC 3339 in UTC, microsecond precision."""
    bounds = {"created_at[gt]": query.created_after, "created_at[lt]": query.created_before}
    return {
        name: moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        for name, moment in bounds.items()
        if moment is not None
    }


def _to_status_word(status: SessionStatus) -> str:
    words = [word for word, common in _CURRENT_STATUSES.items() if common is status]
    if not words:
        raise UsageError(f"a Qoder session is never {status.value!r}; it is one of {', '.join(_CURRENT_STATUSES)}")
    return words[0]


def new_session_body(new: NewSession) -> dict[str, Any]:
    """The body of `POST /sessions`: the fields that were given.

    Raises:
        UsageError: The agent or the environment is missing, or metadata is over a limit.
    """
    given = {
        "agent": new.agent,
        "environment_id": new.environment,
        "title": new.title,
        "metadata": None if new.metadata is None else _check_new_metadata(new.metadata),
    }
    body = {name: value for name, value in given.items() if value is not None}
    body |= new.native.to_body() if new.native else {}
    if not (body.get("agent") and body.get("environment_id")):
        raise UsageError("a Qoder session needs both an agent and an environment")
    return body


def changes_body(changes: SessionChanges, known_keys: Iterable[str] = ()) -> dict[str, Any]:
    """The body of `POST /sessions/{id}`: the fields that were given.

    Args:
        changes: The changes.
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
        body["metadata"] = _check_metadata(changes.metadata)
    return body | (changes.native.to_body() if changes.native else {})


def new_agent_body(new: NewAgent) -> dict[str, Any]:
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


def new_environment_body(new: NewEnvironment) -> dict[str, Any]:
    """The body of `POST /environments`. Without a native `config` it is the smallest cloud environment."""
    given = {
        "name": new.name,
        "description": new.description,
        "metadata": None if new.metadata is None else _check_new_metadata(new.metadata),
        "config": {"type": "cloud"},
    }
    body = {name: value for name, value in given.items() if value is not None}
    return body | (new.native.to_body() if new.native else {})


def _check_new_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    empty = [key for key, value in metadata.items() if value is None]
    if empty:
        raise UsageError(f"the metadata value of {empty[0]!r} is None; a new resource takes text only")
    return _check_metadata(metadata)


def _check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata, within the limits that every Qoder resource has: text values only.

    Backend: https://docs.qoder.com/cloud-agents/api/conventions/schemas (read 2026-11)
    """
    kept = [key for key, value in metadata.items() if value is not None]
    if len(kept) > _METADATA_KEYS:
        raise UsageError(f"metadata has {len(kept)} keys; Qoder takes at most {_METADATA_KEYS}")
    for key, value in metadata.items():
        if len(key) > _METADATA_KEY_LENGTH:
            raise UsageError(f"metadata key {key!r} has {len(key)} characters; at most {_METADATA_KEY_LENGTH}")
        if value is None:
            continue
        if not isinstance(value, str):
            raise UsageError(f"the metadata value of {key!r} is a {type(value).__name__}; Qoder takes text only")
        if len(value) > _METADATA_VALUE_LENGTH:
            raise UsageError(
                f"the metadata value of {key!r} has {len(value)} characters; at most {_METADATA_VALUE_LENGTH}"
            )
    return dict(metadata)
