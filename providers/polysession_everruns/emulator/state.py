"""Sessions of the Everruns emulator: state and rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from polysession.emulation import hex_id
from polysession_everruns.emulator.catalogue import Catalogue, Values
from polysession_everruns.emulator.records import Definition, Session
from polysession_everruns.emulator.session_log import SessionLog
from polysession_everruns.emulator.validation import check_id, check_tags, client_side_tools, conflict, unknown

_REFERENCES = ("agent_id", "agent_name", "harness_id", "harness_name", "workspace_id")


class EverrunsState:
    """All state of one organization."""

    def __init__(self, *, keeps_deltas: bool) -> None:
        self._keeps_deltas = keeps_deltas
        self.catalogue = Catalogue()
        self.owner_principal_id = hex_id("principal_")
        self.sessions: dict[str, Session] = {}
        self._workspace_ids: set[str] = set()

    def create_session(self, values: Values) -> Session:
        """Create a session.

        Raises:
            Refusal: A value is invalid (400). The agent, the harness, the model or the workspace does not exist (404).
        """
        agent = self.catalogue.usable_agent(agent_id=values.get("agent_id"), name=values.get("agent_name"))
        harness = self.catalogue.usable_harness(harness_id=values.get("harness_id"), name=values.get("harness_name"))
        session_id = hex_id("session_")
        session = Session(
            session_id,
            self._accept(values),
            log=self._new_log(session_id),
            harness_id=harness.id if harness else self._harness_of(agent),
            workspace_id=self._workspace(values.get("workspace_id")),
            agent_id=agent.id if agent else None,
        )
        return self._keep(session)

    def session(self, session_id: str) -> Session:
        """Return the session with an id.

        Raises:
            Refusal: The id is malformed (400). There is no such session (404).
        """
        check_id("session", session_id)
        if session_id not in self.sessions:
            raise unknown("Session not found", code="session_not_found")
        return self.sessions[session_id]

    def list_sessions(self, *, agent_id: str | None, search: str | None) -> list[Session]:
        """Return sessions, newest first.

        Args:
            agent_id: Only sessions of this agent; None for all.
            search: Only sessions with this text in the title, not case-sensitive; None for all.

        Raises:
            Refusal: The agent id is malformed (400).
        """
        if agent_id is not None:
            check_id("agent", agent_id)
        wanted = (search or "").casefold()
        return [
            session
            for session in reversed(self.sessions.values())
            if (agent_id is None or session.agent_id == agent_id)
            and wanted in session.values.get("title", "").casefold()
        ]

    def update_session(self, session_id: str, changes: Values) -> Session:
        """Set the values that are present.

        None is ignored, except that it clears the agent identity.

        Raises:
            Refusal: An id is malformed, or a tag is reserved (400). There is no such session (404).

        Backend: https://docs.everruns.com, PATCH /v1/sessions/{session_id} (read 2026-11)
        """
        session = self.session(session_id)
        accepted = self._accept(changes)
        if "agent_identity_id" in changes and changes["agent_identity_id"] is None:
            session.values.pop("agent_identity_id", None)
        session.values |= accepted
        session.touch()
        return session

    def delete_session(self, session_id: str) -> None:
        """Delete a session. Raises as `session` does."""
        del self.sessions[self.session(session_id).id]

    def fork_session(self, session_id: str, overrides: Values) -> Session:
        """Create a fork of a session.

        Raises:
            Refusal: A value is invalid (400). The session, the agent or the model does not exist (404). A turn of the
                session runs (409).
        """
        parent = self.session(session_id)
        if parent.is_mid_turn:
            raise conflict("Cannot fork a session while it is mid-turn")
        agent = self.catalogue.usable_agent(agent_id=overrides.get("agent_id"), name=None)
        values = {**parent.values, **self._accept(overrides)}
        if "title" in parent.values and overrides.get("title") is None:
            values["title"] = f"{parent.values['title']} (fork)"
        fork_id = hex_id("session_")
        fork = Session(
            fork_id,
            values,
            log=self._new_log(fork_id),
            harness_id=parent.harness_id,
            workspace_id=self._workspace(None),
            agent_id=agent.id if agent else parent.agent_id,
            forked_from=parent.id,
        )
        return self._keep(fork)

    def count_by_status(self) -> Mapping[str, int]:
        """Return the number of sessions by status."""
        return Counter(session.status for session in self.sessions.values())

    def count_of_agent(self, agent_id: str) -> int:
        """Return the number of sessions of an agent."""
        return sum(session.agent_id == agent_id for session in self.sessions.values())

    def _keep(self, session: Session) -> Session:
        self._workspace_ids.add(session.workspace_id)
        self.sessions[session.id] = session
        begun = {"harness_id": session.harness_id, "agent_id": session.agent_id}
        session.log.write("session.started", {**begun, "model_id": session.values.get("model_id")})
        return session

    def _new_log(self, session_id: str) -> SessionLog:
        return SessionLog(session_id, keeps_deltas=self._keeps_deltas)

    def _harness_of(self, agent: Definition | None) -> str:
        return str(agent.values["harness_id"]) if agent else self.catalogue.default_harness.id

    def _workspace(self, wanted: str | None) -> str:
        if wanted is None:
            return hex_id("wsp_")
        check_id("workspace", wanted)
        if wanted not in self._workspace_ids:
            raise unknown("Workspace not found")
        return wanted

    def _accept(self, values: Values) -> dict[str, Any]:
        accepted = {name: value for name, value in values.items() if value is not None and name not in _REFERENCES}
        check_tags(accepted.get("tags", ()))
        self.catalogue.check_model(accepted.get("model_id"))
        if "agent_identity_id" in accepted:
            check_id("agent identity", accepted["agent_identity_id"])
        if "tools" in accepted:
            accepted["tools"] = client_side_tools(accepted["tools"])
        return accepted
