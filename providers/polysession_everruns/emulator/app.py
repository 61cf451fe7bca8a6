"""Speaks the HTTP protocol of Everruns' management API over state in memory.

Backend: https://github.com/everruns/sdk, openapi/openapi.json, and https://docs.everruns.com (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from polysession.emulation import Emulator, InitialResources, ModelConfig, RequestIdMiddleware
from polysession.emulation.emulator import Generation
from polysession_everruns.emulator import requests, rules
from polysession_everruns.emulator.admission import check_admission
from polysession_everruns.emulator.answers import ANSWERS, Json, Origin
from polysession_everruns.emulator.catalogue import CAPABILITIES
from polysession_everruns.emulator.conversation_routes import ConversationRoutes, Handler
from polysession_everruns.emulator.records import Definition, Session
from polysession_everruns.emulator.state import EverrunsState
from polysession_everruns.emulator.turn_records import Pace

_TOKEN: Final = "evr_pat_emulator"  # noqa: S105  (opens nothing but this emulator)

_STATUS_OF_REFUSAL: Final[Mapping[type[Exception], int]] = {
    rules.InvalidInputError: 400,
    rules.UnauthenticatedError: 401,
    rules.ForbiddenError: 403,
    rules.UnknownEntityError: 404,
    rules.ConflictError: 409,
}


class EverrunsEmulator(Emulator):
    """An Everruns server with one organization, one user, one model, one harness and one agent.

    An older one runs tools without asking, `/ask` included.

    Attributes:
        pace: How long things take; a test may shorten it.
    """

    base_path: ClassVar[str] = "/api"

    def __init__(self, generation: Generation = "current") -> None:
        """Start with the seeded agent, in the shape of one generation of the backend."""
        super().__init__(generation)
        is_legacy = generation == "legacy"
        self._create_shape = requests.SEED_SESSION_CREATE if is_legacy else requests.SESSION_CREATE
        self._update_shape = requests.SEED_SESSION_UPDATE if is_legacy else requests.SESSION_UPDATE
        self._answers = ANSWERS[generation]
        self._state = EverrunsState(keeps_deltas=is_legacy)
        self.pace = Pace(asks=not is_legacy)
        self._conversation = ConversationRoutes(self._state, self._answers, self.pace, self.scripts)
        agent = self._state.catalogue.create_agent({"name": "emulated", "system_prompt": "You are an emulated agent."})
        self.initial = InitialResources(agent_id=agent.id, model=ModelConfig(id=self._state.catalogue.model["id"]))
        self.settings = {"api_key": _TOKEN}
        self.app = Starlette(
            routes=[Route("/health", _health), Mount(f"{self.base_path}/v1", routes=self._routes())],
            middleware=[Middleware(RequestIdMiddleware)],
        )

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session active for `duration_s` seconds, then idle.

        Raises:
            KeyError: There is no such session.
        """
        self._state.sessions[session_id].start_turn(duration_s)

    def await_tool_results(self, session_id: str) -> None:
        """Make a session wait until the client has run tools.

        Raises:
            KeyError: There is no such session.
        """
        self._state.sessions[session_id].await_tool_results()

    def _routes(self) -> Sequence[Route]:
        table: Sequence[tuple[str, str, Handler]] = (
            ("POST", "/sessions", self._create_session),
            ("GET", "/sessions", self._list_sessions),
            ("GET", "/sessions/stats", self._count_sessions),
            ("GET", "/sessions/{id}", self._get_session),
            ("PATCH", "/sessions/{id}", self._update_session),
            ("PUT", "/sessions/{id}/pin", self._pin_session),
            ("DELETE", "/sessions/{id}/pin", self._unpin_session),
            ("POST", "/sessions/{id}/fork", self._fork_session),
            ("POST", "/agents", self._create_agent),
            ("GET", "/agents", self._list_agents),
            ("GET", "/agents/{id}", self._get_agent),
            ("PATCH", "/agents/{id}", self._update_agent),
            ("PUT", "/agents/{id}", self._put_agent),
            ("DELETE", "/agents/{id}", self._archive_agent),
            ("POST", "/harnesses", self._create_harness),
            ("GET", "/harnesses", self._list_harnesses),
            ("GET", "/models", self._list_models),
            ("GET", "/capabilities", self._list_capabilities),
        )
        conversation = [(method, path, handler) for (method, path), handler in self._conversation.handlers.items()]
        return [
            Route(path, self._endpoint(handler), methods=[method]) for method, path, handler in (*table, *conversation)
        ]

    def _endpoint(self, handler: Handler) -> Handler:
        async def endpoint(request: Request) -> Response:
            try:
                check_admission(request.headers)
                return await handler(request)
            except requests.UnreadableError as error:
                return PlainTextResponse(str(error), error.status)
            except rules.RefusedError as refusal:
                status = _STATUS_OF_REFUSAL[type(refusal)]
                body = self._answers.error(status, refusal)
                return JSONResponse(body, status, media_type=self._answers.error_media_type)

        return endpoint

    def _session_body(self, request: Request, session: Session, *, with_pin: bool = False) -> Json:
        return self._answers.session(session, self._state.owner_principal_id, _origin(request), with_pin=with_pin)

    async def _create_session(self, request: Request) -> Response:
        session = self._state.create_session(requests.read_body(await request.body(), self._create_shape))
        return JSONResponse(self._session_body(request, session), 201)

    async def _list_sessions(self, request: Request) -> Response:
        query = request.query_params
        found = self._state.list_sessions(agent_id=query.get("agent_id"), search=query.get("search"))
        return self._page(request, [self._session_body(request, session, with_pin=True) for session in found])

    async def _count_sessions(self, _request: Request) -> Response:
        counts = self._state.count_by_status()
        body = {
            "total": len(self._state.sessions),
            "active": counts["active"],
            "idle": counts["idle"],
            "started": counts["started"],
            "waiting_for_tool_results": counts["waiting"],
        }
        return JSONResponse(body)

    async def _get_session(self, request: Request) -> Response:
        session = self._state.session(request.path_params["id"])
        return JSONResponse(self._session_body(request, session, with_pin=True))

    async def _update_session(self, request: Request) -> Response:
        changes = requests.read_body(await request.body(), self._update_shape)
        session = self._state.update_session(request.path_params["id"], changes)
        return JSONResponse(self._session_body(request, session))

    async def _pin_session(self, request: Request) -> Response:
        self._state.session(request.path_params["id"]).is_pinned = True
        return Response(status_code=204)

    async def _unpin_session(self, request: Request) -> Response:
        self._state.session(request.path_params["id"]).is_pinned = False
        return Response(status_code=204)

    async def _fork_session(self, request: Request) -> Response:
        overrides = requests.read_body(await request.body(), requests.SESSION_FORK)
        fork = self._state.fork_session(request.path_params["id"], overrides)
        return JSONResponse(self._session_body(request, fork), 201)

    async def _create_agent(self, request: Request) -> Response:
        agent = self._state.catalogue.create_agent(requests.read_body(await request.body(), requests.AGENT_CREATE))
        return JSONResponse(self._answers.agent(agent, _origin(request)), 201)

    async def _list_agents(self, request: Request) -> Response:
        with_archived = requests.read_switch(request.query_params, "include_archived")
        agents = reversed(self._state.catalogue.agents.values())
        shown = [agent for agent in agents if with_archived or agent.archived_at is None]
        return self._page(request, [self._counted(request, agent) for agent in _matching(request, shown)])

    async def _get_agent(self, request: Request) -> Response:
        agent = self._state.catalogue.find_agent(request.path_params["id"])
        return JSONResponse(self._counted(request, agent))

    async def _update_agent(self, request: Request) -> Response:
        changes = requests.read_body(await request.body(), requests.AGENT_UPDATE)
        agent = self._state.catalogue.update_agent(request.path_params["id"], changes)
        return JSONResponse(self._answers.agent(agent, _origin(request)))

    async def _put_agent(self, request: Request) -> Response:
        values = requests.read_body(await request.body(), requests.AGENT_CREATE)
        agent, is_new = self._state.catalogue.put_agent(request.path_params["id"], values)
        return JSONResponse(self._answers.agent(agent, _origin(request)), 201 if is_new else 200)

    async def _archive_agent(self, request: Request) -> Response:
        self._state.catalogue.archive_agent(request.path_params["id"])
        return Response(status_code=204)

    async def _create_harness(self, request: Request) -> Response:
        values = requests.read_body(await request.body(), requests.HARNESS_CREATE)
        harness = self._state.catalogue.create_harness(values)
        return JSONResponse(self._answers.harness(harness, _origin(request)), 201)

    async def _list_harnesses(self, request: Request) -> Response:
        harnesses = _matching(request, self._state.catalogue.harnesses.values())
        return JSONResponse({"data": [self._answers.harness(harness, _origin(request)) for harness in harnesses]})

    async def _list_models(self, request: Request) -> Response:
        model = self._state.catalogue.model
        return JSONResponse({"data": [self._answers.linked(model, _origin(request), "models")]})

    async def _list_capabilities(self, request: Request) -> Response:
        wanted = request.query_params.get("search", "").casefold()
        found = [item for item in CAPABILITIES if wanted in f"{item['name']}\n{item['description']}".casefold()]
        return self._page(request, [self._answers.linked(item, _origin(request), "capabilities") for item in found])

    def _counted(self, request: Request, agent: Definition) -> Json:
        return self._answers.agent(agent, _origin(request), session_count=self._state.count_of_agent(agent.id))

    def _page(self, request: Request, bodies: Sequence[Json]) -> Response:
        window = requests.read_window(request.query_params)
        shown = bodies[window.offset : window.offset + window.limit]
        return JSONResponse(self._answers.page(shown, len(bodies), window, request.url))


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _origin(request: Request) -> Origin:
    ui = str(request.base_url).rstrip("/")
    return Origin(api=ui + EverrunsEmulator.base_path, ui=ui)


def _matching(request: Request, definitions: Iterable[Definition]) -> list[Definition]:
    wanted = request.query_params.get("search", "").casefold()
    return [
        definition
        for definition in definitions
        if wanted in f"{definition.name}\n{definition.values.get('description', '')}".casefold()
    ]
