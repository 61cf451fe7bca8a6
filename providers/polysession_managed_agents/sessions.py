"""The family's sessions, agents, environments and models to the common records, and requests to its calls. Pure.

Backend: https://platform.claude.com/docs/en/api/beta/sessions, https://docs.qoder.com/cloud-agents/api/sessions/schemas
and https://docs.qoder.com/cloud-agents/api/conventions/pagination (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any, Final, NamedTuple, TypeVar

from polysession.provider_api import (
    Agent,
    AgentChanges,
    Environment,
    MalformedResponse,
    Model,
    NewAgent,
    NewEnvironment,
    NewSession,
    Page,
    Response,
    Session,
    SessionChanges,
    SessionQuery,
    SessionStatus,
    Unset,
    UsageError,
    decoder,
    read_list,
    read_response,
    record_reader,
)
from polysession_managed_agents.member import Member
from polysession_managed_agents.wire import (
    WireAgent,
    WireAgentSnapshot,
    WireEnvironment,
    WireModel,
    WirePage,
    WireSession,
)

T = TypeVar("T")

STATUSES: Final[Mapping[str, SessionStatus]] = {
    "idle": SessionStatus.IDLE,
    "running": SessionStatus.RUNNING,
    "rescheduling": SessionStatus.RESCHEDULING,
    "terminated": SessionStatus.TERMINATED,
}
"""The status words that both members use."""

_METADATA_KEYS: Final = 16
_METADATA_KEY_LENGTH: Final = 64
_METADATA_VALUE_LENGTH: Final = 512

_read_page: Final = decoder(WirePage)


class Records(NamedTuple):
    """The functions that read a member's records. They raise `MalformedResponse` without an id."""

    session: Callable[[bytes], Session]
    agent: Callable[[bytes], Agent]
    environment: Callable[[bytes], Environment]
    model: Callable[[bytes], Model]


def session_record(
    member: Member,
    wire: WireSession,
    content: bytes,
    problems: tuple[str, ...],
    *,
    status: SessionStatus,
    usage: Mapping[str, Any] | None,
) -> Session:
    """The session in a struct.

    Args:
        member: The backend.
        wire: The struct.
        content: Its JSON text.
        problems: What could not be read.
        status: The status, in common words.
        usage: The fields of the usage; None without any.

    The usage and the model are given as their fields, so that the session and they are built in one step.
    """
    agent = WireAgentSnapshot(id=wire.agent) if isinstance(wire.agent, str) else wire.agent or WireAgentSnapshot()
    model = _model_fields(agent.model)
    if agent.model and model is None:
        problems = (*problems, "agent.model.id: not text")
    return Session(
        provider=member.name,
        id=wire.id,
        agent_id=agent.id,
        title=wire.title or None,  # Qoder's older generations write "" for no title
        status=status,
        native_status=wire.status or "",
        metadata=wire.metadata or {},
        model=model,
        environment_id=wire.environment_id,
        usage=usage,
        origin="deployment" if wire.deployment_id else None,
        archived_at=wire.archived_at,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


def agent_record(member: Member, wire: WireAgent, content: bytes, problems: tuple[str, ...]) -> Agent:
    """The agent in a struct."""
    model = _model_fields(wire.model)
    if wire.model and model is None:
        problems = (*problems, "model.id: not text")
    return Agent(
        provider=member.name,
        id=wire.id,
        name=wire.name or "",
        description=wire.description or None,
        model=None if model is None else model["id"],
        system_prompt=wire.system or None,
        version=None if wire.version is None else str(wire.version),
        archived_at=wire.archived_at,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        source=content,
        problems=problems,
    )


def environment_reader(member: Member) -> Callable[[bytes], Environment]:
    """A reader of environments. It raises `MalformedResponse` without an id."""

    def build(wire: WireEnvironment, content: bytes, problems: tuple[str, ...]) -> Environment:
        return Environment(
            provider=member.name,
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

    return record_reader(WireEnvironment, build)


def model_reader(member: Member) -> Callable[[bytes], Model]:
    """A reader of items of the list of models. It raises `MalformedResponse` without an id."""

    def build(wire: WireModel, content: bytes, problems: tuple[str, ...]) -> Model:
        return Model(
            provider=member.name, id=wire.id, name=wire.display_name or None, source=content, problems=problems
        )

    return record_reader(WireModel, build)


def _model_fields(model: dict[str, Any] | str | None) -> dict[str, Any] | None:
    """The fields of a `ModelConfig`; None without a readable id."""
    if not model:
        return None
    if isinstance(model, str):
        return {"id": model}
    model_id = model.get("id")
    parameters = {name: value for name, value in model.items() if name != "id" and value is not None}
    return {"id": model_id, "parameters": parameters} if isinstance(model_id, str) else None


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
    """The cursor of the next page. It names its parameter, because older lists of Qoder continue by another one."""
    if page.next_page and page.has_more is not False:
        return f"page={page.next_page}"
    if not page.has_more:
        return None
    if page.last_id:
        return f"after_id={page.last_id}"
    raise MalformedResponse("the response says that there are more pages, but gives no cursor")


def session_filters(member: Member, query: SessionQuery) -> dict[str, Any]:
    """The filters of a list of sessions, but for the times.

    Raises:
        UsageError: No session is ever in one of the statuses.
    """
    filters: dict[str, Any] = {
        "agent_id": query.agent,
        "statuses": [_to_status_word(member, status) for status in query.statuses] or None,
        "include_archived": True if query.include_archived else None,
        "order": "asc" if query.oldest_first else None,
    }
    filters |= query.native.to_body() if query.native else {}
    return {name: value for name, value in filters.items() if value is not None}


def list_parameters(member: Member, query: SessionQuery, cursor: str | None) -> dict[str, Any]:
    """The query of `GET /sessions`. Times are RFC 3339 in UTC, with microsecond precision.

    Raises:
        UsageError: See `session_filters` and `Member.page_parameters`.
    """
    filters = session_filters(member, query)
    filters = {"statuses[]" if name == "statuses" else name: value for name, value in filters.items()}
    bounds = {"created_at[gt]": query.created_after, "created_at[lt]": query.created_before}
    times = {
        name: moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        for name, moment in bounds.items()
        if moment is not None
    }
    return filters | times | member.page_parameters(query.page_size, cursor)


def _to_status_word(member: Member, status: SessionStatus) -> str:
    words = [word for word, common in STATUSES.items() if common is status]
    if not words:
        raise UsageError(f"a session of {member.title} is never {status.value!r}; it is one of {', '.join(STATUSES)}")
    return words[0]


def new_session_body(member: Member, new: NewSession) -> dict[str, Any]:
    """The body of `POST /sessions`: the fields that were given.

    Raises:
        UsageError: The agent or the environment is missing, or metadata is over a limit.
    """
    given = {
        "agent": new.agent,
        "environment_id": new.environment,
        "title": new.title,
        "metadata": None if new.metadata is None else _check_new_metadata(member, new.metadata),
    }
    body = {name: value for name, value in given.items() if value is not None}
    body |= new.native.to_body() if new.native else {}
    if not (body.get("agent") and body.get("environment_id")):
        raise UsageError(f"a session of {member.title} needs both an agent and an environment")
    return body


def changes_body(member: Member, changes: SessionChanges, known_keys: Iterable[str] = ()) -> dict[str, Any]:
    """The body of `POST /sessions/{id}`: the fields that were given.

    Args:
        member: The backend.
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
        body["metadata"] = _check_metadata(member, changes.metadata)
    return body | (changes.native.to_body() if changes.native else {})


def new_agent_body(member: Member, new: NewAgent) -> dict[str, Any]:
    """The body of `POST /agents`.

    Raises:
        UsageError: The model is missing.
    """
    given = {"name": new.name, "model": new.model, "system": new.system_prompt, "description": new.description}
    body = {name: value for name, value in given.items() if value is not None}
    body |= new.native.to_body() if new.native else {}
    if not body.get("model"):
        raise UsageError(f"an agent of {member.title} needs a model; client.models.list() has them")
    return body


def agent_changes_body(changes: AgentChanges) -> dict[str, Any]:
    """The body of `POST /agents/{id}`: what was asked for, and the version that it is based on.

    Both members read an empty text as none.

    Raises:
        UsageError: The version is not a number.
    """
    given = {"name": changes.name, "model": changes.model}
    texts = {"system": changes.system_prompt, "description": changes.description}
    body: dict[str, Any] = {name: value for name, value in given.items() if not isinstance(value, Unset)}
    body |= {name: value or "" for name, value in texts.items() if not isinstance(value, Unset)}
    if changes.version is not None:
        body["version"] = version_number(changes.version)
    return body | (changes.native.to_body() if changes.native else {})


def version_number(version: str) -> int:
    """The number of an agent's version.

    Raises:
        UsageError: It is not a number.
    """
    if not (version.isascii() and version.isdigit()):
        raise UsageError(f"the version of the agent must be a number, not {version!r}")
    return int(version)


def new_environment_body(member: Member, new: NewEnvironment) -> dict[str, Any]:
    """The body of `POST /environments`."""
    given = {
        "name": new.name,
        "description": new.description,
        "metadata": None if new.metadata is None else _check_new_metadata(member, new.metadata),
    }
    body = {**member.new_environment, **{name: value for name, value in given.items() if value is not None}}
    return body | (new.native.to_body() if new.native else {})


def _check_new_metadata(member: Member, metadata: Mapping[str, Any]) -> dict[str, Any]:
    empty = [key for key, value in metadata.items() if value is None]
    if empty:
        raise UsageError(f"the metadata value of {empty[0]!r} is None; a new resource takes text only")
    return _check_metadata(member, metadata)


def _check_metadata(member: Member, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata, within the limits that every resource of both members has: text values only.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/create and
    https://docs.qoder.com/cloud-agents/api/conventions/schemas (read 2026-11)
    """
    kept = [key for key, value in metadata.items() if value is not None]
    if len(kept) > _METADATA_KEYS:
        raise UsageError(f"metadata has {len(kept)} keys; {member.title} takes at most {_METADATA_KEYS}")
    for key, value in metadata.items():
        if len(key) > _METADATA_KEY_LENGTH:
            raise UsageError(f"metadata key {key!r} has {len(key)} characters; at most {_METADATA_KEY_LENGTH}")
        if value is None:
            continue
        if not isinstance(value, str):
            kind = type(value).__name__
            raise UsageError(f"the metadata value of {key!r} is a {kind}; {member.title} takes text only")
        if len(value) > _METADATA_VALUE_LENGTH:
            raise UsageError(
                f"the metadata value of {key!r} has {len(value)} characters; at most {_METADATA_VALUE_LENGTH}"
            )
    return dict(metadata)
