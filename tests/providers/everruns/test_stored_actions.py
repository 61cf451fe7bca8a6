"""Pending actions that were stored as JSON, and are answered by another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from polysession import Client, Outcome, Session
from polysession.emulation import EmulatorHandle, serve

ANSWER = """
import json, sys
from polysession import Approve, Client, ToolOutput
from polysession.action import ACTION

asked = json.load(sys.stdin)
actions = [ACTION.validate_python(action) for action in asked["actions"]]
answers = [Approve(action) if action.type == "approval" else ToolOutput(action, "42") for action in actions]
with Client("everruns", **asked["settings"]) as client:
    with client.sessions.run(asked["session"], answers, deadline_s=20) as turn:
        turn.wait()
    print(turn.result.outcome.value, turn.result.text)
"""


@pytest.fixture
def handle() -> Iterator[EmulatorHandle]:
    with serve("everruns") as handle:
        yield handle


def asked(handle: EmulatorHandle, text: str) -> tuple[Session, list[dict[str, Any]]]:
    """Return a waiting session, and its actions as stored JSON."""
    with Client("everruns", **handle.settings) as client:
        session = client.sessions.create(agent=handle.agent_id)
        with client.sessions.run(session, text, deadline_s=20) as turn:
            turn.wait()
        assert turn.result.outcome is Outcome.REQUIRES_ACTION
        return session, [json.loads(action.model_dump_json()) for action in turn.result.actions]


@pytest.mark.parametrize(
    ("text", "said"),
    [("/ask 2", "The decision was heard."), ("/client-tool 2", "The output was received.")],
    ids=["approvals", "outputs"],
)
def test_a_stored_action_is_answered_by_another_process(handle: EmulatorHandle, text: str, said: str) -> None:
    session, actions = asked(handle, text)
    assert len(actions) == 2
    assert all("source" not in action for action in actions)
    sent = json.dumps({"session": session.id, "actions": actions, "settings": dict(handle.settings)})

    answered = subprocess.run(  # noqa: S603  (our own interpreter and code)
        [sys.executable, "-c", ANSWER], input=sent, capture_output=True, text=True, check=False, timeout=60
    )

    assert answered.stderr == ""
    assert answered.stdout.strip() == f"completed {said}"
