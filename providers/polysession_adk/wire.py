"""The ADK API server's JSON, with its names. Most members are optional.

Backend: `/openapi.json` of google-adk 2.13.0 and 1.39.1; https://google.github.io/adk-docs/runtime/api-server/ (read
2026-11)
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from polysession.provider_api import MalformedResponse, decoder


class Camel(msgspec.Struct, rename="camel"):
    """Base of the structs: names in the server's JSON are in camel case."""


class WireMedia(Camel):
    """Media. `data` is base64 in the URL-safe alphabet, `fileUri` is a URL."""

    mime_type: str | None = None
    data: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class WireFunction(Camel):
    """A function call (`args`) or the response to one. `partialArgs` of fragments are not read."""

    id: str = ""
    name: str = ""
    args: dict[str, Any] | None = None
    response: dict[str, Any] | None = None


class WireRequest(Camel):
    """Arguments of a built-in function that asks the caller for a confirmation or a reply."""

    original_function_call: WireFunction = msgspec.field(default_factory=WireFunction)
    message: str = ""
    response_schema: dict[str, Any] | None = msgspec.field(name="response_schema", default=None)


class WirePart(Camel):
    """One part of a content: it has one of these members, or one that is not modelled."""

    text: str | None = None
    thought: bool | None = None
    inline_data: WireMedia | None = None
    file_data: WireMedia | None = None
    function_call: WireFunction | None = None
    function_response: WireFunction | None = None
    code_execution_result: dict[str, Any] | None = None


class WireContent(Camel):
    """The content of an event.

    Responses of tools have the role `user`, and the agent as author.
    """

    parts: list[msgspec.Raw] | None = None


class WireUsage(Camel):
    """Tokens of one model call. The details by modality are not read."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class WireActions(Camel):
    """The actions of an event, in addition to its content."""

    artifact_delta: dict[str, msgspec.Raw] | None = None
    requested_tool_confirmations: dict[str, msgspec.Raw] | None = None
    skip_summarization: bool | None = None


class WireErrorDetails(msgspec.Struct):
    """Details of a failure, in snake case."""

    error_type: str | None = None
    error_message: str | None = None


class WireEvent(Camel):
    """One event of a session, or an error frame of a stream, which has `error` and no `id`."""

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
    custom_metadata: dict[str, Any] | None = None  # since 2.10.0
    error: str | None = None
    error_details: WireErrorDetails | None = msgspec.field(name="error_details", default=None)  # since 2.10.0


class WireSession(Camel):
    """A session. In lists `events` is empty."""

    id: str
    app_name: str | None = None
    user_id: str | None = None
    state: dict[str, Any] | None = None
    events: list[msgspec.Raw] | None = None
    last_update_time: datetime | None = None


class WireApp(Camel):
    """An app in the response to `/list-apps?detailed=true`."""

    name: str
    description: str | None = None


class WireApps(Camel):
    """The response to `/list-apps?detailed=true`."""

    apps: list[msgspec.Raw]


read_apps: Final = decoder(WireApps)
_read_event: Final = decoder(WireEvent)
read_part: Final = decoder(WirePart)
read_request: Final = decoder(WireRequest)
read_session: Final = decoder(WireSession)


def decode_event(content: bytes) -> WireEvent:
    """Return an event. If the JSON is not an object, the event has no members."""
    try:
        return _read_event(content)[0]
    except MalformedResponse:
        return WireEvent()
