from __future__ import annotations

import ast
from pathlib import Path

from polysession import provider_api


def test_a_provider_may_import_exactly_what_stands_there() -> None:
    tree = ast.parse(Path(provider_api.__file__).read_text())
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("polysession.")
        for alias in node.names
    }

    assert sorted(imported) == sorted(provider_api.__all__)
    assert all(hasattr(provider_api, name) for name in provider_api.__all__)
