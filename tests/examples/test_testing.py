"""The example suite runs on emulators, and on the tape of a real service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[2] / "examples/testing"


@pytest.mark.parametrize("backend", ["emulator", "tape"])
def test_the_suite_runs(backend: str) -> None:
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-p", "polysession", f"--polysession-backend={backend}"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # other plugins take seconds to load
    ran = subprocess.run(  # noqa: S603  (our own interpreter)
        [sys.executable, "-m", "pytest", *options],
        cwd=SUITE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, "7 passed" in ran.stdout) == (0, True), ran.stdout
