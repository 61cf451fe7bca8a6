"""Emulator of Qoder Cloud Agents: the managed mode's wire protocol over state in memory.

Backend: https://docs.qoder.com/cloud-agents/api/sessions/create and the pages beside it (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from polysession.emulation import Emulator, ModelConfig, RequestIdMiddleware, Seeded, base36_id
from polysession.emulation.emulator import Generation
from polysession_qoder.emulator import events
from polysession_qoder.emulator.filters import read_list_filter, read_search_filter
from polysession_qoder.emulator.http import (
    Answer,
    Call,
    Handler,
    Replays,
    RequireToken,
    endpoint,
    exception_handlers,
    raw_endpoint,
)
from polysession_qoder.emulator.listing import (
    WINDOW_FIELDS,
    cut,
    read_plain_filter,
    read_window,
)
from polysession_qoder.emulator.prerequisites import Agents, Environment, Environments
from polysession_qoder.emulator.rules import Json, Refusal, invalid, only, take
from polysession_qoder.emulator.shapes import (
    agent_shape,
    cancelled_shape,
    created_session_shape,
    deleted_shape,
    environment_shape,
    models_shape,
    page_shape,
    resource_shape,
    session_shape,
)
from polysession_qoder.emulator.state import Session, Sessions

SEARCH_BETA = "search-2026-08-31"

_PLAIN_LIST_FIELDS = WINDOW_FIELDS | {"created_at[gte]", "created_at[lte]", "include_archived"}
_CREATED_CODE: Mapping[Generation, int] = {"current": 200, "legacy": 201}


class QoderEmulator(Emulator):
    """Qoder Cloud Agents. `generation="legacy"` is the API of 2026-05."""

    base_path: ClassVar[str] = "/api/v1/cloud"

    def __init__(self, generation: Generation = "current") -> None:
        self._generation: Generation = generation
        self._agents = Agents()
        self._environments = Environments()
        self._sessions = Sessions(self._agents, self._environments, generation)
        agent = self._agents.create({"name": "Emulated agent", "model": "ultimate"})
        environment = self._environments.create({"name": "Emulated environment", "config": {"type": "cloud"}})
        self.seeded = Seeded(agent_id=agent.id, environment_id=environment.id, model=ModelConfig(id="auto"))
        self.settings: Mapping[str, str] = {"token": "pt-emulator"}
        self.app = self._build_app()

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session run a turn of its own for `duration_s` seconds, then return to idle.

        Raises:
            KeyError: There is no such session.
        """
        try:
            session = self._sessions.find(session_id)
        except Refusal as refusal:
            raise KeyError(session_id) from refusal
        session.start_turn(duration_s)

    def _build_app(self) -> Starlette:
        replays = Replays()
        app = Starlette(
            routes=[
                Route(self.base_path + path, endpoint(handler, replays), methods=[method])
                for method, path, handler in self._routes()
            ]
            + [
                Route(f"{self.base_path}/sessions/{{id}}/events", raw_endpoint(self._events), methods=["GET"]),
                Route(f"{self.base_path}/sessions/{{id}}/events/stream", raw_endpoint(self._stream), methods=["GET"]),
            ],
            middleware=[Middleware(RequestIdMiddleware), Middleware(RequireToken, self._generation)],
            exception_handlers=exception_handlers(self._generation),
        )
        app.router.redirect_slashes = False
        return app

    def _routes(self) -> list[tuple[str, str, Handler]]:
        search: list[tuple[str, str, Handler]] = [("POST", "/sessions/search", self._search_sessions)]
        return [
            *(search if self._generation == "current" else []),
            ("GET", "/models", self._list_models),
            ("POST", "/sessions", self._create_session),
            ("GET", "/sessions", self._list_sessions),
            ("GET", "/sessions/{id}", self._get_session),
            ("POST", "/sessions/{id}", self._update_session),
            ("DELETE", "/sessions/{id}", self._delete_session),
            ("POST", "/sessions/{id}/archive", self._archive_session),
            ("POST", "/sessions/{id}/cancel", self._cancel_session),
            ("GET", "/sessions/{id}/resources", self._list_resources),
            ("POST", "/sessions/{id}/events", self._send_events),
            ("POST", "/agents", self._create_agent),
            ("GET", "/agents", self._list_agents),
            ("GET", "/agents/{id}", self._get_agent),
            ("POST", "/agents/{id}", self._update_agent),
            ("GET", "/agents/{id}/versions", self._list_agent_versions),
            ("POST", "/agents/{id}/archive", self._archive_agent),
            ("POST", "/environments", self._create_environment),
            ("GET", "/environments", self._list_environments),
            ("GET", "/environments/{id}", self._get_environment),
            ("POST", "/environments/{id}", self._update_environment),
            ("DELETE", "/environments/{id}", self._delete_environment),
            ("POST", "/environments/{id}/archive", self._archive_environment),
        ]

    def _list_models(self, _call: Call) -> Answer:
        return Answer(models_shape())

    def _create_session(self, call: Call) -> Answer:
        session = self._sessions.create(call.body)
        return Answer(created_session_shape(session, self._generation), _CREATED_CODE[self._generation])

    def _get_session(self, call: Call) -> Answer:
        return self._session_answer(self._sessions.find(call.path["id"]))

    def _update_session(self, call: Call) -> Answer:
        return self._session_answer(self._sessions.update(call.path["id"], call.body))

    def _archive_session(self, call: Call) -> Answer:
        return self._session_answer(self._sessions.archive(call.path["id"]))

    def _delete_session(self, call: Call) -> Answer:
        self._sessions.delete(call.path["id"])
        return Answer(deleted_shape(call.path["id"], "session"))

    def _cancel_session(self, call: Call) -> Answer:
        was_running = self._sessions.cancel(call.path["id"])
        return Answer(cancelled_shape(call.path["id"]), 202 if was_running else 200)

    def _send_events(self, call: Call) -> Answer:
        session = self._sessions.find(call.path["id"])
        accepted = events.send(session, call.body)
        if self._generation == "current":
            return Answer({"data": accepted})
        turn = {"session_id": session.id, "turn_id": base36_id("turn_"), "schema_version": "1.0"}
        return Answer({**turn, "created_at": accepted[0]["processed_at"]}, 202)

    def _events(self, request: Request, call: Call) -> Response:
        """The list; the same address is the stream for a caller who asks for one."""
        if "text/event-stream" in request.headers.get("accept", ""):
            return self._stream(request, call)
        session = self._sessions.find(call.path["id"])
        return JSONResponse(events.list_events(session, call.query, self._generation))

    def _stream(self, request: Request, call: Call) -> Response:
        session = self._sessions.find(call.path["id"])
        return events.stream(session, call.query, request.headers.get("last-event-id"), self._generation)

    def _list_sessions(self, call: Call) -> Answer:
        rows = self._sessions.select(read_list_filter(call.query, self._generation))
        page = cut(rows, self._sessions.positions, read_window(call.query))
        return Answer(page_shape(page, self._session_shape, self._generation))

    def _search_sessions(self, call: Call) -> Answer:
        if SEARCH_BETA not in call.betas:
            raise invalid(f"This endpoint needs the header 'x-qoder-beta: {SEARCH_BETA}'.")
        rows = self._sessions.select(read_search_filter(call.body))
        page = cut(rows, self._sessions.positions, read_window(call.body))
        envelope = page_shape(page, self._session_shape, self._generation)
        is_first_page = call.body.get("page") is None
        return Answer({**envelope, "total": len(rows)} if is_first_page else envelope)

    def _list_resources(self, call: Call) -> Answer:
        only(call.query, WINDOW_FIELDS)
        resources = self._sessions.find(call.path["id"]).resources
        positions = {resource_id: position for position, resource_id in enumerate(resources)}
        page = cut(resources, positions, read_window(call.query, newest_first=False))
        return Answer(page_shape(page, lambda resource: resource_shape(resource, self._generation), self._generation))

    def _session_shape(self, session: Session) -> Json:
        return session_shape(session, self._generation)

    def _session_answer(self, session: Session) -> Answer:
        return Answer(self._session_shape(session))

    def _create_agent(self, call: Call) -> Answer:
        return Answer(agent_shape(self._agents.create(call.body)), _CREATED_CODE[self._generation])

    def _get_agent(self, call: Call) -> Answer:
        only(call.query, {"version"})
        return Answer(agent_shape(self._agents.find(call.path["id"]), take(call.query, "version", int)))

    def _update_agent(self, call: Call) -> Answer:
        return Answer(agent_shape(self._agents.update(call.path["id"], call.body)))

    def _archive_agent(self, call: Call) -> Answer:
        return Answer(agent_shape(self._agents.archive(call.path["id"])))

    def _list_agents(self, call: Call) -> Answer:
        only(call.query, _PLAIN_LIST_FIELDS)
        rows = self._agents.select(read_plain_filter(call.query))
        page = cut(rows, self._agents.positions, read_window(call.query))
        return Answer(page_shape(page, agent_shape, self._generation))

    def _list_agent_versions(self, call: Call) -> Answer:
        only(call.query, WINDOW_FIELDS)
        agent = self._agents.find(call.path["id"])
        numbers = {str(fields["version"]): fields["version"] for fields in agent.versions}
        page = cut(numbers, numbers, read_window(call.query))
        return Answer(page_shape(page, lambda version: agent_shape(agent, version), self._generation))

    def _create_environment(self, call: Call) -> Answer:
        environment = self._environments.create(call.body)
        return Answer(environment_shape(environment, self._generation), _CREATED_CODE[self._generation])

    def _get_environment(self, call: Call) -> Answer:
        return self._environment_answer(self._environments.find(call.path["id"]))

    def _update_environment(self, call: Call) -> Answer:
        return self._environment_answer(self._environments.update(call.path["id"], call.body))

    def _archive_environment(self, call: Call) -> Answer:
        return self._environment_answer(self._environments.archive(call.path["id"]))

    def _delete_environment(self, call: Call) -> Answer:
        self._environments.delete(call.path["id"])
        return Answer(deleted_shape(call.path["id"], "environment"))

    def _list_environments(self, call: Call) -> Answer:
        only(call.query, _PLAIN_LIST_FIELDS)
        rows = self._environments.select(read_plain_filter(call.query))
        page = cut(rows, self._environments.positions, read_window(call.query))
        return Answer(page_shape(page, self._environment_shape, self._generation))

    def _environment_shape(self, environment: Environment) -> Json:
        return environment_shape(environment, self._generation)

    def _environment_answer(self, environment: Environment) -> Answer:
        return Answer(self._environment_shape(environment))
