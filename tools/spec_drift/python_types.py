"""The types of a Python package, read from its source without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_DEFINED: Final = re.compile(r"^(?:class (\w+)|(\w+): TypeAlias|(\w+) = Literal)", re.MULTILINE)


@dataclass(frozen=True)
class _Module:
    """The definitions of one file."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    aliases: dict[str, ast.expr] = field(default_factory=dict)


class PythonTypes:
    """The classes and type aliases in some folders.

    Args:
        folders: Where the files are. Of two definitions with one name, that of the first folder counts.
        prefix: What most names begin with. They are known without it.
    """

    def __init__(self, folders: Iterable[Path], prefix: str = "") -> None:
        self._prefix = prefix
        self._paths: dict[str, Path] = {}
        self._modules: dict[Path, _Module] = {}
        for folder in folders:
            for path in sorted(folder.glob("*.py")):
                for names in _DEFINED.findall(path.read_text(encoding="utf-8")):
                    self._paths.setdefault("".join(names), path)

    def fields(self, name: str) -> dict[str, str]:
        """Return the fields of a class and its bases, each with its type as written.

        An unknown class has no fields.
        """
        module = self._module_of(self._full(name))
        found = module.classes.get(self._full(name))
        if found is None:
            return {}
        bases = [self.fields(base.id) for base in found.bases if isinstance(base, ast.Name)]
        own = {key: self._text(kind) for key, kind in _fields_of(found)}
        return {key: kind for fields in (*bases, own) for key, kind in fields.items()}

    def values(self, place: str) -> tuple[str, ...]:
        """Return the values of an enum, sorted.

        Args:
            place: The name of a type, or a class and its field. The values of a union are the types of its members.
        """
        name, _, key = place.partition(".")
        module = self._module_of(self._full(name))
        node: ast.expr | None = ast.Name(self._full(name))
        if key:
            found = module.classes.get(self._full(name))
            node = None if found is None else dict(_fields_of(found)).get(key)
        return () if node is None else tuple(sorted(set(self._values_of(node, module))))

    def _full(self, name: str) -> str:
        return self._prefix + name if self._prefix + name in self._paths else name

    def _text(self, kind: ast.expr) -> str:
        return ast.unparse(kind).replace(self._prefix, "")

    def _module_of(self, name: str) -> _Module:
        path = self._paths.get(name)
        if path is None:
            return _Module()
        if path not in self._modules:
            self._modules[path] = _read(path)
        return self._modules[path]

    def _values_of(self, node: ast.expr, module: _Module) -> Iterator[str]:
        match node:
            case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
                yield from (str(each.value) for each in _items(inner) if isinstance(each, ast.Constant))
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=inner):
                yield from self._values_of(_items(inner)[0], module)
            case ast.Subscript(slice=inner):
                for each in _items(inner):
                    yield from self._values_of(each, module)
            case ast.Name(id=name):
                yield from self._values_of_name(name, module)

    def _values_of_name(self, name: str, module: _Module) -> Iterator[str]:
        """Return the values of an alias, or the type of a class.

        Names of the same file have priority.
        """
        home = module if name in module.aliases or name in module.classes else self._module_of(name)
        if name in home.aliases:
            yield from self._values_of(home.aliases[name], home)
        elif name in home.classes:
            kind = dict(_fields_of(home.classes[name])).get("type")
            yield from () if kind is None else self._values_of(kind, home)


def _read(path: Path) -> _Module:
    module = _Module()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            module.aliases[node.target.id] = node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            module.aliases[node.targets[0].id] = node.value
    return module


def _fields_of(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield each.target.id, each.annotation


def _items(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]
