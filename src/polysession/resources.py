"""The resources of sessions: agents, environments and models."""

from __future__ import annotations

from pydantic import Field

from polysession.record import JsonMetadata, ReceivedRecord, UtcDatetime


class Agent(ReceivedRecord):
    """An agent; a session is created for one.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id, as the backend gave it.
        name: Its name; empty if it could not be read.
        description: What it is for; None if unset.
        model: Id of the model that answers; None if the session chooses.
        system_prompt: Instructions that precede every conversation.
        version: Version as text; None if the backend keeps none.
        created_at: UTC, as are all times.
        updated_at: Time of the last change.
        archived_at: When it was archived; None if it was not.
    """

    provider: str
    id: str
    name: str = ""
    description: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    version: str | None = None
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    archived_at: UtcDatetime | None = None


class Environment(ReceivedRecord):
    """An environment that a session's tools run in.

    Attributes:
        provider: Name of the provider that read it.
        id: Opaque id, as the backend gave it.
        name: Its name; empty if it could not be read.
        description: What it is for; None if unset.
        metadata: Keys and JSON values.
        created_at: UTC, as are all times.
        updated_at: Time of the last change.
        archived_at: When it was archived; None if it was not.
    """

    provider: str
    id: str
    name: str = ""
    description: str | None = None
    metadata: JsonMetadata = Field(default_factory=dict)
    created_at: UtcDatetime | None = None
    updated_at: UtcDatetime | None = None
    archived_at: UtcDatetime | None = None


class Model(ReceivedRecord):
    """A model that a session or an agent can be given.

    Attributes:
        provider: Name of the provider that read it.
        id: Id to give as `model`.
        name: Name for people; None if the backend has none.
        type: Kind of model access, such as `"openai_credential"`; None if the backend has no kinds.
        credential_id: Id of the credential that pays for it; None if the backend has no such thing.
        is_default: Whether it is used where no model is given; None if the backend does not say.
    """

    provider: str
    id: str
    name: str | None = None
    type: str | None = None
    credential_id: str | None = None
    is_default: bool | None = None
