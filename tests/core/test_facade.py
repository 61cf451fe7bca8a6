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
from polysession._lazy_names import homes

FACADES = [polysession, provider_api]
HOMES = homes(str(polysession.__file__))
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


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import polysession; polysession.__version__; dir(polysession)", HEAVY) == []


def test_a_name_loads_no_more_than_its_home_needs() -> None:
    assert loaded_after("import polysession; polysession.UsageError; polysession.Feature", HEAVY[1:-1]) == []


def test_loading_a_client_loads_no_retry_library() -> None:
    assert loaded_after("import polysession; polysession.Client, polysession.AsyncClient", ["tenacity", "httpx"]) == [
        "httpx"
    ]


@pytest.mark.parametrize("name", dir(polysession))
def test_every_public_name_loads_from_its_home(name: str) -> None:
    value: Any = getattr(polysession, name)

    assert value is getattr(polysession, name)
    assert not isinstance(value, ModuleType)


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_every_name_of_a_stub_is_exported_to_type_checkers(facade: ModuleType) -> None:
    """A stub exports what it imports under the same name again."""
    tree = ast.parse(Path(f"{facade.__file__}i").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]

    assert imports == tree.body
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    assert len({node.module for node in imports}) == len(imports)


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_a_star_import_gives_all_names(facade: ModuleType) -> None:
    names: dict[str, object] = {}
    exec(f"from {facade.__name__} import *", names)  # noqa: S102  (our own module)

    assert names.keys() - {"__builtins__"} == set(facade.__all__)


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

    assert raised <= set(dir(polysession))
