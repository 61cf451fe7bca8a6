"""A new provider is started by copying the example under another name."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from polysession import Client
from polysession.emulation import serve
from support.installed import Site, site

__all__ = ["site"]

TOOL = Path(__file__).parents[2] / "tools/scaffold.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scaffold", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def started(*arguments: object) -> tuple[int, str]:
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout + run.stderr


def test_a_new_provider_works_at_once(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = started("acme7", tmp_path / "plugin")
    assert (code, "9 files in" in told) == (0, True), told
    monkeypatch.syspath_prepend(tmp_path / "plugin/src")
    site.install("polysession-acme7", "acme7 = polysession_acme7")

    with serve("acme7") as emulator, Client("acme7", **emulator.settings) as client:
        session = client.sessions.create(title="Ticket 42")
        with client.sessions.run(session, "hello", deadline_s=20) as turn:
            assert turn.wait().text == "You said: hello"


def test_nothing_of_the_example_is_left(tool: ModuleType, tmp_path: Path) -> None:
    written = tool.scaffold("acme", tmp_path / "plugin")

    assert {path.relative_to(tmp_path / "plugin").as_posix() for path in written} == {
        path.relative_to(tool.EXAMPLE).as_posix().replace("porter", "acme")
        for path in tool.EXAMPLE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert [path for path in written if "porter" in path.read_text().lower()] == []


@pytest.mark.parametrize("name", ["Acme", "", "7up", "my-backend", "class", "../up"])
def test_a_name_that_will_not_do_is_told(tmp_path: Path, name: str) -> None:
    code, told = started(name, tmp_path / "plugin")

    assert code == 2
    assert "is no name for a provider" in told
    assert not (tmp_path / "plugin").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    assert started("acme", tmp_path)[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert started("acme") == (2, "usage: scaffold NAME FOLDER\n")
