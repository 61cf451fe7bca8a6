"""The invented provider, installed as a plugin like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.installed import Site, open_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with open_site(tmp_path, monkeypatch) as site:
        yield site


@pytest.fixture(scope="module")
def acme_installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch, open_site(tmp_path_factory.mktemp("site"), monkeypatch) as site:
        site.install("acme-sessions", "acme = support.acme")
        yield
