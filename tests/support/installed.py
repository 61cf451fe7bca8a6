"""Installs invented distributions: real `dist-info` folders in a folder on the path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polysession.plugins import GROUP, load_provider


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, distribution: str, *entry_points: str, version: str = "1.0") -> None:
        """Install a distribution with entry points of providers, such as `"acme = support.acme"`."""
        info = self._folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *entry_points]))
        importlib.invalidate_caches()

    def module(self, name: str, source: str) -> None:
        """Add a module that an entry point can name."""
        (self._folder / f"{name}.py").write_text(source)
        importlib.invalidate_caches()


@contextmanager
def _open_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Put the folder on the path. Afterwards, remove the modules that were loaded from it."""
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    load_provider.cache_clear()
    yield Site(folder)
    load_provider.cache_clear()
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return a folder of installed distributions, for one test."""
    with _open_site(tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture(scope="module")
def acme_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the invented provider as a plugin, for the tests of a module."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        _open_site(tmp_path_factory.mktemp("site"), monkeypatch) as opened,
    ):
        opened.install("acme-sessions", "acme = support.acme")
        yield
