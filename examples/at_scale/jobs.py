"""One job of many: a turn that is done exactly once, whichever processes die."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from polysession import Client, NotFound


class Store:
    """The state of all jobs, in a database that the workers share."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS jobs (job PRIMARY KEY, session, cursor, worker, rejoined, answer)"
        )

    def note(self, job: int, **values: object) -> None:
        """Store what is known of a job."""
        self._database.execute("INSERT OR IGNORE INTO jobs (job) VALUES (?)", [job])
        columns = ", ".join(f"{name} = ?" for name in values)
        self._database.execute(f"UPDATE jobs SET {columns} WHERE job = ?", [*values.values(), job])  # noqa: S608  (our names)

    def read(self, job: int) -> tuple[str | None, str | None]:
        """The session of a job, and the cursor of its turn."""
        found = self._database.execute("SELECT session, cursor FROM jobs WHERE job = ?", [job]).fetchone()
        session, cursor = found or (None, None)
        return session, cursor

    def begin(self, job: int, cursor: str | None) -> None:
        """Store that this process is about to start the turn of a job."""
        self.note(job, cursor=cursor, worker=os.getpid())

    def count_rejoined(self) -> int:
        """How many turns a second process continued."""
        (count,) = self._database.execute("SELECT count(*) FROM jobs WHERE rejoined").fetchone()
        return int(count)

    def worker_of(self, job: int) -> int | None:
        """The process that started the turn of a job; None if none did."""
        found = self._database.execute("SELECT worker FROM jobs WHERE job = ?", [job]).fetchone()
        return int(found[0]) if found and found[0] is not None else None


@dataclass(frozen=True)
class Place:
    """The backend and the database, as a worker needs to reach them.

    Attributes:
        provider: Name of the provider.
        settings: Settings of its client, as pairs.
        agent: The agent of the sessions.
        environment: Their environment; None where the backend has none.
        database: The file of the store.
    """

    provider: str
    settings: tuple[tuple[str, Any], ...] = field(repr=False)
    agent: str
    environment: str | None
    database: Path


@cache
def tools_of(place: Place) -> tuple[Client, Store]:
    """The client and the store of this process: each worker has one of each, for all its tasks."""
    return Client(place.provider, **dict(place.settings)), Store(place.database)


def prepare(place: Place) -> int:
    """Make the tools of this process, and give its id."""
    tools_of(place)
    return os.getpid()


def do_job(job: int, text: str, place: Place) -> str:
    """Do one job, or what is left of it after another process died."""
    client, store = tools_of(place)
    session, cursor = store.read(job)
    if session is None:
        session = client.sessions.create(agent=place.agent, environment=place.environment).id
        store.note(job, session=session)
    if cursor is not None and has_message(client, session):
        with client.sessions.rejoin(session, cursor, deadline_s=60) as turn:
            answer = turn.wait().text
        store.note(job, rejoined=True)
    else:
        keep = partial(store.begin, job)
        with client.sessions.run(session, text, on_cursor=keep, deadline_s=60) as turn:
            answer = turn.wait().text
    store.note(job, answer=answer)
    return answer


def has_message(client: Client, session: str) -> bool:
    """Whether the message of a job arrived, before the process died that sent it."""
    try:
        return any(message.role == "user" for message in client.sessions.messages(session))
    except NotFound:
        return False
