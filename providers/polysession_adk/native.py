"""The typed native bodies: what only the ADK API server can be asked for, in its own words.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and `/openapi.json` of google-adk 2.13.0 (read 2026-11)
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from polysession.provider_api import NativeBody


class AdkNewSession(NativeBody):
    """Fields of a new session that only ADK has.

    Attributes:
        state: State of any JSON, by key: `user:` keys belong to the user, `app:` keys to the app.
        events: Events of an earlier conversation, each with `author`, `content` and `invocationId`.
    """

    state: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None


class AdkSessionChanges(NativeBody):
    """Changes of a session that only ADK has.

    Attributes:
        state_delta: State of any JSON, by key. A value replaces the old one whole; None is stored as null.
    """

    state_delta: dict[str, Any] = Field(serialization_alias="stateDelta")


class AdkRun(NativeBody):
    """Fields of a run that only ADK has, for `run`, `send` and `answer`.

    Attributes:
        state_delta: State that changes with the message.
        custom_metadata: Put on each event of the run.
        function_call_event_id: Id of an event; given, events that save an artifact are not sent twice.
        service_tier: For models that have tiers.
    """

    state_delta: dict[str, Any] | None = Field(default=None, serialization_alias="stateDelta")
    custom_metadata: dict[str, Any] | None = Field(default=None, serialization_alias="customMetadata")
    function_call_event_id: str | None = Field(default=None, serialization_alias="functionCallEventId")
    service_tier: str | None = Field(default=None, serialization_alias="serviceTier")
