"""The command, as a person runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from polysession import Client, __version__
from polysession.cli import local_commands
from polysession.cli.app import app
from polysession.cli.demo import emulated_providers

PROVIDERS = list(emulated_providers())

COMMAND = [sys.executable, "-m", "polysession.cli"]


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False, env=env)  # noqa: S603


@contextmanager
def emulating(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `polysession emulate`, and what it printed up to the seeded agent."""
    with subprocess.Popen(  # noqa: S603
        [*COMMAND, "emulate", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = ""
        while "agent  " not in told:
            line = process.stdout.readline()
            assert line or process.poll() is None, process.communicate()
            told += line
        try:
            yield process, told
        finally:
            process.kill()


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"polysession {__version__}\n"


def test_the_version_needs_nothing_but_the_interpreter() -> None:
    code = (
        "import sys; sys.argv = ['polysession', '--version']\n"
        "from polysession.cli import main; main()\n"
        "assert not {'httpx', 'pydantic', 'typer', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)  # noqa: S603


def test_without_arguments_the_commands_are_listed() -> None:
    shown = run()

    assert {"demo", "emulate"} <= set((shown.stdout + shown.stderr).split())


def test_the_demo_fits_a_terminal_and_shows_every_backend() -> None:
    shown = run("demo", env={"COLUMNS": "80", "PATH": ""})

    assert shown.returncode == 0, shown.stderr
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80
    assert len(shown.stdout.splitlines()) <= 60
    assert re.search(r"[\s|]+".join(PROVIDERS), shown.stdout)
    for word in ("N native", "Emulated", "Refused", "NotFound", "add a tag", "polysession features --why"):
        assert word in shown.stdout
    assert "\x1b" not in shown.stdout


def test_the_demo_ignores_a_proxy() -> None:
    nobody = "http://127.0.0.1:9"

    assert run("demo", env={"HTTP_PROXY": nobody, "ALL_PROXY": nobody, "PATH": ""}).returncode == 0


@pytest.mark.parametrize("generation", ["current", "legacy"])
def test_an_emulator_is_served_until_ctrl_c(generation: str) -> None:
    with emulating("qoder", "--generation", generation) as (process, told):
        token = re.search(r"token='([^']+)'", told)
        base_url = re.search(r"base_url='([^']+)'", told)
        assert token
        assert base_url
        with Client("qoder", token=token[1], base_url=base_url[1]) as client:
            assert len(list(client.agents.list())) == 1
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["emulate", "qodr"], "Did you mean 'qoder'?"),
        (["emulate", "qoder", "--generation", "next"], "--generation"),
        (["emulate", "qoder", "--port", "70000"], "--port"),
        (["emulate"], "Missing argument"),
        (["nonsense"], "No such command"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(arguments: list[str], said: str) -> None:
    shown = run(*arguments)

    assert shown.returncode == 2
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


def test_an_emulator_is_told_as_json() -> None:
    with subprocess.Popen([*COMMAND, "emulate", "qoder", "--json"], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        try:
            assert set(told) == {
                *("provider", "base_url", "settings", "environment", "agent_id"),
                *("environment_id", "credential_id", "pid"),
            }
            assert told["environment"]["QODER_MANAGED_BASE_URL"] == told["base_url"] == told["settings"]["base_url"]
            with Client("qoder", **told["settings"]) as client:
                assert client.agents.get(told["agent_id"]).name
        finally:
            process.kill()


def test_the_demo_is_told_as_json() -> None:
    told = json.loads(run("demo", "--json").stdout)["providers"]

    assert list(told) == PROVIDERS
    assert all(set(step) == {"step", "feature", "support", "refusal", "outcome"} for step in told["qoder"])


def test_a_taken_port_is_told() -> None:
    with emulating("qoder") as (_, told):
        port = re.search(r":(\d+)/", told)
        assert port
        shown = run("emulate", "qoder", "--port", port[1])

    assert shown.returncode == 2
    assert "Choose another port" in shown.stderr


def test_ctrl_c_counts_as_soon_as_the_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(*_: object) -> None:
        raise KeyboardInterrupt  # from somebody who is quicker than the next line

    monkeypatch.setattr(local_commands, "_tell_address", tell)

    assert CliRunner().invoke(app, ["emulate", "qoder"]).exit_code == 0
