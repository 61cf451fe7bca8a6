"""The code of the page "Test your code" is a suite: it runs by emulator, is recorded, and is replayed offline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polysession.emulation import serve
from tools.page_code import TESTING_PAGE, code_blocks


def test_the_suite_of_the_page_runs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins take seconds to load
    folder = Path(pytester.path)
    for number, block in enumerate(code_blocks(TESTING_PAGE)):
        (folder / f"{'test_page' if 'def test_' in block else 'program'}_{number}.py").write_text(block)
    pytester.makeini("[pytest]\npolysession_provider = qoder\nfilterwarnings = error\n")
    programs = sorted(folder.glob("program_*.py"))
    with serve("qoder") as emulator, monkeypatch.context() as real:  # in place of the real backend
        real.setenv("QODER_MANAGED_BASE_URL", emulator.base_url)
        real.setenv("QODER_ACCESS_TOKEN", emulator.settings["token"])
        for name in ("MY_AGENT", "POLYSESSION_TEST_AGENT"):
            real.setenv(name, emulator.agent_id)
        for name in ("MY_ENVIRONMENT", "POLYSESSION_TEST_ENVIRONMENT"):
            real.setenv(name, str(emulator.environment_id))
        run(pytester, "--record-mode=once", "--polysession-backend=tape", passed=14)
        listed = [output(program) for program in programs]
    assert len(list(folder.rglob("*.jsonl"))) == 6
    run(pytester, "--polysession-backend=tape", passed=14)
    assert [output(program) for program in programs] == listed
    assert all(listed)


def run(pytester: pytest.Pytester, *arguments: str, passed: int) -> None:
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-p", "polysession", *arguments).assert_outcomes(
        passed=passed
    )


def output(program: Path) -> str:
    command = [sys.executable, "-W", "error", str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=program.parent).stdout  # noqa: S603
