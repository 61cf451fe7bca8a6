"""Emulator of Qoder Cloud Agents, managed mode: its wire protocol, all state in memory.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar

from polysession.emulation import (
    Answer,
    ApiRequest,
    EventStream,
    Generation,
    Idempotency,
    InitialResources,
    ModelConfig,
    Route,
    build_app,
)
from polysession_managed_agents.emulator.emulated import ManagedAgentsEmulator
from polysession_managed_agents.emulator.paging import cut
from polysession_managed_agents.emulator.requests import read_query
from polysession_managed_agents.emulator.validation import Json, conflict, invalid
from polysession_qoder.emulator import events
from polysession_qoder.emulator.filters import read_list_filter, read_search_filter
from polysession_qoder.emulator.listing import read_window
from polysession_qoder.emulator.requests import betas, read_body
from polysession_qoder.emulator.resources import Agents, Environments
from polysession_qoder.emulator.routes import CREATED, mount_routes, resource_routes
from polysession_qoder.emulator.service_accounts import EXCHANGE_PATH, ServiceAccounts
from polysession_qoder.emulator.shapes import (
    cancelled_shape,
    changed_fields,
    created_session_shape,
    deleted_shape,
    error_answer,
    page_shape,
    session_shape,
)
from polysession_qoder.emulator.state import Session, Sessions
from polysession_qoder.emulator.thread_routes import ThreadRoutes

SEARCH_BETA = "search-2026-08-31"


class QoderEmulator(ManagedAgentsEmulator[Session]):
    """Emulator of Qoder Cloud Agents. `generation="legacy"` selects the API of May 2026.

    Attributes:
        service_accounts: The keys of service accounts, and the tokens that were issued for them.
    """

    base_path: ClassVar[str] = "/api/v1/cloud"

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        agents, environments = Agents(), Environments()
        self._sessions: Sessions = Sessions(agents, environments, generation, self.scripts)
        agent = agents.create({"name": "Emulated agent", "model": "ultimate"})
        environment = environments.create({"name": "Emulated environment", "config": {"type": "cloud"}})
        self.initial = InitialResources(agent_id=agent.id, environment_id=environment.id, model=ModelConfig(id="auto"))
        self.settings: Mapping[str, str] = {"token": "pt-emulator"}
        self.service_accounts: ServiceAccounts = ServiceAccounts()
        routes = (*self._session_routes(), *resource_routes(agents, environments, generation))
        self.routes = [replace(route, path=self.base_path + route.path) for route in routes]
        if generation == "current":
            self.routes.append(Route("POST", EXCHANGE_PATH, self.service_accounts.exchange, is_open=True))
        self.app = build_app(
            self.routes,
            error=lambda refusal, request_id: error_answer(refusal, request_id, generation),
            admit=self.service_accounts.check,
            idempotency=Idempotency(
                headers=("idempotency-key", "x-idempotency-key"),
                methods={"POST", "DELETE"},
                mismatch=lambda: conflict("Idempotency key reused with a different request body."),
            ),
        )

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session run for `duration_s` seconds without a client, then become idle.

        Raises:
            KeyError: There is no such session.
        """
        self._known(session_id).start_turn(duration_s)

    def _session_routes(self) -> Iterable[Route]:
        address = "/sessions/{id}"
        if self.generation == "current":
            yield Route("POST", "/sessions/search", self._search_sessions)
        yield Route("POST", "/sessions", self._create_session, CREATED[self.generation])
        yield Route("GET", "/sessions", self._list_sessions)
        yield Route("GET", address, lambda ask: self._shape(self._session(ask)))
        yield Route("POST", address, self._update_session)
        yield Route("DELETE", address, self._delete_session)
        yield Route("POST", f"{address}/archive", self._archive_session)
        yield Route("POST", f"{address}/cancel", self._cancel_session)
        yield Route("POST", f"{address}/events", self._send_events)
        yield Route("GET", f"{address}/events", self._list_events)
        yield Route("GET", f"{address}/events/stream", self._stream_events)
        yield from mount_routes(self._sessions, self.generation)
        if self.generation == "current":
            yield from ThreadRoutes(self._sessions).routes()

    def _session(self, request: ApiRequest) -> Session:
        return self._sessions.find(request.parameters["id"])

    def _shape(self, session: Session) -> Json:
        return session_shape(session, self.generation)

    def _create_session(self, request: ApiRequest) -> Json:
        body = read_body(request)
        initial_events = events.read_initial(body)
        session = self._sessions.create(body)
        if initial_events:
            events.send(session, {"events": initial_events}, self.generation)
        return created_session_shape(session, self.generation)

    def _update_session(self, request: ApiRequest) -> Json:
        before = self._shape(self._session(request))
        session = self._sessions.update(request.parameters["id"], read_body(request))
        changed = changed_fields(before, self._shape(session))
        if changed and self.generation == "current":
            session.conversation.writer.emit("session.updated", **changed)
        return self._shape(session)

    def _archive_session(self, request: ApiRequest) -> Json:
        return self._shape(self._sessions.archive(request.parameters["id"]))

    def _delete_session(self, request: ApiRequest) -> Json:
        self._sessions.delete(request.parameters["id"])
        return deleted_shape(request.parameters["id"], "session")

    def _cancel_session(self, request: ApiRequest) -> Answer:
        was_running = self._sessions.cancel(request.parameters["id"])
        return Answer(cancelled_shape(request.parameters["id"]), 202 if was_running else 200)

    def _list_sessions(self, request: ApiRequest) -> Json:
        query = read_query(request)
        rows = self._sessions.select(read_list_filter(query, self.generation))
        return page_shape(cut(rows, self._sessions.positions, read_window(query)), self._shape, self.generation)

    def _search_sessions(self, request: ApiRequest) -> Json:
        if SEARCH_BETA not in betas(request):
            raise invalid(f"This endpoint needs the header 'x-qoder-beta: {SEARCH_BETA}'.")
        body = read_body(request)
        rows = self._sessions.select(read_search_filter(body))
        page = page_shape(cut(rows, self._sessions.positions, read_window(body)), self._shape, self.generation)
        return {**page, "total": len(rows)} if body.get("page") is None else page

    def _send_events(self, request: ApiRequest) -> Answer:
        session = self._session(request)
        accepted = events.send(session, read_body(request), self.generation)
        if self.generation == "current":
            return Answer({"data": accepted})
        turn = ("session_id", "turn_id", "schema_version", "created_at")
        return Answer({name: accepted[0][name] for name in turn}, 202)

    def _list_events(self, request: ApiRequest) -> Json | EventStream:
        """Return the list of events, or the stream if the request accepts `text/event-stream`."""
        if "text/event-stream" in request.headers.get("accept", ""):
            return self._stream_events(request)
        return events.list_events(self._session(request), read_query(request), self.generation)

    def _stream_events(self, request: ApiRequest) -> EventStream:
        last_event_id = request.headers.get("last-event-id")
        return events.stream(self._session(request), read_query(request), last_event_id, self.generation)
