"""A server in a process of its own: it is ready when it answers, shows why it did not start, and ends as a whole."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from polysession.testing import ServerProcess, process

SERVER = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
WITH_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def says(word: str) -> Callable[[ServerProcess], bool]:
    return lambda server: word in server.output


def test_it_runs_until_the_context_ends_and_can_be_started_again(tmp_path: Path) -> None:
    (tmp_path / "health").write_text("up")
    with process(SERVER, ready="/health", cwd=tmp_path) as server:
        assert httpx.get(f"{server.base_url}/health", trust_env=False).text == "up"
        server.kill()
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.base_url, trust_env=False)
        server.start()
        assert httpx.get(f"{server.base_url}/health", trust_env=False).text == "up"
        assert server.output.count("GET /health") >= 4
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.base_url, trust_env=False)


def test_an_end_before_it_is_ready_shows_the_output() -> None:
    command = [sys.executable, "-c", "import sys; print('half way'); sys.exit('no configuration')"]
    with pytest.raises(RuntimeError, match=r"ended with status 1(.|\n)*no configuration"), process(command, ready="/"):
        pass


def test_a_server_that_is_not_ready_in_time_is_ended_and_shows_its_output() -> None:
    command = [sys.executable, "-c", WITH_CHILD]
    seen: list[ServerProcess] = []

    def never(server: ServerProcess) -> bool:
        seen.append(server)
        return False

    with (
        pytest.raises(RuntimeError, match=r"not ready after 1.0 seconds(.|\n)*child") as caught,
        process(command, ready=never, start_limit_s=1.0),
    ):
        pass
    assert_gone(int(str(caught.value).split()[-1]))


def test_what_it_started_ends_with_it() -> None:
    with process([sys.executable, "-c", WITH_CHILD], ready=says("child")) as server:
        child = int(server.output.split()[1])
        os.kill(child, 0)
    assert_gone(child)


def test_a_server_that_ignores_the_request_to_end_is_killed() -> None:
    with (
        process([sys.executable, "-c", DEAF], ready=says("deaf"), stop_limit_s=0.2) as server,
        pytest.raises(RuntimeError, match=r"did not end within 0\.2 seconds"),
    ):
        server.stop()


def assert_gone(pid: int) -> None:
    """Wait until a process has ended; what has no parent to collect it stays as a zombie."""
    deadline_s = time.monotonic() + 10
    status = Path(f"/proc/{pid}/status")
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < deadline_s, f"process {pid} still runs"
        time.sleep(0.02)
