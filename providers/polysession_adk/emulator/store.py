"""The sessions of the ADK emulator, with their events and states.

Backend: https://google.github.io/adk-docs/sessions/state/ (read 2026-11), google-adk 2.13.0
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from polysession.emulation import Refusal

Json: TypeAlias = dict[str, Any]
Storage: TypeAlias = Literal["sqlite", "memory"]

APP: Final = "app:"
USER: Final = "user:"
TEMP: Final = "temp:"


@dataclass(slots=True)
class StoredSession:
    """One session.

    Attributes:
        app: Name of its app.
        user: Id of its owner.
        id: Its id, unique within its app and user.
        state: State of the session, without that of its user and its app.
        events: Complete events, oldest first.
        updated_at_s: Time of the last change, in seconds since 1970.
        saved_notes: Number of saved versions of the artifact `note.txt`.
        turn_ends_at_s: End of the turn that a test started, in seconds since 1970; None without such a turn.
    """

    app: str
    user: str
    id: str
    state: Json = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    updated_at_s: float = field(default_factory=time.time)
    saved_notes: int = 0
    turn_ends_at_s: float | None = None


class Store:
    """All sessions.

    Attributes:
        storage: With `sqlite`, a change of a session makes its running turn fail; with `memory`, the turn continues.
    """

    def __init__(self, storage: Storage = "sqlite") -> None:
        self.storage = storage
        self._sessions: dict[tuple[str, str, str], StoredSession] = {}
        self._app_state: dict[str, Json] = {}
        self._user_state: dict[tuple[str, str], Json] = {}

    def create(self, app: str, user: str, session_id: str | None) -> StoredSession:
        """Create a session, with a new id if the caller sent no id.

        Raises:
            Refusal: The id exists.
        """
        session = StoredSession(app, user, (session_id or "").strip() or str(uuid.uuid4()))
        if (app, user, session.id) in self._sessions:
            raise Refusal(409, f"Session already exists: {session.id}")
        self._sessions[app, user, session.id] = session
        return session

    def get(self, app: str, user: str, session_id: str) -> StoredSession | None:
        """Return a session; None if there is no such session."""
        return self._sessions.get((app, user, session_id.strip()))

    def find(self, session_id: str) -> StoredSession:
        """Return a session of any app and user.

        Raises:
            KeyError: There is no such session.
        """
        for session in self._sessions.values():
            if session.id == session_id:
                return session
        raise KeyError(session_id)

    def list(self, app: str, user: str) -> list[StoredSession]:
        """Return the sessions of a user in an app, by their last change, oldest first."""
        found = [each for key, each in self._sessions.items() if key[:2] == (app, user)]
        return sorted(found, key=lambda each: (each.updated_at_s, each.id))

    def delete(self, app: str, user: str, session_id: str) -> None:
        """Delete a session if it exists. The states of its user and its app are kept."""
        self._sessions.pop((app, user, session_id.strip()), None)

    def is_stored(self, session: StoredSession) -> bool:
        """Whether a session still exists."""
        return self._sessions.get((session.app, session.user, session.id)) is session

    def append(self, session: StoredSession, event: Json) -> None:
        """Store an event, and apply its change of the state."""
        delta = event["actions"]["stateDelta"]
        self.apply(session, delta)
        session.events.append(event)
        if self.storage == "sqlite":
            session.events.sort(key=lambda each: each["timestamp"])
        session.updated_at_s = max(session.updated_at_s, event["timestamp"])

    def apply(self, session: StoredSession, delta: Mapping[str, Any]) -> None:
        """Change each key in its scope.

        A value is replaced as a whole; keys of a turn (`temp:`) are dropped.
        """
        for key, value in delta.items():
            self._scope(session, key)[key] = value

    def state(self, session: StoredSession) -> Json:
        """Return the state of a session together with that of its user and its app."""
        shared = self._user_state.get((session.app, session.user), {})
        return {**session.state, **self._app_state.get(session.app, {}), **shared}

    def _scope(self, session: StoredSession, key: str) -> Json:
        if key.startswith(APP):
            return self._app_state.setdefault(session.app, {})
        if key.startswith(USER):
            return self._user_state.setdefault((session.app, session.user), {})
        return {} if key.startswith(TEMP) else session.state


def without_temporary(delta: Mapping[str, Any]) -> Json:
    """Return a change of the state without the keys of a turn."""
    return {key: value for key, value in delta.items() if not key.startswith(TEMP)}
