"""The common model of a session."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from polysession.record import JsonMetadata, JsonObject, ReceivedRecord, Record, UtcDatetime, known_fields_only


class SessionStatus(StrEnum):
    """Status of a session.

    Attributes:
        IDLE: No turn runs. It says nothing about whether the last turn succeeded.
        RUNNING: A turn runs.
        REQUIRES_ACTION: The agent waits for answers to pending actions.
        PAUSED: The backend stopped the session for a while.
        RESCHEDULING: The backend will continue the work, for example on another machine.
        TERMINATED: The session takes no further input.
        FAILED: The session cannot continue.
        UNKNOWN: The backend reports no status, or a word that is not modelled: see `native_status`.
    """

    IDLE = "idle"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    PAUSED = "paused"
    RESCHEDULING = "rescheduling"
    TERMINATED = "terminated"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ModelConfig(Record):
    """A model, and the way to access it.

    Attributes:
        id: The model's name or id, as the backend calls it.
        type: Kind of model access, such as `"openai_credential"`; None if the backend has no kinds.
        credential_id: Id of the credential that it uses; None if the backend has no such credentials.
        parameters: Parameters of the model, as the backend names them.
        model_class: The backend's implementation of the model access, as a word of the backend. None leaves the choice
            to the backend.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    type: str | None = None
    credential_id: str | None = None
    parameters: JsonObject = Field(default_factory=dict)
    model_class: str | None = None


class AgentCapability(Record):
    """An ability that a session has in addition to those of its agent.

    Attributes:
        ref: Name of the ability, such as `"web_fetch"`.
        config: Its configuration, any JSON value; None if it has none.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    ref: str
    config: Any = None


class Usage(Record):
    """Usage of a session or turn. A counter that the backend does not have is None.

    Attributes:
        input_tokens: Tokens sent to models. Whether this includes cached tokens differs between backends.
        output_tokens: Tokens received from models.
        cache_read_tokens: Input tokens served from a cache.
        cache_creation_tokens: Input tokens written to a cache.
        credits: Total in the backend's own currency.
        model_credits: The part of `credits` spent on models.
        sandbox_credits: The part of `credits` spent on the sandbox.
        cost_usd: US dollars, as the backend reports or estimates them.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    credits: Decimal | None = None
    model_credits: Decimal | None = None
    sandbox_credits: Decimal | None = None
    cost_usd: Decimal | None = None


class Session(ReceivedRecord):
    """A conversation with an agent that a backend keeps.

    A field that the backend does not have is None or empty. `Feature` lists the fields that can be written.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id, as the backend gave it.
        agent_id: Id of its agent.
        title: Label for people; None if unset.
        status: Its status.
        native_status: The backend's word for the status; empty if the backend reports none.
        metadata: Keys and JSON values; many backends allow text values only.
        tags: Labels.
        capabilities: Abilities in addition to those of the agent.
        model: The model that answers.
        permission_mode: How tool calls are approved, as a word of the backend.
        environment_id: Id of the environment in which its tools run.
        workspace_id: Id of the workspace with its files.
        owner_id: Id of the user who owns it.
        organization_id: Id of its organisation.
        usage: Its usage so far.
        created_at: UTC, as are all times.
        updated_at: Time of the last change.
        started_at: Start of the first turn.
        finished_at: End of the work.
        archived_at: When it was archived; None if it was not.
        preview: Start of the conversation, shortened by the backend.
        output_preview: The agent's latest output, shortened by the backend.
        origin: The origin of the session, as a word of the backend, such as a schedule or another session; None if
            unknown.
        parent_session_id: Id of the session that created it; None if it was not created by a session.
    """

    provider: str
    id: str
    agent_id: str | None = None
    title: str | None = None
    status: SessionStatus = SessionStatus.UNKNOWN
    native_status: str = ""
    metadata: JsonMetadata = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    capabilities: tuple[Annotated[AgentCapability, known_fields_only(AgentCapability)], ...] = ()
    model: Annotated[ModelConfig | None, known_fields_only(ModelConfig)] = None
    permission_mode: str | None = None
    environment_id: str | None = None
    workspace_id: str | None = None
    owner_id: str | None = None
    organization_id: str | None = None
    usage: Usage | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    started_at: UtcDatetime | None = None
    finished_at: UtcDatetime | None = None
    archived_at: UtcDatetime | None = None
    preview: str | None = None
    output_preview: str | None = None
    origin: str | None = None
    parent_session_id: str | None = None


class CancelState(StrEnum):
    """Result of a request to cancel.

    Attributes:
        REQUESTED: A turn was running and is being stopped, which may take a moment.
        NOTHING_RUNNING: There was nothing to cancel.
    """

    REQUESTED = "requested"
    NOTHING_RUNNING = "nothing_running"


class Cancellation(ReceivedRecord):
    """The backend's answer to a request to cancel the running turn.

    Attributes:
        provider: Name of the provider that asked.
        session_id: The session.
        state: Whether a turn was running.
    """

    provider: str
    session_id: str
    state: CancelState
