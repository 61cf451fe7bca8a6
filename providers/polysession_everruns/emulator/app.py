"""Emulator of Everruns' management API: the wire protocol, with all state in memory.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, and https://docs.everruns.com (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Final

from polysession.emulation import (
    ApiRequest,
    Emulator,
    Generation,
    InitialResources,
    ModelConfig,
    Route,
    Scripts,
    build_app,
)
from polysession_everruns.emulator import requests
from polysession_everruns.emulator.answers import ANSWERS, BASE_PATH, Json, Origin
from polysession_everruns.emulator.catalogue_routes import CatalogueRoutes, page
from polysession_everruns.emulator.conversation_routes import ConversationRoutes
from polysession_everruns.emulator.records import Session
from polysession_everruns.emulator.state import EverrunsState
from polysession_everruns.emulator.turn_records import Pace
from polysession_everruns.emulator.validation import check_headers

_TOKEN: Final = "evr_pat_emulator"  # noqa: S105  (valid only for this emulator)

_IGNORED_OPTIONS: Final = frozenset({"agent_id", "agent_name", "capabilities", "model_id"})


class EverrunsEmulator(Emulator):
    """Emulator of an Everruns server.

    The server has one organization, one user, one model, one harness and one agent.
    The legacy server runs all tools without an approval, also those of `/ask`.

    Attributes:
        pace: Timeouts and intervals. Tests may shorten them.
        ignores_options: Whether a new session ignores the agent, the capabilities and the model that the client chose,
            like the engine without the management server. The response shows the result.
    """

    base_path: ClassVar[str] = BASE_PATH

    def __init__(self, generation: Generation = "current") -> None:
        """Create the emulator of one generation, with the initial agent."""
        super().__init__(generation)
        is_legacy = generation == "legacy"
        self.scripts = Scripts(has_questions=not is_legacy)
        self._create_shape = requests.LEGACY_SESSION_CREATE if is_legacy else requests.SESSION_CREATE
        self._update_shape = requests.LEGACY_SESSION_UPDATE if is_legacy else requests.SESSION_UPDATE
        self._answers = ANSWERS[generation]
        self._state = EverrunsState(keeps_deltas=is_legacy)
        self.pace = Pace(asks=not is_legacy)
        self.ignores_options = False
        agent = self._state.catalogue.create_agent({"name": "emulated", "system_prompt": "You are an emulated agent."})
        self.initial = InitialResources(agent_id=agent.id, model=ModelConfig(id=self._state.catalogue.model["id"]))
        self.settings = {"api_key": _TOKEN}
        self.routes = list(self._routes())
        self.app = build_app(self.routes, error=lambda refusal, _: self._answers.error(refusal), admit=check_headers)

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session active for `duration_s` seconds, then idle.

        Raises:
            KeyError: There is no such session.
        """
        self._state.sessions[session_id].start_turn(duration_s)

    def open_streams(self, session_id: str) -> int:
        """Return the number of open streams of a session.

        Raises:
            KeyError: There is no such session.
        """
        return self._state.sessions[session_id].log.entries.followers

    def await_tool_results(self, session_id: str) -> None:
        """Make a session wait for the results of client-side tools.

        Raises:
            KeyError: There is no such session.
        """
        self._state.sessions[session_id].await_tool_results()

    def _routes(self) -> Iterable[Route]:
        conversation = ConversationRoutes(self._state, self._answers, self.pace, self.scripts)
        catalogue = CatalogueRoutes(self._state, self._answers)
        yield Route("GET", "/health", lambda _: {"status": "ok"}, is_open=True)
        for route in (*self._session_routes(), *conversation.routes(), *catalogue.routes()):
            yield replace(route, path=f"{self.base_path}/v1{route.path}")

    def _session_routes(self) -> Iterable[Route]:
        yield Route("POST", "/sessions", self._create_session, 201)
        yield Route("GET", "/sessions", self._list_sessions)
        yield Route("GET", "/sessions/stats", self._count_sessions)
        yield Route("GET", "/sessions/{id}", self._get_session)
        yield Route("PATCH", "/sessions/{id}", self._update_session)
        yield Route("PUT", "/sessions/{id}/pin", lambda ask: self._pin_session(ask, is_pinned=True), 204)
        yield Route("DELETE", "/sessions/{id}/pin", lambda ask: self._pin_session(ask, is_pinned=False), 204)
        yield Route("POST", "/sessions/{id}/fork", self._fork_session, 201)

    def _session_body(self, request: ApiRequest, session: Session, *, with_pin: bool = False) -> Json:
        return self._answers.session(session, self._state.owner_principal_id, Origin.of(request), with_pin=with_pin)

    def _create_session(self, request: ApiRequest) -> Json:
        values = requests.read_body(request.content, self._create_shape)
        if self.ignores_options:
            kept = {name: value for name, value in values.items() if name not in _IGNORED_OPTIONS}
            values = {**kept, "agent_id": self.initial.agent_id}
        return self._session_body(request, self._state.create_session(values))

    def _list_sessions(self, request: ApiRequest) -> Json:
        found = self._state.list_sessions(agent_id=request.query.get("agent_id"), search=request.query.get("search"))
        bodies = [self._session_body(request, session, with_pin=True) for session in found]
        return page(self._answers, request, bodies)

    def _count_sessions(self, _request: ApiRequest) -> Json:
        counts = self._state.count_by_status()
        return {
            "total": len(self._state.sessions),
            "active": counts["active"],
            "idle": counts["idle"],
            "started": counts["started"],
            "waiting_for_tool_results": counts["waiting"],
        }

    def _get_session(self, request: ApiRequest) -> Json:
        return self._session_body(request, self._state.session(request.parameters["id"]), with_pin=True)

    def _update_session(self, request: ApiRequest) -> Json:
        changes = requests.read_body(request.content, self._update_shape)
        return self._session_body(request, self._state.update_session(request.parameters["id"], changes))

    def _pin_session(self, request: ApiRequest, *, is_pinned: bool) -> None:
        self._state.session(request.parameters["id"]).is_pinned = is_pinned

    def _fork_session(self, request: ApiRequest) -> Json:
        overrides = requests.read_body(request.content, requests.SESSION_FORK)
        return self._session_body(request, self._state.fork_session(request.parameters["id"], overrides))
