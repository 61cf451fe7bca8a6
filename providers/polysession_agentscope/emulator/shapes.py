"""Shapes of the values in a request, and the service's messages about invalid values.

The AgentScope service is built with FastAPI: it answers an invalid request with a list of problems and their locations.
https://docs.agentscope.io/deploy/agent-service (read 2026-11)
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Protocol

Json = Any
Loc = tuple[str | int, ...]
Problem = dict[str, Any]

UNSET: Final = object()

_TRUTHS: Final = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
}
_BOUNDS: Final[Mapping[str, tuple[str, str, Callable[[float, float], bool]]]] = {
    "gt": ("greater_than", "greater than", operator.gt),
    "ge": ("greater_than_equal", "greater than or equal to", operator.ge),
    "lt": ("less_than", "less than", operator.lt),
    "le": ("less_than_equal", "less than or equal to", operator.le),
}


def problem(kind: str, loc: Loc, message: str, value: Json, **context: Json) -> Problem:
    """Return one item of the `detail` list of a 422 response."""
    item: Problem = {"type": kind, "loc": list(loc), "msg": message, "input": value}
    return item | {"ctx": context} if context else item


def missing(loc: Loc, owner: Json = None) -> Problem:
    """Return the problem for a missing required value; `owner` is the object that lacks it."""
    return problem("missing", loc, "Field required", owner)


class Shape(Protocol):
    """The required shape of a value."""

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """Return the value as the service stores it, and add what is invalid to `problems`."""


@dataclass(frozen=True, slots=True)
class Typed(Shape):
    """A value of one JSON type, without conversion."""

    python_type: type
    kind: str
    noun: str

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        if not isinstance(value, self.python_type):
            problems.append(problem(self.kind, loc, f"Input should be a valid {self.noun}", value))
        return value


TEXT: Final = Typed(str, "string_type", "string")
MAPPING: Final = Typed(dict, "dict_type", "dictionary")


@dataclass(frozen=True, slots=True)
class Choice(Shape):
    """One of a few strings."""

    values: tuple[str, ...]

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        if value not in self.values:
            *others, last = (repr(allowed) for allowed in self.values)
            expected = f"{', '.join(others)} or {last}"
            problems.append(problem("enum", loc, f"Input should be {expected}", value, expected=expected))
        return value


@dataclass(frozen=True, slots=True)
class Literal(Shape):
    """One of a few strings, with another message than `Choice` has.

    Attributes:
        values: The strings.
        expected: The service's text for them.
    """

    values: tuple[str, ...]
    expected: str

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        if value not in self.values:
            message = f"Input should be {self.expected}"
            problems.append(problem("literal_error", loc, message, value, expected=self.expected))
        return value


@dataclass(frozen=True, slots=True)
class Listed(Shape):
    """A list of values of one shape."""

    item: Shape

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        if not isinstance(value, list):
            problems.append(problem("list_type", loc, "Input should be a valid list", value))
            return value
        return [self.item.read(item, (*loc, index), problems) for index, item in enumerate(value)]


@dataclass(frozen=True, slots=True)
class Union(Shape):
    """A value of one of several named shapes. If none fits, the problems of all are reported."""

    shapes: Mapping[str, Shape]

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        all_found: list[Problem] = []
        for name, shape in self.shapes.items():
            found: list[Problem] = []
            known = shape.read(value, (*loc, name), found)
            if not found:
                return known
            all_found += found
        problems.extend(all_found)
        return value


@dataclass(frozen=True, slots=True)
class Flag(Shape):
    """A boolean, or a word or number that means one."""

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        if not isinstance(value, bool | int | str):
            problems.append(problem("bool_type", loc, "Input should be a valid boolean", value))
            return value
        truth = _TRUTHS.get(str(value).lower())
        if truth is None:
            message = "Input should be a valid boolean, unable to interpret input"
            problems.append(problem("bool_parsing", loc, message, value))
        return truth


@dataclass(frozen=True, slots=True)
class _Number(Shape):
    """A number, or a string that contains one."""

    number_type: type[int | float]
    noun: str
    article: str
    bounds: Mapping[str, float]

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        kind, noun = self.number_type.__name__, f"Input should be a valid {self.noun}"
        if not isinstance(value, int | float | str):
            problems.append(problem(f"{kind}_type", loc, noun, value))
            return value
        try:
            number = self.number_type(value)
        except ValueError:
            message = f"{noun}, unable to parse string as {self.article} {self.noun}"
            problems.append(problem(f"{kind}_parsing", loc, message, value))
            return value
        if isinstance(value, float) and number != value:
            problems.append(problem("int_from_float", loc, f"{noun}, got a number with a fractional part", value))
        problems.extend(self._out_of_bounds(number, value, loc))
        return number

    def _out_of_bounds(self, number: float, value: Json, loc: Loc) -> list[Problem]:
        found = []
        for name, limit in self.bounds.items():
            kind, words, holds = _BOUNDS[name]
            if not holds(number, limit):
                context = {name: self.number_type(limit)}
                found.append(problem(kind, loc, f"Input should be {words} {limit:g}", value, **context))
        return found


def integer(**bounds: float) -> Shape:
    """Return the shape of an integer within bounds such as `gt=0`."""
    return _Number(int, "integer", "an", bounds)


def number(**bounds: float) -> Shape:
    """Return the shape of a number within bounds such as `le=0.9`."""
    return _Number(float, "number", "a", bounds)


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object.

    Attributes:
        shape: Shape of its value.
        required: Whether the key is required.
        nullable: Whether the value may be null.
        default: Value that the service stores if the key is missing; `UNSET` stores nothing.
    """

    shape: Shape
    required: bool = False
    nullable: bool = False
    default: Json = UNSET

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """Return the value as the service stores it."""
        return None if self.nullable and value is None else self.shape.read(value, loc, problems)


@dataclass(frozen=True, slots=True)
class Object(Shape):
    """An object with known keys. The service ignores others.

    Attributes:
        fields: The known keys.
        rule: Check of the values together: returns the service's message, or None if they are valid.
    """

    fields: Mapping[str, Field]
    rule: Callable[[Json], str | None] | None = None

    def read(self, value: Json, loc: Loc, problems: list[Problem]) -> Json:
        """See `Shape`."""
        if not isinstance(value, dict):
            message = "Input should be a valid dictionary or object to extract fields from"
            problems.append(problem("model_attributes_type", loc, message, value))
            return value
        found: list[Problem] = []
        known: Json = {}
        for name, field in self.fields.items():
            if name in value:
                known[name] = field.read(value[name], (*loc, name), found)
            elif field.required:
                found.append(missing((*loc, name), value))
            elif field.default is not UNSET:
                known[name] = deepcopy(field.default)
        broken = self.rule(known) if self.rule and not found else None
        if broken:
            found.append(problem("value_error", loc, f"Value error, {broken}", value, error={}))
        problems.extend(found)
        return known
