"""An emulator of the invented backend, as small as one can be."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from polysession.emulation import Emulator, Generation, RequestIdMiddleware, Seeded


class AcmeEmulator(Emulator):
    """Knows the sessions that exist, and no more."""

    base_path = "/api"

    def __init__(self, generation: Generation = "current") -> None:
        self.generation = generation
        self.settings = {"token": "any"}
        self.seeded = Seeded(agent_id="a1", environment_id="e1")
        self.app = RequestIdMiddleware(Starlette(routes=[Route("/api/sessions/{id}", self._get)]))

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        raise KeyError(f"no turn of {duration_s} s in {session_id}")

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse({"id": request.path_params["id"], "title": self.generation})
