"""Reads reply bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from polysession._core.exchange import plain_text
from polysession._core.flow import Response
from polysession.errors import MalformedResponse

T = TypeVar("T")
W = TypeVar("W", bound=BaseModel)

_QUOTED: Final = 80
_PROBLEMS_SHOWN: Final = 3


def read_json(reply: Response) -> dict[str, Any]:
    """The JSON object in a reply.

    Raises:
        MalformedResponse: The body is empty, is not JSON, or is not an object.
    """
    try:
        value = from_json(reply.content)
    except ValueError as error:
        raise _malformed(reply, _instead_of_json(reply, error)) from error
    if not isinstance(value, dict):
        raise _malformed(reply, f"instead of a JSON object came a {type(value).__name__}")
    return value


def read_wire(model: type[W], reply: Response) -> W:
    """The wire model in a reply, straight from its text.

    Raises:
        MalformedResponse: The body is no JSON object, or not that of the model.
    """
    try:
        return model.model_validate_json(reply.content)
    except ValidationError:
        pass
    return read_as(model.model_validate, read_json(reply), reply)  # step by step, to say what is wrong


class Form(Generic[T]):
    """A form that bodies nearly always have: read in half of the time that a model takes, or not at all.

    Args:
        form: A `TypedDict`. It may be narrower than what the backend sends: what does not fit is read by a model.
    """

    def __init__(self, form: type[T]) -> None:
        self._form = form

    def read(self, reply: Response) -> T | None:
        """What a reply holds; None if it does not have this form, whatever else it may be."""
        return self.read_text(reply.content)

    def read_text(self, text: bytes) -> T | None:
        """The same of a text."""
        try:
            return self.reader(text)
        except ValidationError:
            return None

    @cached_property
    def reader(self) -> Callable[[bytes], T]:
        """Reads a text, or raises pydantic's `ValidationError`."""
        # Of the validator itself, because the adapter's own method costs half as much again.
        return cast("Callable[[bytes], T]", TypeAdapter(self._form).validator.validate_json)


def read_as(normalise: Callable[[Any], T], value: object, reply: Response) -> T:
    """What a normaliser, or a wire model's `model_validate`, makes of a decoded value.

    Raises:
        MalformedResponse: A field that we need is missing, or has a type that no generation of the backend sends.
    """
    try:
        return normalise(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False, include_context=False)[:_PROBLEMS_SHOWN]
        )
    # Raised out here, so that pydantic's error does not come along: it holds the body, which may hold credentials.
    del value  # for the same reason: tracebacks with locals would show it
    raise _malformed(reply, problems)


def read_json_or_nothing(reply: Response) -> dict[str, Any] | None:
    """The JSON object in a reply that may as well have no body: None then. So that a page is not taken for success.

    Raises:
        MalformedResponse: There is a body, and it is no JSON object.
    """
    return read_json(reply) if reply.content.strip() else None


def read_json_or_none(reply: Response) -> Mapping[str, Any] | None:
    """The JSON object in a reply; None if there is none. For error bodies, which may be anything."""
    try:
        value = from_json(reply.content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _instead_of_json(reply: Response, error: ValueError) -> str:
    text = plain_text(reply.content).strip()
    if not text:
        return "the body is empty"
    # Quoted whole or not at all: a cut could leave a piece of a secret, which would not be recognised any more.
    return f"instead of JSON came: {text}" if len(text) <= _QUOTED else f"it is not JSON: {error}"


def _malformed(reply: Response, what: str) -> MalformedResponse:
    message = f"the backend answered success, with a body that cannot be read: {what}"
    return MalformedResponse(message, status=reply.status, request_id=reply.headers.get("x-request-id"))
