"""The part of a source to compare: the part of a backend's API that we use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_PARAMETER: Final = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class Scope:
    """The part of one source to compare.

    Attributes:
        objects: Names of objects. `GET /path` means the query of that operation.
        enums: Places of enums: a name, or an object and the path of fields to the values, as in `Msg.content.type`.
        routes: Patterns of routes in the format of `route`.
    """

    objects: frozenset[str] = frozenset()
    enums: frozenset[str] = frozenset()
    routes: tuple[str, ...] = ()

    def routes_in(self, found: Iterable[str]) -> tuple[str, ...]:
        """Return the routes that belong to the scope, sorted."""
        return tuple(sorted(each for each in set(found) if any(re.search(pattern, each) for pattern in self.routes)))


def route(method: str, path: str) -> str:
    """Return method and path of an operation, with unnamed path parameters."""
    return f"{method.upper()} {_PARAMETER.sub('{}', path)}"
