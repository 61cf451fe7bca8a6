"""Emulator of the ADK API server: sessions and runs in memory.

Not offered: artifacts, memory, live audio, evaluations, the routes of `adk web`.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and `/openapi.json` of google-adk 2.13.0 (read 2026-11)
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from polysession.emulation import (
    JSON_NULL,
    Answer,
    ApiRequest,
    Emulator,
    EventStream,
    Generation,
    InitialResources,
    Refusal,
    Route,
    Scripts,
    build_app,
    sse_frame,
)
from polysession_adk.emulator.agent import OpenCall, Run, RunRequest
from polysession_adk.emulator.shapes import APPS, content, error_answer, event_shape, new_id, session_shape, text_part
from polysession_adk.emulator.store import Json, Storage, Store, StoredSession, without_temporary
from polysession_adk.emulator.validation import check_headers, read_body, read_fields, read_run

_VERSIONS: Final = {"current": "2.13.0", "legacy": "1.39.1"}
_SESSIONS: Final = "/apps/{app}/users/{user}/sessions"
_INTERNAL: Final = (
    "Access to internal special agents is disabled in API server mode and on a development server not known to be bound"
    " to a loopback address."
)


class AdkEmulator(Emulator):
    """The ADK API server. `generation="legacy"` is google-adk 1.39.1.

    Attributes:
        storage: Storage of the sessions. With `"sqlite"` a turn fails if its session is changed during the turn; with
            `"memory"` it continues.
    """

    def __init__(self, generation: Generation = "current") -> None:
        super().__init__(generation)
        self.version = _VERSIONS[generation]
        self.scripts = Scripts(has_questions=True)
        self._store = Store()
        self._open_calls: dict[tuple[str, str, str], dict[str, OpenCall]] = {}
        self.initial = InitialResources(agent_id="assistant")
        self.settings: Mapping[str, str] = {"app": "assistant", "user_id": "emulator"}
        self.routes = self._routes()
        self.app = build_app(
            self.routes, error=error_answer, admit=check_headers, request_ids=None, redirects_slashes=True
        )

    @property
    def storage(self) -> Storage:
        """Storage of the sessions; see the class."""
        return self._store.storage

    @storage.setter
    def storage(self, storage: Storage) -> None:
        self._store.storage = storage

    def start_turn(self, session_id: str, *, duration_s: float) -> None:
        """Make a session run a turn without a script.

        It has a message now, and the answer after `duration_s` seconds.

        Raises:
            KeyError: There is no such session.
        """
        session = self._store.find(session_id)
        session.turn_ends_at_s = time.time() + duration_s
        message = content("user", [text_part("A turn without a script")])
        self._store.append(session, event_shape(f"e-{new_id()}", "user", content=message))

    def _routes(self) -> list[Route]:
        return [
            Route("GET", "/health", lambda _: {"status": "ok"}),
            Route("GET", "/version", self._version),
            Route("GET", "/list-apps", _list_apps),
            Route("GET", "/apps/{app}/app-info", _app_info),
            Route("POST", _SESSIONS, self._create),
            Route("GET", _SESSIONS, self._list),
            Route("POST", f"{_SESSIONS}/{{id}}", self._create_with_id),
            Route("GET", f"{_SESSIONS}/{{id}}", self._get),
            Route("PATCH", f"{_SESSIONS}/{{id}}", self._update),
            Route("DELETE", f"{_SESSIONS}/{{id}}", self._delete),
            Route("POST", "/run_sse", self._run_sse),
            Route("POST", "/run", self._run),
        ]

    def _version(self, _: ApiRequest) -> Json:
        return {"version": self.version, "language": "python", "language_version": "3.11.7"}

    def _create(self, request: ApiRequest) -> Json:
        kinds = {"sessionId": "string", "state": "dict", "events": "list", "options": "dict"}
        fields = read_fields(read_body(request, is_required=False), kinds)
        if "options" in fields:
            raise Refusal(400, "Session options are not supported by the configured session service.")
        events = fields.get("events", [])
        for index, event in enumerate(events):
            if (event.get("actions") or {}).get("stateDelta"):
                raise Refusal(400, f"Session initialization event {index} cannot include event actions.")
        session = self._store.create(request.parameters["app"], request.parameters["user"], fields.get("sessionId"))
        self._store.apply(session, fields.get("state", {}))
        for event in events:
            invocation_id, author = event.get("invocationId", ""), event.get("author", "user")
            self._store.append(session, event_shape(invocation_id, author, content=event.get("content")))
        return session_shape(self._store, session)

    def _create_with_id(self, request: ApiRequest) -> Json:
        """Create a session by the deprecated route, whose body is the state itself."""
        state = read_body(request, is_required=False)
        session = self._store.create(*_address(request))
        self._store.apply(session, state)
        return session_shape(self._store, session)

    def _list(self, request: ApiRequest) -> Any:
        sessions = self._store.list(request.parameters["app"], request.parameters["user"])
        return [session_shape(self._store, session, has_events=False) for session in sessions]

    def _get(self, request: ApiRequest) -> Json:
        return session_shape(self._store, self._find(request))

    def _update(self, request: ApiRequest) -> Json:
        delta = read_fields(read_body(request), {"stateDelta": "dict"}, ("stateDelta",))["stateDelta"]
        session = self._find(request)
        stored = without_temporary(delta)
        self._store.append(session, event_shape(f"p-{new_id()}", "user", actions={"stateDelta": stored}))
        shape = session_shape(self._store, session)
        return {**shape, "state": {**shape["state"], **delta}}

    def _delete(self, request: ApiRequest) -> Answer:
        self._store.delete(*_address(request))
        return Answer(JSON_NULL)

    def _run_sse(self, request: ApiRequest) -> EventStream:
        run = self._start(*read_run(read_body(request)))
        return EventStream(_encoded(run), headers={})

    async def _run(self, request: ApiRequest) -> Any:
        run = self._start(*read_run(read_body(request)))
        frames = [frame async for frame in run.frames()]
        if any("error" in frame for frame in frames):
            raise Refusal(500, "Internal Server Error", is_text=True)
        return [frame for frame in frames if not frame.get("partial")]

    def _start(self, values: Json, request: RunRequest) -> Run:
        """Return a new turn of a session.

        Raises:
            Refusal: There is no such app or no such session.
        """
        app = values.get("appName")
        if app is None:
            raise Refusal(400, "app_name is required when ADK_DEFAULT_APP_NAME is not set")
        _check_app(app)
        session = self._store.get(app, values["userId"], values["sessionId"])
        if session is None:
            raise Refusal(404, f"Session not found: {values['sessionId']}")
        return Run(
            self._store,
            session,
            request,
            scripts=self.scripts,
            open_calls=self._open_calls.setdefault((app, session.user, session.id), {}),
            is_legacy=self.generation == "legacy",
        )

    def _find(self, request: ApiRequest) -> StoredSession:
        session = self._store.get(*_address(request))
        if session is None:
            raise Refusal(404, "Session not found")
        if session.turn_ends_at_s is not None and time.time() >= session.turn_ends_at_s:
            session.turn_ends_at_s = None
            answer = content("model", [text_part("Done.")])
            invocation_id = session.events[-1]["invocationId"]
            self._store.append(session, event_shape(invocation_id, session.app, content=answer, finishReason="STOP"))
        return session


async def _encoded(run: Run) -> AsyncGenerator[bytes, None]:
    async with aclosing(run.frames()) as frames:
        async for frame in frames:
            yield sse_frame({"data": frame})


def _list_apps(request: ApiRequest) -> Any:
    if request.query.get("detailed") != "true":
        return sorted(APPS)
    return {"apps": [_app_shape(name) for name in sorted(APPS)]}


def _app_info(request: ApiRequest) -> Json:
    app = request.parameters["app"]
    _check_app(app)
    if app == "quiet":
        raise Refusal(400, "Root agent is not an LlmAgent")
    return {**_app_shape(app), "agents": {APPS[app][0]: {"name": APPS[app][0], "instruction": "", "tools": []}}}


def _app_shape(name: str) -> Json:
    agent, description = APPS[name]
    return {
        "name": name,
        "rootAgentName": agent,
        "description": description,
        "language": "python",
        "isComputerUse": False,
        "agents": None,
    }


def _check_app(app: str) -> None:
    if app.startswith("__"):
        raise Refusal(403, _INTERNAL)
    if app not in APPS:
        raise Refusal(404, f"Agent not found: '{app}'. No matching directory or module exists in '/srv/agents/{app}'.")


def _address(request: ApiRequest) -> tuple[str, str, str]:
    return request.parameters["app"], request.parameters["user"], request.parameters["id"]
