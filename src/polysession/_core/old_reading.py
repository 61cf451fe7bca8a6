"""Temporary: the readers of providers that do not read through wire structs yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

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
