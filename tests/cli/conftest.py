"""Emulators, and shells whose environment leads to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from polysession.cli.demo import emulated_providers
from polysession.emulation import EmulatorHandle, serve
from support.command import Shell, created, shell_for


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the configuration and state of the person who runs it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(params=list(emulated_providers()), scope="module")
def any_emulator(request: pytest.FixtureRequest) -> Iterator[EmulatorHandle]:
    with serve(request.param) as handle:
        yield handle


@pytest.fixture
def any_shell(any_emulator: EmulatorHandle) -> Shell:
    return shell_for(any_emulator)


@pytest.fixture(scope="module")
def qoder() -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        yield handle


@pytest.fixture
def shell(qoder: EmulatorHandle) -> Shell:
    return shell_for(qoder)


@pytest.fixture
def session(shell: Shell, qoder: EmulatorHandle) -> str:
    """Id of a new session of Qoder's emulator."""
    return created(shell, qoder, "--title", "Talk")
