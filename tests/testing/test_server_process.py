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
from support.inner_suite import Suite, imports, suite

__all__ = ["imports", "suite"]

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


SAYS_AND_WAITS = "import time; print('database is locked', flush=True); time.sleep(600)"


def test_an_exception_that_leaves_the_context_shows_the_output() -> None:
    def fail() -> None:
        raise ValueError("the test found a fault")

    with (
        pytest.raises(ValueError, match="found a fault") as caught,
        process([sys.executable, "-c", SAYS_AND_WAITS], ready=says("locked")),
    ):
        fail()
    assert caught.value.__notes__[-1].endswith("printed last:\ndatabase is locked\n")


def test_a_failed_test_shows_the_output_of_the_servers_of_its_fixtures(suite: Suite) -> None:
    suite.pytester.makepyfile(
        f"""
        import sys
        import pytest
        from polysession.testing import process

        @pytest.fixture(scope="session", params=[1, 2])
        def server(request):
            program = {SAYS_AND_WAITS!r}.replace("database", f"database {{request.param}}")
            with process([sys.executable, "-c", program], ready=lambda server: "locked" in server.output) as server:
                yield server

        def test_it(server):
            assert "database 1" in server.output
        """
    )
    ran = suite.run()
    ran.assert_outcomes(passed=1, failed=1)
    ran.stdout.fnmatch_lines(["*- Server output -*", "the server * printed last:", "database 2 is locked"])
    ran.stdout.no_fnmatch_line("database 1 is locked")


def assert_gone(pid: int) -> None:
    """Wait until a process has ended; what has no parent to collect it stays as a zombie."""
    deadline_s = time.monotonic() + 10
    status = Path(f"/proc/{pid}/status")
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < deadline_s, f"process {pid} still runs"
        time.sleep(0.02)
