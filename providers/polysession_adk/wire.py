"""The JSON of the ADK API server, in its own words.

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


class WireBlob(Camel):
    """Media by content; `data` is base64 in the URL-safe alphabet."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class WireFile(Camel):
    """Media by address."""

    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class WireCall(Camel):
    """A function call. `partialArgs`, of fragments, are not read."""

    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None


class WireFunctionResponse(Camel):
    """The response to a function call."""

    id: str | None = None
    name: str | None = None
    response: dict[str, Any] | None = None


class WirePart(Camel):
    """One part of a content: one of these, or something that is not modelled."""

    text: str | None = None
    thought: bool | None = None
    inline_data: WireBlob | None = None
    file_data: WireFile | None = None
    function_call: WireCall | None = None
    function_response: WireFunctionResponse | None = None


class WireContent(Camel):
    """Parts in their order. The responses of tools have the role `user`, and the agent as author."""

    role: str | None = None
    parts: list[msgspec.Raw] | None = None


class WireUsage(Camel):
    """Tokens of one model call; the details by modality are not read."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class WireActions(Camel):
    """The actions of an event, beside its content."""

    state_delta: dict[str, msgspec.Raw] | None = None
    artifact_delta: dict[str, msgspec.Raw] | None = None
    requested_tool_confirmations: dict[str, msgspec.Raw] | None = None
    skip_summarization: bool | None = None
    end_of_agent: bool | None = None  # resumable apps only


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
    actions: WireActions | None = None
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

    apps: list[msgspec.Raw] | None = None


class WireVersion(Camel):
    """The answer of `/version`."""

    version: str | None = None


read_app: Final = decoder(WireApp)
read_apps: Final = decoder(WireApps)
read_event: Final = decoder(WireEvent)
read_part: Final = decoder(WirePart)
read_session: Final = decoder(WireSession)
read_version: Final = decoder(WireVersion)


def read_array(content: bytes) -> list[msgspec.Raw]:
    """Read the body of a list, which is a bare array.

    Raises:
        MalformedResponse: It is not an array.
    """
    try:
        return msgspec.json.decode(content, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # outside the handler: tracebacks must not hold the body
    raise MalformedResponse("the body is not a JSON array")
