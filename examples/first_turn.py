"""Say something to an agent, and show what it does: `python examples/first_turn.py everruns`.

Runs on the emulator of the backend that you name; with `--real` on the backend itself, with settings from the
environment.
"""

import sys

from _place import Place, opened

from polysession import Client


def talk(client: Client, place: Place) -> None:
    session = client.sessions.create(title="First turn", **place.where)
    with client.sessions.run(session, "/tool", deadline_s=60) as turn:
        for event in turn:
            if event.type == "message.delta":
                print(event.text, end="", flush=True)
            elif event.type == "tool_call.completed":
                print(f"[{event.name} {dict(event.arguments)}]")
            elif event.type == "tool_result.completed":
                print(f"[answers {event.text!r}]")
    print(f"\n{turn.result.outcome} after {turn.result.native_reason!r}, used {turn.result.usage}")


if __name__ == "__main__":
    with opened(sys.argv) as (client, place):
        talk(client, place)
