"""The common model: what every backend's sessions and agents have in common."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from polysession.lazy import Lazy, LazyAttribute, MadeLater, RawObject, loaded


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC; a time without a zone is taken to be in UTC.

    Raises:
        ValueError: In UTC it lies outside the years 1 to 9999.
    """
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie within the years 1 to 9999 in UTC") from error


_USUAL_TIME: Final = core_schema.chain_schema(
    [
        core_schema.str_schema(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|\+00:00)$"
        ),
        core_schema.no_info_plain_validator_function(datetime.fromisoformat),
    ]
)
"""The text that nearly all backends write, read by Python's own reader, which knows UTC.

To bring pydantic's zone there costs more than all the rest of the field.
"""


class _InUtc:
    """Takes what pydantic takes for a datetime, and gives it in UTC."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        as_pydantic = handler(source)
        or_as_it_is = core_schema.union_schema([_USUAL_TIME, core_schema.any_schema()], mode="left_to_right")
        return core_schema.lax_or_strict_schema(
            core_schema.no_info_after_validator_function(as_utc, core_schema.chain_schema([or_as_it_is, as_pydantic])),
            core_schema.no_info_after_validator_function(as_utc, as_pydantic),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(core_schema.datetime_schema())


UtcDatetime = Annotated[datetime, _InUtc()]
"""An aware datetime in UTC, microsecond precision."""


class _ReadBy:
    """Gives pydantic a schema that is made already: to look into a function's signature takes it a millisecond."""

    def __init__(self, schema: core_schema.CoreSchema) -> None:
        self._schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return self._schema


UsualTime = Annotated[datetime, _ReadBy(_USUAL_TIME)]
"""A time in UTC in the text that nearly all backends write, and in no other: for a form that may not fit."""


class SessionStatus(StrEnum):
    """What a session is doing. `idle` says nothing about whether the last turn succeeded."""

    IDLE = "idle"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    PAUSED = "paused"
    RESCHEDULING = "rescheduling"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"


class Record(BaseModel):
    """Base of the frozen records that callers receive."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Let what may be made later be made when somebody looks at it."""
        for name, field in cls.model_fields.items():
            if any(isinstance(mark, MadeLater) for mark in field.metadata):
                type.__setattr__(cls, name, LazyAttribute(name))

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:
        """Names and values of the fields, so that `dict(record)` works."""
        for name, value in super().__iter__():
            yield name, loaded(value)


class ModelConfig(Record):
    """A model, and how it is reached.

    Attributes:
        id: The model's name or id, as the backend calls it.
        type: Kind of model access, such as `"openai_credential"`; None if the backend has no kinds.
        credential_id: Id of the credential that pays for it; None if the backend has no such thing.
        parameters: Settings of the model, in the backend's words.
    """

    id: str
    type: str | None = None
    credential_id: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class AgentCapability(Record):
    """An ability added to a session on top of its agent's.

    Attributes:
        ref: Name of the ability, such as `"web_fetch"`.
        config: Its configuration, any JSON value; None if it has none.
    """

    ref: str
    config: Any = None


class Usage(Record):
    """What a session has consumed so far: a running total. A counter that the backend does not keep is None.

    Attributes:
        input_tokens: Tokens sent to models. Whether cached tokens are in it differs between backends.
        output_tokens: Tokens received from models.
        cache_read_tokens: Input tokens served from a cache.
        cache_creation_tokens: Input tokens written to a cache.
        credits: The backend's own currency, in all.
        model_credits: The part of `credits` spent on models.
        sandbox_credits: The part of `credits` spent on the sandbox.
        cost_usd: US dollars, as the backend states or estimates them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    credits: Decimal | None = None
    model_credits: Decimal | None = None
    sandbox_credits: Decimal | None = None
    cost_usd: Decimal | None = None


class Session(Record):
    """A conversation with an agent that a backend keeps.

    A field that the backend does not have is None or empty; `Feature` says which can be written.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id, as the backend gave it.
        agent_id: Id of the agent that it talks to.
        title: Label for people; None if unset.
        status: What it is doing, in common words.
        native_status: The same in the backend's word; empty if the backend did not say.
        metadata: Flat text keys and values.
        tags: Labels.
        capabilities: Abilities added on top of the agent's.
        model: The model that answers.
        permission_mode: How tool calls are approved, in the backend's word.
        environment_id: Where tools run.
        workspace_id: The files that it works on.
        owner_id: Whose it is.
        organization_id: The organisation that it belongs to.
        usage: What it has consumed so far.
        created_at: UTC, as are all times.
        updated_at: Time of the last change.
        started_at: Start of the first turn.
        finished_at: End of the work.
        archived_at: When it was archived; None if it was not.
        preview: Start of the conversation, shortened by the backend.
        raw: The wire object as received, nothing left out.
    """

    provider: str
    id: str
    agent_id: str | None = None
    title: str | None = None
    status: SessionStatus = SessionStatus.UNKNOWN
    native_status: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    capabilities: Lazy[tuple[AgentCapability, ...]] = ()
    model: Lazy[ModelConfig | None] = None
    permission_mode: str | None = None
    environment_id: str | None = None
    workspace_id: str | None = None
    owner_id: str | None = None
    organization_id: str | None = None
    usage: Lazy[Usage | None] = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    finished_at: UtcDatetime | None = None
    archived_at: UtcDatetime | None = None
    preview: str | None = None
    raw: RawObject = Field(default_factory=dict, repr=False)


class Agent(Record):
    """An agent that sessions can be created for.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id, as the backend gave it.
        name: Its name.
        description: What it is for; None if unset.
        model: Id of the model that answers; None if the session chooses.
        system_prompt: Instructions that precede every conversation.
        version: Version as text; None if the backend keeps none.
        created_at: UTC, as are all times.
        updated_at: Time of the last change.
        archived_at: When it was archived; None if it was not.
        raw: The wire object as received, nothing left out.
    """

    provider: str
    id: str
    name: str
    description: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    version: str | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    archived_at: UtcDatetime | None = None
    raw: RawObject = Field(default_factory=dict, repr=False)


class CancelState(StrEnum):
    """What became of a request to cancel."""

    REQUESTED = "requested"
    NOTHING_RUNNING = "nothing_running"


class Cancellation(Record):
    """The backend's answer to a request to cancel the running turn.

    Attributes:
        provider: Name of the provider that asked.
        session_id: The session.
        state: `requested`: a turn was running and is being stopped, which may take a moment. `nothing_running`: there
            was nothing to cancel.
        raw: The wire object as received; empty if the provider found without asking that nothing runs.
    """

    provider: str
    session_id: str
    state: CancelState
    raw: RawObject = Field(default_factory=dict, repr=False)
