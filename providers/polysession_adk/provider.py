"""The ADK API server: settings, declared support, flows.

Backend: https://google.github.io/adk-docs/runtime/api-server/ and `/openapi.json` of google-adk 2.13.0 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

from polysession import provider_api as api
from polysession.provider_api import Agent, Call, Feature, Flow, FromEnv, NativeBody, Page, Session, SessionRef
from polysession_adk import sessions, turns
from polysession_adk.events import ABORTED, EVENT_TYPES
from polysession_adk.history import History
from polysession_adk.native import AdkNewSession, AdkRun, AdkSessionChanges
from polysession_adk.wire import read_apps, read_session

_ALL_SESSIONS: Final = "all sessions of the user in the app are read for each page"
_WHOLE_HISTORY: Final = "the session is read with its whole history"
_WITHIN: Final = "it is stored in the session's state"

_FEATURES: Final[Mapping[Feature, api.FeatureSupport]] = api.declared(
    native={
        Feature.SESSIONS_CREATE: "one more call, to check the app: the server would take any",
        Feature.SESSIONS_GET: "with the whole history, from which status and usage are inferred",
        Feature.SESSIONS_LIST: "without status and usage: the list has no events",
        Feature.SESSIONS_UPDATE: "appends an event, and fails a turn that works on the session if it is kept in SQL",
        Feature.SESSIONS_RUN: "leaving the block aborts the turn",
        Feature.SESSIONS_SEND: "lasts as long as the turn",
        Feature.SESSIONS_ANSWER: "lasts as long as the turn; one more call before it, to read the pending actions",
        Feature.AGENTS_LIST: "",
        Feature.SESSIONS_CREATE_AGENT: "needed here, or as the setting app",
        Feature.SESSIONS_CREATE_ID: "",
        Feature.SESSIONS_CREATE_OWNER: "needed here, or as the setting user_id",
        Feature.SESSIONS_CREATE_METADATA: "",
        Feature.SESSIONS_UPDATE_METADATA: "",
        Feature.SESSIONS_LIST_AGENT: "needed here, or as the setting app",
        Feature.SESSIONS_LIST_OWNER: "needed here, or as the setting user_id",
        Feature.SESSIONS_SEND_IMAGE: "by url or data",
        Feature.SESSIONS_SEND_DOCUMENT: "by url or data",
        Feature.SESSIONS_ANSWER_APPROVAL: "a reason of a denial reaches the tool, and not the model",
        Feature.SESSIONS_ANSWER_OUTPUT: "",
        Feature.SESSIONS_ANSWER_QUESTION: "",
    },
    emulated={
        Feature.SESSIONS_DELETE: "one call before it, because the server deletes what is not there, too",
        Feature.SESSIONS_STREAM: "read whole every 2 to 15 seconds: no deltas, the end of a turn one read later",
        Feature.SESSIONS_EVENTS: _WHOLE_HISTORY,
        Feature.SESSIONS_MESSAGES: _WHOLE_HISTORY,
        Feature.SESSIONS_EVENTS_NEWEST_FIRST: _WHOLE_HISTORY,
        Feature.SESSIONS_MESSAGES_NEWEST_FIRST: _WHOLE_HISTORY,
        Feature.SESSIONS_PENDING_ACTIONS: _WHOLE_HISTORY,
        Feature.AGENTS_GET: "all apps are listed, to find it among them",
        Feature.SESSIONS_CREATE_TITLE: _WITHIN,
        Feature.SESSIONS_UPDATE_TITLE: f"{_WITHIN}; one more call, to keep what lies beside it",
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: "as a change of the title",
        Feature.SESSIONS_UPDATE_METADATA_REMOVE: "null is stored, and read as absent",
        Feature.SESSIONS_LIST_TITLE_CONTAINS: _ALL_SESSIONS,
        Feature.SESSIONS_LIST_OLDEST_FIRST: _ALL_SESSIONS,
        Feature.SESSIONS_LIST_PAGE_SIZE: _ALL_SESSIONS,
    },
    unsupported={
        Feature.SESSIONS_CANCEL: "leave the block of the turn, which aborts it",
        Feature.SESSIONS_ARCHIVE: "ADK keeps a session until it is deleted",
        Feature.SESSIONS_REJOIN: "a turn ends with its connection",
        Feature.SESSIONS_UPDATE_METADATA_CLEAR: "the agent's state is in it, too: set keys to None one by one",
        Feature.SESSIONS_LIST_STATUSES: "ADK lists sessions without a status",
        Feature.SESSIONS_LIST_CREATED: "ADK does not store the time of creation",
        Feature.AGENTS_CREATE: "an app is a folder on the server",
        Feature.AGENTS_UPDATE: "an app is a folder on the server",
        Feature.AGENTS_ARCHIVE: "an app is a folder on the server",
        Feature.AGENTS_DELETE: "an app is a folder on the server",
    },
    otherwise="ADK has no such feature",
)


class AdkSettings(api.ProviderSettings):
    """Settings of a client for an ADK API server.

    Attributes:
        base_url: Where the server is.
        app: The app of sessions that are created, listed or named by their id without one.
        user_id: Whose sessions these are. The server believes it. None for a client that serves several users: each
            call then names the owner.
        token: Bearer token of a gateway in front of the server, which itself checks none.
    """

    base_url: Annotated[api.BaseUrl, FromEnv("ADK_BASE_URL")] = "http://127.0.0.1:8000"
    app: Annotated[api.PathText | None, FromEnv("ADK_APP")] = None
    user_id: Annotated[api.PathText | None, FromEnv("ADK_USER_ID")] = None
    token: Annotated[api.HeaderSecret | None, FromEnv("ADK_TOKEN")] = None


class AdkProvider(api.Provider[AdkSettings]):
    """An API server of Google's Agent Development Kit."""

    name = "adk"
    docs_url = "https://google.github.io/adk-docs/runtime/api-server/"
    settings_type = AdkSettings
    features = _FEATURES
    new_session_type = AdkNewSession
    session_changes_type = AdkSessionChanges
    message_type = AdkRun
    answer_type = AdkRun
    error_classes: ClassVar[Mapping[str, type[api.StatusError]]] = {
        "SessionNotFoundError": api.NotFound,
        "StaleSessionError": api.Conflict,
        "ValueError": api.InvalidRequest,
    }
    resume_mode = api.ResumeMode.NONE
    turn_life = api.TurnLife.ATTENDED
    when_busy = api.WhenBusy.UNSAFE
    when_waiting = api.WhenWaiting.KEEPS_WAITING
    owner_setting = "user_id"
    agent_setting = "app"
    emulator = "polysession_adk.emulator:AdkEmulator"

    @classmethod
    def event_types(cls) -> Mapping[str, tuple[str, ...]]:
        """The backend's event types, each with the types of the common events that it becomes."""
        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """The token of a gateway."""
        token = self.settings.token
        return {} if token is None else {"authorization": f"Bearer {token.get_secret_value()}"}

    def is_refusal(self, response: api.Response) -> bool:
        """Whether a run that was not followed resulted in an error only."""
        return turns.read_refusal(response) is not None

    def read_error(self, reply: api.Response) -> api.ErrorDetail:
        """Read an error body, without the path of the server's that is shown for an unknown app."""
        detail = turns.read_refusal(reply) or api.fastapi_error(reply)
        return detail._replace(message=detail.message.partition(" No matching directory")[0])

    def read_version(self) -> Flow[str | None]:
        """Ask for the version."""
        return api.answer_id((yield Call("GET", "/version")), "version")

    def create_session(self, new: api.NewSession) -> Flow[Session]:
        """Create a session, for an app that is there."""
        app = self._app(new.agent)
        body = sessions.from_new_session(new)
        yield from self.get_agent(app)
        response = yield Call("POST", turns.sessions_path(app, new.owner), body=api.json_body(body))
        return api.read_response(sessions.to_session, response)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session with its history."""
        return api.read_response(sessions.to_session, (yield Call("GET", turns.session_path(self._ref(ref)))))

    def list_sessions(self, query: api.SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read all sessions of a user in an app, and keep one page of them."""
        response = yield Call("GET", turns.sessions_path(self._app(query.agent), query.owner))
        found = api.read_list(api.read_array(response), sessions.to_listed_session)
        kept = api.apply_filters(found.items, query, {Feature.SESSIONS_LIST_TITLE_CONTAINS})
        # Newer servers list the oldest change first, 1.39.1 in no order.
        ordered = sorted(kept, key=lambda each: each.updated_at.timestamp() if each.updated_at else 0.0)
        page = api.one_page(ordered if query.oldest_first else ordered[::-1], query.page_size, cursor)
        return replace(page, problems=found.problems)

    def update_session(self, ref: SessionRef, changes: api.SessionChanges) -> Flow[Session]:
        """Change the state of a session."""
        ref = self._ref(ref)
        state: Mapping[str, Any] | None = None
        if changes.title is not api.UNSET:
            state = api.read_response(read_session, (yield Call("GET", turns.session_path(ref))))[0].state
        delta = sessions.from_changes(changes, state or {})
        if not delta:
            return (yield from self.get_session(ref))
        response = yield Call("PATCH", turns.session_path(ref), body=api.json_body({"stateDelta": delta}))
        return api.read_response(sessions.to_session, response)

    def delete_session(self, ref: SessionRef) -> Flow[None]:
        """Delete a session that is there."""
        path = turns.session_path(self._ref(ref))
        yield Call("GET", path)
        api.read_json_or_nothing((yield Call("DELETE", path)))

    def start_turn(
        self, ref: SessionRef, turn_input: api.TurnInput, *, native: NativeBody | None = None, **_: Any
    ) -> Flow[api.AnsweredTurn]:
        """Follow a turn by the response to its input."""
        return (yield from turns.prepare_turn(self._ref(ref), turn_input, native))

    def send_message(
        self, ref: SessionRef, content: tuple[api.Block, ...], *, native: NativeBody | None = None, **_: Any
    ) -> Flow[None]:
        """Send a message, and read the turn to its end: to leave it would abort it."""
        yield from turns.run_to_end(self._ref(ref), content, native)

    def answer_actions(
        self, ref: SessionRef, answers: tuple[api.Answer, ...], *, native: NativeBody | None = None
    ) -> Flow[None]:
        """Answer what waits, and read the turn to its end."""
        yield from turns.run_to_end(self._ref(ref), answers, native)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[api.PolledStream]:
        """Follow a session by its history: from now on, or after the cursor."""
        position = None if cursor is None else api.decode_cursor(turns.Cursor, cursor, "ADK")
        return turns.AdkStream(self._ref(ref), (yield from turns.get_stored(self._ref(ref))), position)

    def list_events(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[api.Event]]:
        """Read the history, and keep one page of it. What becomes of one stored event stays on one page."""
        history = History(ref.id)
        received = history.update((yield from turns.get_stored(self._ref(ref))))
        groups = [each.events for each in (*received, *history.settle())]
        page = api.one_page(groups, page_size, cursor, newest_first=newest_first)
        order = -1 if newest_first else 1
        return Page(tuple([event for group in page.items for event in group[::order]]), page.next_cursor)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[api.Message]]:
        """Read the history, and keep one page of its messages."""
        received = History(ref.id).update((yield from turns.get_stored(self._ref(ref))))
        messages = [each.message for each in received if each.message and each.wire.error_code != ABORTED]
        return api.one_page(messages, page_size, cursor, newest_first=newest_first)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[api.PendingAction, ...]]:
        """Read what the session waits for."""
        return tuple(History(ref.id, (yield from turns.get_stored(self._ref(ref)))).waiting.values())

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an app, from the list of all."""
        agents = yield from self.list_agents(None, None)
        found = next((agent for agent in agents.items if agent.id == agent_id), None)
        if found is None:
            raise api.NotFound(f"the server has no app {agent_id!r}, or cannot load it")
        return found

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read all apps, and keep one page of them, by name."""
        apps = api.read_whole(read_apps, (yield Call("GET", "/list-apps?detailed=true")))
        agents = api.read_list(apps.apps, sessions.to_agent)
        return replace(api.one_page(agents.items, page_size, cursor), problems=agents.problems)

    def _app(self, given: str | None) -> str:
        app = given or self.settings.app
        if app is None:
            raise api.UsageError("ADK addresses a session by its app: give agent=..., or set app (or ADK_APP)")
        return app

    def _ref(self, ref: SessionRef) -> SessionRef:
        """The whole address: the core has filled in the owner."""
        return replace(ref, agent_id=self._app(ref.agent_id))
