"""Reads reply bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from polysession._core.exchange import harmless, plain_text
from polysession._core.flow import Reply
from polysession.errors import MalformedResponse

T = TypeVar("T")


def read_json(reply: Reply) -> dict[str, Any]:
    """The JSON object in a reply.

    Raises:
        MalformedResponse: The body is empty, is not JSON, or is not an object.
    """
    try:
        value = from_json(reply.content)
    except ValueError as error:
        said = harmless(plain_text(reply.content)[:80])
        what = f"instead of JSON came {said!r}" if said else "the body is empty"
        raise _malformed(reply, what) from error
    if not isinstance(value, dict):
        raise _malformed(reply, f"instead of a JSON object came a {type(value).__name__}")
    return value


def read_as(normalise: Callable[[Any], T], value: object, reply: Reply) -> T:
    """What a normaliser, or a wire model's `model_validate`, makes of a decoded value.

    Raises:
        MalformedResponse: A field that we need is missing, or has a type that no generation of the backend sends.
    """
    try:
        return normalise(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False, include_context=False)[:3]
        )
        # `from None`: pydantic's error still holds the body, and a body may hold credentials.
        raise _malformed(reply, problems) from None


def read_json_or_none(reply: Reply) -> Mapping[str, Any] | None:
    """The JSON object in a reply; None if there is none. For error bodies, which may be anything."""
    try:
        value = from_json(reply.content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _malformed(reply: Reply, what: str) -> MalformedResponse:
    message = f"the backend answered success, with a body that cannot be read: {what}"
    return MalformedResponse(message, status=reply.status, request_id=reply.headers.get("x-request-id"))
