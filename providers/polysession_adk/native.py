"""Typed native bodies: the fields that only the ADK API server has, with its names.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and `/openapi.json` of google-adk 2.13.0 (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from polysession.provider_api import NativeBody


class AdkNewSession(NativeBody):
    """Fields of a new session that only ADK has.

    Attributes:
        state: Initial state: JSON values by key. Keys with `user:` belong to the user, those with `app:` to the app.
        events: Events of an earlier conversation, each with `author`, `content` and `invocationId`.
    """

    state: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None


class AdkSessionChanges(NativeBody):
    """Changes of a session that only ADK has.

    Attributes:
        state_delta: Changes of the state: JSON values by key. A value replaces the old one as a whole; None is stored
            as null.
    """

    state_delta: dict[str, Any] = Field(serialization_alias="stateDelta")


class AdkRun(NativeBody):
    """Fields of a run that only ADK has, for `run`, `send` and `answer`.

    Attributes:
        state_delta: Changes of the state that are stored with the message.
        custom_metadata: Metadata to store in each event of the run.
        function_call_event_id: Id of the event of a function call. If set, the server sends an event that saves an
            artifact once instead of twice.
        service_tier: Service tier of the model, if it has tiers.
    """

    state_delta: dict[str, Any] | None = Field(default=None, serialization_alias="stateDelta")
    custom_metadata: dict[str, Any] | None = Field(default=None, serialization_alias="customMetadata")
    function_call_event_id: str | None = Field(default=None, serialization_alias="functionCallEventId")
    service_tier: str | None = Field(default=None, serialization_alias="serviceTier")
