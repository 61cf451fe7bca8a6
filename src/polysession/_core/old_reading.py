"""Temporary: the readers of providers that do not read through wire structs yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from polysession._core.flow import Response
from polysession._core.reading import _malformed, read_json

T = TypeVar("T")
W = TypeVar("W", bound=BaseModel)

_PROBLEMS_SHOWN: Final = 3


def read_wire(model: type[W], reply: Response) -> W:
    try:
        return model.model_validate_json(reply.content)
    except ValidationError:
        pass
    return read_as(model.model_validate, read_json(reply), reply)


class Form(Generic[T]):
    def __init__(self, form: type[T]) -> None:
        self._form = form

    def read(self, reply: Response) -> T | None:
        return self.read_text(reply.content)

    def read_text(self, text: bytes) -> T | None:
        try:
            return self.reader(text)
        except ValidationError:
            return None

    @cached_property
    def reader(self) -> Callable[[bytes], T]:
        return cast("Callable[[bytes], T]", TypeAdapter(self._form).validator.validate_json)


def read_as(normalise: Callable[[Any], T], value: object, reply: Response) -> T:
    try:
        return normalise(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False, include_context=False)[:_PROBLEMS_SHOWN]
        )
    del value
    raise _malformed(reply, problems)
