"""Runs the command-line program in this process, with an emulator."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from typer.testing import CliRunner

from polysession.cli.app import run
from polysession.cli.local_commands import environment_of
from polysession.emulation import EmulatorHandle


@dataclass(frozen=True)
class Ran:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The single JSON object of the output."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def lines(self) -> list[Any]:
        """The JSON objects of the output, one on each line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The error that was written as JSON."""
        error: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return error


@dataclass(frozen=True)
class Shell:
    """Runs commands with environment variables."""

    env: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, typed: str | None = None, **env: str) -> Ran:
        """Run a command, which may fail."""
        with CliRunner().isolation(input=typed, env=self.env | env) as (out, err, _):
            code = _exit_code(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
            return Ran(code, _text(out), _text(err))

    def done(self, *arguments: str, typed: str | None = None) -> Ran:
        """Run a command that must succeed."""
        ran = self.run(*arguments, typed=typed)
        assert ran.code == 0, ran
        return ran


def _exit_code(arguments: Sequence[str]) -> int:
    try:
        return int(run(arguments))
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except Exception:  # noqa: BLE001  (like the interpreter, for any exception of a program)
        traceback.print_exc()
        return 1


def _text(stream: BytesIO) -> str:
    return stream.getvalue().decode("utf-8", "replace").replace("\r\n", "\n")


def shell_for(emulator: EmulatorHandle) -> Shell:
    """Return a shell whose environment configures the emulator."""
    return Shell(environment_of(emulator))


def created(shell: Shell, emulator: EmulatorHandle, *arguments: str) -> str:
    """Create a session that accepts messages. Returns its id."""
    options = ["--agent", emulator.agent_id]
    if emulator.environment_id:
        options += ["--environment", emulator.environment_id]
    if emulator.credential_id:
        options += [
            "--model",
            "demo-model",
            "--model-type",
            "openai_credential",
            "--credential",
            emulator.credential_id,
        ]
    return str(shell.done("sessions", "create", *options, *arguments, "--json").json["id"])
