"""A minimal emulator of the invented backend."""

from __future__ import annotations

from polysession.emulation import Answer, ApiRequest, Emulator, Generation, InitialResources, Route, build_app


class AcmeEmulator(Emulator):
    """Answers reads of sessions only; every id exists."""

    base_path = "/api"

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self.settings = {"token": "any"}
        self.initial = InitialResources(agent_id="a1", environment_id="e1")
        self.app = build_app(
            [Route("GET", "/sessions/{id}", self._get)],
            base_path=self.base_path,
            error=lambda refusal, _: Answer({"error": refusal.message}, refusal.status),
        )

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        raise KeyError(f"no turn of {duration_s} s in {session_id}")

    def _get(self, request: ApiRequest) -> dict[str, str]:
        return {"id": request.parameters["id"], "title": self.generation}
