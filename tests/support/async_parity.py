"""Compares the functions of a sync module with those of its async counterpart."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from types import ModuleType


class _Blocking(ast.NodeTransformer):
    """Removes `async` and `await` from a syntax tree."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        fields = {name: getattr(node, name) for name in node._fields}
        return self.generic_visit(ast.FunctionDef(**fields))

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        fields = {name: getattr(node, name) for name in node._fields}
        return self.generic_visit(ast.For(**fields))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        fields = {name: getattr(node, name) for name in node._fields}
        return self.generic_visit(ast.With(**fields))

    def visit_Await(self, node: ast.Await) -> ast.AST:
        inner: ast.AST = self.visit(node.value)
        return inner


def outline(module: ModuleType, words: Mapping[str, str], *, skip: str) -> dict[str, str]:
    """Return the source of each function of a module, by name.

    It includes the docstring, and has no `async` and `await`.

    Args:
        module: The module.
        words: Whole words to replace, with their replacements.
        skip: Name, after the replacement, of a function to leave out.
    """
    with open(str(module.__file__), encoding="utf-8") as file:  # noqa: PTH123
        source = file.read()
    for word, other in words.items():
        source = re.sub(rf"\b{word}\b", other, source)
    tree = ast.fix_missing_locations(_Blocking().visit(ast.parse(source)))
    functions = {}
    for scope in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        place = getattr(scope, "name", "")
        if place:
            functions[place] = ast.get_docstring(scope) or ""
        for node in scope.body:
            if isinstance(node, ast.FunctionDef) and node.name != skip:
                functions[f"{place}.{node.name}"] = ast.unparse(node)
    return functions
