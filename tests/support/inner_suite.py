"""A user's suite that a test runs in its own process: what the suite imports takes longer than the suite."""

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
    """Modules that outlive `pytester`, which forgets what was imported: imported again, its classes would be others."""

    def __init__(self) -> None:
        self._kept: dict[str, ModuleType] = {}

    def pytest_unconfigure(self) -> None:
        """Note what is imported, at the end of a suite or of its test."""
        self._kept |= sys.modules

    def restore(self, but_of: Path) -> None:
        """Have it again, but for the modules in a folder."""
        for name, module in self._kept.items():
            if not Path(getattr(module, "__file__", None) or "/").is_relative_to(but_of):
                sys.modules.setdefault(name, module)


class Suite:
    """A suite in a folder of its own, which `pytester` fills."""

    def __init__(self, pytester: pytest.Pytester, imports: Imports) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path
        self._imports = imports

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run it, with our plugin and no other one."""
        ran = self.pytester.runpytest_inprocess(*OPTIONS, *arguments, plugins=[self._imports])
        self._imports.restore(but_of=self.path)
        return ran


@pytest.fixture
def imports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imports]:
    """Modules that outlive `pytester`; set up before it, and torn down after it."""
    kept = Imports()
    yield kept
    kept.restore(but_of=tmp_path_factory.getbasetemp())


@pytest.fixture
def suite(imports: Imports, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """An empty suite for Qoder."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins take seconds to load
    pytester.makeini(INI)
    yield Suite(pytester, imports)
    imports.pytest_unconfigure()
