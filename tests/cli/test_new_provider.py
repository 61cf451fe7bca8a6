"""`polysession new-provider` writes a provider whose tests pass at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from polysession import Client
from polysession.cli.new_provider import template, write_provider
from polysession.emulation import serve
from support.command import Shell
from support.installed import Site, site

__all__ = ["site"]


def test_a_new_provider_works_at_once(
    tmp_path: Path, site: Site, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = shell.run("new-provider", "acme7", str(tmp_path / "plugin"))
    assert (ran.code, "12 files in" in ran.out) == (0, True), ran
    monkeypatch.syspath_prepend(tmp_path / "plugin/src")
    site.install("polysession-acme7", "acme7 = polysession_acme7")

    with serve("acme7") as emulator, Client("acme7", **emulator.settings) as client:
        session = client.sessions.create(title="Ticket 42")
        assert client.sessions.ask(session, "hello", deadline_s=20).text == "You said: hello"


def test_one_without_an_emulator_is_tested_flow_by_flow(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = shell.run("new-provider", "acme8", str(tmp_path / "plugin"), "--no-emulator", "--json")
    files = [Path(name).name for name in json.loads(ran.out)["files"]]
    assert "emulator.py" not in files
    assert "test_acme8.py" not in files

    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plugin/src"))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins take seconds to load
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_flows.py"]
    done = subprocess.run(command, cwd=tmp_path / "plugin", capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    assert "emulator" not in (tmp_path / "plugin/src/polysession_acme8/provider.py").read_text()


def test_nothing_of_the_example_is_left(tmp_path: Path) -> None:
    written = write_provider("acme", tmp_path / "plugin")

    assert {path.relative_to(tmp_path / "plugin").as_posix() for path in written} == {
        path.relative_to(template()).as_posix().replace("helpdesk", "acme")
        for path in template().rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert [path for path in written if "helpdesk" in path.read_text().lower()] == []
    articles = re.compile(r"\b(a|an|the|real)[ _]acme\b", re.IGNORECASE)
    assert [found for path in written if (found := articles.findall(path.read_text()))] == []


@pytest.mark.parametrize("name", ["Acme", "7up", "my-backend", "class", "../up"])
def test_a_name_that_cannot_be_used_is_a_usage_error(tmp_path: Path, shell: Shell, name: str) -> None:
    ran = shell.run("new-provider", name, str(tmp_path / "plugin"))

    assert ran.code == 2
    assert "is not a valid provider name" in ran.err
    assert not (tmp_path / "plugin").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, shell: Shell) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    assert shell.run("new-provider", "acme", str(tmp_path)).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
