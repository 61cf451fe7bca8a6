"""Each example runs as a program of its own, on every backend."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from polysession import TurnLife
from polysession.cli.demo import emulated_providers
from polysession.plugins import load_provider

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if not path.name.startswith("_"))
LAST_LINES = {
    "approve_elsewhere.py": "second process: 2 actions answered, completed",
    "approvals.py": "/ask: completed, 'The decision was heard.'",
    "fan_out.py": "You said: part 19",
    "first_turn.py": "completed after",
    "newest.py": "{provider},",
    "resume.py": "second process: completed",
}


def test_each_script_has_its_last_line() -> None:
    assert [path.name for path in SCRIPTS] == sorted(LAST_LINES)


def test_the_list_of_examples_is_whole() -> None:
    page = (EXAMPLES / "README.md").read_text()

    assert [path.name for path in SCRIPTS if f"`{path.name}`" not in page] == []


PROVIDERS = list(emulated_providers())
RUNS = [(script, provider) for script in SCRIPTS for provider in PROVIDERS]
ONE_EACH = [(script, PROVIDERS[at % len(PROVIDERS)]) for at, script in enumerate(SCRIPTS)]


def name(each: Path | str) -> str:
    return each.stem if isinstance(each, Path) else each


@pytest.mark.parametrize(("script", "provider"), ONE_EACH, ids=name)
def test_each_example_runs_in_this_process(
    script: Path, provider: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(script), provider])
    monkeypatch.syspath_prepend(EXAMPLES)

    runpy.run_path(str(script), run_name="__main__")

    check(script, provider, *capfd.readouterr())


@pytest.mark.long
@pytest.mark.parametrize(("script", "provider"), RUNS, ids=name)
def test_an_example_runs(script: Path, provider: str) -> None:
    run = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-W", "error", str(script), provider],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )

    assert run.returncode == 0
    check(script, provider, run.stdout, run.stderr)


def check(script: Path, provider: str, shown: str, errors: str) -> None:
    assert errors == ""
    last_line = LAST_LINES[script.name].format(provider=provider)
    if load_provider(provider).turn_life is TurnLife.ATTENDED:  # a turn ends where it is left
        last_line = last_line.replace("second process: completed", "second process: cancelled")
    assert shown.splitlines()[-1].startswith(last_line)
