"""Write the newest twenty sessions of each of two backends as CSV: `python examples/newest.py qoder everruns`."""

import csv
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

from polysession import Client, Session
from polysession.emulation import serve

COLUMNS = ["provider", "id", "title", "status", "created_at", "updated_at"]


def newest(client: Client) -> Iterator[Session]:
    """The newest twenty sessions, over as many pages as it takes."""
    return iter(client.sessions.list(limit=20))


def born_at(session: Session) -> datetime:
    """When a session was created. ADK does not store that: there, its last change."""
    return session.created_at or session.updated_at or datetime.min.replace(tzinfo=UTC)


def write(clients: list[Client]) -> None:
    """Write the sessions of all clients, the newest first."""
    sessions = [session for client in clients for session in newest(client)]
    sessions.sort(key=born_at, reverse=True)
    rows = csv.DictWriter(sys.stdout, COLUMNS)
    rows.writeheader()
    for session in sessions:
        rows.writerow({name: getattr(session, name) for name in COLUMNS})


if __name__ == "__main__":
    first, *others = sys.argv[1:] or ["qoder"]
    with ExitStack() as stack:
        clients: list[Client] = []
        for provider in (first, *(others or ["everruns"])):
            emulator = stack.enter_context(serve(provider))
            client = stack.enter_context(Client(provider, **emulator.settings))
            for number in range(25):
                client.sessions.create(title=f"Ticket {number}", **emulator.session_values)
            clients.append(client)
        write(clients)
