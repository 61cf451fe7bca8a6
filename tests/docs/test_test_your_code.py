"""The code of the page "Test your code" is a suite: it runs by emulator, is recorded, and is replayed offline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polysession.emulation import serve
from support.inner_suite import Suite, imports, suite
from tools.page_code import TESTING_PAGE, code_blocks

__all__ = ["imports", "suite"]


def test_the_suite_of_the_page_runs(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = suite.path
    for number, block in enumerate(code_blocks(TESTING_PAGE)):
        (folder / f"{'test_page' if 'def test_' in block else 'program'}_{number}.py").write_text(block)
    programs = sorted(folder.glob("program_*.py"))
    with serve("qoder") as emulator, monkeypatch.context() as real:  # in place of the real backend
        real.setenv("QODER_MANAGED_BASE_URL", emulator.base_url)
        real.setenv("QODER_ACCESS_TOKEN", emulator.settings["token"])
        for name in ("MY_AGENT", "POLYSESSION_TEST_AGENT"):
            real.setenv(name, emulator.agent_id)
        for name in ("MY_ENVIRONMENT", "POLYSESSION_TEST_ENVIRONMENT"):
            real.setenv(name, str(emulator.environment_id))
        suite.run("--record-mode=once", "--polysession-backend=tape").assert_outcomes(passed=14)
        listed = [output(program) for program in programs]
    assert len(list(folder.rglob("*.jsonl"))) == 6
    suite.run("--polysession-backend=tape").assert_outcomes(passed=14)
    assert [output(program) for program in programs] == listed
    assert all(listed)


def output(program: Path) -> str:
    command = [sys.executable, "-W", "error", str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=program.parent).stdout  # noqa: S603
