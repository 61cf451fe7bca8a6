"""Requests of a caller: new sessions and agents, changes, and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, InstanceOf, JsonValue, ValidationError

from polysession._json import decode_json
from polysession.errors import UsageError
from polysession.record import UtcDatetime
from polysession.session import AgentCapability, ModelConfig, SessionStatus


class Unset(Enum):
    """The type of `UNSET`."""

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
    """A session to create. None means that the caller omitted the field."""

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
    """Changes to a session: `UNSET` keeps the value of a field, None clears it."""

    title: str | Unset | None = UNSET
    metadata: Mapping[str, JsonValue] | Unset | None = UNSET
    tags: Sequence[str] | Unset | None = UNSET
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    model: InstanceOf[ModelConfig] | Unset | None = UNSET
    permission_mode: str | Unset | None = UNSET
    native: InstanceOf[NativeBody] | None = None


class SessionQuery(Request):
    """Which sessions to list. A filter that is None or empty keeps every session."""

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
    """An agent to create. None means that the caller omitted the field."""

    name: str
    model: str | None = None
    system_prompt: str | None = None
    description: str | None = None
    native: InstanceOf[NativeBody] | None = None


class AgentChanges(Request):
    """Changes to an agent: `UNSET` leaves a field alone, None clears one that can be empty.

    Attributes:
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
    """An environment to create. None means that the caller omitted the field."""

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


def validate_request(request_type: type[R], values: Mapping[str, Any]) -> R:
    """Build a request from what the caller passed.

    Raises:
        UsageError: A value has the wrong type; the message names each.
    """
    try:
        return request_type(**values)
    except ValidationError as error:
        problems = {
            str(item["loc"][0]): item["msg"]
            for item in error.errors(include_input=False, include_url=False)
            if item.get("ctx") != {"class": Unset.__name__}  # the branch of a union that only UNSET takes
        }
        listed = "; ".join(f"{name}: {what}" for name, what in problems.items())
        raise UsageError(f"wrong argument: {listed}") from error
