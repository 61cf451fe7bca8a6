"""The program under test: an agent works on a ticket, and asks before it runs a command."""

from typing import Any

from polysession import Answer, Approve, AsyncClient, Client, Deny, PendingAction, TurnResult

ALLOWED = {"Bash", "lookup", "search"}


def decide(action: PendingAction) -> Answer:
    """Approve the tools that are allowed, and deny all others."""
    if action.type != "approval":
        raise NotImplementedError(f"this program has no answer to {action.type}")
    return Approve(action) if action.name in ALLOWED else Deny(action)


def work_on(client: Client, ticket: str, **where: Any) -> TurnResult:
    """Give a ticket to an agent, in a session of its own, and mark the session as done."""
    session = client.sessions.create(title="Ticket", **where)
    result = client.sessions.ask(session, ticket, deadline_s=60, on_action=decide)
    client.sessions.update(session, title="Done")
    return result


async def work_on_async(client: AsyncClient, ticket: str, **where: Any) -> TurnResult:
    """The same with `AsyncClient`."""
    session = await client.sessions.create(title="Ticket", **where)
    result = await client.sessions.ask(session, ticket, deadline_s=60, on_action=decide)
    await client.sessions.update(session, title="Done")
    return result
