"""A stranger's plugin: installed from its own distribution, found by name, and under the same contract as ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples/provider-plugin"
TUTORIAL = (ROOT / "docs/provider-tutorial.md").read_text()
TAUGHT = re.compile(r'^```\w+ title="(.*?)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
NETWORK = ["--block-network", "--allowed-hosts=127.0.0.1"]

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a module with the plugin installed, beside what this environment has; gives what it printed."""
    source = tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("__pycache__"))
    site = tmp_path_factory.mktemp("site")
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}

    def run(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603  (our own interpreter)
            [sys.executable, "-m", *arguments],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(site), str(source))
    return run


def test_it_is_found_by_name_and_tells_its_story(run: Run) -> None:
    assert "porter" in run("polysession.cli", "providers")
    told = run("polysession.cli", "demo")
    assert "6 backends" in told
    assert re.search(r"porter [a-z, ]*archive", " ".join(told.split()))


def test_it_keeps_the_contract(run: Run) -> None:
    told = run("pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist", *NETWORK, "tests")

    passed = re.search(r"^(\d+) passed, (\d+) xfailed in", told, re.MULTILINE)
    assert passed, told
    assert int(passed[1]) > 400
    assert int(passed[2]) == 2  # that it does not think, through both clients


def test_the_tutorial_teaches_every_line() -> None:
    files = {
        path.relative_to(PLUGIN).as_posix(): path.read_text()
        for path in PLUGIN.rglob("*")
        if path.suffix in {".py", ".toml"}
    }
    taught: dict[str, str] = {}
    for name, block in TAUGHT.findall(TUTORIAL):
        taught[name] = f"{taught[name]}\n\n{block}" if name in taught else block

    assert taught.keys() == files.keys()
    for name, text in files.items():
        assert without_gaps(taught[name]) == without_gaps(text), f"docs/provider-tutorial.md and {name} differ"


def without_gaps(text: str) -> str:
    """A file as it is taught: how many lines lie between two pieces is not told."""
    return re.sub(r"\n{2,}", "\n", text).strip()
