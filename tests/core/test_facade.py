from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import polysession
from polysession import errors, provider_api

FACADES = [polysession, provider_api]
HOMES = {name: home for home, names in polysession._HOMES.items() for name in names}
HEAVY = ["asyncio", "http", "httpx", "importlib.metadata", "pluggy", "pydantic", "ssl", "tenacity", "typing"]


def loaded_after(statement: str, names: list[str]) -> list[str]:
    """Which modules a fresh interpreter has loaded after a statement."""
    program = f"import sys\n{statement}\nimport json\nprint(json.dumps([n for n in {names!r} if n in sys.modules]))"
    # -S: the site packages of an environment may load anything; the path is given by hand instead.
    paths = [str(Path(polysession.__file__).parents[1]), *(path for path in sys.path if path.endswith("site-packages"))]
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {paths!r}\n{program}"],
        check=True,
        capture_output=True,
        text=True,
    )
    result: list[str] = json.loads(run.stdout)
    return result


def declared_for_type_checkers(facade: ModuleType) -> dict[str, set[str]]:
    """The names that only a type checker sees, by their homes."""
    tree = ast.parse(Path(str(facade.__file__)).read_text())
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        node.module or "": {alias.name for alias in node.names}
        for node in guard.body
        if isinstance(node, ast.ImportFrom)
    }


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import polysession; polysession.__version__; dir(polysession)", HEAVY) == []


def test_a_name_loads_no_more_than_its_home_needs() -> None:
    assert loaded_after("import polysession; polysession.UsageError; polysession.Feature", HEAVY[1:-1]) == []


def test_loading_a_client_loads_no_retry_library() -> None:
    assert loaded_after("import polysession; polysession.Client, polysession.AsyncClient", ["tenacity", "httpx"]) == [
        "httpx"
    ]


@pytest.mark.parametrize("name", polysession.__all__)
def test_every_public_name_loads_from_its_home(name: str) -> None:
    value: Any = getattr(polysession, name)

    assert value is getattr(polysession, name)
    assert not isinstance(value, ModuleType)


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_the_table_of_homes_is_what_type_checkers_see(facade: ModuleType) -> None:
    assert declared_for_type_checkers(facade) == {home: set(names) for home, names in facade._HOMES.items()}


def test_the_table_of_homes_is_what_is_exported() -> None:
    assert sorted(HOMES) == sorted(set(polysession.__all__) - {"__version__"})
    assert list(polysession.__all__) == sorted(polysession.__all__, key=lambda name: (not name.isupper(), name))


@pytest.mark.parametrize(("name", "home"), HOMES.items())
def test_a_name_is_defined_in_its_home_and_not_just_imported_there(name: str, home: str) -> None:
    tree = ast.parse(Path(str(import_module(home).__file__)).read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert name not in imported


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_an_unknown_name_is_an_attribute_error(facade: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{facade.__name__}' has no attribute 'Clint'"):
        facade.Clint  # noqa: B018


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_dir_lists_the_public_names(facade: ModuleType) -> None:
    assert dir(facade) == sorted(facade.__all__)


def test_every_exception_is_public() -> None:
    raised = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert raised <= set(polysession.__all__)
