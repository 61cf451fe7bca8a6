"""Requests of a caller: new sessions and agents, changes, and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, InstanceOf, JsonValue, ValidationError

from polysession._json import decode_json
from polysession._validation import problem_text
from polysession.errors import UsageError
from polysession.record import UtcDatetime
from polysession.session import AgentCapability, ModelConfig, SessionStatus


class Unset(Enum):
    """The type of `UNSET`.

    Attributes:
        UNSET: The only member.
    """

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = Unset.UNSET
"""Keeps the value of a field. None, in contrast, clears the field."""


class NativeBody(BaseModel):
    """Base of the typed bodies with fields that only one backend has. They are merged last.

    Only fields that were given are sent, so None is sent as null.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
        defer_build=True,
        ser_json_inf_nan="constants",  # left as they are, to be refused with the rest of the body, and not sent as null
    )

    def to_body(self) -> dict[str, Any]:
        """The fields that were given, as JSON values under their wire names.

        Raises:
            UsageError: A value has no form in JSON.
        """
        try:
            return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        except ValueError as error:
            raise UsageError(f"a value of {type(self).__name__} cannot be sent as JSON: {error}") from error


class Request(BaseModel):
    """Base of the requests of a caller, which are checked before anything is sent."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True
    )


class NewSession(Request):
    """A session to create. None means that the caller omitted the field.

    Attributes:
        id: Id that the caller chose.
        owner: User who owns it. With `Provider.owner_setting` it is always set: to the caller's owner, or else to the
            client's user.
        agent: Id of its agent.
        environment: Id of its environment.
        workspace: Id of its workspace.
        title: Label for people.
        metadata: Keys and JSON values.
        tags: Labels.
        capabilities: Abilities in addition to those of the agent.
        model: The model that answers.
        permission_mode: How tool calls are approved, as a word of the backend.
        idempotency_key: Key for a safe repetition of the request.
        native: Fields of this backend alone, of the type `Provider.new_session_type`.
    """

    id: str | None = None
    owner: str | None = None
    agent: str | None = None
    environment: str | None = None
    workspace: str | None = None
    title: str | None = None
    metadata: Mapping[str, JsonValue] | None = None
    tags: Sequence[str] | None = None
    capabilities: Sequence[InstanceOf[AgentCapability]] | None = None
    model: InstanceOf[ModelConfig] | None = None
    permission_mode: str | None = None
    idempotency_key: str | None = None
    native: InstanceOf[NativeBody] | None = None


class SessionChanges(Request):
    """Changes to a session: `UNSET` keeps the value of a field, None clears it.

    Attributes:
        title: The new title.
        metadata: Keys to set, each with its new value. A value of None removes the key.
        tags: All new tags.
        add_tags: Tags to add.
        remove_tags: Tags to remove.
        model: The new model.
        permission_mode: The new permission mode.
        native: Fields of this backend alone, of the type `Provider.session_changes_type`.
    """

    title: str | Unset | None = UNSET
    metadata: Mapping[str, JsonValue] | Unset | None = UNSET
    tags: Sequence[str] | Unset | None = UNSET
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    model: InstanceOf[ModelConfig] | Unset | None = UNSET
    permission_mode: str | Unset | None = UNSET
    native: InstanceOf[NativeBody] | None = None


class SessionQuery(Request):
    """Which sessions to list. A filter that is None or empty keeps every session.

    Attributes:
        owner: Keep the sessions of this user. With `Provider.owner_setting` it is always set, as in `NewSession`.
        origin: Keep the sessions of this origin.
        agent: Keep the sessions of the agent with this id.
        statuses: Keep the sessions with one of these statuses.
        title_contains: Keep the sessions whose title contains this text, in any case.
        tags: Keep the sessions that have all of these tags.
        metadata: Keep the sessions whose metadata has all of these keys and values.
        created_after: Keep the sessions created after this time, in UTC.
        created_before: Keep the sessions created before this time, in UTC.
        include_archived: Whether archived sessions are listed, too.
        oldest_first: Whether the oldest session is first, and not the newest.
        page_size: Sessions on one page; None leaves the number to the backend.
        native: Fields of this backend alone, of the type `Provider.session_query_type`.
    """

    owner: str | None = None
    origin: str | None = None
    agent: str | None = None
    statuses: Sequence[SessionStatus] = ()
    title_contains: str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, JsonValue] | None = None
    created_after: UtcDatetime | None = None
    created_before: UtcDatetime | None = None
    include_archived: bool = False
    oldest_first: bool = False
    page_size: int | None = None
    native: InstanceOf[NativeBody] | None = None


class NewAgent(Request):
    """An agent to create. None means that the caller omitted the field.

    Attributes:
        name: Its name.
        model: Id of the model that answers.
        system_prompt: Instructions that precede every conversation.
        description: What it is for.
        native: Fields of this backend alone, of the type `Provider.new_agent_type`.
    """

    name: str
    model: str | None = None
    system_prompt: str | None = None
    description: str | None = None
    native: InstanceOf[NativeBody] | None = None


class AgentChanges(Request):
    """Changes to an agent: `UNSET` leaves a field alone, None clears one that can be empty.

    Attributes:
        name: Its name.
        model: Id of the model that answers.
        system_prompt: Instructions that precede every conversation.
        description: What it is for.
        native: Fields of this backend alone, of the type `Provider.agent_changes_type`.
        version: Version of the caller's `Agent`, for a backend that refuses changes to an older version; None for a
            bare id.
    """

    name: str | Unset = UNSET
    model: str | Unset = UNSET
    system_prompt: str | Unset | None = UNSET
    description: str | Unset | None = UNSET
    native: InstanceOf[NativeBody] | None = None
    version: str | None = None


class NewEnvironment(Request):
    """An environment to create. None means that the caller omitted the field.

    Attributes:
        name: Its name.
        description: What it is for.
        metadata: Keys and text values.
        native: Fields of this backend alone, of the type `Provider.new_environment_type`.
    """

    name: str
    description: str | None = None
    metadata: Mapping[str, str] | None = None
    native: InstanceOf[NativeBody] | None = None


@dataclass(frozen=True, slots=True)
class SessionRef:
    """The address of a session. Callers may give one wherever a session is expected.

    Attributes:
        id: Its id.
        agent_id: Its agent, if the caller's `Session` carries it; None for a bare id.
        owner_id: Its owner, if the caller's `Session` carries it, or the client's own user.
        source: The backend's JSON text of the session, if the caller's `Session` carries it.
    """

    id: str
    agent_id: str | None = None
    owner_id: str | None = None
    source: bytes = field(default=b"{}", repr=False, compare=False)

    @property
    def native(self) -> Any:
        """The backend's own object of the session, decoded at each access; empty for a bare id."""
        return decode_json(self.source)


R = TypeVar("R", bound=Request)


@cache
def _defaults(request_type: type[Request]) -> dict[str, Any]:
    """The default of each field of a request."""
    return {name: info.default for name, info in request_type.model_fields.items()}


def validate_request(request_type: type[R], values: Mapping[str, Any]) -> R:
    """Build a request from what the caller passed. Only values other than the defaults are validated.

    Raises:
        UsageError: A value has the wrong type; the message names each.
    """
    defaults = _defaults(request_type)
    given = {name: value for name, value in values.items() if name not in defaults or value is not defaults[name]}
    try:
        return request_type(**given)
    except ValidationError as error:
        problems = {
            str(item["loc"][0]): problem_text(item)
            for item in error.errors(include_input=False, include_url=False)
            if item.get("ctx") != {"class": Unset.__name__}  # the branch of a union that only UNSET takes
        }
        listed = "; ".join(f"{name}: {what}" for name, what in problems.items())
        raise UsageError(f"invalid argument: {listed}") from error
