"""Reading and validation of request bodies in the ADK emulator.

Backend: `/openapi.json` of google-adk 2.13.0 (read 2026-11)
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from polysession.emulation import ApiRequest, Refusal
from polysession_adk.emulator.agent import RunRequest
from polysession_adk.emulator.store import Json

_PART_FIELDS: Final = frozenset(
    {
        *("text", "thought", "inlineData", "fileData", "functionCall", "functionResponse"),
        *("executableCode", "codeExecutionResult", "toolCall", "toolResponse"),
        *("thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution", "audioTranscription"),
    }
)
_FORBIDDEN: Final = "Input should be a valid dictionary or object to extract fields from"
_LOOPBACK: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


def check_headers(headers: Mapping[str, str]) -> None:
    """Reject requests to other host names, like the server on a loopback address.

    Raises:
        Refusal: `Host` is not a loopback name, or `Origin` is another server.
    """
    if not _LOOPBACK.fullmatch(headers.get("host", "")):
        raise Refusal(403, "Forbidden: host not allowed", is_text=True)
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers.get('host')}":
        raise Refusal(403, "Forbidden: origin not allowed", is_text=True)


def finding(kind: str, place: list[Any], message: str, value: Any, **more: Any) -> Json:
    """Return one problem of a request body."""
    return {"type": kind, "loc": ["body", *place], "msg": message, "input": value, **more}


def refuse(*findings: Json) -> Refusal:
    """Return the error for an invalid body."""
    return Refusal(422, "invalid", findings=list(findings))


def read_body(request: ApiRequest, *, is_required: bool = True) -> Json:
    """Return the object in a body, with names in camel case.

    It is empty if there is no body and none is required.

    Raises:
        Refusal: The body is missing or not an object.
    """
    if not request.content:
        if is_required:
            raise refuse(finding("missing", [], "Field required", None))
        return {}
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise refuse(finding("model_attributes_type", [], _FORBIDDEN, request.content.decode("utf-8", "replace")))
    try:
        body = request.json()
    except ValueError as error:
        position = error.pos if isinstance(error, json.JSONDecodeError) else 0
        context = {"error": error.msg if isinstance(error, json.JSONDecodeError) else str(error)}
        raise refuse(finding("json_invalid", [position], "JSON decode error", {}, ctx=context)) from error
    if body is None and not is_required:
        return {}
    if not isinstance(body, dict):
        raise refuse(finding("model_attributes_type", [], _FORBIDDEN, body))
    return {_camel(name): value for name, value in body.items()}


def read_fields(body: Json, kinds: Mapping[str, str], required: tuple[str, ...] = ()) -> Json:
    """Return the known fields of a body. Null counts as missing.

    Args:
        body: The body.
        kinds: The fields, each with its kind: `string`, `dict`, `list`, `bool` or `object`.
        required: Names of the required fields.

    Raises:
        Refusal: A field is missing or has another kind.
    """
    findings = [finding("missing", [name], "Field required", body) for name in required if name not in body]
    values = {name: body[name] for name in kinds if body.get(name) is not None}
    for name, value in values.items():
        kind, message, fits = _KINDS[kinds[name]]
        if not fits(value):
            findings.append(finding(kind, [name], message, value))
    if findings:
        raise refuse(*findings)
    return values


def read_run(body: Json) -> tuple[Json, RunRequest]:
    """Return the fields of a run, and the run's request.

    Raises:
        Refusal: A field is missing or invalid.
    """
    kinds = {
        **dict.fromkeys(("appName", "userId", "sessionId", "invocationId", "functionCallEventId"), "string"),
        **dict.fromkeys(("newMessage",), "object"),
        **dict.fromkeys(("stateDelta", "customMetadata"), "dict"),
        "streaming": "bool",
    }
    values = read_fields(body, kinds, ("userId", "sessionId"))
    message = values.get("newMessage")
    metadata = values.get("customMetadata")
    run = RunRequest(
        parts=None if message is None else read_parts(message.get("parts") or []),
        streaming=values.get("streaming", False),
        state_delta=values.get("stateDelta", {}),
        custom_metadata=metadata,
        invocation_id=values.get("invocationId"),
    )
    return values, run


def read_parts(parts: Any) -> list[Json]:
    """Return the parts of a message in the format of storage.

    Raises:
        Refusal: One of them has an unknown field, or a value of another kind.
    """
    read = []
    for index, part in enumerate(parts):
        place = ["newMessage", "parts", index]
        if not isinstance(part, dict):
            raise refuse(finding("model_attributes_type", place, _FORBIDDEN, part))
        named = {_camel(name): value for name, value in part.items() if value is not None}
        for name, value in named.items():
            if name not in _PART_FIELDS:
                raise refuse(finding("extra_forbidden", [*place, name], "Extra inputs are not permitted", value))
        if not isinstance(named.get("text", ""), str):
            raise refuse(finding("string_type", [*place, "text"], "Input should be a valid string", named["text"]))
        if "inlineData" in named:
            blob = {_camel(name): value for name, value in named["inlineData"].items()}
            named["inlineData"] = {**blob, "data": _url_safe(blob.get("data", ""), [*place, "inlineData", "data"])}
        read.append(named)
    return read


def _url_safe(text: str, place: list[Any]) -> str:
    """Return base64 text in the URL-safe alphabet of responses.

    Raises:
        Refusal: The text is not base64.
    """
    standard = text.replace("-", "+").replace("_", "/")
    try:
        content = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error as error:
        context = {"encoding": "base64", "encoding_error": str(error)}
        message = f"Data should be valid base64: {error}."
        raise refuse(finding("bytes_invalid_encoding", place, message, text, ctx=context)) from error
    return base64.urlsafe_b64encode(content).decode()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest) if first else name


_KINDS: Final[Mapping[str, tuple[str, str, Callable[[Any], bool]]]] = {
    "string": ("string_type", "Input should be a valid string", lambda value: isinstance(value, str)),
    "dict": ("dict_type", "Input should be a valid dictionary", lambda value: isinstance(value, dict)),
    "list": ("list_type", "Input should be a valid list", lambda value: isinstance(value, list)),
    "bool": ("bool_type", "Input should be a valid boolean", lambda value: isinstance(value, bool)),
    "object": ("model_attributes_type", _FORBIDDEN, lambda value: isinstance(value, dict)),
}
