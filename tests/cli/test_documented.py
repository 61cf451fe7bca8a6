"""The commands that the pages show do what the pages say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from polysession.emulation import EmulatorHandle
from support.command import Shell

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = re.compile(r"^\$ polysession (.*?)(?:  +# exits with (\d+).*)?$", re.MULTILINE)
SERVES = "emulate"  # until Ctrl-C; tests of its own show it


@pytest.mark.parametrize("page", ["cli.md", "switching.md"])
def test_the_commands_of_a_page_run_from_top_to_bottom(page: str, shell: Shell, qoder: EmulatorHandle) -> None:
    session = cursor = ""
    commands = COMMAND.findall((DOCS / page).read_text().replace("\\\n", ""))
    for line, status in commands:
        if line.startswith(SERVES):
            continue
        waiting = shell.run("pending", session, "--json").out if "--approve" in line else ""
        if line.startswith("send"):
            cursor = shell.run("run", session, "hello", "--json").lines[0]["cursor"]
        known = {
            "agent_...": qoder.agent_id,
            "env_...": str(qoder.environment_id),
            "sess_...": session,
            "evt_...": _last_id(waiting),
            "eyJ...": cursor,
        }
        arguments = shlex.split(line)
        for placeholder, real in known.items():
            arguments = [argument.replace(placeholder, real) for argument in arguments]
        ran = shell.run(*arguments)
        assert ran.code == int(status or 0), (line, ran)
        if line.startswith("sessions create"):
            session = next(text.split()[1] for text in ran.out.splitlines() if text.startswith("id "))
    assert commands


def _last_id(lines: str) -> str:
    ids: list[str] = re.findall(r'"id": "(evt_\w+)"', lines)
    return ids[0] if ids else ""
