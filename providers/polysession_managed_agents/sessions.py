"""Converts the family's JSON into records, and requests into bodies and queries. Pure.

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
"""The statuses that both members use."""

_METADATA_KEYS: Final = 16
_METADATA_KEY_LENGTH: Final = 64
_METADATA_VALUE_LENGTH: Final = 512

_read_page: Final = decoder(WirePage)


class Records(NamedTuple):
    """The functions that read a member's records.

    They raise `MalformedResponse` if the id is missing.
    """

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
    """Build a session from its decoded struct.

    Args:
        member: The backend.
        wire: The decoded struct.
        content: The JSON text.
        problems: Describes the fields that could not be read.
        status: The common status.
        usage: Fields of the `Usage`; None if the backend reported no usage.

    The usage and the model are passed as fields, so that pydantic builds and validates all in one step.
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
    """Build an agent from its decoded struct."""
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
    """Return a function that reads an environment.

    It raises `MalformedResponse` if the id is missing.
    """

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
    """Return a function that reads a model. It raises `MalformedResponse` if the id is missing."""

    def build(wire: WireModel, content: bytes, problems: tuple[str, ...]) -> Model:
        return Model(
            provider=member.name, id=wire.id, name=wire.display_name or None, source=content, problems=problems
        )

    return record_reader(WireModel, build)


def _model_fields(model: dict[str, Any] | str | None) -> dict[str, Any] | None:
    """Return the fields of a `ModelConfig`; None if the id is missing or not text."""
    if not model:
        return None
    if isinstance(model, str):
        return {"id": model}
    model_id = model.get("id")
    parameters = {name: value for name, value in model.items() if name != "id" and value is not None}
    return {"id": model_id, "parameters": parameters} if isinstance(model_id, str) else None


def to_page(response: Response, to_item: Callable[[bytes], T]) -> Page[T]:
    """Read a page of a list. An item that cannot be read is described in the page's `problems`.

    Args:
        response: The response.
        to_item: Reads one item.

    Raises:
        MalformedResponse: The body is not a page, or the cursor of the next page is missing or cannot be read.
    """
    wire, problems = read_response(_read_page, response)
    if any(problem.startswith(("next_page:", "has_more:")) for problem in problems):
        raise MalformedResponse(f"the cursor of the next page cannot be read: {'; '.join(problems)}")
    return read_list(wire.data, to_item, next_cursor=_next_cursor(wire))


def _next_cursor(page: WirePage) -> str | None:
    """Return the cursor of the next page.

    It names the query parameter, which older lists of Qoder call `after_id`.
    """
    if page.next_page and page.has_more is not False:
        return f"page={page.next_page}"
    if not page.has_more:
        return None
    if page.last_id:
        return f"after_id={page.last_id}"
    raise MalformedResponse("the response says that there are more pages, but gives no cursor")


def session_filters(member: Member, query: SessionQuery) -> dict[str, Any]:
    """Return the filters of a list of sessions, without those for times.

    Raises:
        UsageError: The backend does not have one of the statuses.
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
    """Return the query parameters of `GET /sessions`.

    Times are RFC 3339 in UTC, with microsecond precision.

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
        raise UsageError(f"{member.title} has no session status {status.value!r}; use one of {', '.join(STATUSES)}")
    return words[0]


def new_session_body(member: Member, new: NewSession) -> dict[str, Any]:
    """Return the body of `POST /sessions`, with the fields that the caller passed.

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
        raise UsageError(f"a session of {member.title} needs an agent and an environment: pass agent= and environment=")
    return body


def changes_body(member: Member, changes: SessionChanges, known_keys: Iterable[str] = ()) -> dict[str, Any]:
    """Return the body of `POST /sessions/{id}`, with the fields that the caller passed.

    Args:
        member: The backend.
        changes: The changes.
        known_keys: The session's metadata keys; used to clear the metadata.

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
    """Return the body of `POST /agents`.

    Raises:
        UsageError: The model is missing.
    """
    given = {"name": new.name, "model": new.model, "system": new.system_prompt, "description": new.description}
    body = {name: value for name, value in given.items() if value is not None}
    body |= new.native.to_body() if new.native else {}
    if not body.get("model"):
        raise UsageError(f"an agent of {member.title} needs a model: pass model=; client.models.list() lists them")
    return body


def agent_changes_body(changes: AgentChanges) -> dict[str, Any]:
    """Return the body of `POST /agents/{id}`: the changes, and the version to change.

    An empty text clears the system prompt or the description.

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
    """Return an agent's version as a number.

    Raises:
        UsageError: The version is not a number.
    """
    if not (version.isascii() and version.isdigit()):
        raise UsageError(f"the agent's version must be a whole number, not {version!r}")
    return int(version)


def new_environment_body(member: Member, new: NewEnvironment) -> dict[str, Any]:
    """Return the body of `POST /environments`."""
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
        raise UsageError(f"the metadata value of {empty[0]!r} is None; leave the key out, or pass text")
    return _check_metadata(member, metadata)


def _check_metadata(member: Member, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Check the keys and the values of metadata.

    The limits are the same for every resource of both members, and the values must be text.

    Backend: https://platform.claude.com/docs/en/api/beta/sessions/create and
    https://docs.qoder.com/cloud-agents/api/conventions/schemas (read 2026-11)
    """
    kept = [key for key, value in metadata.items() if value is not None]
    if len(kept) > _METADATA_KEYS:
        raise UsageError(f"metadata has {len(kept)} keys; {member.title} accepts at most {_METADATA_KEYS}")
    for key, value in metadata.items():
        if len(key) > _METADATA_KEY_LENGTH:
            raise UsageError(
                f"metadata key {key!r} has {len(key)} characters; {member.title} accepts at most {_METADATA_KEY_LENGTH}"
            )
        if value is None:
            continue
        if not isinstance(value, str):
            kind = type(value).__name__
            raise UsageError(f"the metadata value of {key!r} is a {kind}; {member.title} accepts only text")
        if len(value) > _METADATA_VALUE_LENGTH:
            raise UsageError(
                f"the metadata value of {key!r} has {len(value)} characters; "
                f"{member.title} accepts at most {_METADATA_VALUE_LENGTH}"
            )
    return dict(metadata)
