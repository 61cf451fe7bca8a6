"""Ctrl-C in the middle of a turn ends a program at once, without warnings."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from polysession.emulation import serve
from stress.targets import TARGETS
from support.cuts import new_session

PROGRAM = """
import sys
from polysession import Client, Session
provider, session_id, agent_id, text = sys.argv[1:5]
settings = dict(pair.split("=", 1) for pair in sys.argv[5:])
session = Session(provider=provider, id=session_id, agent_id=agent_id)
with Client(provider, **settings) as client, client.sessions.run(session, text) as turn:
    for event in turn:
        print(event.type, flush=True)
"""


@pytest.mark.parametrize("provider", TARGETS)
def test_ctrl_c_in_the_middle_of_a_turn_ends_the_program_at_once(provider: str) -> None:
    with serve(provider) as emulator:
        session = new_session(emulator)
        settings = [f"{name}={value}" for name, value in emulator.settings.items()]
        arguments = [provider, session.id, emulator.agent_id, "/slow 600", *settings]
        with subprocess.Popen(  # noqa: S603  (our own interpreter)
            [sys.executable, "-W", "error", "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            while process.stdout.readline() != "message.delta\n":
                assert process.poll() is None
            pressed_s = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=40)
            took_s = time.monotonic() - pressed_s

    assert took_s < 20  # the turn lasts for a minute
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in stderr
    assert "ResourceWarning" not in stderr
