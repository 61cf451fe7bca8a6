"""Follow a turn in one process and continue in another: `python examples/resume.py everruns`.

The first process leaves in the middle and writes down where it was. The second one, which this script starts, knows
the session's id, the cursor and the settings, and nothing else.
"""

import json
import subprocess
import sys

from _place import opened

from polysession import Client


def first() -> None:
    with opened(sys.argv) as (client, place):
        session = client.sessions.create(title="Resume", **place.where)
        with client.sessions.run(session, "/slow 8", deadline_s=60) as turn:
            for event in turn:
                if event.type == "message.delta":
                    print(f"first process: {event.text!r}")
                    break
            cursor = turn.cursor
        note = json.dumps([place.provider, place.settings, session.id, cursor, session.agent_id])
        subprocess.run([sys.executable, __file__, "--second", note], check=True)


def second(note: str) -> None:
    provider, settings, session_id, cursor, agent_id = json.loads(note)
    if provider == "agentscope":
        settings["agent_id"] = agent_id  # its sessions are addressed with their agent
    with (
        Client(provider, **settings) as client,
        client.sessions.stream(session_id, cursor=cursor, deadline_s=60) as events,
    ):
        for event in events:
            if event.type == "message.completed" and event.message.role == "assistant":
                print(f"second process: {event.message.text!r}")
            if event.type == "turn.ended":
                print(f"second process: {event.outcome}")
                break


if __name__ == "__main__":
    if sys.argv[1:2] == ["--second"]:
        second(sys.argv[2])
    else:
        first()
