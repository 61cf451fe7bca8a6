"""The recording of Qoder works, tried on the emulator; and what the emulator answers is not stored."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from live.sources import SOURCES, Source
from polysession.emulation import EmulatorHandle, serve
from polysession.testing import Tape
from support.client_runners import SYNC, ClientRunner
from support.qoder_recording import ENVIRONMENT, Do, a_session, follow_a_turn, run_session
from tools.recordings import guard
from tools.recordings.allowed import REQUEST_HEADERS
from tools.recordings.cassettes import playing, recording, sent
from tools.recordings.inventory import NOT_RECORDED_YET, problems_in
from tools.recordings.provenance import CASSETTES
from tools.recordings.tapes import recorded_tape

ROOT = Path(__file__).parents[2]
TOKEN = "pt-canary-of-the-recording"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorHandle]:
    with serve("qoder") as handle:
        monkeypatch.setenv("QODER_ACCESS_TOKEN", TOKEN)
        monkeypatch.setenv("QODER_MANAGED_BASE_URL", handle.base_url)
        yield handle


@pytest.fixture
def found(emulator: EmulatorHandle, tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Source]:
    with SOURCES["qoder"](pytestconfig, tmp_path) as source:
        assert (source.base_url, source.handle) == (emulator.base_url, emulator.environment_id)
        yield source


def doing(runner: ClientRunner, base_url: str, token: str) -> Do:
    return lambda use: runner.call("qoder", use, base_url=base_url, token=token)


def test_a_session_is_recorded_and_played(found: Source, runner: ClientRunner, tmp_path: Path) -> None:
    path = tmp_path / "qoder/recorded/session.yaml"
    with recording(path, found.provenance(), found.scrubber()):
        run_session(doing(SYNC, found.base_url, TOKEN), found.handle, poll_s=0.05)
    assert guard.leaks(path.read_bytes(), [TOKEN, found.handle, found.base_url]) == []
    assert problems_in(path) == []
    with playing(path) as tape:
        run_session(doing(runner, "https://qoder.test/api/v1/cloud", "any"), ENVIRONMENT, poll_s=0)
    assert sent(tape, "POST", "/sessions")[0]["environment_id"] == ENVIRONMENT


def test_a_turn_is_taped_and_played(found: Source, runner: ClientRunner, tmp_path: Path) -> None:
    path = tmp_path / "qoder/streams/plain.jsonl"
    ids = a_session(doing(SYNC, found.base_url, TOKEN), found.handle)
    follow = partial(follow_a_turn, ids=ids)
    with recorded_tape(path, found, tmp_path) as tape:
        recorded = SYNC.play("qoder", follow, tape=tape, base_url=found.base_url, token=TOKEN)
    assert guard.leaks(path.read_bytes(), [TOKEN, found.base_url]) == []
    assert problems_in(path) == []
    with Tape(path, match_headers=REQUEST_HEADERS) as tape:
        played = runner.play("qoder", follow, tape=tape)
    assert [event.type for event in played] == [event.type for event in recorded]
    assert played[-1].outcome == "completed"


def test_the_command_refuses_an_emulator_and_stores_nothing(emulator: EmulatorHandle) -> None:
    command = [sys.executable, "-m", "pytest", "tests/cassettes/test_qoder_recorded.py", "--record=qoder", "-n0", "-q"]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert ran.stdout.count(f"{emulator.base_url} is an emulator: its responses are never stored as evidence") >= 2
    assert ran.returncode == 1
    assert [name for name in NOT_RECORDED_YET if (CASSETTES / name).exists()] == []


def test_a_recording_needs_a_token(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QODER_ACCESS_TOKEN", raising=False)
    with pytest.raises(pytest.UsageError, match="QODER_ACCESS_TOKEN"), SOURCES["qoder"](pytestconfig, tmp_path):
        pass
