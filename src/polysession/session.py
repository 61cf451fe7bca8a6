"""The common model of a session: what the sessions of every backend have in common."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from polysession.record import JsonMetadata, JsonObject, ReceivedRecord, Record, UtcDatetime, known_fields_only


class SessionStatus(StrEnum):
    """Status of a session. `idle` says nothing about whether the last turn succeeded."""

    IDLE = "idle"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    PAUSED = "paused"
    RESCHEDULING = "rescheduling"
    TERMINATED = "terminated"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ModelConfig(Record):
    """A model, and how it is reached.

    Attributes:
        id: The model's name or id, as the backend calls it.
        type: Kind of model access, such as `"openai_credential"`; None if the backend has no kinds.
        credential_id: Id of the credential that pays for it; None if the backend has no such thing.
        parameters: Settings of the model, in the backend's words.
        model_class: Which of its implementations the backend reaches the model by, in the backend's word; None leaves
            the choice to the backend.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    type: str | None = None
    credential_id: str | None = None
    parameters: JsonObject = Field(default_factory=dict)
    model_class: str | None = None


class AgentCapability(Record):
    """An ability added to a session on top of its agent's.

    Attributes:
        ref: Name of the ability, such as `"web_fetch"`.
        config: Its configuration, any JSON value; None if it has none.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    ref: str
    config: Any = None


class Usage(Record):
    """Consumption of a session so far: a running total. A counter that the backend does not keep is None.

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


class Session(ReceivedRecord):
    """A conversation with an agent that a backend keeps.

    A field that the backend does not have is None or empty; `Feature` says which can be written.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id, as the backend gave it.
        agent_id: Id of the agent that it talks to.
        title: Label for people; None if unset.
        status: What it is doing, in common words.
        native_status: The same in the backend's word; empty if the backend did not say.
        metadata: Keys and JSON values; many backends allow text values only.
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
        output_preview: The agent's latest output, shortened by the backend.
        origin: What created it, in the backend's word, such as a schedule or another session; None if it does not say.
        parent_session_id: The session that created it; None if none did.
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
    """Result of a request to cancel."""

    REQUESTED = "requested"
    NOTHING_RUNNING = "nothing_running"


class Cancellation(ReceivedRecord):
    """The backend's answer to a request to cancel the running turn.

    Attributes:
        provider: Name of the provider that asked.
        session_id: The session.
        state: `requested`: a turn was running and is being stopped, which may take a moment. `nothing_running`: there
            was nothing to cancel.
    """

    provider: str
    session_id: str
    state: CancelState
