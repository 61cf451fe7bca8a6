"""The JSON of the ADK API server, in its own words. Every member may be absent.

Backend: `/openapi.json` of google-adk 2.13.0 and 1.39.1; https://google.github.io/adk-docs/runtime/api-server/ (read
2026-11)
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from polysession.provider_api import MalformedResponse, decoder


class Camel(msgspec.Struct, rename="camel"):
    """Base of the structs: the server answers in camel case."""


class WireMedia(Camel):
    """Media: `data` is base64 in the URL-safe alphabet, `fileUri` is an address."""

    mime_type: str | None = None
    data: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class WireFunction(Camel):
    """A function call (`args`), or the response to one. `partialArgs`, of fragments, are not read."""

    id: str = ""
    name: str = ""
    args: dict[str, Any] | None = None
    response: dict[str, Any] | None = None


class WireRequest(Camel):
    """The arguments of a function of the server's own, which asks the caller for a confirmation or a reply."""

    original_function_call: WireFunction = msgspec.field(default_factory=WireFunction)
    message: str = ""
    response_schema: dict[str, Any] | None = msgspec.field(name="response_schema", default=None)


class WirePart(Camel):
    """One part of a content: one of these, or something that is not modelled."""

    text: str | None = None
    thought: bool | None = None
    inline_data: WireMedia | None = None
    file_data: WireMedia | None = None
    function_call: WireFunction | None = None
    function_response: WireFunction | None = None
    code_execution_result: dict[str, Any] | None = None


class WireContent(Camel):
    """Parts in their order. The responses of tools have the role `user`, and the agent as author."""

    parts: list[msgspec.Raw] | None = None


class WireUsage(Camel):
    """Tokens of one model call; the details by modality are not read."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class WireActions(Camel):
    """The actions of an event, beside its content."""

    artifact_delta: dict[str, msgspec.Raw] | None = None
    requested_tool_confirmations: dict[str, msgspec.Raw] | None = None
    skip_summarization: bool | None = None


class WireErrorDetails(msgspec.Struct):
    """Details of a failure, in snake case."""

    error_type: str | None = None
    error_message: str | None = None


class WireEvent(Camel):
    """One event of a session, or a frame of a stream that is not an event: it has `error` and no `id`."""

    id: str | None = None
    invocation_id: str | None = None
    author: str | None = None
    timestamp: datetime | None = None
    partial: bool | None = None
    content: WireContent | None = None
    finish_reason: str | None = None
    usage_metadata: WireUsage | None = None
    error_code: str | None = None
    error_message: str | None = None
    long_running_tool_ids: list[str] | None = None
    actions: WireActions = msgspec.field(default_factory=WireActions)
    custom_metadata: dict[str, Any] | None = None  # 2.10.0 and newer
    error: str | None = None
    error_details: WireErrorDetails | None = msgspec.field(name="error_details", default=None)  # 2.10.0 and newer


class WireSession(Camel):
    """A session. Lists leave `events` empty."""

    id: str
    app_name: str | None = None
    user_id: str | None = None
    state: dict[str, Any] | None = None
    events: list[msgspec.Raw] | None = None
    last_update_time: datetime | None = None


class WireApp(Camel):
    """An app of `/list-apps?detailed=true`."""

    name: str
    description: str | None = None


class WireApps(Camel):
    """The answer of `/list-apps?detailed=true`."""

    apps: list[msgspec.Raw]


read_apps: Final = decoder(WireApps)
_read_event: Final = decoder(WireEvent)
read_part: Final = decoder(WirePart)
read_request: Final = decoder(WireRequest)
read_session: Final = decoder(WireSession)


def decode_event(content: bytes) -> WireEvent:
    """An event; one without members for what is no JSON object."""
    try:
        return _read_event(content)[0]
    except MalformedResponse:
        return WireEvent()
