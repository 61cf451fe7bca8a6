"""Modules whose names are loaded when they are first used (PEP 562).

Such a module has a stub beside it, which imports each name from its home: the one list, for type checkers and at run
time.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # as in the package itself, which is not to import typing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy_names(
    module: str, source: str | Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a module.

    Args:
        module: Its `__name__`.
        source: Its `__file__`, with a stub beside it; or the names by the modules that define them.
    """
    home_of: dict[str, str] = {}

    def load(name: str) -> object:
        """Load a name from the module that defines it."""
        if not home_of:
            home_of.update(homes(source))
        if name == "__all__":
            value: object = public_names()
        elif name in home_of:
            value = getattr(import_module(home_of[name]), name)
        else:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        setattr(sys.modules[module], name, value)
        return value

    def public_names() -> list[str]:
        """The names of the module."""
        return sorted({*homes(source), *vars(sys.modules[module]).get("__all__", ())})

    return load, public_names


def homes(source: str | Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """Each name with the module that it comes from."""
    if not isinstance(source, str):
        return {name: home for home, names in source.items() for name in names}
    import ast  # noqa: PLC0415  (importing the package alone needs no parser)

    with open(f"{source.removesuffix('c')}i", encoding="utf-8") as stub:  # noqa: PTH123  (pathlib costs more than all)
        tree = ast.parse(stub.read())
    return {
        alias.name: node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
