"""Modules whose names are loaded when they are first used (PEP 562).

Type checkers do not see it: such a module also imports its names under `TYPE_CHECKING`.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # as in the package itself, which is not to import typing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy_names(
    module: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a module.

    Args:
        module: Its `__name__`.
        homes: The names that are loaded later, by the module that defines them.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> object:
        """Load a name from the module that defines it."""
        if name not in home_of:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value: object = getattr(import_module(home_of[name]), name)
        setattr(sys.modules[module], name, value)
        return value

    def public_names() -> list[str]:
        """What the module offers."""
        return sorted(sys.modules[module].__all__)

    return load, public_names
