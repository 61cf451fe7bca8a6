"""Ask a person before a tool runs, and run a tool of the caller: `python examples/approvals.py qoder`.

Where a backend offers no approvals, only the tool of the caller is shown.
"""

import sys
from collections.abc import Callable

from _place import opened

from polysession import (
    Answer,
    Approve,
    Client,
    Deny,
    Feature,
    Outcome,
    PendingAction,
    Session,
    ToolApproval,
    ToolOutput,
)


def decide(action: PendingAction, ask: Callable[[str], bool]) -> Answer:
    """The answer to one pending action."""
    if not isinstance(action, ToolApproval):
        return ToolOutput(action, "42")
    allowed = ask(f"may {action.name} run with {dict(action.arguments)}?")
    return Approve(action) if allowed else Deny(action, "a person refused")


def follow(client: Client, session: Session, said: str, ask: Callable[[str], bool]) -> Outcome:
    """Run a turn and all that it waits for, to its end."""
    with client.sessions.run(session, said, deadline_s=60) as turn:
        result = turn.wait()
    while result.outcome is Outcome.REQUIRES_ACTION:
        answers = [decide(action, ask) for action in result.actions]
        with client.sessions.run(session, answers, deadline_s=60) as turn:
            result = turn.wait()
    print(f"{said}: {result.outcome}, {result.text!r}")
    return result.outcome


def at_the_terminal(question: str) -> bool:
    """Ask the user at the terminal; without a terminal the answer is yes."""
    print(question)
    return not sys.stdin.isatty() or input("[y/n] ").startswith("y")


if __name__ == "__main__":
    with opened(sys.argv) as (client, place):
        session = client.sessions.create(title="Approvals", **place.where)
        follow(client, session, "/client-tool", at_the_terminal)
        if client.supports(Feature.SESSIONS_ANSWER_APPROVAL):
            follow(client, session, "/ask", at_the_terminal)
