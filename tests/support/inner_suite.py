"""A user's test suite that a test runs in its own process.

Importing in another process would take longer than the suite itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "-p", "polysession", "-W", "ignore:Module already imported")
INI: Final = "[pytest]\npolysession_provider = qoder\nfilterwarnings = error\n"


class Imports:
    """Keeps modules that `pytester` would remove after a run.

    A second import would create their classes again.
    """

    def __init__(self) -> None:
        self._kept: dict[str, ModuleType] = {}

    def pytest_unconfigure(self) -> None:
        """Record the imported modules, at the end of a suite or of its test."""
        self._kept |= sys.modules

    def restore(self, but_of: Path) -> None:
        """Restore the recorded modules, except those in a folder."""
        for name, module in self._kept.items():
            if not Path(getattr(module, "__file__", None) or "/").is_relative_to(but_of):
                sys.modules.setdefault(name, module)


class Suite:
    """A test suite in the folder of `pytester`."""

    def __init__(self, pytester: pytest.Pytester, imports: Imports) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path
        self._imports = imports

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run the suite with our plugin only."""
        ran = self.pytester.runpytest_inprocess(*OPTIONS, *arguments, plugins=[self._imports])
        self._imports.restore(but_of=self.path)
        return ran


@pytest.fixture
def imports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imports]:
    """Return the modules to keep.

    The fixture is set up before `pytester` and torn down after it.
    """
    kept = Imports()
    yield kept
    kept.restore(but_of=tmp_path_factory.getbasetemp())


@pytest.fixture
def suite(imports: Imports, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """Return an empty suite for Qoder."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins take seconds to load
    pytester.makeini(INI)
    yield Suite(pytester, imports)
    imports.pytest_unconfigure()
