"""ADK API server: settings, declared support and flows.

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
_IN_STATE: Final = "stored in the session's state"

_FEATURES: Final[Mapping[Feature, api.FeatureSupport]] = api.declared(
    native={
        Feature.SESSIONS_CREATE: "one more call, to check the app: the server accepts any name",
        Feature.SESSIONS_GET: "the response contains the whole history; status and usage are derived from it",
        Feature.SESSIONS_LIST: "without status and usage: the list has no events",
        Feature.SESSIONS_UPDATE: "appends an event; with SQL storage, it makes a running turn of the session fail",
        Feature.SESSIONS_RUN: "leaving the block aborts the turn",
        Feature.SESSIONS_SEND: "the call lasts as long as the turn",
        Feature.SESSIONS_ANSWER: "the call lasts as long as the turn; one more call, to read the pending actions",
        Feature.AGENTS_LIST: "",
        Feature.SESSIONS_CREATE_AGENT: "required, here or as the setting app",
        Feature.SESSIONS_CREATE_ID: "",
        Feature.SESSIONS_CREATE_OWNER: "required, here or as the setting user_id",
        Feature.SESSIONS_CREATE_METADATA: "",
        Feature.SESSIONS_UPDATE_METADATA: "",
        Feature.SESSIONS_LIST_AGENT: "required, here or as the setting app",
        Feature.SESSIONS_LIST_OWNER: "required, here or as the setting user_id",
        Feature.SESSIONS_SEND_IMAGE: "by url or data",
        Feature.SESSIONS_SEND_DOCUMENT: "by url or data",
        Feature.SESSIONS_ANSWER_APPROVAL: "the reason of a denial reaches the tool, but not the model",
        Feature.SESSIONS_ANSWER_OUTPUT: "",
        Feature.SESSIONS_ANSWER_QUESTION: "",
    },
    emulated={
        Feature.SESSIONS_DELETE: "one more call, because the server reports success for a missing session",
        Feature.SESSIONS_STREAM: (
            "the whole session is read every 2 to 15 seconds: no deltas, and the end of a turn comes one read later"
        ),
        Feature.SESSIONS_EVENTS: _WHOLE_HISTORY,
        Feature.SESSIONS_MESSAGES: _WHOLE_HISTORY,
        Feature.SESSIONS_EVENTS_NEWEST_FIRST: _WHOLE_HISTORY,
        Feature.SESSIONS_MESSAGES_NEWEST_FIRST: _WHOLE_HISTORY,
        Feature.SESSIONS_PENDING_ACTIONS: _WHOLE_HISTORY,
        Feature.AGENTS_GET: "all apps are listed to find it",
        Feature.SESSIONS_CREATE_TITLE: _IN_STATE,
        Feature.SESSIONS_UPDATE_TITLE: f"{_IN_STATE}; one more call, to keep the values stored with it",
        Feature.SESSIONS_UPDATE_TITLE_CLEAR: "same cost as a change of the title",
        Feature.SESSIONS_UPDATE_METADATA_REMOVE: "null is stored, and read as no value",
        Feature.SESSIONS_LIST_TITLE_CONTAINS: _ALL_SESSIONS,
        Feature.SESSIONS_LIST_OLDEST_FIRST: _ALL_SESSIONS,
        Feature.SESSIONS_LIST_PAGE_SIZE: _ALL_SESSIONS,
    },
    unsupported={
        Feature.SESSIONS_CANCEL: "leave the block of the turn: this aborts it",
        Feature.SESSIONS_ARCHIVE: "ADK keeps a session until it is deleted",
        Feature.SESSIONS_REJOIN: "a turn ends with its connection",
        Feature.SESSIONS_UPDATE_METADATA_CLEAR: "the metadata also contains the agent's state; set single keys to None",
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
        base_url: URL of the server.
        app: App for calls that name none, with `agent=` or a `Session`.
        user_id: User who owns the sessions. The server does not verify it. None: the client serves several users, and
            each call must name the owner.
        token: Bearer token for a gateway in front of the server. The server itself does not check a token.
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
        """Return the backend's event types, each with the common event types that it is read as."""
        return EVENT_TYPES

    def headers(self) -> Mapping[str, str]:
        """Return the header with the token, if there is one."""
        token = self.settings.token
        return {} if token is None else {"authorization": f"Bearer {token.get_secret_value()}"}

    def is_refusal(self, response: api.Response) -> bool:
        """Whether a response with a success status contains nothing but an error."""
        return turns.read_refusal(response) is not None

    def read_error(self, response: api.Response) -> api.ErrorDetail:
        """Read an error body.

        The server's file path in the message about an unknown app is removed.
        """
        detail = turns.read_refusal(response) or api.fastapi_error(response)
        return detail._replace(message=detail.message.partition(" No matching directory")[0])

    def read_version(self) -> Flow[str | None]:
        """Read the version of the server."""
        return api.answer_id((yield Call("GET", "/version")), "version")

    def create_session(self, new: api.NewSession) -> Flow[Session]:
        """Create a session.

        Raises:
            NotFound: The server has no such app.
            UsageError: There is no app, a key of the metadata is reserved, or the id cannot be part of a path.
        """
        app = self._app(new.agent)
        body = sessions.from_new_session(new)
        yield from self.get_agent(app)
        response = yield Call("POST", turns.sessions_path(app, new.owner), body=api.json_body(body))
        return api.read_response(sessions.to_session, response)

    def get_session(self, ref: SessionRef) -> Flow[Session]:
        """Read a session with its history."""
        return api.read_response(sessions.to_session, (yield Call("GET", turns.session_path(self._ref(ref)))))

    def list_sessions(self, query: api.SessionQuery, cursor: str | None) -> Flow[Page[Session]]:
        """Read all sessions of a user in an app, and return one page of them."""
        response = yield Call("GET", turns.sessions_path(self._app(query.agent), query.owner))
        found = api.read_list(api.read_array(response), sessions.to_listed_session)
        kept = api.apply_filters(found.items, query, {Feature.SESSIONS_LIST_TITLE_CONTAINS})
        # Newer servers list the sessions by their last change, oldest first; 1.39.1 has no fixed order.
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
        """Delete a session. It is read first, because the server reports success for a missing one.

        Raises:
            NotFound: There is no such session.
        """
        path = turns.session_path(self._ref(ref))
        yield Call("GET", path)
        api.read_json_or_nothing((yield Call("DELETE", path)))

    def start_turn(
        self, ref: SessionRef, turn_input: api.TurnInput, *, native: NativeBody | None = None, **_: Any
    ) -> Flow[api.AnsweredTurn]:
        """Return a plan that follows a turn by the response to its input."""
        return (yield from turns.prepare_turn(self._ref(ref), turn_input, native))

    def send_message(
        self, ref: SessionRef, content: tuple[api.Block, ...], *, native: NativeBody | None = None, **_: Any
    ) -> Flow[None]:
        """Send a message, and read the turn to its end: closing the connection would abort it."""
        yield from turns.run_to_end(self._ref(ref), content, native)

    def answer_actions(
        self, ref: SessionRef, answers: tuple[api.Answer, ...], *, native: NativeBody | None = None
    ) -> Flow[None]:
        """Answer pending actions, and read the turn to its end.

        Closing the connection would abort it.
        """
        yield from turns.run_to_end(self._ref(ref), answers, native)

    def stream_events(self, ref: SessionRef, cursor: str | None) -> Flow[api.PolledStream]:
        """Return a plan that follows a session by polling its history.

        It delivers new events only, or those after the cursor.
        """
        position = None if cursor is None else api.decode_cursor(turns.Cursor, cursor, "ADK")
        return turns.AdkStream(self._ref(ref), (yield from turns.get_stored(self._ref(ref))), position)

    def list_events(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[api.Event]]:
        """Read the history, and return one page of it.

        A page counts stored events, each with all its common events.
        """
        history = History(ref.id)
        received = history.update((yield from turns.get_stored(self._ref(ref))))
        groups = [each.events for each in (*received, *history.end_turns())]
        page = api.one_page(groups, page_size, cursor, newest_first=newest_first)
        order = -1 if newest_first else 1
        return Page(tuple([event for group in page.items for event in group[::order]]), page.next_cursor)

    def list_messages(
        self, ref: SessionRef, page_size: int | None, cursor: str | None, *, newest_first: bool = False
    ) -> Flow[Page[api.Message]]:
        """Read the history, and return one page of its messages."""
        received = History(ref.id).update((yield from turns.get_stored(self._ref(ref))))
        messages = [each.message for each in received if each.message and each.wire.error_code != ABORTED]
        return api.one_page(messages, page_size, cursor, newest_first=newest_first)

    def pending_actions(self, ref: SessionRef) -> Flow[tuple[api.PendingAction, ...]]:
        """Read the pending actions from the history."""
        return tuple(History(ref.id, (yield from turns.get_stored(self._ref(ref)))).waiting.values())

    def get_agent(self, agent_id: str) -> Flow[Agent]:
        """Read an app from the list of all apps: the server has no call for a single app.

        Raises:
            NotFound: The server has no such app, or cannot load it.
        """
        agents = yield from self.list_agents(None, None)
        found = next((agent for agent in agents.items if agent.id == agent_id), None)
        if found is None:
            raise api.NotFound(f"the server has no app {agent_id!r}, or cannot load it")
        return found

    def list_agents(self, page_size: int | None, cursor: str | None) -> Flow[Page[Agent]]:
        """Read all apps, and return one page of them, by name."""
        apps = api.read_whole(read_apps, (yield Call("GET", "/list-apps?detailed=true")))
        agents = api.read_list(apps.apps, sessions.to_agent)
        return replace(api.one_page(agents.items, page_size, cursor), problems=agents.problems)

    def _app(self, agent: str | None) -> str:
        app = agent or self.settings.app
        if app is None:
            raise api.UsageError("ADK needs the app of a session: pass agent=..., or set app (or ADK_APP)")
        return app

    def _ref(self, ref: SessionRef) -> SessionRef:
        """Return the address with its app. The core has already added the owner."""
        return replace(ref, agent_id=self._app(ref.agent_id))
