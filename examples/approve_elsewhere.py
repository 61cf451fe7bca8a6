"""Approve two actions from another process, by their stored JSON: `python examples/approve_elsewhere.py everruns`.

The first process runs a turn until it waits, stores the actions and stops. The second one reads them, answers, and
follows the turn to its end. Where a backend offers no approvals, tools of the caller are answered.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from _place import opened

from polysession import (
    ACTION,
    Answer,
    Approve,
    Client,
    Feature,
    Outcome,
    PendingAction,
    SessionRef,
    ToolOutput,
    TurnResult,
)


def answer(action: PendingAction) -> Answer:
    """The answer to an action: what a person decided, or what a tool gave."""
    return Approve(action) if action.type == "approval" else ToolOutput(action, "42")


def second_process(path: Path) -> None:
    """Answer the stored actions."""
    stored: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    actions = [ACTION.validate_python(each) for each in stored["actions"]]
    session = SessionRef(stored["session"], agent_id=stored["agent"], owner_id=stored["owner"])
    with Client(stored["provider"], **stored["settings"]) as client:
        result = TurnResult(outcome=Outcome.REQUIRES_ACTION, actions=tuple(actions))
        answered = 0
        while result.actions:  # some backends ask for one action after the other
            answered += len(result.actions)
            with client.sessions.run(session, [answer(each) for each in result.actions], deadline_s=60) as turn:
                result = turn.wait()
    print(f"second process: {answered} actions answered, {result.outcome}")


def first_process(arguments: list[str]) -> None:
    """Run a turn until it waits, and store what it waits for."""
    with opened(arguments) as (client, place), tempfile.TemporaryDirectory() as folder:
        session = client.sessions.create(title="Two approvals", **place.where)
        said = "/ask 2" if client.supports(Feature.SESSIONS_ANSWER_APPROVAL) else "/client-tool 2"
        with client.sessions.run(session, said, deadline_s=60) as turn:
            result = turn.wait()
        stored = {
            "provider": place.provider,
            "settings": place.settings,
            "session": session.id,
            "agent": session.agent_id,
            "owner": session.owner_id,
            "actions": [action.dump() for action in result.actions],
        }
        path = Path(folder) / "waiting.json"
        path.write_bytes(msgspec.json.encode(stored))
        print(f"first process: {len(result.actions)} actions stored")
        sys.stdout.flush()
        subprocess.run([sys.executable, __file__, "--second", str(path)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--second"]:
        second_process(Path(sys.argv[2]))
    else:
        first_process(sys.argv)
