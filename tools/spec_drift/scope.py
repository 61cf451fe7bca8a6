"""The compared part of a source: the part of a backend's API that we use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_PARAMETER: Final = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True)
class Scope:
    """The part of one source that is compared.

    Attributes:
        objects: Names of objects. `GET /path` means the query of that operation.
        enums: Where enums are: a name, or an object and the fields that lead to the values, as in `Msg.content.type`.
        routes: Patterns of the routes, as `route` writes them.
    """

    objects: frozenset[str] = frozenset()
    enums: frozenset[str] = frozenset()
    routes: tuple[str, ...] = ()

    def routes_in(self, found: Iterable[str]) -> tuple[str, ...]:
        """Those of the routes that belong to it, sorted."""
        return tuple(sorted(each for each in set(found) if any(re.search(pattern, each) for pattern in self.routes)))


def route(method: str, path: str) -> str:
    """An operation, whatever the parameters of its path are called."""
    return f"{method.upper()} {_PARAMETER.sub('{}', path)}"
